/* The trainer: a model on a mesh of ranks, fitted, evaluated, asked for predictions, saved. Every call is collective:
 * all ranks make it with the same arguments, and where one fails all return its status and message. */
#ifndef KPAR_TRAIN_TRAINER_H
#define KPAR_TRAIN_TRAINER_H

#include "comm/comm.h"
#include "data/dataset.h"
#include "keras/keras.h"
#include "plan/plan.h"
#include "report/report.h"
#include "run/executor.h"

typedef struct kpar_trainer kpar_trainer;

typedef struct kpar_trainer_options {
    kpar_plan_options plan; /* nodes and windows are filled in from the communicator */
    kpar_device_options device;
    kpar_executor_options executor;
    bool ignore_memory;  /* go on although a plan seems not to fit in memory */
    unsigned modes;      /* bits 1 << kpar_mode: what will be asked for */
    const char *weights; /* file of weights in place of the model file's; NULL: none. Borrowed */
    /* A config.json in place of the file's, as where another learning rate is wanted: the rate then is the config's,
     * not the file's. It is also what is saved. NULL: the file's. Borrowed. */
    const char *config;
} kpar_trainer_options;

/* Rows [first, first + rows) of a dataset. */
typedef struct kpar_rows {
    kpar_dataset *dataset;
    int64_t first, rows;
} kpar_rows;

typedef struct kpar_class_weight {
    int64_t class_number;
    double weight;
} kpar_class_weight;

typedef struct kpar_fit_options {
    kpar_rows train, validation; /* validation.dataset NULL: none */
    int64_t epochs;              /* total */
    int64_t steps; /* to train in all; 0: whole epochs, after which weights become the optimizer's averages */
    bool shuffle;
    uint64_t seed; /* of the order */
    const kpar_class_weight *class_weights;
    int n_class_weights;
    const char *checkpoint;   /* folder; NULL: none */
    int64_t checkpoint_every; /* steps */
    bool resume;
    const char *output; /* of the trained model; NULL: none */

    /* (optional) Called on every rank once data and checkpoint are read, before the first step. `epoch` is the one that
     * training begins or goes on in. A failure on any rank ends the fit on all. */
    kpar_status (*begin)(void *context, int64_t epoch);
    void *context;
} kpar_fit_options;

/* Opens the model file, plans, checks that all ranks plan alike, emits, proves in debug builds, loads. */
kpar_status kpar_trainer_create(kpar_comm *comm, const char *model_path, const kpar_trainer_options *options,
                                kpar_trainer **trainer) KPAR_MUST_USE;
void kpar_trainer_destroy(kpar_trainer *trainer);

const kpar_plan *kpar_trainer_plan(const kpar_trainer *trainer);
const kpar_model *kpar_trainer_model(const kpar_trainer *trainer);
kpar_executor_times kpar_trainer_times(const kpar_trainer *trainer);

/* The most memory that this rank had at a time so far, in bytes: its own and what it shares with peers, without files
 * that are mapped. Not collective. */
size_t kpar_trainer_peak_bytes(const kpar_trainer *trainer);

/* What this rank's kernels took so far: a line for each, with its fields between tabs under a line of their names; the
 * slowest first, a program (train, evaluate, predict) after the other. Not collective. */
void kpar_trainer_profile(const kpar_trainer *trainer, kpar_text *text);

/* Opens a dataset for the trainer's model, and checks shapes, types and labels of its rows against it. */
kpar_status kpar_trainer_open_data(kpar_trainer *trainer, const char *path, const kpar_dataset_names *names,
                                   kpar_dataset **dataset) KPAR_MUST_USE;
kpar_status kpar_trainer_check_data(kpar_trainer *trainer, const kpar_rows *rows) KPAR_MUST_USE;

/* The same for what a prediction reads: labels may be absent. The trainer was made for predictions. */
kpar_status kpar_trainer_check_features(kpar_trainer *trainer, const kpar_rows *rows) KPAR_MUST_USE;

/* Trains. Events go to `report` on rank 0 (NULL elsewhere). KPAR_ESTOPPED after a signal and its checkpoint. */
kpar_status kpar_trainer_fit(kpar_trainer *trainer, const kpar_fit_options *options,
                             kpar_report *report) KPAR_MUST_USE;

/* Named results of a pass over the rows, the same on all ranks; `logs` borrowed until the next call. */
kpar_status kpar_trainer_evaluate(kpar_trainer *trainer, const kpar_rows *rows,
                                  const kpar_class_weight *class_weights, int n_class_weights,
                                  kpar_report *report, const kpar_named_value **logs,
                                  size_t *n_logs) KPAR_MUST_USE;

/* Named results of the last epoch of the last fit, or of the last evaluation; the same on all ranks, borrowed until the
 * next call. Not collective. */
const kpar_named_value *kpar_trainer_logs(const kpar_trainer *trainer, size_t *n);

/* What differs between two runs of one step, the worst first. */
typedef struct kpar_difference {
    char name[128]; /* "loss", "dense/kernel", "dense/kernel: momentum" */
    double difference, tolerance;
} kpar_difference;
typedef struct kpar_layout_check {
    int64_t rows;                 /* of the batch */
    kpar_difference *differences; /* rank 0; to be freed by kpar_free */
    size_t n, n_off;              /* n_off: beyond their tolerance */
} kpar_layout_check;

/* Trains step 1 on the trainer's layout and, on rank 0, on one rank: logs, weights and the optimizer's state after it. Rank 0
 * needs memory for a model of one rank besides. The trainer has not trained yet. */
kpar_status kpar_trainer_check_layout(kpar_trainer *trainer, const kpar_fit_options *options,
                                      kpar_layout_check *check) KPAR_MUST_USE;

/* Predictions of every row, whole on rank 0 (one array an output, to be destroyed; elsewhere untouched). */
kpar_status kpar_trainer_predict(kpar_trainer *trainer, const kpar_rows *rows,
                                 kpar_array *outputs) KPAR_MUST_USE;

/* Writes the model with its weights and optimizer state. */
kpar_status kpar_trainer_save(kpar_trainer *trainer, const char *path) KPAR_MUST_USE;

/* Asks the running fit, from a signal handler or another thread, to make a checkpoint and stop at the next step. */
void kpar_trainer_stop(void);

#endif
