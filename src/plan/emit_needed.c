/* Which ops this rank runs, and which of them guard its update. */
#include "parallel/homes.h"
#include "plan/emit_internal.h"

static int place_of(const kpar_emitter *e, int stage) { return kpar_mesh_of_stage(e->options->mesh, stage); }

static void find_homes(kpar_emitter *e)
{
    const kpar_graph *g = e->graph;
    int *home = e->homes;
    int *variable_homes = kpar_variable_homes(g, e->catalog, e->options->mesh, NULL);
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        home[i] = place_of(e, op->stage);
        for (int k = 0; op->phase != KPAR_PHASE_MICROBATCH && k < op->n_inputs; k++) {
            const kpar_value *v = &g->values[op->inputs[k]];
            const int there = v->op >= 0                     ? home[v->op]
                              : v->phase == KPAR_PHASE_STATE ? variable_homes[v->index]
                                                             : -1;
            if (there > home[i]) home[i] = there;
        }
    }
    kpar_free(variable_homes);
}

static void need(kpar_emitter *e, kpar_value_id value)
{
    kpar_op_id maker = e->graph->values[value].op;
    if (maker >= 0 && e->graph->ops[maker].phase != KPAR_PHASE_MICROBATCH) e->needed[maker] = true;
}

static void need_inputs(kpar_emitter *e)
{
    const kpar_graph *g = e->graph;
    for (size_t i = g->n_ops; i-- > 0;)
        for (int k = 0; e->needed[i] && k < g->ops[i].n_inputs; k++) need(e, g->ops[i].inputs[k]);
}

/* Stages whose microbatches read a variable: a bit for the own one, another for the others. */
enum { HERE = 1, ELSEWHERE = 2 };

static unsigned char *find_readers(const kpar_emitter *e)
{
    const kpar_graph *g = e->graph;
    unsigned char *readers = kpar_alloc_zeroed((size_t)e->catalog->n + 1, 1);
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        for (int k = 0; op->phase == KPAR_PHASE_MICROBATCH && k < op->n_inputs; k++) {
            const kpar_value *v = &g->values[op->inputs[k]];
            if (v->phase == KPAR_PHASE_STATE)
                readers[v->index] |= place_of(e, op->stage) == e->me.pipeline ? HERE : ELSEWHERE;
        }
    }
    return readers;
}

/* Whether the stage trains the variable: its microbatches read it, or its weight; or, where nobody's do, what it becomes
 * comes from here. */
static bool stage_holds(const kpar_emitter *e, const unsigned char *readers, const kpar_state *state)
{
    const kpar_variable *v = &e->catalog->variables[state->variable];
    if (!kpar_emit_has_state(e, state)) return false;
    if (kpar_variable_is_optimizer_scalar(v)) return true;
    const unsigned char read = readers[v->of >= 0 ? v->of : state->variable];
    const kpar_op_id maker = e->graph->values[state->next].op;
    return read ? read & HERE : maker >= 0 && e->homes[maker] == e->me.pipeline;
}

static void find_needed(kpar_emitter *e)
{
    const kpar_graph *g = e->graph;
    find_homes(e);
    for (size_t i = 0; i < g->n_ops; i++) e->needed[i] = place_of(e, g->ops[i].stage) == e->me.pipeline;
    unsigned char *readers = find_readers(e);
    for (size_t i = 0; i < g->n_states; i++)
        if (stage_holds(e, readers, &g->states[i])) need(e, g->states[i].next);
    kpar_free(readers);
    for (size_t i = 0; i < g->n_outputs; i++) {
        kpar_op_id maker = g->values[g->outputs[i].value].op;
        int stage = maker >= 0 && e->homes[maker] >= 0 ? e->homes[maker] : 0;
        if (g->outputs[i].kind == KPAR_OUTPUT_GUARD) stage = g->outputs[i].index;
        if (g->outputs[i].kind != KPAR_OUTPUT_PREDICTION && stage == e->me.pipeline)
            need(e, g->outputs[i].value);
    }
    need_inputs(e);
}

const kpar_output *kpar_emit_own_guard(const kpar_emitter *e)
{
    for (size_t i = 0; i < e->graph->n_outputs; i++) {
        const kpar_output *o = &e->graph->outputs[i];
        if (o->kind == KPAR_OUTPUT_GUARD && o->index == e->me.pipeline) return o;
    }
    return NULL;
}

static bool sums_gradients(const kpar_graph *g, const kpar_op *op)
{
    const kpar_op_id maker = op->kind == KPAR_OP_ACCUMULATE ? g->values[op->inputs[0]].op : -1;
    return maker >= 0 && g->ops[maker].part != KPAR_FORWARD;
}

/* What guards the update, here or on another stage, with all of the update that it is made of. */
static void find_guards(kpar_emitter *e)
{
    const kpar_graph *g = e->graph;
    kpar_op_id *senders = kpar_alloc((g->n_ops + 1) * sizeof *senders); /* by channel */
    for (size_t i = 0; i < g->n_ops; i++)
        if (g->ops[i].kind == KPAR_OP_SEND) senders[g->ops[i].attributes.channel] = (kpar_op_id)i;
    for (size_t i = 0; i < g->n_outputs; i++) {
        const kpar_op_id maker = g->values[g->outputs[i].value].op;
        if (g->outputs[i].kind == KPAR_OUTPUT_GUARD && maker >= 0) e->guards[maker] = true;
    }
    for (size_t i = g->n_ops; i-- > 0;) {
        const kpar_op *op = &g->ops[i];
        e->guards[i] = e->guards[i] && op->phase == KPAR_PHASE_UPDATE;
        if (!e->guards[i]) continue;
        e->late_guard = e->late_guard || sums_gradients(g, op);
        if (op->kind == KPAR_OP_RECEIVE) e->guards[senders[op->attributes.channel]] = true;
        for (int k = 0; k < op->n_inputs; k++)
            if (g->values[op->inputs[k]].op >= 0) e->guards[g->values[op->inputs[k]].op] = true;
    }
    kpar_free(senders);
}

static void count_users(kpar_emitter *e)
{
    const kpar_graph *g = e->graph;
    for (size_t i = 0; i < g->n_values; i++) e->user[i] = -1;
    for (size_t i = 0; i < g->n_ops; i++)
        for (int k = 0; e->needed[i] && k < g->ops[i].n_inputs; k++) {
            kpar_value_id input = g->ops[i].inputs[k];
            e->users[input]++;
            if (e->user[input] < 0 || g->ops[i].kind == KPAR_OP_ACCUMULATE) e->user[input] = (kpar_op_id)i;
        }
    for (size_t i = 0; i < g->n_outputs; i++) e->users[g->outputs[i].value]++;
}

void kpar_emit_find_needed(kpar_emitter *e)
{
    find_needed(e);
    find_guards(e);
    count_users(e);
}
