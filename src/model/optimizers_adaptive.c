/* Optimizers that divide by a root of squared gradients, inside which Keras has the epsilon, or of squared steps. */
#include "model/optimizers.h"

/* RMSprop: Hinton, lecture 6e (2012). */

KPAR_OPTIMIZER_KEEPS(rmsprop)
{
    double momentum;
    bool centered;
    KPAR_TRY(kpar_config_number(k->owner, k->config, "momentum", 0, &momentum));
    KPAR_TRY(kpar_config_boolean(k->owner, k->config, "centered", false, &centered));
    kpar_optimizer_keep(k, "velocity", 0, 0);
    if (momentum > 0) kpar_optimizer_keep(k, "momentum", 1, 0);
    if (centered) kpar_optimizer_keep(k, "average_gradient", 2, 0);
    return KPAR_OK;
}

KPAR_OPTIMIZER(rmsprop)
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

KPAR_OPTIMIZER_KEEPS(adagrad)
{
    double initial;
    KPAR_TRY(kpar_config_number(k->owner, k->config, "initial_accumulator_value", 0.1, &initial));
    kpar_optimizer_keep(k, "accumulator", 0, initial);
    return KPAR_OK;
}

KPAR_OPTIMIZER(adagrad)
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

KPAR_OPTIMIZER_KEEPS(adadelta)
{
    kpar_optimizer_keep(k, "accumulated_grad", 0, 0);
    kpar_optimizer_keep(k, "accumulated_delta_var", 0, 0);
    return KPAR_OK;
}

KPAR_OPTIMIZER(adadelta)
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
