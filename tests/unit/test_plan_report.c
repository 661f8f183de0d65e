/* What a plan predicts: figures against ones made by hand, and meshes of any size in a moment. */
#include "plan/report.h"

#include "keras_fixture.h"
#include "unit.h"

typedef struct planned {
    kpar_model *model;
    kpar_catalog *catalog;
    kpar_plan *plan;
    kpar_plan_report *report;
} planned;

static planned plan(const char *name, kpar_mesh mesh, int microbatches, int ranks_per_node, unsigned modes)
{
    planned p = {.catalog = kpar_catalog_create()};
    kpar_keras_file *file;
    size_t length;
    ck_assert_int_eq(kpar_keras_open(case_model(name), &file), KPAR_OK);
    const char *config = kpar_keras_config(file, &length);
    ck_assert_int_eq(kpar_keras_describe(name, config, length, &p.model), KPAR_OK);
    kpar_keras_close(file);
    const int n = kpar_mesh_size(mesh);
    int *nodes = kpar_alloc((size_t)n * sizeof *nodes);
    for (int i = 0; i < n; i++) nodes[i] = i / ranks_per_node;
    const kpar_plan_options options = {.mesh = mesh,
                                       .batch_size = 1024,
                                       .microbatches = microbatches,
                                       .zero = 1,
                                       .windows = true,
                                       .nodes = nodes,
                                       .device = &kpar_device_null,
                                       .real = KPAR_F32};
    ck_assert_msg(kpar_plan_create(p.model, p.catalog, &options, modes, &p.plan) == KPAR_OK, "%s",
                  kpar_error_message());
    ck_assert_msg(kpar_plan_report_create(p.plan, 1, &p.report) == KPAR_OK, "%s", kpar_error_message());
    kpar_free(nodes);
    return p;
}

static planned plan_training(const char *name, kpar_mesh mesh, int microbatches, int ranks_per_node)
{
    return plan(name, mesh, microbatches, ranks_per_node, 1u << KPAR_MODE_TRAIN);
}

static void end(planned *p)
{
    kpar_plan_report_destroy(p->report);
    kpar_plan_destroy(p->plan);
    kpar_catalog_destroy(p->catalog);
    kpar_model_destroy(p->model);
}

START_TEST(one_rank_holds_the_whole_model_and_never_waits)
{
    planned p = plan_training("opt_adam", (kpar_mesh){1, 1, 1}, 1, 1);
    const kpar_plan_rank *row = &p.report->rows[0];
    ck_assert_uint_eq(p.report->n_rows, 1);
    ck_assert_int_eq(row->parameters, 565); /* (12+1)16 + (16+1)16 + (16+1)5 */
    ck_assert_uint_eq(row->weight_bytes, 4 * 565);
    ck_assert_uint_eq(row->optimizer_bytes, 2 * 4 * 565 + 8 + 4); /* two slots, iteration, learning rate */
    ck_assert_uint_gt(row->memory_bytes, row->weight_bytes + row->optimizer_bytes + row->buffer_bytes);
    ck_assert_uint_eq(row->sent_bytes, 0);
    ck_assert(row->flops >
              2.0 * 1024 * (12 * 16 + 16 * 16 + 16 * 5) * 2); /* forward, and backward nearly twice that */
    ck_assert(row->compute_seconds > 0 && p.report->step_seconds >= row->compute_seconds);
    ck_assert_double_eq_tol(p.report->bubble, 0, 1e-9);
    ck_assert_str_eq(row->first_layer, "dense");
    ck_assert_str_eq(row->last_layer, "loss");
    end(&p);
}
END_TEST

START_TEST(the_optimizer_is_shared_out_among_replicas_and_the_layers_among_stages)
{
    planned whole = plan_training("opt_adam", (kpar_mesh){1, 1, 1}, 1, 1),
            p = plan_training("opt_adam", (kpar_mesh){2, 2, 1}, 4, 4);
    int64_t parameters[2] = {0};
    size_t slots = 0;
    ck_assert_uint_eq(p.report->n_rows, 4);
    for (int rank = 0; rank < 4; rank++) {
        const kpar_plan_rank *row = &p.report->rows[rank];
        ck_assert_int_eq(row->stage, rank / 2);
        parameters[rank % 2] += row->parameters;
        slots += row->optimizer_bytes - 8 - 4;
        ck_assert_uint_gt(row->sent_bytes, 0);
        ck_assert(row->end_seconds <= p.report->step_seconds);
    }
    ck_assert_int_eq(parameters[0], 565);
    ck_assert_int_eq(parameters[1], 565);
    ck_assert_uint_eq(slots, whole.report->rows[0].optimizer_bytes - 8 - 4);
    ck_assert(p.report->bubble > 0 && p.report->bubble < 1);
    end(&p);
    end(&whole);
}
END_TEST

START_TEST(predicting_needs_no_optimizer_and_no_gradients)
{
    planned p = plan("opt_adam", (kpar_mesh){1, 1, 1}, 1, 1, 1u << KPAR_MODE_PREDICT);
    ck_assert_int_eq(p.report->mode, KPAR_MODE_PREDICT);
    ck_assert_int_eq(p.report->rows[0].parameters, 565);
    ck_assert_uint_lt(p.report->rows[0].optimizer_bytes, 4 * 565);
    end(&p);
}
END_TEST

START_TEST(large_meshes_are_described_by_each_stages_first_rank)
{
    planned p = plan_training("deep_mlp8", (kpar_mesh){512, 2, 1}, 2, 1024);
    ck_assert(p.report->estimated);
    ck_assert_uint_eq(p.report->n_rows, 2);
    ck_assert_int_eq(p.report->rows[0].first_rank, 0);
    ck_assert_int_eq(p.report->rows[0].last_rank, 511);
    ck_assert_int_eq(p.report->rows[1].last_rank, 1023);
    ck_assert(p.report->step_seconds > p.report->rows[0].compute_seconds);
    end(&p);
}
END_TEST

START_TEST(ranks_over_nodes_are_simulated)
{
    planned p = plan_training("deep_mlp8", (kpar_mesh){64, 1, 1}, 1, 8);
    ck_assert(!p.report->estimated);
    ck_assert_uint_eq(p.report->n_rows, 64);
    end(&p);
}
END_TEST

static int count_lines(const char *text)
{
    int n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

START_TEST(ranks_that_look_the_same_are_one_line)
{
    planned p = plan_training("opt_sgd", (kpar_mesh){1, 1, 4}, 1, 4);
    kpar_text text = {0};
    kpar_plan_report_print(p.report, &text);
    ck_assert_msg(count_lines(kpar_text_get(&text)) < 1 + 4 + 1, "%s", kpar_text_get(&text));
    ck_assert_ptr_nonnull(strstr(kpar_text_get(&text), "Predicted: a step (train) in "));
    kpar_text_clear(&text);
    end(&p);
}
END_TEST

START_TEST(values_for_programs_are_sums_over_ranks)
{
    planned one = plan_training("opt_sgd", (kpar_mesh){1, 1, 1}, 1, 1),
            two = plan_training("opt_sgd", (kpar_mesh){2, 1, 1}, 1, 2);
    size_t n, m;
    const kpar_plan_value *a = kpar_plan_report_values(one.report, &n),
                          *b = kpar_plan_report_values(two.report, &m);
    ck_assert_uint_eq(n, m);
    for (size_t i = 0; i < n; i++) {
        ck_assert_str_eq(a[i].name, b[i].name);
        if (strcmp(a[i].name, "flops_per_step") == 0)
            ck_assert(b[i].value > 0.9 * a[i].value && b[i].value < 1.3 * a[i].value);
        if (strcmp(a[i].name, "rank_weight_bytes") == 0) ck_assert_double_eq(a[i].value, b[i].value);
        if (strcmp(a[i].name, "sent_bytes_per_step") == 0) ck_assert(a[i].value == 0 && b[i].value > 0);
    }
    end(&one);
    end(&two);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan_report");
    TCase *tests = tcase_create("predictions");
    tcase_set_timeout(tests, 0);
    tcase_add_test(tests, one_rank_holds_the_whole_model_and_never_waits);
    tcase_add_test(tests, the_optimizer_is_shared_out_among_replicas_and_the_layers_among_stages);
    tcase_add_test(tests, predicting_needs_no_optimizer_and_no_gradients);
    tcase_add_test(tests, large_meshes_are_described_by_each_stages_first_rank);
    tcase_add_test(tests, ranks_over_nodes_are_simulated);
    tcase_add_test(tests, ranks_that_look_the_same_are_one_line);
    tcase_add_test(tests, values_for_programs_are_sums_over_ranks);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
