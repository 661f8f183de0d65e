/* Programs of kpar_bench: those of all ranks together pass the checker, for each collective and algorithm. */
#include "bench/bench.h"
#include "unit.h"

#include <check.h>
#include <stdio.h>

enum { MOST_RANKS = 8 };

static void make_programs(const kpar_bench_settings *settings, size_t bytes, int n, kpar_program **programs)
{
    kpar_arena *arena = kpar_arena_create();
    for (int rank = 0; rank < n; rank++) {
        kpar_bench_case c;
        kpar_place result;
        ck_assert_msg(kpar_bench_case_make(arena, settings, bytes, rank, n, true, &c) == KPAR_OK, "%s",
                      kpar_error_message());
        ck_assert_msg(kpar_bench_program_create(&c, &programs[rank], &result) == KPAR_OK, "%s",
                      kpar_error_message());
        ck_assert_uint_le(result.offset + result.bytes, programs[rank]->arena_bytes);
    }
    kpar_arena_destroy(arena);
}

START_TEST(programs_of_all_ranks_fit_each_other)
{
    static const size_t sizes[] = {4, 64, 4096, 40000};
    int rows;
    const kpar_algorithm_row *row = kpar_algorithm_rows(&rows);
    for (; rows-- > 0; row++)
        for (int n = 1; n <= MOST_RANKS; n++)
            for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
                char choice[64];
                kpar_program *programs[MOST_RANKS];
                snprintf(choice, sizeof choice, "%s:%s", kpar_collective_name((kpar_collective)_i),
                         row->name);
                const kpar_bench_settings settings = {.collective = (kpar_collective)_i, .choice = choice};
                make_programs(&settings, sizes[s], n, programs);
                ck_assert_msg(kpar_programs_check((const kpar_program *const *)programs, n) == KPAR_OK,
                              "%s, %d ranks, %zu bytes: %s", choice, n, sizes[s], kpar_error_message());
                for (int rank = 0; rank < n; rank++) kpar_program_destroy(programs[rank]);
            }
}
END_TEST

static size_t moved_bytes(kpar_collective collective, const char *choice, size_t bytes, int n)
{
    kpar_program *programs[MOST_RANKS];
    size_t moved = 0;
    make_programs(&(kpar_bench_settings){.collective = collective, .choice = choice}, bytes, n, programs);
    for (size_t i = 0; i < programs[0]->n_instructions; i++)
        moved += kpar_program_moved_bytes(programs[0], &programs[0]->instructions[i]);
    for (int rank = 0; rank < n; rank++) kpar_program_destroy(programs[rank]);
    return moved;
}

START_TEST(what_moves_is_what_the_bus_factor_says)
{
    int rows;
    const kpar_algorithm_row *row = kpar_algorithm_rows(&rows);
    for (; rows-- > 0; row++)
        for (int n = 1; n <= MOST_RANKS; n *= 2)
            for (int k = 0; k < KPAR_COLLECTIVE_COUNT; k++) {
                const kpar_collective collective = (kpar_collective)k;
                const double carried = 8192 * kpar_bench_bus_factor(collective, n);
                char choice[64];
                snprintf(choice, sizeof choice, "%s:%s", kpar_collective_name(collective), row->name);
                const double moved = (double)moved_bytes(collective, choice, 8192, n), line = 64.0 * n;
                ck_assert_msg(moved >= carried - line && moved <= carried + 3 * line,
                              "%s, %d ranks: %g bytes, expected %g", choice, n, moved, carried);
            }
}
END_TEST

START_TEST(sizes_become_whole_elements_and_at_least_one)
{
    static const struct {
        kpar_collective collective;
        size_t bytes, total;
    } cases[] = {{KPAR_COLLECTIVE_ALL_REDUCE, 1, 1},
                 {KPAR_COLLECTIVE_ALL_REDUCE, 11, 2},
                 {KPAR_COLLECTIVE_ALL_GATHER, 4, 3},
                 {KPAR_COLLECTIVE_REDUCE_SCATTER, 100, 24}};
    kpar_arena *arena = kpar_arena_create();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kpar_bench_case c;
        const kpar_bench_settings settings = {.collective = cases[i].collective, .choice = ""};
        ck_assert_int_eq(kpar_bench_case_make(arena, &settings, cases[i].bytes, 0, 3, true, &c), KPAR_OK);
        ck_assert_uint_eq(c.total, cases[i].total);
    }
    kpar_arena_destroy(arena);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bench");
    TCase *programs = tcase_create("programs");
    tcase_set_timeout(programs, 0);
    tcase_add_loop_test(programs, programs_of_all_ranks_fit_each_other, 0, KPAR_COLLECTIVE_COUNT);
    tcase_add_test(programs, what_moves_is_what_the_bus_factor_says);
    tcase_add_test(programs, sizes_become_whole_elements_and_at_least_one);
    suite_add_tcase(suite, programs);
    return run_suite(suite);
}
