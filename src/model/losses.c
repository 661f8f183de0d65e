/* Losses, a row each: the loss of each row before reduction. As Keras's with TensorFlow: what comes straight from a
 * softmax or a sigmoid is taken back to its logits, other probabilities are clipped to [1e-7, 1 - 1e-7]. */
#include "model/lower_internal.h"

#include <string.h>

#define EPSILON 1e-7

static kpar_x constant(kpar_expression_builder *e, double value) { return kpar_x_constant(e, value); }

static kpar_x clip(kpar_expression_builder *e, kpar_x x, double low, double high)
{
    return kpar_x_min(e, kpar_x_max(e, x, constant(e, low)), constant(e, high));
}

static kpar_x clip_probability(kpar_expression_builder *e, kpar_x p)
{
    return clip(e, p, EPSILON, 1 - EPSILON);
}

/* Regression */

static kpar_x squared_error(kpar_expression_builder *e, kpar_x y, kpar_x p)
{
    return kpar_x_square(e, kpar_x_sub(e, y, p));
}

static kpar_x absolute_error(kpar_expression_builder *e, kpar_x y, kpar_x p)
{
    return kpar_x_abs(e, kpar_x_sub(e, y, p));
}

static kpar_x percentage_error(kpar_expression_builder *e, kpar_x y, kpar_x p)
{
    kpar_x size = kpar_x_max(e, kpar_x_abs(e, y), constant(e, EPSILON));
    return kpar_x_mul(e, kpar_x_abs(e, kpar_x_div(e, kpar_x_sub(e, y, p), size)), constant(e, 100));
}

static kpar_x log_of(kpar_expression_builder *e, kpar_x x)
{
    return kpar_x_log(e, kpar_x_add(e, kpar_x_max(e, x, constant(e, EPSILON)), constant(e, 1)));
}

static kpar_x squared_log_error(kpar_expression_builder *e, kpar_x y, kpar_x p)
{
    return kpar_x_square(e, kpar_x_sub(e, log_of(e, y), log_of(e, p)));
}

/* log(cosh(d)) = d + softplus(-2 d) - log(2) */
static kpar_x log_cosh(kpar_expression_builder *e, kpar_x y, kpar_x p)
{
    kpar_x d = kpar_x_sub(e, p, y);
    kpar_x tail = kpar_x_softplus(e, kpar_x_mul(e, d, constant(e, -2)));
    return kpar_x_sub(e, kpar_x_add(e, d, tail), constant(e, 0.69314718055994530942));
}

static kpar_x poisson(kpar_expression_builder *e, kpar_x y, kpar_x p)
{
    return kpar_x_sub(e, p, kpar_x_mul(e, y, kpar_x_log(e, kpar_x_add(e, p, constant(e, EPSILON)))));
}

static kpar_status huber(kpar_lowering *lowering, const json_t *config, const char *owner,
                         kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    double delta;
    KPAR_TRY(kpar_config_number(owner, config, "delta", 1, &delta));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x error = kpar_x_sub(e, kpar_x_input(e, 0), kpar_x_input(e, 1)), size = kpar_x_abs(e, error);
    kpar_x near = kpar_x_mul(e, kpar_x_square(e, error), constant(e, 0.5));
    kpar_x far = kpar_x_sub(e, kpar_x_mul(e, size, constant(e, delta)), constant(e, 0.5 * delta * delta));
    kpar_x value = kpar_x_select(e, kpar_x_le(e, size, constant(e, delta)), near, far);
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels}, 2, values));
    return kpar_lower_mean_last(lowering, *values, values);
}

/* Cross-entropies */

/* Replaces a prediction that is a softmax or a sigmoid by what that was of, and says so. Keras takes either for the
 * logits of any cross-entropy: sigmoids under a categorical one count as if they were a softmax. */
static kpar_status take_logits(kpar_lowering *lowering, kpar_value_id *prediction, bool *logits)
{
    if (lowering->logits < 0) return KPAR_OK;
    *logits = true;
    kpar_shape shape = *kpar_lower_shape(lowering, *prediction);
    return kpar_build_reshape(lowering->graph, shape, lowering->logits, prediction);
}

kpar_status kpar_lower_check_last(const char *owner, const json_t *config, const kpar_shape *shape)
{
    int64_t axis;
    KPAR_TRY(kpar_config_integer(owner, config, "axis", -1, &axis));
    if (axis == -1 || axis == shape->rank - 1) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument 'axis' is %lld; only the last (-1) is supported", owner,
                     (long long)axis);
}

/* Arguments that the cross-entropies share. */
static kpar_status read_arguments(const char *owner, const json_t *config, const kpar_shape *shape,
                                  bool *logits, double *smoothing)
{
    KPAR_TRY(kpar_config_boolean(owner, config, "from_logits", false, logits));
    KPAR_TRY(kpar_config_number(owner, config, "label_smoothing", 0, smoothing));
    return kpar_lower_check_last(owner, config, shape);
}

/* Of yes and no: softplus(z) - y z of a logit, -y log(p) - (1 - y) log(1 - p) of a probability. */
static kpar_x logits_entropy(kpar_expression_builder *e, kpar_x z, kpar_x y)
{
    return kpar_x_sub(e, kpar_x_softplus(e, z), kpar_x_mul(e, z, y));
}

static kpar_x probability_entropy(kpar_expression_builder *e, kpar_x p, kpar_x y)
{
    kpar_x one = constant(e, 1);
    p = clip_probability(e, p);
    kpar_x yes = kpar_x_mul(e, y, kpar_x_log(e, p));
    kpar_x no = kpar_x_mul(e, kpar_x_sub(e, one, y), kpar_x_log(e, kpar_x_sub(e, one, p)));
    return kpar_x_neg(e, kpar_x_add(e, yes, no));
}

static kpar_status binary_cross_entropy(kpar_lowering *lowering, const json_t *config, const char *owner,
                                        kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    bool logits;
    double smoothing;
    KPAR_TRY(read_arguments(owner, config, kpar_lower_shape(lowering, prediction), &logits, &smoothing));
    KPAR_TRY(take_logits(lowering, &prediction, &logits));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x p = kpar_x_input(e, 0), y = kpar_x_input(e, 1);
    y = kpar_x_add(e, kpar_x_mul(e, y, constant(e, 1 - smoothing)), constant(e, 0.5 * smoothing));
    kpar_x value = logits ? logits_entropy(e, p, y) : probability_entropy(e, p, y);
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels}, 2, values));
    return kpar_lower_mean_last(lowering, *values, values);
}

/* -sum(y log(clip(p / sum(p)))) over the last dimension. */
static kpar_status cross_entropy_of_probabilities(kpar_lowering *lowering, kpar_value_id p, kpar_value_id y,
                                                  kpar_value_id *values)
{
    kpar_value_id sum;
    KPAR_TRY(kpar_lower_sum_last(lowering, true, p, &sum));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x share = clip_probability(e, kpar_x_div(e, kpar_x_input(e, 0), kpar_x_input(e, 2)));
    kpar_x value = kpar_x_neg(e, kpar_x_mul(e, kpar_x_input(e, 1), kpar_x_log(e, share)));
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){p, y, sum}, 3, values));
    return kpar_lower_sum_last(lowering, false, *values, values);
}

static kpar_status categorical_cross_entropy(kpar_lowering *lowering, const json_t *config, const char *owner,
                                             kpar_value_id prediction, kpar_value_id labels,
                                             kpar_value_id *values)
{
    bool logits;
    double smoothing;
    const kpar_shape shape = *kpar_lower_shape(lowering, prediction);
    const double classes = (double)shape.dims[shape.rank - 1].size;
    KPAR_TRY(read_arguments(owner, config, &shape, &logits, &smoothing));
    KPAR_TRY(take_logits(lowering, &prediction, &logits));
    KPAR_TRY(kpar_build_affine(lowering->graph, labels, 1 - smoothing, smoothing / classes, &labels));
    if (logits) return kpar_build_cross_entropy(lowering->graph, prediction, labels, false, values);
    return cross_entropy_of_probabilities(lowering, prediction, labels, values);
}

static kpar_status sparse_categorical_cross_entropy(kpar_lowering *lowering, const json_t *config,
                                                    const char *owner, kpar_value_id prediction,
                                                    kpar_value_id labels, kpar_value_id *values)
{
    bool logits;
    double smoothing;
    KPAR_TRY(read_arguments(owner, config, kpar_lower_shape(lowering, prediction), &logits, &smoothing));
    KPAR_TRY(take_logits(lowering, &prediction, &logits));
    if (!logits) {
        kpar_expression_builder *e = kpar_expression_begin(1);
        kpar_x log_p = kpar_x_log(e, clip_probability(e, kpar_x_input(e, 0)));
        KPAR_TRY(kpar_lower_apply(lowering, e, log_p, &prediction, 1, &prediction));
    }
    return kpar_build_cross_entropy(lowering->graph, prediction, labels, true, values);
}

/* sum(y log(y / p)) over the last dimension, both clipped to [1e-7, 1]. */
static kpar_status kl_divergence(kpar_lowering *lowering, const json_t *config, const char *owner,
                                 kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    (void)config;
    (void)owner;
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x p = clip(e, kpar_x_input(e, 0), EPSILON, 1), y = clip(e, kpar_x_input(e, 1), EPSILON, 1);
    kpar_x value = kpar_x_mul(e, y, kpar_x_log(e, kpar_x_div(e, y, p)));
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels}, 2, values));
    return kpar_lower_sum_last(lowering, false, *values, values);
}

/* Hinges */

/* Labels of -1 and 1. Keras takes labels of 0 and 1 for these, if all of the batch are so: a decision of the global
 * batch, and so a fact. */
static kpar_status hinge_labels(kpar_lowering *lowering, kpar_value_id labels, kpar_value_id *signs)
{
    kpar_graph *g = lowering->graph;
    kpar_value_id others;
    const int rank = kpar_lower_shape(lowering, labels)->rank;
    g->phase = KPAR_PHASE_FACTS_ROWS;
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x y = kpar_x_input(e, 0), zero = constant(e, 0), one = constant(e, 1);
    kpar_x other = kpar_x_select(e, kpar_x_eq(e, y, zero), zero, kpar_x_sub(e, one, kpar_x_eq(e, y, one)));
    KPAR_TRY(kpar_lower_apply(lowering, e, other, &labels, 1, &others));
    KPAR_TRY(kpar_build_reduce(g, KPAR_REDUCE_SUM, (1u << rank) - 1, others, &others));
    KPAR_TRY(kpar_build_accumulate(g, others, &others));
    g->phase = KPAR_PHASE_MICROBATCH;
    e = kpar_expression_begin(2);
    y = kpar_x_input(e, 0);
    kpar_x doubled = kpar_x_sub(e, kpar_x_mul(e, y, constant(e, 2)), constant(e, 1));
    kpar_x sign = kpar_x_select(e, kpar_x_eq(e, kpar_x_input(e, 1), constant(e, 0)), doubled, y);
    return kpar_lower_apply(lowering, e, sign, (kpar_value_id[]){labels, others}, 2, signs);
}

/* max(1 - y p, 0), or its square. */
static kpar_status hinge_of(kpar_lowering *lowering, bool squared, kpar_value_id prediction,
                            kpar_value_id labels, kpar_value_id *values)
{
    KPAR_TRY(hinge_labels(lowering, labels, &labels));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x product = kpar_x_mul(e, kpar_x_input(e, 1), kpar_x_input(e, 0));
    kpar_x value = kpar_x_max(e, kpar_x_sub(e, constant(e, 1), product), constant(e, 0));
    if (squared) value = kpar_x_square(e, value);
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels}, 2, values));
    return kpar_lower_mean_last(lowering, *values, values);
}

static kpar_status hinge(kpar_lowering *lowering, const json_t *config, const char *owner,
                         kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    (void)config;
    (void)owner;
    return hinge_of(lowering, false, prediction, labels, values);
}

static kpar_status squared_hinge(kpar_lowering *lowering, const json_t *config, const char *owner,
                                 kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    (void)config;
    (void)owner;
    return hinge_of(lowering, true, prediction, labels, values);
}

/* max(max((1 - y) p) - sum(y p) + 1, 0) */
static kpar_status categorical_hinge(kpar_lowering *lowering, const json_t *config, const char *owner,
                                     kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    (void)config;
    (void)owner;
    kpar_value_id right, wrong;
    KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, labels, prediction, &right));
    KPAR_TRY(kpar_lower_sum_last(lowering, false, right, &right));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x value = kpar_x_mul(e, kpar_x_sub(e, constant(e, 1), kpar_x_input(e, 1)), kpar_x_input(e, 0));
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels}, 2, &wrong));
    KPAR_TRY(kpar_lower_max_last(lowering, false, wrong, &wrong));
    e = kpar_expression_begin(2);
    value = kpar_x_add(e, kpar_x_sub(e, kpar_x_input(e, 0), kpar_x_input(e, 1)), constant(e, 1));
    value = kpar_x_max(e, value, constant(e, 0));
    return kpar_lower_apply(lowering, e, value, (kpar_value_id[]){wrong, right}, 2, values);
}

/* Focal losses: Lin et al., "Focal loss for dense object detection" (2017). */

/* (1 - p_t)^gamma times the cross-entropy, p_t the probability given to the truth. */
static kpar_status binary_focal(kpar_lowering *lowering, const json_t *config, const char *owner,
                                kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    bool logits, balanced;
    double smoothing, gamma, alpha;
    KPAR_TRY(read_arguments(owner, config, kpar_lower_shape(lowering, prediction), &logits, &smoothing));
    KPAR_TRY(kpar_config_number(owner, config, "gamma", 2, &gamma));
    KPAR_TRY(kpar_config_number(owner, config, "alpha", 0.25, &alpha));
    KPAR_TRY(kpar_config_boolean(owner, config, "apply_class_balancing", false, &balanced));
    KPAR_TRY(take_logits(lowering, &prediction, &logits));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x p = kpar_x_input(e, 0), y = kpar_x_input(e, 1), one = constant(e, 1), value;
    y = kpar_x_add(e, kpar_x_mul(e, y, constant(e, 1 - smoothing)), constant(e, 0.5 * smoothing));
    value = logits ? logits_entropy(e, p, y) : probability_entropy(e, p, y);
    if (logits) p = kpar_x_sigmoid(e, p);
    kpar_x miss = kpar_x_sub(
        e, one,
        kpar_x_add(e, kpar_x_mul(e, y, p), kpar_x_mul(e, kpar_x_sub(e, one, y), kpar_x_sub(e, one, p))));
    value = kpar_x_mul(e, kpar_x_pow(e, miss, constant(e, gamma)), value);
    if (balanced) {
        kpar_x yes = kpar_x_mul(e, y, constant(e, alpha));
        kpar_x no = kpar_x_mul(e, kpar_x_sub(e, one, y), constant(e, 1 - alpha));
        value = kpar_x_mul(e, kpar_x_add(e, yes, no), value);
    }
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels}, 2, values));
    return kpar_lower_mean_last(lowering, *values, values);
}

/* -sum(alpha (1 - p)^gamma y log(p)), p a share of the row's sum. */
static kpar_status categorical_focal(kpar_lowering *lowering, const json_t *config, const char *owner,
                                     kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    bool logits;
    double smoothing, gamma, alpha;
    kpar_value_id sum;
    const kpar_shape shape = *kpar_lower_shape(lowering, prediction);
    KPAR_TRY(read_arguments(owner, config, &shape, &logits, &smoothing));
    KPAR_TRY(kpar_config_number(owner, config, "gamma", 2, &gamma));
    KPAR_TRY(kpar_config_number(owner, config, "alpha", 0.25, &alpha));
    KPAR_TRY(kpar_build_affine(lowering->graph, labels, 1 - smoothing,
                               smoothing / (double)shape.dims[shape.rank - 1].size, &labels));
    if (logits) KPAR_TRY(kpar_build_softmax(lowering->graph, prediction, &prediction));
    KPAR_TRY(kpar_lower_sum_last(lowering, true, prediction, &sum));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x share = clip_probability(e, kpar_x_div(e, kpar_x_input(e, 0), kpar_x_input(e, 2)));
    kpar_x entropy = kpar_x_neg(e, kpar_x_mul(e, kpar_x_input(e, 1), kpar_x_log(e, share)));
    kpar_x miss = kpar_x_pow(e, kpar_x_sub(e, constant(e, 1), share), constant(e, gamma));
    kpar_x value = kpar_x_mul(e, kpar_x_mul(e, miss, constant(e, alpha)), entropy);
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels, sum}, 3, values));
    return kpar_lower_sum_last(lowering, false, *values, values);
}

/* Directions */

kpar_status kpar_lower_cosine(kpar_lowering *lowering, const json_t *config, const char *owner, double sign,
                              kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    KPAR_TRY(kpar_lower_check_last(owner, config, kpar_lower_shape(lowering, prediction)));
    const unsigned last = 1u << (kpar_lower_shape(lowering, prediction)->rank - 1);
    KPAR_TRY(kpar_lower_unit_length(lowering, last, EPSILON, prediction, &prediction));
    KPAR_TRY(kpar_lower_unit_length(lowering, last, EPSILON, labels, &labels));
    KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, prediction, labels, values));
    KPAR_TRY(kpar_lower_sum_last(lowering, false, *values, values));
    return kpar_build_affine(lowering->graph, *values, sign, 0, values);
}

static kpar_status cosine_similarity(kpar_lowering *lowering, const json_t *config, const char *owner,
                                     kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    return kpar_lower_cosine(lowering, config, owner, -1, prediction, labels, values);
}

/* Overlaps: Milletari et al., "V-Net" (2016); Salehi et al., "Tversky loss function for image segmentation" (2017). */

/* What an overlap is taken of. */
typedef struct overlap {
    unsigned axes; /* that are summed over */
    kpar_value_id prediction, labels,
        rows; /* rows: 1 or 0, whether a row is one of the batch's; -1: rows are apart */
} overlap;

/* Without 'axis' the sums are over the whole batch. */
static kpar_status begin_overlap(kpar_lowering *lowering, const json_t *config, const char *owner, overlap *o)
{
    const int rank = kpar_lower_shape(lowering, o->prediction)->rank;
    const char *reduction;
    o->rows = -1;
    if (!json_is_null(json_object_get(config, "axis")) && json_object_get(config, "axis"))
        return kpar_axes_in(owner, config, "axis", rank, &o->axes);
    KPAR_TRY(kpar_config_string(owner, config, "reduction", "sum_over_batch_size", &reduction));
    if (strcmp(reduction, "sum") == 0)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: argument 'reduction' is \"sum\" of one value for the whole batch; supported is "
                         "sum_over_batch_size, or \"sum\" with an 'axis'",
                         owner);
    lowering->batch_statistics = owner;
    o->axes = (1u << rank) - 1;
    o->rows = kpar_lower_row_weights(lowering, 0, false);
    return KPAR_OK;
}

/* The sum of p y, or of p (1 - y), or of (1 - p) y. */
static kpar_status overlap_sum(kpar_lowering *lowering, const overlap *o, bool predicted, bool labelled,
                               kpar_value_id *sum)
{
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x p = kpar_x_input(e, 0), y = kpar_x_input(e, 1), one = constant(e, 1);
    if (!predicted) p = kpar_x_sub(e, one, p);
    if (!labelled) y = kpar_x_sub(e, one, y);
    KPAR_TRY(kpar_lower_apply(lowering, e, kpar_x_mul(e, p, y), (kpar_value_id[]){o->prediction, o->labels},
                              2, sum));
    if (o->rows >= 0) KPAR_TRY(kpar_lower_weighted(lowering, *sum, o->rows, -1, sum));
    return kpar_build_reduce(lowering->graph, KPAR_REDUCE_SUM, o->axes, *sum, sum);
}

/* 1 - both / (both + alpha missed + beta wrong + epsilon); one value for the whole batch is that of each row. */
static kpar_status lower_overlap(kpar_lowering *lowering, const json_t *config, const char *owner,
                                 double alpha, double beta, double epsilon, overlap *o, kpar_value_id *values)
{
    kpar_value_id sums[3];
    KPAR_TRY(begin_overlap(lowering, config, owner, o));
    KPAR_TRY(overlap_sum(lowering, o, true, true, &sums[0]));
    KPAR_TRY(overlap_sum(lowering, o, false, true, &sums[1]));
    KPAR_TRY(overlap_sum(lowering, o, true, false, &sums[2]));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x both = kpar_x_input(e, 0);
    kpar_x missed = kpar_x_mul(e, kpar_x_input(e, 1), constant(e, alpha));
    kpar_x wrong = kpar_x_mul(e, kpar_x_input(e, 2), constant(e, beta));
    kpar_x all = kpar_x_add(e, kpar_x_add(e, both, missed), kpar_x_add(e, wrong, constant(e, epsilon)));
    kpar_x value = kpar_x_sub(e, constant(e, 1), kpar_x_div(e, both, all));
    KPAR_TRY(kpar_lower_apply(lowering, e, value, sums, 3, values));
    if (o->rows < 0) return KPAR_OK;
    return kpar_build_broadcast(lowering->graph, *kpar_lower_shape(lowering, o->rows), *values, values);
}

/* 1 - 2 sum(p y) / (sum(p) + sum(y) + epsilon): what is in both counts twice below. */
static kpar_status dice(kpar_lowering *lowering, const json_t *config, const char *owner,
                        kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    overlap o = {.prediction = prediction, .labels = labels};
    return lower_overlap(lowering, config, owner, 0.5, 0.5, 0.5 * EPSILON, &o, values);
}

static kpar_status tversky(kpar_lowering *lowering, const json_t *config, const char *owner,
                           kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    double alpha, beta;
    overlap o = {.prediction = prediction, .labels = labels};
    KPAR_TRY(kpar_config_number(owner, config, "alpha", 0.5, &alpha));
    KPAR_TRY(kpar_config_number(owner, config, "beta", 0.5, &beta));
    return lower_overlap(lowering, config, owner, alpha, beta, EPSILON, &o, values);
}

static const kpar_loss_row rows[] = {
    {"MeanSquaredError", "mse MSE", "(y - p)^2", "", NULL, squared_error, false},
    {"MeanAbsoluteError", "mae MAE", "|y - p|", "", NULL, absolute_error, false},
    {"MeanAbsolutePercentageError", "mape MAPE", "100 |y - p| / |y|", "", NULL, percentage_error, false},
    {"MeanSquaredLogarithmicError", "msle MSLE", "(log(1 + y) - log(1 + p))^2", "", NULL, squared_log_error,
     false},
    {"Huber", "", "squared error near 0, absolute beyond delta", "delta", huber, NULL, false},
    {"LogCosh", "logcosh", "log(cosh(p - y))", "", NULL, log_cosh, false},
    {"Poisson", "", "p - y log(p)", "", NULL, poisson, false},
    {"KLDivergence", "kld KLD", "y log(y / p)", "", kl_divergence, NULL, false},
    {"Hinge", "", "max(1 - y p, 0)", "", hinge, NULL, false},
    {"SquaredHinge", "", "max(1 - y p, 0)^2", "", squared_hinge, NULL, false},
    {"CategoricalHinge", "", "how much too near the likeliest wrong class is", "", categorical_hinge, NULL,
     false},
    {"CosineSimilarity", "", "-1 for the same direction, 1 for the opposite", "axis", cosine_similarity, NULL,
     false},
    {"Dice", "", "how much labels and predictions lie apart, of both", "axis", dice, NULL, false},
    {"Tversky", "", "Dice, with weights of what is missed and of what is wrong", "alpha beta axis", tversky,
     NULL, false},
    {"BinaryCrossentropy", "bce BCE", "cross-entropy of yes and no", "from_logits label_smoothing axis",
     binary_cross_entropy, NULL, false},
    {"CategoricalCrossentropy", "", "cross-entropy with probabilities as labels",
     "from_logits label_smoothing axis", categorical_cross_entropy, NULL, false},
    {"BinaryFocalCrossentropy", "", "cross-entropy of yes and no, less for what is nearly right",
     "from_logits label_smoothing axis gamma alpha apply_class_balancing", binary_focal, NULL, false},
    {"CategoricalFocalCrossentropy", "", "cross-entropy, less for what is nearly right",
     "from_logits label_smoothing axis gamma alpha", categorical_focal, NULL, false},
    {"SparseCategoricalCrossentropy", "", "cross-entropy with class numbers as labels", "from_logits axis",
     sparse_categorical_cross_entropy, NULL, true},
};

const kpar_loss_row *kpar_loss_rows(int *n)
{
    *n = (int)(sizeof rows / sizeof rows[0]);
    return rows;
}

const kpar_loss_row *kpar_loss_row_find(const char *name)
{
    return kpar_table_find(rows, (int)(sizeof rows / sizeof rows[0]), sizeof rows[0], name);
}

kpar_status kpar_loss_values(kpar_lowering *lowering, const kpar_loss_row *row, const json_t *config,
                             const char *owner, kpar_value_id prediction, kpar_value_id labels,
                             kpar_value_id *values)
{
    if (row->lower) return row->lower(lowering, config, owner, prediction, labels, values);
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x value = row->formula(e, kpar_x_input(e, 1), kpar_x_input(e, 0));
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels}, 2, values));
    return kpar_lower_mean_last(lowering, *values, values);
}
