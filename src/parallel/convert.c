/* From one placement to another: the collectives that lead there, each made once. */
#include "parallel/place_internal.h"

#include <string.h>

bool kpar_is_open(const kpar_placing *p, kpar_value_id value)
{
    return (size_t)value < p->open_capacity && p->open[value];
}

void kpar_set_open(kpar_placing *p, kpar_value_id value, bool open)
{
    size_t before = p->open_capacity;
    if ((size_t)value >= before) {
        p->open_capacity = 2 * (size_t)value + 64;
        p->open = kpar_realloc(p->open, p->open_capacity);
        memset(p->open + before, 0, p->open_capacity - before);
    }
    p->open[value] = open;
}

/* Appends one op that changes the placement along one axis. Its layer is the value's, so that a cut leaves it there. */
static kpar_status convert_by(kpar_placing *p, kpar_op_kind kind, kpar_axis axis, kpar_placement to,
                              kpar_phase phase, kpar_part part, kpar_value_id *value)
{
    kpar_graph *g = p->r.graph;
    const kpar_value from = g->values[*value];
    g->layer = from.layer;
    g->phase = from.phase == KPAR_PHASE_STATE ? phase : from.phase;
    g->part = from.op >= 0 ? g->ops[from.op].part : part;
    const kpar_attributes attributes = {
        .mesh_axis = axis,
        .axis = to.kind == KPAR_SPLIT ? to.dim : 0,
        .reduction = from.placement[axis].kind == KPAR_PARTIAL ? from.placement[axis].reduction : 0};
    KPAR_TRY(kpar_graph_append(g, kind, value, 1, &attributes, value));
    for (int i = 0; i < KPAR_AXIS_COUNT; i++) g->values[*value].placement[i] = from.placement[i];
    g->values[*value].placement[axis] = to;
    return KPAR_OK;
}

/* Leaves of the batch are added up along one tree after the last of them: a sum before that would be of some leaves of each
 * replica, whose number may differ. */
static kpar_status check_leaves(const kpar_placing *p, const kpar_value *from, kpar_axis axis)
{
    const bool replayed = from->phase == KPAR_PHASE_MICROBATCH || from->phase == KPAR_PHASE_FACTS_ROWS;
    if (!p->options->reproducible || axis != KPAR_AXIS_DATA || !replayed) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED,
                     "layer '%s': an op needs a sum over all replicas in the middle of a step, which "
                     "--reproducible makes at its end: leave --reproducible out",
                     from->layer);
}

static kpar_status convert_fresh(kpar_placing *p, kpar_axis axis, kpar_placement to, kpar_phase phase,
                                 kpar_part part, kpar_value_id *value)
{
    const kpar_value *v = &p->r.graph->values[*value];
    const kpar_placement from = v->placement[axis];
    if (from.kind == KPAR_PARTIAL) KPAR_TRY(check_leaves(p, v, axis));
    if (from.kind == KPAR_PARTIAL && to.kind == KPAR_SHARD)
        return convert_by(p, KPAR_OP_REDUCE_SCATTER, axis, to, phase, part, value);
    if (from.kind != KPAR_REPLICATED && v->shape.rank > 0 && from.kind == KPAR_SPLIT &&
        v->shape.dims[from.dim].batch)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "layer '%s': an op mixes the rows of the batch in a way that has no rule yet",
                         v->layer);
    if (from.kind == KPAR_PARTIAL)
        KPAR_TRY(convert_by(p, KPAR_OP_ALL_REDUCE, axis, kpar_replicated, phase, part, value));
    else if (from.kind != KPAR_REPLICATED)
        KPAR_TRY(convert_by(p, KPAR_OP_ALL_GATHER, axis, kpar_replicated, phase, part, value));
    if (to.kind == KPAR_REPLICATED) return KPAR_OK;
    return convert_by(p, KPAR_OP_SPLIT, axis, to, phase, part, value);
}

static int *last_conversion(kpar_placing *p, kpar_value_id value)
{
    const size_t before = p->last_conversion_capacity;
    if ((size_t)value >= before) {
        p->last_conversion_capacity = 2 * (size_t)value + 64;
        p->last_conversion =
            kpar_realloc(p->last_conversion, p->last_conversion_capacity * sizeof *p->last_conversion);
        memset(p->last_conversion + before, 0,
               (p->last_conversion_capacity - before) * sizeof *p->last_conversion);
    }
    return &p->last_conversion[value];
}

static bool is_reshape(const kpar_graph *g, kpar_value_id value)
{
    const kpar_op_id maker = g->values[value].op;
    return maker >= 0 && g->ops[maker].kind == KPAR_OP_RESHAPE;
}

bool kpar_stays_open(const kpar_placing *p, kpar_value_id variable, kpar_value_id reshaped)
{
    const kpar_graph *g = p->r.graph;
    const kpar_shape *from = &g->values[variable].shape, *to = &g->values[reshaped].shape;
    const int extent = p->options->mesh.tensor;
    for (int i = 0; i < to->rank; i++) {
        const int dim = kpar_reshaped_dim(to, from, i);
        if (to->dims[i].size % extent == 0 && (dim < 0 || from->dims[dim].size % extent != 0)) return false;
    }
    return true;
}

/* A variable takes the placement of its first use; one that is reshaped first, that of the first use of its other shape. */
static void settle(kpar_placing *p, kpar_axis axis, kpar_placement to, kpar_value_id value)
{
    kpar_graph *g = p->r.graph;
    if (is_reshape(g, value)) {
        const kpar_value_id variable = g->ops[g->values[value].op].inputs[0];
        const int dim = kpar_reshaped_dim(&g->values[value].shape, &g->values[variable].shape, to.dim);
        settle(p, axis, kpar_split_on(dim), variable);
    }
    g->values[value].placement[axis] = to;
}

kpar_status kpar_place_as(kpar_placing *p, kpar_axis axis, kpar_placement to, kpar_phase phase,
                          kpar_part part, kpar_value_id *value)
{
    kpar_value *v = &p->r.graph->values[*value];
    if (kpar_placement_equal(v->placement[axis], to)) return KPAR_OK;
    if (v->placement[axis].kind == KPAR_REPLICATED &&
        (axis == KPAR_AXIS_DATA ? v->phase == KPAR_PHASE_STATE && to.kind == KPAR_SHARD && !p->read[v->index]
                                : to.kind == KPAR_SPLIT && kpar_is_open(p, *value))) {
        settle(p, axis, to, *value);
        return KPAR_OK;
    }
    const kpar_value_id from = *value;
    for (int i = *last_conversion(p, from) - 1; i >= 0; i = p->conversions[i].before) {
        const struct conversion *c = &p->conversions[i];
        if (c->axis == axis && kpar_placement_equal(c->placement, to) &&
            (v->phase != KPAR_PHASE_STATE || c->phase == phase)) {
            *value = c->to;
            return KPAR_OK;
        }
    }
    kpar_set_open(p, from, false); /* what is made of it lies as it does now */
    KPAR_TRY(convert_fresh(p, axis, to, phase, part, value));
    int *last = last_conversion(p, from);
    KPAR_PUSH(p->conversions, p->n_conversions, p->conversions_capacity) =
        (struct conversion){*value, axis, to, phase, *last - 1};
    *last = (int)p->n_conversions;
    return KPAR_OK;
}
