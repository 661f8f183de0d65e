/* The collective of one size. */
#include "bench/bench.h"

#include "comm/collective.h"

double kpar_bench_bus_factor(kpar_collective collective, int n)
{
    const double share = (double)(n - 1) / n;
    return collective == KPAR_COLLECTIVE_ALL_REDUCE ? 2 * share : share;
}

static void equal_parts(kpar_bench_case *c, size_t count)
{
    for (size_t i = 0; i < (size_t)c->n; i++) {
        c->offsets[i] = i * count;
        c->counts[i] = count;
    }
}

kpar_status kpar_bench_case_make(kpar_arena *arena, const kpar_bench_settings *settings, size_t bytes, int me,
                                 int n, bool shared, kpar_bench_case *made)
{
    const bool reduces = settings->collective == KPAR_COLLECTIVE_ALL_REDUCE;
    size_t each = bytes / sizeof(float) / (reduces ? 1 : (size_t)n);
    if (each == 0) each = 1;
    *made = (kpar_bench_case){
        .collective = settings->collective, .me = me, .n = n, .total = reduces ? each : each * (size_t)n};
    made->offsets = kpar_arena_alloc(arena, (size_t)n * sizeof *made->offsets);
    made->counts = kpar_arena_alloc(arena, (size_t)n * sizeof *made->counts);
    if (reduces)
        kpar_even_parts(made->total, n, made->offsets, made->counts);
    else
        equal_parts(made, each);
    const kpar_choice_facts facts = {
        .collective = settings->collective, .n = n, .bytes = made->total * sizeof(float), .shared = shared};
    return kpar_algorithm_choose(settings->choice, &facts, &made->row);
}
