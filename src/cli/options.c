/* The options of kpar_train, a row each: parsing, --help, the man page and docs/options.md are made from them. */
#include "cli/settings.h"

#include <math.h>

static const char *const schedules[] = {"1f1b", "gpipe", "interleaved", "zb-h1", NULL};
static const char *const statistics[] = {"batch", "microbatch", NULL};
static const char *const devices[] = {"cpu", "reference", "null", NULL};
static const char *const transports[] = {"auto", "shared", "mpi", NULL};

#define FIELD(name) KPAR_FIELD(kpar_settings, name)

static const kpar_option rows[] = {
    {"data", FIELD(data), .placeholder = "FILE", .group = "Data",
     .doc = "Training data: an .npz, a folder of .npy files, or 'random' or 'random:ROWS' to try things out"},
    {"x", FIELD(x), .placeholder = "NAME,...", .doc = "Arrays of the inputs, in the model's order",
     .preset_doc = "x; x/INPUT with several inputs"},
    {"y", FIELD(y), .placeholder = "NAME,...", .doc = "Arrays of the labels, in the order of the outputs",
     .preset_doc = "y; y/OUTPUT with several outputs"},
    {"sample-weight", FIELD(sample_weight), .placeholder = "NAME,...",
     .doc = "Arrays of sample weights, of rows or of each value of the loss",
     .preset_doc = "sample_weight, where there is one"},
    {"validation", FIELD(validation), .placeholder = "FILE",
     .doc = "Validation data, looked at after each epoch", .sought_as = "validation-data val val-data"},
    {"validation-x", FIELD(validation_x), .placeholder = "NAME,...", .doc = "As --x for the validation data"},
    {"validation-y", FIELD(validation_y), .placeholder = "NAME,...", .doc = "As --y for the validation data"},
    {"validation-split", FIELD(validation_split), .placeholder = "F",
     .doc = "Share of the training data, from its end, kept for validation", .sought_as = "val-split"},

    {"epochs", FIELD(epochs), .placeholder = "N", .least = 1, .most = INFINITY, .preset_doc = "1",
     .group = "Training", .doc = "Passes over the training data in all, those before a resume included",
     .sought_as = "e n-epochs num-epochs"},
    {"steps", FIELD(steps), .placeholder = "N", .least = 1, .most = INFINITY,
     .doc = "Steps to train in all; alone, as many epochs as they take"},
    {"batch-size", FIELD(batch_size), .placeholder = "B", .preset = "32", .least = 1, .most = INFINITY,
     .doc = "Rows of a step over all ranks", .sought_as = "b bs batch"},
    {"shuffle", FIELD(shuffle), .preset = "true", .negatable = true,
     .doc = "Another order in each epoch, the same on any number of ranks"},
    {"class-weight", FIELD(class_weight), .placeholder = "CLASS=W,...",
     .doc = "Weights of the classes, as 0=2,1=.5"},
    {"learning-rate", FIELD(learning_rate), .placeholder = "R", .preset = "nan", .preset_doc = "the model's",
     .doc = "Learning rate of the optimizer, in place of the model's rate or schedule",
     .sought_as = "lr rate"},
    {"compile", FIELD(compile), .placeholder = "FILE.json",
     .doc = "Keras's compile_config (optimizer, loss, metrics) in place of the model's",
     .sought_as = "optimizer loss metrics"},
    {"weights", FIELD(weights), .placeholder = "FILE.weights.h5",
     .doc = "Weights, and the optimizer's state where there is one, in place of the model's",
     .sought_as = "load-weights w"},
    {"seed", FIELD(seed), .placeholder = "S", .preset = "0", .least = 0, .most = 9e15,
     .doc = "Seed of shuffling, dropout, initial weights and random data"},

    {"output", FIELD(output), .placeholder = "FILE.keras", .group = "Output",
     .doc = "Where the trained model goes; may be the model itself", .sought_as = "o out save"},
    {"checkpoint", FIELD(checkpoint), .placeholder = "DIR",
     .doc = "Folder of checkpoints; one is written when a signal stops the run"},
    {"checkpoint-every", FIELD(checkpoint_every), .placeholder = "STEPS", .least = 1, .most = INFINITY,
     .doc = "Also every so many steps"},
    {"resume", FIELD(resume), .doc = "Go on from the newest checkpoint; start afresh where there is none"},
    {"log", FIELD(log), .placeholder = "FILE.csv", .doc = "A row an epoch, as Keras's CSVLogger"},
    {"json", FIELD(json), .placeholder = "FILE", .doc = "Figures of the run and of its plan, for programs"},
    {"verbose", FIELD(verbose), .placeholder = "0|1|2", .preset = "1", .least = 0, .most = 2,
     .doc = "0 nothing, 1 a progress bar on a terminal, 2 a line an epoch"},

    {"data-parallel", FIELD(data_parallel), .placeholder = "D", .least = 1, .most = 1 << 20,
     .preset_doc = "what is left of the ranks", .group = "Layout", .doc = "Replicas that share out the batch",
     .sought_as = "dp data-parallel-size"},
    {"pipeline", FIELD(pipeline), .placeholder = "P", .preset = "1", .least = 1, .most = 1 << 20,
     .doc = "Stages that share out the layers", .sought_as = "pp pipeline-parallel pipeline-parallel-size"},
    {"tensor", FIELD(tensor), .placeholder = "T", .preset = "1", .least = 1, .most = 1 << 20,
     .doc = "Ranks that share out each matrix", .sought_as = "tp tensor-parallel tensor-parallel-size"},
    {"microbatches", FIELD(microbatches), .placeholder = "M", .least = 1, .most = 1 << 20,
     .preset_doc = "1; in a pipeline 4 a stage, as rows allow",
     .doc = "Parts in which a replica computes its rows"},
    {"batch-statistics", FIELD(batch_statistics), .choices = statistics, .preset = "batch",
     .doc = "What BatchNormalization, Dice and Tversky sum over; microbatch: another result than Keras's"},
    {"schedule", FIELD(schedule), .choices = schedules, .preset = "1f1b",
     .doc = "Order of a pipeline's forward and backward passes"},
    {"virtual-stages", FIELD(virtual_stages), .placeholder = "V",
     .preset_doc = "2 with --schedule interleaved", .least = 1, .most = 1 << 16,
     .doc = "Stages of each rank of a pipeline, which take turns",
     .sought_as = "num-layers-per-virtual-pipeline-stage model-chunks"},
    {"recompute", FIELD(recompute), .choices = kpar_recompute_names, .preset = "none",
     .doc = "What backward runs again instead of keeping its activations: all of a stage, or block by block",
     .sought_as = "activation-checkpointing recompute-granularity remat"},
    {"stages", FIELD(stages), .placeholder = "LAYER,...", .preset_doc = "cut by modelled time",
     .doc = "Layers that begin the second stage, the third ..."},
    {"split-features", FIELD(split_features), .doc = "Each tensor rank reads its own columns of the inputs"},
    {"split-vocabulary", FIELD(split_vocabulary), .placeholder = "N", .preset = "4096", .least = 0,
     .most = 9e15,
     .doc =
         "Tables of N rows or more are cut by rows over tensor ranks, and losses and softmax over N classes "
         "or more are computed where the classes are; 0: none"},
    {"zero", FIELD(zero), .placeholder = "0|1", .preset = "1", .least = 0, .most = 1,
     .doc = "1: the replicas share out the optimizer's state"},
    {"reproducible", FIELD(reproducible), .placeholder = "L", .least = 1, .most = 65536,
     .doc = "The same bits on every layout with up to L replicas: sums over L parts of the batch along one "
            "tree"},

    {"device", FIELD(device), .choices = devices, .preset = "cpu", .group = "Machine",
     .doc = "What computes; reference: plain loops, to compare with; null: nothing is computed"},
    {"threads-per-rank", FIELD(threads_per_rank), .placeholder = "N", .least = 1, .most = 4096,
     .preset_doc = "its cores, shared with the other ranks of the node; 1 with --reproducible",
     .doc = "Threads that a rank computes with; where they outnumber the processors, those that wait sleep",
     .sought_as = "threads num-threads"},
    {"progress-thread", FIELD(progress_thread), .choices = kpar_progress_wishes, .preset = "auto",
     .doc = "A thread of each rank that only communicates; auto: where a rank has 4 cores or more and one of "
            "them does not compute",
     .sought_as = "async-progress"},
    {"transport", FIELD(transport), .choices = transports, .preset = "auto",
     .doc = "shared: ranks of a node share memory, or it is an error; mpi: messages only; auto: memory where "
            "it can be shared"},
    {"ranks-per-node", FIELD(ranks_per_node), .placeholder = "N", .least = 1, .most = 1 << 20,
     .preset_doc = "as they are", .doc = "Pretend that nodes have N ranks each"},
    {"choice", FIELD(choice), .placeholder = "RULES",
     .doc = "Algorithms of collectives, as all_reduce:ring or all_reduce:0-64K:direct,..."},
    {"memory-check", FIELD(memory_check), .preset = "true", .negatable = true,
     .doc = "Refuse a plan that does not fit in the memory that ranks and machines may take"},
    {"stall-timeout", FIELD(stall_timeout), .placeholder = "SECONDS", .preset = "60", .least = 0.1,
     .most = INFINITY,
     .doc = "End, saying who waits for whom, when a rank waits for so long in a step, or 10 times as long "
            "between steps"},

    {"evaluate", FIELD(evaluate),
     .group = "Instead of training, or after it where --epochs or --steps is given",
     .doc = "Evaluate on the validation data, or on the data where there are none"},
    {"predict", FIELD(predict), .placeholder = "FILE.npy",
     .doc = "Write predictions for the data; FILE.OUTPUT.npy with several outputs"},
    {"compare", FIELD(compare),
     .doc = "Compare the weights of two .keras files, A and B: code 0 if all bits are the same"},
    {"check-layout", FIELD(check_layout),
     .doc = "Train one step on this layout and on one rank, and print what differs beside its tolerance: "
            "code 0 if "
            "nothing is beyond it"},
    {"plan", FIELD(plan), .doc = "Print what each rank would hold, compute, send and wait for"},
    {"ranks", FIELD(ranks), .placeholder = "N", .least = 1, .most = 1 << 20, .preset_doc = "those started",
     .doc = "Plan for N ranks, on one node unless --ranks-per-node says otherwise", .sought_as = "np n"},

    {"dump-graph", FIELD(dump_graph), .placeholder = "FILE", .group = "Other",
     .doc = "Write the graph after all passes, for Graphviz if FILE ends in .dot"},
    {"dump-program", FIELD(dump_program), .placeholder = "FILE",
     .doc = "Write rank 0's program, or each rank's where FILE has %r"},
    {"profile", FIELD(profile), .placeholder = "FILE",
     .doc =
         "Write what rank 0's kernels took, or each rank's where FILE has %r: a line each, the slowest first",
     .sought_as = "timeline trace"},
    {"without-pass", FIELD(without_pass), .placeholder = "NAME,...",
     .doc = "Leave out optional passes: simplify, fuse, fuse-layers, bucket"},
    {"config", FIELD(config), .placeholder = "FILE",
     .doc = "Options from a file, as JSON or as lines NAME = VALUE; the command line goes before it"},
    {"help", FIELD(help), .short_names = "h", .doc = "Print this text"},
    {"help-man", FIELD(help_man), .doc = "Print it as a man page"},
    {"help-markdown", FIELD(help_markdown), .doc = "Print it as Markdown"},
    {"version", FIELD(version), .doc = "Print the version"},
};

static const kpar_exit_code exit_codes[] = {
    {0, "done; with --compare: equal"},
    {1, "failed, the message says why; with --compare: not equal"},
    {2, "wrong usage"},
    {75, "stopped by a signal after a checkpoint; start again with --resume"},
};

static const kpar_section sections[] = {
    {"SIGNALS", "TERM, INT, USR1 and HUP end the run after the step under way, with a checkpoint where "
                "--checkpoint is given. A "
                "second INT ends it at once."},
    {"EXAMPLES",
     "kparrun -np 4 kpar_train model.keras --data train.npz --epochs 10 --output trained.keras\n\n"
     "kparrun -np 4 kpar_train model.keras --data train.npz --epochs 10 --pipeline 2 --output "
     "trained.keras\n\n"
     "kpar_train model.keras --plan --ranks 256 --ranks-per-node 8 --batch-size 8192"},
    {"SEE ALSO", "kparrun(1), kpar_bench(1)"},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

const kpar_options kpar_train_options = {
    .program = "kpar_train",
    .synopsis = "MODEL --data FILE [OPTION]...",
    .summary = "train a Keras model on a cluster",
    .description = "Trains MODEL, a .keras file, a whole model in HDF5 (.h5) or a model's JSON, on FILE, "
                   "alone or as one "
                   "rank of an MPI job: all ranks train one model. Optimizer, loss, metrics and "
                   "learning rate are those that MODEL was compiled with.",
    .rows = rows,
    .n_rows = COUNT(rows),
    .exit_codes = exit_codes,
    .n_exit_codes = COUNT(exit_codes),
    .sections = sections,
    .n_sections = COUNT(sections),
};

const char *kpar_settings_device(const kpar_settings *settings) { return devices[settings->device]; }
int kpar_settings_chunks(const kpar_settings *settings)
{
    return settings->virtual_stages ? settings->virtual_stages
                                    : kpar_schedule_find(kpar_settings_schedule(settings))->chunks;
}
const char *kpar_settings_schedule(const kpar_settings *settings) { return schedules[settings->schedule]; }
