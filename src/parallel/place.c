/* The placement pass. */
#include "parallel/place.h"

#include "graph/build.h"
#include "parallel/place_internal.h"

#include <string.h>

/* Rows of a tensor are shared out if there are enough of them; a small tensor, and one that has to be whole for products,
 * has one owner, the one that owns least. */
static kpar_placement shard_of(kpar_placing *p, kpar_value_id old)
{
    const kpar_value *v = &p->r.old->values[old];
    enum { ROWS_BYTES = 1 << 16 };
    int64_t bytes = (int64_t)kpar_dtype_bytes(v->dtype);
    int shards = p->options->mesh.data, owner = 0;
    for (int i = 0; i < v->shape.rank; i++) bytes *= v->shape.dims[i].size;
    if (bytes >= ROWS_BYTES && !p->multiplied[old] && v->shape.rank > 0 &&
        v->shape.dims[0].size >= 2 * shards)
        return (kpar_placement){.kind = KPAR_SHARD, .owner = -1};
    for (int i = 1; i < shards; i++)
        if (p->owner_bytes[i] < p->owner_bytes[owner]) owner = i;
    p->owner_bytes[owner] += bytes + 1;
    return (kpar_placement){.kind = KPAR_SHARD, .owner = owner};
}

static bool splits_features(const kpar_placing *p, const kpar_value *v)
{
    return p->options->split_features && v->source == KPAR_FROM_FEATURE && v->shape.rank > 1 &&
           v->shape.dims[1].size % p->options->mesh.tensor == 0;
}

/* Whether another mode has decided where a variable lies. */
static bool is_known(const kpar_placing *p, const kpar_value *v)
{
    return v->phase == KPAR_PHASE_STATE && p->options->variables && p->options->variables[v->index].known;
}

static void place_source(kpar_placing *p, kpar_value *v)
{
    for (int axis = 0; axis < KPAR_AXIS_COUNT; axis++) v->placement[axis] = kpar_replicated;
    if (v->phase == KPAR_PHASE_STATE) {
        if (is_known(p, v)) v->placement[KPAR_AXIS_TENSOR] = p->options->variables[v->index].tensor;
        return;
    }
    if (p->options->mesh.data > 1) v->placement[KPAR_AXIS_DATA] = kpar_split_on(0);
    if (p->options->mesh.tensor > 1 && splits_features(p, v))
        v->placement[KPAR_AXIS_TENSOR] = kpar_split_on(1);
}

static bool is_sharded(const kpar_placing *p, const kpar_value *v)
{
    return p->options->zero > 0 && p->options->mesh.data > 1 && v->source == KPAR_FROM_VARIABLE &&
           v->shape.rank > 0 && p->options->trained[v->index];
}

static kpar_value_id add_source(kpar_placing *p, kpar_value value)
{
    kpar_graph *g = p->r.graph;
    KPAR_PUSH(g->values, g->n_values, g->values_capacity) = value;
    kpar_value_id id = (kpar_value_id)g->n_values - 1;
    kpar_set_open(p, id,
                  value.phase == KPAR_PHASE_STATE && p->options->mesh.tensor > 1 && !is_known(p, &value));
    return id;
}

/* What a sharded variable is read as outside the update: its compute copy, which every replica has whole. */
static kpar_value_id copy_source(kpar_placing *p, kpar_value_id old)
{
    if (p->copies[old] < 0) {
        kpar_value v = p->r.old->values[old];
        v.source = KPAR_FROM_COPY;
        place_source(p, &v);
        p->copies[old] = add_source(p, v);
    }
    return p->copies[old];
}

static kpar_value_id source(kpar_placing *p, kpar_value_id old, kpar_phase reader)
{
    kpar_value v = p->r.old->values[old];
    const bool sharded = is_sharded(p, &v);
    if (sharded && reader != KPAR_PHASE_UPDATE) return copy_source(p, old);
    if (p->r.value[old] >= 0) return p->r.value[old];
    place_source(p, &v);
    if (sharded) {
        kpar_value_id copy = copy_source(p, old);
        v.placement[KPAR_AXIS_TENSOR] = p->r.graph->values[copy].placement[KPAR_AXIS_TENSOR];
        v.placement[KPAR_AXIS_DATA] = shard_of(p, old);
        kpar_set_open(p, copy, false);
    }
    p->r.value[old] = add_source(p, v);
    if (sharded) kpar_set_open(p, p->r.value[old], false);
    return p->r.value[old];
}

kpar_value_id kpar_placed(kpar_placing *p, kpar_value_id old, kpar_phase reader)
{
    if (p->r.old->values[old].op < 0) return source(p, old, reader);
    return p->r.value[old];
}

/* What the update combines with a sharded weight, a sum or another state, is shared out as the weight is, for all its
 * readers: the norm of a gradient is that of its shards. */
static kpar_status share_out(kpar_placing *p, const kpar_op *op, kpar_value_id old, kpar_value_id *value)
{
    const kpar_graph *g = p->r.graph;
    if (op->kind != KPAR_OP_MAP || op->phase != KPAR_PHASE_UPDATE || p->meets[old] < 0 ||
        !is_sharded(p, &p->r.old->values[p->meets[old]]) ||
        (!kpar_is_sum(g->values[*value].placement[KPAR_AXIS_DATA]) &&
         g->values[*value].source != KPAR_FROM_VARIABLE))
        return KPAR_OK;
    const kpar_value_id variable = source(p, p->meets[old], KPAR_PHASE_UPDATE);
    return kpar_place_as(p, KPAR_AXIS_DATA, g->values[variable].placement[KPAR_AXIS_DATA], op->phase,
                         op->part, value);
}

/* A fact that replicas have terms of is summed before the first microbatch that reads it, and not in each of them. */
static kpar_status finish_fact(kpar_placing *p, const kpar_op *op, kpar_value_id *value)
{
    const kpar_value *v = &p->r.graph->values[*value];
    if (op->phase != KPAR_PHASE_MICROBATCH || v->phase != KPAR_PHASE_FACTS ||
        v->placement[KPAR_AXIS_DATA].kind != KPAR_PARTIAL)
        return KPAR_OK;
    return kpar_place_as(p, KPAR_AXIS_DATA, kpar_replicated, op->phase, op->part, value);
}

/* Where the variable is cut over the tensor axis that the value is a part of the gradient of. */
static kpar_placement wish_of(const kpar_placing *p, kpar_value_id old, kpar_axis axis)
{
    const kpar_value_id variable = p->meets[old];
    if (variable < 0 || axis != KPAR_AXIS_TENSOR) return kpar_replicated;
    const kpar_value_id placed = p->copies[variable] >= 0 ? p->copies[variable] : p->r.value[variable];
    return placed < 0 ? kpar_replicated : p->r.graph->values[placed].placement[axis];
}

/* Whether the op is better taken apart than given the whole of a dimension that it mixes. */
static bool had_better_not_gather(const kpar_placing *p, const kpar_rule *rule)
{
    const kpar_placement at = rule->given[0];
    const int64_t large = p->options->split_vocabulary;
    return rule->axis == KPAR_AXIS_TENSOR && kpar_op_expands(rule->op->kind) && at.kind == KPAR_SPLIT &&
           large > 0 && rule->graph->values[rule->inputs[0]].shape.dims[at.dim].size >= large;
}

/* How many outputs go on as they are, and not as a reduction of them only. */
static int wide_outputs(const kpar_placing *p, const kpar_op *op)
{
    int n = 0;
    for (int i = 0; i < op->n_outputs; i++) {
        const kpar_op_id user = p->only_user[op->outputs[i]];
        n += user < 0 || p->r.old->ops[user].kind != KPAR_OP_REDUCE;
    }
    return n;
}

/* Placement of the op along one axis; converts its inputs in place. */
static kpar_status place_along(kpar_placing *p, kpar_op_id id, kpar_axis axis, kpar_value_id *inputs,
                               kpar_placement *result)
{
    kpar_graph *g = p->r.graph;
    const kpar_op *op = &p->r.old->ops[id];
    kpar_placement *given = kpar_arena_alloc(g->arena, (size_t)(2 * op->n_inputs + 1) * sizeof *given),
                   *wanted = given + op->n_inputs;
    bool *open = kpar_arena_alloc(g->arena, (size_t)op->n_inputs + 1);
    for (int i = 0; i < op->n_inputs; i++) {
        given[i] = g->values[inputs[i]].placement[axis];
        open[i] = kpar_is_open(p, inputs[i]);
    }
    kpar_rule rule = {
        .graph = g,
        .op = op,
        .axis = axis,
        .extent = kpar_mesh_extent(p->options->mesh, axis),
        .reproducible = p->options->reproducible,
        .vocabulary = p->options->split_vocabulary,
        .n_inputs = op->n_inputs,
        .inputs = inputs,
        .output = op->n_outputs ? &p->r.old->values[op->outputs[0]].shape : NULL,
        .given = given,
        .open = open,
        .wide = wide_outputs(p, op),
        .wish = op->n_outputs ? wish_of(p, op->outputs[0], axis) : kpar_replicated,
        .wanted = wanted,
    };
    if (!kpar_rule_apply(&rule)) {
        rule.result = kpar_replicated;
        p->apart[id] = p->apart[id] || had_better_not_gather(p, &rule);
    }
    for (int i = 0; i < op->n_inputs; i++)
        KPAR_TRY(kpar_place_as(p, axis, wanted[i], op->phase, op->part, &inputs[i]));
    *result = rule.result;
    return KPAR_OK;
}

/* Values made out of nothing have as many rows as the rank. */
static kpar_placement made(const kpar_graph *old, const kpar_op *op, kpar_axis axis)
{
    if (axis != KPAR_AXIS_DATA || op->n_inputs > 0) return kpar_replicated;
    const kpar_shape *shape = &old->values[op->outputs[0]].shape;
    for (int i = 0; i < shape->rank; i++)
        if (shape->dims[i].batch) return kpar_split_on(i);
    return kpar_replicated;
}

static kpar_status place_op(kpar_placing *p, kpar_op_id id)
{
    const kpar_graph *old = p->r.old;
    kpar_graph *g = p->r.graph;
    const kpar_op *op = &old->ops[id];
    kpar_placement results[KPAR_AXIS_COUNT] = {kpar_replicated, kpar_replicated};
    kpar_value_id *inputs = kpar_arena_alloc(g->arena, ((size_t)op->n_inputs + 1) * sizeof *inputs);
    bool placed;
    KPAR_TRY(kpar_place_sum(p, op, &placed));
    if (placed) return KPAR_OK;
    for (int i = 0; i < op->n_inputs; i++) {
        KPAR_TRY(kpar_finish_sum(p, op, op->inputs[i]));
        inputs[i] = kpar_placed(p, op->inputs[i], op->phase);
        KPAR_TRY(share_out(p, op, op->inputs[i], &inputs[i]));
        KPAR_TRY(finish_fact(p, op, &inputs[i]));
    }
    for (int axis = 0; axis < KPAR_AXIS_COUNT; axis++) {
        if (kpar_mesh_extent(p->options->mesh, (kpar_axis)axis) == 1) continue;
        if (op->n_inputs == 0)
            results[axis] = made(old, op, (kpar_axis)axis);
        else
            KPAR_TRY(place_along(p, id, (kpar_axis)axis, inputs, &results[axis]));
    }
    const bool open = op->kind == KPAR_OP_RESHAPE && kpar_is_open(p, inputs[0]);
    for (int i = 0; i < op->n_inputs; i++) kpar_set_open(p, inputs[i], false);

    kpar_value_id first;
    g->layer = op->layer;
    g->phase = op->phase;
    g->part = op->part;
    g->stage = op->stage;
    KPAR_TRY(kpar_graph_append(g, (kpar_op_kind)op->kind, inputs, op->n_inputs, &op->attributes, &first));
    const kpar_value_id *outputs = g->ops[g->n_ops - 1].outputs;
    for (int i = 0; i < op->n_outputs; i++) {
        kpar_value *v = &g->values[outputs[i]];
        v->dtype = old->values[op->outputs[i]].dtype;
        for (int axis = 0; axis < KPAR_AXIS_COUNT; axis++) v->placement[axis] = results[axis];
        p->r.value[op->outputs[i]] = outputs[i];
    }
    if (open) kpar_set_open(p, outputs[0], kpar_stays_open(p, inputs[0], outputs[0]));
    return KPAR_OK;
}

/* A variable's next value has the variable's placement; a sharded one is gathered into its compute copy. */
static kpar_status place_state(kpar_placing *p, const kpar_state *state)
{
    kpar_graph *g = p->r.graph;
    kpar_value_id value =
        source(p, state->value, state->next == state->value ? KPAR_PHASE_MICROBATCH : KPAR_PHASE_UPDATE);
    kpar_value_id next = state->next == state->value ? value : kpar_placed(p, state->next, KPAR_PHASE_UPDATE);
    for (int axis = 0; axis < KPAR_AXIS_COUNT; axis++)
        KPAR_TRY(kpar_place_as(p, (kpar_axis)axis, g->values[value].placement[axis], KPAR_PHASE_UPDATE,
                               KPAR_FORWARD, &next));
    kpar_graph_set_state(g, value, next);
    kpar_value_id copy = p->copies[state->value];
    if (copy < 0 || copy == value) return KPAR_OK;
    KPAR_TRY(kpar_place_as(p, KPAR_AXIS_DATA, kpar_replicated, KPAR_PHASE_UPDATE, KPAR_FORWARD, &next));
    g->layer = g->values[next].layer;
    g->phase = KPAR_PHASE_UPDATE;
    kpar_placement placement[KPAR_AXIS_COUNT];
    memcpy(placement, g->values[next].placement, sizeof placement);
    KPAR_TRY(kpar_build_compute_copy(g, next, &next));
    memcpy(g->values[next].placement, placement, sizeof placement);
    kpar_graph_set_state(g, copy, next);
    return KPAR_OK;
}

static kpar_status place_output(kpar_placing *p, const kpar_output *output)
{
    kpar_graph *g = p->r.graph;
    kpar_value_id value = kpar_placed(p, output->value, KPAR_PHASE_UPDATE);
    if (output->kind == KPAR_OUTPUT_PREDICTION)
        KPAR_TRY(
            kpar_place_as(p, KPAR_AXIS_TENSOR, kpar_replicated, KPAR_PHASE_MICROBATCH, KPAR_FORWARD, &value));
    for (int axis = 0; axis < KPAR_AXIS_COUNT; axis++) {
        const kpar_placement at = g->values[value].placement[axis];
        if (output->kind != KPAR_OUTPUT_GUARD && (at.kind != KPAR_PARTIAL || kpar_is_sum(at))) continue;
        KPAR_TRY(kpar_place_as(p, (kpar_axis)axis, kpar_replicated, KPAR_PHASE_UPDATE, KPAR_FORWARD, &value));
    }
    kpar_graph_add_output(g, output->kind, output->index, value);
    return KPAR_OK;
}

static void remember_variables(const kpar_place_options *options, const kpar_graph *g)
{
    for (size_t i = 0; options->variables && i < g->n_states; i++)
        options->variables[g->states[i].variable] =
            (kpar_variable_place){true, g->values[g->states[i].value].placement[KPAR_AXIS_TENSOR]};
}

static kpar_status place_all(kpar_placing *p)
{
    const kpar_graph *old = p->r.old;
    for (size_t i = 0; i < old->n_ops; i++) KPAR_TRY(place_op(p, (kpar_op_id)i));
    for (size_t i = 0; i < old->n_states; i++) KPAR_TRY(place_state(p, &old->states[i]));
    for (size_t i = 0; i < old->n_outputs; i++) KPAR_TRY(place_output(p, &old->outputs[i]));
    return KPAR_OK;
}

/* Places every op and notes in `apart` those that had better be taken apart first. */
static kpar_status place_once(const kpar_graph *graph, const kpar_place_options *options, bool *apart,
                              kpar_graph **placed)
{
    kpar_placing p = {.options = options, .apart = apart};
    kpar_rebuild_begin(&p.r, graph);
    p.copies = kpar_alloc((graph->n_values + 1) * sizeof *p.copies);
    for (size_t i = 0; i < graph->n_values; i++) p.copies[i] = -1;
    kpar_find_meetings(&p);
    p.terms = kpar_alloc((graph->n_values + 1) * sizeof *p.terms);
    p.only_user = kpar_alloc((graph->n_values + 1) * sizeof *p.only_user);
    kpar_find_only_users(&p);
    p.owner_bytes = kpar_alloc_zeroed((size_t)options->mesh.data, sizeof *p.owner_bytes);
    kpar_status status = place_all(&p);
    kpar_free(p.r.value);
    kpar_free(p.copies);
    kpar_free(p.meets);
    kpar_free(p.multiplied);
    kpar_free(p.read);
    kpar_free(p.terms);
    kpar_free(p.only_user);
    kpar_free(p.open);
    kpar_free(p.conversions);
    kpar_free(p.last_conversion);
    kpar_free(p.owner_bytes);
    if (status != KPAR_OK)
        kpar_graph_destroy(p.r.graph);
    else
        *placed = p.r.graph;
    return status;
}

static bool any(const bool *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i]) return true;
    return false;
}

/* What several of the ops taken apart have in common (maxima, sums) is computed once. */
static kpar_status take_apart(const kpar_graph *graph, const bool *apart, kpar_graph **simpler)
{
    kpar_graph *expanded = NULL;
    KPAR_TRY(kpar_graph_expand(graph, apart, &expanded));
    kpar_status status = kpar_graph_simplify(expanded, simpler);
    kpar_graph_destroy(expanded);
    return status;
}

/* Places the graph, and again as long as ops were found that had better be taken apart. */
kpar_status kpar_place_graph(const kpar_graph *graph, const kpar_place_options *options, kpar_graph **placed)
{
    kpar_graph *simpler = NULL;
    for (;;) {
        const kpar_graph *now = simpler ? simpler : graph;
        kpar_graph *next = NULL;
        bool *apart = kpar_alloc_zeroed(now->n_ops + 1, sizeof *apart);
        kpar_status status = place_once(now, options, apart, placed);
        const bool again = status == KPAR_OK && any(apart, now->n_ops);
        if (again) {
            kpar_graph_destroy(*placed);
            status = take_apart(now, apart, &next);
        }
        kpar_free(apart);
        kpar_graph_destroy(simpler);
        simpler = next;
        if (status != KPAR_OK) return status;
        if (!again) break;
    }
    remember_variables(options, *placed);
    return KPAR_OK;
}

kpar_slice kpar_local_slice(const kpar_value *value, kpar_mesh mesh, kpar_coordinate coordinate, int64_t rows)
{
    kpar_slice slice = {.rank = value->shape.rank};
    for (int i = 0; i < slice.rank; i++)
        slice.size[i] = value->shape.dims[i].size * (value->shape.dims[i].batch ? rows : 1);
    for (int axis = KPAR_AXIS_COUNT - 1; axis >= 0;
         axis--) { /* the tensor axis cuts first, shards are rows of what is left */
        const kpar_placement p = value->placement[axis];
        const int extent = kpar_mesh_extent(mesh, (kpar_axis)axis),
                  index = kpar_mesh_index(coordinate, (kpar_axis)axis);
        if (p.kind == KPAR_SPLIT && !value->shape.dims[p.dim].batch) {
            slice.size[p.dim] /= extent;
            slice.start[p.dim] += slice.size[p.dim] * index;
        } else if (p.kind == KPAR_SHARD && slice.rank > 0) {
            int64_t first, count;
            kpar_shard_range(p, slice.size[0], extent, index, &first, &count);
            slice.start[0] += first;
            slice.size[0] = count;
        }
    }
    return slice;
}

void kpar_local_dims(const kpar_value *value, kpar_mesh mesh, kpar_coordinate coordinate, int64_t rows,
                     int64_t *dims)
{
    const kpar_slice slice = kpar_local_slice(value, mesh, coordinate, rows);
    for (int i = 0; i < slice.rank; i++) dims[i] = slice.size[i];
}
