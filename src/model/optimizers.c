/* Optimizers: each is its formula for one weight, written once. Keras's own forms: Adam's epsilon is outside the root
 * and not corrected for bias, RMSprop's and Adagrad's is inside. */
#include "model/lower_internal.h"

static kpar_x constant(kpar_expression_builder *e, double value) { return kpar_x_constant(e, value); }
static kpar_x times(kpar_expression_builder *e, kpar_x x, double factor)
{
    return kpar_x_mul(e, x, constant(e, factor));
}
static kpar_x plus(kpar_expression_builder *e, kpar_x x, double term)
{
    return kpar_x_add(e, x, constant(e, term));
}

/* 1 - base^step */
static kpar_x correction(kpar_expression_builder *e, double base, kpar_x step)
{
    return kpar_x_sub(e, constant(e, 1), kpar_x_pow(e, constant(e, base), step));
}

/* average + (value - average) (1 - decay) */
static kpar_x moved(kpar_expression_builder *e, kpar_x average, kpar_x value, double decay)
{
    return kpar_x_add(e, average, times(e, kpar_x_sub(e, value, average), 1 - decay));
}

/* decay average + (1 - decay) value */
static kpar_x mixed(kpar_expression_builder *e, kpar_x average, kpar_x value, double decay)
{
    return kpar_x_add(e, times(e, average, decay), times(e, value, 1 - decay));
}

/* weight - rate direction */
static void descend(kpar_expression_builder *e, kpar_optimizer_formula *f, kpar_x direction)
{
    f->weight = kpar_x_sub(e, f->weight, kpar_x_mul(e, f->rate, direction));
}

/* Fills `slots` with `names`, all of one group. */
static void slots_together(kpar_optimizer_slot *slots, int *n, const char *const *names, int n_names,
                           int group, double initial)
{
    for (int i = 0; i < n_names; i++) slots[(*n)++] = (kpar_optimizer_slot){names[i], group, initial, 0};
}

/* SGD */

static kpar_status sgd_slots(const char *owner, const json_t *config, kpar_optimizer_slot *slots, int *n)
{
    double momentum;
    KPAR_TRY(kpar_config_number(owner, config, "momentum", 0, &momentum));
    if (momentum != 0) slots_together(slots, n, (const char *const[]){"momentum"}, 1, 0, 0);
    return KPAR_OK;
}

static kpar_status sgd(const char *owner, const json_t *config, kpar_expression_builder *e,
                       kpar_optimizer_formula *f)
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
    kpar_x velocity = kpar_x_sub(e, times(e, f->slots[0], momentum), step);
    kpar_x move = nesterov ? kpar_x_sub(e, times(e, velocity, momentum), step) : velocity;
    f->slots[0] = velocity;
    f->weight = kpar_x_add(e, f->weight, move);
    return KPAR_OK;
}

/* Adam: Kingma and Ba (2014), with AMSGrad by Reddi, Kale and Kumar (2018). */

static kpar_status adam_slots(const char *owner, const json_t *config, kpar_optimizer_slot *slots, int *n)
{
    bool amsgrad;
    KPAR_TRY(kpar_config_boolean(owner, config, "amsgrad", false, &amsgrad));
    slots_together(slots, n, (const char *const[]){"momentum", "velocity"}, 2, 0, 0);
    if (amsgrad) slots_together(slots, n, (const char *const[]){"velocity_hat"}, 1, 1, 0);
    return KPAR_OK;
}

static kpar_status adam(const char *owner, const json_t *config, kpar_expression_builder *e,
                        kpar_optimizer_formula *f)
{
    double beta_1, beta_2, epsilon;
    bool amsgrad;
    KPAR_TRY(kpar_config_number(owner, config, "beta_1", 0.9, &beta_1));
    KPAR_TRY(kpar_config_number(owner, config, "beta_2", 0.999, &beta_2));
    KPAR_TRY(kpar_config_number(owner, config, "epsilon", 1e-7, &epsilon));
    KPAR_TRY(kpar_config_boolean(owner, config, "amsgrad", false, &amsgrad));
    kpar_x alpha = kpar_x_div(e, kpar_x_mul(e, f->rate, kpar_x_sqrt(e, correction(e, beta_2, f->step))),
                              correction(e, beta_1, f->step));
    kpar_x m = moved(e, f->slots[0], f->gradient, beta_1);
    kpar_x v = moved(e, f->slots[1], kpar_x_square(e, f->gradient), beta_2);
    f->slots[0] = m;
    f->slots[1] = v;
    if (amsgrad) v = f->slots[2] = kpar_x_max(e, f->slots[2], v);
    f->weight =
        kpar_x_sub(e, f->weight, kpar_x_div(e, kpar_x_mul(e, m, alpha), plus(e, kpar_x_sqrt(e, v), epsilon)));
    return KPAR_OK;
}

/* Adamax: the infinity norm in Adam's place of the second moment. */

static kpar_status adamax_slots(const char *owner, const json_t *config, kpar_optimizer_slot *slots, int *n)
{
    (void)owner;
    (void)config;
    slots_together(slots, n, (const char *const[]){"momentum", "norm"}, 2, 0, 0);
    return KPAR_OK;
}

static kpar_status adamax(const char *owner, const json_t *config, kpar_expression_builder *e,
                          kpar_optimizer_formula *f)
{
    double beta_1, beta_2, epsilon;
    KPAR_TRY(kpar_config_number(owner, config, "beta_1", 0.9, &beta_1));
    KPAR_TRY(kpar_config_number(owner, config, "beta_2", 0.999, &beta_2));
    KPAR_TRY(kpar_config_number(owner, config, "epsilon", 1e-7, &epsilon));
    kpar_x m = f->slots[0] = moved(e, f->slots[0], f->gradient, beta_1);
    kpar_x u = f->slots[1] = kpar_x_max(e, times(e, f->slots[1], beta_2), kpar_x_abs(e, f->gradient));
    kpar_x scale = kpar_x_mul(e, correction(e, beta_1, f->step), plus(e, u, epsilon));
    f->weight = kpar_x_sub(e, f->weight, kpar_x_div(e, kpar_x_mul(e, f->rate, m), scale));
    return KPAR_OK;
}

/* RMSprop: Hinton, lecture 6e (2012). */

static kpar_status rmsprop_slots(const char *owner, const json_t *config, kpar_optimizer_slot *slots, int *n)
{
    double momentum;
    bool centered;
    KPAR_TRY(kpar_config_number(owner, config, "momentum", 0, &momentum));
    KPAR_TRY(kpar_config_boolean(owner, config, "centered", false, &centered));
    slots_together(slots, n, (const char *const[]){"velocity"}, 1, 0, 0);
    if (momentum > 0) slots_together(slots, n, (const char *const[]){"momentum"}, 1, 1, 0);
    if (centered) slots_together(slots, n, (const char *const[]){"average_gradient"}, 1, 2, 0);
    return KPAR_OK;
}

static kpar_status rmsprop(const char *owner, const json_t *config, kpar_expression_builder *e,
                           kpar_optimizer_formula *f)
{
    double rho, momentum, epsilon;
    bool centered;
    KPAR_TRY(kpar_config_number(owner, config, "rho", 0.9, &rho));
    KPAR_TRY(kpar_config_number(owner, config, "momentum", 0, &momentum));
    KPAR_TRY(kpar_config_number(owner, config, "epsilon", 1e-7, &epsilon));
    KPAR_TRY(kpar_config_boolean(owner, config, "centered", false, &centered));
    kpar_x variance = f->slots[0] = mixed(e, f->slots[0], kpar_x_square(e, f->gradient), rho);
    if (centered) {
        kpar_x *average = &f->slots[momentum > 0 ? 2 : 1];
        *average = mixed(e, *average, f->gradient, rho);
        variance = kpar_x_sub(e, variance, kpar_x_square(e, *average));
    }
    kpar_x step =
        kpar_x_div(e, kpar_x_mul(e, f->rate, f->gradient), kpar_x_sqrt(e, plus(e, variance, epsilon)));
    if (momentum > 0) step = f->slots[1] = kpar_x_add(e, times(e, f->slots[1], momentum), step);
    f->weight = kpar_x_sub(e, f->weight, step);
    return KPAR_OK;
}

/* Adagrad: Duchi, Hazan and Singer (2011). */

static kpar_status adagrad_slots(const char *owner, const json_t *config, kpar_optimizer_slot *slots, int *n)
{
    double initial;
    KPAR_TRY(kpar_config_number(owner, config, "initial_accumulator_value", 0.1, &initial));
    slots_together(slots, n, (const char *const[]){"accumulator"}, 1, 0, initial);
    return KPAR_OK;
}

static kpar_status adagrad(const char *owner, const json_t *config, kpar_expression_builder *e,
                           kpar_optimizer_formula *f)
{
    double epsilon;
    KPAR_TRY(kpar_config_number(owner, config, "epsilon", 1e-7, &epsilon));
    kpar_x sum = f->slots[0] = kpar_x_add(e, f->slots[0], kpar_x_square(e, f->gradient));
    kpar_x step = kpar_x_div(e, kpar_x_mul(e, f->rate, f->gradient), kpar_x_sqrt(e, plus(e, sum, epsilon)));
    f->weight = kpar_x_sub(e, f->weight, step);
    return KPAR_OK;
}

/* Adadelta: Zeiler (2012). */

static kpar_status adadelta_slots(const char *owner, const json_t *config, kpar_optimizer_slot *slots, int *n)
{
    (void)owner;
    (void)config;
    slots_together(slots, n, (const char *const[]){"accumulated_grad", "accumulated_delta_var"}, 2, 0, 0);
    return KPAR_OK;
}

static kpar_status adadelta(const char *owner, const json_t *config, kpar_expression_builder *e,
                            kpar_optimizer_formula *f)
{
    double rho, epsilon;
    KPAR_TRY(kpar_config_number(owner, config, "rho", 0.95, &rho));
    KPAR_TRY(kpar_config_number(owner, config, "epsilon", 1e-7, &epsilon));
    kpar_x gradients = mixed(e, f->slots[0], kpar_x_square(e, f->gradient), rho);
    kpar_x size = kpar_x_div(e, kpar_x_sqrt(e, plus(e, f->slots[1], epsilon)),
                             kpar_x_sqrt(e, plus(e, gradients, epsilon)));
    kpar_x change = kpar_x_mul(e, size, f->gradient);
    f->slots[0] = gradients;
    f->slots[1] = mixed(e, f->slots[1], kpar_x_square(e, change), rho);
    descend(e, f, change);
    return KPAR_OK;
}

/* Lion: Chen et al., "Symbolic discovery of optimization algorithms" (2023). */

static kpar_status lion_slots(const char *owner, const json_t *config, kpar_optimizer_slot *slots, int *n)
{
    (void)owner;
    (void)config;
    slots_together(slots, n, (const char *const[]){"momentum"}, 1, 0, 0);
    return KPAR_OK;
}

static kpar_status lion(const char *owner, const json_t *config, kpar_expression_builder *e,
                        kpar_optimizer_formula *f)
{
    double beta_1, beta_2;
    KPAR_TRY(kpar_config_number(owner, config, "beta_1", 0.9, &beta_1));
    KPAR_TRY(kpar_config_number(owner, config, "beta_2", 0.99, &beta_2));
    descend(e, f, kpar_x_sign(e, mixed(e, f->slots[0], f->gradient, beta_1)));
    f->slots[0] = mixed(e, f->slots[0], f->gradient, beta_2);
    return KPAR_OK;
}

/* Ftrl: McMahan et al., "Ad click prediction" (2013). */

static kpar_status ftrl_slots(const char *owner, const json_t *config, kpar_optimizer_slot *slots, int *n)
{
    double initial;
    KPAR_TRY(kpar_config_number(owner, config, "initial_accumulator_value", 0.1, &initial));
    slots_together(slots, n, (const char *const[]){"accumulator"}, 1, 0, initial);
    slots_together(slots, n, (const char *const[]){"linear"}, 1, 0, 0);
    return KPAR_OK;
}

static kpar_status ftrl(const char *owner, const json_t *config, kpar_expression_builder *e,
                        kpar_optimizer_formula *f)
{
    double power, l1, l2, shrinkage, beta;
    KPAR_TRY(kpar_config_number(owner, config, "learning_rate_power", -0.5, &power));
    KPAR_TRY(kpar_config_number(owner, config, "l1_regularization_strength", 0, &l1));
    KPAR_TRY(kpar_config_number(owner, config, "l2_regularization_strength", 0, &l2));
    KPAR_TRY(kpar_config_number(owner, config, "l2_shrinkage_regularization_strength", 0, &shrinkage));
    KPAR_TRY(kpar_config_number(owner, config, "beta", 0, &beta));
    kpar_x exponent = constant(e, -power);
    kpar_x gradient = kpar_x_add(e, f->gradient, times(e, f->weight, 2 * shrinkage));
    kpar_x sum = kpar_x_add(e, f->slots[0], kpar_x_square(e, f->gradient));
    kpar_x grown = kpar_x_pow(e, sum, exponent), before = kpar_x_pow(e, f->slots[0], exponent);
    kpar_x sigma = kpar_x_div(e, kpar_x_sub(e, grown, before), f->rate);
    kpar_x z = kpar_x_add(e, f->slots[1], kpar_x_sub(e, gradient, kpar_x_mul(e, sigma, f->weight)));
    kpar_x ridge = plus(e, kpar_x_div(e, constant(e, beta), times(e, f->rate, 2)), l2);
    kpar_x quadratic = kpar_x_add(e, kpar_x_div(e, grown, f->rate), times(e, ridge, 2));
    kpar_x clipped = kpar_x_min(e, kpar_x_max(e, z, constant(e, -l1)), constant(e, l1));
    f->slots[0] = sum;
    f->slots[1] = z;
    f->weight = kpar_x_div(e, kpar_x_sub(e, clipped, z), quadratic);
    return KPAR_OK;
}

/* Slots of the two below. */
static kpar_status moments_slots(const char *owner, const json_t *config, kpar_optimizer_slot *slots, int *n)
{
    (void)owner;
    (void)config;
    slots_together(slots, n, (const char *const[]){"momentum", "velocity"}, 2, 0, 0);
    return KPAR_OK;
}

/* Nadam: Dozat (2016), Adam with Nesterov's momentum. */

/* beta_1 (1 - 0.96^step / 2), the momentum of a step */
static kpar_x nadam_momentum(kpar_expression_builder *e, double beta_1, kpar_x step)
{
    kpar_x half = times(e, kpar_x_pow(e, constant(e, 0.96), step), 0.5);
    return times(e, kpar_x_sub(e, constant(e, 1), half), beta_1);
}

static kpar_status nadam_product(const char *owner, const json_t *config, kpar_expression_builder *e,
                                 kpar_x step, kpar_x *product)
{
    double beta_1;
    KPAR_TRY(kpar_config_number(owner, config, "beta_1", 0.9, &beta_1));
    *product = kpar_x_mul(e, *product, nadam_momentum(e, beta_1, step));
    return KPAR_OK;
}

static kpar_status nadam(const char *owner, const json_t *config, kpar_expression_builder *e,
                         kpar_optimizer_formula *f)
{
    double beta_1, beta_2, epsilon;
    KPAR_TRY(kpar_config_number(owner, config, "beta_1", 0.9, &beta_1));
    KPAR_TRY(kpar_config_number(owner, config, "beta_2", 0.999, &beta_2));
    KPAR_TRY(kpar_config_number(owner, config, "epsilon", 1e-7, &epsilon));
    kpar_x one = constant(e, 1), now = nadam_momentum(e, beta_1, f->step),
           next = nadam_momentum(e, beta_1, plus(e, f->step, 1));
    kpar_x m = f->slots[0] = moved(e, f->slots[0], f->gradient, beta_1);
    kpar_x v = f->slots[1] = moved(e, f->slots[1], kpar_x_square(e, f->gradient), beta_2);
    kpar_x of_mean = kpar_x_div(e, next, kpar_x_sub(e, one, kpar_x_mul(e, f->scalar, next)));
    kpar_x of_gradient = kpar_x_div(e, kpar_x_sub(e, one, now), kpar_x_sub(e, one, f->scalar));
    kpar_x mean = kpar_x_add(e, kpar_x_mul(e, m, of_mean), kpar_x_mul(e, f->gradient, of_gradient));
    kpar_x root = kpar_x_sqrt(e, kpar_x_div(e, v, correction(e, beta_2, f->step)));
    descend(e, f, kpar_x_div(e, mean, plus(e, root, epsilon)));
    return KPAR_OK;
}

/* Lamb: You et al., "Large batch optimization for deep learning" (2019). */

/* a / b, or 1 where either is 0 */
static kpar_x ratio_or_one(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    kpar_x zero = constant(e, 0), one = constant(e, 1);
    kpar_x inner = kpar_x_select(e, kpar_x_lt(e, zero, b), kpar_x_div(e, a, b), one);
    return kpar_x_select(e, kpar_x_lt(e, zero, a), inner, one);
}

static kpar_status lamb(const char *owner, const json_t *config, kpar_expression_builder *e,
                        kpar_optimizer_formula *f)
{
    double beta_1, beta_2, epsilon;
    kpar_x of_weight, of_direction;
    KPAR_TRY(kpar_config_number(owner, config, "beta_1", 0.9, &beta_1));
    KPAR_TRY(kpar_config_number(owner, config, "beta_2", 0.999, &beta_2));
    KPAR_TRY(kpar_config_number(owner, config, "epsilon", 1e-7, &epsilon));
    kpar_x m = f->slots[0] = moved(e, f->slots[0], f->gradient, beta_1);
    kpar_x v = f->slots[1] = moved(e, f->slots[1], kpar_x_square(e, f->gradient), beta_2);
    kpar_x root = kpar_x_sqrt(e, kpar_x_div(e, v, correction(e, beta_2, f->step)));
    kpar_x direction =
        kpar_x_div(e, kpar_x_div(e, m, correction(e, beta_1, f->step)), plus(e, root, epsilon));
    KPAR_TRY(kpar_update_norm(f->update, f->weight, KPAR_ALL_AXES, &of_weight));
    KPAR_TRY(kpar_update_norm(f->update, direction, KPAR_ALL_AXES, &of_direction));
    descend(e, f, kpar_x_mul(e, ratio_or_one(e, of_weight, of_direction), direction));
    return KPAR_OK;
}

/* Adafactor: Shazeer and Stern (2018). The second moments of a matrix are kept as means of its rows and columns. */

static kpar_status adafactor_slots(const char *owner, const json_t *config, kpar_optimizer_slot *slots,
                                   int *n)
{
    (void)owner;
    (void)config;
    slots[(*n)++] = (kpar_optimizer_slot){"row_velocity", 0, 0, -1};
    slots[(*n)++] = (kpar_optimizer_slot){"column_velocity", 0, 0, -2};
    slots[(*n)++] = (kpar_optimizer_slot){"velocity", 0, 0, 0};
    return KPAR_OK;
}

static kpar_status mean_over(kpar_update *u, kpar_x x, unsigned axes, kpar_x *mean)
{
    KPAR_TRY(kpar_update_sum(u, x, axes, mean));
    *mean = times(u->e, *mean, 1 / kpar_update_elements(u, axes));
    return KPAR_OK;
}

static kpar_status root_mean_square(kpar_update *u, kpar_x x, kpar_x *root)
{
    KPAR_TRY(mean_over(u, kpar_x_square(u->e, x), KPAR_ALL_AXES, root));
    *root = kpar_x_sqrt(u->e, *root);
    return KPAR_OK;
}

/* decay average + (1 - decay) value, where the decay changes with the step */
static kpar_x mixed_by(kpar_expression_builder *e, kpar_x average, kpar_x value, kpar_x decay)
{
    kpar_x rest = kpar_x_sub(e, constant(e, 1), decay);
    return kpar_x_add(e, kpar_x_mul(e, average, decay), kpar_x_mul(e, value, rest));
}

static kpar_status adafactor_velocity(kpar_update *u, kpar_x squares, kpar_x decay, kpar_x slots[3])
{
    kpar_expression_builder *e = u->e;
    const int rank = u->shape.rank;
    kpar_x rows, columns, mean;
    if (rank < 2) {
        slots[2] = mixed_by(e, slots[2], squares, decay);
        return KPAR_OK;
    }
    const unsigned last = 1u << (rank - 1), before = last >> 1;
    KPAR_TRY(mean_over(u, squares, last, &rows));
    KPAR_TRY(mean_over(u, squares, before, &columns));
    slots[0] = mixed_by(e, slots[0], rows, decay);
    slots[1] = mixed_by(e, slots[1], columns, decay);
    KPAR_TRY(mean_over(u, slots[0], before, &mean)); /* the rows' means lie along this one */
    slots[2] = kpar_x_mul(e, kpar_x_div(e, slots[0], mean), slots[1]);
    return KPAR_OK;
}

static kpar_status adafactor(const char *owner, const json_t *config, kpar_expression_builder *e,
                             kpar_optimizer_formula *f)
{
    double power, epsilon_1, epsilon_2, threshold;
    kpar_x size, length;
    KPAR_TRY(kpar_config_number(owner, config, "beta_2_decay", -0.8, &power));
    KPAR_TRY(kpar_config_number(owner, config, "epsilon_1", 1e-30, &epsilon_1));
    KPAR_TRY(kpar_config_number(owner, config, "epsilon_2", 1e-3, &epsilon_2));
    KPAR_TRY(kpar_config_number(owner, config, "clip_threshold", 1, &threshold));
    kpar_x one = constant(e, 1), decay = kpar_x_sub(e, one, kpar_x_pow(e, f->step, constant(e, power)));
    /* The argument relative_step asks for the same limit once more. */
    kpar_x rate = kpar_x_min(e, f->rate, kpar_x_div(e, one, kpar_x_sqrt(e, f->step)));
    KPAR_TRY(root_mean_square(f->update, f->weight, &size));
    kpar_x squares = plus(e, kpar_x_square(e, f->gradient), epsilon_1);
    KPAR_TRY(adafactor_velocity(f->update, squares, decay, f->slots));
    kpar_x direction = kpar_x_div(e, f->gradient, kpar_x_sqrt(e, f->slots[2]));
    KPAR_TRY(root_mean_square(f->update, direction, &length));
    kpar_x clip = kpar_x_max(e, one, times(e, length, 1 / threshold));
    kpar_x step = kpar_x_mul(e, kpar_x_max(e, size, constant(e, epsilon_2)), rate);
    f->weight = kpar_x_sub(e, f->weight, kpar_x_mul(e, step, kpar_x_div(e, direction, clip)));
    return KPAR_OK;
}

#define NO_SCALAR                                                                                            \
    {                                                                                                        \
        NULL, 0, NULL                                                                                        \
    }
static const kpar_optimizer_row rows[] = {
    {"SGD", "", "gradient descent, with momentum and Nesterov's", "momentum nesterov", 0.01, 0, sgd_slots,
     sgd, NO_SCALAR},
    {"Adam", "", "adaptive moments", "beta_1 beta_2 epsilon amsgrad", 0.001, 0, adam_slots, adam, NO_SCALAR},
    {"AdamW", "", "Adam with weight decay", "beta_1 beta_2 epsilon amsgrad", 0.001, 0.004, adam_slots, adam,
     NO_SCALAR},
    {"Adamax", "", "Adam with the infinity norm", "beta_1 beta_2 epsilon", 0.001, 0, adamax_slots, adamax,
     NO_SCALAR},
    {"RMSprop", "", "gradients over their root mean square", "rho momentum epsilon centered", 0.001, 0,
     rmsprop_slots, rmsprop, NO_SCALAR},
    {"Adagrad", "", "gradients over the root of their summed squares", "initial_accumulator_value epsilon",
     0.001, 0, adagrad_slots, adagrad, NO_SCALAR},
    {"Adadelta", "", "steps scaled by the steps before", "rho epsilon", 0.001, 0, adadelta_slots, adadelta,
     NO_SCALAR},
    {"Lion", "", "the sign of the momentum", "beta_1 beta_2", 0.001, 0, lion_slots, lion, NO_SCALAR},
    {"Nadam",
     "",
     "Adam with Nesterov's momentum",
     "beta_1 beta_2 epsilon",
     0.001,
     0,
     moments_slots,
     nadam,
     {"u_product", 1, nadam_product}},
    {"Lamb", "", "Adam with steps in proportion to the weights", "beta_1 beta_2 epsilon", 0.001, 0,
     moments_slots, lamb, NO_SCALAR},
    {"Adafactor", "", "moments of rows and columns",
     "beta_2_decay epsilon_1 epsilon_2 clip_threshold relative_step", 0.001, 0, adafactor_slots, adafactor,
     NO_SCALAR},
    {"Ftrl", "", "follow the regularized leader",
     "learning_rate_power initial_accumulator_value l1_regularization_strength l2_regularization_strength "
     "l2_shrinkage_regularization_strength beta",
     0.001, 0, ftrl_slots, ftrl, NO_SCALAR},
};

const kpar_optimizer_row *kpar_optimizer_rows(int *n)
{
    *n = (int)(sizeof rows / sizeof rows[0]);
    return rows;
}
