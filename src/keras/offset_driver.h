/* An HDF5 file driver over a part of an open file, so that weights inside an archive are read in place. It takes no
 * locks, which NFS and Lustre may not have. */
#ifndef KPAR_KERAS_OFFSET_DRIVER_H
#define KPAR_KERAS_OFFSET_DRIVER_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct kpar_window {
    int fd; /* borrowed */
    uint64_t offset, size;
} kpar_window;

/* Opens the HDF5 file that fills the window, for reading. Negative on failure. */
hid_t kpar_window_open(const kpar_window *window);

/* Makes a new HDF5 file in an empty file. After a write that failed *error is errno and nothing more is written, while
 * HDF5 believes that all is well: it does not survive a file that cannot be flushed. `error` must outlive the file.
 * Negative on failure. */
hid_t kpar_window_create(int fd, int *error);

#endif
