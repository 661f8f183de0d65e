/* What the files of the model calls share. */
#ifndef KPAR_API_TRAINING_INTERNAL_H
#define KPAR_API_TRAINING_INTERNAL_H

#include "api/versioned.h"
#include "train/trainer.h"

#include <kpar/kpar.h>

struct kpar_training {
    kpar_context *context;
    kpar_trainer *trainer;
    unsigned modes; /* bits 1 << kpar_mode */
    uint64_t seed;
    int64_t batch_size;
    int n_outputs;
    kpar_array *predictions; /* n_outputs; empty before the first prediction and on other ranks than 0 */
    bool predicted;
};

/* KPAR_EUSAGE, naming `function`, for a NULL training; for one that was not loaded for the mode, called `use`. */
kpar_status kpar_training_check(const kpar_training *training, const char *function) KPAR_MUST_USE;
kpar_status kpar_training_check_mode(const kpar_training *training, const char *function, kpar_mode mode,
                                     const char *use) KPAR_MUST_USE;

/* training_data.c: opens the caller's data, of which `function` wants to be told what is wrong. Collective; the caller
 * closes it. `own` is what the caller's own arguments have got wrong so far: agreed upon together. */
kpar_status kpar_training_data_open(kpar_training *training, const char *function,
                                    const kpar_training_data *given, kpar_status own,
                                    kpar_dataset **dataset) KPAR_MUST_USE;

/* training_predict.c */
void kpar_predictions_clear(kpar_training *training);

#endif
