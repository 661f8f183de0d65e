/* What the files of the transport `local` share: the world of ranks that are threads of one process.
 *
 * One lock guards everything in the world; whoever waits in the control plane sleeps on one condition.
 * Bytes are copied, and whole collectives computed, without the lock, by the rank that came last; `busy`
 * counts these, and no rank learns that the job was ended while one runs, so that nobody frees memory that
 * is still read. */
#ifndef KPAR_COMM_LOCAL_INTERNAL_H
#define KPAR_COMM_LOCAL_INTERNAL_H

#include "comm/transport.h"

#include <pthread.h>

typedef struct local_group local_group;

/* A message that waits for its other end, or a member's part in a whole collective. */
typedef struct local_request {
    kpar_request base;
    struct local_request *next; /* in its mailbox */
    bool sends;
    int channel;
    const void *source;       /* sends */
    void *target;             /* receives */
    size_t bytes, peer_bytes; /* they differ: an error at both ends */
    bool collective, agreed;  /* on what they do, by the group's members */
    atomic_bool done;
} local_request;

/* Messages between a pair of ranks of which one end was started, oldest first. */
typedef struct local_mailbox {
    local_request *first, *last;
} local_mailbox;

/* The arenas and flags of all ranks; freed by the last one that lets go. */
typedef struct local_window {
    atomic_int users;
    int n;
    void **arenas;
    kpar_flag **flags;
} local_window;

typedef struct local_world {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int n, users;

    int arrived;           /* at the barrier */
    unsigned generation;   /* of the barrier */
    const void **deposits; /* by rank: what it offers in the collective under way */
    void *published;       /* by rank 0, for all */

    atomic_bool ended; /* by kpar_comm_abort */
    char message[KPAR_MESSAGE_BYTES];
    int busy;

    local_mailbox *mailboxes; /* [from * n + to] */
    local_group **groups;     /* all ever made */
    size_t n_groups, groups_capacity;
} local_world;

typedef struct local_comm {
    kpar_comm base;
    local_world *world;
    local_window *window;
} local_comm;

static inline local_world *kpar_local_world(kpar_comm *comm) { return ((local_comm *)comm)->world; }

/* KPAR_ECOMM with the message of the rank that ended the job, once nothing is busy. Without the lock. */
kpar_status kpar_local_ended(local_world *world);

/* Around copying and computing: begin with the lock held, which it gives up; false, with the lock given up
 * too, if the job was ended. */
bool kpar_local_busy_begin(local_world *world);
void kpar_local_busy_end(local_world *world);

kpar_status kpar_local_barrier(kpar_comm *comm);

kpar_status kpar_local_start_send(kpar_comm *comm, const void *data, size_t bytes, int peer, int channel,
                                  kpar_request *request);
kpar_status kpar_local_start_receive(kpar_comm *comm, void *data, size_t bytes, int peer, int channel,
                                     kpar_request *request);

kpar_status kpar_local_group(kpar_comm *comm, const int *ranks, int n, int group);
kpar_status kpar_local_start_collective(kpar_comm *comm, int group, const kpar_whole *whole,
                                        kpar_request *request);
void kpar_local_group_destroy(local_group *group);

#endif
