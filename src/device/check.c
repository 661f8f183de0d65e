/* The check of a kernel's specification: one rule an op, over fixed shapes. */
#include "device/spec.h"

#include <string.h>

#define CHECK(condition, ...)                                                                                \
    do {                                                                                                     \
        if (!(condition)) return kpar_fail(KPAR_EINTERNAL, __VA_ARGS__);                                     \
    } while (0)

typedef const kpar_tensor_spec *tensor;

static bool same_dims(tensor a, tensor b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

/* Whether dims[from..from+n) of a and dims[at..at+n) of b are the same. */
static bool same_span(tensor a, int from, tensor b, int at, int n)
{
    return n == 0 || memcmp(a->dims + from, b->dims + at, (size_t)n * sizeof *a->dims) == 0;
}

static bool is_real(kpar_dtype dtype) { return dtype == KPAR_F32 || dtype == KPAR_F64; }
static bool is_index(kpar_dtype dtype) { return dtype == KPAR_I32 || dtype == KPAR_I64; }

static bool broadcasts(tensor input, tensor output)
{
    if (input->rank > output->rank) return false;
    for (int i = 1; i <= input->rank; i++) {
        int64_t d = input->dims[input->rank - i];
        if (d != 1 && d != output->dims[output->rank - i]) return false;
    }
    return true;
}

static kpar_status fits_expression(const kpar_kernel_spec *spec, const kpar_expression *e, int own_inputs,
                                   int first)
{
    tensor output = kpar_spec_output(spec, 0);
    CHECK(e->n_inputs == spec->n_inputs - first + own_inputs, "the expression has %d inputs, given %d",
          e->n_inputs, spec->n_inputs - first + own_inputs);
    CHECK(e->n_outputs == spec->n_outputs, "the expression has %d outputs, given %d", e->n_outputs,
          spec->n_outputs);
    for (int i = 1; i < spec->n_outputs; i++)
        CHECK(same_dims(kpar_spec_output(spec, i), output), "output %d has another shape", i);
    for (int i = first; i < spec->n_inputs; i++)
        CHECK(broadcasts(kpar_spec_input(spec, i), output), "input %d does not broadcast", i);
    return KPAR_OK;
}

static kpar_status check_map(const kpar_kernel_spec *spec)
{
    CHECK(spec->attributes.expression, "no expression");
    return fits_expression(spec, spec->attributes.expression, 0, 0);
}

static kpar_status fits_reduction(const kpar_kernel_spec *spec, tensor in, tensor out)
{
    int kept = 0;
    CHECK(spec->attributes.axes >> in->rank == 0, "axes %#x of rank %d", spec->attributes.axes, in->rank);
    for (int i = 0; i < in->rank; i++)
        if (!(spec->attributes.axes >> i & 1)) {
            CHECK(kept < out->rank && out->dims[kept] == in->dims[i], "dimension %d does not fit the output",
                  i);
            kept++;
        }
    CHECK(kept == out->rank, "the output has rank %d, expected %d", out->rank, kept);
    return KPAR_OK;
}

static kpar_status check_reduce(const kpar_kernel_spec *spec)
{
    return fits_reduction(spec, kpar_spec_input(spec, 0), kpar_spec_output(spec, 0));
}

static kpar_status check_map_reduce(const kpar_kernel_spec *spec)
{
    const kpar_expression *e = spec->attributes.expression;
    const kpar_tensor_spec whole = kpar_spec_reduced(spec);
    CHECK(e && e->n_inputs == spec->n_inputs && e->n_outputs == spec->n_outputs,
          "the expression has %d inputs and %d outputs, given %d and %d", e ? e->n_inputs : 0,
          e ? e->n_outputs : 0, spec->n_inputs, spec->n_outputs);
    CHECK(spec->n_outputs <= KPAR_OP_OUTPUTS, "%d outputs", spec->n_outputs);
    for (int i = 0; i < spec->n_inputs; i++)
        CHECK(broadcasts(kpar_spec_input(spec, i), &whole), "input %d does not broadcast", i);
    for (int i = 0; i < spec->n_outputs; i++)
        KPAR_TRY(fits_reduction(spec, &whole, kpar_spec_output(spec, i)));
    return KPAR_OK;
}

static kpar_status check_arg_reduce(const kpar_kernel_spec *spec)
{
    tensor in = kpar_spec_input(spec, 0), out = kpar_spec_output(spec, 0);
    const int axis = spec->attributes.axis;
    CHECK(axis >= 0 && axis < in->rank, "axis %d of rank %d", axis, in->rank);
    CHECK(is_index(out->dtype), "the output is %s, expected int32", kpar_dtype_name(out->dtype));
    CHECK(out->rank == in->rank - 1 && same_span(in, 0, out, 0, axis) &&
              same_span(in, axis + 1, out, axis, out->rank - axis),
          "the output's shape does not fit");
    return KPAR_OK;
}

static kpar_status check_cumulative(const kpar_kernel_spec *spec)
{
    tensor in = kpar_spec_input(spec, 0), out = kpar_spec_output(spec, 0);
    const int axis = spec->attributes.axis;
    CHECK(axis >= 0 && axis < in->rank, "axis %d of rank %d", axis, in->rank);
    CHECK(same_dims(in, out), "the output has another shape");
    return KPAR_OK;
}

static kpar_status check_matmul(const kpar_kernel_spec *spec)
{
    tensor a = kpar_spec_input(spec, 0), b = kpar_spec_input(spec, 1), out = kpar_spec_output(spec, 0);
    CHECK(a->rank >= 2 && b->rank == a->rank && out->rank == a->rank, "ranks %d, %d -> %d", a->rank, b->rank,
          out->rank);
    CHECK(a->dtype == b->dtype && is_real(a->dtype), "types %s, %s", kpar_dtype_name(a->dtype),
          kpar_dtype_name(b->dtype));
    kpar_matmul_size s = kpar_matmul_size_of(spec);
    CHECK(same_span(a, 0, b, 0, a->rank - 2) && same_span(a, 0, out, 0, a->rank - 2),
          "leading dimensions differ");
    CHECK(b->dims[b->rank - (spec->attributes.transpose_b ? 1 : 2)] == s.k, "inner dimensions differ");
    CHECK(out->dims[out->rank - 2] == s.m && out->dims[out->rank - 1] == s.n,
          "the output's shape does not fit");
    return KPAR_OK;
}

/* Images, windows and results of conv, pool and their gradients. */
static kpar_status fits_windows(const kpar_kernel_spec *spec)
{
    const kpar_window_tensors t = kpar_window_tensors_of(spec);
    const kpar_attributes *a = &spec->attributes;
    const int rank = t.image->rank;
    CHECK(rank >= 3 && rank <= KPAR_IMAGE_DIMS + 2 && t.result->rank == rank, "ranks %d, %d", rank,
          t.result->rank);
    CHECK(!t.kernel || t.kernel->rank == rank, "the kernel has rank %d, expected %d", t.kernel->rank, rank);
    CHECK(t.image->dims[0] == t.result->dims[0], "%lld images, %lld results", (long long)t.image->dims[0],
          (long long)t.result->dims[0]);
    for (int i = 1; i < rank - 1; i++) {
        const int64_t cells = t.kernel ? t.kernel->dims[i - 1] : a->window[i] ? a->window[i] : 1;
        CHECK(cells > 0 && a->start[i] >= 0 && a->stop[i] >= 0 && a->stride[i] >= 0 && a->dilation[i] >= 0,
              "dimension %d: window, padding, stride or dilation is negative", i);
        CHECK(t.kernel || (a->start[i] < cells && a->stop[i] < cells), "dimension %d: windows of padding", i);
        CHECK(t.result->dims[i] == kpar_window_positions(a, i, t.image->dims[i], cells),
              "dimension %d of the result does not fit", i);
    }
    for (int i = 0; i < kpar_spec_anchor_inputs(spec); i++)
        CHECK(is_real(kpar_spec_input(spec, i)->dtype) &&
                  kpar_spec_input(spec, i)->dtype == kpar_spec_input(spec, 0)->dtype,
              "input %d is %s", i, kpar_dtype_name(kpar_spec_input(spec, i)->dtype));
    return KPAR_OK;
}

static kpar_status check_conv(const kpar_kernel_spec *spec)
{
    KPAR_TRY(fits_windows(spec));
    const kpar_window_tensors t = kpar_window_tensors_of(spec);
    const int last = t.image->rank - 1;
    const int64_t in = t.image->dims[last], each = t.kernel->dims[last - 1], out = t.kernel->dims[last];
    CHECK(each > 0 && in % each == 0 && (in == 0 || out % (in / each) == 0),
          "%lld channels, a kernel of %lld to %lld", (long long)in, (long long)each, (long long)out);
    CHECK(t.result->dims[last] == out, "the result has %lld channels, expected %lld",
          (long long)t.result->dims[last], (long long)out);
    return KPAR_OK;
}

static kpar_status check_pool(const kpar_kernel_spec *spec)
{
    KPAR_TRY(fits_windows(spec));
    const kpar_window_tensors t = kpar_window_tensors_of(spec);
    CHECK(t.image->dims[t.image->rank - 1] == t.result->dims[t.image->rank - 1], "the channels differ");
    CHECK(spec->op != KPAR_OP_MAX_POOL_GRADIENT || same_dims(t.image, kpar_spec_output(spec, 0)),
          "the output has another shape than the images");
    CHECK(spec->attributes.reduction != KPAR_REDUCE_MIN, "minima are not pooled");
    return KPAR_OK;
}

static kpar_status check_transpose(const kpar_kernel_spec *spec)
{
    tensor in = kpar_spec_input(spec, 0), out = kpar_spec_output(spec, 0);
    unsigned seen = 0;
    CHECK(in->rank == out->rank && in->dtype == out->dtype, "rank or type differ");
    for (int i = 0; i < out->rank; i++) {
        int from = spec->attributes.permutation[i];
        CHECK(from >= 0 && from < in->rank && !(seen >> from & 1), "not a permutation");
        CHECK(in->dims[from] == out->dims[i], "dimension %d does not fit", i);
        seen |= 1u << from;
    }
    return KPAR_OK;
}

/* Copies under another shape, or to another type: as many elements. */
static kpar_status check_copy(const kpar_kernel_spec *spec)
{
    CHECK(spec->n_inputs == spec->n_outputs, "%d inputs, %d outputs", spec->n_inputs, spec->n_outputs);
    for (int i = 0; i < spec->n_inputs; i++)
        CHECK(kpar_tensor_count(kpar_spec_input(spec, i)) == kpar_tensor_count(kpar_spec_output(spec, i)),
              "input %d has another number of elements", i);
    return KPAR_OK;
}

/* A sum of n inputs into one output, or copies. */
static kpar_status check_all_reduce(const kpar_kernel_spec *spec)
{
    if (spec->n_outputs != 1) return check_copy(spec);
    for (int i = 0; i < spec->n_inputs; i++)
        CHECK(kpar_tensor_count(kpar_spec_input(spec, i)) == kpar_tensor_count(kpar_spec_output(spec, 0)),
              "input %d has another number of elements", i);
    return KPAR_OK;
}

static kpar_status check_slice(const kpar_kernel_spec *spec)
{
    tensor in = kpar_spec_input(spec, 0), out = kpar_spec_output(spec, 0);
    CHECK(in->rank == out->rank && in->dtype == out->dtype, "rank or type differ");
    for (int i = 0; i < in->rank; i++) {
        int64_t start = spec->attributes.start[i];
        CHECK(start >= 0 && start + out->dims[i] <= in->dims[i], "dimension %d: past the end", i);
    }
    return KPAR_OK;
}

static kpar_status check_pad(const kpar_kernel_spec *spec)
{
    tensor in = kpar_spec_input(spec, 0), out = kpar_spec_output(spec, 0);
    CHECK(in->rank == out->rank && in->dtype == out->dtype, "rank or type differ");
    for (int i = 0; i < in->rank; i++) {
        int64_t start = spec->attributes.start[i], stop = spec->attributes.stop[i];
        CHECK(start >= 0 && stop >= 0 && start + in->dims[i] + stop == out->dims[i],
              "dimension %d does not fit", i);
    }
    return KPAR_OK;
}

static kpar_status check_concat(const kpar_kernel_spec *spec)
{
    tensor out = kpar_spec_output(spec, 0);
    const int axis = spec->attributes.axis;
    int64_t length = 0;
    CHECK(axis >= 0 && axis < out->rank, "axis %d of rank %d", axis, out->rank);
    for (int i = 0; i < spec->n_inputs; i++) {
        tensor in = kpar_spec_input(spec, i);
        CHECK(in->dtype == out->dtype && in->rank == out->rank && same_span(in, 0, out, 0, axis) &&
                  same_span(in, axis + 1, out, axis + 1, out->rank - axis - 1),
              "input %d does not fit", i);
        length += in->dims[axis];
    }
    CHECK(length == out->dims[axis], "%lld elements along the axis, expected %lld", (long long)length,
          (long long)out->dims[axis]);
    return KPAR_OK;
}

/* rows = table[indices] */
static kpar_status fits_lookup(const kpar_kernel_spec *spec, tensor table, tensor indices, tensor rows)
{
    CHECK(is_index(indices->dtype), "indices are %s, expected int32 or int64",
          kpar_dtype_name(indices->dtype));
    const int each = spec->attributes.axis, within = table->rank - 1 - each;
    CHECK(table->dtype == rows->dtype && each >= 0 && within >= 0 && indices->rank >= each &&
              rows->rank == indices->rank + within,
          "rank or type differ");
    CHECK(same_span(indices, 0, rows, 0, indices->rank) && same_span(table, 0, indices, 0, each) &&
              same_span(table, 1 + each, rows, indices->rank, within),
          "shapes differ");
    CHECK(spec->row_elements == 0 ||
              (spec->row_start >= 0 && spec->row_start + table->dims[0] <= spec->row_elements),
          "rows %lld to %lld of a table of %lld", (long long)spec->row_start,
          (long long)(spec->row_start + table->dims[0]), (long long)spec->row_elements);
    return KPAR_OK;
}

static kpar_status check_gather(const kpar_kernel_spec *spec)
{
    return fits_lookup(spec, kpar_spec_input(spec, 0), kpar_spec_input(spec, 1), kpar_spec_output(spec, 0));
}

static kpar_status check_scatter_add(const kpar_kernel_spec *spec)
{
    CHECK(is_real(kpar_spec_input(spec, 0)->dtype), "rows are %s",
          kpar_dtype_name(kpar_spec_input(spec, 0)->dtype));
    return fits_lookup(spec, kpar_spec_output(spec, 0), kpar_spec_input(spec, 1), kpar_spec_input(spec, 0));
}

static kpar_status check_iota(const kpar_kernel_spec *spec)
{
    CHECK(spec->attributes.axis >= 0 && spec->attributes.axis < kpar_spec_output(spec, 0)->rank, "axis %d",
          spec->attributes.axis);
    return KPAR_OK;
}

static kpar_status check_random(const kpar_kernel_spec *spec)
{
    tensor positions = kpar_spec_input(spec, 0), step = kpar_spec_input(spec, 1),
           out = kpar_spec_output(spec, 0);
    CHECK(positions->dtype == KPAR_I64 && step->dtype == KPAR_I64 && kpar_tensor_count(step) == 1,
          "positions or step are not int64");
    CHECK(out->rank >= 1 && kpar_tensor_count(positions) == out->dims[0] && is_real(out->dtype),
          "the output does not fit");
    int64_t local = kpar_tensor_span(out, 1, out->rank);
    if (local == spec->row_elements) return KPAR_OK;
    CHECK(out->rank >= 2 && local > 0, "a row has %lld elements, expected %lld", (long long)local,
          (long long)spec->row_elements);
    int64_t others = kpar_tensor_span(out, 1, out->rank - 1), last = out->dims[out->rank - 1];
    CHECK(spec->row_elements % others == 0 && spec->row_start >= 0 &&
              spec->row_start + last <= spec->row_elements / others,
          "elements %lld to %lld of a row of %lld", (long long)spec->row_start,
          (long long)(spec->row_start + last), (long long)(spec->row_elements / others));
    return KPAR_OK;
}

/* Rows along the last dimension: every input and the output look the same. */
static kpar_status check_softmax(const kpar_kernel_spec *spec)
{
    tensor out = kpar_spec_output(spec, 0);
    CHECK(out->rank >= 1, "the output is a scalar");
    for (int i = 0; i < kpar_spec_anchor_inputs(spec); i++)
        CHECK(same_dims(kpar_spec_input(spec, i), out) && is_real(kpar_spec_input(spec, i)->dtype),
              "input %d does not fit", i);
    return KPAR_OK;
}

/* `losses` (...) fits logits (..., classes) and labels. */
static kpar_status fits_classes(const kpar_kernel_spec *spec, tensor losses)
{
    tensor logits = kpar_spec_input(spec, 0), labels = kpar_spec_input(spec, 1);
    CHECK(is_real(logits->dtype) && logits->rank == losses->rank + 1 &&
              same_span(logits, 0, losses, 0, losses->rank),
          "logits and losses differ");
    if (spec->attributes.sparse)
        CHECK(same_dims(labels, losses), "class numbers have another shape than losses");
    else
        CHECK(same_dims(labels, logits), "probabilities have another shape than logits");
    return KPAR_OK;
}

static kpar_status check_cross_entropy(const kpar_kernel_spec *spec)
{
    return fits_classes(spec, kpar_spec_output(spec, 0));
}

static kpar_status check_cross_entropy_gradient(const kpar_kernel_spec *spec)
{
    CHECK(same_dims(kpar_spec_input(spec, 0), kpar_spec_output(spec, 0)),
          "the output has another shape than the logits");
    return fits_classes(spec, kpar_spec_input(spec, 2));
}

static kpar_status check_nothing(const kpar_kernel_spec *spec)
{
    (void)spec;
    return KPAR_OK;
}

/* NULL: not a kernel. */
static kpar_status (*const rules[KPAR_OP_COUNT])(const kpar_kernel_spec *spec) = {
    [KPAR_OP_MAP] = check_map,
    [KPAR_OP_REDUCE] = check_reduce,
    [KPAR_OP_MAP_REDUCE] = check_map_reduce,
    [KPAR_OP_ARG_REDUCE] = check_arg_reduce,
    [KPAR_OP_CUMULATIVE] = check_cumulative,
    [KPAR_OP_MATMUL] = check_matmul,
    [KPAR_OP_CONV] = check_conv,
    [KPAR_OP_CONV_INPUT_GRADIENT] = check_conv,
    [KPAR_OP_CONV_KERNEL_GRADIENT] = check_conv,
    [KPAR_OP_POOL] = check_pool,
    [KPAR_OP_MAX_POOL_GRADIENT] = check_pool,
    [KPAR_OP_MEAN_POOL_GRADIENT] = check_pool,
    [KPAR_OP_TRANSPOSE] = check_transpose,
    [KPAR_OP_RESHAPE] = check_copy,
    [KPAR_OP_SLICE] = check_slice,
    [KPAR_OP_PAD] = check_pad,
    [KPAR_OP_CONCAT] = check_concat,
    [KPAR_OP_GATHER] = check_gather,
    [KPAR_OP_SCATTER_ADD] = check_scatter_add,
    [KPAR_OP_CONSTANT] = check_nothing,
    [KPAR_OP_IOTA] = check_iota,
    [KPAR_OP_RANDOM] = check_random,
    [KPAR_OP_SOFTMAX] = check_softmax,
    [KPAR_OP_SOFTMAX_GRADIENT] = check_softmax,
    [KPAR_OP_CROSS_ENTROPY] = check_cross_entropy,
    [KPAR_OP_CROSS_ENTROPY_GRADIENT] = check_cross_entropy_gradient,
    [KPAR_OP_ACCUMULATE] = check_copy,
    [KPAR_OP_COMPUTE_COPY] = check_copy,
    [KPAR_OP_ALL_REDUCE] = check_all_reduce,
    [KPAR_OP_REDUCE_SCATTER] = check_copy,
    [KPAR_OP_ALL_GATHER] = check_copy,
};

static kpar_status check_counts(const kpar_kernel_spec *spec)
{
    const kpar_op_row *row = kpar_op_row_get((kpar_op_kind)spec->op);
    const kpar_expression *epilogue = kpar_spec_epilogue(spec);
    CHECK(spec->n_outputs >= 1, "no output");
    CHECK(row->n_inputs >= 0 || spec->op == KPAR_OP_MAP || spec->n_inputs >= 1, "no input");
    CHECK(row->n_inputs < 0 || (epilogue ? spec->n_inputs >= row->n_inputs : spec->n_inputs == row->n_inputs),
          "%d inputs, expected %d", spec->n_inputs, row->n_inputs);
    CHECK(!epilogue || row->n_inputs >= 1, "cannot have an epilogue");
    for (int i = 0; i < spec->n_inputs + spec->n_outputs; i++) {
        CHECK(spec->tensors[i].rank >= 0 && spec->tensors[i].rank <= KPAR_MAX_RANK, "tensor %d: rank %d", i,
              spec->tensors[i].rank);
        for (int d = 0; d < spec->tensors[i].rank; d++)
            CHECK(spec->tensors[i].dims[d] >= 0, "tensor %d: a negative dimension", i);
    }
    return KPAR_OK;
}

static kpar_status check_all(const kpar_kernel_spec *spec)
{
    const kpar_expression *epilogue = kpar_spec_epilogue(spec);
    KPAR_TRY(check_counts(spec));
    KPAR_TRY(rules[spec->op](spec));
    return epilogue ? fits_expression(spec, epilogue, 1, kpar_spec_anchor_inputs(spec)) : KPAR_OK;
}

kpar_status kpar_spec_check(const kpar_kernel_spec *spec)
{
    CHECK(spec->op >= 0 && spec->op < KPAR_OP_COUNT && rules[spec->op], "op %d is not a kernel", spec->op);
    kpar_status status = check_all(spec);
    return status == KPAR_OK
               ? status
               : kpar_fail_in(status, "kernel %s", kpar_op_row_get((kpar_op_kind)spec->op)->name);
}
