/* Proves an algorithm: makes the steps of all members and runs them against each other, in many random
 * orders, on integers that betray what was read too early, too late or added wrongly. */
#include "program/prove_internal.h"

#include "program/tree.h"

#include <string.h>

enum { ROUNDS = 2, ORDERS = 8 };

static const char *const step_names[] = {"send", "receive", "reduce", "copy", "signal", "wait"};

kpar_status kpar_proof_fail(const kpar_proof *proof, int member, int step, const char *what)
{
    const kpar_step *s = &proof->members[member].steps.steps[step];
    return kpar_fail(KPAR_EINTERNAL,
                     "%s of %zu elements over %d members: member %d, step %d (%s, peer %d, flag %d, elements "
                     "%zu to %zu): %s",
                     kpar_collective_name(proof->collective), proof->total, proof->n, member, step,
                     step_names[s->kind], s->peer, s->flag, s->range.first, s->range.first + s->range.count,
                     what);
}

/* --- what is added --- */

/* Along the tree in a way that neither commutes nor associates, so that only the right order gives the
 * right sum. */
uint64_t kpar_proof_combine(const kpar_proof *proof, uint64_t a, uint64_t b)
{
    return proof->leaves > 0 ? 3 * a + 7 * b + 1 : a + b;
}

static uint64_t value(int round, int source, size_t element)
{
    return (uint64_t)round * 1000003 + (uint64_t)source * 10007 + element * 31 + 1;
}

/* Leaves [first, first + count) combined pairwise, level by level; `first` is a multiple of the next power
 * of two. */
static uint64_t along_tree(const kpar_proof *proof, int round, size_t element, int first, int count)
{
    uint64_t *values = kpar_alloc((size_t)count * sizeof *values);
    for (int i = 0; i < count; i++) values[i] = value(round, first + i, element);
    for (int left = count; left > 1; left = (left + 1) / 2)
        for (int i = 0; i < left; i += 2)
            values[i / 2] = i + 1 < left ? kpar_proof_combine(proof, values[i], values[i + 1]) : values[i];
    const uint64_t sum = values[0];
    kpar_free(values);
    return sum;
}

static uint64_t expected(const kpar_proof *proof, int round, int owner, size_t element)
{
    uint64_t sum = 0;
    if (proof->collective == KPAR_COLLECTIVE_ALL_GATHER) return value(round, owner, element);
    if (proof->leaves > 0) return along_tree(proof, round, element, 0, proof->leaves);
    for (int i = 0; i < proof->n; i++) sum += value(round, i, element);
    return sum;
}

/* --- members' memory --- */

static void fill_gather(kpar_proof *proof, kpar_proof_member *m)
{
    const int me = m->shape.me;
    const size_t first = m->shape.offsets[me];
    for (size_t e = 0; e < proof->total; e++) m->data[e] = KPAR_PROOF_NOTHING;
    for (size_t e = first; e < first + m->shape.counts[me]; e++) m->data[e] = value(m->round, me, e);
}

static void fill_tree(kpar_proof *proof, kpar_proof_member *m)
{
    int leaf = 0;
    for (int i = 0; i < m->shape.me; i++)
        for (int t = 0; t < m->shape.terms[i]; t++) leaf += m->shape.leaves[i][t];
    for (size_t e = 0; e < proof->total; e++)
        m->data[e] = KPAR_PROOF_NOTHING; /* where it has no leaf of its own */
    for (int t = 0; t < m->shape.terms[m->shape.me]; leaf += m->shape.leaves[m->shape.me][t++])
        for (size_t e = 0; e < proof->total; e++)
            m->data[(size_t)t * proof->total + e] =
                along_tree(proof, m->round, e, leaf, m->shape.leaves[m->shape.me][t]);
}

void kpar_proof_fill(kpar_proof *proof, int member)
{
    kpar_proof_member *m = &proof->members[member];
    if (proof->collective == KPAR_COLLECTIVE_ALL_GATHER)
        fill_gather(proof, m);
    else if (proof->leaves > 0)
        fill_tree(proof, m);
    else
        for (size_t e = 0; e < proof->total; e++) m->data[e] = value(m->round, member, e);
    for (size_t e = 0; e < m->steps.scratch; e++) m->scratch[e] = KPAR_PROOF_NOTHING;
}

static kpar_status check_part(const kpar_proof *proof, int member, int owner)
{
    const kpar_proof_member *m = &proof->members[member];
    for (size_t e = m->shape.offsets[owner]; e < m->shape.offsets[owner] + m->shape.counts[owner]; e++) {
        const uint64_t right = expected(proof, m->round, owner, e);
        if (m->data[e] != right)
            return kpar_fail(
                KPAR_EINTERNAL,
                "%s of %zu elements over %d members: member %d, run %d: element %zu is %llu, expected %llu",
                kpar_collective_name(proof->collective), proof->total, proof->n, member, m->round, e,
                (unsigned long long)m->data[e], (unsigned long long)right);
    }
    return KPAR_OK;
}

kpar_status kpar_proof_check(const kpar_proof *proof, int member)
{
    if (proof->collective == KPAR_COLLECTIVE_REDUCE_SCATTER) return check_part(proof, member, member);
    for (int owner = 0; owner < proof->n; owner++) KPAR_TRY(check_part(proof, member, owner));
    return KPAR_OK;
}

/* --- shapes --- */

static void share_out(kpar_proof *proof, size_t **offsets, size_t **counts)
{
    const size_t n = (size_t)proof->n;
    *offsets = kpar_arena_alloc(proof->arena, n * sizeof **offsets);
    *counts = kpar_arena_alloc(proof->arena, n * sizeof **counts);
    for (size_t i = 0; i < n; i++) {
        (*offsets)[i] = proof->total * i / n;
        (*counts)[i] = proof->total * (i + 1) / n - (*offsets)[i];
    }
}

static void deal_leaves(kpar_proof *proof, int **terms, const int ***leaves)
{
    const int n = proof->n;
    *terms = kpar_arena_alloc(proof->arena, (size_t)n * sizeof **terms);
    *leaves = kpar_arena_alloc(proof->arena, (size_t)n * sizeof **leaves);
    for (int i = 0; i < n; i++) {
        kpar_subtree subtrees[KPAR_SUBTREES];
        const int first = proof->leaves * i / n, count = proof->leaves * (i + 1) / n - first;
        (*terms)[i] = kpar_tree_subtrees(first, count, subtrees);
        int *sizes = kpar_arena_alloc(proof->arena, (size_t)(*terms)[i] * sizeof *sizes);
        for (int t = 0; t < (*terms)[i]; t++) sizes[t] = subtrees[t].count;
        (*leaves)[i] = sizes;
        if ((*terms)[i] > proof->slots) proof->slots = (*terms)[i];
    }
}

static void make_shapes(kpar_proof *proof)
{
    kpar_collective_shape shape = {.collective = proof->collective, .n = proof->n, .total = proof->total};
    size_t *offsets, *counts;
    int *terms = NULL;
    const int **leaves = NULL;
    share_out(proof, &offsets, &counts);
    proof->slots = 1;
    if (proof->leaves > 0) deal_leaves(proof, &terms, &leaves);
    shape.offsets = offsets;
    shape.counts = counts;
    shape.terms = terms;
    shape.leaves = leaves;
    for (shape.me = 0; shape.me < proof->n; shape.me++) proof->members[shape.me].shape = shape;
}

/* --- steps --- */

static bool inside(const kpar_proof *proof, const kpar_range *r, int writer)
{
    if (r->member < 0 || r->member >= proof->n || (writer >= 0 && r->member != writer)) return false;
    const size_t end = r->first + r->count;
    if (r->space == KPAR_SPACE_SCRATCH)
        return r->tree_slot == 0 && end <= proof->members[r->member].steps.scratch;
    return r->tree_slot >= 0 && r->tree_slot < proof->slots && end <= proof->total;
}

static bool is_flag(const kpar_step *s) { return s->kind == KPAR_STEP_SIGNAL || s->kind == KPAR_STEP_WAIT; }

/* A step names members, flags and memory that exist, and writes its own member's only. */
static kpar_status check_step(const kpar_proof *proof, int member, int step)
{
    const kpar_step *s = &proof->members[member].steps.steps[step];
    if (s->peer < 0 || s->peer >= proof->n)
        return kpar_proof_fail(proof, member, step, "there is no such peer");
    if (is_flag(s))
        return s->flag >= 0 && s->flag < proof->members[s->peer].steps.n_flags
                   ? KPAR_OK
                   : kpar_proof_fail(proof, member, step, "there is no such flag");
    if (!inside(proof, &s->range, member))
        return kpar_proof_fail(proof, member, step, "the range is not in the member's memory");
    for (int i = 0; i < s->n_sources; i++) {
        if (!inside(proof, &s->sources[i], -1))
            return kpar_proof_fail(proof, member, step, "a source is in no member's memory");
        if (s->sources[i].count != s->range.count)
            return kpar_proof_fail(proof, member, step, "a source is of another length");
    }
    if (s->kind == KPAR_STEP_COPY && s->n_sources != 1)
        return kpar_proof_fail(proof, member, step, "a copy has one source");
    if (s->kind == KPAR_STEP_REDUCE && s->n_sources < 1)
        return kpar_proof_fail(proof, member, step, "a sum has sources");
    return KPAR_OK;
}

/* What moves nothing is not emitted. */
static void drop_empty(kpar_steps *steps)
{
    size_t kept = 0;
    for (size_t i = 0; i < steps->n; i++)
        if (is_flag(&steps->steps[i]) || steps->steps[i].range.count > 0)
            steps->steps[kept++] = steps->steps[i];
    steps->n = kept;
}

static void make_member(kpar_proof *proof, kpar_proof_member *m)
{
    const size_t n = m->steps.n + 1, flags = (size_t)m->steps.n_flags;
    size_t most = 1;
    for (size_t i = 0; i < m->steps.n; i++)
        if ((size_t)m->steps.steps[i].n_sources * m->steps.steps[i].range.count > most)
            most = (size_t)m->steps.steps[i].n_sources * m->steps.steps[i].range.count;
    m->data = kpar_arena_alloc(proof->arena, (size_t)proof->slots * proof->total * sizeof *m->data);
    m->scratch = kpar_arena_alloc(proof->arena, m->steps.scratch * sizeof *m->scratch);
    m->seen = kpar_arena_alloc(proof->arena, most * sizeof *m->seen);
    m->states = kpar_arena_alloc(proof->arena, n * sizeof *m->states);
    m->pending = kpar_arena_alloc(proof->arena, n * sizeof *m->pending);
    m->starts = kpar_arena_alloc(proof->arena, n * sizeof *m->starts);
    m->ends = kpar_arena_alloc(proof->arena, n * sizeof *m->ends);
    m->rounds_signalled = kpar_arena_alloc(proof->arena, flags * sizeof *m->rounds_signalled);
    m->signalled = kpar_arena_alloc(proof->arena, flags * sizeof *m->signalled);
}

static kpar_status make_steps(kpar_proof *proof, kpar_algorithm algorithm)
{
    for (int i = 0; i < proof->n; i++) {
        KPAR_TRY(algorithm(&proof->members[i].steps, &proof->members[i].shape));
        drop_empty(&proof->members[i].steps);
        make_member(proof, &proof->members[i]);
    }
    for (int i = 0; i < proof->n; i++)
        for (size_t s = 0; s < proof->members[i].steps.n; s++) KPAR_TRY(check_step(proof, i, (int)s));
    return KPAR_OK;
}

/* --- proving --- */

/* In orders of which each lets another member fall behind, then in some where none does. */
static kpar_status replay_all(kpar_proof *proof, kpar_algorithm algorithm)
{
    make_shapes(proof);
    KPAR_TRY(make_steps(proof, algorithm));
    for (int order = 0; order < proof->n + ORDERS; order++)
        KPAR_TRY(kpar_proof_replay(proof, ROUNDS, (uint64_t)order + 1, order < proof->n ? order : -1));
    return KPAR_OK;
}

static double longest(const kpar_proof *proof)
{
    double seconds = 0;
    for (int i = 0; i < proof->n; i++)
        if (proof->members[i].now > seconds) seconds = proof->members[i].now;
    return seconds;
}

static kpar_status prove(kpar_proof *proof, kpar_algorithm algorithm, double *seconds)
{
    const size_t n = (size_t)proof->n;
    proof->arena = kpar_arena_create();
    proof->members = kpar_arena_alloc(proof->arena, n * sizeof *proof->members);
    proof->sends = kpar_arena_alloc(proof->arena, n * n * sizeof *proof->sends);
    proof->receives = kpar_arena_alloc(proof->arena, n * n * sizeof *proof->receives);
    for (int i = 0; i < proof->n; i++) kpar_steps_begin(&proof->members[i].steps);
    kpar_status status = replay_all(proof, algorithm);
    if (status == KPAR_OK) status = kpar_proof_replay(proof, 1, 0, -1);
    if (seconds) *seconds = longest(proof);
    for (int i = 0; i < proof->n; i++) kpar_steps_end(&proof->members[i].steps);
    kpar_arena_destroy(proof->arena);
    return status;
}

kpar_status kpar_steps_prove(kpar_algorithm algorithm, kpar_collective collective, int n, size_t total,
                             double alpha_seconds, double beta_seconds_per_element, double *seconds)
{
    kpar_proof proof = {.collective = collective,
                        .n = n,
                        .total = total,
                        .alpha = alpha_seconds,
                        .beta = beta_seconds_per_element};
    return prove(&proof, algorithm, seconds);
}

kpar_status kpar_steps_prove_tree(kpar_algorithm algorithm, kpar_collective collective, int n, size_t total,
                                  int leaves)
{
    kpar_proof proof = {.collective = collective, .n = n, .total = total, .leaves = leaves};
    return prove(&proof, algorithm, NULL);
}
