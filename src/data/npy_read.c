/* Copying parts of rows out of a .npy array: any order of dimensions and bytes, any alignment, any type. */
#include "data/npy.h"

#include <string.h>

enum { CHUNK_BYTES = 8192 };

static void swap_bytes(unsigned char *elements, size_t count, size_t element_bytes)
{
    for (unsigned char *element = elements; count--; element += element_bytes)
        for (size_t low = 0, high = element_bytes - 1; low < high; low++, high--) {
            unsigned char kept = element[low];
            element[low] = element[high];
            element[high] = kept;
        }
}

/* Copies `count` elements, `stride` apart and the first at `first`, packed, in this machine's byte order. */
static void gather(const kpar_npy *npy, int64_t first, int64_t stride, size_t count, unsigned char *packed)
{
    size_t bytes = kpar_dtype_bytes(npy->array.dtype);
    const unsigned char *source = npy->elements + (size_t)first * bytes;
    if (stride == 1)
        memcpy(packed, source, count * bytes);
    else
        for (size_t i = 0; i < count; i++)
            memcpy(packed + i * bytes, source + i * (size_t)stride * bytes, bytes);
    if (npy->swapped) swap_bytes(packed, count, bytes);
}

/* The same, converted. */
static void copy_run(const kpar_npy *npy, int64_t first, int64_t stride, size_t count, kpar_dtype dtype,
                     unsigned char *values)
{
    _Alignas(8) unsigned char chunk[CHUNK_BYTES];
    kpar_dtype source = npy->array.dtype;
    if (dtype == source) {
        gather(npy, first, stride, count, values);
        return;
    }
    size_t capacity = CHUNK_BYTES / kpar_dtype_bytes(source);
    for (size_t done = 0; done < count; done += capacity) {
        size_t n = count - done < capacity ? count - done : capacity;
        gather(npy, first + (int64_t)done * stride, stride, n, chunk);
        kpar_convert(values + done * kpar_dtype_bytes(dtype), dtype, chunk, source, n);
    }
}

/* Elements between neighbours along each dimension. */
static void find_strides(const kpar_npy *npy, int64_t strides[KPAR_MAX_RANK])
{
    int rank = npy->array.rank;
    int64_t stride = 1;
    for (int i = 0; i < rank; i++) {
        int d = npy->fortran ? i : rank - 1 - i;
        strides[d] = stride;
        stride *= npy->array.dims[d];
    }
}

/* The first dimension of the longest run: all those behind it are whole and lie one after the other. */
static int run_dimension(const kpar_npy *npy, const kpar_slice *slice)
{
    int d = npy->array.rank - 1;
    while (!npy->fortran && d > 1 && slice->size[d] == npy->array.dims[d]) d--;
    return d;
}

/* Moves `index` to the next place of the slice's dimensions [1, end); false after the last. */
static bool advance(int64_t index[KPAR_MAX_RANK], const kpar_slice *slice, int end)
{
    for (int d = end - 1; d >= 1; d--) {
        if (++index[d] < slice->size[d]) return true;
        index[d] = 0;
    }
    return false;
}

void kpar_npy_read_row(const kpar_npy *npy, int64_t row, const kpar_slice *slice, kpar_dtype dtype,
                       void *values)
{
    int rank = npy->array.rank, run = run_dimension(npy, slice);
    int64_t strides[KPAR_MAX_RANK], index[KPAR_MAX_RANK] = {0}, count = 1;
    find_strides(npy, strides);
    for (int d = run; d < rank; d++) count *= d ? slice->size[d] : 1;
    if (rank == 1) run = 1;
    for (int d = 1; d < rank; d++)
        if (!slice->size[d]) return;
    unsigned char *target = values;
    do {
        int64_t first = row * strides[0];
        for (int d = 1; d < rank; d++) first += (slice->start[d] + index[d]) * strides[d];
        copy_run(npy, first, strides[rank - 1], (size_t)count, dtype, target);
        target += (size_t)count * kpar_dtype_bytes(dtype);
    } while (advance(index, slice, run));
}
