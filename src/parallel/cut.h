/* Stages: which ops of the microbatch phase each pipeline stage runs, and what passes between them. */
#ifndef KPAR_PARALLEL_CUT_H
#define KPAR_PARALLEL_CUT_H

#include "graph/pass.h"
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

/* Cuts only between layers, and between blocks rather than inside: where the fewest tensors go over that leave the stages
 * nearly as even as any cut would; a model within the model stays whole likewise. The losses and metrics of the model are a
 * unit of their own, so that a loss may be a stage. Sets the stage of every op of the microbatch phase and inserts send and
 * receive between ranks: a value is sent once to each rank that reads it, and to no other; a guard is passed on to every
 * rank. Returns a new graph. KPAR_EUSAGE when there are fewer layers than stages or a name is not a layer that can begin a
 * stage. */
kpar_status kpar_cut(const kpar_graph *graph, const kpar_cut_options *options,
                     kpar_graph **cut) KPAR_MUST_USE;

#endif
