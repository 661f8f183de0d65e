/* One job a checkpoint folder: a lock on DIR/lock, which ends with the process that holds it. */
#include "train/checkpoint_file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct kpar_checkpoint_lock {
    int descriptor;
};

enum { HOLDER_BYTES = 320 };

/* "process 12 on host a", from what the holder wrote. */
static void read_holder(int descriptor, char holder[HOLDER_BYTES])
{
    ssize_t length = pread(descriptor, holder, HOLDER_BYTES - 1, 0);
    holder[length > 0 ? length : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
    if (!holder[0]) snprintf(holder, HOLDER_BYTES, "another process");
}

static void write_holder(int descriptor)
{
    char host[256] = "unknown";
    (void)gethostname(host, sizeof host - 1);
    if (!ftruncate(descriptor, 0)) dprintf(descriptor, "process %ld on host %s\n", (long)getpid(), host);
}

static kpar_status refuse(const char *dir, int descriptor)
{
    char holder[HOLDER_BYTES];
    read_holder(descriptor, holder);
    return kpar_fail(KPAR_EUSAGE,
                     "%s: is in use by another job (%s); wait for it to end or give another folder", dir,
                     holder);
}

kpar_status kpar_checkpoint_lock_take(const char *dir, kpar_checkpoint_lock **lock)
{
    *lock = NULL;
    if (mkdir(dir, 0777) && errno != EEXIST)
        return kpar_fail(KPAR_EIO, "%s: cannot be made: %s", dir, strerror(errno));
    kpar_text path = {0};
    kpar_text_printf(&path, "%s/lock", dir);
    int descriptor = open(kpar_text_get(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    kpar_text_clear(&path);
    if (descriptor < 0) return kpar_fail(KPAR_EIO, "%s: cannot be locked: %s", dir, strerror(errno));
    if (flock(descriptor, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
        kpar_status status = refuse(dir, descriptor);
        close(descriptor);
        return status;
    }
    write_holder(descriptor);
    *lock = kpar_alloc(sizeof **lock);
    (*lock)->descriptor = descriptor;
    return KPAR_OK;
}

void kpar_checkpoint_lock_release(kpar_checkpoint_lock *lock)
{
    if (!lock) return;
    close(lock->descriptor);
    kpar_free(lock);
}
