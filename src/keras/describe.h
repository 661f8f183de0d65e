/* Making a model from its config: what the describe_*.c files share. */
#ifndef KPAR_KERAS_DESCRIBE_H
#define KPAR_KERAS_DESCRIBE_H

#include "base/status.h"
#include "model/model.h"

/* A model in the making. Layers and calls grow while it is read; in the end they move into its arena. */
typedef struct kpar_description {
    kpar_model *model;
    const char *file; /* for messages */
    kpar_layer *layers;
    size_t n_layers, layers_capacity;
    kpar_call *calls;
    size_t n_calls, calls_capacity;
} kpar_description;

/* A model around layers: where its groups are and whether its layers may train. Nested models would be scopes
 * within scopes. */
typedef struct kpar_scope {
    const json_t *config; /* {"name", "layers", ...} */
    const char *group;    /* "layers" for the root */
    bool trainable;
    size_t first, count; /* its layers in the description */
} kpar_scope;

/* "file: layer 'dense' (Dense)", in the model's arena. */
const char *kpar_layer_owner(const kpar_description *d, const kpar_layer *layer);

/* Reads scope->config's layers, checks that kpar has them and their arguments; sets first and count. */
kpar_status kpar_describe_layers(kpar_description *d, kpar_scope *scope) KPAR_MUST_USE;

/* Calls of a Sequential: one a layer, each of the one before; its input and its output. */
kpar_status kpar_describe_chain(kpar_description *d, const kpar_scope *scope) KPAR_MUST_USE;

/* Calls of a Functional from its layers' inbound_nodes; its inputs and outputs. */
kpar_status kpar_describe_graph(kpar_description *d, const kpar_scope *scope) KPAR_MUST_USE;

/* compile_config, spread over the model's outputs, which are known. */
kpar_status kpar_describe_compile(kpar_description *d, const json_t *compile_config) KPAR_MUST_USE;

#endif
