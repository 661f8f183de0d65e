/* Reverse-mode gradient: walks the ops backwards, appending ordinary ops. */
#include "graph/pass.h"
#include "graph/sum.h"

/* One of the values whose sum is the gradient of another, which is read once all are there. */
typedef struct term {
    kpar_value_id value;
    int next; /* the one that came before it, -1: none */
} term;

typedef struct reverse {
    kpar_graph *graph;
    bool *leads;        /* value depends on something wanted */
    int *last;          /* of each value of the forward pass: its last term, -1: none yet */
    kpar_op_id *reader; /* the first op that reads it */
    term *terms;
    size_t n_terms, terms_capacity;
} reverse;

static bool is_real(kpar_dtype dtype)
{
    return dtype == KPAR_F32 || dtype == KPAR_F64 || dtype == KPAR_F16 || dtype == KPAR_BF16;
}

static void find_leading(const kpar_graph *g, const kpar_value_id *wanted, int n_wanted, reverse *r)
{
    bool *leads = r->leads;
    for (int i = 0; i < n_wanted; i++) leads[wanted[i]] = true;
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        bool any = false;
        for (int k = 0; k < op->n_inputs; k++) {
            any = any || leads[op->inputs[k]];
            if (r->reader[op->inputs[k]] < 0) r->reader[op->inputs[k]] = (kpar_op_id)i;
        }
        for (int k = 0; any && k < op->n_outputs; k++)
            if (is_real(g->values[op->outputs[k]].dtype)) leads[op->outputs[k]] = true;
    }
}

static void add(reverse *r, kpar_value_id value, kpar_value_id gradient)
{
    KPAR_PUSH(r->terms, r->n_terms, r->terms_capacity) = (term){gradient, r->last[value]};
    r->last[value] = (int)r->n_terms - 1;
}

/* The sum of the terms so far, which becomes the only one; -1: there is none. */
static kpar_status total(reverse *r, kpar_value_id value, kpar_value_id *sum)
{
    int n = 0;
    *sum = -1;
    for (int t = r->last[value]; t >= 0; t = r->terms[t].next) n++;
    if (n == 0) return KPAR_OK;
    kpar_value_id *terms = kpar_arena_alloc(r->graph->arena, (size_t)n * sizeof *terms);
    for (int t = r->last[value], i = n - 1; t >= 0; t = r->terms[t].next) terms[i--] = r->terms[t].value;
    KPAR_TRY(kpar_build_sum(r->graph, terms, n, sum));
    r->last[value] = -1;
    add(r, value, *sum);
    return KPAR_OK;
}

static kpar_status step_back(reverse *r, kpar_op_id id)
{
    kpar_graph *g = r->graph;
    const kpar_op op = g->ops[id]; /* a copy: appending moves the ops */
    const kpar_op_row *row = kpar_op_row_get((kpar_op_kind)op.kind);
    kpar_value_id dy[KPAR_OP_OUTPUTS];
    bool reached = false, any = false;
    for (int i = 0; i < op.n_outputs; i++) {
        KPAR_TRY(total(r, op.outputs[i], &dy[i]));
        reached = reached || dy[i] >= 0;
    }
    if (!reached) return KPAR_OK;

    bool *wanted = kpar_arena_alloc(g->arena, (size_t)op.n_inputs + 1);
    kpar_value_id *dx = kpar_arena_alloc(g->arena, ((size_t)op.n_inputs + 1) * sizeof *dx);
    for (int i = 0; i < op.n_inputs; i++) {
        wanted[i] = r->leads[op.inputs[i]];
        any = any || wanted[i];
        dx[i] = -1;
    }
    if (!any) return KPAR_OK;
    if (!row->gradient)
        return kpar_fail(KPAR_EUNSUPPORTED, "layer '%s': op %s has no gradient", op.layer, row->name);

    g->layer = op.layer;
    g->forward = id;
    g->stage = op.stage;
    KPAR_TRY(row->gradient(g, id, dy, wanted, dx));
    for (int i = 0; i < op.n_inputs; i++)
        if (wanted[i] && dx[i] >= 0) add(r, op.inputs[i], dx[i]);
    return KPAR_OK;
}

/* Sums of what no op makes, a weight's gradient, are there as soon as its first reader has been seen. */
static kpar_status add_up_sources(reverse *r, kpar_op_id id)
{
    const kpar_op op = r->graph->ops[id];
    kpar_value_id sum;
    for (int i = 0; i < op.n_inputs; i++)
        if (r->graph->values[op.inputs[i]].op < 0 && r->reader[op.inputs[i]] == id)
            KPAR_TRY(total(r, op.inputs[i], &sum));
    return KPAR_OK;
}

static kpar_status walk_back(reverse *r, kpar_value_id loss)
{
    kpar_graph *g = r->graph;
    g->layer = g->values[loss].layer;
    g->forward = g->values[loss].op;
    kpar_value_id one;
    KPAR_TRY(kpar_build_constant(g, 1, g->values[loss].shape, &one));
    add(r, loss, one);
    for (kpar_op_id id = g->values[loss].op; id >= 0; id--) {
        KPAR_TRY(step_back(r, id));
        KPAR_TRY(add_up_sources(r, id));
    }
    return KPAR_OK;
}

kpar_status kpar_graph_gradient(kpar_graph *graph, kpar_value_id loss, const kpar_value_id *wanted,
                                int n_wanted, kpar_value_id *gradients)
{
    const kpar_graph before = *graph; /* what new ops get, to be restored */
    const size_t n = graph->n_values;
    reverse r = {.graph = graph,
                 .leads = kpar_alloc_zeroed(n, sizeof(bool)),
                 .last = kpar_alloc(n * sizeof(int)),
                 .reader = kpar_alloc(n * sizeof(kpar_op_id))};
    for (size_t i = 0; i < n; i++) r.last[i] = r.reader[i] = -1;
    find_leading(graph, wanted, n_wanted, &r);
    graph->phase = graph->values[loss].phase;
    graph->part = KPAR_BACKWARD;

    kpar_status status = walk_back(&r, loss);
    for (int i = 0; i < n_wanted && status == KPAR_OK; i++) status = total(&r, wanted[i], &gradients[i]);

    graph->phase = before.phase;
    graph->part = before.part;
    graph->forward = before.forward;
    graph->stage = before.stage;
    graph->layer = before.layer;
    kpar_free(r.leads);
    kpar_free(r.last);
    kpar_free(r.reader);
    kpar_free(r.terms);
    return status;
}
