/* A file mapped into memory for reading. */
#include "data/map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static kpar_status map_descriptor(const char *path, int descriptor, kpar_map *map)
{
    struct stat facts;
    if (fstat(descriptor, &facts)) return kpar_fail(KPAR_EIO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(facts.st_mode))
        return kpar_fail(KPAR_EIO, "%s: expected a regular file, found a folder or a device", path);
    map->length = (size_t)facts.st_size;
    if (!map->length) return KPAR_OK;
    void *bytes = mmap(NULL, map->length, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (bytes == MAP_FAILED) return kpar_fail(KPAR_EIO, "%s: cannot be mapped: %s", path, strerror(errno));
    map->bytes = bytes;
    return KPAR_OK;
}

kpar_status kpar_map_open(const char *path, kpar_map *map)
{
    *map = (kpar_map){0};
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return kpar_fail(KPAR_EIO, "%s: %s", path, strerror(errno));
    kpar_status status = map_descriptor(path, descriptor, map);
    close(descriptor);
    return status;
}

void kpar_map_close(kpar_map *map)
{
    if (map->bytes) munmap((void *)(uintptr_t)map->bytes, map->length);
    *map = (kpar_map){0};
}
