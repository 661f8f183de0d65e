/* Trains a Keras model on all ranks, evaluates it, predicts with it and saves it.
 *
 *     mpirun -np 4 ./train_digits digits/model.keras digits/digits.npz trained.keras
 *
 * Further arguments: passes over the data (10), stages of a pipeline (1). The other ranks share out the batch. */
#include <kpar/kpar.h>

#include <stdio.h>
#include <stdlib.h>

typedef struct settings {
    const char *model, *data, *output;
    int epochs, stages;
} settings;

/* Returns the status of a call that failed from the function around it. */
#define TRY(call)                                                                                            \
    do {                                                                                                     \
        kpar_status try_status = (call);                                                                     \
        if (try_status != KPAR_OK) return try_status;                                                        \
    } while (0)

static kpar_status load(kpar_context *context, const settings *s, kpar_training **training)
{
    kpar_training_options options;
    kpar_training_options_init(&options, sizeof options);
    options.batch_size = 64;
    options.pipeline = s->stages;
    options.seed = 1;
    return kpar_training_load(context, s->model, &options, training);
}

/* The file has four arrays: images and labels to train with, and others to test with. */
static kpar_training_data rows_of(const settings *s, const char *x, const char *y)
{
    kpar_training_data data;
    kpar_training_data_init(&data, sizeof data);
    data.path = s->data;
    data.x = x;
    data.y = y;
    return data;
}

static kpar_status fit(kpar_training *training, const settings *s, const kpar_training_data *data)
{
    kpar_training_fit_options options;
    kpar_training_fit_options_init(&options, sizeof options);
    options.epochs = s->epochs;
    options.verbose = 1;
    return kpar_training_fit(training, data, &options);
}

static void print_results(const kpar_training *training)
{
    const char *name;
    double value;
    for (size_t i = 0; (name = kpar_training_result_name(training, i)); i++)
        if (kpar_training_result(training, name, &value) == KPAR_OK) printf("test %s %.4f\n", name, value);
}

/* The model's last layer has a number for each digit: the largest is its answer. */
static int digit_of(const float *row, int64_t classes)
{
    int best = 0;
    for (int c = 1; c < classes; c++)
        if (row[c] > row[best]) best = c;
    return best;
}

static kpar_status print_predictions(const kpar_training *training)
{
    const float *values;
    const int64_t *dims;
    int rank;
    TRY(kpar_training_prediction(training, 0, &values, &rank, &dims));
    printf("%lld predictions, the first ones:", (long long)dims[0]);
    for (int64_t i = 0; i < 5 && i < dims[0]; i++) printf(" %d", digit_of(values + i * dims[1], dims[1]));
    printf("\n");
    return KPAR_OK;
}

static kpar_status train(kpar_context *context, kpar_training *training, const settings *s)
{
    const kpar_training_data train_rows = rows_of(s, "x_train", "y_train"),
                             test_rows = rows_of(s, "x_test", "y_test");
    TRY(fit(training, s, &train_rows));
    TRY(kpar_training_evaluate(training, &test_rows));
    if (kpar_rank(context) == 0) print_results(training);
    TRY(kpar_training_predict(training, &test_rows));
    if (kpar_rank(context) == 0) TRY(print_predictions(training));
    return kpar_training_save(training, s->output);
}

static kpar_status run(kpar_context *context, const settings *s)
{
    kpar_training *training;
    TRY(load(context, s, &training));
    kpar_status status = train(context, training, s);
    kpar_training_free(training);
    return status;
}

int main(int argc, char **argv)
{
    kpar_context *context;
    if (argc < 4) {
        fprintf(stderr, "usage: train_digits MODEL.keras DATA.npz OUTPUT.keras [EPOCHS [STAGES]]\n");
        return 2;
    }
    const settings s = {argv[1], argv[2], argv[3], argc > 4 ? atoi(argv[4]) : 10,
                        argc > 5 ? atoi(argv[5]) : 1};
    kpar_status status = kpar_init(&context);
    if (status == KPAR_OK) status = run(context, &s);
    if (status == KPAR_OK) status = kpar_finalize(context);
    if (status != KPAR_OK) kpar_abort(context, status);
    return 0;
}

/* tests/mpi/test_examples.sh runs this, with the folder of this file for SOURCE and an empty one for WORK:
 *
 * test: ranks 1 4
 * arguments: SOURCE/digits/model.keras SOURCE/digits/digits.npz WORK/trained.keras 10
 * output: test accuracy 0\.9[0-9]*
 * output: 360 predictions, the first ones:( [0-9]){5}
 *
 * test: ranks 2
 * arguments: SOURCE/digits/model.keras SOURCE/digits/digits.npz WORK/trained.keras 10 2
 * output: test accuracy 0\.9[0-9]*
 *
 * test: ranks 2
 * arguments: SOURCE/digits/model.keras SOURCE/digits/nothing.npz WORK/trained.keras
 * code: 1
 * output: kpar: .*nothing.npz.*
 */
