/* Placement rules, an op kind each. Inside src/parallel only. */
#ifndef KPAR_PARALLEL_PLACE_RULES_H
#define KPAR_PARALLEL_PLACE_RULES_H

#include "graph/op.h"

/* What a rule sees and decides, along one axis. */
typedef struct kpar_rule {
    const kpar_graph *graph; /* the graph being built */
    const kpar_op *op;       /* the op to be placed; its own inputs are of the old graph */
    kpar_axis axis;
    int extent; /* ranks along the axis */
    bool reproducible;
    int64_t vocabulary; /* kpar_place_options' split_vocabulary */
    int n_inputs;
    const kpar_value_id *inputs; /* in the new graph */
    const kpar_shape *output;    /* of output 0 */
    const kpar_placement *given; /* of each input */
    const bool *open;            /* input is a variable whose placement is still free */
    int wide;                    /* outputs that more than one reduction reads */
    kpar_placement wish;    /* of the variable whose gradient output 0 becomes a part of, or replicated */
    kpar_placement *wanted; /* out: of each input, preset to replicated */
    kpar_placement result;  /* out: of all outputs, preset to replicated */
} kpar_rule;

/* True if the rule has an answer; false: everything replicated. */
bool kpar_rule_apply(kpar_rule *rule);

/* place_rules_map.c */
bool kpar_rule_map(kpar_rule *rule);

static inline const kpar_shape *kpar_rule_shape(const kpar_rule *rule, int input)
{
    return &rule->graph->values[rule->inputs[input]].shape;
}

/* The dimension of `to`, a reshape of `from`, that begins where `dim` does: with as many elements before it; -1: none. */
int kpar_reshaped_dim(const kpar_shape *from, const kpar_shape *to, int dim);

static inline kpar_placement kpar_split_on(int dim)
{
    return (kpar_placement){.kind = KPAR_SPLIT, .dim = dim, .owner = -1};
}

#endif
