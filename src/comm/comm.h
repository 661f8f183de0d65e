/* Ranks and what moves between them.
 *
 * A communicator is one rank's view of the world. Its control plane (broadcast, gather, agree ...) blocks
 * and serves the time between runs; its data plane (started sends, flags, windows, whole collectives) is
 * what the executor drives. A transport implements both: `local` runs ranks as threads of one process,
 * `mpi` as processes. Ranks of a node share a window where the transport can. Unless said otherwise calls
 * of the control plane are collective: every rank makes them in the same order. */
#ifndef KPAR_COMM_COMM_H
#define KPAR_COMM_COMM_H

#include "program/program.h"

typedef struct kpar_comm kpar_comm;
typedef struct kpar_request kpar_request;

int kpar_comm_rank(const kpar_comm *comm);
int kpar_comm_size(const kpar_comm *comm);
int kpar_comm_node(const kpar_comm *comm, int rank); /* number of the node that rank runs on: 0, 1, ... */
int kpar_comm_local_rank(const kpar_comm *comm);     /* index among the ranks of its node */
int kpar_comm_local_size(const kpar_comm *comm);
const char *kpar_comm_transport(const kpar_comm *comm); /* "local", "mpi", ... */

/* Whether calls may come from any thread, one at a time: true but for an MPI that gives less than
 * MPI_THREAD_SERIALIZED. */
bool kpar_comm_moves_on_any_thread(const kpar_comm *comm);
void kpar_comm_destroy(kpar_comm *comm);

/* Control plane. */
kpar_status kpar_comm_barrier(kpar_comm *comm) KPAR_MUST_USE;
kpar_status kpar_comm_broadcast(kpar_comm *comm, void *data, size_t bytes, int root) KPAR_MUST_USE;
kpar_status kpar_comm_all_gather(kpar_comm *comm, const void *own, void *all, size_t bytes) KPAR_MUST_USE;
/* In place; the same bits on all ranks. */
kpar_status kpar_comm_sum(kpar_comm *comm, double *values, int n) KPAR_MUST_USE;
/* Point to point, blocking, not collective. Any size. */
kpar_status kpar_comm_send(kpar_comm *comm, const void *data, size_t bytes, int peer) KPAR_MUST_USE;
kpar_status kpar_comm_receive(kpar_comm *comm, void *data, size_t bytes, int peer) KPAR_MUST_USE;

/* All ranks learn whether all succeeded: each passes its own status; where any failed, all return the
 * status of the lowest failing rank and kpar_error_message() is that rank's message on every rank. One about files or
 * memory names rank and host where rank 0 has none of it. */
kpar_status kpar_comm_agree(kpar_comm *comm, kpar_status status) KPAR_MUST_USE;

/* Ends the job from one rank: prints "program: message" once for the job (the first rank to fail), stops the
 * others and does not return for `mpi`; for `local` the other ranks' calls return KPAR_ECOMM. */
void kpar_comm_abort(kpar_comm *comm, kpar_status status);

/* Data plane: windows. Allocates the rank's zeroed arena of `bytes`, reachable by the ranks of its node
 * where the transport can, and `n_flags` flags, 0 at first. Collective. One at a time. */
kpar_status kpar_comm_window_create(kpar_comm *comm, size_t bytes, int n_flags, void **arena) KPAR_MUST_USE;
void kpar_comm_window_destroy(kpar_comm *comm);
void *kpar_comm_window_of(const kpar_comm *comm, int rank); /* start of a rank's arena; NULL: not reachable */

/* Whether ranks a and b reach each other's arenas; known before there is a window. */
bool kpar_comm_shares(const kpar_comm *comm, int a, int b);
/* The own flag, with release order; that of a rank that shares, with acquire order. */
void kpar_comm_flag_set(kpar_comm *comm, int flag, uint64_t value);
uint64_t kpar_comm_flag_get(kpar_comm *comm, int rank, int flag);

/* Data plane: messages. Started in lane order, any number under way; `channel` and order match the two
 * ends. */
kpar_status kpar_comm_start_send(kpar_comm *comm, const void *data, size_t bytes, int peer, int channel,
                                 kpar_request **request) KPAR_MUST_USE;
kpar_status kpar_comm_start_receive(kpar_comm *comm, void *data, size_t bytes, int peer, int channel,
                                    kpar_request **request) KPAR_MUST_USE;

/* Whole collectives, non-blocking, over a group made known by kpar_comm_group (collective over the world; the
 * same ranks are the same group, made once for the life of the communicator).
 * Each member starts the same ones in the same order. Input and output do not overlap, but that an
 * all_reduce may have output == input and an all_gather's input may be the own part of the output.
 * KPAR_EUNSUPPORTED: a type that the transport cannot add up (float16, bfloat16), or more elements than it
 * can count. */
kpar_status kpar_comm_group(kpar_comm *comm, const int *ranks, int n, int *group) KPAR_MUST_USE;
kpar_status kpar_comm_start_collective(kpar_comm *comm, int group, kpar_collective collective,
                                       kpar_reduction reduction, kpar_dtype dtype, const void *input,
                                       void *output, const size_t *counts, size_t total,
                                       kpar_request **request) KPAR_MUST_USE;

/* Moves everything under way; *done says whether *request has ended, which frees it and sets it to NULL.
 * request NULL: only moves, `done` may be NULL. KPAR_ECOMM also says that another rank ended the job. */
kpar_status kpar_comm_progress(kpar_comm *comm, kpar_request **request, bool *done) KPAR_MUST_USE;

/* Ends the job where a wait of the control plane takes longer (0, at first: waits for ever). Other ranks may be at long work
 * of their own meanwhile, reading or planning: it is a limit against those that never come. Not collective. */
void kpar_comm_set_patience(kpar_comm *comm, double seconds);

/* Gives the core away when there are more ranks than cores: to be called in every loop that waits. */
void kpar_comm_yield(kpar_comm *comm);

/* Creates the communicators of n ranks as threads of this process, `ranks_per_node` of them on a pretended
 * node (0: all). */
kpar_status kpar_comm_local_create(int n, int ranks_per_node, kpar_comm **comms) KPAR_MUST_USE;

typedef struct kpar_mpi_options {
    int ranks_per_node; /* pretend node boundaries; 0: the real ones */
    bool windows;       /* false: nothing is shared, every byte is a message */
    size_t chunk_bytes; /* the longest message given to MPI at once, for tests; 0: 1 GiB */
} kpar_mpi_options;

/* MPI_COMM_WORLD, initializing MPI if nobody has; then kpar_comm_destroy finalizes it. Where the ranks of
 * a node cannot share memory, all bytes are messages, with one line that says why. KPAR_EUNSUPPORTED in a
 * build without MPI. */
kpar_status kpar_comm_mpi_create(const kpar_mpi_options *options, kpar_comm **comm) KPAR_MUST_USE;

#endif
