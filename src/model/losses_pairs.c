/* Losses of pairs of rows: Sun et al., "Circle loss: a unified perspective of pair similarity optimization" (2020). */
#include "model/losses.h"

/* What there is of each row of the global batch, side by side; rows that a short batch lacks are zeros. A rank adds the
 * rows that it has, so that what ranks exchange is one sum. */
typedef struct others {
    kpar_value_id place;                    /* (batch, n): 1 where a row itself is */
    kpar_value_id embeddings, labels, real; /* (n, size), (1, n), (1, n) */
} others;

/* x (batch, m) as (n, m). */
static kpar_status side_by_side(kpar_lowering *lowering, const others *o, kpar_value_id x, kpar_value_id *out)
{
    return kpar_build_matmul(lowering->graph, o->place, true, x, false, out);
}

/* x (batch) as (1, n). */
static kpar_status in_a_row(kpar_lowering *lowering, const others *o, kpar_value_id x, kpar_value_id *out)
{
    KPAR_TRY(kpar_lower_insert(lowering, 1, x, &x));
    KPAR_TRY(side_by_side(lowering, o, x, out));
    return kpar_build_transpose(lowering->graph, (const int[]){1, 0}, *out, out);
}

static kpar_status gather_others(kpar_lowering *lowering, kpar_value_id embeddings, kpar_value_id labels,
                                 others *o)
{
    const kpar_shape each_row = {.rank = 1, .dims = {{1, true}}};
    const kpar_value_id rows = kpar_lower_row_mask(lowering);
    const kpar_value_id position =
        kpar_graph_source(lowering->graph, KPAR_FROM_ROW_POSITION, 0, KPAR_I64, each_row);
    KPAR_TRY(kpar_lower_one_hot(lowering, position, lowering->batch_size, &o->place));
    KPAR_TRY(kpar_lower_weighted(lowering, o->place, rows, -1, &o->place));
    KPAR_TRY(side_by_side(lowering, o, embeddings, &o->embeddings));
    KPAR_TRY(in_a_row(lowering, o, labels, &o->labels));
    return in_a_row(lowering, o, rows, &o->real);
}

/* Arguments of the loss. */
typedef struct circle {
    double gamma, margin;
    bool remove_diagonal;
} circle;

/* log(sum(exp(gamma w (d - margin)))) over the pairs of one label, or log(sum(exp(gamma w (1 - margin - d)))) over those of
 * two, d being their distance: w = max(margin + d, 0) or max(1 + margin - d, 0). */
static kpar_status pull(kpar_lowering *lowering, const circle *c, bool alike, kpar_value_id distances,
                        const others *o, kpar_value_id labels, kpar_value_id *out)
{
    enum { NONE = -1000000000 }; /* what a row without such a pair has, as good as -infinity */
    const kpar_value_id inputs[] = {distances, labels, o->labels, o->real, o->place};
    kpar_expression_builder *e = kpar_expression_begin(5);
    const kpar_x d = kpar_x_input(e, 0), zero = kpar_x_constant(e, 0), one = kpar_x_constant(e, 1),
                 margin = kpar_x_constant(e, c->margin);
    const kpar_x same = kpar_x_eq(e, kpar_x_input(e, 1), kpar_x_input(e, 2));
    const kpar_x near = kpar_x_sub(e, d, margin), far = kpar_x_sub(e, kpar_x_constant(e, 1 - c->margin), d);
    const kpar_x near_weight = kpar_x_add(e, margin, d),
                 far_weight = kpar_x_sub(e, kpar_x_constant(e, 1 + c->margin), d);
    kpar_x counts = kpar_x_mul(e, alike ? same : kpar_x_sub(e, one, same), kpar_x_input(e, 3));
    if (alike && c->remove_diagonal) counts = kpar_x_mul(e, counts, kpar_x_sub(e, one, kpar_x_input(e, 4)));
    kpar_x value = kpar_x_mul(e, kpar_x_max(e, alike ? near_weight : far_weight, zero), alike ? near : far);
    value = kpar_x_mul(e, value, kpar_x_constant(e, c->gamma));
    value = kpar_x_select(e, kpar_x_eq(e, counts, zero), kpar_x_constant(e, NONE), value);
    KPAR_TRY(kpar_lower_apply(lowering, e, value, inputs, 5, out));
    return kpar_lower_log_sum(lowering, 1u << 1, false, *out, out);
}

/* softplus of both; rows where it is 0, such as those without a pair of either kind, do not count. */
KPAR_LOSS(circle)
{
    circle c;
    others o;
    kpar_value_id distances, pulls[2], column;
    char text[KPAR_SHAPE_TEXT];
    const kpar_shape *shape = kpar_lower_shape(lowering, prediction);
    if (shape->rank != 2)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: predictions have shape %s, expected (batch, size)", owner,
                         kpar_shape_format(text, shape));
    KPAR_TRY(kpar_config_number(owner, config, "gamma", 80, &c.gamma));
    KPAR_TRY(kpar_config_number(owner, config, "margin", 0.4, &c.margin));
    KPAR_TRY(kpar_config_boolean(owner, config, "remove_diagonal", true, &c.remove_diagonal));
    lowering->batch_statistics = owner;
    KPAR_TRY(kpar_lower_real(lowering, labels, &labels));
    KPAR_TRY(gather_others(lowering, prediction, labels, &o));
    KPAR_TRY(kpar_build_matmul(lowering->graph, prediction, false, o.embeddings, true, &distances));
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x distance = kpar_x_sub(e, kpar_x_constant(e, 1), kpar_x_input(e, 0));
    distance = kpar_x_max(e, distance, kpar_x_constant(e, 0));
    KPAR_TRY(kpar_lower_apply(lowering, e, distance, &distances, 1, &distances));
    KPAR_TRY(kpar_lower_insert(lowering, 1, labels, &column));
    KPAR_TRY(pull(lowering, &c, true, distances, &o, column, &pulls[0]));
    KPAR_TRY(pull(lowering, &c, false, distances, &o, column, &pulls[1]));
    e = kpar_expression_begin(2);
    const kpar_x both = kpar_x_add(e, kpar_x_input(e, 0), kpar_x_input(e, 1));
    KPAR_TRY(kpar_lower_apply(lowering, e, kpar_x_softplus(e, both), pulls, 2, values));
    lowering->values_mask_moves = true;
    return kpar_lower_truth(lowering, *values, &lowering->values_mask);
}
