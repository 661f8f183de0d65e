/* The placement pass while it runs: what its files share. */
#ifndef KPAR_PARALLEL_PLACE_INTERNAL_H
#define KPAR_PARALLEL_PLACE_INTERNAL_H

#include "graph/build.h"
#include "parallel/place.h"
#include "parallel/place_rules.h"

/* A sum that is not formed yet: of a whole value and one that ranks have terms of, along the tensor axis; -1: none. New
 * values. */
typedef struct kpar_terms {
    kpar_value_id whole, partial;
} kpar_terms;

typedef struct kpar_placing {
    kpar_rebuild r;
    const kpar_place_options *options;
    kpar_value_id *copies; /* by old value: the new source of a sharded variable's compute copy, -1 */
    /* By old value: a trained variable that the update combines it with, as it is or as a term of a sum; -1: none. */
    kpar_value_id *meets;
    bool *multiplied; /* by old value: the update makes products of matrices of it, or of what it meets */
    bool *read;       /* by variable index: microbatches read it */
    bool *apart;      /* by old op, written: it mixes what had better not be gathered */
    bool *open;       /* by new value: a variable whose placement along the tensor axis is free */
    size_t open_capacity;
    /* Conversions already made: {value, axis, placement} -> value; those of a value are a list. */
    struct conversion {
        kpar_value_id to;
        kpar_axis axis;
        kpar_placement placement;
        kpar_phase phase;
        int before; /* the one of the same value made before it, -1 */
    } * conversions;
    size_t n_conversions, conversions_capacity;
    int *last_conversion; /* by new value: the number of its last one + 1, 0: none */
    size_t last_conversion_capacity;
    kpar_terms *terms;     /* by old value */
    kpar_op_id *only_user; /* by old value: the one old op that reads it, negative: there is no such */
    int64_t *owner_bytes;  /* by data index: what whole tensors it owns already */
} kpar_placing;

static const kpar_placement kpar_replicated = {.kind = KPAR_REPLICATED};

/* place.c: the new value of an old one, for a reader of that phase. */
kpar_value_id kpar_placed(kpar_placing *p, kpar_value_id old, kpar_phase reader);

/* meetings.c: begins the pass: meets, multiplied, read. */
void kpar_find_meetings(kpar_placing *p);

/* sums.c */

/* Whether the op is x + y of equal shapes. */
bool kpar_adds(const kpar_graph *graph, const kpar_op *op);

/* Begins the pass: no terms, and who reads what. */
void kpar_find_only_users(kpar_placing *p);
/* Places an op, in *placed, that adds a whole value and terms of one, or such sums. */
kpar_status kpar_place_sum(kpar_placing *p, const kpar_op *op, bool *placed) KPAR_MUST_USE;
/* Forms the sum `old` for its reader `op`, if it is not formed yet. */
kpar_status kpar_finish_sum(kpar_placing *p, const kpar_op *op, kpar_value_id old) KPAR_MUST_USE;

/* convert.c */

/* Whether the placement of a new value along the tensor axis is still free. */
bool kpar_is_open(const kpar_placing *p, kpar_value_id value);
void kpar_set_open(kpar_placing *p, kpar_value_id value, bool open);
/* Whether a variable that is another shape's is free along the tensor axis like the variable: every way to cut it is one
 * to cut the variable. */
bool kpar_stays_open(const kpar_placing *p, kpar_value_id variable, kpar_value_id reshaped);
/* The value with placement `to` along `axis`, by an op appended now or earlier. */
kpar_status kpar_place_as(kpar_placing *p, kpar_axis axis, kpar_placement to, kpar_phase phase,
                          kpar_part part, kpar_value_id *value) KPAR_MUST_USE;

#endif
