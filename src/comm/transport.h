/* What a transport implements, and what all communicators begin with. For the files of this folder. */
#ifndef KPAR_COMM_TRANSPORT_H
#define KPAR_COMM_TRANSPORT_H

#include "comm/comm.h"

#include <stdatomic.h>

enum {
    KPAR_MESSAGE_BYTES = 2048, /* of an error that travels, with its NUL */
    KPAR_CHANNEL_CONTROL = -1, /* channel of kpar_comm_send and kpar_comm_receive */
};

/* A flag has a cache line of its own: a rank that polls it disturbs nobody else. */
typedef struct kpar_flag {
    _Alignas(64) _Atomic uint64_t value;
} kpar_flag;

/* One message or collective under way. Transports append their own; comm.c keeps a pool of them. */
struct kpar_request {
    kpar_request *next; /* in the pool */
};

/* The arguments of a whole collective. */
typedef struct kpar_whole {
    kpar_collective collective;
    kpar_reduction reduction;
    kpar_dtype dtype;
    const void *input;
    void *output;
    const size_t *counts; /* elements of each member's part, valid until the end; all_reduce: not read */
    size_t total;         /* elements of all parts */
} kpar_whole;

/* One narrow struct of functions a transport. Every function but `abort`, `start_*` and `progress` is
 * collective. */
typedef struct kpar_transport {
    const char *name, *doc;
    size_t request_bytes; /* of its requests, which begin with kpar_request */

    void (*destroy)(kpar_comm *comm);
    kpar_status (*barrier)(kpar_comm *comm);
    kpar_status (*broadcast)(kpar_comm *comm, void *data, size_t bytes, int root);
    kpar_status (*all_gather)(kpar_comm *comm, const void *own, void *all, size_t bytes);

    /* Ends the job with the message of this rank, printed where no other rank's was. `heard`: this failure
     * was agreed upon and another rank is about to say it. */
    void (*abort)(kpar_comm *comm, kpar_status status, const char *message, bool heard);

    /* Fills in comm->arenas and comm->flags of the reachable ranks; on failure leaves nothing behind. */
    kpar_status (*window_create)(kpar_comm *comm, size_t bytes, int n_flags);
    void (*window_destroy)(kpar_comm *comm); /* not collective: peers may go on to read */

    /* The request is taken from the pool by the caller, which gives it back if starting fails. */
    kpar_status (*start_send)(kpar_comm *comm, const void *data, size_t bytes, int peer, int channel,
                              kpar_request *request);
    kpar_status (*start_receive)(kpar_comm *comm, void *data, size_t bytes, int peer, int channel,
                                 kpar_request *request);
    kpar_status (*group)(kpar_comm *comm, const int *ranks, int n, int group);
    kpar_status (*start_collective)(kpar_comm *comm, int group, const kpar_whole *whole,
                                    kpar_request *request);
    kpar_status (*progress)(kpar_comm *comm, kpar_request *request,
                            bool *done); /* request NULL: only moves */
} kpar_transport;

/* Ranks that were made known as a group. */
typedef struct kpar_known_group {
    int n, *ranks;
} kpar_known_group;

struct kpar_comm {
    const kpar_transport *transport;
    int rank, size;
    int *nodes; /* node of each rank */
    int local_rank, local_size;
    bool shares;         /* ranks of a node reach each other's memory */
    bool oversubscribed; /* more ranks than cores */
    bool any_thread;     /* may make its calls, one at a time */
    double patience;     /* seconds that a wait of the control plane may take; 0: for ever */
    kpar_known_group *groups;
    size_t n_groups, groups_capacity;

    void **arenas;     /* by rank; NULL: not reachable */
    kpar_flag **flags; /* by rank; NULL: not reachable */

    kpar_request *free_requests, *request_blocks;

    int agreed_rank; /* whose failure was agreed upon last; -1: nobody's */
    char agreed_message[KPAR_MESSAGE_BYTES];
};

/* One wait of the control plane; begins as zeros. */
typedef struct kpar_patience {
    double began;
    unsigned turns;
} kpar_patience;

/* A turn of it: ends the job with KPAR_ESTALL where it has taken too long. `what` is waited for: "a broadcast". */
kpar_status kpar_comm_be_patient(kpar_comm *comm, kpar_patience *patience, const char *what) KPAR_MUST_USE;

/* For transports: sets up what comm.c owns, given rank, size and each rank's node (copied); and frees it. */
void kpar_comm_begin(kpar_comm *comm, const kpar_transport *transport, int rank, int size, const int *nodes);
void kpar_comm_end(kpar_comm *comm);

/* acc[i] = acc[i] (+, max, min) values[i] in the type itself. False: not for this type. */
bool kpar_combine(kpar_dtype dtype, kpar_reduction reduction, void *acc, const void *values, size_t count);

#endif
