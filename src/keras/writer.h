/* Writing the weights file of an archive. */
#ifndef KPAR_KERAS_WRITER_H
#define KPAR_KERAS_WRITER_H

#include "keras/keras.h"

/* Writes model.weights.h5 as Keras lays it out into the empty file `fd`. `path` is for messages. */
kpar_status kpar_write_weights(const char *path, int fd, const kpar_catalog *catalog, bool with_optimizer,
                               kpar_fetch fetch, void *context) KPAR_MUST_USE;

#endif
