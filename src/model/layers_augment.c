/* Layers that change images at random while training, each image by numbers of its own, and otherwise pass them on. */
#include "model/lower_internal.h"

#include <string.h>

kpar_status kpar_lower_draw(kpar_lowering *lowering, const char *stream, kpar_value_id images, double low,
                            double high, kpar_value_id *number)
{
    const kpar_shape shape = *kpar_lower_shape(lowering, images);
    KPAR_TRY(
        kpar_lower_uniform(lowering, stream, kpar_lower_kept(shape, ((1u << shape.rank) - 1) & ~1u), number));
    return kpar_build_affine(lowering->graph, *number, high - low, low, number);
}

static kpar_status read_pair(const kpar_lowering *lowering, const char *key, double *low, double *high)
{
    const json_t *pair = json_object_get(lowering->layer->config, key), *first = json_array_get(pair, 0),
                 *second = json_array_get(pair, 1);
    if (!json_is_number(first) || !json_is_number(second))
        return kpar_fail(KPAR_EFORMAT, "%s: argument '%s': expected two numbers", lowering->owner, key);
    *low = json_number_value(first);
    *high = json_number_value(second);
    return KPAR_OK;
}

/* The images as real values; *train: they are to be changed. */
static kpar_status begin(kpar_lowering *lowering, const kpar_value_id *inputs, int n_inputs, bool *train,
                         kpar_value_id *images)
{
    *train = lowering->mode == KPAR_MODE_TRAIN;
    return kpar_lower_images(lowering, 2, inputs, n_inputs, images);
}

/* An image is flipped, in one or both dimensions, or not. */
KPAR_LAYER(random_flip)
{
    const char *mode;
    bool train;
    kpar_value_id terms[3];
    KPAR_TRY(begin(lowering, inputs, n_inputs, &train, output));
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, "mode", "horizontal_and_vertical",
                                &mode));
    if (!train) return KPAR_OK;
    terms[0] = terms[1] = *output;
    if (strstr(mode, "vertical")) KPAR_TRY(kpar_lower_flip(lowering, 1, &terms[1]));
    if (strstr(mode, "horizontal")) KPAR_TRY(kpar_lower_flip(lowering, 2, &terms[1]));
    KPAR_TRY(kpar_lower_draw(lowering, "", *output, 0, 1, &terms[2]));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x flipped = kpar_x_le(e, kpar_x_input(e, 2), kpar_x_constant(e, 0.5));
    return kpar_lower_apply(lowering, e, kpar_x_select(e, flipped, kpar_x_input(e, 1), kpar_x_input(e, 0)),
                            terms, 3, output);
}

/* How much values of pixels change, of which range of values. */
typedef struct change {
    bool train;
    double low, high, least, most;
} change;

static kpar_status begin_change(kpar_lowering *lowering, const kpar_value_id *inputs, int n_inputs, change *c,
                                kpar_value_id *images)
{
    KPAR_TRY(begin(lowering, inputs, n_inputs, &c->train, images));
    KPAR_TRY(read_pair(lowering, "factor", &c->low, &c->high));
    return read_pair(lowering, "value_range", &c->least, &c->most);
}

/* All pixels more or less by the same, a share of the range of values. */
KPAR_LAYER(random_brightness)
{
    change c;
    kpar_value_id terms[2];
    KPAR_TRY(begin_change(lowering, inputs, n_inputs, &c, output));
    if (!c.train) return KPAR_OK;
    terms[0] = *output;
    KPAR_TRY(kpar_lower_draw(lowering, "", *output, c.low * (c.most - c.least), c.high * (c.most - c.least),
                             &terms[1]));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x y = kpar_x_add(e, kpar_x_input(e, 0), kpar_x_input(e, 1));
    return kpar_lower_apply(lowering, e, kpar_x_clip(e, y, c.least, c.most), terms, 2, output);
}

/* The distance of pixels from the mean of their channel is scaled. */
KPAR_LAYER(random_contrast)
{
    change c;
    kpar_value_id terms[3];
    KPAR_TRY(begin_change(lowering, inputs, n_inputs, &c, output));
    if (!c.train) return KPAR_OK;
    terms[0] = *output;
    KPAR_TRY(kpar_lower_mean(lowering, 1u << 1 | 1u << 2, true, *output, &terms[1]));
    KPAR_TRY(kpar_lower_draw(lowering, "", *output, 1 - c.low, 1 + c.high, &terms[2]));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x mean = kpar_x_input(e, 1), off = kpar_x_sub(e, kpar_x_input(e, 0), mean);
    kpar_x y = kpar_x_add(e, kpar_x_mul(e, off, kpar_x_input(e, 2)), mean);
    return kpar_lower_apply(lowering, e, kpar_x_clip(e, y, c.least, c.most), terms, 3, output);
}

/* Images become their negatives, with a probability that is drawn too. */
KPAR_LAYER(random_invert)
{
    change c;
    kpar_value_id terms[3];
    KPAR_TRY(begin_change(lowering, inputs, n_inputs, &c, output));
    if (!c.train) return KPAR_OK;
    terms[0] = *output;
    KPAR_TRY(kpar_lower_draw(lowering, "", *output, c.low, c.high, &terms[1]));
    KPAR_TRY(kpar_lower_draw(lowering, "/threshold", *output, 0, 1, &terms[2]));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x inverted = kpar_x_lt(e, kpar_x_input(e, 2), kpar_x_input(e, 1)), x = kpar_x_input(e, 0);
    kpar_x y = kpar_x_select(e, inverted, kpar_x_sub(e, kpar_x_constant(e, c.most), x), x);
    return kpar_lower_apply(lowering, e, y, terms, 3, output);
}

/* Those that have a formula here. */
static const char *names_of_known(kpar_arena *arena)
{
    int n;
    const char *names = "";
    const kpar_layer_row *rows = kpar_layer_rows(&n);
    for (int i = 0; i < n; i++)
        if (strncmp(rows[i].class_name, "Random", 6) == 0 && rows[i].lower != kpar_layer_random_other)
            names = kpar_arena_printf(arena, "%s%s%s", names, *names ? ", " : "", rows[i].class_name);
    return names;
}

/* What has no formula here: images pass where a model is evaluated or predicts. */
KPAR_LAYER(random_other)
{
    (void)n_inputs;
    kpar_lower_pass_on(lowering, inputs[0], output);
    if (lowering->mode != KPAR_MODE_TRAIN) return KPAR_OK;
    return kpar_fail(
        KPAR_EUNSUPPORTED,
        "%s: this change of images while training is not supported (to evaluate and to predict it is); "
        "supported are: %s",
        lowering->owner, names_of_known(lowering->arena));
}
