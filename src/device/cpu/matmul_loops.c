/* Blocks of ROWS x STRIP results, summed over DEPTH terms at a time from a packed panel of b. Every result is one sum
 * over k in order, whatever the shape around it. */
#include "device/cpu/vector.h"

#include "device/cpu/matmul_loops.h"

enum { ROWS = 64, STRIP = 4 * KPAR_LANES, DEPTH = 128 };

/* A matrix by the steps, in elements, from row to row and from column to column. */
typedef struct matrix {
    const float *at;
    int64_t row, column;
} matrix;

static const float *element(const matrix *m, int64_t i, int64_t j)
{
    return m->at + i * m->row + j * m->column;
}

/* `depth` rows of b from (k, j) on, `width` columns of each; zeros in the others. */
static void pack(float panel[DEPTH][STRIP], const matrix *b, int64_t k, int64_t j, int64_t depth,
                 int64_t width)
{
    for (int64_t p = 0; p < depth; p++)
        for (int64_t c = 0; c < STRIP; c++) panel[p][c] = c < width ? *element(b, k + p, j + c) : 0;
}

KPAR_CLONES static void add_products(float sums[ROWS][STRIP], const matrix *a, int64_t i, int64_t k,
                                     const float panel[DEPTH][STRIP], int64_t rows, int64_t depth)
{
    for (int64_t r = 0; r < rows; r++) {
        float row[STRIP];
        const float *x = element(a, i + r, k);
        KPAR_INDEPENDENT for (int c = 0; c < STRIP; c++) row[c] = sums[r][c];
        for (int64_t p = 0; p < depth; p++, x += a->column)
            KPAR_INDEPENDENT for (int c = 0; c < STRIP; c++) row[c] += *x * panel[p][c];
        KPAR_INDEPENDENT for (int c = 0; c < STRIP; c++) sums[r][c] = row[c];
    }
}

/* + bias, + what was there. */
static void finish(const kpar_onednn_matmul_options *o, float sums[ROWS][STRIP], const float *bias,
                   float *out, int64_t rows, int64_t width)
{
    for (int64_t r = 0; r < rows; r++, out += o->n)
        for (int64_t c = 0; c < width; c++) {
            const float sum = o->bias ? sums[r][c] + bias[c] : sums[r][c];
            out[c] = o->accumulate ? out[c] + sum : sum;
        }
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static void product(const kpar_onednn_matmul_options *o, const matrix *a, const matrix *b, const float *bias,
                    float *out)
{
    float sums[ROWS][STRIP], panel[DEPTH][STRIP];
    for (int64_t i = 0; i < o->m; i += ROWS)
        for (int64_t j = 0; j < o->n; j += STRIP) {
            const int64_t rows = smaller(ROWS, o->m - i), width = smaller(STRIP, o->n - j);
            for (int r = 0; r < ROWS; r++)
                for (int c = 0; c < STRIP; c++) sums[r][c] = 0;
            for (int64_t k = 0; k < o->k; k += DEPTH) {
                const int64_t depth = smaller(DEPTH, o->k - k);
                pack(panel, b, k, j, depth, width);
                add_products(sums, a, i, k, panel, rows, depth);
            }
            finish(o, sums, o->bias ? bias + j : bias, out + i * o->n + j, rows, width);
        }
}

void kpar_matmul_loops(const kpar_onednn_matmul_options *options, const float *a, const float *b,
                       const float *bias, float *out)
{
    const kpar_onednn_matmul_options *o = options;
    for (int64_t p = 0; p < o->batch; p++, a += o->m * o->k, b += o->k * o->n, out += o->m * o->n) {
        const matrix left = {a, o->transpose_a ? 1 : o->k, o->transpose_a ? o->m : 1};
        const matrix right = {b, o->transpose_b ? 1 : o->n, o->transpose_b ? o->k : 1};
        product(o, &left, &right, bias, out);
    }
}

KPAR_CLONES static void relu_clones(float *x, int64_t n)
{
    KPAR_INDEPENDENT for (int64_t i = 0; i < n; i++) x[i] = ((x[i] > 0) | (x[i] != x[i])) ? x[i] : 0;
}

void kpar_relu_loop(float *x, int64_t n) { relu_clones(x, n); }
