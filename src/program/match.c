/* Matching instructions of different ranks: what may meet gets equal keys and is sorted by them; equal keys then
 * stand side by side in the order in which they meet. */
#include "program/match.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    int key[4]; /* message: from, to, channel, list; flag: rank, flag, list */
    kpar_ref ref;
} entry;

typedef struct entries {
    entry *items;
    size_t n, capacity;
} entries;

typedef struct matcher {
    const kpar_program *const *programs;
    int n;
    kpar_matches *matches;
    entries sends, receives, signals, waits;
} matcher;

const char *kpar_ref_text(char text[KPAR_REF_TEXT], const kpar_program *const *programs, kpar_ref ref)
{
    const kpar_instruction *in = &programs[ref.rank]->instructions[ref.index];
    int length = snprintf(text, KPAR_REF_TEXT, "rank %d, instruction %d (%s '%.80s'", ref.rank, ref.index,
                          kpar_instruction_name(in->kind), in->what);
    size_t used = (size_t)length;
    if (in->microbatch >= 0)
        used += (size_t)snprintf(text + used, KPAR_REF_TEXT - used, " of microbatch %d", in->microbatch);
    snprintf(text + used, KPAR_REF_TEXT - used, ")");
    return text;
}

static const kpar_instruction *instruction_at(const matcher *m, kpar_ref ref)
{
    return &m->programs[ref.rank]->instructions[ref.index];
}

static kpar_match *match_at(const matcher *m, kpar_ref ref) { return &m->matches->of[ref.rank][ref.index]; }

static int compare_keys(const entry *a, const entry *b)
{
    for (int i = 0; i < 4; i++)
        if (a->key[i] != b->key[i]) return a->key[i] < b->key[i] ? -1 : 1;
    return 0;
}

static int compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    int keys = compare_keys(x, y);
    if (keys != 0) return keys;
    if (x->ref.rank != y->ref.rank) return x->ref.rank < y->ref.rank ? -1 : 1;
    return (x->ref.index > y->ref.index) - (x->ref.index < y->ref.index);
}

static void add(entries *list, kpar_ref ref, int a, int b, int c, int d)
{
    KPAR_PUSH(list->items, list->n, list->capacity) = (entry){.key = {a, b, c, d}, .ref = ref};
}

static void collect(matcher *m, kpar_ref ref)
{
    const kpar_instruction *in = instruction_at(m, ref);
    int list = kpar_list_of(m->programs[ref.rank], ref.index);
    switch (in->kind) {
    case KPAR_INSTRUCTION_SEND:
        add(&m->sends, ref, ref.rank, in->peer, in->channel, list);
        break;
    case KPAR_INSTRUCTION_RECEIVE:
        add(&m->receives, ref, in->peer, ref.rank, in->channel, list);
        break;
    case KPAR_INSTRUCTION_SIGNAL:
        add(&m->signals, ref, ref.rank, in->channel, list, 0);
        break;
    case KPAR_INSTRUCTION_WAIT:
        add(&m->waits, ref, in->peer, in->channel, list, 0);
        break;
    default:
        break;
    }
}

static void sort(entries *list)
{
    if (list->n > 0) qsort(list->items, list->n, sizeof *list->items, compare_entries);
}

static kpar_status no_counterpart(const matcher *m, kpar_ref ref, int peer, const char *lacks)
{
    char text[KPAR_REF_TEXT];
    return kpar_fail(KPAR_EINTERNAL, "programs: %s, channel %d: rank %d has no %s for it",
                     kpar_ref_text(text, m->programs, ref), instruction_at(m, ref)->channel, peer, lacks);
}

static kpar_status differ(const matcher *m, kpar_ref a, kpar_ref b, const char *how)
{
    char a_text[KPAR_REF_TEXT], b_text[KPAR_REF_TEXT];
    return kpar_fail(KPAR_EINTERNAL, "programs: %s meets %s, %s", kpar_ref_text(a_text, m->programs, a),
                     kpar_ref_text(b_text, m->programs, b), how);
}

/* Messages of one channel leave, and arrive, in the order of one lane. */
static kpar_status check_one_lane(const matcher *m, const entries *list, size_t i)
{
    if (i == 0 || compare_keys(&list->items[i - 1], &list->items[i]) != 0) return KPAR_OK;
    kpar_ref before = list->items[i - 1].ref, ref = list->items[i].ref;
    if (instruction_at(m, before)->lane == instruction_at(m, ref)->lane) return KPAR_OK;
    return differ(m, before, ref, "on one channel but in another lane, so that their order is open");
}

static kpar_status match_message(matcher *m, size_t i)
{
    kpar_ref send = m->sends.items[i].ref, receive = m->receives.items[i].ref;
    size_t sent = instruction_at(m, send)->places[0].bytes,
           received = instruction_at(m, receive)->places[0].bytes;
    if (sent != received) {
        char how[96];
        snprintf(how, sizeof how, "but %zu bytes are sent and %zu received", sent, received);
        return differ(m, send, receive, how);
    }
    match_at(m, send)->other = receive;
    match_at(m, receive)->other = send;
    KPAR_TRY(check_one_lane(m, &m->sends, i));
    return check_one_lane(m, &m->receives, i);
}

static kpar_status match_messages(matcher *m)
{
    sort(&m->sends);
    sort(&m->receives);
    for (size_t i = 0; i < m->sends.n || i < m->receives.n; i++) {
        const entry *send = i < m->sends.n ? &m->sends.items[i] : NULL;
        const entry *receive = i < m->receives.n ? &m->receives.items[i] : NULL;
        int order = !send ? 1 : !receive ? -1 : compare_keys(send, receive);
        if (order < 0) return no_counterpart(m, send->ref, send->key[1], "receive");
        if (order > 0) return no_counterpart(m, receive->ref, receive->key[0], "send");
        KPAR_TRY(match_message(m, i));
    }
    return KPAR_OK;
}

static kpar_status match_flags(matcher *m)
{
    sort(&m->signals);
    sort(&m->waits);
    m->matches->waits = kpar_arena_alloc(m->matches->arena, m->waits.n * sizeof *m->matches->waits);
    size_t s = 0;
    for (size_t w = 0; w < m->waits.n; w++) {
        const entry *wait = &m->waits.items[w];
        while (s < m->signals.n && compare_keys(&m->signals.items[s], wait) < 0) s++;
        if (s == m->signals.n || compare_keys(&m->signals.items[s], wait) != 0)
            return no_counterpart(m, wait->ref, wait->key[0], "signal");
        kpar_match *signal = match_at(m, m->signals.items[s].ref);
        if (signal->n++ == 0) signal->first = (int)w;
        m->matches->waits[w] = wait->ref;
        match_at(m, wait->ref)->other = m->signals.items[s].ref;
    }
    return KPAR_OK;
}

/* A collective of one rank: the `number`-th of its list over its group. */
typedef struct call {
    const kpar_group *group;
    int list, number;
    kpar_ref ref;
} call;

static int compare_calls_but_rank(const call *x, const call *y)
{
    if (x->group->n != y->group->n) return x->group->n < y->group->n ? -1 : 1;
    int ranks = memcmp(x->group->ranks, y->group->ranks, (size_t)x->group->n * sizeof(int));
    if (ranks != 0) return ranks;
    if (x->list != y->list) return x->list - y->list;
    return x->number - y->number;
}

static int compare_calls(const void *a, const void *b)
{
    const call *x = a, *y = b;
    int order = compare_calls_but_rank(x, y);
    return order != 0 ? order : x->ref.rank - y->ref.rank;
}

static void collect_calls(const matcher *m, int rank, call **calls, size_t *n, size_t *capacity)
{
    const kpar_program *program = m->programs[rank];
    int(*numbers)[2] = kpar_alloc_zeroed(program->n_groups, sizeof *numbers);
    for (size_t i = 0; i < program->n_instructions; i++) {
        const kpar_instruction *in = &program->instructions[i];
        if (in->kind != KPAR_INSTRUCTION_COLLECTIVE) continue;
        int list = kpar_list_of(program, (int)i);
        KPAR_PUSH(*calls, *n, *capacity) = (call){.group = &program->groups[in->group],
                                                  .list = list,
                                                  .number = numbers[in->group][list]++,
                                                  .ref = {rank, (int)i}};
    }
    kpar_free(numbers);
}

static bool same_call(const kpar_instruction *a, const kpar_instruction *b, int members)
{
    if (a->collective != b->collective || a->reduction != b->reduction || a->dtype != b->dtype) return false;
    if (a->collective == KPAR_COLLECTIVE_ALL_REDUCE) return a->places[0].bytes == b->places[0].bytes;
    return memcmp(a->counts, b->counts, (size_t)members * sizeof *a->counts) == 0;
}

/* calls[0] and what follows it must be its group's members. */
static kpar_status match_call(matcher *m, const call *calls, size_t left, int join)
{
    const kpar_group *group = calls[0].group;
    for (int i = 0; i < group->n; i++) {
        bool there = (size_t)i < left && compare_calls_but_rank(&calls[0], &calls[i]) == 0;
        if (!there || calls[i].ref.rank != group->ranks[i])
            return no_counterpart(m, calls[0].ref, group->ranks[i], "collective");
        if (!same_call(instruction_at(m, calls[0].ref), instruction_at(m, calls[i].ref), group->n))
            return differ(m, calls[0].ref, calls[i].ref,
                          "but they are not the same collective of the same size");
        match_at(m, calls[i].ref)->join = join;
    }
    return KPAR_OK;
}

static kpar_status match_calls(matcher *m, const call *calls, size_t n)
{
    kpar_matches *matches = m->matches;
    matches->joined = kpar_arena_alloc(matches->arena, n * sizeof *matches->joined);
    matches->join_first = kpar_arena_alloc(matches->arena, (n + 1) * sizeof *matches->join_first);
    for (size_t i = 0; i < n; i++) matches->joined[i] = calls[i].ref;
    for (size_t i = 0; i < n; i += (size_t)calls[i].group->n) {
        KPAR_TRY(match_call(m, calls + i, n - i, matches->n_joins));
        matches->join_first[matches->n_joins++] = (int)i;
    }
    matches->join_first[matches->n_joins] = (int)n;
    return KPAR_OK;
}

static kpar_status match_collectives(matcher *m)
{
    call *calls = NULL;
    size_t n = 0, capacity = 0;
    for (int rank = 0; rank < m->n; rank++) collect_calls(m, rank, &calls, &n, &capacity);
    if (n > 0) qsort(calls, n, sizeof *calls, compare_calls);
    kpar_status status = match_calls(m, calls, n);
    kpar_free(calls);
    return status;
}

static kpar_status match_all(matcher *m)
{
    KPAR_TRY(match_messages(m));
    KPAR_TRY(match_flags(m));
    return match_collectives(m);
}

kpar_status kpar_matches_make(const kpar_program *const *programs, int n, kpar_matches *matches)
{
    *matches = (kpar_matches){.arena = kpar_arena_create()};
    matches->of = kpar_arena_alloc(matches->arena, (size_t)n * sizeof *matches->of);
    matcher m = {.programs = programs, .n = n, .matches = matches};
    for (int rank = 0; rank < n; rank++) {
        size_t n_instructions = programs[rank]->n_instructions;
        matches->of[rank] = kpar_arena_alloc(matches->arena, n_instructions * sizeof **matches->of);
        for (size_t i = 0; i < n_instructions; i++) collect(&m, (kpar_ref){rank, (int)i});
    }
    kpar_status status = match_all(&m);
    kpar_free(m.sends.items);
    kpar_free(m.receives.items);
    kpar_free(m.signals.items);
    kpar_free(m.waits.items);
    if (status != KPAR_OK) kpar_matches_free(matches);
    return status;
}

void kpar_matches_free(kpar_matches *matches)
{
    kpar_arena_destroy(matches->arena);
    *matches = (kpar_matches){0};
}
