/* Sums over microbatches. Plainly, the first microbatch writes and the others add. Reproducibly, microbatches are leaves of
 * one binary tree over the batch: a rank sums its maximal aligned subtrees with a binary counter, and hands them on. */
#include "plan/emit_internal.h"
#include "program/tree.h"

void kpar_emit_leaves(const kpar_emitter *e, int data, int *first, int *count)
{
    *first = 0;
    for (int d = 0; d < data; d++) *first += kpar_plan_microbatches(e->plan, d);
    *count = kpar_plan_microbatches(e->plan, data);
}

static bool is_tree(const kpar_emitter *e) { return e->options->leaves > 0; }

/* Most subtree terms that any replica keeps: what all of them make room for. */
static int most_terms(const kpar_emitter *e)
{
    int most = 1;
    kpar_subtree terms[KPAR_SUBTREES];
    for (int d = 0; is_tree(e) && d < e->options->mesh.data; d++) {
        int first, count;
        kpar_emit_leaves(e, d, &first, &count);
        int n = kpar_tree_subtrees(first, count, terms);
        if (n > most) most = n;
    }
    return most;
}

kpar_op_id kpar_emit_accumulating(const kpar_emitter *e, kpar_value_id value)
{
    kpar_op_id op = e->user[value];
    return op >= 0 && e->graph->ops[op].kind == KPAR_OP_ACCUMULATE ? op : -1;
}

/* Only a collective over the data axis reads the sum: it takes the terms as they are. */
static bool goes_to_collective(const kpar_emitter *e, kpar_value_id sum)
{
    kpar_op_id op = e->user[sum];
    return e->users[sum] == 1 && op >= 0 && kpar_op_is_collective_over(&e->graph->ops[op], KPAR_AXIS_DATA);
}

/* One accumulate, or all inputs of one collective side by side: a bucket. */
static void make_room(kpar_emitter *e, const kpar_value_id *sums, int n, bool shared)
{
    const int terms = most_terms(e);
    size_t bytes = 0;
    for (int i = 0; i < n; i++) bytes += kpar_emit_value_bytes(e, sums[i]);
    const size_t stride = kpar_emit_align(bytes);
    const int buffer =
        kpar_emit_buffer(e, shared ? KPAR_SEGMENT_SHARED : KPAR_SEGMENT_STEP, stride * (size_t)terms);
    for (size_t i = 0, offset = 0; i < (size_t)n; i++) {
        kpar_accumulator *a = &e->accumulators[e->graph->values[sums[i]].op];
        a->result = (kpar_storage){buffer, offset};
        a->term_bytes = stride;
        a->stack = -1;
        *kpar_emit_slot(e, sums[i], -1) = a->result;
        offset += kpar_emit_value_bytes(e, sums[i]);
    }
}

kpar_status kpar_emit_accumulators(kpar_emitter *e)
{
    const kpar_graph *g = e->graph;
    for (size_t i = 0; i < g->n_ops; i++) { /* buckets first: their parts lie side by side */
        const kpar_op *op = &g->ops[i];
        if (!e->needed[i] || !kpar_op_is_collective_over(op, KPAR_AXIS_DATA)) continue;
        bool all = true;
        for (int k = 0; k < op->n_inputs; k++) {
            kpar_op_id maker = g->values[op->inputs[k]].op;
            all = all && maker >= 0 && g->ops[maker].kind == KPAR_OP_ACCUMULATE &&
                  goes_to_collective(e, op->inputs[k]);
        }
        if (!all) continue;
        make_room(e, op->inputs, op->n_inputs, true);
        for (int k = 0; k < op->n_inputs; k++) e->accumulators[g->values[op->inputs[k]].op].keep_terms = true;
    }
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        if (!e->needed[i] || op->kind != KPAR_OP_ACCUMULATE) continue;
        kpar_accumulator *a = &e->accumulators[i];
        if (kpar_emit_slot(e, op->outputs[0], -1)->buffer < 0) make_room(e, op->outputs, 1, false);
        a->direct = e->users[op->inputs[0]] == 1;
    }
    return KPAR_OK;
}

/* Where leaf `m` of this replica goes: term, and depth in the stack above it (0: the term itself). */
typedef struct leaf {
    int term, depth, merges;
} leaf;

static leaf place_leaf(const kpar_emitter *e, int m)
{
    int first, count, term = 0;
    kpar_subtree terms[KPAR_SUBTREES];
    kpar_emit_leaves(e, e->me.data, &first, &count);
    kpar_tree_subtrees(first, count, terms);
    int within = m;
    while (within >= terms[term].count) within -= terms[term++].count;
    unsigned r = (unsigned)within;
    return (leaf){term, __builtin_popcount(r), r ? __builtin_ctz(~r) : 0};
}

static kpar_storage leaf_storage(kpar_emitter *e, kpar_op_id accumulate, leaf l, int depth)
{
    kpar_accumulator *a = &e->accumulators[accumulate];
    if (depth == 0)
        return (kpar_storage){a->result.buffer, a->result.offset + (size_t)l.term * a->term_bytes};
    size_t bytes = kpar_emit_align(kpar_emit_value_bytes(e, e->graph->ops[accumulate].outputs[0]));
    enum { DEPTH = 16 };
    if (a->stack < 0) {
        int levels = 0;
        while (1 << levels < e->microbatches) levels++;
        a->stack =
            kpar_emit_buffer(e, KPAR_SEGMENT_STEP, bytes * (size_t)(levels < DEPTH ? levels + 1 : DEPTH));
    }
    return (kpar_storage){a->stack, bytes * (size_t)(depth - 1)};
}

static void add_into(kpar_emitter *e, kpar_op_id accumulate, int microbatch, kpar_storage sum,
                     kpar_storage term)
{
    const kpar_op *op = &e->graph->ops[accumulate];
    const kpar_dtype dtype = e->graph->values[op->outputs[0]].dtype;
    const size_t bytes = kpar_emit_value_bytes(e, op->outputs[0]);
    const kpar_draft_place from[2] = {kpar_emit_place(sum, bytes), kpar_emit_place(term, bytes)};
    kpar_emit_sum(e, dtype, bytes / kpar_dtype_bytes(dtype), op->layer, "accumulate", microbatch,
                  KPAR_REDUCE_SUM, from, 2, NULL, from[0]);
}

static void merge(kpar_emitter *e, kpar_op_id accumulate, int microbatch, leaf l)
{
    for (int i = 0, depth = l.depth; i < l.merges; i++, depth--)
        add_into(e, accumulate, microbatch, leaf_storage(e, accumulate, l, depth - 1),
                 leaf_storage(e, accumulate, l, depth));
}

kpar_status kpar_emit_accumulate_kernel(kpar_emitter *e, kpar_op_id accumulate, const kpar_op *op,
                                        int microbatch)
{
    kpar_accumulator *a = &e->accumulators[accumulate];
    if (is_tree(e)) {
        leaf l = place_leaf(e, microbatch);
        KPAR_TRY(kpar_emit_kernel(e, op, microbatch, false, leaf_storage(e, accumulate, l, l.depth), 0));
        merge(e, accumulate, microbatch, l);
        return KPAR_OK;
    }
    if (microbatch == 0) return kpar_emit_kernel(e, op, microbatch, false, a->result, 0);
    kpar_kernel_spec spec = kpar_emit_spec(e, op);
    spec.attributes.accumulate = true;
    if (e->options->device->supports(&spec)) return kpar_emit_kernel(e, op, microbatch, true, a->result, 0);
    KPAR_TRY(kpar_emit_kernel(e, op, microbatch, false, kpar_emit_target(e, op->outputs[0], microbatch), 0));
    return kpar_emit_accumulate_value(e, accumulate, microbatch);
}

kpar_status kpar_emit_accumulate_value(kpar_emitter *e, kpar_op_id accumulate, int microbatch)
{
    const kpar_op *op = &e->graph->ops[accumulate];
    const kpar_dtype dtype = e->graph->values[op->outputs[0]].dtype;
    const size_t bytes = kpar_emit_value_bytes(e, op->outputs[0]);
    kpar_storage value;
    KPAR_TRY(kpar_emit_find(e, op->inputs[0], microbatch, &value));
    leaf l = is_tree(e) ? place_leaf(e, microbatch) : (leaf){0, 0, 0};
    kpar_storage target = leaf_storage(e, accumulate, l, l.depth);
    if (is_tree(e) || microbatch == 0)
        kpar_emit_copy(e, dtype, bytes / kpar_dtype_bytes(dtype), op->layer, "accumulate", microbatch,
                       kpar_emit_place(value, bytes), kpar_emit_place(target, bytes));
    else
        add_into(e, accumulate, microbatch, target, value);
    merge(e, accumulate, microbatch, l);
    return KPAR_OK;
}

void kpar_emit_accumulated(kpar_emitter *e, kpar_op_id accumulate)
{
    kpar_accumulator *a = &e->accumulators[accumulate];
    if (!is_tree(e) || a->keep_terms) return;
    int first, count, additions[KPAR_SUBTREES][2];
    e->phase = e->graph->ops[accumulate].phase;
    kpar_subtree terms[KPAR_SUBTREES];
    kpar_emit_leaves(e, e->me.data, &first, &count);
    const int n = kpar_tree_subtrees(first, count, terms);
    const int n_additions = kpar_tree_additions(terms, n, additions);
    leaf l = {0, 0, 0};
    for (int i = 0; i < n_additions; i++) {
        leaf into = l, other = l;
        into.term = additions[i][0];
        other.term = additions[i][1];
        add_into(e, accumulate, -1, leaf_storage(e, accumulate, into, 0),
                 leaf_storage(e, accumulate, other, 0));
    }
}
