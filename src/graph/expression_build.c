/* Building an expression: equal instructions are shared (hash consing), constants folded, the obvious
 * simplified.
 *
 * An instruction is folded if its operands are constants; else commutative operands are put in order, the
 * op's simplification is tried, and only then an equal instruction is looked for or a new one appended. Order
 * is by index with constants last, so a simplification looks for constants on the right only. */
#include "graph/expression_internal.h"

#include "base/hash.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { NONE = -1, FIRST_BUCKETS = 256 };

struct kpar_expression_builder {
    int n_inputs;
    bool drop_zero_terms;
    kpar_scalar *scalars;
    int *next; /* next instruction of the same bucket, or NONE */
    size_t count, scalars_capacity, next_capacity;
    int *buckets; /* last instruction of each, or NONE; twice as many once there are as many instructions */
    size_t n_buckets;
};

void kpar_x_drop_zero_terms(kpar_expression_builder *e) { e->drop_zero_terms = true; }

/* An instruction as bytes without padding, to be hashed and compared. Numbers by their bits: -0 is not 0. */
typedef struct identity {
    int64_t op, a, b, c, index;
    double value;
} identity;

static identity identify(const kpar_scalar *s)
{
    return (identity){(int64_t)s->op, s->a, s->b, s->c, s->index, s->value};
}

static int *bucket_of(const kpar_expression_builder *e, const identity *id)
{
    return &e->buckets[kpar_hash(KPAR_HASH_START, id, sizeof *id) % e->n_buckets];
}

/* Puts instruction number i into its bucket. */
static void enter(kpar_expression_builder *e, int i, const identity *id)
{
    int *bucket = bucket_of(e, id);
    e->next[i] = *bucket;
    *bucket = i;
}

static void make_buckets(kpar_expression_builder *e, size_t n)
{
    e->n_buckets = n;
    e->buckets = kpar_realloc(e->buckets, n * sizeof *e->buckets);
    for (size_t i = 0; i < n; i++) e->buckets[i] = NONE;
    for (size_t i = 0; i < e->count; i++) {
        const identity id = identify(&e->scalars[i]);
        enter(e, (int)i, &id);
    }
}

kpar_expression_builder *kpar_expression_begin(int n_inputs)
{
    kpar_expression_builder *e = kpar_alloc_zeroed(1, sizeof *e);
    e->n_inputs = n_inputs;
    make_buckets(e, FIRST_BUCKETS);
    return e;
}

/* The instruction equal to `s`, appended if there was none. */
static kpar_x intern(kpar_expression_builder *e, kpar_scalar s)
{
    const identity wanted = identify(&s);
    for (int i = *bucket_of(e, &wanted); i != NONE; i = e->next[i]) {
        identity found = identify(&e->scalars[i]);
        if (memcmp(&wanted, &found, sizeof wanted) == 0) return i;
    }
    const int made = (int)e->count;
    size_t links = e->count;
    KPAR_PUSH(e->next, links, e->next_capacity) = NONE;
    KPAR_PUSH(e->scalars, e->count, e->scalars_capacity) = s;
    enter(e, made, &wanted);
    if (e->count == e->n_buckets) make_buckets(e, 2 * e->n_buckets);
    return made;
}

kpar_x kpar_x_input(kpar_expression_builder *e, int index)
{
    assert(index >= 0 && index < e->n_inputs);
    return intern(e, (kpar_scalar){.op = KPAR_SCALAR_INPUT, .index = index});
}

kpar_x kpar_x_constant(kpar_expression_builder *e, double value)
{
    return intern(e, (kpar_scalar){.op = KPAR_SCALAR_CONSTANT, .value = isnan(value) ? (double)NAN : value});
}

static kpar_scalar_op op_of(const kpar_expression_builder *e, kpar_x x) { return e->scalars[x].op; }

static kpar_x operand_of(const kpar_expression_builder *e, kpar_x x) { return e->scalars[x].a; }

static bool is_constant(const kpar_expression_builder *e, kpar_x x)
{
    return op_of(e, x) == KPAR_SCALAR_CONSTANT;
}

static bool is_number(const kpar_expression_builder *e, kpar_x x, double value)
{
    return is_constant(e, x) && e->scalars[x].value == value;
}

static bool is_op(const kpar_expression_builder *e, kpar_x x, kpar_scalar_op op) { return op_of(e, x) == op; }

/* Never below zero (NaN aside), so that abs and relu change nothing. */
static bool is_nonnegative(const kpar_expression_builder *e, kpar_x x)
{
    static const bool nonnegative[KPAR_SCALAR_COUNT] = {
        [KPAR_SCALAR_ABSOLUTE] = true, [KPAR_SCALAR_SQUARE] = true,  [KPAR_SCALAR_SQUARE_ROOT] = true,
        [KPAR_SCALAR_EXP] = true,      [KPAR_SCALAR_SIGMOID] = true, [KPAR_SCALAR_RELU] = true,
    };
    return nonnegative[op_of(e, x)];
}

/* --- one function an op: an existing or simpler instruction of the same value, or NONE --- */

static kpar_x simplify_add(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    const bool negates_a = is_op(e, a, KPAR_SCALAR_NEGATE), negates_b = is_op(e, b, KPAR_SCALAR_NEGATE);
    if (is_number(e, b, 0)) return a;
    if (negates_a && negates_b) return kpar_x_neg(e, kpar_x_add(e, operand_of(e, a), operand_of(e, b)));
    if (negates_b) return kpar_x_sub(e, a, operand_of(e, b));
    if (negates_a) return kpar_x_sub(e, b, operand_of(e, a));
    return NONE;
}

static kpar_x simplify_subtract(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    if (is_number(e, b, 0)) return a;
    if (is_number(e, a, 0)) return kpar_x_neg(e, b);
    if (is_op(e, b, KPAR_SCALAR_NEGATE)) return kpar_x_add(e, a, operand_of(e, b));
    return NONE;
}

static kpar_x simplify_multiply(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    if (is_number(e, b, 1)) return a;
    if (is_number(e, b, -1)) return kpar_x_neg(e, a);
    if (e->drop_zero_terms && is_number(e, b, 0)) return kpar_x_constant(e, 0);
    if (a == b) return kpar_x_square(e, a);
    return NONE;
}

/* A power of two whose reciprocal is exact in every type we compute in. */
static bool has_exact_reciprocal(double value)
{
    int exponent;
    return isfinite(value) && fabs(frexp(value, &exponent)) == 0.5 && exponent > -100 && exponent < 100;
}

static kpar_x simplify_divide(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    if (e->drop_zero_terms && is_number(e, a, 0)) return a;
    if (is_constant(e, b) && has_exact_reciprocal(e->scalars[b].value))
        return kpar_x_mul(e, a, kpar_x_constant(e, 1 / e->scalars[b].value));
    return NONE;
}

static kpar_x simplify_extremum(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    (void)e;
    return a == b ? a : NONE;
}

static kpar_x simplify_power(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    if (is_number(e, b, 0) || is_number(e, a, 1)) return kpar_x_constant(e, 1);
    if (is_number(e, b, 1)) return a;
    if (is_number(e, b, 2)) return kpar_x_square(e, a);
    return NONE;
}

static kpar_x simplify_negate(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    (void)b;
    if (is_op(e, a, KPAR_SCALAR_NEGATE)) return operand_of(e, a);
    if (is_op(e, a, KPAR_SCALAR_SUBTRACT)) return kpar_x_sub(e, e->scalars[a].b, e->scalars[a].a);
    return NONE;
}

static kpar_x simplify_absolute(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    (void)b;
    if (is_nonnegative(e, a)) return a;
    if (is_op(e, a, KPAR_SCALAR_NEGATE)) return kpar_x_abs(e, operand_of(e, a));
    return NONE;
}

static kpar_x simplify_square(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    (void)b;
    bool sign_is_lost = is_op(e, a, KPAR_SCALAR_NEGATE) || is_op(e, a, KPAR_SCALAR_ABSOLUTE);
    return sign_is_lost ? kpar_x_square(e, operand_of(e, a)) : NONE;
}

static kpar_x simplify_relu(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    (void)b;
    return is_nonnegative(e, a) ? a : NONE;
}

static kpar_x simplify_rounding(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    (void)b;
    return is_op(e, a, KPAR_SCALAR_FLOOR) || is_op(e, a, KPAR_SCALAR_SIGN) ? a : NONE;
}

static const struct {
    bool commutes;
    kpar_x (*simplify)(kpar_expression_builder *e, kpar_x a, kpar_x b);
} algebra[KPAR_SCALAR_COUNT] = {
    [KPAR_SCALAR_ADD] = {true, simplify_add},           [KPAR_SCALAR_SUBTRACT] = {false, simplify_subtract},
    [KPAR_SCALAR_MULTIPLY] = {true, simplify_multiply}, [KPAR_SCALAR_DIVIDE] = {false, simplify_divide},
    [KPAR_SCALAR_MAXIMUM] = {false, simplify_extremum}, /* a tie is the first operand's: the order has a
                                                           meaning */
    [KPAR_SCALAR_MINIMUM] = {false, simplify_extremum}, [KPAR_SCALAR_POWER] = {false, simplify_power},
    [KPAR_SCALAR_NEGATE] = {false, simplify_negate},    [KPAR_SCALAR_ABSOLUTE] = {false, simplify_absolute},
    [KPAR_SCALAR_SQUARE] = {false, simplify_square},    [KPAR_SCALAR_FLOOR] = {false, simplify_rounding},
    [KPAR_SCALAR_RELU] = {false, simplify_relu},        [KPAR_SCALAR_EQUAL] = {true, NULL},
};

bool kpar_scalar_commutes(kpar_scalar_op op) { return algebra[op].commutes; }

static bool in_order(const kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    if (is_constant(e, a) != is_constant(e, b)) return is_constant(e, b);
    return a <= b;
}

kpar_x kpar_x_unary(kpar_expression_builder *e, kpar_scalar_op op, kpar_x a)
{
    assert(kpar_scalar_operands(op) == 1 && a >= 0 && (size_t)a < e->count);
    if (is_constant(e, a)) return kpar_x_constant(e, kpar_scalar_evaluate(op, e->scalars[a].value, 0, 0));
    kpar_x simpler = algebra[op].simplify ? algebra[op].simplify(e, a, a) : NONE;
    return simpler != NONE ? simpler : intern(e, (kpar_scalar){.op = op, .a = a});
}

kpar_x kpar_x_binary(kpar_expression_builder *e, kpar_scalar_op op, kpar_x a, kpar_x b)
{
    assert(kpar_scalar_operands(op) == 2 && a >= 0 && (size_t)a < e->count && b >= 0 && (size_t)b < e->count);
    if (is_constant(e, a) && is_constant(e, b))
        return kpar_x_constant(e, kpar_scalar_evaluate(op, e->scalars[a].value, e->scalars[b].value, 0));
    bool swap = algebra[op].commutes && !in_order(e, a, b);
    kpar_x first = swap ? b : a, second = swap ? a : b;
    kpar_x simpler = algebra[op].simplify ? algebra[op].simplify(e, first, second) : NONE;
    return simpler != NONE ? simpler : intern(e, (kpar_scalar){.op = op, .a = first, .b = second});
}

kpar_x kpar_x_select(kpar_expression_builder *e, kpar_x condition, kpar_x then, kpar_x otherwise)
{
    if (then == otherwise) return then;
    if (is_constant(e, condition)) return e->scalars[condition].value != 0 ? then : otherwise;
    return intern(e, (kpar_scalar){.op = KPAR_SCALAR_SELECT, .a = condition, .b = then, .c = otherwise});
}

static kpar_x inline_one(kpar_expression_builder *e, const kpar_scalar *s, const kpar_x *inputs,
                         const kpar_x *made)
{
    if (s->op == KPAR_SCALAR_INPUT) return inputs[s->index];
    if (s->op == KPAR_SCALAR_CONSTANT) return kpar_x_constant(e, s->value);
    if (s->op == KPAR_SCALAR_SELECT) return kpar_x_select(e, made[s->a], made[s->b], made[s->c]);
    if (kpar_scalar_operands(s->op) == 1) return kpar_x_unary(e, s->op, made[s->a]);
    return kpar_x_binary(e, s->op, made[s->a], made[s->b]);
}

void kpar_x_inline(kpar_expression_builder *e, const kpar_expression *inner, const kpar_x *inputs,
                   kpar_x *outputs)
{
    kpar_x *made = kpar_alloc((size_t)inner->n_scalars * sizeof *made);
    for (int i = 0; i < inner->n_scalars; i++) made[i] = inline_one(e, &inner->scalars[i], inputs, made);
    for (int i = 0; i < inner->n_outputs; i++) outputs[i] = made[inner->outputs[i]];
    kpar_free(made);
}

static kpar_scalar renumbered(kpar_scalar s, const int *place)
{
    int operands = kpar_scalar_operands(s.op);
    if (operands > 0) s.a = place[s.a];
    if (operands > 1) s.b = place[s.b];
    if (operands > 2) s.c = place[s.c];
    return s;
}

const kpar_expression *kpar_expression_so_far(const kpar_expression_builder *e, kpar_arena *arena,
                                              const kpar_x *outputs, int n_outputs)
{
    int *order = kpar_alloc(2 * e->count * sizeof *order), *place = order + e->count;
    const int kept = kpar_x_order(e->scalars, e->count, outputs, n_outputs, order);
    kpar_scalar *scalars = kpar_arena_alloc(arena, (size_t)kept * sizeof *scalars);
    for (int i = 0; i < kept; i++) {
        place[order[i]] = i;
        scalars[i] = renumbered(e->scalars[order[i]], place);
    }
    int *results = kpar_arena_alloc(arena, (size_t)n_outputs * sizeof *results);
    for (int i = 0; i < n_outputs; i++) results[i] = place[outputs[i]];

    kpar_expression made = {e->n_inputs, n_outputs, kept, scalars, results};
    kpar_free(order);
    return kpar_arena_copy(arena, &made, sizeof made);
}

const kpar_expression *kpar_expression_end(kpar_expression_builder *e, kpar_arena *arena,
                                           const kpar_x *outputs, int n_outputs)
{
    const kpar_expression *made = kpar_expression_so_far(e, arena, outputs, n_outputs);
    kpar_free(e->scalars);
    kpar_free(e->next);
    kpar_free(e->buckets);
    kpar_free(e);
    return made;
}
