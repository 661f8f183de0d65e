/* Cutting a graph into stages: the stage of each op, and what passes between them. */
#ifndef KPAR_PARALLEL_CUT_H
#define KPAR_PARALLEL_CUT_H

#include "graph/pass.h"
#include "parallel/stages.h"

/* Sets the stage of every op of the microbatch phase, as kpar_choose_stages says, and inserts send and receive between ranks:
 * a value is sent once to each rank that reads it, and to no other; a guard is passed on to every rank. Returns a new graph.
 * KPAR_EUSAGE as kpar_choose_stages. */
kpar_status kpar_cut(const kpar_graph *graph, const kpar_cut_options *options,
                     kpar_graph **cut) KPAR_MUST_USE;

#endif
