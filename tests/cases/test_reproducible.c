/* What does not depend on the layout, or on who moves messages: with a fixed number of leaves the bits of the trained file, without them the
 * values; and dropout, whose numbers belong to the rows. */
#include "case_runner.h"
#include "fit_runner.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEAVES = 8, SEEDS = 100 };

static bool with_progress_thread;
static kpar_recompute with_recompute;

static char folder[] = "/tmp/kpar-reproducible-XXXXXX";

static const char *source_path(char *path, size_t capacity, const char *name)
{
    const char *tree = getenv("srcdir");
    snprintf(path, capacity, "%s/tests/cases/data/%s", tree ? tree : ".", name);
    return path;
}

/* Two layers with dropout between them, for the data of the case opt_adam; no weights. */
static const char *write_model(char *path, size_t capacity, double rate)
{
    snprintf(path, capacity, "%s/dropout_%g.json", folder, rate);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file,
            "{\"class_name\": \"Sequential\", \"config\": {\"name\": \"m\", \"layers\": ["
            "{\"class_name\": \"InputLayer\", \"config\": {\"name\": \"in\", \"batch_shape\": [null, 12]}}, "
            "{\"class_name\": \"Dense\", \"config\": {\"name\": \"one\", \"units\": 16, \"activation\": "
            "\"tanh\"}}, "
            "{\"class_name\": \"Dropout\", \"config\": {\"name\": \"dropout\", \"rate\": %g}}, "
            "{\"class_name\": \"Dense\", \"config\": {\"name\": \"two\", \"units\": 5, \"activation\": "
            "\"softmax\"}}]}, "
            "\"compile_config\": {\"optimizer\": {\"class_name\": \"Adam\", \"config\": {\"learning_rate\": "
            "0.01}}, "
            "\"loss\": \"sparse_categorical_crossentropy\", \"metrics\": [\"accuracy\"]}}",
            rate);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

typedef struct layout {
    kpar_mesh mesh;
    int zero, microbatches;
    const char *schedule;
    int batch; /* 0: 9 rows; the data have 40, so that the last batch is short */
} layout;

static kpar_plan_options plan_of(const layout *l, int leaves, const char *device)
{
    return (kpar_plan_options){
        .mesh = l->mesh,
        .batch_size = l->batch ? l->batch : 9,
        .microbatches = leaves            ? 0
                        : l->microbatches ? l->microbatches
                                          : 1,
        .leaves = leaves,
        .schedule = l->schedule ? kpar_schedule_find(l->schedule) : NULL,
        .recompute = with_recompute,
        .zero = l->zero,
        .windows = true,
        .device = kpar_device_find(device),
        .check_passes = true,
        .seed = 3,
        .real = KPAR_F32,
    };
}

static void title_of(const layout *l, char *text, size_t capacity)
{
    snprintf(text, capacity, "%dx%dx%d zero%d m%d batch %d %s%s%s", l->mesh.data, l->mesh.pipeline,
             l->mesh.tensor, l->zero, l->microbatches, l->batch, l->schedule ? l->schedule : "",
             with_recompute ? " recompute" : "", with_progress_thread ? " with a progress thread" : "");
}

/* Three epochs of the model with dropout `rate`. */
static kpar_fit_result fitted(const layout *l, int leaves, const char *device, uint64_t lane_seed,
                              double rate, int64_t epochs, const char *output)
{
    char model[256], data[1024], title[128];
    kpar_fit_result result;
    const kpar_fit_run run = {
        .model = write_model(model, sizeof model, rate),
        .data = source_path(data, sizeof data, "opt_adam/data.npz"),
        .output = output,
        .plan = plan_of(l, leaves, device),
        .epochs = epochs,
        .lane_seed = lane_seed,
        .progress_thread = with_progress_thread,
    };
    title_of(l, title, sizeof title);
    ck_assert_msg(kpar_fit_run_local(&run, &result) == KPAR_OK, "%s: %s", title, kpar_error_message());
    return result;
}

static void assert_equal_files(const char *one, const char *other, const char *title)
{
    kpar_text text = {0};
    bool equal;
    ck_assert_msg(kpar_keras_compare(one, other, &text, &equal) == KPAR_OK, "%s: %s", title,
                  kpar_error_message());
    ck_assert_msg(equal, "%s gives another file:\n%s", title, kpar_text_get(&text));
    kpar_text_clear(&text);
    unlink(other);
}

static double largest_difference(const kpar_fit_result *a, const kpar_fit_result *b)
{
    const float *x = a->predictions.data, *y = b->predictions.data;
    const int64_t n = kpar_array_count(&a->predictions);
    double largest = 0;
    ck_assert_int_eq(n, kpar_array_count(&b->predictions));
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)x[i] - (double)y[i]) <= largest)) largest = fabs((double)x[i] - (double)y[i]);
    return largest;
}

/* --- the same bits --- */

static const layout layouts[] = {
    {{1, 1, 1}, 0, 0, NULL, 0},          {{2, 1, 1}, 0, 0, NULL, 0},          {{2, 1, 1}, 1, 0, NULL, 0},
    {{3, 1, 1}, 0, 0, NULL, 0},          {{3, 1, 1}, 1, 0, NULL, 0},          {{4, 1, 1}, 0, 0, NULL, 0},
    {{4, 1, 1}, 1, 0, NULL, 0},          {{1, 2, 1}, 0, 0, "1f1b", 0},        {{1, 2, 1}, 0, 0, "gpipe", 0},
    {{2, 2, 1}, 0, 0, "1f1b", 0},        {{2, 2, 1}, 1, 0, "gpipe", 0},       {{2, 2, 1}, 1, 0, "1f1b", 0},
    {{2, 2, 1}, 0, 0, "gpipe", 0},       {{1, 2, 1}, 0, 0, "zb-h1", 0},       {{2, 2, 1}, 1, 0, "zb-h1", 0},
    {{1, 2, 1}, 0, 0, "interleaved", 0}, {{2, 2, 1}, 1, 0, "interleaved", 0},
};
enum { LAYOUTS = sizeof layouts / sizeof layouts[0], TWO_STAGES = LAYOUTS - 2 /* the last ones cut more */ };

static void run_case(const char *name, const layout *l, const char *output)
{
    char data[1024], title[128];
    const kpar_case_options options = {
        .folder = source_path(data, sizeof data, name),
        .output = output,
        .mesh = l->mesh,
        .leaves = LEAVES,
        .zero = l->zero,
        .schedule = l->schedule,
        .progress_thread = with_progress_thread,
    };
    title_of(l, title, sizeof title);
    ck_assert_msg(kpar_case_run_local(&options, NULL) == KPAR_OK, "%s: %s", title, kpar_error_message());
}

/* All layouts, then all with a progress thread. */
static const layout *next_layout(int i)
{
    with_progress_thread = i >= LAYOUTS;
    return &layouts[i % LAYOUTS];
}

/* Trains the case on the first `n` layouts, see next_layout. */
static void assert_same_bits(const char *name, int n)
{
    char first[256], other[256], title[128];
    snprintf(first, sizeof first, "%s/first.keras", folder);
    snprintf(other, sizeof other, "%s/other.keras", folder);
    run_case(name, next_layout(0), first);
    for (int i = 1; i < n; i++) {
        const layout *l = next_layout(i);
        run_case(name, l, other);
        title_of(l, title, sizeof title);
        assert_equal_files(first, other, title);
    }
    unlink(first);
}

START_TEST(a_keras_case_trains_to_the_same_bits_on_every_layout)
{
    assert_same_bits("opt_adam", 2 * LAYOUTS);
}
END_TEST

START_TEST(convolutions_and_attention_train_to_the_same_bits_on_every_layout)
{
    assert_same_bits("convnet_digits", LAYOUTS);
    assert_same_bits("adam_transformer", LAYOUTS);
}
END_TEST

START_TEST(sums_over_tensors_are_of_the_same_bits_on_every_layout)
{
    static const char *const cases[] = {"opt_adamw", "opt_lamb",  "opt_adafactor",
                                        "opt_muon",  "opt_multi", "regularizers_constraints"};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) assert_same_bits(cases[k], LAYOUTS);
}
END_TEST

/* Facts, and sums and weights of one number. */
START_TEST(losses_that_weigh_rows_train_to_the_same_bits_on_every_layout)
{
    static const char *const cases[] = {"loss_mean_with_sample_weight", "loss_unreduced_rows",
                                        "binary_crossentropy_logits", "loss_ctc"};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) assert_same_bits(cases[k], TWO_STAGES);
}
END_TEST

START_TEST(shuffled_epochs_with_dropout_train_to_the_same_bits_on_every_layout)
{
    char first[256], other[256], title[128];
    snprintf(first, sizeof first, "%s/first.keras", folder);
    snprintf(other, sizeof other, "%s/other.keras", folder);
    kpar_fit_result whole = fitted(&layouts[0], LEAVES, "cpu", 0, 0.5, 3, first);
    for (int i = 1; i < 2 * LAYOUTS; i++) {
        const layout *l = next_layout(i);
        kpar_fit_result result = fitted(l, LEAVES, "cpu", 0, 0.5, 3, other);
        title_of(l, title, sizeof title);
        assert_equal_files(first, other, title);
        ck_assert_double_eq(largest_difference(&whole, &result), 0);
        kpar_array_destroy(&result.predictions);
    }
    kpar_array_destroy(&whole.predictions);
    unlink(first);
}
END_TEST

/* Dropout too: its numbers are drawn again. */
START_TEST(activations_that_are_computed_again_are_of_the_same_bits)
{
    static const layout again[] = {
        {{1, 1, 1}, 0, 1, NULL, 0},    {{2, 1, 1}, 1, 2, NULL, 0},          {{1, 2, 1}, 0, 4, "gpipe", 0},
        {{1, 2, 1}, 0, 4, "zb-h1", 0}, {{1, 2, 1}, 0, 4, "interleaved", 0},
    };
    char first[256], other[256], title[128];
    snprintf(first, sizeof first, "%s/first.keras", folder);
    snprintf(other, sizeof other, "%s/other.keras", folder);
    for (size_t i = 0; i < sizeof again / sizeof again[0]; i++) {
        kpar_fit_result kept = fitted(&again[i], 0, "cpu", 0, 0.5, 3, first);
        kpar_array_destroy(&kept.predictions);
        for (with_recompute = KPAR_RECOMPUTE_STAGE; with_recompute <= KPAR_RECOMPUTE_BLOCK;
             with_recompute++) {
            kpar_fit_result result = fitted(&again[i], 0, "cpu", 0, 0.5, 3, other);
            kpar_array_destroy(&result.predictions);
            title_of(&again[i], title, sizeof title);
            assert_equal_files(first, other, title);
        }
        with_recompute = KPAR_RECOMPUTE_NONE;
    }
    unlink(first);
}
END_TEST

/* A file that is not the same is seen: another number of leaves adds in another order. */
START_TEST(another_number_of_leaves_gives_other_bits)
{
    char first[256], other[256];
    kpar_text text = {0};
    bool equal;
    snprintf(first, sizeof first, "%s/first.keras", folder);
    snprintf(other, sizeof other, "%s/other.keras", folder);
    kpar_fit_result a = fitted(&layouts[0], LEAVES, "cpu", 0, 0.5, 3, first);
    kpar_fit_result b = fitted(&layouts[0], LEAVES / 2, "cpu", 0, 0.5, 3, other);
    ck_assert_int_eq(kpar_keras_compare(first, other, &text, &equal), KPAR_OK);
    ck_assert(!equal);
    kpar_text_clear(&text);
    kpar_array_destroy(&a.predictions);
    kpar_array_destroy(&b.predictions);
    unlink(first);
    unlink(other);
}
END_TEST

/* --- the same values --- */

START_TEST(dropout_without_leaves_trains_to_the_same_values_on_every_mesh)
{
    static const layout meshes[] = {
        {{2, 1, 1}, 0, 0, NULL, 0}, {{3, 1, 1}, 1, 2, NULL, 0},    {{1, 2, 1}, 0, 4, "1f1b", 0},
        {{1, 1, 2}, 0, 0, NULL, 0}, {{1, 2, 2}, 0, 2, "gpipe", 0}, {{1, 1, 1}, 0, 3, NULL, 0},
        {{2, 2, 2}, 1, 2, NULL, 0},
    };
    kpar_fit_result whole = fitted(&layouts[0], 0, "cpu", 0, 0.5, 3, NULL);
    for (size_t i = 0; i < sizeof meshes / sizeof meshes[0]; i++) {
        char title[128];
        title_of(&meshes[i], title, sizeof title);
        kpar_fit_result result = fitted(&meshes[i], 0, "cpu", 0, 0.5, 3, NULL);
        const double difference = largest_difference(&whole, &result);
        ck_assert_msg(difference < 2e-5, "%s: predictions differ by %g", title, difference);
        ck_assert_double_eq_tol(result.logs[0], whole.logs[0], 2e-5);
        kpar_array_destroy(&result.predictions);
    }
    kpar_array_destroy(&whole.predictions);
}
END_TEST

/* 3 rows for 4 replicas, 4 microbatches or 8 leaves; the last batch has one row. */
START_TEST(batches_smaller_than_what_shares_them_train_to_the_same)
{
    static const layout one = {{1, 1, 1}, 0, 0, NULL, 3};
    static const layout small[] = {
        {{4, 1, 1}, 0, 1, NULL, 3},    {{4, 1, 1}, 1, 2, NULL, 3},   {{1, 2, 1}, 0, 4, "1f1b", 3},
        {{1, 2, 1}, 0, 4, "gpipe", 3}, {{2, 2, 1}, 1, 4, "1f1b", 3}, {{2, 1, 2}, 0, 2, NULL, 3},
    };
    static const int leaves[] = {0, LEAVES};
    for (int k = 0; k < 2; k++) {
        kpar_fit_result whole = fitted(&one, leaves[k], "cpu", 0, 0.5, 2, NULL);
        for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
            char title[128];
            if (leaves[k] && small[i].mesh.tensor > 1) continue; /* other bits by definition */
            title_of(&small[i], title, sizeof title);
            kpar_fit_result result = fitted(&small[i], leaves[k], "cpu", 0, 0.5, 2, NULL);
            const double difference = largest_difference(&whole, &result);
            ck_assert_msg(difference <= (leaves[k] ? 0 : 2e-5), "%s: predictions differ by %g", title,
                          difference);
            kpar_array_destroy(&result.predictions);
        }
        kpar_array_destroy(&whole.predictions);
    }
}
END_TEST

START_TEST(dropout_acts_in_training_and_nowhere_else)
{
    static const layout mesh = {{2, 1, 1}, 0, 0, NULL, 0};
    kpar_fit_result with = fitted(&mesh, 0, "cpu", 0, 0.5, 0, NULL),
                    without = fitted(&mesh, 0, "cpu", 0, 0, 0, NULL);
    ck_assert_uint_gt(with.n_logs, 0);
    ck_assert_double_eq(largest_difference(&with, &without), 0);
    for (size_t i = 0; i < with.n_logs; i++) ck_assert_double_eq(with.logs[i], without.logs[i]);
    kpar_array_destroy(&with.predictions);
    kpar_array_destroy(&without.predictions);

    with = fitted(&mesh, 0, "cpu", 0, 0.5, 1, NULL);
    without = fitted(&mesh, 0, "cpu", 0, 0, 1, NULL);
    ck_assert_double_gt(largest_difference(&with, &without), 1e-4);
    kpar_array_destroy(&with.predictions);
    kpar_array_destroy(&without.predictions);
}
END_TEST

/* The order in which lanes take their turns is not part of the result. */
START_TEST(the_reference_device_in_100_orders_gives_what_the_cpu_gives)
{
    static const layout mesh = {{2, 2, 1}, 1, 2, NULL, 0};
    kpar_fit_result cpu = fitted(&mesh, 0, "cpu", 0, 0.5, 1, NULL);
    kpar_fit_result first = fitted(&mesh, 0, "reference", 0, 0.5, 1, NULL);
    ck_assert_double_lt(largest_difference(&cpu, &first), 1e-5);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        kpar_fit_result result = fitted(&mesh, 0, "reference", seed, 0.5, 1, NULL);
        ck_assert_msg(largest_difference(&first, &result) == 0, "lane seed %d gives other values", (int)seed);
        kpar_array_destroy(&result.predictions);
    }
    kpar_array_destroy(&cpu.predictions);
    kpar_array_destroy(&first.predictions);
}
END_TEST

static void remove_folder(void)
{
    static const double rates[] = {0, 0.5};
    char path[256];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/dropout_%g.json", folder, rates[i]);
        unlink(path);
    }
    rmdir(folder);
}

int main(void)
{
    if (!mkdtemp(folder)) return 1;
    Suite *suite = suite_create("reproducible");
    TCase *all = tcase_create("reproducible");
    tcase_set_timeout(all, 0);
    tcase_add_test(all, a_keras_case_trains_to_the_same_bits_on_every_layout);
    tcase_add_test(all, convolutions_and_attention_train_to_the_same_bits_on_every_layout);
    tcase_add_test(all, sums_over_tensors_are_of_the_same_bits_on_every_layout);
    tcase_add_test(all, losses_that_weigh_rows_train_to_the_same_bits_on_every_layout);
    tcase_add_test(all, shuffled_epochs_with_dropout_train_to_the_same_bits_on_every_layout);
    tcase_add_test(all, activations_that_are_computed_again_are_of_the_same_bits);
    tcase_add_test(all, another_number_of_leaves_gives_other_bits);
    tcase_add_test(all, dropout_without_leaves_trains_to_the_same_values_on_every_mesh);
    tcase_add_test(all, batches_smaller_than_what_shares_them_train_to_the_same);
    tcase_add_test(all, dropout_acts_in_training_and_nowhere_else);
    tcase_add_test(all, the_reference_device_in_100_orders_gives_what_the_cpu_gives);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    remove_folder();
    return failed != 0;
}
