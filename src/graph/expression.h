/* Elementwise work as data: an expression is a short list of scalar instructions in single assignment form.
 *
 * Instruction i defines scalar i. Operands a, b, c are indices of earlier instructions. The outputs are a
 * list of instruction indices. Activations, losses, optimizers, schedules and metrics are expressions: they
 * are differentiated here, fused by composing them, and run by an evaluator that walks the list in blocks. */
#ifndef KPAR_GRAPH_EXPRESSION_H
#define KPAR_GRAPH_EXPRESSION_H

#include "base/memory.h"
#include "base/text.h"

#include <stdbool.h>

/* constant, name, operands. Comparisons give 1 or 0. */
#define KPAR_SCALAR_LIST(X)                                                                                  \
    X(INPUT, "input", 0)    /* value of input number `index` */                                              \
    X(CONSTANT, "const", 0) /* `value` */                                                                    \
    X(ADD, "add", 2)                                                                                         \
    X(SUBTRACT, "sub", 2)                                                                                    \
    X(MULTIPLY, "mul", 2)                                                                                    \
    X(DIVIDE, "div", 2)                                                                                      \
    X(MAXIMUM, "max", 2) /* NaN if either operand is */                                                      \
    X(MINIMUM, "min", 2)                                                                                     \
    X(POWER, "pow", 2)                                                                                       \
    X(NEGATE, "neg", 1)                                                                                      \
    X(ABSOLUTE, "abs", 1)                                                                                    \
    X(SQUARE, "square", 1)                                                                                   \
    X(SQUARE_ROOT, "sqrt", 1)                                                                                \
    X(EXP, "exp", 1)                                                                                         \
    X(LOG, "log", 1)                                                                                         \
    X(LOG1P, "log1p", 1)                                                                                     \
    X(TANH, "tanh", 1)                                                                                       \
    X(SIGMOID, "sigmoid", 1) /* 1 / (1 + exp(-a)) */                                                         \
    X(ERF, "erf", 1)                                                                                         \
    X(SINE, "sin", 1)                                                                                        \
    X(COSINE, "cos", 1)                                                                                      \
    X(ARC_TANGENT, "atan", 1)                                                                                \
    X(FLOOR, "floor", 1)                                                                                     \
    X(SIGN, "sign", 1) /* -1, 0, 1 */                                                                        \
    X(RELU, "relu", 1) /* max(a, 0), NaN stays NaN */                                                        \
    X(STOP, "stop", 1) /* a, whose derivative is 0 */                                                        \
    X(LESS, "lt", 2)                                                                                         \
    X(LESS_EQUAL, "le", 2)                                                                                   \
    X(EQUAL, "eq", 2)                                                                                        \
    X(SELECT, "select", 3) /* a != 0 ? b : c */

typedef enum kpar_scalar_op {
#define KPAR_SCALAR_ENUM(constant, name, operands) KPAR_SCALAR_##constant,
    KPAR_SCALAR_LIST(KPAR_SCALAR_ENUM)
#undef KPAR_SCALAR_ENUM
        KPAR_SCALAR_COUNT
} kpar_scalar_op;

int kpar_scalar_operands(kpar_scalar_op op);
const char *kpar_scalar_name(kpar_scalar_op op);

typedef struct kpar_scalar {
    kpar_scalar_op op;
    int a, b, c;  /* operands, indices of earlier instructions; unused ones are 0 */
    int index;    /* INPUT: which input */
    double value; /* CONSTANT */
} kpar_scalar;

typedef struct kpar_expression {
    int n_inputs, n_outputs, n_scalars;
    const kpar_scalar *scalars; /* n_scalars */
    const int *outputs;         /* n_outputs, indices into scalars */
} kpar_expression;

/* Builds an expression. Equal instructions are shared, constants are folded, x+0, x*1, -(-x), x*x, pow(x, 2)
 * and the like are simplified, so a builder's user need not care. A simplification keeps the value for every
 * operand, infinities and NaN included, up to the sign of a zero; so x*0 stays, except while a derivative is
 * built (below). */
typedef struct kpar_expression_builder kpar_expression_builder;
typedef int kpar_x; /* index of an instruction */

kpar_expression_builder *kpar_expression_begin(int n_inputs);
kpar_x kpar_x_input(kpar_expression_builder *e, int index);
kpar_x kpar_x_constant(kpar_expression_builder *e, double value);
kpar_x kpar_x_unary(kpar_expression_builder *e, kpar_scalar_op op, kpar_x a);
kpar_x kpar_x_binary(kpar_expression_builder *e, kpar_scalar_op op, kpar_x a, kpar_x b);
kpar_x kpar_x_select(kpar_expression_builder *e, kpar_x condition, kpar_x then, kpar_x otherwise);

/* Inlines `inner` with the given instructions as its inputs; writes its outputs' indices. */
void kpar_x_inline(kpar_expression_builder *e, const kpar_expression *inner, const kpar_x *inputs,
                   kpar_x *outputs);

/* What has been built so far, of which it keeps what the outputs need; building goes on. */
const kpar_expression *kpar_expression_so_far(const kpar_expression_builder *e, kpar_arena *arena,
                                              const kpar_x *outputs, int n_outputs);

/* Ends the building, keeps what the outputs need, and frees the builder. The expression lives in `arena`. */
const kpar_expression *kpar_expression_end(kpar_expression_builder *e, kpar_arena *arena,
                                           const kpar_x *outputs, int n_outputs);

/* Shorthands used by the tables of formulas. */
/* clang-format off */
#define KPAR_X_UNARY_LIST(X)                                                                                 \
    X(neg, NEGATE) X(abs, ABSOLUTE) X(square, SQUARE) X(sqrt, SQUARE_ROOT) X(exp, EXP) X(log, LOG)           \
    X(log1p, LOG1P) X(tanh, TANH) X(sigmoid, SIGMOID) X(erf, ERF) X(sin, SINE) X(cos, COSINE)                \
    X(atan, ARC_TANGENT) X(floor, FLOOR) X(sign, SIGN) X(relu, RELU) X(stop, STOP)
#define KPAR_X_BINARY_LIST(X)                                                                                \
    X(add, ADD) X(sub, SUBTRACT) X(mul, MULTIPLY) X(div, DIVIDE) X(max, MAXIMUM) X(min, MINIMUM)             \
    X(pow, POWER) X(lt, LESS) X(le, LESS_EQUAL) X(eq, EQUAL)
/* clang-format on */
#define KPAR_X_UNARY(name, constant)                                                                         \
    static inline kpar_x kpar_x_##name(kpar_expression_builder *e, kpar_x a)                                 \
    {                                                                                                        \
        return kpar_x_unary(e, KPAR_SCALAR_##constant, a);                                                   \
    }
#define KPAR_X_BINARY(name, constant)                                                                        \
    static inline kpar_x kpar_x_##name(kpar_expression_builder *e, kpar_x a, kpar_x b)                       \
    {                                                                                                        \
        return kpar_x_binary(e, KPAR_SCALAR_##constant, a, b);                                               \
    }
KPAR_X_UNARY_LIST(KPAR_X_UNARY)
KPAR_X_BINARY_LIST(KPAR_X_BINARY)
#undef KPAR_X_UNARY
#undef KPAR_X_BINARY
static inline kpar_x kpar_x_times(kpar_expression_builder *e, kpar_x x, double factor)
{
    return kpar_x_mul(e, x, kpar_x_constant(e, factor));
}
static inline kpar_x kpar_x_plus(kpar_expression_builder *e, kpar_x x, double term)
{
    return kpar_x_add(e, x, kpar_x_constant(e, term));
}
static inline kpar_x kpar_x_clip(kpar_expression_builder *e, kpar_x x, double least, double most)
{
    return kpar_x_min(e, kpar_x_max(e, x, kpar_x_constant(e, least)), kpar_x_constant(e, most));
}

/* The derivative of output `output` with respect to each input i with wanted[i], times the seed.
 * The result has inputs {inputs of e..., outputs of e..., seed} and one output for each wanted input, in
 * order. Where a derivative is shorter in terms of the output (relu, tanh, sigmoid, exp, sqrt, quotients,
 * powers) and the instruction is itself an output, it is written so, and the result then does not use the
 * inputs it does not need.
 *
 * Where a function has a kink the derivative is TensorFlow's: relu'(0) = 0, abs'(0) = 0, a tie of max or min
 * goes to the first operand, select passes to the branch taken, floor, sign, stop and comparisons give 0, and the
 * derivative of pow by its exponent is 0 where the base is not positive. A factor that is the constant 0
 * makes a term 0 here, even times infinity: that term is absent from the sum, not computed. */
const kpar_expression *kpar_expression_derivative(const kpar_expression *e, kpar_arena *arena, int output,
                                                  const bool *wanted);

/* Whether a gradient of the output goes on to input `index`: not where `stop` is on every way between them. */
bool kpar_expression_passes(const kpar_expression *e, int output, int index);

/* Whether the expression reads its input `index`. */
bool kpar_expression_reads(const kpar_expression *e, int index);

/* inputs[n_inputs] -> outputs[n_outputs], in double; the meaning of an expression. */
void kpar_expression_evaluate(const kpar_expression *e, const double *inputs, double *outputs);

/* The meaning of one instruction. */
double kpar_scalar_evaluate(kpar_scalar_op op, double a, double b, double c);

/* A deep copy; NULL of NULL. */
const kpar_expression *kpar_expression_copy(const kpar_expression *e, kpar_arena *arena);

bool kpar_expression_equal(const kpar_expression *a, const kpar_expression *b);

/* "{2: input 0; input 1; const 0.5; mul %0 %1; add %2 %3 -> %4}": the number of inputs, the instructions, the
 * outputs. kpar_expression_parse reads it back to an equal expression and leaves *text after the closing
 * brace; KPAR_EFORMAT says what was expected and what was found. */
void kpar_expression_print(kpar_text *text, const kpar_expression *e);
kpar_status kpar_expression_parse(const char **text, kpar_arena *arena,
                                  const kpar_expression **e) KPAR_MUST_USE;

#endif
