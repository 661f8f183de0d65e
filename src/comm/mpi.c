/* The transport `mpi`: its beginning and end, nodes, control plane, abort. MPI 3.1 and no more. What
 * blocks is a non-blocking call and a loop that gives the core away: MPI libraries know less than we do
 * about who shares it. */
#include "comm/mpi_internal.h"

#include "base/log.h"
#include "base/memory.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 30 };

kpar_status kpar_mpi_check(int code, const char *what)
{
    char words[MPI_MAX_ERROR_STRING + 1];
    int length = 0;
    if (code == MPI_SUCCESS) return KPAR_OK;
    MPI_Error_string(code, words, &length);
    words[length] = '\0';
    return kpar_fail(KPAR_ECOMM, "MPI: %s failed: %s", what, words);
}

kpar_status kpar_mpi_finish(kpar_comm *comm, int code, MPI_Request *request, const char *what)
{
    kpar_patience patience = {0};
    KPAR_TRY(kpar_mpi_check(code, what));
    for (int done = 0; !done;) {
        KPAR_TRY(kpar_mpi_check(MPI_Test(request, &done, MPI_STATUS_IGNORE), what));
        KPAR_TRY(kpar_comm_be_patient(comm, &patience, what));
        if (!done) kpar_comm_yield(comm);
    }
    return KPAR_OK;
}

static kpar_status mpi_barrier(kpar_comm *comm)
{
    MPI_Request request;
    int code = MPI_Ibarrier(((mpi_comm *)comm)->world, &request);
    return kpar_mpi_finish(comm, code, &request, "a barrier");
}

static kpar_status mpi_broadcast(kpar_comm *comm, void *data, size_t bytes, int root)
{
    const size_t most = ((mpi_comm *)comm)->chunk_bytes;
    unsigned char *next = data;
    for (size_t left = bytes; left;) {
        size_t count = left < most ? left : most;
        MPI_Request request;
        int code = MPI_Ibcast(next, (int)count, MPI_BYTE, root, ((mpi_comm *)comm)->world, &request);
        KPAR_TRY(kpar_mpi_finish(comm, code, &request, "a broadcast"));
        next += count;
        left -= count;
    }
    return KPAR_OK;
}

/* Large ones go rank by rank, as a count has only 31 bits. */
static kpar_status mpi_all_gather(kpar_comm *comm, const void *own, void *all, size_t bytes)
{
    const size_t most = ((mpi_comm *)comm)->chunk_bytes;
    unsigned char *parts = all, *part = parts + (size_t)comm->rank * bytes;
    if (part != own && bytes) memcpy(part, own, bytes);
    if (bytes <= most / (size_t)comm->size) {
        MPI_Request request;
        int code = MPI_Iallgather(MPI_IN_PLACE, 0, MPI_BYTE, all, (int)bytes, MPI_BYTE,
                                  ((mpi_comm *)comm)->world, &request);
        return kpar_mpi_finish(comm, code, &request, "a gathering");
    }
    for (int r = 0; r < comm->size; r++) KPAR_TRY(mpi_broadcast(comm, parts + (size_t)r * bytes, bytes, r));
    return KPAR_OK;
}

static void sleep_seconds(double seconds)
{
    struct timespec time = {.tv_sec = (time_t)seconds,
                            .tv_nsec = (long)(1e9 * (seconds - (double)(time_t)seconds))};
    nanosleep(&time, NULL);
}

/* Whether this rank is the first of its machine to say why the job ends. */
static bool claim(mpi_comm *mpi)
{
    return !mpi->control.base || atomic_exchange((atomic_int *)mpi->control.base, 1) == 0;
}

/* The first rank prints and ends the job; the others wait in silence to be ended with it. Failed
 * communication is mostly the echo of another rank's end, which gets time to be heard; and a failure that
 * all agreed upon is said by the rank that had it. */
static void mpi_abort(kpar_comm *comm, kpar_status status, const char *message, bool heard)
{
    mpi_comm *mpi = (mpi_comm *)comm;
    const double echo_seconds = 1, patience_seconds = 10, passing_seconds = 0.2;
    if (heard)
        sleep_seconds(patience_seconds);
    else if (status == KPAR_ECOMM)
        sleep_seconds(echo_seconds);
    const bool first = claim(mpi);
    if (first) kpar_log_error(message);
    sleep_seconds(first ? passing_seconds
                        : patience_seconds); /* launchers drop lines that they have not passed on yet */
    MPI_Abort(MPI_COMM_WORLD, status == KPAR_EUSAGE ? 2 : 1);
    _exit(1);
}

static void mpi_destroy(kpar_comm *comm)
{
    mpi_comm *mpi = (mpi_comm *)comm;
    kpar_mpi_free_groups(mpi);
    kpar_segment_destroy(&mpi->control);
    kpar_free(mpi->windows);
    MPI_Type_free(&mpi->chunk);
    MPI_Comm_free(&mpi->machine);
    MPI_Comm_free(&mpi->world);
    bool finalizes = mpi->finalizes;
    kpar_comm_end(comm);
    if (finalizes) MPI_Finalize();
}

static const kpar_transport mpi_transport = {
    .name = "mpi",
    .doc = "ranks are processes; windows within a node, messages between nodes",
    .request_bytes = sizeof(mpi_request),
    .destroy = mpi_destroy,
    .barrier = mpi_barrier,
    .broadcast = mpi_broadcast,
    .all_gather = mpi_all_gather,
    .abort = mpi_abort,
    .window_create = kpar_mpi_window_create,
    .window_destroy = kpar_mpi_window_destroy,
    .start_send = kpar_mpi_start_send,
    .start_receive = kpar_mpi_start_receive,
    .group = kpar_mpi_group,
    .start_collective = kpar_mpi_start_collective,
    .progress = kpar_mpi_progress,
};

static kpar_status initialize(bool *finalizes, bool *any_thread)
{
    int initialized = 0, finalized = 0, provided = MPI_THREAD_SINGLE;
    MPI_Initialized(&initialized);
    MPI_Finalized(&finalized);
    if (finalized) return kpar_fail(KPAR_EUSAGE, "MPI was finalized already: a process can use it once");
    *finalizes = !initialized;
    if (!initialized)
        KPAR_TRY(kpar_mpi_check(MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided), "MPI_Init"));
    else
        MPI_Query_thread(&provided);
    if (provided < MPI_THREAD_FUNNELED)
        return kpar_fail(KPAR_ECOMM,
                         "MPI was initialized for one thread only: ask for MPI_THREAD_FUNNELED or more");
    *any_thread = provided >= MPI_THREAD_SERIALIZED;
    return KPAR_OK;
}

/* Node of each rank: the machine's lowest rank and the pretended node within, numbered by first
 * appearance. */
static kpar_status find_nodes(MPI_Comm world, MPI_Comm machine, int size, int ranks_per_node, int *nodes)
{
    int own[2], index;
    MPI_Comm_rank(machine, &index);
    MPI_Comm_rank(world, &own[0]);
    own[1] = ranks_per_node > 0 ? index / ranks_per_node : 0;
    KPAR_TRY(kpar_mpi_check(MPI_Bcast(own, 1, MPI_INT, 0, machine), "finding the nodes"));
    int(*all)[2] = kpar_alloc((size_t)size * sizeof *all);
    int code = MPI_Allgather(own, 2, MPI_INT, all, 2, MPI_INT, world), n = 0;
    for (int r = 0; code == MPI_SUCCESS && r < size; r++) {
        int first = 0;
        while (memcmp(all[first], all[r], sizeof all[r]) != 0) first++;
        nodes[r] = first < r ? nodes[first] : n++;
    }
    kpar_free(all);
    return kpar_mpi_check(code, "finding the nodes");
}

static kpar_status open_control(mpi_comm *mpi)
{
    int index;
    kpar_segment_name name = {0};
    MPI_Comm_rank(mpi->machine, &index);
    kpar_status status = index == 0 ? kpar_segment_create(&mpi->control, sizeof(atomic_int), true) : KPAR_OK;
    if (index == 0) name = kpar_segment_name_of(&mpi->control);
    KPAR_TRY(kpar_mpi_check(MPI_Bcast(&name, (int)sizeof name, MPI_BYTE, 0, mpi->machine),
                            "opening shared memory"));
    if (index != 0) status = kpar_segment_open(&mpi->control, &name);
    return status;
}

/* Makes the machine's small segment, which also shows whether memory can be shared at all. */
static kpar_status try_sharing(mpi_comm *mpi)
{
    kpar_comm *comm = &mpi->base;
    kpar_status status = kpar_comm_agree(comm, open_control(mpi));
    kpar_segment_close_file(&mpi->control);
    comm->agreed_rank = -1; /* it ends nothing */
    if (status == KPAR_OK) return mpi_barrier(comm);
    if (comm->shares) kpar_note("%s; all bytes go by messages", kpar_error_message());
    kpar_segment_destroy(&mpi->control);
    comm->shares = false;
    return KPAR_OK;
}

static kpar_status communicators(mpi_comm *mpi, int *rank, int *size, int *machine_size)
{
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    KPAR_TRY(kpar_mpi_check(MPI_Comm_dup(MPI_COMM_WORLD, &mpi->world), "MPI_Comm_dup"));
    MPI_Comm_set_errhandler(mpi->world, MPI_ERRORS_RETURN);
    MPI_Comm_rank(mpi->world, rank);
    kpar_log_rank(*rank);
    MPI_Comm_size(mpi->world, size);
    KPAR_TRY(kpar_mpi_check(
        MPI_Comm_split_type(mpi->world, MPI_COMM_TYPE_SHARED, *rank, MPI_INFO_NULL, &mpi->machine),
        "MPI_Comm_split_type"));
    MPI_Comm_size(mpi->machine, machine_size);
    KPAR_TRY(kpar_mpi_check(MPI_Type_contiguous((int)mpi->chunk_bytes, MPI_BYTE, &mpi->chunk),
                            "MPI_Type_contiguous"));
    return kpar_mpi_check(MPI_Type_commit(&mpi->chunk), "MPI_Type_commit");
}

static kpar_status begin(mpi_comm *mpi, const kpar_mpi_options *options)
{
    int rank = 0, size = 1, machine_size = 1;
    KPAR_TRY(communicators(mpi, &rank, &size, &machine_size));
    int *nodes = kpar_alloc((size_t)size * sizeof *nodes);
    kpar_status status = find_nodes(mpi->world, mpi->machine, size, options->ranks_per_node, nodes);
    if (status == KPAR_OK) kpar_comm_begin(&mpi->base, &mpi_transport, rank, size, nodes);
    kpar_free(nodes);
    KPAR_TRY(status);
    mpi->windows = kpar_alloc_zeroed((size_t)size, sizeof *mpi->windows);
    mpi->base.shares = options->windows;
    mpi->base.oversubscribed = machine_size > sysconf(_SC_NPROCESSORS_ONLN);
    return try_sharing(mpi);
}

/* What MPI refuses here ends the process anyway, so that a half-built communicator is only freed, not
 * taken apart. */
kpar_status kpar_comm_mpi_create(const kpar_mpi_options *options, kpar_comm **comm)
{
    *comm = NULL;
    bool finalizes = false, any_thread = false;
    if (options->ranks_per_node < 0)
        return kpar_fail(KPAR_EUSAGE, "%d ranks on a node: expected 0 or more", options->ranks_per_node);
    if (options->chunk_bytes > CHUNK_BYTES)
        return kpar_fail(KPAR_EUSAGE, "messages of %zu bytes: expected at most %d", options->chunk_bytes,
                         CHUNK_BYTES);
    KPAR_TRY(initialize(&finalizes, &any_thread));
    mpi_comm *mpi = kpar_alloc_zeroed(1, sizeof *mpi);
    mpi->finalizes = finalizes;
    mpi->base.any_thread = any_thread;
    mpi->chunk_bytes = options->chunk_bytes ? options->chunk_bytes : CHUNK_BYTES;
    mpi->control.file = -1;
    kpar_status status = begin(mpi, options);
    if (status == KPAR_OK)
        *comm = &mpi->base;
    else
        kpar_free(mpi);
    return status;
}
