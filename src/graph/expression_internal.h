/* What the files of expressions share. */
#ifndef KPAR_GRAPH_EXPRESSION_INTERNAL_H
#define KPAR_GRAPH_EXPRESSION_INTERNAL_H

#include "graph/expression.h"

/* From now on 0 * x and 0 / x are simplified to 0 whatever x may be. Right for the terms of a derivative,
 * where a factor that is the constant 0 says that the term does not exist; wrong for values, where 0 * inf is
 * NaN. */
void kpar_x_drop_zero_terms(kpar_expression_builder *e);

/* Whether a op b is b op a. */
bool kpar_scalar_commutes(kpar_scalar_op op);

/* Writes the indices of the instructions that the outputs need into order[n], operands first, and returns how
 * many they are. Exchanges operands of commutative instructions. The result depends on what the outputs
 * compute, not on the order in which the n instructions were made. */
int kpar_x_order(kpar_scalar *scalars, size_t n, const int *outputs, int n_outputs, int *order);

#endif
