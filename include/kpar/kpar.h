/* kpar: trains saved Keras models on a cluster. This header is all of the API: the context and the collectives here,
 * the model calls in kpar/training.h, the status codes in kpar/status.h. Usable from C and C++.
 *
 * Every rank of the job makes the same program's calls. "Collective" below means: all ranks make the call, with equal
 * arguments unless said otherwise, and in the same order relative to other collective calls; a rank that leaves one
 * out lets the others wait for ever. Wrong arguments are found before anything is sent, so that a call which all ranks
 * get wrong in the same way fails on all of them.
 *
 * Functions that can fail return a kpar_status; kpar_error_message() then has the words. A context, and everything
 * made from it, is used by one thread at a time. */
#ifndef KPAR_KPAR_H
#define KPAR_KPAR_H

#include <kpar/status.h>

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0". Never NULL. */
KPAR_API const char *kpar_version(void);

/* --- the job --- */

/* One rank's view of the job. */
typedef struct kpar_context kpar_context;

/* Joins the job that mpirun, srun or kparrun started; a process started alone is a job of one rank. Initializes MPI,
 * unless the program has done so, with at least MPI_THREAD_FUNNELED. Without MPI in the build the job has one rank.
 * Collective. The caller owns *context and gives it to kpar_finalize; on failure it is NULL.
 * KPAR_ECOMM where MPI fails, KPAR_EUSAGE where the process has finalized it. */
KPAR_API kpar_status kpar_init(kpar_context **context) KPAR_MUST_USE;

/* Leaves the job and frees the context; finalizes MPI if kpar_init initialized it. Collective. NULL is allowed.
 * KPAR_EUSAGE, with nothing done, while there are handles not waited for or trainings not freed. */
KPAR_API kpar_status kpar_finalize(kpar_context *context) KPAR_MUST_USE;

/* Ends the whole job from one rank, for a failure that the other ranks do not know of: prints kpar_error_message() to
 * standard error, once for the job, and exits with code 2 for KPAR_EUSAGE, else 1. Not collective. The context may be
 * NULL where kpar_init failed. */
KPAR_API void kpar_abort(kpar_context *context, kpar_status status) __attribute__((noreturn));

/* Number of this rank, from 0, and of all ranks; the same among the ranks of this node. Not collective, cannot fail;
 * -1 for a NULL context. */
KPAR_API int kpar_rank(const kpar_context *context);
KPAR_API int kpar_size(const kpar_context *context);
KPAR_API int kpar_local_rank(const kpar_context *context);
KPAR_API int kpar_local_size(const kpar_context *context);

/* --- collectives --- */

/* Types of elements. float16 is IEEE's, bfloat16 the upper half of a float32. */
typedef enum kpar_data_type {
    KPAR_FLOAT32,
    KPAR_FLOAT64,
    KPAR_FLOAT16,
    KPAR_BFLOAT16,
    KPAR_INT8,
    KPAR_INT16,
    KPAR_INT32,
    KPAR_INT64,
    KPAR_UINT8,
    KPAR_UINT16,
    KPAR_UINT32,
    KPAR_UINT64
} kpar_data_type;

/* What an all-reduce makes of the ranks' elements. */
typedef enum kpar_operation {
    KPAR_SUM,
    KPAR_AVERAGE, /* the sum divided by the number of ranks; not of integers */
    KPAR_MINIMUM,
    KPAR_MAXIMUM
} kpar_operation;

/* A collective under way. */
typedef struct kpar_handle kpar_handle;

/* buffer[i] becomes the sum (average, minimum, maximum) over all ranks of buffer[i], for `count` elements; the bits are
 * the same on all ranks. float16 and bfloat16 are computed in float32 and rounded once, at the cost of a copy. A count
 * of 0 is allowed, then buffer may be NULL. Collective; blocks until the result is there.
 * KPAR_EUSAGE for wrong arguments, KPAR_EUNSUPPORTED for an average of integers, KPAR_ENOMEM, KPAR_ECOMM. */
KPAR_API kpar_status kpar_all_reduce(kpar_context *context, void *buffer, size_t count, kpar_data_type type,
                                     kpar_operation operation) KPAR_MUST_USE;

/* Starts the same and returns; the library owns the buffer until kpar_wait or kpar_test says that it is done. Any
 * number may be under way: all ranks start them in the same order and may wait in any. *handle belongs to the caller,
 * who must see it done; on failure it is NULL. */
KPAR_API kpar_status kpar_all_reduce_async(kpar_context *context, void *buffer, size_t count,
                                           kpar_data_type type, kpar_operation operation,
                                           kpar_handle **handle) KPAR_MUST_USE;

/* Every rank gives `count` elements, the same number on all, in `input`; `output`, count * kpar_size() elements, becomes
 * those of rank 0, rank 1 and so on, on every rank. The two do not overlap, but that input may be the rank's own part of
 * output. Collective; blocks. KPAR_EUSAGE, KPAR_ECOMM; KPAR_EUNSUPPORTED for more than INT_MAX elements in all. */
KPAR_API kpar_status kpar_all_gather(kpar_context *context, const void *input, void *output, size_t count,
                                     kpar_data_type type) KPAR_MUST_USE;

/* Starts the same, as kpar_all_reduce_async does; input and output stay untouched until it is done. */
KPAR_API kpar_status kpar_all_gather_async(kpar_context *context, const void *input, void *output,
                                           size_t count, kpar_data_type type,
                                           kpar_handle **handle) KPAR_MUST_USE;

/* Waits until a collective is done, frees its handle and sets *handle to NULL, also on failure, whose status is
 * returned. A *handle of NULL is done. Not collective. */
KPAR_API kpar_status kpar_wait(kpar_handle **handle) KPAR_MUST_USE;

/* Moves what is under way without waiting. *done says whether the collective has ended, which frees the handle and sets
 * *handle to NULL; a failure does so too. Not collective. */
KPAR_API kpar_status kpar_test(kpar_handle **handle, bool *done) KPAR_MUST_USE;

/* Copies `count` elements of rank `root` to all ranks. Any size. Collective; blocks. KPAR_EUSAGE, KPAR_ECOMM. */
KPAR_API kpar_status kpar_broadcast(kpar_context *context, void *buffer, size_t count, kpar_data_type type,
                                    int root) KPAR_MUST_USE;

/* Waits until all ranks are here. Collective. */
KPAR_API kpar_status kpar_barrier(kpar_context *context) KPAR_MUST_USE;

#ifdef __cplusplus
}
#endif

#include <kpar/training.h>

#endif
