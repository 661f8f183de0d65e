/* An open model file: what the files of this folder share about it. */
#ifndef KPAR_KERAS_FILE_H
#define KPAR_KERAS_FILE_H

#include "keras/archive.h"
#include "keras/keras.h"

struct kpar_keras_file {
    char *path;
    int fd;
    kpar_archive *archive; /* NULL: a JSON file */
    char *config;
    size_t config_length;
    kpar_window_file h5; /* the weights; not open until first needed */
    size_t bytes_read;
};

/* Opens the weights if they are not open yet. */
kpar_status kpar_keras_open_weights(kpar_keras_file *file) KPAR_MUST_USE;

#endif
