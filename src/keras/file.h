/* An open model file: what the files of this folder share about it. */
#ifndef KPAR_KERAS_FILE_H
#define KPAR_KERAS_FILE_H

#include "keras/archive.h"
#include "keras/keras.h"

#include "base/names.h"

struct kpar_keras_file {
    char *path;
    int fd;
    kpar_archive *archive; /* NULL: a JSON or HDF5 file */
    char *config;          /* NULL: weights alone */
    size_t config_length;
    kpar_window_file h5; /* the weights; of an archive not open until first needed */
    size_t bytes_read;
    kpar_keras_file *weights; /* another file, which has the weights; NULL: they are in this one */

    /* HDF5 with weights by the order of layers: datasets[i] is that of the variable paths.texts[i]. */
    bool legacy;
    kpar_arena *arena;
    kpar_names paths;
    const char **datasets;
    size_t n_datasets, datasets_capacity, n_optimizer; /* how many the optimizer has there */
};

/* Takes the JSON's text as the config. */
kpar_status kpar_keras_set_config(kpar_keras_file *file, const json_t *root) KPAR_MUST_USE;

/* Opens the weights if they are not open yet. */
kpar_status kpar_keras_open_weights(kpar_keras_file *file) KPAR_MUST_USE;

#endif
