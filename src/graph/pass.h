/* Passes that know no mesh. Each is linear in the number of values. */
#ifndef KPAR_GRAPH_PASS_H
#define KPAR_GRAPH_PASS_H

#include "graph/op.h"

/* Reverse mode. Appends the backward ops (the phase of the loss, part BACKWARD) of the scalar `loss`, whose own
 * gradient is 1, and writes the gradient of each of `wanted` (-1 if the loss does not depend on it).
 * An op without a gradient rule on the way is KPAR_EUNSUPPORTED, naming layer and op. */
kpar_status kpar_graph_gradient(kpar_graph *graph, kpar_value_id loss, const kpar_value_id *wanted,
                                int n_wanted, kpar_value_id *gradients) KPAR_MUST_USE;

/* Dead code, common subexpressions (never across random call sites), maps that copy. Returns a new graph. */
kpar_status kpar_graph_simplify(const kpar_graph *graph, kpar_graph **simplified) KPAR_MUST_USE;

/* Chains of maps become one map; maps after a matmul become its epilogue; a map before a reduction becomes part of it
 * (map_reduce). Only within one layer, so that a cut between layers changes no kernel. Returns a new graph. */
kpar_status kpar_graph_fuse(const kpar_graph *graph, kpar_graph **fused) KPAR_MUST_USE;

/* Once stages are cut: chains of maps over layers on a stage become one map. Bits stay as they are, on any stages, as a map
 * rounds each of its steps. Returns a new graph. */
kpar_status kpar_graph_fuse_layers(const kpar_graph *graph, kpar_graph **fused) KPAR_MUST_USE;

/* The first part of kpar_graph_fuse: outputs of maps that only a reduction reads become maps of their own; and its last: reductions over the
 * same elements, which do not need each other, become one op, which reads them once. Return new graphs. */
kpar_status kpar_graph_separate(const kpar_graph *graph, kpar_graph **separated) KPAR_MUST_USE;
kpar_status kpar_graph_join(const kpar_graph *graph, kpar_graph **joined) KPAR_MUST_USE;

/* The ops `chosen` (by number; each can be taken apart) in terms of maps and reductions, which ranks can compute of parts
 * of the dimension that the op mixes. Returns a new graph. */
kpar_status kpar_graph_expand(const kpar_graph *graph, const bool *chosen,
                              kpar_graph **expanded) KPAR_MUST_USE;

/* For passes that rebuild: a new graph and the map from old values to new ones. */
typedef struct kpar_rebuild {
    const kpar_graph *old;
    kpar_graph *graph;
    kpar_value_id *value; /* old id -> new id, -1: not (yet) there */
} kpar_rebuild;
void kpar_rebuild_begin(kpar_rebuild *rebuild, const kpar_graph *old);
kpar_value_id kpar_rebuild_source(kpar_rebuild *rebuild,
                                  kpar_value_id old);         /* copies a source if it is not there */
void kpar_rebuild_copy(kpar_rebuild *rebuild, kpar_op_id op); /* copies op with mapped inputs */
/* The same of a changed copy of an old op, whose inputs and outputs are old values. */
void kpar_rebuild_append(kpar_rebuild *rebuild, const kpar_op *op);
void kpar_rebuild_end(kpar_rebuild *rebuild); /* maps states and outputs, frees `value` */

#endif
