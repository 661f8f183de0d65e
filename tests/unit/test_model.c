/* Lowering: the tables' formulas against what Keras computes, losses and metrics over weighted rows, the catalog,
 * and what is refused. */
#include "keras_values.h"
#include "model/lower_internal.h"
#include "model_fixture.h"
#include "unit.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define INPUT(shape)                                                                                         \
    "{\"class_name\": \"InputLayer\", \"config\": {\"batch_shape\": [null, " shape "], \"name\": \"in\"}}"
#define ADAM_OBJECT "{\"class_name\": \"Adam\", \"config\": {}}"
#define MULTI(other, by_pattern)                                                                             \
    "\"optimizer\": {\"class_name\": \"MultiOptimizer\", \"config\": {\"optimizer_map\": {\"class_name\": "  \
    "\"OptimizerMap\", \"config\": {\"default_optimizer\": " other ", \"optimizer_map\": {" by_pattern       \
    "}}}}}"
#define ADAM "\"optimizer\": \"adam\""

static void assert_near(double found, double expected, double tolerance, const char *what)
{
    if (isnan(expected) ? isnan(found) : fabs(found - expected) <= tolerance * (1 + fabs(expected))) return;
    ck_abort_msg("%s: expected %.9g, found %.9g", what, expected, found);
}

/* What the sources of a graph hold; variables that are not given have made-up values. */
typedef struct feed {
    const lowered *l;
    const double *features, *labels, *more_labels, *weights, *mask, *gradient;
    double variables[16][8]; /* by catalog index */
    bool given[16];
} feed;

static void fill(void *context, const kpar_value *v, double *elements, int64_t count)
{
    const feed *f = context;
    for (int64_t i = 0; i < count; i++) {
        switch (v->source) {
        case KPAR_FROM_VARIABLE:
            if (f->l->catalog->variables[v->index].kind == KPAR_VARIABLE_CONSTANT)
                elements[i] = f->l->catalog->variables[v->index].values[i];
            else
                elements[i] =
                    f->given[v->index] ? f->variables[v->index][i] : sin(v->index * 31.0 + (double)i);
            break;
        case KPAR_FROM_FEATURE:
            elements[i] = v->index == 9 ? f->gradient[i] : f->features[i];
            break;
        case KPAR_FROM_LABEL:
            elements[i] = v->index ? f->more_labels[i] : f->labels[i];
            break;
        case KPAR_FROM_SAMPLE_WEIGHT:
            elements[i] = f->weights ? f->weights[i] : 1;
            break;
        case KPAR_FROM_ROW_POSITION:
            elements[i] = (double)i;
            break;
        case KPAR_FROM_ROW_MASK:
            elements[i] = f->mask ? f->mask[i] : 1;
            break;
        default:
            elements[i] = 0;
        }
    }
}

static evaluation run(feed *f, int64_t batch)
{
    evaluation e = {.graph = f->l->graph, .batch = batch, .source = fill, .context = f};
    evaluate(&e);
    return e;
}

/* Formulas */

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

/* Layers */

static void assert_predicts(const char *layers, int64_t batch, const double *features, const double *expected,
                            int n)
{
    char text[1024];
    const json_t *list;
    snprintf(text, sizeof text, "{\"layers\": [%s], \"outputs\": [0]}", layers);
    json_t *root = json_loads(text, 0, NULL);
    ck_assert_msg(root != NULL, "%s", text);
    list = json_object_get(root, "layers");
    snprintf(text, sizeof text, "{\"layers\": [%s], \"outputs\": [%zu]}", layers, json_array_size(list) - 1);
    json_decref(root);
    lowered l = lower_ok(text, KPAR_MODE_PREDICT);
    feed f = {.l = &l, .features = features};
    evaluation e = run(&f, batch);
    ck_assert_int_eq(count_of(&e, prediction(&l, 0)), n);
    for (int i = 0; i < n; i++) assert_near(e.values[prediction(&l, 0)][i], expected[i], 1e-12, layers);
    evaluation_free(&e);
    lowered_free(&l);
}

#define LAYER(name, config, from)                                                                            \
    ", {\"class_name\": \"" name "\", \"config\": " config ", \"from\": [" from "]}"

START_TEST(layers_without_weights_compute_what_they_say)
{
    const double x[] = {1, 2, 3, 4};
    assert_predicts(INPUT("4") LAYER("Rescaling", "{\"scale\": [1, 2, 3, 4], \"offset\": 1}", "0"), 1, x,
                    (const double[]){2, 5, 10, 17}, 4);
    assert_predicts(INPUT("2, 2") LAYER("Flatten", "{\"data_format\": \"channels_last\"}", "0"), 1, x, x, 4);
    assert_predicts(INPUT("4") LAYER("Reshape", "{\"target_shape\": [2, -1]}", "0")
                        LAYER("Softmax", "{\"axis\": -1}", "1"),
                    1, (const double[]){1, 1, 0, 0}, (const double[]){0.5, 0.5, 0.5, 0.5}, 4);
    assert_predicts(INPUT("4") LAYER("Dropout", "{\"rate\": 0.5, \"seed\": null, \"noise_shape\": null}", "0")
                        LAYER("Identity", "{}", "1"),
                    1, x, x, 4);
#define DOUBLED INPUT("2") LAYER("Rescaling", "{\"scale\": -2}", "0")
    assert_predicts(DOUBLED LAYER("Add", "{}", "0, 1, 1"), 1, x, (const double[]){-3, -6}, 2);
    assert_predicts(DOUBLED LAYER("Subtract", "{}", "0, 1"), 1, x, (const double[]){3, 6}, 2);
    assert_predicts(DOUBLED LAYER("Multiply", "{}", "0, 1"), 1, x, (const double[]){-2, -8}, 2);
    assert_predicts(DOUBLED LAYER("Average", "{}", "0, 1"), 1, x, (const double[]){-0.5, -1}, 2);
    assert_predicts(DOUBLED LAYER("Maximum", "{}", "0, 1"), 1, x, (const double[]){1, 2}, 2);
    assert_predicts(DOUBLED LAYER("Minimum", "{}", "0, 1"), 1, x, (const double[]){-2, -4}, 2);
    assert_predicts(DOUBLED LAYER("Concatenate", "{\"axis\": -1}", "0, 1"), 2, x,
                    (const double[]){1, 2, -2, -4, 3, 4, -6, -8}, 8);
}
END_TEST

#define STEPS INPUT("2, 2") LAYER("Masking", "{\"mask_value\": 9}", "0")
#define MASKED_SOFTMAX                                                                                       \
    INPUT("2")                                                                                               \
    LAYER("Rescaling", "{\"scale\": 0}", "0")                                                                \
    ", {\"class_name\": \"Softmax\", \"config\": {}, "                                                       \
    "\"from\": [1], \"named\": {\"mask\": 0}}"

/* Channels of an image come first: 2 channels of 1 x 3 cells. */
START_TEST(layers_of_images_take_channels_first_or_last)
{
    const double x[] = {1, 2, 3, 40, 50, 60};
    assert_predicts(INPUT("2, 1, 3") LAYER("Flatten", "{\"data_format\": \"channels_first\"}", "0"), 1, x,
                    (const double[]){1, 40, 2, 50, 3, 60}, 6);
    assert_predicts(
        INPUT("2, 1, 3")
            LAYER("Cropping2D", "{\"data_format\": \"channels_first\", \"cropping\": [[0, 0], [1, 0]]}", "0"),
        1, x, (const double[]){2, 3, 50, 60}, 4);
    assert_predicts(INPUT("2, 1, 3")
                        LAYER("GlobalMaxPooling2D", "{\"data_format\": \"channels_first\"}", "0"),
                    1, x, (const double[]){3, 60}, 2);
    assert_predicts(INPUT("2, 1, 3") LAYER("MaxPooling2D",
                                           "{\"data_format\": \"channels_first\", \"pool_size\": [1, 2], "
                                           "\"strides\": 1}",
                                           "0"),
                    1, x, (const double[]){2, 3, 50, 60}, 4);
}
END_TEST

START_TEST(masks_say_which_steps_count)
{
    const double steps[] = {9, 9, 1, 9, 2, 4, 4, 8}, pairs[] = {0, 5, 3, 0};
    assert_predicts(STEPS, 2, steps, (const double[]){0, 0, 1, 9, 2, 4, 4, 8}, 8);
    assert_predicts(STEPS LAYER("GlobalAveragePooling1D", "{}", "1"), 2, steps, (const double[]){1, 9, 3, 6},
                    4);
    assert_predicts(STEPS LAYER("Activation", "{\"activation\": \"relu\"}", "1") LAYER("Add", "{}", "1, 2")
                        LAYER("GlobalAveragePooling1D", "{}", "3"),
                    2, steps, (const double[]){2, 18, 6, 12}, 4);
    assert_predicts(STEPS LAYER("Reshape", "{\"target_shape\": [2, 2]}", "1")
                        LAYER("GlobalAveragePooling1D", "{}", "2"),
                    2, steps, (const double[]){0.5, 4.5, 3, 6}, 4);
    assert_predicts(STEPS LAYER("Concatenate", "{\"axis\": 1}", "0, 1")
                        LAYER("GlobalAveragePooling1D", "{}", "2"),
                    2, steps, (const double[]){11.0 / 3, 9, 3, 6}, 4);
    assert_predicts(MASKED_SOFTMAX, 2, pairs, (const double[]){0, 1, 1, 0}, 4);
}
END_TEST

START_TEST(integer_inputs_become_real_where_a_layer_computes_with_them)
{
    const double x[] = {10, 20};
    assert_predicts("{\"class_name\": \"InputLayer\", \"config\": {\"batch_shape\": [null, 2], \"dtype\": "
                    "\"uint8\"}}" LAYER("Rescaling", "{\"scale\": 0.125}", "0"),
                    1, x, (const double[]){1.25, 2.5}, 2);
    lowered l = lower_ok(
        "{\"layers\": [{\"class_name\": \"InputLayer\", \"config\": {\"batch_shape\": [null, 2], \"dtype\": "
        "\"uint8\"}}" LAYER("Rescaling", "{\"scale\": 0.125}", "0") "], \"outputs\": [1]}",
        KPAR_MODE_PREDICT);
    ck_assert_int_eq(l.graph->values[l.lowering.call_values[0]].dtype, KPAR_I32);
    ck_assert_int_eq(l.graph->values[prediction(&l, 0)].dtype, KPAR_F64);
    lowered_free(&l);
}
END_TEST

static int count_ops(const lowered *l, kpar_op_kind kind, uint64_t *keys)
{
    int n = 0;
    for (size_t i = 0; i < l->graph->n_ops; i++)
        if (l->graph->ops[i].kind == (int)kind) keys[n++] = l->graph->ops[i].attributes.key;
    return n;
}

#define DROPOUTS(rate)                                                                                       \
    "{\"layers\": [" INPUT("2") LAYER("Dropout", "{\"rate\": " rate ", \"name\": \"drop\"}", "0")            \
        LAYER("Dense", "{\"units\": 2}", "1") ", {\"again\": 1, \"from\": [2]}" LAYER(                       \
            "Dropout", "{\"rate\": " rate "}", "3") "], \"outputs\": [4], \"losses\": [\"mse\"], " ADAM "}"

START_TEST(dropout_draws_by_layer_and_call_and_only_while_training)
{
    uint64_t keys[8];
    lowered l = lower_ok(DROPOUTS("0.5"), KPAR_MODE_TRAIN);
    ck_assert_int_eq(count_ops(&l, KPAR_OP_RANDOM, keys), 3);
    ck_assert(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
    lowered_free(&l);
    for (kpar_mode mode = 0; mode < KPAR_MODE_COUNT; mode++) {
        l = lower_ok(mode == KPAR_MODE_TRAIN ? DROPOUTS("0.0") : DROPOUTS("0.5"), mode);
        ck_assert_int_eq(count_ops(&l, KPAR_OP_RANDOM, keys), 0);
        lowered_free(&l);
    }
}
END_TEST

/* Mean and variance of what a layer makes of ones while training: rows of 20 steps of 50 channels. */
static void train_moments(const char *layer, double *mean, double *variance, double *between_steps)
{
    enum { SAMPLES = 4, LENGTH = 20, CHANNELS = 50, ALL = SAMPLES * LENGTH * CHANNELS };
    static double ones[ALL];
    for (int i = 0; i < ALL; i++) ones[i] = 1;
    char text[512];
    snprintf(text, sizeof text,
             "{\"layers\": [" INPUT("20, 50") "%s" LAYER(
                 "GlobalAveragePooling1D", "{}",
                 "1") "], \"outputs\": [1, 2], \"losses\": [null, \"mse\"], " ADAM "}",
             layer);
    lowered l = lower_ok(text, KPAR_MODE_TRAIN);
    feed f = {.l = &l, .features = ones, .labels = ones, .more_labels = ones};
    evaluation e = run(&f, SAMPLES);
    const double *y = e.values[l.lowering.call_values[1 * KPAR_CALL_OUTPUTS]];
    double sum = 0, squares = 0, apart = 0;
    for (int i = 0; i < ALL; i++) sum += y[i];
    *mean = sum / ALL;
    for (int i = 0; i < ALL; i++) squares += (y[i] - *mean) * (y[i] - *mean);
    *variance = squares / ALL;
    for (int i = 0; i + CHANNELS < LENGTH * CHANNELS; i++) apart += fabs(y[i] - y[i + CHANNELS]);
    *between_steps = apart;
    evaluation_free(&e);
    lowered_free(&l);
}

START_TEST(layers_of_noise_have_the_moments_that_they_say)
{
    static const struct {
        const char *layer;
        double mean, variance;
        bool shared; /* by the steps of a row */
    } cases[] = {
        {LAYER("Dropout", "{\"rate\": 0.25}", "0"), 1, 1.0 / 3, false},
        {LAYER("Dropout", "{\"rate\": 0.25, \"noise_shape\": [null, 1, 50]}", "0"), 1, 1.0 / 3, true},
        {LAYER("SpatialDropout1D", "{\"rate\": 0.25}", "0"), 1, 1.0 / 3, true},
        {LAYER("GaussianNoise", "{\"stddev\": 0.5}", "0"), 1, 0.25, false},
        {LAYER("GaussianDropout", "{\"rate\": 0.2}", "0"), 1, 0.25, false},
        /* a (0.75 + 0.25 low) + b and 0.1875 a^2 (1 - low)^2, where low = -1.7581, a = 0.8673 and b = 0.3812 */
        {LAYER("AlphaDropout", "{\"rate\": 0.25}", "0"), 0.6504, 1.0728, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double mean, variance, apart;
        train_moments(cases[i].layer, &mean, &variance, &apart);
        const double wide = cases[i].shared ? 0.25 : 0.05;
        ck_assert_msg(fabs(mean - cases[i].mean) < wide, "%s: mean %g", cases[i].layer, mean);
        ck_assert_msg(fabs(variance - cases[i].variance) < wide, "%s: variance %g", cases[i].layer, variance);
        ck_assert_msg((apart == 0) == cases[i].shared, "%s: steps differ by %g", cases[i].layer, apart);
    }
}
END_TEST

/* Images of the pixels 1, 2 / 3, 4, or what the layer makes of them. */
enum { IMAGES = 32, PIXELS = 4 };
static void change_images(const char *layer, kpar_mode mode, double (*changed)[PIXELS])
{
    static double pixels[IMAGES][PIXELS];
    char text[512];
    for (int i = 0; i < IMAGES * PIXELS; i++) pixels[i / PIXELS][i % PIXELS] = i % PIXELS + 1;
    snprintf(text, sizeof text,
             "{\"layers\": [" INPUT("2, 2, 1") "%s], \"outputs\": [1], \"losses\": [\"mse\"], " ADAM "}",
             layer);
    lowered l = lower_ok(text, mode);
    feed f = {.l = &l, .features = pixels[0], .labels = pixels[0]};
    evaluation e = run(&f, IMAGES);
    memcpy(changed, e.values[l.lowering.call_values[1 * KPAR_CALL_OUTPUTS]], sizeof pixels);
    evaluation_free(&e);
    lowered_free(&l);
}

static bool same_pixels(const double *a, const double *b)
{
    for (int k = 0; k < PIXELS; k++)
        if (fabs(a[k] - b[k]) > 1e-9) return false;
    return true;
}

START_TEST(images_are_changed_only_while_training)
{
    static const double whole[] = {1, 2, 3, 4};
    static const struct {
        const char *layer;
        double change[PIXELS];
        bool all; /* else some images stay as they are */
    } cases[] = {
        {LAYER("RandomFlip", "{\"mode\": \"horizontal\"}", "0"), {2, 1, 4, 3}, false},
        {LAYER("RandomFlip", "{\"mode\": \"vertical\"}", "0"), {3, 4, 1, 2}, false},
        {LAYER("RandomFlip", "{}", "0"), {4, 3, 2, 1}, false},
        {LAYER("RandomBrightness", "{\"factor\": [0.7, 0.7], \"value_range\": [0, 10]}", "0"),
         {8, 9, 10, 10},
         true},
        {LAYER("RandomContrast", "{\"factor\": [-1, 1], \"value_range\": [0, 10]}", "0"),
         {0, 1.5, 3.5, 5.5},
         true},
        {LAYER("RandomInvert", "{\"factor\": [0.5, 0.5], \"value_range\": [0, 10]}", "0"),
         {9, 8, 7, 6},
         false},
    };
    double changed[IMAGES][PIXELS];
    for (size_t i = 0; i < COUNT(cases); i++) {
        int n = 0;
        change_images(cases[i].layer, KPAR_MODE_TRAIN, changed);
        for (int k = 0; k < IMAGES; k++) {
            const bool is_changed = same_pixels(changed[k], cases[i].change);
            ck_assert_msg(is_changed || same_pixels(changed[k], whole), "%s: image %d is %g %g %g %g",
                          cases[i].layer, k, changed[k][0], changed[k][1], changed[k][2], changed[k][3]);
            n += is_changed;
        }
        ck_assert_msg(n > 0 && (n == IMAGES) == cases[i].all, "%s: %d images changed", cases[i].layer, n);
        change_images(cases[i].layer, KPAR_MODE_EVALUATE, changed);
        ck_assert_msg(same_pixels(changed[0], whole), "%s: evaluated", cases[i].layer);
    }
}
END_TEST

START_TEST(stochastic_depth_drops_whole_samples)
{
    static const double whole[] = {1, 2, 3, 4}, twice[] = {2, 4, 6, 8}, none[PIXELS];
    const char *layer = LAYER("StochasticDepth", "{\"drop_path_rate\": 0.5}", "0");
    double changed[IMAGES][PIXELS];
    int dropped = 0;
    change_images(layer, KPAR_MODE_TRAIN, changed);
    for (int k = 0; k < IMAGES; k++) {
        const bool is_dropped = same_pixels(changed[k], none);
        ck_assert_msg(is_dropped || same_pixels(changed[k], twice), "image %d begins with %g", k, changed[k][0]);
        dropped += is_dropped;
    }
    ck_assert_msg(dropped > 0 && dropped < IMAGES, "%d of %d dropped", dropped, IMAGES);
    change_images(layer, KPAR_MODE_EVALUATE, changed);
    ck_assert(same_pixels(changed[0], whole));
}
END_TEST

START_TEST(changes_of_images_without_a_formula_are_refused_while_training_alone)
{
    static const char *const names[] = {"RandomPerspective", "RandomErasing", "MixUp", "RandAugment"};
    for (size_t i = 0; i < COUNT(names); i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "{\"layers\": [" INPUT("2, 2, 1") LAYER("%s", "{}", "0") "], \"outputs\": [1], \"losses\": "
                                                                          "[\"mse\"], " ADAM "}",
                 names[i]);
        assert_refused(text, KPAR_MODE_TRAIN, KPAR_EUNSUPPORTED, "layer_1|while training|RandomFlip");
        lowered l = lower_ok(text, KPAR_MODE_PREDICT);
        lowered_free(&l);
    }
}
END_TEST

#define ATTENTIONS(rate)                                                                                     \
    "{\"layers\": [" INPUT("6, 4") LAYER("Attention", "{\"dropout\": " rate "}", "0, 0")                     \
        LAYER("MultiHeadAttention", "{\"num_heads\": 2, \"key_dim\": 2, \"dropout\": " rate "}", "1, 1")     \
            LAYER("Dense", "{\"units\": 2}", "2") "], \"outputs\": [3], \"losses\": [\"mse\"], " ADAM "}"

START_TEST(weights_of_attention_are_dropped_only_while_training)
{
    uint64_t keys[8];
    lowered l = lower_ok(ATTENTIONS("0.5"), KPAR_MODE_TRAIN);
    ck_assert_int_eq(count_ops(&l, KPAR_OP_RANDOM, keys), 2);
    ck_assert(keys[0] != keys[1]);
    lowered_free(&l);
    l = lower_ok(ATTENTIONS("0.5"), KPAR_MODE_PREDICT);
    ck_assert_int_eq(count_ops(&l, KPAR_OP_RANDOM, keys), 0);
    lowered_free(&l);
    l = lower_ok(ATTENTIONS("0"), KPAR_MODE_TRAIN);
    ck_assert_int_eq(count_ops(&l, KPAR_OP_RANDOM, keys), 0);
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

/* What is refused */

#define ONE_DENSE(config) "{\"layers\": [" INPUT("2") LAYER("Dense", config, "0") "], \"outputs\": [1], "
#define ONE_OF(shape, name, config)                                                                          \
    "{\"layers\": [" INPUT(shape)                                                                            \
        LAYER(name, config, "0") "], \"outputs\": [1], \"losses\": [\"mse\"], " ADAM "}"
/* A metric of the output of PLAIN. */
#define METRIC(loss, name, config)                                                                           \
    PLAIN "\"losses\": [\"" loss "\"], \"metrics\": [[{\"class_name\": \"" name "\", \"config\": {" config   \
          "}}]], " ADAM "}"
#define PLAIN ONE_DENSE("{\"units\": 2}")
/* A loss, and a metric, of a number for each row. */
#define NUMBERS(loss, metrics)                                                                               \
    "{\"layers\": [{\"class_name\": \"InputLayer\", \"config\": {\"batch_shape\": [null], \"name\": "        \
    "\"in\"}}]"                                                                                              \
    ", \"outputs\": [0], \"losses\": [" loss "], \"metrics\": [" metrics "], " ADAM "}"
/* A metric of an output of rows of this shape. */
#define ONE_OF_SHAPE(shape, name, config)                                                                    \
    "{\"layers\": [" INPUT(                                                                                  \
        shape) "], \"outputs\": [0], \"losses\": [\"mse\"], \"metrics\": [[{\"class_name\": \"" name         \
               "\", \"config\": {" config "}}]], " ADAM "}"
/* Metrics of the second of two outputs, which has no loss. */
#define WITHOUT_LOSS(metrics)                                                                                \
    "{\"layers\": [" INPUT("2") LAYER("Dense", "{\"units\": 2}", "0")                                        \
        LAYER("Dense", "{\"units\": 3}",                                                                     \
              "0") "], \"outputs\": [1, 2], \"losses\": [\"mse\", null], \"metrics\": [null, " metrics       \
                   "], " ADAM "}"
#define WITHIN(name, config)                                                                                 \
    ", {\"class_name\": \"" name "\", \"config\": " config ", \"argument\": \"layer\"}"
#define SPECTRAL(shape, name, config, more)                                                                  \
    "{\"layers\": [" INPUT(shape) LAYER("SpectralNormalization", "{}", "0") WITHIN(name, config) more        \
        "], \"outputs\": [1], \"losses\": [\"mse\"], " ADAM "}"

START_TEST(what_is_not_supported_is_named_with_file_layer_and_argument)
{
    static const struct {
        const char *text, *words;
        kpar_status status;
    } cases[] = {
        {ONE_DENSE("{\"units\": 2, \"kernel_regularizer\": {\"class_name\": \"L3\"}}") "\"losses\": "
                                                                                       "[\"mse\"], " ADAM "}",
         "m.keras|layer_1|kernel|L3|L1, L2", KPAR_EUNSUPPORTED},
        {ONE_DENSE("{\"units\": 2, \"bias_constraint\": {\"class_name\": \"Cap\"}}") "\"losses\": "
                                                                                     "[\"mse\"], " ADAM "}",
         "m.keras|layer_1|bias|Cap|NonNeg, MaxNorm", KPAR_EUNSUPPORTED},
        {ONE_DENSE("{\"units\": 2, \"gamma_regularizer\": {\"class_name\": \"L2\"}}") "\"losses\": "
                                                                                      "[\"mse\"], " ADAM "}",
         "m.keras|layer_1|Dense|gamma_regularizer", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("3, 2") LAYER("Dense", "{\"units\": 2}", "0")
             LAYER("Masking", "{}", "1") "]"
                                         ", \"outputs\": [2], \"losses\": [\"mse\"], " ADAM "}",
         "m.keras|layer_2|mask|depends on weights", KPAR_EUNSUPPORTED},
        {ONE_OF("3, 2", "LSTM", "{\"units\": 2, \"stateful\": true}"), "m.keras|layer_1|stateful",
         KPAR_EUNSUPPORTED},
        {ONE_OF("3, 2", "GRU", "{\"units\": 2, \"activation\": \"softmax\"}"), "layer_1|activation|softmax",
         KPAR_EUNSUPPORTED},
        {ONE_OF("3, 2", "SimpleRNN", "{\"units\": 0}"), "layer_1|units", KPAR_EFORMAT},
        {ONE_OF("3", "SimpleRNN", "{\"units\": 2}"), "layer_1|(batch, 3)|time", KPAR_EUNSUPPORTED},
        {ONE_OF("3, 4, 2", "LSTM", "{\"units\": 2}"), "layer_1|4 dimensions, expected 3", KPAR_EUNSUPPORTED},
        {ONE_OF("3, 4, 2", "ConvLSTM1D", "{\"filters\": 2, \"kernel_size\": 5}"),
         "layer_1|smaller than its kernel", KPAR_EFORMAT},
        {ONE_OF("3, 2, 4", "ConvLSTM1D",
                "{\"filters\": 2, \"kernel_size\": 1, \"data_format\": \"first\"}"),
         "layer_1|data_format|channels_first", KPAR_EFORMAT},
        {ONE_OF("3, 2", "LSTMCell", "{\"units\": 2}"), "layer_1|LSTMCell|RNN", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("3, 2") LAYER("Masking", "{}", "0")
             LAYER("BatchNormalization", "{\"axis\": 1}",
                   "1") "], \"outputs\": [2], \"losses\": [\"mse\"], " ADAM "}",
         "m.keras|layer_2|mask", KPAR_EUNSUPPORTED},
        {ONE_DENSE("{\"units\": 2, \"dtype\": \"mixed_float16\"}") "\"losses\": [\"mse\"], " ADAM "}",
         "m.keras|layer_1|dtype|mixed_float16", KPAR_EUNSUPPORTED},
        {ONE_DENSE("{\"units\": 2, \"activation\": \"sparsemax\"}") "\"losses\": [\"mse\"], " ADAM "}",
         "layer_1|sparsemax|relu, relu6", KPAR_EUNSUPPORTED},
        {ONE_DENSE("{\"units\": 0}") "\"losses\": [\"mse\"], " ADAM "}", "layer_1|units", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("2") LAYER("Quux", "{\"name\": \"q\"}", "0") "], \"outputs\": [1]}",
         "m.keras|'q'|Quux|Dense", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("null") "], \"outputs\": [0]}", "m.keras|'in'|batch_shape|dimension 1",
         KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("6")
             LAYER("Reshape", "{\"target_shape\": [4, -1]}", "0") "], \"outputs\": [1]}",
         "layer_1|target_shape|6", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6")
             LAYER("Dropout", "{\"noise_shape\": [1, 6]}", "0") "], \"outputs\": [1]}",
         "layer_1|noise_shape", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("2, 3") LAYER("Softmax", "{\"axis\": 3}", "0") "], \"outputs\": [1]}",
         "layer_1|axis", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("2, 3")
             LAYER("EinsumDense", "{\"equation\": \"abc,cde->abd\", \"output_shape\": 3}",
                   "0") "], \"outputs\": [1]}",
         "layer_1|EinsumDense|equation|abc,cde->abd", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("2, 3") LAYER(
             "EinsumDense", "{\"equation\": \"ab,bc->ac\", \"output_shape\": 3}", "0") "], \"outputs\": [1]}",
         "layer_1|EinsumDense|ab,bc->ac|3 dimensions", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("2, 3")
             LAYER("EinsumDense", "{\"equation\": \"...b,bc->...c\", \"output_shape\": null}",
                   "0") "], \"outputs\": [1]}",
         "layer_1|EinsumDense|output_shape|'c'", KPAR_EFORMAT},
        {ONE_OF("3", "Discretization", "{\"num_bins\": 4}"), "layer_1|bin_boundaries|adapt",
         KPAR_EUNSUPPORTED},
        {ONE_OF("3", "CategoryEncoding", "{\"num_tokens\": 4, \"output_mode\": \"tf_idf\"}"),
         "layer_1|output_mode|tf_idf|multi_hot", KPAR_EUNSUPPORTED},
        {ONE_OF("3, 2", "CategoryEncoding", "{\"num_tokens\": 4}"), "layer_1|(batch, numbers)",
         KPAR_EUNSUPPORTED},
        {ONE_OF("3", "IntegerLookup", "{\"vocabulary\": null}"), "layer_1|vocabulary|beside the config",
         KPAR_EUNSUPPORTED},
        {ONE_OF("3", "IntegerLookup",
                "{\"vocabulary\": [1, 2], \"num_oov_indices\": 2, \"oov_method\": \"farmhash\"}"),
         "layer_1|oov_method|farmhash|floormod", KPAR_EUNSUPPORTED},
        {ONE_OF("3", "Normalization", "{\"axis\": [1], \"mean\": [[1, 2, 3]], \"variance\": [[1, 1, 1]]}"),
         "layer_1|axis|(1, 3)", KPAR_EFORMAT},
        {ONE_OF("6", "GroupNormalization", "{\"groups\": 4}"), "layer_1|6 channels|4 groups",
         KPAR_EUNSUPPORTED},
        {ONE_OF("3", "Dense", "{\"units\": 2, \"activation\": {\"class_name\": \"PReLU\", \"config\": {}}}"),
         "layer_1|PReLU|relu, relu6", KPAR_EUNSUPPORTED},
        {ONE_OF("3", "Hashing", "{\"num_bins\": 4}"), "layer_1|Hashing|not supported|IntegerLookup",
         KPAR_EUNSUPPORTED},
        {ONE_OF("4, 4, 1", "Resizing", "{\"height\": 2, \"width\": 2, \"interpolation\": \"area\"}"),
         "layer_1|interpolation|area|lanczos3", KPAR_EUNSUPPORTED},
        {ONE_OF("2, 2, 1", "RandomBrightness", "{\"factor\": 1}"), "layer_1|factor|two numbers",
         KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("4") ", " INPUT("4")
             LAYER("Dot", "{\"axes\": 2}", "0, 1") "], \"outputs\": [2]}",
         "layer_2|axis|rank 2", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("4, 3")
             LAYER("AdaptiveMaxPooling1D", "{\"output_size\": [5]}", "0") "], \"outputs\": [1]}",
         "layer_1|AdaptiveMaxPooling1D|output_size|larger", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("4, 3")
             LAYER("GaussianNoise", "{\"stddev\": -1}", "0") "], \"outputs\": [1]}",
         "layer_1|GaussianNoise|stddev|-1", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("4, 3")
             LAYER("Normalization", "{\"axis\": -1, \"mean\": [1, 2], \"variance\": [1, 2]}",
                   "0") "], \"outputs\": [1]}",
         "layer_1|Normalization|fit (1, 1, 3)|shape (2)", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("2") LAYER("Reshape", "{\"target_shape\": [3]}", "0") "], \"outputs\": [1]}",
         "layer_1|target_shape", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("2") LAYER("Reshape", "{\"target_shape\": [2, 1]}", "0")
             LAYER("Add", "{}", "0, 1") "], \"outputs\": [2]}",
         "layer_2|Add|dimensions", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("2") LAYER("Add", "{}", "0") "], \"outputs\": [1]}", "layer_1|two or more",
         KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 6, 3")
             LAYER("Conv2D", "{\"filters\": 2, \"kernel_size\": 3, \"data_format\": \"sideways\"}",
                   "0") "], \"outputs\": [1]}",
         "layer_1|Conv2D|data_format|sideways", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 3") LAYER(
             "Conv1DTranspose", "{\"filters\": 2, \"kernel_size\": 3, \"strides\": 2, \"output_padding\": 2}",
             "0") "], \"outputs\": [1]}",
         "layer_1|Conv1DTranspose|output_padding|below the stride", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 3")
             LAYER("Conv2D", "{\"filters\": 2, \"kernel_size\": 3}", "0") "], \"outputs\": [1]}",
         "layer_1|Conv2D|rank 4", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("6, 3")
             LAYER("Conv1D", "{\"filters\": 2, \"kernel_size\": [3, 3]}", "0") "], \"outputs\": [1]}",
         "layer_1|Conv1D|kernel_size|list of 1", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 3") LAYER("Conv1D", "{\"filters\": 4, \"kernel_size\": 3, \"groups\": 2}",
                                              "0") "], \"outputs\": [1]}",
         "layer_1|groups|2 does not divide 3 channels", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 3")
             LAYER("Conv1D", "{\"filters\": 4, \"kernel_size\": 7}", "0") "], \"outputs\": [1]}",
         "layer_1|(batch, 6, 3)|larger than the images", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("6, 3")
             LAYER("MaxPooling1D", "{\"padding\": \"full\"}", "0") "], \"outputs\": [1]}",
         "layer_1|padding|full", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("6, 4")
             LAYER("MultiHeadAttention", "{\"num_heads\": 0, \"key_dim\": 2}", "0, 0") "], \"outputs\": [1]}",
         "layer_1|MultiHeadAttention|positive numbers of heads", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 4")
             LAYER("MultiHeadAttention", "{\"num_heads\": 2, \"key_dim\": 2, \"attention_axes\": [1, 2]}",
                   "0, 0") "], \"outputs\": [1]}",
         "layer_1|attention_axes|before the features", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 3, 4")
             LAYER("MultiHeadAttention",
                   "{\"num_heads\": 2, \"key_dim\": 2, \"attention_axes\": [2], \"sliding_window\": 2}",
                   "0, 0") "], \"outputs\": [1]}",
         "layer_1|sliding_window|attention_axes [1]", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("1, 1, 1, 1, 1, 1, 4")
             LAYER("MultiHeadAttention", "{\"num_heads\": 2, \"key_dim\": 2}", "0, 0") "], \"outputs\": [1]}",
         "layer_1|one rank, 3 to 7", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT(
             "6, 4") ", {\"class_name\": \"MultiHeadAttention\", \"config\": {\"num_heads\": "
                     "2, \"key_dim\": 2}, \"from\": [0, 0], \"named\": "
                     "{\"attention_mask\": 0}}], \"outputs\": [1]}",
         "layer_1|attention_mask (batch, queries, keys)", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT(
             "6, 4") ", {\"class_name\": \"GroupQueryAttention\", \"config\": "
                     "{\"num_query_heads\": 2, \"num_key_value_heads\": 1, \"head_dim\": 2}, "
                     "\"from\": [0, 0], \"named\": {\"query_mask\": 0}}], \"outputs\": [1]}",
         "layer_1|masks (batch, steps)", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("6, 4") LAYER(
             "GroupQueryAttention", "{\"num_query_heads\": 3, \"num_key_value_heads\": 2, \"head_dim\": 2}",
             "0, 0") "], \"outputs\": "
                     "[1]}",
         "layer_1|GroupQueryAttention|multiple|3 and 2 heads", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 4")
             LAYER("Attention", "{\"score_mode\": \"cosine\"}", "0, 0") "], \"outputs\": [1]}",
         "layer_1|score_mode|cosine|concat", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 4")
             LAYER("AdditiveAttention", "{\"dropout\": 1.5}", "0, 0") "], \"outputs\": [1]}",
         "layer_1|dropout|1.5", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 4") LAYER("Attention", "{}", "0") "], \"outputs\": [1]}",
         "layer_1|query, value", KPAR_EUNSUPPORTED},
        {SPECTRAL("3", "Flatten", "{}", ""), "layer_1|SpectralNormalization|Flatten has no kernel",
         KPAR_EFORMAT},
        {SPECTRAL("3", "Dense", "{\"units\": 3}", ", {\"again\": 1, \"from\": [1]}"),
         "layer_1|more than once|training", KPAR_EUNSUPPORTED},
        {"{\"layers\": [{\"class_name\": \"InputLayer\", \"config\": {\"batch_shape\": [null, 3], \"dtype\": "
         "\"int32\"}}" LAYER("SpectralNormalization", "{}", "0")
             WITHIN("Embedding", "{\"input_dim\": 4, \"output_dim\": 2}") "], \"outputs\": [1]}",
         "layer_1|whole numbers", KPAR_EUNSUPPORTED},
        {PLAIN ADAM "}", "m.keras|not compiled with a loss", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"]}", "m.keras|not compiled with an optimizer", KPAR_EUNSUPPORTED},
        {ONE_DENSE("{\"units\": 2, \"kernel_regularizer\": \"l2\"}") "\"losses\": [{\"class_name\": "
                                                                     "\"MeanSquaredError\", \"config\": "
                                                                     "{\"reduction\": null}}], " ADAM "}",
         "m.keras|the reduction \"none\"|regularizers", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [{\"class_name\": \"Tversky\", \"config\": {\"axis\": [0, 2]}}], " ADAM "}",
         "m.keras|output 'layer_1'|Tversky|'axis' is 2|a dimension of a tensor of rank 2", KPAR_EUNSUPPORTED},
        {PLAIN
         "\"losses\": [{\"class_name\": \"Dice\", \"config\": {\"axis\": 0, \"reduction\": null}}], " ADAM
         "}",
         "m.keras|output 'layer_1'|Dice|reduction|over the batch", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"ctc\"], " ADAM "}",
         "m.keras|output 'layer_1' (CTC)|(batch, 2), expected (batch, steps, classes)", KPAR_EUNSUPPORTED},
        {PLAIN
         "\"losses\": [{\"class_name\": \"MeanSquaredError\", \"config\": {\"reduction\": \"most\"}}], " ADAM
         "}",
         "reduction|most|none, sum", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [{\"class_name\": \"SparseCategoricalCrossentropy\", \"config\": "
               "{\"ignore_class\": 0.5}}], " ADAM "}",
         "layer_1|ignore_class|a whole number, found 0.5", KPAR_EFORMAT},
        {NUMBERS("{\"class_name\": \"Huber\", \"config\": {\"reduction\": \"sum\"}}", "null"),
         "output 'in' (Huber)|shape (batch)|sum_over_batch_size", KPAR_EUNSUPPORTED},
        {NUMBERS("\"kl_divergence\"", "null"), "output 'in' (KLDivergence)|shape (batch)", KPAR_EUNSUPPORTED},
        {NUMBERS("\"mse\"", "[\"mae\"]"), "metric of output 'in'|shape (batch)", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [{\"class_name\": \"CategoricalGeneralizedCrossEntropy\", \"config\": "
               "{\"q\": 1}}], " ADAM "}",
         "layer_1|'q'|between 0 and 1, found 1", KPAR_EFORMAT},
        {PLAIN "\"losses\": [{\"class_name\": \"CategoricalCrossentropy\", \"config\": {\"axis\": 0}}], " ADAM
               "}",
         "axis", KPAR_EUNSUPPORTED},
        {METRIC("mse", "Sum", ""), "metric of output 'layer_1'|Sum|accuracy", KPAR_EUNSUPPORTED},
        {METRIC("mse", "MeanIoU", ""), "MeanIoU|num_classes|found 0", KPAR_EUNSUPPORTED},
        {METRIC("mse", "MeanIoU", "\"num_classes\": 3, \"axis\": 1"), "MeanIoU|axis -1|3 and 1",
         KPAR_EUNSUPPORTED},
        {METRIC("mse", "MeanIoU", "\"num_classes\": 3, \"sparse_y_true\": false"),
         "sparse_y_true and sparse_y_pred", KPAR_EUNSUPPORTED},
        {METRIC("sparse_categorical_crossentropy", "MeanIoU", "\"num_classes\": 3, \"sparse_y_true\": false"),
         "MeanIoU|takes class numbers", KPAR_EUNSUPPORTED},
        {METRIC("sparse_categorical_crossentropy", "OneHotMeanIoU", "\"num_classes\": 3"),
         "OneHotMeanIoU|class numbers", KPAR_EUNSUPPORTED},
        {METRIC("mse", "IoU", "\"num_classes\": 3"), "target_class_ids|missing", KPAR_EFORMAT},
        {METRIC("mse", "IoU", "\"num_classes\": 3, \"target_class_ids\": [3]"),
         "target_class_ids|from 0 to 2", KPAR_EFORMAT},
        {METRIC("mse", "BinaryIoU", "\"target_class_ids\": []"), "target_class_ids|a list", KPAR_EFORMAT},
        {METRIC("mse", "RecallAtPrecision", ""), "precision|from 0 to 1", KPAR_EFORMAT},
        {METRIC("mse", "PrecisionAtRecall", "\"recall\": 2"), "recall|is 2", KPAR_EFORMAT},
        {METRIC("mse", "Precision", "\"thresholds\": [0.2, 1.8]"), "thresholds|has 1.8", KPAR_EFORMAT},
        {METRIC("mse", "Recall", "\"thresholds\": [0.2, null]"), "thresholds|numbers", KPAR_EFORMAT},
        {METRIC("mse", "FalsePositives", "\"thresholds\": []"), "thresholds|empty", KPAR_EFORMAT},
        {METRIC("mse", "Precision", "\"top_k\": 65"), "top_k|is 65|1 to 64", KPAR_EUNSUPPORTED},
        {METRIC("mse", "F1Score", "\"average\": \"samples\""), "F1Score|average|samples|macro",
         KPAR_EUNSUPPORTED},
        {METRIC("mse", "R2Score", "\"class_aggregation\": \"sum\""), "class_aggregation|sum|uniform_average",
         KPAR_EUNSUPPORTED},
        {METRIC("mse", "R2Score", "\"num_regressors\": -1"), "num_regressors|is -1", KPAR_EFORMAT},
        {ONE_OF_SHAPE("3, 2", "R2Score", ""), "R2Score|(batch, values)", KPAR_EUNSUPPORTED},
        {METRIC("mse", "SensitivityAtSpecificity", "\"specificity\": 1, \"num_thresholds\": 0"),
         "num_thresholds|is 0", KPAR_EUNSUPPORTED},
        {METRIC("mse", "SpecificityAtSensitivity", "\"sensitivity\": 1, \"class_id\": 99"), "class_id|is 99",
         KPAR_EFORMAT},
        {METRIC("mse", "PearsonCorrelation", "\"axis\": 0"), "PearsonCorrelation|axis", KPAR_EUNSUPPORTED},
        {METRIC("mse", "AUC", "\"curve\": \"ROCK\""), "AUC|curve|ROCK|ROC, PR and PRGAIN", KPAR_EUNSUPPORTED},
        {METRIC("mse", "AUC", "\"summation_method\": \"simpson\""), "summation_method|simpson|minoring",
         KPAR_EUNSUPPORTED},
        {METRIC("mse", "AUC", "\"num_thresholds\": 1"), "num_thresholds|is 1", KPAR_EUNSUPPORTED},
        {METRIC("mse", "AUC", "\"multi_label\": true, \"num_labels\": 3"), "num_labels|is 3|2 labels",
         KPAR_EFORMAT},
        {METRIC("mse", "AUC", "\"label_weights\": [1, 2, 3]"), "label_weights|3 numbers|2 labels",
         KPAR_EFORMAT},
        {METRIC("mse", "AUC",
                "\"label_weights\": {\"class_name\": \"__tensor__\", \"config\": {\"value\": "
                "[1], \"dtype\": \"float32\"}}"),
         "label_weights|1 numbers|2 labels", KPAR_EFORMAT},
        {ONE_OF_SHAPE("3, 2", "AUC", "\"multi_label\": true"), "AUC|multi_label|(batch, labels)",
         KPAR_EUNSUPPORTED},
        {METRIC("mse", "MeanMetricWrapper", "\"fn\": \"luck\""), "'luck' is not supported",
         KPAR_EUNSUPPORTED},
        {METRIC("mse", "MeanMetricWrapper", "\"fn\": \"binary_accuracy\", \"k\": 2"), "BinaryAccuracy|k",
         KPAR_EUNSUPPORTED},
        {METRIC("mse", "Huber", ""), "'Huber' is not supported|MeanSquaredError", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("3, 2")
             LAYER("Masking", "{}", "0") "], \"outputs\": [1], \"losses\": [\"mse\"], "
                                         "\"metrics\": [[{\"module\": \"keras.losses\", \"class_name\": "
                                         "\"MeanSquaredError\", \"config\": {}}]], " ADAM "}",
         "MeanSquaredError|one value for the batch|mask", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], \"metrics\": [[{\"module\": \"keras.losses\", \"class_name\": "
               "\"SparseCategoricalCrossentropy\", \"config\": {}}]], " ADAM "}",
         "SparseCategoricalCrossentropy|class numbers", KPAR_EUNSUPPORTED},
        {WITHOUT_LOSS("[\"accuracy\"]"), "output 'layer_2'|no loss|sparse_categorical_accuracy",
         KPAR_EUNSUPPORTED},
        {WITHOUT_LOSS("[\"mae\", \"sparse_categorical_accuracy\"]"),
         "output 'layer_2'|MeanAbsoluteError|other metric", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], \"metrics\": [[\"sparse_categorical_accuracy\"]], " ADAM "}",
         "SparseCategoricalAccuracy|class numbers", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": \"downhill\"}", "optimizer|downhill|Adam",
         KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": {\"class_name\": \"Muon\", \"config\": "
               "{\"exclude_layers\": [\"(?=head)\"]}}}",
         "optimizer (Muon)|exclude_layers|pattern '(?=head)'", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": {\"class_name\": \"Muon\", \"config\": "
               "{\"exclude_layers\": \"head\"}}}",
         "optimizer (Muon)|exclude_layers|a list of strings", KPAR_EFORMAT},
        {PLAIN "\"losses\": [\"mse\"], " MULTI(ADAM_OBJECT, "\"layer_1/k.*\": " ADAM_OBJECT
                                                            ", \".*kernel\": " ADAM_OBJECT) "}",
         "optimizer (MultiOptimizer)|'layer_1/k.*' and '.*kernel' both fit|'layer_1/kernel'", KPAR_EFORMAT},
        {PLAIN
         "\"losses\": [\"mse\"], " MULTI("{\"class_name\": \"MultiOptimizer\", \"config\": {}}", "") "}",
         "member 1 (MultiOptimizer)|updates weights itself", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], " MULTI("\"downhill\"", "") "}", "member 1|downhill|Adam",
         KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": {\"class_name\": \"MultiOptimizer\", \"config\": "
               "{\"optimizer_map\": {\"class_name\": \"function\", \"config\": \"pick\"}}}}",
         "optimizer_map|an OptimizerMap|pick", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": \"multi_optimizer\"}", "optimizer_map|missing",
         KPAR_EFORMAT},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": {\"class_name\": \"Adam\", \"config\": "
               "{\"gradient_accumulation_steps\": -1}}}",
         "optimizer (Adam)|gradient_accumulation_steps|-1", KPAR_EFORMAT},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": {\"class_name\": \"Adam\", \"config\": {\"use_lion\": "
               "true}}}",
         "use_lion", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": {\"class_name\": \"SGD\", \"config\": "
               "{\"learning_rate\": {\"class_name\": "
               "\"NoSuchDecay\", \"config\": {}}}}}",
         "learning_rate|NoSuchDecay|ExponentialDecay", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": {\"class_name\": \"SGD\", \"config\": "
               "{\"learning_rate\": {\"class_name\": "
               "\"ExponentialDecay\", \"config\": {\"initial_learning_rate\": 1}}}}}",
         "learning_rate (ExponentialDecay)|decay_rate", KPAR_EFORMAT},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": {\"class_name\": \"SGD\", \"config\": {\"momentum\": "
               "\"much\"}}}",
         "optimizer (SGD)|momentum", KPAR_EFORMAT},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_refused(cases[i].text, KPAR_MODE_TRAIN, cases[i].status, cases[i].words);
}
END_TEST

/* An operation on an input of this shape, and other arguments. */
#define TENSOR "{\"class_name\": \"__keras_tensor__\"}"
#define OPERATION(shape, name, config, args)                                                                 \
    "{\"layers\": [" INPUT(shape) ", {\"class_name\": \"" name "\", \"config\": " config                     \
                                  ", \"from\": [0], \"args\": [" TENSOR args "]}], \"outputs\": [1]}"

START_TEST(operations_that_are_not_supported_so_are_refused_with_their_reason)
{
    static const struct {
        const char *text, *words;
        kpar_status status;
    } cases[] = {
        {OPERATION("4", "Sum", "{\"axis\": null}", ""), "layer_1|Sum|the batch too", KPAR_EUNSUPPORTED},
        {OPERATION("4", "Max", "{\"axis\": 0}", ""), "axis|after the batch", KPAR_EUNSUPPORTED},
        {OPERATION("4", "Cast", "{\"dtype\": \"uint8\"}", ""), "dtype|uint8|int32", KPAR_EUNSUPPORTED},
        {OPERATION("4", "Add", "{}", ", \"word\""), "argument 2|a tensor or a number", KPAR_EUNSUPPORTED},
        {OPERATION("4", "Elu", "{}", ""), "alpha|a number", KPAR_EFORMAT},
        {OPERATION("3", "Glu", "{\"axis\": -1}", ""), "axis|3 is odd", KPAR_EFORMAT},
        {OPERATION("4", "Norm", "{\"axis\": 1, \"ord\": 0}", ""), "ord|positive", KPAR_EUNSUPPORTED},
        {OPERATION("4", "TopK", "{\"k\": 5}", ""), "5 elements|of 4", KPAR_EUNSUPPORTED},
        {OPERATION("99", "Sort", "{\"axis\": 1}", ""), "99 elements|up to 64", KPAR_EUNSUPPORTED},
        {OPERATION("4", "Flip", "{\"axis\": null}", ""), "axis|after the batch", KPAR_EUNSUPPORTED},
        {OPERATION("4", "Tile", "{\"repeats\": [2, 1]}", ""), "repeats|after the batch", KPAR_EUNSUPPORTED},
        {OPERATION("4", "Repeat", "{\"repeats\": [1, 2], \"axis\": 1}", ""), "repeats|each of 4",
         KPAR_EFORMAT},
        {OPERATION("4", "Pad", "{\"pad_width\": [[1, 1], [0, 0]]}", ""), "pad_width|zeros for the batch",
         KPAR_EUNSUPPORTED},
        {OPERATION("4", "Pad", "{\"pad_width\": [[0, 0], [1, 0]], \"mode\": \"maximum\"}", ""),
         "mode|maximum|reflect", KPAR_EUNSUPPORTED},
        {OPERATION("4", "Tril", "{\"k\": 0}", ""), "matrices", KPAR_EUNSUPPORTED},
        {OPERATION("4", "GetItem", "{}", ", [0]"), "after the whole batch", KPAR_EUNSUPPORTED},
        {OPERATION("4", "GetItem", "{}", ", [{\"class_name\": \"__ellipsis__\"}, 4]"), "index 4|of 4",
         KPAR_EFORMAT},
        {OPERATION("4", "Take", "{\"axis\": 0}", ", [1, 2]"), "axis|not the batch", KPAR_EUNSUPPORTED},
        {OPERATION("4", "TakeAlongAxis", "{\"axis\": 1}", ", [1, 2]"), "as many dimensions",
         KPAR_EUNSUPPORTED},
        {OPERATION("4", "SearchSorted", "{}", ", 1"), "sorted sequence", KPAR_EUNSUPPORTED},
        {OPERATION("4", "MultiHot", "{\"num_classes\": 0}", ""), "num_classes", KPAR_EFORMAT},
        {OPERATION("4", "Dot", "{}", ", [[1], [2], [3]]"), "4 and 3", KPAR_EFORMAT},
        {OPERATION("4", "Tensordot", "{\"axes\": [[2], [0]]}", ", [1, 2]"), "axes|not there", KPAR_EFORMAT},
        {OPERATION("4", "Einsum", "{\"subscripts\": \"bb->b\"}", ""), "bb->b|btc,bsc->bts",
         KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT(
             "4") ", {\"class_name\": \"Einsum\", \"config\": {\"subscripts\": \"ac,bc->ab\"}, "
                  "\"from\": [0, 0], \"args\": [" TENSOR ", " TENSOR "]}], \"outputs\": [1]}",
         "every row of the batch with every other", KPAR_EUNSUPPORTED},
        {OPERATION("4, 3, 2", "DotProductAttention", "{\"attn_logits_soft_cap\": 2}",
                   ", " TENSOR ", " TENSOR),
         "attn_logits_soft_cap", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("4, 3, 2") ", " INPUT(
             "4, 2, 2") ", {\"class_name\": \"DotProductAttention\", "
                        "\"config\": {}, \"from\": [0, 1, 1], \"args\": [" TENSOR ", " TENSOR ", " TENSOR
                        "]}], \"outputs\": [2]}",
         "divide the 3 of the queries", KPAR_EUNSUPPORTED},
        {OPERATION("4, 4, 3", "DepthToSpace", "{\"block_size\": 2}", ""), "block_size|2 does not divide",
         KPAR_EFORMAT},
        {OPERATION("4, 4, 3", "ExtractPatches", "{\"size\": [2, 5]}", ""), "nothing is left of dimension 2",
         KPAR_EUNSUPPORTED},
        {OPERATION("3", "RFFT", "{\"fft_length\": 0}", ""), "fft_length|positive number, found 0",
         KPAR_EFORMAT},
        {"{\"layers\": [" INPUT(
             "4") ", {\"class_name\": \"FFT2\", \"config\": {}, \"from\": [0, 0], \"args\": [[" TENSOR
                  ", " TENSOR "]]}], \"outputs\": [1]}",
         "over the batch; expected a tensor of rank 3, found 2", KPAR_EUNSUPPORTED},
        {OPERATION("4, 4, 3", "Resize", "{\"size\": [2, 2], \"interpolation\": \"area\"}", ""),
         "interpolation|area|bicubic", KPAR_EUNSUPPORTED},
        {OPERATION("9, 2", "Unstack", "{\"axis\": 1}", ""), "9 elements|up to 8", KPAR_EUNSUPPORTED},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_refused(cases[i].text, KPAR_MODE_PREDICT, cases[i].status, cases[i].words);
}
END_TEST

START_TEST(a_layer_called_with_inputs_of_two_sizes_is_refused)
{
    assert_refused("{\"layers\": [" INPUT("2") LAYER(
                       "Dense", "{\"units\": 3}", "0") ", {\"again\": 1, \"from\": [1]}], \"outputs\": [2]}",
                   KPAR_MODE_PREDICT, KPAR_EUNSUPPORTED, "layer_1|kernel|(2, 3)|(3, 3)");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("model");
    TCase *t = tcase_create("model");
    tcase_add_test(t, activations_and_their_slopes_are_those_of_keras_also_at_kinks);
    tcase_add_test(t, every_activation_that_has_a_formula_is_compared);
    tcase_add_test(t, activation_layers_are_those_of_keras_also_at_kinks);
    tcase_add_test(t, schedules_give_the_rates_of_keras);
    tcase_add_test(t, optimizers_take_the_steps_of_keras);
    tcase_add_test(t, every_optimizer_and_schedule_is_compared);
    tcase_add_test(t, regularizers_move_weights_and_raise_the_loss_as_in_keras);
    tcase_add_test(t, constraints_hold_after_the_step_as_in_keras);
    tcase_add_test(t, every_regularizer_and_constraint_is_compared);
    tcase_add_test(t, what_depends_on_the_step_alone_is_computed_once_and_not_for_each_element);
    tcase_add_test(t, losses_and_their_gradients_are_those_of_keras);
    tcase_add_test(t, every_loss_is_compared);
    tcase_add_test(t, sequences_cost_what_their_paths_are_unlikely_and_those_without_a_path_infinitely_much);
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
    tcase_add_test(t, layers_without_weights_compute_what_they_say);
    tcase_add_test(t, layers_of_images_take_channels_first_or_last);
    tcase_add_test(t, masks_say_which_steps_count);
    tcase_add_test(t, integer_inputs_become_real_where_a_layer_computes_with_them);
    tcase_add_test(t, layers_of_noise_have_the_moments_that_they_say);
    tcase_add_test(t, images_are_changed_only_while_training);
    tcase_add_test(t, stochastic_depth_drops_whole_samples);
    tcase_add_test(t, changes_of_images_without_a_formula_are_refused_while_training_alone);
    tcase_add_test(t, weights_of_attention_are_dropped_only_while_training);
    tcase_add_test(t, dropout_draws_by_layer_and_call_and_only_while_training);
    tcase_add_test(t, variables_have_the_paths_and_the_order_of_keras);
    tcase_add_test(t, a_schedule_takes_the_place_of_the_learning_rate);
    tcase_add_test(t, groups_are_those_that_keras_writes);
    tcase_add_test(t, modes_share_one_catalog_in_any_order);
    tcase_add_test(t, calls_of_one_layer_share_its_weights);
    tcase_add_test(t, the_gradient_belongs_to_the_layer_and_the_optimizer_state_follows_it);
    tcase_add_test(t, what_is_not_supported_is_named_with_file_layer_and_argument);
    tcase_add_test(t, operations_that_are_not_supported_so_are_refused_with_their_reason);
    tcase_add_test(t, a_layer_called_with_inputs_of_two_sizes_is_refused);
    suite_add_tcase(s, t);
    return s;
}

int main(void) { return run_suite(suite()); }
