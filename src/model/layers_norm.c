/* Layers that normalize: moments over some dimensions, of the batch or of a sample, then scale and offset. */
#include "model/lower_internal.h"

/* 1 / sqrt(x + epsilon) */
static kpar_x inverse_root(kpar_expression_builder *e, kpar_x x, double epsilon)
{
    return kpar_x_div(e, kpar_x_constant(e, 1),
                      kpar_x_sqrt(e, kpar_x_add(e, x, kpar_x_constant(e, epsilon))));
}

static kpar_status square_of_difference(kpar_lowering *lowering, kpar_value_id a, kpar_value_id b,
                                        kpar_value_id *out)
{
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x square = kpar_x_square(e, kpar_x_sub(e, kpar_x_input(e, 0), kpar_x_input(e, 1)));
    return kpar_lower_apply(lowering, e, square, (kpar_value_id[]){a, b}, 2, out);
}

/* A weight that lies along the dimensions outside `axes` of x, shaped to meet it. */
static kpar_status weight_along(kpar_lowering *lowering, const kpar_shape *shape, unsigned axes,
                                kpar_weight weight, kpar_value_id *value)
{
    for (int i = 0; i < shape->rank; i++)
        if (!(axes >> i & 1)) weight.dims[weight.rank++] = shape->dims[i].size;
    KPAR_TRY(kpar_lower_weight(lowering, &weight, value));
    return kpar_build_reshape(lowering->graph, kpar_lower_kept(*shape, axes), *value, value);
}

/* What the config says of gamma and beta. */
typedef struct affine {
    bool scale, center;
    kpar_value_id gamma, beta;
} affine;

static kpar_status read_affine(kpar_lowering *lowering, const kpar_shape *shape, unsigned axes, affine *a)
{
    const json_t *config = lowering->layer->config;
    KPAR_TRY(kpar_config_boolean(lowering->owner, config, "scale", true, &a->scale));
    KPAR_TRY(kpar_config_boolean(lowering->owner, config, "center", true, &a->center));
    if (a->scale)
        KPAR_TRY(weight_along(
            lowering, shape, axes,
            (kpar_weight){.name = "gamma", .initializer = "gamma_initializer", .by_default = "Ones"},
            &a->gamma));
    if (a->center)
        KPAR_TRY(weight_along(
            lowering, shape, axes,
            (kpar_weight){.name = "beta", .initializer = "beta_initializer", .by_default = "Zeros"},
            &a->beta));
    return KPAR_OK;
}

/* gamma (x - mean) / sqrt(variance + epsilon) + beta, in one map: what lies between would have to be kept for the gradient.
 * mean -1: 0. */
static kpar_status normalize(kpar_lowering *lowering, kpar_value_id x, kpar_value_id mean,
                             kpar_value_id variance, double epsilon, const affine *a, kpar_value_id *out)
{
    const int n = 2 + (mean >= 0) + a->scale + a->center;
    kpar_value_id inputs[5] = {x};
    int used = 2;
    kpar_expression_builder *e = kpar_expression_begin(1);
    KPAR_TRY(kpar_lower_apply(lowering, e, inverse_root(e, kpar_x_input(e, 0), epsilon), &variance, 1,
                              &inputs[1]));
    e = kpar_expression_begin(n);
    kpar_x value = kpar_x_input(e, 0);
    if (mean >= 0) value = kpar_x_sub(e, value, kpar_x_input(e, used));
    if (mean >= 0) inputs[used++] = mean;
    value = kpar_x_mul(e, value, kpar_x_input(e, 1));
    if (a->scale) value = kpar_x_mul(e, value, kpar_x_input(e, used));
    if (a->scale) inputs[used++] = a->gamma;
    if (a->center) value = kpar_x_add(e, value, kpar_x_input(e, used));
    if (a->center) inputs[used++] = a->beta;
    return kpar_lower_apply(lowering, e, value, inputs, n, out);
}

/* The same where mean and variance lie along the same dimension as gamma and beta: x scale + offset, of small vectors, so that the
 * gradient needs two sums over x only. As Keras computes it. */
static kpar_status scale_and_offset(kpar_lowering *lowering, kpar_value_id x, kpar_value_id mean,
                                    kpar_value_id variance, double epsilon, const affine *a,
                                    kpar_value_id *out)
{
    kpar_value_id small[3] = {variance}, vectors[3] = {x};
    kpar_expression_builder *e = kpar_expression_begin(1 + a->scale);
    kpar_x scale = inverse_root(e, kpar_x_input(e, 0), epsilon);
    if (a->scale) scale = kpar_x_mul(e, scale, kpar_x_input(e, 1));
    small[1] = a->gamma;
    KPAR_TRY(kpar_lower_apply(lowering, e, scale, small, 1 + a->scale, &vectors[1]));
    e = kpar_expression_begin(2 + a->center);
    kpar_x offset = kpar_x_neg(e, kpar_x_mul(e, kpar_x_input(e, 0), kpar_x_input(e, 1)));
    if (a->center) offset = kpar_x_add(e, kpar_x_input(e, 2), offset);
    KPAR_TRY(kpar_lower_apply(lowering, e, offset, (kpar_value_id[]){mean, vectors[1], a->beta},
                              2 + a->center, &vectors[2]));
    e = kpar_expression_begin(3);
    kpar_x value = kpar_x_mul(e, kpar_x_input(e, 0), kpar_x_input(e, 1));
    return kpar_lower_apply(lowering, e, kpar_x_add(e, value, kpar_x_input(e, 2)), vectors, 3, out);
}

static kpar_status begin(kpar_lowering *lowering, const kpar_value_id *inputs, int n_inputs, double *epsilon,
                         double by_default, kpar_value_id *x, kpar_shape *shape)
{
    if (n_inputs != 1 || kpar_lower_shape(lowering, inputs[0])->rank < 2)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected one input of rank 2 or more", lowering->owner);
    KPAR_TRY(kpar_config_number(lowering->owner, lowering->layer->config, "epsilon", by_default, epsilon));
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], x));
    *shape = *kpar_lower_shape(lowering, *x);
    return KPAR_OK;
}

/* Batch normalization: Ioffe and Szegedy (2015). */

/* What counts in the means over a batch (microbatch): real rows, and of these the steps that a mask leaves. */
typedef struct counted {
    unsigned axes;         /* of the means, the batch among them */
    kpar_value_id weights; /* 1 or 0, of leading dimensions of the input */
    kpar_value_id inverse; /* 1 over how many elements there are */
} counted;

static kpar_status count(kpar_lowering *lowering, const kpar_shape *shape, unsigned axes, counted *c)
{
    const kpar_value_id mask = lowering->masks[0];
    double each = 1;
    kpar_value_id sum;
    *c = (counted){.axes = axes, .weights = kpar_lower_row_mask(lowering)};
    if (mask >= 0) KPAR_TRY(kpar_lower_weighted(lowering, mask, c->weights, -1, &c->weights));
    const int rank = kpar_lower_shape(lowering, c->weights)->rank;
    if (mask >= 0 && (rank != shape->rank - 1 || axes >> rank))
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: its input of rank %d has a mask of rank %d; supported are masks of all "
                         "dimensions but the last, with axis -1",
                         lowering->owner, shape->rank, rank);
    for (int i = rank; i < shape->rank; i++)
        if (axes >> i & 1) each *= (double)shape->dims[i].size;
    KPAR_TRY(kpar_build_reduce(lowering->graph, KPAR_REDUCE_SUM, (1u << rank) - 1, c->weights, &sum));
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x n = mask < 0 ? kpar_x_max(e, kpar_x_input(e, 0), kpar_x_constant(e, 1)) /* an empty batch: 0 / 1 */
                        : kpar_x_add(e, kpar_x_input(e, 0), kpar_x_constant(e, 1e-7));
    kpar_x value = kpar_x_div(e, kpar_x_constant(e, 1), kpar_x_mul(e, n, kpar_x_constant(e, each)));
    return kpar_lower_apply(lowering, e, value, &sum, 1, &c->inverse);
}

static kpar_status batch_mean(kpar_lowering *lowering, const counted *c, kpar_value_id x, kpar_value_id *mean)
{
    KPAR_TRY(kpar_lower_weighted(lowering, x, c->weights, -1, mean));
    KPAR_TRY(kpar_lower_reduce(lowering, KPAR_REDUCE_SUM, c->axes, true, *mean, mean));
    return kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, *mean, c->inverse, mean);
}

/* Differences from the mean add up to 0, so the mean has no part in the gradient. */
static kpar_status batch_variance(kpar_lowering *lowering, const counted *c, kpar_value_id x,
                                  kpar_value_id mean, kpar_value_id *variance)
{
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x square = kpar_x_square(e, kpar_x_sub(e, kpar_x_input(e, 0), kpar_x_stop(e, kpar_x_input(e, 1))));
    KPAR_TRY(kpar_lower_apply(lowering, e, square, (kpar_value_id[]){x, mean}, 2, variance));
    return batch_mean(lowering, c, *variance, variance);
}

/* average momentum + statistic (1 - momentum), of the mean over microbatches. */
static kpar_status move_average(kpar_lowering *lowering, double momentum, kpar_value_id average,
                                kpar_value_id statistic)
{
    kpar_graph *g = lowering->graph;
    kpar_value_id next =
        kpar_graph_next_state(g, average); /* a layer that is called again goes on from there */
    KPAR_TRY(kpar_build_reshape(g, *kpar_lower_shape(lowering, average), statistic, &statistic));
    KPAR_TRY(kpar_build_accumulate(g, statistic, &statistic));
    g->phase = KPAR_PHASE_UPDATE;
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x kept_part = kpar_x_mul(e, kpar_x_input(e, 0), kpar_x_constant(e, momentum));
    kpar_x new_part =
        kpar_x_mul(e, kpar_x_input(e, 1), kpar_x_constant(e, (1 - momentum) / lowering->microbatches));
    KPAR_TRY(kpar_lower_apply(lowering, e, kpar_x_add(e, kept_part, new_part),
                              (kpar_value_id[]){next, statistic}, 2, &next));
    kpar_graph_set_state(g, average, next);
    g->phase = KPAR_PHASE_MICROBATCH;
    return KPAR_OK;
}

/* A moving statistic: a frozen weight along the dimension, and the same shaped to meet x. */
typedef struct moving {
    kpar_value_id variable, shaped;
} moving;

static kpar_status lower_moving(kpar_lowering *lowering, const kpar_shape *shape, unsigned axes,
                                kpar_weight weight, moving *m)
{
    for (int i = 0; i < shape->rank; i++)
        if (!(axes >> i & 1)) weight.dims[weight.rank++] = shape->dims[i].size;
    weight.frozen = true;
    KPAR_TRY(kpar_lower_weight(lowering, &weight, &m->variable));
    return kpar_build_reshape(lowering->graph, kpar_lower_kept(*shape, axes), m->variable, &m->shaped);
}

KPAR_LAYER(batch_normalization)
{
    double epsilon, momentum;
    int64_t axis;
    int dim;
    kpar_value_id x, mean, variance;
    kpar_shape shape;
    affine a;
    counted c;
    moving means, variances;
    KPAR_TRY(begin(lowering, inputs, n_inputs, &epsilon, 1e-3, &x, &shape));
    KPAR_TRY(kpar_config_number(lowering->owner, lowering->layer->config, "momentum", 0.99, &momentum));
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, "axis", -1, &axis));
    KPAR_TRY(kpar_lower_dim(lowering, axis, shape.rank, &dim));
    const unsigned axes = ((1u << shape.rank) - 1) & ~(1u << dim);
    KPAR_TRY(read_affine(lowering, &shape, axes, &a));
    KPAR_TRY(lower_moving(
        lowering, &shape, axes,
        (kpar_weight){.name = "moving_mean", .initializer = "moving_mean_initializer", .by_default = "Zeros"},
        &means));
    KPAR_TRY(lower_moving(lowering, &shape, axes,
                          (kpar_weight){.name = "moving_variance",
                                        .initializer = "moving_variance_initializer",
                                        .by_default = "Ones"},
                          &variances));
    mean = means.shaped;
    variance = variances.shaped;
    if (lowering->mode == KPAR_MODE_TRAIN && lowering->layer->trainable) {
        lowering->batch_statistics = lowering->owner;
        KPAR_TRY(count(lowering, &shape, axes, &c));
        KPAR_TRY(batch_mean(lowering, &c, x, &mean));
        KPAR_TRY(batch_variance(lowering, &c, x, mean, &variance));
        KPAR_TRY(move_average(lowering, momentum, means.variable, mean));
        KPAR_TRY(move_average(lowering, momentum, variances.variable, variance));
    }
    return scale_and_offset(lowering, x, mean, variance, epsilon, &a, output);
}

/* Layer normalization: Ba, Kiros and Hinton (2016). */
KPAR_LAYER(layer_normalization)
{
    double epsilon;
    unsigned axes;
    kpar_value_id x, mean, variance;
    kpar_shape shape;
    affine a;
    KPAR_TRY(begin(lowering, inputs, n_inputs, &epsilon, 1e-3, &x, &shape));
    KPAR_TRY(kpar_lower_axes(lowering, shape.rank, &axes));
    KPAR_TRY(read_affine(lowering, &shape, ((1u << shape.rank) - 1) & ~axes, &a));
    KPAR_TRY(kpar_lower_mean(lowering, axes, true, x, &mean));
    KPAR_TRY(square_of_difference(lowering, x, mean, &variance));
    KPAR_TRY(kpar_lower_mean(lowering, axes, true, variance, &variance));
    return normalize(lowering, x, mean, variance, epsilon, &a, output);
}

/* Gamma and beta, a number a channel, shaped to meet channels within groups. */
static kpar_status group_affine(kpar_lowering *lowering, const kpar_shape *grouped, affine *a)
{
    const kpar_shape channels = kpar_lower_kept(*grouped, (1u << (grouped->rank - 2)) - 1);
    if (a->scale) KPAR_TRY(kpar_build_reshape(lowering->graph, channels, a->gamma, &a->gamma));
    if (a->center) KPAR_TRY(kpar_build_reshape(lowering->graph, channels, a->beta, &a->beta));
    return KPAR_OK;
}

/* Group normalization: Wu and He (2018). Groups of neighbouring channels. */
KPAR_LAYER(group_normalization)
{
    double epsilon;
    int64_t groups, axis;
    int dim;
    kpar_value_id x, mean, variance;
    kpar_shape shape;
    affine a;
    KPAR_TRY(begin(lowering, inputs, n_inputs, &epsilon, 1e-3, &x, &shape));
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, "groups", 32, &groups));
    KPAR_TRY(kpar_config_integer(lowering->owner, lowering->layer->config, "axis", -1, &axis));
    KPAR_TRY(kpar_lower_dim(lowering, axis, shape.rank, &dim));
    const int last = shape.rank - 1;
    const int64_t channels = shape.dims[dim].size;
    if (groups == -1) groups = channels;
    if (groups < 1 || channels % groups != 0 || shape.rank == KPAR_MAX_RANK)
        return kpar_fail(
            KPAR_EUNSUPPORTED,
            "%s: expected groups that divide the %lld channels, and fewer than %d dimensions, found "
            "%lld groups and %d dimensions",
            lowering->owner, (long long)channels, KPAR_MAX_RANK, (long long)groups, shape.rank);
    KPAR_TRY(kpar_lower_move(lowering, dim, last, x, &x));
    shape = *kpar_lower_shape(lowering, x);
    kpar_shape grouped = shape;
    grouped.dims[last].size = groups;
    grouped.dims[grouped.rank++] = (kpar_dim){channels / groups, false};
    const unsigned axes =
        ((1u << grouped.rank) - 1) & ~(1u | 1u << last); /* all but the batch and the group */
    KPAR_TRY(read_affine(lowering, &shape, ((1u << shape.rank) - 1) & ~(1u << last), &a));
    KPAR_TRY(kpar_build_reshape(lowering->graph, grouped, x, &x));
    KPAR_TRY(kpar_lower_mean(lowering, axes, true, x, &mean));
    KPAR_TRY(square_of_difference(lowering, x, mean, &variance));
    KPAR_TRY(kpar_lower_mean(lowering, axes, true, variance, &variance));
    KPAR_TRY(group_affine(lowering, &grouped, &a));
    KPAR_TRY(normalize(lowering, x, mean, variance, epsilon, &a, &x));
    KPAR_TRY(kpar_build_reshape(lowering->graph, shape, x, output));
    return kpar_lower_move(lowering, last, dim, *output, output);
}

/* RMS normalization: Zhang and Sennrich (2019). */
KPAR_LAYER(rms_normalization)
{
    double epsilon;
    unsigned axes;
    kpar_value_id x, squares;
    kpar_shape shape;
    affine a = {.scale = true};
    KPAR_TRY(begin(lowering, inputs, n_inputs, &epsilon, 1e-6, &x, &shape));
    KPAR_TRY(kpar_lower_axes(lowering, shape.rank, &axes));
    KPAR_TRY(weight_along(lowering, &shape, ((1u << shape.rank) - 1) & ~axes,
                          (kpar_weight){.name = "scale", .initializer = "", .by_default = "Ones"}, &a.gamma));
    KPAR_TRY(kpar_build_unary(lowering->graph, KPAR_SCALAR_SQUARE, x, &squares));
    KPAR_TRY(kpar_lower_mean(lowering, axes, true, squares, &squares));
    return normalize(lowering, x, -1, squares, epsilon, &a, output);
}

/* x over its length along `axis`. */
KPAR_LAYER(unit_normalization)
{
    double epsilon;
    unsigned axes;
    kpar_value_id x;
    kpar_shape shape;
    KPAR_TRY(begin(lowering, inputs, n_inputs, &epsilon, 1e-12, &x, &shape));
    KPAR_TRY(kpar_lower_axes(lowering, shape.rank, &axes));
    return kpar_lower_unit_length(lowering, axes, epsilon, x, output);
}
