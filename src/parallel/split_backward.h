/* Which part of backward may wait. */
#ifndef KPAR_PARALLEL_SPLIT_BACKWARD_H
#define KPAR_PARALLEL_SPLIT_BACKWARD_H

#include "graph/pass.h"

/* Marks as KPAR_BACKWARD_WEIGHT what of the backward part of a cut graph no other layer and no other stage needs: gradients of
 * weights, and what leads to them alone. Returns a new graph. */
kpar_status kpar_split_backward(const kpar_graph *graph, kpar_graph **split) KPAR_MUST_USE;

#endif
