/* Sums that are taken where they are read.
 *
 * An owner of a shard reads its peers' gradients straight from their windows while it updates the shard: one walk over
 * memory instead of two. The kernel of the sum goes into the maps that read it, and the steps behind it, which let the
 * peers write again, move behind the last of these maps. Whether a sum is pending follows from the graph and the sizes
 * alone, so that all ranks of the axis decide alike. */
#include "comm/collective.h"
#include "plan/emit_internal.h"

/* More sources than this are added into memory first: a kernel with many streams no longer runs at memory's speed. */
enum { MOST_SOURCES = 8 };

struct kpar_pending_sum {
    kpar_collecting collecting;
    int readers; /* ops still to come */
};

/* Whether the algorithm sums the own part and moves nothing else. */
static bool only_sums(const kpar_collecting *c)
{
    for (size_t i = 0; i < c->steps.n; i++) {
        const kpar_step_kind kind = c->steps.steps[i].kind;
        if (i != c->sum && kind != KPAR_STEP_SIGNAL && kind != KPAR_STEP_WAIT) return false;
    }
    return c->sum < c->steps.n;
}

static bool reads(const kpar_op *op, const kpar_op *maker)
{
    for (int i = 0; i < op->n_inputs; i++)
        for (int k = 0; k < maker->n_outputs; k++)
            if (op->inputs[i] == maker->outputs[k]) return true;
    return false;
}

/* Ops that read what the collective makes; 0 if one of the readers is no map of the update. */
static int count_readers(const kpar_emitter *e, const kpar_op *maker)
{
    const kpar_graph *g = e->graph;
    int n = 0;
    for (size_t i = 0; i < g->n_outputs; i++)
        for (int k = 0; k < maker->n_outputs; k++)
            if (g->outputs[i].value == maker->outputs[k]) return 0;
    for (size_t i = 0; i < g->n_ops; i++) {
        if (!e->needed[i] || !reads(&g->ops[i], maker)) continue;
        if (g->ops[i].kind != KPAR_OP_MAP || g->ops[i].phase != KPAR_PHASE_UPDATE) return 0;
        n++;
    }
    return n;
}

kpar_status kpar_emit_pend(const kpar_collecting *c, bool *pending)
{
    *pending = false;
    if (c->op->kind != KPAR_OP_REDUCE_SCATTER) return KPAR_OK;
    const int readers = count_readers(c->e, c->op);
    if (!only_sums(c) || readers == 0 || c->steps.steps[c->sum].n_sources > MOST_SOURCES) return KPAR_OK;
    kpar_pending_sum *sum = kpar_arena_alloc(c->e->arena, sizeof *sum);
    *sum = (kpar_pending_sum){*c, readers};
    c->e->pending[c->id] = sum;
    *pending = true;
    return kpar_emit_steps(&sum->collecting, 0, c->sum);
}

static kpar_pending_sum *pending_of(const kpar_emitter *e, kpar_value_id value)
{
    const kpar_op_id maker = e->graph->values[value].op;
    return maker >= 0 ? e->pending[maker] : NULL;
}

/* Elements of the own part that lie before the value. */
static size_t elements_before(const kpar_pending_sum *sum, kpar_value_id value)
{
    const kpar_collecting *c = &sum->collecting;
    size_t bytes = 0;
    for (int k = 0; c->op->outputs[k] != value; k++) bytes += kpar_emit_value_bytes(c->e, c->op->outputs[k]);
    return bytes / kpar_dtype_bytes(c->dtype);
}

/* A map in the making whose sums are replaced by their sources. */
typedef struct rewriting {
    kpar_expression_builder *builder;
    kpar_tensor_spec *tensors;
    kpar_draft_place *places;
    int n; /* inputs so far */
} rewriting;

static kpar_x add_input(rewriting *r, const kpar_tensor_spec *tensor, kpar_draft_place place)
{
    r->tensors[r->n] = *tensor;
    r->places[r->n] = place;
    return kpar_x_input(r->builder, r->n++);
}

static kpar_x add_sum(rewriting *r, const kpar_pending_sum *sum, kpar_value_id value,
                      const kpar_tensor_spec *tensor)
{
    const kpar_collecting *c = &sum->collecting;
    const kpar_step *step = &c->steps.steps[c->sum];
    const size_t before = elements_before(sum, value), count = (size_t)kpar_count(tensor->rank, tensor->dims);
    const kpar_kernel_spec kernel =
        kpar_sum_kernel(c->e->arena, c->dtype, count, KPAR_REDUCE_SUM, step->n_sources, step->additions);
    kpar_x sources[MOST_SOURCES], result;
    for (int i = 0; i < step->n_sources; i++) {
        kpar_range range = step->sources[i];
        range.first += before;
        range.count = count;
        sources[i] = add_input(r, tensor, kpar_emit_place_of_range(c, &range));
    }
    kpar_x_inline(r->builder, kernel.attributes.expression, sources, &result);
    return result;
}

void kpar_emit_take_sums(kpar_emitter *e, const kpar_op *op, kpar_kernel_spec *spec,
                         kpar_draft_place **places)
{
    int n_inputs = 0;
    bool any = false;
    for (int i = 0; i < op->n_inputs; i++) {
        const kpar_pending_sum *sum = pending_of(e, op->inputs[i]);
        n_inputs += sum ? sum->collecting.steps.steps[sum->collecting.sum].n_sources : 1;
        any = any || sum;
    }
    if (!any) return;
    const size_t n = (size_t)(n_inputs + op->n_outputs);
    rewriting r = {kpar_expression_begin(n_inputs), kpar_arena_alloc(e->arena, n * sizeof *r.tensors),
                   kpar_arena_alloc(e->arena, n * sizeof *r.places), 0};
    kpar_x *inputs = kpar_arena_alloc(e->arena, (size_t)op->n_inputs * sizeof *inputs);
    kpar_x *outputs = kpar_arena_alloc(e->arena, (size_t)op->n_outputs * sizeof *outputs);
    for (int i = 0; i < op->n_inputs; i++) {
        const kpar_pending_sum *sum = pending_of(e, op->inputs[i]);
        inputs[i] = sum ? add_sum(&r, sum, op->inputs[i], &spec->tensors[i])
                        : add_input(&r, &spec->tensors[i], (*places)[i]);
    }
    kpar_x_inline(r.builder, op->attributes.expression, inputs, outputs);
    spec->attributes.expression = kpar_expression_end(r.builder, e->arena, outputs, op->n_outputs);
    for (int i = 0; i < op->n_outputs; i++) {
        r.tensors[n_inputs + i] = spec->tensors[op->n_inputs + i];
        r.places[n_inputs + i] = (*places)[op->n_inputs + i];
    }
    spec->n_inputs = n_inputs;
    spec->tensors = r.tensors;
    *places = r.places;
}

static void end_sum(kpar_emitter *e, kpar_op_id id)
{
    kpar_steps_end(&e->pending[id]->collecting.steps);
    e->pending[id] = NULL;
}

kpar_status kpar_emit_end_sums(kpar_emitter *e, kpar_op_id id)
{
    const kpar_op *op = &e->graph->ops[id];
    for (int i = 0; i < op->n_inputs; i++) {
        kpar_pending_sum *sum = pending_of(e, op->inputs[i]);
        if (!sum) continue;
        bool seen = false; /* an op that reads several outputs of one collective counts once */
        for (int k = 0; k < i; k++) seen = seen || pending_of(e, op->inputs[k]) == sum;
        if (seen || --sum->readers > 0) continue;
        const kpar_op_id maker = sum->collecting.id;
        KPAR_TRY(kpar_emit_steps(&sum->collecting, sum->collecting.sum + 1, sum->collecting.steps.n));
        end_sum(e, maker);
    }
    return KPAR_OK;
}

void kpar_emit_release_pending(kpar_emitter *e)
{
    for (size_t i = 0; e->pending && i < e->graph->n_ops; i++)
        if (e->pending[i]) end_sum(e, (kpar_op_id)i);
}
