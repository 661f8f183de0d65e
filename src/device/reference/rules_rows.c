/* The meaning of softmax and cross-entropy: rows along the last dimension. */
#include "device/reference/rules.h"

#include <math.h>

/* The rows of the first input: `outer` rows of `length` classes. */
static kpar_lines rows_of(const kpar_kernel_spec *spec)
{
    const kpar_tensor_spec *x = kpar_spec_input(spec, 0);
    return kpar_lines_of(x, x->rank - 1);
}

static double row_maximum(const double *x, int64_t n)
{
    double maximum = -INFINITY;
    for (int64_t i = 0; i < n; i++) maximum = kpar_scalar_evaluate(KPAR_SCALAR_MAXIMUM, maximum, x[i], 0);
    return maximum;
}

/* sum of exp(x - maximum) */
static double row_exponentials(const double *x, int64_t n, double maximum)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += exp(x[i] - maximum);
    return sum;
}

KPAR_REFERENCE_RULE(softmax)
{
    const kpar_lines l = rows_of(spec);
    for (int64_t r = 0; r < l.outer; r++) {
        const double *x = in[0] + r * l.length;
        double maximum = row_maximum(x, l.length), sum = row_exponentials(x, l.length, maximum);
        for (int64_t i = 0; i < l.length; i++) out[0][r * l.length + i] = exp(x[i] - maximum) / sum;
    }
    return KPAR_OK;
}

KPAR_REFERENCE_RULE(softmax_gradient)
{
    const kpar_lines l = rows_of(spec);
    for (int64_t r = 0; r < l.outer; r++) {
        const double *y = in[0] + r * l.length, *dy = in[1] + r * l.length;
        double sum = 0;
        for (int64_t i = 0; i < l.length; i++) sum += y[i] * dy[i];
        for (int64_t i = 0; i < l.length; i++) out[0][r * l.length + i] = y[i] * (dy[i] - sum);
    }
    return KPAR_OK;
}

/* The probability that the labels give to class i of row r; NaN where a class number is none. */
static double label(const kpar_kernel_spec *spec, const double *labels, int64_t r, int64_t i, int64_t classes)
{
    if (!spec->attributes.sparse) return labels[r * classes + i];
    if (!(labels[r] >= 0 && labels[r] < (double)classes)) return NAN;
    return (double)i == labels[r];
}

KPAR_REFERENCE_RULE(cross_entropy)
{
    const kpar_lines l = rows_of(spec);
    for (int64_t r = 0; r < l.outer; r++) {
        const double *x = in[0] + r * l.length;
        double maximum = row_maximum(x, l.length), logarithm = log(row_exponentials(x, l.length, maximum)),
               loss = 0;
        for (int64_t i = 0; i < l.length; i++) {
            double t = label(spec, in[1], r, i, l.length);
            if (t != 0) loss += t * (logarithm - (x[i] - maximum));
        }
        out[0][r] = loss;
    }
    return KPAR_OK;
}

KPAR_REFERENCE_RULE(cross_entropy_gradient)
{
    const kpar_lines l = rows_of(spec);
    for (int64_t r = 0; r < l.outer; r++) {
        const double *x = in[0] + r * l.length;
        double maximum = row_maximum(x, l.length), sum = row_exponentials(x, l.length, maximum), labels = 0;
        for (int64_t i = 0; i < l.length; i++) labels += label(spec, in[1], r, i, l.length);
        for (int64_t i = 0; i < l.length; i++) {
            double t = label(spec, in[1], r, i, l.length);
            out[0][r * l.length + i] = (exp(x[i] - maximum) / sum * labels - t) * in[2][r];
        }
    }
    return KPAR_OK;
}
