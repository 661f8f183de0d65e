/* Emission: the programs of a rank, one for each mode. When all are written, offsets become final. */
#include "plan/emit.h"

#include "plan/emit_internal.h"

static void allocate(kpar_emitter *e)
{
    const kpar_graph *g = e->graph;
    const size_t n_ops = g->n_ops + 1, n_values = g->n_values + 1,
                 n_storage = g->n_values * (size_t)(e->microbatches + 1);
    e->homes = kpar_arena_alloc(e->arena, n_ops * sizeof *e->homes);
    e->guards = kpar_arena_alloc(e->arena, n_ops * sizeof *e->guards);
    e->needed = kpar_arena_alloc(e->arena, n_ops * sizeof *e->needed);
    e->users = kpar_arena_alloc(e->arena, n_values * sizeof *e->users);
    e->user = kpar_arena_alloc(e->arena, n_values * sizeof *e->user);
    e->root = kpar_arena_alloc(e->arena, n_values * sizeof *e->root);
    e->last_update = kpar_arena_alloc(e->arena, n_values * sizeof *e->last_update);
    e->becomes = kpar_arena_alloc(e->arena, n_values * sizeof *e->becomes);
    e->storage = kpar_arena_alloc(e->arena, (n_storage + 1) * sizeof *e->storage);
    e->accumulators = kpar_arena_alloc(e->arena, n_ops * sizeof *e->accumulators);
    e->collective_number = kpar_arena_alloc(e->arena, n_ops * sizeof *e->collective_number);
    e->pending = kpar_arena_alloc(e->arena, n_ops * sizeof *e->pending);
    e->guarded = kpar_arena_alloc(e->arena, n_ops * sizeof *e->guarded);
    e->unread = kpar_arena_alloc(e->arena, n_ops * sizeof *e->unread);
    for (size_t i = 0; i < n_storage; i++) e->storage[i].buffer = -1;
}

/* The program of a mode; its places name buffers. */
static kpar_status emit_program(kpar_emitter *e)
{
    allocate(e);
    e->program->microbatches = e->microbatches;
    e->program->rows = (int)e->rows;
    KPAR_TRY(kpar_emit_walk(e));
    kpar_emit_plan_memory(e);
    return KPAR_OK;
}

static kpar_place final_place(const kpar_emitter *e, const size_t *bases, const kpar_draft_place *draft)
{
    const kpar_buffer *buffer = &e->buffers[draft->buffer];
    return (kpar_place){buffer->segment == KPAR_SEGMENT_COMMON ? e->home : draft->rank,
                        bases[buffer->segment] + buffer->offset + draft->offset, draft->bytes};
}

/* Until here a slot's place names a buffer instead of a rank. */
static void finish_slots(kpar_emitter *e, const size_t *bases)
{
    for (size_t i = 0; i < e->program->n_slots; i++) {
        kpar_place *place = &e->program->slots[i].place;
        const kpar_draft_place draft = {-1, place->rank, place->offset, place->bytes};
        *place = final_place(e, bases, &draft);
        if (place->rank == e->rank) place->rank = -1;
    }
}

static void finish_instructions(kpar_emitter *e, const size_t *bases)
{
    kpar_program *p = e->program;
    kpar_place *places = NULL;
    size_t capacity = 0;
    for (size_t i = 0; i < e->n_drafts; i++) {
        kpar_draft *d = &e->drafts[i];
        kpar_instruction instruction = d->instruction;
        const size_t n = (size_t)instruction.n_places;
        if (n > capacity) places = kpar_realloc(places, (capacity = 2 * n) * sizeof *places);
        for (size_t k = 0; k < n; k++) places[k] = final_place(e, bases, &d->places[k]);
        instruction.places = places;
        if (kpar_instruction_is_flag(instruction.kind) && instruction.channel >= p->n_flags)
            p->n_flags = instruction.channel + 1;
        kpar_program_append(p, &instruction);
    }
    kpar_free(places);
}

static void finish_program(kpar_emitter *e, const size_t *bases)
{
    kpar_program *p = e->program;
    p->arena_bytes = bases[KPAR_SEGMENT_COUNT];
    p->state_bytes = bases[KPAR_SEGMENT_SHARED];
    if (*e->common_bytes > 0) p->common = (kpar_place){e->home, bases[KPAR_SEGMENT_COMMON], *e->common_bytes};
    finish_slots(e, bases);
    finish_instructions(e, bases);
    kpar_program_order(p);
}

static void release(kpar_emitter *e)
{
    kpar_free(e->buffers);
    kpar_free(e->drafts);
    kpar_free(e->sent);
    kpar_emit_release_pending(e);
}

static void set_bases(const kpar_emitter *emitters, size_t state, size_t common, size_t slots,
                      size_t bases[KPAR_SEGMENT_COUNT + 1])
{
    size_t shared = 0, step = 0;
    for (int m = 0; m < KPAR_MODE_COUNT; m++) {
        if (emitters[m].shared_bytes > shared) shared = emitters[m].shared_bytes;
        if (emitters[m].step_bytes > step) step = emitters[m].step_bytes;
    }
    bases[KPAR_SEGMENT_STATE] = 0;
    bases[KPAR_SEGMENT_SHARED] = state;
    bases[KPAR_SEGMENT_COMMON] = state + shared;
    bases[KPAR_SEGMENT_STEP] = bases[KPAR_SEGMENT_COMMON] + common;
    bases[KPAR_SEGMENT_SLOTS] = bases[KPAR_SEGMENT_STEP] + step;
    bases[KPAR_SEGMENT_COUNT] = bases[KPAR_SEGMENT_SLOTS] + slots;
}

kpar_status kpar_plan_emit(const kpar_plan *plan, int rank, kpar_program *programs[KPAR_MODE_COUNT])
{
    const kpar_plan_options *options = kpar_plan_options_get(plan);
    const kpar_catalog *catalog = kpar_plan_catalog(plan);
    const kpar_coordinate me = kpar_mesh_coordinate(options->mesh, rank);
    size_t state = 0, common = 0, slots = 0, bases[KPAR_SEGMENT_COUNT + 1];
    kpar_arena *arena = kpar_arena_create();
    kpar_emitter emitters[KPAR_MODE_COUNT] = {0},
                 next = {.plan = plan,
                         .options = options,
                         .catalog = catalog,
                         .rank = rank,
                         .me = me,
                         .home = kpar_mesh_rank(options->mesh, kpar_mesh_along(me, KPAR_AXIS_DATA, 0)),
                         .rows = kpar_plan_capacity(plan),
                         .microbatches = kpar_plan_microbatches(plan, me.data),
                         .arena = arena,
                         .state_bytes = &state,
                         .common_bytes = &common,
                         .slot_bytes = &slots};
    next.variables = kpar_arena_alloc(arena, ((size_t)catalog->n + 1) * sizeof *next.variables);
    kpar_status status = KPAR_OK;
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++) { /* training first: it has all of the state */
        programs[mode] = NULL;
        next.mode = (kpar_mode)mode;
        next.graph = kpar_plan_graph(plan, next.mode);
        if (!next.graph || status != KPAR_OK) continue;
        next.program = programs[mode] = kpar_program_create(rank, kpar_mesh_size(options->mesh));
        emitters[mode] = next;
        next.follows = true;
        status = emit_program(&emitters[mode]);
    }
    if (status == KPAR_OK) set_bases(emitters, state, rank == next.home ? common : 0, slots, bases);
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++) {
        if (status == KPAR_OK && programs[mode]) finish_program(&emitters[mode], bases);
        release(&emitters[mode]);
        if (status == KPAR_OK) continue;
        kpar_program_destroy(programs[mode]);
        programs[mode] = NULL;
    }
    kpar_arena_destroy(arena);
    return status;
}
