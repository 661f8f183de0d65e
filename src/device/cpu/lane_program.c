/* From expressions to lane instructions: drop what no output needs, set uniforms apart, join pairs of
 * instructions, and give values slots of scratch memory for as long as they are needed. */
#include "device/cpu/lane_program.h"

enum { MAX_ARGUMENTS = 4 };

/* An instruction whose arguments are still scalars. */
typedef struct draft {
    int op, result; /* result: a scalar, or -1 - output: a copy to the output */
    int n_arguments, arguments[MAX_ARGUMENTS];
} draft;

typedef struct compiler {
    const kpar_expression *e;
    kpar_arena *arena;
    kpar_lane_program *program;
    bool *live, *uniform;
    int *uses;    /* how often each scalar is read */
    int *joined;  /* scalar that an instruction takes in, -1: none */
    bool *taken;  /* taken in by another instruction */
    int *output;  /* first output that is this scalar, -1: none */
    int *operand; /* operand number, -1: none yet */
    int *last_use;
    draft *drafts;
    int n_drafts;
    int *free_slots, n_free;
} compiler;

static int *filled(kpar_arena *arena, int n, int value)
{
    int *items = kpar_arena_alloc(arena, ((size_t)n + 1) * sizeof *items);
    for (int i = 0; i < n; i++) items[i] = value;
    return items;
}

/* The operands of scalar i: a, b, c as far as its op has them. */
static int operand_at(const kpar_scalar *s, int k) { return k == 0 ? s->a : k == 1 ? s->b : s->c; }

static void find_live(compiler *c)
{
    for (int i = c->e->n_outputs - 1; i >= 0; i--) {
        c->live[c->e->outputs[i]] = true;
        c->uses[c->e->outputs[i]]++;
        c->output[c->e->outputs[i]] = i;
    }
    for (int i = c->e->n_scalars - 1; i >= 0; i--) {
        const kpar_scalar *s = &c->e->scalars[i];
        if (!c->live[i]) continue;
        for (int k = 0; k < kpar_scalar_operands(s->op); k++) {
            c->live[operand_at(s, k)] = true;
            c->uses[operand_at(s, k)]++;
        }
    }
}

static void find_uniform(compiler *c, const bool *uniform_input)
{
    for (int i = 0; i < c->e->n_scalars; i++) {
        const kpar_scalar *s = &c->e->scalars[i];
        c->uniform[i] = s->op != KPAR_SCALAR_INPUT || uniform_input[s->index];
        for (int k = 0; k < kpar_scalar_operands(s->op); k++)
            c->uniform[i] = c->uniform[i] && c->uniform[operand_at(s, k)];
    }
}

/* Whether the scalar is an instruction that nothing but its one reader needs. */
static bool can_be_taken(const compiler *c, int i)
{
    const kpar_scalar_op op = c->e->scalars[i].op;
    return !c->uniform[i] && c->uses[i] == 1 && c->output[i] < 0 && c->joined[i] < 0 &&
           op != KPAR_SCALAR_INPUT;
}

/* The pair's lane op for `first` then `second`, or -1. */
static int pair_op(kpar_scalar_op first, kpar_scalar_op second, bool reversed)
{
    static const struct {
        kpar_scalar_op first, second;
        bool reversed;
        int op;
    } pairs[] = {
#define ADD_PAIR(f, s) PAIR_ROW_##s(f)
#define PAIR_ROW_ADD(f)                                                                                      \
    {KPAR_SCALAR_##f, KPAR_SCALAR_ADD, false, KPAR_LANE_##f##_ADD},                                          \
        {KPAR_SCALAR_##f, KPAR_SCALAR_ADD, true, KPAR_LANE_##f##_ADD},
#define PAIR_ROW_MULTIPLY(f)                                                                                 \
    {KPAR_SCALAR_##f, KPAR_SCALAR_MULTIPLY, false, KPAR_LANE_##f##_MULTIPLY},                                \
        {KPAR_SCALAR_##f, KPAR_SCALAR_MULTIPLY, true, KPAR_LANE_##f##_MULTIPLY},
#define PAIR_ROW_SUBTRACT(f) {KPAR_SCALAR_##f, KPAR_SCALAR_SUBTRACT, false, KPAR_LANE_##f##_SUBTRACT},
#define PAIR_ROW_DIVIDE(f) {KPAR_SCALAR_##f, KPAR_SCALAR_DIVIDE, false, KPAR_LANE_##f##_DIVIDE},
#define PAIR_ROW_REVERSE_SUBTRACT(f)                                                                         \
    {KPAR_SCALAR_##f, KPAR_SCALAR_SUBTRACT, true, KPAR_LANE_##f##_REVERSE_SUBTRACT},
#define PAIR_ROW_REVERSE_DIVIDE(f)                                                                           \
    {KPAR_SCALAR_##f, KPAR_SCALAR_DIVIDE, true, KPAR_LANE_##f##_REVERSE_DIVIDE},
        KPAR_LANE_PAIR_LIST(ADD_PAIR)
#define ADD_SELECT(f) {KPAR_SCALAR_##f, KPAR_SCALAR_SELECT, false, KPAR_LANE_##f##_SELECT},
            KPAR_LANE_SELECT_LIST(ADD_SELECT)};
    first = first == KPAR_SCALAR_SQUARE ? KPAR_SCALAR_MULTIPLY : first;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i].first == first && pairs[i].second == second && pairs[i].reversed == reversed)
            return pairs[i].op;
    return -1;
}

/* Marks the pairs: an instruction takes in the one that makes its first or second operand. */
static void join_pairs(compiler *c)
{
    for (int i = 0; i < c->e->n_scalars; i++) {
        const kpar_scalar *s = &c->e->scalars[i];
        if (!c->live[i] || c->uniform[i] || kpar_scalar_operands(s->op) < 2) continue;
        for (int k = 0; k < 2 && c->joined[i] < 0; k++) {
            int inner = operand_at(s, k);
            if (!can_be_taken(c, inner) || pair_op(c->e->scalars[inner].op, s->op, k == 1) < 0) continue;
            c->joined[i] = inner;
            c->taken[inner] = true;
        }
    }
}

static void add_argument(draft *d, int scalar) { d->arguments[d->n_arguments++] = scalar; }

static draft make_draft(const compiler *c, int i)
{
    const kpar_scalar *s = &c->e->scalars[i];
    draft d = {.op = (int)s->op, .result = i};
    const int inner = c->joined[i], operands = kpar_scalar_operands(s->op);
    if (inner < 0) {
        for (int k = 0; k < operands; k++) add_argument(&d, operand_at(s, k));
        return d;
    }
    const kpar_scalar *first = &c->e->scalars[inner];
    const bool reversed = s->a != inner;
    d.op = pair_op(first->op, s->op, reversed);
    add_argument(&d, first->a);
    add_argument(&d, first->op == KPAR_SCALAR_SQUARE ? first->a : first->b);
    add_argument(&d, reversed ? s->a : s->b);
    if (operands == 3) add_argument(&d, s->c);
    return d;
}

/* An output that no instruction writes: an input, a uniform, or what another output is as well. */
static bool needs_copy(const compiler *c, int output)
{
    const int scalar = c->e->outputs[output];
    return c->uniform[scalar] || c->e->scalars[scalar].op == KPAR_SCALAR_INPUT || c->output[scalar] != output;
}

static void make_drafts(compiler *c)
{
    const size_t most = (size_t)c->e->n_scalars + (size_t)c->e->n_outputs;
    c->drafts = kpar_arena_alloc(c->arena, (most + 1) * sizeof *c->drafts);
    for (int i = 0; i < c->e->n_scalars; i++)
        if (c->live[i] && !c->uniform[i] && !c->taken[i] && c->e->scalars[i].op != KPAR_SCALAR_INPUT)
            c->drafts[c->n_drafts++] = make_draft(c, i);
    for (int i = 0; i < c->e->n_outputs; i++)
        if (needs_copy(c, i))
            c->drafts[c->n_drafts++] = (draft){
                .op = KPAR_LANE_COPY, .result = -1 - i, .n_arguments = 1, .arguments = {c->e->outputs[i]}};
    for (int i = 0; i < c->n_drafts; i++)
        for (int k = 0; k < c->drafts[i].n_arguments; k++) c->last_use[c->drafts[i].arguments[k]] = i;
}

static int uniform_operand(compiler *c, int scalar)
{
    kpar_lane_program *p = c->program;
    p->uniforms[p->n_uniforms] = scalar;
    return p->n_inputs + p->n_outputs + p->n_uniforms++;
}

/* Slots are numbered from the most negative int on until the number of uniforms is known. */
enum { SLOT = -1000000000 };

static int argument_operand(compiler *c, int scalar, int at)
{
    const kpar_scalar *s = &c->e->scalars[scalar];
    if (s->op == KPAR_SCALAR_INPUT && !c->uniform[scalar]) {
        c->program->last_read[s->index] = at;
        return s->index;
    }
    if (c->uniform[scalar] && c->operand[scalar] < 0) c->operand[scalar] = uniform_operand(c, scalar);
    return c->operand[scalar];
}

static int result_operand(compiler *c, const draft *d, int at)
{
    const int output = d->result < 0 ? -1 - d->result : c->output[d->result];
    int operand;
    if (output >= 0) {
        c->program->written[output] = at;
        operand = c->program->n_inputs + output;
    } else {
        operand = SLOT + (c->n_free ? c->free_slots[--c->n_free] : c->program->n_slots++);
    }
    if (d->result >= 0) c->operand[d->result] = operand;
    return operand;
}

static void free_slots(compiler *c, const draft *d, int at)
{
    for (int k = 0; k < d->n_arguments; k++) {
        const int scalar = d->arguments[k];
        bool again = false;
        for (int earlier = 0; earlier < k; earlier++) again = again || d->arguments[earlier] == scalar;
        const int operand = c->operand[scalar];
        if (!again && c->last_use[scalar] == at && operand < -1) c->free_slots[c->n_free++] = operand - SLOT;
    }
}

static void emit(compiler *c, int at)
{
    const draft *d = &c->drafts[at];
    kpar_lane_code *code = &c->program->code[at];
    int arguments[MAX_ARGUMENTS];
    for (int k = 0; k < MAX_ARGUMENTS; k++)
        arguments[k] = argument_operand(c, d->arguments[k < d->n_arguments ? k : 0], at);
    free_slots(c, d, at);
    *code = (kpar_lane_code){.op = d->op,
                             .out = result_operand(c, d, at),
                             .a = arguments[0],
                             .b = arguments[1],
                             .c = arguments[2],
                             .d = arguments[3]};
}

static void number_slots(kpar_lane_program *p)
{
    const int first = p->n_inputs + p->n_outputs + p->n_uniforms;
    for (int i = 0; i < p->n_code; i++) {
        int *operands[] = {&p->code[i].out, &p->code[i].a, &p->code[i].b, &p->code[i].c, &p->code[i].d};
        for (int k = 0; k < 5; k++)
            if (*operands[k] < 0) *operands[k] += first - SLOT;
    }
}

/* Whether an instruction takes so long for each element that memory can be fetched meanwhile. */
static bool is_slow(int op)
{
    switch (op) {
    case KPAR_SCALAR_DIVIDE:
    case KPAR_SCALAR_SQUARE_ROOT:
    case KPAR_SCALAR_POWER:
    case KPAR_SCALAR_EXP:
    case KPAR_SCALAR_LOG:
    case KPAR_SCALAR_LOG1P:
    case KPAR_SCALAR_TANH:
    case KPAR_SCALAR_SIGMOID:
    case KPAR_SCALAR_ERF:
    case KPAR_SCALAR_SINE:
    case KPAR_SCALAR_COSINE:
    case KPAR_SCALAR_ARC_TANGENT:
    case KPAR_LANE_ADD_DIVIDE:
    case KPAR_LANE_ADD_REVERSE_DIVIDE:
    case KPAR_LANE_SUBTRACT_DIVIDE:
    case KPAR_LANE_SUBTRACT_REVERSE_DIVIDE:
    case KPAR_LANE_MULTIPLY_DIVIDE:
    case KPAR_LANE_MULTIPLY_REVERSE_DIVIDE:
        return true;
    default:
        return false;
    }
}

/* Deals out the fetching of inputs to the slow instructions. Without it an optimizer waits for memory and for its square
 * root and division in turn: a processor fetches ahead by itself only while a stream is read. */
static void deal_fetches(kpar_lane_program *p)
{
    int n_slow = 0, k = 0;
    for (int i = 0; i < p->n_code; i++) n_slow += is_slow(p->code[i].op);
    for (int i = 0; i < p->n_code; i++) {
        if (!is_slow(p->code[i].op)) continue;
        p->code[i].fetch = p->n_inputs * k / n_slow;
        p->code[i].n_fetch = p->n_inputs * (k + 1) / n_slow - p->code[i].fetch;
        k++;
    }
}

kpar_lane_program *kpar_lane_compile(const kpar_expression *e, const bool *uniform_input, kpar_arena *arena)
{
    const int n = e->n_scalars;
    kpar_lane_program *p = kpar_arena_alloc(arena, sizeof *p);
    compiler c = {.e = e,
                  .arena = arena,
                  .program = p,
                  .live = kpar_arena_alloc(arena, (size_t)n + 1),
                  .uniform = kpar_arena_alloc(arena, (size_t)n + 1),
                  .taken = kpar_arena_alloc(arena, (size_t)n + 1),
                  .uses = filled(arena, n, 0),
                  .joined = filled(arena, n, -1),
                  .output = filled(arena, n, -1),
                  .operand = filled(arena, n, -1),
                  .last_use = filled(arena, n, -1),
                  .free_slots = filled(arena, n, 0)};
    *p = (kpar_lane_program){.n_inputs = e->n_inputs,
                             .n_outputs = e->n_outputs,
                             .uniforms = filled(arena, n, 0),
                             .last_read = filled(arena, e->n_inputs, -1),
                             .written = filled(arena, e->n_outputs, 0),
                             .uniform = c.uniform};
    find_live(&c);
    find_uniform(&c, uniform_input);
    join_pairs(&c);
    make_drafts(&c);
    p->n_code = c.n_drafts;
    p->code = kpar_arena_alloc(arena, ((size_t)p->n_code + 1) * sizeof *p->code);
    for (int i = 0; i < p->n_code; i++) emit(&c, i);
    number_slots(p);
    deal_fetches(p);
    return p;
}
