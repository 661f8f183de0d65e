/* The memory plan: offsets of the buffers of a step, the largest first, each at the lowest place that is free while it
 * lives. Buffers next to each other lie on a shelf, which a search passes in one step where all of them are in the way or
 * none is: so a plan of many thousand buffers takes no time by the square of their number. */
#include "plan/emit_internal.h"

#include <stdlib.h>
#include <string.h>

enum { SHELF_BLOCKS = 128 };

typedef struct block {
    size_t offset, end;
    int first, last; /* as in kpar_buffer */
} block;

typedef struct shelf {
    block blocks[SHELF_BLOCKS]; /* in order of their offsets */
    int n;
    int first_min, first_max, last_min, last_max;
    size_t end, gap; /* largest end, and largest gap between two of them, while all live */
} shelf;

typedef struct shelves {
    shelf **list; /* in order of their offsets */
    size_t n, capacity;
} shelves;

static int lowest(int a, int b) { return a < b ? a : b; }
static int highest(int a, int b) { return a > b ? a : b; }

static void summarize(shelf *s)
{
    s->first_min = s->last_min = KPAR_FOR_EVER;
    s->first_max = s->last_max = 0;
    s->gap = 0;
    s->end = s->blocks[0].end;
    for (int i = 0; i < s->n; i++) {
        const block *b = &s->blocks[i];
        s->first_min = lowest(s->first_min, b->first);
        s->first_max = highest(s->first_max, b->first);
        s->last_min = lowest(s->last_min, b->last);
        s->last_max = highest(s->last_max, b->last);
        if (b->offset > s->end && b->offset - s->end > s->gap) s->gap = b->offset - s->end;
        if (b->end > s->end) s->end = b->end;
    }
}

/* Moves *offset behind the blocks of a shelf that are in the way; true: it is free in front of one of them. */
static bool fits_on(const shelf *s, const kpar_buffer *buffer, size_t *offset)
{
    const bool all = s->first_max <= buffer->last && s->last_min >= buffer->first;
    if (all && s->gap < buffer->bytes && s->blocks[0].offset < *offset + buffer->bytes) {
        if (s->end > *offset) *offset = s->end;
        return false;
    }
    for (int i = 0; i < s->n; i++) {
        const block *b = &s->blocks[i];
        if (b->last < buffer->first || b->first > buffer->last) continue;
        if (b->offset >= *offset + buffer->bytes) return true;
        if (b->end > *offset) *offset = b->end;
    }
    return false;
}

/* Lowest offset at which `buffer` overlaps nothing that lives at the same time. */
static size_t lowest_fit(const shelves *all, const kpar_buffer *buffer)
{
    size_t offset = 0;
    for (size_t i = 0; i < all->n; i++) {
        const shelf *s = all->list[i];
        if (s->last_max < buffer->first || s->first_min > buffer->last) continue;
        if (fits_on(s, buffer, &offset)) break;
    }
    return offset;
}

/* A shelf behind shelf `at`, which has the upper half of that one's blocks. */
static void split_shelf(shelves *all, size_t at)
{
    shelf *full = all->list[at], *half = kpar_alloc(sizeof *half);
    half->n = full->n / 2;
    full->n -= half->n;
    memcpy(half->blocks, full->blocks + full->n, (size_t)half->n * sizeof(block));
    summarize(full);
    summarize(half);
    KPAR_PUSH(all->list, all->n, all->capacity) = NULL;
    memmove(all->list + at + 2, all->list + at + 1, (all->n - at - 2) * sizeof(shelf *));
    all->list[at + 1] = half;
}

static void insert(shelves *all, const kpar_buffer *buffer)
{
    size_t at = all->n - 1;
    while (at > 0 && all->list[at]->blocks[0].offset > buffer->offset) at--;
    if (all->list[at]->n == SHELF_BLOCKS) {
        split_shelf(all, at);
        at += all->list[at + 1]->blocks[0].offset <= buffer->offset;
    }
    shelf *s = all->list[at];
    int i = s->n++;
    for (; i > 0 && s->blocks[i - 1].offset > buffer->offset; i--) s->blocks[i] = s->blocks[i - 1];
    s->blocks[i] = (block){buffer->offset, buffer->offset + buffer->bytes, buffer->first, buffer->last};
    summarize(s);
}

static int larger_first(const void *a, const void *b)
{
    const kpar_buffer *x = *(kpar_buffer *const *)a, *y = *(kpar_buffer *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x < y ? -1 : x > y;
}

void kpar_emit_plan_memory(kpar_emitter *e)
{
    kpar_buffer **buffers = kpar_alloc((e->n_buffers + 1) * sizeof *buffers);
    shelves all = {0};
    size_t n = 0;
    for (size_t i = 0; i < e->n_buffers; i++)
        if (e->buffers[i].segment == KPAR_SEGMENT_STEP) buffers[n++] = &e->buffers[i];
    qsort(buffers, n, sizeof *buffers, larger_first);
    KPAR_PUSH(all.list, all.n, all.capacity) = kpar_alloc_zeroed(1, sizeof(shelf));
    e->step_bytes = 0;
    for (size_t i = 0; i < n; i++) {
        buffers[i]->offset = lowest_fit(&all, buffers[i]);
        insert(&all, buffers[i]);
        const size_t end = buffers[i]->offset + buffers[i]->bytes;
        if (end > e->step_bytes) e->step_bytes = end;
    }
    for (size_t i = 0; i < all.n; i++) kpar_free(all.list[i]);
    kpar_free(all.list);
    kpar_free(buffers);
}
