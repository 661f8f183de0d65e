/* The table of schedules, and their proof. */
#include "parallel/schedule.h"

#include <string.h>

static const kpar_schedule schedules[] = {
    {"1f1b", "one forward, one backward: at most as many microbatches under way as stages follow",
     kpar_schedule_1f1b},
    {"gpipe", "all forward, then all backward", kpar_schedule_gpipe},
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

/* Whether an action may run: its input is there. done[part][stage] counts microbatches, which go in order. */
static bool ready(kpar_action a, int stage, int stages, int *const done[2])
{
    if (a.microbatch != done[a.part][stage]) return false;
    if (a.part == KPAR_FORWARD) return stage == 0 || done[KPAR_FORWARD][stage - 1] > a.microbatch;
    return done[KPAR_FORWARD][stage] > a.microbatch &&
           (stage == stages - 1 || done[KPAR_BACKWARD][stage + 1] > a.microbatch);
}

kpar_status kpar_schedule_prove(const kpar_schedule *schedule, int stages, int microbatches)
{
    const int length = 2 * microbatches;
    kpar_action *actions = kpar_alloc((size_t)stages * (size_t)length * sizeof *actions + 1);
    int *counters = kpar_alloc_zeroed(3 * (size_t)stages, sizeof *counters);
    int *const done[2] = {counters, counters + stages}, *position = counters + 2 * stages;
    for (int s = 0; s < stages; s++)
        schedule->generate(&(kpar_schedule_shape){s, stages, microbatches}, actions + s * length);
    int ran = 0, before;
    do {
        before = ran;
        for (int s = 0; s < stages; s++)
            while (position[s] < length && ready(actions[s * length + position[s]], s, stages, done)) {
                done[actions[s * length + position[s]].part][s]++;
                position[s]++;
                ran++;
            }
    } while (ran > before);
    kpar_free(actions);
    kpar_free(counters);
    if (ran == stages * length) return KPAR_OK;
    return kpar_fail(KPAR_EINTERNAL, "schedule %s: %d stages, %d microbatches: stuck after %d of %d actions",
                     schedule->name, stages, microbatches, ran, stages * length);
}
