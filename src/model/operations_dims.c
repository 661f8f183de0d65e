/* Operations over dimensions of a sample: sums, moments, norms, running sums, places of elements. */
#include "model/operations.h"

#include <string.h>

/* --- reductions --- */

/* The operand, the dimensions that `key` names, and whether they stay with size 1. */
typedef struct reduced {
    kpar_value_id x;
    unsigned axes;
    bool keep;
} reduced;

static kpar_status read_reduced(kpar_lowering *lowering, const kpar_value_id *inputs, const char *key,
                                reduced *r)
{
    const json_t *config = lowering->layer->config;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &r->x));
    KPAR_TRY(kpar_operation_has_axis(lowering, key));
    KPAR_TRY(kpar_lower_axes_of(lowering, key, kpar_lower_shape(lowering, r->x)->rank, &r->axes));
    return kpar_config_boolean(lowering->owner, config, "keepdims", false, &r->keep);
}

static kpar_status reduce(kpar_lowering *lowering, const reduced *r, kpar_reduction kind,
                          kpar_value_id *output)
{
    return kpar_lower_reduce(lowering, kind, r->axes, r->keep, r->x, output);
}

#define REDUCE(name, kind)                                                                                   \
    static KPAR_OPERATION(name)                                                                              \
    {                                                                                                        \
        reduced r;                                                                                           \
        (void)n_inputs;                                                                                      \
        KPAR_TRY(read_reduced(lowering, inputs, "axis", &r));                                                \
        return reduce(lowering, &r, kind, output);                                                           \
    }
REDUCE(sum, KPAR_REDUCE_SUM)
REDUCE(product, KPAR_REDUCE_PRODUCT)

/* The largest or smallest, or `initial` where that is given and more so. */
static kpar_status extreme(kpar_lowering *lowering, const kpar_value_id *inputs, kpar_reduction kind,
                           kpar_value_id *output)
{
    const json_t *initial = json_object_get(lowering->layer->config, "initial");
    reduced r;
    kpar_value_id bound;
    KPAR_TRY(read_reduced(lowering, inputs, "axis", &r));
    KPAR_TRY(reduce(lowering, &r, kind, output));
    if (!json_is_number(initial)) return KPAR_OK;
    KPAR_TRY(
        kpar_build_constant(lowering->graph, json_number_value(initial), (kpar_shape){.rank = 0}, &bound));
    return kpar_build_binary(lowering->graph, kpar_reduction_operation(kind), *output, bound, output);
}

static KPAR_OPERATION(largest)
{
    (void)n_inputs;
    return extreme(lowering, inputs, KPAR_REDUCE_MAX, output);
}

static KPAR_OPERATION(smallest)
{
    (void)n_inputs;
    return extreme(lowering, inputs, KPAR_REDUCE_MIN, output);
}

/* Largest less smallest. */
static KPAR_OPERATION(range)
{
    reduced r;
    kpar_value_id low;
    (void)n_inputs;
    KPAR_TRY(read_reduced(lowering, inputs, "axis", &r));
    KPAR_TRY(reduce(lowering, &r, KPAR_REDUCE_MIN, &low));
    KPAR_TRY(reduce(lowering, &r, KPAR_REDUCE_MAX, output));
    return kpar_build_binary(lowering->graph, KPAR_SCALAR_SUBTRACT, *output, low, output);
}

/* Of truth: whether one, whether all, how many. */
static kpar_status reduce_truth(kpar_lowering *lowering, const kpar_value_id *inputs, kpar_reduction kind,
                                kpar_value_id *output)
{
    reduced r;
    KPAR_TRY(read_reduced(lowering, inputs, "axis", &r));
    KPAR_TRY(kpar_lower_truth(lowering, r.x, &r.x));
    return reduce(lowering, &r, kind, output);
}

static KPAR_OPERATION(any)
{
    (void)n_inputs;
    return reduce_truth(lowering, inputs, KPAR_REDUCE_MAX, output);
}

static KPAR_OPERATION(all)
{
    (void)n_inputs;
    return reduce_truth(lowering, inputs, KPAR_REDUCE_MIN, output);
}

static KPAR_OPERATION(count)
{
    (void)n_inputs;
    return reduce_truth(lowering, inputs, KPAR_REDUCE_SUM, output);
}

/* --- moments and norms --- */

static KPAR_OPERATION(mean)
{
    reduced r;
    (void)n_inputs;
    KPAR_TRY(read_reduced(lowering, inputs, "axis", &r));
    return kpar_lower_mean(lowering, r.axes, r.keep, r.x, output);
}

static kpar_status variance_of(kpar_lowering *lowering, const reduced *r, kpar_value_id *output)
{
    kpar_value_id square;
    KPAR_TRY(kpar_lower_mean(lowering, r->axes, true, r->x, &square));
    KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_SUBTRACT, r->x, square, &square));
    KPAR_TRY(kpar_build_unary(lowering->graph, KPAR_SCALAR_SQUARE, square, &square));
    return kpar_lower_mean(lowering, r->axes, r->keep, square, output);
}

static KPAR_OPERATION(variance)
{
    reduced r;
    (void)n_inputs;
    KPAR_TRY(read_reduced(lowering, inputs, "axis", &r));
    return variance_of(lowering, &r, output);
}

static KPAR_OPERATION(deviation)
{
    KPAR_TRY(variance(lowering, inputs, n_inputs, output));
    return kpar_build_unary(lowering->graph, KPAR_SCALAR_SQUARE_ROOT, *output, output);
}

/* Mean and variance. */
static KPAR_OPERATION(moments)
{
    reduced r;
    (void)n_inputs;
    KPAR_TRY(read_reduced(lowering, inputs, "axes", &r));
    KPAR_TRY(kpar_lower_mean(lowering, r.axes, r.keep, r.x, &output[0]));
    return variance_of(lowering, &r, &output[1]);
}

/* The sum of x w over that of w, whose weights lie along the dimension or are as many as x has elements. */
static KPAR_OPERATION(average)
{
    kpar_graph *g = lowering->graph;
    reduced r;
    kpar_value_id weights, total;
    (void)n_inputs;
    KPAR_TRY(read_reduced(lowering, inputs, "axis", &r));
    KPAR_TRY(kpar_operand_named(lowering, "weights", &weights));
    if (weights < 0) return kpar_lower_mean(lowering, r.axes, false, r.x, output);
    const kpar_shape along = kpar_lower_kept(*kpar_lower_shape(lowering, r.x), ~r.axes);
    if (kpar_lower_shape(lowering, weights)->rank == 1)
        KPAR_TRY(kpar_build_reshape(g, along, weights, &weights));
    KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_MULTIPLY, r.x, weights, output));
    KPAR_TRY(kpar_lower_reduce(lowering, KPAR_REDUCE_SUM, r.axes, true, *output, output));
    KPAR_TRY(kpar_lower_reduce(lowering, KPAR_REDUCE_SUM, r.axes, true, weights, &total));
    KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_DIVIDE, *output, total, output));
    return kpar_lower_reduce(lowering, KPAR_REDUCE_SUM, r.axes, false, *output, output);
}

static KPAR_OPERATION(log_of_sum)
{
    reduced r;
    (void)n_inputs;
    KPAR_TRY(read_reduced(lowering, inputs, "axis", &r));
    return kpar_lower_log_sum(lowering, r.axes, r.keep, r.x, output);
}

/* (sum |x|^p)^(1/p) */
static kpar_status power_norm(kpar_lowering *lowering, const reduced *r, double p, kpar_value_id *output)
{
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x x = kpar_x_input(e, 0), size = p == 2 ? x : kpar_x_abs(e, x);
    KPAR_TRY(kpar_lower_apply(lowering, e, kpar_x_pow(e, size, kpar_x_constant(e, p)), &r->x, 1, output));
    KPAR_TRY(kpar_lower_reduce(lowering, KPAR_REDUCE_SUM, r->axes, r->keep, *output, output));
    e = kpar_expression_begin(1);
    kpar_x sum = kpar_x_input(e, 0);
    kpar_x root = p == 2 ? kpar_x_sqrt(e, sum) : kpar_x_pow(e, sum, kpar_x_constant(e, 1 / p));
    return kpar_lower_apply(lowering, e, root, output, 1, output);
}

static KPAR_OPERATION(norm)
{
    const json_t *order = json_object_get(lowering->layer->config, "ord");
    const char *name = json_string_value(order);
    reduced r;
    (void)n_inputs;
    KPAR_TRY(read_reduced(lowering, inputs, "axis", &r));
    const bool one = (r.axes & (r.axes - 1)) == 0, frobenius = name && strcmp(name, "fro") == 0;
    if (!order || json_is_null(order) || (frobenius && !one)) return power_norm(lowering, &r, 2, output);
    if (one && json_is_number(order) && json_number_value(order) > 0)
        return power_norm(lowering, &r, json_number_value(order), output);
    return kpar_fail(
        KPAR_EUNSUPPORTED,
        "%s: argument 'ord': supported are null, a positive number along one dimension, and \"fro\" of "
        "matrices",
        lowering->owner);
}

/* x over its norm, or over epsilon where that is larger. */
static KPAR_OPERATION(normalize)
{
    reduced r;
    int64_t order;
    double epsilon;
    kpar_value_id terms[2];
    KPAR_TRY(read_reduced(lowering, inputs, "axis", &r));
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, "order", 2, &order));
    KPAR_TRY(kpar_config_number(lowering->owner, lowering->layer->config, "epsilon", 1e-7, &epsilon));
    (void)n_inputs;
    if (order == 2) return kpar_lower_unit_length(lowering, r.axes, epsilon, r.x, output);
    r.keep = true;
    terms[0] = r.x;
    KPAR_TRY(power_norm(lowering, &r, (double)order, &terms[1]));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x length = kpar_x_max(e, kpar_x_input(e, 1), kpar_x_constant(e, epsilon));
    return kpar_lower_apply(lowering, e, kpar_x_div(e, kpar_x_input(e, 0), length), terms, 2, output);
}

/* --- running sums --- */

static kpar_status running(kpar_lowering *lowering, const kpar_value_id *inputs, kpar_reduction kind,
                           kpar_value_id *output)
{
    kpar_value_id x;
    int dim;
    KPAR_TRY(kpar_operand(lowering, inputs, 0, &x));
    KPAR_TRY(kpar_operation_has_axis(lowering, "axis"));
    KPAR_TRY(kpar_operation_axis(lowering, "axis", -1, kpar_lower_shape(lowering, x)->rank, &dim));
    KPAR_TRY(kpar_operation_cast(lowering, x, &x));
    return kpar_build_cumulative(lowering->graph, kind, dim, false, false, x, output);
}

static KPAR_OPERATION(running_sum)
{
    (void)n_inputs;
    return running(lowering, inputs, KPAR_REDUCE_SUM, output);
}

static KPAR_OPERATION(running_product)
{
    (void)n_inputs;
    return running(lowering, inputs, KPAR_REDUCE_PRODUCT, output);
}

static const kpar_layer_row rows[] = {
    {"Mean", "mean over dimensions of a sample", "axis keepdims", "", .lower = mean},
    {"Sum", "sum over dimensions of a sample", "axis keepdims", "", .lower = sum},
    {"Prod", "product over dimensions of a sample", "axis keepdims", "", .lower = product},
    {"Max", "largest over dimensions of a sample", "axis keepdims initial", "", .lower = largest},
    {"Min", "smallest over dimensions of a sample", "axis keepdims initial", "", .lower = smallest},
    {"Amax", "largest over dimensions of a sample", "axis keepdims", "", .lower = largest},
    {"Amin", "smallest over dimensions of a sample", "axis keepdims", "", .lower = smallest},
    {"Ptp", "largest less smallest over dimensions of a sample", "axis keepdims", "", .lower = range},
    {"Any", "whether one is not 0, over dimensions of a sample", "axis keepdims", "", .lower = any},
    {"All", "whether none is 0, over dimensions of a sample", "axis keepdims", "", .lower = all},
    {"CountNonzero", "how many are not 0, over dimensions of a sample", "axis", "", .lower = count},
    {"Var", "variance over dimensions of a sample", "axis keepdims", "", .lower = variance},
    {"Std", "standard deviation over dimensions of a sample", "axis keepdims", "", .lower = deviation},
    {"Moments", "mean and variance over dimensions of a sample", "axes keepdims", "synchronized=false",
     .lower = moments},
    {"Average", "weighted mean over dimensions of a sample", "axis", "", .lower = average,
     .call_arguments = "weights"},
    {"Logsumexp", "log(sum(e^x)) over dimensions of a sample", "axis keepdims", "", .lower = log_of_sum},
    {"Norm", "length along dimensions of a sample", "ord axis keepdims", "", .lower = norm},
    {"Normalize", "over its length along dimensions of a sample", "axis order epsilon", "",
     .lower = normalize},
    {"Cumsum", "sum of the elements up to each", "axis dtype", "", .lower = running_sum},
    {"Cumprod", "product of the elements up to each", "axis dtype", "", .lower = running_product},
};

const kpar_operation_table kpar_operations_over_dimensions = KPAR_OPERATION_TABLE(rows);
