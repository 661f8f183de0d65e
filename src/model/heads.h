/* Attention in several heads: what its two files share.
 *
 * Tensors are (batch, free ..., steps ..., features): attention is over the steps, each position of the free dimensions
 * by itself. With heads: (batch, free ..., heads, steps, size), where the steps are one dimension. */
#ifndef KPAR_MODEL_HEADS_H
#define KPAR_MODEL_HEADS_H

#include "model/attention.h"

typedef struct kpar_heads {
    int64_t heads, shared_heads; /* of queries; of keys and values */
    int64_t key_dim, value_dim;
    kpar_shape query, value, outputs;
    unsigned axes; /* the dimensions that are steps */
    int n_axes;
    bool use_bias, use_gate, returns_weights;
    bool takes_query_mask; /* by name; else it sees only the one that the query came with */
    double dropout;
    int64_t window; /* 0: none */
} kpar_heads;

/* Which keys a query may see, by the masks of the current call: to broadcast to (batch, free ..., heads, queries, keys);
 * -1: all. */
kpar_status kpar_heads_allowed(kpar_lowering *lowering, const kpar_heads *a, int n_inputs,
                               kpar_value_id *allowed) KPAR_MUST_USE;

#endif
