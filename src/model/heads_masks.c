/* Masks of attention in several heads: of steps, as tensors bring them along or the call names them, and of pairs. */
#include "model/heads.h"

/* How many queries or keys there are. */
static int64_t steps_of(const kpar_heads *a, const kpar_shape *x)
{
    int64_t steps = 1;
    for (int i = 1; i < x->rank - 1; i++)
        if (a->axes >> i & 1) steps *= x->dims[i].size;
    return steps;
}

/* Joins a mask (batch, steps) of an input, as (batch, 1, steps, 1) of queries or (batch, 1, 1, steps) of keys. */
static kpar_status also_steps(kpar_lowering *lowering, const kpar_heads *a, bool of_queries,
                              kpar_value_id mask, kpar_value_id *allowed)
{
    if (mask < 0) return KPAR_OK;
    const kpar_shape *shape = kpar_lower_shape(lowering, mask);
    kpar_shape spread = {.rank = 4, .dims = {{1, true}, {1, false}, {1, false}, {1, false}}};
    if (shape->rank != 2 || a->query.rank != 3)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected masks (batch, steps) of tensors of rank 3",
                         lowering->owner);
    spread.dims[of_queries ? 2 : 3] = shape->dims[1];
    KPAR_TRY(kpar_build_reshape(lowering->graph, spread, mask, &mask));
    return kpar_attention_also(lowering, mask, allowed);
}

/* Joins `attention_mask` (batch, free ..., steps ..., steps ...), or with heads before the steps. */
static kpar_status also_pairs(kpar_lowering *lowering, const kpar_heads *a, bool joined, kpar_value_id mask,
                              kpar_value_id *allowed)
{
    if (mask < 0) return KPAR_OK;
    const kpar_shape shape = *kpar_lower_shape(lowering, mask);
    const int pairs = 2 * a->n_axes, leading = a->query.rank - 1 - a->n_axes;
    const bool headed = shape.rank == leading + 1 + pairs;
    kpar_shape folded = {.rank = leading};
    for (int i = 0; i < leading && i < shape.rank; i++) folded.dims[i] = shape.dims[i];
    folded.dims[folded.rank++] = headed ? shape.dims[leading] : (kpar_dim){1, false};
    for (int side = 0; side < 2; side++) {
        const int first = shape.rank - pairs + side * a->n_axes;
        kpar_dim *steps = &folded.dims[folded.rank++];
        steps->size = 1;
        for (int i = 0; i < a->n_axes && first >= 0; i++) steps->size *= shape.dims[first + i].size;
    }
    const int64_t queries = folded.dims[folded.rank - 2].size, keys = folded.dims[folded.rank - 1].size;
    if ((!headed && shape.rank != leading + pairs) || (headed && joined) ||
        (queries != 1 && queries != steps_of(a, &a->query)) || (keys != 1 && keys != steps_of(a, &a->value)))
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: expected an attention_mask (batch, queries, keys), or with heads before them "
                         "and no other masks",
                         lowering->owner);
    KPAR_TRY(kpar_lower_truth(lowering, mask, &mask));
    KPAR_TRY(kpar_build_reshape(lowering->graph, folded, mask, &mask));
    return kpar_attention_also(lowering, mask, allowed);
}

/* The mask that the call is given by `name`, or that input `number` came with; -1: none. */
static kpar_status mask_of(kpar_lowering *lowering, const char *name, int number, kpar_value_id *mask)
{
    const kpar_value_id given = name ? kpar_lower_named(lowering, name, 0) : -1;
    *mask = lowering->masks[number];
    return given < 0 ? KPAR_OK : kpar_lower_truth(lowering, given, mask);
}

kpar_status kpar_heads_allowed(kpar_lowering *lowering, const kpar_heads *a, int n_inputs,
                               kpar_value_id *allowed)
{
    kpar_value_id query, value, key = -1;
    *allowed = -1;
    KPAR_TRY(mask_of(lowering, a->takes_query_mask ? "query_mask" : NULL, 0, &query));
    KPAR_TRY(mask_of(lowering, "value_mask", n_inputs > 1 ? 1 : 0, &value));
    if (n_inputs > 2) KPAR_TRY(mask_of(lowering, "key_mask", 2, &key));
    KPAR_TRY(also_steps(lowering, a, true, query, allowed));
    KPAR_TRY(also_steps(lowering, a, false, value, allowed));
    KPAR_TRY(also_steps(lowering, a, false, key, allowed));
    const bool joined = *allowed >= 0;
    KPAR_TRY(kpar_attention_near(lowering, (kpar_dim){steps_of(a, &a->query), false},
                                 (kpar_dim){steps_of(a, &a->value), false},
                                 kpar_call_says(lowering, "use_causal_mask"), a->window, allowed));
    return also_pairs(lowering, a, joined, kpar_lower_named(lowering, "attention_mask", 0), allowed);
}
