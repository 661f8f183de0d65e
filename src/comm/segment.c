/* Shared memory of one machine. */
#include "comm/segment.h"

#include "base/room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t whole_pages(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes / page + 1) * page;
}

kpar_status kpar_segment_check_room(size_t bytes, int ranks)
{
    const size_t available = kpar_room_machine().bytes;
    if (bytes <= available) return KPAR_OK;
    return kpar_fail(
        KPAR_ENOMEM,
        "shared memory: the %d ranks of a node need %zu bytes, it has %zu left; use fewer ranks a node or "
        "a smaller batch",
        ranks, bytes, available);
}

static kpar_status map(kpar_segment *segment)
{
    int flags = segment->file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *base = mmap(NULL, segment->bytes, PROT_READ | PROT_WRITE, flags, segment->file, 0);
    if (base == MAP_FAILED)
        return kpar_fail(KPAR_ENOMEM, "%zu bytes of memory were refused: %s", segment->bytes,
                         strerror(errno));
    madvise(base, segment->bytes, MADV_HUGEPAGE); /* only faster: it may fail */
    segment->base = base;
    return KPAR_OK;
}

static kpar_status reserve(const kpar_segment *segment)
{
    int error = posix_fallocate(segment->file, 0, (off_t)segment->bytes);
    if (error)
        return kpar_fail(KPAR_ENOMEM, "shared memory: %zu bytes were refused: %s", segment->bytes,
                         strerror(error));
    return KPAR_OK;
}

kpar_status kpar_segment_create(kpar_segment *segment, size_t bytes, bool shared)
{
    *segment = (kpar_segment){.file = -1};
    if (bytes > SIZE_MAX / 4)
        return kpar_fail(KPAR_ENOMEM, "%zu bytes of memory are more than can be addressed", bytes);
    segment->bytes = whole_pages(bytes);
    if (!shared) return map(segment);
    segment->file = memfd_create("kpar", MFD_CLOEXEC);
    if (segment->file < 0)
        return kpar_fail(KPAR_ECOMM, "the system gives no shared memory: %s", strerror(errno));
    kpar_status status = reserve(segment);
    if (status == KPAR_OK) status = map(segment);
    if (status != KPAR_OK) kpar_segment_destroy(segment);
    return status;
}

kpar_segment_name kpar_segment_name_of(const kpar_segment *segment)
{
    return (kpar_segment_name){.process = getpid(), .file = segment->file, .bytes = segment->bytes};
}

kpar_status kpar_segment_open(kpar_segment *segment, const kpar_segment_name *name)
{
    char path[64];
    *segment = (kpar_segment){.file = -1, .bytes = name->bytes};
    snprintf(path, sizeof path, "/proc/%ld/fd/%d", name->process, name->file);
    segment->file = open(path, O_RDWR | O_CLOEXEC);
    if (segment->file < 0)
        return kpar_fail(KPAR_ECOMM, "%s: the shared memory of another rank cannot be opened: %s", path,
                         strerror(errno));
    kpar_status status = map(segment);
    kpar_segment_close_file(segment);
    return status;
}

void kpar_segment_close_file(kpar_segment *segment)
{
    if (segment->file >= 0) close(segment->file);
    segment->file = -1;
}

void kpar_segment_destroy(kpar_segment *segment)
{
    if (segment->base) munmap(segment->base, segment->bytes);
    kpar_segment_close_file(segment);
    segment->base = NULL;
}
