/* A graph as text and as DOT. */
#include "graph/op.h"

static const char *const source_names[KPAR_SOURCE_COUNT] = {
    [KPAR_FROM_VARIABLE] = "variable",
    [KPAR_FROM_COPY] = "copy",
    [KPAR_FROM_FEATURE] = "feature",
    [KPAR_FROM_LABEL] = "label",
    [KPAR_FROM_SAMPLE_WEIGHT] = "sample_weight",
    [KPAR_FROM_ROW_MASK] = "row_mask",
    [KPAR_FROM_ROW_POSITION] = "row_position",
};

static const char *const axis_names[KPAR_AXIS_COUNT] = {"data", "tensor"};

static const char *const output_names[KPAR_OUTPUT_COUNT] = {
    [KPAR_OUTPUT_PREDICTION] = "prediction", [KPAR_OUTPUT_REPORT] = "report", [KPAR_OUTPUT_GUARD] = "guard"};

const char *kpar_reduction_name(kpar_reduction reduction)
{
    static const char *const names[KPAR_REDUCTION_COUNT] = {"sum", "max", "min", "product"};
    return names[reduction];
}

static void print_placement(kpar_text *text, const kpar_value *v)
{
    for (int axis = 0; axis < KPAR_AXIS_COUNT; axis++) {
        const kpar_placement *p = &v->placement[axis];
        switch (p->kind) {
        case KPAR_REPLICATED:
            break;
        case KPAR_SPLIT:
            kpar_text_printf(text, " %s:split(%d)", axis_names[axis], p->dim);
            break;
        case KPAR_PARTIAL:
            kpar_text_printf(text, " %s:partial%s%s", axis_names[axis], p->reduction ? " " : "",
                             p->reduction ? kpar_reduction_name(p->reduction) : "");
            break;
        case KPAR_SHARD:
            if (p->owner < 0)
                kpar_text_printf(text, " %s:shard(rows)", axis_names[axis]);
            else
                kpar_text_printf(text, " %s:shard(whole on %d)", axis_names[axis], p->owner);
            break;
        }
    }
}

static void print_value(kpar_text *text, const kpar_graph *g, kpar_value_id id)
{
    const kpar_value *v = &g->values[id];
    char shape[KPAR_SHAPE_TEXT];
    kpar_text_printf(text, "%%%d %s%s", id, kpar_dtype_name(v->dtype), kpar_shape_format(shape, &v->shape));
    print_placement(text, v);
}

static void print_attributes(kpar_text *text, const kpar_op *op)
{
    const kpar_attributes *a = &op->attributes;
    if (a->expression) {
        kpar_text_printf(text, " ");
        kpar_expression_print(text, a->expression);
    }
    if (a->transpose_a) kpar_text_printf(text, " transpose_a");
    if (a->transpose_b) kpar_text_printf(text, " transpose_b");
    if (op->kind == KPAR_OP_REDUCE || op->kind == KPAR_OP_MAP_REDUCE)
        kpar_text_printf(text, " %s axes=%#x", kpar_reduction_name(a->reduction), a->axes);
    if ((op->kind == KPAR_OP_GATHER || op->kind == KPAR_OP_SCATTER_ADD) && a->axis)
        kpar_text_printf(text, " each sample");
    if (op->kind == KPAR_OP_CUMULATIVE)
        kpar_text_printf(text, " %s axis=%d%s%s", kpar_reduction_name(a->reduction), a->axis,
                         a->exclusive ? " exclusive" : "", a->reverse ? " reverse" : "");
    if (op->kind == KPAR_OP_CONSTANT) kpar_text_printf(text, " %.17g", a->value);
    if (op->kind == KPAR_OP_SPLIT || kpar_op_is_collective(op->kind))
        kpar_text_printf(text, " %s%sover %s", a->reduction ? kpar_reduction_name(a->reduction) : "",
                         a->reduction ? " " : "", axis_names[a->mesh_axis]);
    if (op->kind == KPAR_OP_SEND || op->kind == KPAR_OP_RECEIVE) kpar_text_printf(text, " stage %d", a->peer);
}

static void print_op(kpar_text *text, const kpar_graph *g, const kpar_op *op)
{
    for (int i = 0; i < op->n_outputs; i++) {
        if (i) kpar_text_printf(text, ", ");
        print_value(text, g, op->outputs[i]);
    }
    kpar_text_printf(text, " = %s(", kpar_op_row_get((kpar_op_kind)op->kind)->name);
    for (int i = 0; i < op->n_inputs; i++) kpar_text_printf(text, i ? ", %%%d" : "%%%d", op->inputs[i]);
    kpar_text_printf(text, ")");
    print_attributes(text, op);
    kpar_text_printf(text, "  # %s", kpar_phase_name(op->phase));
    if (op->phase == KPAR_PHASE_MICROBATCH) kpar_text_printf(text, " %s", kpar_part_name(op->part));
    if (op->stage >= 0) kpar_text_printf(text, " stage %d", op->stage);
    if (*op->layer) kpar_text_printf(text, " '%s'", op->layer);
    kpar_text_printf(text, "\n");
}

void kpar_graph_dump_text(const kpar_graph *graph, kpar_text *text)
{
    for (size_t i = 0; i < graph->n_values; i++) {
        const kpar_value *v = &graph->values[i];
        if (v->op >= 0) continue;
        print_value(text, graph, (kpar_value_id)i);
        kpar_text_printf(text, " = %s %d  # %s '%s'\n", source_names[v->source], v->index,
                         kpar_phase_name(v->phase), v->layer);
    }
    for (size_t i = 0; i < graph->n_ops; i++) print_op(text, graph, &graph->ops[i]);
    for (size_t i = 0; i < graph->n_states; i++) {
        const kpar_state *s = &graph->states[i];
        kpar_text_printf(text, "state %d: %%%d -> %%%d", s->variable, s->value, s->next);
        if (s->place >= 0) kpar_text_printf(text, " at %d", s->place);
        kpar_text_printf(text, "\n");
    }
    for (size_t i = 0; i < graph->n_outputs; i++)
        kpar_text_printf(text, "%s %d: %%%d\n", output_names[graph->outputs[i].kind], graph->outputs[i].index,
                         graph->outputs[i].value);
}

static void dot_node(kpar_text *text, const kpar_graph *g, size_t i)
{
    const kpar_op *op = &g->ops[i];
    char shape[KPAR_SHAPE_TEXT] = "";
    if (op->n_outputs) kpar_shape_format(shape, &g->values[op->outputs[0]].shape);
    kpar_text_printf(text, "  op%zu [label=\"%s\\n%s\\n%s\" style=filled fillcolor=%s];\n", i,
                     kpar_op_row_get((kpar_op_kind)op->kind)->name, op->layer, shape,
                     op->phase == KPAR_PHASE_UPDATE ? "lightyellow"
                     : op->part != KPAR_FORWARD     ? "mistyrose"
                                                    : "aliceblue");
}

static void dot_edge(kpar_text *text, const kpar_graph *g, kpar_value_id input, size_t to)
{
    const kpar_value *v = &g->values[input];
    if (v->op >= 0)
        kpar_text_printf(text, "  op%d -> op%zu;\n", v->op, to);
    else
        kpar_text_printf(text, "  value%d [label=\"%s %d\\n%s\" shape=box];\n  value%d -> op%zu;\n", input,
                         source_names[v->source], v->index, v->layer, input, to);
}

void kpar_graph_dump_dot(const kpar_graph *graph, kpar_text *text)
{
    kpar_text_printf(text, "digraph kpar {\n  node [fontname=Helvetica fontsize=10];\n");
    for (size_t i = 0; i < graph->n_ops; i++) {
        dot_node(text, graph, i);
        for (int k = 0; k < graph->ops[i].n_inputs; k++) dot_edge(text, graph, graph->ops[i].inputs[k], i);
    }
    kpar_text_printf(text, "}\n");
}
