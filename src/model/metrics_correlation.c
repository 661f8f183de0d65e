/* Correlations of the values of each row with their labels, along a dimension. */
#include "model/metrics.h"

/* Values less their mean, the mean, and their mean square after that: all (batch, ..., n or 1). */
typedef struct moments {
    kpar_value_id centered, mean, variance;
} moments;

static kpar_status find_moments(kpar_lowering *lowering, kpar_value_id x, moments *m)
{
    const unsigned last = 1u << (kpar_lower_shape(lowering, x)->rank - 1);
    kpar_graph *g = lowering->graph;
    KPAR_TRY(kpar_lower_mean(lowering, last, true, x, &m->mean));
    KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_SUBTRACT, x, m->mean, &m->centered));
    KPAR_TRY(kpar_build_unary(g, KPAR_SCALAR_SQUARE, m->centered, &m->variance));
    return kpar_lower_mean(lowering, last, true, m->variance, &m->variance);
}

/* The config's 'axis' becomes the last dimension. */
static kpar_status take_axis(kpar_lowering *lowering, const json_t *config, const char *owner,
                             kpar_value_id *prediction, kpar_value_id *labels)
{
    const int rank = kpar_lower_shape(lowering, *prediction)->rank;
    unsigned axes;
    int dim = 0;
    KPAR_TRY(kpar_axes_in(owner, config, "axis", rank, &axes));
    while (!(axes >> dim & 1)) dim++;
    KPAR_TRY(kpar_lower_move(lowering, dim, rank - 1, *prediction, prediction));
    return kpar_lower_move(lowering, dim, rank - 1, *labels, labels);
}

/* The mean of (y - mean of y) (p - mean of p) over the product of their standard deviations. */
kpar_status kpar_metric_pearson(kpar_lowering *lowering, const json_t *config, const char *owner,
                                kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    moments p, y;
    KPAR_TRY(take_axis(lowering, config, owner, &prediction, &labels));
    KPAR_TRY(find_moments(lowering, prediction, &p));
    KPAR_TRY(find_moments(lowering, labels, &y));
    kpar_expression_builder *e = kpar_expression_begin(4);
    kpar_x of_p = kpar_x_div(e, kpar_x_input(e, 0), kpar_x_sqrt(e, kpar_x_input(e, 1)));
    kpar_x of_y = kpar_x_div(e, kpar_x_input(e, 2), kpar_x_sqrt(e, kpar_x_input(e, 3)));
    const kpar_value_id inputs[] = {p.centered, p.variance, y.centered, y.variance};
    KPAR_TRY(kpar_lower_apply(lowering, e, kpar_x_mul(e, of_p, of_y), inputs, 4, values));
    return kpar_lower_mean_last(lowering, *values, values);
}

/* Twice the covariance over the variances and the square of the means' distance. Keras takes labels less the mean of
 * predictions, which gives the same sum. */
kpar_status kpar_metric_concordance(kpar_lowering *lowering, const json_t *config, const char *owner,
                                    kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
{
    moments p, y;
    kpar_value_id product;
    KPAR_TRY(take_axis(lowering, config, owner, &prediction, &labels));
    KPAR_TRY(find_moments(lowering, prediction, &p));
    KPAR_TRY(find_moments(lowering, labels, &y));
    KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, p.centered, y.centered, &product));
    kpar_expression_builder *e = kpar_expression_begin(5);
    kpar_x far = kpar_x_square(e, kpar_x_sub(e, kpar_x_input(e, 3), kpar_x_input(e, 4)));
    kpar_x norm = kpar_x_add(e, kpar_x_add(e, kpar_x_input(e, 1), kpar_x_input(e, 2)), far);
    kpar_x twice = kpar_x_mul(e, kpar_x_constant(e, 2), kpar_x_input(e, 0));
    kpar_x value = kpar_x_div(e, twice, kpar_x_add(e, norm, kpar_x_constant(e, 1e-7)));
    const kpar_value_id inputs[] = {product, p.variance, y.variance, p.mean, y.mean};
    KPAR_TRY(kpar_lower_apply(lowering, e, value, inputs, 5, values));
    return kpar_lower_mean_last(lowering, *values, values);
}
