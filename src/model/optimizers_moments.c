/* Optimizers of Adam's family: averages of the gradient and of its square. Keras's epsilon is outside the root and not
 * corrected for bias. */
#include "model/optimizers.h"

static kpar_status read_moments(const char *owner, const json_t *config, double epsilon, kpar_moments *a)
{
    KPAR_TRY(kpar_config_number(owner, config, "beta_1", 0.9, &a->beta_1));
    KPAR_TRY(kpar_config_number(owner, config, "beta_2", 0.999, &a->beta_2));
    return kpar_config_number(owner, config, "epsilon", epsilon, &a->epsilon);
}

/* Adam: Kingma and Ba (2014), with AMSGrad by Reddi, Kale and Kumar (2018). */

KPAR_OPTIMIZER_KEEPS(adam)
{
    bool amsgrad;
    KPAR_TRY(kpar_config_boolean(k->owner, k->config, "amsgrad", false, &amsgrad));
    kpar_optimizer_keep(k, "momentum", 0, 0);
    kpar_optimizer_keep(k, "velocity", 0, 0);
    if (amsgrad) kpar_optimizer_keep(k, "velocity_hat", 1, 0);
    return KPAR_OK;
}

void kpar_optimizer_moments_step(kpar_expression_builder *e, kpar_optimizer_formula *f, const kpar_moments *a,
                                 kpar_x *largest)
{
    kpar_x root = kpar_x_sqrt(e, kpar_x_correction(e, a->beta_2, f->step));
    kpar_x alpha = kpar_x_div(e, kpar_x_mul(e, f->rate, root), kpar_x_correction(e, a->beta_1, f->step));
    kpar_x m = f->slots[0] = kpar_x_moved(e, f->slots[0], f->gradient, a->beta_1);
    kpar_x v = f->slots[1] = kpar_x_moved(e, f->slots[1], kpar_x_square(e, f->gradient), a->beta_2);
    if (largest) v = *largest = kpar_x_max(e, *largest, v);
    kpar_x size = kpar_x_plus(e, kpar_x_sqrt(e, v), a->epsilon);
    f->weight = kpar_x_sub(e, f->weight, kpar_x_div(e, kpar_x_mul(e, m, alpha), size));
}

KPAR_OPTIMIZER(adam)
{
    kpar_moments a;
    bool amsgrad;
    KPAR_TRY(read_moments(owner, config, 1e-7, &a));
    KPAR_TRY(kpar_config_boolean(owner, config, "amsgrad", false, &amsgrad));
    kpar_optimizer_moments_step(e, f, &a, amsgrad ? &f->slots[2] : NULL);
    return KPAR_OK;
}

/* Adamax: the infinity norm in Adam's place of the second moment. */

KPAR_OPTIMIZER_KEEPS(adamax)
{
    kpar_optimizer_keep(k, "momentum", 0, 0);
    kpar_optimizer_keep(k, "norm", 0, 0);
    return KPAR_OK;
}

KPAR_OPTIMIZER(adamax)
{
    kpar_moments a;
    KPAR_TRY(read_moments(owner, config, 1e-7, &a));
    kpar_x m = f->slots[0] = kpar_x_moved(e, f->slots[0], f->gradient, a.beta_1);
    kpar_x u = f->slots[1] =
        kpar_x_max(e, kpar_x_times(e, f->slots[1], a.beta_2), kpar_x_abs(e, f->gradient));
    kpar_x scale = kpar_x_mul(e, kpar_x_correction(e, a.beta_1, f->step), kpar_x_plus(e, u, a.epsilon));
    f->weight = kpar_x_sub(e, f->weight, kpar_x_div(e, kpar_x_mul(e, f->rate, m), scale));
    return KPAR_OK;
}

/* Of the two below. */
KPAR_OPTIMIZER_KEEPS(moments)
{
    kpar_optimizer_keep(k, "momentum", 0, 0);
    kpar_optimizer_keep(k, "velocity", 0, 0);
    return KPAR_OK;
}

/* Nadam: Dozat (2016), Adam with Nesterov's momentum. */

/* beta_1 (1 - 0.96^step / 2), the momentum of a step */
static kpar_x nadam_momentum(kpar_expression_builder *e, double beta_1, kpar_x step)
{
    kpar_x half = kpar_x_times(e, kpar_x_pow(e, kpar_x_constant(e, 0.96), step), 0.5);
    return kpar_x_times(e, kpar_x_sub(e, kpar_x_constant(e, 1), half), beta_1);
}

kpar_status kpar_optimizer_nadam_product(const char *owner, const json_t *config, kpar_expression_builder *e,
                                         kpar_x step, kpar_x *product)
{
    double beta_1;
    KPAR_TRY(kpar_config_number(owner, config, "beta_1", 0.9, &beta_1));
    *product = kpar_x_mul(e, *product, nadam_momentum(e, beta_1, step));
    return KPAR_OK;
}

KPAR_OPTIMIZER(nadam)
{
    kpar_moments a;
    KPAR_TRY(read_moments(owner, config, 1e-7, &a));
    kpar_x one = kpar_x_constant(e, 1), now = nadam_momentum(e, a.beta_1, f->step),
           next = nadam_momentum(e, a.beta_1, kpar_x_plus(e, f->step, 1));
    kpar_x m = f->slots[0] = kpar_x_moved(e, f->slots[0], f->gradient, a.beta_1);
    kpar_x v = f->slots[1] = kpar_x_moved(e, f->slots[1], kpar_x_square(e, f->gradient), a.beta_2);
    kpar_x of_mean = kpar_x_div(e, next, kpar_x_sub(e, one, kpar_x_mul(e, f->scalar, next)));
    kpar_x of_gradient = kpar_x_div(e, kpar_x_sub(e, one, now), kpar_x_sub(e, one, f->scalar));
    kpar_x mean = kpar_x_add(e, kpar_x_mul(e, m, of_mean), kpar_x_mul(e, f->gradient, of_gradient));
    kpar_x root = kpar_x_sqrt(e, kpar_x_div(e, v, kpar_x_correction(e, a.beta_2, f->step)));
    kpar_optimizer_descend(e, f, kpar_x_div(e, mean, kpar_x_plus(e, root, a.epsilon)));
    return KPAR_OK;
}

/* Lamb: You et al., "Large batch optimization for deep learning" (2019). */

/* a / b, or 1 where either is 0 */
static kpar_x ratio_or_one(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    kpar_x zero = kpar_x_constant(e, 0), one = kpar_x_constant(e, 1);
    kpar_x inner = kpar_x_select(e, kpar_x_lt(e, zero, b), kpar_x_div(e, a, b), one);
    return kpar_x_select(e, kpar_x_lt(e, zero, a), inner, one);
}

KPAR_OPTIMIZER(lamb)
{
    kpar_moments a;
    kpar_x of_weight, of_direction;
    KPAR_TRY(read_moments(owner, config, 1e-7, &a));
    kpar_x m = f->slots[0] = kpar_x_moved(e, f->slots[0], f->gradient, a.beta_1);
    kpar_x v = f->slots[1] = kpar_x_moved(e, f->slots[1], kpar_x_square(e, f->gradient), a.beta_2);
    kpar_x root = kpar_x_sqrt(e, kpar_x_div(e, v, kpar_x_correction(e, a.beta_2, f->step)));
    kpar_x direction = kpar_x_div(e, kpar_x_div(e, m, kpar_x_correction(e, a.beta_1, f->step)),
                                  kpar_x_plus(e, root, a.epsilon));
    KPAR_TRY(kpar_update_norm(f->update, f->weight, KPAR_ALL_AXES, &of_weight));
    KPAR_TRY(kpar_update_norm(f->update, direction, KPAR_ALL_AXES, &of_direction));
    kpar_optimizer_descend(e, f, kpar_x_mul(e, ratio_or_one(e, of_weight, of_direction), direction));
    return KPAR_OK;
}

/* Schedule-free AdamW: Defazio et al., "The road less scheduled" (2024). The weight is beta_1 of the way from the point
 * that descends, the slot "momentum", to the mean of all such points, which is not kept: it follows from the two. */

KPAR_OPTIMIZER_KEEPS(schedule_free)
{
    kpar_optimizer_keep(k, "momentum", 0, 0)->begins_as_weight = true;
    kpar_optimizer_keep(k, "velocity", 0, 0);
    return KPAR_OK;
}

/* The rate, which rises from 0 over the first steps. */
static kpar_x warmed_up(kpar_expression_builder *e, const kpar_optimizer_formula *f, int64_t steps)
{
    if (steps <= 0) return f->rate;
    kpar_x share = kpar_x_div(e, f->step, kpar_x_constant(e, (double)steps));
    return kpar_x_mul(e, f->rate, kpar_x_min(e, share, kpar_x_constant(e, 1)));
}

/* from + (to - from) share */
static kpar_x between(kpar_expression_builder *e, kpar_x from, kpar_x to, kpar_x share)
{
    kpar_x rest = kpar_x_sub(e, kpar_x_constant(e, 1), share);
    return kpar_x_add(e, kpar_x_mul(e, from, rest), kpar_x_mul(e, to, share));
}

KPAR_OPTIMIZER(schedule_free)
{
    kpar_moments a;
    int64_t warmup;
    KPAR_TRY(read_moments(owner, config, 1e-8, &a));
    KPAR_TRY(kpar_config_integer(owner, config, "warmup_steps", 0, &warmup));
    kpar_x one = kpar_x_constant(e, 1), before = f->slots[0];
    kpar_x mean = kpar_x_div(e, kpar_x_sub(e, f->weight, kpar_x_times(e, before, 1 - a.beta_1)),
                             kpar_x_constant(e, a.beta_1));
    kpar_x v = f->slots[1] = kpar_x_moved(e, f->slots[1], kpar_x_square(e, f->gradient), a.beta_2);
    kpar_x root = kpar_x_sqrt(e, kpar_x_div(e, v, kpar_x_correction(e, a.beta_2, f->step)));
    kpar_x step =
        kpar_x_div(e, kpar_x_mul(e, warmed_up(e, f, warmup), f->gradient), kpar_x_plus(e, root, a.epsilon));
    kpar_x point = f->slots[0] = kpar_x_sub(e, before, step);
    mean = between(e, mean, point, kpar_x_div(e, one, f->step));
    f->weight = between(e, point, mean, kpar_x_constant(e, a.beta_1));
    return KPAR_OK;
}
