/* Transport `mpi`: what every transport must do, and how a job is ended. Started by test_comm.sh:
 *
 *     test_comm_mpi [--no-windows] [--ranks-per-node N] [--chunk-bytes N] [--funneled] [END]
 *
 * --funneled: MPI is initialized here, for calls of this thread alone.
 * END is one of the ways to fail in ends[]; the job then ends with one line. */
#include "../unit/comm_cases.h"

#include "base/log.h"
#include "base/memory.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* More than the address space has, less than a size_t: refused before the system would kill somebody for
 * it. */
static kpar_status a_window_larger_than_memory_is_an_error(kpar_comm *comm)
{
    void *arena;
    kpar_status status = kpar_comm_window_create(comm, (size_t)1 << 50, 1, &arena);
    if (status == KPAR_ENOMEM) return KPAR_OK;
    return kpar_fail(KPAR_EINTERNAL, "a huge window: status %s, expected ENOMEM", kpar_status_name(status));
}

/* A progress thread must not call an MPI that listens to one thread alone. */
static kpar_status threads_are_what_mpi_gives(kpar_comm *comm)
{
    int provided;
    MPI_Query_thread(&provided);
    if (kpar_comm_moves_on_any_thread(comm) == (provided >= MPI_THREAD_SERIALIZED)) return KPAR_OK;
    return kpar_fail(KPAR_EINTERNAL, "MPI's thread level %d: moves on %s thread", provided,
                     kpar_comm_moves_on_any_thread(comm) ? "any" : "one");
}

static kpar_status run_cases(kpar_comm *comm)
{
    KPAR_TRY(kpar_comm_agree(comm, threads_are_what_mpi_gives(comm)));
    KPAR_TRY(kpar_comm_agree(comm, a_window_larger_than_memory_is_an_error(comm)));
    int n;
    const comm_case *cases = comm_cases(&n);
    for (int i = 0; i < n; i++) {
        const char *failure = cases[i].run(comm);
        if (failure)
            return kpar_fail(KPAR_EINTERNAL, "%s: rank %d: %s", cases[i].name, kpar_comm_rank(comm), failure);
        KPAR_TRY(kpar_comm_barrier(comm));
    }
    return KPAR_OK;
}

/* --- ways to fail --- */

static kpar_status all_at_once(kpar_comm *comm)
{
    return kpar_fail(KPAR_EDATA, "rank %d fails with all others", kpar_comm_rank(comm));
}

static kpar_status one_while_others_wait(kpar_comm *comm)
{
    if (kpar_comm_rank(comm) == kpar_comm_size(comm) - 1)
        return kpar_fail(KPAR_EDATA, "the last rank fails alone");
    return kpar_comm_barrier(comm);
}

static kpar_status one_after_the_other(kpar_comm *comm)
{
    const struct timespec nap = {.tv_nsec = 20000000 * (kpar_comm_size(comm) - kpar_comm_rank(comm))};
    nanosleep(&nap, NULL);
    return kpar_fail(KPAR_EDATA, "rank %d fails in its turn", kpar_comm_rank(comm));
}

static kpar_status as_agreed(kpar_comm *comm)
{
    const bool refuses = kpar_comm_rank(comm) == 1;
    return kpar_comm_agree(comm, refuses ? kpar_fail(KPAR_EUSAGE, "rank 1 does not want to") : KPAR_OK);
}

static const struct {
    const char *name;
    kpar_status (*run)(kpar_comm *comm);
} ends[] = {{"all", all_at_once},
            {"one", one_while_others_wait},
            {"turns", one_after_the_other},
            {"agreed", as_agreed}};

static kpar_status run(kpar_comm *comm, const char *end)
{
    for (size_t i = 0; end && i < sizeof ends / sizeof *ends; i++)
        if (strcmp(ends[i].name, end) == 0) return ends[i].run(comm);
    return run_cases(comm);
}

/* As an application that has MPI of its own. */
static bool initialize_funneled(void)
{
    int provided;
    return MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) == MPI_SUCCESS;
}

int main(int argc, char **argv)
{
    kpar_mpi_options options = {.windows = true};
    bool own_mpi = false;
    const char *end = NULL;
    kpar_comm *comm;
    kpar_log_program("test_comm_mpi");
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--no-windows") == 0)
            options.windows = false;
        else if (strcmp(argv[i], "--ranks-per-node") == 0 && i + 1 < argc)
            options.ranks_per_node = atoi(argv[++i]);
        else if (strcmp(argv[i], "--chunk-bytes") == 0 && i + 1 < argc)
            options.chunk_bytes = (size_t)atoi(argv[++i]);
        else if (strcmp(argv[i], "--funneled") == 0)
            own_mpi = initialize_funneled();
        else
            end = argv[i];
    }
    const size_t before = kpar_alloc_live();
    if (kpar_comm_mpi_create(&options, &comm) != KPAR_OK) {
        kpar_log_error(kpar_error_message());
        return 1;
    }
    kpar_status status = run(comm, end);
    if (status != KPAR_OK) kpar_comm_abort(comm, status);
    kpar_comm_destroy(comm);
    if (own_mpi) MPI_Finalize();
    if (kpar_alloc_live() == before) return 0;
    kpar_log("%zu blocks of memory are left", kpar_alloc_live() - before);
    return 1;
}
