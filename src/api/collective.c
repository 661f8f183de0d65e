/* Collectives on user buffers.
 *
 * They are the communicator's whole collectives, which are the MPI library's own non-blocking ones. kpar's step programs
 * (src/comm/ring.c and the like) work on windows that are planned before a run; a buffer that the library first sees in
 * the call would have to be copied into one, and its steps driven from a thread or from every wait, whereas MPI reads it
 * where it lies and knows its own network. What MPI cannot do is done here: more elements than an int counts go in
 * pieces, averages are sums that are divided at the end, 16-bit floats go through float32. */
#include "api/context.h"

#include "base/memory.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

struct kpar_handle {
    kpar_context *context;
    kpar_request **requests; /* the pieces; NULL: done */
    size_t n_requests;
    size_t *counts; /* of an all-gather */

    /* all_reduce: what is left to be done at the end */
    void *buffer;
    size_t count;
    kpar_dtype dtype;  /* of the buffer */
    kpar_dtype worked; /* of what is reduced: another one goes through `staging` */
    void *staging;
    double divisor; /* 0: no average */
};

static const kpar_dtype dtypes[] = {
    [KPAR_FLOAT32] = KPAR_F32,   [KPAR_FLOAT64] = KPAR_F64, [KPAR_FLOAT16] = KPAR_F16,
    [KPAR_BFLOAT16] = KPAR_BF16, [KPAR_INT8] = KPAR_I8,     [KPAR_INT16] = KPAR_I16,
    [KPAR_INT32] = KPAR_I32,     [KPAR_INT64] = KPAR_I64,   [KPAR_UINT8] = KPAR_U8,
    [KPAR_UINT16] = KPAR_U16,    [KPAR_UINT32] = KPAR_U32,  [KPAR_UINT64] = KPAR_U64,
};
static const kpar_reduction reductions[] = {[KPAR_SUM] = KPAR_REDUCE_SUM,
                                            [KPAR_AVERAGE] = KPAR_REDUCE_SUM,
                                            [KPAR_MINIMUM] = KPAR_REDUCE_MIN,
                                            [KPAR_MAXIMUM] = KPAR_REDUCE_MAX};

enum { TYPES = sizeof dtypes / sizeof dtypes[0], OPERATIONS = sizeof reductions / sizeof reductions[0] };

/* --- arguments --- */

static kpar_status check_elements(const char *function, const void *buffer, size_t count, kpar_data_type type)
{
    size_t bytes;
    if ((unsigned)type >= TYPES)
        return kpar_fail(KPAR_EUSAGE, "%s: type %d is none; expected KPAR_FLOAT32 to KPAR_UINT64", function,
                         (int)type);
    if (!buffer && count)
        return kpar_fail(KPAR_EUSAGE, "%s: the buffer of %zu elements is NULL", function, count);
    if (!kpar_multiply(count, kpar_dtype_bytes(dtypes[type]), &bytes))
        return kpar_fail(KPAR_EUSAGE, "%s: %zu elements of %s are more than there is memory", function, count,
                         kpar_dtype_name(dtypes[type]));
    return KPAR_OK;
}

static bool is_float(kpar_dtype dtype)
{
    return dtype == KPAR_F32 || dtype == KPAR_F64 || dtype == KPAR_F16 || dtype == KPAR_BF16;
}

static kpar_status check_all_reduce(const kpar_context *context, const char *function, const void *buffer,
                                    size_t count, kpar_data_type type, kpar_operation operation)
{
    KPAR_TRY(kpar_context_check(context, function));
    KPAR_TRY(check_elements(function, buffer, count, type));
    if ((unsigned)operation >= OPERATIONS)
        return kpar_fail(KPAR_EUSAGE, "%s: operation %d is none; expected KPAR_SUM to KPAR_MAXIMUM", function,
                         (int)operation);
    if (operation == KPAR_AVERAGE && !is_float(dtypes[type]))
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: the average of %s is not one; use KPAR_SUM and divide",
                         function, kpar_dtype_name(dtypes[type]));
    return KPAR_OK;
}

static kpar_status check_all_gather(const kpar_context *context, const char *function, const void *input,
                                    const void *output, size_t count, kpar_data_type type)
{
    KPAR_TRY(kpar_context_check(context, function));
    KPAR_TRY(check_elements(function, input, count, type));
    KPAR_TRY(check_elements(function, output, count, type));
    const size_t most = INT_MAX / (size_t)kpar_size(context);
    if (count > most)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: %zu elements of each of %d ranks; at most %zu can be gathered at once",
                         function, count, kpar_size(context), most);
    return KPAR_OK;
}

/* --- handles --- */

static kpar_handle *handle_create(kpar_context *context, size_t n_requests)
{
    kpar_handle *handle = kpar_alloc_zeroed(1, sizeof *handle);
    handle->context = context;
    handle->requests = kpar_alloc_zeroed(n_requests + 1, sizeof *handle->requests);
    context->handles++;
    return handle;
}

static void handle_destroy(kpar_handle *handle)
{
    handle->context->handles--;
    kpar_free_aligned(handle->staging);
    kpar_free(handle->counts);
    kpar_free(handle->requests);
    kpar_free(handle);
}

static void divide(void *values, kpar_dtype dtype, size_t count, double divisor)
{
    float *singles = values;
    double *doubles = values;
    for (size_t i = 0; i < count; i++) {
        if (dtype == KPAR_F32)
            singles[i] /= (float)divisor;
        else
            doubles[i] /= divisor;
    }
}

/* All pieces are there. */
static void handle_complete(kpar_handle *handle)
{
    void *worked = handle->staging ? handle->staging : handle->buffer;
    if (handle->divisor > 0) divide(worked, handle->worked, handle->count, handle->divisor);
    if (handle->staging) kpar_convert(handle->buffer, handle->dtype, worked, handle->worked, handle->count);
}

/* Whether all pieces have ended. */
static kpar_status progress(kpar_handle *handle, bool *done)
{
    while (handle->n_requests > 0) {
        bool ended;
        KPAR_TRY(
            kpar_comm_progress(handle->context->comm, &handle->requests[handle->n_requests - 1], &ended));
        if (!ended) break;
        handle->n_requests--;
    }
    *done = handle->n_requests == 0;
    return KPAR_OK;
}

kpar_status kpar_test(kpar_handle **handle, bool *done)
{
    if (!handle || !done)
        return kpar_fail(KPAR_EUSAGE, "kpar_test: expected a handle and a place for the answer, found NULL");
    *done = true;
    if (!*handle) return KPAR_OK;
    kpar_status status = progress(*handle, done);
    if (status == KPAR_OK && !*done) return KPAR_OK;
    if (status == KPAR_OK) handle_complete(*handle);
    handle_destroy(*handle);
    *handle = NULL;
    return status;
}

kpar_status kpar_wait(kpar_handle **handle)
{
    bool done = false;
    if (!handle) return kpar_fail(KPAR_EUSAGE, "kpar_wait: expected a handle, found NULL");
    while (!done) {
        const kpar_context *context = *handle ? (*handle)->context : NULL;
        KPAR_TRY(kpar_test(handle, &done));
        if (!done) kpar_comm_yield(context->comm);
    }
    return KPAR_OK;
}

/* --- all-reduce --- */

/* 16-bit floats are added up in float32. */
static kpar_status stage(kpar_handle *handle)
{
    if (handle->dtype != KPAR_F16 && handle->dtype != KPAR_BF16) return KPAR_OK;
    handle->worked = KPAR_F32;
    KPAR_TRY(kpar_try_alloc(handle->count * sizeof(float) + 1, "a copy of 16-bit floats", &handle->staging));
    kpar_convert(handle->staging, KPAR_F32, handle->buffer, handle->dtype, handle->count);
    return KPAR_OK;
}

/* A failure leaves the pieces before it under way; the job is lost then. */
static kpar_status start_pieces(kpar_handle *handle, kpar_operation operation)
{
    const kpar_context *context = handle->context;
    unsigned char *next = handle->staging ? handle->staging : handle->buffer;
    for (size_t left = handle->count; left > 0;) {
        const size_t count = left < context->most_elements ? left : context->most_elements;
        KPAR_TRY(kpar_comm_start_collective(context->comm, context->everyone, KPAR_COLLECTIVE_ALL_REDUCE,
                                            reductions[operation], handle->worked, next, next, NULL, count,
                                            &handle->requests[handle->n_requests]));
        handle->n_requests++;
        next += count * kpar_dtype_bytes(handle->worked);
        left -= count;
    }
    return KPAR_OK;
}

kpar_status kpar_all_reduce_async(kpar_context *context, void *buffer, size_t count, kpar_data_type type,
                                  kpar_operation operation, kpar_handle **handle)
{
    if (!handle)
        return kpar_fail(KPAR_EUSAGE, "kpar_all_reduce_async: expected a place for the handle, found NULL");
    *handle = NULL;
    KPAR_TRY(check_all_reduce(context, "kpar_all_reduce", buffer, count, type, operation));
    kpar_handle *made = handle_create(context, count / context->most_elements + 1);
    made->buffer = buffer;
    made->count = count;
    made->dtype = made->worked = dtypes[type];
    made->divisor = operation == KPAR_AVERAGE ? kpar_size(context) : 0;
    kpar_status status = stage(made);
    if (status == KPAR_OK) status = start_pieces(made, operation);
    if (status == KPAR_OK)
        *handle = made;
    else
        handle_destroy(made);
    return status;
}

kpar_status kpar_all_reduce(kpar_context *context, void *buffer, size_t count, kpar_data_type type,
                            kpar_operation operation)
{
    kpar_handle *handle;
    KPAR_TRY(kpar_all_reduce_async(context, buffer, count, type, operation, &handle));
    return kpar_wait(&handle);
}

/* --- all-gather --- */

static kpar_status start_gathering(kpar_handle *handle, const void *input, void *output, size_t count,
                                   kpar_dtype dtype)
{
    const kpar_context *context = handle->context;
    const size_t size = (size_t)kpar_size(context);
    handle->counts = kpar_alloc(size * sizeof *handle->counts);
    for (size_t i = 0; i < size; i++) handle->counts[i] = count;
    KPAR_TRY(kpar_comm_start_collective(context->comm, context->everyone, KPAR_COLLECTIVE_ALL_GATHER,
                                        KPAR_REDUCE_SUM, dtype, input, output, handle->counts, count * size,
                                        &handle->requests[0]));
    handle->n_requests = 1;
    return KPAR_OK;
}

kpar_status kpar_all_gather_async(kpar_context *context, const void *input, void *output, size_t count,
                                  kpar_data_type type, kpar_handle **handle)
{
    if (!handle)
        return kpar_fail(KPAR_EUSAGE, "kpar_all_gather_async: expected a place for the handle, found NULL");
    *handle = NULL;
    KPAR_TRY(check_all_gather(context, "kpar_all_gather", input, output, count, type));
    kpar_handle *made = handle_create(context, 1);
    kpar_status status = count ? start_gathering(made, input, output, count, dtypes[type]) : KPAR_OK;
    if (status == KPAR_OK)
        *handle = made;
    else
        handle_destroy(made);
    return status;
}

kpar_status kpar_all_gather(kpar_context *context, const void *input, void *output, size_t count,
                            kpar_data_type type)
{
    kpar_handle *handle;
    KPAR_TRY(kpar_all_gather_async(context, input, output, count, type, &handle));
    return kpar_wait(&handle);
}

/* --- what blocks --- */

kpar_status kpar_broadcast(kpar_context *context, void *buffer, size_t count, kpar_data_type type, int root)
{
    KPAR_TRY(kpar_context_check(context, "kpar_broadcast"));
    KPAR_TRY(check_elements("kpar_broadcast", buffer, count, type));
    if (root < 0 || root >= kpar_size(context))
        return kpar_fail(KPAR_EUSAGE, "kpar_broadcast: root %d; expected a rank from 0 to %d", root,
                         kpar_size(context) - 1);
    return count ? kpar_comm_broadcast(context->comm, buffer, count * kpar_dtype_bytes(dtypes[type]), root)
                 : KPAR_OK;
}

kpar_status kpar_barrier(kpar_context *context)
{
    KPAR_TRY(kpar_context_check(context, "kpar_barrier"));
    return kpar_comm_barrier(context->comm);
}
