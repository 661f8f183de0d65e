/* What is chosen where the user does not say; ranks are threads of this process. */
#include "train/cores.h"
#include "train/defaults.h"
#include "unit.h"

#include <check.h>
#include <pthread.h>

enum { RANKS = 2, MANY_CORES = 4, MORE_THAN_ANY = 1 << 20 };

typedef struct rank {
    pthread_t thread;
    kpar_comm *comm;
    int compute;
    kpar_progress_wish wish;
    kpar_threads threads;
    kpar_status status;
} rank;

static void *choose(void *context)
{
    rank *r = context;
    r->status = kpar_default_threads(r->comm, r->compute, r->wish, &r->threads);
    return NULL;
}

/* What rank 0 of n gets. */
static kpar_threads chosen(int n, int compute, kpar_progress_wish wish)
{
    rank ranks[RANKS];
    kpar_comm *comms[RANKS];
    ck_assert_int_eq(kpar_comm_local_create(n, 0, comms), KPAR_OK);
    for (int i = 0; i < n; i++) {
        ranks[i] = (rank){.comm = comms[i], .compute = compute, .wish = wish};
        ck_assert_int_eq(pthread_create(&ranks[i].thread, NULL, choose, &ranks[i]), 0);
    }
    for (int i = 0; i < n; i++) pthread_join(ranks[i].thread, NULL);
    for (int i = 0; i < n; i++) {
        kpar_comm_destroy(comms[i]);
        ck_assert_int_eq(ranks[i].status, KPAR_OK);
    }
    return ranks[0].threads;
}

static void expect(kpar_threads found, int compute, bool progress)
{
    ck_assert_int_eq(found.compute, compute);
    ck_assert_int_eq(found.progress, progress);
}

START_TEST(a_progress_thread_takes_a_core_of_several)
{
    const int cores = chosen(RANKS, 0, KPAR_PROGRESS_OFF).compute;
    const int without_one = cores > 1 ? cores - 1 : 1;
    ck_assert_int_ge(cores, 1);
    expect(chosen(RANKS, 0, KPAR_PROGRESS_OFF), cores, false);
    expect(chosen(RANKS, 0, KPAR_PROGRESS_ON), without_one, true);
    if (cores >= MANY_CORES)
        expect(chosen(RANKS, 0, KPAR_PROGRESS_AUTO), without_one, true);
    else
        expect(chosen(RANKS, 0, KPAR_PROGRESS_AUTO), cores, false);
}
END_TEST

START_TEST(threads_that_the_user_wants_are_left_alone)
{
    const int cores = chosen(RANKS, 0, KPAR_PROGRESS_OFF).compute;
    expect(chosen(RANKS, 3, KPAR_PROGRESS_OFF), 3, false);
    expect(chosen(RANKS, 3, KPAR_PROGRESS_ON), 3, true);
    expect(chosen(RANKS, 1, KPAR_PROGRESS_AUTO), 1, cores >= MANY_CORES);
    expect(chosen(RANKS, MORE_THAN_ANY, KPAR_PROGRESS_AUTO), MORE_THAN_ANY, false);
}
END_TEST

START_TEST(a_rank_without_peers_has_no_progress_thread)
{
    for (int wish = KPAR_PROGRESS_AUTO; wish <= KPAR_PROGRESS_OFF; wish++)
        expect(chosen(1, 2, (kpar_progress_wish)wish), 2, false);
}
END_TEST

START_TEST(microbatches_fill_a_pipeline_as_rows_allow)
{
    ck_assert_int_eq(kpar_default_microbatches(&(kpar_mesh){2, 1, 1}, 64), 1);
    ck_assert_int_eq(kpar_default_microbatches(&(kpar_mesh){2, 2, 1}, 64), 8);
    ck_assert_int_eq(kpar_default_microbatches(&(kpar_mesh){2, 2, 1}, 6), 3);
    ck_assert_int_eq(kpar_default_microbatches(&(kpar_mesh){4, 2, 1}, 3), 1);
}
END_TEST

/* --- cores --- */

enum { MOST_RANKS = 6 };

/* Ranks whose masks are ranges of cores. */
static kpar_cores make_cores(int n, const int (*of)[3])
{
    static int nodes[MOST_RANKS];
    static cpu_set_t masks[MOST_RANKS];
    for (int i = 0; i < n; i++) {
        nodes[i] = of[i][0];
        CPU_ZERO(&masks[i]);
        for (int core = of[i][1]; core <= of[i][2]; core++) CPU_SET((size_t)core, &masks[i]);
    }
    return (kpar_cores){n, nodes, masks};
}

static void expect_words(const kpar_cores *cores, const char *words, const char *crowded)
{
    kpar_text text = {0};
    kpar_cores_print(cores, &text);
    ck_assert_str_eq(kpar_text_get(&text), words);
    kpar_text_clear(&text);
    ck_assert_int_eq(kpar_cores_crowded(cores, &text), *crowded != '\0');
    ck_assert_msg(strncmp(kpar_text_get(&text), crowded, strlen(crowded)) == 0,
                  "'%s' does not begin with '%s'", kpar_text_get(&text), crowded);
    kpar_text_clear(&text);
}

START_TEST(cores_are_divided_by_the_ranks_of_a_node_that_may_use_them)
{
    const kpar_cores cores = make_cores(4, (const int[][3]){{0, 0, 3}, {0, 0, 3}, {0, 2, 3}, {1, 0, 3}});
    ck_assert_double_eq_tol(kpar_cores_share(&cores, 0), 2 * 0.5 + 2 / 3.0, 1e-9);
    ck_assert_double_eq_tol(kpar_cores_share(&cores, 2), 2 / 3.0, 1e-9);
    ck_assert_double_eq_tol(kpar_cores_share(&cores, 3), 4, 1e-9);
}
END_TEST

START_TEST(ranks_on_one_core_are_named_with_it)
{
    kpar_cores cores = make_cores(2, (const int[][3]){{0, 0, 3}, {0, 0, 3}});
    expect_words(&cores, "cores 0-3", "");
    cores = make_cores(2, (const int[][3]){{0, 5, 5}, {0, 5, 5}});
    expect_words(&cores, "core 5", "ranks 0-1 share core 5 and take turns there:");
    cores = make_cores(2, (const int[][3]){{0, 5, 5}, {1, 5, 5}});
    expect_words(&cores, "core 5", "");
    cores = make_cores(3, (const int[][3]){{0, 0, 1}, {0, 2, 3}, {0, 3, 3}});
    expect_words(&cores, "cores 0-1 (rank 0), 2-3 (rank 1), 3 (rank 2)",
                 "ranks 1-2 share core 3 and take turns there:");
    cores = make_cores(5, (const int[][3]){{0, 0, 0}, {0, 1, 1}, {1, 0, 1}, {1, 0, 1}, {1, 0, 1}});
    expect_words(&cores, "core 0 (rank 0), 1 (rank 1), 0-1 (ranks 2-4)",
                 "ranks 2-4 share cores 0-1 and take turns there:");
    cores = make_cores(6, (const int[][3]){{0, 0, 0}, {0, 1, 1}, {0, 2, 2}, {0, 3, 3}, {0, 4, 4}, {0, 5, 5}});
    expect_words(&cores, "core 0 (rank 0), 1 (rank 1), 2 (rank 2), 3 (rank 3), ...", "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("defaults");
    TCase *all = tcase_create("defaults");
    tcase_add_test(all, a_progress_thread_takes_a_core_of_several);
    tcase_add_test(all, threads_that_the_user_wants_are_left_alone);
    tcase_add_test(all, a_rank_without_peers_has_no_progress_thread);
    tcase_add_test(all, microbatches_fill_a_pipeline_as_rows_allow);
    tcase_add_test(all, cores_are_divided_by_the_ranks_of_a_node_that_may_use_them);
    tcase_add_test(all, ranks_on_one_core_are_named_with_it);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
