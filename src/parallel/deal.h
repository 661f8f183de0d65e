/* How the rows of a global batch are dealt. */
#ifndef KPAR_PARALLEL_DEAL_H
#define KPAR_PARALLEL_DEAL_H

#include <stdint.h>

/* Unit u of `units` (in order of replica, then microbatch; or leaves) gets rows [*first, *first + *count) of `rows`.
 * `leaf_rows` > 0: units are leaves of that many rows, the last ones short or empty. 0: as even as possible, the first
 * ones larger. */
void kpar_deal(int64_t rows, int64_t leaf_rows, int units, int unit, int64_t *first, int64_t *count);

#endif
