/* Optimizers: each is its formula for one weight, written once. Here: the table, what formulas share, and those that keep
 * no squares to divide by. */
#include "model/optimizers.h"

kpar_x kpar_x_correction(kpar_expression_builder *e, double base, kpar_x step)
{
    return kpar_x_sub(e, kpar_x_constant(e, 1), kpar_x_pow(e, kpar_x_constant(e, base), step));
}

kpar_x kpar_x_moved(kpar_expression_builder *e, kpar_x average, kpar_x value, double decay)
{
    return kpar_x_add(e, average, kpar_x_times(e, kpar_x_sub(e, value, average), 1 - decay));
}

kpar_x kpar_x_mixed(kpar_expression_builder *e, kpar_x average, kpar_x value, double decay)
{
    return kpar_x_add(e, kpar_x_times(e, average, decay), kpar_x_times(e, value, 1 - decay));
}

void kpar_optimizer_descend(kpar_expression_builder *e, kpar_optimizer_formula *f, kpar_x direction)
{
    f->weight = kpar_x_sub(e, f->weight, kpar_x_mul(e, f->rate, direction));
}

kpar_optimizer_slot *kpar_optimizer_keep(kpar_optimizer_kept *k, const char *name, int group, double initial)
{
    k->slots[k->n] = (kpar_optimizer_slot){.name = name, .group = group, .initial = initial};
    return &k->slots[k->n++];
}

/* SGD */

KPAR_OPTIMIZER_KEEPS(sgd)
{
    double momentum;
    KPAR_TRY(kpar_config_number(k->owner, k->config, "momentum", 0, &momentum));
    if (momentum != 0) kpar_optimizer_keep(k, "momentum", 0, 0);
    return KPAR_OK;
}

KPAR_OPTIMIZER(sgd)
{
    double momentum;
    bool nesterov;
    KPAR_TRY(kpar_config_number(owner, config, "momentum", 0, &momentum));
    KPAR_TRY(kpar_config_boolean(owner, config, "nesterov", false, &nesterov));
    kpar_x step = kpar_x_mul(e, f->gradient, f->rate);
    if (momentum == 0) {
        f->weight = kpar_x_sub(e, f->weight, step);
        return KPAR_OK;
    }
    kpar_x velocity = kpar_x_sub(e, kpar_x_times(e, f->slots[0], momentum), step);
    kpar_x move = nesterov ? kpar_x_sub(e, kpar_x_times(e, velocity, momentum), step) : velocity;
    f->slots[0] = velocity;
    f->weight = kpar_x_add(e, f->weight, move);
    return KPAR_OK;
}

/* Lion: Chen et al., "Symbolic discovery of optimization algorithms" (2023). */

KPAR_OPTIMIZER_KEEPS(lion)
{
    kpar_optimizer_keep(k, "momentum", 0, 0);
    return KPAR_OK;
}

KPAR_OPTIMIZER(lion)
{
    double beta_1, beta_2;
    KPAR_TRY(kpar_config_number(owner, config, "beta_1", 0.9, &beta_1));
    KPAR_TRY(kpar_config_number(owner, config, "beta_2", 0.99, &beta_2));
    kpar_optimizer_descend(e, f, kpar_x_sign(e, kpar_x_mixed(e, f->slots[0], f->gradient, beta_1)));
    f->slots[0] = kpar_x_mixed(e, f->slots[0], f->gradient, beta_2);
    return KPAR_OK;
}

/* Ftrl: McMahan et al., "Ad click prediction" (2013). */

KPAR_OPTIMIZER_KEEPS(ftrl)
{
    double initial;
    KPAR_TRY(kpar_config_number(k->owner, k->config, "initial_accumulator_value", 0.1, &initial));
    kpar_optimizer_keep(k, "accumulator", 0, initial);
    kpar_optimizer_keep(k, "linear", 0, 0);
    return KPAR_OK;
}

KPAR_OPTIMIZER(ftrl)
{
    double power, l1, l2, shrinkage, beta;
    KPAR_TRY(kpar_config_number(owner, config, "learning_rate_power", -0.5, &power));
    KPAR_TRY(kpar_config_number(owner, config, "l1_regularization_strength", 0, &l1));
    KPAR_TRY(kpar_config_number(owner, config, "l2_regularization_strength", 0, &l2));
    KPAR_TRY(kpar_config_number(owner, config, "l2_shrinkage_regularization_strength", 0, &shrinkage));
    KPAR_TRY(kpar_config_number(owner, config, "beta", 0, &beta));
    kpar_x exponent = kpar_x_constant(e, -power);
    kpar_x gradient = kpar_x_add(e, f->gradient, kpar_x_times(e, f->weight, 2 * shrinkage));
    kpar_x sum = kpar_x_add(e, f->slots[0], kpar_x_square(e, f->gradient));
    kpar_x grown = kpar_x_pow(e, sum, exponent), before = kpar_x_pow(e, f->slots[0], exponent);
    kpar_x sigma = kpar_x_div(e, kpar_x_sub(e, grown, before), f->rate);
    kpar_x z = kpar_x_add(e, f->slots[1], kpar_x_sub(e, gradient, kpar_x_mul(e, sigma, f->weight)));
    kpar_x ridge = kpar_x_plus(e, kpar_x_div(e, kpar_x_constant(e, beta), kpar_x_times(e, f->rate, 2)), l2);
    kpar_x quadratic = kpar_x_add(e, kpar_x_div(e, grown, f->rate), kpar_x_times(e, ridge, 2));
    kpar_x clipped = kpar_x_clip(e, z, -l1, l1);
    f->slots[0] = sum;
    f->slots[1] = z;
    f->weight = kpar_x_div(e, kpar_x_sub(e, clipped, z), quadratic);
    return KPAR_OK;
}

/* A row's functions, where it has no others. */
#define FORMULA(row) .keeps = kpar_optimizer_keeps_##row, .formula = kpar_optimizer_##row
static const kpar_optimizer_row rows[] = {
    {"SGD", "", "gradient descent, with momentum and Nesterov's", "momentum nesterov", 0.01, 0, FORMULA(sgd)},
    {"Adam", "", "adaptive moments", "beta_1 beta_2 epsilon amsgrad", 0.001, 0, FORMULA(adam)},
    {"AdamW", "", "Adam with weight decay", "beta_1 beta_2 epsilon amsgrad", 0.001, 0.004, FORMULA(adam)},
    {"ScheduleFreeAdamW", "", "AdamW of averaged weights in the place of a schedule",
     "beta_1 beta_2 epsilon warmup_steps", 0.0025, 0, FORMULA(schedule_free)},
    {"Muon", "", "orthogonal steps of matrices, and Adam's of other weights",
     "adam_beta_1 adam_beta_2 adam_weight_decay epsilon exclude_layers exclude_embeddings "
     "muon_a muon_b muon_c adam_lr_ratio momentum ns_steps nesterov rms_rate",
     0.001, 0.004, FORMULA(muon), .decay = kpar_optimizer_muon_decay},
    {"Adamax", "", "Adam with the infinity norm", "beta_1 beta_2 epsilon", 0.001, 0, FORMULA(adamax)},
    {"RMSprop", "", "gradients over their root mean square", "rho momentum epsilon centered", 0.001, 0,
     FORMULA(rmsprop)},
    {"Adagrad", "", "gradients over the root of their summed squares", "initial_accumulator_value epsilon",
     0.001, 0, FORMULA(adagrad)},
    {"Adadelta", "", "steps scaled by the steps before", "rho epsilon", 0.001, 0, FORMULA(adadelta)},
    {"Lion", "", "the sign of the momentum", "beta_1 beta_2", 0.001, 0, FORMULA(lion)},
    {"Nadam", "", "Adam with Nesterov's momentum", "beta_1 beta_2 epsilon", 0.001, 0,
     .keeps = kpar_optimizer_keeps_moments, .formula = kpar_optimizer_nadam,
     .scalar = {"u_product", 1, kpar_optimizer_nadam_product}},
    {"Lamb", "", "Adam with steps in proportion to the weights", "beta_1 beta_2 epsilon", 0.001, 0,
     .keeps = kpar_optimizer_keeps_moments, .formula = kpar_optimizer_lamb},
    {"Adafactor", "", "moments of rows and columns",
     "beta_2_decay epsilon_1 epsilon_2 clip_threshold relative_step", 0.001, 0, FORMULA(adafactor)},
    {"Ftrl", "", "follow the regularized leader",
     "learning_rate_power initial_accumulator_value l1_regularization_strength l2_regularization_strength "
     "l2_shrinkage_regularization_strength beta",
     0.001, 0, FORMULA(ftrl)},
    {"MultiOptimizer", "", "others, each for the weights that a pattern fits", "optimizer_map", 0, 0,
     .members = kpar_optimizer_multi_members, .choose = kpar_optimizer_multi_choose},
};

const kpar_optimizer_row *kpar_optimizer_rows(int *n)
{
    *n = (int)(sizeof rows / sizeof rows[0]);
    return rows;
}
