/* Philox4x32-10. */
#include "base/philox.h"

#include "base/hash.h"

#include <string.h>

void kpar_philox(uint64_t key, uint64_t low, uint64_t high, uint32_t words[4])
{
    uint32_t c0 = (uint32_t)low, c1 = (uint32_t)(low >> 32), c2 = (uint32_t)high, c3 = (uint32_t)(high >> 32);
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}

uint32_t kpar_philox_word(uint64_t key, uint64_t high, uint64_t index)
{
    uint32_t words[4];
    kpar_philox(key, index / 4, high, words);
    return words[index % 4];
}

uint64_t kpar_philox_key(uint64_t seed, const char *name)
{
    uint64_t hash = kpar_hash(KPAR_HASH_START, &seed, sizeof seed);
    return kpar_hash(hash, name, strlen(name));
}
