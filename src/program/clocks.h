/* Vector clocks over a replay: which instruction has surely ended before another starts. Inside src/program only.
 *
 * A clock has an entry for each lane of each rank: the position of the last instruction of the lane that has surely
 * started; those up to it that are not asynchronous have surely ended. An asynchronous one has surely ended where an
 * instruction that waits for it has started, or the list after its own.
 * Mattern, "Virtual time and global states of distributed systems" (1988). */
#ifndef KPAR_PROGRAM_CLOCKS_H
#define KPAR_PROGRAM_CLOCKS_H

#include "program/replay.h"

typedef struct kpar_clocks kpar_clocks;

kpar_clocks *kpar_clocks_create(const kpar_program *const *programs, int n, const kpar_matches *matches);
void kpar_clocks_destroy(kpar_clocks *clocks);

/* To be called from the replay's hooks of the same names, lists 0, 1, 2 ... */
void kpar_clocks_begins(kpar_clocks *clocks, int rank, int list);
void kpar_clocks_starts(kpar_clocks *clocks, kpar_node node);
void kpar_clocks_ends(kpar_clocks *clocks, kpar_node node);

/* Whether `earlier` has surely ended before `now`, the instruction started last, started. */
bool kpar_clocks_ordered(const kpar_clocks *clocks, kpar_node earlier, kpar_node now);

#endif
