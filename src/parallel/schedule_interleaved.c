/* Interleaved 1F1B: a rank has several stages, so that a pipeline fills and drains in as many times shorter. Microbatches go
 * in rounds of about as many as there are ranks; a round visits all stages of a rank before the next one begins. Narayanan et
 * al., "Efficient large-scale language model training on GPU clusters using Megatron-LM" (2021). */
#include "parallel/schedule.h"

/* Microbatches [*first, *first + *count) of a round, dealt evenly: a round of fewer than there are ranks would wait for its own
 * first microbatch. */
static void find_round(const kpar_schedule_shape *s, int round, int rounds, int *first, int *count)
{
    const int each = s->microbatches / rounds, more = s->microbatches % rounds;
    *first = round * each + (round < more ? round : more);
    *count = each + (round < more);
}

/* All actions of one direction in the order in which the rank takes them. */
static void write_direction(const kpar_schedule_shape *s, int rounds, bool forward, kpar_action *actions)
{
    for (int round = 0; round < rounds; round++) {
        int first, count;
        find_round(s, round, rounds, &first, &count);
        for (int k = 0; k < s->chunks; k++) {
            const int chunk = forward ? k : s->chunks - 1 - k;
            for (int m = first; m < first + count; m++)
                *actions++ =
                    (kpar_action){forward ? KPAR_FORWARD : KPAR_BACKWARD, m, chunk * s->ranks + s->rank};
        }
    }
}

int kpar_schedule_interleaved(const kpar_schedule_shape *shape, kpar_action *actions)
{
    const int n = shape->chunks * shape->microbatches;
    const int rounds = shape->microbatches >= shape->ranks ? shape->microbatches / shape->ranks : 1;
    const int largest = (shape->microbatches + rounds - 1) / rounds;
    const int wanted = 2 * (shape->ranks - 1 - shape->rank) + (shape->chunks - 1) * largest;
    const int ahead = wanted < n ? wanted : n;
    kpar_action *forward = kpar_alloc(2 * (size_t)n * sizeof *forward + 1), *backward = forward + n;
    kpar_action *at = actions;
    write_direction(shape, rounds, true, forward);
    write_direction(shape, rounds, false, backward);
    for (int i = 0; i < ahead; i++) *at++ = forward[i];
    for (int i = 0; i < n; i++) {
        if (ahead + i < n) *at++ = forward[ahead + i];
        *at++ = backward[i];
    }
    kpar_free(forward);
    return (int)(at - actions);
}
