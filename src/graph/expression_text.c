/* Expressions as text, both ways: "{2: input 0; input 1; mul %0 %1 -> %2}". */
#include "graph/expression.h"

#include "base/number.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

static void print_scalar(kpar_text *text, const kpar_scalar *s)
{
    kpar_text_printf(text, "%s", kpar_scalar_name(s->op));
    if (s->op == KPAR_SCALAR_INPUT) kpar_text_printf(text, " %d", s->index);
    if (s->op == KPAR_SCALAR_CONSTANT) {
        kpar_text_printf(text, " ");
        kpar_text_number(text, s->value);
    }
    const int operands[] = {s->a, s->b, s->c};
    for (int i = 0; i < kpar_scalar_operands(s->op); i++) kpar_text_printf(text, " %%%d", operands[i]);
}

void kpar_expression_print(kpar_text *text, const kpar_expression *e)
{
    kpar_text_printf(text, "{%d:", e->n_inputs);
    for (int i = 0; i < e->n_scalars; i++) {
        kpar_text_printf(text, i ? "; " : " ");
        print_scalar(text, &e->scalars[i]);
    }
    kpar_text_printf(text, " ->");
    for (int i = 0; i < e->n_outputs; i++) kpar_text_printf(text, " %%%d", e->outputs[i]);
    kpar_text_printf(text, "}");
}

typedef struct reader {
    const char *at;
    int n_inputs;
    kpar_scalar *scalars;
    int *outputs;
    size_t n_scalars, scalars_capacity, n_outputs, outputs_capacity;
} reader;

static void skip_space(reader *r)
{
    while (isspace((unsigned char)*r->at)) r->at++;
}

static kpar_status expected(const reader *r, const char *what)
{
    if (!*r->at) return kpar_fail(KPAR_EFORMAT, "expression: expected %s, found the end of the text", what);
    return kpar_fail(KPAR_EFORMAT, "expression: expected %s, found '%.20s'", what, r->at);
}

/* Goes past `token` if it comes next. */
static bool accept(reader *r, const char *token)
{
    skip_space(r);
    size_t length = strlen(token);
    if (strncmp(r->at, token, length) != 0) return false;
    r->at += length;
    return true;
}

static kpar_status read_token(reader *r, const char *token)
{
    return accept(r, token) ? KPAR_OK : expected(r, token);
}

/* A number in [0, limit). */
static kpar_status read_index(reader *r, const char *what, int limit, int *index)
{
    skip_space(r);
    const char *end = r->at;
    long long value = 0;
    while (isdigit((unsigned char)*end) && value < INT_MAX) value = value * 10 + (*end++ - '0');
    if (end == r->at || value >= limit) return expected(r, what);
    r->at = end;
    *index = (int)value;
    return KPAR_OK;
}

/* "%3": an instruction that is already there. */
static kpar_status read_operand(reader *r, int *operand)
{
    KPAR_TRY(read_token(r, "%"));
    return read_index(r, "the number of an earlier instruction", (int)r->n_scalars, operand);
}

static kpar_status read_op(reader *r, kpar_scalar_op *op)
{
    skip_space(r);
    size_t length = 0;
    while (islower((unsigned char)r->at[length]) || isdigit((unsigned char)r->at[length])) length++;
    for (int i = 0; i < KPAR_SCALAR_COUNT; i++) {
        const char *name = kpar_scalar_name((kpar_scalar_op)i);
        if (strlen(name) != length || strncmp(name, r->at, length) != 0) continue;
        *op = (kpar_scalar_op)i;
        r->at += length;
        return KPAR_OK;
    }
    return expected(r, "the name of a scalar instruction");
}

static kpar_status read_constant(reader *r, double *value)
{
    skip_space(r);
    return kpar_parse_number(r->at, &r->at, value) ? KPAR_OK : expected(r, "a number");
}

static kpar_status read_scalar(reader *r)
{
    kpar_scalar s = {.op = KPAR_SCALAR_INPUT};
    KPAR_TRY(read_op(r, &s.op));
    if (s.op == KPAR_SCALAR_INPUT) KPAR_TRY(read_index(r, "the number of an input", r->n_inputs, &s.index));
    if (s.op == KPAR_SCALAR_CONSTANT) KPAR_TRY(read_constant(r, &s.value));
    int *operands[] = {&s.a, &s.b, &s.c};
    for (int i = 0; i < kpar_scalar_operands(s.op); i++) KPAR_TRY(read_operand(r, operands[i]));
    KPAR_PUSH(r->scalars, r->n_scalars, r->scalars_capacity) = s;
    return KPAR_OK;
}

static kpar_status read_expression(reader *r)
{
    KPAR_TRY(read_token(r, "{"));
    KPAR_TRY(read_index(r, "the number of inputs", INT_MAX, &r->n_inputs));
    KPAR_TRY(read_token(r, ":"));
    if (!accept(r, "->")) {
        do KPAR_TRY(read_scalar(r));
        while (accept(r, ";"));
        KPAR_TRY(read_token(r, "->"));
    }
    while (!accept(r, "}")) {
        int output;
        KPAR_TRY(read_operand(r, &output));
        KPAR_PUSH(r->outputs, r->n_outputs, r->outputs_capacity) = output;
    }
    return KPAR_OK;
}

kpar_status kpar_expression_parse(const char **text, kpar_arena *arena, const kpar_expression **e)
{
    reader r = {.at = *text};
    kpar_status status = read_expression(&r);
    if (status == KPAR_OK) {
        kpar_expression made = {r.n_inputs, (int)r.n_outputs, (int)r.n_scalars,
                                kpar_arena_copy(arena, r.scalars, r.n_scalars * sizeof *r.scalars),
                                kpar_arena_copy(arena, r.outputs, r.n_outputs * sizeof *r.outputs)};
        *e = kpar_arena_copy(arena, &made, sizeof made);
        *text = r.at;
    }
    kpar_free(r.scalars);
    kpar_free(r.outputs);
    return status;
}
