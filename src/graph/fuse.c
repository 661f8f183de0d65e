/* Fusion, prologue + anchor + epilogue: a map whose only user is a map of the same layer is inlined into it; maps after a
 * matmul or a convolution become its epilogue; one before a sum (or another reduction) is computed while it is summed. Once
 * stages are cut, maps of different layers are inlined as well. */
#include "graph/pass.h"

#include <string.h>

/* What an op has become: an anchor (an op of another kind than map) or none, and an expression over its result and
 * further inputs. */
typedef struct form {
    kpar_op_id anchor; /* -1: a plain map */
    const kpar_expression *expression;
    kpar_value_id *inputs; /* the expression's inputs beyond the anchor's result */
    int n_inputs;
    bool absorbed; /* lives on in its user */
} form;

typedef struct fusion {
    const kpar_graph *graph;
    form *forms;
    int *users;     /* of each value */
    int *taken;     /* by how many of them it was inlined */
    bool *observed; /* value is a state's next or an output: it must exist */
    bool of_layers; /* only maps, but of any layers on a stage */
} fusion;

static void count_users(fusion *f)
{
    const kpar_graph *g = f->graph;
    for (size_t i = 0; i < g->n_ops; i++)
        for (int k = 0; k < g->ops[i].n_inputs; k++) f->users[g->ops[i].inputs[k]]++;
    for (size_t i = 0; i < g->n_states; i++) f->observed[g->states[i].next] = true;
    for (size_t i = 0; i < g->n_outputs; i++) f->observed[g->outputs[i].value] = true;
}

static bool same_placement(const kpar_value *a, const kpar_value *b)
{
    for (int axis = 0; axis < KPAR_AXIS_COUNT; axis++)
        if (!kpar_placement_equal(a->placement[axis], b->placement[axis])) return false;
    return true;
}

/* Whether the map only repeats a little: cheap enough to be inlined into every map that reads it. */
static bool is_repeated(const fusion *f, kpar_op_id id)
{
    enum { A_LITTLE = 8 };
    const kpar_graph *g = f->graph;
    const form *map = &f->forms[id];
    if (g->ops[id].kind != KPAR_OP_MAP || map->anchor >= 0 || map->expression->n_scalars > A_LITTLE)
        return false;
    for (int i = 0; i < map->n_inputs; i++)
        if (kpar_shape_equal(&g->values[map->inputs[i]].shape, &g->values[g->ops[id].outputs[0]].shape))
            return false;
    return true;
}

/* Whether both may be one op, which no cut between layers parts. */
static bool together(const fusion *f, const kpar_op *a, const kpar_op *b)
{
    if (a->phase != b->phase || a->part != b->part) return false;
    if (f->of_layers) return a->phase == KPAR_PHASE_MICROBATCH && a->stage == b->stage;
    return strcmp(a->layer, b->layer) == 0;
}

/* Whether the op that defines `value` may be inlined into the map `user`. */
static bool inlines(const fusion *f, kpar_value_id value, const kpar_op *user, bool has_anchor)
{
    const kpar_graph *g = f->graph;
    const kpar_value *v = &g->values[value], *result = &g->values[user->outputs[0]];
    if (v->op < 0 || f->observed[value]) return false;
    const kpar_op *op = &g->ops[v->op];
    if (f->users[value] != 1 && !is_repeated(f, v->op)) return false;
    if (op->n_outputs != 1 || !together(f, op, user)) return false;
    if (!kpar_shape_equal(&v->shape, &result->shape) || !same_placement(v, result) || v->dtype != g->real)
        return false;
    if (f->of_layers) return op->kind == KPAR_OP_MAP;
    bool anchored = kpar_op_is_anchor(op->kind) || f->forms[v->op].anchor >= 0;
    return anchored ? !has_anchor && user->n_outputs == 1 : op->kind == KPAR_OP_MAP;
}

/* A map while its inputs are inlined: the expression's inputs so far, behind the anchor's result if it has one. */
typedef struct inlining {
    fusion *f;
    const kpar_op *op;
    bool *take; /* by input: it is inlined */
    kpar_op_id anchor;
    kpar_expression_builder *e;
    kpar_value_id *inputs;
    int n_inputs, used;
} inlining;

/* Finds out what is inlined, the anchor, and how many inputs there will be. */
static void choose_inputs(inlining *in)
{
    const kpar_graph *g = in->f->graph;
    for (int i = 0; i < in->op->n_inputs; i++) {
        in->take[i] = inlines(in->f, in->op->inputs[i], in->op, in->anchor >= 0);
        if (!in->take[i]) {
            in->n_inputs++;
            continue;
        }
        const kpar_op_id from = g->values[in->op->inputs[i]].op;
        const form *inner = &in->f->forms[from];
        if (kpar_op_is_anchor(g->ops[from].kind)) {
            in->anchor = from;
            continue;
        }
        if (inner->anchor >= 0) in->anchor = inner->anchor;
        in->n_inputs += inner->n_inputs;
    }
}

static kpar_x add_input(inlining *in, kpar_value_id value)
{
    in->inputs[in->used] = value;
    return kpar_x_input(in->e, in->used++ + (in->anchor >= 0));
}

/* The expression of a map that is inlined, with its inputs added. */
static kpar_x inline_form(inlining *in, const form *inner)
{
    const int shift = inner->anchor >= 0;
    kpar_x result, *arguments = kpar_alloc(((size_t)inner->n_inputs + 1) * sizeof *arguments);
    if (shift) arguments[0] = kpar_x_input(in->e, 0);
    for (int k = 0; k < inner->n_inputs; k++) arguments[k + shift] = add_input(in, inner->inputs[k]);
    kpar_x_inline(in->e, inner->expression, arguments, &result);
    kpar_free(arguments);
    return result;
}

/* What input `i` of the map becomes. */
static kpar_x argument_of(inlining *in, int i)
{
    const kpar_value_id value = in->op->inputs[i];
    if (!in->take[i]) return add_input(in, value);
    const kpar_op_id from = in->f->graph->values[value].op;
    in->f->forms[from].absorbed = ++in->f->taken[value] == in->f->users[value];
    const bool is_anchor = kpar_op_is_anchor(in->f->graph->ops[from].kind);
    return is_anchor ? kpar_x_input(in->e, 0) : inline_form(in, &in->f->forms[from]);
}

/* The form of a map once its inlinable inputs are inlined. */
static void form_map(fusion *f, kpar_op_id id)
{
    const kpar_graph *g = f->graph;
    const kpar_op *op = &g->ops[id];
    inlining in = {.f = f, .op = op, .anchor = -1};
    in.take = kpar_arena_alloc(g->arena, (size_t)op->n_inputs + 1);
    choose_inputs(&in);
    in.e = kpar_expression_begin(in.n_inputs + (in.anchor >= 0));
    in.inputs = kpar_arena_alloc(g->arena, ((size_t)in.n_inputs + 1) * sizeof *in.inputs);
    kpar_x *arguments = kpar_arena_alloc(g->arena, ((size_t)op->n_inputs + 1) * sizeof *arguments);
    kpar_x *outputs = kpar_arena_alloc(g->arena, (size_t)op->n_outputs * sizeof *outputs);
    for (int i = 0; i < op->n_inputs; i++) arguments[i] = argument_of(&in, i);
    kpar_x_inline(in.e, op->attributes.expression, arguments, outputs);
    f->forms[id] = (form){.anchor = in.anchor,
                          .expression = kpar_expression_end(in.e, g->arena, outputs, op->n_outputs),
                          .inputs = in.inputs,
                          .n_inputs = in.used};
}

/* Operands as large as what is reduced that a reduction may read in place of it. */
enum { MOST_OPERANDS = 3 };

/* Whether what the op reduces is computed by a map that may be inlined into it. Not in the update: owners of shards take
 * their peers' gradients into maps. */
static bool is_computed(const fusion *f, const kpar_op *op)
{
    const kpar_graph *g = f->graph;
    const kpar_value *v = &g->values[op->inputs[0]];
    int operands = 0;
    if (v->op < 0 || f->users[op->inputs[0]] != 1 || f->observed[op->inputs[0]] || v->dtype != g->real)
        return false;
    const kpar_op *map = &g->ops[v->op];
    const form *inner = &f->forms[v->op];
    if (map->kind != KPAR_OP_MAP || map->n_outputs != 1 || inner->anchor >= 0 ||
        op->phase != KPAR_PHASE_MICROBATCH || !together(f, map, op))
        return false;
    for (int i = 0; i < inner->n_inputs; i++)
        operands += kpar_shape_equal(&g->values[inner->inputs[i]].shape, &v->shape);
    return operands >= 1 && operands <= MOST_OPERANDS;
}

/* The form of a reduction of what a map computes. */
static void form_reduction(fusion *f, kpar_op_id id)
{
    const kpar_op *op = &f->graph->ops[id];
    if (!is_computed(f, op)) return;
    form *inner = &f->forms[f->graph->values[op->inputs[0]].op];
    f->forms[id] = *inner;
    inner->absorbed = true;
}

/* Writes the op with its final form into the new graph. */
static void emit(const fusion *f, kpar_rebuild *r, kpar_op_id id)
{
    const kpar_graph *g = f->graph;
    const form *result = &f->forms[id];
    kpar_op op = g->ops[id];
    if (result->expression) {
        const kpar_op *anchor = result->anchor >= 0 ? &g->ops[result->anchor] : NULL;
        const int first = anchor ? anchor->n_inputs : 0;
        kpar_value_id *inputs =
            kpar_arena_alloc(g->arena, (size_t)(first + result->n_inputs + 1) * sizeof *inputs);
        for (int i = 0; i < first; i++) inputs[i] = anchor->inputs[i];
        for (int i = 0; i < result->n_inputs; i++) inputs[first + i] = result->inputs[i];
        if (anchor) {
            op.kind = anchor->kind;
            op.attributes = anchor->attributes;
        }
        if (op.kind == KPAR_OP_REDUCE) op.kind = KPAR_OP_MAP_REDUCE;
        op.attributes.expression = result->expression;
        op.inputs = inputs;
        op.n_inputs = first + result->n_inputs;
    }
    kpar_rebuild_append(r, &op);
}

static kpar_status fuse(const kpar_graph *graph, bool of_layers, kpar_graph **fused)
{
    fusion f = {graph,
                kpar_alloc_zeroed(graph->n_ops, sizeof(form)),
                kpar_alloc_zeroed(graph->n_values, sizeof(int)),
                kpar_alloc_zeroed(graph->n_values, sizeof(int)),
                kpar_alloc_zeroed(graph->n_values, sizeof(bool)),
                of_layers};
    kpar_rebuild r;
    count_users(&f);
    for (size_t i = 0; i < graph->n_ops; i++) {
        f.forms[i].anchor = -1;
        if (graph->ops[i].kind == KPAR_OP_MAP) form_map(&f, (kpar_op_id)i);
        if (graph->ops[i].kind == KPAR_OP_REDUCE && !of_layers) form_reduction(&f, (kpar_op_id)i);
    }
    kpar_rebuild_begin(&r, graph);
    for (size_t i = 0; i < graph->n_ops; i++)
        if (!f.forms[i].absorbed) emit(&f, &r, (kpar_op_id)i);
    kpar_rebuild_end(&r);
    kpar_free(f.forms);
    kpar_free(f.users);
    kpar_free(f.taken);
    kpar_free(f.observed);
    *fused = r.graph;
    return KPAR_OK;
}

kpar_status kpar_graph_fuse(const kpar_graph *graph, kpar_graph **fused)
{
    kpar_graph *separated, *apart;
    KPAR_TRY(kpar_graph_separate(graph, &separated));
    kpar_status status = fuse(separated, false, &apart);
    kpar_graph_destroy(separated);
    if (status != KPAR_OK) return status;
    status = kpar_graph_join(apart, fused);
    kpar_graph_destroy(apart);
    return status;
}

kpar_status kpar_graph_fuse_layers(const kpar_graph *graph, kpar_graph **fused)
{
    return fuse(graph, true, fused);
}
