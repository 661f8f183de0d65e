/* The optimizer that the config describes, and its variables in Keras's order: iteration, learning rate (unless there is a
 * schedule), averages, gradients kept for a later update, the row's slots, its scalar. */
#ifndef KPAR_MODEL_OPTIMIZER_H
#define KPAR_MODEL_OPTIMIZER_H

#include "model/lower_internal.h"

/* Slots that any optimizer may have come before those of its row. */
enum { KPAR_ALL_SLOTS = KPAR_OPTIMIZER_SLOTS + 2 };

/* All slots of a weight. */
typedef struct kpar_optimizer_slots {
    kpar_optimizer_slot slots[KPAR_ALL_SLOTS];
    int variables[KPAR_ALL_SLOTS]; /* in the catalog */
    int n;
} kpar_optimizer_slots;

typedef struct kpar_optimizer {
    const kpar_optimizer_row *row;
    const json_t *config; /* NULL: defaults */
    const char *owner;
    double loss_scale;
    double clip, clip_norm, clip_together; /* 0: none */
    kpar_value_id clip_factor;             /* of clip_together */
    int64_t accumulate;                    /* steps whose gradients are one update's, 1 at least */
    bool averages;                         /* moving ones of the weights are kept */
    double average_momentum;
    int64_t overwrite;                   /* steps between which weights become their averages, 0: never */
    int average, accumulator, first;     /* slots: -1 none; the row's first */
    int *weights, n_weights;             /* those that it updates, by their number in the lowering */
    kpar_optimizer_slots *slots;         /* of each of them */
    bool counts;                         /* its iterations: there is something to update */
    kpar_value_id iteration, rate, step; /* step: the iteration as a real number */
    kpar_value_id scalar;                /* the row's, after the step; -1: it has none */
    int first_variable, n_variables;     /* numbers of its first one, and of the next */
    const char *group;                   /* where the file has its variables once more; NULL: nowhere */
} kpar_optimizer;

/* The model's own optimizer comes first, and behind it those to which it hands the weights, if it does. */
typedef struct kpar_optimizers {
    kpar_optimizer *all;
    int n;
} kpar_optimizers;

/* Reads the config and lowers what is not of a weight: iteration counts, rates, scalars; adds all variables. */
kpar_status kpar_optimizers_begin(kpar_lowering *lowering, kpar_optimizers *optimizers) KPAR_MUST_USE;

/* Whether the count is a multiple of `every`. */
kpar_x kpar_optimizer_due(kpar_expression_builder *e, kpar_x count, int64_t every);
/* count + 1 */
kpar_x kpar_optimizer_next(kpar_expression_builder *e, kpar_x count);
/* Updates before this step. */
kpar_x kpar_optimizer_updates(const kpar_optimizer *o, kpar_expression_builder *e, kpar_x step);
/* What an update makes of `before`, in a step that is one. */
kpar_x kpar_optimizer_if_updated(const kpar_optimizer *o, kpar_expression_builder *e, kpar_x step,
                                 kpar_x after, kpar_x before);

#endif
