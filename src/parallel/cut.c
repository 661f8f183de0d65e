/* Cutting into stages. */
#include "parallel/cut.h"

#include "base/memory.h"
#include "parallel/homes.h"
#include "parallel/stages.h"

#include <string.h>

typedef struct cutting {
    const kpar_graph *old;
    const kpar_cut_options *options;
    int *stages; /* by old op: -1, or the stage that runs it in each microbatch */
    kpar_rebuild r;
    int n_transfers;
    kpar_value_id *received; /* [old value * stages + stage]: the new value there, -1: not yet */
    int *homes;              /* by old value: the place in the pipeline that makes it, or: */
    int *variable_homes;     /* by index of a variable: likewise */
} cutting;

enum {
    EVERYWHERE = -1, /* all make the same of the same */
    EACH = -2        /* each makes its own, of scalars that others made: see at_stage */
};

static bool takes_part(const kpar_op *op) { return op->phase == KPAR_PHASE_MICROBATCH; }

static int place_of(const cutting *c, int stage) { return kpar_mesh_of_stage(c->options->cost.mesh, stage); }

static kpar_value_id *at_stage(cutting *c, kpar_value_id old, int stage)
{
    return &c->received[(size_t)old * (size_t)c->options->stages + (size_t)stage];
}

static void set_building(kpar_graph *g, const kpar_op *op, const char *layer, int stage)
{
    g->phase = op->phase;
    g->part = op->part;
    g->layer = layer;
    g->stage = stage;
}

/* Whether what an op of `part` on stage `there` made, or received, is on the same rank before another part on stage `here`. */
static bool comes_before(kpar_part made, int there, kpar_part used, int here)
{
    return made == KPAR_FORWARD ? used != KPAR_FORWARD || there <= here : there >= here;
}

/* The value as another stage of the rank already has it; -1: it does not. */
static kpar_value_id found_on_rank(cutting *c, kpar_value_id old, int stage, kpar_part part)
{
    const int ranks = c->options->cost.mesh.pipeline;
    for (int there = stage % ranks; there < c->options->stages; there += ranks) {
        const kpar_value_id value = *at_stage(c, old, there);
        if (value < 0) continue;
        const kpar_op *op = &c->r.graph->ops[c->r.graph->values[value].op];
        if (comes_before(op->part, there, part, stage)) return value;
    }
    return -1;
}

/* The value as stage `stage` sees it: sent where it is made, received where it is used, once for each rank. */
static kpar_status pass_on(cutting *c, kpar_value_id old, int stage, const kpar_op *user,
                           kpar_value_id *value)
{
    kpar_graph *g = c->r.graph;
    const kpar_value *v = &c->old->values[old];
    kpar_value_id *there = at_stage(c, old, stage);
    const bool moves = v->op >= 0 && takes_part(&c->old->ops[v->op]);
    if (!moves) {
        *value = kpar_rebuild_source(&c->r, old);
        return KPAR_OK;
    }
    if (*there < 0) *there = found_on_rank(c, old, stage, user->part);
    if (*there < 0) {
        const kpar_op *maker = &c->old->ops[v->op];
        const int from = c->stages[v->op];
        kpar_value_id sent = *at_stage(c, old, from);
        set_building(g, maker, v->layer, from);
        const kpar_attributes to = {.peer = place_of(c, stage), .channel = c->n_transfers};
        KPAR_TRY(kpar_graph_append(g, KPAR_OP_SEND, &sent, 1, &to, NULL));
        set_building(g, user, v->layer, stage);
        const kpar_attributes attributes = {
            .peer = place_of(c, from), .channel = c->n_transfers++, .shape = v->shape, .dtype = v->dtype};
        KPAR_TRY(kpar_graph_append(g, KPAR_OP_RECEIVE, NULL, 0, &attributes, there));
        memcpy(g->values[*there].placement, v->placement, sizeof v->placement);
    }
    *value = *there;
    return KPAR_OK;
}

/* A scalar of the update at another place of the pipeline than its own: it is sent as soon as it is there, so that its rank
 * waits for no other. */
static kpar_status pass_on_scalar(cutting *c, kpar_value_id value, int from, int to, kpar_value_id *there)
{
    kpar_graph *g = c->r.graph;
    const kpar_value v = g->values[value];
    const kpar_op maker = {.phase = v.phase, .part = KPAR_FORWARD};
    set_building(g, &maker, v.layer, from);
    KPAR_TRY(kpar_graph_append(g, KPAR_OP_SEND, &value, 1,
                               &(kpar_attributes){.peer = to, .channel = c->n_transfers}, NULL));
    set_building(g, &maker, v.layer, to);
    const kpar_attributes attributes = {
        .peer = from, .channel = c->n_transfers++, .shape = v.shape, .dtype = v.dtype};
    KPAR_TRY(kpar_graph_append(g, KPAR_OP_RECEIVE, NULL, 0, &attributes, there));
    memcpy(g->values[*there].placement, v.placement, sizeof v.placement);
    return KPAR_OK;
}

static int source_home(const cutting *c, const kpar_value *v)
{
    return v->phase == KPAR_PHASE_STATE ? c->variable_homes[v->index] : EVERYWHERE;
}

static int home_of(const cutting *c, kpar_value_id old)
{
    const kpar_value *v = &c->old->values[old];
    return v->op >= 0 ? c->homes[old] : source_home(c, v);
}

static bool is_optimizer_scalar(const cutting *c, const kpar_value *v)
{
    return v->phase == KPAR_PHASE_STATE && v->op < 0 &&
           kpar_variable_is_optimizer_scalar(&c->options->catalog->variables[v->index]);
}

/* Where an op that is no microbatch's runs: with the weights and tensors that it reads, or else with the scalars. What it
 * makes of them and of scalars that every place has, for these to become, each place makes for itself. */
static int later_home(const cutting *c, const kpar_op *op)
{
    int of_tensors = EVERYWHERE, of_scalars = EVERYWHERE;
    bool shared = false, own = false; /* reads what all have, what each has made for itself */
    for (int k = 0; k < op->n_inputs; k++) {
        const kpar_value *v = &c->old->values[op->inputs[k]];
        const int home = home_of(c, op->inputs[k]);
        int *most = v->shape.rank > 0 || v->op < 0 ? &of_tensors : &of_scalars;
        if (home > *most) *most = home;
        shared = shared || is_optimizer_scalar(c, v);
        own = own || home == EACH;
    }
    if (of_tensors >= 0) return of_tensors;
    return own || (shared && of_scalars >= 0) ? EACH : of_scalars;
}

/* A value as place `place` in the pipeline sees it: scalars of other places are sent to it. */
static kpar_status see_from(cutting *c, kpar_value_id old, int place, kpar_value_id *seen)
{
    const kpar_value *v = &c->old->values[old];
    const int from = v->op >= 0 ? c->homes[old] : EVERYWHERE;
    kpar_value_id *there = from == EACH || place >= 0 ? at_stage(c, old, place) : NULL;
    *seen = kpar_rebuild_source(&c->r, old);
    if (from == EACH) *seen = *there;
    if (v->phase != KPAR_PHASE_UPDATE || v->shape.rank > 0 || from < 0 || from == place) return KPAR_OK;
    if (*there < 0) KPAR_TRY(pass_on_scalar(c, *seen, from, place, there));
    *seen = *there;
    return KPAR_OK;
}

/* The op as place `place` runs it, EVERYWHERE: as all do. */
static kpar_status copy_later(cutting *c, kpar_op_id id, int place, kpar_op **copy)
{
    const kpar_op *op = &c->old->ops[id];
    kpar_value_id *inputs = kpar_arena_alloc(c->r.graph->arena, ((size_t)op->n_inputs + 1) * sizeof *inputs);
    for (int k = 0; k < op->n_inputs; k++) KPAR_TRY(see_from(c, op->inputs[k], place, &inputs[k]));
    kpar_rebuild_copy(&c->r, id);
    *copy = &c->r.graph->ops[c->r.graph->n_ops - 1];
    (*copy)->inputs = inputs;
    return KPAR_OK;
}

static kpar_status cut_later(cutting *c, kpar_op_id id)
{
    const kpar_op *op = &c->old->ops[id];
    const int home = later_home(c, op);
    kpar_op *copy;
    for (int i = 0; i < op->n_outputs; i++) c->homes[op->outputs[i]] = home;
    if (home != EACH) return copy_later(c, id, home, &copy);
    for (int place = 0; place < c->options->cost.mesh.pipeline; place++) {
        KPAR_TRY(copy_later(c, id, place, &copy));
        copy->stage = place;
        for (int i = 0; i < op->n_outputs; i++) *at_stage(c, op->outputs[i], place) = copy->outputs[i];
    }
    return KPAR_OK;
}

static kpar_status cut_op(cutting *c, kpar_op_id id)
{
    const kpar_op *op = &c->old->ops[id];
    if (!takes_part(op)) return cut_later(c, id);
    const int stage = c->stages[id];
    kpar_value_id *inputs = kpar_arena_alloc(c->r.graph->arena, ((size_t)op->n_inputs + 1) * sizeof *inputs);
    for (int i = 0; i < op->n_inputs; i++) KPAR_TRY(pass_on(c, op->inputs[i], stage, op, &inputs[i]));
    kpar_rebuild_copy(&c->r, id);
    kpar_op *copied = &c->r.graph->ops[c->r.graph->n_ops - 1];
    copied->inputs = inputs;
    copied->stage = stage;
    for (int i = 0; i < op->n_outputs; i++) {
        *at_stage(c, op->outputs[i], stage) = copied->outputs[i];
        c->homes[op->outputs[i]] = place_of(c, stage);
    }
    return KPAR_OK;
}

/* All ranks look at what guards the update. */
static kpar_status pass_on_guards(cutting *c)
{
    kpar_graph *g = c->r.graph;
    const size_t n = g->n_outputs;
    for (size_t i = 0; i < n; i++) {
        if (g->outputs[i].kind != KPAR_OUTPUT_GUARD) continue;
        const kpar_value_id value = g->outputs[i].value;
        const kpar_value_id old = c->old->outputs[i].value;
        const int home = c->homes[old];
        g->outputs[i].index = home < 0 ? 0 : home;
        if (home == EACH) g->outputs[i].value = *at_stage(c, old, 0);
        for (int place = 0; place < c->options->cost.mesh.pipeline; place++) {
            kpar_value_id there = home == EACH ? *at_stage(c, old, place) : value;
            if (place == g->outputs[i].index) continue;
            if (home >= 0) KPAR_TRY(pass_on_scalar(c, value, home, place, &there));
            kpar_graph_add_output(g, KPAR_OUTPUT_GUARD, place, there);
        }
    }
    return KPAR_OK;
}

/* What each place makes for itself is its own next value. */
static void spread_states(cutting *c)
{
    kpar_graph *g = c->r.graph;
    for (size_t i = 0; i < c->old->n_states; i++) {
        const kpar_value_id old = c->old->states[i].next;
        if (home_of(c, old) != EACH) continue;
        g->states[i].place = 0;
        g->states[i].next = *at_stage(c, old, 0);
        for (int place = 1; place < c->options->cost.mesh.pipeline; place++)
            kpar_graph_set_state_at(g, g->states[i].value, *at_stage(c, old, place), place);
    }
}

/* A variable becomes what is computed where it is. */
static kpar_status check_states(const cutting *c)
{
    for (size_t i = 0; i < c->old->n_states; i++) {
        const kpar_state *s = &c->old->states[i];
        const int here = source_home(c, &c->old->values[s->value]), made = c->homes[s->next];
        if (s->next == s->value || here < 0 || made < 0 || here == made) continue;
        return kpar_fail(KPAR_EINTERNAL,
                         "layer '%s': a weight on stage %d of the pipeline has its new value on stage %d",
                         c->old->values[s->next].layer, here, made);
    }
    return KPAR_OK;
}

static kpar_status cut_all(cutting *c)
{
    KPAR_TRY(kpar_choose_stages(c->old, c->options, &c->stages));
    c->variable_homes = kpar_variable_homes(c->old, c->options->catalog, c->options->cost.mesh, c->stages);
    for (size_t i = 0; i < c->old->n_ops; i++) KPAR_TRY(cut_op(c, (kpar_op_id)i));
    return check_states(c);
}

kpar_status kpar_cut(const kpar_graph *graph, const kpar_cut_options *options, kpar_graph **cut)
{
    cutting c = {.old = graph, .options = options};
    const size_t n = graph->n_values * (size_t)options->stages;
    c.received = kpar_alloc((n + 1) * sizeof *c.received);
    for (size_t i = 0; i < n; i++) c.received[i] = -1;
    kpar_rebuild_begin(&c.r, graph);
    c.homes = kpar_arena_alloc(c.r.graph->arena, (graph->n_values + 1) * sizeof *c.homes);
    kpar_status status = cut_all(&c);
    kpar_rebuild_end(&c.r);
    if (status == KPAR_OK) spread_states(&c);
    if (status == KPAR_OK) status = pass_on_guards(&c);
    kpar_free(c.received);
    kpar_free(c.variable_homes);
    kpar_free(c.stages);
    if (status != KPAR_OK)
        kpar_graph_destroy(c.r.graph);
    else
        *cut = c.r.graph;
    return status;
}
