/* Writing a file so that it appears whole or not at all: beside its place, synced, then renamed. */
#ifndef KPAR_DATA_OUTPUT_H
#define KPAR_DATA_OUTPUT_H

#include "base/status.h"

#include <stddef.h>

typedef struct kpar_new_file kpar_new_file;

/* Begins a new file for `path`; what is there stays until kpar_new_file_commit. Links are followed. KPAR_EIO
 * with the system's reason, or when something other than a regular file is there. */
kpar_status kpar_new_file_create(const char *path, kpar_new_file **output) KPAR_MUST_USE;

/* Appends. After a failure only kpar_new_file_abandon is left. */
kpar_status kpar_new_file_write(kpar_new_file *output, const void *bytes, size_t length) KPAR_MUST_USE;

/* Syncs the file, puts it in its place, syncs the folder. Frees `output`, also on failure, which leaves the
 * old file. */
kpar_status kpar_new_file_commit(kpar_new_file *output) KPAR_MUST_USE;

/* Removes what was written and frees `output`; NULL is fine. */
void kpar_new_file_abandon(kpar_new_file *output);

/* The three at once, for a file that is in memory. */
kpar_status kpar_new_file_put(const char *path, const void *bytes, size_t length) KPAR_MUST_USE;

/* Makes what was created, renamed or removed in `folder` last. A file system that cannot do so is not a
 * failure. */
void kpar_new_file_sync_folder(const char *folder);

/* For tests: the `call`-th open, write, sync or rename from now on (1: the next) fails as if the disk were
 * full; 0: none. Returns how many calls were made since the last time. */
int kpar_new_file_fail_at(int call);

#endif
