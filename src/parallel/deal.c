/* Dealing rows. */
#include "parallel/deal.h"

static int64_t at_most(int64_t value, int64_t limit) { return value < limit ? value : limit; }

void kpar_deal(int64_t rows, int64_t leaf_rows, int units, int unit, int64_t *first, int64_t *count)
{
    if (leaf_rows > 0) {
        *first = at_most(leaf_rows * unit, rows);
        *count = at_most(leaf_rows, rows - *first);
        return;
    }
    const int64_t share = rows / units, larger = rows % units;
    *first = share * unit + at_most(unit, larger);
    *count = share + (unit < larger);
}
