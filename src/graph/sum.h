/* Sums of several values of one shape: the terms of a gradient. */
#ifndef KPAR_GRAPH_SUM_H
#define KPAR_GRAPH_SUM_H

#include "graph/build.h"

/* The sum of n >= 1 terms, which is allowed to reorder `terms`. Terms of one layer that are alike become one op: products
 * over the rows of a batch, sum a_i^T b_i = concat(a)^T concat(b); sums over rows; paddings that do not overlap, which
 * lie side by side. So many steps of one layer cost what one large step does. */
kpar_status kpar_build_sum(kpar_graph *g, kpar_value_id *terms, int n, kpar_value_id *sum) KPAR_MUST_USE;

#endif
