/* The reference cases on all meshes.
 *
 *     test_cases [FILTER]                      ranks as threads of this process
 *     mpirun -np N test_cases --mpi [FILTER]   the layouts of N ranks, over MPI
 *
 * Only titles that contain FILTER. */
#include "case_runner.h"

#include "plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const everywhere[] = {
    "activation_layers",
    "adam_transformer",
    "alike_gradients",
    "applied_layers",
    "attention_block",
    "attention_heads",
    "attention_kinds",
    "attention_masks",
    "attention_single",
    "bidirectional",
    "binary_crossentropy",
    "binary_crossentropy_logits",
    "categorical_crossentropy",
    "categorical_crossentropy_smooth",
    "conv1d3d",
    "conv2d",
    "conv_depthwise_separable",
    "conv_one_dimension",
    "conv_padding",
    "conv_transpose",
    "convnet_digits",
    "deep_mlp8",
    "dense_rank3",
    "dropout_zero",
    "einsums_and_adaptive",
    "fit_outputs",
    "fit_split",
    "five_outputs_deep",
    "functional_branches",
    "gru_rnn",
    "logits_of_either",
    "loss_mean_with_sample_weight",
    "loss_mse",
    "lr_exponential",
    "lstm_embedding",
    "masked_blocks",
    "masked_merges",
    "masked_steps",
    "merge_layers",
    "models_in_time",
    "multi_io",
    "nothing_to_train",
    "opt_adafactor",
    "opt_adafactor_images",
    "opt_adam",
    "opt_adamw",
    "opt_clip_together",
    "opt_multi",
    "opt_muon",
    "opt_resume",
    "opt_sgd",
    "opt_sgd_momentum",
    "opt_sgd_nesterov",
    "output_without_loss",
    "outputs_by_name",
    "pooling",
    "recurrent_images",
    "recurrent_masked",
    "regularizers_constraints",
    "rnn_states",
    "running_sums",
    "scalar_weights",
    "spectral_norms",
    "transposed_kinds",
    "two_inputs_two_outputs",
    "unread_weights",
    NULL,
};

/* Every layout that a case is run on. Pipelines: 1, 2 and 4 microbatches under both schedules. */
static const kpar_case_options layouts[] = {
    {.mesh = {1, 1, 1}},
    {.mesh = {1, 1, 1}, .device = "reference"},
    {.mesh = {1, 1, 1}, .microbatches = 4},
    {.mesh = {2, 1, 1}, .zero = 1},
    {.mesh = {2, 1, 1}},
    {.mesh = {3, 1, 1}, .zero = 1},
    {.mesh = {4, 1, 1}, .zero = 1},
    {.mesh = {4, 1, 1}},
    {.mesh = {1, 2, 1}},
    {.mesh = {1, 2, 1}, .microbatches = 2},
    {.mesh = {1, 2, 1}, .microbatches = 4},
    {.mesh = {1, 2, 1}, .microbatches = 2, .schedule = "gpipe"},
    {.mesh = {1, 2, 1}, .microbatches = 4, .schedule = "gpipe"},
    {.mesh = {1, 1, 2}},
    {.mesh = {1, 1, 2}, .split_features = true},
    {.mesh = {2, 2, 1}, .zero = 1, .microbatches = 2},
    {.mesh = {1, 2, 2}, .microbatches = 2},
    {.mesh = {2, 2, 2}, .zero = 1, .microbatches = 2},
    {.mesh = {2, 1, 1},
     .zero = 1,
     .choice = "all_reduce:exchange,reduce_scatter:exchange,all_gather:exchange"},
    {.mesh = {3, 1, 1}, .zero = 1, .choice = "all_reduce:ring,reduce_scatter:ring,all_gather:ring"},
    {.mesh = {2, 1, 2}, .choice = "all_reduce:whole,reduce_scatter:whole,all_gather:whole", .zero = 1},
    {.mesh = {2, 1, 1}, .zero = 1, .no_windows = true},
    {.mesh = {2, 2, 1}, .microbatches = 2, .no_windows = true},
    {.mesh = {1, 1, 1}, .leaves = 8},
    {.mesh = {3, 1, 1}, .leaves = 8, .zero = 1},
    {.mesh = {2, 2, 1}, .leaves = 8},
    {.mesh = {2, 1, 1}, .without_passes = "simplify,fuse,fuse-layers,bucket"},
    {.mesh = {1, 2, 1}, .microbatches = 2, .without_passes = "simplify,fuse,fuse-layers,bucket"},
    {.mesh = {1, 1, 2}, .without_passes = "simplify,fuse,fuse-layers,bucket"},
};

/* Rows of the tables of losses, metrics, schedules and optimizers: a mesh of each kind will do. */
static const char *const rows[] = {
    "activations",
    "categories_and_sizes",
    "fit_ema",
    "fit_weights_steps",
    "format_json_weights",
    "fourier_transforms",
    "layer_arguments",
    "loss_axes",
    "loss_bce",
    "loss_bce_logits_smooth",
    "loss_categorical_focal",
    "loss_categorical_hinge",
    "loss_ce_logits",
    "loss_ce_smooth",
    "loss_cosine",
    "loss_ctc",
    "loss_focal",
    "loss_functions",
    "loss_hinge",
    "loss_huber",
    "loss_ignore_weighted",
    "loss_kld",
    "loss_logcosh",
    "loss_mae",
    "loss_mape",
    "loss_mse_metrics",
    "loss_msle",
    "loss_of_numbers",
    "loss_overlap",
    "loss_poisson",
    "loss_sparse_ce",
    "loss_sparse_ce_logits",
    "loss_squared_hinge",
    "loss_unreduced",
    "loss_unreduced_rows",
    "lr_cosine",
    "lr_cosine_restarts",
    "lr_cosine_warmup",
    "lr_exponential_staircase",
    "lr_inverse_time",
    "lr_piecewise",
    "lr_polynomial",
    "lr_polynomial_cycle",
    "metrics_areas",
    "metrics_at_thresholds",
    "metrics_by_function",
    "metrics_by_loss",
    "metrics_counted",
    "metrics_each",
    "metrics_of_classes",
    "metrics_of_places",
    "models_at_the_end",
    "moved_images",
    "operations",
    "operations_dims",
    "operations_element",
    "operations_parts",
    "operations_products",
    "opt_accumulate",
    "opt_adadelta",
    "opt_adagrad",
    "opt_adam_amsgrad",
    "opt_adamax",
    "opt_ema",
    "opt_exclude_frozen",
    "opt_ftrl",
    "opt_lamb",
    "opt_lion",
    "opt_loss_scale",
    "opt_nadam",
    "opt_rmsprop",
    "opt_scaled",
    "opt_schedule_free",
    "patches_of_images",
    "recurrent_channels_first",
    "shapes",
    "tables_and_pairs",
    "weights_sample",
    "weights_steps",
    NULL,
};
static const kpar_case_options row_layouts[] = {{.mesh = {1, 1, 1}},
                                                {.mesh = {2, 1, 1}, .zero = 1},
                                                {.mesh = {4, 1, 1}, .zero = 1},
                                                {.mesh = {1, 2, 1}, .microbatches = 2},
                                                {.mesh = {2, 2, 1}, .zero = 1, .microbatches = 2},
                                                {.mesh = {1, 1, 2}},
                                                {.mesh = {2, 2, 2}, .zero = 1, .microbatches = 2}};

/* Statistics of the batch are there where a rank computes its rows in one piece. */
static const char *const batch_wide[] = {
    "bn_frozen_dense",
    "bn_residual",
    "fit_circle",
    "fit_overlap_batch",
    "format_legacy_h5",
    "loss_circle",
    "loss_overlap_batch",
    "loss_overlap_classes",
    "loss_overlap_whole",
    "masked_statistics",
    "models_normalized_in_time",
    "normalizations",
    "norms",
    "opt_scaled_statistics",
    "recurrent_wrapped",
    "shared_layers",
    NULL,
};
static const kpar_case_options batch_wide_layouts[] = {{.mesh = {1, 1, 1}},
                                                       {.mesh = {1, 1, 1}, .device = "reference"},
                                                       {.mesh = {2, 1, 1}, .zero = 1},
                                                       {.mesh = {2, 1, 1}},
                                                       {.mesh = {3, 1, 1}, .zero = 1},
                                                       {.mesh = {4, 1, 1}, .zero = 1},
                                                       {.mesh = {1, 2, 1}},
                                                       {.mesh = {1, 1, 2}},
                                                       {.mesh = {2, 2, 1}, .zero = 1},
                                                       {.mesh = {1, 2, 2}},
                                                       {.mesh = {2, 2, 2}, .zero = 1},
                                                       {.mesh = {2, 1, 1}, .zero = 1, .no_windows = true}};

/* As many tensor ranks as heads of attention: each has a head. */
static const char *const headed[] = {"adam_transformer", NULL};
static const kpar_case_options headed_layouts[] = {{.mesh = {1, 1, 3}},
                                                   {.mesh = {1, 2, 3}, .microbatches = 2}};

/* Tables cut by rows, and classes that are never gathered. */
static const char *const vocabularies[] = {"language_model", "loss_ignore_class", "many_classes", NULL};
static const kpar_case_options vocabulary_layouts[] = {
    {.mesh = {1, 1, 1}},
    {.mesh = {2, 1, 1}, .zero = 1},
    {.mesh = {1, 1, 2}},
    {.mesh = {1, 1, 2}, .split_vocabulary = 16},
    {.mesh = {1, 1, 2}, .split_vocabulary = 16, .device = "reference"},
    {.mesh = {1, 1, 2}, .split_vocabulary = 16, .microbatches = 2, .no_windows = true},
    {.mesh = {1, 1, 2}, .split_vocabulary = 16, .without_passes = "simplify,fuse,fuse-layers,bucket"},
    {.mesh = {1, 1, 4}, .split_vocabulary = 16, .choice = "all_reduce:ring"},
    {.mesh = {1, 1, 4}, .split_vocabulary = 16, .choice = "all_reduce:exchange"},
    {.mesh = {2, 1, 2}, .split_vocabulary = 16, .zero = 1},
    {.mesh = {2, 1, 2}, .split_vocabulary = 16, .leaves = 4},
    {.mesh = {2, 1, 2}, .split_vocabulary = 16, .zero = 1, .choice = "all_reduce:whole"},
    {.mesh = {1, 2, 2}, .split_vocabulary = 16, .microbatches = 2},
    {.mesh = {2, 2, 2}, .split_vocabulary = 16, .zero = 1, .microbatches = 2},
};

/* Deeper pipelines need deeper models. */
static const char *const deep[] = {"deep_mlp8", "five_outputs_deep", "residual_blocks", NULL};
static const kpar_case_options deep_layouts[] = {{.mesh = {1, 4, 1}},
                                                 {.mesh = {1, 4, 1}, .microbatches = 4},
                                                 {.mesh = {1, 4, 1}, .microbatches = 4, .schedule = "gpipe"},
                                                 {.mesh = {1, 4, 2}, .microbatches = 2}};

/* Schedules that take several stages a rank, or backward in two parts. */
static const char *const scheduled[] = {
    "adam_transformer", "deep_mlp8", "five_outputs_deep", "opt_adamw", "regularizers_constraints",
    "residual_blocks",  NULL,
};
static const kpar_case_options scheduled_layouts[] = {
    {.mesh = {1, 2, 1}, .microbatches = 2, .schedule = "interleaved"},
    {.mesh = {1, 2, 1}, .microbatches = 4, .schedule = "interleaved"},
    {.mesh = {1, 2, 1}, .microbatches = 8, .schedule = "interleaved"},
    {.mesh = {2, 2, 1}, .microbatches = 2, .schedule = "interleaved", .zero = 1},
    {.mesh = {2, 2, 1}, .microbatches = 4, .schedule = "interleaved"},
    {.mesh = {2, 2, 1}, .microbatches = 8, .schedule = "interleaved", .zero = 1},
    {.mesh = {1, 2, 1}, .microbatches = 2, .schedule = "zb-h1"},
    {.mesh = {1, 2, 1}, .microbatches = 4, .schedule = "zb-h1"},
    {.mesh = {1, 2, 1}, .microbatches = 8, .schedule = "zb-h1"},
    {.mesh = {2, 2, 1}, .microbatches = 2, .schedule = "zb-h1", .zero = 1},
    {.mesh = {2, 2, 1}, .microbatches = 4, .schedule = "zb-h1"},
    {.mesh = {2, 2, 1}, .microbatches = 8, .schedule = "zb-h1", .zero = 1},
    {.mesh = {2, 2, 1}, .leaves = 8, .schedule = "interleaved", .zero = 1},
    {.mesh = {2, 2, 1}, .leaves = 8, .schedule = "zb-h1", .zero = 1},
    {.mesh = {1, 2, 2}, .microbatches = 4, .schedule = "interleaved"},
    {.mesh = {1, 2, 2}, .microbatches = 4, .schedule = "zb-h1"},
};
static const char *const deep_scheduled[] = {"deep_mlp8", NULL};
static const kpar_case_options deep_scheduled_layouts[] = {
    {.mesh = {1, 4, 1}, .microbatches = 2, .schedule = "interleaved"},
    {.mesh = {1, 4, 1}, .microbatches = 4, .schedule = "interleaved"},
    {.mesh = {1, 4, 1}, .microbatches = 8, .schedule = "interleaved"},
    {.mesh = {1, 3, 1}, .microbatches = 7, .schedule = "interleaved", .virtual_stages = 3},
    {.mesh = {1, 2, 1}, .microbatches = 4, .schedule = "interleaved", .virtual_stages = 4},
    {.mesh = {1, 4, 1}, .microbatches = 2, .schedule = "zb-h1"},
    {.mesh = {1, 4, 1}, .microbatches = 4, .schedule = "zb-h1"},
    {.mesh = {1, 4, 1}, .microbatches = 8, .schedule = "zb-h1"},
};

/* Activations that are computed again. */
static const char *const recomputed[] = {
    "adam_transformer",
    "attention_heads",
    "conv_depthwise_separable",
    "convnet_digits",
    "regularizers_constraints",
    "residual_blocks",
    NULL,
};
static const kpar_case_options recomputed_layouts[] = {
    {.mesh = {1, 1, 1}, .recompute = KPAR_RECOMPUTE_STAGE},
    {.mesh = {1, 1, 2}, .recompute = KPAR_RECOMPUTE_STAGE},
    {.mesh = {1, 1, 1}, .recompute = KPAR_RECOMPUTE_BLOCK},
    {.mesh = {2, 1, 1}, .recompute = KPAR_RECOMPUTE_BLOCK, .zero = 1},
    {.mesh = {1, 1, 2}, .recompute = KPAR_RECOMPUTE_BLOCK},
    {.mesh = {1, 2, 1}, .recompute = KPAR_RECOMPUTE_STAGE, .microbatches = 4},
    {.mesh = {1, 2, 1}, .recompute = KPAR_RECOMPUTE_BLOCK, .microbatches = 4, .schedule = "gpipe"},
    {.mesh = {1, 2, 1}, .recompute = KPAR_RECOMPUTE_BLOCK, .microbatches = 4, .schedule = "zb-h1"},
    {.mesh = {1, 2, 1}, .recompute = KPAR_RECOMPUTE_STAGE, .microbatches = 4, .schedule = "interleaved"},
    {.mesh = {2, 2, 2}, .recompute = KPAR_RECOMPUTE_BLOCK, .microbatches = 2, .zero = 1},
    {.mesh = {2, 2, 1}, .recompute = KPAR_RECOMPUTE_BLOCK, .leaves = 8},
};

/* A mesh of each kind, on which each optional pass is left out by itself. */
static const kpar_case_options mesh_kinds[] = {{.mesh = {1, 1, 1}},
                                               {.mesh = {2, 1, 1}, .zero = 1},
                                               {.mesh = {1, 2, 1}, .microbatches = 2},
                                               {.mesh = {1, 1, 2}},
                                               {.mesh = {2, 2, 2}, .zero = 1, .microbatches = 2}};

/* Lanes, flags, messages and whole collectives with a progress thread a rank. */
static const char *const threaded[] = {"deep_mlp8", "functional_branches", "opt_adam", NULL};
static const kpar_case_options threaded_layouts[] = {
    {.mesh = {2, 1, 1}, .zero = 1, .progress_thread = true},
    {.mesh = {2, 1, 1}, .zero = 1, .no_windows = true, .progress_thread = true},
    {.mesh = {2, 1, 1},
     .choice = "all_reduce:whole,reduce_scatter:whole,all_gather:whole",
     .progress_thread = true},
    {.mesh = {1, 2, 1}, .microbatches = 4, .progress_thread = true},
    {.mesh = {1, 1, 2}, .progress_thread = true},
    {.mesh = {2, 2, 1}, .leaves = 8, .progress_thread = true},
    {.mesh = {4, 1, 1}, .choice = "all_reduce:ring", .progress_thread = true},
    {.mesh = {2, 2, 2}, .zero = 1, .microbatches = 2, .progress_thread = true},
};

typedef struct totals {
    int passed, failed;
    const char *filter, *data, *folder;
    kpar_comm *comm; /* NULL: threads */
} totals;

static void run_one(totals *t, const char *name, kpar_case_options options)
{
    char folder[1024], output[1024], title[512];
    double worst = 0;
    snprintf(folder, sizeof folder, "%s/%s", t->data, name);
    snprintf(output, sizeof output, "%s/trained.keras", t->folder);
    options.folder = folder;
    options.output = output;
    kpar_case_title(&options, title, sizeof title);
    if (t->filter && !strstr(title, t->filter)) return;
    if (t->comm && kpar_comm_size(t->comm) != kpar_mesh_size(options.mesh)) return;
    kpar_status status =
        t->comm ? kpar_case_run(t->comm, &options, &worst) : kpar_case_run_local(&options, &worst);
    if (t->comm && kpar_comm_rank(t->comm) != 0) return;
    if (status == KPAR_OK) {
        t->passed++;
        printf("ok   %-90s %.2f of its tolerance\n", title, worst);
    } else {
        t->failed++;
        printf("FAIL %-90s %s\n", title, kpar_error_message());
    }
    fflush(stdout);
}

static void run_without_passes(totals *t)
{
    for (const char *const *pass = kpar_plan_optional_passes(); *pass; pass++)
        for (size_t k = 0; k < sizeof mesh_kinds / sizeof mesh_kinds[0]; k++) {
            kpar_case_options options = mesh_kinds[k];
            options.without_passes = *pass;
            run_one(t, "functional_branches", options);
        }
}

/* Cases and the layouts that each of them is run on. */
typedef struct suite {
    const char *const *names; /* and NULL */
    const kpar_case_options *layouts;
    size_t n_layouts;
} suite;
#define SUITE(names, layouts)                                                                                \
    {                                                                                                        \
        names, layouts, sizeof(layouts) / sizeof(layouts)[0]                                                 \
    }
static const suite suites[] = {
    SUITE(everywhere, layouts),
    SUITE(rows, row_layouts),
    SUITE(batch_wide, batch_wide_layouts),
    SUITE(headed, headed_layouts),
    SUITE(vocabularies, vocabulary_layouts),
    SUITE(deep, deep_layouts),
    SUITE(scheduled, scheduled_layouts),
    SUITE(deep_scheduled, deep_scheduled_layouts),
    SUITE(recomputed, recomputed_layouts),
    SUITE(threaded, threaded_layouts),
};

static void run_all(totals *t)
{
    for (size_t s = 0; s < sizeof suites / sizeof suites[0]; s++)
        for (const char *const *name = suites[s].names; *name; name++)
            for (size_t k = 0; k < suites[s].n_layouts; k++) run_one(t, *name, suites[s].layouts[k]);
    run_without_passes(t);
}

int main(int argc, char **argv)
{
    char folder[64] = "/tmp/kpar-cases-XXXXXX", path[96], data[1024];
    const char *source = getenv("srcdir");
    const bool mpi = argc > 1 && strcmp(argv[1], "--mpi") == 0;
    kpar_comm *comm = NULL;
    if (mpi && kpar_comm_mpi_create(&(kpar_mpi_options){.windows = true}, &comm) != KPAR_OK) {
        fprintf(stderr, "test_cases: %s\n", kpar_error_message());
        return 1;
    }
    snprintf(data, sizeof data, "%s/tests/cases/data", source ? source : ".");
    const bool root = !comm || kpar_comm_rank(comm) == 0;
    if (root && !mkdtemp(folder)) return 1;
    if (comm && kpar_comm_broadcast(comm, folder, sizeof folder, 0) != KPAR_OK) return 1;
    totals t = {
        .filter = argc > 1 + mpi ? argv[1 + mpi] : NULL, .data = data, .folder = folder, .comm = comm};
    run_all(&t);
    if (root) {
        snprintf(path, sizeof path, "%s/trained.keras", folder);
        unlink(path);
        rmdir(folder);
        printf("%d passed, %d failed\n", t.passed, t.failed);
    }
    if (comm) kpar_comm_destroy(comm);
    return t.failed ? 1 : 0;
}
