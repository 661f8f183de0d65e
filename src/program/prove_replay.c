/* Runs the steps of all members against each other. Kernels begin and end, messages meet: each an event,
 * and any event that is possible may come next. Within a member steps start in order; messages end some
 * time later, and what touches their memory waits for them, as in a program. A send ends only when it is
 * received. */
#include "program/prove_internal.h"

#include "base/philox.h"

#include <string.h>

typedef enum event_kind { EVENT_START, EVENT_END, EVENT_TRANSFER, EVENT_ROUND } event_kind;

typedef struct event {
    event_kind kind;
    int member, peer; /* TRANSFER: from, to */
    double seconds;
    int order; /* of those at the same time */
} event;

static kpar_step *step_of(const kpar_proof *p, int member, int step)
{
    return &p->members[member].steps.steps[step];
}

static double later(double a, double b) { return a > b ? a : b; }

/* --- memory --- */

static uint64_t *cells(const kpar_proof *p, const kpar_range *r)
{
    const kpar_proof_member *m = &p->members[r->member];
    return r->space == KPAR_SPACE_SCRATCH ? m->scratch + r->first
                                          : m->data + (size_t)r->tree_slot * p->total + r->first;
}

static bool overlap(const kpar_range *a, const kpar_range *b)
{
    return a->member == b->member && a->space == b->space && a->tree_slot == b->tree_slot &&
           a->first < b->first + b->count && b->first < a->first + a->count;
}

static bool is_message(const kpar_step *s)
{
    return s->kind == KPAR_STEP_SEND || s->kind == KPAR_STEP_RECEIVE;
}
static bool is_kernel(const kpar_step *s) { return s->kind == KPAR_STEP_REDUCE || s->kind == KPAR_STEP_COPY; }

/* Whether a step may not start before an earlier message of its member has ended. */
static bool needs(const kpar_step *s, const kpar_step *message)
{
    if (s->kind == KPAR_STEP_SIGNAL) return true; /* what came before has ended */
    if (s->kind == KPAR_STEP_WAIT) return false;
    if (!(s->kind == KPAR_STEP_SEND && message->kind == KPAR_STEP_SEND) &&
        overlap(&s->range, &message->range))
        return true;
    for (int i = 0; message->kind == KPAR_STEP_RECEIVE && i < s->n_sources; i++)
        if (overlap(&s->sources[i], &message->range)) return true;
    return false;
}

static bool has_nothing(const uint64_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (values[i] == KPAR_PROOF_NOTHING) return true;
    return false;
}

static void set_nothing(uint64_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) values[i] = KPAR_PROOF_NOTHING;
}

/* --- what may happen --- */

/* Seconds at which the member's next step can start; false: not now. */
static bool can_start(const kpar_proof *p, int member, double *seconds)
{
    const kpar_proof_member *m = &p->members[member];
    const kpar_step *s = step_of(p, member, m->next);
    *seconds = m->now;
    for (int i = 0; i < m->n_pending; i++)
        if (needs(s, step_of(p, member, m->pending[i]))) return false;
    for (int i = 0; p->seed == 0 && i < m->next; i++)
        if (is_message(step_of(p, member, i)) && needs(s, step_of(p, member, i)))
            *seconds = later(*seconds, m->ends[i]);
    if (s->kind != KPAR_STEP_WAIT) return true;
    *seconds = later(*seconds, p->members[s->peer].signalled[s->flag] + p->alpha);
    return p->members[s->peer].rounds_signalled[s->flag] >= m->round;
}

static bool next_of_member(const kpar_proof *p, int member, int rounds, event *e)
{
    const kpar_proof_member *m = &p->members[member];
    *e = (event){EVENT_START, member, member, m->now, -1};
    if (m->round > rounds) return false;
    if (m->running) {
        e->kind = EVENT_END;
        return true;
    }
    if ((size_t)m->next < m->steps.n) return can_start(p, member, &e->seconds);
    e->kind = EVENT_ROUND;
    return m->n_pending == 0;
}

static bool next_of_pair(const kpar_proof *p, int from, int to, event *e)
{
    const int send = p->sends[from * p->n + to], receive = p->receives[from * p->n + to];
    const kpar_proof_member *a = &p->members[from], *b = &p->members[to];
    if (send < 0 || receive < 0 || a->states[send] != KPAR_PROOF_UNDER_WAY ||
        b->states[receive] != KPAR_PROOF_UNDER_WAY)
        return false;
    *e = (event){EVENT_TRANSFER, from, to,
                 later(later(a->starts[send], b->starts[receive]), later(a->sends_until, b->receives_until)),
                 send + receive};
    return true;
}

/* Takes `next` instead of what was chosen so far: by chance, where a slow member's turn weighs little; or
 * the earlier one, of several the one that was started first. */
static void consider(kpar_proof *p, const event *next, uint32_t *weights, event *chosen)
{
    enum { USUAL = 32 };
    const bool first = *weights == 0, slow = next->member == p->slow || next->peer == p->slow;
    const uint32_t weight = slow ? 1 : USUAL;
    *weights += weight;
    if (p->seed != 0) {
        if (kpar_philox_word(p->seed, 0, p->turns++) % *weights < weight) *chosen = *next;
    } else if (first || next->seconds < chosen->seconds ||
               (next->seconds == chosen->seconds && next->order < chosen->order)) {
        *chosen = *next;
    }
}

static bool choose(kpar_proof *p, int rounds, event *chosen)
{
    event next;
    uint32_t weights = 0;
    for (int i = 0; i < p->n; i++)
        if (next_of_member(p, i, rounds, &next)) consider(p, &next, &weights, chosen);
    for (int from = 0; from < p->n; from++)
        for (int to = 0; to < p->n; to++)
            if (next_of_pair(p, from, to, &next)) consider(p, &next, &weights, chosen);
    return weights > 0;
}

/* --- what happens --- */

/* A kernel looks at its sources when it starts, and again when it ends: they must be there and stay as
 * they are. */
static kpar_status start_kernel(kpar_proof *p, int member, int step)
{
    kpar_proof_member *m = &p->members[member];
    const kpar_step *s = step_of(p, member, step);
    for (int i = 0; i < s->n_sources; i++) {
        const uint64_t *source = cells(p, &s->sources[i]);
        if (has_nothing(source, s->range.count))
            return kpar_proof_fail(p, member, step, "reads what is not yet written");
        memcpy(m->seen + (size_t)i * s->range.count, source, s->range.count * sizeof *source);
        if (s->sources[i].member != member) m->now += p->alpha + p->beta * (double)s->range.count;
    }
    set_nothing(cells(p, &s->range), s->range.count);
    m->running = true;
    return KPAR_OK;
}

static void compute(kpar_proof *p, const kpar_step *s, uint64_t *terms)
{
    const size_t count = s->range.count;
    for (int k = 0; k + 1 < s->n_sources; k++) {
        uint64_t *to = terms + (s->additions ? (size_t)s->additions[k][0] * count : 0);
        const uint64_t *from = terms + (size_t)(s->additions ? s->additions[k][1] : k + 1) * count;
        for (size_t e = 0; e < count; e++) to[e] = kpar_proof_combine(p, to[e], from[e]);
    }
    memcpy(cells(p, &s->range), terms, count * sizeof *terms);
}

static kpar_status end_kernel(kpar_proof *p, int member)
{
    kpar_proof_member *m = &p->members[member];
    const int step = m->next - 1;
    const kpar_step *s = step_of(p, member, step);
    for (int i = 0; i < s->n_sources; i++)
        if (!overlap(&s->sources[i], &s->range) &&
            memcmp(cells(p, &s->sources[i]), m->seen + (size_t)i * s->range.count,
                   s->range.count * sizeof *m->seen) != 0)
            return kpar_proof_fail(p, member, step, "reads what is overwritten meanwhile");
    compute(p, s, m->seen);
    m->running = false;
    m->states[step] = KPAR_PROOF_ENDED;
    return KPAR_OK;
}

static kpar_status start_message(kpar_proof *p, int member, int step)
{
    kpar_proof_member *m = &p->members[member];
    const kpar_step *s = step_of(p, member, step);
    if (s->kind == KPAR_STEP_SEND && has_nothing(cells(p, &s->range), s->range.count))
        return kpar_proof_fail(p, member, step, "sends what is not yet written");
    if (s->kind == KPAR_STEP_RECEIVE) set_nothing(cells(p, &s->range), s->range.count);
    m->states[step] = KPAR_PROOF_UNDER_WAY;
    m->pending[m->n_pending++] = step;
    return KPAR_OK;
}

static kpar_status start(kpar_proof *p, const event *e)
{
    kpar_proof_member *m = &p->members[e->member];
    const int step = m->next++;
    const kpar_step *s = step_of(p, e->member, step);
    m->starts[step] = m->now = e->seconds;
    if (is_message(s)) return start_message(p, e->member, step);
    if (is_kernel(s)) return start_kernel(p, e->member, step);
    if (s->kind == KPAR_STEP_SIGNAL) {
        m->rounds_signalled[s->flag] = m->round;
        m->signalled[s->flag] = m->now;
    }
    return KPAR_OK;
}

/* The next step of a member from `step` on that is of this kind and with this peer, -1 if there is none. */
static int find_message(const kpar_proof *p, int member, int step, kpar_step_kind kind, int peer)
{
    for (; (size_t)step < p->members[member].steps.n; step++)
        if (step_of(p, member, step)->kind == kind && step_of(p, member, step)->peer == peer) return step;
    return -1;
}

static void end_message(kpar_proof *p, int member, int step, double seconds)
{
    kpar_proof_member *m = &p->members[member];
    int i = 0;
    while (m->pending[i] != step) i++;
    m->pending[i] = m->pending[--m->n_pending];
    m->states[step] = KPAR_PROOF_ENDED;
    m->ends[step] = seconds;
}

static kpar_status transfer(kpar_proof *p, const event *e)
{
    int *send = &p->sends[e->member * p->n + e->peer], *receive = &p->receives[e->member * p->n + e->peer];
    const kpar_range *from = &step_of(p, e->member, *send)->range,
                     *to = &step_of(p, e->peer, *receive)->range;
    if (from->count != to->count)
        return kpar_proof_fail(p, e->peer, *receive, "is sent another number of elements");
    memcpy(cells(p, to), cells(p, from), from->count * sizeof(uint64_t));
    const double end = e->seconds + p->alpha + p->beta * (double)from->count;
    p->members[e->member].sends_until = p->members[e->peer].receives_until = end;
    end_message(p, e->member, *send, end);
    end_message(p, e->peer, *receive, end);
    *send = find_message(p, e->member, *send + 1, KPAR_STEP_SEND, e->peer);
    *receive = find_message(p, e->peer, *receive + 1, KPAR_STEP_RECEIVE, e->member);
    return KPAR_OK;
}

/* --- rounds --- */

static void begin_round(kpar_proof *p, int member)
{
    kpar_proof_member *m = &p->members[member];
    m->round++;
    m->next = 0;
    for (size_t i = 0; i < m->steps.n; i++) m->states[i] = KPAR_PROOF_AHEAD;
    for (int peer = 0; peer < p->n; peer++) {
        p->sends[member * p->n + peer] = find_message(p, member, 0, KPAR_STEP_SEND, peer);
        p->receives[peer * p->n + member] = find_message(p, member, 0, KPAR_STEP_RECEIVE, peer);
    }
    kpar_proof_fill(p, member);
}

/* All of its own has ended: the result is there, and the memory may be used again, whatever the peers are
 * doing. */
static kpar_status end_round(kpar_proof *p, int member)
{
    kpar_proof_member *m = &p->members[member];
    for (size_t i = 0; i < m->steps.n; i++) m->now = later(m->now, m->ends[i]);
    for (int peer = 0; peer < p->n; peer++)
        if (p->sends[member * p->n + peer] >= 0 || p->receives[peer * p->n + member] >= 0)
            return kpar_fail(KPAR_EINTERNAL, "member %d ends with messages to or from member %d left over",
                             member, peer);
    KPAR_TRY(kpar_proof_check(p, member));
    begin_round(p, member);
    return KPAR_OK;
}

static kpar_status happen(kpar_proof *p, const event *e)
{
    switch (e->kind) {
    case EVENT_START:
        return start(p, e);
    case EVENT_END:
        return end_kernel(p, e->member);
    case EVENT_TRANSFER:
        return transfer(p, e);
    case EVENT_ROUND:
        return end_round(p, e->member);
    }
    return KPAR_OK;
}

static void reset(kpar_proof *p)
{
    for (int i = 0; i < p->n; i++) {
        kpar_proof_member *m = &p->members[i];
        m->round = m->n_pending = 0;
        m->running = false;
        m->now = m->sends_until = m->receives_until = 0;
        for (int flag = 0; flag < m->steps.n_flags; flag++) m->rounds_signalled[flag] = 0;
        memset(m->signalled, 0, (size_t)m->steps.n_flags * sizeof *m->signalled);
        memset(m->ends, 0, m->steps.n * sizeof *m->ends);
        begin_round(p, i);
    }
}

/* Nothing can happen any more: everyone is through, or a member waits for ever. */
static kpar_status check_end(const kpar_proof *p, int rounds)
{
    for (int i = 0; i < p->n; i++) {
        const kpar_proof_member *m = &p->members[i];
        if (m->round > rounds) continue;
        const bool stands = (size_t)m->next < m->steps.n;
        return kpar_proof_fail(p, i, stands ? m->next : m->pending[0], "deadlock: waits for ever");
    }
    return KPAR_OK;
}

kpar_status kpar_proof_replay(kpar_proof *proof, int rounds, uint64_t seed, int slow)
{
    event next;
    proof->seed = seed;
    proof->slow = slow;
    proof->turns = 0;
    reset(proof);
    while (choose(proof, rounds, &next)) KPAR_TRY(happen(proof, &next));
    return check_end(proof, rounds);
}
