/* The C API's model calls, on ranks that are threads of this process, and what wrong arguments get. */
#include "api_ranks.h"
#include "unit.h"

#include <math.h>
#include <sys/resource.h>
#include <unistd.h>

#define MODEL EXAMPLES "/digits/model.keras"
#define DATA EXAMPLES "/digits/digits.npz"

enum { ROWS = 360 }; /* of x_test */

static kpar_training_options options_of(int pipeline)
{
    kpar_training_options options;
    kpar_training_options_init(&options, sizeof options);
    options.batch_size = 64;
    options.pipeline = pipeline;
    options.progress_thread = pipeline > 1 ? "on" : "auto";
    options.seed = 1;
    return options;
}

static kpar_training_data data_of(const char *x, const char *y)
{
    kpar_training_data data;
    kpar_training_data_init(&data, sizeof data);
    data.path = DATA;
    data.x = x;
    data.y = y;
    return data;
}

static kpar_training_fit_options fit_options(void)
{
    kpar_training_fit_options options;
    kpar_training_fit_options_init(&options, sizeof options);
    return options;
}

static char output[PATH_BYTES];

static void set_up(void)
{
    make_folder();
    snprintf(output, sizeof output, "%s", path_of("model.keras"));
}

/* Rank 0 has a row of ten finite numbers for each image. */
static bool has_predictions(const kpar_training *training)
{
    static const int64_t expected[] = {ROWS, 10};
    const float *values;
    const int64_t *dims;
    int rank;
    if (kpar_training_prediction(training, 0, &values, &rank, &dims) != KPAR_OK) return false;
    if (rank != 2 || memcmp(dims, expected, sizeof expected) != 0) return false;
    for (int i = 0; i < ROWS * 10; i++)
        if (!isfinite(values[i])) return false;
    return true;
}

static void a_life(kpar_context *context, int pipeline, char *failure)
{
    const kpar_training_options options = options_of(pipeline);
    const kpar_training_data train = data_of("x_train", "y_train"), test = data_of("x_test", "y_test"),
                             unlabelled = data_of("x_test", NULL);
    kpar_training_fit_options fit = fit_options();
    kpar_training *training;
    double loss, validation, again;
    EXPECT(kpar_training_load(context, MODEL, &options, &training) == KPAR_OK);
    fit.epochs = 4;
    fit.validation = &test;
    EXPECT(kpar_training_fit(training, &train, &fit) == KPAR_OK);
    EXPECT(kpar_training_result_count(training) == 4 &&
           strcmp(kpar_training_result_name(training, 2), "val_loss") == 0);
    EXPECT(kpar_training_result(training, "loss", &loss) == KPAR_OK &&
           kpar_training_result(training, "val_accuracy", &validation) == KPAR_OK);
    EXPECT(loss < 1 && validation > 0.8);
    EXPECT(kpar_training_evaluate(training, &test) == KPAR_OK &&
           kpar_training_result(training, "accuracy", &again) == KPAR_OK);
    EXPECT(again == validation && kpar_training_result_count(training) == 2);
    EXPECT(kpar_training_predict(training, &unlabelled) == KPAR_OK);
    if (kpar_rank(context) == 0) EXPECT(has_predictions(training));
    EXPECT(kpar_training_save(training, output) == KPAR_OK);
    kpar_training_free(training);
    EXPECT(kpar_training_load(context, output, &options, &training) == KPAR_OK);
    EXPECT(kpar_training_evaluate(training, &test) == KPAR_OK &&
           kpar_training_result(training, "accuracy", &again) == KPAR_OK);
    EXPECT(again == validation);
    kpar_training_free(training);
}

static void alone_and_in_replicas(kpar_context *context, char *failure) { a_life(context, 1, failure); }
static void in_stages(kpar_context *context, char *failure) { a_life(context, 2, failure); }

START_TEST(a_model_is_trained_evaluated_asked_saved_and_loaded_again)
{
    run_ranks(1, alone_and_in_replicas);
    run_ranks(2, alone_and_in_replicas);
    run_ranks(2, in_stages);
}
END_TEST

/* Trains to `epochs` in all, where `kept` with checkpoints and a log, and gives the last loss. */
static kpar_status fit_on(kpar_context *context, int epochs, bool kept, bool resume, double *loss)
{
    const kpar_training_options options = options_of(1);
    const kpar_training_data data = data_of("x_train", "y_train");
    char checkpoint[160], log[160];
    kpar_training_fit_options fit = fit_options();
    kpar_training *training;
    strcpy(checkpoint, path_of("checkpoints"));
    strcpy(log, path_of("log.csv"));
    fit.epochs = epochs;
    fit.checkpoint = kept ? checkpoint : NULL;
    fit.checkpoint_every = kept ? 23 : 0; /* an epoch */
    fit.resume = resume;
    fit.log = kept ? log : NULL;
    fit.output = output;
    KPAR_TRY(kpar_training_load(context, MODEL, &options, &training));
    kpar_status status = kpar_training_fit(training, &data, &fit);
    if (status == KPAR_OK) status = kpar_training_result(training, "loss", loss);
    kpar_training_free(training);
    return status;
}

static void interrupted(kpar_context *context, char *failure)
{
    double half, whole;
    EXPECT(fit_on(context, 2, true, false, &half) == KPAR_OK);
    EXPECT(fit_on(context, 4, true, true, &half) == KPAR_OK && access(output, R_OK) == 0);
    EXPECT_ERROR(KPAR_EUSAGE, "checkpoint of an earlier run", fit_on(context, 4, true, false, &whole));
    EXPECT(fit_on(context, 4, false, false, &whole) == KPAR_OK);
    EXPECT(half == whole);
}

static int count_lines(const char *path)
{
    int lines = 0;
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    for (int c; (c = getc(file)) != EOF;) lines += c == '\n';
    fclose(file);
    return lines;
}

START_TEST(a_fit_that_goes_on_from_a_checkpoint_ends_as_one_that_never_stopped)
{
    run_ranks(2, interrupted);
    ck_assert_int_eq(count_lines(path_of("log.csv")), 5); /* the names and four epochs */
}
END_TEST

static void weighted(kpar_context *context, char *failure)
{
    static const double ones[] = {1, 1, 1, 1}, none[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    const kpar_training_data data = data_of("x_train", "y_train");
    const kpar_training_options options = options_of(1);
    const struct {
        const double *weights;
        int n;
    } cases[] = {{NULL, 0}, {ones, 4}, {none, 10}};
    double losses[3];
    for (int i = 0; i < 3; i++) {
        kpar_training_fit_options fit = fit_options();
        kpar_training *training;
        fit.class_weights = cases[i].weights;
        fit.n_class_weights = cases[i].n;
        EXPECT(kpar_training_load(context, MODEL, &options, &training) == KPAR_OK);
        EXPECT(kpar_training_fit(training, &data, &fit) == KPAR_OK &&
               kpar_training_result(training, "loss", &losses[i]) == KPAR_OK);
        kpar_training_free(training);
    }
    EXPECT(losses[0] == losses[1] && losses[2] == 0);
}

START_TEST(classes_that_are_given_no_weight_have_one) { run_ranks(1, weighted); }
END_TEST

/* Options that differ from the defaults in one member each, and the words of the message. */
typedef void (*change)(kpar_training_options *options);
#define CHANGE(name, statement)                                                                              \
    static void name(kpar_training_options *o) { statement; }
CHANGE(no_uses, o->uses = 0)
CHANGE(unknown_uses, o->uses = 8)
CHANGE(negative_replicas, o->data_parallel = -1)
CHANGE(too_many_replicas, o->data_parallel = 3)
CHANGE(no_stage, o->pipeline = 0)
CHANGE(too_many_stages, o->pipeline = 1 << 30; o->tensor = 1 << 30)
CHANGE(no_slice, o->tensor = 0)
CHANGE(no_rows, o->batch_size = 0)
CHANGE(negative_microbatches, o->microbatches = -1)
CHANGE(negative_leaves, o->reproducible = -1)
CHANGE(both_parts, o->reproducible = 8; o->microbatches = 2)
CHANGE(zero_two, o->zero = 2)
CHANGE(negative_threads, o->threads = -1)
CHANGE(not_a_time, o->stall_seconds = NAN)
CHANGE(unknown_schedule, o->schedule = "zigzag")
CHANGE(unknown_device, o->device = "abacus")
CHANGE(unknown_recompute, o->recompute = "some")
CHANGE(unknown_progress, o->progress_thread = "perhaps")
CHANGE(unknown_algorithm, o->algorithms = "all_reduce:pigeon")
CHANGE(not_initialized, o->struct_bytes = 0)

static const struct {
    change change;
    const char *words;
} wrong_options[] = {
    {no_uses, "uses: expected"},
    {unknown_uses, "found 8"},
    {negative_replicas, "data_parallel: expected"},
    {too_many_replicas, "job's 2 ranks"},
    {no_stage, "pipeline: expected"},
    {too_many_stages, "job's 2 ranks"},
    {no_slice, "tensor: expected"},
    {no_rows, "batch_size: expected"},
    {negative_microbatches, "microbatches: expected"},
    {negative_leaves, "reproducible: expected"},
    {both_parts, "microbatches: expected 0 with reproducible"},
    {zero_two, "zero: expected 0 or 1"},
    {negative_threads, "threads: expected"},
    {not_a_time, "stall_seconds"},
    {unknown_schedule, "1f1b"},
    {unknown_device, "cpu"},
    {unknown_recompute, "recompute: expected none, stage or block, found 'some'"},
    {unknown_progress, "progress_thread: expected auto, on or off, found 'perhaps'"},
    {unknown_algorithm, "pigeon"},
    {not_initialized, "kpar_training_options_init"},
};

static void loading_wrongly(kpar_context *context, char *failure)
{
    kpar_training *training = NULL;
    kpar_training_options options = options_of(1);
    for (size_t i = 0; i < sizeof wrong_options / sizeof wrong_options[0]; i++) {
        kpar_training_options wrong = options;
        if (kpar_rank(context) == 1) wrong_options[i].change(&wrong); /* one rank's mistake is everyone's */
        const kpar_status status = kpar_training_load(context, MODEL, &wrong, &training);
        EXPECT(status == KPAR_EUSAGE && !training);
        EXPECT(strstr(kpar_error_message(), wrong_options[i].words));
    }
    EXPECT_ERROR(KPAR_EUSAGE, "path is NULL", kpar_training_load(context, NULL, &options, &training));
    EXPECT_ERROR(KPAR_EUSAGE, "place for the training", kpar_training_load(context, MODEL, &options, NULL));
    EXPECT_ERROR(KPAR_EIO, "nothing.keras",
                 kpar_training_load(context, "nothing.keras", &options, &training));
    EXPECT_ERROR(KPAR_EUSAGE, "context is NULL", kpar_training_load(NULL, MODEL, &options, &training));
}

START_TEST(options_that_cannot_be_are_named_on_all_ranks) { run_ranks(2, loading_wrongly); }
END_TEST

/* The address sanitizer's shadow takes more than any limit. gcc tells of it by a macro, clang by a feature. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define SANITIZES_ADDRESSES
#endif
#endif
#if defined SANITIZES_ADDRESSES || defined __SANITIZE_ADDRESS__
enum { LIMITS_ARE_IGNORED = true };
#else
enum { LIMITS_ARE_IGNORED = false };
#endif

/* Rows of a batch that no rank has memory for. */
static void loading_too_much(kpar_context *context, char *failure)
{
    kpar_training *training;
    kpar_training_options options = options_of(1);
    options.batch_size = 1 << 26;
    EXPECT_ERROR(KPAR_ENOMEM, "memory: rank 0 needs",
                 kpar_training_load(context, MODEL, &options, &training));
    options.ignore_memory = true;
    EXPECT_ERROR(KPAR_ENOMEM, "refused", kpar_training_load(context, MODEL, &options, &training));
}

START_TEST(a_plan_larger_than_memory_is_refused_unless_memory_is_ignored)
{
    struct rlimit limit;
    if (LIMITS_ARE_IGNORED) return;
    ck_assert_int_eq(getrlimit(RLIMIT_DATA, &limit), 0);
    limit.rlim_cur = 1 << 30;
    ck_assert_int_eq(setrlimit(RLIMIT_DATA, &limit), 0);
    run_ranks(1, loading_too_much);
}
END_TEST

static void calling_wrongly(kpar_context *context, char *failure)
{
    const kpar_training_options options = options_of(1);
    kpar_training_data data = data_of("x_train", "y_train"), several = data_of("x_train,x_test", "y_train"),
                       empty = data_of(",", "y_train"), absent = data_of("x_train", "z"),
                       nowhere = data_of(NULL, NULL), unlabelled = data_of("x_train", NULL);
    kpar_training *training, *second;
    const float *values;
    const int64_t *dims;
    double value;
    int rank;
    nowhere.path = NULL;
    EXPECT(kpar_training_load(context, MODEL, &options, &training) == KPAR_OK);
    EXPECT_ERROR(KPAR_EUSAGE, "the context has a training",
                 kpar_training_load(context, MODEL, &options, &second));
    EXPECT_ERROR(KPAR_EUSAGE, "1 trainings not freed", kpar_finalize(context));
    EXPECT_ERROR(KPAR_EUSAGE, "data are NULL", kpar_training_fit(training, NULL, NULL));
    EXPECT_ERROR(KPAR_EUSAGE, "path of the data is NULL", kpar_training_evaluate(training, &nowhere));
    EXPECT_ERROR(KPAR_EUSAGE, "found 2 in 'x_train,x_test'", kpar_training_evaluate(training, &several));
    EXPECT_ERROR(KPAR_EUSAGE, "empty name", kpar_training_predict(training, &empty));
    EXPECT(kpar_training_evaluate(training, &absent) != KPAR_OK && strstr(kpar_error_message(), "z"));
    EXPECT_ERROR(KPAR_EDATA, "no labels", kpar_training_fit(training, &unlabelled, NULL));
    EXPECT_ERROR(KPAR_EUSAGE, "path is NULL", kpar_training_save(training, NULL));
    EXPECT_ERROR(KPAR_EUSAGE, ".keras", kpar_training_save(training, "/tmp/model.txt"));
    EXPECT_ERROR(KPAR_EUSAGE, "none before", kpar_training_result(training, "loss", &value));
    EXPECT(kpar_training_result_count(training) == 0 && !kpar_training_result_name(training, 0));
    EXPECT_ERROR(KPAR_EUSAGE, "kpar_training_predict first",
                 kpar_training_prediction(training, 0, &values, &rank, &dims));
    EXPECT(kpar_training_predict(training, &data) == KPAR_OK);
    EXPECT_ERROR(KPAR_EUSAGE, "output 1; the model's are 0 to 0",
                 kpar_training_prediction(training, 1, &values, &rank, &dims));
    EXPECT(kpar_training_prediction(training, 0, &values, &rank, &dims) == KPAR_OK &&
           !values == (kpar_rank(context) > 0));
    EXPECT(kpar_training_evaluate(training, &data) == KPAR_OK);
    EXPECT_ERROR(KPAR_EUSAGE, "there are: loss accuracy", kpar_training_result(training, "lose", &value));
    kpar_training_free(training);
}

START_TEST(calls_that_cannot_be_are_told_and_leave_the_training_usable) { run_ranks(2, calling_wrongly); }
END_TEST

static void fitting_wrongly(kpar_context *context, char *failure)
{
    static const double weights[] = {1, -1};
    kpar_training_options options = options_of(1);
    const kpar_training_data data = data_of("x_train", "y_train");
    const kpar_training_fit_options preset = fit_options();
    kpar_training_fit_options o[11];
    static const char *const words[] = {"epochs",
                                        "steps",
                                        "from 0 up to 1",
                                        "0 where validation",
                                        "checkpoint_every: expected",
                                        "verbose",
                                        "n_class_weights: expected 0 where",
                                        "class_weights: expected",
                                        "need a checkpoint folder",
                                        "0 would train",
                                        "KPAR_USE_EVALUATE"};
    kpar_training *training;
    for (int i = 0; i < 11; i++) o[i] = preset;
    o[0].epochs = 0;
    o[1].steps = -1;
    o[2].validation_split = 1;
    o[3].validation_split = 0.5, o[3].validation = &data;
    o[4].checkpoint_every = -1;
    o[5].verbose = 2;
    o[6].n_class_weights = 1;
    o[7].n_class_weights = 2, o[7].class_weights = weights;
    o[8].resume = true;
    o[9].validation_split = 0.99999;
    o[10].validation_split = 0.5;
    EXPECT(kpar_training_load(context, MODEL, &options, &training) == KPAR_OK);
    for (int i = 0; i < 10; i++)
        EXPECT_ERROR(KPAR_EUSAGE, words[i], kpar_training_fit(training, &data, &o[i]));
    kpar_training_free(training);
    options.uses = KPAR_USE_FIT;
    EXPECT(kpar_training_load(context, MODEL, &options, &training) == KPAR_OK);
    EXPECT_ERROR(KPAR_EUSAGE, words[10], kpar_training_fit(training, &data, &o[10]));
    EXPECT_ERROR(KPAR_EUSAGE, "KPAR_USE_EVALUATE", kpar_training_evaluate(training, &data));
    EXPECT_ERROR(KPAR_EUSAGE, "KPAR_USE_PREDICT", kpar_training_predict(training, &data));
    kpar_training_free(training);
}

START_TEST(fit_options_that_cannot_be_are_named) { run_ranks(2, fitting_wrongly); }
END_TEST

START_TEST(a_null_training_is_no_crash)
{
    const kpar_training_data data = data_of(NULL, NULL);
    const float *values;
    const int64_t *dims;
    double value;
    int rank;
    ck_assert_int_eq(kpar_training_fit(NULL, &data, NULL), KPAR_EUSAGE);
    ck_assert_int_eq(kpar_training_evaluate(NULL, &data), KPAR_EUSAGE);
    ck_assert_int_eq(kpar_training_predict(NULL, &data), KPAR_EUSAGE);
    ck_assert_int_eq(kpar_training_prediction(NULL, 0, &values, &rank, &dims), KPAR_EUSAGE);
    ck_assert_int_eq(kpar_training_save(NULL, "model.keras"), KPAR_EUSAGE);
    ck_assert_int_eq(kpar_training_result(NULL, "loss", &value), KPAR_EUSAGE);
    ck_assert_uint_eq(kpar_training_result_count(NULL), 0);
    ck_assert_ptr_null(kpar_training_result_name(NULL, 0));
    kpar_training_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api training");
    TCase *tests = tcase_create("api training");
    tcase_set_timeout(tests, 0);
    tcase_add_checked_fixture(tests, set_up, remove_folder);
    tcase_add_test(tests, a_model_is_trained_evaluated_asked_saved_and_loaded_again);
    tcase_add_test(tests, a_fit_that_goes_on_from_a_checkpoint_ends_as_one_that_never_stopped);
    tcase_add_test(tests, classes_that_are_given_no_weight_have_one);
    tcase_add_test(tests, options_that_cannot_be_are_named_on_all_ranks);
    tcase_add_test(tests, a_plan_larger_than_memory_is_refused_unless_memory_is_ignored);
    tcase_add_test(tests, calls_that_cannot_be_are_told_and_leave_the_training_usable);
    tcase_add_test(tests, fit_options_that_cannot_be_are_named);
    tcase_add_test(tests, a_null_training_is_no_crash);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
