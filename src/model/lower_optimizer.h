/* The optimizer that the config describes, and its variables in Keras's order: iteration, learning rate (unless there is a
 * schedule), averages, gradients kept for a later update, the row's slots, its scalar. */
#ifndef KPAR_MODEL_LOWER_OPTIMIZER_H
#define KPAR_MODEL_LOWER_OPTIMIZER_H

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
    kpar_value_id scalar_before;
    int first_variable, n_variables; /* numbers of its first one, and of the next */
    const char *group;               /* where the file has its variables once more; NULL: nowhere */
    kpar_value_id scale;             /* of dynamic loss scaling; -1: there is none */
    kpar_value_id finite;            /* whether all gradients are; likewise */
} kpar_optimizer;

/* The model's own optimizer comes first, and behind it those to which it hands the weights, if it does. */
typedef struct kpar_optimizers {
    kpar_optimizer *all;
    int n;
} kpar_optimizers;

/* Reads the config and lowers what is not of a weight: iteration counts, rates, scalars; adds all variables. */
kpar_status kpar_optimizers_begin(kpar_lowering *lowering, kpar_optimizers *optimizers) KPAR_MUST_USE;
/* What these variables of one of them become, once it is known whether the gradients are finite. */
kpar_status kpar_optimizer_end(kpar_lowering *lowering, const kpar_optimizer *o) KPAR_MUST_USE;
/* The loss_scale_factor of the model's own. */
kpar_status kpar_optimizer_fixed_scale(kpar_lowering *lowering, double *factor) KPAR_MUST_USE;
/* Its groups in model.weights.h5, "adam". */
kpar_status kpar_optimizer_add_groups(kpar_lowering *lowering) KPAR_MUST_USE;

/* Whether the count is a multiple of `every`. */
kpar_x kpar_optimizer_due(kpar_expression_builder *e, kpar_x count, int64_t every);
/* count + 1 */
kpar_x kpar_optimizer_next(kpar_expression_builder *e, kpar_x count);
/* Updates before this step. */
kpar_x kpar_optimizer_updates(const kpar_optimizer *o, kpar_expression_builder *e, kpar_x step);
/* What an update makes of `before`, in a step that is one. */
kpar_x kpar_optimizer_if_updated(const kpar_optimizer *o, kpar_expression_builder *e, kpar_x step,
                                 kpar_x after, kpar_x before);

/* loss_scaling.c: whether a LossScaleOptimizer is around the optimizer; and how many variables of its own come before the
 * optimizer's. */
bool kpar_scaling_is_dynamic(const kpar_lowering *lowering);
int kpar_scaling_variables(const kpar_lowering *lowering);
/* Where the optimizer's variables are once more, NULL: nowhere. */
const char *kpar_scaling_inner_group(const kpar_lowering *lowering);
/* The name of the group: its own, or that of the optimizer alone. */
kpar_status kpar_scaling_name(kpar_lowering *lowering, const char *inner, const char **name) KPAR_MUST_USE;
/* Adds its variables. */
kpar_status kpar_scaling_begin(kpar_lowering *lowering, kpar_optimizer *o) KPAR_MUST_USE;
/* 1 where the element of a gradient is not finite, else 0. */
kpar_x kpar_scaling_not_finite(kpar_expression_builder *e, kpar_x gradient);
/* Sets `finite`, and what the scale becomes, by the number of elements that are not finite. */
kpar_status kpar_scaling_decide(kpar_lowering *lowering, kpar_optimizer *o,
                                kpar_value_id not_finite) KPAR_MUST_USE;

#endif
