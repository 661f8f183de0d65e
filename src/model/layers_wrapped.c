/* Layers within layers: how one is lowered as part of another's call, and TimeDistributed. */
#include "model/lower_internal.h"

#include <string.h>

const kpar_layer *kpar_lower_inner(const kpar_lowering *lowering, const char *argument, int number)
{
    const kpar_model *model = lowering->model;
    const int around = (int)(lowering->layer - model->layers) + 1;
    for (int i = around; i < model->n_layers; i++) {
        const kpar_layer *layer = &model->layers[i];
        if (layer->around == around && strcmp(layer->argument, argument) == 0 && number-- == 0) return layer;
    }
    return NULL;
}

kpar_status kpar_lower_enter(kpar_lowering *lowering, const kpar_layer *layer, kpar_frame *outer)
{
    static const kpar_value_id no_mask = -1;
    *outer = (kpar_frame){lowering->layer, lowering->owner, lowering->part,    lowering->layer_weights,
                          lowering->masks, lowering->named, lowering->n_named, lowering->weight_rule};
    lowering->weight_rule = NULL;
    lowering->layer = layer;
    lowering->masks = &no_mask;
    lowering->n_named = 0;
    kpar_lower_part(lowering, NULL);
    return kpar_lower_check_layer(lowering);
}

void kpar_lower_leave(kpar_lowering *lowering, const kpar_frame *outer)
{
    lowering->layer = outer->layer;
    lowering->owner = outer->owner;
    lowering->part = outer->part;
    lowering->layer_weights = outer->layer_weights;
    lowering->masks = outer->masks;
    lowering->named = outer->named;
    lowering->n_named = outer->n_named;
    lowering->weight_rule = outer->weight_rule;
    lowering->call_logits[lowering->call] = -1; /* what is outside gives another tensor */
}

/* The mask of the steps, which a model within is not given. */
KPAR_MASK(time_distributed)
{
    const kpar_layer *layer = kpar_lower_inner(lowering, "layer", 0);
    (void)inputs;
    if (layer && (layer->row || n_inputs == 2)) masks[0] = lowering->masks[0];
    return KPAR_OK;
}

/* All steps of (batch, time, ...) as rows: (time · batch, ...), or back. */
static kpar_shape as_rows(kpar_shape shape)
{
    kpar_shape rows = {.rank = shape.rank - 1, .dims = {{shape.dims[0].size * shape.dims[1].size, true}}};
    for (int i = 1; i < rows.rank; i++) rows.dims[i] = shape.dims[i + 1];
    return rows;
}

static kpar_shape as_steps(kpar_shape rows, int64_t time)
{
    kpar_shape shape = {.rank = rows.rank + 1, .dims = {{rows.dims[0].size / time, true}, {time, false}}};
    for (int i = 1; i < rows.rank; i++) shape.dims[i + 1] = rows.dims[i];
    return shape;
}

kpar_status kpar_lower_each_step(kpar_lowering *lowering, kpar_value_id rows, kpar_value_id *output)
{
    const int64_t time = kpar_lower_shape(lowering, rows)->dims[0].size;
    const kpar_shape shape = as_steps(*kpar_lower_shape(lowering, rows), time);
    kpar_value_id *steps = kpar_arena_alloc(lowering->arena, (size_t)time * sizeof *steps), x;
    if (lowering->masks[0] >= 0)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: is given a mask and several steps of each row",
                         lowering->owner);
    KPAR_TRY(kpar_build_reshape(lowering->graph, shape, rows, &x));
    for (int64_t t = 0; t < time; t++) {
        kpar_value_id step, outputs[KPAR_CALL_OUTPUTS];
        kpar_shape one = shape;
        one.dims[1].size = 1;
        kpar_lower_part(lowering, NULL);
        KPAR_TRY(kpar_lower_cut(lowering, 1, t, t + 1, x, &step));
        KPAR_TRY(kpar_build_reshape(lowering->graph, as_rows(one), step, &step));
        KPAR_TRY(kpar_lower_layer(lowering, &step, 1, outputs));
        KPAR_TRY(kpar_build_reshape(lowering->graph, as_steps(*kpar_lower_shape(lowering, outputs[0]), 1),
                                    outputs[0], &steps[t]));
    }
    KPAR_TRY(kpar_build_concat(lowering->graph, 1, steps, (int)time, output));
    return kpar_build_reshape(lowering->graph, as_rows(*kpar_lower_shape(lowering, *output)), *output,
                              output);
}

static kpar_status all_steps(kpar_lowering *lowering, kpar_value_id x, kpar_value_id *output)
{
    const kpar_shape shape = *kpar_lower_shape(lowering, x);
    kpar_value_id outputs[KPAR_CALL_OUTPUTS];
    KPAR_TRY(kpar_build_reshape(lowering->graph, as_rows(shape), x, &x));
    KPAR_TRY(kpar_lower_layer(lowering, &x, 1, outputs));
    return kpar_build_reshape(lowering->graph,
                              as_steps(*kpar_lower_shape(lowering, outputs[0]), shape.dims[1].size),
                              outputs[0], output);
}

/* A model is called between two calls of the layer: with all steps as rows; what it gives becomes steps again. That is a
 * layer of its own to the cut into stages, for the model's layers stand between. */
static kpar_status around_model(kpar_lowering *lowering, const kpar_value_id *inputs, int n_inputs,
                                kpar_value_id *output)
{
    const kpar_shape steps = *kpar_lower_shape(lowering, inputs[0]);
    if (n_inputs == 1) return kpar_build_reshape(lowering->graph, as_rows(steps), inputs[0], output);
    const kpar_shape rows = *kpar_lower_shape(lowering, inputs[1]);
    lowering->graph->layer = kpar_arena_printf(lowering->arena, "%s/steps", lowering->layer->name);
    return kpar_build_reshape(lowering->graph, as_steps(rows, steps.dims[1].size), inputs[1], output);
}

/* Keras calls the layer for each step, and does not apply its activity regularizer. */
KPAR_LAYER(time_distributed)
{
    const kpar_layer *layer = kpar_lower_inner(lowering, "layer", 0);
    const bool masked = lowering->masks[0] >= 0;
    kpar_frame outer;
    if (!layer) return kpar_fail(KPAR_EFORMAT, "%s: argument 'layer': expected a layer", lowering->owner);
    if (kpar_lower_shape(lowering, inputs[0])->rank < 3)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected an input (batch, time, ...)", lowering->owner);
    if (!layer->row) return around_model(lowering, inputs, n_inputs, output);
    if (n_inputs != 1) return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected one input", lowering->owner);
    KPAR_TRY(kpar_lower_enter(lowering, layer, &outer));
    if (masked && layer->row->call_arguments && kpar_has_word(layer->row->call_arguments, "mask"))
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: is given a mask within TimeDistributed", lowering->owner);
    KPAR_TRY(all_steps(lowering, inputs[0], output));
    kpar_lower_leave(lowering, &outer);
    return KPAR_OK;
}
