/* Layers that move the pixels of images at random while training: an image is looked up, pixel by pixel, in the places that an
 * affine map with random numbers of its own says. */
#include "model/lower_internal.h"

#include <math.h>
#include <string.h>

/* Names in the order of their numbers. */
static const char *const fill_modes[] = {"constant", "nearest", "reflect", "wrap", NULL};
enum { FILL_CONSTANT, FILL_NEAREST, FILL_REFLECT, FILL_WRAP };
static const char *const interpolations[] = {"bilinear", "nearest", NULL};
enum { BILINEAR, NEAREST };

enum { DRAWS = 3 };

/* How pixels are looked up. */
typedef struct lookup {
    int fill, interpolation;
    double value; /* of what is outside */
    double height, width;
} lookup;

static kpar_status choose(const kpar_lowering *lowering, const char *key, const char *by_default,
                          const char *const *names, int *chosen)
{
    const char *name;
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, key, by_default, &name));
    for (*chosen = 0; names[*chosen]; ++*chosen)
        if (strcmp(names[*chosen], name) == 0) return KPAR_OK;
    const char *list = names[0];
    for (int i = 1; names[i]; i++) list = kpar_arena_printf(lowering->arena, "%s, %s", list, names[i]);
    return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument '%s' is \"%s\"; supported are: %s", lowering->owner,
                     key, name, list);
}

/* A pair of numbers, or one that stands for as much less or more. */
static kpar_status read_range(const kpar_lowering *lowering, const char *key, double *low, double *high)
{
    const json_t *json = json_object_get(lowering->layer->config, key), *first = json_array_get(json, 0),
                 *second = json_array_get(json, 1);
    const double a = json_number_value(first ? first : json), b = json_number_value(second);
    if (!json_is_number(json) && (!json_is_number(first) || !json_is_number(second)))
        return kpar_fail(KPAR_EFORMAT, "%s: argument '%s': expected a number or a list of two",
                         lowering->owner, key);
    *low = first ? fmin(a, b) : -fabs(a);
    *high = first ? fmax(a, b) : fabs(a);
    return KPAR_OK;
}

/* A coordinate of a place that may lie outside, as one within 0 to size - 1 that stands for it; as TensorFlow has it. */
static kpar_x brought_inside(kpar_expression_builder *e, int fill, kpar_x at, double size)
{
    kpar_x last = kpar_x_constant(e, size - 1), zero = kpar_x_constant(e, 0), n = kpar_x_constant(e, size),
           twice = kpar_x_constant(e, 2 * size);
    kpar_x inside = at;
    if (fill == FILL_CONSTANT) return at;
    if (fill == FILL_REFLECT) {
        kpar_x whole = kpar_x_mul(e, kpar_x_floor(e, kpar_x_div(e, at, twice)), twice);
        kpar_x once = kpar_x_sub(e, at, whole); /* from 0 to 2 size */
        kpar_x back = kpar_x_sub(e, kpar_x_sub(e, twice, once), kpar_x_constant(e, 1));
        kpar_x reflected = kpar_x_select(e, kpar_x_lt(e, once, n), once, back);
        kpar_x outside =
            kpar_x_select(e, kpar_x_lt(e, at, zero), kpar_x_constant(e, 1), kpar_x_lt(e, last, at));
        inside = kpar_x_select(e, outside, reflected, at);
    }
    if (fill == FILL_WRAP && size > 1) {
        kpar_x before = kpar_x_floor(e, kpar_x_div(e, kpar_x_neg(e, at), last));
        before = kpar_x_mul(e, n, kpar_x_add(e, before, kpar_x_constant(e, 1)));
        kpar_x after = kpar_x_mul(e, n, kpar_x_floor(e, kpar_x_div(e, at, last)));
        inside = kpar_x_select(e, kpar_x_lt(e, last, at), kpar_x_sub(e, at, after), at);
        inside = kpar_x_select(e, kpar_x_lt(e, at, zero), kpar_x_add(e, at, before), inside);
    }
    return kpar_x_clip(e, inside, 0, size - 1);
}

/* Halves go away from 0. */
static kpar_x rounded(kpar_expression_builder *e, kpar_x at)
{
    kpar_x half = kpar_x_constant(e, 0.5), below = kpar_x_neg(e, kpar_x_floor(e, kpar_x_sub(e, half, at)));
    return kpar_x_select(e, kpar_x_lt(e, at, kpar_x_constant(e, 0)), below,
                         kpar_x_floor(e, kpar_x_add(e, at, half)));
}

/* Corner number `corner` of the pixels around a place: the first, the one beside it, those below. */
static kpar_x corner_at(kpar_expression_builder *e, const lookup *l, kpar_x at, bool next)
{
    if (l->interpolation == NEAREST) return rounded(e, at);
    return next ? kpar_x_add(e, kpar_x_floor(e, at), kpar_x_constant(e, 1)) : kpar_x_floor(e, at);
}

static kpar_x within(kpar_expression_builder *e, kpar_x at, double size)
{
    return kpar_x_mul(e, kpar_x_le(e, kpar_x_constant(e, 0), at), kpar_x_lt(e, at, kpar_x_constant(e, size)));
}

/* The pixels (batch, height, width, channels) around the places x and y (batch, height, width, 1). */
static kpar_status pick_corners(kpar_lowering *lowering, const lookup *l, kpar_value_id images,
                                const kpar_value_id places[2], int corners, kpar_value_id *pixels)
{
    kpar_graph *g = lowering->graph;
    const kpar_shape shape = *kpar_lower_shape(lowering, images);
    const int64_t size = shape.dims[1].size * shape.dims[2].size;
    const kpar_shape table = {.rank = 3, .dims = {shape.dims[0], {size, false}, shape.dims[3]}};
    const kpar_shape list = {.rank = 2, .dims = {shape.dims[0], {size, false}}};
    kpar_x numbers[4];
    kpar_expression_builder *e = kpar_expression_begin(2);
    for (int i = 0; i < corners; i++) {
        kpar_x x = kpar_x_clip(e, corner_at(e, l, kpar_x_input(e, 0), i & 1), 0, l->width - 1);
        kpar_x y = kpar_x_clip(e, corner_at(e, l, kpar_x_input(e, 1), i >> 1), 0, l->height - 1);
        numbers[i] = kpar_x_add(e, kpar_x_mul(e, y, kpar_x_constant(e, l->width)), x);
    }
    const kpar_expression *of_places = kpar_expression_end(e, g->arena, numbers, corners);
    KPAR_TRY(kpar_build_map_many(g, of_places, places, 2, pixels));
    KPAR_TRY(kpar_build_reshape(g, table, images, &images));
    for (int i = 0; i < corners; i++) {
        KPAR_TRY(kpar_build_cast(g, KPAR_I32, pixels[i], &pixels[i]));
        KPAR_TRY(kpar_build_reshape(g, list, pixels[i], &pixels[i]));
        KPAR_TRY(kpar_build_gather_each(g, images, pixels[i], &pixels[i]));
        KPAR_TRY(kpar_build_reshape(g, shape, pixels[i], &pixels[i]));
    }
    return KPAR_OK;
}

/* What the images have in places between their pixels. */
static kpar_status look_up(kpar_lowering *lowering, const lookup *l, kpar_value_id images,
                           const kpar_value_id places[2], kpar_value_id *output)
{
    const int corners = l->interpolation == NEAREST ? 1 : 4;
    kpar_value_id terms[6] = {places[0], places[1]};
    KPAR_TRY(pick_corners(lowering, l, images, places, corners, &terms[2]));
    kpar_expression_builder *e = kpar_expression_begin(2 + corners);
    kpar_x x = kpar_x_input(e, 0), y = kpar_x_input(e, 1), sum = kpar_x_constant(e, 0),
           one = kpar_x_constant(e, 1);
    kpar_x right = kpar_x_sub(e, x, kpar_x_floor(e, x)), down = kpar_x_sub(e, y, kpar_x_floor(e, y));
    for (int i = 0; i < corners; i++) {
        kpar_x there = kpar_x_mul(e, within(e, corner_at(e, l, x, i & 1), l->width),
                                  within(e, corner_at(e, l, y, i >> 1), l->height));
        kpar_x pixel = kpar_x_select(e, there, kpar_x_input(e, 2 + i), kpar_x_constant(e, l->value));
        kpar_x share = kpar_x_mul(e, i & 1 ? right : kpar_x_sub(e, one, right),
                                  i >> 1 ? down : kpar_x_sub(e, one, down));
        sum = corners == 1 ? pixel : kpar_x_add(e, sum, kpar_x_mul(e, share, pixel));
    }
    return kpar_lower_apply(lowering, e, sum, terms, 2 + corners, output);
}

/* 0, 1, 2 ... along dimension `dim` of images. */
static kpar_status coordinates(kpar_lowering *lowering, const kpar_shape *shape, int dim, kpar_value_id *out)
{
    kpar_shape along = kpar_lower_kept(*shape, KPAR_ALL_AXES), line = {.rank = 1, .dims = {shape->dims[dim]}};
    along.dims[dim] = shape->dims[dim];
    along.dims[0] = (kpar_dim){1, false};
    KPAR_TRY(kpar_build_iota(lowering->graph, 0, lowering->graph->real, line, out));
    return kpar_build_reshape(lowering->graph, along, *out, out);
}

/* The places, of the output's pixel at (x, y), from numbers that are drawn for each image. */
typedef void (*place_rule)(kpar_expression_builder *e, const lookup *l, const kpar_x *draws, kpar_x *x,
                           kpar_x *y);

static kpar_status move_pixels(kpar_lowering *lowering, place_rule rule, const kpar_value_id *draws,
                               kpar_value_id images, kpar_value_id *output)
{
    const kpar_shape shape = *kpar_lower_shape(lowering, images);
    const json_t *config = lowering->layer->config;
    lookup l = {.height = (double)shape.dims[1].size, .width = (double)shape.dims[2].size};
    kpar_value_id terms[2 + DRAWS], places[2];
    kpar_x drawn[DRAWS], at[2];
    KPAR_TRY(choose(lowering, "fill_mode", "reflect", fill_modes, &l.fill));
    KPAR_TRY(choose(lowering, "interpolation", "bilinear", interpolations, &l.interpolation));
    KPAR_TRY(kpar_config_number(lowering->owner, config, "fill_value", 0, &l.value));
    KPAR_TRY(coordinates(lowering, &shape, 2, &terms[0]));
    KPAR_TRY(coordinates(lowering, &shape, 1, &terms[1]));
    kpar_expression_builder *e = kpar_expression_begin(2 + DRAWS);
    for (int i = 0; i < DRAWS; i++) {
        drawn[i] = kpar_x_input(e, 2 + i);
        terms[2 + i] = draws[i];
    }
    for (int i = 0; i < 2; i++) at[i] = kpar_x_input(e, i);
    rule(e, &l, drawn, &at[0], &at[1]);
    at[0] = brought_inside(e, l.fill, at[0], l.width);
    at[1] = brought_inside(e, l.fill, at[1], l.height);
    KPAR_TRY(kpar_build_map_many(lowering->graph, kpar_expression_end(e, lowering->graph->arena, at, 2),
                                 terms, 2 + DRAWS, places));
    return look_up(lowering, &l, images, places, output);
}

/* Draws a number for each image, in the range that the argument `key` is, and moves pixels by all of them. */
static kpar_status draw_range(kpar_lowering *lowering, const char *key, kpar_value_id images, double factor,
                              double offset, kpar_value_id *number)
{
    double low, high;
    KPAR_TRY(read_range(lowering, key, &low, &high));
    return kpar_lower_draw(lowering, kpar_arena_printf(lowering->arena, "/%s", key), images,
                           low * factor + offset, high * factor + offset, number);
}

static kpar_status begin(kpar_lowering *lowering, const kpar_value_id *inputs, int n_inputs, double *height,
                         double *width, kpar_value_id *images)
{
    KPAR_TRY(kpar_lower_images(lowering, 2, inputs, n_inputs, images));
    *height = (double)kpar_lower_shape(lowering, *images)->dims[1].size;
    *width = (double)kpar_lower_shape(lowering, *images)->dims[2].size;
    return KPAR_OK;
}

/* Around the middle, by an angle. */
static void turn(kpar_expression_builder *e, const lookup *l, const kpar_x *draws, kpar_x *x, kpar_x *y)
{
    kpar_x cosine = kpar_x_cos(e, draws[0]), sine = kpar_x_sin(e, draws[0]);
    kpar_x cx = kpar_x_constant(e, (l->width - 1) / 2), cy = kpar_x_constant(e, (l->height - 1) / 2);
    kpar_x dx = kpar_x_sub(e, *x, cx), dy = kpar_x_sub(e, *y, cy);
    *x = kpar_x_add(e, cx, kpar_x_sub(e, kpar_x_mul(e, cosine, dx), kpar_x_mul(e, sine, dy)));
    *y = kpar_x_add(e, cy, kpar_x_add(e, kpar_x_mul(e, sine, dx), kpar_x_mul(e, cosine, dy)));
}

KPAR_LAYER(random_rotation)
{
    double height, width;
    kpar_value_id draws[DRAWS];
    KPAR_TRY(begin(lowering, inputs, n_inputs, &height, &width, output));
    if (lowering->mode != KPAR_MODE_TRAIN) return KPAR_OK;
    KPAR_TRY(draw_range(lowering, "factor", *output, 2 * M_PI, 0, &draws[0]));
    draws[1] = draws[2] = draws[0];
    return move_pixels(lowering, turn, draws, *output, output);
}

/* From the middle, each direction by a factor. */
static void zoom(kpar_expression_builder *e, const lookup *l, const kpar_x *draws, kpar_x *x, kpar_x *y)
{
    kpar_x cx = kpar_x_constant(e, (l->width - 1) / 2), cy = kpar_x_constant(e, (l->height - 1) / 2);
    *x = kpar_x_add(e, cx, kpar_x_mul(e, draws[1], kpar_x_sub(e, *x, cx)));
    *y = kpar_x_add(e, cy, kpar_x_mul(e, draws[0], kpar_x_sub(e, *y, cy)));
}

KPAR_LAYER(random_zoom)
{
    const json_t *of_width = json_object_get(lowering->layer->config, "width_factor");
    double height, width;
    kpar_value_id draws[DRAWS];
    KPAR_TRY(begin(lowering, inputs, n_inputs, &height, &width, output));
    if (lowering->mode != KPAR_MODE_TRAIN) return KPAR_OK;
    KPAR_TRY(draw_range(lowering, "height_factor", *output, 1, 1, &draws[0]));
    draws[1] = draws[2] = draws[0];
    if (of_width && !json_is_null(of_width))
        KPAR_TRY(draw_range(lowering, "width_factor", *output, 1, 1, &draws[1]));
    return move_pixels(lowering, zoom, draws, *output, output);
}

static void shift(kpar_expression_builder *e, const lookup *l, const kpar_x *draws, kpar_x *x, kpar_x *y)
{
    (void)l;
    *x = kpar_x_sub(e, *x, draws[1]);
    *y = kpar_x_sub(e, *y, draws[0]);
}

KPAR_LAYER(random_translation)
{
    double height, width;
    kpar_value_id draws[DRAWS];
    KPAR_TRY(begin(lowering, inputs, n_inputs, &height, &width, output));
    if (lowering->mode != KPAR_MODE_TRAIN) return KPAR_OK;
    KPAR_TRY(draw_range(lowering, "height_factor", *output, height, 0, &draws[0]));
    KPAR_TRY(draw_range(lowering, "width_factor", *output, width, 0, &draws[1]));
    draws[2] = draws[0];
    return move_pixels(lowering, shift, draws, *output, output);
}

/* Rows and columns are slanted, both to one side or both to the other. */
static void slant(kpar_expression_builder *e, const lookup *l, const kpar_x *draws, kpar_x *x, kpar_x *y)
{
    (void)l;
    kpar_x one = kpar_x_constant(e, 1),
           side =
               kpar_x_select(e, kpar_x_lt(e, kpar_x_constant(e, 0.5), draws[2]), kpar_x_constant(e, -1), one),
           from = *x;
    *x = kpar_x_add(e, *x, kpar_x_mul(e, kpar_x_mul(e, draws[0], side), *y));
    *y = kpar_x_add(e, *y, kpar_x_mul(e, kpar_x_mul(e, draws[1], side), from));
}

KPAR_LAYER(random_shear)
{
    double height, width;
    kpar_value_id draws[DRAWS];
    KPAR_TRY(begin(lowering, inputs, n_inputs, &height, &width, output));
    if (lowering->mode != KPAR_MODE_TRAIN) return KPAR_OK;
    KPAR_TRY(draw_range(lowering, "x_factor", *output, 1, 0, &draws[0]));
    KPAR_TRY(draw_range(lowering, "y_factor", *output, 1, 0, &draws[1]));
    KPAR_TRY(kpar_lower_draw(lowering, "/side", *output, 0, 1, &draws[2]));
    return move_pixels(lowering, slant, draws, *output, output);
}
