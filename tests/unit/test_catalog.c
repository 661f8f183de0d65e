/* Reading configs, the catalog of variables, and initial values. */
#include "model/catalog.h"
#include "model/config.h"
#include "model/pattern.h"
#include "model/tables.h"
#include "unit.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *config;

static void tear_down(void)
{
    json_decref(config);
    config = NULL;
}

static const json_t *parse(const char *text)
{
    json_decref(config);
    config = json_loads(text, JSON_DECODE_ANY, NULL);
    ck_assert_ptr_nonnull(config);
    return config;
}

static void fails(kpar_status found, kpar_status expected, const char *word)
{
    ck_assert_str_eq(kpar_status_name(found), kpar_status_name(expected));
    ck_assert_msg(strstr(kpar_error_message(), word) != NULL, "'%s' in: %s", word, kpar_error_message());
}

START_TEST(patterns_fit_as_in_python)
{
    static const struct {
        const char *pattern, *text;
        bool somewhere, whole;
    } cases[] = {
        {"dense", "tower/dense_1/kernel", true, false},
        {"", "any", true, false},
        {"", "", true, true},
        {"dense_\\d+/.*", "dense_12/kernel", true, true},
        {"^dense", "a/dense", false, false},
        {"kernel$|bias", "dense/kernel", true, false},
        {"a|ab", "ab", true, true}, /* whole: of both, not of the second alone */
        {"(?:a|b)+?c", "ababc", true, true},
        {"[^/]*/[]k]ernel", "d/kernel", true, true},
        {"\\.\\w\\W\\S\\s", ".a-b ", true, true},
        {"\\D{2}", "a1b", false, false},
        {"x*?y??", "xxy", true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool fits;
        ck_assert_int_eq(kpar_pattern_fits("o", "k", cases[i].pattern, false, cases[i].text, &fits), KPAR_OK);
        ck_assert_msg(fits == cases[i].somewhere, "'%s' in '%s'", cases[i].pattern, cases[i].text);
        ck_assert_int_eq(kpar_pattern_fits("o", "k", cases[i].pattern, true, cases[i].text, &fits), KPAR_OK);
        ck_assert_msg(fits == cases[i].whole, "'%s' is '%s'", cases[i].pattern, cases[i].text);
    }
}
END_TEST

START_TEST(patterns_that_mean_something_else_here_are_refused)
{
    static const char *const patterns[] = {"(?!a)", "\\bword", "[\\w]", "[[:alpha:]]",
                                           "a++",   "(",       "[a",    "a\\"};
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        bool fits;
        fails(kpar_pattern_fits("the optimizer", "map", patterns[i], false, "a", &fits), KPAR_EUNSUPPORTED,
              "the optimizer: argument 'map': the pattern '");
    }
}
END_TEST

START_TEST(absent_and_null_give_the_default)
{
    double number;
    int64_t integer;
    bool boolean;
    const char *string;
    parse("{\"a\": null}");
    ck_assert_int_eq(kpar_config_number("o", config, "a", 1.5, &number), KPAR_OK);
    ck_assert_int_eq(kpar_config_integer("o", config, "b", 7, &integer), KPAR_OK);
    ck_assert_int_eq(kpar_config_boolean("o", config, "a", true, &boolean), KPAR_OK);
    ck_assert_int_eq(kpar_config_string("o", NULL, "a", "x", &string), KPAR_OK);
    ck_assert_double_eq(number, 1.5);
    ck_assert_int_eq(integer, 7);
    ck_assert(boolean);
    ck_assert_str_eq(string, "x");
}
END_TEST

START_TEST(a_value_of_another_type_is_named)
{
    double number;
    int64_t integer;
    bool boolean;
    const char *string;
    parse("{\"a\": \"text\", \"b\": 2.5, \"c\": 3.0}");
    fails(kpar_config_number("layer 'd'", config, "a", 0, &number), KPAR_EFORMAT,
          "layer 'd': argument 'a': expected a number, found \"text\"");
    fails(kpar_config_integer("o", config, "b", 0, &integer), KPAR_EFORMAT, "whole number, found 2.5");
    fails(kpar_config_boolean("o", config, "b", 0, &boolean), KPAR_EFORMAT, "true or false");
    fails(kpar_config_string("o", config, "b", "", &string), KPAR_EFORMAT, "a string");
    ck_assert_int_eq(kpar_config_integer("o", config, "c", 0, &integer), KPAR_OK);
    ck_assert_int_eq(integer, 3);
}
END_TEST

START_TEST(unknown_arguments_pass_at_null_false_or_their_default)
{
    static const char *const defaults = "data_format=\"channels_last\" dilation=[1,1] groups=1";
    parse("{\"units\": 3, \"x\": null, \"y\": false, \"data_format\": \"channels_last\", \"dilation\": [1, "
          "1], \"groups\": 1.0}");
    ck_assert_int_eq(kpar_config_known("o", config, "name units", defaults), KPAR_OK);
    parse("{\"data_format\": \"channels_first\"}");
    fails(kpar_config_known("layer 'c'", config, "name units", defaults), KPAR_EUNSUPPORTED,
          "layer 'c': argument 'data_format' = \"channels_first\"");
    parse("{\"unit\": 1}");
    fails(kpar_config_known("o", config, "units", ""), KPAR_EUNSUPPORTED, "'unit'");
}
END_TEST

START_TEST(objects_functions_and_strings_name_a_class)
{
    const char *name;
    const json_t *inner;
    ck_assert_int_eq(kpar_config_object("o", parse("\"adam\""), &name, &inner), KPAR_OK);
    ck_assert_str_eq(name, "adam");
    ck_assert_ptr_null(inner);
    ck_assert_int_eq(kpar_config_object("o",
                                        parse("{\"class_name\": \"Adam\", \"config\": {\"beta_1\": 0.5}}"),
                                        &name, &inner),
                     KPAR_OK);
    ck_assert_str_eq(name, "Adam");
    ck_assert_double_eq(json_real_value(json_object_get(inner, "beta_1")), 0.5);
    ck_assert_int_eq(
        kpar_config_object("o", parse("{\"class_name\": \"function\", \"config\": \"mean_squared_error\"}"),
                           &name, &inner),
        KPAR_OK);
    ck_assert_str_eq(name, "mean_squared_error");
    fails(kpar_config_object("o", parse("[1, 2]"), &name, &inner), KPAR_EFORMAT, "[1,2]");
    fails(kpar_config_object("o", parse("{\"class_name\": \"L\", \"registered_name\": \"p>L\"}"), &name,
                             &inner),
          KPAR_EUNSUPPORTED, "Python");
}
END_TEST

START_TEST(snake_case_is_the_one_of_weight_paths)
{
    static const char *const names[][2] = {{"Dense", "dense"},
                                           {"Conv2D", "conv2d"},
                                           {"Conv2DTranspose", "conv2d_transpose"},
                                           {"ReLU", "re_lu"},
                                           {"MultiHeadAttention", "multi_head_attention"},
                                           {"LSTMCell", "lstm_cell"},
                                           {"PReLU", "p_re_lu"},
                                           {"LeakyReLU", "leaky_re_lu"},
                                           {"ELU", "elu"},
                                           {"RMSNormalization", "rms_normalization"},
                                           {"UpSampling2D", "up_sampling2d"},
                                           {"ConvLSTM2D", "conv_lstm2d"},
                                           {"GlobalAveragePooling2D", "global_average_pooling2d"}};
    char text[64], tiny[5];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        kpar_snake_case(names[i][0], text, sizeof text);
        ck_assert_str_eq(text, names[i][1]);
    }
    kpar_snake_case("Dense", tiny, sizeof tiny);
    ck_assert_uint_lt(strlen(tiny), sizeof tiny);
    ck_assert(kpar_same_name("KLDivergence", "kl_divergence"));
    ck_assert(kpar_same_name("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy"));
    ck_assert(!kpar_same_name("Dense", "dens"));
}
END_TEST

/* A float32 variable of one or two dimensions with the initializer that `text` names. */
static kpar_status initializer(const char *text, int64_t rows, int64_t columns, uint64_t seed,
                               kpar_variable *v)
{
    *v = (kpar_variable){.path = "layers/dense/vars/0",
                         .layer = "dense",
                         .name = "kernel",
                         .rank = columns ? 2 : 1,
                         .dims = {rows, columns}};
    return kpar_variable_set_initializer("m.keras: layer 'dense'", text ? parse(text) : NULL, "Zeros", seed,
                                         v);
}

START_TEST(every_initializer_of_the_table_draws_values)
{
    int n;
    const kpar_initializer_row *rows = kpar_initializer_rows(&n);
    for (int i = 0; i < n; i++) {
        char text[96];
        float values[30];
        kpar_variable v;
        snprintf(text, sizeof text, "{\"class_name\": \"%s\", \"config\": {}}", rows[i].class_name);
        ck_assert_msg(initializer(text, 5, 6, 1, &v) == KPAR_OK, "%s", kpar_error_message());
        kpar_slice all = kpar_variable_whole(&v);
        kpar_variable_initialize(&v, &all, values);
        for (int k = 0; k < 30; k++) ck_assert_float_finite(values[k]);
    }
}
END_TEST

static void moments(const kpar_variable *v, double *mean, double *deviation, double *largest)
{
    size_t n = (size_t)kpar_count(v->rank, v->dims);
    float *values = malloc(n * sizeof *values);
    kpar_slice all = kpar_variable_whole(v);
    kpar_variable_initialize(v, &all, values);
    double sum = 0, squares = 0;
    *largest = 0;
    for (size_t i = 0; i < n; i++) {
        sum += values[i];
        squares += (double)values[i] * values[i];
        *largest = fmax(*largest, fabs(values[i]));
    }
    *mean = sum / (double)n;
    *deviation = sqrt(squares / (double)n - *mean * *mean);
    free(values);
}

START_TEST(distributions_have_the_moments_that_keras_documents)
{
    static const struct {
        const char *text;
        double deviation, most;
    } cases[] = {
        {"\"glorot_uniform\"", 0.0816497, 0.1414214}, /* sqrt(2 / 300), sqrt(6 / 300) */
        {"\"GlorotNormal\"", 0.0816497, 0.1856469},   /* cut at 2 deviations of the normal before cutting */
        {"\"he_normal\"", 0.1, 0.2273686},
        {"\"lecun_uniform\"", 0.0707107, 0.1224745},
        {"{\"class_name\": \"VarianceScaling\", \"config\": {\"scale\": 4, \"mode\": \"fan_out\", "
         "\"distribution\": \"untruncated_normal\"}}",
         0.2, 2},
        {"{\"class_name\": \"RandomNormal\", \"config\": {\"stddev\": 0.5}}", 0.5, 4},
        {"\"uniform\"", 0.0288675, 0.05},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kpar_variable v;
        double mean, deviation, largest;
        ck_assert_msg(initializer(cases[i].text, 200, 100, 3, &v) == KPAR_OK, "%s", kpar_error_message());
        moments(&v, &mean, &deviation, &largest);
        ck_assert_double_eq_tol(mean, 0.0, 0.03 * cases[i].deviation);
        ck_assert_double_eq_tol(deviation, cases[i].deviation, 0.03 * cases[i].deviation);
        ck_assert_double_le(largest, cases[i].most);
    }
}
END_TEST

START_TEST(constants_need_no_stream)
{
    kpar_variable v;
    float values[4];
    kpar_slice all;
    ck_assert_int_eq(initializer(NULL, 4, 0, 1, &v), KPAR_OK);
    ck_assert_ptr_null(v.initializer);
    ck_assert_double_eq(v.initial, 0.0);
    ck_assert_int_eq(
        initializer("{\"class_name\": \"Constant\", \"config\": {\"value\": 0.25}}", 4, 0, 1, &v), KPAR_OK);
    all = kpar_variable_whole(&v);
    kpar_variable_initialize(&v, &all, values);
    ck_assert_float_eq(values[3], 0.25f);
    ck_assert_int_eq(initializer("\"one\"", 4, 0, 1, &v), KPAR_OK);
    ck_assert_double_eq(v.initial, 1.0);
}
END_TEST

START_TEST(a_slice_starts_as_that_part_of_the_whole)
{
    kpar_variable v;
    float whole[7][9], part[3][4], other[7][9];
    ck_assert_int_eq(initializer("\"he_normal\"", 7, 9, 42, &v), KPAR_OK);
    kpar_slice all = kpar_variable_whole(&v), some = {2, {2, 5}, {3, 4}};
    kpar_variable_initialize(&v, &all, whole);
    kpar_variable_initialize(&v, &some, part);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++) ck_assert_float_eq(part[i][j], whole[2 + i][5 + j]);
    ck_assert_int_eq(initializer("\"he_normal\"", 7, 9, 43, &v), KPAR_OK);
    kpar_variable_initialize(&v, &all, other);
    ck_assert_float_ne(whole[0][0], other[0][0]);
}
END_TEST

/* Products of all pairs of the fewer of rows and columns. */
static void assert_orthogonal(int rows, int columns, double gain)
{
    kpar_variable v;
    float *x = calloc((size_t)(rows * columns), sizeof *x);
    const int n = rows > columns ? columns : rows, length = rows > columns ? rows : columns;
    ck_assert_int_eq(
        initializer("{\"class_name\": \"Orthogonal\", \"config\": {\"gain\": 2}}", rows, columns, 5, &v),
        KPAR_OK);
    const kpar_slice all = kpar_variable_whole(&v);
    kpar_variable_initialize(&v, &all, x);
    for (int a = 0; a < n; a++)
        for (int b = 0; b < n; b++) {
            double product = 0;
            for (int i = 0; i < length; i++)
                product += rows > columns ? (double)x[i * columns + a] * (double)x[i * columns + b]
                                          : (double)x[a * columns + i] * (double)x[b * columns + i];
            ck_assert_double_eq_tol(product, a == b ? gain * gain : 0, 1e-5);
        }
    free(x);
}

START_TEST(orthogonal_weights_are_orthogonal_on_any_slice)
{
    kpar_variable v;
    float whole[6][9], part[2][3];
    assert_orthogonal(8, 8, 2);
    assert_orthogonal(5, 20, 2);
    assert_orthogonal(20, 5, 2);
    ck_assert_int_eq(initializer("\"orthogonal\"", 6, 9, 42, &v), KPAR_OK);
    kpar_slice all = kpar_variable_whole(&v), some = {2, {3, 5}, {2, 3}};
    kpar_variable_initialize(&v, &all, whole);
    kpar_variable_initialize(&v, &some, part);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++) ck_assert_float_eq(part[i][j], whole[3 + i][5 + j]);
    fails(initializer("\"orthogonal\"", 6, 0, 42, &v), KPAR_EFORMAT, "1 dimensions, expected two");
    ck_assert_int_eq(initializer("\"identity\"", 6, 9, 42, &v), KPAR_OK);
    v.ones[0] = 1;
    v.ones[1] = 3;
    kpar_variable_initialize(&v, &all, whole);
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 9; j++) ck_assert_float_eq(whole[i][j], i == j || (i == 0 && (j == 1 || j == 2)));
}
END_TEST

START_TEST(unknown_initializers_and_arguments_are_named)
{
    kpar_variable v;
    fails(initializer("\"Sobol\"", 2, 2, 1, &v), KPAR_EUNSUPPORTED,
          "m.keras: layer 'dense': initializer 'Sobol'");
    ck_assert_ptr_nonnull(strstr(kpar_error_message(), "GlorotUniform"));
    fails(initializer("{\"class_name\": \"HeNormal\", \"config\": {\"input_axes\": [0]}}", 2, 2, 1, &v),
          KPAR_EUNSUPPORTED, "input_axes");
    fails(
        initializer("{\"class_name\": \"VarianceScaling\", \"config\": {\"mode\": \"fan_x\"}}", 2, 2, 1, &v),
        KPAR_EUNSUPPORTED, "fan_x");
    fails(initializer("{\"class_name\": \"VarianceScaling\", \"config\": {\"scale\": -1}}", 2, 2, 1, &v),
          KPAR_EFORMAT, "positive");
    fails(initializer("{\"class_name\": \"Constant\", \"config\": {\"value\": \"x\"}}", 2, 2, 1, &v),
          KPAR_EFORMAT, "'value'");
}
END_TEST

START_TEST(weights_stand_by_layer_and_slots_do_not_count)
{
    kpar_catalog *catalog = kpar_catalog_create();
    kpar_variable v = {.layer = "l", .name = "n"};
    static const struct {
        const char *path;
        int layer;
        kpar_variable_kind kind;
    } added[] = {{"b/0", 2, KPAR_VARIABLE_WEIGHT}, {"b/1", 2, KPAR_VARIABLE_WEIGHT},
                 {"a/0", 1, KPAR_VARIABLE_WEIGHT}, {"a/1", 1, KPAR_VARIABLE_FROZEN},
                 {"o/0", -1, KPAR_VARIABLE_SLOT},  {"b/0", 2, KPAR_VARIABLE_WEIGHT}};
    for (size_t i = 0; i < sizeof added / sizeof *added; i++) {
        v.path = added[i].path;
        v.layer_index = added[i].layer;
        v.kind = added[i].kind;
        ck_assert_int_eq(kpar_catalog_add(catalog, &v), i < 5 ? (int)i : 0);
    }
    int order[3];
    ck_assert_int_eq(kpar_catalog_weights(catalog, NULL), 3);
    ck_assert_int_eq(kpar_catalog_weights(catalog, order), 3);
    ck_assert_int_eq(order[0], 2);
    ck_assert_int_eq(order[1], 0);
    ck_assert_int_eq(order[2], 1);
    ck_assert_int_eq(kpar_catalog_find(catalog, "a/1"), 3);
    ck_assert_int_eq(kpar_catalog_find(catalog, "a/2"), -1);
    kpar_catalog_add_group(catalog, "a", "first");
    kpar_catalog_add_group(catalog, "a", "again");
    ck_assert_int_eq(catalog->n_groups, 1);
    ck_assert_str_eq(catalog->groups[0].name, "first");
    kpar_catalog_destroy(catalog);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("catalog");
    TCase *tests = tcase_create("model");
    tcase_add_checked_fixture(tests, NULL, tear_down);
    tcase_add_test(tests, patterns_fit_as_in_python);
    tcase_add_test(tests, patterns_that_mean_something_else_here_are_refused);
    tcase_add_test(tests, absent_and_null_give_the_default);
    tcase_add_test(tests, a_value_of_another_type_is_named);
    tcase_add_test(tests, unknown_arguments_pass_at_null_false_or_their_default);
    tcase_add_test(tests, objects_functions_and_strings_name_a_class);
    tcase_add_test(tests, snake_case_is_the_one_of_weight_paths);
    tcase_add_test(tests, every_initializer_of_the_table_draws_values);
    tcase_add_test(tests, distributions_have_the_moments_that_keras_documents);
    tcase_add_test(tests, constants_need_no_stream);
    tcase_add_test(tests, a_slice_starts_as_that_part_of_the_whole);
    tcase_add_test(tests, orthogonal_weights_are_orthogonal_on_any_slice);
    tcase_add_test(tests, unknown_initializers_and_arguments_are_named);
    tcase_add_test(tests, weights_stand_by_layer_and_slots_do_not_count);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
