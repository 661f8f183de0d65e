/* The two sides: kpar's program run by its executor, and the MPI library's blocking call. */
#include "bench/bench.h"

#include "run/executor.h"

#ifdef KPAR_HAVE_MPI
#include <limits.h>
#include <mpi.h>
#endif

/* --- kpar --- */

typedef struct own_side {
    kpar_bench_side base;
    kpar_program *program;
    kpar_executor *executor;
} own_side;

static kpar_status own_run(kpar_bench_side *side)
{
    return kpar_executor_run(((own_side *)side)->executor, 0);
}

static void own_destroy(kpar_bench_side *side)
{
    own_side *own = (own_side *)side;
    kpar_executor_destroy(own->executor);
    if (own->program) kpar_program_destroy(own->program);
    kpar_free(own);
}

static kpar_status own_create(own_side *own, kpar_comm *comm, const kpar_bench_settings *settings,
                              const kpar_bench_case *c)
{
    kpar_threads threads;
    KPAR_TRY(kpar_default_threads(comm, settings->threads_per_rank,
                                  (kpar_progress_wish)settings->progress_thread, &threads));
    const kpar_device_options device = {.threads = threads.compute};
    const kpar_executor_options options = {.progress_thread = threads.progress};
    const kpar_place all = {-1, 0, c->total * sizeof(float)};
    kpar_place result;
    KPAR_TRY(kpar_comm_agree(comm, kpar_bench_program_create(c, &own->program, &result)));
    KPAR_TRY(kpar_executor_create(comm, kpar_device_find("cpu"), &device,
                                  (const kpar_program *const *)&own->program, 1, &options, &own->executor));
    own->base.data = kpar_executor_memory(own->executor, &all);
    own->base.result = kpar_executor_memory(own->executor, &result);
    return KPAR_OK;
}

kpar_status kpar_bench_own_side(kpar_comm *comm, const kpar_bench_settings *settings,
                                const kpar_bench_case *c, kpar_bench_side **side)
{
    own_side *own = kpar_alloc_zeroed(1, sizeof *own);
    own->base = (kpar_bench_side){.name = "kpar", .run = own_run, .destroy = own_destroy};
    kpar_status status = own_create(own, comm, settings, c);
    if (status != KPAR_OK) own_destroy(&own->base);
    *side = status == KPAR_OK ? &own->base : NULL;
    return status;
}

/* --- MPI --- */

#ifdef KPAR_HAVE_MPI

typedef struct mpi_side {
    kpar_bench_side base;
    kpar_collective collective;
    int count; /* elements of all (all-reduce) or of each part */
    void *data, *part;
} mpi_side;

static int call_mpi(const mpi_side *m)
{
    switch (m->collective) {
    case KPAR_COLLECTIVE_ALL_REDUCE:
        return MPI_Allreduce(MPI_IN_PLACE, m->data, m->count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    case KPAR_COLLECTIVE_REDUCE_SCATTER:
        return MPI_Reduce_scatter_block(m->data, m->part, m->count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    case KPAR_COLLECTIVE_ALL_GATHER:
        return MPI_Allgather(MPI_IN_PLACE, 0, MPI_FLOAT, m->data, m->count, MPI_FLOAT, MPI_COMM_WORLD);
    case KPAR_COLLECTIVE_COUNT:
        break;
    }
    return MPI_ERR_OTHER;
}

static kpar_status mpi_run(kpar_bench_side *side)
{
    const mpi_side *m = (mpi_side *)side;
    return call_mpi(m) == MPI_SUCCESS
               ? KPAR_OK
               : kpar_fail(KPAR_ECOMM, "MPI's own %s failed", kpar_collective_name(m->collective));
}

static void mpi_destroy(kpar_bench_side *side)
{
    mpi_side *m = (mpi_side *)side;
    kpar_free_aligned(m->data);
    kpar_free_aligned(m->part);
    kpar_free(m);
}

static kpar_status mpi_create(mpi_side *m, const kpar_bench_case *c)
{
    const size_t part = c->counts[c->me],
                 count = c->collective == KPAR_COLLECTIVE_ALL_REDUCE ? c->total : part;
    if (count > INT_MAX)
        return kpar_fail(KPAR_EUNSUPPORTED, "MPI's %s takes at most %d elements, not %zu",
                         kpar_collective_name(c->collective), INT_MAX, count);
    KPAR_TRY(kpar_try_alloc(c->total * sizeof(float), "the buffer", &m->data));
    KPAR_TRY(kpar_try_alloc(part * sizeof(float), "the result", &m->part));
    m->collective = c->collective;
    m->count = (int)count;
    m->base.data = m->data;
    m->base.result = c->collective == KPAR_COLLECTIVE_REDUCE_SCATTER ? m->part : m->data;
    return KPAR_OK;
}

kpar_status kpar_bench_mpi_side(kpar_comm *comm, const kpar_bench_case *c, kpar_bench_side **side)
{
    mpi_side *m = kpar_alloc_zeroed(1, sizeof *m);
    m->base = (kpar_bench_side){.name = "mpi", .run = mpi_run, .destroy = mpi_destroy};
    kpar_status status = kpar_comm_agree(comm, mpi_create(m, c));
    if (status != KPAR_OK) mpi_destroy(&m->base);
    *side = status == KPAR_OK ? &m->base : NULL;
    return status;
}

#else

kpar_status kpar_bench_mpi_side(kpar_comm *comm, const kpar_bench_case *c, kpar_bench_side **side)
{
    (void)comm;
    (void)c;
    *side = NULL;
    return kpar_fail(KPAR_EUNSUPPORTED, "kpar was built without MPI: there is nothing to compare with");
}

#endif
