/* Sums of products of tensors whose dimensions letters name. */
#ifndef KPAR_MODEL_EINSUM_H
#define KPAR_MODEL_EINSUM_H

#include "model/lower_internal.h"

enum { KPAR_EINSUM_OPERANDS = 8, KPAR_EINSUM_LETTERS = KPAR_MAX_RANK + 1 };

/* "...ab,bc->...ac": a letter for each dimension. Those that "..." stands for have numbers as letters, counted from the
 * last. */
typedef struct kpar_einsum {
    char operands[KPAR_EINSUM_OPERANDS][KPAR_EINSUM_LETTERS];
    int n_operands;
    char result[KPAR_EINSUM_LETTERS];
    int elided; /* the most dimensions that "..." stands for */
} kpar_einsum;

/* Reads a text for operands of these ranks; a rank of 0 is any, without "...". false: it is none. */
bool kpar_einsum_read(const char *text, const int *ranks, int n_operands, kpar_einsum *e);
/* The sum of products; letters that the result has not are summed over. */
kpar_status kpar_lower_einsum(kpar_lowering *lowering, const kpar_einsum *e, const kpar_value_id *operands,
                              kpar_value_id *out) KPAR_MUST_USE;
/* Of two, with a letter for each dimension. */
kpar_status kpar_lower_product(kpar_lowering *lowering, const char *a_letters, kpar_value_id a,
                               const char *b_letters, kpar_value_id b, const char *letters,
                               kpar_value_id *out) KPAR_MUST_USE;
/* A dimension times a matrix, which lies in the arena: `n` rows, one for each element of the result. x has the batch. */
kpar_status kpar_lower_along(kpar_lowering *lowering, int dim, const double *matrix, int64_t n,
                             kpar_value_id x, kpar_value_id *out) KPAR_MUST_USE;

#endif
