/* Lowering the update: learning rate, then for each weight one map of the optimizer's formula, which makes the new
 * weight and its new slots; what sums over a tensor's elements comes before it. Variables of the optimizer in Keras's
 * order: iteration, learning rate (unless there is a schedule), averages, gradients kept for a later update, the row's
 * slots, its scalar. */
#include "model/lower_internal.h"

#include <string.h>

/* Slots that any optimizer may have come before those of its row. */
enum { SLOTS = KPAR_OPTIMIZER_SLOTS + 2, GROUPS = KPAR_OPTIMIZER_SLOTS + 2 };

typedef struct optimizer {
    const kpar_optimizer_row *row;
    const json_t *config; /* NULL: defaults */
    const char *owner;
    double weight_decay, loss_scale;
    double clip, clip_norm, clip_together; /* 0: none */
    kpar_value_id clip_factor;             /* of clip_together */
    int64_t accumulate;                    /* steps whose gradients are one update's, 1 at least */
    bool averages;                         /* moving ones of the weights are kept */
    double average_momentum;
    int64_t overwrite; /* steps between which weights become their averages, 0: never */
    kpar_optimizer_slot slots[SLOTS];
    int n_slots;
    int average, accumulator, first;     /* slots: -1 none; the row's first */
    int *variables;                      /* of slot s of weight i: [i * n_slots + s] */
    kpar_value_id iteration, rate, step; /* step: the iteration as a real number */
    kpar_value_id scalar;                /* the row's, after the step; -1: it has none */
    int n_variables;                     /* named so far */
} optimizer;

/* What all optimizers have. Other arguments are refused unless null or false. */
#define COMMON_ARGUMENTS                                                                                     \
    "name learning_rate weight_decay clipvalue clipnorm global_clipnorm loss_scale_factor use_ema "          \
    "ema_momentum "                                                                                          \
    "ema_overwrite_frequency gradient_accumulation_steps"

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

static kpar_status check_at_least(const optimizer *o, const char *key, int64_t found, int64_t least)
{
    if (found >= least) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s: argument '%s' is %lld, expected %lld or more", o->owner, key,
                     (long long)found, (long long)least);
}

static kpar_status read_averages(optimizer *o)
{
    KPAR_TRY(kpar_config_boolean(o->owner, o->config, "use_ema", false, &o->averages));
    KPAR_TRY(kpar_config_number(o->owner, o->config, "ema_momentum", 0.99, &o->average_momentum));
    KPAR_TRY(kpar_config_integer(o->owner, o->config, "ema_overwrite_frequency", 0, &o->overwrite));
    KPAR_TRY(check_at_least(o, "ema_overwrite_frequency", o->overwrite, 0));
    o->average = o->averages ? o->n_slots : -1;
    if (o->averages) o->slots[o->n_slots++] = (kpar_optimizer_slot){"average", 0, 0, 0};
    return KPAR_OK;
}

static kpar_status read_accumulation(optimizer *o)
{
    KPAR_TRY(kpar_config_integer(o->owner, o->config, "gradient_accumulation_steps", 1, &o->accumulate));
    KPAR_TRY(check_at_least(o, "gradient_accumulation_steps", o->accumulate, 1));
    o->accumulator = o->accumulate > 1 ? o->n_slots : -1;
    if (o->accumulate > 1) o->slots[o->n_slots++] = (kpar_optimizer_slot){"gradient_accumulator", 1, 0, 0};
    return KPAR_OK;
}

static kpar_status read_slots(optimizer *o)
{
    int n = 0;
    KPAR_TRY(read_averages(o));
    KPAR_TRY(read_accumulation(o));
    o->first = o->n_slots;
    KPAR_TRY(o->row->slots(o->owner, o->config, &o->slots[o->first], &n));
    o->n_slots += n;
    for (int s = o->first; s < o->n_slots; s++) o->slots[s].group += 2;
    return KPAR_OK;
}

static kpar_status read_config(kpar_lowering *lowering, optimizer *o)
{
    KPAR_TRY(kpar_lower_known(lowering, o->owner, o->config, COMMON_ARGUMENTS, o->row->arguments, ""));
    KPAR_TRY(kpar_config_number(o->owner, o->config, "weight_decay", o->row->weight_decay, &o->weight_decay));
    KPAR_TRY(kpar_config_number(o->owner, o->config, "clipvalue", 0, &o->clip));
    KPAR_TRY(kpar_config_number(o->owner, o->config, "clipnorm", 0, &o->clip_norm));
    KPAR_TRY(kpar_config_number(o->owner, o->config, "global_clipnorm", 0, &o->clip_together));
    KPAR_TRY(kpar_config_number(o->owner, o->config, "loss_scale_factor", 1, &o->loss_scale));
    return read_slots(o);
}

kpar_status kpar_lower_scaled_loss(kpar_lowering *lowering, kpar_value_id loss, kpar_value_id *scaled)
{
    optimizer o;
    double scale;
    *scaled = loss;
    if (!lowering->model->optimizer || json_is_null(lowering->model->optimizer)) return KPAR_OK;
    KPAR_TRY(find_optimizer(lowering, &o));
    KPAR_TRY(kpar_config_number(o.owner, o.config, "loss_scale_factor", 1, &scale));
    return scale == 1 ? KPAR_OK : kpar_build_affine(lowering->graph, loss, scale, 0, scaled);
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

/* Whether the count is a multiple of `every`. */
static kpar_x is_due(kpar_expression_builder *e, kpar_x count, int64_t every)
{
    kpar_x n = kpar_x_constant(e, (double)every);
    kpar_x whole = kpar_x_mul(e, kpar_x_floor(e, kpar_x_div(e, count, n)), n);
    return kpar_x_eq(e, kpar_x_sub(e, count, whole), kpar_x_constant(e, 0));
}

static kpar_x one_more(kpar_expression_builder *e, kpar_x count)
{
    return kpar_x_add(e, count, kpar_x_constant(e, 1));
}

/* Updates before this step. */
static kpar_x updates(const optimizer *o, kpar_expression_builder *e, kpar_x step)
{
    if (o->accumulate == 1) return step;
    return kpar_x_floor(e, kpar_x_div(e, step, kpar_x_constant(e, (double)o->accumulate)));
}

/* What an update makes of `before`, in a step that is one. */
static kpar_x if_updated(const optimizer *o, kpar_expression_builder *e, kpar_x step, kpar_x after,
                         kpar_x before)
{
    if (o->accumulate == 1) return after;
    return kpar_x_select(e, is_due(e, one_more(e, step), o->accumulate), after, before);
}

/* The row's scalar; the last of the optimizer's variables. */
static kpar_status lower_scalar(kpar_lowering *lowering, optimizer *o)
{
    const kpar_optimizer_scalar *scalar = &o->row->scalar;
    o->scalar = -1;
    if (!scalar->name) return KPAR_OK;
    const kpar_value_id before =
        kpar_lower_variable(lowering, add_variable(lowering, o,
                                                   (kpar_variable){.name = scalar->name,
                                                                   .kind = KPAR_VARIABLE_SCALAR,
                                                                   .dtype = KPAR_F32,
                                                                   .initial = scalar->initial}));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x after = kpar_x_input(e, 0), step = kpar_x_input(e, 1);
    kpar_status status = scalar->formula(o->owner, o->config, e, one_more(e, updates(o, e, step)), &after);
    if (status != KPAR_OK) {
        kpar_expression_end(e, lowering->arena, NULL, 0);
        return status;
    }
    after = if_updated(o, e, step, after, kpar_x_input(e, 0));
    KPAR_TRY(kpar_lower_apply(lowering, e, after, (kpar_value_id[]){before, o->step}, 2, &o->scalar));
    kpar_graph_set_state(lowering->graph, before, lowering->n_weights > 0 ? o->scalar : before);
    return KPAR_OK;
}

/* Leaves out dimension `without` of the weight that the variable is like so far. */
static void leave_out(kpar_variable *slot, int without)
{
    if (without == 0) return;
    if (slot->rank < 2) {
        slot->rank = 0;
        slot->dtype = KPAR_I32;
        return;
    }
    for (int i = slot->rank + without; i < slot->rank - 1; i++) slot->dims[i] = slot->dims[i + 1];
    slot->rank--;
}

/* Slots of one group weight by weight, the groups one after the other. */
static void add_slots(kpar_lowering *lowering, optimizer *o)
{
    o->variables =
        kpar_arena_alloc(lowering->arena, ((size_t)(lowering->n_weights * o->n_slots) + 1) * sizeof(int));
    for (int group = 0; group < GROUPS; group++)
        for (int i = 0; i < lowering->n_weights; i++)
            for (int s = 0; s < o->n_slots; s++) {
                if (o->slots[s].group != group) continue;
                kpar_variable slot = lowering->catalog->variables[lowering->weights[i]];
                slot.name = o->slots[s].name;
                slot.kind = KPAR_VARIABLE_SLOT;
                slot.of = lowering->weights[i];
                slot.initializer = NULL;
                slot.ones[1] = 0;
                slot.regularizer = slot.constraint = NULL;
                slot.initial = o->slots[s].initial;
                slot.is_average = s == o->average;
                leave_out(&slot, o->slots[s].without);
                o->variables[i * o->n_slots + s] = add_variable(lowering, o, slot);
            }
}

/* The update of one weight. */
typedef struct weight_update {
    const optimizer *o;
    kpar_update u;
    const kpar_variable *variable;
    kpar_value_id value, slots[SLOTS]; /* sources */
    const char *layer;
    bool moves; /* has a gradient */
    kpar_x weight, gradient, rate, step, old_slots[SLOTS], new_slots[SLOTS];
} weight_update;

/* A slot as a tensor that broadcasts to the weight's shape. */
static kpar_status slot_input(weight_update *w, int s)
{
    const int without = w->o->slots[s].without;
    kpar_value_id value = w->slots[s];
    if (without != 0 && w->u.shape.rank >= 2) {
        kpar_shape kept = w->u.shape;
        kept.dims[kept.rank + without].size = 1;
        KPAR_TRY(kpar_build_reshape(w->u.lowering->graph, kept, value, &value));
    }
    w->old_slots[s] = w->new_slots[s] = kpar_update_input(&w->u, value);
    return KPAR_OK;
}

static kpar_status clip(weight_update *w, kpar_x *gradient)
{
    const optimizer *o = w->o;
    kpar_expression_builder *e = w->u.e;
    kpar_x norm, most = kpar_x_constant(e, o->clip_norm > 0 ? o->clip_norm : o->clip);
    if (o->clip_norm > 0) {
        KPAR_TRY(kpar_update_norm(&w->u, *gradient, KPAR_ALL_AXES, &norm));
        *gradient = kpar_x_div(e, kpar_x_mul(e, *gradient, most), kpar_x_max(e, norm, most));
    } else if (o->clip_together > 0)
        *gradient = kpar_x_mul(e, *gradient, kpar_update_input(&w->u, o->clip_factor));
    else if (o->clip > 0)
        *gradient = kpar_x_min(e, kpar_x_max(e, *gradient, kpar_x_constant(e, -o->clip)), most);
    return KPAR_OK;
}

/* The mean gradient of the batches since the last update, and what is kept of it. */
static void take_accumulated(weight_update *w, kpar_x *gradient)
{
    const optimizer *o = w->o;
    kpar_expression_builder *e = w->u.e;
    if (o->accumulator < 0) return;
    kpar_x sum = kpar_x_add(e, *gradient, w->old_slots[o->accumulator]);
    w->new_slots[o->accumulator] = if_updated(o, e, w->step, kpar_x_constant(e, 0), sum);
    *gradient = kpar_x_div(e, sum, kpar_x_constant(e, (double)o->accumulate));
}

/* Clipping, weight decay and the row's formula. */
static kpar_status take_step(weight_update *w)
{
    const optimizer *o = w->o;
    kpar_expression_builder *e = w->u.e;
    kpar_optimizer_formula f = {.weight = w->weight,
                                .gradient = w->gradient,
                                .rate = w->rate,
                                .step = one_more(e, updates(o, e, w->step)),
                                .update = &w->u};
    if (o->scalar >= 0) f.scalar = kpar_update_input(&w->u, o->scalar);
    memcpy(f.slots, &w->old_slots[o->first], sizeof f.slots);
    KPAR_TRY(clip(w, &f.gradient));
    if (o->weight_decay != 0) {
        kpar_x decay = kpar_x_mul(e, f.rate, kpar_x_constant(e, o->weight_decay));
        f.weight = kpar_x_sub(e, f.weight, kpar_x_mul(e, f.weight, decay));
    }
    KPAR_TRY(o->row->formula(o->owner, o->config, e, &f));
    w->weight = if_updated(o, e, w->step, f.weight, w->weight);
    for (int s = o->first; s < o->n_slots; s++)
        w->new_slots[s] = if_updated(o, e, w->step, f.slots[s - o->first], w->old_slots[s]);
    return KPAR_OK;
}

/* The moving average takes the first weights as they are. */
static void average(weight_update *w)
{
    const optimizer *o = w->o;
    kpar_expression_builder *e = w->u.e;
    if (!o->averages) return;
    kpar_x zero = kpar_x_constant(e, 0), count = updates(o, e, w->step);
    kpar_x momentum =
        kpar_x_select(e, kpar_x_eq(e, count, zero), zero, kpar_x_constant(e, o->average_momentum));
    kpar_x kept = kpar_x_mul(e, momentum, w->old_slots[o->average]);
    kpar_x new = kpar_x_mul(e, kpar_x_sub(e, kpar_x_constant(e, 1), momentum), w->weight);
    kpar_x mean = w->new_slots[o->average] = kpar_x_add(e, kept, new);
    if (o->overwrite > 0)
        w->weight = kpar_x_select(e, is_due(e, one_more(e, count), o->overwrite), mean, w->weight);
}

/* The maps, and the states that they make: one of all that has the weight's shape. */
static kpar_status write_states(weight_update *w)
{
    kpar_lowering *lowering = w->u.lowering;
    kpar_graph *g = lowering->graph;
    kpar_x outputs[1 + SLOTS] = {w->weight};
    kpar_value_id of[1 + SLOTS] = {w->value}, values[1 + SLOTS];
    int n = 1;
    for (int s = 0; s < w->o->n_slots; s++) {
        if (w->o->slots[s].without == 0) {
            of[n] = w->slots[s];
            outputs[n++] = w->new_slots[s];
            continue;
        }
        kpar_value_id next;
        KPAR_TRY(kpar_update_values(&w->u, &w->new_slots[s], 1, &next));
        KPAR_TRY(kpar_build_reshape(g, *kpar_lower_shape(lowering, w->slots[s]), next, &next));
        kpar_graph_set_state(g, w->slots[s], next);
    }
    KPAR_TRY(kpar_update_values(&w->u, outputs, n, values));
    for (int i = 0; i < n; i++) kpar_graph_set_state(g, of[i], values[i]);
    return KPAR_OK;
}

/* The gradient that the optimizer works with; `gradient` is that of the loss, -1: the loss does not depend on it. */
static kpar_status begin_update(weight_update *w, kpar_value_id gradient)
{
    const optimizer *o = w->o;
    kpar_x g = kpar_x_constant(w->u.e, 0);
    w->weight = kpar_update_input(&w->u, w->value);
    if (gradient >= 0) g = kpar_update_input(&w->u, gradient);
    w->rate = kpar_update_input(&w->u, o->rate);
    w->step = kpar_update_input(&w->u, o->step);
    for (int s = 0; s < o->n_slots; s++) KPAR_TRY(slot_input(w, s));
    if (!w->moves) return KPAR_OK;
    if (o->loss_scale != 1) g = kpar_x_div(w->u.e, g, kpar_x_constant(w->u.e, o->loss_scale));
    KPAR_TRY(kpar_regularizer_gradient(&w->u, w->variable, w->value, &g));
    take_accumulated(w, &g);
    w->gradient = g;
    return KPAR_OK;
}

static kpar_status end_update(weight_update *w)
{
    w->u.lowering->graph->layer = w->layer;
    if (w->moves) KPAR_TRY(take_step(w));
    average(w);
    if (w->moves) KPAR_TRY(kpar_constrain(&w->u, w->variable, &w->weight));
    return write_states(w);
}

static kpar_status begin_weight(kpar_lowering *lowering, const optimizer *o, int i, kpar_value_id gradient,
                                weight_update *w)
{
    kpar_graph *g = lowering->graph;
    const kpar_variable *variable = &lowering->catalog->variables[lowering->weights[i]];
    *w = (weight_update){.o = o,
                         .variable = variable,
                         .layer = kpar_arena_strdup(lowering->arena, variable->layer),
                         .value = kpar_lower_variable(lowering, lowering->weights[i]),
                         .moves = gradient >= 0 || variable->regularizer};
    g->layer = w->layer;
    if (gradient >= 0) KPAR_TRY(kpar_build_accumulate(g, gradient, &gradient));
    for (int s = 0; s < o->n_slots; s++)
        w->slots[s] = kpar_lower_variable(lowering, o->variables[i * o->n_slots + s]);
    kpar_update_begin(&w->u, lowering, kpar_lower_shape(lowering, w->value));
    return begin_update(w, gradient);
}

/* What all gradients are multiplied by so that their norm together is at most the limit. Sums go from layer to layer,
 * and so from stage to stage. */
static kpar_status clip_together(kpar_lowering *lowering, optimizer *o, weight_update *updates)
{
    kpar_graph *g = lowering->graph;
    kpar_value_id total = -1, sum;
    for (int i = 0; i < lowering->n_weights; i++) {
        weight_update *w = &updates[i];
        if (!w->moves) continue;
        g->layer = w->layer;
        KPAR_TRY(kpar_update_sum_value(&w->u, kpar_x_square(w->u.e, w->gradient), KPAR_ALL_AXES, &sum));
        if (total >= 0) KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_ADD, total, sum, &sum));
        total = sum;
    }
    if (total < 0) return KPAR_OK;
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x one = kpar_x_constant(e, 1), most = kpar_x_constant(e, o->clip_together);
    kpar_x norm = kpar_x_sqrt(e, kpar_x_input(e, 0));
    kpar_x least = kpar_x_min(e, kpar_x_div(e, one, norm), kpar_x_div(e, one, most));
    return kpar_lower_apply(lowering, e, kpar_x_mul(e, most, least), &total, 1, &o->clip_factor);
}

static kpar_status update_weights(kpar_lowering *lowering, optimizer *o, const kpar_value_id *gradients,
                                  weight_update *updates)
{
    const int n = lowering->n_weights;
    for (int i = 0; i < n; i++) {
        KPAR_TRY(begin_weight(lowering, o, i, gradients[i], &updates[i]));
        if (o->clip_together <= 0) KPAR_TRY(end_update(&updates[i]));
    }
    if (o->clip_together <= 0) return KPAR_OK;
    KPAR_TRY(clip_together(lowering, o, updates));
    for (int i = 0; i < n; i++) KPAR_TRY(end_update(&updates[i]));
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
    g->phase = KPAR_PHASE_UPDATE;
    g->part = KPAR_FORWARD;
    g->layer = "";
    KPAR_TRY(find_optimizer(lowering, &o));
    KPAR_TRY(read_config(lowering, &o));
    KPAR_TRY(lower_rate(lowering, &o));
    add_slots(lowering, &o);
    KPAR_TRY(lower_scalar(lowering, &o));
    weight_update *updates =
        kpar_arena_alloc(lowering->arena, ((size_t)lowering->n_weights + 1) * sizeof *updates);
    kpar_status status = update_weights(lowering, &o, gradients, updates);
    for (int i = 0; i < lowering->n_weights; i++)
        if (updates[i].u.e) kpar_update_end(&updates[i].u);
    KPAR_TRY(status);
    keep_rest(lowering);
    g->layer = "";
    return KPAR_OK;
}
