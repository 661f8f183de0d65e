/* Configs of Keras models: what they describe, and what is refused. */
#include "keras_fixture.h"

#include "model/config.h"
#include "model/tables.h"
#include "unit.h"

static kpar_model *model;
static size_t blocks_before;

static void set_up(void)
{
    model = NULL;
    blocks_before = kpar_alloc_live();
}

static void tear_down(void)
{
    kpar_model_destroy(model);
    ck_assert_uint_eq(kpar_alloc_live(), blocks_before);
}

static kpar_status describe(const char *config)
{
    return kpar_keras_describe("m.keras", config, strlen(config), &model);
}

#define ck_describes(config) ck_assert_msg(describe(config) == KPAR_OK, "%s", kpar_error_message())

/* The config is refused with `status`, and the message has each of the words. */
static void refused(const char *config, kpar_status status, const char *word, const char *other)
{
    ck_assert_int_eq(describe(config), status);
    ck_assert_ptr_null(model);
    ck_assert_msg(strstr(kpar_error_message(), "m.keras: ") == kpar_error_message(), "%s",
                  kpar_error_message());
    ck_assert_msg(strstr(kpar_error_message(), word) && strstr(kpar_error_message(), other),
                  "'%s' and '%s' in: %s", word, other, kpar_error_message());
}

/* Pieces of configs. */
#define NO_COMPILE "null"
#define INPUT_CONFIG(name)                                                                                   \
    "{\"name\": \"" name "\", \"batch_shape\": [null, 4], \"dtype\": \"float32\", \"sparse\": false}"
#define DENSE_CONFIG(name)                                                                                   \
    "{\"name\": \"" name "\", \"units\": 3, \"activation\": \"relu\", \"use_bias\": true}"
#define LAYER(class_name, config)                                                                            \
    "{\"module\": \"keras.layers\", \"class_name\": \"" class_name "\", \"config\": " config "}"
#define SEQUENTIAL(layers, compile)                                                                          \
    "{\"module\": \"keras\", \"class_name\": \"Sequential\", \"config\": {\"name\": \"s\", \"layers\": "     \
    "[" layers "]}, \"compile_config\": " compile "}"
#define FEED(layer) SEQUENTIAL(LAYER("InputLayer", INPUT_CONFIG("in")) ", " layer, NO_COMPILE)
#define COMPILED(compile)                                                                                    \
    SEQUENTIAL(LAYER("InputLayer", INPUT_CONFIG("in")) ", " LAYER("Dense", DENSE_CONFIG("out")), compile)

#define TENSOR(layer, call)                                                                                  \
    "{\"class_name\": \"__keras_tensor__\", \"config\": {\"keras_history\": [\"" layer "\", " #call ", 0]}}"
#define NODE(args) "{\"args\": [" args "], \"kwargs\": {\"training\": null}}"
#define CALLED(class_name, config, nodes)                                                                    \
    "{\"module\": \"keras.layers\", \"class_name\": \"" class_name "\", \"config\": " config                 \
    ", \"inbound_nodes\": [" nodes "]}"
#define FUNCTIONAL(layers, inputs, outputs, compile)                                                         \
    "{\"class_name\": \"Functional\", \"config\": {\"name\": \"f\", \"layers\": [" layers                    \
    "], \"input_layers\": " inputs ", \"output_layers\": " outputs "}, \"compile_config\": " compile "}"
#define TWO_OUTPUTS(compile)                                                                                 \
    FUNCTIONAL(CALLED("InputLayer", INPUT_CONFIG("in"), "") ", " CALLED(                                     \
                   "Dense", DENSE_CONFIG("a"),                                                               \
                   NODE(TENSOR("in", 0))) ", " CALLED("Dense", DENSE_CONFIG("b"), NODE(TENSOR("in", 0))),    \
               "[\"in\", 0, 0]", "[[\"a\", 0, 0], [\"b\", 0, 0]]", compile)

START_TEST(sequential_is_a_chain_of_calls)
{
    ck_describes(FEED(LAYER("Dense", DENSE_CONFIG("first")) ", " LAYER("Dense", DENSE_CONFIG("second"))));
    ck_assert_str_eq(model->name, "s");
    ck_assert_int_eq(model->n_layers, 3);
    ck_assert_int_eq(model->n_calls, 3);
    ck_assert_int_eq(model->calls[0].n_inputs, 0);
    ck_assert_int_eq(model->calls[2].n_inputs, 1);
    ck_assert_int_eq(model->calls[2].inputs[0].call, 1);
    ck_assert_str_eq(model->inputs[0].name, "in");
    ck_assert_str_eq(model->outputs[0].name, "second");
    ck_assert_int_eq(model->outputs[0].tensor.call, 2);
}
END_TEST

START_TEST(groups_are_numbered_by_class_and_not_by_name)
{
    ck_describes(FEED(LAYER("Dense", DENSE_CONFIG("dense_7")) ", " LAYER(
        "ReLU", "{\"name\": \"dense\"}") ", " LAYER("Dense", DENSE_CONFIG("re_lu"))));
    ck_assert_ptr_null(model->layers[0].group); /* Keras gives the input of a Sequential none */
    ck_assert_str_eq(model->layers[1].group, "layers/dense");
    ck_assert_str_eq(model->layers[2].group, "layers/re_lu");
    ck_assert_str_eq(model->layers[3].group, "layers/dense_1");
}
END_TEST

#define CELL(class_name, name)                                                                               \
    "{\"class_name\": \"" class_name "\", \"config\": {\"name\": \"" name "\", \"units\": 2}}"
#define STACK                                                                                                \
    "{\"class_name\": \"StackedRNNCells\", \"config\": {\"name\": \"stack\", \"cells\": ["                     \
    CELL("LSTMCell", "a") ", " CELL("GRUCell", "b") ", " CELL("LSTMCell", "c") "]}}"

START_TEST(layers_within_layers_follow_them_with_groups_of_their_own)
{
    static const char *const groups[] = {"layers/rnn",
                                         "layers/rnn/cell",
                                         "layers/rnn/cell/cells/lstm_cell",
                                         "layers/rnn/cell/cells/gru_cell",
                                         "layers/rnn/cell/cells/lstm_cell_1"};
    static const int around[] = {0, 2, 3, 3, 3};
    ck_describes(FEED(LAYER("RNN", "{\"name\": \"r\", \"trainable\": false, \"cell\": " STACK "}")));
    ck_assert_int_eq(model->n_layers, 6);
    ck_assert_int_eq(model->n_calls, 2);
    for (int i = 0; i < 5; i++) {
        ck_assert_str_eq(model->layers[i + 1].group, groups[i]);
        ck_assert_int_eq(model->layers[i + 1].around, around[i]);
        ck_assert(!model->layers[i + 1].trainable);
    }
    ck_assert_str_eq(model->layers[5].name, "r/stack/c");
    ck_assert_str_eq(model->layers[5].argument, "cells");
}
END_TEST

#define GIVEN(kwargs) "{\"args\": [" TENSOR("in", 0) "], \"kwargs\": {" kwargs "}}"
#define WITH_ARGUMENTS(class_name, config, kwargs)                                                           \
    FUNCTIONAL(CALLED("InputLayer", INPUT_CONFIG("in"), "") ", " CALLED(                                     \
                   "Dense", DENSE_CONFIG("a"),                                                               \
                   NODE(TENSOR("in", 0))) ", " CALLED(class_name, config, GIVEN(kwargs)),                    \
               "[\"in\", 0, 0]", "[\"r\", 0, 0]", NO_COMPILE)

START_TEST(tensors_are_given_by_the_names_of_arguments_that_a_layer_knows)
{
    ck_describes(WITH_ARGUMENTS("GRU", "{\"name\": \"r\", \"units\": 2}",
                                "\"training\": true, \"mask\": null, \"initial_state\": [" TENSOR("a", 0) "]"));
    const kpar_call *call = &model->calls[model->outputs[0].tensor.call];
    ck_assert_int_eq(call->n_inputs, 1);
    ck_assert_int_eq(call->n_named, 1);
    ck_assert_str_eq(call->named[0].name, "initial_state");
    ck_assert_int_eq(call->named[0].tensor.call, 1);
}
END_TEST

START_TEST(shared_layers_are_called_when_their_inputs_are_there)
{
    /* d is called on the input and on e, e on d's first call: the config's order of layers is no order of
     * calls */
    ck_describes(FUNCTIONAL(CALLED("InputLayer", INPUT_CONFIG("in"), "") ", " CALLED(
                                "Dense", DENSE_CONFIG("d"),
                                NODE(TENSOR("in", 0)) ", " NODE(TENSOR(
                                    "e", 0))) ", " CALLED("Dense", DENSE_CONFIG("e"), NODE(TENSOR("d", 0))),
                            "[\"in\", 0, 0]", "[\"d\", 1, 0]", NO_COMPILE));
    ck_assert_int_eq(model->n_layers, 3);
    ck_assert_int_eq(model->n_calls, 4);
    for (int i = 0; i < model->n_calls; i++)
        for (int k = 0; k < model->calls[i].n_inputs; k++)
            ck_assert_int_lt(model->calls[i].inputs[k].call, i);
    const kpar_call *last = &model->calls[model->outputs[0].tensor.call];
    ck_assert_int_eq(last->layer, 1);
    ck_assert_int_eq(last->number, 1);
    ck_assert_int_eq(model->calls[last->inputs[0].call].layer, 2);
}
END_TEST

START_TEST(lists_of_tensors_are_inputs_in_their_order)
{
    ck_describes(FUNCTIONAL(
        CALLED("InputLayer", INPUT_CONFIG("x"), "") ", " CALLED(
            "InputLayer", INPUT_CONFIG("y"),
            "") ", " CALLED("Add", "{\"name\": \"sum\"}", NODE("[" TENSOR("y", 0) ", " TENSOR("x", 0) "]")),
        "{\"left\": [\"x\", 0, 0], \"right\": [\"y\", 0, 0]}", "[\"sum\", 0, 0]", NO_COMPILE));
    const kpar_call *sum = &model->calls[model->outputs[0].tensor.call];
    ck_assert_int_eq(sum->n_inputs, 2);
    ck_assert_int_eq(model->calls[sum->inputs[0].call].layer, 1);
    ck_assert_int_eq(model->calls[sum->inputs[1].call].layer, 0);
    ck_assert_str_eq(model->inputs[1].name, "right");
}
END_TEST

START_TEST(frozen_layers_and_models_are_not_trainable)
{
    ck_describes(FEED(LAYER("Dense", DENSE_CONFIG("a")) ", " LAYER(
        "Dense", "{\"name\": \"b\", \"units\": 2, \"trainable\": false}")));
    ck_assert(model->layers[1].trainable);
    ck_assert(!model->layers[2].trainable);
    kpar_model_destroy(model);
    ck_describes("{\"class_name\": \"Sequential\", \"config\": {\"trainable\": false, \"layers\": [" LAYER(
        "InputLayer", INPUT_CONFIG("in")) ", " LAYER("Dense", DENSE_CONFIG("a")) "]}}");
    ck_assert(!model->layers[1].trainable);
}
END_TEST

START_TEST(what_is_not_supported_is_named_with_what_is)
{
    refused(FEED(LAYER("Lstm", "{\"name\": \"memory\"}")), KPAR_EUNSUPPORTED, "layer 'memory' (Lstm)",
            "Dense, ");
    refused(FEED(LAYER("Dense", "{\"name\": \"d\", \"units\": 2, \"lora_rank\": 4}")), KPAR_EUNSUPPORTED,
            "layer 'd' (Dense): argument 'lora_rank' = 4", "units");
    refused(WITH_ARGUMENTS("ReLU", "{\"name\": \"r\"}", "\"mask\": " TENSOR("a", 0)), KPAR_EUNSUPPORTED, "'r'",
            "mask");
    refused(FEED(LAYER("Lambda", "{\"name\": \"l\"}")), KPAR_EUNSUPPORTED, "layer 'l' (Lambda)", "Rescaling");
    refused(FEED("{\"module\": \"keras.src.ops.numpy\", \"class_name\": \"Bincount\", \"config\": {\"name\": "
                 "\"order\"}}"),
            KPAR_EUNSUPPORTED, "layer 'order' (Bincount): this operation", "TrueDivide");
    refused(FEED("{\"module\": null, \"class_name\": \"Mine\", \"config\": {\"name\": \"m\"}, "
                 "\"registered_name\": \"p>Mine\"}"),
            KPAR_EUNSUPPORTED, "layer 'm' (Mine)", "Python");
    refused(FEED(SEQUENTIAL(LAYER("InputLayer", INPUT_CONFIG("in")) ", " LAYER("Lstm", "{\"name\": \"m\"}"),
                            NO_COMPILE)),
            KPAR_EUNSUPPORTED, "layer 's/m' (Lstm)", "Dense, ");
    refused("{\"class_name\": \"MyModel\", \"config\": {}}", KPAR_EUNSUPPORTED, "MyModel",
            "Sequential, Functional");
}
END_TEST

START_TEST(only_float32_computes_and_inputs_may_be_integers)
{
#define POLICY(name) "{\"class_name\": \"DTypePolicy\", \"config\": {\"name\": \"" name "\"}}"
#define TYPED(dtype) FEED(LAYER("Dense", "{\"name\": \"d\", \"units\": 2, \"dtype\": " dtype "}"))
    refused(TYPED(POLICY("mixed_bfloat16")), KPAR_EUNSUPPORTED, "layer 'd' (Dense)", "mixed_bfloat16");
    refused(TYPED("\"float64\""), KPAR_EUNSUPPORTED, "float64", "float32");
    ck_describes(TYPED(POLICY("float32")));
    kpar_model_destroy(model);
    ck_describes(
        SEQUENTIAL(LAYER("InputLayer", "{\"name\": \"i\", \"batch_shape\": [null, 4], \"dtype\": \"uint8\"}"),
                   NO_COMPILE));
}
END_TEST

START_TEST(broken_configs_are_errors)
{
    refused("{\"class_name\": \"Sequential\"", KPAR_EFORMAT, "JSON", "line 1");
    refused("[]", KPAR_EFORMAT, "class_name", "");
    refused("{\"class_name\": \"Sequential\", \"config\": {\"layers\": []}}", KPAR_EFORMAT, "no layers", "");
    refused(SEQUENTIAL("{\"class_name\": \"Dense\"}", NO_COMPILE), KPAR_EFORMAT, "layer 1", "");
    refused(SEQUENTIAL(LAYER("Dense", DENSE_CONFIG("d")), NO_COMPILE), KPAR_EFORMAT, "build", "");
}
END_TEST

START_TEST(broken_graphs_are_errors)
{
#define INPUT CALLED("InputLayer", INPUT_CONFIG("in"), "") ", "
#define GRAPH(layers) FUNCTIONAL(INPUT layers, "[\"in\", 0, 0]", "[\"d\", 0, 0]", NO_COMPILE)
    refused(GRAPH(CALLED("Dense", DENSE_CONFIG("d"), NODE(TENSOR("ghost", 0)))), KPAR_EFORMAT,
            "layer 'd' (Dense)", "'ghost'");
    refused(GRAPH(CALLED("Dense", DENSE_CONFIG("d"), NODE(TENSOR("in", 3)))), KPAR_EFORMAT,
            "layer 'd' (Dense)", "call 3");
    refused(GRAPH(CALLED("Dense", DENSE_CONFIG("d"), NODE(TENSOR("d", 0)))), KPAR_EFORMAT, "circle", "");
    refused(GRAPH(CALLED("Dense", DENSE_CONFIG("d"), "")), KPAR_EFORMAT, "layer 'd' (Dense)", "never called");
    refused(GRAPH(CALLED("Dense", DENSE_CONFIG("d"), "[[\"ghost\", 0, 0, {}]]")), KPAR_EFORMAT,
            "layer 'd' (Dense)", "'ghost'");
    refused(GRAPH(CALLED("Dense", DENSE_CONFIG("d"), "[]")), KPAR_EFORMAT, "layer 'd' (Dense)", "without input");
    refused(GRAPH(CALLED("Dense", DENSE_CONFIG("d"), NODE("7"))), KPAR_EUNSUPPORTED, "layer 'd' (Dense)",
            "argument");
    refused(GRAPH(CALLED("Dense", DENSE_CONFIG("in"), NODE(TENSOR("in", 0)))), KPAR_EFORMAT, "same name",
            "'in'");
    refused(GRAPH(CALLED("Dense", DENSE_CONFIG("d"),
                         "{\"args\": [" TENSOR("in", 0) "], \"kwargs\": {\"scale\": 2}}")),
            KPAR_EUNSUPPORTED, "layer 'd' (Dense)", "scale");
    refused(FUNCTIONAL(CALLED("InputLayer", INPUT_CONFIG("in"), ""), "[\"in\", 0, 0]", "[]", NO_COMPILE),
            KPAR_EFORMAT, "output_layers", "");
}
END_TEST

START_TEST(a_model_may_be_not_compiled)
{
    ck_describes(COMPILED("{}"));
    ck_assert_ptr_null(model->optimizer);
    ck_assert_ptr_null(model->losses[0]);
    ck_assert_ptr_null(model->metrics[0]);
    ck_assert_double_eq(model->loss_weights[0], 1.0);
}
END_TEST

START_TEST(one_loss_and_one_list_serve_one_output)
{
    ck_describes(
        COMPILED("{\"optimizer\": \"adam\", \"loss\": {\"class_name\": \"MeanSquaredError\", \"config\": {}},"
                 " \"loss_weights\": [0.5], \"metrics\": [[\"accuracy\"]], \"weighted_metrics\": {\"out\": "
                 "\"mse\"}}"));
    ck_assert_str_eq(json_string_value(model->optimizer), "adam");
    ck_assert(json_is_object(model->losses[0]));
    ck_assert_double_eq(model->loss_weights[0], 0.5);
    ck_assert_str_eq(json_string_value(json_array_get(model->metrics[0], 0)), "accuracy");
    ck_assert_str_eq(json_string_value(json_array_get(model->weighted_metrics[0], 0)), "mse");
}
END_TEST

START_TEST(outputs_get_what_their_names_say)
{
    ck_describes(TWO_OUTPUTS(
        "{\"loss\": {\"b\": \"mse\"}, \"loss_weights\": {\"b\": 0.25}, \"metrics\": {\"a\": \"accuracy\"}}"));
    ck_assert_ptr_null(model->losses[0]);
    ck_assert_str_eq(json_string_value(model->losses[1]), "mse");
    ck_assert_double_eq(model->loss_weights[1], 0.25);
    ck_assert_uint_eq(json_array_size(model->metrics[0]), 1);
    ck_assert_ptr_null(model->metrics[1]);
    kpar_model_destroy(model);
    ck_describes(
        TWO_OUTPUTS("{\"loss\": \"mse\", \"metrics\": [[\"Accuracy\"], null], \"loss_weights\": [1, 2]}"));
    ck_assert_str_eq(json_string_value(model->losses[0]), "mse");
    ck_assert_str_eq(json_string_value(model->losses[1]), "mse");
    ck_assert_double_eq(model->loss_weights[1], 2.0);
    ck_assert_ptr_null(model->metrics[1]);
}
END_TEST

START_TEST(wrong_compile_arguments_are_named)
{
    refused(TWO_OUTPUTS("{\"loss\": {\"c\": \"mse\"}}"), KPAR_EFORMAT, "no output 'c'", "a, b");
    refused(TWO_OUTPUTS("{\"loss\": [\"mse\"]}"), KPAR_EFORMAT, "2 outputs", "found 1");
    refused(COMPILED("{\"loss\": \"cosinus\"}"), KPAR_EUNSUPPORTED, "loss 'cosinus'", "MeanSquaredError");
    refused(COMPILED("{\"metrics\": [\"luck\"]}"), KPAR_EUNSUPPORTED, "metric 'luck'", "supported");
    refused(COMPILED("{\"optimizer\": {\"class_name\": \"Lucky\", \"config\": {}}}"), KPAR_EUNSUPPORTED,
            "optimizer 'Lucky'", "Adam");
    refused(COMPILED("{\"optimizer\": {\"class_name\": \"SGD\", \"config\": {\"learning_rate\": "
                     "{\"class_name\": \"Ramp\", \"config\": {}}}}}"),
            KPAR_EUNSUPPORTED, "schedule 'Ramp'", "ExponentialDecay");
    refused(COMPILED("{\"loss\": {\"class_name\": \"L\", \"config\": {}, \"registered_name\": \"mine>L\"}}"),
            KPAR_EUNSUPPORTED, "'L'", "Python");
}
END_TEST

START_TEST(a_metric_in_the_place_of_a_loss_weight_weighs_one)
{
    ck_describes(COMPILED("{\"loss\": \"mse\", \"loss_weights\": [\"sparse_categorical_accuracy\"]}"));
    ck_assert_double_eq(model->loss_weights[0], 1.0);
}
END_TEST

START_TEST(equal_models_have_equal_hashes)
{
    ck_describes("{\"class_name\": \"Sequential\", \"config\": {\"name\": \"s\", \"layers\": [" LAYER(
        "InputLayer", "{\"name\": \"i\", \"batch_shape\": [null, 4]}") "]}, \"shared_object_id\": 1}");
    uint64_t hash = kpar_model_hash(model);
    kpar_model_destroy(model);
    ck_describes("{\"shared_object_id\": 2, \"config\": {\"layers\": [" LAYER(
        "InputLayer", "{\"batch_shape\": [null, 4], \"name\": \"i\"}") "], \"name\": \"s\"}, \"class_name\": "
                                                                       "\"Sequential\"}");
    ck_assert_uint_eq(kpar_model_hash(model), hash);
    kpar_model_destroy(model);
    ck_describes("{\"class_name\": \"Sequential\", \"config\": {\"name\": \"s\", \"layers\": [" LAYER(
        "InputLayer", "{\"name\": \"i\", \"batch_shape\": [null, 5]}") "]}}");
    ck_assert_uint_ne(kpar_model_hash(model), hash);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keras");
    TCase *tests = tcase_create("describe");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, sequential_is_a_chain_of_calls);
    tcase_add_test(tests, groups_are_numbered_by_class_and_not_by_name);
    tcase_add_test(tests, layers_within_layers_follow_them_with_groups_of_their_own);
    tcase_add_test(tests, tensors_are_given_by_the_names_of_arguments_that_a_layer_knows);
    tcase_add_test(tests, shared_layers_are_called_when_their_inputs_are_there);
    tcase_add_test(tests, lists_of_tensors_are_inputs_in_their_order);
    tcase_add_test(tests, frozen_layers_and_models_are_not_trainable);
    tcase_add_test(tests, what_is_not_supported_is_named_with_what_is);
    tcase_add_test(tests, only_float32_computes_and_inputs_may_be_integers);
    tcase_add_test(tests, broken_configs_are_errors);
    tcase_add_test(tests, broken_graphs_are_errors);
    tcase_add_test(tests, a_model_may_be_not_compiled);
    tcase_add_test(tests, one_loss_and_one_list_serve_one_output);
    tcase_add_test(tests, outputs_get_what_their_names_say);
    tcase_add_test(tests, wrong_compile_arguments_are_named);
    tcase_add_test(tests, a_metric_in_the_place_of_a_loss_weight_weighs_one);
    tcase_add_test(tests, equal_models_have_equal_hashes);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
