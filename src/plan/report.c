/* Figures of the emitted programs, and the simulated step. */
#include "plan/report.h"

#include "comm/algorithm.h"
#include "parallel/mesh.h"
#include "plan/memory.h"

#include <string.h>

/* Instructions of all ranks up to which everything is emitted and simulated: a few seconds. */
enum { MOST_INSTRUCTIONS = 1000000 };

/* --- costs --- */

typedef struct machine {
    const kpar_device_class *device;
    const int *nodes; /* NULL: one */
    int threads;
} machine;

static double kernel_seconds(const void *context, const kpar_kernel_spec *kernel)
{
    const machine *m = context;
    return m->device->seconds(kernel) / m->threads;
}

static double move_seconds(const void *context, int from, int to, size_t bytes)
{
    const machine *m = context;
    return kpar_link_seconds(!m->nodes || m->nodes[from] == m->nodes[to], bytes);
}

static kpar_costs costs_of(const machine *m) { return (kpar_costs){kernel_seconds, move_seconds, m}; }

/* --- figures of one program --- */

static double kernel_flops(const kpar_kernel_spec *spec)
{
    const kpar_op_row *row = kpar_op_row_get((kpar_op_kind)spec->op);
    const int n = spec->n_inputs + spec->n_outputs;
    if (!row->flops) return 0;
    kpar_array *arrays = kpar_alloc_zeroed((size_t)n + 1, sizeof *arrays);
    for (int i = 0; i < n; i++) {
        arrays[i].dtype = spec->tensors[i].dtype;
        arrays[i].rank = spec->tensors[i].rank;
        memcpy(arrays[i].dims, spec->tensors[i].dims, sizeof arrays[i].dims);
    }
    const double flops = row->flops(&spec->attributes, arrays, spec->n_inputs, arrays + spec->n_inputs);
    kpar_free(arrays);
    return flops;
}

/* Variables held. Where a rank holds a copy and, inside it, its shard, the copy counts; a copy in common counts where it
 * lies. */
static void count_variables(const kpar_plan *plan, const kpar_program *p, kpar_plan_rank *row)
{
    const kpar_catalog *catalog = kpar_plan_catalog(plan);
    for (size_t i = 0; i < p->n_slots; i++) {
        const kpar_slot *slot = &p->slots[i];
        if (slot->kind != KPAR_SLOT_VARIABLE || kpar_program_is_shard(p, i)) continue;
        const kpar_variable_kind kind = catalog->variables[slot->index].kind;
        const bool weight = kind == KPAR_VARIABLE_WEIGHT || kind == KPAR_VARIABLE_FROZEN;
        const int64_t count = kpar_count(slot->slice.rank, slot->slice.size);
        if (slot->place.rank < 0)
            *(weight ? &row->weight_bytes : &row->optimizer_bytes) +=
                (size_t)count * kpar_dtype_bytes(slot->tensor.dtype);
        if (weight) row->parameters += count;
    }
    row->buffer_bytes = p->arena_bytes - row->weight_bytes - row->optimizer_bytes;
}

/* Losses and metrics belong to no layer. */
static const char *layer_name(const kpar_op *op) { return *op->layer ? op->layer : "loss"; }

/* The stage's layers, in the order in which they compute. */
static void find_layers(const kpar_plan *plan, const kpar_plan_report *report, kpar_plan_rank *row)
{
    const kpar_graph *g = kpar_plan_graph(plan, report->mode);
    const char *last = "";
    for (size_t i = 0; i < g->n_ops; i++) {
        const kpar_op *op = &g->ops[i];
        if (op->phase != KPAR_PHASE_MICROBATCH || op->part != KPAR_FORWARD ||
            kpar_mesh_of_stage(kpar_plan_options_get(plan)->mesh, op->stage) != row->stage)
            continue;
        if (op->kind == KPAR_OP_SEND || op->kind == KPAR_OP_RECEIVE || strcmp(layer_name(op), last) == 0)
            continue;
        last = layer_name(op);
        if (!row->first_layer) row->first_layer = kpar_arena_strdup(report->arena, last);
        row->layers++;
    }
    row->last_layer = kpar_arena_strdup(report->arena, last);
    if (!row->first_layer) row->first_layer = row->last_layer;
}

static kpar_plan_rank describe(const kpar_plan *plan, const kpar_plan_report *report, kpar_program *p)
{
    const kpar_mesh mesh = kpar_plan_options_get(plan)->mesh;
    kpar_plan_rank row = {.first_rank = p->rank, .last_rank = p->rank};
    row.stage = kpar_mesh_coordinate(mesh, p->rank).pipeline;
    count_variables(plan, p, &row);
    find_layers(plan, report, &row);
    row.memory_bytes = kpar_rank_memory(plan, &p, 1);
    for (size_t i = p->n_start; i < p->n_instructions; i++) {
        const kpar_instruction *in = &p->instructions[i];
        row.sent_bytes += kpar_program_moved_bytes(p, in);
        if (in->kind == KPAR_INSTRUCTION_KERNEL) row.flops += kernel_flops(&p->kernels[in->kernel]);
    }
    return row;
}

/* --- all ranks --- */

static kpar_status emit(const kpar_plan *plan, const kpar_plan_report *report, int rank,
                        kpar_program **program)
{
    kpar_program *programs[KPAR_MODE_COUNT];
    KPAR_TRY(kpar_plan_emit(plan, rank, programs));
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++)
        if (mode != (int)report->mode && programs[mode]) kpar_program_destroy(programs[mode]);
    *program = programs[report->mode];
    return KPAR_OK;
}

static kpar_status simulate(const kpar_plan *plan, const machine *m, kpar_program **programs,
                            kpar_plan_report *report)
{
    const kpar_costs costs = costs_of(m);
    const int n = report->n_ranks;
    kpar_simulated_rank *ranks = kpar_alloc_zeroed((size_t)n, sizeof *ranks);
    kpar_status status = kpar_programs_simulate((const kpar_program *const *)programs, n, &costs, ranks);
    for (int rank = 0; rank < n && status == KPAR_OK; rank++) {
        kpar_plan_rank row = describe(plan, report, programs[rank]);
        row.compute_seconds = ranks[rank].compute_seconds;
        row.end_seconds = ranks[rank].end_seconds;
        KPAR_PUSH(report->rows, report->n_rows, report->capacity) = row;
    }
    kpar_free(ranks);
    return status;
}

/* programs[0] is there. */
static kpar_status look_at_all(const kpar_plan *plan, const machine *m, kpar_program **programs,
                               kpar_plan_report *report)
{
    for (int rank = 1; rank < report->n_ranks; rank++) KPAR_TRY(emit(plan, report, rank, &programs[rank]));
    return simulate(plan, m, programs, report);
}

/* How many times longer a rank's step is for the pipeline's filling and draining, by the schedule alone: a backward is two
 * forwards. */
static kpar_status find_stretch(const kpar_plan *plan, double *stretch)
{
    const kpar_plan_options *o = kpar_plan_options_get(plan);
    const int m = kpar_plan_microbatches(plan, 0), chunks = kpar_plan_chunks(plan);
    const double seconds[KPAR_PART_COUNT] = {1, o->schedule->splits_backward ? 1 : 2, 1};
    KPAR_TRY(kpar_schedule_prove(o->schedule, o->mesh.pipeline, chunks, m, seconds, stretch));
    *stretch /= 3.0 * chunks * m;
    return KPAR_OK;
}

/* The first rank of each stage stands for the others; the pipeline fills and drains at the pace of the slowest. */
static kpar_status look_at_stages(const kpar_plan *plan, const machine *m, kpar_program **programs,
                                  kpar_plan_report *report)
{
    const kpar_costs costs = costs_of(m); /* nothing overlaps */
    const kpar_mesh mesh = kpar_plan_options_get(plan)->mesh;
    const int ranks = mesh.data * mesh.tensor;
    double stretch;
    KPAR_TRY(find_stretch(plan, &stretch));
    for (int stage = 0; stage < mesh.pipeline; stage++) {
        const int rank = stage * ranks;
        if (stage > 0) KPAR_TRY(emit(plan, report, rank, &programs[rank]));
        kpar_program *p = programs[rank];
        kpar_plan_rank row = describe(plan, report, p);
        row.last_rank = rank + ranks - 1;
        for (size_t i = p->n_start; i < p->n_instructions; i++) {
            const double seconds = kpar_program_seconds(p, &p->instructions[i], &costs);
            row.end_seconds += seconds;
            if (p->instructions[i].lane == KPAR_LANE_COMPUTE) row.compute_seconds += seconds;
        }
        row.end_seconds *= stretch;
        KPAR_PUSH(report->rows, report->n_rows, report->capacity) = row;
    }
    report->estimated = true;
    return KPAR_OK;
}

static void sum_up(const kpar_plan *plan, kpar_plan_report *report)
{
    double compute = 0;
    for (size_t i = 0; i < report->n_rows; i++) {
        const kpar_plan_rank *row = &report->rows[i];
        if (row->end_seconds > report->step_seconds) report->step_seconds = row->end_seconds;
        compute += row->compute_seconds * (row->last_rank - row->first_rank + 1);
    }
    if (report->step_seconds <= 0) return;
    report->samples_per_second = (double)kpar_plan_options_get(plan)->batch_size / report->step_seconds;
    report->bubble = 1 - compute / (report->step_seconds * report->n_ranks);
}

static kpar_status fill(const kpar_plan *plan, const machine *m, kpar_plan_report *report)
{
    kpar_program **programs = kpar_alloc_zeroed((size_t)report->n_ranks, sizeof *programs);
    kpar_status status = emit(plan, report, 0, &programs[0]);
    if (status == KPAR_OK) {
        const bool small = programs[0]->n_instructions * (size_t)report->n_ranks <= MOST_INSTRUCTIONS;
        status = (small ? look_at_all : look_at_stages)(plan, m, programs, report);
    }
    for (int rank = 0; rank < report->n_ranks; rank++)
        if (programs[rank]) kpar_program_destroy(programs[rank]);
    kpar_free(programs);
    if (status == KPAR_OK) sum_up(plan, report);
    return status;
}

kpar_status kpar_plan_report_create(const kpar_plan *plan, int threads, kpar_plan_report **report)
{
    const kpar_plan_options *options = kpar_plan_options_get(plan);
    const machine m = {options->device, options->nodes, threads > 0 ? threads : 1};
    kpar_plan_report *made = kpar_alloc_zeroed(1, sizeof *made);
    made->arena = kpar_arena_create();
    made->mode = kpar_plan_first_mode(plan);
    made->n_ranks = kpar_mesh_size(options->mesh);
    kpar_status status = fill(plan, &m, made);
    *report = status == KPAR_OK ? made : NULL;
    if (status != KPAR_OK) kpar_plan_report_destroy(made);
    return status;
}

void kpar_plan_report_destroy(kpar_plan_report *report)
{
    if (!report) return;
    kpar_free(report->rows);
    kpar_arena_destroy(report->arena);
    kpar_free(report);
}
