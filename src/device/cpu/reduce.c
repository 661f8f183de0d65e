/* CPU kernels of reduce and map_reduce.
 *
 * Dimensions are joined and split into outer ones and the last. Where the last is kept, rows are combined column by
 * column. Rows that are narrow and follow each other count as one: `fold` of them, whose parts are combined at the end.
 * Many rows of few columns are parts, which threads share and which are combined at the end too. Where the last
 * dimension is removed, lines are combined into lanes and the lanes at the end. What is reduced is read where it lies, or
 * (map_reduce) computed a piece at a time. Every sum is of sums of few terms, in an order that no thread changes. */
#include "device/cpu/vector.h"

#include "device/cpu/parallel.h"
#include "device/cpu/reduce_plan.h"

/* --- columns --- */

/* Where the results of a part of the rows go. */
static float *target_of(const kpar_reduction_plan *s, int output, int64_t kept, int64_t part)
{
    if (!s->partial) return (float *)s->out[output] + kept * s->length;
    return s->partial + ((output * s->kept.n + kept) * s->parts + part) * s->length;
}

/* n columns of rows [first, end), of memory. CHUNK rows of all of them before the next rows: it is read nearly in order. */
static void read_columns(const kpar_reduction_plan *s, const float *x, int64_t first, int64_t end, int64_t n,
                         float *to)
{
    for (int64_t i = first; i < end; i += KPAR_CHUNK)
        for (int64_t j = 0; j < n; j += KPAR_STRIP)
            s->loops->columns(to + j, x + j, s->rows.at + i, end - i < KPAR_CHUNK ? end - i : KPAR_CHUNK,
                              n - j < KPAR_STRIP ? n - j : KPAR_STRIP);
}

static void fill(float *to, float value, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] = value;
}

/* The outputs' pieces in a worker's scratch memory. */
static void pieces_of(const kpar_reduction_plan *s, int worker, void *pieces[KPAR_OP_OUTPUTS])
{
    for (int o = 0; o < s->n_outputs; o++) pieces[o] = kpar_reduce_scratch(s, worker, o);
}

/* n columns, at most a panel, of CHUNK rows or those up to `end`, computed. */
static void compute_chunk(const kpar_reduction_plan *s, int worker, int64_t offset, int64_t first,
                          int64_t end, int64_t n, float *const *to)
{
    void *pieces[KPAR_OP_OUTPUTS];
    pieces_of(s, worker, pieces);
    for (int o = 0; o < s->n_outputs; o++)
        fill(kpar_reduce_scratch(s, worker, o) + KPAR_PIECE, s->loops->start, n);
    for (int64_t i = first; i < end && i < first + KPAR_CHUNK; i++) {
        kpar_evaluator_piece(s->map, worker, offset + s->rows.at[i], n, pieces);
        for (int o = 0; o < s->n_outputs; o++)
            s->loops->row(kpar_reduce_scratch(s, worker, o) + KPAR_PIECE, pieces[o], n);
    }
    for (int o = 0; o < s->n_outputs; o++)
        s->loops->row(to[o], kpar_reduce_scratch(s, worker, o) + KPAR_PIECE, n);
}

static void reduce_panel(const kpar_reduction_plan *s, int worker, int64_t kept, int64_t part, int64_t column)
{
    const int64_t left = s->length - column, n = left < s->panel ? left : s->panel;
    const int64_t first = part * s->rows_a_part, past = first + s->rows_a_part;
    const int64_t end = past < s->rows.n ? past : s->rows.n, offset = s->kept.at[kept] + column;
    float *to[KPAR_OP_OUTPUTS];
    for (int o = 0; o < s->n_outputs; o++) {
        to[o] = target_of(s, o, kept, part) + column;
        fill(to[o], s->loops->start, n);
    }
    if (!s->map)
        read_columns(s, s->x + offset, first, end, n, to[0]);
    else
        for (int64_t i = first; i < end; i += KPAR_CHUNK) compute_chunk(s, worker, offset, i, end, n, to);
}

static void reduce_panels(void *context, int worker, int64_t first, int64_t last)
{
    const kpar_reduction_plan *s = context;
    const int64_t panels = (s->length + s->panel - 1) / s->panel;
    if (s->map) kpar_evaluator_begin_worker(s->map, worker);
    for (int64_t i = first; i < last; i++)
        reduce_panel(s, worker, i / panels / s->parts, i / panels % s->parts, i % panels * s->panel);
}

/* Rows that were left over count for the first columns of the first part. */
static void add_tail(const kpar_reduction_plan *s, int worker, int64_t kept, int64_t offset)
{
    void *pieces[KPAR_OP_OUTPUTS];
    if (!s->map) {
        s->loops->row(target_of(s, 0, kept, 0), s->x + s->kept.at[kept] + offset, s->tail);
        return;
    }
    pieces_of(s, worker, pieces);
    for (int64_t j = 0; j < s->tail; j += s->panel) {
        const int64_t n = s->tail - j < s->panel ? s->tail - j : s->panel;
        kpar_evaluator_piece(s->map, worker, s->kept.at[kept] + offset + j, n, pieces);
        for (int o = 0; o < s->n_outputs; o++) s->loops->row(target_of(s, o, kept, 0) + j, pieces[o], n);
    }
}

/* Puts the parts of the rows that are kept together, and what was folded. */
static void put_together(void *context, int worker, int64_t first, int64_t last)
{
    const kpar_reduction_plan *s = context;
    const int64_t columns = s->length / s->fold;
    if (s->map) kpar_evaluator_begin_worker(s->map, worker);
    for (int64_t kept = first; kept < last; kept++) {
        for (int64_t i = 0; s->tail > 0 && i < s->tails.n; i++) add_tail(s, worker, kept, s->tails.at[i]);
        for (int o = 0; o < s->n_outputs; o++) {
            float *sums = target_of(s, o, kept, 0), *to = (float *)s->out[o] + kept * columns;
            for (int64_t part = 1; part < s->parts; part++)
                s->loops->row(sums, target_of(s, o, kept, part), s->length);
            fill(to, s->loops->start, columns);
            for (int64_t i = 0; i < s->fold; i++) s->loops->row(to, sums + i * columns, columns);
        }
    }
}

/* --- lines --- */

/* A result of each output: of computed lines. */
static void compute_lines(const kpar_reduction_plan *s, int worker, int64_t kept)
{
    void *pieces[KPAR_OP_OUTPUTS];
    pieces_of(s, worker, pieces);
    for (int o = 0; o < s->n_outputs; o++)
        fill(kpar_reduce_scratch(s, worker, o) + KPAR_PIECE, s->loops->start, KPAR_STRIP);
    for (int64_t i = 0; i < s->rows.n; i++)
        for (int64_t j = 0; j < s->length; j += s->panel) {
            const int64_t n = s->length - j < s->panel ? s->length - j : s->panel;
            kpar_evaluator_piece(s->map, worker, s->kept.at[kept] + s->rows.at[i] + j, n, pieces);
            for (int o = 0; o < s->n_outputs; o++)
                s->loops->line(kpar_reduce_scratch(s, worker, o) + KPAR_PIECE, pieces[o], n);
        }
    for (int o = 0; o < s->n_outputs; o++)
        ((float *)s->out[o])[kept] = s->loops->lanes(kpar_reduce_scratch(s, worker, o) + KPAR_PIECE);
}

/* n results of each output: of short lines that follow each other, computed together. */
static void compute_together(const kpar_reduction_plan *s, int worker, int64_t kept, int64_t n)
{
    void *pieces[KPAR_OP_OUTPUTS];
    float lanes[KPAR_STRIP];
    pieces_of(s, worker, pieces);
    kpar_evaluator_piece(s->map, worker, kept * s->length, n * s->length, pieces);
    for (int o = 0; o < s->n_outputs; o++)
        for (int64_t i = 0; i < n; i++) {
            fill(lanes, s->loops->start, KPAR_STRIP);
            s->loops->line(lanes, (float *)pieces[o] + i * s->length, s->length);
            ((float *)s->out[o])[kept + i] = s->loops->lanes(lanes);
        }
}

/* Items are as many results as are computed together. */
static void reduce_lines(void *context, int worker, int64_t first, int64_t last)
{
    const kpar_reduction_plan *s = context;
    const int64_t end = last * s->together < s->kept.n ? last * s->together : s->kept.n;
    if (s->map) kpar_evaluator_begin_worker(s->map, worker);
    for (int64_t i = first * s->together; i < end; i += s->together) {
        const int64_t n = end - i < s->together ? end - i : s->together;
        if (s->map && s->together > 1)
            compute_together(s, worker, i, n);
        else if (s->map)
            compute_lines(s, worker, i);
        else
            for (int64_t k = i; k < i + n; k++)
                ((float *)s->out[0])[k] =
                    s->loops->lines(s->x + s->kept.at[k], s->rows.at, s->rows.n, s->length);
    }
}

static kpar_status run_reduce(kpar_cpu_kernel *k, void *const *in, void *const *out)
{
    kpar_reduction_plan *s = k->state;
    s->x = in[0];
    s->out = out;
    if (s->map) kpar_evaluator_begin(s->map, in);
    if (!s->last_kept) {
        kpar_parallel(s->threads, (s->kept.n + s->together - 1) / s->together, reduce_lines, s);
        return KPAR_OK;
    }
    const int64_t panels = (s->length + s->panel - 1) / s->panel;
    kpar_parallel(s->threads, s->kept.n * s->parts * panels, reduce_panels, s);
    if (s->partial) kpar_parallel(s->threads, s->kept.n, put_together, s);
    return KPAR_OK;
}

static bool fits_reduce(const kpar_kernel_spec *spec)
{
    if (spec->op == KPAR_OP_REDUCE)
        return kpar_spec_input(spec, 0)->dtype == KPAR_F32 && kpar_cpu_result_type(spec) == KPAR_F32;
    for (int i = 0; i < spec->n_outputs; i++)
        if (kpar_spec_output(spec, i)->dtype != KPAR_F32) return false;
    return true;
}

const kpar_cpu_rule kpar_cpu_reduce = {
    .fits = fits_reduce, .prepare = kpar_reduce_prepare, .release = kpar_reduce_release, .run = run_reduce};
