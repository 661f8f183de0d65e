/* The inner loops of reductions: what one of them combines, in vectors. */
#ifndef KPAR_DEVICE_CPU_REDUCE_LOOPS_H
#define KPAR_DEVICE_CPU_REDUCE_LOOPS_H

#include "graph/graph.h"

/* Columns, or lanes of a line, that are combined side by side; rows whose sum is a term of the next sum. */
enum { KPAR_STRIP = 64, KPAR_CHUNK = 32 };

typedef struct kpar_reduce_loops {
    float start; /* of nothing */

    /* to[0 .. length) with n <= KPAR_CHUNK rows at x + offsets[0 .. n); length <= KPAR_STRIP. */
    void (*columns)(float *to, const float *x, const int64_t *offsets, int64_t n, int64_t length);

    /* to[0 .. n) with x[0 .. n). */
    void (*row)(float *to, const float *x, int64_t n);

    /* Of n lines of `length` elements at x + offsets[0 .. n). */
    float (*lines)(const float *x, const int64_t *offsets, int64_t n, int64_t length);

    /* The same in steps: lanes with n elements of a line; and lanes with each other, which spoils them. */
    void (*line)(float lanes[KPAR_STRIP], const float *x, int64_t n);
    float (*lanes)(float lanes[KPAR_STRIP]);
} kpar_reduce_loops;

const kpar_reduce_loops *kpar_reduce_loops_of(kpar_reduction reduction);

#endif
