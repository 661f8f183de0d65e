/* The meaning of map, reduce, arg_reduce, cumulative, matmul, random, and sums of several inputs. */
#include "base/philox.h"
#include "device/reference/rules.h"

#include <math.h>
#include <string.h>

void kpar_reference_unravel(const kpar_tensor_spec *tensor, int64_t i, int64_t coordinates[KPAR_MAX_RANK])
{
    for (int d = tensor->rank - 1; d >= 0; d--) {
        coordinates[d] = i % tensor->dims[d];
        i /= tensor->dims[d];
    }
}

int64_t kpar_reference_ravel(int rank, const int64_t *coordinates, const int64_t *strides)
{
    int64_t at = 0;
    for (int d = 0; d < rank; d++) at += coordinates[d] * strides[d];
    return at;
}

/* The value that an input has at element `i` of the output. */
static double broadcast_value(const kpar_tensor_spec *input, const kpar_tensor_spec *output,
                              const double *values, int64_t i)
{
    int64_t coordinates[KPAR_MAX_RANK], strides[KPAR_MAX_RANK];
    kpar_reference_unravel(output, i, coordinates);
    kpar_broadcast_strides(input, output, strides);
    return values[kpar_reference_ravel(output->rank, coordinates, strides)];
}

void kpar_reference_epilogue(const kpar_kernel_spec *spec, const kpar_expression *e, const double *result,
                             double *const *in, int first, double *const *out)
{
    const kpar_tensor_spec *output = kpar_spec_output(spec, 0);
    const int own = result ? 1 : 0;
    double *arguments = kpar_alloc(((size_t)e->n_inputs + 1) * sizeof *arguments);
    double values[KPAR_OP_OUTPUTS];
    for (int64_t i = 0, n = kpar_tensor_count(output); i < n; i++) {
        if (result) arguments[0] = result[i];
        for (int k = first; k < spec->n_inputs; k++)
            arguments[own + k - first] = broadcast_value(kpar_spec_input(spec, k), output, in[k], i);
        kpar_expression_evaluate(e, arguments, values);
        for (int k = 0; k < spec->n_outputs; k++) out[k][i] = values[k];
    }
    kpar_free(arguments);
}

KPAR_REFERENCE_RULE(map)
{
    kpar_reference_epilogue(spec, spec->attributes.expression, NULL, in, 0, out);
    return KPAR_OK;
}

static double combine(kpar_reduction reduction, double a, double b)
{
    return kpar_scalar_evaluate(kpar_reduction_operation(reduction), a, b, 0);
}

static double start_of(kpar_reduction reduction)
{
    static const double starts[KPAR_REDUCTION_COUNT] = {
        [KPAR_REDUCE_MAX] = -INFINITY, [KPAR_REDUCE_MIN] = INFINITY, [KPAR_REDUCE_PRODUCT] = 1};
    return starts[reduction];
}

/* Where results of a reduction lie, at the coordinates of what is reduced; returns how many there are. */
static int64_t kept_strides(const kpar_kernel_spec *spec, const kpar_tensor_spec *whole,
                            int64_t strides[KPAR_MAX_RANK])
{
    int64_t stride = 1;
    for (int d = whole->rank - 1; d >= 0; d--) {
        bool removed = spec->attributes.axes >> d & 1;
        strides[d] = removed ? 0 : stride;
        if (!removed) stride *= whole->dims[d];
    }
    return stride;
}

KPAR_REFERENCE_RULE(reduce)
{
    const kpar_tensor_spec *input = kpar_spec_input(spec, 0);
    int64_t strides[KPAR_MAX_RANK], coordinates[KPAR_MAX_RANK];
    const int64_t results = kept_strides(spec, input, strides);
    for (int64_t i = 0; i < results; i++) out[0][i] = start_of(spec->attributes.reduction);
    for (int64_t i = 0, n = kpar_tensor_count(input); i < n; i++) {
        kpar_reference_unravel(input, i, coordinates);
        double *sum = &out[0][kpar_reference_ravel(input->rank, coordinates, strides)];
        *sum = combine(spec->attributes.reduction, *sum, in[0][i]);
    }
    return KPAR_OK;
}

KPAR_REFERENCE_RULE(map_reduce)
{
    const kpar_tensor_spec whole = kpar_spec_reduced(spec);
    const kpar_reduction reduction = spec->attributes.reduction;
    int64_t strides[KPAR_MAX_RANK], coordinates[KPAR_MAX_RANK];
    const int64_t results = kept_strides(spec, &whole, strides);
    double *arguments = kpar_alloc(((size_t)spec->n_inputs + 1) * sizeof *arguments), values[KPAR_OP_OUTPUTS];
    for (int k = 0; k < spec->n_outputs; k++)
        for (int64_t i = 0; i < results; i++) out[k][i] = start_of(reduction);
    for (int64_t i = 0, n = kpar_tensor_count(&whole); i < n; i++) {
        for (int k = 0; k < spec->n_inputs; k++)
            arguments[k] = broadcast_value(kpar_spec_input(spec, k), &whole, in[k], i);
        kpar_expression_evaluate(spec->attributes.expression, arguments, values);
        kpar_reference_unravel(&whole, i, coordinates);
        const int64_t at = kpar_reference_ravel(whole.rank, coordinates, strides);
        for (int k = 0; k < spec->n_outputs; k++) out[k][at] = combine(reduction, out[k][at], values[k]);
    }
    kpar_free(arguments);
    return KPAR_OK;
}

KPAR_REFERENCE_RULE(arg_reduce)
{
    kpar_lines l = kpar_lines_of(kpar_spec_input(spec, 0), spec->attributes.axis);
    for (int64_t o = 0; o < l.outer; o++)
        for (int64_t i = 0; i < l.inner; i++) {
            const double *x = in[0] + o * l.length * l.inner + i;
            int64_t best = 0;
            for (int64_t j = 1; j < l.length; j++)
                if (x[j * l.inner] > x[best * l.inner]) best = j;
            out[0][o * l.inner + i] = (double)best;
        }
    return KPAR_OK;
}

KPAR_REFERENCE_RULE(cumulative)
{
    const kpar_attributes *a = &spec->attributes;
    const kpar_lines l = kpar_lines_of(kpar_spec_input(spec, 0), a->axis);
    for (int64_t line = 0; line < l.outer * l.inner; line++) {
        const int64_t first = line / l.inner * l.length * l.inner + line % l.inner;
        double total = start_of(a->reduction);
        for (int64_t j = 0; j < l.length; j++) {
            const int64_t at = first + (a->reverse ? l.length - 1 - j : j) * l.inner;
            const double before = total;
            total = combine(a->reduction, total, in[0][at]);
            out[0][at] = a->exclusive ? before : total;
        }
    }
    return KPAR_OK;
}

KPAR_REFERENCE_RULE(matmul)
{
    const kpar_matmul_size s = kpar_matmul_size_of(spec);
    const bool ta = spec->attributes.transpose_a, tb = spec->attributes.transpose_b;
    for (int64_t p = 0; p < s.batch; p++) {
        const double *a = in[0] + p * s.m * s.k, *b = in[1] + p * s.k * s.n;
        for (int64_t i = 0; i < s.m; i++)
            for (int64_t j = 0; j < s.n; j++) {
                double sum = 0;
                for (int64_t k = 0; k < s.k; k++)
                    sum += a[ta ? k * s.m + i : i * s.k + k] * b[tb ? j * s.k + k : k * s.n + j];
                out[0][(p * s.m + i) * s.n + j] = sum;
            }
    }
    return KPAR_OK;
}

KPAR_REFERENCE_RULE(random)
{
    const kpar_tensor_spec *output = kpar_spec_output(spec, 0);
    const int64_t elements = kpar_tensor_span(output, 1, output->rank);
    for (int64_t r = 0; r < output->dims[0]; r++)
        for (int64_t i = 0; i < elements; i++) {
            uint64_t index = (uint64_t)kpar_random_index(spec, (int64_t)in[0][r], i);
            out[0][r * elements + i] =
                kpar_unit_from_word(kpar_philox_word(spec->attributes.key, (uint64_t)in[1][0], index));
        }
    return KPAR_OK;
}

KPAR_REFERENCE_RULE(copy)
{
    for (int i = 0; i < spec->n_outputs; i++)
        memcpy(out[i], in[i], (size_t)kpar_tensor_count(kpar_spec_output(spec, i)) * sizeof(double));
    return KPAR_OK;
}

KPAR_REFERENCE_RULE(all_reduce)
{
    if (spec->n_outputs != 1) return kpar_reference_copy(spec, in, out);
    KPAR_TRY(kpar_reference_copy(spec, in, out));
    for (int k = 1; k < spec->n_inputs; k++)
        for (int64_t i = 0, n = kpar_tensor_count(kpar_spec_output(spec, 0)); i < n; i++)
            out[0][i] = combine(spec->attributes.reduction, out[0][i], in[k][i]);
    return KPAR_OK;
}
