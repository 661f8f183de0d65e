/* What the files of the trainer share. Inside src/train only. */
#ifndef KPAR_TRAIN_TRAINER_INTERNAL_H
#define KPAR_TRAIN_TRAINER_INTERNAL_H

#include "parallel/mesh.h"
#include "train/trainer.h"

struct kpar_trainer {
    kpar_comm *comm;
    kpar_trainer_options options;
    kpar_keras_file *file;
    kpar_model *model;
    kpar_catalog *catalog;
    kpar_plan *plan;
    kpar_program *programs[KPAR_MODE_COUNT];
    int program_index[KPAR_MODE_COUNT]; /* in the executor, -1: not planned */
    size_t arena_bytes;                 /* of the largest program */
    kpar_executor *executor;
    kpar_coordinate me;
    int *nodes;
    char *path;
    struct kpar_owned *owned; /* [rank * variables + variable]: what each rank owns */
    int64_t steps_done;       /* of the optimizer, in this run and before it */
    kpar_named_value *logs;
    size_t n_logs;
    kpar_arena *arena;
    int64_t *row_numbers; /* scratch of one microbatch */
    double *sums;         /* scratch of the reports */
    char arithmetic
        [128]; /* what the bits of a reproducible run depend on, of this rank; "": not reproducible */
};

/* The part of a variable that a rank owns; rank 0 dimensions included. */
typedef struct kpar_owned {
    bool owns;
    kpar_slice slice;
} kpar_owned;

/* One global batch: positions [0, rows), each with the row of the dataset that lies there. */
typedef struct kpar_batch {
    const kpar_rows *data;
    int64_t rows;
    /* order of the epoch */
    bool shuffle;
    uint64_t seed;
    int64_t epoch, first;
    const kpar_class_weight *class_weights;
    int n_class_weights;
} kpar_batch;

/* The config that the model is made from and saved with. Borrowed. */
const char *kpar_trainer_config(const kpar_trainer *trainer, size_t *length);

/* trainer_memory.c: KPAR_ENOMEM, the same on all ranks, where a rank's share of the plan does not fit in what it, or its
 * machine, may still take; with a mesh on which it would. Collective. */
kpar_status kpar_trainer_check_memory(kpar_trainer *trainer) KPAR_MUST_USE;

/* alike.c: whether all ranks were started alike, once the plan is made, and whether they begin the same fit: a mismatch is
 * KPAR_EUSAGE that names the rank and both values, not a hang. Collective. */
kpar_status kpar_trainer_compare_starts(kpar_trainer *trainer) KPAR_MUST_USE;
kpar_status kpar_trainer_compare_fits(kpar_trainer *trainer, const kpar_fit_options *fit) KPAR_MUST_USE;

/* replicas.c: what several ranks hold of a variable must be the same on all of them; KPAR_EINTERNAL names two ranks and the
 * variable. Collective. */
kpar_status kpar_trainer_compare_replicas(kpar_trainer *trainer) KPAR_MUST_USE;

/* trainer_batch.c: fills this rank's input slots of a program. Not collective. */
kpar_status kpar_trainer_fill(kpar_trainer *trainer, kpar_mode mode, const kpar_batch *batch) KPAR_MUST_USE;

/* trainer_weights.c: the weights, or the mask, of the `count` rows in row_numbers, which the slot has room for `capacity` of.
 * Whether the mode takes weights of the batch's kinds, and of the shapes that the data's have. Not collective. */
kpar_status kpar_trainer_fill_weights(kpar_trainer *trainer, const kpar_batch *batch, const kpar_slot *slot,
                                      int64_t count, int64_t capacity, void *memory) KPAR_MUST_USE;
kpar_status kpar_trainer_check_weighted(const kpar_trainer *trainer, kpar_mode mode,
                                        const kpar_batch *batch) KPAR_MUST_USE;
kpar_status kpar_trainer_check_weights(kpar_trainer *trainer, const kpar_rows *rows,
                                       kpar_mode mode) KPAR_MUST_USE;

/* trainer_step.c: fills, runs, and sums the report values over all ranks; *stop: any rank was asked to stop. sums has
 * the number of report values of the mode. KPAR_ENUMERIC, on all ranks with one message, when the loss of a training step is
 * not finite; the state is then as before the step. Collective. */
kpar_status kpar_trainer_step(kpar_trainer *trainer, kpar_mode mode, const kpar_batch *batch, double *sums,
                              bool *stop) KPAR_MUST_USE;

/* tally.c: sums of what steps report, and the log values that they make: of each entry value / weight. */
typedef struct kpar_tally {
    const kpar_report_entry *entries;
    int n_entries, n_values; /* n_values: report values of a step */
    double *sums;            /* of all entries, one after the other */
    int n_sums;
} kpar_tally;
kpar_tally kpar_tally_begin(kpar_trainer *trainer, kpar_mode mode);
void kpar_tally_reset(kpar_tally *tally);
void kpar_tally_add(kpar_tally *tally, const double *values, int64_t rows); /* of a step of so many rows */
void kpar_tally_values(const kpar_tally *tally, double *values);            /* one for each entry */
void kpar_tally_end(kpar_tally *tally);

/* The sums as text, bit for bit, and back; entries that the text does not name keep what they have. */
void kpar_tally_write(const kpar_tally *tally, kpar_text *text);
void kpar_tally_read(kpar_tally *tally, const char *text);

/* trainer_state.c */
kpar_status kpar_trainer_load(kpar_trainer *trainer) KPAR_MUST_USE;
/* Whether this rank fills slot i when variables are read: its own memory as a whole, of memory in common its shard. */
bool kpar_trainer_fills(const kpar_program *program, size_t i);
kpar_status kpar_trainer_gather_owned(kpar_trainer *trainer) KPAR_MUST_USE;
/* Weights become the moving averages that the optimizer keeps of them, if it does. Collective. */
kpar_status kpar_trainer_take_averages(kpar_trainer *trainer) KPAR_MUST_USE;
const kpar_program *kpar_trainer_any_program(const kpar_trainer *trainer);
/* Calls `visit` on rank 0, with a function that fetches slices of variables from their owners; the others serve it until it
 * returns. The function's context is the trainer. Collective. */
kpar_status kpar_trainer_with_variables(kpar_trainer *trainer,
                                        kpar_status (*visit)(kpar_fetch fetch, void *context),
                                        void *context) KPAR_MUST_USE;
/* The optimizer's iteration count as it lies in memory. */
int64_t kpar_trainer_iteration(kpar_trainer *trainer);

/* trainer_checkpoint.c. `progress` says where training stands. */
typedef struct kpar_progress_point {
    int64_t step, epoch, batch;
    kpar_tally tally; /* of the epoch's batches so far */
} kpar_progress_point;
typedef struct kpar_checkpointing kpar_checkpointing;
kpar_status kpar_checkpointing_begin(kpar_trainer *trainer, const kpar_fit_options *fit, kpar_report *report,
                                     kpar_checkpointing **checkpointing,
                                     kpar_progress_point *start) KPAR_MUST_USE;
kpar_status kpar_checkpointing_save(kpar_checkpointing *checkpointing,
                                    const kpar_progress_point *now) KPAR_MUST_USE;
void kpar_checkpointing_end(kpar_checkpointing *checkpointing);

#endif
