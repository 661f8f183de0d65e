/* What layers of attention share: which keys a query may see, and the weights that scores give them. */
#ifndef KPAR_MODEL_ATTENTION_H
#define KPAR_MODEL_ATTENTION_H

#include "model/lower_internal.h"

/* `allowed` values are real: 1 where a query may see a key, else 0. They broadcast to the scores (..., queries, keys);
 * -1: every query sees every key. */

/* Joins one more condition to *allowed. */
kpar_status kpar_attention_also(kpar_lowering *lowering, kpar_value_id other,
                                kpar_value_id *allowed) KPAR_MUST_USE;

/* Joins conditions on where queries and keys stand: no key behind its query (causal), none `window` or more steps away
 * (0: any). */
kpar_status kpar_attention_near(kpar_lowering *lowering, kpar_dim queries, kpar_dim keys, bool causal,
                                int64_t window, kpar_value_id *allowed) KPAR_MUST_USE;

/* Values, or `otherwise` where they are not allowed. */
kpar_status kpar_attention_where(kpar_lowering *lowering, kpar_value_id allowed, kpar_value_id values,
                                 double otherwise, kpar_value_id *out) KPAR_MUST_USE;

/* The layer's argument `dropout`, from 0 to 1. */
kpar_status kpar_attention_dropout(const kpar_lowering *lowering, double *rate) KPAR_MUST_USE;

/* Whether the call says `name`=True. */
bool kpar_call_says(const kpar_lowering *lowering, const char *name);

#endif
