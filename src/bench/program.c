/* The program of one collective: its steps as instructions over memory that holds the buffer, what the
 * algorithm needs besides, and the own part of a reduce-scatter that is done whole. */
#include "bench/bench.h"

#include "comm/collective.h"

#include <string.h>

typedef struct maker {
    const kpar_bench_case *c;
    kpar_program *program;
    kpar_arena *arena;
    size_t scratch; /* where it begins, bytes */
} maker;

static size_t bytes_of(size_t elements) { return elements * sizeof(float); }

static size_t aligned(size_t bytes)
{
    enum { LINE = 64 };
    return (bytes + LINE - 1) / LINE * LINE;
}

static kpar_place place_of(const maker *m, const kpar_range *r)
{
    const size_t base = r->space == KPAR_SPACE_SCRATCH ? m->scratch : 0;
    return (kpar_place){r->member == m->c->me ? -1 : r->member, base + bytes_of(r->first),
                        bytes_of(r->count)};
}

static void append(const maker *m, kpar_instruction instruction, const kpar_place *places, int n_places,
                   int n_writes)
{
    instruction.lane = KPAR_LANE_COMM;
    instruction.microbatch = -1;
    instruction.layer = "bench";
    instruction.what = kpar_collective_name(m->c->collective);
    instruction.places = places;
    instruction.n_places = n_places;
    instruction.n_writes = n_writes;
    kpar_program_append(m->program, &instruction);
}

static void append_kernel(const maker *m, const kpar_step *step)
{
    const int n = step->n_sources;
    const kpar_kernel_spec spec =
        step->kind == KPAR_STEP_COPY
            ? kpar_copy_kernel(m->arena, KPAR_F32, step->range.count)
            : kpar_sum_kernel(m->arena, KPAR_F32, step->range.count, KPAR_REDUCE_SUM, n, step->additions);
    kpar_place *places = kpar_arena_alloc(m->arena, (size_t)(n + 1) * sizeof *places);
    for (int i = 0; i < n; i++) places[i] = place_of(m, &step->sources[i]);
    places[n] = place_of(m, &step->range);
    append(
        m,
        (kpar_instruction){.kind = KPAR_INSTRUCTION_KERNEL, .kernel = kpar_program_kernel(m->program, &spec)},
        places, n + 1, 1);
}

/* Signals and waits guard everything. */
static void append_step(const maker *m, const kpar_step *step)
{
    const kpar_place place = place_of(m, &step->range);
    switch (step->kind) {
    case KPAR_STEP_SIGNAL:
        append(m, (kpar_instruction){.kind = KPAR_INSTRUCTION_SIGNAL, .channel = step->flag}, NULL, 0, 0);
        return;
    case KPAR_STEP_WAIT:
        append(m,
               (kpar_instruction){.kind = KPAR_INSTRUCTION_WAIT, .channel = step->flag, .peer = step->peer},
               NULL, 0, 0);
        return;
    case KPAR_STEP_SEND:
        if (place.bytes)
            append(m, (kpar_instruction){.kind = KPAR_INSTRUCTION_SEND, .peer = step->peer}, &place, 1, 0);
        return;
    case KPAR_STEP_RECEIVE:
        if (place.bytes)
            append(m, (kpar_instruction){.kind = KPAR_INSTRUCTION_RECEIVE, .peer = step->peer}, &place, 1, 1);
        return;
    case KPAR_STEP_REDUCE:
    case KPAR_STEP_COPY:
        if (place.bytes) append_kernel(m, step);
        return;
    }
}

static kpar_status append_steps(maker *m)
{
    const kpar_bench_case *c = m->c;
    const kpar_collective_shape shape = {.collective = c->collective,
                                         .me = c->me,
                                         .n = c->n,
                                         .offsets = c->offsets,
                                         .counts = c->counts,
                                         .total = c->total};
    kpar_steps steps;
    kpar_steps_begin(&steps);
    kpar_status status = c->row->generate(&steps, &shape);
    for (size_t i = 0; i < steps.n && status == KPAR_OK; i++) append_step(m, &steps.steps[i]);
    m->program->arena_bytes = m->scratch + bytes_of(steps.scratch);
    m->program->n_flags = steps.n_flags;
    kpar_steps_end(&steps);
    return status;
}

static void append_whole(maker *m)
{
    const kpar_bench_case *c = m->c;
    const kpar_place all = {-1, 0, bytes_of(c->total)};
    const kpar_place own = {-1, bytes_of(c->offsets[c->me]), bytes_of(c->counts[c->me])},
                     apart = {-1, m->scratch, own.bytes};
    const kpar_place places[KPAR_COLLECTIVE_COUNT][2] = {[KPAR_COLLECTIVE_ALL_REDUCE] = {all},
                                                         [KPAR_COLLECTIVE_REDUCE_SCATTER] = {all, apart},
                                                         [KPAR_COLLECTIVE_ALL_GATHER] = {own, all}};
    const bool reduces = c->collective == KPAR_COLLECTIVE_ALL_REDUCE;
    int *ranks = kpar_arena_alloc(m->arena, (size_t)c->n * sizeof *ranks);
    for (int i = 0; i < c->n; i++) ranks[i] = i;
    const kpar_instruction whole = {.kind = KPAR_INSTRUCTION_COLLECTIVE,
                                    .collective = c->collective,
                                    .dtype = KPAR_F32,
                                    .group = kpar_program_group(m->program, ranks, c->n),
                                    .counts = reduces ? NULL : c->counts};
    append(m, whole, places[c->collective], reduces ? 1 : 2, 1);
    m->program->arena_bytes = m->scratch + own.bytes;
}

static kpar_place result_place(const kpar_bench_case *c, size_t scratch)
{
    const size_t own = bytes_of(c->counts[c->me]);
    if (c->collective != KPAR_COLLECTIVE_REDUCE_SCATTER) return (kpar_place){-1, 0, bytes_of(c->total)};
    return (kpar_place){-1, c->row->generate ? bytes_of(c->offsets[c->me]) : scratch, own};
}

kpar_status kpar_bench_program_create(const kpar_bench_case *c, kpar_program **program, kpar_place *result)
{
    maker m = {.c = c,
               .program = kpar_program_create(c->me, c->n),
               .arena = kpar_arena_create(),
               .scratch = aligned(bytes_of(c->total))};
    kpar_status status = KPAR_OK;
    m.program->microbatches = 1;
    if (c->row->generate)
        status = append_steps(&m);
    else
        append_whole(&m);
    kpar_arena_destroy(m.arena);
    if (status == KPAR_OK) {
        kpar_program_order(m.program);
        status = kpar_program_check(m.program);
    }
    if (status != KPAR_OK) kpar_program_destroy(m.program);
    *program = status == KPAR_OK ? m.program : NULL;
    *result = result_place(c, m.scratch);
    return status;
}
