/* The order of an expression's instructions follows from what it computes alone.
 *
 * C leaves it to the compiler in which order the arguments of a call are evaluated, and so in which order
 * nested calls append instructions; programs must not depend on that. Instructions stand as a walk from the
 * outputs meets them, operands first; the operands of a commutative one in the order: inputs, other
 * instructions by a hash of what they compute, constants. */
#include "graph/expression_internal.h"

#include "base/hash.h"

typedef struct ordering {
    kpar_scalar *scalars;
    uint64_t *hashes; /* of what each instruction computes */
    bool *placed;
    int *stack, *order;
    int n_ordered;
} ordering;

static int class_of(const kpar_scalar *s)
{
    return s->op == KPAR_SCALAR_INPUT ? 0 : s->op == KPAR_SCALAR_CONSTANT ? 2 : 1;
}

static bool stands_before(const ordering *o, int a, int b)
{
    const kpar_scalar *x = &o->scalars[a], *y = &o->scalars[b];
    if (class_of(x) != class_of(y)) return class_of(x) < class_of(y);
    if (x->op == KPAR_SCALAR_INPUT) return x->index < y->index;
    return o->hashes[a] < o->hashes[b];
}

static void put_operands_in_order(ordering *o, kpar_scalar *s)
{
    if (!kpar_scalar_commutes(s->op) || !stands_before(o, s->b, s->a)) return;
    const int first = s->b;
    s->b = s->a;
    s->a = first;
}

static uint64_t hash_of(const ordering *o, const kpar_scalar *s)
{
    const int operands[] = {s->a, s->b, s->c}, op = (int)s->op;
    uint64_t hash = kpar_hash(KPAR_HASH_START, &op, sizeof op);
    hash = kpar_hash(hash, &s->index, sizeof s->index);
    hash = kpar_hash(hash, &s->value, sizeof s->value);
    for (int i = 0; i < kpar_scalar_operands(s->op); i++)
        hash = kpar_hash(hash, &o->hashes[operands[i]], sizeof o->hashes[0]);
    return hash;
}

/* The first operand that has no place yet, or -1. */
static int next_operand(const ordering *o, const kpar_scalar *s)
{
    const int operands[] = {s->a, s->b, s->c};
    for (int i = 0; i < kpar_scalar_operands(s->op); i++)
        if (!o->placed[operands[i]]) return operands[i];
    return -1;
}

static void place(ordering *o, int root)
{
    int depth = 0;
    if (!o->placed[root]) o->stack[depth++] = root;
    while (depth > 0) {
        const int top = o->stack[depth - 1], operand = next_operand(o, &o->scalars[top]);
        if (operand >= 0) {
            o->stack[depth++] = operand;
            continue;
        }
        o->placed[top] = true;
        o->order[o->n_ordered++] = top;
        depth--;
    }
}

int kpar_x_order(kpar_scalar *scalars, size_t n, const int *outputs, int n_outputs, int *order)
{
    ordering o = {.scalars = scalars, .order = order};
    o.hashes = kpar_alloc(n * sizeof *o.hashes);
    o.placed = kpar_alloc_zeroed(n, sizeof *o.placed);
    o.stack = kpar_alloc(n * sizeof *o.stack);
    for (size_t i = 0; i < n; i++) {
        put_operands_in_order(&o, &scalars[i]);
        o.hashes[i] = hash_of(&o, &scalars[i]);
    }
    for (int i = 0; i < n_outputs; i++) place(&o, outputs[i]);
    kpar_free(o.hashes);
    kpar_free(o.placed);
    kpar_free(o.stack);
    return o.n_ordered;
}
