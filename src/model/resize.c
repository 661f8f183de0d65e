/* Images of another size: each dimension times a matrix of interpolation, whose rows are a kernel's values at half-pixel
 * centres, made to sum to 1 over the pixels that there are. */
#include "model/resize.h"

#include "model/einsum.h"

#include <math.h>
#include <string.h>

/* --- kernels --- */

static double triangle(double x) { return fmax(0, 1 - fabs(x)); }

/* Keys, "Cubic convolution interpolation for digital image processing" (1981). */
static double cubic(double x)
{
    const double t = fabs(x);
    if (t >= 2) return 0;
    return t >= 1 ? ((-0.5 * t + 2.5) * t - 4) * t + 2 : (1.5 * t - 2.5) * t * t + 1;
}

static double lanczos(double x, double radius)
{
    const double t = fabs(x), angle = M_PI * t;
    if (t > radius) return 0;
    return t < 1e-8 ? 1 : radius * sin(angle) * sin(angle / radius) / (angle * angle);
}
static double lanczos3(double x) { return lanczos(x, 3); }
static double lanczos5(double x) { return lanczos(x, 5); }

static const struct {
    const char *name;
    double (*kernel)(double x); /* NULL: the nearest pixel */
} methods[] = {{"nearest", NULL},
               {"bilinear", triangle},
               {"bicubic", cubic},
               {"lanczos3", lanczos3},
               {"lanczos5", lanczos5}};
enum { METHODS = sizeof methods / sizeof methods[0] };

/* --- one dimension --- */

/* Row of the matrix: shares of `n` pixels in a point at `at`, whose kernel is `width` times as wide. */
static void shares(int64_t n, double at, double (*kernel)(double), double width, double *row)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) sum += kernel(((double)k + 0.5 - at) / width);
    for (int64_t k = 0; k < n; k++) row[k] = kernel(((double)k + 0.5 - at) / width) / (sum != 0 ? sum : 1);
}

static kpar_status pick_nearest(kpar_lowering *lowering, int dim, int64_t size, kpar_value_id x,
                                kpar_value_id *out)
{
    const int64_t n = kpar_lower_shape(lowering, x)->dims[dim].size;
    int64_t *numbers = kpar_arena_alloc(lowering->arena, (size_t)size * sizeof *numbers);
    for (int64_t i = 0; i < size; i++) numbers[i] = (2 * i + 1) * n / (2 * size);
    return kpar_lower_pick(lowering, dim, numbers, size, x, out);
}

kpar_status kpar_lower_interpolate(kpar_lowering *lowering, int dim, int64_t size, const char *method,
                                   bool antialias, kpar_value_id x, kpar_value_id *out)
{
    const int64_t n = kpar_lower_shape(lowering, x)->dims[dim].size;
    const double scale = (double)n / (double)size, width = antialias && scale > 1 ? scale : 1;
    int m = 0;
    while (m < METHODS && strcmp(methods[m].name, method) != 0) m++;
    *out = x;
    if (m == METHODS)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument 'interpolation' is \"%s\"; supported: %s",
                         lowering->owner, method, "nearest, bilinear, bicubic, lanczos3, lanczos5");
    if (n == size) return KPAR_OK;
    if (!methods[m].kernel) return pick_nearest(lowering, dim, size, x, out);
    double *matrix = kpar_arena_alloc(lowering->arena, (size_t)(size * n) * sizeof *matrix);
    for (int64_t i = 0; i < size; i++)
        shares(n, ((double)i + 0.5) * scale, methods[m].kernel, width, &matrix[i * n]);
    return kpar_lower_along(lowering, dim, matrix, size, x, out);
}

/* --- images --- */

/* The length along one side that goes with `other` along the other side, as Keras rounds it. */
static int64_t side_for(int64_t other, int64_t target, int64_t other_target)
{
    return (int64_t)((float)(other * target) / (float)other_target);
}

kpar_status kpar_lower_crop_to_ratio(kpar_lowering *lowering, const int64_t *size, kpar_value_id x,
                                     kpar_value_id *out)
{
    const kpar_shape shape = *kpar_lower_shape(lowering, x);
    *out = x;
    for (int i = 0; i < 2; i++) {
        const int64_t n = shape.dims[i + 1].size;
        int64_t side = side_for(shape.dims[2 - i].size, size[i], size[1 - i]);
        side = side > n ? n : side < 1 ? 1 : side;
        const int64_t start = (n - side) / 2;
        KPAR_TRY(kpar_lower_cut(lowering, i + 1, start, start + side, *out, out));
    }
    return KPAR_OK;
}

/* `value` on both sides of the dimension that is too short. */
static kpar_status pad_to_ratio(kpar_lowering *lowering, const int64_t *size, double value, kpar_value_id *x)
{
    const kpar_shape shape = *kpar_lower_shape(lowering, *x);
    int64_t margins[KPAR_MAX_RANK] = {0};
    for (int i = 0; i < 2; i++) {
        const int64_t n = shape.dims[i + 1].size,
                      side = side_for(shape.dims[2 - i].size, size[i], size[1 - i]);
        if (side > n) margins[i + 1] = (side - n) / 2;
    }
    return kpar_lower_pad(lowering, margins, margins, value, x);
}

kpar_status kpar_lower_resize(kpar_lowering *lowering, const int64_t *size, kpar_value_id x,
                              kpar_value_id *out)
{
    const json_t *config = lowering->layer->config;
    const char *method;
    bool antialias, crop, pad;
    double fill;
    KPAR_TRY(kpar_config_string(lowering->owner, config, "interpolation", "bilinear", &method));
    KPAR_TRY(kpar_config_boolean(lowering->owner, config, "antialias", false, &antialias));
    KPAR_TRY(kpar_config_boolean(lowering->owner, config, "crop_to_aspect_ratio", false, &crop));
    KPAR_TRY(kpar_config_boolean(lowering->owner, config, "pad_to_aspect_ratio", false, &pad));
    KPAR_TRY(kpar_config_number(lowering->owner, config, "fill_value", 0, &fill));
    *out = x;
    if (crop) KPAR_TRY(kpar_lower_crop_to_ratio(lowering, size, x, out));
    if (pad) KPAR_TRY(pad_to_ratio(lowering, size, fill, out));
    for (int i = 0; i < 2; i++)
        KPAR_TRY(kpar_lower_interpolate(lowering, i + 1, size[i], method, antialias, *out, out));
    return KPAR_OK;
}
