/* Philox4x32-10: random numbers as a function of (key, counter), so that they do not depend on the layout.
 * Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011). */
#ifndef KPAR_BASE_PHILOX_H
#define KPAR_BASE_PHILOX_H

#include <stdint.h>

/* Four random words for 64-bit `key` and 128-bit counter {low, high}. */
void kpar_philox(uint64_t key, uint64_t low, uint64_t high, uint32_t words[4]);

/* Element `index` of the stream `key`, `high`: one 32-bit word. */
uint32_t kpar_philox_word(uint64_t key, uint64_t high, uint64_t index);

/* A word as a float in [0, 1), with 24 random bits, exactly representable in float32. */
static inline double kpar_unit_from_word(uint32_t word) { return (double)(word >> 8) * 0x1p-24; }

/* A key from a seed and a name, e.g. a layer's path. Stable over versions and machines. */
uint64_t kpar_philox_key(uint64_t seed, const char *name);

#endif
