/* Cutting an array into slices that are contiguous in row order: whole leading indices where they fit, else
 * parts of the first dimension whose rest does. */
#include "keras/slices.h"

/* The dimension that is cut: below it everything is whole, above it the size is 1. */
static int cut_dimension(int rank, const int64_t *dims, size_t element_bytes, size_t bytes, size_t *inner)
{
    int d = rank - 1;
    *inner = element_bytes;
    while (d > 0 && *inner * (size_t)dims[d] <= bytes) *inner *= (size_t)dims[d--];
    return d;
}

/* Moves the start one step on: along the cut dimension, and with a carry along those above. */
static bool advance(const int64_t *dims, int cut, kpar_slice *slice)
{
    slice->start[cut] += slice->size[cut];
    for (int d = cut; d > 0 && slice->start[d] >= dims[d]; d--) {
        slice->start[d] = 0;
        slice->start[d - 1]++;
    }
    return slice->start[0] < dims[0];
}

bool kpar_slice_next(int rank, const int64_t *dims, size_t element_bytes, size_t bytes, kpar_slice *slice,
                     bool *started)
{
    bool first = !*started;
    *started = true;
    slice->rank = rank;
    if (kpar_count(rank, dims) == 0) return false;
    if (rank == 0) return first;
    size_t inner;
    int cut = cut_dimension(rank, dims, element_bytes, bytes, &inner);
    if (first)
        for (int d = 0; d < rank; d++) slice->start[d] = 0;
    else if (!advance(dims, cut, slice))
        return false;
    int64_t most = inner < bytes ? (int64_t)(bytes / inner) : 1, left = dims[cut] - slice->start[cut];
    for (int d = 0; d < rank; d++) slice->size[d] = d < cut ? 1 : dims[d];
    slice->size[cut] = left < most ? left : most;
    return true;
}
