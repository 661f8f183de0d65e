/* Host arrays. */
#include "tensor/array.h"

#include "base/memory.h"

#include <stdio.h>

int64_t kpar_count(int rank, const int64_t *dims)
{
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= dims[i];
    return count;
}

/* Bytes of a shape that may come from a file. */
static kpar_status measure(kpar_dtype dtype, int rank, const int64_t *dims, size_t *bytes)
{
    char shape[KPAR_SHAPE_TEXT];
    if (rank < 0 || rank > KPAR_MAX_RANK)
        return kpar_fail(KPAR_EFORMAT, "an array has %d dimensions, expected at most %d", rank,
                         KPAR_MAX_RANK);
    *bytes = kpar_dtype_bytes(dtype);
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return kpar_fail(KPAR_EFORMAT, "an array has shape %s, expected no negative dimension",
                             kpar_shape_text(shape, rank, dims));
        if (!kpar_multiply(*bytes, (size_t)dims[i], bytes))
            return kpar_fail(KPAR_ENOMEM, "an array of shape %s is larger than can be addressed",
                             kpar_shape_text(shape, rank, dims));
    }
    return KPAR_OK;
}

kpar_status kpar_array_create(kpar_array *array, kpar_dtype dtype, int rank, const int64_t *dims)
{
    size_t bytes;
    *array = (kpar_array){.dtype = dtype};
    KPAR_TRY(measure(dtype, rank, dims, &bytes));
    KPAR_TRY(kpar_try_alloc(bytes, "an array", &array->data));
    array->rank = rank;
    for (int i = 0; i < rank; i++) array->dims[i] = dims[i];
    return KPAR_OK;
}

void kpar_array_destroy(kpar_array *array)
{
    kpar_free_aligned(array->data);
    *array = (kpar_array){0};
}

const char *kpar_shape_text(char text[KPAR_SHAPE_TEXT], int rank, const int64_t *dims)
{
    size_t length = (size_t)snprintf(text, KPAR_SHAPE_TEXT, "(");
    for (int i = 0; i < rank && length < KPAR_SHAPE_TEXT; i++)
        length += (size_t)snprintf(text + length, KPAR_SHAPE_TEXT - length, i ? ", %lld" : "%lld",
                                   (long long)dims[i]);
    if (length < KPAR_SHAPE_TEXT) snprintf(text + length, KPAR_SHAPE_TEXT - length, rank == 1 ? ",)" : ")");
    return text;
}
