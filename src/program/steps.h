/* Steps: what a collective algorithm or a pipeline schedule generates, and one simulator proves.
 *
 * A collective works on a buffer of `n` parts, part i of which member i of the group owns: counts[i] elements
 * at offsets[i]. An algorithm is a function that emits the steps of member `me`. Emission turns them into
 * instructions. */
#ifndef KPAR_PROGRAM_STEPS_H
#define KPAR_PROGRAM_STEPS_H

#include "program/program.h"

typedef enum kpar_step_kind {
    KPAR_STEP_SEND,    /* `range` of space `space` to member `peer` */
    KPAR_STEP_RECEIVE, /* into `range` of space `space` from member `peer` */
    KPAR_STEP_REDUCE,  /* range of DATA = sum of the sources, combined as `additions` say */
    KPAR_STEP_COPY,    /* range of DATA = sources[0] */
    KPAR_STEP_SIGNAL,  /* flag `flag`: members that share the window see it */
    KPAR_STEP_WAIT,    /* for flag `flag` of member `peer` */
} kpar_step_kind;

/* DATA: the collective's buffer. SCRATCH: memory of the algorithm's own. */
typedef enum kpar_space { KPAR_SPACE_DATA, KPAR_SPACE_SCRATCH } kpar_space;

typedef struct kpar_range {
    int member; /* whose memory: me, or a member that shares a window */
    kpar_space space;
    int tree_slot;       /* DATA with several terms a member (reproducible sums): which term; else 0 */
    size_t first, count; /* elements */
} kpar_range;

typedef struct kpar_step {
    kpar_step_kind kind;
    int peer;
    kpar_range range; /* own memory sent, received into or written */
    int n_sources;
    kpar_range *sources; /* REDUCE, COPY */
    const int (
        *additions)[2]; /* REDUCE: n_sources - 1 pairs, source [0] += source [1], ending in source 0, see
                                  kpar_tree_additions; NULL: in the order of the sources */
    int flag;           /* 0, 1, ...: numbered within the collective */
} kpar_step;

typedef struct kpar_steps {
    kpar_arena *arena;
    kpar_step *steps;
    size_t n, capacity;
    size_t scratch; /* elements of scratch memory used */
    int n_flags;    /* flags used */
} kpar_steps;

void kpar_steps_begin(kpar_steps *steps);
void kpar_steps_end(kpar_steps *steps);                            /* frees */
kpar_step *kpar_steps_add(kpar_steps *steps, kpar_step_kind kind); /* zeroed but for kind */

/* A collective as its algorithm sees it. */
typedef struct kpar_collective_shape {
    kpar_collective collective;
    int me, n;             /* own index in the group and its size */
    const size_t *offsets; /* n: first element of each member's part */
    const size_t *counts;  /* n: elements of each part */
    size_t total;          /* elements of the buffer */
    /* Reproducible sums: member i holds terms[i] aligned subtrees of the one tree over the batch's leaves,
     * `leaves[i][k]` leaves each, in leaf order. NULL: each member holds one term. */
    const int *terms;
    const int *const *leaves;
} kpar_collective_shape;

typedef kpar_status (*kpar_algorithm)(kpar_steps *steps, const kpar_collective_shape *shape);

/* Runs the steps of all members against each other on small integers, twice in a row and in many random
 * orders: every member ends with the right sum, no deadlock, nothing read before it is written, no part
 * written while a peer may read it. KPAR_EINTERNAL names member and step. *seconds: the cost of one run
 * where a message, or a read of a peer's memory, takes alpha + beta * elements, and a member sends and
 * receives one message at a time. */
kpar_status kpar_steps_prove(kpar_algorithm algorithm, kpar_collective collective, int n, size_t total,
                             double alpha_seconds, double beta_seconds_per_element,
                             double *seconds) KPAR_MUST_USE;

/* The same with a reproducible sum over `leaves` leaves, dealt evenly to the members: it is taken along
 * the one tree. */
kpar_status kpar_steps_prove_tree(kpar_algorithm algorithm, kpar_collective collective, int n, size_t total,
                                  int leaves) KPAR_MUST_USE;

#endif
