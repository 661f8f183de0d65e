/* Expressions: the table of scalar instructions, their meaning in double, and questions about a finished
 * list. */
#include "graph/expression.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    int operands;
} scalar_ops[KPAR_SCALAR_COUNT] = {
#define KPAR_SCALAR_ROW(constant, name, operands) {name, operands},
    KPAR_SCALAR_LIST(KPAR_SCALAR_ROW)
#undef KPAR_SCALAR_ROW
};

int kpar_scalar_operands(kpar_scalar_op op) { return scalar_ops[op].operands; }

const char *kpar_scalar_name(kpar_scalar_op op) { return scalar_ops[op].name; }

double kpar_scalar_evaluate(kpar_scalar_op op, double a, double b, double c)
{
    switch (op) {
    case KPAR_SCALAR_ADD:
        return a + b;
    case KPAR_SCALAR_SUBTRACT:
        return a - b;
    case KPAR_SCALAR_MULTIPLY:
        return a * b;
    case KPAR_SCALAR_DIVIDE:
        return a / b;
    case KPAR_SCALAR_MAXIMUM:
        return a >= b || isnan(a) ? a : b; /* a NaN in b fails a >= b */
    case KPAR_SCALAR_MINIMUM:
        return a <= b || isnan(a) ? a : b;
    case KPAR_SCALAR_POWER:
        return pow(a, b);
    case KPAR_SCALAR_NEGATE:
        return -a;
    case KPAR_SCALAR_ABSOLUTE:
        return fabs(a);
    case KPAR_SCALAR_SQUARE:
        return a * a;
    case KPAR_SCALAR_SQUARE_ROOT:
        return sqrt(a);
    case KPAR_SCALAR_EXP:
        return exp(a);
    case KPAR_SCALAR_LOG:
        return log(a);
    case KPAR_SCALAR_LOG1P:
        return log1p(a);
    case KPAR_SCALAR_TANH:
        return tanh(a);
    case KPAR_SCALAR_SIGMOID:
        return 1 / (1 + exp(-a));
    case KPAR_SCALAR_ERF:
        return erf(a);
    case KPAR_SCALAR_SINE:
        return sin(a);
    case KPAR_SCALAR_COSINE:
        return cos(a);
    case KPAR_SCALAR_ARC_TANGENT:
        return atan(a);
    case KPAR_SCALAR_FLOOR:
        return floor(a);
    case KPAR_SCALAR_SIGN:
        return (a > 0) - (a < 0);
    case KPAR_SCALAR_RELU:
        return a > 0 || isnan(a) ? a : 0;
    case KPAR_SCALAR_STOP:
        return a;
    case KPAR_SCALAR_LESS:
        return a < b;
    case KPAR_SCALAR_LESS_EQUAL:
        return a <= b;
    case KPAR_SCALAR_EQUAL:
        return a == b;
    case KPAR_SCALAR_SELECT:
        return a != 0 ? b : c;
    case KPAR_SCALAR_INPUT:
    case KPAR_SCALAR_CONSTANT:
    case KPAR_SCALAR_COUNT:
        break;
    }
    return NAN; /* inputs and constants have no operands to compute from */
}

static double evaluate_one(const kpar_scalar *s, const double *inputs, const double *values)
{
    if (s->op == KPAR_SCALAR_INPUT) return inputs[s->index];
    if (s->op == KPAR_SCALAR_CONSTANT) return s->value;
    return kpar_scalar_evaluate(s->op, values[s->a], values[s->b], values[s->c]);
}

void kpar_expression_evaluate(const kpar_expression *e, const double *inputs, double *outputs)
{
    enum { ON_STACK = 64 };
    double few[ON_STACK];
    double *values = e->n_scalars <= ON_STACK ? few : kpar_alloc((size_t)e->n_scalars * sizeof *values);
    for (int i = 0; i < e->n_scalars; i++) values[i] = evaluate_one(&e->scalars[i], inputs, values);
    for (int i = 0; i < e->n_outputs; i++) outputs[i] = values[e->outputs[i]];
    if (values != few) kpar_free(values);
}

bool kpar_expression_reads(const kpar_expression *e, int index)
{
    for (int i = 0; i < e->n_scalars; i++)
        if (e->scalars[i].op == KPAR_SCALAR_INPUT && e->scalars[i].index == index) return true;
    return false;
}

/* 0 and -0 differ; one NaN is as good as another. */
static bool same_number(double a, double b)
{
    return isnan(a) ? isnan(b) : a == b && signbit(a) == signbit(b);
}

static bool same_scalar(const kpar_scalar *a, const kpar_scalar *b)
{
    if (a->op != b->op) return false;
    if (a->op == KPAR_SCALAR_INPUT) return a->index == b->index;
    if (a->op == KPAR_SCALAR_CONSTANT) return same_number(a->value, b->value);
    return a->a == b->a && a->b == b->b && a->c == b->c;
}

const kpar_expression *kpar_expression_copy(const kpar_expression *e, kpar_arena *arena)
{
    if (!e) return NULL;
    kpar_expression *copy = kpar_arena_copy(arena, e, sizeof *e);
    copy->scalars = kpar_arena_copy(arena, e->scalars, (size_t)e->n_scalars * sizeof *e->scalars);
    copy->outputs = kpar_arena_copy(arena, e->outputs, (size_t)e->n_outputs * sizeof *e->outputs);
    return copy;
}

bool kpar_expression_equal(const kpar_expression *a, const kpar_expression *b)
{
    if (a->n_inputs != b->n_inputs || a->n_outputs != b->n_outputs || a->n_scalars != b->n_scalars)
        return false;
    for (int i = 0; i < a->n_scalars; i++)
        if (!same_scalar(&a->scalars[i], &b->scalars[i])) return false;
    return a->n_outputs == 0 ||
           memcmp(a->outputs, b->outputs, (size_t)a->n_outputs * sizeof *a->outputs) == 0;
}
