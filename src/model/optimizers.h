/* What the files of optimizers share: parts of formulas, and the formulas that the table names. */
#ifndef KPAR_MODEL_OPTIMIZERS_H
#define KPAR_MODEL_OPTIMIZERS_H

#include "model/lower_internal.h"

kpar_x kpar_x_times(kpar_expression_builder *e, kpar_x x, double factor);
kpar_x kpar_x_plus(kpar_expression_builder *e, kpar_x x, double term);
/* 1 - base^step */
kpar_x kpar_x_correction(kpar_expression_builder *e, double base, kpar_x step);
/* average + (value - average) (1 - decay) */
kpar_x kpar_x_moved(kpar_expression_builder *e, kpar_x average, kpar_x value, double decay);
/* decay average + (1 - decay) value */
kpar_x kpar_x_mixed(kpar_expression_builder *e, kpar_x average, kpar_x value, double decay);

/* weight - rate direction */
void kpar_optimizer_descend(kpar_expression_builder *e, kpar_optimizer_formula *f, kpar_x direction);
/* Fills `slots` with `names`, all of one group. */
void kpar_optimizer_slots_together(kpar_optimizer_slot *slots, int *n, const char *const *names, int n_names,
                                   int group, double initial);

/* The slots and the formula of a row. */
#define KPAR_OPTIMIZER_SLOTS_OF(name)                                                                        \
    kpar_status kpar_optimizer_slots_##name(const char *owner, const json_t *config,                         \
                                            kpar_optimizer_slot *slots, int *n)
#define KPAR_OPTIMIZER(name)                                                                                 \
    kpar_status kpar_optimizer_##name(const char *owner, const json_t *config, kpar_expression_builder *e,   \
                                      kpar_optimizer_formula *f)
KPAR_OPTIMIZER_SLOTS_OF(adam);
KPAR_OPTIMIZER_SLOTS_OF(adamax);
KPAR_OPTIMIZER_SLOTS_OF(moments); /* momentum and velocity: of several rows */
KPAR_OPTIMIZER_SLOTS_OF(rmsprop);
KPAR_OPTIMIZER_SLOTS_OF(adagrad);
KPAR_OPTIMIZER_SLOTS_OF(adadelta);
KPAR_OPTIMIZER_SLOTS_OF(adafactor);
KPAR_OPTIMIZER(adam);
KPAR_OPTIMIZER(adamax);
KPAR_OPTIMIZER(nadam);
KPAR_OPTIMIZER(lamb);
KPAR_OPTIMIZER(rmsprop);
KPAR_OPTIMIZER(adagrad);
KPAR_OPTIMIZER(adadelta);
KPAR_OPTIMIZER(adafactor);
/* The scalar that Nadam keeps: the product of its momenta. */
kpar_status kpar_optimizer_nadam_product(const char *owner, const json_t *config, kpar_expression_builder *e,
                                         kpar_x step, kpar_x *product);

#endif
