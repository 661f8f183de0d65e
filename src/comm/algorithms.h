/* The generators, a file each. */
#ifndef KPAR_COMM_ALGORITHMS_H
#define KPAR_COMM_ALGORITHMS_H

#include "program/steps.h"

kpar_status kpar_direct(kpar_steps *steps, const kpar_collective_shape *shape);
kpar_status kpar_exchange(kpar_steps *steps, const kpar_collective_shape *shape);
kpar_status kpar_ring(kpar_steps *steps, const kpar_collective_shape *shape);

/* What algorithms share (terms.c): the terms of part `part` that all members hold, in order of members, as
 * sources of a REDUCE into the own memory, with the additions that the reproducible tree asks for. `where`
 * gives the range of member i's term k. */
typedef kpar_range (*kpar_term_place)(const kpar_collective_shape *shape, int part, int member, int term,
                                      const void *context);
void kpar_reduce_terms(kpar_steps *steps, const kpar_collective_shape *shape, int part, kpar_term_place where,
                       const void *context);

static inline int kpar_terms_of(const kpar_collective_shape *shape, int member)
{
    return shape->terms ? shape->terms[member] : 1;
}

#endif
