/* The context behind the public handle: a communicator and what is alive on it. Inside src/api and its tests only. */
#ifndef KPAR_API_CONTEXT_H
#define KPAR_API_CONTEXT_H

#include "comm/comm.h"

#include <kpar/kpar.h>

struct kpar_context {
    kpar_comm *comm; /* owned */
    int everyone;    /* the group of all ranks */
    /* Of one all-reduce of the communicator; longer ones are cut. Tests make it small. */
    size_t most_elements;
    int handles;   /* collectives not yet waited for */
    int trainings; /* alive */
};

/* A context on a communicator, which it takes, also where it fails. Collective. */
kpar_status kpar_context_create(kpar_comm *comm, kpar_context **context) KPAR_MUST_USE;

/* KPAR_EUSAGE, naming `function`, for a NULL context. */
kpar_status kpar_context_check(const kpar_context *context, const char *function) KPAR_MUST_USE;

#endif
