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
    struct kpar_wrapped *wrapped;
    size_t n_wrapped, wrapped_capacity;
} kpar_description;

typedef struct kpar_scope kpar_scope;

/* A model that is a layer's argument. */
typedef struct kpar_wrapped {
    size_t around; /* the layer */
    kpar_scope *model;
} kpar_wrapped;

/* What a model is made of: a layer, or a model. */
typedef struct kpar_member {
    const json_t *object; /* class_name, config, inbound_nodes */
    const char *name;     /* within the model */
    size_t layer;         /* in the description; of a model the entry that stands for it */
    kpar_scope *model;    /* NULL: a layer */
} kpar_member;

/* A model around layers: where its groups are and whether its layers may train. Models within are scopes within. */
struct kpar_scope {
    const json_t *config; /* {"name", "layers", ...} */
    const char *group;    /* "layers" for the root */
    const char *prefix;   /* of its layers' names: "" for the root, "tower/" */
    bool sequential, trainable;
    kpar_member *members; /* in config order */
    size_t n_members;
};

/* "file: layer 'dense' (Dense)", in the model's arena. */
const char *kpar_layer_owner(const kpar_description *d, const kpar_layer *layer);

/* Sets sequential from the class; KPAR_EUNSUPPORTED: some other class. `owner` is what messages call the model. */
kpar_status kpar_describe_class(const char *owner, const json_t *object, bool *sequential) KPAR_MUST_USE;

/* Reads scope->config's layers, checks that kpar has them and their arguments; sets the members. */
kpar_status kpar_describe_layers(kpar_description *d, kpar_scope *scope) KPAR_MUST_USE;

/* Whether kpar has the layer and its arguments; sets its row. `object` is what the config has of it. */
kpar_status kpar_describe_layer(const kpar_description *d, kpar_layer *layer,
                                const json_t *object) KPAR_MUST_USE;
/* Reads a model, whose own entry is the last one so far. */
kpar_status kpar_describe_model(kpar_description *d, const json_t *object, kpar_scope **model) KPAR_MUST_USE;
/* Whether such an object is a model, and not a layer. */
bool kpar_is_model(const json_t *config);
/* describe_inner.c: layers that are arguments of a layer, number `around` of the description, follow it as entries. */
kpar_status kpar_describe_inner(kpar_description *d, size_t around) KPAR_MUST_USE;

/* One call of a model: the calls of its layers, of those within models too. */
typedef struct kpar_expansion {
    const kpar_tensor_ref
        *given; /* what its input layers are; NULL: they are inputs of the whole, and called */
    int n_given;
    kpar_port *inputs, *outputs; /* set: in the arena of the model */
    int n_inputs, n_outputs;
} kpar_expansion;
kpar_status kpar_describe_calls(kpar_description *d, const kpar_scope *scope,
                                kpar_expansion *call) KPAR_MUST_USE;

/* describe_chain.c, describe_graph.c: that of a Sequential, each layer called with what the one before gives; that of a
 * Functional, by its layers' inbound_nodes. */
kpar_status kpar_describe_chain(kpar_description *d, const kpar_scope *scope,
                                kpar_expansion *call) KPAR_MUST_USE;
kpar_status kpar_describe_graph(kpar_description *d, const kpar_scope *scope,
                                kpar_expansion *call) KPAR_MUST_USE;

/* What a call gives: of a layer the outputs of `call`, of a model `outputs`. */
typedef struct kpar_result {
    int call;
    kpar_tensor_ref *outputs; /* NULL: of a layer */
    int n_outputs;
} kpar_result;

/* What a member is called with. */
typedef struct kpar_arguments {
    const kpar_tensor_ref *inputs;
    int n_inputs;
    const kpar_named_input *named;
    int n_named;
    const json_t *args; /* of an operation as they stand in the config */
    const json_t *kwargs;
} kpar_arguments;
kpar_status kpar_describe_member(kpar_description *d, const kpar_member *member,
                                 const kpar_arguments *arguments, kpar_result *result) KPAR_MUST_USE;
bool kpar_is_input(const kpar_description *d, const kpar_member *member);
/* The model's input number `number`, which is the InputLayer `member`. */
kpar_status kpar_describe_input(kpar_description *d, const kpar_member *member, const kpar_expansion *call,
                                int number, kpar_result *result) KPAR_MUST_USE;
/* Output `number` of a call. `owner` is what messages call who refers to it. */
kpar_status kpar_describe_output(const char *owner, const kpar_result *result, int64_t number,
                                 kpar_tensor_ref *tensor) KPAR_MUST_USE;

/* compile_config, spread over the model's outputs, which are known. */
kpar_status kpar_describe_compile(kpar_description *d, const json_t *compile_config) KPAR_MUST_USE;

#endif
