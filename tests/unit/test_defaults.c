/* What is chosen where the user does not say; ranks are threads of this process. */
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

int main(void)
{
    Suite *suite = suite_create("defaults");
    TCase *all = tcase_create("defaults");
    tcase_add_test(all, a_progress_thread_takes_a_core_of_several);
    tcase_add_test(all, threads_that_the_user_wants_are_left_alone);
    tcase_add_test(all, a_rank_without_peers_has_no_progress_thread);
    tcase_add_test(all, microbatches_fill_a_pipeline_as_rows_allow);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
