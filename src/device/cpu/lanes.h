/* The instructions of the evaluator: each works on a block, a group of KPAR_LANES elements at a time. */
#ifndef KPAR_DEVICE_CPU_LANES_H
#define KPAR_DEVICE_CPU_LANES_H

#include "graph/expression.h"

/* Pairs of instructions in one, without storing what is between: (a first b) second c. A REVERSE second has its
 * operands exchanged. */
#define KPAR_LANE_SECOND_LIST(X, first)                                                                      \
    X(first, ADD)                                                                                            \
    X(first, SUBTRACT) X(first, MULTIPLY) X(first, DIVIDE) X(first, REVERSE_SUBTRACT) X(first, REVERSE_DIVIDE)
#define KPAR_LANE_PAIR_LIST(X)                                                                               \
    KPAR_LANE_SECOND_LIST(X, ADD) KPAR_LANE_SECOND_LIST(X, SUBTRACT) KPAR_LANE_SECOND_LIST(X, MULTIPLY)

/* Pairs with select: a first b ? c : d. */
#define KPAR_LANE_SELECT_LIST(X) X(LESS) X(LESS_EQUAL) X(EQUAL)

/* Those of kpar_scalar_op come first, under their own numbers. */
enum {
    KPAR_LANE_COPY = KPAR_SCALAR_COUNT,
#define KPAR_LANE_PAIR_ENUM(first, second) KPAR_LANE_##first##_##second,
    KPAR_LANE_PAIR_LIST(KPAR_LANE_PAIR_ENUM)
#undef KPAR_LANE_PAIR_ENUM
#define KPAR_LANE_SELECT_ENUM(first) KPAR_LANE_##first##_SELECT,
        KPAR_LANE_SELECT_LIST(KPAR_LANE_SELECT_ENUM)
#undef KPAR_LANE_SELECT_ENUM
};

/* Writes operand `out` from operands a, b, c, d; indices into a table of kpar_lane_operand. While it computes, the
 * next blocks of operands [fetch, fetch + n_fetch) are fetched. */
typedef struct kpar_lane_code {
    int op, out, a, b, c, d;
    int fetch, n_fetch;
} kpar_lane_code;

typedef struct kpar_lane_operand {
    void *at;
    /* Elements from group to group: KPAR_LANES, or 0 for a value repeated in KPAR_LANES elements. */
    size_t step;
    const void *next; /* where the next block will be read, as long as this one; NULL: not known */
} kpar_lane_operand;

/* Runs the list on `groups` groups. */
void kpar_lanes_run_f32(const kpar_lane_code *code, int n, const kpar_lane_operand *operands, size_t groups);
void kpar_lanes_run_f64(const kpar_lane_code *code, int n, const kpar_lane_operand *operands, size_t groups);

#endif
