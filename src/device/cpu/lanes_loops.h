/* The body of kpar_lanes_run_f32 and _f64: REAL is the element's type, RUN the function's name, CLONES that of its
 * clones, FUNCTION(name) an elementary function of it. Included once by each. */

#define FOR_LANES(value)                                                                                     \
    for (size_t i = 0; i < part; i++, out += KPAR_LANES, a += sa, b += sb, c += sc, d += sd)                 \
        KPAR_STORE_LANES(REAL, out, j, value)                                                                \
    break;
#define SCALAR(name, value)                                                                                  \
    case KPAR_SCALAR_##name:                                                                                 \
        FOR_LANES(value)

#define AFTER_ADD(x, y) ((x) + (y))
#define AFTER_SUBTRACT(x, y) ((x) - (y))
#define AFTER_MULTIPLY(x, y) ((x) * (y))
#define AFTER_DIVIDE(x, y) ((x) / (y))
#define AFTER_REVERSE_SUBTRACT(x, y) ((y) - (x))
#define AFTER_REVERSE_DIVIDE(x, y) ((y) / (x))
#define PAIR(first, second)                                                                                  \
    case KPAR_LANE_##first##_##second:                                                                       \
        FOR_LANES(AFTER_##second(AFTER_##first(a[j], b[j]), c[j]))

#define IF_LESS(x, y) ((x) < (y))
#define IF_LESS_EQUAL(x, y) ((x) <= (y))
#define IF_EQUAL(x, y) ((x) == (y))
#define COMPARE_SELECT(first)                                                                                \
    case KPAR_LANE_##first##_SELECT:                                                                         \
        FOR_LANES(choose(IF_##first(a[j], b[j]), c[j], d[j]))

static inline REAL choose(int condition, REAL x, REAL y) { return condition ? x : y; }

/* Groups after which an instruction that fetches fetches again: more lines at once than a core can have under way would
 * stop it. */
enum { FETCH_GROUPS = 4 };

/* Asks for groups [first, first + n) of the next blocks. */
static inline void fetch_next(const kpar_lane_code *code, const kpar_lane_operand *operands, size_t first,
                              size_t n)
{
    for (const kpar_lane_operand *o = operands + code->fetch, *end = o + code->n_fetch; o < end; o++)
        for (size_t i = first; o->next && i < first + n; i++)
            __builtin_prefetch((const REAL *)o->next + i * KPAR_LANES);
}

KPAR_CLONES static void CLONES(const kpar_lane_code *code, int n, const kpar_lane_operand *operands,
                               size_t groups)
{
    for (const kpar_lane_code *end = code + n; code < end; code++) {
        REAL *out = operands[code->out].at;
        const REAL *a = operands[code->a].at, *b = operands[code->b].at, *c = operands[code->c].at,
                   *d = operands[code->d].at;
        const size_t sa = operands[code->a].step, sb = operands[code->b].step, sc = operands[code->c].step,
                     sd = operands[code->d].step;
        for (size_t done = 0, part = code->n_fetch ? FETCH_GROUPS : groups; done < groups; done += part) {
            if (part > groups - done) part = groups - done;
            fetch_next(code, operands, done, part);
            switch (code->op) {
                SCALAR(ADD, a[j] + b[j])
                SCALAR(SUBTRACT, a[j] - b[j])
                SCALAR(MULTIPLY, a[j] * b[j])
                SCALAR(DIVIDE, a[j] / b[j])
                SCALAR(MAXIMUM, ((a[j] >= b[j]) | (a[j] != a[j])) ? a[j] : b[j])
                SCALAR(MINIMUM, ((a[j] <= b[j]) | (a[j] != a[j])) ? a[j] : b[j])
                SCALAR(POWER, FUNCTION(pow)(a[j], b[j]))
                SCALAR(NEGATE, -a[j])
                SCALAR(ABSOLUTE, FUNCTION(absolute)(a[j]))
                SCALAR(SQUARE, a[j] * a[j])
                SCALAR(SQUARE_ROOT, FUNCTION(sqrt)(a[j]))
                SCALAR(EXP, FUNCTION(exp)(a[j]))
                SCALAR(LOG, FUNCTION(log)(a[j]))
                SCALAR(LOG1P, FUNCTION(log1p)(a[j]))
                SCALAR(TANH, FUNCTION(tanh)(a[j]))
                SCALAR(SIGMOID, FUNCTION(sigmoid)(a[j]))
                SCALAR(ERF, FUNCTION(erf)(a[j]))
                SCALAR(SINE, FUNCTION(sin)(a[j]))
                SCALAR(COSINE, FUNCTION(cos)(a[j]))
                SCALAR(ARC_TANGENT, FUNCTION(atan)(a[j]))
                SCALAR(FLOOR, FUNCTION(floor)(a[j]))
                SCALAR(SIGN, (REAL)((a[j] > 0) - (a[j] < 0)))
                SCALAR(RELU, ((a[j] > 0) | (a[j] != a[j])) ? a[j] : 0)
                SCALAR(LESS, (REAL)(a[j] < b[j]))
                SCALAR(LESS_EQUAL, (REAL)(a[j] <= b[j]))
                SCALAR(EQUAL, (REAL)(a[j] == b[j]))
                SCALAR(SELECT, choose(a[j] != 0, b[j], c[j]))
            case KPAR_SCALAR_STOP:
            case KPAR_LANE_COPY:
                FOR_LANES(a[j])
                KPAR_LANE_PAIR_LIST(PAIR)
                KPAR_LANE_SELECT_LIST(COMPARE_SELECT)
            }
        }
    }
}

void RUN(const kpar_lane_code *code, int n, const kpar_lane_operand *operands, size_t groups)
{
    CLONES(code, n, operands, groups);
}
