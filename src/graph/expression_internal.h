/* What building an expression and differentiating one share. */
#ifndef KPAR_GRAPH_EXPRESSION_INTERNAL_H
#define KPAR_GRAPH_EXPRESSION_INTERNAL_H

#include "graph/expression.h"

/* From now on 0 * x and 0 / x are simplified to 0 whatever x may be. Right for the terms of a derivative,
 * where a factor that is the constant 0 says that the term does not exist; wrong for values, where 0 * inf is
 * NaN. */
void kpar_x_drop_zero_terms(kpar_expression_builder *e);

#endif
