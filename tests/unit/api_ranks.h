/* For tests of the C API: ranks that are threads of this process, each with a context. */
#ifndef KPAR_TESTS_API_RANKS_H
#define KPAR_TESTS_API_RANKS_H

#include "api/context.h"
#include "base/memory.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_RANKS = 4 };

typedef struct rank_thread rank_thread;
typedef void (*rank_function)(kpar_context *context, char failure[512]);
struct rank_thread {
    pthread_t thread;
    kpar_comm *comm;
    rank_function run;
    char failure[512];
};

/* In a rank function: notes the failure and returns, so that the others fail on the end of the job. */
#define EXPECT(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            snprintf(failure, 512, "line %d: %s (%s)", __LINE__, #condition, kpar_error_message());          \
            return;                                                                                          \
        }                                                                                                    \
    } while (0)

/* The call fails with the status, and its message has the words. */
#define EXPECT_ERROR(status, words, call) EXPECT((call) == (status) && strstr(kpar_error_message(), words))

static void *rank_main(void *argument)
{
    rank_thread *rank = argument;
    kpar_context *context = NULL;
    if (kpar_context_create(rank->comm, &context) == KPAR_OK) rank->run(context, rank->failure);
    if (context && rank->failure[0]) kpar_comm_abort(context->comm, KPAR_EINTERNAL);
    if (kpar_finalize(context) != KPAR_OK && !rank->failure[0])
        snprintf(rank->failure, sizeof rank->failure, "%s", kpar_error_message());
    return NULL;
}

/* Runs a function on n ranks and shows the first failure; nothing may be left in memory. */
static inline void run_ranks(int n, rank_function run)
{
    const size_t live = kpar_alloc_live();
    rank_thread ranks[MOST_RANKS] = {0};
    kpar_comm *comms[MOST_RANKS];
    ck_assert_int_eq(kpar_comm_local_create(n, 0, comms), KPAR_OK);
    for (int r = 0; r < n; r++) {
        ranks[r].comm = comms[r];
        ranks[r].run = run;
        ck_assert_int_eq(pthread_create(&ranks[r].thread, NULL, rank_main, &ranks[r]), 0);
    }
    for (int r = 0; r < n; r++) pthread_join(ranks[r].thread, NULL);
    for (int r = 0; r < n; r++)
        ck_assert_msg(!ranks[r].failure[0], "%d ranks, rank %d: %s", n, r, ranks[r].failure);
    ck_assert_uint_eq(kpar_alloc_live(), live);
}

#endif
