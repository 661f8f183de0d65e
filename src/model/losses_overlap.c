/* Losses of overlaps: Milletari et al., "V-Net" (2016); Salehi et al., "Tversky loss function for image segmentation"
 * (2017). */
#include "model/losses.h"

#include <string.h>

/* What an overlap is taken of. */
typedef struct overlap {
    unsigned axes; /* that are summed over */
    kpar_value_id prediction, labels,
        rows; /* rows: 1 or 0, whether a row is one of the batch's; -1: rows are apart */
} overlap;

/* Without 'axis' the sums are over the whole batch. The one value that there is then is reduced no further: a sum is that
 * of a mean, unless weights make several values of it. */
static kpar_status begin_overlap(kpar_lowering *lowering, const json_t *config, const char *owner, overlap *o)
{
    const int rank = kpar_lower_shape(lowering, o->prediction)->rank;
    const char *reduction;
    o->rows = -1;
    if (kpar_config_has(config, "axis")) return kpar_axes_in(owner, config, "axis", rank, &o->axes);
    KPAR_TRY(kpar_config_string(owner, config, "reduction", "none", &reduction));
    if (strcmp(reduction, "sum") == 0 || strcmp(reduction, "none") == 0)
        lowering->label_ranges[lowering->output].unweighted = owner;
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

/* One value for the whole batch is that of each row. */
static kpar_status lower_overlap(kpar_lowering *lowering, const json_t *config, const char *owner,
                                 double alpha, double beta, double epsilon, overlap *o, kpar_value_id *values)
{
    kpar_value_id sums[3];
    KPAR_TRY(begin_overlap(lowering, config, owner, o));
    KPAR_TRY(overlap_sums(lowering, o, sums));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x value = distance(e, alpha, beta, epsilon);
    KPAR_TRY(kpar_lower_apply(lowering, e, value, sums, 3, values));
    if (o->rows < 0) return KPAR_OK;
    return kpar_build_broadcast(lowering->graph, *kpar_lower_shape(lowering, o->rows), *values, values);
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
