/* What Keras wrote before .keras archives: whole models in HDF5, their configs in attributes and their weights by the
 * order of layers, and configs whose objects do not say which module their class is of. */
#ifndef KPAR_KERAS_LEGACY_H
#define KPAR_KERAS_LEGACY_H

#include "keras/file.h"

/* Looks into the open HDF5 file file->h5 for a model's config, and for weights by the order of layers (file->legacy).
 * Sets file->config, in today's form with its compile_config, where there is one. */
kpar_status kpar_legacy_open(kpar_keras_file *file) KPAR_MUST_USE;

/* Turns a config into today's form: modules, and the names of arguments that have others now. `owner` is for messages. */
kpar_status kpar_legacy_modernize(const char *owner, json_t *config) KPAR_MUST_USE;

/* Finds the dataset of each variable of the catalog: the k-th layer that has weights is the k-th in the file, whatever their
 * names, trained weights before others. Another number of layers or of a layer's weights is KPAR_EFORMAT. */
kpar_status kpar_legacy_map(kpar_keras_file *file, const kpar_catalog *catalog) KPAR_MUST_USE;

/* The texts of attribute `name` of an object, which may be in pieces `name0`, `name1` ...; in the arena. *n is 0 where
 * there is none. */
kpar_status kpar_legacy_texts(kpar_arena *arena, hid_t object, const char *file, const char *name,
                              const char ***texts, size_t *n) KPAR_MUST_USE;

#endif
