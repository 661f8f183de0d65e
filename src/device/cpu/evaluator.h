/* Evaluates an expression over tensors, a block at a time: the block's values stay in the first cache. */
#ifndef KPAR_DEVICE_CPU_EVALUATOR_H
#define KPAR_DEVICE_CPU_EVALUATOR_H

#include "device/spec.h"

typedef struct kpar_evaluator kpar_evaluator;

/* `unit` 0: what kpar_evaluator_run computes as a whole; else pieces.
 * Inputs of any type broadcast to the outputs, which have one shape. `accumulate`: adds to what the outputs hold.
 * Everything the arguments point to is copied. Real numbers are computed in float; where an input that is not a
 * single value, or an output, is of a type that float does not hold exactly, in double. */
kpar_status kpar_evaluator_create(const kpar_expression *e, const kpar_tensor_spec *inputs,
                                  const kpar_tensor_spec *outputs, bool accumulate, int64_t unit, int threads,
                                  kpar_evaluator **evaluator) KPAR_MUST_USE;
void kpar_evaluator_destroy(kpar_evaluator *evaluator);

/* An output may be exactly one of the inputs. */
void kpar_evaluator_run(kpar_evaluator *evaluator, void *const *inputs, void *const *outputs);

/* In place of run: begin with the inputs, on each thread begin as worker number `worker` < threads, then compute any
 * pieces there: elements first .. first + n - 1 into outputs[] from their start. A piece begins at a multiple of `unit`, or
 * a multiple of kpar_evaluator_step elements behind one. */
enum { KPAR_PIECE = 512 };
int64_t kpar_evaluator_step(const kpar_evaluator *evaluator); /* <= KPAR_PIECE */
void kpar_evaluator_begin(kpar_evaluator *evaluator, void *const *inputs);
void kpar_evaluator_begin_worker(const kpar_evaluator *evaluator, int worker);
void kpar_evaluator_piece(const kpar_evaluator *evaluator, int worker, int64_t first, int64_t n,
                          void *const *outputs);
int kpar_evaluator_threads(const kpar_evaluator *evaluator);

#endif
