/* The symbolic derivative of an expression: reverse accumulation over its instructions.
 *
 * One rule an op says what an instruction passes to each operand, given what arrives at it. Values that a
 * rule needs are rebuilt from the inputs only when asked for, and an instruction that is an output is read
 * instead of rebuilt. So the derivative of relu(x) is select(0 < y, seed, 0), which does not need x. */
#include "graph/expression_internal.h"

#include <math.h>

enum { NONE = -1 };

typedef struct derivation {
    const kpar_expression *of;
    kpar_expression_builder *e;
    kpar_x *values;   /* the value of each instruction of `of`, NONE until needed */
    kpar_x *arriving; /* d output / d instruction times the seed, NONE while it is zero */
    bool *active;     /* whether a wanted input lies below the instruction */
} derivation;

/* The input of the result that holds the output which instruction `i` is, or NONE. */
static int input_with_output(const kpar_expression *of, int i)
{
    kpar_scalar_op op = of->scalars[i].op;
    if (op == KPAR_SCALAR_INPUT || op == KPAR_SCALAR_CONSTANT) return NONE;
    for (int k = 0; k < of->n_outputs; k++)
        if (of->outputs[k] == i) return of->n_inputs + k;
    return NONE;
}

/* Builds instruction `i`, whose operands' values are known. */
static kpar_x rebuild(derivation *d, int i)
{
    const kpar_scalar *s = &d->of->scalars[i];
    const kpar_x *v = d->values;
    if (s->op == KPAR_SCALAR_INPUT) return kpar_x_input(d->e, s->index);
    if (s->op == KPAR_SCALAR_CONSTANT) return kpar_x_constant(d->e, s->value);
    if (s->op == KPAR_SCALAR_SELECT) return kpar_x_select(d->e, v[s->a], v[s->b], v[s->c]);
    if (kpar_scalar_operands(s->op) == 1) return kpar_x_unary(d->e, s->op, v[s->a]);
    return kpar_x_binary(d->e, s->op, v[s->a], v[s->b]);
}

/* The value of instruction `i`. What it needs is marked going down and built going up. */
static kpar_x value_of(derivation *d, int i)
{
    enum { NEEDED = -2 };
    if (d->values[i] >= 0) return d->values[i];
    d->values[i] = NEEDED;
    for (int k = i; k >= 0; k--) {
        if (d->values[k] != NEEDED) continue;
        int output = input_with_output(d->of, k);
        if (output != NONE) d->values[k] = kpar_x_input(d->e, output);
        if (output != NONE) continue;
        const kpar_scalar *s = &d->of->scalars[k];
        int operands[] = {s->a, s->b, s->c};
        for (int o = 0; o < kpar_scalar_operands(s->op); o++)
            if (d->values[operands[o]] == NONE) d->values[operands[o]] = NEEDED;
    }
    for (int k = 0; k <= i; k++)
        if (d->values[k] == NEEDED) d->values[k] = rebuild(d, k);
    return d->values[i];
}

/* Lets `term` arrive at instruction `i`. */
static void pass_to(derivation *d, int i, kpar_x term)
{
    if (!d->active[i]) return;
    d->arriving[i] = d->arriving[i] == NONE ? term : kpar_x_add(d->e, d->arriving[i], term);
}

/* --- one rule an op: instruction `i` is `s`, and `g` arrives at it --- */

static void rule_add(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    (void)i;
    pass_to(d, s->a, g);
    pass_to(d, s->b, g);
}

static void rule_subtract(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    (void)i;
    pass_to(d, s->a, g);
    pass_to(d, s->b, kpar_x_neg(d->e, g));
}

static void rule_multiply(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    (void)i;
    if (d->active[s->a]) pass_to(d, s->a, kpar_x_mul(d->e, g, value_of(d, s->b)));
    if (d->active[s->b]) pass_to(d, s->b, kpar_x_mul(d->e, g, value_of(d, s->a)));
}

/* y = a / b: dy/da = 1 / b, dy/db = -y / b. */
static void rule_divide(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    kpar_x share = kpar_x_div(d->e, g, value_of(d, s->b));
    pass_to(d, s->a, share);
    if (d->active[s->b]) pass_to(d, s->b, kpar_x_neg(d->e, kpar_x_mul(d->e, share, value_of(d, i))));
}

/* All of `g` goes to the operand chosen, a where `a_wins`. */
static void pass_to_chosen(derivation *d, int a, int b, kpar_x a_wins, kpar_x g)
{
    kpar_x zero = kpar_x_constant(d->e, 0);
    pass_to(d, a, kpar_x_select(d->e, a_wins, g, zero));
    pass_to(d, b, kpar_x_select(d->e, a_wins, zero, g));
}

static void rule_maximum(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    (void)i;
    pass_to_chosen(d, s->a, s->b, kpar_x_le(d->e, value_of(d, s->b), value_of(d, s->a)), g);
}

static void rule_minimum(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    (void)i;
    pass_to_chosen(d, s->a, s->b, kpar_x_le(d->e, value_of(d, s->a), value_of(d, s->b)), g);
}

static void rule_select(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    (void)i;
    pass_to_chosen(d, s->b, s->c, value_of(d, s->a), g);
}

/* y = a^b: dy/da = b a^(b-1); dy/db = y log a where a > 0, else 0. */
static void rule_power(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    kpar_x a = value_of(d, s->a), one = kpar_x_constant(d->e, 1);
    if (d->active[s->a]) {
        kpar_x b = value_of(d, s->b);
        kpar_x slope = kpar_x_mul(d->e, b, kpar_x_pow(d->e, a, kpar_x_sub(d->e, b, one)));
        pass_to(d, s->a, kpar_x_mul(d->e, g, slope));
    }
    if (d->active[s->b]) {
        kpar_x positive = kpar_x_lt(d->e, kpar_x_constant(d->e, 0), a);
        kpar_x guarded = kpar_x_select(d->e, positive, a, one); /* log 1 = 0 */
        kpar_x slope = kpar_x_mul(d->e, value_of(d, i), kpar_x_log(d->e, guarded));
        pass_to(d, s->b, kpar_x_mul(d->e, g, slope));
    }
}

static void rule_negate(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    (void)i;
    pass_to(d, s->a, kpar_x_neg(d->e, g));
}

static void rule_absolute(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    (void)i;
    pass_to(d, s->a, kpar_x_mul(d->e, g, kpar_x_sign(d->e, value_of(d, s->a))));
}

static void rule_square(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    (void)i;
    kpar_x twice = kpar_x_mul(d->e, value_of(d, s->a), kpar_x_constant(d->e, 2));
    pass_to(d, s->a, kpar_x_mul(d->e, g, twice));
}

static void rule_square_root(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    kpar_x half = kpar_x_mul(d->e, g, kpar_x_constant(d->e, 0.5));
    pass_to(d, s->a, kpar_x_div(d->e, half, value_of(d, i)));
}

static void rule_exp(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    pass_to(d, s->a, kpar_x_mul(d->e, g, value_of(d, i)));
}

static void rule_log(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    (void)i;
    pass_to(d, s->a, kpar_x_div(d->e, g, value_of(d, s->a)));
}

static void rule_log1p(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    (void)i;
    kpar_x argument = kpar_x_add(d->e, value_of(d, s->a), kpar_x_constant(d->e, 1));
    pass_to(d, s->a, kpar_x_div(d->e, g, argument));
}

static void rule_tanh(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    kpar_x y = value_of(d, i);
    kpar_x slope = kpar_x_sub(d->e, kpar_x_constant(d->e, 1), kpar_x_square(d->e, y));
    pass_to(d, s->a, kpar_x_mul(d->e, g, slope));
}

static void rule_sigmoid(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    kpar_x y = value_of(d, i);
    kpar_x slope = kpar_x_mul(d->e, y, kpar_x_sub(d->e, kpar_x_constant(d->e, 1), y));
    pass_to(d, s->a, kpar_x_mul(d->e, g, slope));
}

/* erf'(a) = 2 / sqrt(pi) * exp(-a^2). */
static void rule_erf(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    (void)i;
    kpar_x bell = kpar_x_exp(d->e, kpar_x_neg(d->e, kpar_x_square(d->e, value_of(d, s->a))));
    kpar_x slope = kpar_x_mul(d->e, bell, kpar_x_constant(d->e, M_2_SQRTPI));
    pass_to(d, s->a, kpar_x_mul(d->e, g, slope));
}

static void rule_sine(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    (void)i;
    pass_to(d, s->a, kpar_x_mul(d->e, g, kpar_x_cos(d->e, value_of(d, s->a))));
}

static void rule_cosine(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    (void)i;
    pass_to(d, s->a, kpar_x_neg(d->e, kpar_x_mul(d->e, g, kpar_x_sin(d->e, value_of(d, s->a)))));
}

/* atan'(a) = 1 / (1 + a^2). */
static void rule_arc_tangent(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    (void)i;
    kpar_x square = kpar_x_square(d->e, value_of(d, s->a));
    pass_to(d, s->a, kpar_x_div(d->e, g, kpar_x_add(d->e, square, kpar_x_constant(d->e, 1))));
}

static void rule_relu(derivation *d, int i, const kpar_scalar *s, kpar_x g)
{
    kpar_x zero = kpar_x_constant(d->e, 0);
    pass_to(d, s->a, kpar_x_select(d->e, kpar_x_lt(d->e, zero, value_of(d, i)), g, zero));
}

/* Ops without a row pass nothing: inputs and constants end the walk, the others are flat. */
static void (*const rules[KPAR_SCALAR_COUNT])(derivation *d, int i, const kpar_scalar *s, kpar_x g) = {
    [KPAR_SCALAR_ADD] = rule_add,
    [KPAR_SCALAR_SUBTRACT] = rule_subtract,
    [KPAR_SCALAR_MULTIPLY] = rule_multiply,
    [KPAR_SCALAR_DIVIDE] = rule_divide,
    [KPAR_SCALAR_MAXIMUM] = rule_maximum,
    [KPAR_SCALAR_MINIMUM] = rule_minimum,
    [KPAR_SCALAR_POWER] = rule_power,
    [KPAR_SCALAR_NEGATE] = rule_negate,
    [KPAR_SCALAR_ABSOLUTE] = rule_absolute,
    [KPAR_SCALAR_SQUARE] = rule_square,
    [KPAR_SCALAR_SQUARE_ROOT] = rule_square_root,
    [KPAR_SCALAR_EXP] = rule_exp,
    [KPAR_SCALAR_LOG] = rule_log,
    [KPAR_SCALAR_LOG1P] = rule_log1p,
    [KPAR_SCALAR_TANH] = rule_tanh,
    [KPAR_SCALAR_SIGMOID] = rule_sigmoid,
    [KPAR_SCALAR_ERF] = rule_erf,
    [KPAR_SCALAR_SINE] = rule_sine,
    [KPAR_SCALAR_COSINE] = rule_cosine,
    [KPAR_SCALAR_ARC_TANGENT] = rule_arc_tangent,
    [KPAR_SCALAR_RELU] = rule_relu,
    [KPAR_SCALAR_SELECT] = rule_select,
};

/* Marks what depends on a wanted input through ops that have a derivative. */
static void mark_active(derivation *d, const bool *wanted)
{
    for (int i = 0; i < d->of->n_scalars; i++) {
        const kpar_scalar *s = &d->of->scalars[i];
        bool through = s->op == KPAR_SCALAR_INPUT && wanted[s->index];
        int operands[] = {s->a, s->b, s->c};
        for (int k = 0; rules[s->op] && k < kpar_scalar_operands(s->op); k++)
            through |= d->active[operands[k]];
        d->active[i] = through;
    }
}

static void accumulate(derivation *d, int output)
{
    int last = d->of->outputs[output];
    pass_to(d, last, kpar_x_input(d->e, d->of->n_inputs + d->of->n_outputs));
    for (int i = last; i >= 0; i--) {
        const kpar_scalar *s = &d->of->scalars[i];
        if (d->arriving[i] != NONE && rules[s->op]) rules[s->op](d, i, s, d->arriving[i]);
    }
}

/* What arrived at input `index`: a term, or zero. */
static kpar_x derivative_by_input(const derivation *d, int index)
{
    for (int i = 0; i < d->of->n_scalars; i++) {
        const kpar_scalar *s = &d->of->scalars[i];
        if (s->op == KPAR_SCALAR_INPUT && s->index == index && d->arriving[i] != NONE) return d->arriving[i];
    }
    return kpar_x_constant(d->e, 0);
}

const kpar_expression *kpar_expression_derivative(const kpar_expression *e, kpar_arena *arena, int output,
                                                  const bool *wanted)
{
    size_t count = (size_t)e->n_scalars, room = (size_t)e->n_inputs;
    derivation d = {e, kpar_expression_begin(e->n_inputs + e->n_outputs + 1),
                    kpar_alloc(count * sizeof *d.values), kpar_alloc(count * sizeof *d.arriving),
                    kpar_alloc_zeroed(count, sizeof *d.active)};
    for (size_t i = 0; i < count; i++) d.values[i] = d.arriving[i] = NONE;
    kpar_x_drop_zero_terms(d.e);
    mark_active(&d, wanted);
    accumulate(&d, output);

    kpar_x *results = kpar_alloc(room * sizeof *results);
    int n_results = 0;
    for (int i = 0; i < e->n_inputs; i++)
        if (wanted[i]) results[n_results++] = derivative_by_input(&d, i);
    const kpar_expression *made = kpar_expression_end(d.e, arena, results, n_results);
    kpar_free(results);
    kpar_free(d.values);
    kpar_free(d.arriving);
    kpar_free(d.active);
    return made;
}

bool kpar_expression_passes(const kpar_expression *e, int output, int index)
{
    bool *from = kpar_alloc_zeroed((size_t)e->n_scalars + 1, sizeof *from);
    for (int i = 0; i < e->n_scalars; i++) {
        const kpar_scalar *s = &e->scalars[i];
        const int operands[] = {s->a, s->b, s->c};
        from[i] = s->op == KPAR_SCALAR_INPUT && s->index == index;
        for (int k = 0; s->op != KPAR_SCALAR_STOP && k < kpar_scalar_operands(s->op); k++)
            from[i] |= from[operands[k]];
    }
    const bool passes = from[e->outputs[output]];
    kpar_free(from);
    return passes;
}
