/* The recompute pass. */
#include "parallel/recompute.h"

#include "base/names.h"
#include "parallel/module.h"

#include <stdlib.h>

const char *const kpar_recompute_names[] = {"none", "stage", "block", NULL};

/* A layer, in order of the forward pass. */
typedef struct unit {
    const char *layer;
    int stage, block;
} unit;

typedef struct recomputing {
    kpar_rebuild r;
    kpar_names layers; /* numbered as units are */
    unit *units;
    size_t n_units, units_capacity;
    int *block;   /* by op: -1: none */
    bool *wanted; /* by value: backward of its block reads it */
    bool *kept;   /* by value: it is there in backward anyway */
    bool *again;  /* by op of the forward part: it is run again */
    bool *ran;    /* by block: it was run again */
} recomputing;

static bool is_computed(const kpar_op *op)
{
    return op->phase == KPAR_PHASE_MICROBATCH && op->kind != KPAR_OP_SEND && op->kind != KPAR_OP_RECEIVE;
}

/* --- blocks --- */

static void find_units(recomputing *c)
{
    const kpar_graph *g = c->r.old;
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        if (!is_computed(op) || op->part != KPAR_FORWARD || kpar_names_find(&c->layers, op->layer) >= 0)
            continue;
        kpar_names_add(&c->layers, op->layer);
        KPAR_PUSH(c->units, c->n_units, c->units_capacity) = (unit){op->layer, op->stage, op->stage};
    }
}

static int by_stage(const void *a, const void *b)
{
    const unit *const *x = a, *const *y = b;
    if ((*x)->stage != (*y)->stage) return (*x)->stage - (*y)->stage;
    return *x < *y ? -1 : 1;
}

/* Runs of a stage's units that are of one module at that level. */
static size_t count_runs(unit *const *units, size_t n, int level)
{
    size_t runs = 1;
    for (size_t i = 1; i < n; i++) runs += !kpar_module_same(units[i - 1]->layer, units[i]->layer, level);
    return runs;
}

/* The least number whose square is at least n. */
static size_t ceil_root(size_t n)
{
    size_t root = 1;
    while (root * root < n) root++;
    return root;
}

/* The largest modules of which the stage has as many as it should have blocks; or equal parts. Returns the next free block. */
static int divide_stage(unit *const *units, size_t n, int first)
{
    const size_t wanted = ceil_root(n);
    int level = 1;
    while (count_runs(units, n, level) < wanted) level++;
    const bool modules = count_runs(units, n, level) < n;
    int block = first;
    for (size_t i = 0; i < n; i++) {
        const bool begins = modules ? i > 0 && !kpar_module_same(units[i - 1]->layer, units[i]->layer, level)
                                    : i * wanted / n != (i ? i - 1 : 0) * wanted / n;
        block += begins;
        units[i]->block = block;
    }
    return block + 1;
}

static void find_blocks(recomputing *c)
{
    unit **units = kpar_alloc((c->n_units + 1) * sizeof *units);
    for (size_t i = 0; i < c->n_units; i++) units[i] = &c->units[i];
    qsort(units, c->n_units, sizeof *units, by_stage);
    int next = 0;
    for (size_t i = 0, n; i < c->n_units; i += n) {
        for (n = 1; i + n < c->n_units && units[i + n]->stage == units[i]->stage;) n++;
        next = divide_stage(units + i, n, next);
    }
    kpar_free(units);
}

static void find_block_of_ops(recomputing *c)
{
    const kpar_graph *g = c->r.old;
    for (size_t i = 0; i < g->n_ops; i++) {
        const int number = is_computed(&g->ops[i]) ? kpar_names_find(&c->layers, g->ops[i].layer) : -1;
        c->block[i] = number >= 0 ? c->units[number].block : -1;
    }
}

/* --- what is kept, what is run again --- */

static bool is_backward(const kpar_op *op) { return is_computed(op) && op->part != KPAR_FORWARD; }

/* All readers of what the op makes have been looked at. */
static bool runs_again(const recomputing *c, const kpar_op *op)
{
    if (!is_computed(op) || op->part != KPAR_FORWARD || kpar_op_is_collective(op->kind)) return false;
    for (int k = 0; k < op->n_outputs; k++)
        if (c->wanted[op->outputs[k]] && !c->kept[op->outputs[k]]) return true;
    return false;
}

static void find_again(recomputing *c)
{
    const kpar_graph *g = c->r.old;
    for (size_t i = 0; i < g->n_outputs; i++) c->kept[g->outputs[i].value] = true;
    for (size_t i = g->n_ops; i-- > 0;) {
        const kpar_op *op = &g->ops[i];
        c->again[i] = runs_again(c, op);
        for (int k = 0; k < op->n_inputs; k++) {
            const kpar_op_id maker = g->values[op->inputs[k]].op;
            const bool within = maker >= 0 && c->block[maker] == c->block[i];
            if (!is_computed(op))
                c->kept[op->inputs[k]] = true;
            else if (is_backward(op) || c->again[i])
                (within ? c->wanted : c->kept)[op->inputs[k]] = true;
        }
    }
}

/* --- the new graph --- */

/* Readers of what is kept go on reading the first one. */
static void run_again(recomputing *c, size_t id)
{
    kpar_op op = c->r.old->ops[id];
    kpar_value_id *first = kpar_arena_alloc(c->r.graph->arena, ((size_t)op.n_outputs + 1) * sizeof *first);
    for (int k = 0; k < op.n_outputs; k++) first[k] = c->r.value[op.outputs[k]];
    op.part = KPAR_BACKWARD;
    kpar_rebuild_append(&c->r, &op);
    for (int k = 0; k < op.n_outputs; k++)
        if (c->kept[op.outputs[k]]) c->r.value[op.outputs[k]] = first[k];
}

static void run_block_again(recomputing *c, int block)
{
    c->ran[block] = true;
    for (size_t i = 0; i < c->r.old->n_ops; i++)
        if (c->again[i] && c->block[i] == block) run_again(c, i);
}

static bool reads_again(const recomputing *c, const kpar_op *op)
{
    for (int k = 0; k < op->n_inputs; k++) {
        const kpar_op_id maker = c->r.old->values[op->inputs[k]].op;
        if (maker >= 0 && c->again[maker] && !c->kept[op->inputs[k]]) return true;
    }
    return false;
}

/* The forward part first: some of its ops, such as conversions for a reader in backward, may stand behind backward ones. */
static void copy_forward(recomputing *c, bool *copied)
{
    const kpar_graph *g = c->r.old;
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        copied[i] = op->phase != KPAR_PHASE_UPDATE && op->part == KPAR_FORWARD;
        for (int k = 0; k < op->n_inputs; k++) {
            const kpar_op_id maker = g->values[op->inputs[k]].op;
            copied[i] = copied[i] && (maker < 0 || copied[maker]);
        }
        if (copied[i]) kpar_rebuild_copy(&c->r, (kpar_op_id)i);
    }
}

static void rebuild(recomputing *c)
{
    const kpar_graph *g = c->r.old;
    bool *copied = kpar_alloc_zeroed(g->n_ops + 1, sizeof *copied);
    copy_forward(c, copied);
    for (size_t i = 0; i < g->n_ops; i++) {
        const int block = c->block[i];
        if (block >= 0 && is_backward(&g->ops[i]) && !c->ran[block] && reads_again(c, &g->ops[i]))
            run_block_again(c, block);
        if (!copied[i]) kpar_rebuild_copy(&c->r, (kpar_op_id)i);
    }
    kpar_free(copied);
}

kpar_status kpar_recompute_graph(const kpar_graph *graph, kpar_recompute recompute, kpar_graph **recomputed)
{
    recomputing c = {.block = kpar_alloc((graph->n_ops + 1) * sizeof *c.block),
                     .again = kpar_alloc_zeroed(graph->n_ops + 1, sizeof *c.again),
                     .wanted = kpar_alloc_zeroed(graph->n_values + 1, sizeof *c.wanted),
                     .kept = kpar_alloc_zeroed(graph->n_values + 1, sizeof *c.kept)};
    kpar_rebuild_begin(&c.r, graph);
    find_units(&c);
    if (recompute == KPAR_RECOMPUTE_BLOCK) find_blocks(&c);
    c.ran = kpar_alloc_zeroed(graph->n_ops + c.n_units + 1, sizeof *c.ran);
    find_block_of_ops(&c);
    if (recompute != KPAR_RECOMPUTE_NONE) find_again(&c);
    rebuild(&c);
    kpar_rebuild_end(&c.r);
    kpar_names_clear(&c.layers);
    kpar_free(c.units);
    kpar_free(c.block);
    kpar_free(c.again);
    kpar_free(c.wanted);
    kpar_free(c.kept);
    kpar_free(c.ran);
    *recomputed = c.r.graph;
    return KPAR_OK;
}
