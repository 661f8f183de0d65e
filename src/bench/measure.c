/* Right first, then fast. */
#include "bench/bench.h"

#include "base/clock.h"

#include <math.h>
#include <string.h>

enum { ROUNDS = 5, MOST_SIDES = 2 };

/* Small integers: their sums over thousands of ranks are exact. */
static float input(int member, size_t i) { return (float)((i + (size_t)member * 7) % 13); }

static float expected(const kpar_bench_case *c, size_t i)
{
    float sum = 0;
    if (c->collective == KPAR_COLLECTIVE_ALL_GATHER) return input((int)(i / c->counts[0]), i);
    for (int member = 0; member < c->n; member++) sum += input(member, i);
    return sum;
}

static void fill(const kpar_bench_case *c, kpar_bench_side *side)
{
    const bool gathers = c->collective == KPAR_COLLECTIVE_ALL_GATHER;
    const size_t first = gathers ? c->offsets[c->me] : 0, end = gathers ? first + c->counts[c->me] : c->total;
    for (size_t i = 0; i < c->total; i++) side->data[i] = i >= first && i < end ? input(c->me, i) : NAN;
}

static size_t count_wrong(const kpar_bench_case *c, const kpar_bench_side *side)
{
    const bool scatters = c->collective == KPAR_COLLECTIVE_REDUCE_SCATTER;
    const size_t first = scatters ? c->offsets[c->me] : 0, count = scatters ? c->counts[c->me] : c->total;
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++) wrong += !(side->result[i] == expected(c, first + i));
    return wrong;
}

static kpar_status check(kpar_comm *comm, const kpar_bench_case *c, kpar_bench_side *side, size_t *wrong)
{
    fill(c, side);
    KPAR_TRY(kpar_comm_barrier(comm));
    KPAR_TRY(side->run(side));
    double sum = (double)count_wrong(c, side);
    KPAR_TRY(kpar_comm_sum(comm, &sum, 1));
    *wrong = (size_t)sum;
    memset(side->data, 0, c->total * sizeof *side->data); /* what is added again and again stays finite */
    return kpar_comm_barrier(comm);
}

static kpar_status run_times(kpar_comm *comm, kpar_bench_side *side, int times, double *seconds)
{
    KPAR_TRY(kpar_comm_barrier(comm));
    const double start = kpar_seconds();
    for (int i = 0; i < times; i++) KPAR_TRY(side->run(side));
    *seconds += kpar_seconds() - start;
    return KPAR_OK;
}

/* In each round every side runs its share of the iterations; who begins changes. */
static kpar_status take_turns(kpar_comm *comm, const kpar_bench_settings *settings,
                              kpar_bench_side *const *sides, int n_sides, double *seconds)
{
    double ignored = 0;
    for (int s = 0; s < n_sides; s++) KPAR_TRY(run_times(comm, sides[s], settings->warmup, &ignored));
    for (int round = 0; round < ROUNDS; round++) {
        const int64_t all = settings->iterations;
        const int share = (int)(all * (round + 1) / ROUNDS - all * round / ROUNDS);
        for (int s = 0; s < n_sides && share > 0; s++) {
            const int turn = (s + round) % n_sides;
            KPAR_TRY(run_times(comm, sides[turn], share, &seconds[turn]));
        }
    }
    return kpar_comm_barrier(comm);
}

/* The own seconds of an operation become least, mean and most over ranks. */
static kpar_status over_ranks(kpar_comm *comm, double own, kpar_bench_times *times)
{
    const int n = kpar_comm_size(comm);
    double *all = kpar_alloc((size_t)n * sizeof *all);
    kpar_status status = kpar_comm_all_gather(comm, &own, all, sizeof own);
    times->least = times->most = status == KPAR_OK ? all[0] : 0;
    times->mean = 0;
    for (int rank = 0; rank < n && status == KPAR_OK; rank++) {
        times->least = fmin(times->least, all[rank]);
        times->most = fmax(times->most, all[rank]);
        times->mean += all[rank] / n;
    }
    kpar_free(all);
    return status;
}

static kpar_status measure(kpar_comm *comm, const kpar_bench_settings *settings, const kpar_bench_case *c,
                           kpar_bench_side *const *sides, int n_sides, kpar_bench_times *times)
{
    double seconds[MOST_SIDES] = {0};
    for (int s = 0; s < n_sides; s++) KPAR_TRY(check(comm, c, sides[s], &times[s].wrong));
    KPAR_TRY(take_turns(comm, settings, sides, n_sides, seconds));
    for (int s = 0; s < n_sides; s++)
        KPAR_TRY(over_ranks(comm, seconds[s] / settings->iterations, &times[s]));
    return KPAR_OK;
}

kpar_status kpar_bench_measure(kpar_comm *comm, const kpar_bench_settings *settings, const kpar_bench_case *c,
                               kpar_bench_side *const *sides, int n_sides, kpar_bench_times *times)
{
    kpar_status status = measure(comm, settings, c, sides, n_sides, times);
    if (status != KPAR_OK) kpar_comm_abort(comm, status); /* the others are inside an operation */
    return status;
}
