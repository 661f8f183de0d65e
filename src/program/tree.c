/* Binary trees over leaf positions. */
#include "program/tree.h"

#include "base/memory.h"

int kpar_tree_subtrees(int first, int count, kpar_subtree *subtrees)
{
    int n = 0;
    while (count > 0 && n < KPAR_SUBTREES) {
        int size = 1;
        while (2 * size <= count && first % (2 * size) == 0) size *= 2;
        subtrees[n++] = (kpar_subtree){first, size};
        first += size;
        count -= size;
    }
    return n;
}

int kpar_tree_additions(const kpar_subtree *subtrees, int n, int (*additions)[2])
{
    int done = 0, left = n;
    int *alive = kpar_alloc(((size_t)n + 1) * sizeof *alive);
    for (int i = 0; i < n; i++) alive[i] = i;
    for (int level = 1; left > 1; level++) { /* at most two terms remain in a node of each level */
        int kept = 0;
        for (int i = 0; i < left; i++) {
            int term = alive[i];
            alive[kept++] = term;
            if (i + 1 == left || subtrees[term].first >> level != subtrees[alive[i + 1]].first >> level)
                continue;
            additions[done][0] = term;
            additions[done++][1] = alive[++i];
        }
        left = kept;
    }
    kpar_free(alive);
    return done;
}
