/* Calls of a model's members: a layer's call becomes one of the description, a model's becomes those of its layers. */
#include "keras/describe.h"

#include "base/text.h"
#include "model/tables.h"

#include <string.h>

bool kpar_is_input(const kpar_description *d, const kpar_member *member)
{
    return !member->model && strcmp(d->layers[member->layer].class_name, "InputLayer") == 0;
}

kpar_status kpar_describe_calls(kpar_description *d, const kpar_scope *scope, kpar_expansion *call)
{
    return scope->sequential ? kpar_describe_chain(d, scope, call) : kpar_describe_graph(d, scope, call);
}

/* An input with a mask of its own: what a layer gives that changes nothing. */
static void mask_input(kpar_description *d, size_t model, kpar_tensor_ref mask, kpar_tensor_ref *input)
{
    kpar_arena *arena = d->model->arena;
    const kpar_layer layer = {.class_name = "Identity",
                              .own_name = "mask",
                              .name = kpar_arena_printf(arena, "%s/mask", d->layers[model].name),
                              .n_calls = 1,
                              .row = kpar_layer_row_find("Identity", false)};
    const kpar_named_input named = {"mask", mask};
    const kpar_call call = {.layer = (int)d->n_layers,
                            .n_inputs = 1,
                            .inputs = kpar_arena_copy(arena, input, sizeof *input),
                            .n_named = 1,
                            .named = kpar_arena_copy(arena, &named, sizeof named)};
    *input = (kpar_tensor_ref){(int)d->n_calls, 0};
    KPAR_PUSH(d->layers, d->n_layers, d->layers_capacity) = layer;
    KPAR_PUSH(d->calls, d->n_calls, d->calls_capacity) = call;
}

/* The inputs of a model with the mask of the first, or masks of all, that it is called with; null: as the input has it. */
static const kpar_tensor_ref *masked_inputs(kpar_description *d, size_t model,
                                            const kpar_arguments *arguments)
{
    const json_t *list = json_object_get(arguments->kwargs, "mask");
    const int n = arguments->n_named > 0 ? arguments->n_inputs : 0;
    kpar_tensor_ref *inputs =
        kpar_arena_copy(d->model->arena, arguments->inputs, (size_t)arguments->n_inputs * sizeof *inputs);
    for (int i = 0, used = 0; i < n && used < arguments->n_named; i++)
        if (json_is_array(list) ? json_is_object(json_array_get(list, (size_t)i)) : i == 0)
            mask_input(d, model, arguments->named[used++].tensor, &inputs[i]);
    return inputs;
}

/* `layer` is the number of the model's entry. */
static kpar_status call_model(kpar_description *d, const kpar_scope *model, size_t layer,
                              const kpar_arguments *arguments, kpar_result *result)
{
    kpar_expansion call = {.given = masked_inputs(d, layer, arguments), .n_given = arguments->n_inputs};
    KPAR_TRY(kpar_describe_calls(d, model, &call));
    result->n_outputs = call.n_outputs;
    result->outputs = kpar_arena_alloc(d->model->arena, (size_t)call.n_outputs * sizeof *result->outputs);
    for (int i = 0; i < call.n_outputs; i++) result->outputs[i] = call.outputs[i].tensor;
    return KPAR_OK;
}

static bool is_named(const kpar_arguments *arguments, const char *name)
{
    for (int i = 0; i < arguments->n_named; i++)
        if (strcmp(arguments->named[i].name, name) == 0) return true;
    return false;
}

/* A stored `training` is a default that fit and predict override; a mask of null is none. */
static kpar_status check_arguments(const char *owner, const kpar_arguments *arguments,
                                   const kpar_layer_row *row)
{
    const char *known = !row ? "mask" : row->call_arguments ? row->call_arguments : ""; /* none: a model */
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)arguments->kwargs, key, value)
    {
        const bool understood = json_is_true(value) || is_named(arguments, key) || arguments->args;
        if (json_is_null(value) || json_is_false(value) || strcmp(key, "training") == 0) continue;
        if (kpar_has_word(kpar_layer_positions(row), key)) continue; /* among the inputs */
        if (understood && kpar_has_word(known, key)) continue;
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: is called with %s, which is not supported", owner, key);
    }
    return KPAR_OK;
}

static void call_layer(kpar_description *d, size_t layer, const kpar_arguments *arguments,
                       kpar_result *result)
{
    const int n_inputs = arguments->n_inputs, n_named = arguments->n_named;
    const kpar_call call = {
        .layer = (int)layer,
        .number = d->layers[layer].n_calls++,
        .n_inputs = n_inputs,
        .inputs =
            kpar_arena_copy(d->model->arena, arguments->inputs, (size_t)n_inputs * sizeof(kpar_tensor_ref)),
        .n_named = n_named,
        .named =
            kpar_arena_copy(d->model->arena, arguments->named, (size_t)n_named * sizeof(kpar_named_input)),
        .args = arguments->args,
        .kwargs = arguments->kwargs,
    };
    *result = (kpar_result){.call = (int)d->n_calls};
    KPAR_PUSH(d->calls, d->n_calls, d->calls_capacity) = call;
}

/* A layer around a model is called twice: with its input for what the model is given, then with its input and what the
 * model gives. */
static kpar_status call_around(kpar_description *d, size_t layer, const kpar_wrapped *wrapped,
                               const kpar_arguments *arguments, kpar_result *result)
{
    kpar_result inner;
    kpar_tensor_ref tensors[2] = {{0, 0}};
    if (arguments->n_inputs != 1)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: is called with %d inputs, expected one",
                         kpar_layer_owner(d, &d->layers[layer]), arguments->n_inputs);
    call_layer(d, layer, &(kpar_arguments){.inputs = arguments->inputs, .n_inputs = 1}, &inner);
    tensors[0].call = inner.call;
    const kpar_arguments rows = {.inputs = tensors, .n_inputs = 1};
    KPAR_TRY(call_model(d, wrapped->model, layer, &rows, &inner));
    tensors[0] = arguments->inputs[0];
    tensors[1] = inner.outputs[0];
    kpar_arguments both = *arguments;
    both.inputs = tensors;
    both.n_inputs = 2;
    call_layer(d, layer, &both, result);
    return KPAR_OK;
}

kpar_status kpar_describe_member(kpar_description *d, const kpar_member *member,
                                 const kpar_arguments *arguments, kpar_result *result)
{
    const kpar_layer_row *row = d->layers[member->layer].row;
    KPAR_TRY(check_arguments(kpar_layer_owner(d, &d->layers[member->layer]), arguments, row));
    if (member->model) return call_model(d, member->model, member->layer, arguments, result);
    for (size_t i = 0; i < d->n_wrapped; i++) {
        const kpar_wrapped wrapped = d->wrapped[i];
        if (wrapped.around == member->layer)
            return call_around(d, member->layer, &wrapped, arguments, result);
    }
    call_layer(d, member->layer, arguments, result);
    return KPAR_OK;
}

kpar_status kpar_describe_output(const char *owner, const kpar_result *result, int64_t number,
                                 kpar_tensor_ref *tensor)
{
    *tensor = (kpar_tensor_ref){result->call, (int)number};
    if (!result->outputs) return KPAR_OK;
    if (number < 0 || number >= result->n_outputs)
        return kpar_fail(KPAR_EFORMAT, "%s: refers to output %lld of a model that has %d", owner,
                         (long long)number, result->n_outputs);
    *tensor = result->outputs[number];
    return KPAR_OK;
}

/* An InputLayer is what the model is given, or, of the outermost model, a call. */
kpar_status kpar_describe_input(kpar_description *d, const kpar_member *member, const kpar_expansion *call,
                                int number, kpar_result *result)
{
    if (!call->given) return kpar_describe_member(d, member, &(kpar_arguments){.n_inputs = 0}, result);
    if (number >= call->n_given)
        return kpar_fail(KPAR_EFORMAT, "%s: a model within the model is called with %d inputs, it has more",
                         kpar_layer_owner(d, &d->layers[member->layer]), call->n_given);
    *result = (kpar_result){
        .outputs = kpar_arena_copy(d->model->arena, &call->given[number], sizeof call->given[number]),
        .n_outputs = 1};
    return KPAR_OK;
}

static kpar_port *one_port(kpar_arena *arena, const char *name, kpar_tensor_ref tensor)
{
    return kpar_arena_copy(arena, &(kpar_port){name, tensor}, sizeof(kpar_port));
}

kpar_status kpar_describe_chain(kpar_description *d, const kpar_scope *scope, kpar_expansion *call)
{
    kpar_arena *arena = d->model->arena;
    kpar_tensor_ref now = {0, 0};
    const bool has_input = kpar_is_input(d, &scope->members[0]);
    if (!has_input && !call->given)
        return kpar_fail(
            KPAR_EFORMAT,
            "%s: the shape of the input is not known; build the model in Keras (model.build) before saving",
            d->file);
    if (!has_input) now = call->given[0];
    for (size_t i = 0; i < scope->n_members; i++) {
        const kpar_member *member = &scope->members[i];
        kpar_result result = {0};
        if (i == 0 && has_input)
            KPAR_TRY(kpar_describe_input(d, member, call, 0, &result));
        else
            KPAR_TRY(
                kpar_describe_member(d, member, &(kpar_arguments){.inputs = &now, .n_inputs = 1}, &result));
        KPAR_TRY(kpar_describe_output(member->name, &result, 0, &now));
        if (i == 0) call->inputs = one_port(arena, member->name, now);
    }
    call->outputs = one_port(arena, scope->members[scope->n_members - 1].name, now);
    call->n_inputs = call->n_outputs = 1;
    return KPAR_OK;
}
