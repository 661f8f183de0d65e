/* The transport `local`: the cases of all transports on 1 to 8 threads, and what only threads of one
 * process can show: errors at both ends, a job that one rank ends. */
#include "comm_cases.h"

#include "base/log.h"
#include "base/memory.h"
#include "unit.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_RANKS = 8 };

typedef const char *(*rank_function)(kpar_comm *comm);

typedef struct rank_thread {
    pthread_t thread;
    kpar_comm *comm;
    rank_function run;
    char failure[1024];
} rank_thread;

static void *rank_main(void *context)
{
    rank_thread *rank = context;
    const char *failure = rank->run(rank->comm);
    if (failure) {
        snprintf(rank->failure, sizeof rank->failure, "rank %d: %s", kpar_comm_rank(rank->comm), failure);
        kpar_fail(KPAR_EINTERNAL, "%s", rank->failure);
        kpar_comm_abort(rank->comm, KPAR_EINTERNAL);
    }
    kpar_comm_destroy(rank->comm);
    return NULL;
}

/* Runs a function on n ranks and shows the first failure. */
static void run_ranks(int n, int ranks_per_node, rank_function run, const char *what)
{
    const size_t live = kpar_alloc_live();
    rank_thread ranks[MOST_RANKS] = {0};
    kpar_comm *comms[MOST_RANKS];
    ck_assert_int_eq(kpar_comm_local_create(n, ranks_per_node, comms), KPAR_OK);
    for (int r = 0; r < n; r++) {
        ranks[r].comm = comms[r];
        ranks[r].run = run;
        ck_assert_int_eq(pthread_create(&ranks[r].thread, NULL, rank_main, &ranks[r]), 0);
    }
    for (int r = 0; r < n; r++) pthread_join(ranks[r].thread, NULL);
    for (int r = 0; r < n; r++)
        ck_assert_msg(!ranks[r].failure[0], "%s, %d ranks, %d on a node: %s", what, n, ranks_per_node,
                      ranks[r].failure);
    ck_assert_uint_eq(kpar_alloc_live(), live);
}

START_TEST(threads_do_what_every_transport_does)
{
    int n;
    const comm_case *c = &comm_cases(&n)[_i];
    for (int size = 1; size <= MOST_RANKS; size++) run_ranks(size, 0, c->run, c->name);
    for (int size = 3; size <= MOST_RANKS; size += 2) run_ranks(size, 2, c->run, c->name);
}
END_TEST

START_TEST(a_count_of_ranks_that_cannot_be_is_wrong_usage)
{
    kpar_comm *comm;
    ck_assert_int_eq(kpar_comm_local_create(0, 0, &comm), KPAR_EUSAGE);
    ck_assert_int_eq(kpar_comm_local_create(1, -1, &comm), KPAR_EUSAGE);
}
END_TEST

static kpar_status wait_for(kpar_comm *comm, kpar_request **request)
{
    for (bool done = false; !done; kpar_comm_yield(comm)) KPAR_TRY(kpar_comm_progress(comm, request, &done));
    return KPAR_OK;
}

static const char *unequal_ends(kpar_comm *comm)
{
    char data[8] = {0};
    kpar_request *request;
    kpar_status status = kpar_comm_rank(comm) == 0 ? kpar_comm_start_send(comm, data, 8, 1, 3, &request)
                                                   : kpar_comm_start_receive(comm, data, 4, 0, 3, &request);
    if (status == KPAR_OK) status = wait_for(comm, &request);
    if (status != KPAR_ECOMM) return "expected KPAR_ECOMM";
    return strstr(kpar_error_message(), "channel 3 has ") ? NULL : kpar_error_message();
}

START_TEST(a_message_of_unequal_ends_is_an_error_at_both) { run_ranks(2, 0, unequal_ends, "unequal"); }
END_TEST

static const char *different_collectives(kpar_comm *comm)
{
    const int ranks[] = {0, 1};
    float data[2] = {0};
    int group;
    kpar_request *request;
    if (kpar_comm_group(comm, ranks, 2, &group) != KPAR_OK) return kpar_error_message();
    const kpar_reduction reduction = kpar_comm_rank(comm) == 0 ? KPAR_REDUCE_SUM : KPAR_REDUCE_MAX;
    kpar_status status = kpar_comm_start_collective(comm, group, KPAR_COLLECTIVE_ALL_REDUCE, reduction,
                                                    KPAR_F32, data, data, NULL, 2, &request);
    if (status == KPAR_OK) status = wait_for(comm, &request);
    return status == KPAR_ECOMM ? NULL : "expected KPAR_ECOMM";
}

START_TEST(different_collectives_of_a_group_are_an_error)
{
    run_ranks(2, 0, different_collectives, "different");
}
END_TEST

/* --- a job that one rank ends: the ways in which the others can be waiting --- */

static kpar_status in_barrier(kpar_comm *comm) { return kpar_comm_barrier(comm); }

static kpar_status in_gathering(kpar_comm *comm)
{
    int all[MOST_RANKS], own = 1;
    return kpar_comm_all_gather(comm, &own, all, sizeof own);
}

static kpar_status in_broadcast(kpar_comm *comm)
{
    int value = 1;
    return kpar_comm_broadcast(comm, &value, sizeof value, kpar_comm_size(comm) - 1);
}

static kpar_status in_agreement(kpar_comm *comm) { return kpar_comm_agree(comm, KPAR_OK); }

static kpar_status in_receive(kpar_comm *comm)
{
    int value;
    return kpar_comm_receive(comm, &value, sizeof value, kpar_comm_size(comm) - 1);
}

static kpar_status in_send(kpar_comm *comm)
{
    int value = 1;
    return kpar_comm_send(comm, &value, sizeof value, kpar_comm_size(comm) - 1);
}

static kpar_status in_group(kpar_comm *comm)
{
    const int ranks[] = {0};
    int group;
    return kpar_comm_group(comm, ranks, 1, &group);
}

static kpar_status in_window_create(kpar_comm *comm)
{
    void *arena;
    return kpar_comm_window_create(comm, 100, 1, &arena);
}

/* Polls a flag that never comes, as the executor does. */
static kpar_status in_polling(kpar_comm *comm)
{
    for (;; kpar_comm_yield(comm)) KPAR_TRY(kpar_comm_progress(comm, NULL, NULL));
}

static kpar_status (*const waits[])(kpar_comm *) = {
    in_barrier, in_gathering, in_broadcast,     in_agreement, in_receive,
    in_send,    in_group,     in_window_create, in_polling,
};
enum { WAITS = sizeof waits / sizeof waits[0] };

static int wait_number;

static const char *last_rank_ends_the_job(kpar_comm *comm)
{
    if (kpar_comm_barrier(comm) != KPAR_OK) return "the first barrier";
    if (kpar_comm_rank(comm) == kpar_comm_size(comm) - 1) {
        usleep(2000); /* others may be waiting already, or not yet: both must do */
        kpar_comm_abort(comm, kpar_fail(KPAR_EDATA, "labels are 50%% out of range"));
        return kpar_comm_barrier(comm) == KPAR_ECOMM ? NULL : "the rank that ended the job goes on";
    }
    if (waits[wait_number](comm) != KPAR_ECOMM) return "a rank did not learn that the job was ended";
    return strcmp(kpar_error_message(), "labels are 50% out of range") == 0 ? NULL : kpar_error_message();
}

/* What is written to standard error while ranks run. */
static void captured(int n, rank_function run, char *text, size_t bytes)
{
    FILE *file = tmpfile();
    const int kept = dup(STDERR_FILENO);
    ck_assert(file && kept >= 0);
    dup2(fileno(file), STDERR_FILENO);
    run_ranks(n, 0, run, "ending");
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    text[fread(text, 1, bytes - 1, file)] = '\0';
    fclose(file);
}

START_TEST(a_rank_that_ends_the_job_wakes_all_others)
{
    char text[4096];
    kpar_log_program("test");
    for (int n = 2; n <= MOST_RANKS; n += 3) {
        wait_number = _i;
        captured(n, last_rank_ends_the_job, text, sizeof text);
        ck_assert_str_eq(text, "test: labels are 50% out of range\n");
    }
}
END_TEST

static const char *all_end_the_job(kpar_comm *comm)
{
    kpar_comm_abort(comm, kpar_fail(KPAR_EIO, "no data"));
    return kpar_comm_barrier(comm) == KPAR_ECOMM ? NULL : "the job goes on";
}

START_TEST(a_job_that_all_end_says_so_once)
{
    char text[4096];
    kpar_log_program("test");
    captured(MOST_RANKS, all_end_the_job, text, sizeof text);
    ck_assert_str_eq(text, "test: no data\n");
}
END_TEST

int main(void)
{
    int n_cases;
    comm_cases(&n_cases);
    Suite *suite = suite_create("comm");
    TCase *tcase = tcase_create("comm");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, threads_do_what_every_transport_does, 0, n_cases);
    tcase_add_test(tcase, a_count_of_ranks_that_cannot_be_is_wrong_usage);
    tcase_add_test(tcase, a_message_of_unequal_ends_is_an_error_at_both);
    tcase_add_test(tcase, different_collectives_of_a_group_are_an_error);
    tcase_add_loop_test(tcase, a_rank_that_ends_the_job_wakes_all_others, 0, WAITS);
    tcase_add_test(tcase, a_job_that_all_end_says_so_once);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
