/* Programs of all ranks running against each other without doing anything: what the checker and the simulator have
 * in common. Inside src/program only.
 *
 * Messages are rendezvous: both ends of one end when both are started and it was moved. A collective ends when all
 * members started it. A rank starts its next list when its last one ended. */
#ifndef KPAR_PROGRAM_REPLAY_H
#define KPAR_PROGRAM_REPLAY_H

#include "program/match.h"

/* An instruction in one replay of its list: list 0 is the start, 1 the first run, 2 the second ... */
typedef struct kpar_node {
    int rank, list, index;
} kpar_node;

typedef struct kpar_replay_plan {
    const kpar_program *const *programs;
    int n;
    const kpar_matches *matches;
    int first_list, last_list;
    void *context;
    /* Seconds, all NULL for none: of a kernel with the moves it makes; of a message; of a collective. */
    double (*kernel_seconds)(void *context, kpar_ref kernel);
    double (*message_seconds)(void *context, kpar_ref send);
    double (*collective_seconds)(void *context, kpar_ref member);
    /* Called in an order that lanes, waits and peers allow; all optional. `begins`: a rank starts a list. */
    void (*begins)(void *context, int rank, int list);
    kpar_status (*starts)(void *context, kpar_node node);
    void (*ends)(void *context, kpar_node node, double now);
} kpar_replay_plan;

/* KPAR_EINTERNAL where ranks wait for each other for ever, naming two of them. */
kpar_status kpar_replay(const kpar_replay_plan *plan) KPAR_MUST_USE;

/* The instructions of a list: [*first, *end). */
void kpar_list_range(const kpar_program *program, int list, int *first, int *end);

#endif
