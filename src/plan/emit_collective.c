/* A collective op becomes steps, or is kept whole, as the choice table says. */
#include "comm/collective.h"
#include "plan/emit_internal.h"
#include "program/tree.h"

#include <string.h>

/* Flags that the steps of one collective may use. */
enum { FLAGS_EACH = 4 };

static kpar_collective collective_of(int op)
{
    return op == KPAR_OP_ALL_REDUCE       ? KPAR_COLLECTIVE_ALL_REDUCE
           : op == KPAR_OP_REDUCE_SCATTER ? KPAR_COLLECTIVE_REDUCE_SCATTER
                                          : KPAR_COLLECTIVE_ALL_GATHER;
}

static int world_rank(const kpar_collecting *c, int member)
{
    const kpar_emitter *e = c->e;
    return kpar_mesh_rank(e->options->mesh, kpar_mesh_along(e->me, c->op->attributes.mesh_axis, member));
}

static size_t elements(const kpar_collecting *c, kpar_value_id value)
{
    return kpar_emit_value_bytes(c->e, value) / kpar_dtype_bytes(c->dtype);
}

/* Elements of a value that member `member` has as its part. */
static size_t part_elements(const kpar_collecting *c, kpar_value_id value, int member)
{
    const kpar_emitter *e = c->e;
    const kpar_coordinate there = kpar_mesh_along(e->me, c->op->attributes.mesh_axis, member);
    const kpar_slice slice = kpar_local_slice(&e->graph->values[value], e->options->mesh, there, e->rows);
    return (size_t)kpar_count(slice.rank, slice.size);
}

/* Parts of a reduce-scatter or all-gather: what each member owns, all tensors of a bucket in order of their owners. */
static void owned_parts(kpar_collecting *c, size_t *offsets, size_t *counts)
{
    const kpar_op *op = c->op;
    const kpar_value_id *shards = op->kind == KPAR_OP_REDUCE_SCATTER ? op->outputs : op->inputs;
    for (int i = 0; i < c->shape.n; i++) {
        counts[i] = 0;
        for (int k = 0; k < op->n_inputs; k++) counts[i] += part_elements(c, shards[k], i);
        offsets[i] = i ? offsets[i - 1] + counts[i - 1] : 0;
    }
}

/* The subtree terms that each replica brings, for reproducible sums. */
static void set_terms(kpar_collecting *c)
{
    kpar_emitter *e = c->e;
    int *terms = kpar_arena_alloc(e->arena, (size_t)c->shape.n * sizeof *terms);
    const int **leaves = kpar_arena_alloc(e->arena, (size_t)c->shape.n * sizeof *leaves);
    for (int d = 0; d < c->shape.n; d++) {
        int first, count;
        kpar_subtree subtrees[KPAR_SUBTREES];
        kpar_emit_leaves(e, d, &first, &count);
        terms[d] = kpar_tree_subtrees(first, count, subtrees);
        int *sizes = kpar_arena_alloc(e->arena, (size_t)terms[d] * sizeof *sizes);
        for (int i = 0; i < terms[d]; i++) sizes[i] = subtrees[i].count;
        leaves[d] = sizes;
    }
    c->shape.terms = terms;
    c->shape.leaves = leaves;
}

static bool is_kept_sum(const kpar_collecting *c, kpar_value_id value)
{
    kpar_op_id maker = c->e->graph->values[value].op;
    return maker >= 0 && c->e->graph->ops[maker].kind == KPAR_OP_ACCUMULATE &&
           c->e->accumulators[maker].keep_terms;
}

static void set_shape(kpar_collecting *c)
{
    kpar_emitter *e = c->e;
    const kpar_axis axis = c->op->attributes.mesh_axis;
    const int n = kpar_mesh_extent(e->options->mesh, axis);
    size_t *offsets = kpar_arena_alloc(e->arena, (size_t)n * sizeof *offsets),
           *counts = kpar_arena_alloc(e->arena, (size_t)n * sizeof *counts);
    c->shape = (kpar_collective_shape){.collective = collective_of(c->op->kind),
                                       .me = kpar_mesh_index(e->me, axis),
                                       .n = n,
                                       .offsets = offsets,
                                       .counts = counts};
    const kpar_value_id *wholes = c->op->kind == KPAR_OP_ALL_GATHER ? c->op->outputs : c->op->inputs;
    for (int i = 0; i < c->op->n_inputs; i++) c->shape.total += elements(c, wholes[i]);
    if (e->options->leaves > 0 && c->op->kind != KPAR_OP_ALL_GATHER && is_kept_sum(c, c->op->inputs[0]))
        set_terms(c);
    if (c->op->kind == KPAR_OP_ALL_REDUCE)
        kpar_even_parts(c->shape.total, n, offsets, counts);
    else
        owned_parts(c, offsets, counts);
}

static size_t bytes_of(const kpar_collecting *c, size_t count) { return count * kpar_dtype_bytes(c->dtype); }

static kpar_draft_place data_place(const kpar_collecting *c, int rank, int term, size_t first, size_t count)
{
    return (kpar_draft_place){rank, c->data.buffer,
                              c->data.offset + (size_t)term * c->term_bytes + bytes_of(c, first),
                              bytes_of(c, count)};
}

static void copy_in(kpar_collecting *c, kpar_storage from, size_t first, size_t count)
{
    kpar_emit_copy(c->e, c->dtype, count, c->op->layer, c->what, c->microbatch,
                   kpar_emit_place(from, bytes_of(c, count)), data_place(c, -1, 0, first, count));
}

/* The buffer on which sums are taken: the accumulators' own, the input's if nobody else reads it, or a copy. */
static kpar_status set_data_for_sums(kpar_collecting *c)
{
    kpar_emitter *e = c->e;
    const kpar_op *op = c->op;
    const kpar_value_id first = op->inputs[0];
    KPAR_TRY(kpar_emit_find(e, first, c->microbatch, &c->data));
    if (is_kept_sum(c, first)) {
        c->term_bytes = e->accumulators[e->graph->values[first].op].term_bytes;
        return KPAR_OK;
    }
    const bool shared = op->attributes.mesh_axis == KPAR_AXIS_DATA;
    if (op->n_inputs == 1 && kpar_emit_is_last_reader(e, first) &&
        (!shared || e->buffers[c->data.buffer].segment == KPAR_SEGMENT_SHARED))
        return KPAR_OK;
    c->data = (kpar_storage){
        kpar_emit_buffer(e, shared ? KPAR_SEGMENT_SHARED : KPAR_SEGMENT_STEP, bytes_of(c, c->shape.total)),
        0};
    size_t at = 0;
    for (int i = 0; i < op->n_inputs; i++) {
        kpar_storage from;
        KPAR_TRY(kpar_emit_find(e, op->inputs[i], c->microbatch, &from));
        copy_in(c, from, at, elements(c, op->inputs[i]));
        at += elements(c, op->inputs[i]);
    }
    return KPAR_OK;
}

/* Whether the parts of the gathered value are its rows, in order. */
static bool gathers_rows(const kpar_collecting *c)
{
    const kpar_placement p = c->e->graph->values[c->op->inputs[0]].placement[c->op->attributes.mesh_axis];
    return p.kind == KPAR_SHARD || p.dim == 0;
}

/* The buffer into which parts are gathered; the own part is put into its place unless it lies there already. */
static kpar_status set_data_for_gather(kpar_collecting *c)
{
    kpar_emitter *e = c->e;
    const kpar_value_id in = c->op->inputs[0], out = c->op->outputs[0];
    kpar_storage own;
    KPAR_TRY(kpar_emit_find(e, in, c->microbatch, &own));
    c->data = gathers_rows(c)
                  ? kpar_emit_target(e, out, c->microbatch)
                  : (kpar_storage){kpar_emit_buffer(e, KPAR_SEGMENT_STEP, bytes_of(c, c->shape.total)), 0};
    const size_t first = c->shape.offsets[c->shape.me], count = c->shape.counts[c->shape.me];
    const kpar_storage part = {c->data.buffer, c->data.offset + bytes_of(c, first)};
    if (!kpar_emit_is_same(e, own, part)) copy_in(c, own, first, count);
    return KPAR_OK;
}

/* Parts cut along another dimension than the first: interleaved again by a transpose of (member, outer, inner). */
static kpar_status interleave(kpar_collecting *c)
{
    kpar_emitter *e = c->e;
    const kpar_value_id out = c->op->outputs[0];
    const kpar_value *v = &e->graph->values[out];
    const int dim = e->graph->values[c->op->inputs[0]].placement[c->op->attributes.mesh_axis].dim,
              n = c->shape.n;
    int64_t dims[KPAR_MAX_RANK], outer = 1, inner = 1;
    kpar_local_dims(v, e->options->mesh, e->me, e->rows, dims);
    for (int i = 0; i < v->shape.rank; i++) *(i < dim ? &outer : &inner) *= dims[i];
    inner /= n;
    const kpar_tensor_spec tensors[2] = {{.dtype = c->dtype, .rank = 3, .dims = {n, outer, inner}},
                                         {.dtype = c->dtype, .rank = 3, .dims = {outer, n, inner}}};
    const kpar_kernel_spec spec = {.op = KPAR_OP_TRANSPOSE,
                                   .n_inputs = 1,
                                   .n_outputs = 1,
                                   .tensors = tensors,
                                   .attributes = {.permutation = {1, 0, 2}}};
    const kpar_draft_place places[2] = {
        kpar_emit_place(c->data, bytes_of(c, c->shape.total)),
        kpar_emit_place(kpar_emit_target(e, out, c->microbatch), bytes_of(c, c->shape.total))};
    kpar_emit_run(e, &spec, c->op->layer, c->what, c->microbatch, places);
    return KPAR_OK;
}

kpar_draft_place kpar_emit_place_of_range(const kpar_collecting *c, const kpar_range *r)
{
    const int rank = r->member == c->shape.me ? -1 : world_rank(c, r->member);
    if (r->space == KPAR_SPACE_DATA) return data_place(c, rank, r->tree_slot, r->first, r->count);
    return (kpar_draft_place){rank, c->scratch.buffer, c->scratch.offset + bytes_of(c, r->first),
                              bytes_of(c, r->count)};
}

static int flag_number(const kpar_collecting *c, int flag)
{
    const kpar_emitter *e = c->e;
    int number = e->collective_number[c->id];
    if (c->microbatch >= 0) number += e->n_step_collectives + c->microbatch * e->n_microbatch_collectives;
    return number * FLAGS_EACH + flag;
}

/* Microbatches take their turns on one channel. Two ranks of one stage never exchange activations, so these numbers may
 * be those of transfers between stages; MPI promises no more than 32767 of them. */
static int message_channel(const kpar_collecting *c)
{
    const int number = c->e->collective_number[c->id];
    return c->microbatch >= 0 ? c->e->n_step_collectives + number : number;
}

typedef struct place_list {
    kpar_draft_place *items;
    size_t n, capacity;
} place_list;

static bool is_in_common(const kpar_collecting *c)
{
    return c->e->buffers[c->data.buffer].segment == KPAR_SEGMENT_COMMON;
}

/* The data of a member, whose own they are also where they are in common. */
static void add_data(const kpar_collecting *c, int member, place_list *places)
{
    const int terms = c->shape.terms ? c->shape.terms[member] : 1;
    const bool own = member == c->shape.me;
    for (int t = 0; t < terms && (own || !is_in_common(c)); t++)
        KPAR_PUSH(places->items, places->n, places->capacity) =
            data_place(c, own ? -1 : world_rank(c, member), t, 0, c->shape.total);
}

/* The weights in common that are written with what the sum makes. */
static kpar_status add_weights(const kpar_collecting *c, place_list *places)
{
    kpar_emitter *e = c->e;
    for (const kpar_guarded *w = e->guarded[c->id]; w; w = w->next) {
        kpar_storage where;
        KPAR_TRY(kpar_emit_find(e, w->copy, -1, &where));
        KPAR_PUSH(places->items, places->n, places->capacity) =
            kpar_emit_place(where, kpar_emit_value_bytes(e, w->copy));
    }
    return KPAR_OK;
}

/* A signal also says that reading from the peers has ended. */
static kpar_status emit_flag(kpar_collecting *c, const kpar_step *step)
{
    const bool signal = step->kind == KPAR_STEP_SIGNAL, before_sum = step < c->steps.steps + c->sum;
    place_list guarded = {0};
    add_data(c, c->shape.me, &guarded);
    for (int i = 0; i < c->shape.n; i++)
        if (i != c->shape.me && (signal || i == step->peer)) add_data(c, i, &guarded);
    kpar_status status = before_sum ? add_weights(c, &guarded) : KPAR_OK;
    kpar_draft *draft =
        kpar_emit_draft(c->e, signal ? KPAR_INSTRUCTION_SIGNAL : KPAR_INSTRUCTION_WAIT, KPAR_LANE_COMM,
                        c->op->layer, c->what, c->microbatch, guarded.items, (int)guarded.n, 0);
    draft->instruction.channel = flag_number(c, step->flag);
    if (!signal) draft->instruction.peer = world_rank(c, step->peer);
    kpar_free(guarded.items);
    return status;
}

static kpar_status emit_step(kpar_collecting *c, const kpar_step *step)
{
    kpar_emitter *e = c->e;
    if (step->kind == KPAR_STEP_SIGNAL || step->kind == KPAR_STEP_WAIT) return emit_flag(c, step);
    if (step->range.count == 0) return KPAR_OK;
    const kpar_draft_place own = kpar_emit_place_of_range(c, &step->range);
    if (step->kind == KPAR_STEP_SEND || step->kind == KPAR_STEP_RECEIVE) {
        const bool send = step->kind == KPAR_STEP_SEND;
        kpar_draft *draft =
            kpar_emit_draft(e, send ? KPAR_INSTRUCTION_SEND : KPAR_INSTRUCTION_RECEIVE, KPAR_LANE_COMM,
                            c->op->layer, c->what, c->microbatch, &own, 1, !send);
        draft->instruction.peer = world_rank(c, step->peer);
        draft->instruction.channel = message_channel(c);
        return KPAR_OK;
    }
    kpar_draft_place *from = kpar_arena_alloc(e->arena, (size_t)step->n_sources * sizeof *from);
    for (int i = 0; i < step->n_sources; i++) from[i] = kpar_emit_place_of_range(c, &step->sources[i]);
    if (step->kind == KPAR_STEP_COPY)
        kpar_emit_copy(e, c->dtype, step->range.count, c->op->layer, c->what, c->microbatch, from[0], own);
    else
        kpar_emit_sum(e, c->dtype, step->range.count, c->op->layer, c->what, c->microbatch,
                      c->op->attributes.reduction, from, step->n_sources, step->additions, own);
    return KPAR_OK;
}

kpar_status kpar_emit_steps(kpar_collecting *c, size_t first, size_t end)
{
    kpar_status status = KPAR_OK;
    c->e->lane = KPAR_LANE_COMM;
    for (size_t i = first; i < end && status == KPAR_OK; i++) status = emit_step(c, &c->steps.steps[i]);
    c->e->lane = KPAR_LANE_COMPUTE;
    return status;
}

/* First step that sums; n: none. */
static size_t find_sum(const kpar_steps *steps)
{
    size_t i = 0;
    while (i < steps->n && steps->steps[i].kind != KPAR_STEP_REDUCE) i++;
    return i;
}

/* Data in common need not be moved, and what only guards the moving falls away with it. */
static size_t last_step(const kpar_collecting *c)
{
    size_t i = 0;
    while (i < c->steps.n && (!is_in_common(c) || c->steps.steps[i].kind != KPAR_STEP_COPY)) i++;
    return i;
}

static kpar_status emit_by_steps(kpar_collecting *c, kpar_algorithm generate)
{
    bool pending = false;
    kpar_steps_begin(&c->steps);
    kpar_status status = generate(&c->steps, &c->shape);
    c->sum = find_sum(&c->steps);
    if (c->steps.n_flags > FLAGS_EACH)
        status =
            kpar_fail(KPAR_EINTERNAL, "a collective uses %d flags, at most %d", c->steps.n_flags, FLAGS_EACH);
    if (c->steps.scratch)
        c->scratch =
            (kpar_storage){kpar_emit_buffer(c->e, KPAR_SEGMENT_STEP, bytes_of(c, c->steps.scratch)), 0};
    if (status == KPAR_OK) status = kpar_emit_pend(c, &pending);
    if (pending) return status;
    if (status == KPAR_OK) status = kpar_emit_steps(c, 0, last_step(c));
    kpar_steps_end(&c->steps);
    return status;
}

/* The transport's own collective. A reduce-scatter has its part in a buffer of its own. */
static kpar_status emit_whole(kpar_collecting *c)
{
    kpar_emitter *e = c->e;
    const size_t first = c->shape.offsets[c->shape.me], count = c->shape.counts[c->shape.me];
    kpar_draft_place places[2] = {data_place(c, -1, 0, 0, c->shape.total),
                                  data_place(c, -1, 0, first, count)};
    int n = 1;
    if (c->shape.collective == KPAR_COLLECTIVE_ALL_GATHER) {
        kpar_draft_place whole = places[0];
        places[0] = places[1];
        places[1] = whole;
        n = 2;
    } else if (c->shape.collective == KPAR_COLLECTIVE_REDUCE_SCATTER) {
        places[1] = (kpar_draft_place){-1, kpar_emit_buffer(e, KPAR_SEGMENT_STEP, bytes_of(c, count)), 0,
                                       bytes_of(c, count)};
        n = 2;
    }
    int *ranks = kpar_arena_alloc(e->arena, (size_t)c->shape.n * sizeof *ranks);
    for (int i = 0; i < c->shape.n; i++) ranks[i] = world_rank(c, i);
    kpar_draft *draft = kpar_emit_draft(e, KPAR_INSTRUCTION_COLLECTIVE, KPAR_LANE_COMM, c->op->layer, c->what,
                                        c->microbatch, places, n, 1);
    kpar_instruction *i = &draft->instruction;
    i->collective = c->shape.collective;
    i->reduction = c->op->attributes.reduction;
    i->dtype = c->dtype;
    i->group = kpar_program_group(e->program, ranks, c->shape.n);
    i->counts = c->shape.collective == KPAR_COLLECTIVE_ALL_REDUCE ? NULL : c->shape.counts;
    if (n == 2 && c->shape.collective == KPAR_COLLECTIVE_REDUCE_SCATTER)
        kpar_emit_copy(e, c->dtype, count, c->op->layer, c->what, c->microbatch, places[1],
                       data_place(c, -1, 0, first, count));
    return KPAR_OK;
}

static bool all_share(const kpar_collecting *c)
{
    const kpar_plan_options *o = c->e->options;
    for (int i = 0; o->windows && o->nodes && i < c->shape.n; i++)
        if (o->nodes[world_rank(c, i)] != o->nodes[c->e->rank]) return false;
    return o->windows;
}

/* Outputs of a sum lie where it was taken. */
static void set_outputs(kpar_collecting *c)
{
    const kpar_op *op = c->op;
    size_t at = 0, part = c->shape.offsets[c->shape.me];
    for (int i = 0; i < op->n_outputs; i++) {
        const bool scatter = op->kind == KPAR_OP_REDUCE_SCATTER;
        kpar_storage where = c->data;
        where.offset += bytes_of(c, scatter ? part : at);
        *kpar_emit_slot(c->e, op->outputs[i], c->microbatch) = where;
        at += elements(c, op->inputs[i]);
        part += elements(c, op->outputs[i]);
    }
}

static kpar_collecting begin(kpar_emitter *e, kpar_op_id id, int microbatch)
{
    const kpar_op *op = &e->graph->ops[id];
    kpar_collecting c = {
        .e = e, .op = op, .id = id, .microbatch = microbatch, .dtype = e->graph->values[op->inputs[0]].dtype};
    set_shape(&c);
    return c;
}

static kpar_status choose(const kpar_collecting *c, const kpar_algorithm_row **row)
{
    const char *choice = c->e->options->choice ? c->e->options->choice : "";
    const kpar_choice_facts facts = {c->shape.collective, c->shape.n, bytes_of(c, c->shape.total),
                                     all_share(c), c->shape.terms != NULL};
    return kpar_algorithm_choose(choice, &facts, row);
}

kpar_status kpar_emit_algorithm(kpar_emitter *e, kpar_op_id op, const kpar_algorithm_row **row)
{
    const kpar_collecting c = begin(e, op, -1);
    return choose(&c, row);
}

kpar_status kpar_emit_collective(kpar_emitter *e, kpar_op_id id, int microbatch)
{
    const kpar_algorithm_row *row;
    kpar_collecting c = begin(e, id, microbatch);
    const bool gather = c.op->kind == KPAR_OP_ALL_GATHER;
    c.what =
        kpar_arena_printf(e->arena, "%s/%s", c.op->layer, kpar_op_row_get((kpar_op_kind)c.op->kind)->name);
    KPAR_TRY(gather ? set_data_for_gather(&c) : set_data_for_sums(&c));
    KPAR_TRY(choose(&c, &row));
    KPAR_TRY(row->generate ? emit_by_steps(&c, row->generate) : emit_whole(&c));
    if (!gather)
        set_outputs(&c);
    else if (!gathers_rows(&c))
        KPAR_TRY(interleave(&c));
    return KPAR_OK;
}
