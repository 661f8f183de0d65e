/* CPU kernels of reduce and arg_reduce.
 *
 * Dimensions are joined and split into outer ones and the last. Where the last is kept, rows are combined into
 * strips of columns; where it is removed, lines are combined into lanes and the lanes at the end. Every sum is of
 * sums of CHUNK terms, in an order that no thread changes. */
#include "device/cpu/vector.h"

#include "device/cpu/cpu.h"
#include "device/cpu/parallel.h"

#include <math.h>
#include <string.h>

enum { STRIP = 4 * KPAR_LANES, CHUNK = 32 };

/* Elements worth a second thread. */
enum { ELEMENTS_A_THREAD = 32768 };

typedef void (*reduce_loop)(const float *x, const int64_t *offsets, int64_t n, int64_t length, float *out);

typedef struct reduce_state {
    bool last_kept;
    float start;             /* of nothing */
    int64_t length;          /* of the last dimension */
    int64_t *kept, *removed; /* offsets of the outer dimensions that are kept, and that are removed */
    int64_t n_kept, n_removed;
    reduce_loop loop;
    int threads;
    const float *x; /* of a run */
    float *out;
} reduce_state;

/* columns: combines out[0 .. length), length <= STRIP, with n <= CHUNK rows at x + offsets[0 .. n).
 * lines: *out of n lines of `length` elements. */
#define REDUCE_LOOPS(name, start, combine)                                                                   \
    static inline void load_##name(float to[STRIP], const float *x, int64_t length)                          \
    {                                                                                                        \
        for (int j = 0; j < STRIP; j++) to[j] = j < length ? x[j] : (start);                                 \
    }                                                                                                        \
    static inline void add_##name(float sums[STRIP], const float *x)                                         \
    {                                                                                                        \
        KPAR_INDEPENDENT for (int j = 0; j < STRIP; j++) sums[j] = combine(sums[j], x[j]);                   \
    }                                                                                                        \
    static inline void begin_##name(float sums[STRIP])                                                       \
    {                                                                                                        \
        for (int j = 0; j < STRIP; j++) sums[j] = (start);                                                   \
    }                                                                                                        \
    KPAR_CLONES static void columns_##name(const float *x, const int64_t *offsets, int64_t n,                \
                                           int64_t length, float *out)                                       \
    {                                                                                                        \
        float sums[STRIP], row[STRIP];                                                                       \
        begin_##name(sums);                                                                                  \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            if (length < STRIP) load_##name(row, x + offsets[i], length);                                    \
            add_##name(sums, length < STRIP ? row : x + offsets[i]);                                         \
        }                                                                                                    \
        for (int64_t j = 0; j < length; j++) out[j] = combine(out[j], sums[j]);                              \
    }                                                                                                        \
    KPAR_CLONES static void lines_##name(const float *x, const int64_t *offsets, int64_t n, int64_t length,  \
                                         float *out)                                                         \
    {                                                                                                        \
        float total[STRIP], sums[STRIP], rest[STRIP];                                                        \
        begin_##name(total);                                                                                 \
        for (int64_t i = 0; i < n; i++)                                                                      \
            for (int64_t first = 0; first < length; first += CHUNK * STRIP) {                                \
                const int64_t last = first + CHUNK * STRIP < length ? first + CHUNK * STRIP : length;        \
                const float *line = x + offsets[i];                                                          \
                int64_t j = first;                                                                           \
                begin_##name(sums);                                                                          \
                for (; j + STRIP <= last; j += STRIP) add_##name(sums, line + j);                            \
                load_##name(rest, line + j, last - j);                                                       \
                add_##name(sums, rest);                                                                      \
                add_##name(total, sums);                                                                     \
            }                                                                                                \
        for (int half = STRIP / 2; half > 0; half /= 2)                                                      \
            for (int j = 0; j < half; j++) total[j] = combine(total[j], total[j + half]);                    \
        *out = total[0];                                                                                     \
    }

#define SUM_OF(a, b) ((a) + (b))
#define PRODUCT_OF(a, b) ((a) * (b))
#define MAXIMUM_OF(a, b) ((((a) >= (b)) | ((a) != (a))) ? (a) : (b))
#define MINIMUM_OF(a, b) ((((a) <= (b)) | ((a) != (a))) ? (a) : (b))
REDUCE_LOOPS(sum, 0.0f, SUM_OF)
REDUCE_LOOPS(product, 1.0f, PRODUCT_OF)
REDUCE_LOOPS(maximum, -INFINITY, MAXIMUM_OF)
REDUCE_LOOPS(minimum, INFINITY, MINIMUM_OF)

static reduce_loop loop_of(kpar_reduction reduction, bool last_kept)
{
    static const reduce_loop loops[][2] = {[KPAR_REDUCE_SUM] = {lines_sum, columns_sum},
                                           [KPAR_REDUCE_MAX] = {lines_maximum, columns_maximum},
                                           [KPAR_REDUCE_MIN] = {lines_minimum, columns_minimum},
                                           [KPAR_REDUCE_PRODUCT] = {lines_product, columns_product}};
    return loops[reduction][last_kept];
}

static float start_of(kpar_reduction reduction)
{
    static const float starts[KPAR_REDUCTION_COUNT] = {
        [KPAR_REDUCE_MAX] = -INFINITY, [KPAR_REDUCE_MIN] = INFINITY, [KPAR_REDUCE_PRODUCT] = 1};
    return starts[reduction];
}

/* Dimensions with neighbours of the same kind joined and those of one element dropped. */
typedef struct joined {
    int rank;
    int64_t dims[KPAR_MAX_RANK];
    bool kept[KPAR_MAX_RANK];
} joined;

static joined join(const kpar_tensor_spec *tensor, unsigned axes)
{
    joined j = {.rank = 0};
    for (int d = 0; d < tensor->rank; d++) {
        const bool kept = !(axes >> d & 1);
        if (tensor->dims[d] == 1) continue;
        if (j.rank > 0 && j.kept[j.rank - 1] == kept)
            j.dims[j.rank - 1] *= tensor->dims[d];
        else {
            j.dims[j.rank] = tensor->dims[d];
            j.kept[j.rank++] = kept;
        }
    }
    if (j.rank == 0) j = (joined){1, {1}, {true}};
    return j;
}

/* Offsets, in order, of all coordinates of the outer dimensions that are (not) kept. */
static int64_t *offsets_of(const joined *j, bool kept, int64_t *n)
{
    int64_t count = 1, *offsets;
    for (int d = 0; d < j->rank - 1; d++)
        if (j->kept[d] == kept) count *= j->dims[d];
    offsets = kpar_alloc(((size_t)count + 1) * sizeof *offsets);
    for (int64_t i = 0; i < count; i++) {
        int64_t rest = i, stride = j->dims[j->rank - 1];
        offsets[i] = 0;
        for (int d = j->rank - 2; d >= 0; stride *= j->dims[d], d--) {
            if (j->kept[d] != kept) continue;
            offsets[i] += rest % j->dims[d] * stride;
            rest /= j->dims[d];
        }
    }
    *n = count;
    return offsets;
}

static bool fits_reduce(const kpar_kernel_spec *spec)
{
    return kpar_spec_input(spec, 0)->dtype == KPAR_F32 && kpar_cpu_result_type(spec) == KPAR_F32;
}

static kpar_status prepare_reduce(kpar_cpu_device *device, kpar_cpu_kernel *k)
{
    const kpar_kernel_spec *spec = k->base.spec;
    const joined j = join(kpar_spec_input(spec, 0), spec->attributes.axes);
    reduce_state *state = kpar_alloc_zeroed(1, sizeof *state);
    (void)device;
    state->last_kept = j.kept[j.rank - 1];
    state->length = j.dims[j.rank - 1];
    state->kept = offsets_of(&j, true, &state->n_kept);
    state->removed = offsets_of(&j, false, &state->n_removed);
    state->start = start_of(spec->attributes.reduction);
    state->loop = loop_of(spec->attributes.reduction, state->last_kept);
    const int64_t useful = kpar_tensor_count(kpar_spec_input(spec, 0)) / ELEMENTS_A_THREAD + 1;
    state->threads = k->threads < useful ? k->threads : (int)useful;
    k->state = state;
    return KPAR_OK;
}

static void release_reduce(kpar_cpu_kernel *k)
{
    reduce_state *state = k->state;
    kpar_free(state->kept);
    kpar_free(state->removed);
    kpar_free(state);
}

/* Columns from `column` on of the row of outputs at `out`. CHUNK rows of all of them before the next rows: memory is
 * read nearly in order. */
static void reduce_columns(const reduce_state *s, const float *x, float *out, int64_t column, int64_t end)
{
    for (int64_t j = column; j < end; j++) out[j] = s->start;
    for (int64_t first = 0; first < s->n_removed; first += CHUNK) {
        const int64_t left = s->n_removed - first, n = left < CHUNK ? left : CHUNK;
        for (int64_t j = column; j < end; j += STRIP)
            s->loop(x + j, s->removed + first, n, end - j < STRIP ? end - j : STRIP, out + j);
    }
}

/* Items are the strips of all rows of outputs. */
static void reduce_strips(void *context, int worker, int64_t first, int64_t last)
{
    const reduce_state *s = context;
    const int64_t strips = (s->length + STRIP - 1) / STRIP;
    (void)worker;
    for (int64_t i = first; i < last;) {
        const int64_t row = i / strips, strip = i % strips, left = strips - strip,
                      n = last - i < left ? last - i : left;
        const int64_t end = (strip + n) * STRIP < s->length ? (strip + n) * STRIP : s->length;
        reduce_columns(s, s->x + s->kept[row], s->out + row * s->length, strip * STRIP, end);
        i += n;
    }
}

static void reduce_lines(void *context, int worker, int64_t first, int64_t last)
{
    const reduce_state *s = context;
    (void)worker;
    for (int64_t i = first; i < last; i++)
        s->loop(s->x + s->kept[i], s->removed, s->n_removed, s->length, s->out + i);
}

static kpar_status run_reduce(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    reduce_state *s = k->state;
    s->x = in[0];
    s->out = out[0];
    if (s->last_kept)
        kpar_parallel(s->threads, s->n_kept * ((s->length + STRIP - 1) / STRIP), reduce_strips, s);
    else
        kpar_parallel(s->threads, s->n_kept, reduce_lines, s);
    return KPAR_OK;
}

const kpar_cpu_rule kpar_cpu_reduce = {
    .fits = fits_reduce, .prepare = prepare_reduce, .release = release_reduce, .run = run_reduce};

static bool fits_arg_reduce(const kpar_kernel_spec *spec)
{
    return kpar_spec_input(spec, 0)->dtype == KPAR_F32 && kpar_cpu_result_type(spec) == KPAR_I32;
}

static kpar_status run_arg_reduce(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    const kpar_lines l = kpar_lines_of(kpar_spec_input(k->base.spec, 0), k->base.spec->attributes.axis);
    int32_t *to = out[0];
    for (int64_t o = 0; o < l.outer; o++)
        for (int64_t i = 0; i < l.inner; i++) {
            const float *x = (const float *)in[0] + o * l.length * l.inner + i;
            int64_t best = 0;
            for (int64_t j = 1; j < l.length; j++)
                if (x[j * l.inner] > x[best * l.inner]) best = j;
            to[o * l.inner + i] = (int32_t)best;
        }
    return KPAR_OK;
}

const kpar_cpu_rule kpar_cpu_arg_reduce = {.fits = fits_arg_reduce, .run = run_arg_reduce};
