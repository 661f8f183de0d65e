/* An HDF5 file driver over a part of an open file, so that weights inside an archive are read in place. It
 * takes no locks, which NFS and Lustre may not have. */
#ifndef KPAR_KERAS_OFFSET_DRIVER_H
#define KPAR_KERAS_OFFSET_DRIVER_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct kpar_window {
    int fd; /* borrowed */
    uint64_t offset, size;
} kpar_window;

/* An HDF5 file opened through the driver. HDF5 calls the driver after its last own reference to it, so that
 * one more is held until the file is closed. Both negative: not open. */
typedef struct kpar_window_file {
    hid_t id, driver;
} kpar_window_file;

/* Opens the HDF5 file that fills the window, for reading. False on failure; the file is then not open. */
bool kpar_window_open(const kpar_window *window, kpar_window_file *file);

/* Makes a new HDF5 file in an empty file. After a write that failed *error is errno and nothing more is
 * written, while HDF5 believes that all is well: it does not survive a file that cannot be flushed. `error`
 * must outlive the file. */
bool kpar_window_create(int fd, int *error, kpar_window_file *file);

/* False where HDF5 could not write what it had kept back. A file that is not open is allowed. */
bool kpar_window_close(kpar_window_file *file);

#endif
