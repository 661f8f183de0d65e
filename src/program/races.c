/* Races: for each piece of memory the last write, and the reads since then that no later read follows.
 * The idea of keeping no more than that: Flanagan and Freund, "FastTrack" (2009). */
#include "program/races.h"

#include "program/segments.h"

#include <string.h>

typedef struct history {
    kpar_node write; /* rank -1: none */
    kpar_node *reads;
    size_t n_reads, capacity;
} history;

typedef struct memory {
    kpar_segments segments;
    history *histories;
} memory;

struct kpar_races {
    const kpar_program *const *programs;
    int n;
    const kpar_clocks *clocks;
    memory *memories; /* by rank */
};

static int rank_of(int self, const kpar_place *place) { return place->rank < 0 ? self : place->rank; }

static kpar_status race(const kpar_races *r, kpar_node a, kpar_node b, int rank)
{
    char a_text[KPAR_REF_TEXT], b_text[KPAR_REF_TEXT];
    const char *when = a.list == b.list ? "" : " in its run after";
    return kpar_fail(KPAR_EINTERNAL,
                     "programs: %s and %s%s touch the same memory of rank %d, but nothing orders them",
                     kpar_ref_text(a_text, r->programs, (kpar_ref){a.rank, a.index}),
                     kpar_ref_text(b_text, r->programs, (kpar_ref){b.rank, b.index}), when, rank);
}

static bool ordered(const kpar_races *r, kpar_node earlier, kpar_node now)
{
    bool itself = earlier.rank == now.rank && earlier.list == now.list && earlier.index == now.index;
    return itself || kpar_clocks_ordered(r->clocks, earlier, now);
}

static kpar_status check_segment(const kpar_races *r, const history *h, kpar_node now, bool writes, int rank)
{
    if (h->write.rank >= 0 && !ordered(r, h->write, now)) return race(r, h->write, now, rank);
    for (size_t i = 0; writes && i < h->n_reads; i++)
        if (!ordered(r, h->reads[i], now)) return race(r, h->reads[i], now, rank);
    return KPAR_OK;
}

static void add_read(const kpar_races *r, history *h, kpar_node now)
{
    size_t kept = 0;
    for (size_t i = 0; i < h->n_reads; i++)
        if (!ordered(r, h->reads[i], now)) h->reads[kept++] = h->reads[i];
    h->n_reads = kept;
    KPAR_PUSH(h->reads, h->n_reads, h->capacity) = now;
}

static void forget(history *h)
{
    kpar_free(h->reads);
    *h = (history){.write.rank = -1};
}

static void split_at(memory *m, size_t cut)
{
    size_t from = kpar_segments_split(&m->segments, cut);
    if (from == cut) return;
    const history *source = &m->histories[from];
    m->histories[cut] =
        (history){.write = source->write, .n_reads = source->n_reads, .capacity = source->n_reads};
    if (source->n_reads == 0) return;
    m->histories[cut].reads = kpar_alloc(source->n_reads * sizeof *source->reads);
    memcpy(m->histories[cut].reads, source->reads, source->n_reads * sizeof *source->reads);
}

static void record_write(memory *m, kpar_node now, kpar_cut_range range)
{
    for (size_t at = range.first; at < range.end; at = kpar_segments_next(&m->segments, at))
        forget(&m->histories[at]);
    kpar_segments_join(&m->segments, range);
    m->histories[range.first].write = now;
}

static kpar_status access_place(kpar_races *r, kpar_node now, const kpar_place *place, bool writes)
{
    int rank = rank_of(now.rank, place);
    memory *m = &r->memories[rank];
    kpar_cut_range range = kpar_segments_find(&m->segments, place);
    if (range.first == range.end) return KPAR_OK;
    split_at(m, range.first);
    split_at(m, range.end);
    for (size_t at = range.first; at < range.end; at = kpar_segments_next(&m->segments, at)) {
        KPAR_TRY(check_segment(r, &m->histories[at], now, writes, rank));
        if (!writes) add_read(r, &m->histories[at], now);
    }
    if (writes) record_write(m, now, range);
    return KPAR_OK;
}

kpar_status kpar_races_access(kpar_races *r, kpar_node node)
{
    const kpar_instruction *in = &r->programs[node.rank]->instructions[node.index];
    if (kpar_instruction_is_flag(in->kind)) return KPAR_OK; /* their places say what they guard */
    for (int i = 0; i < in->n_places; i++)
        KPAR_TRY(access_place(r, node, &in->places[i], i >= in->n_places - in->n_writes));
    return KPAR_OK;
}

kpar_races *kpar_races_create(const kpar_program *const *programs, int n, const kpar_clocks *clocks)
{
    kpar_races *r = kpar_alloc_zeroed(1, sizeof *r);
    *r = (kpar_races){.programs = programs, .n = n, .clocks = clocks};
    r->memories = kpar_alloc_zeroed((size_t)n, sizeof *r->memories);
    for (int rank = 0; rank < n; rank++)
        for (size_t i = 0; i < programs[rank]->n_instructions; i++) {
            const kpar_instruction *in = &programs[rank]->instructions[i];
            for (int p = 0; p < in->n_places && !kpar_instruction_is_flag(in->kind); p++)
                kpar_segments_add(&r->memories[rank_of(rank, &in->places[p])].segments, &in->places[p]);
        }
    for (int rank = 0; rank < n; rank++) {
        memory *m = &r->memories[rank];
        kpar_segments_seal(&m->segments);
        m->histories = kpar_alloc_zeroed(m->segments.n, sizeof *m->histories);
        for (size_t i = 0; i < m->segments.n; i++) m->histories[i].write.rank = -1;
    }
    return r;
}

void kpar_races_destroy(kpar_races *r)
{
    for (int rank = 0; rank < r->n; rank++) {
        memory *m = &r->memories[rank];
        for (size_t i = 0; i < m->segments.n; i++) kpar_free(m->histories[i].reads);
        kpar_segments_free(&m->segments);
        kpar_free(m->histories);
    }
    kpar_free(r->memories);
    kpar_free(r);
}
