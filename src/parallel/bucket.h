/* Buckets: collectives of gradients joined, in the order in which backward completes them. */
#ifndef KPAR_PARALLEL_BUCKET_H
#define KPAR_PARALLEL_BUCKET_H

#include "graph/pass.h"

/* Joins collectives of the update phase over the data axis whose inputs are sums over microbatches of one stage, until a
 * bucket has `bucket_bytes` (as Li et al., "PyTorch distributed", 2020). Reduce-scatters of whole tensors are joined in
 * order of their owners; those by rows stay alone, so that every member's part is one range. Returns a new graph. */
kpar_status kpar_bucket(const kpar_graph *graph, size_t bucket_bytes, kpar_graph **bucketed) KPAR_MUST_USE;

/* Joins all-reduces of one number each, in the update, over the same axis: norms of weights. Returns a new graph. */
kpar_status kpar_bucket_scalars(const kpar_graph *graph, kpar_graph **bucketed) KPAR_MUST_USE;

#endif
