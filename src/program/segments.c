/* Segments of an arena as a bit for each cut: splitting, joining and walking go by words of bits. */
#include "program/segments.h"

#include <stdlib.h>
#include <string.h>

enum { WORD_BITS = 64 };

static size_t words(const kpar_segments *segments) { return segments->n / WORD_BITS + 1; }

static bool is_active(const kpar_segments *segments, size_t at)
{
    return segments->active[at / WORD_BITS] >> (at % WORD_BITS) & 1;
}

void kpar_segments_add(kpar_segments *segments, const kpar_place *place)
{
    if (place->bytes == 0) return;
    KPAR_PUSH(segments->cuts, segments->n, segments->capacity) = place->offset;
    KPAR_PUSH(segments->cuts, segments->n, segments->capacity) = place->offset + place->bytes;
}

static int compare_offsets(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

void kpar_segments_seal(kpar_segments *segments)
{
    if (segments->n > 0) qsort(segments->cuts, segments->n, sizeof *segments->cuts, compare_offsets);
    size_t kept = 0;
    for (size_t i = 0; i < segments->n; i++)
        if (kept == 0 || segments->cuts[kept - 1] != segments->cuts[i])
            segments->cuts[kept++] = segments->cuts[i];
    segments->n = kept;
    segments->active = kpar_alloc(words(segments) * sizeof *segments->active);
    kpar_segments_reset(segments);
}

void kpar_segments_free(kpar_segments *segments)
{
    kpar_free(segments->cuts);
    kpar_free(segments->active);
    *segments = (kpar_segments){0};
}

void kpar_segments_reset(kpar_segments *segments)
{
    memset(segments->active, 0, words(segments) * sizeof *segments->active);
    segments->active[0] = 1;
}

static size_t find_cut(const kpar_segments *segments, size_t offset)
{
    size_t low = 0, high = segments->n;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (segments->cuts[middle] <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

kpar_cut_range kpar_segments_find(const kpar_segments *segments, const kpar_place *place)
{
    if (place->bytes == 0) return (kpar_cut_range){0, 0};
    return (kpar_cut_range){find_cut(segments, place->offset),
                            find_cut(segments, place->offset + place->bytes)};
}

size_t kpar_segments_split(kpar_segments *segments, size_t at)
{
    if (is_active(segments, at)) return at;
    size_t word = at / WORD_BITS;
    uint64_t before = segments->active[word] & ((UINT64_C(1) << at % WORD_BITS) - 1);
    segments->active[word] |= UINT64_C(1) << at % WORD_BITS;
    while (before == 0) before = segments->active[--word]; /* cut 0 is always active */
    return word * WORD_BITS + (WORD_BITS - 1) - (size_t)__builtin_clzll(before);
}

size_t kpar_segments_next(const kpar_segments *segments, size_t at)
{
    size_t word = (at + 1) / WORD_BITS, n = words(segments);
    if (word >= n) return segments->n;
    uint64_t after = segments->active[word] & ~((UINT64_C(1) << (at + 1) % WORD_BITS) - 1);
    while (after == 0) {
        if (++word == n) return segments->n;
        after = segments->active[word];
    }
    return word * WORD_BITS + (size_t)__builtin_ctzll(after);
}

void kpar_segments_join(kpar_segments *segments, kpar_cut_range range)
{
    for (size_t at = kpar_segments_next(segments, range.first); at < range.end;
         at = kpar_segments_next(segments, at))
        segments->active[at / WORD_BITS] &= ~(UINT64_C(1) << at % WORD_BITS);
}
