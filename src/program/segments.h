/* Byte ranges of one arena cut into segments, for whoever follows accesses to memory.
 *
 * All places where a range may begin or end (cuts) are known beforehand and numbered in order of offset. A segment
 * goes from a cut that is active to the next active one. Whoever uses this keeps what he knows of a segment in an
 * array of his own, at the index of the cut at which it begins. Inside src/program only. */
#ifndef KPAR_PROGRAM_SEGMENTS_H
#define KPAR_PROGRAM_SEGMENTS_H

#include "program/program.h"

typedef struct kpar_segments {
    size_t *cuts; /* offsets; after sealing sorted and without repetition */
    size_t n, capacity;
    uint64_t *active; /* bit i: a segment begins at cut i */
} kpar_segments;

/* A range as numbers of its first cut and the cut behind it. */
typedef struct kpar_cut_range {
    size_t first, end;
} kpar_cut_range;

/* First all places are added, then the cuts are sealed; then there is one segment, beginning at cut 0. */
void kpar_segments_add(kpar_segments *segments, const kpar_place *place);
void kpar_segments_seal(kpar_segments *segments);
void kpar_segments_free(kpar_segments *segments);

/* One segment again. */
void kpar_segments_reset(kpar_segments *segments);

/* The cuts of a place that was added. */
kpar_cut_range kpar_segments_find(const kpar_segments *segments, const kpar_place *place);

/* Makes a segment begin at cut `at`. Returns the beginning of the segment that it was part of: `at` itself if one
 * began there already, else the caller copies what he knows. */
size_t kpar_segments_split(kpar_segments *segments, size_t at);

/* The beginning of the segment after the one that begins at `at`; n after the last. */
size_t kpar_segments_next(const kpar_segments *segments, size_t at);

/* Makes one segment of all from `range.first` to `range.end`, at both of which segments begin. */
void kpar_segments_join(kpar_segments *segments, kpar_cut_range range);

#endif
