/* The meaning of ops that make and move elements. */
#include "device/reference/rules.h"

#include <string.h>

KPAR_REFERENCE_RULE(constant)
{
    (void)in;
    for (int64_t i = 0, n = kpar_tensor_count(kpar_spec_output(spec, 0)); i < n; i++)
        out[0][i] = spec->attributes.value;
    return KPAR_OK;
}

KPAR_REFERENCE_RULE(iota)
{
    const kpar_lines l = kpar_lines_of(kpar_spec_output(spec, 0), spec->attributes.axis);
    (void)in;
    for (int64_t i = 0, n = l.outer * l.length * l.inner; i < n; i++)
        out[0][i] = (double)(i / l.inner % l.length);
    return KPAR_OK;
}

static void strides_of(const kpar_tensor_spec *tensor, int64_t strides[KPAR_MAX_RANK])
{
    for (int d = 0; d < tensor->rank; d++) strides[d] = kpar_tensor_span(tensor, d + 1, tensor->rank);
}

KPAR_REFERENCE_RULE(transpose)
{
    const kpar_tensor_spec *output = kpar_spec_output(spec, 0);
    int64_t strides[KPAR_MAX_RANK], permuted[KPAR_MAX_RANK], coordinates[KPAR_MAX_RANK];
    strides_of(kpar_spec_input(spec, 0), strides);
    for (int d = 0; d < output->rank; d++) permuted[d] = strides[spec->attributes.permutation[d]];
    for (int64_t i = 0, n = kpar_tensor_count(output); i < n; i++) {
        kpar_reference_unravel(output, i, coordinates);
        out[0][i] = in[0][kpar_reference_ravel(output->rank, coordinates, permuted)];
    }
    return KPAR_OK;
}

/* The element of `whole` that is element `i` of the box `part`, which begins at `start`. */
static int64_t element_of_box(const kpar_tensor_spec *part, const kpar_tensor_spec *whole,
                              const int64_t *start, int64_t i)
{
    int64_t strides[KPAR_MAX_RANK], coordinates[KPAR_MAX_RANK];
    strides_of(whole, strides);
    kpar_reference_unravel(part, i, coordinates);
    return kpar_reference_ravel(whole->rank, coordinates, strides) +
           kpar_reference_ravel(whole->rank, start, strides);
}

KPAR_REFERENCE_RULE(slice)
{
    const kpar_tensor_spec *input = kpar_spec_input(spec, 0), *output = kpar_spec_output(spec, 0);
    for (int64_t i = 0, n = kpar_tensor_count(output); i < n; i++)
        out[0][i] = in[0][element_of_box(output, input, spec->attributes.start, i)];
    return KPAR_OK;
}

KPAR_REFERENCE_RULE(pad)
{
    const kpar_tensor_spec *input = kpar_spec_input(spec, 0), *output = kpar_spec_output(spec, 0);
    for (int64_t i = 0, n = kpar_tensor_count(output); i < n; i++) out[0][i] = 0;
    for (int64_t i = 0, n = kpar_tensor_count(input); i < n; i++)
        out[0][element_of_box(input, output, spec->attributes.start, i)] = in[0][i];
    return KPAR_OK;
}

KPAR_REFERENCE_RULE(concat)
{
    const kpar_tensor_spec *output = kpar_spec_output(spec, 0);
    int64_t start[KPAR_MAX_RANK] = {0};
    for (int k = 0; k < spec->n_inputs; k++) {
        const kpar_tensor_spec *input = kpar_spec_input(spec, k);
        for (int64_t i = 0, n = kpar_tensor_count(input); i < n; i++)
            out[0][element_of_box(input, output, start, i)] = in[k][i];
        start[spec->attributes.axis] += input->dims[spec->attributes.axis];
    }
    return KPAR_OK;
}

KPAR_REFERENCE_RULE(gather)
{
    const kpar_lines l = kpar_lines_of(kpar_spec_input(spec, 0), spec->attributes.axis);
    for (int64_t i = 0, n = kpar_tensor_count(kpar_spec_input(spec, 1)); i < n; i++) {
        const int64_t table = i / (n / l.outer) * l.length;
        int64_t row;
        KPAR_TRY(kpar_table_row(spec, l.length, (int64_t)in[1][i], i, &row));
        for (int64_t j = 0; j < l.inner; j++)
            out[0][i * l.inner + j] = row < 0 ? 0 : in[0][(table + row) * l.inner + j];
    }
    return KPAR_OK;
}

KPAR_REFERENCE_RULE(scatter_add)
{
    const kpar_lines l = kpar_lines_of(kpar_spec_output(spec, 0), spec->attributes.axis);
    for (int64_t i = 0; i < l.outer * l.length * l.inner; i++) out[0][i] = 0;
    for (int64_t i = 0, n = kpar_tensor_count(kpar_spec_input(spec, 1)); i < n; i++) {
        const int64_t table = i / (n / l.outer) * l.length;
        int64_t row;
        KPAR_TRY(kpar_table_row(spec, l.length, (int64_t)in[1][i], i, &row));
        for (int64_t j = 0; row >= 0 && j < l.inner; j++)
            out[0][(table + row) * l.inner + j] += in[0][i * l.inner + j];
    }
    return KPAR_OK;
}
