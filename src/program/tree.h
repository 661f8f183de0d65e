/* The one binary tree over the leaves of a batch along which reproducible sums are taken. A node covers
 * the aligned range [k 2^j, (k+1) 2^j) of leaf positions; leaves that do not exist are left out. Whoever
 * adds along it gets the same bits, however the leaves are dealt to ranks. */
#ifndef KPAR_PROGRAM_TREE_H
#define KPAR_PROGRAM_TREE_H

enum { KPAR_SUBTREES = 64 }; /* more than any leaf range has */

/* A full subtree: leaves [first, first + count), count a power of two that divides first. */
typedef struct kpar_subtree {
    int first, count;
} kpar_subtree;

/* The maximal aligned subtrees of leaves [first, first + count), in order; returns their number, at most
 * KPAR_SUBTREES. */
int kpar_tree_subtrees(int first, int count, kpar_subtree *subtrees);

/* The additions that make one sum of `n` subtrees given in leaf order: term additions[i][0] += term
 * additions[i][1], in order; the sum ends in term 0. Returns their number, n - 1 (0 for none). */
int kpar_tree_additions(const kpar_subtree *subtrees, int n, int (*additions)[2]);

#endif
