/* The table of schedules, and their proof. */
#include "parallel/schedule.h"

#include <string.h>

static const kpar_schedule schedules[] = {
    {"1f1b", "one forward, one backward: at most as many microbatches under way as stages follow",
     kpar_schedule_1f1b, 1, false},
    {"gpipe", "all forward, then all backward", kpar_schedule_gpipe, 1, false},
    {"interleaved", "1f1b with several stages a rank: a shorter bubble, more messages",
     kpar_schedule_interleaved, 2, false},
    {"zb-h1", "1f1b whose weights' gradients fill the time in which the pipeline drains", kpar_schedule_zb_h1,
     1, true},
};

const kpar_schedule *kpar_schedules(int *n)
{
    *n = (int)(sizeof schedules / sizeof schedules[0]);
    return schedules;
}

const kpar_schedule *kpar_schedule_find(const char *name)
{
    for (size_t i = 0; i < sizeof schedules / sizeof schedules[0]; i++)
        if (strcmp(schedules[i].name, name) == 0) return &schedules[i];
    return NULL;
}

/* Schedules of all ranks while their actions run. */
typedef struct proof {
    const kpar_schedule *schedule;
    int ranks, stages, microbatches;
    kpar_action **actions; /* by rank */
    int *length, *position;
    double *clock; /* by rank */
    int *done;     /* [part * stages + stage]: microbatches, which go in order */
    double *ended; /* [(part * stages + stage) * microbatches + microbatch] */
    const double *seconds;
} proof;

static double *ended_at(const proof *p, kpar_part part, int stage, int m)
{
    return &p->ended[((int)part * p->stages + stage) * p->microbatches + m];
}

/* Whether the part of a stage is through with the microbatch; then *start is no earlier than that. */
static bool has_ended(const proof *p, kpar_part part, int stage, int m, double *start)
{
    if (p->done[(int)part * p->stages + stage] <= m) return false;
    const double end = *ended_at(p, part, stage, m);
    if (end > *start) *start = end;
    return true;
}

/* Whether an action may run: it is its turn and its input is there. */
static bool is_ready(const proof *p, kpar_action a, double *start)
{
    const int m = a.microbatch, last = p->stages - 1;
    if (m != p->done[(int)a.part * p->stages + a.stage]) return false;
    if (a.part == KPAR_FORWARD) return a.stage == 0 || has_ended(p, KPAR_FORWARD, a.stage - 1, m, start);
    if (a.part == KPAR_BACKWARD_WEIGHT) return has_ended(p, KPAR_BACKWARD, a.stage, m, start);
    return has_ended(p, KPAR_FORWARD, a.stage, m, start) &&
           (a.stage == last || has_ended(p, KPAR_BACKWARD, a.stage + 1, m, start));
}

/* Runs what the rank can run now; returns the number of actions. */
static int advance(proof *p, int rank)
{
    const int before = p->position[rank];
    for (; p->position[rank] < p->length[rank]; p->position[rank]++) {
        const kpar_action a = p->actions[rank][p->position[rank]];
        double start = p->clock[rank];
        if (!is_ready(p, a, &start)) break;
        p->clock[rank] = *ended_at(p, a.part, a.stage, a.microbatch) =
            start + (p->seconds ? p->seconds[a.part] : 1);
        p->done[(int)a.part * p->stages + a.stage]++;
    }
    return p->position[rank] - before;
}

static kpar_status run(proof *p, int chunks, double *span)
{
    int ran = 0, before;
    const int total = p->stages * p->microbatches * (p->schedule->splits_backward ? 3 : 2);
    for (int r = 0; r < p->ranks; r++) {
        const kpar_schedule_shape shape = {r, p->ranks, p->microbatches, chunks};
        p->actions[r] = kpar_alloc(kpar_schedule_room(&shape) * sizeof *p->actions[r]);
        p->length[r] = p->schedule->generate(&shape, p->actions[r]);
    }
    do {
        before = ran;
        for (int r = 0; r < p->ranks; r++) ran += advance(p, r);
    } while (ran > before);
    for (int r = 0; span && r < p->ranks; r++)
        if (r == 0 || p->clock[r] > *span) *span = p->clock[r];
    if (ran == total) return KPAR_OK;
    return kpar_fail(KPAR_EINTERNAL, "schedule %s: %d stages, %d microbatches: stuck after %d of %d actions",
                     p->schedule->name, p->stages, p->microbatches, ran, total);
}

kpar_status kpar_schedule_prove(const kpar_schedule *schedule, int ranks, int chunks, int microbatches,
                                const double *seconds, double *span)
{
    const int stages = ranks * chunks, counters = KPAR_PART_COUNT * stages;
    proof p = {.schedule = schedule,
               .ranks = ranks,
               .stages = stages,
               .microbatches = microbatches,
               .actions = kpar_alloc_zeroed((size_t)ranks, sizeof *p.actions),
               .length = kpar_alloc_zeroed((size_t)ranks, sizeof *p.length),
               .position = kpar_alloc_zeroed((size_t)ranks, sizeof *p.position),
               .clock = kpar_alloc_zeroed((size_t)ranks, sizeof *p.clock),
               .done = kpar_alloc_zeroed((size_t)counters, sizeof *p.done),
               .ended = kpar_alloc_zeroed((size_t)counters * (size_t)microbatches + 1, sizeof *p.ended),
               .seconds = seconds};
    kpar_status status = run(&p, chunks, span);
    for (int r = 0; r < ranks; r++) kpar_free(p.actions[r]);
    kpar_free(p.actions);
    kpar_free(p.length);
    kpar_free(p.position);
    kpar_free(p.clock);
    kpar_free(p.done);
    kpar_free(p.ended);
    return status;
}
