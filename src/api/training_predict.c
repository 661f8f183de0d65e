/* Predictions, kept on rank 0 until the next ones. */
#include "api/context.h"
#include "api/training_internal.h"

void kpar_predictions_clear(kpar_training *training)
{
    for (int i = 0; i < training->n_outputs; i++) kpar_array_destroy(&training->predictions[i]);
    training->predicted = false;
}

static kpar_status predict(kpar_training *training, kpar_dataset *dataset)
{
    const kpar_rows rows = {dataset, 0, kpar_dataset_rows(dataset)};
    KPAR_TRY(kpar_trainer_check_features(training->trainer, &rows));
    kpar_predictions_clear(training);
    KPAR_TRY(kpar_trainer_predict(training->trainer, &rows, training->predictions));
    training->predicted = true;
    return KPAR_OK;
}

kpar_status kpar_training_predict(kpar_training *training, const kpar_training_data *data)
{
    kpar_dataset *dataset;
    KPAR_TRY(kpar_training_check(training, "kpar_training_predict"));
    const kpar_status own =
        kpar_training_check_mode(training, "kpar_training_predict", KPAR_MODE_PREDICT, "KPAR_USE_PREDICT");
    KPAR_TRY(kpar_training_data_open(training, "kpar_training_predict", data, own, &dataset));
    kpar_status status = predict(training, dataset);
    kpar_dataset_close(dataset);
    return status;
}

kpar_status kpar_training_prediction(const kpar_training *training, int output, const float **values,
                                     int *rank, const int64_t **dims)
{
    KPAR_TRY(kpar_training_check(training, "kpar_training_prediction"));
    if (!values || !rank || !dims)
        return kpar_fail(KPAR_EUSAGE,
                         "kpar_training_prediction: expected places for values, rank and dims, found NULL");
    if (!training->predicted)
        return kpar_fail(KPAR_EUSAGE,
                         "kpar_training_prediction: there is none; call kpar_training_predict first");
    if (output < 0 || output >= training->n_outputs)
        return kpar_fail(KPAR_EUSAGE, "kpar_training_prediction: output %d; the model's are 0 to %d", output,
                         training->n_outputs - 1);
    const kpar_array *array = &training->predictions[output];
    *values = array->data; /* float32, as all reals of a training */
    *rank = array->rank;
    *dims = array->dims;
    return KPAR_OK;
}
