/* Optimizers that divide by a root of squared gradients, inside which Keras has the epsilon, or of squared steps. */
#include "model/optimizers.h"

/* RMSprop: Hinton, lecture 6e (2012). */

kpar_status kpar_optimizer_slots_rmsprop(const char *owner, const json_t *config, kpar_optimizer_slot *slots,
                                         int *n)
{
    double momentum;
    bool centered;
    KPAR_TRY(kpar_config_number(owner, config, "momentum", 0, &momentum));
    KPAR_TRY(kpar_config_boolean(owner, config, "centered", false, &centered));
    kpar_optimizer_slots_together(slots, n, (const char *const[]){"velocity"}, 1, 0, 0);
    if (momentum > 0) kpar_optimizer_slots_together(slots, n, (const char *const[]){"momentum"}, 1, 1, 0);
    if (centered) kpar_optimizer_slots_together(slots, n, (const char *const[]){"average_gradient"}, 1, 2, 0);
    return KPAR_OK;
}

kpar_status kpar_optimizer_rmsprop(const char *owner, const json_t *config, kpar_expression_builder *e,
                                   kpar_optimizer_formula *f)
{
    double rho, momentum, epsilon;
    bool centered;
    KPAR_TRY(kpar_config_number(owner, config, "rho", 0.9, &rho));
    KPAR_TRY(kpar_config_number(owner, config, "momentum", 0, &momentum));
    KPAR_TRY(kpar_config_number(owner, config, "epsilon", 1e-7, &epsilon));
    KPAR_TRY(kpar_config_boolean(owner, config, "centered", false, &centered));
    kpar_x variance = f->slots[0] = kpar_x_mixed(e, f->slots[0], kpar_x_square(e, f->gradient), rho);
    if (centered) {
        kpar_x *average = &f->slots[momentum > 0 ? 2 : 1];
        *average = kpar_x_mixed(e, *average, f->gradient, rho);
        variance = kpar_x_sub(e, variance, kpar_x_square(e, *average));
    }
    kpar_x step =
        kpar_x_div(e, kpar_x_mul(e, f->rate, f->gradient), kpar_x_sqrt(e, kpar_x_plus(e, variance, epsilon)));
    if (momentum > 0) step = f->slots[1] = kpar_x_add(e, kpar_x_times(e, f->slots[1], momentum), step);
    f->weight = kpar_x_sub(e, f->weight, step);
    return KPAR_OK;
}

/* Adagrad: Duchi, Hazan and Singer (2011). */

kpar_status kpar_optimizer_slots_adagrad(const char *owner, const json_t *config, kpar_optimizer_slot *slots,
                                         int *n)
{
    double initial;
    KPAR_TRY(kpar_config_number(owner, config, "initial_accumulator_value", 0.1, &initial));
    kpar_optimizer_slots_together(slots, n, (const char *const[]){"accumulator"}, 1, 0, initial);
    return KPAR_OK;
}

kpar_status kpar_optimizer_adagrad(const char *owner, const json_t *config, kpar_expression_builder *e,
                                   kpar_optimizer_formula *f)
{
    double epsilon;
    KPAR_TRY(kpar_config_number(owner, config, "epsilon", 1e-7, &epsilon));
    kpar_x sum = f->slots[0] = kpar_x_add(e, f->slots[0], kpar_x_square(e, f->gradient));
    kpar_x step =
        kpar_x_div(e, kpar_x_mul(e, f->rate, f->gradient), kpar_x_sqrt(e, kpar_x_plus(e, sum, epsilon)));
    f->weight = kpar_x_sub(e, f->weight, step);
    return KPAR_OK;
}

/* Adadelta: Zeiler (2012). */

kpar_status kpar_optimizer_slots_adadelta(const char *owner, const json_t *config, kpar_optimizer_slot *slots,
                                          int *n)
{
    (void)owner;
    (void)config;
    kpar_optimizer_slots_together(
        slots, n, (const char *const[]){"accumulated_grad", "accumulated_delta_var"}, 2, 0, 0);
    return KPAR_OK;
}

kpar_status kpar_optimizer_adadelta(const char *owner, const json_t *config, kpar_expression_builder *e,
                                    kpar_optimizer_formula *f)
{
    double rho, epsilon;
    KPAR_TRY(kpar_config_number(owner, config, "rho", 0.95, &rho));
    KPAR_TRY(kpar_config_number(owner, config, "epsilon", 1e-7, &epsilon));
    kpar_x gradients = kpar_x_mixed(e, f->slots[0], kpar_x_square(e, f->gradient), rho);
    kpar_x size = kpar_x_div(e, kpar_x_sqrt(e, kpar_x_plus(e, f->slots[1], epsilon)),
                             kpar_x_sqrt(e, kpar_x_plus(e, gradients, epsilon)));
    kpar_x change = kpar_x_mul(e, size, f->gradient);
    f->slots[0] = gradients;
    f->slots[1] = kpar_x_mixed(e, f->slots[1], kpar_x_square(e, change), rho);
    kpar_optimizer_descend(e, f, change);
    return KPAR_OK;
}
