/* The order of samples: a keyed permutation without a table. */
#include "data/order.h"

#include "base/philox.h"

enum { ROUNDS = 8 };

/* The finalizer of MurmurHash3 (Appleby, 2011), as the round function of the network. */
static uint32_t mix(uint32_t value)
{
    value = (value ^ value >> 16) * 0x85ebca6bu;
    value = (value ^ value >> 13) * 0xc2b2ae35u;
    return value ^ value >> 16;
}

static uint64_t feistel(const uint32_t keys[ROUNDS], int half_bits, uint64_t value)
{
    uint32_t mask = (uint32_t)((UINT64_C(1) << half_bits) - 1);
    uint32_t left = (uint32_t)(value >> half_bits), right = (uint32_t)value & mask;
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t next = left ^ (mix(right ^ keys[round]) & mask);
        left = right;
        right = next;
    }
    return (uint64_t)left << half_bits | right;
}

int64_t kpar_order_row(bool shuffle, uint64_t seed, int64_t epoch, int64_t rows, int64_t position)
{
    if (!shuffle || rows < 2) return position;
    uint32_t keys[ROUNDS];
    uint64_t key = kpar_philox_key(seed, "order");
    for (int block = 0; block < ROUNDS / 4; block++)
        kpar_philox(key, (uint64_t)block, (uint64_t)epoch, keys + 4 * block);
    int half_bits = 1;
    while (half_bits < 32 && UINT64_C(1) << 2 * half_bits < (uint64_t)rows) half_bits++;
    uint64_t row = (uint64_t)position;
    do row = feistel(keys, half_bits, row);
    while (row >= (uint64_t)rows);
    return (int64_t)row;
}
