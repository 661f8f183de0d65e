/* Fusion in its one form, anchor + epilogue: a map whose only user is a map of the same layer is inlined into it;
 * maps after a matmul become its epilogue. */
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
    int *users;      /* of each value */
    bool *observed;  /* value is a state's next or an output: it must exist */
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
        if (a->placement[axis].kind != b->placement[axis].kind || a->placement[axis].dim != b->placement[axis].dim ||
            a->placement[axis].owner != b->placement[axis].owner)
            return false;
    return true;
}

/* Whether the op that defines `value` may be inlined into the map `user`. */
static bool inlines(const fusion *f, kpar_value_id value, const kpar_op *user, bool has_anchor)
{
    const kpar_graph *g = f->graph;
    const kpar_value *v = &g->values[value], *result = &g->values[user->outputs[0]];
    if (v->op < 0 || f->users[value] != 1 || f->observed[value]) return false;
    const kpar_op *op = &g->ops[v->op];
    if (op->n_outputs != 1 || op->phase != user->phase || op->part != user->part || strcmp(op->layer, user->layer) != 0) return false;
    if (!kpar_shape_equal(&v->shape, &result->shape) || !same_placement(v, result) || v->dtype != g->real) return false;
    bool anchored = op->kind == KPAR_OP_MATMUL || f->forms[v->op].anchor >= 0;
    return anchored ? !has_anchor && user->n_outputs == 1 : op->kind == KPAR_OP_MAP;
}

/* The form of a map once its inlinable inputs are inlined. */
static void form_map(fusion *f, kpar_op_id id)
{
    const kpar_graph *g = f->graph;
    const kpar_op *op = &g->ops[id];
    form *result = &f->forms[id];
    kpar_op_id anchor = -1;
    bool *take = kpar_arena_alloc(g->arena, (size_t)op->n_inputs + 1);
    int n_inputs = 0;
    for (int i = 0; i < op->n_inputs; i++) {
        take[i] = inlines(f, op->inputs[i], op, anchor >= 0);
        if (!take[i]) {
            n_inputs++;
            continue;
        }
        kpar_op_id from = g->values[op->inputs[i]].op;
        if (g->ops[from].kind == KPAR_OP_MATMUL)
            anchor = from;
        else {
            if (f->forms[from].anchor >= 0) anchor = f->forms[from].anchor;
            n_inputs += f->forms[from].n_inputs;
        }
    }

    const int offset = anchor >= 0; /* the anchor's result is the expression's input 0 */
    kpar_expression_builder *e = kpar_expression_begin(n_inputs + offset);
    kpar_x *arguments = kpar_arena_alloc(g->arena, ((size_t)op->n_inputs + 1) * sizeof *arguments);
    kpar_value_id *inputs = kpar_arena_alloc(g->arena, ((size_t)n_inputs + 1) * sizeof *inputs);
    int used = 0;
    for (int i = 0; i < op->n_inputs; i++) {
        kpar_op_id from = g->values[op->inputs[i]].op;
        if (!take[i]) {
            arguments[i] = kpar_x_input(e, used + offset);
            inputs[used++] = op->inputs[i];
        } else if (g->ops[from].kind == KPAR_OP_MATMUL)
            arguments[i] = kpar_x_input(e, 0);
        else {
            form *inner = &f->forms[from];
            const int shift = inner->anchor >= 0;
            kpar_x *inner_arguments = kpar_arena_alloc(g->arena, ((size_t)inner->n_inputs + 1) * sizeof *inner_arguments);
            if (shift) inner_arguments[0] = kpar_x_input(e, 0);
            for (int k = 0; k < inner->n_inputs; k++) {
                inner_arguments[k + shift] = kpar_x_input(e, used + offset);
                inputs[used++] = inner->inputs[k];
            }
            kpar_x_inline(e, inner->expression, inner_arguments, &arguments[i]);
        }
        if (take[i]) f->forms[from].absorbed = true;
    }
    kpar_x *outputs = kpar_arena_alloc(g->arena, (size_t)op->n_outputs * sizeof *outputs);
    kpar_x_inline(e, op->attributes.expression, arguments, outputs);
    result->anchor = anchor;
    result->expression = kpar_expression_end(e, g->arena, outputs, op->n_outputs);
    result->inputs = inputs;
    result->n_inputs = used;
}

/* Writes the op with its final form into the new graph. */
static void emit(const fusion *f, kpar_rebuild *r, kpar_op_id id)
{
    const kpar_graph *g = f->graph;
    const form *result = &f->forms[id];
    kpar_op op = g->ops[id];
    if (op.kind == KPAR_OP_MAP) {
        const kpar_op *anchor = result->anchor >= 0 ? &g->ops[result->anchor] : NULL;
        const int first = anchor ? anchor->n_inputs : 0;
        kpar_value_id *inputs = kpar_arena_alloc(g->arena, (size_t)(first + result->n_inputs + 1) * sizeof *inputs);
        for (int i = 0; i < first; i++) inputs[i] = anchor->inputs[i];
        for (int i = 0; i < result->n_inputs; i++) inputs[first + i] = result->inputs[i];
        if (anchor) {
            op.kind = anchor->kind;
            op.attributes = anchor->attributes;
        }
        op.attributes.expression = result->expression;
        op.inputs = inputs;
        op.n_inputs = first + result->n_inputs;
    }
    kpar_rebuild_append(r, &op);
}

kpar_status kpar_graph_fuse(const kpar_graph *graph, kpar_graph **fused)
{
    fusion f = {graph, kpar_alloc_zeroed(graph->n_ops, sizeof(form)), kpar_alloc_zeroed(graph->n_values, sizeof(int)),
                kpar_alloc_zeroed(graph->n_values, sizeof(bool))};
    kpar_rebuild r;
    count_users(&f);
    for (size_t i = 0; i < graph->n_ops; i++) {
        f.forms[i].anchor = -1;
        if (graph->ops[i].kind == KPAR_OP_MAP) form_map(&f, (kpar_op_id)i);
    }
    kpar_rebuild_begin(&r, graph);
    for (size_t i = 0; i < graph->n_ops; i++)
        if (!f.forms[i].absorbed) emit(&f, &r, (kpar_op_id)i);
    kpar_rebuild_end(&r);
    kpar_free(f.forms);
    kpar_free(f.users);
    kpar_free(f.observed);
    *fused = r.graph;
    return KPAR_OK;
}
