/* Keras's file formats: describe (config -> model), load and save (slices of variables through the catalog
 * and callbacks, so nothing here sees ranks). */
#ifndef KPAR_KERAS_KERAS_H
#define KPAR_KERAS_KERAS_H

#include "base/text.h"
#include "model/catalog.h"
#include "model/model.h"

typedef struct kpar_keras_file kpar_keras_file;

/* Opens a .keras archive, a whole model in HDF5 (.h5, of Keras 2 too) or a model JSON (no weights) for reading. Checks
 * sizes before allocating: an archive that declares more than it can hold is KPAR_EFORMAT. */
kpar_status kpar_keras_open(const char *path, kpar_keras_file **file) KPAR_MUST_USE;

/* Weights and optimizer state are from now on those of another file: .weights.h5, .keras, or HDF5 of Keras 2. */
kpar_status kpar_keras_take_weights(kpar_keras_file *file, const char *path) KPAR_MUST_USE;
void kpar_keras_close(kpar_keras_file *file);

/* Reads all of an archive's weights once and compares them with the archive's checksum: bits that changed are
 * KPAR_EFORMAT. One rank's work, before the others read their slices (deflated weights are checked while
 * unpacked). */
kpar_status kpar_keras_verify(kpar_keras_file *file) KPAR_MUST_USE;

/* Text of config.json, or what stands for it; borrowed. */
const char *kpar_keras_config(const kpar_keras_file *file, size_t *length);
bool kpar_keras_has_weights(const kpar_keras_file *file);

/* The model that a config describes. `name` is for messages. Unknown or unsupported layers, arguments,
 * losses, optimizers and metrics are KPAR_EUNSUPPORTED and named, with what is supported. */
kpar_status kpar_keras_describe(const char *name, const char *config, size_t length,
                                kpar_model **model) KPAR_MUST_USE;

/* Opens a file of weights inside (HDF5; stored entries in place, deflated ones through a temporary file).
 * Checks that the weights file has a dataset of the right shape for every weight of the catalog, that no
 * dataset of a layer is left over, and finds out whether the optimizer's are there and fit (all or none;
 * *has_optimizer). One that has gone beyond its first step and does not fit is logged: training starts with a
 * fresh optimizer. */
kpar_status kpar_keras_check_weights(kpar_keras_file *file, const kpar_catalog *catalog,
                                     bool *has_optimizer) KPAR_MUST_USE;

/* Reads a slice of a variable's dataset, converted to the variable's type. The variable is one that
 * kpar_keras_check_weights has seen. */
kpar_status kpar_keras_read(kpar_keras_file *file, const kpar_variable *variable, const kpar_slice *slice,
                            void *values) KPAR_MUST_USE;

/* Bytes of weights read through kpar_keras_read so far. */
size_t kpar_keras_bytes_read(const kpar_keras_file *file);

/* Gives the values of a slice of variable `variable` to the writer. The writer asks for each variable in
 * catalog order, slices in row order, each at most `KPAR_SAVE_SLICE_BYTES` large. */
enum { KPAR_SAVE_SLICE_BYTES = 2 << 20 };
typedef kpar_status (*kpar_fetch)(void *context, int variable, const kpar_slice *slice, void *values);

/* Writes a .keras archive that Keras loads: config text as it is, weights by `fetch`, optimizer variables too
 * if `with_optimizer`. Written to a temporary file beside `path`, synced, renamed; on failure nothing is left
 * and an old file stays. Dates come from SOURCE_DATE_EPOCH if set. */
kpar_status kpar_keras_save(const char *path, const char *config, size_t length, const kpar_catalog *catalog,
                            bool with_optimizer, kpar_fetch fetch, void *context) KPAR_MUST_USE;

/* Whether a file that Keras loads can be made at `path` later: the folder exists and is writable, and the
 * name ends in .keras. Else KPAR_EIO or KPAR_EUSAGE. */
kpar_status kpar_keras_can_save(const char *path) KPAR_MUST_USE;

/* kpar_train --compare: appends to `text` a line a dataset with the largest absolute difference, and one that
 * sums them up; *equal if all bits are the same (weights and optimizer state). A dataset that only one file has, or of
 * another shape, is a difference. */
kpar_status kpar_keras_compare(const char *path_a, const char *path_b, kpar_text *text,
                               bool *equal) KPAR_MUST_USE;

#endif
