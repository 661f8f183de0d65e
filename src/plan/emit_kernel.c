/* Drafting instructions: kernels of ops, copies, sums. */
#include "comm/collective.h"
#include "plan/emit_internal.h"

#include <string.h>

kpar_draft_place kpar_emit_place(kpar_storage where, size_t bytes)
{
    return (kpar_draft_place){-1, where.buffer, where.offset, bytes};
}

kpar_draft *kpar_emit_draft(kpar_emitter *e, kpar_instruction_kind kind, kpar_lane lane, const char *layer,
                            const char *what, int microbatch, const kpar_draft_place *places, int n_places,
                            int n_writes)
{
    const int now = (int)e->n_drafts;
    for (int i = 0; i < n_places; i++)
        if (e->buffers[places[i].buffer].last < now) e->buffers[places[i].buffer].last = now;
    kpar_draft *draft = &KPAR_PUSH(e->drafts, e->n_drafts, e->drafts_capacity);
    *draft = (kpar_draft){
        .instruction = {.kind = kind,
                        .lane = lane,
                        .phase = e->phase,
                        .microbatch = microbatch,
                        .kernel = -1,
                        .n_places = n_places,
                        .n_writes = n_writes,
                        .peer = -1,
                        .layer = layer,
                        .what = what},
        .places = kpar_arena_copy(e->arena, places, (size_t)n_places * sizeof *places),
    };
    return draft;
}

static kpar_tensor_spec tensor_of(const kpar_emitter *e, kpar_value_id value)
{
    const kpar_value *v = &e->graph->values[value];
    kpar_tensor_spec tensor = {.dtype = v->dtype, .rank = v->shape.rank};
    kpar_local_dims(v, e->options->mesh, e->me, e->rows, tensor.dims);
    return tensor;
}

/* Bounds of slice and pad on the local tensor. */
static void localize_bounds(kpar_kernel_spec *spec)
{
    const kpar_tensor_spec *in = &spec->tensors[0];
    if (spec->op != KPAR_OP_SLICE) return;
    for (int i = 0; i < in->rank; i++)
        if (spec->attributes.stop[i] == KPAR_TO_END || spec->attributes.stop[i] > in->dims[i])
            spec->attributes.stop[i] = in->dims[i];
}

/* split: the own part, as a slice of the whole. */
static void localize_split(const kpar_emitter *e, const kpar_op *op, kpar_kernel_spec *spec)
{
    const kpar_slice part =
        kpar_local_slice(&e->graph->values[op->outputs[0]], e->options->mesh, e->me, e->rows);
    const kpar_slice whole =
        kpar_local_slice(&e->graph->values[op->inputs[0]], e->options->mesh, e->me, e->rows);
    spec->op = KPAR_OP_SLICE;
    for (int i = 0; i < part.rank; i++) {
        spec->attributes.start[i] = part.start[i] - whole.start[i];
        spec->attributes.stop[i] = spec->attributes.start[i] + part.size[i];
    }
}

/* gather, scatter_add: which rows of the table the rank has. */
static void localize_table(const kpar_emitter *e, kpar_value_id table, kpar_kernel_spec *spec)
{
    const kpar_value *v = &e->graph->values[table];
    const kpar_slice own = kpar_local_slice(v, e->options->mesh, e->me, e->rows);
    if (own.size[0] == v->shape.dims[0].size) return;
    spec->row_elements = v->shape.dims[0].size;
    spec->row_start = own.start[0];
}

kpar_kernel_spec kpar_emit_spec(kpar_emitter *e, const kpar_op *op)
{
    kpar_tensor_spec *tensors =
        kpar_arena_alloc(e->arena, (size_t)(op->n_inputs + op->n_outputs) * sizeof *tensors);
    for (int i = 0; i < op->n_inputs; i++) tensors[i] = tensor_of(e, op->inputs[i]);
    for (int i = 0; i < op->n_outputs; i++) tensors[op->n_inputs + i] = tensor_of(e, op->outputs[i]);
    kpar_kernel_spec spec = {.op = op->kind,
                             .n_inputs = op->n_inputs,
                             .n_outputs = op->n_outputs,
                             .tensors = tensors,
                             .attributes = op->attributes};
    spec.attributes.shape = (kpar_shape){0}; /* symbolic; the tensors say it */
    localize_bounds(&spec);
    if (op->kind == KPAR_OP_SPLIT) localize_split(e, op, &spec);
    if (op->kind == KPAR_OP_COMPUTE_COPY) spec.attributes.axis = 0;
    if (op->kind == KPAR_OP_GATHER && op->attributes.axis == 0) localize_table(e, op->inputs[0], &spec);
    if (op->kind == KPAR_OP_SCATTER_ADD && op->attributes.axis == 0) localize_table(e, op->outputs[0], &spec);
    if (op->kind == KPAR_OP_RANDOM) {
        spec.row_elements = 1;
        for (int i = 1; i < tensors[op->n_inputs].rank; i++)
            spec.row_elements *= tensors[op->n_inputs].dims[i];
    }
    return spec;
}

void kpar_emit_run(kpar_emitter *e, const kpar_kernel_spec *spec, const char *layer, const char *what,
                   int microbatch, const kpar_draft_place *places)
{
    kpar_draft *draft = kpar_emit_draft(e, KPAR_INSTRUCTION_KERNEL, e->lane, layer, what, microbatch, places,
                                        spec->n_inputs + spec->n_outputs, spec->n_outputs);
    draft->instruction.kernel = kpar_program_kernel(e->program, spec);
}

static bool is_empty(const kpar_tensor_spec *tensor) { return kpar_count(tensor->rank, tensor->dims) == 0; }

kpar_status kpar_emit_kernel(kpar_emitter *e, const kpar_op *op, int microbatch, bool accumulate,
                             kpar_storage output, int which)
{
    kpar_kernel_spec spec = kpar_emit_spec(e, op);
    kpar_draft_place *places =
        kpar_arena_alloc(e->arena, (size_t)(op->n_inputs + op->n_outputs) * sizeof *places);
    bool empty = true;
    for (int i = 0; i < op->n_outputs; i++) empty = empty && is_empty(&spec.tensors[op->n_inputs + i]);
    for (int i = 0; i < op->n_outputs; i++) {
        kpar_storage where = i == which ? output : kpar_emit_target(e, op->outputs[i], microbatch);
        places[op->n_inputs + i] = kpar_emit_place(where, kpar_emit_value_bytes(e, op->outputs[i]));
    }
    if (empty) return KPAR_OK;
    for (int i = 0; i < op->n_inputs; i++) {
        kpar_storage where;
        KPAR_TRY(kpar_emit_find(e, op->inputs[i], microbatch, &where));
        places[i] = kpar_emit_place(where, kpar_emit_value_bytes(e, op->inputs[i]));
    }
    spec.attributes.accumulate = accumulate;
    if (op->kind == KPAR_OP_MAP) kpar_emit_take_sums(e, op, &spec, &places);
    const char *name = kpar_op_row_get((kpar_op_kind)op->kind)->name;
    kpar_emit_run(e, &spec, op->layer,
                  *op->layer ? kpar_arena_printf(e->arena, "%s/%s", op->layer, name) : name, microbatch,
                  places);
    return KPAR_OK;
}

void kpar_emit_copy(kpar_emitter *e, kpar_dtype dtype, size_t count, const char *layer, const char *what,
                    int microbatch, kpar_draft_place from, kpar_draft_place to)
{
    if (!count) return;
    const kpar_kernel_spec spec = kpar_copy_kernel(e->arena, dtype, count);
    kpar_emit_run(e, &spec, layer, what, microbatch, (kpar_draft_place[]){from, to});
}

void kpar_emit_sum(kpar_emitter *e, kpar_dtype dtype, size_t count, const char *layer, const char *what,
                   int microbatch, kpar_reduction reduction, const kpar_draft_place *from, int n,
                   const int (*additions)[2], kpar_draft_place to)
{
    if (!count) return;
    kpar_draft_place *places = kpar_arena_alloc(e->arena, (size_t)(n + 1) * sizeof *places);
    for (int i = 0; i < n; i++) places[i] = from[i];
    places[n] = to;
    const kpar_kernel_spec spec = kpar_sum_kernel(e->arena, dtype, count, reduction, n, additions);
    kpar_emit_run(e, &spec, layer, what, microbatch, places);
}
