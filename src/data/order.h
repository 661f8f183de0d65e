/* The order of samples: a function of (seed, epoch, number of rows) alone, the same for every layout. */
#ifndef KPAR_DATA_ORDER_H
#define KPAR_DATA_ORDER_H

#include <stdbool.h>
#include <stdint.h>

/* Row at position `position` of epoch `epoch`: a keyed permutation of 0 .. rows-1 that needs no table (a
 * Feistel network on the next power of four, cycle-walked; Black and Rogaway, "Ciphers with arbitrary finite
 * domains", 2002). Not shuffled: `position` itself. */
int64_t kpar_order_row(bool shuffle, uint64_t seed, int64_t epoch, int64_t rows, int64_t position);

#endif
