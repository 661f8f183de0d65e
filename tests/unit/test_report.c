/* Consumers of events: what a user sees on a terminal and elsewhere, the CSV log, the JSON run file. */
#include "base/memory.h"
#include "data/output.h"
#include "report/report.h"
#include "unit.h"

#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void read_file(const char *path, char *text, size_t capacity)
{
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, capacity - 1, file)] = '\0';
    fclose(file);
}

static const kpar_named_value logs[] = {{"loss", 1.5}, {"accuracy", 0.25}, {"val_loss", 2.0 / 3}};
static const kpar_named_text facts[] = {{"model", "digits.keras"}, {"mesh", "2x2x1"}};
static const kpar_named_value plan[] = {{"step_seconds", 0.125}};

static void tell(kpar_report *report, const kpar_event *event)
{
    ck_assert_msg(kpar_report_event(report, event) == KPAR_OK, "%s", kpar_error_message());
}

/* An epoch of `steps` steps of 0.04 seconds and 8 rows each. */
static void run_epoch(kpar_report *report, int64_t epoch, int64_t epochs, int64_t steps, size_t n_logs)
{
    tell(report,
         &(kpar_event){.kind = KPAR_EVENT_EPOCH_BEGIN, .epoch = epoch, .epochs = epochs, .steps = steps});
    for (int64_t step = 1; step <= steps; step++)
        tell(report, &(kpar_event){.kind = KPAR_EVENT_STEP,
                                   .epoch = epoch,
                                   .epochs = epochs,
                                   .step = step,
                                   .steps = steps,
                                   .rows = 8 * step,
                                   .seconds = 0.04 * (double)step,
                                   .samples_per_second = 200,
                                   .logs = logs,
                                   .n_logs = 2});
    tell(report, &(kpar_event){.kind = KPAR_EVENT_EPOCH_END,
                               .epoch = epoch,
                               .epochs = epochs,
                               .step = steps,
                               .steps = steps,
                               .rows = 8 * steps,
                               .seconds = 0.04 * (double)steps,
                               .samples_per_second = 200,
                               .logs = logs,
                               .n_logs = n_logs});
}

static void run(kpar_report *report, int64_t first_epoch, int64_t epochs, int64_t steps)
{
    tell(report, &(kpar_event){.kind = KPAR_EVENT_RUN_BEGIN,
                               .epoch = first_epoch,
                               .epochs = epochs,
                               .facts = facts,
                               .n_facts = 2,
                               .plan = plan,
                               .n_plan = 1});
    for (int64_t epoch = first_epoch; epoch < epochs; epoch++) run_epoch(report, epoch, epochs, steps, 3);
    tell(report, &(kpar_event){.kind = KPAR_EVENT_RUN_END,
                               .step = steps * (epochs - first_epoch),
                               .rows = 8 * steps * (epochs - first_epoch),
                               .seconds = 12.5,
                               .samples_per_second = 200,
                               .compute_seconds = 10.5,
                               .wait_seconds = 1.5,
                               .bytes_read = 4096,
                               .bytes_sent = 1024,
                               .peak_rank_bytes = 12345678});
}

/* What the progress of a run of `epochs` epochs of `steps` steps prints; free it. */
static char *progress_of(kpar_progress_options options, int64_t epochs, int64_t steps)
{
    char *text = NULL;
    size_t length = 0;
    options.stream = open_memstream(&text, &length);
    kpar_report *report = kpar_report_create();
    kpar_report_add(report, kpar_progress_create(&options));
    run(report, 0, epochs, steps);
    kpar_report_destroy(report);
    fclose(options.stream);
    return text;
}

static int occurrences(const char *text, const char *wanted)
{
    int count = 0;
    for (; (text = strstr(text, wanted)); text += strlen(wanted)) count++;
    return count;
}

START_TEST(without_a_terminal_an_epoch_is_a_line)
{
    for (int verbose = 1; verbose <= 2; verbose++) {
        char *text = progress_of((kpar_progress_options){.verbose = verbose}, 2, 100);
        ck_assert_str_eq(text,
                         "Epoch 1/2 - 100/100 - 4s 40ms/step - 200 samples/s - loss: 1.5000 - accuracy: "
                         "0.2500 - val_loss: 0.6667\n"
                         "Epoch 2/2 - 100/100 - 4s 40ms/step - 200 samples/s - loss: 1.5000 - accuracy: "
                         "0.2500 - val_loss: 0.6667\n"
                         "Finished 200 steps in 12.50 s: computing 10.50 s, waiting 1.50 s, 200 samples/s\n");
        free(text);
    }
}
END_TEST

START_TEST(steps_of_an_earlier_run_are_not_in_the_time_of_a_step)
{
    char *text;
    size_t length;
    kpar_progress_options options = {.verbose = 1, .stream = open_memstream(&text, &length)};
    kpar_report *report = kpar_report_create();
    kpar_report_add(report, kpar_progress_create(&options));
    tell(report, &(kpar_event){.kind = KPAR_EVENT_EPOCH_BEGIN, .epochs = 1, .step = 6, .steps = 10});
    tell(report,
         &(kpar_event){.kind = KPAR_EVENT_EPOCH_END, .epochs = 1, .step = 10, .steps = 10, .seconds = 4});
    tell(report, &(kpar_event){.kind = KPAR_EVENT_RUN_END, .step = 0, .seconds = 5});
    kpar_report_destroy(report);
    fclose(options.stream);
    ck_assert_str_eq(text, "Epoch 1/1 - 10/10 - 4s 1s/step\n"
                           "Finished in 5.00 s: computing 0.00 s, waiting 0.00 s\n");
    free(text);
}
END_TEST

START_TEST(verbose_0_is_silent_and_2_has_no_bar_on_a_terminal)
{
    char *silent = progress_of((kpar_progress_options){.terminal = true}, 2, 100);
    ck_assert_str_eq(silent, "");
    free(silent);
    char *plain = progress_of((kpar_progress_options){.terminal = true, .verbose = 2}, 2, 100);
    ck_assert_ptr_null(strchr(plain, '\r'));
    free(plain);
}
END_TEST

START_TEST(on_a_terminal_one_line_is_redrawn_at_most_ten_times_a_second)
{
    char *text = progress_of((kpar_progress_options){.terminal = true, .verbose = 1, .columns = 200}, 1, 100);
    ck_assert_int_eq(occurrences(text, "\n"), 3);
    ck_assert_int_le(occurrences(text, "\r"), 42); /* 4 seconds, the first and the last */
    ck_assert_int_ge(occurrences(text, "\r"), 30);
    ck_assert_ptr_nonnull(strstr(text, "Epoch 1/1\n\r1/100 [>...................] 3s 40ms/step - 200 "
                                       "samples/s - loss: 1.5000 - accuracy: 0.2500\x1b[K\r"));
    ck_assert_ptr_nonnull(
        strstr(text, "\r100/100 [====================] 4s 40ms/step - 200 samples/s - loss: 1.5000"));
    free(text);
}
END_TEST

START_TEST(a_line_that_is_drawn_over_fits_the_terminal)
{
    char *text = progress_of((kpar_progress_options){.terminal = true, .verbose = 1, .columns = 40}, 1, 100);
    size_t n_drawn = 0;
    strtok(text, "\r"); /* what is before the first line drawn */
    for (const char *line = strtok(NULL, "\r"); line; line = strtok(NULL, "\r")) {
        if (strchr(line, '\n')) break; /* not drawn over: as long as it likes */
        const char *end = strstr(line, "\x1b[K");
        ck_assert_ptr_nonnull(end);
        ck_assert_int_le(end - line, 39);
        n_drawn++;
    }
    ck_assert_uint_gt(n_drawn, 1);
    free(text);
}
END_TEST

START_TEST(a_message_does_not_tear_the_bar)
{
    char *text = NULL;
    size_t length = 0;
    kpar_progress_options options = {
        .terminal = true, .verbose = 1, .stream = open_memstream(&text, &length)};
    kpar_report *report = kpar_report_create();
    kpar_report_add(report, kpar_progress_create(&options));
    tell(report, &(kpar_event){.kind = KPAR_EVENT_EPOCH_BEGIN, .epochs = 1, .steps = 2});
    tell(report, &(kpar_event){.kind = KPAR_EVENT_STEP, .epochs = 1, .step = 1, .steps = 2, .seconds = 70});
    ck_assert_int_eq(kpar_report_message(report, "saved %d", 7), KPAR_OK);
    kpar_report_destroy(report);
    fclose(options.stream);
    ck_assert_str_eq(text, "Epoch 1/1\n\r1/2 [==========>.........] 1:10 70s/step\x1b[K\nsaved 7\n");
    free(text);
}
END_TEST

START_TEST(small_values_and_values_that_are_not_finite_are_printed)
{
    char *text = NULL;
    size_t length = 0;
    const kpar_named_value odd[] = {{"tiny", 1.25e-5}, {"zero", 0}, {"bad", NAN}};
    kpar_progress_options options = {.verbose = 1, .stream = open_memstream(&text, &length)};
    kpar_report *report = kpar_report_create();
    kpar_report_add(report, kpar_progress_create(&options));
    tell(report, &(kpar_event){.kind = KPAR_EVENT_EVALUATE_END,
                               .step = 2,
                               .steps = 2,
                               .seconds = 7300,
                               .logs = odd,
                               .n_logs = 3});
    kpar_report_destroy(report);
    fclose(options.stream);
    ck_assert_str_eq(text,
                     "Evaluation - 2/2 - 2:01:40 3650s/step - tiny: 1.2500e-05 - zero: 0.0000 - bad: nan\n");
    free(text);
}
END_TEST

/* A report with a CSV log. */
static kpar_report *csv_report(int64_t first_epoch)
{
    kpar_consumer *csv = NULL;
    ck_assert_msg(kpar_csv_create(path_of("log.csv"), first_epoch, &csv) == KPAR_OK, "%s",
                  kpar_error_message());
    kpar_report *report = kpar_report_create();
    kpar_report_add(report, csv);
    return report;
}

START_TEST(the_csv_log_has_keras_columns_and_a_row_an_epoch)
{
    char text[1024];
    kpar_report *report = csv_report(0);
    run_epoch(report, 0, 2, 3, 3);
    read_file(path_of("log.csv"), text, sizeof text);
    ck_assert_str_eq(text, "epoch,accuracy,loss,val_loss\n0,0.25,1.5,0.6666666666666666\n");
    run_epoch(report, 1, 2, 3, 3);
    kpar_report_destroy(report);
    read_file(path_of("log.csv"), text, sizeof text);
    ck_assert_str_eq(
        text, "epoch,accuracy,loss,val_loss\n0,0.25,1.5,0.6666666666666666\n1,0.25,1.5,0.6666666666666666\n");
}
END_TEST

START_TEST(columns_of_a_vector_are_in_its_order)
{
    static const kpar_named_value vector[] = {{"f[2]", 2}, {"f[10]", 10}, {"f", 3},
                                              {"f[9]", 9}, {"e", 1},      {"f_1[0]", 0}};
    char text[1024];
    kpar_report *report = csv_report(0);
    tell(report, &(kpar_event){.kind = KPAR_EVENT_EPOCH_END, .logs = vector, .n_logs = 6});
    kpar_report_destroy(report);
    read_file(path_of("log.csv"), text, sizeof text);
    ck_assert_str_eq(text, "epoch,e,f,f[2],f[9],f[10],f_1[0]\n0,1,3,2,9,10,0\n");
}
END_TEST

START_TEST(a_resumed_run_has_each_epoch_once_in_its_log)
{
    char text[1024], resumed[1024];
    kpar_report *report = csv_report(0);
    run(report, 0, 4, 2);
    kpar_report_destroy(report);
    read_file(path_of("log.csv"), text, sizeof text);
    FILE *file = fopen(path_of("log.csv"), "a");
    fputs("4,0.2", file); /* cut by a crash */
    fclose(file);
    report = csv_report(2);
    run(report, 2, 4, 2);
    kpar_report_destroy(report);
    read_file(path_of("log.csv"), resumed, sizeof resumed);
    ck_assert_str_eq(resumed, text);
}
END_TEST

START_TEST(a_log_with_other_columns_is_not_mixed_with_this_run)
{
    kpar_report *report = csv_report(0);
    run_epoch(report, 0, 2, 1, 3);
    kpar_report_destroy(report);
    report = csv_report(1);
    const kpar_event epoch = {
        .kind = KPAR_EVENT_EPOCH_END, .epoch = 1, .epochs = 2, .logs = logs, .n_logs = 2};
    ck_assert_int_eq(kpar_report_event(report, &epoch), KPAR_EDATA);
    ck_assert_ptr_nonnull(strstr(kpar_error_message(), "epoch,accuracy,loss,val_loss"));
    kpar_report_destroy(report);
}
END_TEST

START_TEST(names_with_commas_are_quoted)
{
    char text[256];
    const kpar_named_value odd[] = {{"a,\"b\"", 1}};
    kpar_report *report = csv_report(0);
    tell(report, &(kpar_event){.kind = KPAR_EVENT_EPOCH_END, .logs = odd, .n_logs = 1});
    kpar_report_destroy(report);
    read_file(path_of("log.csv"), text, sizeof text);
    ck_assert_str_eq(text, "epoch,\"a,\"\"b\"\"\"\n0,1\n");
}
END_TEST

START_TEST(files_in_a_missing_folder_are_refused_before_the_run)
{
    kpar_consumer *consumer = NULL;
    ck_assert_int_eq(kpar_csv_create(path_of("none/log.csv"), 0, &consumer), KPAR_EIO);
    ck_assert_ptr_nonnull(strstr(kpar_error_message(), "none/log.csv"));
    ck_assert_ptr_null(consumer);
    ck_assert_int_eq(kpar_run_file_create(path_of("none/run.json"), &consumer), KPAR_EIO);
    ck_assert_ptr_nonnull(strstr(kpar_error_message(), "none/run.json"));
    ck_assert_ptr_null(consumer);
}
END_TEST

/* A report with a run file. */
static kpar_report *run_file_report(void)
{
    kpar_consumer *consumer = NULL;
    ck_assert_msg(kpar_run_file_create(path_of("run.json"), &consumer) == KPAR_OK, "%s",
                  kpar_error_message());
    kpar_report *report = kpar_report_create();
    kpar_report_add(report, consumer);
    return report;
}

static json_t *load_run_file(void)
{
    json_error_t error;
    json_t *document = json_load_file(path_of("run.json"), JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(document != NULL, "%s", error.text);
    return document;
}

static double number_at(const json_t *document, const char *member)
{
    return json_number_value(json_object_get(document, member));
}

START_TEST(the_run_file_has_the_figures_of_the_run)
{
    kpar_report *report = run_file_report();
    tell(report, &(kpar_event){.kind = KPAR_EVENT_CHECKPOINT, .text = "ck/step-00000003"});
    run(report, 0, 2, 3);
    kpar_report_destroy(report);
    json_t *document = load_run_file();
    ck_assert_str_eq(json_string_value(json_object_get(document, "schema")), "kpar.run/1");
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(document, "facts"), "mesh")), "2x2x1");
    ck_assert(number_at(json_object_get(document, "plan"), "step_seconds") == 0.125);
    ck_assert(number_at(document, "seconds") == 12.5);
    ck_assert(number_at(document, "samples_per_second") == 200);
    ck_assert(number_at(document, "bytes_read") == 4096);
    ck_assert(number_at(document, "epochs") == 2);
    ck_assert(number_at(document, "steps") == 6);
    ck_assert_uint_eq(json_array_size(json_object_get(document, "losses")), 2);
    const json_t *metrics = json_object_get(document, "metrics");
    ck_assert_ptr_null(json_object_get(metrics, "loss"));
    ck_assert(json_number_value(json_array_get(json_object_get(metrics, "val_loss"), 1)) == 2.0 / 3);
    ck_assert(json_is_null(json_object_get(document, "evaluation")));
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(document, "checkpoints"), 0)),
                     "ck/step-00000003");
    json_decref(document);
}
END_TEST

START_TEST(epochs_without_validation_and_losses_that_are_not_finite_are_null)
{
    const kpar_named_value bad[] = {{"loss", INFINITY}};
    kpar_report *report = run_file_report();
    run_epoch(report, 0, 4, 1, 2);
    run_epoch(report, 1, 4, 1, 3);
    tell(report,
         &(kpar_event){.kind = KPAR_EVENT_EPOCH_END, .epoch = 2, .epochs = 4, .logs = bad, .n_logs = 1});
    tell(report, &(kpar_event){.kind = KPAR_EVENT_EVALUATE_END, .logs = logs, .n_logs = 2});
    tell(report, &(kpar_event){.kind = KPAR_EVENT_RUN_END});
    kpar_report_destroy(report);
    json_t *document = load_run_file();
    const json_t *values = json_object_get(json_object_get(document, "metrics"), "val_loss");
    ck_assert_uint_eq(json_array_size(values), 3);
    ck_assert(json_is_null(json_array_get(values, 0)) && json_is_real(json_array_get(values, 1)) &&
              json_is_null(json_array_get(values, 2)));
    ck_assert(json_is_null(json_array_get(json_object_get(document, "losses"), 2)));
    ck_assert(number_at(json_object_get(document, "evaluation"), "accuracy") == 0.25);
    json_decref(document);
}
END_TEST

START_TEST(a_failed_run_leaves_the_old_run_file)
{
    char text[16];
    ck_assert_int_eq(kpar_new_file_put(path_of("run.json"), "old", 3), KPAR_OK);
    kpar_report *report = run_file_report();
    run_epoch(report, 0, 1, 1, 2);
    kpar_report_destroy(report);
    read_file(path_of("run.json"), text, sizeof text);
    ck_assert_str_eq(text, "old");
}
END_TEST

START_TEST(one_consumers_failure_does_not_keep_events_from_others)
{
    kpar_report *report = run_file_report();
    kpar_consumer *second = NULL;
    ck_assert_int_eq(kpar_csv_create(path_of("log.csv"), 0, &second), KPAR_OK);
    kpar_report_add(report, second);
    run_epoch(report, 0, 1, 1, 2);
    kpar_new_file_fail_at(1);
    ck_assert_int_eq(kpar_report_event(report, &(kpar_event){.kind = KPAR_EVENT_RUN_END}), KPAR_EIO);
    ck_assert_ptr_nonnull(strstr(kpar_error_message(), "run.json"));
    kpar_new_file_fail_at(0);
    kpar_report_destroy(report);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("report");
    TCase *cases = tcase_create("consumers");
    tcase_add_checked_fixture(cases, make_folder, remove_folder);
    tcase_add_test(cases, without_a_terminal_an_epoch_is_a_line);
    tcase_add_test(cases, steps_of_an_earlier_run_are_not_in_the_time_of_a_step);
    tcase_add_test(cases, verbose_0_is_silent_and_2_has_no_bar_on_a_terminal);
    tcase_add_test(cases, on_a_terminal_one_line_is_redrawn_at_most_ten_times_a_second);
    tcase_add_test(cases, a_line_that_is_drawn_over_fits_the_terminal);
    tcase_add_test(cases, a_message_does_not_tear_the_bar);
    tcase_add_test(cases, small_values_and_values_that_are_not_finite_are_printed);
    tcase_add_test(cases, the_csv_log_has_keras_columns_and_a_row_an_epoch);
    tcase_add_test(cases, columns_of_a_vector_are_in_its_order);
    tcase_add_test(cases, a_resumed_run_has_each_epoch_once_in_its_log);
    tcase_add_test(cases, a_log_with_other_columns_is_not_mixed_with_this_run);
    tcase_add_test(cases, names_with_commas_are_quoted);
    tcase_add_test(cases, files_in_a_missing_folder_are_refused_before_the_run);
    tcase_add_test(cases, the_run_file_has_the_figures_of_the_run);
    tcase_add_test(cases, epochs_without_validation_and_losses_that_are_not_finite_are_null);
    tcase_add_test(cases, a_failed_run_leaves_the_old_run_file);
    tcase_add_test(cases, one_consumers_failure_does_not_keep_events_from_others);
    suite_add_tcase(suite, cases);
    return run_suite(suite);
}
