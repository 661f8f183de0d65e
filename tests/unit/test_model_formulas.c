/* The formulas of the tables against what Keras computes. */
#include "keras_values.h"
#include "model/lower_internal.h"
#include "model_fixture.h"

static const kpar_activation_row *activation(const char *name)
{
    int n;
    const kpar_activation_row *rows = kpar_activation_rows(&n);
    for (int i = 0; i < n; i++)
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    ck_abort_msg("no activation %s", name);
}

/* Compares an expression of one input and its derivative at all points. */
static void assert_curve(const kpar_expression *e, kpar_arena *arena, const double *values,
                         const double *slopes, const char *name)
{
    const kpar_expression *derivative = kpar_expression_derivative(e, arena, 0, (const bool[]){true});
    for (int i = 0; i < POINTS; i++) {
        double y, slope;
        kpar_expression_evaluate(e, &points[i], &y);
        kpar_expression_evaluate(derivative, (const double[]){points[i], y, 1}, &slope);
        assert_near(y, values[i], 1e-6, name);
        assert_near(slope, slopes[i], 1e-6, name);
    }
}

START_TEST(activations_and_their_slopes_are_those_of_keras_also_at_kinks)
{
    kpar_arena *arena = kpar_arena_create();
    for (size_t i = 0; i < COUNT(keras_activations); i++) {
        kpar_expression_builder *e = kpar_expression_begin(1);
        kpar_x y = activation(keras_activations[i].name)->formula(e, kpar_x_input(e, 0));
        assert_curve(kpar_expression_end(e, arena, &y, 1), arena, keras_activations[i].values,
                     keras_activations[i].slopes, keras_activations[i].name);
    }
    kpar_arena_destroy(arena);
}
END_TEST

START_TEST(every_activation_that_has_a_formula_is_compared)
{
    int n, formulas = 0;
    const kpar_activation_row *rows = kpar_activation_rows(&n);
    for (int i = 0; i < n; i++) formulas += rows[i].formula != NULL;
    ck_assert_int_eq(formulas, (int)COUNT(keras_activations));
}
END_TEST

START_TEST(activation_layers_are_those_of_keras_also_at_kinks)
{
    for (size_t i = 0; i < COUNT(keras_layers); i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "{\"layers\": [" INPUT(
                     "13") ", {\"class_name\": \"%s\", \"config\": %s, \"from\": [0]}], \"outputs\": [1]}",
                 keras_layers[i].name, keras_layers[i].config);
        lowered l = lower_ok(text, KPAR_MODE_PREDICT);
        const kpar_value *y = &l.graph->values[prediction(&l, 0)];
        assert_curve(l.graph->ops[y->op].attributes.expression, l.graph->arena, keras_layers[i].values,
                     keras_layers[i].slopes, keras_layers[i].name);
        lowered_free(&l);
    }
}
END_TEST

static double rate_at(const char *name, const char *config, double step)
{
    int n;
    const kpar_schedule_row *rows = kpar_schedule_rows(&n),
                            *row = kpar_table_find(rows, n, sizeof *rows, name);
    kpar_arena *arena = kpar_arena_create();
    json_t *json = json_loads(config, 0, NULL);
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x rate;
    double value;
    ck_assert_ptr_nonnull(row);
    ck_assert_int_eq(row->formula("s", json, e, kpar_x_input(e, 0), &rate), KPAR_OK);
    kpar_expression_evaluate(kpar_expression_end(e, arena, &rate, 1), &step, &value);
    json_decref(json);
    kpar_arena_destroy(arena);
    return value;
}

START_TEST(schedules_give_the_rates_of_keras)
{
    for (size_t i = 0; i < COUNT(keras_schedules); i++)
        for (int step = 0; step < SCHEDULE_STEPS; step++)
            assert_near(rate_at(keras_schedules[i].name, keras_schedules[i].config, step),
                        keras_schedules[i].rates[step], 1e-6, keras_schedules[i].name);
}
END_TEST

/* A model whose one weight has shape (inputs, units) and further arguments, with its optimizer lowered on a gradient that
 * is fed. */
static lowered lower_weight_of(int inputs, int units, const char *arguments, const char *name,
                               const char *config)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"layers\": [{\"class_name\": \"InputLayer\", \"config\": {\"name\": \"in\", \"batch_shape\": "
             "[null, %d]}}, {\"class_name\": \"Dense\", \"config\": {\"name\": \"d\", \"units\": %d, %s"
             "\"use_bias\": false}, \"from\": [0]}], \"outputs\": [1], \"losses\": [\"mse\"], "
             "\"optimizer\": {\"class_name\": \"%s\", \"config\": %s}}",
             inputs, units, arguments, name, config);
    lowered l = {.model = model_from(json_loads(text, 0, NULL)),
                 .catalog = kpar_catalog_create(),
                 .graph = kpar_graph_create(KPAR_F64)};
    const kpar_shape shape = {.rank = 2, .dims = {{inputs, false}, {units, false}}};
    kpar_lower_begin(&l.lowering, l.graph, l.catalog, l.model, KPAR_MODE_TRAIN, 7);
    ck_assert_int_eq(kpar_lower_forward(&l.lowering), KPAR_OK);
    kpar_value_id gradient = kpar_graph_source(l.graph, KPAR_FROM_FEATURE, 9, KPAR_F64, shape);
    ck_assert_msg(kpar_lower_update(&l.lowering, &gradient) == KPAR_OK, "%s: %s", name, kpar_error_message());
    return l;
}

static lowered lower_optimizer(const char *name, const char *config)
{
    return lower_weight_of(1, 2, "", name, config);
}

/* Takes one step: every variable becomes its next value. */
static void step(const lowered *l, feed *f)
{
    f->features = (const double[]){1, 1};
    f->labels = (const double[]){0, 0, 0};
    evaluation e = run(f, 1);
    for (size_t i = 0; i < l->graph->n_states; i++) {
        const kpar_state *s = &l->graph->states[i];
        for (int64_t k = 0; k < count_of(&e, s->value); k++)
            f->variables[s->variable][k] = e.values[s->next][k];
    }
    evaluation_free(&e);
}

START_TEST(optimizers_take_the_steps_of_keras)
{
    for (size_t i = 0; i < COUNT(keras_optimizers); i++) {
        lowered l = lower_optimizer(keras_optimizers[i].name, keras_optimizers[i].config);
        feed f = {.l = &l};
        for (int v = 0; v < l.catalog->n; v++) {
            const kpar_variable *variable = &l.catalog->variables[v];
            f.given[v] = true;
            f.variables[v][0] = f.variables[v][1] = variable->initial;
            if (variable->kind == KPAR_VARIABLE_WEIGHT || variable->begins_as_weight)
                memcpy(f.variables[v], first_weights, sizeof first_weights);
        }
        const int weight = kpar_catalog_find(l.catalog, "layers/d/vars/0");
        for (int s = 0; s < STEPS; s++) {
            f.gradient = gradients[s];
            step(&l, &f);
            for (int k = 0; k < 2; k++)
                assert_near(f.variables[weight][k], keras_optimizers[i].weights[2 * s + k], 3e-6,
                            keras_optimizers[i].name);
        }
        ck_assert_int_eq(l.catalog->n, 3 + keras_optimizers[i].n_slots);
        const double *expected = keras_optimizers[i].slots;
        for (int s = 0; s < keras_optimizers[i].n_slots; s++) {
            const char *path = kpar_arena_printf(l.graph->arena, "optimizer/vars/%d", s + 2);
            const kpar_variable *slot = variable(&l, path);
            for (int64_t k = 0; k < kpar_count(slot->rank, slot->dims); k++)
                assert_near(f.variables[kpar_catalog_find(l.catalog, path)][k], *expected++, 1e-5, path);
        }
        ck_assert_double_eq(f.variables[kpar_catalog_find(l.catalog, "optimizer/vars/0")][0], STEPS);
        lowered_free(&l);
    }
}
END_TEST

/* One step of gradient descent on a matrix whose kernel has the argument; *loss is what is reported of it. */
static void descend_once(const char *argument, const char *name, const char *config, double weights[6],
                         double *loss)
{
    char text[256];
    snprintf(text, sizeof text, "\"kernel_%s\": {\"class_name\": \"%s\", \"config\": %s}, ", argument, name,
             config);
    lowered l = lower_weight_of(2, 3, text, "SGD", "{\"learning_rate\": 0.1}");
    feed f = {.l = &l, .gradient = matrix_gradient};
    for (int v = 0; v < l.catalog->n; v++) {
        f.given[v] = true;
        f.variables[v][0] = l.catalog->variables[v].initial;
    }
    const int weight = kpar_catalog_find(l.catalog, "layers/d/vars/0");
    memcpy(f.variables[weight], first_matrix, sizeof first_matrix);
    f.features = (const double[]){0, 0};
    f.labels = (const double[]){0, 0, 0};
    evaluation e = run(&f, 1);
    *loss = 0;
    for (size_t i = 0; i < l.graph->n_outputs; i++)
        if (l.graph->outputs[i].kind == KPAR_OUTPUT_REPORT) *loss += e.values[l.graph->outputs[i].value][0];
    memcpy(weights, e.values[state_of(&l, "layers/d/vars/0", NULL)], 6 * sizeof *weights);
    evaluation_free(&e);
    lowered_free(&l);
}

START_TEST(regularizers_move_weights_and_raise_the_loss_as_in_keras)
{
    for (size_t i = 0; i < COUNT(keras_regularizers); i++) {
        double weights[6], loss;
        descend_once("regularizer", keras_regularizers[i].name, keras_regularizers[i].config, weights, &loss);
        assert_near(loss, keras_regularizers[i].penalty, 1e-6, keras_regularizers[i].name);
        for (int k = 0; k < 6; k++)
            assert_near(weights[k], keras_regularizers[i].weights[k], 1e-6, keras_regularizers[i].name);
    }
}
END_TEST

START_TEST(constraints_hold_after_the_step_as_in_keras)
{
    for (size_t i = 0; i < COUNT(keras_constraints); i++) {
        double weights[6], loss;
        descend_once("constraint", keras_constraints[i].name, keras_constraints[i].config, weights, &loss);
        for (int k = 0; k < 6; k++)
            assert_near(weights[k], keras_constraints[i].weights[k], 1e-6, keras_constraints[i].name);
    }
}
END_TEST

START_TEST(every_regularizer_and_constraint_is_compared)
{
    int n;
    const kpar_regularizer_row *regularizers = kpar_regularizer_rows(&n);
    for (int i = 0; i < n; i++) {
        bool found = false;
        for (size_t k = 0; k < COUNT(keras_regularizers); k++)
            found = found || strcmp(keras_regularizers[k].name, regularizers[i].class_name) == 0;
        ck_assert_msg(found, "no values of %s", regularizers[i].class_name);
    }
    const kpar_constraint_row *constraints = kpar_constraint_rows(&n);
    for (int i = 0; i < n; i++) {
        bool found = false;
        for (size_t k = 0; k < COUNT(keras_constraints); k++)
            found = found || strcmp(keras_constraints[k].name, constraints[i].class_name) == 0;
        ck_assert_msg(found, "no values of %s", constraints[i].class_name);
    }
}
END_TEST

START_TEST(every_optimizer_and_schedule_is_compared)
{
    int n;
    const kpar_optimizer_row *optimizers = kpar_optimizer_rows(&n);
    for (int i = 0; i < n; i++) {
        bool found = false;
        for (size_t k = 0; k < COUNT(keras_optimizers); k++)
            found = found || strcmp(keras_optimizers[k].name, optimizers[i].class_name) == 0;
        ck_assert_msg(found, "no values of %s", optimizers[i].class_name);
    }
    const kpar_schedule_row *schedules = kpar_schedule_rows(&n);
    for (int i = 0; i < n; i++) {
        bool found = false;
        for (size_t k = 0; k < COUNT(keras_schedules); k++)
            found = found || strcmp(keras_schedules[k].name, schedules[i].class_name) == 0;
        ck_assert_msg(found, "no values of %s", schedules[i].class_name);
    }
}
END_TEST

START_TEST(what_depends_on_the_step_alone_is_computed_once_and_not_for_each_element)
{
    lowered l = lower_optimizer("Adam", "{}");
    kpar_value_id next = state_of(&l, "layers/d/vars/0", NULL);
    const kpar_expression *e = l.graph->ops[l.graph->values[next].op].attributes.expression;
    for (int i = 0; i < e->n_scalars; i++) ck_assert_int_ne(e->scalars[i].op, KPAR_SCALAR_POWER);
    lowered_free(&l);
}
END_TEST

START_TEST(losses_and_their_gradients_are_those_of_keras)
{
    for (size_t i = 0; i < COUNT(keras_losses); i++) {
        lowered l = lower_ok("{\"layers\": [" INPUT("4") "], \"outputs\": [0]}", KPAR_MODE_PREDICT);
        const kpar_loss_row *row = kpar_loss_row_find(keras_losses[i].name);
        l.lowering.batch_size = ROWS;
        json_t *config = json_loads(keras_losses[i].config, 0, NULL);
        kpar_value_id p = prediction(&l, 0), values, sum, gradient;
        kpar_value_id y = kpar_lower_labels(&l.lowering, 0, kpar_lower_shape(&l.lowering, p), row->sparse);
        ck_assert_int_eq(kpar_loss_values(&l.lowering, row, config, "loss", p, y, &values), KPAR_OK);
        ck_assert_int_eq(kpar_build_reduce(l.graph, KPAR_REDUCE_SUM, 1, values, &sum), KPAR_OK);
        ck_assert_msg(kpar_graph_gradient(l.graph, sum, &p, 1, &gradient) == KPAR_OK, "%s: %s",
                      keras_losses[i].name, kpar_error_message());
        feed f = {.l = &l, .features = predictions[0], .labels = row->sparse ? classes : label_rows[0]};
        evaluation e = run(&f, ROWS);
        for (int k = 0; k < ROWS; k++)
            assert_near(e.values[values][k], keras_losses[i].values[k], 2e-6, keras_losses[i].name);
        for (int k = 0; k < ROWS * CLASSES; k++)
            assert_near(e.values[gradient][k], keras_losses[i].slopes[k], 1e-5, keras_losses[i].name);
        evaluation_free(&e);
        json_decref(config);
        lowered_free(&l);
    }
}
END_TEST

START_TEST(every_loss_is_compared)
{
    int n;
    const kpar_loss_row *rows = kpar_loss_rows(&n);
    for (int i = 0; i < n; i++) {
        bool found = strcmp(rows[i].class_name, "CTC") == 0; /* of sequences, below */
        for (size_t k = 0; k < COUNT(keras_losses); k++)
            found = found || strcmp(keras_losses[k].name, rows[i].class_name) == 0;
        ck_assert_msg(found, "no values of %s", rows[i].class_name);
    }
}
END_TEST

/* Two steps of three classes that are alike: a path has the probability 1/9. */
START_TEST(sequences_cost_what_their_paths_are_unlikely_and_those_without_a_path_infinitely_much)
{
    static const double alike[18] = {0}, labels[] = {1, 0, 1, 1, 2, 1};
    lowered l = lower_ok("{\"layers\": [" INPUT("2, 3") "], \"outputs\": [0]}", KPAR_MODE_PREDICT);
    kpar_value_id p = prediction(&l, 0), values;
    kpar_value_id y = kpar_lower_labels(&l.lowering, 0, kpar_lower_shape(&l.lowering, p), true);
    ck_assert_int_eq(kpar_loss_values(&l.lowering, kpar_loss_row_find("ctc"), NULL, "loss", p, y, &values),
                     KPAR_OK);
    feed f = {.l = &l, .features = alike, .labels = labels};
    evaluation e = run(&f, 3);
    assert_near(e.values[values][0], log(9) - log(3), 1e-12, "1, in either step or both");
    ck_assert(isinf(e.values[values][1]) && e.values[values][1] > 0);
    assert_near(e.values[values][2], log(9), 1e-12, "2 1");
    evaluation_free(&e);
    lowered_free(&l);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("model formulas");
    TCase *t = tcase_create("model formulas");
    tcase_add_test(t, activations_and_their_slopes_are_those_of_keras_also_at_kinks);
    tcase_add_test(t, every_activation_that_has_a_formula_is_compared);
    tcase_add_test(t, activation_layers_are_those_of_keras_also_at_kinks);
    tcase_add_test(t, schedules_give_the_rates_of_keras);
    tcase_add_test(t, optimizers_take_the_steps_of_keras);
    tcase_add_test(t, regularizers_move_weights_and_raise_the_loss_as_in_keras);
    tcase_add_test(t, constraints_hold_after_the_step_as_in_keras);
    tcase_add_test(t, every_regularizer_and_constraint_is_compared);
    tcase_add_test(t, every_optimizer_and_schedule_is_compared);
    tcase_add_test(t, what_depends_on_the_step_alone_is_computed_once_and_not_for_each_element);
    tcase_add_test(t, losses_and_their_gradients_are_those_of_keras);
    tcase_add_test(t, every_loss_is_compared);
    tcase_add_test(t, sequences_cost_what_their_paths_are_unlikely_and_those_without_a_path_infinitely_much);
    suite_add_tcase(s, t);
    return s;
}

int main(void) { return run_suite(suite()); }
