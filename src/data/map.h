/* A file mapped into memory for reading. */
#ifndef KPAR_DATA_MAP_H
#define KPAR_DATA_MAP_H

#include "base/status.h"

#include <stddef.h>

typedef struct kpar_map {
    const unsigned char *bytes; /* NULL for an empty file */
    size_t length;
} kpar_map;

/* Maps the regular file at `path`. KPAR_EIO with the system's reason. Unmap with kpar_map_close. */
kpar_status kpar_map_open(const char *path, kpar_map *map) KPAR_MUST_USE;
void kpar_map_close(kpar_map *map);

#endif
