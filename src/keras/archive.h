/* A .keras archive: a zip of metadata.json, config.json and model.weights.h5, in any order. */
#ifndef KPAR_KERAS_ARCHIVE_H
#define KPAR_KERAS_ARCHIVE_H

#include "base/status.h"
#include "keras/offset_driver.h"

#define KPAR_ENTRY_METADATA "metadata.json"
#define KPAR_ENTRY_CONFIG "config.json"
#define KPAR_ENTRY_WEIGHTS "model.weights.h5"

typedef struct kpar_archive kpar_archive;

/* Opens the archive in the open file `fd`, which stays the caller's and open as long as the archive. `path`
 * is for messages and borrowed. */
kpar_status kpar_archive_open(const char *path, int fd, kpar_archive **archive) KPAR_MUST_USE;
void kpar_archive_close(kpar_archive *archive);

bool kpar_archive_has(kpar_archive *archive, const char *entry);

/* The whole of a small entry, its checksum checked, with a NUL after its end; free with kpar_free_aligned. */
kpar_status kpar_archive_read(kpar_archive *archive, const char *entry, char **text,
                              size_t *length) KPAR_MUST_USE;

/* Where the bytes of an entry lie: in the archive itself when it is stored, else in a temporary file that it
 * is unpacked to here and that lives as long as the archive. */
kpar_status kpar_archive_window(kpar_archive *archive, const char *entry, kpar_window *window) KPAR_MUST_USE;

/* Reads the whole entry and compares its checksum. */
kpar_status kpar_archive_verify(kpar_archive *archive, const char *entry) KPAR_MUST_USE;

#endif
