/* Lowering the update: for each weight one map of the optimizer's formula, which makes the new weight and its new slots;
 * what sums over a tensor's elements comes before it. */
#include "model/lower_optimizer.h"

#include <string.h>

/* The update of one weight. */
typedef struct weight_update {
    const kpar_optimizer *o;
    const kpar_optimizer_slots *all;
    kpar_update u;
    const kpar_variable *variable;
    kpar_value_id value, slots[KPAR_ALL_SLOTS]; /* sources */
    kpar_value_id start; /* the weight, or what its layer has made of it in this step */
    const char *layer;
    bool moves; /* has a gradient */
    kpar_x weight, gradient, rate, step, old_slots[KPAR_ALL_SLOTS], new_slots[KPAR_ALL_SLOTS];
} weight_update;

/* A slot as a tensor that broadcasts to the weight's shape. */
static kpar_status slot_input(weight_update *w, int s)
{
    const int without = w->all->slots[s].without;
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
    const kpar_optimizer *o = w->o;
    kpar_expression_builder *e = w->u.e;
    if (o->clip_norm > 0) {
        kpar_x norm, most = kpar_x_constant(e, o->clip_norm);
        KPAR_TRY(kpar_update_norm(&w->u, *gradient, KPAR_ALL_AXES, &norm));
        *gradient = kpar_x_div(e, kpar_x_mul(e, *gradient, most), kpar_x_max(e, norm, most));
    } else if (o->clip_together > 0)
        *gradient = kpar_x_mul(e, *gradient, kpar_update_input(&w->u, o->clip_factor));
    else if (o->clip > 0)
        *gradient = kpar_x_clip(e, *gradient, -o->clip, o->clip);
    return KPAR_OK;
}

/* The mean gradient of the batches since the last update, and what is kept of it. */
static void take_accumulated(weight_update *w, kpar_x *gradient)
{
    const kpar_optimizer *o = w->o;
    kpar_expression_builder *e = w->u.e;
    if (o->accumulator < 0) return;
    kpar_x sum = kpar_x_add(e, *gradient, w->old_slots[o->accumulator]);
    w->new_slots[o->accumulator] = kpar_optimizer_if_updated(o, e, w->step, kpar_x_constant(e, 0), sum);
    *gradient = kpar_x_div(e, sum, kpar_x_constant(e, (double)o->accumulate));
}

static kpar_status decay_of(const kpar_optimizer *o, const kpar_variable *weight, double *decay)
{
    if (o->row->decay) return o->row->decay(o->owner, o->config, weight, decay);
    return kpar_config_number(o->owner, o->config, "weight_decay", o->row->weight_decay, decay);
}

/* Clipping, weight decay and the row's formula. */
static kpar_status take_step(weight_update *w)
{
    const kpar_optimizer *o = w->o;
    kpar_expression_builder *e = w->u.e;
    double weight_decay;
    kpar_optimizer_formula f = {.variable = w->variable,
                                .weight = w->weight,
                                .gradient = w->gradient,
                                .rate = w->rate,
                                .step = kpar_optimizer_next(e, kpar_optimizer_updates(o, e, w->step)),
                                .update = &w->u};
    if (o->scalar >= 0) f.scalar = kpar_update_input(&w->u, o->scalar);
    memcpy(f.slots, &w->old_slots[o->first], sizeof f.slots);
    KPAR_TRY(clip(w, &f.gradient));
    KPAR_TRY(decay_of(o, w->variable, &weight_decay));
    if (weight_decay != 0) {
        kpar_x decay = kpar_x_mul(e, f.rate, kpar_x_constant(e, weight_decay));
        f.weight = kpar_x_sub(e, f.weight, kpar_x_mul(e, f.weight, decay));
    }
    KPAR_TRY(o->row->formula(o->owner, o->config, e, &f));
    w->weight = kpar_optimizer_if_updated(o, e, w->step, f.weight, w->weight);
    for (int s = o->first; s < w->all->n; s++)
        w->new_slots[s] = kpar_optimizer_if_updated(o, e, w->step, f.slots[s - o->first], w->old_slots[s]);
    return KPAR_OK;
}

/* The moving average takes the first weights as they are. */
static void average(weight_update *w)
{
    const kpar_optimizer *o = w->o;
    kpar_expression_builder *e = w->u.e;
    if (!o->averages) return;
    kpar_x zero = kpar_x_constant(e, 0), count = kpar_optimizer_updates(o, e, w->step);
    kpar_x momentum =
        kpar_x_select(e, kpar_x_eq(e, count, zero), zero, kpar_x_constant(e, o->average_momentum));
    kpar_x kept = kpar_x_mul(e, momentum, w->old_slots[o->average]);
    kpar_x new = kpar_x_mul(e, kpar_x_sub(e, kpar_x_constant(e, 1), momentum), w->weight);
    kpar_x mean = w->new_slots[o->average] = kpar_x_add(e, kept, new);
    if (o->overwrite > 0)
        w->weight = kpar_x_select(e, kpar_optimizer_due(e, kpar_optimizer_next(e, count), o->overwrite), mean,
                                  w->weight);
}

/* Gradients that are not finite change nothing. */
static void undo_unless_finite(weight_update *w, kpar_x start)
{
    kpar_expression_builder *e = w->u.e;
    if (w->o->finite < 0) return;
    kpar_x finite = kpar_update_input(&w->u, w->o->finite);
    w->weight = kpar_x_select(e, finite, w->weight, start);
    for (int s = 0; s < w->all->n; s++)
        w->new_slots[s] = kpar_x_select(e, finite, w->new_slots[s], w->old_slots[s]);
}

/* The maps, and the states that they make: one of all that has the weight's shape. */
static kpar_status write_states(weight_update *w)
{
    kpar_lowering *lowering = w->u.lowering;
    kpar_graph *g = lowering->graph;
    kpar_x outputs[1 + KPAR_ALL_SLOTS] = {w->weight};
    kpar_value_id of[1 + KPAR_ALL_SLOTS] = {w->value}, values[1 + KPAR_ALL_SLOTS];
    int n = 1;
    for (int s = 0; s < w->all->n; s++) {
        if (w->all->slots[s].without == 0) {
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
    const kpar_optimizer *o = w->o;
    kpar_x g = kpar_x_constant(w->u.e, 0);
    w->weight = kpar_update_input(&w->u, w->start);
    if (gradient >= 0) g = kpar_update_input(&w->u, gradient);
    w->rate = kpar_update_input(&w->u, o->rate);
    w->step = kpar_update_input(&w->u, o->step);
    for (int s = 0; s < w->all->n; s++) KPAR_TRY(slot_input(w, s));
    if (!w->moves) return KPAR_OK;
    if (o->scale >= 0) g = kpar_x_div(w->u.e, g, kpar_update_input(&w->u, o->scale));
    if (o->loss_scale != 1) g = kpar_x_div(w->u.e, g, kpar_x_constant(w->u.e, o->loss_scale));
    KPAR_TRY(kpar_regularizer_gradient(&w->u, w->variable, w->start, &g));
    take_accumulated(w, &g);
    w->gradient = g;
    return KPAR_OK;
}

static kpar_status end_update(weight_update *w)
{
    const kpar_x start = w->weight;
    w->u.lowering->graph->layer = w->layer;
    if (w->moves) KPAR_TRY(take_step(w));
    average(w);
    if (w->moves) KPAR_TRY(kpar_constrain(&w->u, w->variable, &w->weight));
    undo_unless_finite(w, start);
    return write_states(w);
}

/* Begins the update of the optimizer's weight number `k`. */
static kpar_status begin_weight(kpar_lowering *lowering, const kpar_optimizer *o, int k,
                                const kpar_value_id *gradients, weight_update *w)
{
    kpar_graph *g = lowering->graph;
    const int weight = lowering->weights[o->weights[k]];
    const kpar_variable *variable = &lowering->catalog->variables[weight];
    kpar_value_id gradient = gradients[o->weights[k]];
    *w = (weight_update){.o = o,
                         .all = &o->slots[k],
                         .variable = variable,
                         .layer = kpar_arena_strdup(lowering->arena, variable->layer),
                         .value = kpar_lower_variable(lowering, weight),
                         .moves = gradient >= 0 || variable->regularizer};
    w->start = kpar_graph_next_state(g, w->value);
    g->layer = w->layer;
    if (gradient >= 0) KPAR_TRY(kpar_build_accumulate(g, gradient, &gradient));
    for (int s = 0; s < w->all->n; s++) w->slots[s] = kpar_lower_variable(lowering, w->all->variables[s]);
    kpar_update_begin(&w->u, lowering, kpar_lower_shape(lowering, w->value));
    return begin_update(w, gradient);
}

/* The sum over the elements of all gradients; it goes from layer to layer, and so from stage to stage. -1: there are none. */
static kpar_status sum_together(kpar_lowering *lowering, const kpar_optimizer *o, weight_update *updates,
                                kpar_x (*term)(weight_update *w), kpar_value_id *total)
{
    kpar_graph *g = lowering->graph;
    kpar_value_id sum;
    *total = -1;
    for (int k = 0; k < o->n_weights; k++) {
        weight_update *w = &updates[k];
        if (!w->moves) continue;
        g->layer = w->layer;
        KPAR_TRY(kpar_update_sum_value(&w->u, term(w), KPAR_ALL_AXES, &sum));
        if (*total >= 0) KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_ADD, *total, sum, &sum));
        *total = sum;
    }
    return KPAR_OK;
}

static kpar_x squared(weight_update *w) { return kpar_x_square(w->u.e, w->gradient); }
static kpar_x not_finite(weight_update *w) { return kpar_scaling_not_finite(w->u.e, w->gradient); }

/* What all gradients are multiplied by so that their norm together is at most the limit. */
static kpar_status clip_together(kpar_lowering *lowering, kpar_optimizer *o, weight_update *updates)
{
    kpar_value_id total;
    KPAR_TRY(sum_together(lowering, o, updates, squared, &total));
    if (total < 0) return KPAR_OK;
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x one = kpar_x_constant(e, 1), most = kpar_x_constant(e, o->clip_together);
    kpar_x norm = kpar_x_sqrt(e, kpar_x_input(e, 0));
    kpar_x least = kpar_x_min(e, kpar_x_div(e, one, norm), kpar_x_div(e, one, most));
    return kpar_lower_apply(lowering, e, kpar_x_mul(e, most, least), &total, 1, &o->clip_factor);
}

/* What is known of all gradients only together. */
static kpar_status look_at_all(kpar_lowering *lowering, kpar_optimizer *o, weight_update *updates)
{
    kpar_value_id total;
    if (o->scale >= 0) {
        KPAR_TRY(sum_together(lowering, o, updates, not_finite, &total));
        if (total >= 0) KPAR_TRY(kpar_scaling_decide(lowering, o, total));
    }
    return o->clip_together > 0 ? clip_together(lowering, o, updates) : KPAR_OK;
}

static kpar_status take_steps(kpar_lowering *lowering, kpar_optimizer *o, const kpar_value_id *gradients,
                              weight_update *updates)
{
    const bool together = o->clip_together > 0 || o->scale >= 0;
    for (int k = 0; k < o->n_weights; k++) {
        KPAR_TRY(begin_weight(lowering, o, k, gradients, &updates[k]));
        if (!together) KPAR_TRY(end_update(&updates[k]));
    }
    if (!together) return KPAR_OK;
    KPAR_TRY(look_at_all(lowering, o, updates));
    for (int k = 0; k < o->n_weights; k++) KPAR_TRY(end_update(&updates[k]));
    return KPAR_OK;
}

static kpar_status update_weights(kpar_lowering *lowering, kpar_optimizer *o, const kpar_value_id *gradients)
{
    weight_update *updates = kpar_arena_alloc(lowering->arena, ((size_t)o->n_weights + 1) * sizeof *updates);
    for (int k = 0; k < o->n_weights; k++) updates[k].u.e = NULL;
    kpar_status status = take_steps(lowering, o, gradients, updates);
    for (int k = 0; k < o->n_weights; k++)
        if (updates[k].u.e) kpar_update_end(&updates[k].u);
    KPAR_TRY(status);
    return kpar_optimizer_end(lowering, o);
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
    kpar_optimizers o;
    g->phase = KPAR_PHASE_UPDATE;
    g->part = KPAR_FORWARD;
    g->layer = "";
    KPAR_TRY(kpar_optimizers_begin(lowering, &o));
    for (int i = 0; i < o.n; i++) KPAR_TRY(update_weights(lowering, &o.all[i], gradients));
    keep_rest(lowering);
    g->layer = "";
    return KPAR_OK;
}
