/* Adafactor: Shazeer and Stern (2018). The second moments of a matrix are kept as means of its rows and columns. */
#include "model/optimizers.h"

KPAR_OPTIMIZER_KEEPS(adafactor)
{
    kpar_optimizer_keep(k, "row_velocity", 0, 0)->without = -1;
    kpar_optimizer_keep(k, "column_velocity", 0, 0)->without = -2;
    kpar_optimizer_keep(k, "velocity", 0, 0);
    return KPAR_OK;
}

static kpar_status mean_over(kpar_update *u, kpar_x x, unsigned axes, kpar_x *mean)
{
    KPAR_TRY(kpar_update_sum(u, x, axes, mean));
    *mean = kpar_x_times(u->e, *mean, 1 / kpar_update_elements(u, axes));
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
    kpar_x rest = kpar_x_sub(e, kpar_x_constant(e, 1), decay);
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

KPAR_OPTIMIZER(adafactor)
{
    double power, epsilon_1, epsilon_2, threshold;
    kpar_x size, length;
    KPAR_TRY(kpar_config_number(owner, config, "beta_2_decay", -0.8, &power));
    KPAR_TRY(kpar_config_number(owner, config, "epsilon_1", 1e-30, &epsilon_1));
    KPAR_TRY(kpar_config_number(owner, config, "epsilon_2", 1e-3, &epsilon_2));
    KPAR_TRY(kpar_config_number(owner, config, "clip_threshold", 1, &threshold));
    kpar_x one = kpar_x_constant(e, 1),
           decay = kpar_x_sub(e, one, kpar_x_pow(e, f->step, kpar_x_constant(e, power)));
    /* The argument relative_step asks for the same limit once more. */
    kpar_x rate = kpar_x_min(e, f->rate, kpar_x_div(e, one, kpar_x_sqrt(e, f->step)));
    KPAR_TRY(root_mean_square(f->update, f->weight, &size));
    kpar_x squares = kpar_x_plus(e, kpar_x_square(e, f->gradient), epsilon_1);
    KPAR_TRY(adafactor_velocity(f->update, squares, decay, f->slots));
    kpar_x direction = kpar_x_div(e, f->gradient, kpar_x_sqrt(e, f->slots[2]));
    KPAR_TRY(root_mean_square(f->update, direction, &length));
    kpar_x clip = kpar_x_max(e, one, kpar_x_times(e, length, 1 / threshold));
    kpar_x step = kpar_x_mul(e, kpar_x_max(e, size, kpar_x_constant(e, epsilon_2)), rate);
    f->weight = kpar_x_sub(e, f->weight, kpar_x_mul(e, step, kpar_x_div(e, direction, clip)));
    return KPAR_OK;
}
