/* Losses of categories: cross-entropies and what weighs them. As Keras's with TensorFlow: what comes straight from a
 * softmax or a sigmoid is taken back to its logits, other probabilities are clipped to [1e-7, 1 - 1e-7]. */
#include "model/losses.h"

static kpar_x clip_probability(kpar_expression_builder *e, kpar_x p)
{
    return kpar_x_clip(e, p, KPAR_EPSILON, 1 - KPAR_EPSILON);
}

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

/* Arguments that the losses of categories share. */
typedef struct arguments {
    bool logits;
    double smoothing;
    double classes; /* that labels are smoothed over: in Keras the last dimension's, whatever the axis */
    int axis;       /* the dimension of the classes */
} arguments;

static kpar_status read_arguments(const char *owner, const json_t *config, const kpar_shape *shape,
                                  arguments *a)
{
    a->classes = (double)shape->dims[shape->rank - 1].size;
    KPAR_TRY(kpar_config_boolean(owner, config, "from_logits", false, &a->logits));
    KPAR_TRY(kpar_config_number(owner, config, "label_smoothing", 0, &a->smoothing));
    return kpar_axis_in(owner, config, "axis", shape->rank, &a->axis);
}

/* Of yes and no: softplus(z) - y z of a logit, -y log(p) - (1 - y) log(1 - p) of a probability. */
static kpar_x logits_entropy(kpar_expression_builder *e, kpar_x z, kpar_x y)
{
    return kpar_x_sub(e, kpar_x_softplus(e, z), kpar_x_mul(e, z, y));
}

static kpar_x probability_entropy(kpar_expression_builder *e, kpar_x p, kpar_x y)
{
    kpar_x one = kpar_x_constant(e, 1);
    p = clip_probability(e, p);
    kpar_x yes = kpar_x_mul(e, y, kpar_x_log(e, p));
    kpar_x no = kpar_x_mul(e, kpar_x_sub(e, one, y), kpar_x_log(e, kpar_x_sub(e, one, p)));
    return kpar_x_neg(e, kpar_x_add(e, yes, no));
}

static kpar_x smoothed(kpar_expression_builder *e, const arguments *a, kpar_x y)
{
    kpar_x kept = kpar_x_mul(e, y, kpar_x_constant(e, 1 - a->smoothing));
    return kpar_x_add(e, kept, kpar_x_constant(e, 0.5 * a->smoothing));
}

KPAR_LOSS(binary_cross_entropy)
{
    arguments a;
    KPAR_TRY(read_arguments(owner, config, kpar_lower_shape(lowering, prediction), &a));
    KPAR_TRY(take_logits(lowering, &prediction, &a.logits));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x p = kpar_x_input(e, 0), y = smoothed(e, &a, kpar_x_input(e, 1));
    kpar_x value = a.logits ? logits_entropy(e, p, y) : probability_entropy(e, p, y);
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels}, 2, values));
    return kpar_lower_mean(lowering, 1u << a.axis, false, *values, values);
}

/* (1 - s) y + s / classes */
static kpar_status smooth(kpar_lowering *lowering, const arguments *a, kpar_value_id *labels)
{
    return kpar_build_affine(lowering->graph, *labels, 1 - a->smoothing, a->smoothing / a->classes, labels);
}

/* -sum(y log(clip(p / sum(p)))) */
static kpar_status cross_entropy_of_probabilities(kpar_lowering *lowering, int axis, kpar_value_id p,
                                                  kpar_value_id y, kpar_value_id *values)
{
    kpar_value_id sum;
    KPAR_TRY(kpar_lower_reduce(lowering, KPAR_REDUCE_SUM, 1u << axis, true, p, &sum));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x share = clip_probability(e, kpar_x_div(e, kpar_x_input(e, 0), kpar_x_input(e, 2)));
    kpar_x value = kpar_x_neg(e, kpar_x_mul(e, kpar_x_input(e, 1), kpar_x_log(e, share)));
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){p, y, sum}, 3, values));
    return kpar_lower_reduce(lowering, KPAR_REDUCE_SUM, 1u << axis, false, *values, values);
}

static kpar_status cross_entropy_of_logits(kpar_lowering *lowering, int axis, kpar_value_id z,
                                           kpar_value_id y, kpar_value_id *values)
{
    const int last = kpar_lower_shape(lowering, z)->rank - 1;
    KPAR_TRY(kpar_lower_move(lowering, axis, last, z, &z));
    KPAR_TRY(kpar_lower_move(lowering, axis, last, y, &y));
    return kpar_build_cross_entropy(lowering->graph, z, y, false, values);
}

KPAR_LOSS(categorical_cross_entropy)
{
    arguments a;
    KPAR_TRY(read_arguments(owner, config, kpar_lower_shape(lowering, prediction), &a));
    KPAR_TRY(take_logits(lowering, &prediction, &a.logits));
    KPAR_TRY(smooth(lowering, &a, &labels));
    return (a.logits ? cross_entropy_of_logits : cross_entropy_of_probabilities)(lowering, a.axis, prediction,
                                                                                 labels, values);
}

/* Labels with 0 in the place of the class that is ignored; the mask is of the others. */
static kpar_status leave_ignored(kpar_lowering *lowering, int64_t ignored, kpar_value_id *labels)
{
    kpar_value_id real, *mask = &lowering->values_mask;
    KPAR_TRY(kpar_lower_real(lowering, *labels, &real));
    KPAR_TRY(kpar_build_affine(lowering->graph, real, 1, -(double)ignored, mask));
    KPAR_TRY(kpar_lower_truth(lowering, *mask, mask));
    KPAR_TRY(kpar_lower_kept_where(lowering, *mask, real, 0, &real));
    return kpar_build_cast(lowering->graph, KPAR_I32, real, labels);
}

/* Where a class is ignored Keras no longer sees what predictions were made of, and takes them as they are. */
KPAR_LOSS(sparse_categorical_cross_entropy)
{
    arguments a;
    kpar_label_range range = {.ignores = kpar_config_has(config, "ignore_class")};
    const kpar_shape shape = *kpar_lower_shape(lowering, prediction);
    KPAR_TRY(kpar_lower_check_last(owner, config, &shape));
    KPAR_TRY(read_arguments(owner, config, &shape, &a));
    KPAR_TRY(kpar_config_integer(owner, config, "ignore_class", 0, &range.ignored));
    range.classes = shape.dims[shape.rank - 1].size;
    lowering->label_ranges[lowering->output] = range;
    if (range.ignores)
        KPAR_TRY(leave_ignored(lowering, range.ignored, &labels));
    else
        KPAR_TRY(take_logits(lowering, &prediction, &a.logits));
    if (!a.logits) {
        kpar_expression_builder *e = kpar_expression_begin(1);
        kpar_x log_p = kpar_x_log(e, clip_probability(e, kpar_x_input(e, 0)));
        KPAR_TRY(kpar_lower_apply(lowering, e, log_p, &prediction, 1, &prediction));
    }
    return kpar_build_cross_entropy(lowering->graph, prediction, labels, true, values);
}

/* Zhang and Sabuncu, "Generalized cross entropy loss for training deep neural networks with noisy labels" (2018). */
KPAR_LOSS(generalized_cross_entropy)
{
    double q;
    kpar_value_id true_class;
    const kpar_shape shape = *kpar_lower_shape(lowering, prediction);
    const int64_t classes = shape.dims[shape.rank - 1].size;
    KPAR_TRY(kpar_config_number(owner, config, "q", 0.5, &q));
    if (!(q > 0 && q < 1))
        return kpar_fail(KPAR_EFORMAT, "%s: argument 'q': expected a number between 0 and 1, found %g", owner,
                         q);
    lowering->label_ranges[lowering->output] = (kpar_label_range){.classes = classes};
    KPAR_TRY(kpar_lower_one_hot(lowering, labels, classes, &true_class));
    KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, prediction, true_class, values));
    KPAR_TRY(kpar_lower_sum_last(lowering, false, *values, values));
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x power = kpar_x_pow(e, kpar_x_input(e, 0), kpar_x_constant(e, q));
    kpar_x value = kpar_x_mul(e, kpar_x_sub(e, kpar_x_constant(e, 1), power), kpar_x_constant(e, 1 / q));
    return kpar_lower_apply(lowering, e, value, values, 1, values);
}

/* Focal losses: Lin et al., "Focal loss for dense object detection" (2017). */

/* (1 - p_t)^gamma times the cross-entropy, p_t the probability given to the truth. What is said to be logits is put through
 * a sigmoid, whatever it was made of; the entropy is then of what that sigmoid was of. Of a softmax p_t is of its
 * probabilities, the entropy of sigmoids of its logits. */
KPAR_LOSS(binary_focal)
{
    arguments a;
    bool balanced;
    double gamma, alpha;
    KPAR_TRY(read_arguments(owner, config, kpar_lower_shape(lowering, prediction), &a));
    KPAR_TRY(kpar_config_number(owner, config, "gamma", 2, &gamma));
    KPAR_TRY(kpar_config_number(owner, config, "alpha", 0.25, &alpha));
    KPAR_TRY(kpar_config_boolean(owner, config, "apply_class_balancing", false, &balanced));
    kpar_value_id inputs[] = {prediction, labels, prediction};
    const bool given = a.logits;
    if (!given) KPAR_TRY(take_logits(lowering, &inputs[0], &a.logits));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x z = kpar_x_input(e, 0), p = kpar_x_input(e, 2), y = smoothed(e, &a, kpar_x_input(e, 1)),
           one = kpar_x_constant(e, 1);
    kpar_x value = a.logits ? logits_entropy(e, z, y) : probability_entropy(e, z, y);
    if (given) p = kpar_x_sigmoid(e, p);
    kpar_x miss = kpar_x_sub(
        e, one,
        kpar_x_add(e, kpar_x_mul(e, y, p), kpar_x_mul(e, kpar_x_sub(e, one, y), kpar_x_sub(e, one, p))));
    value = kpar_x_mul(e, kpar_x_pow(e, miss, kpar_x_constant(e, gamma)), value);
    if (balanced) {
        kpar_x yes = kpar_x_mul(e, y, kpar_x_constant(e, alpha));
        kpar_x no = kpar_x_mul(e, kpar_x_sub(e, one, y), kpar_x_constant(e, 1 - alpha));
        value = kpar_x_mul(e, kpar_x_add(e, yes, no), value);
    }
    KPAR_TRY(kpar_lower_apply(lowering, e, value, inputs, 3, values));
    return kpar_lower_mean(lowering, 1u << a.axis, false, *values, values);
}

/* -sum(alpha (1 - p)^gamma y log(p)), p a share of the row's sum. */
KPAR_LOSS(categorical_focal)
{
    arguments a;
    double gamma, alpha;
    kpar_value_id sum;
    KPAR_TRY(read_arguments(owner, config, kpar_lower_shape(lowering, prediction), &a));
    KPAR_TRY(kpar_config_number(owner, config, "gamma", 2, &gamma));
    KPAR_TRY(kpar_config_number(owner, config, "alpha", 0.25, &alpha));
    KPAR_TRY(smooth(lowering, &a, &labels));
    if (a.logits) KPAR_TRY(kpar_lower_softmax_over(lowering, 1u << a.axis, prediction, &prediction));
    KPAR_TRY(kpar_lower_reduce(lowering, KPAR_REDUCE_SUM, 1u << a.axis, true, prediction, &sum));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x share = clip_probability(e, kpar_x_div(e, kpar_x_input(e, 0), kpar_x_input(e, 2)));
    kpar_x entropy = kpar_x_neg(e, kpar_x_mul(e, kpar_x_input(e, 1), kpar_x_log(e, share)));
    kpar_x miss = kpar_x_pow(e, kpar_x_sub(e, kpar_x_constant(e, 1), share), kpar_x_constant(e, gamma));
    kpar_x value = kpar_x_mul(e, kpar_x_mul(e, miss, kpar_x_constant(e, alpha)), entropy);
    KPAR_TRY(kpar_lower_apply(lowering, e, value, (kpar_value_id[]){prediction, labels, sum}, 3, values));
    return kpar_lower_reduce(lowering, KPAR_REDUCE_SUM, 1u << a.axis, false, *values, values);
}
