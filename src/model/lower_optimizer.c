/* Reading the optimizer's config, and lowering what it has besides the weights' own updates. */
#include "model/lower_optimizer.h"

#include <string.h>

/* What all optimizers have. Other arguments are refused unless null or false. */
#define COMMON_ARGUMENTS                                                                                     \
    "name learning_rate weight_decay clipvalue clipnorm global_clipnorm loss_scale_factor "                  \
    "use_ema ema_momentum ema_overwrite_frequency gradient_accumulation_steps"
/* What those have that hand the weights to others. */
#define MEMBERS_ARGUMENTS "name loss_scale_factor"

/* The row and the config of the optimizer that `object` names. */
static kpar_status find_row(kpar_lowering *lowering, const json_t *object, kpar_optimizer *o)
{
    const char *name;
    int n;
    const kpar_optimizer_row *rows = kpar_optimizer_rows(&n);
    KPAR_TRY(kpar_config_object(o->owner, object, &name, &o->config));
    o->row = kpar_table_find(rows, n, sizeof *rows, name);
    if (!o->row)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: '%s' is not supported; supported are: %s", o->owner, name,
                         kpar_table_names(lowering->arena, rows, n, sizeof *rows));
    o->owner = kpar_arena_printf(lowering->arena, "%s (%s)", o->owner, o->row->class_name);
    return KPAR_OK;
}

static kpar_status find_optimizer(kpar_lowering *lowering, kpar_optimizer *o)
{
    const kpar_model *model = lowering->model;
    *o = (kpar_optimizer){.owner = kpar_arena_printf(lowering->arena, "%s: optimizer", model->file)};
    if (model->optimizer && !json_is_null(model->optimizer)) return find_row(lowering, model->optimizer, o);
    return kpar_fail(KPAR_EUNSUPPORTED,
                     "%s: the model is not compiled with an optimizer; compile it before saving",
                     model->file);
}

static kpar_status name_of(kpar_lowering *lowering, const char **name)
{
    const json_t *json = lowering->model->optimizer, *config = NULL;
    const char *owner = kpar_arena_printf(lowering->arena, "%s: optimizer", lowering->model->file),
               *class_name = "";
    char text[128];
    KPAR_TRY(kpar_config_object(owner, json, &class_name, &config));
    kpar_snake_case(class_name, text, sizeof text);
    return kpar_config_string(owner, config, "name", kpar_arena_strdup(lowering->arena, text), name);
}

kpar_status kpar_optimizer_add_groups(kpar_lowering *lowering)
{
    const char *name, *outer, *inner = kpar_scaling_inner_group(lowering);
    KPAR_TRY(name_of(lowering, &name));
    KPAR_TRY(kpar_scaling_name(lowering, name, &outer));
    kpar_catalog_add_group(lowering->catalog, "optimizer", outer);
    if (inner) kpar_catalog_add_group(lowering->catalog, inner, name);
    return KPAR_OK;
}

static kpar_status check_at_least(const kpar_optimizer *o, const char *key, int64_t found, int64_t least)
{
    if (found >= least) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s: argument '%s' is %lld, expected %lld or more", o->owner, key,
                     (long long)found, (long long)least);
}

static kpar_status read_averages(kpar_optimizer *o)
{
    KPAR_TRY(kpar_config_boolean(o->owner, o->config, "use_ema", false, &o->averages));
    KPAR_TRY(kpar_config_number(o->owner, o->config, "ema_momentum", 0.99, &o->average_momentum));
    KPAR_TRY(kpar_config_integer(o->owner, o->config, "ema_overwrite_frequency", 0, &o->overwrite));
    KPAR_TRY(check_at_least(o, "ema_overwrite_frequency", o->overwrite, 0));
    o->average = o->averages ? o->first++ : -1;
    return KPAR_OK;
}

static kpar_status read_accumulation(kpar_optimizer *o)
{
    KPAR_TRY(kpar_config_integer(o->owner, o->config, "gradient_accumulation_steps", 1, &o->accumulate));
    KPAR_TRY(check_at_least(o, "gradient_accumulation_steps", o->accumulate, 1));
    o->accumulator = o->accumulate > 1 ? o->first++ : -1;
    return KPAR_OK;
}

/* The row's slots come behind those that any optimizer may have. */
static kpar_status read_slots(const kpar_optimizer *o, const kpar_variable *weight, kpar_optimizer_slots *all)
{
    kpar_optimizer_kept own = {.owner = o->owner, .config = o->config, .weight = weight};
    KPAR_TRY(o->row->keeps(&own));
    all->n = o->first + own.n;
    if (o->average >= 0) all->slots[o->average] = (kpar_optimizer_slot){.name = "average", .group = 0};
    if (o->accumulator >= 0)
        all->slots[o->accumulator] = (kpar_optimizer_slot){.name = "gradient_accumulator", .group = 1};
    for (int s = 0; s < own.n; s++) {
        all->slots[o->first + s] = own.slots[s];
        all->slots[o->first + s].group += 2;
    }
    return KPAR_OK;
}

static kpar_status read_config(kpar_lowering *lowering, kpar_optimizer *o)
{
    const char *common = o->row->members ? MEMBERS_ARGUMENTS : COMMON_ARGUMENTS;
    KPAR_TRY(kpar_lower_known(lowering, o->owner, o->config, common, o->row->arguments, ""));
    KPAR_TRY(kpar_config_number(o->owner, o->config, "clipvalue", 0, &o->clip));
    KPAR_TRY(kpar_config_number(o->owner, o->config, "clipnorm", 0, &o->clip_norm));
    KPAR_TRY(kpar_config_number(o->owner, o->config, "global_clipnorm", 0, &o->clip_together));
    o->loss_scale = 1; /* as in Keras, where one factor takes the place of the other */
    if (!kpar_scaling_is_dynamic(lowering))
        KPAR_TRY(kpar_config_number(o->owner, o->config, "loss_scale_factor", 1, &o->loss_scale));
    KPAR_TRY(read_averages(o));
    return read_accumulation(o);
}

kpar_status kpar_optimizer_fixed_scale(kpar_lowering *lowering, double *factor)
{
    kpar_optimizer o;
    *factor = 1;
    if (!lowering->model->optimizer || json_is_null(lowering->model->optimizer)) return KPAR_OK;
    KPAR_TRY(find_optimizer(lowering, &o));
    return kpar_config_number(o.owner, o.config, "loss_scale_factor", 1, factor);
}

static int add_variable(kpar_lowering *lowering, kpar_optimizer *o, kpar_variable variable)
{
    const int number = o->n_variables++;
    variable.path = kpar_arena_printf(lowering->arena, "optimizer/vars/%d", number);
    variable.layer_index = -1;
    variable.alias = NULL;
    if (variable.kind != KPAR_VARIABLE_SLOT) {
        variable.layer = "";
        variable.of = -1;
    }
    const int index = kpar_catalog_add(lowering->catalog, &variable);
    if (o->group)
        kpar_catalog_add_alias(
            lowering->catalog, index,
            kpar_arena_printf(lowering->arena, "%s/vars/%d", o->group, number - o->first_variable));
    return index;
}

/* The rate by a schedule, as a map of the iteration. */
static kpar_status schedule_rate(kpar_lowering *lowering, kpar_optimizer *o, const json_t *json)
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

/* That of the model's own optimizer is the step, which others read too. */
static kpar_value_id iteration_of(kpar_lowering *lowering, kpar_optimizer *o)
{
    const bool own = o->first_variable == kpar_scaling_variables(lowering);
    const kpar_variable count = {
        .name = "iteration", .kind = own ? KPAR_VARIABLE_ITERATION : KPAR_VARIABLE_SCALAR, .dtype = KPAR_I64};
    return kpar_lower_variable(lowering, add_variable(lowering, o, count));
}

kpar_value_id kpar_lower_step(kpar_lowering *lowering)
{
    kpar_optimizer own = {.group = kpar_scaling_inner_group(lowering),
                          .first_variable = kpar_scaling_variables(lowering),
                          .n_variables = kpar_scaling_variables(lowering)};
    return iteration_of(lowering, &own);
}

/* The iteration count and the rate, which may follow from it. */
static kpar_status lower_rate(kpar_lowering *lowering, kpar_optimizer *o)
{
    kpar_graph *g = lowering->graph;
    const json_t *json = json_object_get(o->config, "learning_rate");
    o->iteration = iteration_of(lowering, o);
    KPAR_TRY(kpar_lower_real(lowering, o->iteration, &o->step));
    if (json_is_object(json)) return schedule_rate(lowering, o, json);

    kpar_variable rate = {.name = "learning_rate", .kind = KPAR_VARIABLE_LEARNING_RATE, .dtype = KPAR_F32};
    KPAR_TRY(kpar_config_number(o->owner, o->config, "learning_rate", o->row->learning_rate, &rate.initial));
    o->rate = kpar_lower_variable(lowering, add_variable(lowering, o, rate));
    kpar_graph_set_state(g, o->rate, o->rate);
    return KPAR_OK;
}

kpar_x kpar_optimizer_due(kpar_expression_builder *e, kpar_x count, int64_t every)
{
    kpar_x n = kpar_x_constant(e, (double)every);
    kpar_x whole = kpar_x_mul(e, kpar_x_floor(e, kpar_x_div(e, count, n)), n);
    return kpar_x_eq(e, kpar_x_sub(e, count, whole), kpar_x_constant(e, 0));
}

kpar_x kpar_optimizer_next(kpar_expression_builder *e, kpar_x count)
{
    return kpar_x_add(e, count, kpar_x_constant(e, 1));
}

kpar_x kpar_optimizer_updates(const kpar_optimizer *o, kpar_expression_builder *e, kpar_x step)
{
    if (o->accumulate == 1) return step;
    return kpar_x_floor(e, kpar_x_div(e, step, kpar_x_constant(e, (double)o->accumulate)));
}

kpar_x kpar_optimizer_if_updated(const kpar_optimizer *o, kpar_expression_builder *e, kpar_x step,
                                 kpar_x after, kpar_x before)
{
    if (o->accumulate == 1) return after;
    return kpar_x_select(e, kpar_optimizer_due(e, kpar_optimizer_next(e, step), o->accumulate), after,
                         before);
}

/* The row's scalar; the last of the optimizer's variables. */
static kpar_status lower_scalar(kpar_lowering *lowering, kpar_optimizer *o)
{
    const kpar_optimizer_scalar *scalar = &o->row->scalar;
    o->scalar = o->scalar_before = -1;
    if (!scalar->name) return KPAR_OK;
    o->scalar_before =
        kpar_lower_variable(lowering, add_variable(lowering, o,
                                                   (kpar_variable){.name = scalar->name,
                                                                   .kind = KPAR_VARIABLE_SCALAR,
                                                                   .dtype = KPAR_F32,
                                                                   .initial = scalar->initial}));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x after = kpar_x_input(e, 0), step = kpar_x_input(e, 1);
    kpar_status status = scalar->formula(o->owner, o->config, e,
                                         kpar_optimizer_next(e, kpar_optimizer_updates(o, e, step)), &after);
    if (status != KPAR_OK) {
        kpar_expression_end(e, lowering->arena, NULL, 0);
        return status;
    }
    after = kpar_optimizer_if_updated(o, e, step, after, kpar_x_input(e, 0));
    return kpar_lower_apply(lowering, e, after, (kpar_value_id[]){o->scalar_before, o->step}, 2, &o->scalar);
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

static int add_slot(kpar_lowering *lowering, kpar_optimizer *o, int weight, const kpar_optimizer_slot *row,
                    bool is_average)
{
    kpar_variable slot = lowering->catalog->variables[weight];
    slot.name = row->name;
    slot.kind = KPAR_VARIABLE_SLOT;
    slot.of = weight;
    slot.regularizer = slot.constraint = NULL;
    slot.is_average = is_average;
    slot.begins_as_weight = row->begins_as_weight;
    if (!row->begins_as_weight) {
        slot.initializer = NULL;
        slot.ones[1] = 0;
        slot.initial = row->initial;
    }
    leave_out(&slot, row->without);
    return add_variable(lowering, o, slot);
}

static void add_group(kpar_lowering *lowering, kpar_optimizer *o, int group)
{
    for (int k = 0; k < o->n_weights; k++) {
        kpar_optimizer_slots *all = &o->slots[k];
        const int weight = lowering->weights[o->weights[k]];
        for (int s = 0; s < all->n; s++)
            if (all->slots[s].group == group)
                all->variables[s] = add_slot(lowering, o, weight, &all->slots[s], s == o->average);
    }
}

/* Slots of one group weight by weight, the groups one after the other. */
static kpar_status add_slots(kpar_lowering *lowering, kpar_optimizer *o)
{
    o->slots = kpar_arena_alloc(lowering->arena, ((size_t)o->n_weights + 1) * sizeof *o->slots);
    for (int k = 0; k < o->n_weights; k++) {
        const int weight = lowering->weights[o->weights[k]];
        KPAR_TRY(read_slots(o, &lowering->catalog->variables[weight], &o->slots[k]));
    }
    for (int group = 0; group < KPAR_ALL_SLOTS; group++) add_group(lowering, o, group);
    return KPAR_OK;
}

/* Where the file has the variables of member `number` once more: "optimizer/optimizers/adam_1", the second of its class. */
static kpar_status name_group(kpar_lowering *lowering, const kpar_optimizers *o, int number)
{
    kpar_optimizer *member = &o->all[number];
    const char *name;
    char text[128], suffix[16] = "";
    int before = 0;
    for (int i = 1; i < number; i++) before += o->all[i].row == member->row;
    if (before > 0) snprintf(suffix, sizeof suffix, "_%d", before);
    kpar_snake_case(member->row->class_name, text, sizeof text);
    KPAR_TRY(kpar_config_string(member->owner, member->config, "name",
                                kpar_arena_strdup(lowering->arena, text), &name));
    member->group = kpar_arena_printf(lowering->arena, "optimizer/optimizers/%s%s", text, suffix);
    kpar_catalog_add_group(lowering->catalog, member->group, name);
    return KPAR_OK;
}

static kpar_status read_member(kpar_lowering *lowering, kpar_optimizers *o, const json_t *object, int number)
{
    kpar_optimizer *member = &o->all[number];
    *member = (kpar_optimizer){
        .owner = kpar_arena_printf(lowering->arena, "%s: member %d", o->all[0].owner, number)};
    KPAR_TRY(find_row(lowering, object, member));
    if (member->row->members)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected an optimizer that updates weights itself",
                         member->owner);
    KPAR_TRY(read_config(lowering, member));
    member->loss_scale = o->all[0].loss_scale;
    member->scale = member->finite = -1;
    return name_group(lowering, o, number);
}

/* All optimizers with their configs. */
static kpar_status read_optimizers(kpar_lowering *lowering, kpar_optimizers *o)
{
    kpar_optimizer own;
    KPAR_TRY(find_optimizer(lowering, &own));
    KPAR_TRY(read_config(lowering, &own));
    KPAR_TRY(kpar_scaling_begin(lowering, &own));
    kpar_optimizer_members m = {.owner = own.owner, .config = own.config, .arena = lowering->arena};
    if (own.row->members) KPAR_TRY(own.row->members(&m));
    o->n = 1 + m.n;
    o->all = kpar_arena_alloc(lowering->arena, (size_t)o->n * sizeof *o->all);
    o->all[0] = own;
    for (int i = 0; i < m.n; i++) KPAR_TRY(read_member(lowering, o, m.members[i], 1 + i));
    return KPAR_OK;
}

/* Each weight goes to one of them. */
static kpar_status deal_weights(kpar_lowering *lowering, kpar_optimizers *o)
{
    const kpar_optimizer *own = &o->all[0];
    for (int i = 0; i < o->n; i++)
        o->all[i].weights =
            kpar_arena_alloc(lowering->arena, ((size_t)lowering->n_weights + 1) * sizeof(int));
    for (int i = 0; i < lowering->n_weights; i++) {
        const kpar_variable *weight = &lowering->catalog->variables[lowering->weights[i]];
        int member = -1;
        if (own->row->members) KPAR_TRY(own->row->choose(own->owner, own->config, weight, &member));
        kpar_optimizer *of = &o->all[1 + member];
        of->weights[of->n_weights++] = i;
    }
    for (int i = 0; i < o->n; i++) o->all[i].counts = o->all[i].n_weights > 0;
    o->all[0].counts = lowering->n_weights > 0;
    return KPAR_OK;
}

kpar_status kpar_optimizers_begin(kpar_lowering *lowering, kpar_optimizers *optimizers)
{
    KPAR_TRY(read_optimizers(lowering, optimizers));
    KPAR_TRY(deal_weights(lowering, optimizers));
    for (int i = 0; i < optimizers->n; i++) {
        kpar_optimizer *o = &optimizers->all[i];
        o->first_variable = o->n_variables = i > 0 ? o[-1].n_variables : kpar_scaling_variables(lowering);
        KPAR_TRY(lower_rate(lowering, o));
        KPAR_TRY(add_slots(lowering, o));
        KPAR_TRY(lower_scalar(lowering, o));
    }
    return KPAR_OK;
}

/* Counts the step, if it updates anything. */
static kpar_status count_iteration(kpar_lowering *lowering, const kpar_optimizer *o, kpar_value_id *next)
{
    kpar_graph *g = lowering->graph;
    if (o->finite < 0) return kpar_build_affine(g, o->iteration, 1, 1, next);
    KPAR_TRY(kpar_build_cast(g, KPAR_I64, o->finite, next));
    return kpar_build_binary(g, KPAR_SCALAR_ADD, o->iteration, *next, next);
}

/* As in Keras, an optimizer that has nothing to update counts no iterations. */
kpar_status kpar_optimizer_end(kpar_lowering *lowering, const kpar_optimizer *o)
{
    kpar_value_id next;
    lowering->graph->layer = "";
    if (!o->counts) return KPAR_OK;
    KPAR_TRY(count_iteration(lowering, o, &next));
    kpar_graph_set_state(lowering->graph, o->iteration, next);
    if (o->scalar >= 0) kpar_graph_set_state(lowering->graph, o->scalar_before, o->scalar);
    return KPAR_OK;
}
