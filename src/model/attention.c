/* What layers of attention share. */
#include "model/attention.h"

kpar_status kpar_attention_also(kpar_lowering *lowering, kpar_value_id other, kpar_value_id *allowed)
{
    if (other < 0) return KPAR_OK;
    if (*allowed < 0) {
        *allowed = other;
        return KPAR_OK;
    }
    return kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, *allowed, other, allowed);
}

/* 1 where key j may be seen by query i. */
static kpar_x is_near(kpar_expression_builder *e, kpar_x i, kpar_x j, bool causal, int64_t window)
{
    const kpar_x one = kpar_x_constant(e, 1);
    const kpar_x near = causal ? kpar_x_le(e, j, i) : one;
    if (window == 0) return near;
    const kpar_x steps = kpar_x_abs(e, kpar_x_sub(e, i, j));
    return kpar_x_mul(e, near, kpar_x_lt(e, steps, kpar_x_constant(e, (double)window)));
}

kpar_status kpar_attention_near(kpar_lowering *lowering, kpar_dim queries, kpar_dim keys, bool causal,
                                int64_t window, kpar_value_id *allowed)
{
    kpar_graph *g = lowering->graph;
    const kpar_shape column = {.rank = 2, .dims = {queries, {1, false}}}, row = {.rank = 1, .dims = {keys}};
    kpar_value_id steps[2], near;
    if (!causal && window == 0) return KPAR_OK;
    KPAR_TRY(kpar_build_iota(g, 0, g->real, column, &steps[0]));
    KPAR_TRY(kpar_build_iota(g, 0, g->real, row, &steps[1]));
    kpar_expression_builder *e = kpar_expression_begin(2);
    const kpar_x result = is_near(e, kpar_x_input(e, 0), kpar_x_input(e, 1), causal, window);
    KPAR_TRY(kpar_lower_apply(lowering, e, result, steps, 2, &near));
    return kpar_attention_also(lowering, near, allowed);
}

kpar_status kpar_attention_where(kpar_lowering *lowering, kpar_value_id allowed, kpar_value_id values,
                                 double otherwise, kpar_value_id *out)
{
    *out = values;
    if (allowed < 0) return KPAR_OK;
    kpar_expression_builder *e = kpar_expression_begin(2);
    const kpar_x result =
        kpar_x_select(e, kpar_x_input(e, 0), kpar_x_input(e, 1), kpar_x_constant(e, otherwise));
    return kpar_lower_apply(lowering, e, result, (kpar_value_id[]){allowed, values}, 2, out);
}

kpar_status kpar_attention_dropout(const kpar_lowering *lowering, double *rate)
{
    KPAR_TRY(kpar_config_number(lowering->owner, lowering->layer->config, "dropout", 0, rate));
    if (*rate >= 0 && *rate <= 1) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s: argument 'dropout' is %g, expected 0 to 1", lowering->owner, *rate);
}

bool kpar_call_says(const kpar_lowering *lowering, const char *name)
{
    return json_is_true(json_object_get(lowering->model->calls[lowering->call].kwargs, name));
}
