/* Which earlier instructions each instruction has to wait for.
 *
 * One walk along the list follows, for each piece of memory, who wrote it last and who has read it since. An
 * instruction's conflicts are candidates, the latest first; a candidate is dropped when the others, or what the lane
 * waited for earlier, say already that it has ended. */
#include "program/program.h"

#include "program/segments.h"

#include <stdlib.h>

enum { NONE = -1 };

/* Asynchronous readers of a piece of memory; lists share their tails. */
typedef struct reader {
    const struct reader *next;
    int index;
} reader;

/* What is known of a segment. Of the readers that end in the order of their lane the last one is enough. */
typedef struct history {
    int write;
    int reads[KPAR_LANE_COUNT];
    const reader *asynchronous_reads;
} history;

typedef struct tracker {
    kpar_segments segments;
    history *histories;
} tracker;

typedef struct list {
    int *items;
    size_t n, capacity;
} list;

typedef struct order {
    kpar_program *program;
    kpar_arena *scratch;
    tracker *trackers; /* by world rank: own memory, and what is named of peers' */
    list candidates, kept;
    int *seen; /* [instruction]: the last one that had it as a candidate */
    /* What the next instruction of a lane may rely on: instructions of another lane up to started[lane][other] have
     * started, those of them that are not asynchronous have ended; known[i][lane] is the first instruction of the
     * lane that relies on the end of the asynchronous i. */
    int started[KPAR_LANE_COUNT][KPAR_LANE_COUNT];
    int (*known)[KPAR_LANE_COUNT];
    int last[KPAR_LANE_COUNT];     /* the lane's last instruction so far that is not asynchronous */
    int fence[KPAR_LANE_COUNT];    /* the lane's last WAIT without places */
    list unknown[KPAR_LANE_COUNT]; /* asynchronous instructions since the lane's last SIGNAL without places */
} order;

static const kpar_instruction *instruction_at(const order *o, int i) { return &o->program->instructions[i]; }

static bool is_asynchronous(const order *o, int i)
{
    return kpar_instruction_is_asynchronous(instruction_at(o, i)->kind);
}

static tracker *tracker_of(const order *o, const kpar_place *place)
{
    return &o->trackers[place->rank < 0 ? o->program->rank : place->rank];
}

static const history untouched = {.write = NONE, .reads = {NONE, NONE}};
_Static_assert(KPAR_LANE_COUNT == 2, "`untouched` names every lane");

static void add_candidate(order *o, int self, int index)
{
    if (index == NONE || o->seen[index] == self) return;
    o->seen[index] = self;
    KPAR_PUSH(o->candidates.items, o->candidates.n, o->candidates.capacity) = index;
}

static void split_at(tracker *t, size_t cut)
{
    size_t from = kpar_segments_split(&t->segments, cut);
    if (from != cut) t->histories[cut] = t->histories[from];
}

/* The range of a place, with segments that begin at both of its ends. */
static kpar_cut_range cut_out(tracker *t, const kpar_place *place)
{
    kpar_cut_range range = kpar_segments_find(&t->segments, place);
    if (range.first == range.end) return range;
    split_at(t, range.first);
    split_at(t, range.end);
    return range;
}

/* Places that an instruction writes; signals and waits with places order as if they wrote them. */
static bool is_written(const kpar_instruction *in, int place)
{
    return kpar_instruction_is_flag(in->kind) || place >= in->n_places - in->n_writes;
}

static void find_conflicts(order *o, int self, int place)
{
    const kpar_instruction *in = instruction_at(o, self);
    tracker *t = tracker_of(o, &in->places[place]);
    kpar_cut_range range = cut_out(t, &in->places[place]);
    for (size_t at = range.first; at < range.end; at = kpar_segments_next(&t->segments, at)) {
        const history *h = &t->histories[at];
        add_candidate(o, self, h->write);
        if (!is_written(in, place)) continue;
        for (int lane = 0; lane < KPAR_LANE_COUNT; lane++) add_candidate(o, self, h->reads[lane]);
        for (const reader *r = h->asynchronous_reads; r; r = r->next) add_candidate(o, self, r->index);
    }
}

static void record_read(order *o, int self, tracker *t, kpar_cut_range range)
{
    const kpar_instruction *in = instruction_at(o, self);
    for (size_t at = range.first; at < range.end; at = kpar_segments_next(&t->segments, at)) {
        history *h = &t->histories[at];
        if (is_asynchronous(o, self)) {
            const reader added = {.next = h->asynchronous_reads, .index = self};
            h->asynchronous_reads = kpar_arena_copy(o->scratch, &added, sizeof added);
        } else {
            h->reads[in->lane] = self;
        }
    }
}

/* Whoever waits for this write waits for all before it, so that they are forgotten. */
static void record_write(int self, tracker *t, kpar_cut_range range)
{
    kpar_segments_join(&t->segments, range);
    t->histories[range.first] = untouched;
    t->histories[range.first].write = self;
}

static void record_access(order *o, int self, int place)
{
    const kpar_instruction *in = instruction_at(o, self);
    tracker *t = tracker_of(o, &in->places[place]);
    kpar_cut_range range = cut_out(t, &in->places[place]);
    if (range.first == range.end) return;
    if (is_written(in, place))
        record_write(self, t, range);
    else
        record_read(o, self, t, range);
}

static bool touches_windows(const kpar_instruction *in)
{
    if (in->n_writes > 0) return true;
    for (int i = 0; i < in->n_places; i++)
        if (in->places[i].rank >= 0) return true;
    return false;
}

/* What signals and waits without places ask for. */
static void find_fences(order *o, int self)
{
    const kpar_instruction *in = instruction_at(o, self);
    if (touches_windows(in))
        for (int lane = 0; lane < KPAR_LANE_COUNT; lane++) add_candidate(o, self, o->fence[lane]);
    if (in->kind != KPAR_INSTRUCTION_SIGNAL || in->n_places > 0) return;
    for (int lane = 0; lane < KPAR_LANE_COUNT; lane++) add_candidate(o, self, o->last[lane]);
    list *unknown = &o->unknown[in->lane];
    for (size_t i = 0; i < unknown->n; i++) add_candidate(o, self, unknown->items[i]);
    unknown->n = 0;
}

/* Whether lane `lane` can tell that `index` has ended. */
static bool is_implied(const order *o, int lane, int index)
{
    int other = (int)instruction_at(o, index)->lane;
    if (!is_asynchronous(o, index)) return other == lane || o->started[lane][other] >= index;
    const int *known = o->known[index];
    if (known[lane] != NONE) return true;
    for (other = 0; other < KPAR_LANE_COUNT; other++)
        if (known[other] != NONE && known[other] <= o->started[lane][other]) return true;
    return false;
}

static void learn(order *o, int self, int index)
{
    int lane = (int)instruction_at(o, self)->lane, other = (int)instruction_at(o, index)->lane;
    if (other != lane && o->started[lane][other] < index) o->started[lane][other] = index;
    if (is_asynchronous(o, index) && o->known[index][lane] == NONE) o->known[index][lane] = self;
}

static int compare_descending(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x < y) - (x > y);
}

/* Turns the candidates into waits, in ascending order. */
static void keep_needed(order *o, int self)
{
    kpar_instruction *in = &o->program->instructions[self];
    if (o->candidates.n > 0) qsort(o->candidates.items, o->candidates.n, sizeof(int), compare_descending);
    o->kept.n = 0;
    for (size_t i = 0; i < o->candidates.n; i++) {
        int index = o->candidates.items[i];
        if (is_implied(o, (int)in->lane, index)) continue;
        learn(o, self, index);
        KPAR_PUSH(o->kept.items, o->kept.n, o->kept.capacity) = index;
    }
    int *waits = kpar_arena_alloc(o->program->arena, o->kept.n * sizeof(int));
    for (size_t i = 0; i < o->kept.n; i++) waits[i] = o->kept.items[o->kept.n - 1 - i];
    in->waits = waits;
    in->n_waits = (int)o->kept.n;
}

static void remember(order *o, int self)
{
    const kpar_instruction *in = instruction_at(o, self);
    for (int i = 0; i < in->n_places; i++) record_access(o, self, i);
    if (in->kind == KPAR_INSTRUCTION_WAIT && in->n_places == 0) o->fence[in->lane] = self;
    if (!is_asynchronous(o, self)) {
        o->last[in->lane] = self;
        return;
    }
    for (int lane = 0; lane < KPAR_LANE_COUNT; lane++)
        KPAR_PUSH(o->unknown[lane].items, o->unknown[lane].n, o->unknown[lane].capacity) = self;
}

static void order_one(order *o, int self)
{
    const kpar_instruction *in = instruction_at(o, self);
    o->candidates.n = 0;
    for (int i = 0; i < in->n_places; i++) find_conflicts(o, self, i);
    find_fences(o, self);
    keep_needed(o, self);
    remember(o, self);
}

/* At the start of a list everything before it has ended. */
static void forget_everything(order *o)
{
    for (int rank = 0; rank < o->program->world; rank++) {
        if (o->trackers[rank].segments.n == 0) continue;
        kpar_segments_reset(&o->trackers[rank].segments);
        o->trackers[rank].histories[0] = untouched;
    }
    for (int lane = 0; lane < KPAR_LANE_COUNT; lane++) {
        for (int other = 0; other < KPAR_LANE_COUNT; other++) o->started[lane][other] = NONE;
        o->last[lane] = o->fence[lane] = NONE;
        o->unknown[lane].n = 0;
    }
}

static void begin(order *o)
{
    kpar_program *program = o->program;
    o->scratch = kpar_arena_create();
    o->trackers = kpar_alloc_zeroed((size_t)program->world, sizeof *o->trackers);
    o->seen = kpar_alloc(program->n_instructions * sizeof *o->seen);
    o->known = kpar_alloc(program->n_instructions * sizeof *o->known);
    for (size_t i = 0; i < program->n_instructions; i++) {
        const kpar_instruction *in = &program->instructions[i];
        o->seen[i] = NONE;
        for (int lane = 0; lane < KPAR_LANE_COUNT; lane++) o->known[i][lane] = NONE;
        for (int p = 0; p < in->n_places; p++)
            kpar_segments_add(&tracker_of(o, &in->places[p])->segments, &in->places[p]);
    }
    for (int rank = 0; rank < program->world; rank++) {
        tracker *t = &o->trackers[rank];
        if (t->segments.n == 0) continue;
        kpar_segments_seal(&t->segments);
        t->histories = kpar_alloc(t->segments.n * sizeof *t->histories);
    }
    forget_everything(o);
}

static void end(order *o)
{
    for (int rank = 0; rank < o->program->world; rank++) {
        kpar_segments_free(&o->trackers[rank].segments);
        kpar_free(o->trackers[rank].histories);
    }
    for (int lane = 0; lane < KPAR_LANE_COUNT; lane++) kpar_free(o->unknown[lane].items);
    kpar_free(o->trackers);
    kpar_free(o->candidates.items);
    kpar_free(o->kept.items);
    kpar_free(o->seen);
    kpar_free(o->known);
    kpar_arena_destroy(o->scratch);
}

void kpar_program_order(kpar_program *program)
{
    order o = {.program = program};
    begin(&o);
    for (size_t i = 0; i < program->n_instructions; i++) {
        if (i == program->n_start) forget_everything(&o);
        order_one(&o, (int)i);
    }
    end(&o);
}
