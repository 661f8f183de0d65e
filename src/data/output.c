/* Writing a file so that it appears whole or not at all. */
#include "data/output.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct kpar_new_file {
    char *path, *temporary;
    int descriptor;
};

static atomic_int calls, failing_call;

int kpar_new_file_fail_at(int call)
{
    atomic_store(&failing_call, call);
    return atomic_exchange(&calls, 0);
}

/* True, with errno set, when this is the call that a test wants to fail. */
static bool injected(void)
{
    int call = atomic_fetch_add(&calls, 1) + 1;
    if (call != atomic_load(&failing_call)) return false;
    errno = ENOSPC;
    return true;
}

static kpar_status failed(const kpar_new_file *output, const char *what)
{
    return kpar_fail(KPAR_EIO, "%s: %s: %s", output->path, what, strerror(errno));
}

static void destroy(kpar_new_file *output)
{
    if (output->descriptor >= 0) close(output->descriptor);
    kpar_free(output->path);
    kpar_free(output->temporary);
    kpar_free(output);
}

/* The file that `path` stands for: links are followed so that they stay, only files are replaced. */
static kpar_status find_target(const char *path, char **target)
{
    struct stat facts;
    if (!stat(path, &facts) && !S_ISREG(facts.st_mode))
        return kpar_fail(KPAR_EIO, "%s: cannot be replaced: it is there and no regular file", path);
    char *resolved = realpath(path, NULL);
    *target = kpar_strdup(resolved ? resolved : path);
    free(resolved);
    return KPAR_OK;
}

kpar_status kpar_new_file_create(const char *path, kpar_new_file **output)
{
    *output = NULL;
    char *target = NULL;
    KPAR_TRY(find_target(path, &target));
    size_t bytes = strlen(target) + 32;
    kpar_new_file *made = kpar_alloc_zeroed(1, sizeof *made);
    made->path = target;
    made->temporary = kpar_alloc(bytes);
    snprintf(made->temporary, bytes, "%s.tmp-%ld", target, (long)getpid());
    made->descriptor =
        injected() ? -1 : open(made->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (made->descriptor < 0) {
        kpar_status status = failed(made, "cannot be created");
        destroy(made);
        return status;
    }
    *output = made;
    return KPAR_OK;
}

kpar_status kpar_new_file_write(kpar_new_file *output, const void *bytes, size_t length)
{
    const char *next = bytes;
    while (length) {
        ssize_t written = injected() ? -1 : write(output->descriptor, next, length);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return failed(output, "cannot be written");
        next += written;
        length -= (size_t)written;
    }
    return KPAR_OK;
}

void kpar_new_file_sync_folder(const char *folder)
{
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    (void)fsync(descriptor);
    close(descriptor);
}

static void sync_parent(const char *path)
{
    char *folder = kpar_strdup(path);
    char *slash = strrchr(folder, '/');
    if (slash) slash[slash == folder] = '\0';
    kpar_new_file_sync_folder(slash ? folder : ".");
    kpar_free(folder);
}

kpar_status kpar_new_file_commit(kpar_new_file *output)
{
    kpar_status status = KPAR_OK;
    if (injected() || fsync(output->descriptor))
        status = failed(output, "cannot be synced");
    else if (injected() || rename(output->temporary, output->path))
        status = failed(output, "cannot be renamed into place");
    if (status != KPAR_OK) {
        kpar_new_file_abandon(output);
        return status;
    }
    sync_parent(output->path);
    destroy(output);
    return KPAR_OK;
}

void kpar_new_file_abandon(kpar_new_file *output)
{
    if (!output) return;
    unlink(output->temporary);
    destroy(output);
}

kpar_status kpar_new_file_put(const char *path, const void *bytes, size_t length)
{
    kpar_new_file *output = NULL;
    KPAR_TRY(kpar_new_file_create(path, &output));
    kpar_status status = kpar_new_file_write(output, bytes, length);
    if (status == KPAR_OK) return kpar_new_file_commit(output);
    kpar_new_file_abandon(output);
    return status;
}
