/* Which stage each op of the microbatch phase is on. */
#ifndef KPAR_PARALLEL_STAGES_H
#define KPAR_PARALLEL_STAGES_H

#include "graph/graph.h"
#include "model/catalog.h"
#include "parallel/cost.h"
#include "parallel/mesh.h"

/* Which stage each layer is on. Found by the first cut, followed by the others, so that all modes of a model keep a
 * layer's variables on the same ranks. */
typedef struct kpar_stage_map {
    kpar_arena *arena;
    int n; /* 0: not found yet */
    const char **layers;
    int *stages;
} kpar_stage_map;

typedef struct kpar_cut_options {
    int stages; /* a multiple of the pipeline's ranks: stages go round */
    const char *const
        *first_layers; /* stages - 1 names: the layers that begin stages 1, 2 ...; NULL: by modelled time */
    kpar_cost_model cost;
    kpar_stage_map *map;
    const kpar_catalog *catalog; /* which variables are the optimizer's scalars, that every rank keeps */
} kpar_cut_options;

/* Stages begin only between layers, and between blocks rather than inside: where the fewest tensors go over that leave the
 * stages nearly as even as any cut would; a model within the model stays whole likewise. The losses and metrics of the model
 * are a unit of their own, so that a loss may be a stage. By op: its stage, -1 where it is not of the microbatch phase; to be
 * freed by kpar_free, after an error too. KPAR_EUSAGE when there are fewer layers than stages or a name is not a layer that
 * can begin a stage. */
kpar_status kpar_choose_stages(const kpar_graph *graph, const kpar_cut_options *options,
                               int **stages) KPAR_MUST_USE;

#endif
