/* Messages between ranks of one process: rendezvous. Whoever starts the second end copies, once. */
#include "comm/local_internal.h"

#include <string.h>

/* Takes the oldest request of the other kind on the same channel out of the mailbox; NULL if there is
 * none. */
static local_request *match(local_mailbox *box, bool sends, int channel)
{
    local_request *before = NULL;
    for (local_request *other = box->first; other; before = other, other = other->next) {
        if (other->sends == sends || other->channel != channel) continue;
        if (before)
            before->next = other->next;
        else
            box->first = other->next;
        if (box->last == other) box->last = before;
        return other;
    }
    return NULL;
}

static void append(local_mailbox *box, local_request *request)
{
    if (box->last)
        box->last->next = request;
    else
        box->first = request;
    box->last = request;
}

/* Copies what fits, and ends both: the peer's request belongs to the peer as soon as it is done. */
static void transfer(local_request *own, local_request *other)
{
    const local_request *from = own->sends ? own : other, *to = own->sends ? other : own;
    if (from->bytes == to->bytes && from->bytes) memcpy(to->target, from->source, from->bytes);
    own->peer_bytes = other->bytes;
    other->peer_bytes = own->bytes;
    atomic_store_explicit(&own->done, true, memory_order_release);
    atomic_store_explicit(&other->done, true, memory_order_release);
}

static kpar_status start(local_world *world, local_mailbox *box, local_request *own)
{
    pthread_mutex_lock(&world->lock);
    local_request *other = atomic_load(&world->ended) ? NULL : match(box, own->sends, own->channel);
    if (!other) append(box, own);
    if (!kpar_local_busy_begin(world)) return kpar_local_ended(world);
    if (other) transfer(own, other);
    kpar_local_busy_end(world);
    return KPAR_OK;
}

static local_request *message(kpar_request *request, size_t bytes, int channel)
{
    local_request *own = (local_request *)request;
    own->next = NULL;
    own->collective = false;
    own->channel = channel;
    own->bytes = bytes;
    atomic_store_explicit(&own->done, false, memory_order_relaxed);
    return own;
}

kpar_status kpar_local_start_send(kpar_comm *comm, const void *data, size_t bytes, int peer, int channel,
                                  kpar_request *request)
{
    local_world *world = kpar_local_world(comm);
    local_request *own = message(request, bytes, channel);
    own->sends = true;
    own->source = data;
    return start(world, &world->mailboxes[comm->rank * world->n + peer], own);
}

kpar_status kpar_local_start_receive(kpar_comm *comm, void *data, size_t bytes, int peer, int channel,
                                     kpar_request *request)
{
    local_world *world = kpar_local_world(comm);
    local_request *own = message(request, bytes, channel);
    own->sends = false;
    own->target = data;
    return start(world, &world->mailboxes[peer * world->n + comm->rank], own);
}
