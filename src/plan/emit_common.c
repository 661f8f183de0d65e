/* Weights that the ranks of a node have in common.
 *
 * Where all owners of a weight's shards share windows, its one copy lies in the window of the first of them: owners write
 * their shards there, and everyone reads it there, so that the all-gather of the step moves nothing and is flags alone. An
 * owner may write once all have read: the flags before the sum of the weight's gradient say that too, and are
 * therefore given after the last kernel that reads the weight. Which weights these are follows from the graph and the
 * mesh alone, so that all ranks of the axis decide alike. */
#include "plan/emit_internal.h"

static bool is_over_data(const kpar_op *op, kpar_op_kind kind)
{
    return op->kind == (int)kind && op->attributes.mesh_axis == KPAR_AXIS_DATA;
}

/* Whether the op is a sum or a gathering that goes through windows. */
static kpar_status is_windowed(kpar_emitter *e, kpar_op_id id, bool *windowed)
{
    const kpar_algorithm_row *row;
    KPAR_TRY(kpar_emit_algorithm(e, id, &row));
    *windowed = row->generate && row->needs_window;
    return KPAR_OK;
}

/* What the decision needs of the graph, gathered in one walk. */
typedef struct survey {
    kpar_emitter *e;
    const kpar_state **copies; /* by variable; NULL: none */
    int *backward;             /* by root: readers in a microbatch's backward */
    bool *elsewhere;           /* by root: read outside of microbatches */
    int *visits;               /* by op: the variable whose update was last found to need it */
    kpar_op_id *sums;          /* of the variable at hand */
    size_t n_sums, capacity;
} survey;

static survey begin(kpar_emitter *e)
{
    const kpar_graph *g = e->graph;
    survey s = {.e = e};
    s.copies = kpar_alloc_zeroed((size_t)e->catalog->n + 1, sizeof *s.copies);
    s.backward = kpar_alloc_zeroed(g->n_values + 1, sizeof *s.backward);
    s.elsewhere = kpar_alloc_zeroed(g->n_values + 1, sizeof *s.elsewhere);
    s.visits = kpar_alloc((g->n_ops + 1) * sizeof *s.visits);
    for (size_t i = 0; i < g->n_states; i++)
        if (g->states[i].copy) s.copies[g->states[i].variable] = &g->states[i];
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        s.visits[i] = -1;
        for (int k = 0; e->needed[i] && k < op->n_inputs; k++) {
            const kpar_value_id root = e->root[op->inputs[k]];
            s.backward[root] += op->phase == KPAR_PHASE_MICROBATCH && op->part != KPAR_FORWARD;
            s.elsewhere[root] |= op->phase != KPAR_PHASE_MICROBATCH;
        }
    }
    return s;
}

static void end(survey *s)
{
    kpar_free(s->copies);
    kpar_free(s->backward);
    kpar_free(s->elsewhere);
    kpar_free(s->visits);
    kpar_free(s->sums);
}

/* The sums over the data axis between a variable's next value and the gradients that it is made of. */
static void find_sums(survey *s, int variable, kpar_value_id value)
{
    const kpar_graph *g = s->e->graph;
    const kpar_op_id id = g->values[value].op;
    if (id < 0 || s->visits[id] == variable || g->ops[id].phase != KPAR_PHASE_UPDATE) return;
    s->visits[id] = variable;
    if (is_over_data(&g->ops[id], KPAR_OP_REDUCE_SCATTER))
        KPAR_PUSH(s->sums, s->n_sums, s->capacity) = id;
    else if (!kpar_op_is_collective(g->ops[id].kind))
        for (int i = 0; i < g->ops[id].n_inputs; i++) find_sums(s, variable, g->ops[id].inputs[i]);
}

/* Whether only microbatches read the copy, and sums and gathering both go through windows. */
static kpar_status can_be_common(const survey *s, const kpar_state *copy, bool *can)
{
    const kpar_graph *g = s->e->graph;
    kpar_op_id gather = g->values[copy->next].op;
    while (gather >= 0 && g->ops[gather].kind == KPAR_OP_COMPUTE_COPY) /* another name */
        gather = g->values[g->ops[gather].inputs[0]].op;
    *can = s->n_sums > 0 && !s->elsewhere[copy->value] && gather >= 0 &&
           is_over_data(&g->ops[gather], KPAR_OP_ALL_GATHER);
    if (*can) KPAR_TRY(is_windowed(s->e, gather, can));
    for (size_t i = 0; i < s->n_sums && *can; i++) KPAR_TRY(is_windowed(s->e, s->sums[i], can));
    return KPAR_OK;
}

/* The weight from now on waits for the sums, and they for its readers. */
static void make_common(survey *s, const kpar_state *copy)
{
    kpar_emitter *e = s->e;
    kpar_variable_layout *layout = &e->variables[copy->variable];
    layout->common = true;
    layout->sums = kpar_arena_copy(e->arena, s->sums, s->n_sums * sizeof *s->sums);
    layout->n_sums = s->n_sums;
    for (size_t i = 0; i < s->n_sums; i++) {
        const kpar_guarded guarded = {e->guarded[s->sums[i]], copy->value};
        e->guarded[s->sums[i]] = kpar_arena_copy(e->arena, &guarded, sizeof guarded);
        e->unread[s->sums[i]] += s->backward[copy->value];
    }
}

static kpar_status decide(survey *s, const kpar_state *state)
{
    const kpar_state *copy = s->copies[state->variable];
    bool can;
    if (state->copy || !copy) return KPAR_OK;
    s->n_sums = 0;
    find_sums(s, state->variable, state->next);
    KPAR_TRY(can_be_common(s, copy, &can));
    if (can) make_common(s, copy);
    return KPAR_OK;
}

kpar_status kpar_emit_find_common(kpar_emitter *e)
{
    survey s = begin(e);
    kpar_status status = KPAR_OK;
    for (size_t i = 0; i < e->graph->n_states && status == KPAR_OK; i++)
        status = decide(&s, &e->graph->states[i]);
    end(&s);
    return status;
}

bool kpar_emit_was_read(kpar_emitter *e, const kpar_op *op)
{
    bool last = false;
    for (int i = 0; i < op->n_inputs; i++) {
        const kpar_value *v = &e->graph->values[e->root[op->inputs[i]]];
        const kpar_variable_layout *layout = v->source == KPAR_FROM_COPY ? &e->variables[v->index] : NULL;
        for (size_t k = 0; layout && k < layout->n_sums; k++)
            if (--e->unread[layout->sums[k]] == 0) last = true;
    }
    return last;
}
