/* What Keras wrote before .keras: whole models in HDF5 and configs of Keras 2. */
#include "keras_fixture.h"
#include "unit.h"

#include <hdf5.h>

static kpar_keras_file *file;
static kpar_catalog *catalog;

/* A model of Keras 2: no modules, calls as lists, an axis as a list. */
static const char model_2[] =
    "{\"class_name\": \"Functional\", \"config\": {\"name\": \"m\", \"layers\": ["
    "{\"class_name\": \"InputLayer\", \"name\": \"in\", \"inbound_nodes\": [], \"config\": {\"name\": \"in\", "
    "\"batch_input_shape\": [null, 2], \"dtype\": \"float32\", \"sparse\": false, \"ragged\": false}},"
    "{\"class_name\": \"Dense\", \"name\": \"d\", \"inbound_nodes\": [[[\"in\", 0, 0, {}]]], \"config\": {\"name\": "
    "\"d\", \"units\": 3, \"use_bias\": false, \"kernel_initializer\": {\"class_name\": \"GlorotUniform\", \"config\": "
    "{\"seed\": null}}}},"
    "{\"class_name\": \"BatchNormalization\", \"name\": \"b\", \"inbound_nodes\": [[[\"d\", 0, 0, {}]]], \"config\": "
    "{\"name\": \"b\", \"axis\": [1]}},"
    "{\"class_name\": \"Add\", \"name\": \"a\", \"inbound_nodes\": [[[\"d\", 0, 0, {}], [\"b\", 0, 0, {}]]], "
    "\"config\": {\"name\": \"a\"}}],"
    "\"input_layers\": [[\"in\", 0, 0]], \"output_layers\": [[\"a\", 0, 0]]}}";
static const char training_2[] =
    "{\"loss\": {\"class_name\": \"MeanSquaredError\", \"config\": {\"name\": \"mse\", \"reduction\": "
    "\"auto\"}}, \"metrics\": [[\"mae\", {\"class_name\": \"MeanMetricWrapper\", \"config\": {\"name\": "
    "\"accuracy\", \"dtype\": \"float32\", \"fn\": \"categorical_accuracy\"}, \"shared_object_id\": 9}]], "
    "\"optimizer_config\": {\"class_name\": \"SGD\", \"config\": {\"name\": \"SGD\", \"learning_rate\": 0.5, "
    "\"decay\": 0.0, \"momentum\": 0.9, \"nesterov\": false}}}";

static void set_up(void)
{
    make_folder();
    file = NULL;
    catalog = kpar_catalog_create();
    static const struct {
        const char *path;
        kpar_variable_kind kind;
        int layer, rank;
    } all[] = {{"layers/dense/vars/0", KPAR_VARIABLE_WEIGHT, 1, 2},
               {"layers/batch_normalization/vars/0", KPAR_VARIABLE_WEIGHT, 2, 1},
               {"layers/batch_normalization/vars/2", KPAR_VARIABLE_FROZEN, 2, 1},
               {"layers/batch_normalization/vars/1", KPAR_VARIABLE_WEIGHT, 2, 1},
               {"layers/batch_normalization/vars/3", KPAR_VARIABLE_FROZEN, 2, 1}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const int index = add(catalog, all[i].path, all[i].kind, all[i].rank, all[i].rank == 2 ? 2 : 3, 3);
        catalog->variables[index].layer_index = all[i].layer;
    }
}

static void tear_down(void)
{
    kpar_keras_close(file);
    kpar_catalog_destroy(catalog);
    remove_folder();
}

/* An attribute of `n` texts, of fixed length if `length` is not 0; n -1: a single one. */
static void put_texts(hid_t object, const char *name, const char *const *texts, int n, size_t length)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, length ? length : H5T_VARIABLE);
    hid_t space = n < 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &(hsize_t){(hsize_t)n}, NULL);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    char *block = calloc((size_t)(n < 0 ? 1 : n) + 1, length + 1);
    for (int i = 0; i < (n < 0 ? 1 : n); i++)
        if (length) memcpy(block + (size_t)i * length, texts[i], strlen(texts[i]));
    ck_assert_int_ge(H5Awrite(attribute, type, length ? (const void *)block : texts), 0);
    free(block);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
}

/* A layer's group with weights of 3 numbers each (kernels: 2 x 3), `first`, `first` + 1 ... */
static void put_layer(hid_t weights, const char *layer, const char *const *names, int n, float first, int rank)
{
    hid_t group = H5Gcreate2(weights, layer, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    put_texts(group, "weight_names", names, n, 24);
    hid_t inner = H5Gcreate2(group, layer, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    for (int i = 0; i < n; i++) {
        float values[6];
        for (int k = 0; k < 6; k++) values[k] = first + (float)i;
        hid_t space = H5Screate_simple(rank, rank == 2 ? (hsize_t[]){2, 3} : (hsize_t[]){3}, NULL);
        hid_t dataset = H5Dcreate2(group, names[i], H5T_NATIVE_FLOAT, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
        H5Dclose(dataset);
        H5Sclose(space);
    }
    H5Gclose(inner);
    H5Gclose(group);
}

/* How the file that is made differs from a right one. */
typedef enum damage { NONE, NO_LAYER, NO_WEIGHT, OTHER_SHAPE, NO_GROUP, NO_JSON } damage;

static const char *make_model(damage how)
{
    static const char *const none[1] = {NULL};
    const char *path = path_of("model.h5");
    hid_t id = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    put_texts(id, "model_config", (const char *[]){how == NO_JSON ? "{" : model_2}, -1, 0);
    put_texts(id, "training_config", (const char *[]){training_2}, -1, 0);
    hid_t weights = H5Gcreate2(id, "model_weights", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    put_texts(weights, "layer_names0", (const char *[]){"in", "kernels"}, 2, 8);
    put_texts(weights, "layer_names1", (const char *[]){"norm"}, how == NO_LAYER ? 0 : 1, 8);
    put_layer(weights, "in", none, 0, 0, 1);
    if (how != NO_GROUP)
        put_layer(weights, "kernels", (const char *[]){"kernels/kernel:0"}, 1, 1, how == OTHER_SHAPE ? 1 : 2);
    put_layer(weights, "norm", (const char *[]){"norm/gamma:0", "norm/beta:0", "norm/mean:0", "norm/variance:0"},
              how == NO_WEIGHT ? 3 : 4, 2, 1);
    H5Gclose(weights);
    H5Fclose(id);
    return path;
}

static float value_of(const char *path)
{
    const kpar_variable *v = &catalog->variables[kpar_catalog_find(catalog, path)];
    const kpar_slice whole = kpar_variable_whole(v);
    float values[6];
    ck_assert_int_eq(kpar_keras_read(file, v, &whole, values), KPAR_OK);
    return values[2];
}

START_TEST(weights_follow_the_order_of_layers_trained_ones_first)
{
    bool has_optimizer;
    ck_assert_int_eq(kpar_keras_open(make_model(NONE), &file), KPAR_OK);
    ck_assert_msg(kpar_keras_check_weights(file, catalog, &has_optimizer) == KPAR_OK, "%s", kpar_error_message());
    ck_assert(!has_optimizer);
    ck_assert_float_eq(value_of("layers/dense/vars/0"), 1);
    for (int i = 0; i < 4; i++) {
        char path[64];
        snprintf(path, sizeof path, "layers/batch_normalization/vars/%d", i);
        ck_assert_float_eq(value_of(path), 2 + (float)i);
    }
}
END_TEST

START_TEST(configs_of_keras_2_are_described_and_say_their_modules)
{
    size_t length;
    kpar_model *model;
    ck_assert_int_eq(kpar_keras_open(make_model(NONE), &file), KPAR_OK);
    const char *config = kpar_keras_config(file, &length);
    ck_assert_msg(kpar_keras_describe("m.h5", config, length, &model) == KPAR_OK, "%s", kpar_error_message());
    ck_assert_int_eq(model->n_calls, 4);
    ck_assert_int_eq(model->calls[3].n_inputs, 2);
    ck_assert_int_eq(json_integer_value(json_object_get(model->layers[2].config, "axis")), 1);
    ck_assert_str_eq(json_string_value(json_object_get(model->optimizer, "module")), "keras.optimizers");
    ck_assert_str_eq(json_string_value(json_object_get(model->losses[0], "module")), "keras.losses");
    const json_t *loss = json_object_get(model->losses[0], "config");
    ck_assert_str_eq(json_string_value(json_object_get(loss, "reduction")), "sum_over_batch_size");
    const json_t *initializer = json_object_get(model->layers[1].config, "kernel_initializer");
    ck_assert_str_eq(json_string_value(json_object_get(initializer, "module")), "keras.initializers");
    ck_assert_str_eq(json_string_value(json_object_get(model->root, "module")), "keras.src.models.functional");
    kpar_model_destroy(model);
}
END_TEST

START_TEST(damaged_models_are_errors)
{
    static const struct {
        damage how;
        const char *words;
    } cases[] = {{NO_LAYER, "expected weights of 2 layers, found 1"},
                 {NO_WEIGHT, "expected 4 weights"},
                 {OTHER_SHAPE, "expected shape (2, 3), found (3,)"},
                 {NO_GROUP, "model_weights/kernels is missing"}};
    bool has_optimizer;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(kpar_keras_open(make_model(cases[i].how), &file), KPAR_OK);
        expect_failure(kpar_keras_check_weights(file, catalog, &has_optimizer), KPAR_EFORMAT, cases[i].words);
        kpar_keras_close(file);
    }
    expect_failure(kpar_keras_open(make_model(NO_JSON), &file), KPAR_EFORMAT, "model_config is no JSON");
}
END_TEST

START_TEST(a_model_cut_anywhere_is_an_error_or_whole)
{
    size_t length;
    bool has_optimizer;
    char *bytes = read_file(make_model(NONE), &length);
    for (size_t cut = 8; cut < length; cut += length / 37) {
        write_file(path_of("cut.h5"), bytes, cut);
        expect_failure(kpar_keras_open(path_of("cut.h5"), &file), KPAR_EFORMAT, "cut");
        ck_assert_ptr_null(file);
    }
    for (size_t at = 64; at < length; at += 101) { /* no crash, whatever it says */
        bytes[at] = (char)(bytes[at] ^ 0x24);
        write_file(path_of("flipped.h5"), bytes, length);
        if (kpar_keras_open(path_of("flipped.h5"), &file) == KPAR_OK)
            (void)!kpar_keras_check_weights(file, catalog, &has_optimizer);
        bytes[at] = (char)(bytes[at] ^ 0x24);
        kpar_keras_close(file);
        file = NULL;
    }
    free(bytes);
}
END_TEST

START_TEST(weights_of_another_file_win)
{
    bool has_optimizer;
    write_file(path_of("model.json"), model_2, sizeof model_2 - 1);
    ck_assert_int_eq(kpar_keras_open(path_of("model.json"), &file), KPAR_OK);
    ck_assert(!kpar_keras_has_weights(file));
    expect_failure(kpar_keras_take_weights(file, path_of("model.json")), KPAR_EUSAGE, "has no weights");
    expect_failure(kpar_keras_take_weights(file, path_of("absent")), KPAR_EIO, "absent");
    ck_assert_int_eq(kpar_keras_take_weights(file, make_model(NONE)), KPAR_OK);
    ck_assert(kpar_keras_has_weights(file));
    ck_assert_int_eq(kpar_keras_check_weights(file, catalog, &has_optimizer), KPAR_OK);
    ck_assert_float_eq(value_of("layers/dense/vars/0"), 1);
}
END_TEST

START_TEST(weights_alone_are_no_model)
{
    hid_t id = H5Fcreate(path_of("a.weights.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(id);
    expect_failure(kpar_keras_open(path_of("a.weights.h5"), &file), KPAR_EUSAGE, "--weights");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("legacy");
    TCase *tests = tcase_create("files");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, weights_follow_the_order_of_layers_trained_ones_first);
    tcase_add_test(tests, configs_of_keras_2_are_described_and_say_their_modules);
    tcase_add_test(tests, damaged_models_are_errors);
    tcase_add_test(tests, a_model_cut_anywhere_is_an_error_or_whole);
    tcase_add_test(tests, weights_of_another_file_win);
    tcase_add_test(tests, weights_alone_are_no_model);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
