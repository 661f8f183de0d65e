/* What the files of the transport `mpi` share. */
#ifndef KPAR_COMM_MPI_INTERNAL_H
#define KPAR_COMM_MPI_INTERNAL_H

#include "comm/segment.h"
#include "comm/transport.h"

#include <mpi.h>

/* A message is at most two of MPI's: whole chunks, as an int cannot count more bytes, and the rest. */
typedef struct mpi_request {
    kpar_request base;
    MPI_Request parts[2];
    size_t expected; /* bytes to receive; SIZE_MAX: not a receive */
    int peer;
} mpi_request;

/* Counts and displacements of a collective's parts as MPI wants them, which it reads until the end. */
typedef struct mpi_parts {
    int *counts, *displacements;
} mpi_parts;

typedef struct mpi_group {
    MPI_Comm comm; /* MPI_COMM_NULL: not a member */
    int n, me;
    mpi_parts *parts; /* all that were met */
    size_t parts_count, parts_capacity;
} mpi_group;

typedef struct mpi_comm {
    kpar_comm base;
    bool finalizes;
    MPI_Comm world;     /* everything but whole collectives */
    MPI_Comm machine;   /* the ranks that can share memory, whatever nodes are pretended */
    size_t chunk_bytes; /* the longest message given to MPI as bytes */
    MPI_Datatype chunk; /* so many bytes */
    mpi_group *groups;
    size_t groups_count, groups_capacity;

    kpar_segment control;  /* of the machine: an atomic_int, 1 once a rank has said why the job ends */
    kpar_segment *windows; /* by rank: own and peers' */
} mpi_comm;

/* KPAR_ECOMM with MPI's own words. */
kpar_status kpar_mpi_check(int code, const char *what) KPAR_MUST_USE;

/* Waits for an operation of the control plane, giving the core away where ranks are many. */
kpar_status kpar_mpi_finish(kpar_comm *comm, int code, MPI_Request *request, const char *what) KPAR_MUST_USE;

kpar_status kpar_mpi_window_create(kpar_comm *comm, size_t bytes, int n_flags);
void kpar_mpi_window_destroy(kpar_comm *comm);

kpar_status kpar_mpi_start_send(kpar_comm *comm, const void *data, size_t bytes, int peer, int channel,
                                kpar_request *request);
kpar_status kpar_mpi_start_receive(kpar_comm *comm, void *data, size_t bytes, int peer, int channel,
                                   kpar_request *request);
kpar_status kpar_mpi_progress(kpar_comm *comm, kpar_request *request, bool *done);

/* A request of which nothing was started yet. */
mpi_request *kpar_mpi_fresh(kpar_request *request);

kpar_status kpar_mpi_group(kpar_comm *comm, const int *ranks, int n, int group);
kpar_status kpar_mpi_start_collective(kpar_comm *comm, int group, const kpar_whole *whole,
                                      kpar_request *request);

void kpar_mpi_free_groups(mpi_comm *mpi);

#endif
