/* The catalog of variables: what a model and its optimizer remember. Path, shape, kind, source; never values,
 * which live in the executor's arena. */
#ifndef KPAR_MODEL_CATALOG_H
#define KPAR_MODEL_CATALOG_H

#include "base/memory.h"
#include "base/names.h"
#include "tensor/array.h"

#include <jansson.h>

typedef enum kpar_variable_kind {
    KPAR_VARIABLE_WEIGHT,        /* trained */
    KPAR_VARIABLE_FROZEN,        /* a weight of a layer that is not trainable, or a moving statistic */
    KPAR_VARIABLE_ITERATION,     /* the optimizer's step count, int64 scalar */
    KPAR_VARIABLE_LEARNING_RATE, /* float32 scalar; absent with a schedule */
    KPAR_VARIABLE_SCALAR,        /* another scalar that the optimizer keeps */
    KPAR_VARIABLE_SLOT,          /* the optimizer's memory of a weight */
    KPAR_VARIABLE_CONSTANT,      /* an array that the config holds; in no file of weights */
} kpar_variable_kind;

typedef struct kpar_initializer_row kpar_initializer_row; /* model/initializer.h */

typedef struct kpar_variable {
    const char *path;  /* dataset in model.weights.h5: "layers/dense/vars/0", "optimizer/vars/2" */
    const char *alias; /* a further dataset of the same values; NULL: none */
    const char *layer; /* the layer's name, "" for the optimizer's scalars */
    const char *name;  /* "kernel", "momentum" */
    /* Of a weight: what Keras calls it in a model that it has loaded, "mha/query/kernel". */
    const char *keras_path;
    kpar_variable_kind kind;
    kpar_dtype dtype;
    int rank;
    int64_t dims[KPAR_MAX_RANK];
    int layer_index; /* position of the layer among all layers in config order; -1 for the optimizer's */
    int of;          /* SLOT: the weight it belongs to; else -1 */
    bool is_average; /* SLOT: the weight's moving average, which replaces it when training ends */
    bool begins_as_weight; /* SLOT: has the weight's values where there are none of its own */

    /* Initial value where no file has one. */
    const kpar_initializer_row *initializer; /* NULL: `initial` everywhere */
    double initial, parameters[2];           /* meaning by initializer */
    const double *values;                    /* CONSTANT: all elements */
    int64_t ones[2]; /* elements [first, end) are 1 at first whatever the initializer says */
    uint64_t key;    /* Philox key */

    /* WEIGHT: what the layer's config says of it, borrowed from the model; NULL: nothing. */
    const json_t *regularizer, *constraint;
} kpar_variable;

/* A scalar of the optimizer: every stage of a pipeline has it, and takes the same steps. */
static inline bool kpar_variable_is_optimizer_scalar(const kpar_variable *v)
{
    return v->kind == KPAR_VARIABLE_ITERATION || v->kind == KPAR_VARIABLE_LEARNING_RATE ||
           v->kind == KPAR_VARIABLE_SCALAR;
}

/* Whether it belongs to the optimizer. */
static inline bool kpar_variable_is_optimizers(const kpar_variable *v)
{
    return kpar_variable_is_optimizer_scalar(v) || v->kind == KPAR_VARIABLE_SLOT;
}

/* A group of model.weights.h5, in file order. Every one has a subgroup `vars` with the attribute `name`, also
 * without variables. */
typedef struct kpar_variable_group {
    const char *path; /* "layers/dense", "optimizer", "" for the root */
    const char *name; /* the layer's name: attribute `name` of its `vars` */
} kpar_variable_group;

typedef struct kpar_catalog {
    kpar_arena *arena;
    kpar_variable *variables;
    int n;
    size_t capacity;
    kpar_variable_group *groups;
    int n_groups;
    size_t groups_capacity;
    kpar_names paths, group_paths; /* numbered as variables and groups are */
} kpar_catalog;

kpar_catalog *kpar_catalog_create(void);
void kpar_catalog_destroy(kpar_catalog *catalog);

/* Adds a variable (strings are copied) or finds the one of the same path, and returns its index. */
int kpar_catalog_add(kpar_catalog *catalog, const kpar_variable *variable);
int kpar_catalog_find(const kpar_catalog *catalog, const char *path); /* -1: none */
/* The file has the variable's values a second time at `path`. */
void kpar_catalog_add_alias(kpar_catalog *catalog, int variable, const char *path);
bool kpar_catalog_is_alias(const kpar_catalog *catalog, const char *path);
/* The groups of a layer: its own, if it has one, and those of its parts. */
struct kpar_layer;
void kpar_catalog_add_layer(kpar_catalog *catalog, const struct kpar_layer *layer);
void kpar_catalog_add_group(kpar_catalog *catalog, const char *path, const char *name);

/* Trained weights in Keras's order (layers in config order, each layer's own order): fills `order`, whose
 * length is the return value; order may be NULL. */
int kpar_catalog_weights(const kpar_catalog *catalog, int *order);

/* Initial values of a slice of a variable, row-major, in the variable's type. The same on every layout. */
void kpar_variable_initialize(const kpar_variable *variable, const kpar_slice *slice, void *values);

/* The slice that is everything. */
kpar_slice kpar_variable_whole(const kpar_variable *variable);

#endif
