/* The evaluator: uniforms once, then blocks. Of a block, inputs of the right type and shape are read where they
 * are, what is the same for all blocks is put into scratch memory once, others are gathered and converted there for each;
 * outputs are written where they belong, or, if an input that is still needed lies there, into scratch memory first. */
#include "device/cpu/evaluator.h"

#include "device/cpu/lane_program.h"
#include "device/cpu/operands.h"
#include "device/cpu/parallel.h"
#include "device/cpu/vector.h"

#include <string.h>

/* Elements of a block at most: a block of all operands of an optimizer fits a first cache of 32 KiB. */
enum { BLOCK = KPAR_PIECE };

/* Blocks worth a second thread. */
enum { BLOCKS_A_THREAD = 16 };

struct kpar_evaluator {
    kpar_arena *arena;
    const kpar_expression *e;
    kpar_lane_program *program;
    kpar_dtype type; /* F32 or F64: what is computed in */
    size_t bytes;    /* of an element of it */
    int64_t count;
    int64_t block; /* elements of one */
    int n_given;   /* inputs that the caller gives; the rest are the outputs' old values */
    kpar_operand_input *inputs;
    kpar_dtype *output_types;
    double *values;       /* of uniform scalars */
    void **sources;       /* the inputs of a run */
    void *const *targets; /* the outputs of a run; NULL: each piece has its own */
    bool *indirect;       /* outputs that go through scratch memory in this run */
    int threads;
    kpar_lane_operand **operands; /* a table for each thread */
    void *memory;                 /* uniforms, then each thread's scratch blocks */
};

/* e with outputs that are added to further inputs. */
static const kpar_expression *with_accumulation(const kpar_expression *e, kpar_arena *arena)
{
    const int n = e->n_scalars;
    kpar_expression *sum = kpar_arena_alloc(arena, sizeof *sum);
    kpar_scalar *scalars = kpar_arena_alloc(arena, ((size_t)n + 2 * (size_t)e->n_outputs) * sizeof *scalars);
    int *outputs = kpar_arena_alloc(arena, (size_t)e->n_outputs * sizeof *outputs);
    memcpy(scalars, e->scalars, (size_t)n * sizeof *scalars);
    for (int i = 0; i < e->n_outputs; i++) {
        scalars[n + 2 * i] = (kpar_scalar){.op = KPAR_SCALAR_INPUT, .index = e->n_inputs + i};
        scalars[n + 2 * i + 1] = (kpar_scalar){.op = KPAR_SCALAR_ADD, .a = n + 2 * i, .b = e->outputs[i]};
        outputs[i] = n + 2 * i + 1;
    }
    *sum =
        (kpar_expression){e->n_inputs + e->n_outputs, e->n_outputs, n + 2 * e->n_outputs, scalars, outputs};
    return sum;
}

/* Whether every value of the type is one of float. */
static bool fits_float(kpar_dtype dtype) { return dtype == KPAR_F32 || kpar_dtype_bytes(dtype) < 4; }

static kpar_dtype computing_type(const kpar_evaluator *v, const kpar_tensor_spec *inputs,
                                 const kpar_tensor_spec *outputs)
{
    bool floats = true;
    for (int i = 0; i < v->n_given; i++)
        floats = floats && (kpar_tensor_count(&inputs[i]) == 1 || fits_float(inputs[i].dtype));
    for (int i = 0; i < v->e->n_outputs; i++) floats = floats && fits_float(outputs[i].dtype);
    return floats ? KPAR_F32 : KPAR_F64;
}

static void describe(kpar_evaluator *v, const kpar_tensor_spec *inputs, const kpar_tensor_spec *outputs,
                     int64_t unit)
{
    const int n = v->e->n_inputs;
    v->count = kpar_tensor_count(&outputs[0]);
    v->type = computing_type(v, inputs, outputs);
    v->bytes = kpar_dtype_bytes(v->type);
    v->inputs = kpar_arena_alloc(v->arena, ((size_t)n + 1) * sizeof *v->inputs);
    v->output_types = kpar_arena_alloc(v->arena, (size_t)v->e->n_outputs * sizeof *v->output_types);
    for (int i = 0; i < n; i++)
        kpar_operand_describe(&v->inputs[i], i < v->n_given ? &inputs[i] : &outputs[i - v->n_given],
                              &outputs[0], v->type);
    v->block = kpar_operands_block(v->inputs, n, BLOCK, KPAR_LANES, unit);
    for (int i = 0; i < v->e->n_outputs; i++) v->output_types[i] = outputs[i].dtype;
}

static void compile(kpar_evaluator *v)
{
    bool *uniform = kpar_arena_alloc(v->arena, (size_t)v->e->n_inputs + 1);
    for (int i = 0; i < v->e->n_inputs; i++) uniform[i] = v->inputs[i].how == KPAR_READ_UNIFORM;
    v->program = kpar_lane_compile(v->e, uniform, v->arena);
    v->values = kpar_arena_alloc(v->arena, ((size_t)v->e->n_scalars + 1) * sizeof *v->values);
    v->sources = kpar_arena_alloc(v->arena, ((size_t)v->e->n_inputs + 1) * sizeof *v->sources);
    v->indirect = kpar_arena_alloc(v->arena, (size_t)v->e->n_outputs);
}

/* Tables of operands: uniforms are shared, every other operand has a block of scratch memory a thread. */
static kpar_status lay_out(kpar_evaluator *v)
{
    const kpar_lane_program *p = v->program;
    const int first_uniform = p->n_inputs + p->n_outputs, first_slot = first_uniform + p->n_uniforms,
              n = first_slot + p->n_slots;
    const size_t uniform_bytes = KPAR_LANES * v->bytes, block_bytes = BLOCK * v->bytes;
    const size_t blocks = (size_t)(n - p->n_uniforms) * (size_t)v->threads;
    KPAR_TRY(kpar_try_alloc((size_t)p->n_uniforms * uniform_bytes + blocks * block_bytes + 1,
                            "the blocks of an expression", &v->memory));
    char *next = (char *)v->memory + (size_t)p->n_uniforms * uniform_bytes;
    v->operands = kpar_arena_alloc(v->arena, (size_t)v->threads * sizeof *v->operands);
    for (int t = 0; t < v->threads; t++) {
        v->operands[t] = kpar_arena_alloc(v->arena, ((size_t)n + 1) * sizeof **v->operands);
        for (int i = 0; i < n; i++) {
            const bool uniform = i >= first_uniform && i < first_slot;
            const bool one = uniform || (i < p->n_inputs && v->inputs[i].how == KPAR_READ_SPREAD);
            char *at = uniform ? (char *)v->memory + (size_t)(i - first_uniform) * uniform_bytes : next;
            v->operands[t][i] = (kpar_lane_operand){at, one ? 0 : KPAR_LANES, NULL};
            next += uniform ? 0 : block_bytes;
        }
    }
    return KPAR_OK;
}

kpar_status kpar_evaluator_create(const kpar_expression *e, const kpar_tensor_spec *inputs,
                                  const kpar_tensor_spec *outputs, bool accumulate, int64_t unit, int threads,
                                  kpar_evaluator **evaluator)
{
    kpar_arena *arena = kpar_arena_create();
    kpar_evaluator *v = kpar_arena_alloc(arena, sizeof *v);
    v->arena = arena;
    v->e = accumulate ? with_accumulation(e, arena) : kpar_expression_copy(e, arena);
    v->n_given = e->n_inputs;
    describe(v, inputs, outputs, unit);
    compile(v);
    const int64_t useful = v->count / (v->block * BLOCKS_A_THREAD) + 1;
    v->threads = threads < useful ? threads : (int)useful;
    kpar_status status = lay_out(v);
    if (status != KPAR_OK) {
        kpar_evaluator_destroy(v);
        return status;
    }
    *evaluator = v;
    return KPAR_OK;
}

void kpar_evaluator_destroy(kpar_evaluator *evaluator)
{
    if (!evaluator) return;
    kpar_free_aligned(evaluator->memory);
    kpar_arena_destroy(evaluator->arena);
}

static double value_of_input(const kpar_evaluator *v, int input)
{
    double value;
    kpar_convert(&value, KPAR_F64, v->sources[input], v->inputs[input].dtype, 1);
    return value;
}

/* Uniform scalars in double; those that instructions read, repeated in the computing type. */
static void compute_uniforms(kpar_evaluator *v)
{
    const kpar_lane_program *p = v->program;
    for (int i = 0; i < v->e->n_scalars; i++) {
        const kpar_scalar *s = &v->e->scalars[i];
        if (!p->uniform[i]) continue;
        v->values[i] = s->op == KPAR_SCALAR_INPUT ? value_of_input(v, s->index)
                       : s->op == KPAR_SCALAR_CONSTANT
                           ? s->value
                           : kpar_scalar_evaluate(s->op, v->values[s->a], v->values[s->b], v->values[s->c]);
    }
    for (int u = 0; u < p->n_uniforms; u++) {
        void *at = v->operands[0][p->n_inputs + p->n_outputs + u].at;
        const double value = v->values[p->uniforms[u]];
        for (int j = 0; j < KPAR_LANES; j++)
            if (v->type == KPAR_F32)
                ((float *)at)[j] = (float)value;
            else
                ((double *)at)[j] = value;
    }
}

/* Outputs that cannot be written in place: of another type, or where an input lies that is read again later. */
static void find_indirect(kpar_evaluator *v)
{
    const kpar_lane_program *p = v->program;
    for (int o = 0; o < p->n_outputs; o++) {
        v->indirect[o] = v->output_types[o] != v->type;
        for (int i = 0; v->targets && i < p->n_inputs; i++)
            if (v->inputs[i].how == KPAR_READ_DIRECT && v->sources[i] == v->targets[o] &&
                p->last_read[i] > p->written[o])
                v->indirect[o] = true;
    }
}

/* What a part of the blocks works with: the thread's table, and its scratch blocks. */
typedef struct block_worker {
    kpar_lane_operand *operands;
    char *scratch; /* of input 0; the others follow, then the outputs' */
} block_worker;

static char *scratch_of(const kpar_evaluator *v, const block_worker *w, int operand)
{
    return w->scratch + (size_t)operand * BLOCK * v->bytes;
}

/* What is the same for all blocks. */
static void load_tiles(const kpar_evaluator *v, const block_worker *w)
{
    for (int i = 0; i < v->program->n_inputs; i++) {
        if (v->inputs[i].how != KPAR_READ_TILED) continue;
        w->operands[i].at = scratch_of(v, w, i);
        kpar_operand_gather(&v->inputs[i], v->sources[i], w->operands[i].at, v->type, 0, v->block);
    }
}

/* Where a block of input i lies; it is put together there if need be. */
static void *block_of_input(const kpar_evaluator *v, const block_worker *w, int i, int64_t first, int64_t n)
{
    const kpar_operand_input *in = &v->inputs[i];
    char *scratch = scratch_of(v, w, i), *source = v->sources[i];
    if (in->how == KPAR_READ_SLICED) return source + (size_t)kpar_operand_slice(in, first) * v->bytes;
    if (in->how == KPAR_READ_DIRECT && n % KPAR_LANES == 0) return source + (size_t)first * v->bytes;
    if (in->how == KPAR_READ_DIRECT)
        memcpy(scratch, source + (size_t)first * v->bytes, (size_t)n * v->bytes);
    else
        kpar_operand_gather(in, source, scratch, v->type, first,
                            in->how == KPAR_READ_SPREAD ? KPAR_LANES : n);
    return scratch;
}

static void load_block(const kpar_evaluator *v, const block_worker *w, int64_t first, int64_t n)
{
    for (int i = 0; i < v->program->n_inputs; i++) {
        const kpar_reading how = v->inputs[i].how;
        if (how == KPAR_READ_UNIFORM || how == KPAR_READ_TILED || v->program->last_read[i] < 0) continue;
        w->operands[i].at = block_of_input(v, w, i, first, n);
        w->operands[i].next = how == KPAR_READ_DIRECT && first + 2 * v->block <= v->count
                                  ? (char *)v->sources[i] + (size_t)(first + v->block) * v->bytes
                                  : NULL;
    }
}

/* Whether a block of output o is computed in scratch memory. */
static bool through_scratch(const kpar_evaluator *v, int o, int64_t n)
{
    return v->indirect[o] || n % KPAR_LANES;
}

/* Where n elements of output o are to be, from its element `at` on. */
static char *target_at(const kpar_evaluator *v, void *const *targets, int o, int64_t at)
{
    return (char *)targets[o] + (size_t)at * kpar_dtype_bytes(v->output_types[o]);
}

static void place_outputs(const kpar_evaluator *v, const block_worker *w, void *const *targets, int64_t at,
                          int64_t n)
{
    const int inputs = v->program->n_inputs;
    for (int o = 0; o < v->program->n_outputs; o++)
        w->operands[inputs + o].at =
            through_scratch(v, o, n) ? scratch_of(v, w, inputs + o) : target_at(v, targets, o, at);
}

static void store_block(const kpar_evaluator *v, const block_worker *w, void *const *targets, int64_t at,
                        int64_t n)
{
    for (int o = 0; o < v->program->n_outputs; o++) {
        const void *computed = w->operands[v->program->n_inputs + o].at;
        char *target = target_at(v, targets, o, at);
        if (!through_scratch(v, o, n)) continue;
        if (v->output_types[o] == v->type)
            memcpy(target, computed, (size_t)n * v->bytes);
        else
            kpar_convert(target, v->output_types[o], computed, v->type, (size_t)n);
    }
}

/* Elements first .. first + n - 1, to the targets' elements from `at` on. */
static void run_block(const kpar_evaluator *v, const block_worker *w, int64_t first, int64_t n,
                      void *const *targets, int64_t at)
{
    const kpar_lane_program *p = v->program;
    const size_t groups = (size_t)(n + KPAR_LANES - 1) / KPAR_LANES;
    load_block(v, w, first, n);
    place_outputs(v, w, targets, at, n);
    (v->type == KPAR_F32 ? kpar_lanes_run_f32 : kpar_lanes_run_f64)(p->code, p->n_code, w->operands, groups);
    store_block(v, w, targets, at, n);
}

static block_worker worker_of(const kpar_evaluator *v, int worker)
{
    const kpar_lane_program *p = v->program;
    const size_t uniform_bytes = (size_t)p->n_uniforms * KPAR_LANES * v->bytes;
    const size_t scratch_bytes = (size_t)(p->n_inputs + p->n_outputs + p->n_slots) * BLOCK * v->bytes;
    return (block_worker){v->operands[worker],
                          (char *)v->memory + uniform_bytes + (size_t)worker * scratch_bytes};
}

static void run_blocks(void *context, int number, int64_t first_block, int64_t last_block)
{
    const kpar_evaluator *v = context;
    const block_worker w = worker_of(v, number);
    load_tiles(v, &w);
    for (int64_t block = first_block; block < last_block; block++) {
        const int64_t first = block * v->block, left = v->count - first;
        run_block(v, &w, first, left < v->block ? left : v->block, v->targets, first);
    }
}

/* `outputs` NULL: of pieces. */
static void begin(kpar_evaluator *v, void *const *inputs, void *const *outputs)
{
    for (int i = 0; i < v->e->n_inputs; i++)
        v->sources[i] = i < v->n_given ? inputs[i] : outputs[i - v->n_given];
    v->targets = outputs;
    compute_uniforms(v);
    find_indirect(v);
}

void kpar_evaluator_run(kpar_evaluator *evaluator, void *const *inputs, void *const *outputs)
{
    kpar_evaluator *v = evaluator;
    if (v->count == 0) return;
    begin(v, inputs, outputs);
    kpar_parallel(v->threads, (v->count + v->block - 1) / v->block, run_blocks, v);
}

void kpar_evaluator_begin(kpar_evaluator *evaluator, void *const *inputs) { begin(evaluator, inputs, NULL); }

void kpar_evaluator_begin_worker(const kpar_evaluator *evaluator, int worker)
{
    const block_worker w = worker_of(evaluator, worker);
    load_tiles(evaluator, &w);
}

void kpar_evaluator_piece(const kpar_evaluator *evaluator, int worker, int64_t first, int64_t n,
                          void *const *outputs)
{
    const block_worker w = worker_of(evaluator, worker);
    for (int64_t done = 0; done < n; done += evaluator->block) {
        const int64_t left = n - done;
        run_block(evaluator, &w, first + done, left < evaluator->block ? left : evaluator->block, outputs,
                  done);
    }
}

int64_t kpar_evaluator_step(const kpar_evaluator *evaluator)
{
    return KPAR_PIECE / evaluator->block * evaluator->block;
}

int kpar_evaluator_threads(const kpar_evaluator *evaluator) { return evaluator->threads; }
