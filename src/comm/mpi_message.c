/* Messages of the transport `mpi`, and the progress of all that is under way. */
#include "comm/mpi_internal.h"

/* MPI's tag for a channel; the control plane's channel is -1. */
static int tag_of(int channel) { return channel + 1; }

mpi_request *kpar_mpi_fresh(kpar_request *request)
{
    mpi_request *own = (mpi_request *)request;
    own->parts[0] = own->parts[1] = MPI_REQUEST_NULL;
    own->expected = SIZE_MAX;
    return own;
}

/* Whole chunks in a message, none if its bytes can be counted; the rest begins `ahead` bytes from its
 * start. */
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
    mpi_request *own = kpar_mpi_fresh(request);
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
    mpi_request *own = kpar_mpi_fresh(request);
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
    return kpar_fail(KPAR_ECOMM, "rank %d: a message from rank %d has %zu bytes, expected %zu", comm->rank,
                     own->peer, received, own->expected);
}

kpar_status kpar_mpi_progress(kpar_comm *comm, kpar_request *request, bool *done)
{
    const mpi_comm *mpi = (mpi_comm *)comm;
    mpi_request *own = (mpi_request *)request;
    int flag = 0;
    if (!own)
        return kpar_mpi_check(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, mpi->world, &flag, MPI_STATUS_IGNORE),
                              "progress");
    MPI_Status statuses[2];
    int code = MPI_Testall(2, own->parts, &flag, statuses);
    *done = flag != 0;
    KPAR_TRY(kpar_mpi_check(failed_code(code, statuses), "a message or collective"));
    return *done ? check_received(comm, own, statuses) : KPAR_OK;
}
