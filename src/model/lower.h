/* Lowering: a model's layers, losses, metrics and optimizer become ops. Three steps, between which the
 * gradient pass runs: forward with losses and metrics; gradient; update. */
#ifndef KPAR_MODEL_LOWER_H
#define KPAR_MODEL_LOWER_H

#include "graph/build.h"
#include "model/catalog.h"
#include "model/model.h"

typedef enum kpar_mode { KPAR_MODE_TRAIN, KPAR_MODE_EVALUATE, KPAR_MODE_PREDICT, KPAR_MODE_COUNT } kpar_mode;
const char *kpar_mode_name(kpar_mode mode);

/* What weighs a report that is one number a batch, in the mean over batches. */
enum {
    KPAR_WEIGH_ROWS = -1,   /* a short last batch counts for less */
    KPAR_WEIGH_BATCHES = -2 /* each batch counts alike */
};

/* What a run reports, besides predictions: sums over the rows of the global batch. An output with several elements has
 * as many numbers, one after the other. A log is the formula of sums `value` and following, or value / weight where
 * weight >= 0; otherwise `value` is the batch's log already. A formula of several results has an entry for each, one after
 * the other; the first has the formula. With KPAR_WEIGH_BATCHES the formula is of each batch, and the log its mean. */
typedef struct kpar_report_entry {
    const char *name;               /* Keras's name: "loss", "accuracy", "out_loss" */
    int value;                      /* number of the sum */
    int weight;                     /* number of the sum that divides, or KPAR_WEIGH_... */
    const kpar_expression *formula; /* of as many sums as it has inputs; NULL: none */
} kpar_report_entry;

/* What labels of an output may be. */
typedef struct kpar_label_range {
    int64_t classes; /* whole numbers in [0, classes); 0: anything */
    bool ignores;    /* or this one: */
    int64_t ignored;
} kpar_label_range;

/* What sample weights of an output may be. */
typedef struct kpar_weight_range {
    kpar_shape shape; /* that of the loss's values; rank 0: none are read. Weights of rows are repeated */
    /* What messages call a loss or metric, NULL where there is none ... */
    const char *unweighted;         /* whose rows have no weights */
    const char *weighs_rows;        /* whose values are not the loss's: all weights of a row are alike */
    const char *divides_by_weights; /* by the sum of those given: there is one for each value */
} kpar_weight_range;

/* What a call is given by the name of an argument. */
typedef struct kpar_argument {
    const char *name;
    kpar_value_id value, mask;
} kpar_argument;

typedef struct kpar_lowering kpar_lowering;
struct kpar_lowering {
    kpar_graph *graph;
    kpar_catalog *catalog;
    const kpar_model *model;
    kpar_mode mode;
    uint64_t seed;
    kpar_arena *arena; /* the graph's */

    /* Written by kpar_lower_forward. */
    /* Scalar, phase microbatch, train only: this microbatch's share of the global batch's loss. */
    kpar_value_id loss;
    kpar_report_entry *reports;
    int n_reports;
    size_t reports_capacity;
    int n_report_values;
    kpar_label_range *label_ranges;   /* of each output of the model */
    kpar_weight_range *weight_ranges; /* likewise */
    int *weights;                     /* catalog indices of trained weights, in Keras's order */
    /* The values that the forward pass reads them as; the gradient is taken of these. */
    kpar_value_id *weight_copies;
    int n_weights;
    kpar_value_id *activity_penalties; /* scalars, this microbatch's shares of further parts of the loss */
    int n_activity_penalties;
    size_t activity_capacity;

    /* What messages call a layer or loss that sums over the batch; NULL: none does. */
    const char *batch_statistics;
    int microbatches;   /* a replica; set before kpar_lower_forward, 1 at first */
    int64_t batch_size; /* rows of the global batch; likewise, 1 at first */

    /* While lowering. */
    const kpar_layer *layer;
    int call;          /* index of the call being lowered */
    int layer_weights; /* how many of the layer's weights, or of its part's, this call has asked for */
    const char *part;  /* whose weights are asked for, "query_dense"; NULL: the layer's own */
    kpar_value_id *call_values; /* outputs of each call: [call * KPAR_CALL_OUTPUTS + output], -1: none */
    kpar_value_id *call_logits; /* what a softmax or a sigmoid made it of, or -1 */
    kpar_value_id *call_masks;  /* of outputs as call_values: which steps count, real 0 or 1, -1: all */
    int output;                 /* whose loss or metric is being lowered */
    kpar_value_id logits;       /* of that output, likewise */
    kpar_value_id values_mask;  /* which of a loss's values count, as it says itself; -1: all */
    bool values_mask_moves;     /* it follows from predictions, and is no fact */
    const kpar_value_id *masks; /* of the current call's inputs */
    const kpar_argument *named; /* what it is given by name */
    int n_named;
    const char *owner; /* what messages call the current layer */
    /* What the current layer gets in the place of its weight `variable`; NULL: the weight. */
    kpar_status (*weight_rule)(kpar_lowering *lowering, int variable, kpar_value_id *value);
};

/* Starts: graph, catalog and model are borrowed. The catalog is filled, or found filled by another mode. */
void kpar_lower_begin(kpar_lowering *lowering, kpar_graph *graph, kpar_catalog *catalog,
                      const kpar_model *model, kpar_mode mode, uint64_t seed);
void kpar_lower_end(kpar_lowering *lowering);

/* Layers in the order of the model's calls; then predictions (unless training), losses and metrics (unless
 * predicting). Fills the catalog's groups and weights. Errors name the file, the layer and the argument. */
kpar_status kpar_lower_forward(kpar_lowering *lowering) KPAR_MUST_USE;

/* The optimizer: reads the gradient of each weight (phase microbatch; -1: none, the weight stays), accumulates it
 * over microbatches, and sets the graph's states. Adds the optimizer's variables to the catalog. */
kpar_status kpar_lower_update(kpar_lowering *lowering, const kpar_value_id *gradients) KPAR_MUST_USE;

/* One of a layer's weights: the argument of the layer that has its initializer, and the class of Keras's default
 * for it where the argument is left out. */
typedef struct kpar_weight {
    const char *name, *initializer, *by_default;
    int rank;
    int64_t dims[KPAR_MAX_RANK];
    bool frozen;     /* also where the layer is trained */
    bool whole;      /* int64 */
    int64_t ones[2]; /* elements [first, end) that are 1 at first */
} kpar_weight;

/* The weights that follow belong to this part of the layer. */
void kpar_lower_part(kpar_lowering *lowering, const char *part);

/* For layers: the value of the weight, made at the first call. Weights are numbered in the order of these calls. */
kpar_status kpar_lower_weight(kpar_lowering *lowering, const kpar_weight *weight,
                              kpar_value_id *value) KPAR_MUST_USE;

/* `value` itself, or where it is an integer, converted: a real value that maps and matmuls give real results of. */
kpar_status kpar_lower_real(kpar_lowering *lowering, kpar_value_id value, kpar_value_id *real) KPAR_MUST_USE;

/* The optimizer's iteration count before this step, int64 scalar: what random numbers of a step are keyed by. */
kpar_value_id kpar_lower_step(kpar_lowering *lowering);

#endif
