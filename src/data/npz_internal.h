/* What reading the directory (npz.c) and unpacking (npz_unpack.c) share. */
#ifndef KPAR_DATA_NPZ_INTERNAL_H
#define KPAR_DATA_NPZ_INTERNAL_H

#include "data/map.h"
#include "data/npz.h"

#include <stdint.h>
#include <zip.h>

enum { KPAR_ZIP_STORED = 0, KPAR_ZIP_DEFLATED = 8 };

typedef struct kpar_member {
    char *name;
    unsigned method, flags;
    uint64_t packed, size, offset; /* bytes in the file, bytes unpacked, place of the local header */
    void *unpacked;                /* owned; NULL until asked for */
} kpar_member;

struct kpar_npz {
    char *path;
    kpar_map map;
    kpar_member *members;
    size_t count, capacity;
    zip_t *zip; /* opened when a deflated member is first asked for */
};

/* Finds the bytes of a stored or packed member in the map. */
kpar_status kpar_npz_place(const kpar_npz *archive, const kpar_member *member,
                           const unsigned char **bytes) KPAR_MUST_USE;

#endif
