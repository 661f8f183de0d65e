/* Accesses to the memory of all ranks, one after the other as a replay makes them: two that touch the same bytes, of
 * which one writes, must be ordered. Inside src/program only. */
#ifndef KPAR_PROGRAM_RACES_H
#define KPAR_PROGRAM_RACES_H

#include "program/clocks.h"

typedef struct kpar_races kpar_races;

kpar_races *kpar_races_create(const kpar_program *const *programs, int n, const kpar_clocks *clocks);
void kpar_races_destroy(kpar_races *races);

/* All accesses of an instruction that starts now. KPAR_EINTERNAL names it and the one it is not ordered with. */
kpar_status kpar_races_access(kpar_races *races, kpar_node node) KPAR_MUST_USE;

#endif
