/* Loss scaling: a factor on the loss, so that small gradients do not vanish. A fixed one is the optimizer's own argument; the
 * factor of a LossScaleOptimizer follows the gradients: it halves after a step in which one is not finite, which changes
 * nothing else, and doubles after a number of others (Micikevicius et al., Mixed Precision Training, 2018). */
#include "model/lower_optimizer.h"

#include <float.h>
#include <math.h>

/* As Keras numbers the optimizer's variables; those of the inner optimizer follow. */
enum { OWN_ITERATION, OWN_LEARNING_RATE, STEP_COUNTER, DYNAMIC_SCALE, OWN_VARIABLES };

static const struct {
    const char *name;
    kpar_dtype dtype;
} own_variables[OWN_VARIABLES] = {
    [OWN_ITERATION] = {"iteration", KPAR_I64},
    [OWN_LEARNING_RATE] = {"learning_rate", KPAR_F32},
    [STEP_COUNTER] = {"step_counter", KPAR_I32},
    [DYNAMIC_SCALE] = {"dynamic_scale", KPAR_F32},
};

/* A scale this small is that of gradients which are not finite whatever the scale. */
#define LEAST_SCALE 0x1p-24

static const json_t *scaling_of(const kpar_lowering *lowering) { return lowering->model->loss_scaling; }

static const char *owner_of(kpar_lowering *lowering)
{
    return kpar_arena_printf(lowering->arena, "%s: optimizer (LossScaleOptimizer)", lowering->model->file);
}

bool kpar_scaling_is_dynamic(const kpar_lowering *lowering) { return scaling_of(lowering) != NULL; }

kpar_status kpar_scaling_name(kpar_lowering *lowering, const char *inner, const char **name)
{
    *name = inner;
    if (!kpar_scaling_is_dynamic(lowering)) return KPAR_OK;
    return kpar_config_string(owner_of(lowering), scaling_of(lowering), "name", "loss_scale_optimizer", name);
}

int kpar_scaling_variables(const kpar_lowering *lowering)
{
    return kpar_scaling_is_dynamic(lowering) ? OWN_VARIABLES : 0;
}

const char *kpar_scaling_inner_group(const kpar_lowering *lowering)
{
    return kpar_scaling_is_dynamic(lowering) ? "optimizer/inner_optimizer" : NULL;
}

static kpar_status own_variable(kpar_lowering *lowering, int number, kpar_value_id *value)
{
    kpar_variable v = {.path = kpar_arena_printf(lowering->arena, "optimizer/vars/%d", number),
                       .layer = "",
                       .name = own_variables[number].name,
                       .kind = KPAR_VARIABLE_SCALAR,
                       .dtype = own_variables[number].dtype,
                       .layer_index = -1,
                       .of = -1};
    if (number == DYNAMIC_SCALE)
        KPAR_TRY(kpar_config_number(owner_of(lowering), scaling_of(lowering), "initial_scale", 0x1p15,
                                    &v.initial));
    *value = kpar_lower_variable(lowering, kpar_catalog_add(lowering->catalog, &v));
    return KPAR_OK;
}

kpar_status kpar_lower_scaled_loss(kpar_lowering *lowering, kpar_value_id loss, kpar_value_id *scaled)
{
    kpar_value_id scale;
    double factor;
    *scaled = loss;
    if (kpar_scaling_is_dynamic(lowering)) {
        KPAR_TRY(own_variable(lowering, DYNAMIC_SCALE, &scale));
        return kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, loss, scale, scaled);
    }
    KPAR_TRY(kpar_optimizer_fixed_scale(lowering, &factor));
    return factor == 1 ? KPAR_OK : kpar_build_affine(lowering->graph, loss, factor, 0, scaled);
}

kpar_status kpar_scaling_begin(kpar_lowering *lowering, kpar_optimizer *o)
{
    o->scale = o->finite = -1;
    if (!kpar_scaling_is_dynamic(lowering)) return KPAR_OK;
    if (o->row->members || o->row->scalar.name)
        return kpar_fail(
            KPAR_EUNSUPPORTED,
            "%s: around %s it is not supported: Keras does not save all of the state; take another optimizer",
            owner_of(lowering), o->row->class_name);
    o->group = kpar_scaling_inner_group(lowering);
    KPAR_TRY(kpar_lower_known(lowering, owner_of(lowering), scaling_of(lowering), "",
                              "name inner_optimizer initial_scale dynamic_growth_steps", ""));
    for (int i = 0; i < OWN_VARIABLES; i++) {
        kpar_value_id value;
        KPAR_TRY(own_variable(lowering, i, &value));
        kpar_graph_set_state(lowering->graph, value, value);
        if (i == DYNAMIC_SCALE) o->scale = value;
    }
    return KPAR_OK;
}

kpar_x kpar_scaling_not_finite(kpar_expression_builder *e, kpar_x gradient)
{
    kpar_x finite = kpar_x_le(e, kpar_x_abs(e, gradient), kpar_x_constant(e, FLT_MAX));
    return kpar_x_sub(e, kpar_x_constant(e, 1), finite);
}

/* The scale and the steps since it last changed. */
static kpar_status adapt(kpar_lowering *lowering, const kpar_optimizer *o)
{
    kpar_graph *g = lowering->graph;
    int64_t growth;
    kpar_value_id counter, next[2];
    KPAR_TRY(own_variable(lowering, STEP_COUNTER, &counter));
    KPAR_TRY(
        kpar_config_integer(owner_of(lowering), scaling_of(lowering), "dynamic_growth_steps", 2000, &growth));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x finite = kpar_x_input(e, 0), steps = kpar_x_input(e, 1), scale = kpar_x_input(e, 2);
    kpar_x zero = kpar_x_constant(e, 0), two = kpar_x_constant(e, 2);
    kpar_x grows = kpar_x_eq(e, steps, kpar_x_constant(e, (double)growth - 1));
    kpar_x counted = kpar_x_select(e, grows, zero, kpar_optimizer_next(e, steps));
    kpar_x grown = kpar_x_select(e, grows, kpar_x_mul(e, scale, two), scale);
    const kpar_x outputs[2] = {kpar_x_select(e, finite, counted, zero),
                               kpar_x_select(e, finite, grown, kpar_x_div(e, scale, two))};
    const kpar_expression *formulas = kpar_expression_end(e, lowering->arena, outputs, 2);
    KPAR_TRY(kpar_build_map_many(g, formulas, (kpar_value_id[]){o->finite, counter, o->scale}, 3, next));
    kpar_graph_set_state(g, counter, next[0]);
    kpar_graph_set_state(g, o->scale, next[1]);
    return KPAR_OK;
}

/* Steps without an update end when no scale helps. */
static kpar_status guard(kpar_lowering *lowering, const kpar_optimizer *o)
{
    kpar_value_id value;
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x zero = kpar_x_constant(e, 0), least = kpar_x_constant(e, LEAST_SCALE);
    kpar_x hopeless = kpar_x_le(e, kpar_x_input(e, 1), least);
    kpar_x failed = kpar_x_sub(e, kpar_x_constant(e, 1), kpar_x_input(e, 0));
    /* 0, or infinite */
    kpar_x outcome = kpar_x_select(e, kpar_x_mul(e, hopeless, failed), kpar_x_constant(e, INFINITY), zero);
    KPAR_TRY(kpar_lower_apply(lowering, e, outcome, (kpar_value_id[]){o->finite, o->scale}, 2, &value));
    kpar_graph_add_output(lowering->graph, KPAR_OUTPUT_GUARD, 0, value);
    return KPAR_OK;
}

kpar_status kpar_scaling_decide(kpar_lowering *lowering, kpar_optimizer *o, kpar_value_id not_finite)
{
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x finite = kpar_x_eq(e, kpar_x_input(e, 0), kpar_x_constant(e, 0));
    KPAR_TRY(kpar_lower_apply(lowering, e, finite, &not_finite, 1, &o->finite));
    KPAR_TRY(adapt(lowering, o));
    return guard(lowering, o);
}
