/* CPU kernels of pool and its gradients: the channels of a pixel side by side, images on threads. */
#include "device/cpu/vector.h"

#include "device/cpu/cpu.h"
#include "device/cpu/parallel.h"
#include "device/cpu/windows.h"

#include <string.h>

/* out = the larger one, NaN where either is. */
KPAR_CLONES static void maxima(const float *image, const int32_t *cells, int64_t n, int64_t channels,
                               float *out)
{
    bool begun = false;
    for (int64_t k = 0; k < n; k++) {
        if (cells[k] < 0) continue;
        const float *x = image + cells[k] * channels;
        if (begun)
            KPAR_INDEPENDENT for (int64_t c = 0; c < channels; c++) out[c] =
                ((x[c] > out[c]) | (x[c] != x[c])) ? x[c] : out[c];
        else
            KPAR_INDEPENDENT for (int64_t c = 0; c < channels; c++) out[c] = x[c];
        begun = true;
    }
}

static int64_t real_cells(const int32_t *cells, int64_t n)
{
    int64_t real = 0;
    for (int64_t k = 0; k < n; k++) real += cells[k] >= 0;
    return real;
}

KPAR_CLONES static void means(const float *image, const int32_t *cells, int64_t n, int64_t channels,
                              float *out)
{
    const float count = (float)real_cells(cells, n);
    for (int64_t c = 0; c < channels; c++) out[c] = 0;
    for (int64_t k = 0; k < n; k++) {
        if (cells[k] < 0) continue;
        const float *x = image + cells[k] * channels;
        KPAR_INDEPENDENT for (int64_t c = 0; c < channels; c++) out[c] += x[c];
    }
    KPAR_INDEPENDENT for (int64_t c = 0; c < channels; c++) out[c] = out[c] / count;
}

enum { CHANNELS = 64 }; /* whose maxima are looked for at a time */

/* Adds dy to dx where the first maximum of x is, for at most CHANNELS channels of `channels`. */
KPAR_CLONES static void to_maxima(const float *x, const int32_t *cells, int64_t n, int64_t channels,
                                  int64_t some, const float *dy, float *dx)
{
    float best[CHANNELS] = {0};
    int32_t first[CHANNELS];
    for (int64_t c = 0; c < some; c++) first[c] = -1;
    for (int32_t k = 0; k < n; k++) {
        if (cells[k] < 0) continue;
        const float *from = x + cells[k] * channels;
        KPAR_INDEPENDENT for (int64_t c = 0; c < some; c++)
        {
            const bool better = (first[c] < 0) | (from[c] > best[c]);
            best[c] = better ? from[c] : best[c];
            first[c] = better ? k : first[c];
        }
    }
    for (int32_t k = 0; k < n; k++) {
        if (cells[k] < 0) continue;
        float *to = dx + cells[k] * channels;
        KPAR_INDEPENDENT for (int64_t c = 0; c < some; c++) to[c] += first[c] == k ? dy[c] : 0;
    }
}

KPAR_CLONES static void to_cells(const int32_t *cells, int64_t n, int64_t channels, const float *dy,
                                 float *dx)
{
    const float count = (float)real_cells(cells, n);
    for (int64_t k = 0; k < n; k++) {
        if (cells[k] < 0) continue;
        float *to = dx + cells[k] * channels;
        KPAR_INDEPENDENT for (int64_t c = 0; c < channels; c++) to[c] += dy[c] / count;
    }
}

typedef struct pooling {
    const kpar_windows *w;
    kpar_op_kind op;
    kpar_reduction reduction;
    const float *image, *gradient; /* NULL: not an input */
    float *out;
} pooling;

static void forward(const pooling *p, int64_t image, int64_t position)
{
    const kpar_windows *w = p->w;
    const int32_t *cells = w->table + position * w->cells;
    const int64_t channels = w->size.in;
    const float *x = p->image + image * w->pixels * channels;
    float *out = p->out + (image * w->positions + position) * channels;
    (p->reduction == KPAR_REDUCE_MAX ? maxima : means)(x, cells, w->cells, channels, out);
}

static void backward(const pooling *p, int64_t image, int64_t position)
{
    const kpar_windows *w = p->w;
    const int32_t *cells = w->table + position * w->cells;
    const int64_t channels = w->size.in, pixel = image * w->pixels * channels;
    const float *dy = p->gradient + (image * w->positions + position) * channels;
    if (p->op == KPAR_OP_MEAN_POOL_GRADIENT) {
        to_cells(cells, w->cells, channels, dy, p->out + pixel);
        return;
    }
    for (int64_t c = 0; c < channels; c += CHANNELS)
        to_maxima(p->image + pixel + c, cells, w->cells, channels,
                  channels - c < CHANNELS ? channels - c : CHANNELS, dy + c, p->out + pixel + c);
}

static void pool_images(void *context, int worker, int64_t first, int64_t last)
{
    const pooling *p = context;
    const int64_t image = p->w->pixels * p->w->size.in;
    (void)worker;
    if (p->op != KPAR_OP_POOL)
        memset(p->out + first * image, 0, (size_t)((last - first) * image) * sizeof *p->out);
    for (int64_t i = first; i < last; i++)
        for (int64_t position = 0; position < p->w->positions; position++)
            (p->op == KPAR_OP_POOL ? forward : backward)(p, i, position);
}

static bool fits_pool(const kpar_kernel_spec *spec)
{
    return kpar_spec_input(spec, 0)->dtype == KPAR_F32 && kpar_cpu_result_type(spec) == KPAR_F32;
}

static kpar_status prepare_pool(kpar_cpu_device *device, kpar_cpu_kernel *k)
{
    const kpar_window_size size = kpar_window_size_of(k->base.spec);
    kpar_windows *windows;
    (void)device;
    KPAR_TRY(kpar_windows_create(&size, &windows));
    k->state = windows;
    return KPAR_OK;
}

static void release_pool(kpar_cpu_kernel *k) { kpar_windows_destroy(k->state); }

static kpar_status run_pool(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    const kpar_kernel_spec *spec = k->base.spec;
    const kpar_op_kind op = (kpar_op_kind)spec->op;
    pooling p = {.w = k->state, .op = op, .reduction = spec->attributes.reduction, .out = out[0]};
    if (op != KPAR_OP_MEAN_POOL_GRADIENT) p.image = in[0];
    if (op != KPAR_OP_POOL) p.gradient = in[op == KPAR_OP_MAX_POOL_GRADIENT];
    kpar_parallel(k->threads, p.w->size.batch, pool_images, &p);
    return KPAR_OK;
}

const kpar_cpu_rule kpar_cpu_pool = {
    .fits = fits_pool, .prepare = prepare_pool, .release = release_pool, .run = run_pool};
