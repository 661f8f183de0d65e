/* The tables of Keras's vocabulary: a row each, beside the formula it names. */
#ifndef KPAR_MODEL_TABLES_H
#define KPAR_MODEL_TABLES_H

#include "model/lower.h"

/* Layers (layers.c and friends). */
struct kpar_layer_row {
    const char *class_name, *doc;
    const char *arguments; /* config keys it understands, besides name, trainable, dtype, batch_shape */
    const char *defaults;  /* keys accepted at these values only, see kpar_config_known */
    /* Lowers one call. config is lowering->layer->config. */
    kpar_status (*lower)(kpar_lowering *lowering, const kpar_value_id *inputs, int n_inputs, kpar_value_id *output);
};
const kpar_layer_row *kpar_layer_row_find(const char *class_name);
const kpar_layer_row *kpar_layer_rows(int *n);

/* Activations (activations.c): expressions of one input, or softmax, which mixes a row. `formula` NULL: see lower. */
typedef struct kpar_activation_row {
    const char *name, *doc;
    kpar_x (*formula)(kpar_expression_builder *e, kpar_x x);
} kpar_activation_row;
const kpar_activation_row *kpar_activation_rows(int *n);
/* Applies the activation that `activation` names (NULL or null: linear). */
kpar_status kpar_lower_activation(kpar_lowering *lowering, const json_t *activation, kpar_value_id x, kpar_value_id *y) KPAR_MUST_USE;

/* Initializers (initializers.c). */
struct kpar_initializer_row {
    const char *class_name, *doc, *arguments;
    /* Sets variable->initial and ->parameters from the config and the variable's shape. */
    kpar_status (*prepare)(const char *owner, const json_t *config, kpar_variable *variable);
    /* Element `index` (row-major in the whole variable), from the variable's parameters and the Philox stream. */
    double (*element)(const kpar_variable *variable, uint64_t index);
};
const kpar_initializer_row *kpar_initializer_rows(int *n);
kpar_status kpar_variable_set_initializer(const char *owner, const json_t *initializer, uint64_t seed, kpar_variable *variable) KPAR_MUST_USE;

/* Losses (losses.c): the loss of each row, before reduction. */
typedef struct kpar_loss_row {
    const char *class_name, *doc, *arguments;
    /* prediction (batch, ...); labels; *values has the batch and any further leading dimensions. */
    kpar_status (*lower)(kpar_lowering *lowering, const json_t *config, const char *owner, kpar_value_id prediction,
                         kpar_value_id labels, kpar_value_id *values);
    bool sparse; /* labels are class numbers, one dimension fewer than predictions */
} kpar_loss_row;
const kpar_loss_row *kpar_loss_rows(int *n);

/* Metrics (metrics.c): per-row values whose weighted mean is the metric. */
typedef struct kpar_metric_row {
    const char *class_name, *doc, *arguments;
    kpar_status (*lower)(kpar_lowering *lowering, const json_t *config, const char *owner, kpar_value_id prediction,
                         kpar_value_id labels, kpar_value_id *values);
} kpar_metric_row;
const kpar_metric_row *kpar_metric_rows(int *n);

/* Learning-rate schedules (schedules.c): expressions of the iteration. */
typedef struct kpar_schedule_row {
    const char *class_name, *doc, *arguments;
    kpar_status (*formula)(const char *owner, const json_t *config, kpar_expression_builder *e, kpar_x iteration, kpar_x *rate);
} kpar_schedule_row;
const kpar_schedule_row *kpar_schedule_rows(int *n);

/* Optimizers (optimizers.c): one formula for one weight. */
enum { KPAR_OPTIMIZER_SLOTS = 4 };
typedef struct kpar_optimizer_formula {
    kpar_x weight, gradient, rate, step; /* in: step is iterations + 1 */
    kpar_x slots[KPAR_OPTIMIZER_SLOTS];  /* in: before; out: after */
} kpar_optimizer_formula;
typedef struct kpar_optimizer_row {
    const char *class_name, *doc, *arguments;
    /* Names of the slots this config uses, in Keras's order, and their number. */
    kpar_status (*slots)(const char *owner, const json_t *config, const char **names, int *n);
    /* Writes weight and slots after the step. */
    kpar_status (*formula)(const char *owner, const json_t *config, kpar_expression_builder *e, kpar_optimizer_formula *f);
} kpar_optimizer_row;
const kpar_optimizer_row *kpar_optimizer_rows(int *n);

#endif
