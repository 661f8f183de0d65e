/* A map in which scalars (a learning rate, a power of the step) meet whole tensors: what depends on scalars alone
 * becomes maps of scalars, so that it is computed once instead of for each element. */
#include "model/lower_internal.h"

typedef struct hoist {
    const kpar_expression *e;
    bool *uniform;  /* of each instruction: depends on scalar inputs alone */
    bool *hoisted;  /* computed outside */
    kpar_x *copies; /* of each instruction, in the expression being built */
} hoist;

static bool is_leaf(const kpar_scalar *s)
{
    return s->op == KPAR_SCALAR_INPUT || s->op == KPAR_SCALAR_CONSTANT;
}

static void operands(const kpar_scalar *s, int list[3], int *n)
{
    *n = kpar_scalar_operands(s->op);
    list[0] = s->a;
    list[1] = s->b;
    list[2] = s->c;
}

/* Hoists the uniform instructions that others read, or that are outputs. */
static void find_hoisted(hoist *h, const bool *scalar_input)
{
    const kpar_expression *e = h->e;
    for (int i = 0; i < e->n_scalars; i++) {
        const kpar_scalar *s = &e->scalars[i];
        int list[3], n;
        operands(s, list, &n);
        h->uniform[i] = s->op != KPAR_SCALAR_INPUT || scalar_input[s->index];
        for (int k = 0; k < n; k++) h->uniform[i] = h->uniform[i] && h->uniform[list[k]];
        for (int k = 0; !h->uniform[i] && k < n; k++)
            h->hoisted[list[k]] = h->uniform[list[k]] && !is_leaf(&e->scalars[list[k]]);
    }
    for (int i = 0; i < e->n_outputs; i++) {
        int output = e->outputs[i];
        if (h->uniform[output] && !is_leaf(&e->scalars[output])) h->hoisted[output] = true;
    }
}

static kpar_x copy(hoist *h, kpar_expression_builder *b, const kpar_scalar *s)
{
    switch (kpar_scalar_operands(s->op)) {
    case 1:
        return kpar_x_unary(b, s->op, h->copies[s->a]);
    case 2:
        return kpar_x_binary(b, s->op, h->copies[s->a], h->copies[s->b]);
    case 3:
        return kpar_x_select(b, h->copies[s->a], h->copies[s->b], h->copies[s->c]);
    default:
        return s->op == KPAR_SCALAR_INPUT ? kpar_x_input(b, s->index) : kpar_x_constant(b, s->value);
    }
}

/* The map of scalars that computes instruction `result`. */
static kpar_status scalar_map(kpar_lowering *lowering, hoist *h, int result, const kpar_value_id *inputs,
                              int n_inputs, kpar_value_id *out)
{
    /* Inputs that are not read may be tensors, whose shape must not widen the result. */
    kpar_value_id *read = kpar_arena_copy(lowering->arena, inputs, (size_t)n_inputs * sizeof *inputs);
    kpar_value_id nothing;
    KPAR_TRY(kpar_build_constant(lowering->graph, 0, (kpar_shape){.rank = 0}, &nothing));
    for (int i = 0; i < n_inputs; i++)
        if (kpar_lower_shape(lowering, inputs[i])->rank > 0) read[i] = nothing;

    kpar_expression_builder *b = kpar_expression_begin(n_inputs);
    for (int i = 0; i <= result; i++)
        if (h->uniform[i]) h->copies[i] = copy(h, b, &h->e->scalars[i]);
    return kpar_lower_apply(lowering, b, h->copies[result], read, n_inputs, out);
}

static kpar_status build(kpar_lowering *lowering, hoist *h, const kpar_value_id *inputs, int n_inputs,
                         kpar_value_id *outs)
{
    const kpar_expression *e = h->e;
    int total = n_inputs, n_hoisted = 0;
    for (int i = 0; i < e->n_scalars; i++) total += h->hoisted[i];
    kpar_value_id *all = kpar_arena_alloc(lowering->arena, (size_t)total * sizeof *all);
    for (int i = 0; i < n_inputs; i++) all[i] = inputs[i];
    for (int i = 0; i < e->n_scalars; i++)
        if (h->hoisted[i])
            KPAR_TRY(scalar_map(lowering, h, i, inputs, n_inputs, &all[n_inputs + n_hoisted++]));

    kpar_expression_builder *b = kpar_expression_begin(total);
    n_hoisted = 0;
    for (int i = 0; i < e->n_scalars; i++)
        h->copies[i] = h->hoisted[i] ? kpar_x_input(b, n_inputs + n_hoisted++) : copy(h, b, &e->scalars[i]);
    kpar_x *outputs = kpar_arena_alloc(lowering->arena, (size_t)e->n_outputs * sizeof *outputs);
    for (int i = 0; i < e->n_outputs; i++) outputs[i] = h->copies[e->outputs[i]];
    return kpar_build_map_many(
        lowering->graph, kpar_expression_end(b, lowering->arena, outputs, e->n_outputs), all, total, outs);
}

kpar_status kpar_lower_hoisted_map(kpar_lowering *lowering, const kpar_expression *e,
                                   const kpar_value_id *inputs, int n_inputs, kpar_value_id *outs)
{
    const size_t n = (size_t)e->n_scalars;
    bool *scalar_input = kpar_arena_alloc(lowering->arena, (size_t)n_inputs * sizeof *scalar_input);
    bool tensors = false;
    for (int i = 0; i < n_inputs; i++) {
        scalar_input[i] = kpar_lower_shape(lowering, inputs[i])->rank == 0;
        tensors = tensors || !scalar_input[i];
    }
    if (!tensors) return kpar_build_map_many(lowering->graph, e, inputs, n_inputs, outs);
    hoist h = {e, kpar_arena_alloc(lowering->arena, n), kpar_arena_alloc(lowering->arena, n),
               kpar_arena_alloc(lowering->arena, n * sizeof(kpar_x))};
    find_hoisted(&h, scalar_input);
    return build(lowering, &h, inputs, n_inputs, outs);
}
