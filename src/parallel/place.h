/* The splitter and merger: gives every value a placement along the data and the tensor axis and inserts the
 * collectives that lead from one placement to another. Gradients of a split batch come out as partial sums by
 * rule; there is no data-parallel trainer. */
#ifndef KPAR_PARALLEL_PLACE_H
#define KPAR_PARALLEL_PLACE_H

#include "graph/pass.h"
#include "parallel/mesh.h"

/* Where a variable lies along the tensor axis: where the first graph placed wants it, for all modes alike. */
typedef struct kpar_variable_place {
    bool known;
    kpar_placement tensor;
} kpar_variable_place;

typedef struct kpar_place_options {
    kpar_mesh mesh;
    bool split_features; /* features lie split on dimension 1 over the tensor axis */
    int zero;            /* 1: trained weights and what their update reads are sharded over the data axis */
    bool reproducible;   /* sums over a tensor are not added up of its shards' */
    int64_t
        split_vocabulary; /* over the tensor axis: tables of as many rows or more are cut by rows, and what is mixed
                                 over as many classes or more is not gathered for it; 0: no table and no class */
    const bool *trained;            /* by variable index: updated from its gradient */
    kpar_variable_place *variables; /* by variable index, read and written; NULL: this graph alone decides */
} kpar_place_options;

/* Returns a new graph. An op without a rule for its inputs' placements gets them replicated. */
kpar_status kpar_place_graph(const kpar_graph *graph, const kpar_place_options *options,
                             kpar_graph **placed) KPAR_MUST_USE;

/* Concrete dimensions of a value on one rank: the batch is `rows`. Empty shards give a dimension of 0. */
void kpar_local_dims(const kpar_value *value, kpar_mesh mesh, kpar_coordinate coordinate, int64_t rows,
                     int64_t *dims);

/* The part of the whole value (batch dimensions: rows 0 .. rows) that lies on one rank. */
kpar_slice kpar_local_slice(const kpar_value *value, kpar_mesh mesh, kpar_coordinate coordinate,
                            int64_t rows);

#endif
