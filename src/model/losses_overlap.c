/* Losses of overlaps: Milletari et al., "V-Net" (2016); Salehi et al., "Tversky loss function for image segmentation"
 * (2017). */
#include "model/losses.h"

#include <string.h>

/* What an overlap is taken of. */
typedef struct overlap {
    unsigned axes; /* that are summed over */
    kpar_value_id prediction, labels,
        rows;      /* rows: 1 or 0, whether a row is one of the batch's; -1: rows are apart */
    double factor; /* of a value, so that the mean is what the reduction makes of all */
} overlap;

/* How many values there are where the batch is summed over. */
static double values_left(const overlap *o, const kpar_shape *shape)
{
    double n = 1;
    for (int i = 1; i < shape->rank; i++)
        if (!(o->axes >> i & 1)) n *= (double)shape->dims[i].size;
    return n;
}

/* Without 'axis' the one value that there is for the whole batch is reduced no further: a sum is that of a mean, unless
 * weights make several values of it. Where only some dimensions are summed over with the batch, each row is given what the
 * others leave, and the reductions are of these. */
static kpar_status reduce_batch(kpar_lowering *lowering, const json_t *config, const char *owner, overlap *o)
{
    const kpar_shape *shape = kpar_lower_shape(lowering, o->prediction);
    const bool one = o->axes == (1u << shape->rank) - 1;
    const char *reduction;
    KPAR_TRY(kpar_config_string(owner, config, "reduction", "none", &reduction));
    const bool sum = strcmp(reduction, "sum") == 0, none = strcmp(reduction, "none") == 0;
    if (!one && none)
        return kpar_fail(
            KPAR_EUNSUPPORTED,
            "%s: argument 'reduction' is \"none\" of sums over the batch and other dimensions; take "
            "another",
            owner);
    if (!one || sum || none) lowering->weight_ranges[lowering->output].unweighted = owner;
    if (sum) o->factor = values_left(o, shape);
    lowering->batch_statistics = owner;
    o->rows = kpar_lower_row_mask(lowering);
    return KPAR_OK;
}

static kpar_status begin_overlap(kpar_lowering *lowering, const json_t *config, const char *owner, overlap *o)
{
    const int rank = kpar_lower_shape(lowering, o->prediction)->rank;
    o->rows = -1;
    o->factor = 1;
    o->axes = (1u << rank) - 1;
    if (kpar_config_has(config, "axis"))
        KPAR_TRY(kpar_axes_with_batch(owner, config, "axis", rank, &o->axes));
    return o->axes & 1 ? reduce_batch(lowering, config, owner, o) : KPAR_OK;
}

/* The sum of p y, or of p (1 - y), or of (1 - p) y. */
static kpar_status overlap_sum(kpar_lowering *lowering, const overlap *o, bool predicted, bool labelled,
                               kpar_value_id *sum)
{
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x p = kpar_x_input(e, 0), y = kpar_x_input(e, 1), one = kpar_x_constant(e, 1);
    if (!predicted) p = kpar_x_sub(e, one, p);
    if (!labelled) y = kpar_x_sub(e, one, y);
    KPAR_TRY(kpar_lower_apply(lowering, e, kpar_x_mul(e, p, y), (kpar_value_id[]){o->prediction, o->labels},
                              2, sum));
    if (o->rows >= 0) KPAR_TRY(kpar_lower_weighted(lowering, *sum, o->rows, -1, sum));
    return kpar_build_reduce(lowering->graph, KPAR_REDUCE_SUM, o->axes, *sum, sum);
}

/* 1 - both / (both + alpha missed + beta wrong + epsilon), of these sums. */
static kpar_x distance(kpar_expression_builder *e, double alpha, double beta, double epsilon)
{
    kpar_x both = kpar_x_input(e, 0);
    kpar_x missed = kpar_x_mul(e, kpar_x_input(e, 1), kpar_x_constant(e, alpha));
    kpar_x wrong = kpar_x_mul(e, kpar_x_input(e, 2), kpar_x_constant(e, beta));
    kpar_x all =
        kpar_x_add(e, kpar_x_add(e, both, missed), kpar_x_add(e, wrong, kpar_x_constant(e, epsilon)));
    return kpar_x_sub(e, kpar_x_constant(e, 1), kpar_x_div(e, both, all));
}

static kpar_status overlap_sums(kpar_lowering *lowering, const overlap *o, kpar_value_id *sums)
{
    KPAR_TRY(overlap_sum(lowering, o, true, true, &sums[0]));
    KPAR_TRY(overlap_sum(lowering, o, false, true, &sums[1]));
    return overlap_sum(lowering, o, true, false, &sums[2]);
}

/* Values for the whole batch are those of each row. */
static kpar_status of_each_row(kpar_lowering *lowering, const overlap *o, kpar_value_id *values)
{
    const kpar_shape whole = *kpar_lower_shape(lowering, *values);
    kpar_shape shape = *kpar_lower_shape(lowering, o->rows);
    for (int i = 0; i < whole.rank; i++) shape.dims[shape.rank++] = whole.dims[i];
    KPAR_TRY(kpar_build_affine(lowering->graph, *values, o->factor, 0, values));
    return kpar_build_broadcast(lowering->graph, shape, *values, values);
}

static kpar_status lower_overlap(kpar_lowering *lowering, const json_t *config, const char *owner,
                                 double alpha, double beta, double epsilon, overlap *o, kpar_value_id *values)
{
    kpar_value_id sums[3];
    KPAR_TRY(begin_overlap(lowering, config, owner, o));
    KPAR_TRY(overlap_sums(lowering, o, sums));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x value = distance(e, alpha, beta, epsilon);
    KPAR_TRY(kpar_lower_apply(lowering, e, value, sums, 3, values));
    return o->rows < 0 ? KPAR_OK : of_each_row(lowering, o, values);
}

/* The same as sums over the batch and a formula of them. */
static kpar_status whole_overlap(kpar_lowering *lowering, double alpha, double beta, double epsilon,
                                 overlap *o, kpar_metric_sums *sums)
{
    o->axes = (1u << kpar_lower_shape(lowering, o->prediction)->rank) - 1;
    o->rows = sums->weights;
    KPAR_TRY(overlap_sums(lowering, o, sums->values));
    sums->n = 3;
    sums->e = kpar_expression_begin(3);
    sums->result = distance(sums->e, alpha, beta, epsilon);
    return KPAR_OK;
}

/* 1 - 2 sum(p y) / (sum(p) + sum(y) + epsilon): what is in both counts twice below. */
KPAR_LOSS(dice)
{
    overlap o = {.prediction = prediction, .labels = labels};
    return lower_overlap(lowering, config, owner, 0.5, 0.5, 0.5 * KPAR_EPSILON, &o, values);
}

KPAR_LOSS(tversky)
{
    double alpha, beta;
    overlap o = {.prediction = prediction, .labels = labels};
    KPAR_TRY(kpar_config_number(owner, config, "alpha", 0.5, &alpha));
    KPAR_TRY(kpar_config_number(owner, config, "beta", 0.5, &beta));
    return lower_overlap(lowering, config, owner, alpha, beta, KPAR_EPSILON, &o, values);
}

KPAR_LOSS_SUMS(dice)
{
    overlap o = {.prediction = prediction, .labels = labels};
    (void)config;
    (void)owner;
    return whole_overlap(lowering, 0.5, 0.5, 0.5 * KPAR_EPSILON, &o, sums);
}

KPAR_LOSS_SUMS(tversky)
{
    double alpha, beta;
    overlap o = {.prediction = prediction, .labels = labels};
    KPAR_TRY(kpar_config_number(owner, config, "alpha", 0.5, &alpha));
    KPAR_TRY(kpar_config_number(owner, config, "beta", 0.5, &beta));
    return whole_overlap(lowering, alpha, beta, KPAR_EPSILON, &o, sums);
}
