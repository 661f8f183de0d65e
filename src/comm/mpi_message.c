/* Messages and whole collectives of the transport `mpi`. */
#include "comm/mpi_internal.h"

#include "base/memory.h"

#include <limits.h>
#include <string.h>

/* MPI's tag for a channel; the control plane's channel is -1. */
static int tag_of(int channel) { return channel + 1; }

static mpi_request *fresh(kpar_request *request)
{
    mpi_request *own = (mpi_request *)request;
    own->parts[0] = own->parts[1] = MPI_REQUEST_NULL;
    own->expected = SIZE_MAX;
    return own;
}

/* Whole chunks in a message, none if its bytes can be counted; the rest begins `ahead` bytes from its start. */
static size_t chunk_count(const mpi_comm *mpi, size_t bytes, size_t *ahead)
{
    size_t chunks = bytes > mpi->chunk_bytes ? bytes / mpi->chunk_bytes : 0;
    *ahead = chunks * mpi->chunk_bytes;
    return chunks;
}

kpar_status kpar_mpi_start_send(kpar_comm *comm, const void *data, size_t bytes, int peer, int channel,
                                kpar_request *request)
{
    const mpi_comm *mpi = (mpi_comm *)comm;
    mpi_request *own = fresh(request);
    const int tag = tag_of(channel);
    size_t ahead, chunks = chunk_count(mpi, bytes, &ahead);
    const unsigned char *rest = (const unsigned char *)data + ahead;
    int code = MPI_SUCCESS;
    if (chunks) code = MPI_Isend(data, (int)chunks, mpi->chunk, peer, tag, mpi->world, &own->parts[1]);
    if (code == MPI_SUCCESS)
        code = MPI_Isend(rest, (int)(bytes - ahead), MPI_BYTE, peer, tag, mpi->world, &own->parts[0]);
    return kpar_mpi_check(code, "sending");
}

kpar_status kpar_mpi_start_receive(kpar_comm *comm, void *data, size_t bytes, int peer, int channel,
                                   kpar_request *request)
{
    const mpi_comm *mpi = (mpi_comm *)comm;
    mpi_request *own = fresh(request);
    const int tag = tag_of(channel);
    size_t ahead, chunks = chunk_count(mpi, bytes, &ahead);
    unsigned char *rest = (unsigned char *)data + ahead;
    int code = MPI_SUCCESS;
    own->expected = bytes;
    own->peer = peer;
    if (chunks) code = MPI_Irecv(data, (int)chunks, mpi->chunk, peer, tag, mpi->world, &own->parts[1]);
    if (code == MPI_SUCCESS)
        code = MPI_Irecv(rest, (int)(bytes - ahead), MPI_BYTE, peer, tag, mpi->world, &own->parts[0]);
    return kpar_mpi_check(code, "receiving");
}

/* The code of the part that failed. */
static int failed_code(int code, const MPI_Status statuses[2])
{
    if (code != MPI_ERR_IN_STATUS) return code;
    const int first = statuses[0].MPI_ERROR;
    return first != MPI_SUCCESS && first != MPI_ERR_PENDING ? first : statuses[1].MPI_ERROR;
}

/* MPI takes a message that is too short for one that is complete. */
static kpar_status check_received(const kpar_comm *comm, const mpi_request *own, const MPI_Status statuses[2])
{
    size_t received = 0;
    for (int part = 0; own->expected != SIZE_MAX && part < 2; part++) {
        MPI_Count bytes = 0;
        MPI_Get_elements_x(&statuses[part], MPI_BYTE, &bytes);
        received += (size_t)bytes;
    }
    if (own->expected == SIZE_MAX || received == own->expected) return KPAR_OK;
    return kpar_fail(KPAR_ECOMM, "rank %d: a message from rank %d has %zu bytes, expected %zu", comm->rank, own->peer,
                     received, own->expected);
}

kpar_status kpar_mpi_progress(kpar_comm *comm, kpar_request *request, bool *done)
{
    const mpi_comm *mpi = (mpi_comm *)comm;
    mpi_request *own = (mpi_request *)request;
    int flag = 0;
    if (!own)
        return kpar_mpi_check(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, mpi->world, &flag, MPI_STATUS_IGNORE), "progress");
    MPI_Status statuses[2];
    int code = MPI_Testall(2, own->parts, &flag, statuses);
    *done = flag != 0;
    KPAR_TRY(kpar_mpi_check(failed_code(code, statuses), "a message or collective"));
    return *done ? check_received(comm, own, statuses) : KPAR_OK;
}

kpar_status kpar_mpi_group(kpar_comm *comm, const int *ranks, int n, int group)
{
    mpi_comm *mpi = (mpi_comm *)comm;
    MPI_Group world, members;
    MPI_Comm made = MPI_COMM_NULL;
    bool member = false;
    for (int m = 0; m < n; m++) member |= ranks[m] == comm->rank;
    if (member) {
        KPAR_TRY(kpar_mpi_check(MPI_Comm_group(mpi->world, &world), "MPI_Comm_group"));
        KPAR_TRY(kpar_mpi_check(MPI_Group_incl(world, n, ranks, &members), "MPI_Group_incl"));
        KPAR_TRY(kpar_mpi_check(MPI_Comm_create_group(mpi->world, members, group, &made), "MPI_Comm_create_group"));
        MPI_Comm_set_errhandler(made, MPI_ERRORS_RETURN);
        MPI_Group_free(&members);
        MPI_Group_free(&world);
    }
    KPAR_PUSH(mpi->groups, mpi->groups_count, mpi->groups_capacity) = made;
    return KPAR_OK;
}

/* MPI's type, and whether it can add it up. */
static bool mpi_type(kpar_dtype dtype, MPI_Datatype *type)
{
    switch (dtype) {
    case KPAR_F32: *type = MPI_FLOAT; return true;
    case KPAR_F64: *type = MPI_DOUBLE; return true;
    case KPAR_I8: *type = MPI_INT8_T; return true;
    case KPAR_I16: *type = MPI_INT16_T; return true;
    case KPAR_I32: *type = MPI_INT32_T; return true;
    case KPAR_I64: *type = MPI_INT64_T; return true;
    case KPAR_U8: *type = MPI_UINT8_T; return true;
    case KPAR_U16: *type = MPI_UINT16_T; return true;
    case KPAR_U32: *type = MPI_UINT32_T; return true;
    case KPAR_U64: *type = MPI_UINT64_T; return true;
    case KPAR_F16:
    case KPAR_BF16: *type = MPI_UINT16_T; return false;
    case KPAR_BOOL:
    case KPAR_DTYPE_COUNT: break;
    }
    *type = MPI_UINT8_T;
    return false;
}

static MPI_Op mpi_operation(kpar_reduction reduction)
{
    switch (reduction) {
    case KPAR_REDUCE_SUM: return MPI_SUM;
    case KPAR_REDUCE_MAX: return MPI_MAX;
    case KPAR_REDUCE_MIN: return MPI_MIN;
    }
    return MPI_OP_NULL;
}

/* Room for counts and displacements in a request; made once for each request of the pool. */
static int *numbers_of(mpi_comm *mpi, mpi_request *own)
{
    if (!own->numbers) {
        own->numbers = kpar_alloc(2 * (size_t)mpi->base.size * sizeof *own->numbers);
        KPAR_PUSH(mpi->number_blocks, mpi->number_blocks_count, mpi->number_blocks_capacity) = own->numbers;
    }
    return own->numbers;
}

static void fill_numbers(const kpar_whole *whole, int n, int *counts, int *offsets)
{
    for (int m = 0, offset = 0; m < n; m++) {
        counts[m] = (int)whole->counts[m];
        offsets[m] = offset;
        offset += counts[m];
    }
}

static kpar_status servable(const kpar_whole *whole, bool adds)
{
    const char *name = kpar_collective_name(whole->collective);
    if (!adds && whole->collective != KPAR_COLLECTIVE_ALL_GATHER)
        return kpar_fail(KPAR_EUNSUPPORTED, "MPI's %s cannot add up %s: choose another algorithm", name,
                         kpar_dtype_name(whole->dtype));
    if (whole->total > INT_MAX)
        return kpar_fail(KPAR_EUNSUPPORTED, "MPI's %s moves at most %d elements, not %zu: choose another algorithm", name,
                         INT_MAX, whole->total);
    return KPAR_OK;
}

kpar_status kpar_mpi_start_collective(kpar_comm *comm, int group, const kpar_whole *whole, kpar_request *request)
{
    mpi_comm *mpi = (mpi_comm *)comm;
    mpi_request *own = fresh(request);
    MPI_Comm members = mpi->groups[group];
    MPI_Op operation = mpi_operation(whole->reduction);
    MPI_Datatype type;
    int me, n, code = MPI_SUCCESS;
    KPAR_TRY(servable(whole, mpi_type(whole->dtype, &type)));
    MPI_Comm_rank(members, &me);
    MPI_Comm_size(members, &n);
    int *counts = numbers_of(mpi, own), *offsets = counts + n;
    if (whole->collective != KPAR_COLLECTIVE_ALL_REDUCE) fill_numbers(whole, n, counts, offsets);
    const void *input = whole->input;
    switch (whole->collective) {
    case KPAR_COLLECTIVE_ALL_REDUCE:
        if (input == whole->output) input = MPI_IN_PLACE;
        code = MPI_Iallreduce(input, whole->output, (int)whole->total, type, operation, members, &own->parts[0]);
        break;
    case KPAR_COLLECTIVE_REDUCE_SCATTER:
        code = MPI_Ireduce_scatter(input, whole->output, counts, type, operation, members, &own->parts[0]);
        break;
    case KPAR_COLLECTIVE_ALL_GATHER:
        if (input == (unsigned char *)whole->output + (size_t)offsets[me] * kpar_dtype_bytes(whole->dtype))
            input = MPI_IN_PLACE;
        code = MPI_Iallgatherv(input, counts[me], type, whole->output, counts, offsets, type, members, &own->parts[0]);
        break;
    case KPAR_COLLECTIVE_COUNT: break;
    }
    return kpar_mpi_check(code, kpar_collective_name(whole->collective));
}
