/* The mesh of ranks: tensor fastest, then data, pipeline slowest. */
#ifndef KPAR_PARALLEL_MESH_H
#define KPAR_PARALLEL_MESH_H

#include "graph/graph.h"

typedef struct kpar_mesh {
    int data, pipeline, tensor;
} kpar_mesh;

typedef struct kpar_coordinate {
    int data, pipeline, tensor;
} kpar_coordinate;

static inline int kpar_mesh_size(kpar_mesh mesh) { return mesh.data * mesh.pipeline * mesh.tensor; }

static inline int kpar_mesh_rank(kpar_mesh mesh, kpar_coordinate c)
{
    return (c.pipeline * mesh.data + c.data) * mesh.tensor + c.tensor;
}

static inline kpar_coordinate kpar_mesh_coordinate(kpar_mesh mesh, int rank)
{
    return (kpar_coordinate){
        .tensor = rank % mesh.tensor,
        .data = rank / mesh.tensor % mesh.data,
        .pipeline = rank / mesh.tensor / mesh.data,
    };
}

/* Place in the pipeline of the ranks that a stage is on: stages go round, so that a rank may have several. */
static inline int kpar_mesh_of_stage(kpar_mesh mesh, int stage)
{
    return stage < 0 ? stage : stage % mesh.pipeline;
}

/* How many ranks lie along an axis of placement, and which of them `c` is. */
static inline int kpar_mesh_extent(kpar_mesh mesh, kpar_axis axis)
{
    return axis == KPAR_AXIS_DATA ? mesh.data : mesh.tensor;
}
static inline int kpar_mesh_index(kpar_coordinate c, kpar_axis axis)
{
    return axis == KPAR_AXIS_DATA ? c.data : c.tensor;
}

/* The coordinate with index `index` along `axis`. */
static inline kpar_coordinate kpar_mesh_along(kpar_coordinate c, kpar_axis axis, int index)
{
    if (axis == KPAR_AXIS_DATA)
        c.data = index;
    else
        c.tensor = index;
    return c;
}

#endif
