/* Modelled cost of ops on one rank. */
#ifndef KPAR_PARALLEL_COST_H
#define KPAR_PARALLEL_COST_H

#include "graph/op.h"
#include "parallel/mesh.h"

typedef struct kpar_cost_model {
    kpar_mesh mesh;
    int64_t rows;            /* of a microbatch on one replica */
    double flops_per_second; /* of matmuls */
    double bytes_per_second; /* of memory */
} kpar_cost_model;

/* Floating-point operations and bytes read and written by one execution on one rank (coordinate 0). */
double kpar_cost_flops(const kpar_graph *graph, const kpar_op *op, const kpar_cost_model *model);
double kpar_cost_bytes(const kpar_graph *graph, const kpar_op *op, const kpar_cost_model *model);

/* Seconds: the slower of computing and moving. */
double kpar_cost_seconds(const kpar_graph *graph, const kpar_op *op, const kpar_cost_model *model);

#endif
