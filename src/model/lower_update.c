/* Lowering the update: learning rate, then for each weight one map of the optimizer's formula, which makes the new
 * weight and its new slots. Variables of the optimizer in Keras's order: iteration, learning rate (unless there is a
 * schedule), slots. */
#include "model/lower_internal.h"

typedef struct optimizer {
    const kpar_optimizer_row *row;
    const json_t *config; /* NULL: defaults */
    const char *owner;
    double weight_decay, clip; /* clip 0: none */
    kpar_optimizer_slot slots[KPAR_OPTIMIZER_SLOTS];
    int n_slots;
    int *variables;                      /* of slot s of weight i: [i * n_slots + s] */
    kpar_value_id iteration, rate, step; /* step: the iteration as a real number */
    int n_variables;                     /* named so far */
} optimizer;

/* What all optimizers have. Other arguments are refused unless null or false. */
#define COMMON_ARGUMENTS "name learning_rate weight_decay clipvalue ema_momentum ema_overwrite_frequency"

static kpar_status find_optimizer(kpar_lowering *lowering, optimizer *o)
{
    const kpar_model *model = lowering->model;
    const char *name;
    int n;
    const kpar_optimizer_row *rows = kpar_optimizer_rows(&n);
    *o = (optimizer){.owner = kpar_arena_printf(lowering->arena, "%s: optimizer", model->file)};
    if (!model->optimizer || json_is_null(model->optimizer))
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: the model is not compiled with an optimizer; compile it before saving",
                         model->file);
    KPAR_TRY(kpar_config_object(o->owner, model->optimizer, &name, &o->config));
    o->row = kpar_table_find(rows, n, sizeof *rows, name);
    if (!o->row)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: '%s' is not supported; supported are: %s", o->owner, name,
                         kpar_table_names(lowering->arena, rows, n, sizeof *rows));
    o->owner = kpar_arena_printf(lowering->arena, "%s (%s)", o->owner, o->row->class_name);
    return KPAR_OK;
}

kpar_status kpar_lower_optimizer_name(kpar_lowering *lowering, const char **name)
{
    const json_t *json = lowering->model->optimizer, *config = NULL;
    const char *owner = kpar_arena_printf(lowering->arena, "%s: optimizer", lowering->model->file),
               *class_name = "";
    char text[128];
    KPAR_TRY(kpar_config_object(owner, json, &class_name, &config));
    kpar_snake_case(class_name, text, sizeof text);
    return kpar_config_string(owner, config, "name", kpar_arena_strdup(lowering->arena, text), name);
}

static kpar_status read_config(kpar_lowering *lowering, optimizer *o)
{
    KPAR_TRY(kpar_lower_known(lowering, o->owner, o->config, COMMON_ARGUMENTS, o->row->arguments, ""));
    KPAR_TRY(kpar_config_number(o->owner, o->config, "weight_decay", o->row->weight_decay, &o->weight_decay));
    KPAR_TRY(kpar_config_number(o->owner, o->config, "clipvalue", 0, &o->clip));
    return o->row->slots(o->owner, o->config, o->slots, &o->n_slots);
}

static int add_variable(kpar_lowering *lowering, optimizer *o, kpar_variable variable)
{
    variable.path = kpar_arena_printf(lowering->arena, "optimizer/vars/%d", o->n_variables++);
    variable.layer_index = -1;
    if (variable.kind != KPAR_VARIABLE_SLOT) {
        variable.layer = "";
        variable.of = -1;
    }
    return kpar_catalog_add(lowering->catalog, &variable);
}

/* The rate by a schedule, as a map of the iteration. */
static kpar_status schedule_rate(kpar_lowering *lowering, optimizer *o, const json_t *json)
{
    const char *name;
    const json_t *config;
    int n;
    const kpar_schedule_row *rows = kpar_schedule_rows(&n);
    const char *owner = kpar_arena_printf(lowering->arena, "%s: learning_rate", o->owner);
    KPAR_TRY(kpar_config_object(owner, json, &name, &config));
    const kpar_schedule_row *row = kpar_table_find(rows, n, sizeof *rows, name);
    if (!row)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: schedule '%s' is not supported; supported are: %s", owner,
                         name, kpar_table_names(lowering->arena, rows, n, sizeof *rows));
    owner = kpar_arena_printf(lowering->arena, "%s (%s)", owner, row->class_name);
    KPAR_TRY(kpar_lower_known(lowering, owner, config, "name", row->arguments, ""));

    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x rate = 0;
    kpar_status status = row->formula(owner, config, e, kpar_x_input(e, 0), &rate);
    if (status != KPAR_OK) {
        kpar_expression_end(e, lowering->arena, NULL, 0);
        return status;
    }
    return kpar_lower_apply(lowering, e, rate, &o->step, 1, &o->rate);
}

/* The iteration count and what follows from it: its next value, the rate. As in Keras, an optimizer that has nothing to
 * update counts no iterations. */
static kpar_status lower_rate(kpar_lowering *lowering, optimizer *o)
{
    kpar_graph *g = lowering->graph;
    const json_t *json = json_object_get(o->config, "learning_rate");
    o->iteration = kpar_lower_step(lowering);
    o->n_variables = 1;
    kpar_value_id next = o->iteration;
    if (lowering->n_weights > 0) KPAR_TRY(kpar_build_affine(g, o->iteration, 1, 1, &next));
    kpar_graph_set_state(g, o->iteration, next);
    KPAR_TRY(kpar_lower_real(lowering, o->iteration, &o->step));
    if (json_is_object(json)) return schedule_rate(lowering, o, json);

    kpar_variable rate = {.name = "learning_rate", .kind = KPAR_VARIABLE_LEARNING_RATE, .dtype = KPAR_F32};
    KPAR_TRY(kpar_config_number(o->owner, o->config, "learning_rate", o->row->learning_rate, &rate.initial));
    o->rate = kpar_lower_variable(lowering, add_variable(lowering, o, rate));
    kpar_graph_set_state(g, o->rate, o->rate);
    return KPAR_OK;
}

/* Slots of one group weight by weight, the groups one after the other. */
static void add_slots(kpar_lowering *lowering, optimizer *o)
{
    o->variables =
        kpar_arena_alloc(lowering->arena, ((size_t)(lowering->n_weights * o->n_slots) + 1) * sizeof(int));
    for (int group = 0; group < KPAR_OPTIMIZER_SLOTS; group++)
        for (int i = 0; i < lowering->n_weights; i++)
            for (int s = 0; s < o->n_slots; s++) {
                if (o->slots[s].group != group) continue;
                kpar_variable slot = lowering->catalog->variables[lowering->weights[i]];
                slot.name = o->slots[s].name;
                slot.kind = KPAR_VARIABLE_SLOT;
                slot.of = lowering->weights[i];
                slot.initializer = NULL;
                slot.initial = o->slots[s].initial;
                o->variables[i * o->n_slots + s] = add_variable(lowering, o, slot);
            }
}

/* Order of the update's inputs. */
enum { WEIGHT, GRADIENT, RATE, STEP, FIRST_SLOT };

/* Clipping, weight decay and the row's formula; outputs are the weight and its slots after the step. */
static kpar_status update_expression(kpar_lowering *lowering, const optimizer *o,
                                     const kpar_expression **expression)
{
    kpar_expression_builder *e = kpar_expression_begin(FIRST_SLOT + o->n_slots);
    kpar_optimizer_formula f = {
        .weight = kpar_x_input(e, WEIGHT),
        .gradient = kpar_x_input(e, GRADIENT),
        .rate = kpar_x_input(e, RATE),
        .step = kpar_x_add(e, kpar_x_input(e, STEP), kpar_x_constant(e, 1)),
    };
    for (int s = 0; s < o->n_slots; s++) f.slots[s] = kpar_x_input(e, FIRST_SLOT + s);
    if (o->clip > 0)
        f.gradient = kpar_x_min(e, kpar_x_max(e, f.gradient, kpar_x_constant(e, -o->clip)),
                                kpar_x_constant(e, o->clip));
    if (o->weight_decay != 0) {
        kpar_x decay = kpar_x_mul(e, f.rate, kpar_x_constant(e, o->weight_decay));
        f.weight = kpar_x_sub(e, f.weight, kpar_x_mul(e, f.weight, decay));
    }
    kpar_x outputs[1 + KPAR_OPTIMIZER_SLOTS];
    kpar_status status = o->row->formula(o->owner, o->config, e, &f);
    outputs[0] = f.weight;
    for (int s = 0; s < o->n_slots; s++) outputs[1 + s] = f.slots[s];
    *expression = kpar_expression_end(e, lowering->arena, outputs, status == KPAR_OK ? 1 + o->n_slots : 0);
    return status;
}

static kpar_status update_weight(kpar_lowering *lowering, const optimizer *o,
                                 const kpar_expression *expression, int i, kpar_value_id gradient)
{
    kpar_graph *g = lowering->graph;
    const kpar_variable *variable = &lowering->catalog->variables[lowering->weights[i]];
    kpar_value_id inputs[FIRST_SLOT + KPAR_OPTIMIZER_SLOTS], outputs[1 + KPAR_OPTIMIZER_SLOTS];
    g->layer = kpar_arena_strdup(lowering->arena, variable->layer);
    KPAR_TRY(kpar_build_accumulate(g, gradient, &gradient));
    inputs[WEIGHT] = kpar_lower_variable(lowering, lowering->weights[i]);
    inputs[GRADIENT] = gradient;
    inputs[RATE] = o->rate;
    inputs[STEP] = o->step;
    for (int s = 0; s < o->n_slots; s++)
        inputs[FIRST_SLOT + s] = kpar_lower_variable(lowering, o->variables[i * o->n_slots + s]);
    KPAR_TRY(kpar_lower_hoisted_map(lowering, expression, inputs, FIRST_SLOT + o->n_slots, outputs));
    kpar_graph_set_state(g, inputs[WEIGHT], outputs[0]);
    for (int s = 0; s < o->n_slots; s++) kpar_graph_set_state(g, inputs[FIRST_SLOT + s], outputs[1 + s]);
    return KPAR_OK;
}

/* Every variable that the step has not set stays as it is. */
static void keep_rest(kpar_lowering *lowering)
{
    kpar_graph *g = lowering->graph;
    bool *set = kpar_alloc_zeroed((size_t)lowering->catalog->n, sizeof *set);
    for (size_t i = 0; i < g->n_states; i++) set[g->states[i].variable] = true;
    for (int i = 0; i < lowering->catalog->n; i++) {
        if (set[i]) continue;
        g->layer = kpar_arena_strdup(lowering->arena, lowering->catalog->variables[i].layer);
        kpar_value_id value = kpar_lower_variable(lowering, i);
        kpar_graph_set_state(g, value, value);
    }
    kpar_free(set);
}

kpar_status kpar_lower_update(kpar_lowering *lowering, const kpar_value_id *gradients)
{
    kpar_graph *g = lowering->graph;
    optimizer o;
    const kpar_expression *expression;
    g->phase = KPAR_PHASE_UPDATE;
    g->part = KPAR_FORWARD;
    g->layer = "";
    KPAR_TRY(find_optimizer(lowering, &o));
    KPAR_TRY(read_config(lowering, &o));
    KPAR_TRY(lower_rate(lowering, &o));
    add_slots(lowering, &o);
    KPAR_TRY(update_expression(lowering, &o, &expression));
    for (int i = 0; i < lowering->n_weights; i++)
        if (gradients[i] >= 0) KPAR_TRY(update_weight(lowering, &o, expression, i, gradients[i]));
    keep_rest(lowering);
    g->layer = "";
    return KPAR_OK;
}
