/* Lowering of whole models: losses and metrics over weighted rows, and the catalog. */
#include "model_fixture.h"

/* Reduction over rows */

static const double two_rows[] = {1, 2, 3, 5, 7, 7};
static const double two_labels[] = {0, 0, 0, 1, 0, 0};
static const double half_weights[] = {0.5, 2, 0}, first_two[] = {1, 1, 0};

/* Loss of three rows, of which the last is not real, with weights 1/2 and 2. The row values are 2.5, 12.5, 49. */
static double reduced(const char *reduction)
{
    char text[512];
    snprintf(text, sizeof text,
             "{\"layers\": [" INPUT(
                 "2") "], \"outputs\": [0], \"losses\": [{\"class_name\": \"MeanSquaredError\", "
                      "\"config\": {\"reduction\": \"%s\"}}]}",
             reduction);
    lowered l = lower_ok(text, KPAR_MODE_EVALUATE);
    feed f = {
        .l = &l, .features = two_rows, .labels = two_labels, .weights = half_weights, .mask = first_two};
    evaluation e = run(&f, 3);
    double loss = reported(&l, &e, "loss");
    ck_assert_int_eq(l.lowering.loss, -1);
    evaluation_free(&e);
    lowered_free(&l);
    return loss;
}

START_TEST(rows_that_are_not_real_count_for_nothing)
{
    const double sum = 0.5 * 2.5 + 2 * 12.5;
    assert_near(reduced("sum"), sum, 1e-12, "sum");
    assert_near(reduced("sum_over_batch_size"), sum / 2, 1e-12, "sum_over_batch_size");
    assert_near(reduced("mean"), sum / 2, 1e-12, "mean");
    assert_near(reduced("mean_with_sample_weight"), sum / 2.5, 1e-12, "mean_with_sample_weight");
}
END_TEST

START_TEST(denominators_are_facts_and_the_loss_exists_in_each_microbatch)
{
    lowered l =
        lower_ok("{\"layers\": [" INPUT(
                     "2") ", {\"class_name\": \"Dense\", \"config\": {\"units\": 2}, \"from\": [0]}], "
                          "\"outputs\": [1], \"losses\": [\"mse\"], " ADAM "}",
                 KPAR_MODE_TRAIN);
    int facts = 0;
    for (size_t i = 0; i < l.graph->n_values; i++) facts += l.graph->values[i].phase == KPAR_PHASE_FACTS;
    ck_assert_int_gt(facts, 0);
    ck_assert_int_eq(l.graph->values[l.lowering.loss].phase, KPAR_PHASE_MICROBATCH);
    ck_assert_int_eq(l.graph->values[l.lowering.loss].shape.rank, 0);
    ck_assert_int_eq(l.graph->values[report_value(&l, 0)].phase, KPAR_PHASE_UPDATE);
    ck_assert_int_eq(l.graph->values[l.gradients[0]].phase, KPAR_PHASE_MICROBATCH);
    lowered_free(&l);
}
END_TEST

#define CLASSIFIER(activation, loss)                                                                         \
    "{\"layers\": [" INPUT(                                                                                  \
        "2") ", {\"class_name\": \"Activation\", \"config\": {\"activation\": \"" activation                 \
             "\"}, \"from\": [0]}], \"outputs\": [1], \"losses\": [\"" loss "\"]}"

static double loss_of(const char *text, const double *features, const double *label)
{
    lowered l = lower_ok(text, KPAR_MODE_EVALUATE);
    feed f = {.l = &l, .features = features, .labels = label};
    evaluation e = run(&f, 1);
    double loss = reported(&l, &e, "loss");
    evaluation_free(&e);
    lowered_free(&l);
    return loss;
}

START_TEST(a_hopeless_row_costs_its_logits_where_the_prediction_comes_straight_from_softmax_or_sigmoid)
{
    const double wide[] = {120, 0}, second[] = {1}, apart[] = {0, 1};
    assert_near(loss_of(CLASSIFIER("softmax", "sparse_categorical_crossentropy"), wide, second), 120, 1e-9,
                "sparse");
    assert_near(loss_of(CLASSIFIER("softmax", "categorical_crossentropy"), wide, apart), 120, 1e-9,
                "categorical");
    assert_near(loss_of(CLASSIFIER("sigmoid", "binary_crossentropy"), wide, apart), (120 + log(2)) / 2, 1e-9,
                "binary");
    assert_near(loss_of(CLASSIFIER("linear", "binary_crossentropy"), wide, apart), -log(1e-7), 1e-6,
                "clipped");
}
END_TEST

START_TEST(logits_are_found_behind_a_dense_layer_on_a_sequence)
{
    lowered l =
        lower_ok("{\"layers\": [" INPUT(
                     "3, 2") ", {\"class_name\": \"Dense\", \"config\": {\"units\": 4, \"activation\": "
                             "\"softmax\"}, \"from\": [0]}], \"outputs\": [1], \"losses\": "
                             "[\"sparse_categorical_crossentropy\"], "
                             "\"metrics\": [[\"accuracy\"]], " ADAM "}",
                 KPAR_MODE_TRAIN);
    int n_logs = 0;
    for (size_t i = 0; i < l.graph->n_ops; i++) {
        const kpar_expression *e = l.graph->ops[i].attributes.expression;
        for (int k = 0; e && k < e->n_scalars; k++) n_logs += e->scalars[k].op == KPAR_SCALAR_LOG;
    }
    ck_assert_int_eq(n_logs, 0);
    const kpar_value *labels_value = NULL;
    for (size_t i = 0; i < l.graph->n_values; i++)
        if (l.graph->values[i].source == KPAR_FROM_LABEL) labels_value = &l.graph->values[i];
    ck_assert_ptr_nonnull(labels_value);
    ck_assert_int_eq(labels_value->shape.rank, 2);
    ck_assert_int_eq(labels_value->dtype, KPAR_I32);
    lowered_free(&l);
}
END_TEST

START_TEST(a_training_step_moves_weights_against_the_gradient_of_finite_differences)
{
    const char *text = "{\"layers\": [" INPUT(
        "3, 2") ", {\"class_name\": \"Dense\", \"config\": {\"name\": \"d\", \"units\": 3, "
                "\"activation\": \"tanh\"}, \"from\": [0]}, {\"class_name\": \"Flatten\", \"config\": {}, "
                "\"from\": [1]}, "
                "{\"class_name\": \"Dense\", \"config\": {\"name\": \"e\", \"units\": 2, \"activation\": "
                "\"softmax\"}, "
                "\"from\": [2]}], \"outputs\": [3], \"losses\": [\"categorical_crossentropy\"], "
                "\"optimizer\": {\"class_name\": \"SGD\", \"config\": {\"learning_rate\": 1.0}}}";
    lowered l = lower_ok(text, KPAR_MODE_TRAIN);
    const double x[] = {1, -1, 0.5, 2, 0.3, 0.7, -1, 0.2, 0.1, 0.9, 0.4, -0.6}, y[] = {1, 0, 0.2, 0.8},
                 h = 1e-5;
    const int kernel = kpar_catalog_find(l.catalog, "layers/d/vars/0"),
              rate = kpar_catalog_find(l.catalog, "optimizer/vars/1");
    feed f = {.l = &l, .features = x, .labels = y, .given = {[0] = false}};
    kpar_value_id before, next = state_of(&l, "layers/d/vars/0", &before);
    f.given[rate] = true;
    f.variables[rate][0] = 1;
    evaluation e = run(&f, 2);
    f.given[kernel] = true;
    for (int i = 0; i < 6; i++) {
        double losses[2];
        for (int side = 0; side < 2; side++) {
            for (int k = 0; k < 6; k++) f.variables[kernel][k] = e.values[before][k];
            f.variables[kernel][i] += side ? h : -h;
            evaluation moved = run(&f, 2);
            losses[side] = reported(&l, &moved, "loss");
            evaluation_free(&moved);
        }
        assert_near(e.values[before][i] - e.values[next][i], (losses[1] - losses[0]) / (2 * h), 1e-7,
                    "kernel");
    }
    evaluation_free(&e);
    lowered_free(&l);
}
END_TEST

/* Metrics and reports */

START_TEST(metrics_count_real_rows_and_weighted_metrics_sample_weights)
{
    lowered l = lower_ok(
        "{\"layers\": [" INPUT(
            "2") "], \"outputs\": [0], \"losses\": [\"mse\"], "
                 "\"metrics\": [[\"mae\", \"accuracy\"]], \"weighted_metrics\": [[\"mae\", {\"class_name\": "
                 "\"MeanSquaredError\", \"config\": {\"name\": \"squares\"}}]]}",
        KPAR_MODE_EVALUATE);
    feed f = {
        .l = &l, .features = two_rows, .labels = two_labels, .weights = half_weights, .mask = first_two};
    evaluation e = run(&f, 3);
    assert_near(reported(&l, &e, "mae"), (1.5 + 3.5) / 2, 1e-12, "mae");
    assert_near(reported(&l, &e, "weighted_mae"), (0.5 * 1.5 + 2 * 3.5) / 2.5, 1e-12, "weighted_mae");
    assert_near(reported(&l, &e, "squares"), (0.5 * 2.5 + 2 * 12.5) / 2.5, 1e-12, "squares");
    assert_near(reported(&l, &e, "accuracy"), 0.5, 1e-12, "accuracy");
    evaluation_free(&e);
    lowered_free(&l);
}
END_TEST

static double accuracy_of(const char *shape, const char *loss, const double *features, const double *label,
                          int64_t batch)
{
    char text[512];
    snprintf(text, sizeof text,
             "{\"layers\": [{\"class_name\": \"InputLayer\", \"config\": {\"batch_shape\": [null, %s]}}], "
             "\"outputs\": [0], "
             "\"losses\": [\"%s\"], \"metrics\": [[\"acc\"]]}",
             shape, loss);
    lowered l = lower_ok(text, KPAR_MODE_EVALUATE);
    feed f = {.l = &l, .features = features, .labels = label};
    evaluation e = run(&f, batch);
    double result = reported(&l, &e, "acc");
    evaluation_free(&e);
    lowered_free(&l);
    return result;
}

START_TEST(accuracy_is_chosen_by_the_shape_of_predictions_and_by_what_labels_are)
{
    assert_near(accuracy_of("1", "binary_crossentropy", (const double[]){0.4, 0.6, 0.5},
                            (const double[]){0, 1, 1}, 3),
                2.0 / 3, 1e-12, "binary");
    assert_near(accuracy_of("3", "sparse_categorical_crossentropy", (const double[]){1, 2, 0, 5, 5, 1},
                            (const double[]){1, 1}, 2),
                0.5, 1e-12, "sparse");
    assert_near(accuracy_of("3", "categorical_crossentropy", (const double[]){1, 2, 0, 5, 5, 1},
                            (const double[]){0, 1, 0, 1, 0, 0}, 2),
                1, 1e-12, "categorical");
    assert_near(accuracy_of("2, 2", "sparse_categorical_crossentropy",
                            (const double[]){1, 2, 3, 0, 1, 2, 3, 4}, (const double[]){1, 1, 1, 1}, 2),
                0.75, 1e-12, "of sequences");
}
END_TEST

#define TWO_OUTPUTS                                                                                          \
    "{\"layers\": [" INPUT(                                                                                  \
        "2") ", {\"class_name\": \"Dense\", \"config\": {\"name\": \"a\", \"units\": 2}, \"from\": [0]}, "   \
             "{\"class_name\": \"Dense\", \"config\": {\"name\": \"b\", \"units\": 2}, \"from\": [0]}], "    \
             "\"outputs\": [1, 2], " ADAM ", "

START_TEST(several_outputs_report_their_losses_and_the_total_is_weighted)
{
    lowered l = lower_ok(
        TWO_OUTPUTS
        "\"losses\": [\"mse\", \"mae\"], \"loss_weights\": [2, 0.5], \"metrics\": [[\"mae\"], null]}",
        KPAR_MODE_TRAIN);
    const double zeros[8] = {0}, ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    feed f = {.l = &l, .features = two_rows, .labels = zeros, .more_labels = ones};
    evaluation e = run(&f, 2);
    assert_near(reported(&l, &e, "loss"), 2 * reported(&l, &e, "a_loss") + 0.5 * reported(&l, &e, "b_loss"),
                1e-12, "loss");
    ck_assert_double_gt(reported(&l, &e, "a_mae"), 0);
    ck_assert_int_eq(l.lowering.n_reports, 4);
    for (size_t i = 0; i < l.graph->n_outputs; i++)
        ck_assert_int_ne(l.graph->outputs[i].kind, KPAR_OUTPUT_PREDICTION);
    evaluation_free(&e);
    lowered_free(&l);
}
END_TEST

START_TEST(an_output_without_a_loss_has_no_labels_and_only_predicts)
{
    lowered l = lower_ok(TWO_OUTPUTS "\"losses\": [null, \"mse\"]}", KPAR_MODE_TRAIN);
    for (size_t i = 0; i < l.graph->n_values; i++)
        if (l.graph->values[i].source == KPAR_FROM_LABEL) ck_assert_int_eq(l.graph->values[i].index, 1);
    ck_assert_int_eq(l.lowering.n_reports, 1);
    ck_assert_int_eq(l.gradients[0], -1);
    ck_assert_int_eq(state_of(&l, "layers/a/vars/0", NULL), l.lowering.weight_copies[0]);
    lowered_free(&l);
}
END_TEST

/* The catalog */

#define MLP                                                                                                  \
    "{\"class_name\": \"Sequential\", \"layers\": [" INPUT("3")                                              \
        LAYER("Dense", "{\"units\": 2, \"name\": \"first\"}", "0")                                           \
            LAYER("Dense", "{\"units\": 4, \"name\": \"cold\", \"trainable\": false}", "1")                  \
                LAYER("Dense", "{\"units\": 1, \"name\": \"last\", \"use_bias\": false}",                    \
                      "2") "], \"outputs\": [3], \"losses\": [\"mse\"], "

START_TEST(variables_have_the_paths_and_the_order_of_keras)
{
    static const struct {
        const char *path, *name, *layer, *of;
        kpar_variable_kind kind;
    } expected[] = {
        {"layers/first/vars/0", "kernel", "first", NULL, KPAR_VARIABLE_WEIGHT},
        {"layers/first/vars/1", "bias", "first", NULL, KPAR_VARIABLE_WEIGHT},
        {"layers/cold/vars/0", "kernel", "cold", NULL, KPAR_VARIABLE_FROZEN},
        {"layers/cold/vars/1", "bias", "cold", NULL, KPAR_VARIABLE_FROZEN},
        {"layers/last/vars/0", "kernel", "last", NULL, KPAR_VARIABLE_WEIGHT},
        {"optimizer/vars/0", "iteration", "", NULL, KPAR_VARIABLE_ITERATION},
        {"optimizer/vars/1", "learning_rate", "", NULL, KPAR_VARIABLE_LEARNING_RATE},
        {"optimizer/vars/2", "momentum", "first", "layers/first/vars/0", KPAR_VARIABLE_SLOT},
        {"optimizer/vars/3", "velocity", "first", "layers/first/vars/0", KPAR_VARIABLE_SLOT},
        {"optimizer/vars/4", "momentum", "first", "layers/first/vars/1", KPAR_VARIABLE_SLOT},
        {"optimizer/vars/6", "momentum", "last", "layers/last/vars/0", KPAR_VARIABLE_SLOT},
        {"optimizer/vars/8", "velocity_hat", "first", "layers/first/vars/0", KPAR_VARIABLE_SLOT},
        {"optimizer/vars/10", "velocity_hat", "last", "layers/last/vars/0", KPAR_VARIABLE_SLOT},
    };
    lowered l = lower_ok(
        MLP
        "\"optimizer\": {\"class_name\": \"Adam\", \"config\": {\"amsgrad\": true, \"learning_rate\": 0.25, "
        "\"use_ema\": false, \"ema_momentum\": 0.99}}}",
        KPAR_MODE_TRAIN);
    for (size_t i = 0; i < COUNT(expected); i++) {
        const kpar_variable *v = variable(&l, expected[i].path);
        ck_assert_msg(v != NULL, "%s", expected[i].path);
        ck_assert_str_eq(v->name, expected[i].name);
        ck_assert_str_eq(v->layer, expected[i].layer);
        ck_assert_int_eq(v->kind, expected[i].kind);
        ck_assert_int_eq(v->of, expected[i].of ? kpar_catalog_find(l.catalog, expected[i].of) : -1);
    }
    ck_assert_int_eq(l.catalog->n, 16);
    ck_assert_int_eq(l.lowering.n_weights, 3);
    ck_assert_int_eq((int)l.graph->n_states, l.catalog->n);
    ck_assert_double_eq(variable(&l, "optimizer/vars/1")->initial, 0.25);
    ck_assert_int_eq(variable(&l, "optimizer/vars/0")->dtype, KPAR_I64);
    lowered_free(&l);
}
END_TEST

START_TEST(a_schedule_takes_the_place_of_the_learning_rate)
{
    lowered l = lower_ok(MLP "\"optimizer\": {\"class_name\": \"SGD\", \"config\": {\"momentum\": 0.5, "
                             "\"learning_rate\": {\"class_name\": "
                             "\"ExponentialDecay\", \"config\": {\"initial_learning_rate\": 0.1, "
                             "\"decay_steps\": 2, \"decay_rate\": 0.5}}}}}",
                         KPAR_MODE_TRAIN);
    ck_assert_str_eq(variable(&l, "optimizer/vars/1")->name, "momentum");
    kpar_value_id next = state_of(&l, "optimizer/vars/0", NULL);
    ck_assert_int_eq(l.graph->values[next].dtype, KPAR_I64);
    lowered_free(&l);
}
END_TEST

START_TEST(groups_are_those_that_keras_writes)
{
    lowered l = lower_ok(MLP "\"optimizer\": {\"class_name\": \"SGD\", \"config\": {\"name\": \"descent\"}}}",
                         KPAR_MODE_PREDICT);
    static const char *const expected[][2] = {{"", "m"},
                                              {"layers/first", "first"},
                                              {"layers/cold", "cold"},
                                              {"layers/last", "last"},
                                              {"optimizer", "descent"}};
    ck_assert_int_eq(l.catalog->n_groups, (int)COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++) {
        ck_assert_str_eq(l.catalog->groups[i].path, expected[i][0]);
        ck_assert_str_eq(l.catalog->groups[i].name, expected[i][1]);
    }
    lowered_free(&l);
}
END_TEST

START_TEST(modes_share_one_catalog_in_any_order)
{
    lowered l = lower_ok(MLP ADAM "}", KPAR_MODE_PREDICT);
    for (kpar_mode mode = 0; mode < KPAR_MODE_COUNT; mode++) {
        lowered other = {.model = l.model, .catalog = l.catalog, .graph = kpar_graph_create(KPAR_F32)};
        kpar_lower_begin(&other.lowering, other.graph, other.catalog, other.model, mode, 7);
        ck_assert_msg(lower_all(&other) == KPAR_OK, "%s: %s", kpar_mode_name(mode), kpar_error_message());
        ck_assert_int_eq(l.catalog->n, 13);
        ck_assert_int_eq(l.catalog->n_groups, 5);
        kpar_lower_end(&other.lowering);
        free(other.gradients);
        kpar_graph_destroy(other.graph);
    }
    lowered_free(&l);
}
END_TEST

START_TEST(calls_of_one_layer_share_its_weights)
{
    lowered l =
        lower_ok("{\"layers\": [" INPUT("2") LAYER("Dense", "{\"units\": 2, \"name\": \"d\"}",
                                                   "0") ", {\"again\": 1, \"from\": [1]}], "
                                                        "\"outputs\": [2], \"losses\": [\"mse\"], " ADAM "}",
                 KPAR_MODE_TRAIN);
    ck_assert_int_eq(l.lowering.n_weights, 2);
    lowered_free(&l);
}
END_TEST

START_TEST(the_gradient_belongs_to_the_layer_and_the_optimizer_state_follows_it)
{
    lowered l = lower_ok(MLP ADAM "}", KPAR_MODE_TRAIN);
    kpar_value_id next = state_of(&l, "optimizer/vars/2", NULL);
    ck_assert_str_eq(l.graph->values[next].layer, "first");
    ck_assert_int_eq(l.graph->values[next].phase, KPAR_PHASE_UPDATE);
    lowered_free(&l);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("model");
    TCase *t = tcase_create("model");
    tcase_add_test(t, rows_that_are_not_real_count_for_nothing);
    tcase_add_test(t, denominators_are_facts_and_the_loss_exists_in_each_microbatch);
    tcase_add_test(
        t, a_hopeless_row_costs_its_logits_where_the_prediction_comes_straight_from_softmax_or_sigmoid);
    tcase_add_test(t, logits_are_found_behind_a_dense_layer_on_a_sequence);
    tcase_add_test(t, a_training_step_moves_weights_against_the_gradient_of_finite_differences);
    tcase_add_test(t, metrics_count_real_rows_and_weighted_metrics_sample_weights);
    tcase_add_test(t, accuracy_is_chosen_by_the_shape_of_predictions_and_by_what_labels_are);
    tcase_add_test(t, several_outputs_report_their_losses_and_the_total_is_weighted);
    tcase_add_test(t, an_output_without_a_loss_has_no_labels_and_only_predicts);
    tcase_add_test(t, variables_have_the_paths_and_the_order_of_keras);
    tcase_add_test(t, a_schedule_takes_the_place_of_the_learning_rate);
    tcase_add_test(t, groups_are_those_that_keras_writes);
    tcase_add_test(t, modes_share_one_catalog_in_any_order);
    tcase_add_test(t, calls_of_one_layer_share_its_weights);
    tcase_add_test(t, the_gradient_belongs_to_the_layer_and_the_optimizer_state_follows_it);
    suite_add_tcase(s, t);
    return s;
}

int main(void) { return run_suite(suite()); }
