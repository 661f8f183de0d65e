/* Cells of recurrent layers: SimpleRNN; LSTM, Hochreiter and Schmidhuber (1997), with the forget gate of Gers and others
 * (2000); GRU, Cho and others (2014), or with the reset gate after the product, as in cuDNN; LSTM with convolutions for
 * products, Shi and others (2015). */
#include "model/cells.h"

#include <string.h>

/* Columns [first, first + count) of the last dimension. */
static kpar_status columns(kpar_lowering *lowering, kpar_value_id x, int64_t first, int64_t count,
                           kpar_value_id *out)
{
    int64_t start[KPAR_MAX_RANK] = {0}, stop[KPAR_MAX_RANK];
    const int last = kpar_lower_shape(lowering, x)->rank - 1;
    for (int i = 0; i < KPAR_MAX_RANK; i++) stop[i] = KPAR_TO_END;
    start[last] = first;
    stop[last] = first + count;
    return kpar_build_slice(lowering->graph, start, stop, x, out);
}

/* One step of (batch, time, ...). */
static kpar_shape step_of(kpar_shape shape)
{
    for (int i = 2; i < shape.rank; i++) shape.dims[i - 1] = shape.dims[i];
    shape.rank--;
    return shape;
}

/* (batch, time, ...) as (batch · time, ...) */
static kpar_shape all_steps(kpar_shape shape)
{
    kpar_shape rows = step_of(shape);
    rows.dims[0].size *= shape.dims[1].size;
    return rows;
}

static kpar_status multiply(kpar_lowering *lowering, const kpar_cell *cell, const kpar_attributes *window,
                            kpar_value_id x, kpar_value_id kernel, kpar_value_id *out)
{
    return cell->row->dims ? kpar_build_conv(lowering->graph, window, x, kernel, out)
                           : kpar_build_matmul(lowering->graph, x, false, kernel, false, out);
}

/* x times the columns of `count` gates of a kernel, from gate `first` on. `drop`: what x is times for each gate, -1: 1. */
static kpar_status product(kpar_lowering *lowering, const kpar_cell *cell, const kpar_attributes *window,
                           kpar_value_id x, kpar_value_id kernel, int first, int count,
                           const kpar_value_id *drop, kpar_value_id *out)
{
    kpar_graph *g = lowering->graph;
    const int64_t units = cell->units;
    const bool all = count == cell->row->gates;
    kpar_value_id parts[KPAR_CELL_GATES], part;
    if (drop[0] == drop[cell->row->gates - 1]) { /* one for all gates, or none */
        part = kernel;
        if (!all) KPAR_TRY(columns(lowering, kernel, first * units, count * units, &part));
        if (drop[0] >= 0) KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_MULTIPLY, x, drop[0], &x));
        return multiply(lowering, cell, window, x, part, out);
    }
    for (int i = 0; i < count; i++) {
        KPAR_TRY(columns(lowering, kernel, (first + i) * units, units, &part));
        KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_MULTIPLY, x, drop[first + i], &parts[i]));
        KPAR_TRY(multiply(lowering, cell, window, parts[i], part, &parts[i]));
    }
    *out = parts[0];
    return count == 1 ? KPAR_OK : kpar_build_concat(g, cell->row->dims + 1, parts, count, out);
}

/* The state's part of the gates from `first` on, with its bias if it has one of its own. */
static kpar_status recur(kpar_lowering *lowering, const kpar_cell *cell, kpar_value_id state, int first,
                         int count, kpar_value_id *out)
{
    KPAR_TRY(product(lowering, cell, &cell->over_state, state, cell->recurrent, first, count,
                     cell->recurrent_drop, out));
    if (cell->recurrent_bias < 0) return KPAR_OK;
    return kpar_build_binary(lowering->graph, KPAR_SCALAR_ADD, *out, cell->recurrent_bias, out);
}

static kpar_status step_simple(kpar_lowering *lowering, const kpar_cell *cell, kpar_value_id x,
                               const kpar_value_id *states, kpar_value_id *next)
{
    kpar_value_id terms[2] = {x};
    KPAR_TRY(recur(lowering, cell, states[0], 0, 1, &terms[1]));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x sum = kpar_x_add(e, kpar_x_input(e, 1), kpar_x_input(e, 0));
    return kpar_lower_apply(lowering, e, cell->activation(e, sum), terms, 2, next);
}

/* Gates stand as input, forget, candidate, output. */
static kpar_status step_lstm(kpar_lowering *lowering, const kpar_cell *cell, kpar_value_id x,
                             const kpar_value_id *states, kpar_value_id *next)
{
    kpar_value_id z, inputs[5];
    kpar_x gates[4], results[2];
    KPAR_TRY(recur(lowering, cell, states[0], 0, 4, &z));
    KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_ADD, z, x, &z));
    for (int i = 0; i < 4; i++) KPAR_TRY(columns(lowering, z, i * cell->units, cell->units, &inputs[i]));
    inputs[4] = states[1];
    kpar_expression_builder *e = kpar_expression_begin(5);
    for (int i = 0; i < 4; i++)
        gates[i] = (i == 2 ? cell->activation : cell->recurrent_activation)(e, kpar_x_input(e, i));
    kpar_x kept = kpar_x_mul(e, gates[1], kpar_x_input(e, 4));
    results[1] = kpar_x_add(e, kept, kpar_x_mul(e, gates[0], gates[2]));
    results[0] = kpar_x_mul(e, gates[3], cell->activation(e, results[1]));
    return kpar_build_map_many(lowering->graph, kpar_expression_end(e, lowering->graph->arena, results, 2),
                               inputs, 5, next);
}

/* z h + (1 - z) candidate */
static kpar_x mixed(kpar_expression_builder *e, kpar_x z, kpar_x h, kpar_x candidate)
{
    kpar_x rest = kpar_x_sub(e, kpar_x_constant(e, 1), z);
    return kpar_x_add(e, kpar_x_mul(e, z, h), kpar_x_mul(e, rest, candidate));
}

/* inputs[0 .. 3): of x, inputs[3 .. 6): of the state, inputs[6]: the state. */
static kpar_status reset_after(kpar_lowering *lowering, const kpar_cell *cell, const kpar_value_id *inputs,
                               kpar_value_id *next)
{
    kpar_expression_builder *e = kpar_expression_begin(7);
    kpar_x in[7], gates[2];
    for (int i = 0; i < 7; i++) in[i] = kpar_x_input(e, i);
    for (int i = 0; i < 2; i++) gates[i] = cell->recurrent_activation(e, kpar_x_add(e, in[i], in[3 + i]));
    kpar_x candidate = cell->activation(e, kpar_x_add(e, in[2], kpar_x_mul(e, gates[1], in[5])));
    return kpar_lower_apply(lowering, e, mixed(e, gates[0], in[6], candidate), inputs, 7, next);
}

/* inputs[0 .. 3): of x, inputs[3 .. 5): of the state, inputs[6]: the state. */
static kpar_status reset_before(kpar_lowering *lowering, const kpar_cell *cell, kpar_value_id *inputs,
                                kpar_value_id *next)
{
    const kpar_value_id first[5] = {inputs[0], inputs[1], inputs[3], inputs[4], inputs[6]};
    kpar_value_id made[2], second[4];
    kpar_x gates[2];
    kpar_expression_builder *e = kpar_expression_begin(5);
    for (int i = 0; i < 2; i++)
        gates[i] = cell->recurrent_activation(e, kpar_x_add(e, kpar_x_input(e, i), kpar_x_input(e, 2 + i)));
    gates[1] = kpar_x_mul(e, gates[1], kpar_x_input(e, 4));
    KPAR_TRY(kpar_build_map_many(lowering->graph, kpar_expression_end(e, lowering->graph->arena, gates, 2),
                                 first, 5, made));
    KPAR_TRY(recur(lowering, cell, made[1], 2, 1, &second[0]));
    second[1] = inputs[2];
    second[2] = made[0];
    second[3] = inputs[6];
    e = kpar_expression_begin(4);
    kpar_x candidate = cell->activation(e, kpar_x_add(e, kpar_x_input(e, 1), kpar_x_input(e, 0)));
    return kpar_lower_apply(lowering, e, mixed(e, kpar_x_input(e, 2), kpar_x_input(e, 3), candidate), second,
                            4, next);
}

/* Gates stand as update, reset, candidate. */
static kpar_status step_gru(kpar_lowering *lowering, const kpar_cell *cell, kpar_value_id x,
                            const kpar_value_id *states, kpar_value_id *next)
{
    kpar_value_id of_state, inputs[7];
    const int count = cell->reset_after ? 3 : 2;
    KPAR_TRY(recur(lowering, cell, states[0], 0, count, &of_state));
    for (int i = 0; i < 3; i++) KPAR_TRY(columns(lowering, x, i * cell->units, cell->units, &inputs[i]));
    for (int i = 0; i < count; i++)
        KPAR_TRY(columns(lowering, of_state, i * cell->units, cell->units, &inputs[3 + i]));
    inputs[6] = states[0];
    return cell->reset_after ? reset_after(lowering, cell, inputs, next)
                             : reset_before(lowering, cell, inputs, next);
}

static const kpar_cell_row rows[] = {
    {"SimpleRNNCell", "SimpleRNN", .gates = 1, .states = 1, .step = step_simple},
    {"LSTMCell", "LSTM", .gates = 4, .states = 2, .step = step_lstm},
    {"GRUCell", "GRU", .gates = 3, .states = 1, .step = step_gru},
    {"", "ConvLSTM1D", .gates = 4, .states = 2, .dims = 1, .step = step_lstm},
    {"", "ConvLSTM2D", .gates = 4, .states = 2, .dims = 2, .step = step_lstm},
    {"", "ConvLSTM3D", .gates = 4, .states = 2, .dims = 3, .step = step_lstm},
};

const kpar_cell_row *kpar_cell_row_find(const char *class_name)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].class_name, class_name) == 0 || strcmp(rows[i].layer_name, class_name) == 0)
            return &rows[i];
    return NULL;
}

static kpar_status read_activation(const kpar_lowering *lowering, const char *key, const char *by_default,
                                   kpar_cell_activation *activation)
{
    const json_t *json = json_object_get(lowering->layer->config, key);
    const kpar_activation_row *row;
    json_t *name = json ? NULL : json_string(by_default);
    const kpar_status status = kpar_activation_find(lowering, json ? json : name, &row);
    json_decref(name);
    KPAR_TRY(status);
    *activation = row->formula;
    if (row->formula) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED,
                     "%s: argument '%s' is \"%s\"; supported are activations of one element", lowering->owner,
                     key, row->name);
}

/* The shape of a state, and the windows of convolutions: over the input as the arguments say, over the state such that its
 * shape stays. */
static kpar_status read_windows(kpar_lowering *lowering, kpar_value_id x, kpar_shape step, kpar_cell *cell)
{
    const int dims = cell->row->dims;
    kpar_value_id images;
    static const int64_t ones[] = {1, 1, 1};
    cell->state = step;
    cell->state.dims[dims + 1].size = cell->units;
    if (dims == 0) return KPAR_OK;
    KPAR_TRY(kpar_lower_dims(lowering, "kernel_size", dims, NULL, cell->window));
    KPAR_TRY(kpar_build_reshape(lowering->graph, all_steps(*kpar_lower_shape(lowering, x)), x, &images));
    KPAR_TRY(kpar_lower_window(lowering, dims, images, cell->window, ones, &cell->over_input));
    for (int i = 1; i <= dims; i++) {
        const int64_t size = cell->window[i - 1];
        cell->state.dims[i].size = kpar_window_positions(&cell->over_input, i, step.dims[i].size, size);
        cell->over_state.start[i] = (size - 1) / 2;
        cell->over_state.stop[i] = size - 1 - cell->over_state.start[i];
        if (cell->state.dims[i].size < 1)
            return kpar_fail(KPAR_EFORMAT, "%s: its images are smaller than its kernel", lowering->owner);
    }
    return KPAR_OK;
}

static kpar_status read_arguments(kpar_lowering *lowering, kpar_cell *cell)
{
    const json_t *config = lowering->layer->config;
    const char *units = cell->row->dims ? "filters" : "units";
    KPAR_TRY(kpar_config_integer(lowering->owner, config, units, 0, &cell->units));
    KPAR_TRY(kpar_config_boolean(lowering->owner, config, "use_bias", true, &cell->use_bias));
    KPAR_TRY(kpar_config_boolean(lowering->owner, config, "reset_after", true, &cell->reset_after));
    KPAR_TRY(read_activation(lowering, "activation", "tanh", &cell->activation));
    KPAR_TRY(read_activation(lowering, "recurrent_activation", "sigmoid", &cell->recurrent_activation));
    if (cell->units > 0) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s: argument '%s': expected a positive number, found %lld",
                     lowering->owner, units, (long long)cell->units);
}

/* GRU's bias with reset_after has two rows, of which the second goes with the state. */
static kpar_status read_biases(kpar_lowering *lowering, kpar_cell *cell)
{
    const int64_t width = cell->row->gates * cell->units;
    const kpar_shape all = {.rank = 1, .dims = {{2 * width, false}}};
    const bool twice = cell->row->step == step_gru && cell->reset_after;
    kpar_weight bias = {.name = "bias",
                        .initializer = "bias_initializer",
                        .by_default = "Zeros",
                        .rank = twice ? 2 : 1,
                        .dims = {twice ? 2 : width, width}};
    bool forget;
    cell->bias = cell->recurrent_bias = -1;
    if (!cell->use_bias) return KPAR_OK;
    KPAR_TRY(
        kpar_config_boolean(lowering->owner, lowering->layer->config, "unit_forget_bias", true, &forget));
    if (forget && cell->row->step == step_lstm)
        for (int i = 0; i < 2; i++) bias.ones[i] = cell->units * (i + 1);
    KPAR_TRY(kpar_lower_weight(lowering, &bias, &cell->bias));
    if (!twice) return KPAR_OK;
    KPAR_TRY(kpar_build_reshape(lowering->graph, all, cell->bias, &cell->bias));
    KPAR_TRY(columns(lowering, cell->bias, width, width, &cell->recurrent_bias));
    return columns(lowering, cell->bias, 0, width, &cell->bias);
}

/* Ones with dropout, one for all gates or one for each; -1: there is none. */
static kpar_status read_drop(kpar_lowering *lowering, const kpar_cell *cell, const char *key, bool each,
                             kpar_shape shape, kpar_value_id *drop)
{
    double rate;
    kpar_value_id ones;
    KPAR_TRY(kpar_config_number(lowering->owner, lowering->layer->config, key, 0, &rate));
    if (rate < 0 || rate > 1)
        return kpar_fail(KPAR_EFORMAT, "%s: argument '%s' is %g, expected 0 to 1", lowering->owner, key,
                         rate);
    for (int i = 0; i < cell->row->gates; i++) {
        drop[i] = i > 0 ? drop[0] : -1;
        if (lowering->mode != KPAR_MODE_TRAIN || rate == 0 || rate == 1 || (i > 0 && !each)) continue;
        KPAR_TRY(kpar_build_constant(lowering->graph, 1, shape, &ones));
        KPAR_TRY(kpar_lower_dropout_of(lowering, kpar_arena_printf(lowering->arena, "/%s/%d", key, i), rate,
                                       ones, &drop[i]));
    }
    return KPAR_OK;
}

/* With recurrent dropout, or convolutions, Keras takes other random numbers for each gate. */
static kpar_status read_dropout(kpar_lowering *lowering, kpar_shape step, kpar_cell *cell)
{
    const json_t *rate = json_object_get(lowering->layer->config, "recurrent_dropout");
    const bool each = cell->row->dims || json_number_value(rate) != 0;
    KPAR_TRY(read_drop(lowering, cell, "dropout", each, step, cell->input_drop));
    return read_drop(lowering, cell, "recurrent_dropout", each, cell->state, cell->recurrent_drop);
}

/* (window ..., inputs, gates · units) */
static kpar_weight kernel_of(const kpar_cell *cell, int64_t inputs)
{
    kpar_weight weight = {.rank = cell->row->dims + 2};
    for (int i = 0; i < cell->row->dims; i++) weight.dims[i] = cell->window[i];
    weight.dims[weight.rank - 2] = inputs;
    weight.dims[weight.rank - 1] = cell->row->gates * cell->units;
    return weight;
}

kpar_status kpar_cell_read(kpar_lowering *lowering, const kpar_cell_row *row, kpar_value_id x,
                           kpar_cell *cell)
{
    const kpar_shape step = step_of(*kpar_lower_shape(lowering, x));
    *cell = (kpar_cell){.row = row};
    if (step.rank != row->dims + 2)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: its input has %d dimensions, expected %d", lowering->owner,
                         step.rank + 1, row->dims + 3);
    KPAR_TRY(read_arguments(lowering, cell));
    KPAR_TRY(read_windows(lowering, x, step, cell));
    kpar_weight kernel = kernel_of(cell, step.dims[row->dims + 1].size),
                recurrent = kernel_of(cell, cell->units);
    kernel.name = "kernel";
    kernel.initializer = "kernel_initializer";
    kernel.by_default = "GlorotUniform";
    recurrent.name = "recurrent_kernel";
    recurrent.initializer = "recurrent_initializer";
    recurrent.by_default = "Orthogonal";
    KPAR_TRY(kpar_lower_weight(lowering, &kernel, &cell->kernel));
    KPAR_TRY(kpar_lower_weight(lowering, &recurrent, &cell->recurrent));
    KPAR_TRY(read_biases(lowering, cell));
    return read_dropout(lowering, step, cell);
}

/* A factor of the inputs of a step, for every step of (batch · time, ...). */
static kpar_status for_all_steps(kpar_lowering *lowering, kpar_shape shape, kpar_value_id *drop)
{
    const kpar_shape flat = all_steps(shape);
    kpar_shape one = shape;
    one.dims[1].size = 1;
    KPAR_TRY(kpar_build_reshape(lowering->graph, one, *drop, drop));
    KPAR_TRY(kpar_build_broadcast(lowering->graph, shape, *drop, drop));
    return kpar_build_reshape(lowering->graph, flat, *drop, drop);
}

kpar_status kpar_cell_project(kpar_lowering *lowering, const kpar_cell *cell, kpar_value_id x,
                              kpar_value_id *out)
{
    kpar_graph *g = lowering->graph;
    const kpar_shape shape = *kpar_lower_shape(lowering, x);
    const int gates = cell->row->gates;
    kpar_shape result = shape;
    kpar_value_id drop[KPAR_CELL_GATES];
    for (int i = 1; i < cell->state.rank; i++) result.dims[i + 1] = cell->state.dims[i];
    result.dims[shape.rank - 1].size *= gates;
    for (int i = 0; i < gates; i++) {
        drop[i] = i > 0 && cell->input_drop[i] == cell->input_drop[0] ? drop[0] : cell->input_drop[i];
        if (cell->input_drop[i] >= 0 && (i == 0 || drop[i] != drop[0]))
            KPAR_TRY(for_all_steps(lowering, shape, &drop[i]));
    }
    KPAR_TRY(kpar_build_reshape(g, all_steps(shape), x, &x));
    KPAR_TRY(product(lowering, cell, &cell->over_input, x, cell->kernel, 0, gates, drop, out));
    if (cell->bias >= 0) KPAR_TRY(kpar_build_binary(g, KPAR_SCALAR_ADD, *out, cell->bias, out));
    return kpar_build_reshape(g, result, *out, out);
}
