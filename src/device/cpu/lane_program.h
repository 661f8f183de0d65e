/* An expression compiled to a list of lane instructions over a table of operands. */
#ifndef KPAR_DEVICE_CPU_LANE_PROGRAM_H
#define KPAR_DEVICE_CPU_LANE_PROGRAM_H

#include "device/cpu/lanes.h"

/* Operands are numbered: the expression's inputs, its outputs, the uniforms, then slots of scratch memory. */
typedef struct kpar_lane_program {
    int n_inputs, n_outputs, n_uniforms, n_slots;
    int n_code;
    kpar_lane_code *code;
    int *uniforms;       /* n_uniforms: the scalar each one is */
    int *last_read;      /* n_inputs: the last instruction that reads the input, -1: none */
    int *written;        /* n_outputs: the instruction that writes the output */
    const bool *uniform; /* n_scalars: whether the scalar is the same for all elements */
} kpar_lane_program;

/* `uniform_input[i]`: input i is one value. What depends on such inputs and constants alone is a uniform, computed
 * once a run and not once an element. Everything lives in `arena`. */
kpar_lane_program *kpar_lane_compile(const kpar_expression *e, const bool *uniform_input, kpar_arena *arena);

#endif
