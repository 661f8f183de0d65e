/* The C API on ranks that are threads of this process: collectives, model calls, and what wrong arguments get. */
#include "api/context.h"
#include "api/versioned.h"
#include "base/memory.h"

#include <check.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODEL EXAMPLES "/digits/model.keras"
#define DATA EXAMPLES "/digits/digits.npz"

/* --- running ranks --- */

enum { MOST_RANKS = 4, ROWS = 360 };

typedef struct rank_thread rank_thread;
typedef void (*rank_function)(kpar_context *context, char failure[512]);
struct rank_thread {
    pthread_t thread;
    kpar_comm *comm;
    rank_function run;
    char failure[512];
};

/* In a rank function: notes the failure and returns, so that the others fail on the end of the job. */
#define EXPECT(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            snprintf(failure, 512, "line %d: %s (%s)", __LINE__, #condition, kpar_error_message());          \
            return;                                                                                          \
        }                                                                                                    \
    } while (0)

/* The call fails with the status, and its message has the words. */
#define EXPECT_ERROR(status, words, call) EXPECT((call) == (status) && strstr(kpar_error_message(), words))

static void *rank_main(void *argument)
{
    rank_thread *rank = argument;
    kpar_context *context = NULL;
    if (kpar_context_create(rank->comm, &context) == KPAR_OK) rank->run(context, rank->failure);
    if (context && rank->failure[0]) kpar_comm_abort(context->comm, KPAR_EINTERNAL);
    if (kpar_finalize(context) != KPAR_OK && !rank->failure[0])
        snprintf(rank->failure, sizeof rank->failure, "%s", kpar_error_message());
    return NULL;
}

static void run_ranks(int n, rank_function run)
{
    rank_thread ranks[MOST_RANKS] = {0};
    kpar_comm *comms[MOST_RANKS];
    ck_assert_int_eq(kpar_comm_local_create(n, 0, comms), KPAR_OK);
    for (int r = 0; r < n; r++) {
        ranks[r].comm = comms[r];
        ranks[r].run = run;
        ck_assert_int_eq(pthread_create(&ranks[r].thread, NULL, rank_main, &ranks[r]), 0);
    }
    for (int r = 0; r < n; r++) pthread_join(ranks[r].thread, NULL);
    for (int r = 0; r < n; r++) ck_assert_msg(!ranks[r].failure[0], "%d ranks, rank %d: %s", n, r, ranks[r].failure);
}

static void run_all_sizes(rank_function run)
{
    for (int n = 1; n <= MOST_RANKS; n++) run_ranks(n, run);
}

/* --- the context --- */

static void ranks_are_numbered(kpar_context *context, char *failure)
{
    EXPECT(kpar_rank(context) >= 0 && kpar_rank(context) < kpar_size(context));
    EXPECT(kpar_local_rank(context) == kpar_rank(context) && kpar_local_size(context) == kpar_size(context));
    EXPECT(kpar_barrier(context) == KPAR_OK);
}

START_TEST(ranks_know_their_number_and_their_node) { run_all_sizes(ranks_are_numbered); }
END_TEST

START_TEST(a_null_context_is_no_crash)
{
    kpar_handle *handle;
    int number = 0;
    ck_assert_int_eq(kpar_rank(NULL), -1);
    ck_assert_int_eq(kpar_size(NULL), -1);
    ck_assert_int_eq(kpar_local_rank(NULL), -1);
    ck_assert_int_eq(kpar_local_size(NULL), -1);
    ck_assert_int_eq(kpar_finalize(NULL), KPAR_OK);
    ck_assert_int_eq(kpar_init(NULL), KPAR_EUSAGE);
    ck_assert_int_eq(kpar_barrier(NULL), KPAR_EUSAGE);
    ck_assert_int_eq(kpar_broadcast(NULL, &number, 1, KPAR_INT32, 0), KPAR_EUSAGE);
    ck_assert_int_eq(kpar_all_gather(NULL, &number, &number, 1, KPAR_INT32), KPAR_EUSAGE);
    ck_assert_int_eq(kpar_all_reduce(NULL, &number, 1, KPAR_INT32, KPAR_SUM), KPAR_EUSAGE);
    ck_assert_int_eq(kpar_all_reduce_async(NULL, &number, 1, KPAR_INT32, KPAR_SUM, &handle), KPAR_EUSAGE);
    ck_assert_ptr_null(handle);
    ck_assert_str_eq(kpar_error_message(), "kpar_all_reduce: the context is NULL; expected one from kpar_init");
}
END_TEST

static void finalizing_waits_for_handles(kpar_context *context, char *failure)
{
    int number = 1;
    kpar_handle *handle;
    EXPECT(kpar_all_reduce_async(context, &number, 1, KPAR_INT32, KPAR_SUM, &handle) == KPAR_OK);
    EXPECT_ERROR(KPAR_EUSAGE, "1 collectives are not waited for", kpar_finalize(context));
    EXPECT(kpar_wait(&handle) == KPAR_OK && !handle && number == kpar_size(context));
}

START_TEST(finalizing_with_a_handle_under_way_is_refused) { run_ranks(2, finalizing_waits_for_handles); }
END_TEST

/* --- collectives --- */

/* Element i of rank r, small enough for every type. */
static double element(int rank, size_t i) { return (double)(rank + 1 + (int)(i % 5)); }

static double reduced(kpar_operation operation, int size, size_t i)
{
    const double sum = size * (size + 1) / 2.0 + size * (double)(i % 5);
    switch (operation) {
    case KPAR_SUM: return sum;
    case KPAR_AVERAGE: return sum / size;
    case KPAR_MINIMUM: return element(0, i);
    default: return element(size - 1, i);
    }
}

static const kpar_dtype dtypes[] = {KPAR_F32, KPAR_F64, KPAR_F16, KPAR_BF16, KPAR_I8, KPAR_I16,
                                    KPAR_I32, KPAR_I64, KPAR_U8,  KPAR_U16,  KPAR_U32, KPAR_U64};
enum { TYPES = sizeof dtypes / sizeof dtypes[0], MOST = 23 };

static bool is_integer(kpar_data_type type) { return type >= KPAR_INT8; }

static void fill(void *buffer, kpar_data_type type, size_t count, int rank)
{
    double values[MOST];
    for (size_t i = 0; i < count; i++) values[i] = element(rank, i);
    kpar_convert(buffer, dtypes[type], values, KPAR_F64, count);
}

static bool is_reduced(const void *buffer, kpar_data_type type, size_t count, int size, kpar_operation operation)
{
    double values[MOST], expected[MOST];
    unsigned char bytes[MOST * 8];
    for (size_t i = 0; i < count; i++) values[i] = reduced(operation, size, i);
    kpar_convert(bytes, dtypes[type], values, KPAR_F64, count); /* an average of 3 has a rounding of its own */
    kpar_convert(expected, KPAR_F64, bytes, dtypes[type], count);
    kpar_convert(values, KPAR_F64, buffer, dtypes[type], count);
    for (size_t i = 0; i < count; i++)
        if (fabs(values[i] - expected[i]) > 1e-2 * (operation == KPAR_AVERAGE)) return false;
    return true;
}

static void all_types_reduce(kpar_context *context, char *failure)
{
    _Alignas(16) unsigned char buffer[MOST * 8];
    for (int type = 0; type < TYPES; type++)
        for (int operation = KPAR_SUM; operation <= KPAR_MAXIMUM; operation++) {
            if (operation == KPAR_AVERAGE && is_integer((kpar_data_type)type)) continue;
            fill(buffer, (kpar_data_type)type, MOST, kpar_rank(context));
            EXPECT(kpar_all_reduce(context, buffer, MOST, (kpar_data_type)type, (kpar_operation)operation) == KPAR_OK);
            EXPECT(is_reduced(buffer, (kpar_data_type)type, MOST, kpar_size(context), (kpar_operation)operation));
        }
}

START_TEST(every_type_is_summed_averaged_and_compared) { run_all_sizes(all_types_reduce); }
END_TEST

static void pieces_reduce(kpar_context *context, char *failure)
{
    _Alignas(16) unsigned char buffer[MOST * 8];
    for (size_t most = 1; most <= MOST + 1; most++) {
        context->most_elements = most;
        fill(buffer, KPAR_BFLOAT16, MOST, kpar_rank(context));
        EXPECT(kpar_all_reduce(context, buffer, MOST, KPAR_BFLOAT16, KPAR_SUM) == KPAR_OK);
        EXPECT(is_reduced(buffer, KPAR_BFLOAT16, MOST, kpar_size(context), KPAR_SUM));
    }
}

START_TEST(long_buffers_go_in_pieces) { run_all_sizes(pieces_reduce); }
END_TEST

static void handles_in_any_order(kpar_context *context, char *failure)
{
    enum { N = 8 };
    int numbers[N];
    kpar_handle *handles[N];
    for (int i = 0; i < N; i++) {
        numbers[i] = kpar_rank(context) + i;
        EXPECT(kpar_all_reduce_async(context, &numbers[i], 1, KPAR_INT32, KPAR_MAXIMUM, &handles[i]) == KPAR_OK);
    }
    const bool backwards = kpar_rank(context) % 2;
    for (int i = 0; i < N; i++) {
        const int k = backwards ? N - 1 - i : i;
        bool done = false;
        while (!done) EXPECT(kpar_test(&handles[k], &done) == KPAR_OK);
        EXPECT(!handles[k] && numbers[k] == kpar_size(context) - 1 + k);
    }
    bool done = false;
    EXPECT(kpar_test(&handles[0], &done) == KPAR_OK && done && kpar_wait(&handles[0]) == KPAR_OK);
}

START_TEST(collectives_are_started_in_order_and_waited_for_in_any) { run_all_sizes(handles_in_any_order); }
END_TEST

static bool is_gathered(const int16_t *all, size_t count, int size)
{
    for (int r = 0; r < size; r++)
        for (size_t i = 0; i < count; i++)
            if (all[(size_t)r * count + i] != (int16_t)element(r, i)) return false;
    return true;
}

static void gathering(kpar_context *context, char *failure)
{
    int16_t own[MOST], all[MOST * MOST_RANKS];
    const int rank = kpar_rank(context), size = kpar_size(context);
    fill(own, KPAR_INT16, MOST, rank);
    EXPECT(kpar_all_gather(context, own, all, MOST, KPAR_INT16) == KPAR_OK && is_gathered(all, MOST, size));
    memset(all, 0, sizeof all);
    fill(all + rank * MOST, KPAR_INT16, MOST, rank);
    EXPECT(kpar_all_gather(context, all + rank * MOST, all, MOST, KPAR_INT16) == KPAR_OK && is_gathered(all, MOST, size));
}

START_TEST(every_rank_gathers_the_parts_of_all) { run_all_sizes(gathering); }
END_TEST

static void broadcasting(kpar_context *context, char *failure)
{
    for (int root = 0; root < kpar_size(context); root++) {
        double values[3] = {0};
        if (kpar_rank(context) == root) fill(values, KPAR_FLOAT64, 3, root);
        EXPECT(kpar_broadcast(context, values, 3, KPAR_FLOAT64, root) == KPAR_OK);
        for (size_t i = 0; i < 3; i++) EXPECT(values[i] == element(root, i));
    }
}

START_TEST(every_rank_can_be_the_root_of_a_broadcast) { run_all_sizes(broadcasting); }
END_TEST

static void nothing_at_all(kpar_context *context, char *failure)
{
    EXPECT(kpar_all_reduce(context, NULL, 0, KPAR_FLOAT16, KPAR_AVERAGE) == KPAR_OK);
    EXPECT(kpar_all_gather(context, NULL, NULL, 0, KPAR_INT8) == KPAR_OK);
    EXPECT(kpar_broadcast(context, NULL, 0, KPAR_INT8, 0) == KPAR_OK);
}

START_TEST(a_count_of_zero_is_fine) { run_all_sizes(nothing_at_all); }
END_TEST

static void wrong_collectives(kpar_context *context, char *failure)
{
    int number = 7, all[MOST_RANKS];
    kpar_handle *handle = NULL;
    const size_t huge = SIZE_MAX / 2;
    EXPECT_ERROR(KPAR_EUSAGE, "is NULL", kpar_all_reduce(context, NULL, 1, KPAR_INT32, KPAR_SUM));
    EXPECT_ERROR(KPAR_EUSAGE, "type 12 is none", kpar_all_reduce(context, &number, 1, (kpar_data_type)12, KPAR_SUM));
    EXPECT_ERROR(KPAR_EUSAGE, "type -1 is none", kpar_all_reduce(context, &number, 1, (kpar_data_type)-1, KPAR_SUM));
    EXPECT_ERROR(KPAR_EUSAGE, "operation 4 is none", kpar_all_reduce(context, &number, 1, KPAR_INT32, (kpar_operation)4));
    EXPECT_ERROR(KPAR_EUNSUPPORTED, "average of int32", kpar_all_reduce(context, &number, 1, KPAR_INT32, KPAR_AVERAGE));
    EXPECT_ERROR(KPAR_EUSAGE, "more than there is memory", kpar_all_reduce(context, &number, huge, KPAR_INT32, KPAR_SUM));
    EXPECT_ERROR(KPAR_EUSAGE, "place for the handle", kpar_all_reduce_async(context, &number, 1, KPAR_INT32, KPAR_SUM, NULL));
    EXPECT_ERROR(KPAR_EUSAGE, "is NULL", kpar_all_gather(context, &number, NULL, 1, KPAR_INT32));
    EXPECT_ERROR(KPAR_EUSAGE, "is NULL", kpar_all_gather(context, NULL, all, 1, KPAR_INT32));
    EXPECT_ERROR(KPAR_EUSAGE, "place for the handle", kpar_all_gather_async(context, &number, all, 1, KPAR_INT32, NULL));
    EXPECT_ERROR(KPAR_EUNSUPPORTED, "can be gathered at once", kpar_all_gather(context, &number, all, INT_MAX, KPAR_INT32));
    EXPECT_ERROR(KPAR_EUSAGE, "root 2", kpar_broadcast(context, &number, 1, KPAR_INT32, 2));
    EXPECT_ERROR(KPAR_EUSAGE, "root -1", kpar_broadcast(context, &number, 1, KPAR_INT32, -1));
    EXPECT_ERROR(KPAR_EUSAGE, "is NULL", kpar_broadcast(context, NULL, 1, KPAR_INT32, 0));
    EXPECT_ERROR(KPAR_EUSAGE, "kpar_wait", kpar_wait(NULL));
    EXPECT_ERROR(KPAR_EUSAGE, "kpar_test", kpar_test(&handle, NULL));
    EXPECT(number == 7 && kpar_wait(&handle) == KPAR_OK);
}

START_TEST(wrong_arguments_of_collectives_are_told_before_anything_is_sent) { run_ranks(2, wrong_collectives); }
END_TEST

/* --- structs that grow --- */

typedef struct grown {
    size_t struct_bytes;
    int first, second;
} grown;
static const grown grown_defaults = {.first = 1, .second = 2};
static const kpar_versioned grown_kind = {"grown", &grown_defaults, sizeof grown_defaults};

START_TEST(a_struct_of_an_older_header_leaves_the_rest_at_its_default)
{
    grown given = {0}, own;
    memset(&given, 0xff, sizeof given);
    kpar_versioned_init(&grown_kind, &given, offsetof(grown, second));
    ck_assert_int_eq(given.second, -1); /* not the library's to touch */
    given.first = 5;
    ck_assert_int_eq(kpar_versioned_take(&grown_kind, &given, &own), KPAR_OK);
    ck_assert_int_eq(own.first, 5);
    ck_assert_int_eq(own.second, 2);
}
END_TEST

START_TEST(a_struct_of_a_newer_header_is_taken_unless_it_sets_what_is_new)
{
    struct {
        grown known;
        int third;
    } given;
    grown own;
    kpar_versioned_init(&grown_kind, &given, sizeof given);
    ck_assert_int_eq(kpar_versioned_take(&grown_kind, &given, &own), KPAR_OK);
    ck_assert_int_eq(own.second, 2);
    given.third = 1;
    ck_assert_int_eq(kpar_versioned_take(&grown_kind, &given, &own), KPAR_EUSAGE);
}
END_TEST

START_TEST(a_struct_that_was_not_initialized_is_told)
{
    grown given = {0}, own;
    ck_assert_int_eq(kpar_versioned_take(&grown_kind, &given, &own), KPAR_EUSAGE);
    ck_assert_str_eq(kpar_error_message(), "grown: struct_bytes is 0; call grown_init on it first");
    given.struct_bytes = SIZE_MAX;
    ck_assert_int_eq(kpar_versioned_take(&grown_kind, &given, &own), KPAR_EUSAGE);
}
END_TEST

/* --- model calls --- */

static kpar_training_options options_of(int pipeline)
{
    kpar_training_options options;
    kpar_training_options_init(&options, sizeof options);
    options.batch_size = 64;
    options.pipeline = pipeline;
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

static char folder[64], output[96];

static const char *path_of(const char *name)
{
    static _Thread_local char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void make_folder(void)
{
    strcpy(folder, "/tmp/kpar-test-api-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(output, sizeof output, "%s/model.keras", folder);
}

static void remove_folder(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
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
    const kpar_training_data train = data_of("x_train", "y_train"), test = data_of("x_test", "y_test"), unlabelled = data_of("x_test", NULL);
    kpar_training_fit_options fit = fit_options();
    kpar_training *training;
    double loss, validation, again;
    EXPECT(kpar_training_load(context, MODEL, &options, &training) == KPAR_OK);
    fit.epochs = 4;
    fit.validation = &test;
    EXPECT(kpar_training_fit(training, &train, &fit) == KPAR_OK);
    EXPECT(kpar_training_result_count(training) == 4 && strcmp(kpar_training_result_name(training, 2), "val_loss") == 0);
    EXPECT(kpar_training_result(training, "loss", &loss) == KPAR_OK && kpar_training_result(training, "val_accuracy", &validation) == KPAR_OK);
    EXPECT(loss < 1 && validation > 0.8);
    EXPECT(kpar_training_evaluate(training, &test) == KPAR_OK && kpar_training_result(training, "accuracy", &again) == KPAR_OK);
    EXPECT(again == validation && kpar_training_result_count(training) == 2);
    EXPECT(kpar_training_predict(training, &unlabelled) == KPAR_OK);
    if (kpar_rank(context) == 0) EXPECT(has_predictions(training));
    EXPECT(kpar_training_save(training, output) == KPAR_OK);
    kpar_training_free(training);
    EXPECT(kpar_training_load(context, output, &options, &training) == KPAR_OK);
    EXPECT(kpar_training_evaluate(training, &test) == KPAR_OK && kpar_training_result(training, "accuracy", &again) == KPAR_OK);
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
        EXPECT(kpar_training_fit(training, &data, &fit) == KPAR_OK && kpar_training_result(training, "loss", &losses[i]) == KPAR_OK);
        kpar_training_free(training);
    }
    EXPECT(losses[0] == losses[1] && losses[2] == 0);
}

START_TEST(classes_that_are_given_no_weight_have_one) { run_ranks(1, weighted); }
END_TEST

/* Options that differ from the defaults in one member each, and the words of the message. */
typedef void (*change)(kpar_training_options *options);
#define CHANGE(name, statement) \
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
    EXPECT_ERROR(KPAR_EIO, "nothing.keras", kpar_training_load(context, "nothing.keras", &options, &training));
    EXPECT_ERROR(KPAR_EUSAGE, "context is NULL", kpar_training_load(NULL, MODEL, &options, &training));
}

START_TEST(options_that_cannot_be_are_named_on_all_ranks) { run_ranks(2, loading_wrongly); }
END_TEST

static void calling_wrongly(kpar_context *context, char *failure)
{
    const kpar_training_options options = options_of(1);
    kpar_training_data data = data_of("x_train", "y_train"), several = data_of("x_train,x_test", "y_train"), empty = data_of(",", "y_train"),
                       absent = data_of("x_train", "z"), nowhere = data_of(NULL, NULL), unlabelled = data_of("x_train", NULL);
    kpar_training *training, *second;
    const float *values;
    const int64_t *dims;
    double value;
    int rank;
    nowhere.path = NULL;
    EXPECT(kpar_training_load(context, MODEL, &options, &training) == KPAR_OK);
    EXPECT_ERROR(KPAR_EUSAGE, "the context has a training", kpar_training_load(context, MODEL, &options, &second));
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
    EXPECT_ERROR(KPAR_EUSAGE, "kpar_training_predict first", kpar_training_prediction(training, 0, &values, &rank, &dims));
    EXPECT(kpar_training_predict(training, &data) == KPAR_OK);
    EXPECT_ERROR(KPAR_EUSAGE, "output 1; the model's are 0 to 0", kpar_training_prediction(training, 1, &values, &rank, &dims));
    EXPECT(kpar_training_prediction(training, 0, &values, &rank, &dims) == KPAR_OK && !values == (kpar_rank(context) > 0));
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
    static const char *const words[] = {"epochs", "steps", "from 0 up to 1", "0 where validation", "checkpoint_every: expected", "verbose",
                                        "n_class_weights: expected 0 where", "class_weights: expected", "need a checkpoint folder", "0 would train",
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
    for (int i = 0; i < 10; i++) EXPECT_ERROR(KPAR_EUSAGE, words[i], kpar_training_fit(training, &data, &o[i]));
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

/* After all other tests: nothing of theirs is left. */
START_TEST(everything_is_freed)
{
    const size_t live = kpar_alloc_live();
    run_ranks(2, gathering);
    run_ranks(2, calling_wrongly);
    ck_assert_uint_eq(kpar_alloc_live(), live);
}
END_TEST

static void add_collectives(Suite *suite)
{
    TCase *tests = tcase_create("collectives");
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, ranks_know_their_number_and_their_node);
    tcase_add_test(tests, a_null_context_is_no_crash);
    tcase_add_test(tests, finalizing_with_a_handle_under_way_is_refused);
    tcase_add_test(tests, every_type_is_summed_averaged_and_compared);
    tcase_add_test(tests, long_buffers_go_in_pieces);
    tcase_add_test(tests, collectives_are_started_in_order_and_waited_for_in_any);
    tcase_add_test(tests, every_rank_gathers_the_parts_of_all);
    tcase_add_test(tests, every_rank_can_be_the_root_of_a_broadcast);
    tcase_add_test(tests, a_count_of_zero_is_fine);
    tcase_add_test(tests, wrong_arguments_of_collectives_are_told_before_anything_is_sent);
    suite_add_tcase(suite, tests);
}

static void add_model_calls(Suite *suite)
{
    TCase *tests = tcase_create("model calls");
    tcase_set_timeout(tests, 0);
    tcase_add_checked_fixture(tests, make_folder, remove_folder);
    tcase_add_test(tests, a_struct_of_an_older_header_leaves_the_rest_at_its_default);
    tcase_add_test(tests, a_struct_of_a_newer_header_is_taken_unless_it_sets_what_is_new);
    tcase_add_test(tests, a_struct_that_was_not_initialized_is_told);
    tcase_add_test(tests, a_model_is_trained_evaluated_asked_saved_and_loaded_again);
    tcase_add_test(tests, a_fit_that_goes_on_from_a_checkpoint_ends_as_one_that_never_stopped);
    tcase_add_test(tests, classes_that_are_given_no_weight_have_one);
    tcase_add_test(tests, options_that_cannot_be_are_named_on_all_ranks);
    tcase_add_test(tests, calls_that_cannot_be_are_told_and_leave_the_training_usable);
    tcase_add_test(tests, fit_options_that_cannot_be_are_named);
    tcase_add_test(tests, a_null_training_is_no_crash);
    tcase_add_test(tests, everything_is_freed);
    suite_add_tcase(suite, tests);
}

int main(void)
{
    Suite *suite = suite_create("api");
    add_collectives(suite);
    add_model_calls(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
