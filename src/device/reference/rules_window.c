/* The meaning of conv, pool and their gradients: windows over images. */
#include "device/reference/rules.h"

#include <math.h>

/* The three tensors of a convolution, of which one is the sum of products of the others. */
typedef struct convolution {
    kpar_window_size size;
    double *image, *kernel, *result;
} convolution;

/* What is done for each pair of a pixel's channel and a result's channel, with the weight between them. */
typedef void (*product)(double *image, double *kernel, double *result);

static void into_result(double *image, double *kernel, double *result) { *result += *image * *kernel; }
static void into_image(double *image, double *kernel, double *result) { *image += *result * *kernel; }
static void into_kernel(double *image, double *kernel, double *result) { *kernel += *image * *result; }

/* One cell of one window: pixel (in channels), result (out channels), weights (in / groups, out). */
static void each_channel(const convolution *c, double *pixel, double *weights, double *result, product what)
{
    const kpar_window_size *s = &c->size;
    const int64_t in = s->in / s->groups, out = s->out / s->groups;
    for (int64_t o = 0; o < s->out; o++)
        for (int64_t i = 0; i < in; i++) what(&pixel[o / out * in + i], &weights[i * s->out + o], &result[o]);
}

static void convolve(const convolution *c, product what)
{
    const kpar_window_size *s = &c->size;
    const int64_t positions = kpar_window_count(s->result), cells = kpar_window_count(s->window),
                  pixels = kpar_window_count(s->image);
    for (int64_t n = 0; n < s->batch; n++)
        for (int64_t p = 0; p < positions; p++)
            for (int64_t cell = 0; cell < cells; cell++) {
                const int64_t pixel = kpar_window_pixel(s, p, cell);
                if (pixel < 0) continue;
                each_channel(c, c->image + (n * pixels + pixel) * s->in,
                             c->kernel + cell * (s->in / s->groups) * s->out,
                             c->result + (n * positions + p) * s->out, what);
            }
}

static void clear(const kpar_tensor_spec *tensor, double *values)
{
    for (int64_t i = 0, n = kpar_tensor_count(tensor); i < n; i++) values[i] = 0;
}

KPAR_REFERENCE_RULE(conv)
{
    const convolution c = {kpar_window_size_of(spec), in[0], in[1], out[0]};
    clear(kpar_spec_output(spec, 0), out[0]);
    convolve(&c, into_result);
    return KPAR_OK;
}

KPAR_REFERENCE_RULE(conv_input_gradient)
{
    const convolution c = {kpar_window_size_of(spec), out[0], in[1], in[0]};
    clear(kpar_spec_output(spec, 0), out[0]);
    convolve(&c, into_image);
    return KPAR_OK;
}

KPAR_REFERENCE_RULE(conv_kernel_gradient)
{
    const convolution c = {kpar_window_size_of(spec), in[0], out[0], in[1]};
    clear(kpar_spec_output(spec, 0), out[0]);
    convolve(&c, into_kernel);
    return KPAR_OK;
}

/* A window of one channel of an image. */
typedef struct window {
    int64_t cells, first; /* how many are not padding; the pixel of the first maximum */
    double sum, maximum;
} window;

static window look(const kpar_window_size *s, const double *image, int64_t position, int64_t channel)
{
    window w = {.first = -1, .maximum = -INFINITY};
    for (int64_t cell = 0, cells = kpar_window_count(s->window); cell < cells; cell++) {
        const int64_t pixel = kpar_window_pixel(s, position, cell);
        if (pixel < 0) continue;
        const double x = image[pixel * s->in + channel];
        if (w.first < 0 || x > w.maximum) w.first = pixel;
        w.maximum = kpar_scalar_evaluate(KPAR_SCALAR_MAXIMUM, w.maximum, x, 0);
        w.sum += x;
        w.cells++;
    }
    return w;
}

KPAR_REFERENCE_RULE(pool)
{
    const kpar_window_size s = kpar_window_size_of(spec);
    const int64_t positions = kpar_window_count(s.result), pixels = kpar_window_count(s.image);
    for (int64_t n = 0; n < s.batch; n++)
        for (int64_t p = 0; p < positions; p++)
            for (int64_t c = 0; c < s.in; c++) {
                const window w = look(&s, in[0] + n * pixels * s.in, p, c);
                out[0][(n * positions + p) * s.in + c] =
                    spec->attributes.reduction == KPAR_REDUCE_MAX ? w.maximum : w.sum / (double)w.cells;
            }
    return KPAR_OK;
}

KPAR_REFERENCE_RULE(max_pool_gradient)
{
    const kpar_window_size s = kpar_window_size_of(spec);
    const int64_t positions = kpar_window_count(s.result), pixels = kpar_window_count(s.image);
    clear(kpar_spec_output(spec, 0), out[0]);
    for (int64_t n = 0; n < s.batch; n++)
        for (int64_t p = 0; p < positions; p++)
            for (int64_t c = 0; c < s.in; c++) {
                const window w = look(&s, in[0] + n * pixels * s.in, p, c);
                out[0][(n * pixels + w.first) * s.in + c] += in[1][(n * positions + p) * s.in + c];
            }
    return KPAR_OK;
}

KPAR_REFERENCE_RULE(mean_pool_gradient)
{
    const kpar_window_size s = kpar_window_size_of(spec);
    const int64_t positions = kpar_window_count(s.result), pixels = kpar_window_count(s.image),
                  cells = kpar_window_count(s.window);
    clear(kpar_spec_output(spec, 0), out[0]);
    for (int64_t n = 0; n < s.batch; n++)
        for (int64_t p = 0; p < positions; p++) {
            int64_t real = 0;
            for (int64_t cell = 0; cell < cells; cell++) real += kpar_window_pixel(&s, p, cell) >= 0;
            for (int64_t cell = 0; cell < cells; cell++) {
                const int64_t pixel = kpar_window_pixel(&s, p, cell);
                for (int64_t c = 0; pixel >= 0 && c < s.in; c++)
                    out[0][(n * pixels + pixel) * s.in + c] +=
                        in[0][(n * positions + p) * s.in + c] / (double)real;
            }
        }
    return KPAR_OK;
}
