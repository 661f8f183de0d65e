/* Where variables are kept. */
#ifndef KPAR_PARALLEL_HOMES_H
#define KPAR_PARALLEL_HOMES_H

#include "graph/graph.h"
#include "model/catalog.h"
#include "parallel/mesh.h"

/* By index of a variable, the place in the pipeline of the first stage whose microbatches read it, or the weight that it
 * belongs to; where none does, the place where its next value is made, or the first. -1: it is a scalar of the optimizer,
 * which every rank keeps. `stages`: of each op of the microbatch phase; NULL: the ops' own. To be freed by kpar_free. */
int *kpar_variable_homes(const kpar_graph *graph, const kpar_catalog *catalog, kpar_mesh mesh,
                         const int *stages);

#endif
