/* What the files of optimizers share: parts of formulas, and the formulas that the table names. */
#ifndef KPAR_MODEL_OPTIMIZERS_H
#define KPAR_MODEL_OPTIMIZERS_H

#include "model/lower_internal.h"

/* 1 - base^step */
kpar_x kpar_x_correction(kpar_expression_builder *e, double base, kpar_x step);
/* average + (value - average) (1 - decay) */
kpar_x kpar_x_moved(kpar_expression_builder *e, kpar_x average, kpar_x value, double decay);
/* decay average + (1 - decay) value */
kpar_x kpar_x_mixed(kpar_expression_builder *e, kpar_x average, kpar_x value, double decay);

/* weight - rate direction */
void kpar_optimizer_descend(kpar_expression_builder *e, kpar_optimizer_formula *f, kpar_x direction);
/* One slot more, of a group, see kpar_optimizer_slot. */
kpar_optimizer_slot *kpar_optimizer_keep(kpar_optimizer_kept *k, const char *name, int group, double initial);

/* What a row keeps, and its formula. */
#define KPAR_OPTIMIZER_KEEPS(name) kpar_status kpar_optimizer_keeps_##name(kpar_optimizer_kept *k)
#define KPAR_OPTIMIZER(name)                                                                                 \
    kpar_status kpar_optimizer_##name(const char *owner, const json_t *config, kpar_expression_builder *e,   \
                                      kpar_optimizer_formula *f)
KPAR_OPTIMIZER_KEEPS(sgd);
KPAR_OPTIMIZER_KEEPS(adam);
KPAR_OPTIMIZER_KEEPS(adamax);
KPAR_OPTIMIZER_KEEPS(schedule_free);
KPAR_OPTIMIZER_KEEPS(muon);
KPAR_OPTIMIZER_KEEPS(rmsprop);
KPAR_OPTIMIZER_KEEPS(adagrad);
KPAR_OPTIMIZER_KEEPS(adadelta);
KPAR_OPTIMIZER_KEEPS(lion);
KPAR_OPTIMIZER_KEEPS(ftrl);
KPAR_OPTIMIZER_KEEPS(moments); /* momentum and velocity: of several rows */
KPAR_OPTIMIZER_KEEPS(adafactor);
KPAR_OPTIMIZER(sgd);
KPAR_OPTIMIZER(adam);
KPAR_OPTIMIZER(adamax);
KPAR_OPTIMIZER(schedule_free);
KPAR_OPTIMIZER(muon);
KPAR_OPTIMIZER(rmsprop);
KPAR_OPTIMIZER(adagrad);
KPAR_OPTIMIZER(adadelta);
KPAR_OPTIMIZER(lion);
KPAR_OPTIMIZER(ftrl);
KPAR_OPTIMIZER(nadam);
KPAR_OPTIMIZER(lamb);
KPAR_OPTIMIZER(adafactor);
/* How fast Adam's averages follow the gradient and its square, and what is added to the root of the latter. */
typedef struct kpar_moments {
    double beta_1, beta_2, epsilon;
} kpar_moments;
/* Adam's step, whose slots are momentum and velocity. `largest` is the largest velocity so far; NULL: it is not asked for. */
void kpar_optimizer_moments_step(kpar_expression_builder *e, kpar_optimizer_formula *f, const kpar_moments *a,
                                 kpar_x *largest);
/* The weight decay of Muon, which has one of its own for Adam's weights. */
kpar_status kpar_optimizer_muon_decay(const char *owner, const json_t *config, const kpar_variable *weight,
                                      double *decay);
/* The members of MultiOptimizer, and which of them a weight goes to. */
kpar_status kpar_optimizer_multi_members(kpar_optimizer_members *m);
kpar_status kpar_optimizer_multi_choose(const char *owner, const json_t *config, const kpar_variable *weight,
                                        int *member);
/* The scalar that Nadam keeps: the product of its momenta. */
kpar_status kpar_optimizer_nadam_product(const char *owner, const json_t *config, kpar_expression_builder *e,
                                         kpar_x step, kpar_x *product);

#endif
