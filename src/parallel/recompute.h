/* Recomputing activations instead of keeping them. */
#ifndef KPAR_PARALLEL_RECOMPUTE_H
#define KPAR_PARALLEL_RECOMPUTE_H

#include "graph/pass.h"

typedef enum kpar_recompute {
    KPAR_RECOMPUTE_NONE,
    KPAR_RECOMPUTE_STAGE,
    KPAR_RECOMPUTE_BLOCK
} kpar_recompute;
extern const char *const kpar_recompute_names[]; /* ends with NULL */

/* Of a cut graph: backward reads no activation from within a block of the forward part, but runs the block again, with
 * the same bits, right before it needs the first of them. What lies between blocks is kept, and what was communicated. A block
 * is a stage; or a module of a stage by its layers' names, or, where these say nothing, one of about as many equal parts as a
 * part has layers (Chen et al., "Training deep nets with sublinear memory cost", 2016). Returns a new graph. */
kpar_status kpar_recompute_graph(const kpar_graph *graph, kpar_recompute recompute,
                                 kpar_graph **recomputed) KPAR_MUST_USE;

#endif
