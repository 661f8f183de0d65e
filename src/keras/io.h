/* The few system calls that read and write model files, whole and retried. Every call that changes a file can
 * be made to fail, so that tests can show that an old file survives any failure. */
#ifndef KPAR_KERAS_IO_H
#define KPAR_KERAS_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For tests: the n-th call from now on this thread that changes a file fails with ENOSPC; 0: none does. */
void kpar_keras_fault_after(int n);

/* All false and errno on failure; a read beyond the end of the file fails with EIO. */
bool kpar_io_read(int fd, void *buffer, size_t bytes, uint64_t offset);
bool kpar_io_write(int fd, const void *buffer, size_t bytes, uint64_t offset);
bool kpar_io_resize(int fd, uint64_t bytes);
bool kpar_io_sync(int fd);
bool kpar_io_rename(const char *from, const char *to);

/* Makes a file of a new name beside `path`, for renaming over it later: fills `name`. -1 and errno on
 * failure. */
int kpar_io_beside(const char *path, char *name, size_t capacity);

/* A file without a name in the folder of `path`, or for NULL in $TMPDIR; gone when closed. -1 and errno on
 * failure. */
int kpar_io_unnamed(const char *path);

/* Makes the renaming of `path` last: syncs its folder. */
bool kpar_io_sync_folder(const char *path);

/* The folder of `path`, "." where it names none. */
void kpar_io_folder(const char *path, char *folder, size_t capacity);

#endif
