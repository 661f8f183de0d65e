/* What the files of the proof of steps share. Inside src/program only. */
#ifndef KPAR_PROGRAM_PROVE_INTERNAL_H
#define KPAR_PROGRAM_PROVE_INTERNAL_H

#include "program/steps.h"

/* In a cell that was not written yet, or is being written. */
#define KPAR_PROOF_NOTHING UINT64_MAX

typedef enum kpar_proof_state { KPAR_PROOF_AHEAD, KPAR_PROOF_UNDER_WAY, KPAR_PROOF_ENDED } kpar_proof_state;

typedef struct kpar_proof_member {
    kpar_collective_shape shape;
    kpar_steps steps;
    uint64_t *data, *scratch; /* [slot][element]; [element] */

    int round;      /* from 1 */
    int next;       /* the step that starts next */
    bool running;   /* the step before it is a kernel that has not ended */
    uint64_t *seen; /* what a running kernel read when it started */
    kpar_proof_state *states;
    int *pending, n_pending; /* messages under way */
    int *rounds_signalled;   /* by flag */

    double now, sends_until, receives_until;
    double *starts, *ends; /* by step */
    double *signalled;     /* by flag */
} kpar_proof_member;

typedef struct kpar_proof {
    kpar_arena *arena;
    kpar_collective collective;
    int n, slots;
    size_t total;
    int leaves; /* of the tree; 0: plain sums */
    double alpha, beta;
    kpar_proof_member *members;
    int *sends,
        *receives; /* [from * n + to]: the first step not yet ended of these messages, -1: none left */
    uint64_t seed, turns;
    int slow; /* the member that seldom gets its turn, -1: none */
} kpar_proof;

/* prove.c: what members hold when a round begins, and whether it is right when it has ended. */
void kpar_proof_fill(kpar_proof *proof, int member);
kpar_status kpar_proof_check(const kpar_proof *proof, int member) KPAR_MUST_USE;
uint64_t kpar_proof_combine(const kpar_proof *proof, uint64_t a, uint64_t b);
kpar_status kpar_proof_fail(const kpar_proof *proof, int member, int step, const char *what) KPAR_MUST_USE;

/* prove_replay.c: runs `rounds` collectives one after the other, in an order picked at random by `seed`,
 * or, where it is 0, in the order of modelled time. */
kpar_status kpar_proof_replay(kpar_proof *proof, int rounds, uint64_t seed, int slow) KPAR_MUST_USE;

#endif
