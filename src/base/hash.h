/* FNV-1a, 64 bits: for comparing plans and naming streams, not for checking files.
 * Fowler, Noll, Vo; http://www.isthe.com/chongo/tech/comp/fnv/ */
#ifndef KPAR_BASE_HASH_H
#define KPAR_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define KPAR_HASH_START UINT64_C(0xcbf29ce484222325)

/* Continues `hash` over `bytes` bytes; start with KPAR_HASH_START. */
static inline uint64_t kpar_hash(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *byte = data;
    for (size_t i = 0; i < bytes; i++) hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#endif
