/* Learning-rate schedules: the rate as an expression of the iteration, which is 0 in the first step. */
#include "model/lower_internal.h"

#include <math.h>

/* A number that has no default and, if `positive`, divides. */
static kpar_status required(const char *owner, const json_t *config, const char *key, bool positive,
                            double *value)
{
    const json_t *json = json_object_get(config, key);
    if (!json || json_is_null(json))
        return kpar_fail(KPAR_EFORMAT, "%s: argument '%s' is missing", owner, key);
    KPAR_TRY(kpar_config_number(owner, config, key, 0, value));
    if (!positive || *value > 0) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s: argument '%s' is %g, expected more than 0", owner, key, *value);
}

/* iteration / decay_steps, in whole numbers with staircase. */
static kpar_status progress(const char *owner, const json_t *config, kpar_expression_builder *e,
                            kpar_x iteration, kpar_x *share)
{
    double steps;
    bool staircase;
    KPAR_TRY(required(owner, config, "decay_steps", true, &steps));
    KPAR_TRY(kpar_config_boolean(owner, config, "staircase", false, &staircase));
    *share = kpar_x_div(e, iteration, kpar_x_constant(e, steps));
    if (staircase) *share = kpar_x_floor(e, *share);
    return KPAR_OK;
}

static kpar_status exponential(const char *owner, const json_t *config, kpar_expression_builder *e,
                               kpar_x iteration, kpar_x *rate)
{
    double initial, decay;
    kpar_x share;
    KPAR_TRY(required(owner, config, "initial_learning_rate", false, &initial));
    KPAR_TRY(required(owner, config, "decay_rate", false, &decay));
    KPAR_TRY(progress(owner, config, e, iteration, &share));
    *rate = kpar_x_times(e, kpar_x_pow(e, kpar_x_constant(e, decay), share), initial);
    return KPAR_OK;
}

static kpar_status inverse_time(const char *owner, const json_t *config, kpar_expression_builder *e,
                                kpar_x iteration, kpar_x *rate)
{
    double initial, decay;
    kpar_x share;
    KPAR_TRY(required(owner, config, "initial_learning_rate", false, &initial));
    KPAR_TRY(required(owner, config, "decay_rate", false, &decay));
    KPAR_TRY(progress(owner, config, e, iteration, &share));
    *rate = kpar_x_div(e, kpar_x_constant(e, initial),
                       kpar_x_add(e, kpar_x_times(e, share, decay), kpar_x_constant(e, 1)));
    return KPAR_OK;
}

/* (initial - end) (1 - s / n)^power + end; with `cycle` n grows to the next multiple of decay_steps. */
static kpar_status polynomial(const char *owner, const json_t *config, kpar_expression_builder *e,
                              kpar_x iteration, kpar_x *rate)
{
    double initial, end, power, steps;
    bool cycle;
    KPAR_TRY(required(owner, config, "initial_learning_rate", false, &initial));
    KPAR_TRY(required(owner, config, "decay_steps", true, &steps));
    KPAR_TRY(kpar_config_number(owner, config, "end_learning_rate", 0.0001, &end));
    KPAR_TRY(kpar_config_number(owner, config, "power", 1, &power));
    KPAR_TRY(kpar_config_boolean(owner, config, "cycle", false, &cycle));
    kpar_x n = kpar_x_constant(e, steps);
    if (cycle) {
        kpar_x ceiling = kpar_x_neg(e, kpar_x_floor(e, kpar_x_neg(e, kpar_x_div(e, iteration, n))));
        n = kpar_x_mul(e, n, kpar_x_max(e, ceiling, kpar_x_constant(e, 1)));
    } else
        iteration = kpar_x_min(e, iteration, n);
    kpar_x left = kpar_x_sub(e, kpar_x_constant(e, 1), kpar_x_div(e, iteration, n));
    *rate = kpar_x_add(e, kpar_x_times(e, kpar_x_pow(e, left, kpar_x_constant(e, power)), initial - end),
                       kpar_x_constant(e, end));
    return KPAR_OK;
}

/* values[i] up to and with boundaries[i], the last value after all. */
static kpar_status piecewise(const char *owner, const json_t *config, kpar_expression_builder *e,
                             kpar_x iteration, kpar_x *rate)
{
    const json_t *boundaries = json_object_get(config, "boundaries"),
                 *values = json_object_get(config, "values");
    const size_t n = json_array_size(boundaries);
    if (n == 0 || json_array_size(values) != n + 1)
        return kpar_fail(
            KPAR_EFORMAT,
            "%s: expected lists 'boundaries' of n and 'values' of n + 1 numbers, found %zu and %zu", owner, n,
            json_array_size(values));
    for (size_t i = 0; i <= n; i++)
        if (!json_is_number(json_array_get(values, i)) ||
            (i < n && !json_is_number(json_array_get(boundaries, i))))
            return kpar_fail(KPAR_EFORMAT,
                             "%s: arguments 'boundaries' and 'values': element %zu is not a number", owner,
                             i);
    *rate = kpar_x_constant(e, json_number_value(json_array_get(values, n)));
    for (size_t i = n; i-- > 0;) {
        kpar_x within =
            kpar_x_le(e, iteration, kpar_x_constant(e, json_number_value(json_array_get(boundaries, i))));
        *rate =
            kpar_x_select(e, within, kpar_x_constant(e, json_number_value(json_array_get(values, i))), *rate);
    }
    return KPAR_OK;
}

/* Cosines: Loshchilov and Hutter, "SGDR" (2016). */

/* (1 - alpha) peak (1 + cos(pi share)) / 2 + alpha */
static kpar_x half_cosine(kpar_expression_builder *e, kpar_x share, kpar_x peak, double alpha)
{
    kpar_x wave = kpar_x_times(e, kpar_x_plus(e, kpar_x_cos(e, kpar_x_times(e, share, M_PI)), 1), 0.5);
    return kpar_x_plus(e, kpar_x_times(e, kpar_x_mul(e, peak, wave), 1 - alpha), alpha);
}

static kpar_status cosine(const char *owner, const json_t *config, kpar_expression_builder *e,
                          kpar_x iteration, kpar_x *rate)
{
    double initial, steps, alpha, target, warmup;
    KPAR_TRY(required(owner, config, "initial_learning_rate", false, &initial));
    KPAR_TRY(required(owner, config, "decay_steps", true, &steps));
    KPAR_TRY(kpar_config_number(owner, config, "alpha", 0, &alpha));
    KPAR_TRY(kpar_config_number(owner, config, "warmup_steps", 0, &warmup));
    KPAR_TRY(kpar_config_number(owner, config, "warmup_target", initial, &target));
    if (json_is_null(json_object_get(config, "warmup_target"))) warmup = 0; /* without a target no rise */
    kpar_x step = kpar_x_min(e, iteration, kpar_x_constant(e, steps + warmup));
    kpar_x share = kpar_x_div(e, kpar_x_plus(e, step, -warmup), kpar_x_constant(e, steps));
    *rate = kpar_x_times(e, half_cosine(e, share, kpar_x_constant(e, 1), alpha), target);
    if (warmup <= 0) return KPAR_OK;
    kpar_x rise = kpar_x_plus(
        e, kpar_x_times(e, kpar_x_div(e, step, kpar_x_constant(e, warmup)), target - initial), initial);
    *rate = kpar_x_select(e, kpar_x_lt(e, step, kpar_x_constant(e, warmup)), rise, *rate);
    return KPAR_OK;
}

/* Periods grow by t_mul and peaks by m_mul with each restart i; period i begins at (1 - t_mul^i) / (1 - t_mul) first
 * ones. */
static kpar_status cosine_restarts(const char *owner, const json_t *config, kpar_expression_builder *e,
                                   kpar_x iteration, kpar_x *rate)
{
    double initial, steps, alpha, t_mul, m_mul;
    KPAR_TRY(required(owner, config, "initial_learning_rate", false, &initial));
    KPAR_TRY(required(owner, config, "first_decay_steps", true, &steps));
    KPAR_TRY(kpar_config_number(owner, config, "alpha", 0, &alpha));
    KPAR_TRY(kpar_config_number(owner, config, "t_mul", 2, &t_mul));
    KPAR_TRY(kpar_config_number(owner, config, "m_mul", 1, &m_mul));
    kpar_x share = kpar_x_div(e, iteration, kpar_x_constant(e, steps)), restart, begun,
           period = kpar_x_constant(e, 1);
    if (t_mul == 1)
        restart = begun = kpar_x_floor(e, share);
    else {
        kpar_x grown = kpar_x_sub(e, kpar_x_constant(e, 1), kpar_x_times(e, share, 1 - t_mul));
        restart = kpar_x_floor(e, kpar_x_div(e, kpar_x_log(e, grown), kpar_x_constant(e, log(t_mul))));
        period = kpar_x_pow(e, kpar_x_constant(e, t_mul), restart);
        begun = kpar_x_div(e, kpar_x_sub(e, kpar_x_constant(e, 1), period), kpar_x_constant(e, 1 - t_mul));
    }
    share = kpar_x_div(e, kpar_x_sub(e, share, begun), period);
    *rate = kpar_x_times(e, half_cosine(e, share, kpar_x_pow(e, kpar_x_constant(e, m_mul), restart), alpha),
                         initial);
    return KPAR_OK;
}

static const kpar_schedule_row rows[] = {
    {"ExponentialDecay", "", "initial rate times decay_rate^(s / decay_steps)",
     "initial_learning_rate decay_steps decay_rate staircase", exponential},
    {"InverseTimeDecay", "", "initial rate over 1 + decay_rate s / decay_steps",
     "initial_learning_rate decay_steps decay_rate staircase", inverse_time},
    {"PolynomialDecay", "", "from the initial to the end rate within decay_steps",
     "initial_learning_rate decay_steps end_learning_rate power cycle", polynomial},
    {"CosineDecay", "",
     "half a cosine from the initial rate down within decay_steps, after a rise to warmup_target",
     "initial_learning_rate decay_steps alpha warmup_target warmup_steps", cosine},
    {"CosineDecayRestarts", "", "half cosines one after the other",
     "initial_learning_rate first_decay_steps t_mul m_mul alpha", cosine_restarts},
    {"PiecewiseConstantDecay", "", "one of `values` between `boundaries`", "boundaries values", piecewise},
};

const kpar_schedule_row *kpar_schedule_rows(int *n)
{
    *n = (int)(sizeof rows / sizeof rows[0]);
    return rows;
}
