/* CPU kernels of softmax and cross-entropy: rows along the last dimension, in groups of lanes; lanes past the end
 * of a row hold what adds nothing. */
#include "device/cpu/vector_math.h"

#include "device/cpu/cpu.h"
#include "device/cpu/parallel.h"

#include <string.h>

/* Elements worth a second thread. */
enum { ELEMENTS_A_THREAD = 8192 };

/* What one call works on: `outer` rows of `length`. */
typedef struct row_work {
    const float *x, *second, *scale; /* scale: one factor a row */
    const void *labels;
    kpar_dtype label_type; /* F32: probabilities, I32 or I64: class numbers */
    float *out;
    int64_t length;
} row_work;

static inline void load(float to[KPAR_LANES], const float *x, int64_t left, float beyond)
{
    if (left >= KPAR_LANES)
        memcpy(to, x, KPAR_LANES * sizeof *to);
    else
        for (int j = 0; j < KPAR_LANES; j++) to[j] = j < left ? x[j] : beyond;
}

static inline void store(float *x, const float from[KPAR_LANES], int64_t left)
{
    if (left >= KPAR_LANES)
        memcpy(x, from, KPAR_LANES * sizeof *x); /* of constant length: no call */
    else
        for (int64_t j = 0; j < left; j++) x[j] = from[j];
}

/* Combines the lanes in halves. Loops of constant length become vectors, where a loop over halves stays scalar. */
#define FOLD_HALF(lanes, half, combine)                                                                      \
    KPAR_INDEPENDENT for (int j = 0; j < (half); j++)(lanes)[j] = combine((lanes)[j], (lanes)[j + (half)]);
#define FOLD(lanes, combine)                                                                                 \
    FOLD_HALF(lanes, 8, combine)                                                                             \
    FOLD_HALF(lanes, 4, combine) FOLD_HALF(lanes, 2, combine) FOLD_HALF(lanes, 1, combine)
_Static_assert(KPAR_LANES == 16, "FOLD begins with 8");

static inline float sum_of_two(float a, float b) { return a + b; }

static inline float sum_lanes(float lanes[KPAR_LANES])
{
    FOLD(lanes, sum_of_two)
    return lanes[0];
}

/* Sums of lanes while they are made: a vector, which gcc would take apart into as many numbers if it were an array. */
typedef float lane_sums __attribute__((vector_size(KPAR_LANES * sizeof(float))));

static inline void add_lanes(lane_sums *sums, const float terms[KPAR_LANES])
{
    lane_sums more;
    memcpy(&more, terms, sizeof more);
    *sums += more;
}

static inline float total_of(const lane_sums *sums)
{
    float lanes[KPAR_LANES];
    memcpy(lanes, sums, sizeof lanes);
    return sum_lanes(lanes);
}

static inline float maximum_of(float a, float b) { return ((a >= b) | (a != a)) ? a : b; }

static inline float row_maximum(const float *x, int64_t n)
{
    float most[KPAR_LANES], v[KPAR_LANES];
    for (int j = 0; j < KPAR_LANES; j++) most[j] = -INFINITY;
    for (int64_t i = 0; i < n; i += KPAR_LANES) {
        load(v, x + i, n - i, -INFINITY);
        KPAR_EACH_LANE(j) most[j] = maximum_of(most[j], v[j]);
    }
    FOLD(most, maximum_of)
    return most[0];
}

/* The sum of exp(x - maximum); the terms go to `terms` unless it is NULL. */
static inline float exponentials(const float *x, int64_t n, float maximum, float *terms)
{
    lane_sums sums = {0};
    float v[KPAR_LANES];
    for (int64_t i = 0; i < n; i += KPAR_LANES) {
        load(v, x + i, n - i, -INFINITY);
        KPAR_EACH_LANE(j) v[j] = kpar_exp_f32(v[j] - maximum);
        add_lanes(&sums, v);
        if (terms) store(terms + i, v, n - i);
    }
    return total_of(&sums);
}

KPAR_CLONES static void softmax_rows(const row_work *w, int64_t first, int64_t last)
{
    for (int64_t r = first; r < last; r++) {
        const float *x = w->x + r * w->length;
        float *y = w->out + r * w->length;
        const float sum = exponentials(x, w->length, row_maximum(x, w->length), y);
        const float share = 1 / sum;
        for (int64_t i = 0; i < w->length; i++) y[i] *= share;
    }
}

KPAR_CLONES static void softmax_gradient_rows(const row_work *w, int64_t first, int64_t last)
{
    for (int64_t r = first; r < last; r++) {
        const float *y = w->x + r * w->length, *dy = w->second + r * w->length;
        float *dx = w->out + r * w->length, a[KPAR_LANES], b[KPAR_LANES];
        lane_sums sums = {0};
        for (int64_t i = 0; i < w->length; i += KPAR_LANES) {
            load(a, y + i, w->length - i, 0);
            load(b, dy + i, w->length - i, 0);
            KPAR_EACH_LANE(j) a[j] *= b[j];
            add_lanes(&sums, a);
        }
        const float sum = total_of(&sums);
        for (int64_t i = 0; i < w->length; i++) dx[i] = y[i] * (dy[i] - sum);
    }
}

/* The class number of row r, or -1 if it is none. */
static inline int64_t class_of(const row_work *w, int64_t r)
{
    const int64_t label =
        w->label_type == KPAR_I32 ? ((const int32_t *)w->labels)[r] : ((const int64_t *)w->labels)[r];
    return label >= 0 && label < w->length ? label : -1;
}

/* sum of t (logarithm - (x - maximum)), and of t */
static inline float dense_loss(const float *x, const float *t, int64_t n, float maximum, float logarithm)
{
    float sums[KPAR_LANES] = {0}, v[KPAR_LANES], p[KPAR_LANES];
    for (int64_t i = 0; i < n; i += KPAR_LANES) {
        load(v, x + i, n - i, 0);
        load(p, t + i, n - i, 0);
        KPAR_EACH_LANE(j)
        {
            const float term = p[j] * (logarithm - (v[j] - maximum));
            sums[j] += p[j] == 0 ? 0 : term;
        }
    }
    return sum_lanes(sums);
}

KPAR_CLONES static void cross_entropy_rows(const row_work *w, int64_t first, int64_t last)
{
    for (int64_t r = first; r < last; r++) {
        const float *x = w->x + r * w->length, maximum = row_maximum(x, w->length);
        const float logarithm = kpar_log_f32(exponentials(x, w->length, maximum, NULL));
        if (w->label_type == KPAR_F32) {
            w->out[r] =
                dense_loss(x, (const float *)w->labels + r * w->length, w->length, maximum, logarithm);
            continue;
        }
        const int64_t label = class_of(w, r);
        w->out[r] = label < 0 ? NAN : logarithm - (x[label] - maximum);
    }
}

static inline float sum_of(const float *x, int64_t n)
{
    float sums[KPAR_LANES] = {0}, v[KPAR_LANES];
    for (int64_t i = 0; i < n; i += KPAR_LANES) {
        load(v, x + i, n - i, 0);
        KPAR_EACH_LANE(j) sums[j] += v[j];
    }
    return sum_lanes(sums);
}

KPAR_CLONES static void cross_entropy_gradient_rows(const row_work *w, int64_t first, int64_t last)
{
    for (int64_t r = first; r < last; r++) {
        const float *x = w->x + r * w->length;
        float *dx = w->out + r * w->length;
        const float sum = exponentials(x, w->length, row_maximum(x, w->length), dx), scale = w->scale[r];
        if (w->label_type == KPAR_F32) {
            const float *t = (const float *)w->labels + r * w->length, labels = sum_of(t, w->length);
            const float share = labels / sum;
            for (int64_t i = 0; i < w->length; i++) dx[i] = (dx[i] * share - t[i]) * scale;
            continue;
        }
        const int64_t label = class_of(w, r);
        const float share = (label < 0 ? NAN : scale) / sum;
        for (int64_t i = 0; i < w->length; i++) dx[i] *= share;
        if (label >= 0) dx[label] -= scale;
    }
}

/* The rows of a call, shared among threads. */
typedef struct row_call {
    row_work work;
    void (*loop)(const row_work *work, int64_t first, int64_t last);
} row_call;

static void run_part(void *context, int worker, int64_t first, int64_t last)
{
    const row_call *call = context;
    (void)worker;
    call->loop(&call->work, first, last);
}

static kpar_status run_rows(kpar_cpu_kernel *k, row_call call)
{
    const kpar_tensor_spec *x = kpar_spec_input(k->base.spec, 0);
    const kpar_lines l = kpar_lines_of(x, x->rank - 1);
    const int64_t useful = l.outer * l.length / ELEMENTS_A_THREAD + 1;
    call.work.length = l.length;
    kpar_parallel(k->threads < useful ? k->threads : (int)useful, l.outer, run_part, &call);
    return KPAR_OK;
}

static bool fits_rows(const kpar_kernel_spec *spec)
{
    for (int i = 0; i < kpar_spec_anchor_inputs(spec); i++)
        if (kpar_spec_input(spec, i)->dtype != KPAR_F32) return false;
    return kpar_cpu_result_type(spec) == KPAR_F32;
}

static bool fits_labels(const kpar_kernel_spec *spec)
{
    const kpar_dtype labels = kpar_spec_input(spec, 1)->dtype;
    const bool known =
        spec->attributes.sparse ? labels == KPAR_I32 || labels == KPAR_I64 : labels == KPAR_F32;
    return known && kpar_spec_input(spec, 0)->dtype == KPAR_F32 && kpar_cpu_result_type(spec) == KPAR_F32 &&
           (spec->op == KPAR_OP_CROSS_ENTROPY || kpar_spec_input(spec, 2)->dtype == KPAR_F32);
}

static kpar_status run_softmax(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    return run_rows(k, (row_call){{.x = in[0], .out = out[0]}, softmax_rows});
}

static kpar_status run_softmax_gradient(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    return run_rows(k, (row_call){{.x = in[0], .second = in[1], .out = out[0]}, softmax_gradient_rows});
}

static kpar_status run_cross_entropy(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    const kpar_dtype labels = kpar_spec_input(k->base.spec, 1)->dtype;
    return run_rows(k, (row_call){{.x = in[0], .labels = in[1], .label_type = labels, .out = out[0]},
                                  cross_entropy_rows});
}

static kpar_status run_cross_entropy_gradient(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    const kpar_dtype labels = kpar_spec_input(k->base.spec, 1)->dtype;
    return run_rows(
        k, (row_call){{.x = in[0], .labels = in[1], .label_type = labels, .scale = in[2], .out = out[0]},
                      cross_entropy_gradient_rows});
}

const kpar_cpu_rule kpar_cpu_softmax = {.fits = fits_rows, .run = run_softmax};
const kpar_cpu_rule kpar_cpu_softmax_gradient = {.fits = fits_rows, .run = run_softmax_gradient};
const kpar_cpu_rule kpar_cpu_cross_entropy = {.fits = fits_labels, .run = run_cross_entropy};
const kpar_cpu_rule kpar_cpu_cross_entropy_gradient = {.fits = fits_labels,
                                                       .run = run_cross_entropy_gradient};
