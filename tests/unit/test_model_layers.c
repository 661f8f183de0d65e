/* Lowering of layers: what they compute, their masks, and what they draw while training. */
#include "model/lower_internal.h"
#include "model_fixture.h"

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
        ck_assert_msg(is_dropped || same_pixels(changed[k], twice), "image %d begins with %g", k,
                      changed[k][0]);
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

static Suite *suite(void)
{
    Suite *s = suite_create("model layers");
    TCase *t = tcase_create("model layers");
    tcase_add_test(t, layers_without_weights_compute_what_they_say);
    tcase_add_test(t, layers_of_images_take_channels_first_or_last);
    tcase_add_test(t, masks_say_which_steps_count);
    tcase_add_test(t, integer_inputs_become_real_where_a_layer_computes_with_them);
    tcase_add_test(t, dropout_draws_by_layer_and_call_and_only_while_training);
    tcase_add_test(t, layers_of_noise_have_the_moments_that_they_say);
    tcase_add_test(t, images_are_changed_only_while_training);
    tcase_add_test(t, stochastic_depth_drops_whole_samples);
    tcase_add_test(t, changes_of_images_without_a_formula_are_refused_while_training_alone);
    tcase_add_test(t, weights_of_attention_are_dropped_only_while_training);
    suite_add_tcase(s, t);
    return s;
}

int main(void) { return run_suite(suite()); }
