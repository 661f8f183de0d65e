/* Convolutions as matrix products: the windows of some positions become the rows of a matrix. Where a group is one
 * channel there is no product to speak of, and windows are walked cell by cell. */
#include "device/cpu/vector.h"

#include "device/cpu/conv_loops.h"
#include "device/cpu/matmul_loops.h"
#include "device/cpu/parallel.h"

#include <string.h>

enum { ROWS = 128 }; /* positions in a matrix */

struct kpar_conv_loops {
    kpar_op_kind op;
    kpar_windows *windows;
    int threads;
    int64_t in, out, depth; /* channels of a group; cells x in */
    size_t worker_floats;
    float
        *memory; /* by worker: rows of windows (ROWS, depth), of results (ROWS, out), a kernel (depth, out) */
};

/* What a run works on. */
typedef struct running {
    const kpar_conv_loops *l;
    float *image, *kernel, *result;
} running;

kpar_status kpar_conv_loops_create(kpar_op_kind op, const kpar_window_size *size, int threads,
                                   kpar_conv_loops **loops)
{
    kpar_conv_loops *l = kpar_alloc_zeroed(1, sizeof *l);
    void *memory = NULL;
    kpar_status status = kpar_windows_create(size, &l->windows);
    l->op = op;
    l->threads = threads;
    l->in = size->groups ? size->in / size->groups : 0;
    l->out = size->groups ? size->out / size->groups : 0;
    l->depth = kpar_window_count(size->window) * l->in;
    l->worker_floats = (size_t)(ROWS * (l->depth + l->out) + l->depth * l->out);
    if (status == KPAR_OK)
        status = kpar_try_alloc((l->worker_floats * (size_t)threads + 1) * sizeof(float),
                                "the windows of a convolution", &memory);
    l->memory = memory;
    if (status == KPAR_OK)
        *loops = l;
    else
        kpar_conv_loops_destroy(l);
    return status;
}

void kpar_conv_loops_destroy(kpar_conv_loops *loops)
{
    if (!loops) return;
    kpar_windows_destroy(loops->windows);
    kpar_free_aligned(loops->memory);
    kpar_free(loops);
}

/* --- matrices --- */

/* Some positions of one image and one group, in a worker's memory. */
typedef struct tile {
    const running *r;
    int64_t image, first, rows, group;
    float *windows, *results, *kernel;
} tile;

static tile tile_of(const running *r, int worker, int64_t image, int64_t group)
{
    const kpar_conv_loops *l = r->l;
    float *memory = l->memory + (size_t)worker * l->worker_floats;
    return (tile){.r = r,
                  .image = image,
                  .group = group,
                  .windows = memory,
                  .results = memory + ROWS * l->depth,
                  .kernel = memory + ROWS * (l->depth + l->out)};
}

/* Calls for each pixel that the tile's windows have: its group's channels and where they are in the matrix. */
static void each_pixel(const tile *t, bool add)
{
    const kpar_conv_loops *l = t->r->l;
    const kpar_windows *w = l->windows;
    float *image = t->r->image + t->image * w->pixels * w->size.in + t->group * l->in, *row = t->windows;
    const int32_t *cells = w->table + t->first * w->cells;
    for (int64_t i = 0; i < t->rows * w->cells; i++, row += l->in) {
        float *pixel = image + cells[i] * w->size.in;
        if (cells[i] < 0 && !add)
            memset(row, 0, (size_t)l->in * sizeof *row);
        else if (!add)
            memcpy(row, pixel, (size_t)l->in * sizeof *row);
        else if (cells[i] >= 0)
            for (int64_t c = 0; c < l->in; c++) pixel[c] += row[c];
    }
}

/* The results of the tile's positions, from or to the matrix. */
static void copy_results(const tile *t, bool store)
{
    const kpar_conv_loops *l = t->r->l;
    const int64_t step = l->windows->size.out;
    float *at = t->r->result + (t->image * l->windows->positions + t->first) * step + t->group * l->out;
    for (int64_t i = 0; i < t->rows; i++) {
        float *row = t->results + i * l->out, *there = at + i * step;
        memcpy(store ? there : row, store ? row : there, (size_t)l->out * sizeof *row);
    }
}

/* The group's kernel (depth, out), from or to the matrix. */
static void copy_kernel(const tile *t, bool store)
{
    const kpar_conv_loops *l = t->r->l;
    for (int64_t i = 0; i < l->depth; i++) {
        float *row = t->kernel + i * l->out,
              *there = t->r->kernel + i * l->windows->size.out + t->group * l->out;
        memcpy(store ? there : row, store ? row : there, (size_t)l->out * sizeof *row);
    }
}

static void multiply_tile(const tile *t)
{
    const kpar_conv_loops *l = t->r->l;
    if (l->op != KPAR_OP_CONV_INPUT_GRADIENT) each_pixel(t, false);
    if (l->op != KPAR_OP_CONV) copy_results(t, false);
    if (l->op == KPAR_OP_CONV) {
        kpar_matmul_loops(&(kpar_onednn_matmul_options){.batch = 1, .m = t->rows, .n = l->out, .k = l->depth},
                          t->windows, t->kernel, NULL, t->results);
        copy_results(t, true);
    } else if (l->op == KPAR_OP_CONV_INPUT_GRADIENT) {
        kpar_matmul_loops(
            &(kpar_onednn_matmul_options){
                .batch = 1, .m = t->rows, .n = l->depth, .k = l->out, .transpose_b = true},
            t->results, t->kernel, NULL, t->windows);
        each_pixel(t, true);
    } else
        kpar_matmul_loops(&(kpar_onednn_matmul_options){.batch = 1,
                                                        .m = l->depth,
                                                        .n = l->out,
                                                        .k = t->rows,
                                                        .transpose_a = true,
                                                        .accumulate = true},
                          t->windows, t->results, NULL, t->kernel);
}

static void multiply_image(tile *t)
{
    const int64_t positions = t->r->l->windows->positions;
    for (t->first = 0; t->first < positions; t->first += ROWS) {
        t->rows = positions - t->first < ROWS ? positions - t->first : ROWS;
        multiply_tile(t);
    }
}

/* Pairs of group and image: images of a group follow each other, so that its kernel is copied once. */
static void multiply_images(void *context, int worker, int64_t first, int64_t last)
{
    const running *r = context;
    const int64_t batch = r->l->windows->size.batch;
    for (int64_t i = first; i < last; i++) {
        tile t = tile_of(r, worker, i % batch, i / batch);
        if (i == first || i % batch == 0) copy_kernel(&t, false);
        multiply_image(&t);
    }
}

/* A group's weights are one sum over all images, in order. */
static void sum_groups(void *context, int worker, int64_t first, int64_t last)
{
    const running *r = context;
    const kpar_conv_loops *l = r->l;
    for (int64_t group = first; group < last; group++) {
        tile t = tile_of(r, worker, 0, group);
        memset(t.kernel, 0, (size_t)(l->depth * l->out) * sizeof *t.kernel);
        for (; t.image < l->windows->size.batch; t.image++) multiply_image(&t);
        copy_kernel(&t, true);
    }
}

/* --- groups of one channel --- */

/* result[o] += pixel[o / out] kernel[o], or that for one of the others. */
KPAR_CLONES static void each_channel(kpar_op_kind op, int64_t channels, int64_t out, float *pixel,
                                     float *kernel, float *result)
{
    if (out == 1 && op == KPAR_OP_CONV)
        KPAR_INDEPENDENT for (int64_t c = 0; c < channels; c++) result[c] += pixel[c] * kernel[c];
    else if (out == 1 && op == KPAR_OP_CONV_INPUT_GRADIENT)
        KPAR_INDEPENDENT for (int64_t c = 0; c < channels; c++) pixel[c] += result[c] * kernel[c];
    else if (out == 1)
        KPAR_INDEPENDENT for (int64_t c = 0; c < channels; c++) kernel[c] += pixel[c] * result[c];
    else
        for (int64_t c = 0, o = 0; c < channels; c++)
            for (int64_t m = 0; m < out; m++, o++)
                if (op == KPAR_OP_CONV)
                    result[o] += pixel[c] * kernel[o];
                else if (op == KPAR_OP_CONV_INPUT_GRADIENT)
                    pixel[c] += result[o] * kernel[o];
                else
                    kernel[o] += pixel[c] * result[o];
}

static void walk_images(void *context, int worker, int64_t first, int64_t last)
{
    const running *r = context;
    const kpar_windows *w = r->l->windows;
    const int64_t in = w->size.in, out = w->size.out;
    (void)worker;
    for (int64_t i = first * w->positions; i < last * w->positions; i++) {
        const int32_t *cells = w->table + i % w->positions * w->cells;
        float *image = r->image + i / w->positions * w->pixels * in;
        for (int64_t k = 0; k < w->cells; k++)
            if (cells[k] >= 0)
                each_channel(r->l->op, in, r->l->out, image + cells[k] * in, r->kernel + k * out,
                             r->result + i * out);
    }
}

void kpar_conv_loops_run(const kpar_conv_loops *loops, float *image, float *kernel, float *result)
{
    running r = {loops, image, kernel, result};
    const kpar_window_size *s = &loops->windows->size;
    const size_t images = (size_t)(s->batch * loops->windows->pixels * s->in) * sizeof(float),
                 weights = (size_t)(loops->depth * s->out) * sizeof(float),
                 results = (size_t)(s->batch * loops->windows->positions * s->out) * sizeof(float);
    const bool each = loops->in == 1 && s->groups > 1, sums = loops->op == KPAR_OP_CONV_KERNEL_GRADIENT;
    if (loops->op == KPAR_OP_CONV) memset(result, 0, results);
    if (loops->op == KPAR_OP_CONV_INPUT_GRADIENT) memset(image, 0, images);
    if (sums) memset(kernel, 0, weights);
    if (images == 0 || weights == 0 || results == 0) return;
    if (each)
        kpar_parallel(sums ? 1 : loops->threads, s->batch, walk_images, &r);
    else if (sums)
        kpar_parallel(loops->threads, s->groups, sum_groups, &r);
    else
        kpar_parallel(loops->threads, s->batch * s->groups, multiply_images, &r);
}
