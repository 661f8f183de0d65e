/* System calls on model files. */
#include "keras/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Thread_local int calls_before_fault;

void kpar_keras_fault_after(int n) { calls_before_fault = n; }

/* Counts a call that changes a file; true where this one is to fail. */
static bool fault(void)
{
    if (calls_before_fault == 0 || --calls_before_fault > 0) return false;
    errno = ENOSPC;
    return true;
}

bool kpar_io_read(int fd, void *buffer, size_t bytes, uint64_t offset)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pread(fd, (char *)buffer + done, bytes - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = EIO;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

bool kpar_io_write(int fd, const void *buffer, size_t bytes, uint64_t offset)
{
    if (fault()) return false;
    for (size_t done = 0; done < bytes;) {
        ssize_t n = pwrite(fd, (const char *)buffer + done, bytes - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

bool kpar_io_resize(int fd, uint64_t bytes) { return !fault() && ftruncate(fd, (off_t)bytes) == 0; }

bool kpar_io_sync(int fd) { return !fault() && fsync(fd) == 0; }

bool kpar_io_rename(const char *from, const char *to) { return !fault() && rename(from, to) == 0; }

void kpar_io_folder(const char *path, char *folder, size_t capacity)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(folder, capacity, ".");
    else
        snprintf(folder, capacity, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

/* The umask decides who may read the file, as for any other: mkstemp would make it private. */
int kpar_io_beside(const char *path, char *name, size_t capacity)
{
    if (fault()) return -1;
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    for (int attempt = 0;; attempt++) {
        int length = snprintf(name, capacity, "%.*s.%s.%ld-%d.tmp", (int)(base - path), path, base,
                              (long)getpid(), attempt);
        if (length < 0 || (size_t)length >= capacity) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
}

int kpar_io_unnamed(const char *path)
{
    char folder[4096], name[4200];
    const char *temporary = getenv("TMPDIR");
    if (fault()) return -1;
    if (path)
        kpar_io_folder(path, folder, sizeof folder);
    else
        snprintf(folder, sizeof folder, "%s", temporary && *temporary ? temporary : "/tmp");
    snprintf(name, sizeof name, "%s/.kpar-weights-XXXXXX", folder);
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0) unlink(name);
    return fd;
}

bool kpar_io_sync_folder(const char *path)
{
    char folder[4096];
    kpar_io_folder(path, folder, sizeof folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return false;
    bool synced = kpar_io_sync(fd);
    close(fd);
    return synced;
}
