/* A Keras model as its config describes it: layers, calls, and how it is compiled. Made by keras/, lowered by
 * model/lower.h. Owns the JSON it was made from. */
#ifndef KPAR_MODEL_MODEL_H
#define KPAR_MODEL_MODEL_H

#include "base/memory.h"
#include "tensor/array.h"

#include <jansson.h>

/* What Keras's compile() takes where it is given none. */
#define KPAR_PRESET_OPTIMIZER "rmsprop"

typedef struct kpar_layer_row kpar_layer_row; /* model/layer.h */

typedef struct kpar_layer kpar_layer;
struct kpar_layer {
    const char *class_name;
    const char *name;     /* no other layer's: "dense", or "tower/dense" within a model within the model */
    const char *own_name; /* within its model: "dense" */
    const json_t *config; /* the layer's own "config" object */
    const char *group;    /* its group in model.weights.h5: "layers/dense_1"; NULL: none */
    bool trainable;       /* its own flag and those of all models around it */
    bool is_operation;    /* on tensors, which stand in the call's arguments; else a layer */
    int n_calls;
    int around;           /* the layer whose argument it is: its number, from 1; 0: it is the model's own */
    const char *argument; /* that argument: "cell"; within a list they stand in order */
    const kpar_layer_row *row; /* NULL: a model within the model, whose calls are those of its layers */
};

/* A tensor: output `tensor` of call `call`. */
typedef struct kpar_tensor_ref {
    int call, tensor;
} kpar_tensor_ref;

/* A tensor that a call is given by the name of an argument; a list of them has an entry each. */
typedef struct kpar_named_input {
    const char *name;
    kpar_tensor_ref tensor;
} kpar_named_input;

/* A call may have several outputs. */
enum { KPAR_CALL_OUTPUTS = 8 };

/* One call of a layer. Calls stand in an order in which inputs come first. */
typedef struct kpar_call {
    int layer;    /* index in layers */
    int number;   /* 0 for the layer's first call, 1 for the second ... */
    int n_inputs; /* 0 for an InputLayer, which is called once too */
    kpar_tensor_ref *inputs;
    int n_named;
    kpar_named_input *named; /* besides its inputs, as they stand in kwargs */
    const json_t *args; /* of an operation: inputs, numbers and arrays as they stand in the call; else NULL */
    const json_t
        *kwargs; /* arguments by name, among them what does not matter: a mask of null, a stored `training` */
} kpar_call;

/* An input or an output of the model. */
typedef struct kpar_port {
    const char *name; /* name of the layer it comes from, or the key where the model takes or gives a dict */
    kpar_tensor_ref tensor;
} kpar_port;

typedef struct kpar_model {
    kpar_arena *arena;
    json_t *root;     /* config.json */
    json_t *made;     /* what config.json has not in this form: lists of metrics, names; NULL: none */
    const char *file; /* for messages */
    const char *name;
    kpar_layer *layers; /* in config order */
    int n_layers;
    kpar_call *calls;
    int n_calls;
    kpar_port *inputs, *outputs;
    int n_inputs, n_outputs;

    /* compile_config; NULL where absent. `losses`, `loss_weights`, `metrics`, `weighted_metrics` have an
     * entry an output: the JSON that names the loss, a number, the JSON list of metrics (or NULL). */
    const json_t *optimizer;
    const json_t *loss_scaling; /* config of the LossScaleOptimizer around it */
    const json_t **losses;
    double *loss_weights;
    const json_t **metrics, **weighted_metrics;
} kpar_model;

/* The model lives in its arena and is freed with it. NULL is allowed. */
void kpar_model_destroy(kpar_model *model);

/* FNV-1a over config.json in canonical form (sorted keys, no addresses): equal models have equal hashes. */
uint64_t kpar_model_hash(const kpar_model *model);

#endif
