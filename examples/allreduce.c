/* Collectives on own buffers: every rank gives some numbers, all ranks get their sum. The sum is started, so that the
 * program may do something else meanwhile, and waited for.
 *
 *     mpirun -np 4 ./allreduce 1000000 */
#include <kpar/kpar.h>

#include <stdio.h>
#include <stdlib.h>

/* Rank r gives r + 1, r + 2 ...: every sum is a whole number that a float holds exactly. */
static void fill(float *values, size_t count, int rank)
{
    for (size_t i = 0; i < count; i++) values[i] = (float)(rank + 1 + (int)(i % 1000));
}

static int is_sum(const float *values, size_t count, int size)
{
    for (size_t i = 0; i < count; i++)
        if (values[i] != (float)(size * (size + 1) / 2 + size * (int)(i % 1000))) return 0;
    return 1;
}

static kpar_status sum(kpar_context *context, float *values, size_t count, int *is_right)
{
    kpar_handle *handle;
    fill(values, count, kpar_rank(context));
    kpar_status status = kpar_all_reduce_async(context, values, count, KPAR_FLOAT32, KPAR_SUM, &handle);
    if (status != KPAR_OK) return status;
    /* ... something else, which does not touch values ... */
    status = kpar_wait(&handle);
    *is_right = is_sum(values, count, kpar_size(context));
    return status;
}

/* Whether it was right everywhere: the smallest of all ranks' answers. */
static kpar_status report(kpar_context *context, size_t count, int is_right)
{
    kpar_status status = kpar_all_reduce(context, &is_right, 1, KPAR_INT32, KPAR_MINIMUM);
    if (status == KPAR_OK && kpar_rank(context) == 0)
        printf("%zu elements summed over %d ranks: %s\n", count, kpar_size(context),
               is_right ? "right" : "WRONG");
    return status;
}

static kpar_status run(kpar_context *context, size_t count)
{
    int is_right = 0;
    float *values = malloc((count + 1) * sizeof *values);
    if (!values) return KPAR_ENOMEM;
    kpar_status status = sum(context, values, count, &is_right);
    if (status == KPAR_OK) status = report(context, count, is_right);
    free(values);
    return status;
}

int main(int argc, char **argv)
{
    kpar_context *context;
    kpar_status status = kpar_init(&context);
    if (status == KPAR_OK) status = run(context, argc > 1 ? strtoull(argv[1], NULL, 10) : 1000);
    if (status == KPAR_OK) status = kpar_finalize(context);
    if (status != KPAR_OK) kpar_abort(context, status);
    return 0;
}

/* tests/mpi/test_examples.sh runs this:
 *
 * test: ranks 1 2 4
 * arguments: 100000
 * output: 100000 elements summed over RANKS ranks: right
 *
 * test: ranks 3
 * arguments: 0
 * output: 0 elements summed over 3 ranks: right
 */
