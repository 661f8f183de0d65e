/* What a transport implements. Inside src/comm only. */
#ifndef KPAR_COMM_TRANSPORT_H
#define KPAR_COMM_TRANSPORT_H

#include "comm/comm.h"

#include <stdatomic.h>

enum { KPAR_FLAG_STRIDE = 8 }; /* a cache line a flag */

typedef struct kpar_transport {
    const char *name;
    void (*destroy)(kpar_comm *comm);
    kpar_status (*barrier)(kpar_comm *comm);
    kpar_status (*broadcast)(kpar_comm *comm, void *data, size_t bytes, int root);
    kpar_status (*all_gather)(kpar_comm *comm, const void *own, void *all, size_t bytes);
    kpar_status (*send)(kpar_comm *comm, const void *data, size_t bytes, int peer);
    kpar_status (*receive)(kpar_comm *comm, void *data, size_t bytes, int peer);
    void (*abort)(kpar_comm *comm, kpar_status status);
    /* Fill in comm->arenas and comm->flags for every rank that can be reached, the own one included. */
    kpar_status (*window_create)(kpar_comm *comm, size_t bytes, int n_flags);
    void (*window_destroy)(kpar_comm *comm);
    kpar_status (*start_send)(kpar_comm *comm, const void *data, size_t bytes, int peer, int channel, kpar_request *request);
    kpar_status (*start_receive)(kpar_comm *comm, void *data, size_t bytes, int peer, int channel, kpar_request *request);
    kpar_status (*group)(kpar_comm *comm, const int *ranks, int n, int *group);
    kpar_status (*start_collective)(kpar_comm *comm, int group, kpar_collective collective, kpar_reduction reduction, kpar_dtype dtype,
                                    const void *input, void *output, const size_t *counts, size_t total, kpar_request *request);
    kpar_status (*test)(kpar_comm *comm, kpar_request *request, bool *done);
} kpar_transport;

/* Something under way. `state` is the transport's. */
struct kpar_request {
    bool used;
    _Alignas(16) unsigned char state[96];
};

/* Every transport's communicator begins with this. */
struct kpar_comm {
    const kpar_transport *transport;
    int rank, size;
    int *nodes; /* by rank */
    int local_rank, local_size;
    bool windows;                  /* ranks of a node reach each other's memory */
    bool oversubscribed;           /* more ranks than cores on the node */
    void **arenas;                 /* by rank; NULL: not reachable */
    _Atomic uint64_t **flags;      /* by rank; NULL: not reachable */
    kpar_request *requests;        /* a pool, so that replay allocates nothing */
    int n_requests, next_request;
};

/* Sets the members that follow from rank, size and nodes; allocates the tables. */
void kpar_comm_setup(kpar_comm *comm, const kpar_transport *transport, int rank, int size, const int *nodes, bool windows);
void kpar_comm_teardown(kpar_comm *comm);

#endif
