/* The programs of all ranks against each other: matching, then a replay of start, run and run again under
 * rendezvous, which finds deadlocks, with clocks that find what is not ordered, also from one run to the next. It
 * knows nothing of how kpar_program_order came to its waits. */
#include "program/clocks.h"
#include "program/races.h"

typedef struct checker {
    kpar_clocks *clocks;
    kpar_races *races;
} checker;

static void begins(void *context, int rank, int list)
{
    const checker *c = context;
    kpar_clocks_begins(c->clocks, rank, list);
}

static kpar_status starts(void *context, kpar_node node)
{
    const checker *c = context;
    kpar_clocks_starts(c->clocks, node);
    return kpar_races_access(c->races, node);
}

static void ends(void *context, kpar_node node, double now)
{
    const checker *c = context;
    (void)now;
    kpar_clocks_ends(c->clocks, node);
}

static kpar_status replay_checked(const kpar_program *const *programs, int n, const kpar_matches *matches)
{
    checker c = {.clocks = kpar_clocks_create(programs, n, matches)};
    c.races = kpar_races_create(programs, n, c.clocks);
    kpar_replay_plan plan = {
        .programs = programs,
        .n = n,
        .matches = matches,
        .first_list = 0,
        .last_list = 2,
        .context = &c,
        .begins = begins,
        .starts = starts,
        .ends = ends,
    };
    kpar_status status = kpar_replay(&plan);
    kpar_races_destroy(c.races);
    kpar_clocks_destroy(c.clocks);
    return status;
}

/* Memory in common is so for the rank on which it lies, too. */
static kpar_status check_common(const kpar_program *const *programs, int n, int rank)
{
    const kpar_place *common = &programs[rank]->common;
    if (common->bytes == 0) return KPAR_OK;
    if (common->rank >= 0 && common->rank < n) {
        const kpar_place *home = &programs[common->rank]->common;
        if (home->rank == common->rank && home->offset == common->offset && home->bytes == common->bytes)
            return KPAR_OK;
    }
    return kpar_fail(KPAR_EINTERNAL,
                     "programs: rank %d has memory in common on rank %d, which does not know it", rank,
                     common->rank);
}

/* Places in peers' memory lie in the peers' arenas. */
static kpar_status check_windows(const kpar_program *const *programs, int rank)
{
    const kpar_program *program = programs[rank];
    for (size_t i = 0; i < program->n_instructions; i++) {
        const kpar_instruction *in = &program->instructions[i];
        for (int p = 0; p < in->n_places; p++) {
            const kpar_place *place = &in->places[p];
            size_t arena = programs[place->rank < 0 ? rank : place->rank]->arena_bytes;
            if (place->offset <= arena && place->bytes <= arena - place->offset) continue;
            char text[KPAR_REF_TEXT];
            return kpar_fail(KPAR_EINTERNAL,
                             "programs: %s: place %d ends behind the arena of rank %d, %zu bytes",
                             kpar_ref_text(text, programs, (kpar_ref){rank, (int)i}), p, place->rank, arena);
        }
    }
    return KPAR_OK;
}

kpar_status kpar_programs_check(const kpar_program *const *programs, int n)
{
    for (int rank = 0; rank < n; rank++) {
        if (programs[rank]->rank != rank || programs[rank]->world != n)
            return kpar_fail(KPAR_EINTERNAL,
                             "programs: expected the program of rank %d of %d, found rank %d of %d", rank, n,
                             programs[rank]->rank, programs[rank]->world);
        KPAR_TRY(kpar_program_check(programs[rank]));
    }
    for (int rank = 0; rank < n; rank++) KPAR_TRY(check_common(programs, n, rank));
    for (int rank = 0; rank < n; rank++) KPAR_TRY(check_windows(programs, rank));
    kpar_matches matches;
    KPAR_TRY(kpar_matches_make(programs, n, &matches));
    kpar_status status = replay_checked(programs, n, &matches);
    kpar_matches_free(&matches);
    return status;
}
