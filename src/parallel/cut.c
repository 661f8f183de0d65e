/* Cutting into stages. */
#include "parallel/cut.h"

#include "base/names.h"
#include "parallel/homes.h"

#include <string.h>

enum { UNCUT = INT32_MAX };

/* A unit: what may not be cut, the ops of one layer, forward and backward. */
typedef struct unit {
    const char *layer;
    double seconds;
    int stage;
    bool joined; /* with the unit before: no stage begins here */
    int crossing; /* tensors that go over where it begins; UNCUT: it begins within a module */
} unit;

typedef struct cutting {
    const kpar_graph *old;
    const kpar_cut_options *options;
    unit *units; /* in order of the forward pass */
    int n_units;
    size_t units_capacity;
    kpar_names layers; /* numbered as units are */
    kpar_rebuild r;
    int n_transfers;
    kpar_value_id *received; /* [old value * stages + stage]: the new value there, -1: not yet */
    int *homes;              /* by old value: the place in the pipeline that makes it, -1: every one */
    int *variable_homes;     /* by index of a variable: likewise */
} cutting;

static bool takes_part(const kpar_op *op) { return op->phase == KPAR_PHASE_MICROBATCH; }

static unit *unit_of(cutting *c, const char *layer)
{
    const int found = kpar_names_find(&c->layers, layer);
    return found >= 0 ? &c->units[found] : NULL;
}

static void find_units(cutting *c)
{
    for (size_t i = 0; i < c->old->n_ops; i++) {
        const kpar_op *op = &c->old->ops[i];
        if (!takes_part(op)) continue;
        unit *u = unit_of(c, op->layer);
        if (!u) {
            size_t n = (size_t)c->n_units;
            KPAR_PUSH(c->units, n, c->units_capacity) = (unit){.layer = op->layer};
            u = &c->units[c->n_units++];
            kpar_names_add(&c->layers, op->layer);
        }
        u->seconds += kpar_cost_seconds(c->old, op, &c->options->cost);
    }
}

static int place_of(const cutting *c, int stage)
{
    return kpar_mesh_of_stage(c->options->cost.mesh, stage);
}

/* Stages may be on one rank, which then runs one after the other: so none may read what a later one makes. A layer that
 * is used again behind others is joined with them. */
static void join_reused(cutting *c)
{
    for (size_t i = 0; i < c->old->n_ops; i++) {
        const kpar_op *op = &c->old->ops[i];
        if (!takes_part(op) || op->part != KPAR_FORWARD) continue;
        const int reader = kpar_names_find(&c->layers, op->layer);
        for (int k = 0; k < op->n_inputs; k++) {
            const kpar_op_id maker = c->old->values[op->inputs[k]].op;
            if (maker < 0 || !takes_part(&c->old->ops[maker])) continue;
            for (int u = kpar_names_find(&c->layers, c->old->ops[maker].layer); u > reader; u--)
                c->units[u].joined = true;
        }
    }
}

/* Otherwise they had better not, as ranks would wait for each other, but may where there is no other cut. */
static void part_again(cutting *c)
{
    for (int i = 0; i < c->n_units; i++) c->units[i].joined = false;
}

/* Whether both are of one model within the model, or of one layer that has layers. */
static bool same_module(const char *a, const char *b)
{
    const size_t n = strcspn(a, "/");
    return a[n] == '/' && strncmp(a, b, n + 1) == 0;
}

/* Between blocks fewer tensors go over than inside: a residual block has its input besides. */
static void count_crossings(cutting *c)
{
    const kpar_graph *g = c->old;
    int *last = kpar_alloc((g->n_values + 1) * sizeof *last);
    int *change = kpar_alloc_zeroed((size_t)c->n_units + 2, sizeof *change);
    for (size_t i = 0; i < g->n_values; i++) last[i] = -1;
    for (size_t i = 0; i < g->n_ops; i++)
        for (int k = 0; takes_part(&g->ops[i]) && g->ops[i].part == KPAR_FORWARD && k < g->ops[i].n_inputs; k++) {
            const int reader = kpar_names_find(&c->layers, g->ops[i].layer);
            if (reader > last[g->ops[i].inputs[k]]) last[g->ops[i].inputs[k]] = reader;
        }
    for (size_t i = 0; i < g->n_values; i++) {
        const kpar_op_id maker = g->values[i].op;
        if (maker < 0 || !takes_part(&g->ops[maker]) || g->ops[maker].part != KPAR_FORWARD) continue;
        const int first = kpar_names_find(&c->layers, g->ops[maker].layer);
        if (last[i] <= first) continue;
        change[first + 1]++;
        change[last[i] + 1]--;
    }
    for (int i = 1, tensors = change[0]; i < c->n_units; i++) {
        tensors += change[i];
        c->units[i].crossing = same_module(c->units[i - 1].layer, c->units[i].layer) ? UNCUT : tensors;
    }
    kpar_free(last);
    kpar_free(change);
}

static const char *unit_name(const unit *u) { return *u->layer ? u->layer : "the loss"; }

/* Contiguous partition of the units with the smallest largest stage, whose seconds it returns: dynamic programming over
 * prefixes. At most `crossing` tensors go over each cut; 1e300 and no partition where there are too few such places. */
static double balance(cutting *c, int crossing)
{
    const int n = c->n_units, stages = c->options->stages;
    double *best = kpar_alloc((size_t)(n + 1) * (size_t)(stages + 1) * sizeof *best);
    int *from = kpar_alloc((size_t)(n + 1) * (size_t)(stages + 1) * sizeof *from);
#define AT(table, units, parts) (table)[(units) * (stages + 1) + (parts)]
    for (int i = 0; i <= n; i++)
        for (int s = 0; s <= stages; s++) AT(best, i, s) = i == 0 && s == 0 ? 0 : 1e300;
    for (int s = 1; s <= stages; s++)
        for (int i = s; i <= n; i++) {
            double last = 0;
            for (int k = i - 1; k >= s - 1; k--) {
                last += c->units[k].seconds;
                if (last >= AT(best, i, s)) break; /* earlier cuts make the last part larger still */
                if (c->units[k].joined || c->units[k].crossing > crossing) continue;
                double largest = AT(best, k, s - 1) > last ? AT(best, k, s - 1) : last;
                if (largest >= AT(best, i, s)) continue;
                AT(best, i, s) = largest;
                AT(from, i, s) = k;
            }
        }
    const double largest = AT(best, n, stages);
    for (int s = stages, end = n; s > 0 && largest < 1e300; end = AT(from, end, s), s--)
        for (int k = AT(from, end, s); k < end; k++) c->units[k].stage = s - 1;
#undef AT
    kpar_free(best);
    kpar_free(from);
    return largest;
}

/* The fewest tensors that make the largest stage little larger: so blocks and modules stay whole. */
static void balance_modules(cutting *c)
{
    enum { MOST = 8 };
    const double acceptable = 1.25, largest = balance(c, UNCUT);
    count_crossings(c);
    for (int crossing = 1; crossing <= MOST; crossing++)
        if (balance(c, crossing) <= acceptable * largest) return;
    balance(c, UNCUT);
}

static kpar_status cut_where_told(cutting *c)
{
    int next = 0;
    for (int i = 0; i < c->n_units; i++) {
        if (next < c->options->stages - 1 && strcmp(c->units[i].layer, c->options->first_layers[next]) == 0) {
            if (c->units[i].joined)
                return kpar_fail(KPAR_EUSAGE,
                                 "--stages: no stage can begin at layer '%s' where a rank has several: a layer "
                                 "before it is used again behind it",
                                 c->units[i].layer);
            if (i == 0)
                return kpar_fail(KPAR_EUSAGE,
                                 "--stages: layer '%s' begins the first stage anyway; name the first layer "
                                 "of each later stage",
                                 c->units[i].layer);
            next++;
        }
        c->units[i].stage = next;
    }
    if (next == c->options->stages - 1) return KPAR_OK;
    const char *name = c->options->first_layers[next];
    return unit_of(c, name)
               ? kpar_fail(KPAR_EUSAGE,
                           "--stages: layer '%s' comes before the stage in front of it; name layers in the "
                           "model's order",
                           name)
               : kpar_fail(KPAR_EUSAGE,
                           "--stages: no layer '%s' that can begin a stage; the model has %s ... %s", name,
                           unit_name(&c->units[0]), unit_name(&c->units[c->n_units - 1]));
}

/* Layers that the map does not know, such as a loss that only training has, stay with the layer before them. */
static void follow_map(cutting *c)
{
    const kpar_stage_map *map = c->options->map;
    kpar_names known = {0};
    for (int k = 0; k < map->n; k++) kpar_names_add(&known, map->layers[k]);
    for (int i = 0; i < c->n_units; i++) {
        const int k = kpar_names_find(&known, c->units[i].layer);
        c->units[i].stage = k >= 0 ? map->stages[k] : i ? c->units[i - 1].stage : 0;
    }
    kpar_names_clear(&known);
}

static void keep_map(const cutting *c)
{
    kpar_stage_map *map = c->options->map;
    map->n = c->n_units;
    map->layers = kpar_arena_alloc(map->arena, (size_t)map->n * sizeof *map->layers);
    map->stages = kpar_arena_alloc(map->arena, (size_t)map->n * sizeof *map->stages);
    for (int i = 0; i < map->n; i++) {
        map->layers[i] = kpar_arena_strdup(map->arena, c->units[i].layer);
        map->stages[i] = c->units[i].stage;
    }
}

/* The largest number of stages. */
static int count_parts(const cutting *c)
{
    int n = 0;
    for (int i = 0; i < c->n_units; i++) n += !c->units[i].joined;
    return n;
}

static kpar_status check_parts(const cutting *c)
{
    const int stages = c->options->stages, ranks = c->options->cost.mesh.pipeline, parts = count_parts(c);
    if (parts >= stages) return KPAR_OK;
    if (stages == ranks)
        return kpar_fail(KPAR_EUSAGE,
                         "--pipeline %d: the model can be cut into at most %d stages (a layer is never cut, "
                         "the loss may be a stage)",
                         ranks, parts);
    return kpar_fail(KPAR_EUSAGE,
                     "--pipeline %d with %d stages a rank: the model can be cut into at most %d stages (neither a layer "
                     "nor what lies between two uses of it is cut, the loss may be a stage); choose a "
                     "smaller --virtual-stages or another --schedule",
                     ranks, stages / ranks, parts);
}

static kpar_status choose_stages(cutting *c)
{
    find_units(c);
    if (c->options->map->n > 0) {
        follow_map(c);
        return KPAR_OK;
    }
    const bool several = c->options->stages > c->options->cost.mesh.pipeline; /* on a rank */
    if (several || !c->options->first_layers) join_reused(c);
    if (!several && count_parts(c) < c->options->stages) part_again(c);
    KPAR_TRY(check_parts(c));
    if (c->options->first_layers)
        KPAR_TRY(cut_where_told(c));
    else
        balance_modules(c);
    keep_map(c);
    return KPAR_OK;
}

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
        const int from = unit_of(c, maker->layer)->stage;
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
    return v->phase == KPAR_PHASE_STATE ? c->variable_homes[v->index] : -1;
}

static void find_variable_homes(cutting *c)
{
    int *stages = kpar_alloc_zeroed(c->old->n_ops + 1, sizeof *stages);
    for (size_t i = 0; i < c->old->n_ops; i++)
        if (takes_part(&c->old->ops[i])) stages[i] = unit_of(c, c->old->ops[i].layer)->stage;
    c->variable_homes = kpar_variable_homes(c->old, c->options->catalog, c->options->cost.mesh, stages);
    kpar_free(stages);
}

/* Where an op that is no microbatch's runs: with the weights and tensors that it reads, or else with the scalars. */
static int later_home(const cutting *c, const kpar_op *op)
{
    int of_tensors = -1, of_scalars = -1;
    for (int k = 0; k < op->n_inputs; k++) {
        const kpar_value *v = &c->old->values[op->inputs[k]];
        const int home = v->op >= 0 ? c->homes[op->inputs[k]] : source_home(c, v);
        int *most = v->shape.rank > 0 || v->op < 0 ? &of_tensors : &of_scalars;
        if (home > *most) *most = home;
    }
    return of_tensors >= 0 ? of_tensors : of_scalars;
}

/* Scalars that it reads of other stages are sent to it. */
static kpar_status cut_later(cutting *c, kpar_op_id id)
{
    const kpar_op *op = &c->old->ops[id];
    const int home = later_home(c, op);
    for (int i = 0; i < op->n_outputs; i++) c->homes[op->outputs[i]] = home;
    kpar_value_id *inputs = kpar_arena_alloc(c->r.graph->arena, ((size_t)op->n_inputs + 1) * sizeof *inputs);
    bool *sent = kpar_arena_alloc(c->r.graph->arena, (size_t)op->n_inputs + 1);
    for (int k = 0; k < op->n_inputs; k++) {
        const kpar_value *v = &c->old->values[op->inputs[k]];
        const int from = v->op >= 0 ? c->homes[op->inputs[k]] : -1;
        sent[k] = v->phase == KPAR_PHASE_UPDATE && v->shape.rank == 0 && from >= 0 && from != home;
        if (!sent[k]) continue;
        kpar_value_id *there = at_stage(c, op->inputs[k], home);
        if (*there < 0) KPAR_TRY(pass_on_scalar(c, c->r.value[op->inputs[k]], from, home, there));
        inputs[k] = *there;
    }
    kpar_rebuild_copy(&c->r, id);
    kpar_op *copied = &c->r.graph->ops[c->r.graph->n_ops - 1];
    for (int k = 0; k < op->n_inputs; k++)
        if (!sent[k]) inputs[k] = copied->inputs[k];
    copied->inputs = inputs;
    return KPAR_OK;
}

static kpar_status cut_op(cutting *c, kpar_op_id id)
{
    const kpar_op *op = &c->old->ops[id];
    if (!takes_part(op)) return cut_later(c, id);
    const int stage = unit_of(c, op->layer)->stage;
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
        const int home = c->homes[c->old->outputs[i].value];
        g->outputs[i].index = home < 0 ? 0 : home;
        for (int place = 0; place < c->options->cost.mesh.pipeline; place++) {
            kpar_value_id there = value;
            if (place == g->outputs[i].index) continue;
            if (home >= 0) KPAR_TRY(pass_on_scalar(c, value, home, place, &there));
            kpar_graph_add_output(g, KPAR_OUTPUT_GUARD, place, there);
        }
    }
    return KPAR_OK;
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
    KPAR_TRY(choose_stages(c));
    find_variable_homes(c);
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
    if (status == KPAR_OK) status = pass_on_guards(&c);
    kpar_free(c.received);
    kpar_free(c.variable_homes);
    kpar_free(c.units);
    kpar_names_clear(&c.layers);
    if (status != KPAR_OK)
        kpar_graph_destroy(c.r.graph);
    else
        *cut = c.r.graph;
    return status;
}
