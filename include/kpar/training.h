/* Model calls: load a Keras model onto the ranks of a job, fit, evaluate, predict, save. Part of <kpar/kpar.h>.
 *
 * Every call that takes a training and can fail is collective, with the same arguments on all ranks; where it fails on
 * one rank it fails on all, with the same status and message. After a failure in the middle of a fit, an evaluation or
 * a prediction (KPAR_ECOMM, KPAR_ESTALL, KPAR_ENUMERIC) only kpar_training_free is left.
 *
 * Option structs may grow at their end. Initialize each with its _init function, which also tells the library how large
 * the caller's header knew it, then set what differs from the defaults:
 *
 *     kpar_training_options options;
 *     kpar_training_options_init(&options, sizeof options);
 *     options.batch_size = 64;
 *
 * What structs point to is borrowed during the call. */
#ifndef KPAR_TRAINING_H
#define KPAR_TRAINING_H

#include <kpar/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kpar_context;

/* A model on the ranks of a job: each holds a replica, a stage or a slice of it. */
typedef struct kpar_training kpar_training;

/* What a training will be asked for: less needs less memory, and a model that was saved without compiling it can only
 * predict. */
enum {
    KPAR_USE_FIT = 1,
    KPAR_USE_EVALUATE = 2, /* also a fit's validation */
    KPAR_USE_PREDICT = 4
};

typedef struct kpar_training_options {
    size_t struct_bytes;  /* set by the _init function */
    unsigned uses;        /* sum of KPAR_USE_...; preset: all */
    int data_parallel;    /* replicas that share out the batch; 0, the preset: what is left of the ranks */
    int pipeline;         /* stages that share out the layers; preset 1 */
    int tensor;           /* ranks that share out each matrix; preset 1 */
    int64_t batch_size;   /* rows of a step over all ranks; preset 32 */
    int microbatches;     /* parts in which a replica computes its rows; 0, the preset: 1, or 4 a stage */
    int reproducible;     /* L: the same bits on every layout with up to L replicas; 0, the preset: off */
    int zero;             /* 1, the preset: replicas share out the optimizer's state; 0: each has all of it */
    bool split_features;  /* each tensor rank reads its own columns of the inputs; preset false */
    const char *schedule; /* of a pipeline: "1f1b", "gpipe", "interleaved" or "zb-h1"; preset NULL: 1f1b */
    const char *algorithms; /* of collectives, as "all_reduce:ring"; preset NULL: chosen by size */
    const char *device;     /* what computes: "cpu" or "reference"; preset NULL: cpu */
    int threads;            /* a rank computes with; 0, the preset: its share of the cores */
    double stall_seconds;   /* a longer wait for another rank is KPAR_ESTALL; preset 60 */
    uint64_t seed;          /* of shuffling, dropout and initial weights; preset 0 */

    /* A thread of each rank that only communicates: "on", "off", or "auto", where a rank has 4 cores or more and one of
     * them does not compute; preset NULL: auto. It takes an MPI with MPI_THREAD_SERIALIZED. */
    const char *progress_thread;

    int virtual_stages; /* of each rank of a pipeline whose schedule is "interleaved"; 0, the preset: 2 */

    /* Over tensor ranks tables of as many rows or more are cut by rows, and losses and softmax over as many classes or
     * more are computed where the classes are; 0: none; preset 4096. */
    int64_t split_vocabulary;

    /* What backward runs again instead of keeping its activations: "none", "stage" (all of it) or "block" (block by block);
     * preset NULL: none. */
    const char *recompute;

    /* Go on although the plan seems not to fit in the memory that a rank, or its machine, may take: what the message calls
     * --no-memory-check; preset false. */
    bool ignore_memory;
} kpar_training_options;

/* `bytes` is sizeof *options. */
KPAR_API void kpar_training_options_init(kpar_training_options *options, size_t bytes);

/* Where rows come from: an .npz file or a folder of .npy files, which every rank can read. Names are those of arrays in
 * it, in the order of the model's inputs (x) or outputs (y, sample_weight), separated by commas; NULL, the preset: "x",
 * "y" and "sample_weight", with several inputs or outputs "x/INPUT" and so on. The first dimension is the rows; labels
 * may be absent where nothing but predictions is asked for. Sample weights, if there are any, have the first dimensions of
 * the loss's values: (rows), or for a loss of each step of a sequence also (rows, steps). */
typedef struct kpar_training_data {
    size_t struct_bytes; /* set by the _init function */
    const char *path;    /* no preset */
    const char *x, *y, *sample_weight;
} kpar_training_data;

/* `bytes` is sizeof *data. */
KPAR_API void kpar_training_data_init(kpar_training_data *data, size_t bytes);

typedef struct kpar_training_fit_options {
    size_t struct_bytes; /* set by the _init function */
    int64_t epochs;      /* passes over the data, in all; preset 1 */
    int64_t steps;       /* stop after so many steps in all; 0, the preset: whole epochs, after
                                             which weights become the averages of an optimizer with use_ema */
    bool shuffle;        /* another order in each epoch; preset true */
    const kpar_training_data *validation; /* evaluated after each epoch; preset NULL: none */
    double validation_split;              /* or: this share of the data, from its end; preset 0 */
    const double *class_weights;          /* weight of class 0, 1 ...; further classes have 1; preset NULL */
    int n_class_weights;
    const char
        *checkpoint; /* folder for checkpoints, of no earlier run unless this one resumes it; one is made when
                               * the fit is stopped; preset NULL: none */
    int64_t checkpoint_every; /* also every so many steps; preset 0: not */
    bool resume;              /* go on from the newest checkpoint, if there is one; preset false */
    const char
        *output;     /* .keras file for the trained model, tried before the first step; preset NULL: none */
    const char *log; /* CSV file, a row an epoch; preset NULL: none */
    int verbose;     /* 1: rank 0 prints a line an epoch to standard output; 0, the preset: nothing */
} kpar_training_fit_options;

/* `bytes` is sizeof *options. */
KPAR_API void kpar_training_fit_options_init(kpar_training_fit_options *options, size_t bytes);

/* Plans the model in `model_path`, a .keras file or a model's JSON, for the context's ranks and loads its weights, or
 * makes initial ones where there are none. A context has one training at a time, which is freed before the context.
 * `options` may be NULL: the presets. Collective. The caller owns *training; on failure it is NULL.
 * KPAR_EUSAGE for options that do not fit the ranks or the model, KPAR_EIO, KPAR_EFORMAT, KPAR_EUNSUPPORTED naming the
 * layer or argument, KPAR_ENOMEM. */
KPAR_API kpar_status kpar_training_load(struct kpar_context *context, const char *model_path,
                                        const kpar_training_options *options,
                                        kpar_training **training) KPAR_MUST_USE;

/* Frees. NULL is allowed. Not collective by itself, but all ranks free before they load again. */
KPAR_API void kpar_training_free(kpar_training *training);

/* Trains with the optimizer, loss and metrics that the model was compiled with. `options` may be NULL: the presets. A
 * second fit goes on from the weights and optimizer state of the first. Collective.
 * KPAR_EDATA where data do not fit the model, KPAR_ENUMERIC naming the layer where the loss is not finite,
 * KPAR_ESTOPPED after kpar_training_stop, KPAR_ESTALL. */
KPAR_API kpar_status kpar_training_fit(kpar_training *training, const kpar_training_data *data,
                                       const kpar_training_fit_options *options) KPAR_MUST_USE;

/* Loss and metrics over all rows, without training. Collective. KPAR_EDATA as above. */
KPAR_API kpar_status kpar_training_evaluate(kpar_training *training,
                                            const kpar_training_data *data) KPAR_MUST_USE;

/* How many results the last fit (of its last epoch) or evaluation had, and their names in Keras's order: "loss",
 * "accuracy", "val_loss" ... The same on all ranks. Names are valid until the next call; NULL beyond the last. Not
 * collective. */
KPAR_API size_t kpar_training_result_count(const kpar_training *training);
KPAR_API const char *kpar_training_result_name(const kpar_training *training, size_t index);

/* The result of that name. KPAR_EUSAGE names those that there are. Not collective. */
KPAR_API kpar_status kpar_training_result(const kpar_training *training, const char *name,
                                          double *value) KPAR_MUST_USE;

/* Computes the model's outputs for all rows and keeps them, whole, on rank 0. Collective. KPAR_EDATA as above. */
KPAR_API kpar_status kpar_training_predict(kpar_training *training,
                                           const kpar_training_data *data) KPAR_MUST_USE;

/* Output `output` of the last prediction, on rank 0: *values has dims[0] * ... * dims[rank - 1] elements, row-major, the
 * rows first; borrowed until the next prediction or the end of the training. On other ranks *values is NULL and *rank 0.
 * Not collective. KPAR_EUSAGE before the first prediction and for an output that the model has not. */
KPAR_API kpar_status kpar_training_prediction(const kpar_training *training, int output, const float **values,
                                              int *rank, const int64_t **dims) KPAR_MUST_USE;

/* Writes the model, with weights and optimizer state, as a .keras file that Keras loads; an old file stays until the new
 * one is whole. Rank 0 writes. Collective. KPAR_EIO, KPAR_EUSAGE for a name that does not end in .keras. */
KPAR_API kpar_status kpar_training_save(kpar_training *training, const char *path) KPAR_MUST_USE;

/* Asks fits of this process, from a signal handler or another thread, to stop after the step under way, on all ranks.
 * It stays asked. */
KPAR_API void kpar_training_stop(void);

#ifdef __cplusplus
}
#endif
#endif
