/* HDF5 as a store of datasets by path: opened with their shape checked for sanity, read and written in
 * slices. HDF5's own messages are silenced; what they say ends up in ours. */
#ifndef KPAR_KERAS_STORE_H
#define KPAR_KERAS_STORE_H

#include "base/text.h"
#include "keras/offset_driver.h"
#include "tensor/array.h"

/* Turns off HDF5's printing of errors on this thread. */
void kpar_store_quiet(void);

/* "file: what: HDF5's innermost error". */
kpar_status kpar_store_fail(kpar_status status, const char *file, const char *what);

typedef struct kpar_stored {
    hid_t id;
    const char *file, *path; /* borrowed, for messages */
    int rank;
    int64_t dims[KPAR_MAX_RANK];
    size_t element_bytes; /* in the file */
    H5T_class_t kind;
} kpar_stored;

/* Opens a dataset. One that keeps its data in other files, has more dimensions than kpar knows, or declares
 * far more than is stored is refused. */
kpar_status kpar_stored_open(hid_t store, const char *file, const char *path,
                             kpar_stored *dataset) KPAR_MUST_USE;
void kpar_stored_close(kpar_stored *dataset);

/* HDF5's type in memory; negative for types that no weight has. */
hid_t kpar_store_type(kpar_dtype dtype);

/* A slice to or from dense memory of type `type`. */
kpar_status kpar_stored_read(const kpar_stored *dataset, const kpar_slice *slice, hid_t type,
                             void *values) KPAR_MUST_USE;
kpar_status kpar_stored_write(const kpar_stored *dataset, const kpar_slice *slice, hid_t type,
                              const void *values) KPAR_MUST_USE;

bool kpar_store_has(hid_t store, const char *path);

/* Paths of all datasets, each followed by a newline, in order of names. A link that leads out of the file is
 * refused. */
kpar_status kpar_store_list(hid_t store, const char *file, kpar_text *paths) KPAR_MUST_USE;

/* Cuts the next line off a text and returns it without its newline; NULL at the end. */
char *kpar_next_line(char **cursor);

#endif
