/* Layers that draw random numbers while training: dropout and noise. The number of an element follows from the
 * layer, the call, the step and the element's position in the global batch. */
#include "model/lower_internal.h"

#include "base/philox.h"

#include <math.h>
#include <string.h>

kpar_status kpar_lower_uniform(kpar_lowering *lowering, const char *stream, kpar_shape shape,
                               kpar_value_id *random)
{
    kpar_graph *g = lowering->graph;
    const kpar_call *call = &lowering->model->calls[lowering->call];
    const kpar_shape each_row = {.rank = 1, .dims = {{1, true}}};
    const kpar_shape flat = {.rank = 2, .dims = {{1, true}, {kpar_lower_elements(&shape, 0), false}}};
    kpar_value_id positions = kpar_graph_source(g, KPAR_FROM_ROW_POSITION, 0, KPAR_I64, each_row);
    stream = kpar_arena_printf(lowering->arena, "%s%s#%d", lowering->layer->group, stream, call->number);
    KPAR_TRY(kpar_build_random(g, kpar_philox_key(lowering->seed, stream), positions,
                               kpar_lower_step(lowering), shape.dims[0].size == 1 ? shape : flat, random));
    return kpar_build_reshape(g, shape, *random, random);
}

/* The argument `key`, a share below 1, or up to 1 where `all` may be dropped. */
static kpar_status read_rate(const kpar_lowering *lowering, const char *key, bool all, double *rate)
{
    KPAR_TRY(kpar_config_number(lowering->owner, lowering->layer->config, key, 0.5, rate));
    if (*rate >= 0 && (all ? *rate <= 1 : *rate < 1)) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s: argument '%s' is %g, expected 0 to 1", lowering->owner, key, *rate);
}

/* The argument 'noise_shape': elements along a dimension of size 1 share a number. */
static kpar_status read_noise_shape(const kpar_lowering *lowering, kpar_shape *shape)
{
    const json_t *list = json_object_get(lowering->layer->config, "noise_shape"), *size;
    size_t i;
    if (!list || json_is_null(list)) return KPAR_OK;
    if (json_array_size(list) != (size_t)shape->rank)
        return kpar_fail(KPAR_EFORMAT,
                         "%s: argument 'noise_shape': expected a size or null for each of %d dimensions",
                         lowering->owner, shape->rank);
    json_array_foreach(list, i, size)
    {
        if (json_is_null(size) || (i > 0 && json_integer_value(size) == shape->dims[i].size)) continue;
        if (i == 0 || json_integer_value(size) != 1)
            return kpar_fail(KPAR_EUNSUPPORTED,
                             "%s: argument 'noise_shape': supported are null, and 1 behind the batch",
                             lowering->owner);
        shape->dims[i].size = 1;
    }
    return KPAR_OK;
}

static kpar_status drop(kpar_lowering *lowering, const char *stream, double rate, kpar_shape noise,
                        kpar_value_id x, kpar_value_id *out)
{
    kpar_value_id random;
    *out = x;
    if (rate == 0 || lowering->mode != KPAR_MODE_TRAIN) return KPAR_OK;
    KPAR_TRY(kpar_lower_real(lowering, x, &x));
    KPAR_TRY(kpar_lower_uniform(lowering, stream, noise, &random));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x zero = kpar_x_constant(e, 0), dropped = kpar_x_lt(e, kpar_x_input(e, 1), kpar_x_constant(e, rate));
    kpar_x kept = rate < 1 ? kpar_x_mul(e, kpar_x_input(e, 0), kpar_x_constant(e, 1 / (1 - rate))) : zero;
    return kpar_lower_apply(lowering, e, kpar_x_select(e, dropped, zero, kept), (kpar_value_id[]){x, random},
                            2, out);
}

kpar_status kpar_lower_dropout(kpar_lowering *lowering, double rate, kpar_value_id x, kpar_value_id *out)
{
    return kpar_lower_dropout_of(lowering, "", rate, x, out);
}

kpar_status kpar_lower_dropout_of(kpar_lowering *lowering, const char *stream, double rate, kpar_value_id x,
                                  kpar_value_id *out)
{
    return drop(lowering, stream, rate, *kpar_lower_shape(lowering, x), x, out);
}

/* What has nothing to draw gives the very tensor that it is given. */
static kpar_status passed_on(kpar_lowering *lowering, kpar_value_id input, kpar_value_id *output)
{
    if (*output == input) kpar_lower_pass_on(lowering, input, output);
    return KPAR_OK;
}

KPAR_LAYER(dropout)
{
    double rate;
    kpar_shape noise = *kpar_lower_shape(lowering, inputs[0]);
    (void)n_inputs;
    KPAR_TRY(read_rate(lowering, "rate", true, &rate));
    KPAR_TRY(read_noise_shape(lowering, &noise));
    KPAR_TRY(drop(lowering, "", rate, noise, inputs[0], output));
    return passed_on(lowering, inputs[0], output);
}

/* Whole channels. */
KPAR_LAYER(spatial_dropout)
{
    double rate;
    const kpar_shape shape = *kpar_lower_shape(lowering, inputs[0]);
    (void)n_inputs;
    KPAR_TRY(read_rate(lowering, "rate", true, &rate));
    const unsigned spatial = ((1u << (shape.rank - 1)) - 1) & ~1u;
    KPAR_TRY(drop(lowering, "", rate, kpar_lower_kept(shape, spatial), inputs[0], output));
    return passed_on(lowering, inputs[0], output);
}

/* Whole samples: what is left of a branch is a network less deep. */
KPAR_LAYER(stochastic_depth)
{
    double rate;
    const kpar_shape shape = *kpar_lower_shape(lowering, inputs[0]);
    (void)n_inputs;
    KPAR_TRY(read_rate(lowering, "drop_path_rate", false, &rate));
    return drop(lowering, "", rate, kpar_lower_kept(shape, ((1u << shape.rank) - 1) & ~1u), inputs[0],
                output);
}

/* `formula` of x and normal numbers of mean 0 for each element, by G. E. P. Box and M. E. Muller, "A note on the
 * generation of random normal deviates", 1958. */
typedef kpar_x (*noise_formula)(kpar_expression_builder *e, kpar_x x, kpar_x scaled);
static kpar_status add_noise(kpar_lowering *lowering, double deviation, noise_formula formula,
                             kpar_value_id x, kpar_value_id *out)
{
    kpar_value_id inputs[3];
    *out = x;
    if (deviation == 0 || lowering->mode != KPAR_MODE_TRAIN) return passed_on(lowering, x, out);
    KPAR_TRY(kpar_lower_real(lowering, x, &inputs[0]));
    const kpar_shape shape = *kpar_lower_shape(lowering, x);
    KPAR_TRY(kpar_lower_uniform(lowering, "", shape, &inputs[1]));
    KPAR_TRY(kpar_lower_uniform(lowering, "/angle", shape, &inputs[2]));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x one = kpar_x_constant(e, 1);
    kpar_x radius = kpar_x_sqrt(e, kpar_x_mul(e, kpar_x_constant(e, -2 * deviation * deviation),
                                              kpar_x_log(e, kpar_x_sub(e, one, kpar_x_input(e, 1)))));
    kpar_x angle = kpar_x_mul(e, kpar_x_constant(e, 2 * M_PI), kpar_x_input(e, 2));
    kpar_x normal = kpar_x_mul(e, radius, kpar_x_cos(e, angle));
    return kpar_lower_apply(lowering, e, formula(e, kpar_x_input(e, 0), normal), inputs, 3, out);
}

static kpar_x added(kpar_expression_builder *e, kpar_x x, kpar_x scaled) { return kpar_x_add(e, x, scaled); }

static kpar_x multiplied(kpar_expression_builder *e, kpar_x x, kpar_x scaled)
{
    return kpar_x_mul(e, x, kpar_x_add(e, kpar_x_constant(e, 1), scaled));
}

KPAR_LAYER(gaussian_noise)
{
    double deviation;
    (void)n_inputs;
    KPAR_TRY(kpar_config_number(lowering->owner, lowering->layer->config, "stddev", 0, &deviation));
    if (deviation < 0)
        return kpar_fail(KPAR_EFORMAT, "%s: argument 'stddev' is %g, expected 0 or more", lowering->owner,
                         deviation);
    return add_noise(lowering, deviation, added, inputs[0], output);
}

KPAR_LAYER(gaussian_dropout)
{
    double rate;
    (void)n_inputs;
    KPAR_TRY(read_rate(lowering, "rate", false, &rate));
    return add_noise(lowering, sqrt(rate / (1 - rate)), multiplied, inputs[0], output);
}

/* Mean and variance stay, by G. Klambauer et al., "Self-normalizing neural networks", 2017. */
KPAR_LAYER(alpha_dropout)
{
    double rate;
    kpar_value_id both[2] = {inputs[0]};
    kpar_shape noise = *kpar_lower_shape(lowering, inputs[0]);
    (void)n_inputs;
    *output = inputs[0];
    KPAR_TRY(read_rate(lowering, "rate", false, &rate));
    KPAR_TRY(read_noise_shape(lowering, &noise));
    if (rate == 0 || lowering->mode != KPAR_MODE_TRAIN) return passed_on(lowering, inputs[0], output);
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], &both[0]));
    KPAR_TRY(kpar_lower_uniform(lowering, "", noise, &both[1]));
    const double low = -1.6732632423543772 * 1.0507009873554805;
    const double factor = 1 / sqrt((1 - rate) * (1 + rate * low * low)), offset = -factor * low * rate;
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x dropped = kpar_x_lt(e, kpar_x_input(e, 1), kpar_x_constant(e, rate));
    kpar_x kept = kpar_x_add(e, kpar_x_mul(e, kpar_x_input(e, 0), kpar_x_constant(e, factor)),
                             kpar_x_constant(e, offset));
    kpar_x left = kpar_x_constant(e, factor * low + offset);
    return kpar_lower_apply(lowering, e, kpar_x_select(e, dropped, left, kept), both, 2, output);
}
