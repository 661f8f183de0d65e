/* Large arrays in parts that fit into a buffer. */
#ifndef KPAR_KERAS_SLICES_H
#define KPAR_KERAS_SLICES_H

#include "tensor/array.h"

/* Cuts an array into slices of at most `bytes` bytes, in row order: starts with *slice zeroed, and returns
 * false at the end. An empty array has none, a scalar one. */
bool kpar_slice_next(int rank, const int64_t *dims, size_t element_bytes, size_t bytes, kpar_slice *slice,
                     bool *started);

#endif
