/* Fourier transforms, as products: a complex number is two real ones, so what a dimension's real and imaginary parts, side
 * by side, are multiplied by is one real matrix. */
#include "model/einsum.h"
#include "model/operations.h"

#include "base/memory.h"

#include <math.h>

/* Along one dimension, of `period` points. Parts: 1 real, 2 complex. */
typedef struct transform {
    int64_t period, in, out; /* elements of a part of the input and of the output */
    int in_parts, out_parts;
    double sign;  /* of the angle for one point in one frequency */
    double scale; /* of all */
    bool half;    /* the input's other frequencies are conjugates of those that it has */
} transform;

/* What element j of part `from` adds to element k of part `to`. `waves` has a period's cosines, and then its sines. */
static double coefficient(const transform *t, const double *waves, int from, int64_t j, int to, int64_t k)
{
    if (j >= (t->half ? t->period / 2 + 1 : t->period)) return 0;
    const double *wave = &waves[j * k % t->period];
    const double twice = t->half && j > 0 && 2 * j != t->period ? 2 : 1;
    return twice * t->scale * (from == to ? wave[0] : (to - from) * t->sign * wave[t->period]);
}

/* A row for each element of the output; in the arena. */
static const double *matrix(kpar_lowering *lowering, const transform *t)
{
    const int64_t n = t->out_parts * t->out, width = t->in_parts * t->in;
    double *rows = kpar_arena_alloc(lowering->arena, (size_t)(n * width) * sizeof *rows);
    double *waves = kpar_alloc((size_t)(2 * t->period) * sizeof *waves);
    for (int64_t i = 0; i < t->period; i++) {
        waves[i] = cos(2 * M_PI * (double)i / (double)t->period);
        waves[i + t->period] = sin(2 * M_PI * (double)i / (double)t->period);
    }
    for (int64_t k = 0; k < n; k++)
        for (int64_t j = 0; j < width; j++)
            rows[k * width + j] =
                coefficient(t, waves, (int)(j / t->in), j % t->in, (int)(k / t->out), k % t->out);
    kpar_free(waves);
    return rows;
}

static kpar_status transform_along(kpar_lowering *lowering, int dim, const transform *t,
                                   const kpar_value_id *parts, kpar_value_id *results)
{
    kpar_value_id x = parts[0];
    if (t->in_parts > 1) KPAR_TRY(kpar_build_concat(lowering->graph, dim, parts, t->in_parts, &x));
    KPAR_TRY(kpar_lower_along(lowering, dim, matrix(lowering, t), t->out_parts * t->out, x, &x));
    for (int i = 0; i < t->out_parts; i++)
        KPAR_TRY(kpar_lower_cut(lowering, dim, i * t->out, (i + 1) * t->out, x, &results[i]));
    return KPAR_OK;
}

/* Dimension `from_end` from the end of the operand, which has to be behind the batch. */
static kpar_status dimension(const kpar_lowering *lowering, kpar_value_id x, int from_end, int *dim,
                             int64_t *size)
{
    const kpar_shape *shape = kpar_lower_shape(lowering, x);
    *dim = shape->rank - from_end;
    if (*dim < 1)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: over the batch; expected a tensor of rank %d, found %d",
                         lowering->owner, from_end + 1, shape->rank);
    *size = shape->dims[*dim].size;
    return KPAR_OK;
}

/* Real and imaginary parts: the call's one argument. */
static kpar_status complex_operand(kpar_lowering *lowering, const kpar_value_id *inputs, kpar_value_id *parts)
{
    for (int i = 0; i < 2; i++) KPAR_TRY(kpar_operand_in_list(lowering, inputs, 0, (size_t)i, &parts[i]));
    return KPAR_OK;
}

/* Of complex numbers over the last `n` dimensions; back, if sign is 1. */
static kpar_status whole(kpar_lowering *lowering, int n, double sign, const kpar_value_id *inputs,
                         kpar_value_id *output)
{
    KPAR_TRY(complex_operand(lowering, inputs, output));
    for (int i = 1; i <= n; i++) {
        int dim;
        int64_t size;
        KPAR_TRY(dimension(lowering, output[0], i, &dim, &size));
        const transform t = {.period = size,
                             .in = size,
                             .out = size,
                             .in_parts = 2,
                             .out_parts = 2,
                             .sign = sign,
                             .scale = sign < 0 ? 1 : 1 / (double)size};
        KPAR_TRY(transform_along(lowering, dim, &t, output, output));
    }
    return KPAR_OK;
}

static KPAR_OPERATION(fft)
{
    (void)n_inputs;
    return whole(lowering, 1, -1, inputs, output);
}

static KPAR_OPERATION(fft_2)
{
    (void)n_inputs;
    return whole(lowering, 2, -1, inputs, output);
}

static KPAR_OPERATION(inverse_fft_2)
{
    (void)n_inputs;
    return whole(lowering, 2, 1, inputs, output);
}

static KPAR_OPERATION(real_fft)
{
    transform t = {.in_parts = 1, .out_parts = 2, .sign = -1, .scale = 1};
    int dim;
    kpar_value_id x;
    (void)n_inputs;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    KPAR_TRY(dimension(lowering, x, 1, &dim, &t.in));
    KPAR_TRY(kpar_lower_positive(lowering, "fft_length", t.in, &t.period));
    t.out = t.period / 2 + 1;
    return transform_along(lowering, dim, &t, &x, output);
}

static KPAR_OPERATION(inverse_real_fft)
{
    transform t = {.in_parts = 2, .out_parts = 1, .sign = 1, .half = true};
    int dim;
    kpar_value_id parts[2];
    (void)n_inputs;
    KPAR_TRY(complex_operand(lowering, inputs, parts));
    KPAR_TRY(dimension(lowering, parts[0], 1, &dim, &t.in));
    KPAR_TRY(kpar_lower_positive(lowering, "fft_length", 2 * (t.in - 1), &t.period));
    t.out = t.period;
    t.scale = 1 / (double)t.period;
    return transform_along(lowering, dim, &t, parts, output);
}

static const kpar_layer_row rows[] = {
    {"FFT", "Fourier transform over the last dimension", "", "", .lower = fft},
    {"FFT2", "Fourier transform over the last two dimensions", "", "", .lower = fft_2},
    {"IFFT2", "back from that", "", "", .lower = inverse_fft_2},
    {"RFFT", "Fourier transform of real numbers over the last dimension", "fft_length", "",
     .lower = real_fft},
    {"IRFFT", "back from that", "fft_length", "", .lower = inverse_real_fft},
};

const kpar_operation_table kpar_operations_of_fourier = KPAR_OPERATION_TABLE(rows);
