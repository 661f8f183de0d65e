/* What a user asks kpar_train for: the table of options, and the values that command line and settings file give. */
#ifndef KPAR_CLI_SETTINGS_H
#define KPAR_CLI_SETTINGS_H

#include "base/options.h"
#include "train/defaults.h"
#include "train/trainer.h"

typedef enum kpar_transport_wish {
    KPAR_TRANSPORT_AUTO,
    KPAR_TRANSPORT_SHARED,
    KPAR_TRANSPORT_MPI
} kpar_transport_wish;

typedef struct kpar_settings {
    const char *model;                 /* the operand */
    const char *compare_a, *compare_b; /* the operands of --compare */

    const char *data, *validation;
    kpar_strings x, y, sample_weight, validation_x, validation_y;
    double validation_split;

    int64_t batch_size, epochs, steps; /* epochs, steps: 0 where not given */
    bool shuffle;
    kpar_strings class_weight;
    double learning_rate; /* NaN: not given */
    const char *compile, *weights;
    int64_t seed;

    const char *output, *checkpoint, *log, *json;
    int64_t checkpoint_every;
    bool resume;
    int verbose;

    int data_parallel, pipeline, tensor; /* data_parallel 0: what is left of the ranks */
    int microbatches;                    /* 0: by default */
    unsigned schedule, recompute;
    int virtual_stages; /* 0: as the schedule likes */
    unsigned batch_statistics;
    kpar_strings stages;
    bool split_features;
    int64_t split_vocabulary;
    int zero, reproducible;

    unsigned device, transport;
    int threads_per_rank, ranks_per_node;
    unsigned progress_thread; /* kpar_progress_wish */
    const char *choice;
    bool memory_check;
    double stall_timeout;
    kpar_strings without_pass;

    bool evaluate;
    const char *predict;
    bool compare, plan, check_layout;
    int ranks;
    const char *dump_graph, *dump_program, *profile;

    const char *config;
    bool help, help_man, help_markdown, version;

    /* Made from the above. */
    bool train;
    kpar_class_weight *class_weights;
} kpar_settings;

extern const kpar_options kpar_train_options;

/* Reads the command line over the settings file that --config names, and checks what can be checked without model and
 * data. Everything lives in `arena`. With --help and the like the rest is not looked at. KPAR_EUSAGE names the option. */
kpar_status kpar_settings_read(kpar_arena *arena, int argc, char *const *argv,
                               kpar_settings *settings) KPAR_MUST_USE;

/* Sets options from a file: a JSON object {"epochs": 3, "x": ["a", "b"]}, or lines "epochs = 3"; '#' begins a comment. The
 * operand is "model". Dashes in names may be underscores. */
kpar_status kpar_settings_file(kpar_arena *arena, const char *path, kpar_settings *settings) KPAR_MUST_USE;

const char *kpar_settings_device(const kpar_settings *settings);
int kpar_settings_chunks(const kpar_settings *settings); /* stages of a rank, in a pipeline */
const char *kpar_settings_schedule(const kpar_settings *settings);

#endif
