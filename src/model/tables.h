/* The tables of Keras's vocabulary: a row each, beside the formula it names. */
#ifndef KPAR_MODEL_TABLES_H
#define KPAR_MODEL_TABLES_H

#include "model/lower.h"

/* Layers (layers.c and friends). */
struct kpar_layer_row {
    const char *class_name, *doc;
    const char *arguments; /* config keys it understands, besides name, trainable and dtype */
    const char *defaults;  /* keys accepted at these values only, see kpar_config_known; "": none */
    /* Lowers one call. config is lowering->layer->config. */
    kpar_status (*lower)(kpar_lowering *lowering, const kpar_value_id *inputs, int n_inputs,
                         kpar_value_id *output);
    /* Sets the masks of what the call gives, each -1 at first, from lowering->masks. NULL: it gives none. */
    kpar_status (*mask)(kpar_lowering *lowering, const kpar_value_id *inputs, int n_inputs,
                        kpar_value_id *masks);
    /* Groups within its group in the file, "query_dense=query": with the name there; "...?use_gate": where that
     * argument is true; NULL: none. */
    const char *parts;
    /* Arguments that are its inputs, in order, by whatever way given; NULL: "inputs". */
    const char *positions;
    /* Arguments that are layers, "backward_layer=backward_layer": in that group; NULL: none. */
    const char *inner;
    bool parts_penalized; /* its activity_regularizer is of what its parts give, and not of its own outputs */
    bool mixes_rows;      /* what it gives of a row depends on others */
    const char *call_arguments; /* arguments by name that a call may have, tensors or flags; NULL: none */
    bool is_activation;         /* may stand in the place of an activation's name */
    bool images; /* has the argument data_format: it is lowered as for channels last, whichever it is */
    /* Of operations element by element, and of activations with a number: the formula that `lower` applies. */
    kpar_x (*unary)(kpar_expression_builder *e, kpar_x x);
    kpar_x (*binary)(kpar_expression_builder *e, kpar_x a, kpar_x b);
    kpar_x (*with_number)(kpar_expression_builder *e, kpar_x x, double number);
};
/* The names of the arguments that are a layer's inputs; `row` may be NULL. */
const char *kpar_layer_positions(const kpar_layer_row *row);
/* Part number `i` of a layer, in `group` (NULL: it has it not) and `name`; false: its row has fewer. */
bool kpar_layer_part(kpar_arena *arena, const kpar_layer *layer, int i, const char **group,
                     const char **name);
const kpar_layer_row *kpar_layer_rows(int *n);
/* All config keys that a row's layers understand: also those of every layer, and with each weight's initializer its
 * regularizer and constraint. */
const char *kpar_layer_arguments(kpar_arena *arena, const kpar_layer_row *row);
/* "kernel_regularizer" of the first `length` bytes of "kernel_initializer", for the kind "regularizer"; NULL: they are no
 * initializer's key. */
const char *kpar_layer_companion(kpar_arena *arena, const char *initializer, size_t length, const char *kind);
/* Operations on tensors (operations.c), rows of the same form; a call may give up to KPAR_CALL_OUTPUTS outputs. The row of a
 * class, or NULL; the names of all. */
const kpar_layer_row *kpar_operation_row_find(const char *class_name);
const char *kpar_operation_names(kpar_arena *arena);
/* The row of a layer's class, or of an operation's; NULL: not supported. */
const kpar_layer_row *kpar_layer_row_find(const char *class_name, bool is_operation);

/* Activations (activations.c): expressions of one input, or ops where a row mixes. */
typedef struct kpar_activation_row {
    const char *name, *doc;
    kpar_x (*formula)(kpar_expression_builder *e, kpar_x x); /* NULL: `lower` */
    kpar_status (*lower)(kpar_lowering *lowering, kpar_value_id x, kpar_value_id *y);
} kpar_activation_row;
const kpar_activation_row *kpar_activation_rows(int *n);
/* The row that `activation` names (NULL or null: linear). */
kpar_status kpar_activation_find(const kpar_lowering *lowering, const json_t *activation,
                                 const kpar_activation_row **row) KPAR_MUST_USE;
/* Applies that activation. */
kpar_status kpar_lower_activation(kpar_lowering *lowering, const json_t *activation, kpar_value_id x,
                                  kpar_value_id *y) KPAR_MUST_USE;

/* Formulas that layers and losses share (activations.c). */
kpar_x kpar_x_gelu(kpar_expression_builder *e, kpar_x x); /* by erf */
kpar_x kpar_x_silu(kpar_expression_builder *e, kpar_x x);
kpar_x kpar_x_softplus(kpar_expression_builder *e, kpar_x x);
kpar_x kpar_x_leaky_relu(kpar_expression_builder *e, kpar_x x, double negative_slope);
kpar_x kpar_x_elu(kpar_expression_builder *e, kpar_x x, double alpha);
kpar_x kpar_x_celu(kpar_expression_builder *e, kpar_x x, double alpha);
kpar_x kpar_x_hard_shrink(kpar_expression_builder *e, kpar_x x, double threshold);
kpar_x kpar_x_soft_shrink(kpar_expression_builder *e, kpar_x x, double threshold);
kpar_x kpar_x_squareplus(kpar_expression_builder *e, kpar_x x, double b);

/* Initializers (initializers.c). */
struct kpar_initializer_row {
    const char *class_name, *doc, *arguments;
    /* Sets variable->initial and ->parameters from the config and the variable's shape. variable->initializer is this
     * row, and becomes another where that one draws the numbers (scaled ones are uniform or normal of some width). */
    kpar_status (*prepare)(const char *owner, const json_t *config, kpar_variable *variable);
    /* Element `index` (row-major in the whole variable), from the variable's parameters and the Philox stream.
     * NULL: a constant, or drawn by another row. */
    double (*element)(const kpar_variable *variable, uint64_t index);
    /* All elements at once, where none is known without the others. */
    void (*whole)(const kpar_variable *variable, double *values);
};
const kpar_initializer_row *kpar_initializer_rows(int *n);
/* Fills in the variable's initializer, initial, parameters and key. Its path, shape and type are set before.
 * `initializer` is the JSON that names one: an object, a string, a number (of all elements), null, or NULL for the class `by_default`. `owner` is
 * what messages call it. Streams are keyed by (seed, path); a seed in the config is Keras's own and is not used. */
kpar_status kpar_variable_set_initializer(const char *owner, const json_t *initializer,
                                          const char *by_default, uint64_t seed,
                                          kpar_variable *variable) KPAR_MUST_USE;

/* Rows of the tables below begin with the class's name and further names (separated by spaces, "": none) that
 * Keras has for it. Finds the row that `name` means in any spelling, or NULL. */
const void *kpar_table_find(const void *rows, int n, size_t row_bytes, const char *name);
/* The first strings of all rows, "A, B, C", for messages about what is supported. */
const char *kpar_table_names(kpar_arena *arena, const void *rows, int n, size_t row_bytes);

/* What a metric adds up over the epoch (or a loss over the batch), and what it is of these sums. */
enum { KPAR_METRIC_SUMS = 5 };
typedef struct kpar_metric_sums {
    kpar_value_id weights;                  /* in: (batch), of the rows, or (batch, ...), of what they have */
    kpar_value_id rows;                     /* in: (batch), 1 for each that is one of the batch's */
    kpar_value_id values[KPAR_METRIC_SUMS]; /* sums over the microbatch's rows, any shape */
    int n;
    kpar_expression_builder *e; /* over the elements of all sums, in order; begun by the row */
    kpar_x result;
    kpar_x *results; /* NULL: `result` alone */
    int n_results;
} kpar_metric_sums;

/* Losses (losses.c): the loss of each row, before reduction. */
typedef struct kpar_loss_row {
    const char *class_name, *aliases, *doc;
    const char *arguments; /* besides name, reduction and dtype */
    /* prediction (batch, ..., classes) -> *values (batch, ...), with the last dimension reduced, or others. */
    kpar_status (*lower)(kpar_lowering *lowering, const json_t *config, const char *owner,
                         kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values);
    /* Where `lower` is NULL: of one element, whose mean over the last dimension is the loss. */
    kpar_x (*formula)(kpar_expression_builder *e, kpar_x label, kpar_x prediction);
    /* Labels are class numbers, int32, one dimension fewer than predictions; else real, same shape. */
    bool sparse;
    bool means; /* `lower` gives such a mean, too */
    /* Of the whole batch, which it is without an 'axis'; NULL: it is of rows. */
    kpar_status (*sums)(kpar_lowering *lowering, const json_t *config, const char *owner,
                        kpar_value_id prediction, kpar_value_id labels, kpar_metric_sums *sums);
} kpar_loss_row;
const kpar_loss_row *kpar_loss_rows(int *n);
const kpar_loss_row *kpar_loss_row_find(const char *name);
/* As kpar_config_object, of a function in LossFunctionWrapper too. */
kpar_status kpar_loss_object(const char *owner, const json_t *loss, const char **class_name,
                             const json_t **config) KPAR_MUST_USE;
/* Values of each row by the row's `lower` or `formula`. */
kpar_status kpar_loss_values(kpar_lowering *lowering, const kpar_loss_row *row, const json_t *config,
                             const char *owner, kpar_value_id prediction, kpar_value_id labels,
                             kpar_value_id *values) KPAR_MUST_USE;

/* Metrics (metrics.c): values of rows whose weighted mean is the metric, or a formula of sums. */
typedef struct kpar_metric_row {
    const char *class_name, *aliases, *doc;
    const char *arguments; /* besides name and dtype */
    /* *values (batch, ...), of any type. NULL: `sums`, or the loss of the same class. */
    kpar_status (*lower)(kpar_lowering *lowering, const json_t *config, const char *owner,
                         kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values);
    bool sparse; /* labels as in kpar_loss_row */
    kpar_status (*sums)(kpar_lowering *lowering, const json_t *config, const char *owner,
                        kpar_value_id prediction, kpar_value_id labels, kpar_metric_sums *sums);
    bool either; /* labels of either kind: the row tells them by their dimensions */
} kpar_metric_row;
const kpar_metric_row *kpar_metric_rows(int *n);
const kpar_metric_row *kpar_metric_row_find(const char *name);
/* What a compile config names as a metric: a row of the table, or a loss by its function or an object of it. */
typedef struct kpar_metric_named {
    const char *class_name;
    const json_t *config;       /* its arguments; NULL: defaults */
    const kpar_metric_row *row; /* NULL: `loss`, or it is not supported */
    const kpar_loss_row *loss;
    bool is_object; /* of a loss, which reduces by itself */
} kpar_metric_named;
kpar_status kpar_metric_find(const char *owner, const json_t *metric, kpar_metric_named *named) KPAR_MUST_USE;

/* Learning-rate schedules (schedules.c): expressions of the iteration. */
typedef struct kpar_schedule_row {
    const char *class_name, *aliases, *doc, *arguments;
    kpar_status (*formula)(const char *owner, const json_t *config, kpar_expression_builder *e,
                           kpar_x iteration, kpar_x *rate);
} kpar_schedule_row;
const kpar_schedule_row *kpar_schedule_rows(int *n);

/* The update of one weight while it is written down (update.c): `e` is the expression, over scalars of one element. */
enum { KPAR_UPDATE_INPUTS = 32 };
typedef struct kpar_update {
    kpar_lowering *lowering;
    kpar_expression_builder *e;
    kpar_shape shape;                         /* of the weight */
    kpar_value_id inputs[KPAR_UPDATE_INPUTS]; /* what the expression reads */
    int n_inputs;
} kpar_update;
/* All dimensions of a tensor. */
enum { KPAR_ALL_AXES = (1 << KPAR_MAX_RANK) - 1 };
void kpar_update_begin(kpar_update *u, kpar_lowering *lowering, const kpar_shape *shape);
void kpar_update_end(kpar_update *u);
/* An element of the value, which broadcasts to the weight's shape. */
kpar_x kpar_update_input(kpar_update *u, kpar_value_id value);
/* Values of expressions, each of the shape that what they read together has. */
kpar_status kpar_update_values(kpar_update *u, const kpar_x *outputs, int n,
                               kpar_value_id *values) KPAR_MUST_USE;
/* The sum of x over those of its dimensions that are in `axes`, which keep the size 1; over all of them a scalar. */
kpar_status kpar_update_sum_value(kpar_update *u, kpar_x x, unsigned axes, kpar_value_id *sum) KPAR_MUST_USE;
/* An element of it. */
kpar_status kpar_update_sum(kpar_update *u, kpar_x x, unsigned axes, kpar_x *sum) KPAR_MUST_USE;
/* The root of the sum of squares. */
kpar_status kpar_update_norm(kpar_update *u, kpar_x x, unsigned axes, kpar_x *norm) KPAR_MUST_USE;
/* How many elements of the weight such a sum adds up. */
double kpar_update_elements(const kpar_update *u, unsigned axes);

/* Regularizers (regularizers.c): penalties on weights and on what layers give. */
typedef struct kpar_regularizer_row {
    const char *class_name, *aliases, *doc, *arguments;
    /* Of one element. */
    kpar_status (*formula)(const char *owner, const json_t *config, kpar_expression_builder *e, kpar_x x,
                           kpar_x *penalty);
    /* Where `formula` is NULL: of a whole weight, a scalar. */
    kpar_status (*lower)(kpar_lowering *lowering, const char *owner, const json_t *config, kpar_value_id x,
                         kpar_value_id *penalty);
} kpar_regularizer_row;
const kpar_regularizer_row *kpar_regularizer_rows(int *n);

/* Constraints (constraints.c): what becomes of a weight after its update. */
typedef struct kpar_constraint_row {
    const char *class_name, *aliases, *doc, *arguments;
    kpar_status (*apply)(const char *owner, const json_t *config, kpar_update *u, kpar_x *weight);
} kpar_constraint_row;
const kpar_constraint_row *kpar_constraint_rows(int *n);

/* Optimizers (optimizers.c and friends): one formula for one weight. */
enum { KPAR_OPTIMIZER_SLOTS = 4 };
typedef struct kpar_optimizer_formula {
    const kpar_variable *variable;       /* the weight */
    kpar_x weight, gradient, rate, step; /* in: step is iterations + 1 */
    kpar_x slots[KPAR_OPTIMIZER_SLOTS];  /* in: before; out: after */
    kpar_x scalar;                       /* in: the row's scalar after the step */
    kpar_update *update;                 /* for sums over elements of the tensor */
} kpar_optimizer_formula;
/* A slot that a config uses. In the file, slots of one group interleave weight by weight; groups follow each other. */
typedef struct kpar_optimizer_slot {
    const char *name;
    int group;
    double initial;
    int without; /* the dimension that it lacks, counted from the end: -1 the last, -2 the one before; 0: none. Of a
                    weight with fewer than two dimensions it is then an int32 scalar that stays as it is */
    bool begins_as_weight; /* and not as `initial` */
} kpar_optimizer_slot;
/* The slots that a config uses for a weight, in Keras's order. */
typedef struct kpar_optimizer_kept {
    const char *owner; /* in */
    const json_t *config;
    const kpar_variable *weight;
    kpar_optimizer_slot slots[KPAR_OPTIMIZER_SLOTS]; /* out */
    int n;
} kpar_optimizer_kept;
/* The optimizers to which one hands the weights. */
typedef struct kpar_optimizer_members {
    const char *owner; /* in */
    const json_t *config;
    kpar_arena *arena;
    const json_t **members; /* out: objects of the config, in the order of their variables */
    int n;
} kpar_optimizer_members;
/* A scalar that the optimizer keeps besides. */
typedef struct kpar_optimizer_scalar {
    const char *name; /* NULL: none */
    double initial;
    kpar_status (*formula)(const char *owner, const json_t *config, kpar_expression_builder *e, kpar_x step,
                           kpar_x *scalar);
} kpar_optimizer_scalar;
typedef struct kpar_optimizer_row {
    const char *class_name, *aliases, *doc;
    const char *arguments; /* its own, besides what all optimizers have */
    double learning_rate;  /* defaults where the config has none */
    double weight_decay;
    kpar_status (*keeps)(kpar_optimizer_kept *k);
    /* Writes weight and slots after the step. */
    kpar_status (*formula)(const char *owner, const json_t *config, kpar_expression_builder *e,
                           kpar_optimizer_formula *f);
    kpar_optimizer_scalar scalar;
    /* Of an optimizer that hands the weights to others, in the place of `keeps` and `formula`; NULL: it does not. */
    kpar_status (*members)(kpar_optimizer_members *m);
    /* The number of the member that a weight goes to. */
    kpar_status (*choose)(const char *owner, const json_t *config, const kpar_variable *weight, int *member);
    /* The decay of a weight; NULL: the argument weight_decay. */
    kpar_status (*decay)(const char *owner, const json_t *config, const kpar_variable *weight, double *decay);
} kpar_optimizer_row;
const kpar_optimizer_row *kpar_optimizer_rows(int *n);

#endif
