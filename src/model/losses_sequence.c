/* Losses of sequences: Graves et al., "Connectionist temporal classification" (2006), forwards in logarithms.
 *
 * A path through the steps passes n places that each have a gap, where the class 0 is, and then a label. In each step it
 * stays, goes on to the next gap or label, or to the next label but past the gap if the two labels differ. */
#include "model/losses.h"

#define NEVER (-1e30) /* the logarithm of 0, as good as that */

/* What all steps read: (batch, n) or (n). */
typedef struct path {
    int64_t n;
    kpar_value_id place;   /* 0, 1, ... */
    kpar_value_id differs; /* whether the label is another than the one before */
    kpar_value_id count;   /* (batch, 1): of labels, which all come first */
} path;

/* Each place has what was in the one before; the first has 0. */
static kpar_status from_before(kpar_lowering *lowering, const path *p, kpar_value_id x, kpar_value_id *out)
{
    const int64_t before[KPAR_MAX_RANK] = {0, 1}, after[KPAR_MAX_RANK] = {0};
    KPAR_TRY(kpar_build_pad(lowering->graph, before, after, x, out));
    return kpar_lower_cut(lowering, 1, 0, p->n, *out, out);
}

static kpar_status begin_path(kpar_lowering *lowering, kpar_value_id labels, path *p)
{
    const kpar_shape places = {.rank = 1, .dims = {{p->n, false}}};
    kpar_value_id terms[2] = {labels};
    KPAR_TRY(kpar_build_iota(lowering->graph, 0, lowering->graph->real, places, &p->place));
    KPAR_TRY(from_before(lowering, p, labels, &terms[1]));
    KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_SUBTRACT, terms[0], terms[1], &p->differs));
    KPAR_TRY(kpar_lower_truth(lowering, p->differs, &p->differs));
    KPAR_TRY(kpar_lower_truth(lowering, labels, &p->count));
    return kpar_lower_sum_last(lowering, true, p->count, &p->count);
}

/* log(e^a + e^b + e^c) */
static kpar_x log_add(kpar_expression_builder *e, kpar_x a, kpar_x b, kpar_x c)
{
    const kpar_x top = kpar_x_stop(e, kpar_x_max(e, kpar_x_max(e, a, b), c));
    const kpar_x two =
        kpar_x_add(e, kpar_x_exp(e, kpar_x_sub(e, a, top)), kpar_x_exp(e, kpar_x_sub(e, b, top)));
    const kpar_x sum = kpar_x_add(e, two, kpar_x_exp(e, kpar_x_sub(e, c, top)));
    return kpar_x_add(e, kpar_x_log(e, sum), top);
}

/* What paths that end in each gap, and at each label, come to: one step further. `gap` (batch, 1) and `label` (batch, n)
 * are what the step gives these. */
static kpar_status go_on(kpar_lowering *lowering, const path *p, kpar_value_id gap, kpar_value_id label,
                         kpar_value_id ends[2])
{
    kpar_value_id before;
    KPAR_TRY(from_before(lowering, p, ends[1], &before));
    const kpar_value_id inputs[] = {ends[0], ends[1], before, gap, label, p->place, p->differs};
    kpar_expression_builder *e = kpar_expression_begin(7);
    const kpar_x in_gap = kpar_x_input(e, 0), at_label = kpar_x_input(e, 1),
                 never = kpar_x_constant(e, NEVER),
                 is_first = kpar_x_eq(e, kpar_x_input(e, 5), kpar_x_constant(e, 0)),
                 came = kpar_x_select(e, is_first, never, kpar_x_input(e, 2)),
                 skipped = kpar_x_select(e, kpar_x_input(e, 6), came, never);
    const kpar_x next[] = {kpar_x_add(e, kpar_x_input(e, 3), log_add(e, in_gap, came, never)),
                           kpar_x_add(e, kpar_x_input(e, 4), log_add(e, at_label, in_gap, skipped))};
    const kpar_expression *both = kpar_expression_end(e, lowering->arena, next, 2);
    return kpar_build_map_many(lowering->graph, both, inputs, 7, ends);
}

/* All paths begin before the first gap. */
static kpar_status begin_ends(kpar_lowering *lowering, const path *p, kpar_dim batch, kpar_value_id ends[2])
{
    const kpar_shape shape = {.rank = 2, .dims = {batch, {p->n, false}}};
    kpar_expression_builder *e = kpar_expression_begin(1);
    const kpar_x is_first = kpar_x_eq(e, kpar_x_input(e, 0), kpar_x_constant(e, 0)),
                 first = kpar_x_select(e, is_first, kpar_x_constant(e, 0), kpar_x_constant(e, NEVER));
    KPAR_TRY(kpar_lower_apply(lowering, e, first, &p->place, 1, &ends[0]));
    KPAR_TRY(kpar_build_broadcast(lowering->graph, shape, ends[0], &ends[0]));
    return kpar_build_constant(lowering->graph, NEVER, shape, &ends[1]);
}

/* Paths are whole that end at the last label or in the gap behind it. Where there is none, the loss is infinite. */
static kpar_status finish(kpar_lowering *lowering, const path *p, const kpar_value_id ends[2],
                          kpar_value_id *values)
{
    kpar_value_id whole;
    const kpar_value_id inputs[] = {ends[0], ends[1], p->place, p->count};
    kpar_expression_builder *e = kpar_expression_begin(4);
    const kpar_x place = kpar_x_input(e, 2), count = kpar_x_input(e, 3), never = kpar_x_constant(e, NEVER),
                 last = kpar_x_eq(e, kpar_x_add(e, place, kpar_x_constant(e, 1)), count);
    const kpar_x in_gap = kpar_x_select(e, kpar_x_eq(e, place, count), kpar_x_input(e, 0), never),
                 at_label = kpar_x_select(e, last, kpar_x_input(e, 1), never);
    KPAR_TRY(kpar_lower_apply(lowering, e, kpar_x_max(e, in_gap, at_label), inputs, 4, &whole));
    KPAR_TRY(kpar_lower_log_sum(lowering, 1u << 1, false, whole, &whole));
    e = kpar_expression_begin(1);
    const kpar_x total = kpar_x_input(e, 0), there = kpar_x_lt(e, kpar_x_constant(e, NEVER / 2), total);
    return kpar_lower_apply(lowering, e, kpar_x_neg(e, kpar_x_add(e, total, kpar_x_log(e, there))), &whole, 1,
                            values);
}

/* Element `step` of (batch, steps, m): (batch, m). */
static kpar_status at_step(kpar_lowering *lowering, int64_t step, kpar_value_id x, kpar_value_id *out)
{
    KPAR_TRY(kpar_lower_cut(lowering, 1, step, step + 1, x, out));
    return kpar_lower_drop(lowering, 1, *out, out);
}

KPAR_LOSS(ctc)
{
    kpar_graph *g = lowering->graph;
    kpar_value_id logs[2], gaps, ends[2];
    char text[KPAR_SHAPE_TEXT];
    const kpar_shape shape = *kpar_lower_shape(lowering, prediction);
    (void)config;
    if (shape.rank != 3)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: predictions have shape %s, expected (batch, steps, classes)",
                         owner, kpar_shape_format(text, &shape));
    const int64_t steps = shape.dims[1].size, classes = shape.dims[2].size;
    path p = {.n = steps};
    lowering->label_ranges[lowering->output] = (kpar_label_range){.classes = classes};
    KPAR_TRY(kpar_lower_log_sum(lowering, 1u << 2, true, prediction, &logs[1]));
    KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_SUBTRACT, prediction, logs[1], &logs[0]));
    KPAR_TRY(kpar_lower_cut(lowering, 2, 0, 1, logs[0], &gaps));
    KPAR_TRY(kpar_lower_one_hot(lowering, labels, classes, &logs[1]));
    KPAR_TRY(kpar_build_matmul(g, logs[0], false, logs[1], true, &logs[0]));
    KPAR_TRY(kpar_lower_real(lowering, labels, &labels));
    KPAR_TRY(begin_path(lowering, labels, &p));
    KPAR_TRY(begin_ends(lowering, &p, shape.dims[0], ends));
    for (int64_t step = 0; step < steps; step++) {
        kpar_value_id gap, label;
        KPAR_TRY(at_step(lowering, step, gaps, &gap));
        KPAR_TRY(at_step(lowering, step, logs[0], &label));
        KPAR_TRY(go_on(lowering, &p, gap, label, ends));
    }
    return finish(lowering, &p, ends, values);
}
