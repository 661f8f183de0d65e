/* out[i][j] for a strip of columns at a time, kept in registers over k. */
#include "device/cpu/vector.h"

#include "device/cpu/matmul_loops.h"

/* What follows the product: bias, and what was there. */
static float finish(const kpar_onednn_matmul_options *o, float sum, const float *bias, int64_t j, float old)
{
    if (o->bias) sum += bias[j];
    return o->accumulate ? old + sum : sum;
}

/* sums[0 .. KPAR_LANES) = row i of a times `width` columns of b; columns past the width are zeros. */
static inline void strip(const float *a, int64_t a_step, const float *b, int64_t b_step, int64_t b_lane, int64_t k, int width,
                         float sums[KPAR_LANES])
{
    for (int j = 0; j < KPAR_LANES; j++) sums[j] = 0;
    for (int64_t p = 0; p < k; p++, a += a_step, b += b_step) {
        const float x = *a;
        if (width == KPAR_LANES && b_lane == 1)
            KPAR_EACH_LANE(j) sums[j] += x * b[j];
        else
            for (int j = 0; j < width; j++) sums[j] += x * b[j * b_lane];
    }
}

KPAR_CLONES static void product(const kpar_onednn_matmul_options *o, const float *a, const float *b, const float *bias, float *out)
{
    const int64_t a_row = o->transpose_a ? 1 : o->k, a_step = o->transpose_a ? o->m : 1;
    const int64_t b_step = o->transpose_b ? 1 : o->n, b_lane = o->transpose_b ? o->k : 1;
    for (int64_t i = 0; i < o->m; i++)
        for (int64_t j = 0; j < o->n; j += KPAR_LANES) {
            const int width = o->n - j < KPAR_LANES ? (int)(o->n - j) : KPAR_LANES;
            float sums[KPAR_LANES], *to = out + i * o->n + j;
            strip(a + i * a_row, a_step, b + j * b_lane, b_step, b_lane, o->k, width, sums);
            for (int l = 0; l < width; l++) to[l] = finish(o, sums[l], bias, j + l, o->accumulate ? to[l] : 0);
        }
}

void kpar_matmul_loops(const kpar_onednn_matmul_options *options, const float *a, const float *b, const float *bias, float *out)
{
    const kpar_onednn_matmul_options *o = options;
    for (int64_t p = 0; p < o->batch; p++) product(o, a + p * o->m * o->k, b + p * o->k * o->n, bias, out + p * o->m * o->n);
}

KPAR_CLONES static void relu(float *x, int64_t n)
{
    KPAR_INDEPENDENT for (int64_t i = 0; i < n; i++) x[i] = ((x[i] > 0) | (x[i] != x[i])) ? x[i] : 0;
}

void kpar_relu_loop(float *x, int64_t n) { relu(x, n); }
