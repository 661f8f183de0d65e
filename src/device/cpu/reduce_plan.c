/* Plans of reductions: dimensions joined, rows folded, parts. */
#include "device/cpu/vector.h"

#include "device/cpu/reduce_plan.h"

enum { ELEMENTS_A_THREAD = 32768 }; /* worth a second thread */
enum { ELEMENTS_A_PART = 65536, MOST_PARTS = 64, ENOUGH_ITEMS = 16 };
enum { MOST_FOLDED = 4096, LEAST_ROWS = 4 }; /* elements of rows folded into one; such rows for that to pay */

/* Dimensions with neighbours of the same kind joined and those of one element dropped. */
typedef struct joined {
    int rank;
    int64_t dims[KPAR_MAX_RANK], strides[KPAR_MAX_RANK];
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
    if (j.rank == 0) j = (joined){.rank = 1, .dims = {1}, .kept = {true}};
    int64_t stride = 1;
    for (int d = j.rank - 1; d >= 0; stride *= j.dims[d], d--) j.strides[d] = stride;
    return j;
}

/* Offsets of all coordinates of the outer dimensions that are (not) kept, behind `first`. */
static kpar_offsets offsets_of(const joined *j, bool kept, int64_t first)
{
    kpar_offsets o = {.n = 1};
    for (int d = 0; d < j->rank - 1; d++)
        if (j->kept[d] == kept) o.n *= j->dims[d];
    o.at = kpar_alloc(((size_t)o.n + 1) * sizeof *o.at);
    for (int64_t i = 0; i < o.n; i++) {
        int64_t rest = i;
        o.at[i] = first;
        for (int d = j->rank - 2; d >= 0; d--) {
            if (j->kept[d] != kept) continue;
            o.at[i] += rest % j->dims[d] * j->strides[d];
            rest /= j->dims[d];
        }
    }
    return o;
}

static int64_t greatest_divisor(int64_t a, int64_t b) { return b == 0 ? a : greatest_divisor(b, a % b); }

/* How many of so many rows of `length` elements count as one: they fill pieces, or at least strips. */
static int64_t rows_folded(int64_t rows, int64_t length)
{
    const int64_t wholes[] = {KPAR_PIECE, KPAR_STRIP};
    for (size_t i = 0; i < sizeof wholes / sizeof *wholes && length > 0; i++) {
        const int64_t fold = wholes[i] / greatest_divisor(length, wholes[i]);
        if (fold * length <= MOST_FOLDED && rows >= LEAST_ROWS * fold) return fold;
    }
    return 1;
}

/* Returns what rows begin at multiples of. */
static int64_t plan_columns(kpar_reduction_plan *s, joined j)
{
    const int last = j.rank - 1;
    const bool narrow = last > 0 && !j.kept[last - 1];
    int64_t unit = j.dims[last], rows = 1;
    s->fold = narrow ? rows_folded(j.dims[last - 1], j.dims[last]) : 1;
    s->kept = offsets_of(&j, true, 0);
    if (s->fold > 1) {
        joined tails = j;
        rows = j.dims[last - 1] / s->fold;
        unit = greatest_divisor(j.dims[last] * s->fold, j.dims[last] * j.dims[last - 1]);
        s->tail = j.dims[last - 1] % s->fold * j.dims[last];
        tails.dims[last - 1] = s->tail > 0;
        s->tails = offsets_of(&tails, false, rows * s->fold * j.dims[last]);
        j.dims[last - 1] = rows;
        j.dims[last] *= s->fold;
        j.strides[last - 1] = j.dims[last];
    }
    s->length = j.dims[last];
    s->rows = offsets_of(&j, false, 0);
    return unit;
}

/* Few columns of many rows: parts of these. */
static void plan_parts(kpar_reduction_plan *s)
{
    const int64_t items = s->kept.n * (s->length / KPAR_PIECE + 1);
    int64_t rows = s->length > 0 ? ELEMENTS_A_PART / s->length : 0;
    if (rows < KPAR_CHUNK) rows = KPAR_CHUNK;
    if (rows * MOST_PARTS < s->rows.n) rows = (s->rows.n + MOST_PARTS - 1) / MOST_PARTS;
    s->rows_a_part = items < ENOUGH_ITEMS && s->rows.n > rows ? rows : s->rows.n;
    s->parts = s->rows.n > s->rows_a_part ? (s->rows.n + s->rows_a_part - 1) / s->rows_a_part : 1;
}

/* Short lines that follow each other are computed together. Returns what lines, or such, begin at multiples of. */
static int64_t plan_lines(kpar_reduction_plan *s, const joined *j)
{
    const int64_t length = j->dims[j->rank - 1];
    s->length = length;
    s->kept = offsets_of(j, true, 0);
    s->rows = offsets_of(j, false, 0);
    s->together = 1;
    if (j->rank == 2 && length > 0 && 2 * length <= KPAR_PIECE) {
        const int64_t whole = KPAR_LANES / greatest_divisor(length, KPAR_LANES);
        s->together =
            length * whole <= KPAR_PIECE ? KPAR_PIECE / (length * whole) * whole : KPAR_PIECE / length;
    }
    return length * s->together;
}

static kpar_status prepare_map(kpar_cpu_kernel *k, kpar_reduction_plan *s, const kpar_tensor_spec *whole,
                               int64_t unit)
{
    const kpar_kernel_spec *spec = k->base.spec;
    kpar_tensor_spec *outputs = kpar_alloc((size_t)s->n_outputs * sizeof *outputs);
    for (int i = 0; i < s->n_outputs; i++) outputs[i] = *whole;
    kpar_status status = kpar_evaluator_create(spec->attributes.expression, spec->tensors, outputs, false,
                                               unit > 0 ? unit : 1, s->threads, &s->map);
    kpar_free(outputs);
    if (status != KPAR_OK) return status;
    s->threads = kpar_evaluator_threads(s->map);
    s->panel = kpar_evaluator_step(s->map);
    s->scratch =
        kpar_alloc((size_t)s->threads * (size_t)s->n_outputs * KPAR_REDUCE_SCRATCH * sizeof *s->scratch);
    return KPAR_OK;
}

static kpar_status prepare_partial(kpar_reduction_plan *s)
{
    void *memory;
    if (s->fold == 1 && s->parts == 1) return KPAR_OK;
    KPAR_TRY(kpar_try_alloc((size_t)(s->n_outputs * s->kept.n * s->parts * s->length + 1) * sizeof(float),
                            "the parts of a reduction", &memory));
    s->partial = memory;
    return KPAR_OK;
}

kpar_status kpar_reduce_prepare(kpar_cpu_device *device, kpar_cpu_kernel *k)
{
    const kpar_kernel_spec *spec = k->base.spec;
    const kpar_tensor_spec whole = kpar_spec_reduced(spec);
    const joined j = join(&whole, spec->attributes.axes);
    const int64_t useful = kpar_tensor_count(&whole) / ELEMENTS_A_THREAD + 1;
    kpar_reduction_plan *s = k->state = kpar_alloc_zeroed(1, sizeof *s);
    (void)device;
    s->loops = kpar_reduce_loops_of(spec->attributes.reduction);
    s->last_kept = j.kept[j.rank - 1];
    s->n_outputs = spec->op == KPAR_OP_MAP_REDUCE ? spec->n_outputs : 1;
    s->threads = k->threads < useful ? k->threads : (int)useful;
    s->panel = KPAR_PIECE;
    const int64_t unit = s->last_kept ? plan_columns(s, j) : plan_lines(s, &j);
    if (spec->op == KPAR_OP_MAP_REDUCE) KPAR_TRY(prepare_map(k, s, &whole, unit));
    if (!s->last_kept) return KPAR_OK;
    plan_parts(s);
    return prepare_partial(s);
}

void kpar_reduce_release(kpar_cpu_kernel *k)
{
    kpar_reduction_plan *s = k->state;
    kpar_free(s->kept.at);
    kpar_free(s->rows.at);
    kpar_free(s->tails.at);
    kpar_free_aligned(s->partial);
    kpar_free(s->scratch);
    kpar_evaluator_destroy(s->map);
    kpar_free(s);
}
