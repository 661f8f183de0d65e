/* What turning the steps of a collective into instructions needs wherever it is done. */
#ifndef KPAR_COMM_COLLECTIVE_H
#define KPAR_COMM_COLLECTIVE_H

#include "program/program.h"

/* Parts of an all-reduce of 4-byte elements: even, each of whole cache lines; the last ones may be short
 * or empty. */
void kpar_even_parts(size_t total, int n, size_t *offsets, size_t *counts);

/* The kernels of COPY and REDUCE over `count` elements; what they point to is made in `arena`. A sum has n
 * inputs; they are added, or what else `reduction` says, as `additions` say: n - 1 pairs of them, the sum taking the
 * first one's place, ending in input 0; NULL: in order. */
kpar_kernel_spec kpar_copy_kernel(kpar_arena *arena, kpar_dtype dtype, size_t count);
kpar_kernel_spec kpar_sum_kernel(kpar_arena *arena, kpar_dtype dtype, size_t count, kpar_reduction reduction,
                                 int n, const int (*additions)[2]);

#endif
