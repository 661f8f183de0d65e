/* Recurrent layers, unrolled over time, and Bidirectional. */
#include "model/cells.h"

#include <string.h>

/* A recurrent layer being called: its arguments, and what comes out step by step, in the order in which it runs. */
typedef struct recurrence {
    const kpar_layer *layer;
    bool sequences, states, backwards, zeros; /* return_sequences ... zero_output_for_mask */
    int64_t time;
    kpar_value_id *masks;                   /* (batch, 1) of each step, NULL: there is no mask */
    kpar_value_id *outputs;                 /* (batch, ..., units) of each step */
    kpar_value_id state[KPAR_CALL_OUTPUTS]; /* of all cells: first the initial ones, then the last ones */
    int n_states;
} recurrence;

static kpar_status read_arguments(kpar_lowering *lowering, recurrence *r)
{
    const json_t *config = lowering->layer->config;
    r->layer = lowering->layer;
    KPAR_TRY(kpar_config_boolean(lowering->owner, config, "return_sequences", false, &r->sequences));
    KPAR_TRY(kpar_config_boolean(lowering->owner, config, "return_state", false, &r->states));
    KPAR_TRY(kpar_config_boolean(lowering->owner, config, "go_backwards", false, &r->backwards));
    return kpar_config_boolean(lowering->owner, config, "zero_output_for_mask", false, &r->zeros);
}

/* Step `t` of x (batch, time, ...). */
static kpar_status at_step(kpar_lowering *lowering, kpar_value_id x, int64_t t, kpar_value_id *out)
{
    kpar_shape shape = *kpar_lower_shape(lowering, x);
    int64_t start[KPAR_MAX_RANK] = {0, t}, stop[KPAR_MAX_RANK];
    for (int i = 0; i < KPAR_MAX_RANK; i++) stop[i] = i == 1 ? t + 1 : KPAR_TO_END;
    KPAR_TRY(kpar_build_slice(lowering->graph, start, stop, x, out));
    for (int i = 2; i < shape.rank; i++) shape.dims[i - 1] = shape.dims[i];
    shape.rank--;
    return kpar_build_reshape(lowering->graph, shape, *out, out);
}

/* Steps of shape (batch, ...) as (batch, time, ...), the last one first if `reversed`. */
static kpar_status stacked(kpar_lowering *lowering, const kpar_value_id *steps, int64_t time, bool reversed,
                           kpar_value_id *out)
{
    const kpar_shape shape = *kpar_lower_shape(lowering, steps[0]);
    kpar_shape one = {.rank = shape.rank + 1, .dims = {shape.dims[0], {1, false}}};
    for (int i = 1; i < shape.rank; i++) one.dims[i + 1] = shape.dims[i];
    kpar_value_id *parts = kpar_arena_alloc(lowering->arena, (size_t)time * sizeof *parts);
    for (int64_t k = 0; k < time; k++)
        KPAR_TRY(kpar_build_reshape(lowering->graph, one, steps[reversed ? time - 1 - k : k], &parts[k]));
    return kpar_build_concat(lowering->graph, 1, parts, (int)time, out);
}

/* `yes` where the mask of step k is 1, else `no`. */
static kpar_status choose(kpar_lowering *lowering, const recurrence *r, int64_t k, kpar_value_id yes,
                          kpar_value_id no, kpar_value_id *out)
{
    kpar_value_id mask = r->masks[k];
    kpar_shape shape = *kpar_lower_shape(lowering, mask);
    while (shape.rank < kpar_lower_shape(lowering, yes)->rank) shape.dims[shape.rank++] = shape.dims[1];
    KPAR_TRY(kpar_build_reshape(lowering->graph, shape, mask, &mask));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x masked = kpar_x_eq(e, kpar_x_input(e, 0), kpar_x_constant(e, 0));
    return kpar_lower_apply(lowering, e, kpar_x_select(e, masked, kpar_x_input(e, 2), kpar_x_input(e, 1)),
                            (kpar_value_id[]){mask, yes, no}, 3, out);
}

static kpar_status read_mask(kpar_lowering *lowering, recurrence *r, kpar_value_id mask)
{
    const kpar_shape *shape = mask < 0 ? NULL : kpar_lower_shape(lowering, mask);
    if (mask < 0) return KPAR_OK;
    if (shape->rank != 2 || shape->dims[1].size != r->time) {
        char text[KPAR_SHAPE_TEXT];
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: its mask has shape %s, expected (batch, %lld)",
                         lowering->owner, kpar_shape_format(text, shape), (long long)r->time);
    }
    r->masks = kpar_arena_alloc(lowering->arena, (size_t)r->time * sizeof *r->masks);
    for (int64_t k = 0; k < r->time; k++) {
        const int64_t t = r->backwards ? r->time - 1 - k : k;
        KPAR_TRY(kpar_build_slice(lowering->graph, (const int64_t[]){0, t},
                                  (const int64_t[]){KPAR_TO_END, t + 1}, mask, &r->masks[k]));
    }
    return KPAR_OK;
}

/* One cell over all steps of x; r->outputs is what it gives, whatever the mask, and `states` become the last ones. */
static kpar_status run_cell(kpar_lowering *lowering, recurrence *r, const kpar_cell *cell, kpar_value_id x,
                            bool backwards, kpar_value_id *states)
{
    kpar_value_id now, next[KPAR_CELL_STATES];
    KPAR_TRY(kpar_cell_project(lowering, cell, x, &x));
    for (int64_t k = 0; k < r->time; k++) {
        KPAR_TRY(at_step(lowering, x, backwards ? r->time - 1 - k : k, &now));
        KPAR_TRY(cell->row->step(lowering, cell, now, states, next));
        r->outputs[k] = next[0];
        for (int s = 0; s < cell->row->states; s++) {
            if (r->masks) KPAR_TRY(choose(lowering, r, k, next[s], states[s], &next[s]));
            states[s] = next[s];
        }
    }
    return KPAR_OK;
}

/* The cell's initial states: those that the call is given, or zeros. */
static kpar_status begin_states(kpar_lowering *lowering, recurrence *r, const kpar_cell *cell,
                                const kpar_value_id *initial, int n_initial)
{
    const kpar_shape shape = cell->state;
    char text[KPAR_SHAPE_TEXT];
    for (int s = 0; s < cell->row->states; s++) {
        const int at = r->n_states + s;
        if (at + 1 >= KPAR_CALL_OUTPUTS)
            return kpar_fail(KPAR_EUNSUPPORTED, "%s: its cells have more than %d states", lowering->owner,
                             KPAR_CALL_OUTPUTS - 1);
        if (n_initial == 0)
            KPAR_TRY(kpar_build_constant(lowering->graph, 0, shape, &r->state[at]));
        else if (at < n_initial)
            KPAR_TRY(kpar_lower_real(lowering, initial[at], &r->state[at]));
        if (n_initial == 0) continue;
        if (at >= n_initial || !kpar_shape_equal(kpar_lower_shape(lowering, r->state[at]), &shape))
            return kpar_fail(KPAR_EFORMAT, "%s: expected an initial state %d of shape %s", lowering->owner,
                             at + 1, kpar_shape_format(text, &shape));
    }
    return KPAR_OK;
}

/* The next cell of the stack, whose input is x. */
static kpar_status add_cell(kpar_lowering *lowering, recurrence *r, const kpar_cell_row *row,
                            const kpar_value_id *initial, int n_initial, bool first, kpar_value_id x)
{
    kpar_cell cell;
    KPAR_TRY(kpar_cell_read(lowering, row, x, &cell));
    KPAR_TRY(begin_states(lowering, r, &cell, initial, n_initial));
    KPAR_TRY(run_cell(lowering, r, &cell, x, first && r->backwards, r->state + r->n_states));
    r->n_states += row->states;
    return KPAR_OK;
}

/* A cell in the place of an argument: StackedRNNCells, or one of the table. */
static kpar_status add_cell_layer(kpar_lowering *lowering, recurrence *r, const kpar_layer *layer,
                                  const kpar_value_id *initial, int n_initial, bool first, kpar_value_id x)
{
    const kpar_layer *inner;
    kpar_frame outer;
    const kpar_cell_row *row = kpar_cell_row_find(layer->class_name);
    const json_t *regularizer = json_object_get(layer->config, "activity_regularizer");
    KPAR_TRY(kpar_lower_enter(lowering, layer, &outer));
    if (regularizer && !json_is_null(regularizer))
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: argument 'activity_regularizer' of a cell is not supported; give it to "
                         "the layer",
                         lowering->owner);
    if (row) KPAR_TRY(add_cell(lowering, r, row, initial, n_initial, first, x));
    for (int i = 0; (inner = kpar_lower_inner(lowering, "cells", i)); i++) {
        if (i > 0) KPAR_TRY(stacked(lowering, r->outputs, r->time, false, &x));
        KPAR_TRY(add_cell_layer(lowering, r, inner, initial, n_initial, first && i == 0, x));
    }
    kpar_lower_leave(lowering, &outer);
    return KPAR_OK;
}

static kpar_status add_cells(kpar_lowering *lowering, recurrence *r, const kpar_value_id *initial,
                             int n_initial, kpar_value_id x)
{
    const kpar_cell_row *row = kpar_cell_row_find(r->layer->class_name);
    const kpar_layer *cell = row ? NULL : kpar_lower_inner(lowering, "cell", 0);
    if (row) {
        kpar_lower_part(lowering, "cell");
        KPAR_TRY(add_cell(lowering, r, row, initial, n_initial, true, x));
    } else if (cell)
        KPAR_TRY(add_cell_layer(lowering, r, cell, initial, n_initial, true, x));
    if (r->n_states == 0)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: is no recurrent layer that is known", lowering->owner);
    if (n_initial == 0 || n_initial == r->n_states) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s: is given %d initial states, expected %d", lowering->owner, n_initial,
                     r->n_states);
}

/* Where a step is masked the output is the one before, at first zero, or always zero. */
static kpar_status mask_outputs(kpar_lowering *lowering, recurrence *r)
{
    kpar_value_id zero, before;
    if (!r->masks) return KPAR_OK;
    KPAR_TRY(kpar_build_constant(lowering->graph, 0, *kpar_lower_shape(lowering, r->outputs[0]), &zero));
    before = zero;
    for (int64_t k = 0; k < r->time; k++) {
        KPAR_TRY(choose(lowering, r, k, r->outputs[k], r->zeros ? zero : before, &r->outputs[k]));
        before = r->outputs[k];
    }
    return KPAR_OK;
}

/* The channels of images, at dimension 1, as their last dimension, or back. */
static kpar_status move_channels(kpar_lowering *lowering, bool back, const kpar_value_id *from, int64_t n,
                                 kpar_value_id *to)
{
    for (int64_t i = 0; i < n; i++) {
        const int last = kpar_lower_shape(lowering, from[i])->rank - 1;
        KPAR_TRY(kpar_lower_move(lowering, back ? last : 1, back ? 1 : last, from[i], &to[i]));
    }
    return KPAR_OK;
}

/* Runs the current layer, whose arguments are read, over x (batch, time, ...). */
static kpar_status run(kpar_lowering *lowering, recurrence *r, kpar_value_id x, kpar_value_id mask,
                       const kpar_value_id *initial, int n_initial)
{
    const kpar_shape *shape = kpar_lower_shape(lowering, x);
    KPAR_TRY(kpar_lower_real(lowering, x, &x));
    if (shape->rank < 3) {
        char text[KPAR_SHAPE_TEXT];
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: its input has shape %s, expected (batch, time, ...)",
                         lowering->owner, kpar_shape_format(text, shape));
    }
    bool first;
    KPAR_TRY(kpar_lower_channels_first(lowering, &first));
    kpar_value_id *states = kpar_arena_alloc(lowering->arena, ((size_t)n_initial + 1) * sizeof *states);
    if (n_initial > 0) memcpy(states, initial, (size_t)n_initial * sizeof *states);
    r->time = shape->dims[1].size;
    if (first) KPAR_TRY(kpar_lower_move(lowering, 2, shape->rank - 1, x, &x));
    if (first) KPAR_TRY(move_channels(lowering, false, initial, n_initial, states));
    r->outputs = kpar_arena_alloc(lowering->arena, (size_t)r->time * sizeof *r->outputs);
    KPAR_TRY(read_mask(lowering, r, mask));
    KPAR_TRY(add_cells(lowering, r, states, n_initial, x));
    KPAR_TRY(mask_outputs(lowering, r));
    if (!first) return KPAR_OK;
    KPAR_TRY(move_channels(lowering, true, r->outputs, r->time, r->outputs));
    return move_channels(lowering, true, r->state, r->n_states, r->state);
}

/* What the layer gives besides its states. */
static kpar_status output_of(kpar_lowering *lowering, const recurrence *r, bool reversed,
                             kpar_value_id *output)
{
    *output = r->outputs[r->time - 1];
    return r->sequences ? stacked(lowering, r->outputs, r->time, reversed, output) : KPAR_OK;
}

/* What a call is given: the first input, its mask, and initial states, which follow it or have a name. As in Keras the mask
 * that comes with an input is not used if there are initial states too. */
typedef struct given {
    kpar_value_id x, mask, *initial;
    int n_initial;
} given;

static given read_given(kpar_lowering *lowering, const kpar_value_id *inputs, int n_inputs)
{
    given in = {.x = inputs[0], .mask = lowering->masks[0], .n_initial = n_inputs - 1};
    const size_t room = (size_t)(n_inputs + lowering->n_named) * sizeof *in.initial;
    in.initial = kpar_arena_alloc(lowering->arena, room);
    memcpy(in.initial, inputs + 1, (size_t)in.n_initial * sizeof *inputs);
    for (int i = 0; kpar_lower_named(lowering, "initial_state", i) >= 0; i++)
        in.initial[in.n_initial++] = kpar_lower_named(lowering, "initial_state", i);
    if (in.n_initial > 0 && kpar_lower_named(lowering, "mask", 0) < 0) in.mask = -1;
    return in;
}

KPAR_LAYER(recurrent)
{
    recurrence r = {0};
    const given in = read_given(lowering, inputs, n_inputs);
    KPAR_TRY(read_arguments(lowering, &r));
    KPAR_TRY(run(lowering, &r, in.x, in.mask, in.initial, in.n_initial));
    KPAR_TRY(output_of(lowering, &r, false, output));
    for (int i = 0; r.states && i < r.n_states; i++) output[1 + i] = r.state[i];
    return KPAR_OK;
}

KPAR_MASK(recurrent)
{
    recurrence r = {0};
    (void)inputs;
    (void)n_inputs;
    KPAR_TRY(read_arguments(lowering, &r));
    if (r.sequences) masks[0] = lowering->masks[0];
    return KPAR_OK;
}

KPAR_LAYER(cell)
{
    (void)inputs;
    (void)n_inputs;
    (void)output;
    return kpar_fail(KPAR_EUNSUPPORTED, "%s: a cell is called by itself; supported are cells within RNN",
                     lowering->owner);
}

/* A layer within has its own penalty on what it gives. */
static kpar_status penalize(kpar_lowering *lowering, const recurrence *r, kpar_value_id output)
{
    const json_t *regularizer = json_object_get(lowering->layer->config, "activity_regularizer");
    KPAR_TRY(kpar_lower_activity_penalty(lowering, regularizer, output));
    for (int s = 0; r->states && s < r->n_states; s++)
        KPAR_TRY(kpar_lower_activity_penalty(lowering, regularizer, r->state[s]));
    return KPAR_OK;
}

/* One direction, with its share of the initial states. Masked steps of a sequence give zero whatever the layer says, and
 * the second one's come out in the order of the first's. */
static kpar_status run_direction(kpar_lowering *lowering, const given *in, int direction, recurrence *r,
                                 kpar_value_id *output)
{
    static const char *const roles[] = {"layer", "backward_layer"};
    const kpar_layer *layer = kpar_lower_inner(lowering, roles[direction], 0);
    const int half = in->n_initial / 2;
    kpar_frame outer;
    if (!layer)
        return kpar_fail(KPAR_EFORMAT, "%s: argument '%s': expected a layer", lowering->owner,
                         roles[direction]);
    KPAR_TRY(kpar_lower_enter(lowering, layer, &outer));
    KPAR_TRY(read_arguments(lowering, r));
    r->zeros = r->sequences;
    KPAR_TRY(run(lowering, r, in->x, in->mask, in->initial + direction * half,
                 direction ? in->n_initial - half : half));
    KPAR_TRY(output_of(lowering, r, direction == 1, output));
    KPAR_TRY(penalize(lowering, r, *output));
    kpar_lower_leave(lowering, &outer);
    return KPAR_OK;
}

/* Sets *n to the number of outputs. */
static kpar_status merge(kpar_lowering *lowering, const kpar_value_id y[2], kpar_value_id *output, int *n)
{
    kpar_graph *g = lowering->graph;
    const json_t *mode = json_object_get(lowering->layer->config, "merge_mode");
    const char *name = mode ? json_string_value(mode) : "concat";
    *n = 1;
    if (json_is_null(mode)) {
        for (int i = 0; i < 2; i++) output[i] = y[i];
        *n = 2;
        return KPAR_OK;
    }
    if (!name) name = "?";
    if (strcmp(name, "concat") == 0)
        return kpar_build_concat(g, kpar_lower_shape(lowering, y[0])->rank - 1, y, 2, output);
    if (strcmp(name, "mul") == 0) return kpar_build_binary(g, KPAR_SCALAR_MULTIPLY, y[0], y[1], output);
    if (strcmp(name, "sum") != 0 && strcmp(name, "ave") != 0)
        return kpar_fail(KPAR_EFORMAT,
                         "%s: argument 'merge_mode' is \"%s\", expected concat, sum, mul, ave or null",
                         lowering->owner, name);
    KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_ADD, y[0], y[1], output));
    return *name == 'a' ? kpar_build_affine(g, *output, 0.5, 0, output) : KPAR_OK;
}

KPAR_LAYER(bidirectional)
{
    recurrence r[2] = {{0}};
    kpar_value_id y[2];
    int n;
    const given in = read_given(lowering, inputs, n_inputs);
    for (int i = 0; i < 2; i++) KPAR_TRY(run_direction(lowering, &in, i, &r[i], &y[i]));
    if (r[0].sequences != r[1].sequences || r[0].states != r[1].states || r[0].backwards == r[1].backwards)
        return kpar_fail(KPAR_EFORMAT, "%s: expected layers of both directions that return the same",
                         lowering->owner);
    KPAR_TRY(merge(lowering, y, output, &n));
    if (r[0].states && n + r[0].n_states + r[1].n_states > KPAR_CALL_OUTPUTS)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: gives more than %d tensors", lowering->owner,
                         KPAR_CALL_OUTPUTS);
    for (int i = 0; r[0].states && i < 2; i++)
        for (int s = 0; s < r[i].n_states; s++) output[n++] = r[i].state[s];
    return KPAR_OK;
}

KPAR_MASK(bidirectional)
{
    const kpar_layer *layer = kpar_lower_inner(lowering, "layer", 0);
    (void)inputs;
    (void)n_inputs;
    if (!layer || !json_is_true(json_object_get(layer->config, "return_sequences"))) return KPAR_OK;
    masks[0] = lowering->masks[0];
    if (json_is_null(json_object_get(lowering->layer->config, "merge_mode"))) masks[1] = masks[0];
    return KPAR_OK;
}
