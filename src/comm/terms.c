/* Summing the terms of all members. */
#include "comm/algorithms.h"
#include "program/tree.h"

void kpar_reduce_terms(kpar_steps *steps, const kpar_collective_shape *shape, int part, kpar_term_place where,
                       const void *context)
{
    int n = 0;
    for (int i = 0; i < shape->n; i++) n += kpar_terms_of(shape, i);
    kpar_range *sources = kpar_arena_alloc(steps->arena, (size_t)n * sizeof *sources);
    kpar_subtree *subtrees = kpar_arena_alloc(steps->arena, (size_t)n * sizeof *subtrees);
    for (int i = 0, k = 0, leaf = 0; i < shape->n; i++)
        for (int t = 0; t < kpar_terms_of(shape, i); t++) {
            const int leaves = shape->leaves ? shape->leaves[i][t] : 1;
            sources[k] = where(shape, part, i, t, context);
            subtrees[k++] = (kpar_subtree){leaf, leaves};
            leaf += leaves;
        }
    kpar_step *step = kpar_steps_add(steps, KPAR_STEP_REDUCE);
    step->range =
        (kpar_range){.member = shape->me, .first = shape->offsets[part], .count = shape->counts[part]};
    step->n_sources = n;
    step->sources = sources;
    if (!shape->terms || n < 2) return;
    int(*additions)[2] = kpar_arena_alloc(steps->arena, (size_t)n * sizeof *additions);
    kpar_tree_additions(subtrees, n, additions);
    step->additions = (const int(*)[2])additions;
}
