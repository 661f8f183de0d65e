/* What libzip reads an archive or an entry from and writes an archive to: an open file of ours. */
#ifndef KPAR_KERAS_ZIP_SOURCE_H
#define KPAR_KERAS_ZIP_SOURCE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <zip.h>

typedef struct kpar_zip_file {
    int fd;           /* borrowed */
    uint64_t size;    /* bytes in the file; grows while an archive is written */
    bool writable;    /* an archive may be written to it */
    uint64_t read_at; /* offset of the latest read */

    uint64_t position, write_position;
    zip_error_t error;
} kpar_zip_file;

/* `file` must outlive the source. NULL and *error on failure. */
zip_source_t *kpar_zip_source(kpar_zip_file *file, zip_error_t *error);

#endif
