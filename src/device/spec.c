/* Questions about a kernel's specification, and its modelled cost. */
#include "device/spec.h"

int64_t kpar_tensor_span(const kpar_tensor_spec *tensor, int from, int to)
{
    return kpar_count(to - from, tensor->dims + from);
}

int64_t kpar_tensor_count(const kpar_tensor_spec *tensor) { return kpar_count(tensor->rank, tensor->dims); }

size_t kpar_tensor_bytes(const kpar_tensor_spec *tensor)
{
    return (size_t)kpar_tensor_count(tensor) * kpar_dtype_bytes(tensor->dtype);
}

int kpar_spec_anchor_inputs(const kpar_kernel_spec *spec)
{
    int inputs = kpar_op_row_get((kpar_op_kind)spec->op)->n_inputs;
    return inputs < 0 ? spec->n_inputs : inputs;
}

const kpar_expression *kpar_spec_epilogue(const kpar_kernel_spec *spec)
{
    const bool own = spec->op == KPAR_OP_MAP || spec->op == KPAR_OP_MAP_REDUCE;
    return own ? NULL : spec->attributes.expression;
}

kpar_tensor_spec kpar_spec_reduced(const kpar_kernel_spec *spec)
{
    kpar_tensor_spec whole = *kpar_spec_input(spec, 0);
    if (spec->op == KPAR_OP_REDUCE) return whole;
    for (int i = 1; i < spec->n_inputs; i++)
        if (kpar_spec_input(spec, i)->rank > whole.rank) whole = *kpar_spec_input(spec, i);
    for (int i = 0; i < spec->n_inputs; i++) {
        const kpar_tensor_spec *in = kpar_spec_input(spec, i);
        for (int d = 1; d <= in->rank; d++)
            if (in->dims[in->rank - d] != 1) whole.dims[whole.rank - d] = in->dims[in->rank - d];
    }
    whole.dtype = kpar_spec_output(spec, 0)->dtype;
    return whole;
}

void kpar_broadcast_strides(const kpar_tensor_spec *input, const kpar_tensor_spec *output,
                            int64_t strides[KPAR_MAX_RANK])
{
    int64_t stride = 1;
    for (int i = 1; i <= output->rank; i++) {
        bool there = i <= input->rank && input->dims[input->rank - i] != 1;
        strides[output->rank - i] = there ? stride : 0;
        if (there) stride *= input->dims[input->rank - i];
    }
}

kpar_matmul_size kpar_matmul_size_of(const kpar_kernel_spec *spec)
{
    const kpar_tensor_spec *a = kpar_spec_input(spec, 0), *b = kpar_spec_input(spec, 1);
    const bool ta = spec->attributes.transpose_a, tb = spec->attributes.transpose_b;
    return (kpar_matmul_size){.batch = kpar_tensor_span(a, 0, a->rank - 2),
                              .m = a->dims[a->rank - (ta ? 1 : 2)],
                              .k = a->dims[a->rank - (ta ? 2 : 1)],
                              .n = b->dims[b->rank - (tb ? 2 : 1)]};
}

kpar_window_tensors kpar_window_tensors_of(const kpar_kernel_spec *spec)
{
    const kpar_tensor_spec *first = kpar_spec_input(spec, 0), *second = kpar_spec_input(spec, 1),
                           *out = kpar_spec_output(spec, 0);
    switch (spec->op) {
    case KPAR_OP_CONV:
        return (kpar_window_tensors){first, second, out};
    case KPAR_OP_CONV_INPUT_GRADIENT:
        return (kpar_window_tensors){out, second, first};
    case KPAR_OP_CONV_KERNEL_GRADIENT:
        return (kpar_window_tensors){first, out, second};
    case KPAR_OP_MAX_POOL_GRADIENT:
        return (kpar_window_tensors){first, NULL, second};
    case KPAR_OP_MEAN_POOL_GRADIENT:
        return (kpar_window_tensors){out, NULL, first};
    default:
        return (kpar_window_tensors){first, NULL, out};
    }
}

static int64_t or_one(int64_t number) { return number ? number : 1; }

kpar_window_size kpar_window_size_of(const kpar_kernel_spec *spec)
{
    const kpar_window_tensors t = kpar_window_tensors_of(spec);
    const kpar_attributes *a = &spec->attributes;
    const int rank = t.image->rank, missing = KPAR_IMAGE_DIMS - (rank - 2);
    kpar_window_size s = {.batch = t.image->dims[0],
                          .in = t.image->dims[rank - 1],
                          .out = t.result->dims[rank - 1],
                          .groups = 1,
                          .dims = rank - 2};
    if (t.kernel && t.kernel->dims[rank - 2]) s.groups = s.in / t.kernel->dims[rank - 2];
    for (int i = 0; i < missing; i++)
        s.image[i] = s.window[i] = s.result[i] = s.stride[i] = s.dilation[i] = 1;
    for (int i = missing; i < KPAR_IMAGE_DIMS; i++) {
        const int d = i - missing + 1;
        s.image[i] = t.image->dims[d];
        s.window[i] = t.kernel ? t.kernel->dims[d - 1] : or_one(a->window[d]);
        s.result[i] = t.result->dims[d];
        s.before[i] = a->start[d];
        s.after[i] = a->stop[d];
        s.stride[i] = or_one(a->stride[d]);
        s.dilation[i] = or_one(a->dilation[d]);
    }
    return s;
}

int64_t kpar_window_pixel(const kpar_window_size *size, int64_t position, int64_t cell)
{
    int64_t pixel = 0, scale = 1;
    for (int i = KPAR_IMAGE_DIMS - 1; i >= 0; i--) {
        const int64_t at = position % size->result[i] * size->stride[i] +
                           cell % size->window[i] * size->dilation[i] - size->before[i];
        if (at < 0 || at >= size->image[i]) return -1;
        pixel += at * scale;
        scale *= size->image[i];
        position /= size->result[i];
        cell /= size->window[i];
    }
    return pixel;
}

kpar_lines kpar_lines_of(const kpar_tensor_spec *tensor, int dim)
{
    return (kpar_lines){kpar_tensor_span(tensor, 0, dim), tensor->dims[dim],
                        kpar_tensor_span(tensor, dim + 1, tensor->rank)};
}

/* The local and the whole length of the dimension along which a random row is split: all of the row if it is not. */
static void random_lengths(const kpar_kernel_spec *spec, int64_t *local, int64_t *whole)
{
    const kpar_tensor_spec *output = kpar_spec_output(spec, 0);
    *local = kpar_tensor_span(output, 1, output->rank);
    *whole = spec->row_elements;
    if (*local == *whole || output->rank < 2) return;
    *local = output->dims[output->rank - 1];
    *whole = spec->row_elements / kpar_tensor_span(output, 1, output->rank - 1);
}

kpar_status kpar_table_row(const kpar_kernel_spec *spec, int64_t rows, int64_t index, int64_t position,
                           int64_t *row)
{
    const int64_t all = spec->row_elements ? spec->row_elements : rows;
    *row = index - spec->row_start;
    if (*row < 0 || *row >= rows) *row = -1;
    if (index >= 0 && index < all) return KPAR_OK;
    return kpar_fail(KPAR_EDATA, "index %lld at position %lld of a table of %lld rows", (long long)index,
                     (long long)position, (long long)all);
}

int64_t kpar_random_index(const kpar_kernel_spec *spec, int64_t position, int64_t i)
{
    int64_t local, whole;
    random_lengths(spec, &local, &whole);
    return position * spec->row_elements + (i / local) * whole + i % local +
           (local == whole ? 0 : spec->row_start);
}

int64_t kpar_random_run(const kpar_kernel_spec *spec, int64_t first)
{
    int64_t local, whole;
    random_lengths(spec, &local, &whole);
    return local - first % local;
}

/* One core: fused multiply-adds of a matmul, instructions of an expression, bytes of memory, and the time it
 * takes to begin. Measured on Zen 4; only their ratios matter to a plan. */
static const double matmul_flops_per_second = 100e9, other_flops_per_second = 8e9, bytes_per_second = 25e9,
                    seconds_to_begin = 0.3e-6;

/* In units of an addition. */
static double scalar_cost(kpar_scalar_op op)
{
    switch (op) {
    case KPAR_SCALAR_INPUT:
    case KPAR_SCALAR_CONSTANT:
        return 0;
    case KPAR_SCALAR_DIVIDE:
    case KPAR_SCALAR_SQUARE_ROOT:
        return 3;
    case KPAR_SCALAR_EXP:
    case KPAR_SCALAR_LOG:
    case KPAR_SCALAR_LOG1P:
    case KPAR_SCALAR_TANH:
    case KPAR_SCALAR_SIGMOID:
    case KPAR_SCALAR_ERF:
    case KPAR_SCALAR_SINE:
    case KPAR_SCALAR_COSINE:
    case KPAR_SCALAR_ARC_TANGENT:
        return 8;
    case KPAR_SCALAR_POWER:
        return 30;
    default:
        return 1;
    }
}

static double expression_cost(const kpar_expression *e, double elements)
{
    double cost = 0;
    for (int i = 0; i < e->n_scalars; i++) cost += scalar_cost(e->scalars[i].op);
    return cost * elements;
}

static double anchor_seconds(const kpar_kernel_spec *spec)
{
    if (spec->op == KPAR_OP_MATMUL) {
        kpar_matmul_size s = kpar_matmul_size_of(spec);
        return 2.0 * (double)s.batch * (double)s.m * (double)s.n * (double)s.k / matmul_flops_per_second;
    }
    if (spec->op >= KPAR_OP_CONV && spec->op <= KPAR_OP_CONV_KERNEL_GRADIENT) {
        const kpar_window_tensors t = kpar_window_tensors_of(spec);
        return 2.0 * (double)kpar_tensor_count(t.result) *
               (double)kpar_tensor_span(t.kernel, 0, t.kernel->rank - 1) / matmul_flops_per_second;
    }
    if (spec->op >= KPAR_OP_POOL && spec->op <= KPAR_OP_MEAN_POOL_GRADIENT) {
        const kpar_window_size s = kpar_window_size_of(spec);
        return (double)kpar_tensor_count(kpar_window_tensors_of(spec).result) *
               (double)kpar_window_count(s.window) / other_flops_per_second;
    }
    double elements = 0;
    for (int i = 0; i < spec->n_inputs + spec->n_outputs; i++) {
        double count = (double)kpar_tensor_count(&spec->tensors[i]);
        if (count > elements) elements = count;
    }
    if (spec->op == KPAR_OP_MAP || spec->op == KPAR_OP_MAP_REDUCE)
        return expression_cost(spec->attributes.expression, elements) / other_flops_per_second;
    const bool rows = spec->op >= KPAR_OP_RANDOM && spec->op <= KPAR_OP_CROSS_ENTROPY_GRADIENT;
    return elements * (rows ? 15 : 1) / other_flops_per_second;
}

double kpar_spec_seconds(const kpar_kernel_spec *spec)
{
    double bytes = 0, seconds = anchor_seconds(spec);
    for (int i = 0; i < spec->n_inputs + spec->n_outputs; i++)
        bytes += (double)kpar_tensor_bytes(&spec->tensors[i]);
    const kpar_expression *epilogue = kpar_spec_epilogue(spec);
    if (epilogue)
        seconds += expression_cost(epilogue, (double)kpar_tensor_count(kpar_spec_output(spec, 0))) /
                   other_flops_per_second;
    double memory = bytes / bytes_per_second;
    return seconds_to_begin + (seconds > memory ? seconds : memory);
}
