/* Simulation: the replay with what kernels and messages cost. */
#include "program/replay.h"

typedef struct simulation {
    const kpar_program *const *programs;
    const kpar_costs *costs;
    kpar_simulated_rank *ranks;
} simulation;

static const kpar_instruction *instruction_at(const simulation *s, kpar_ref ref)
{
    return &s->programs[ref.rank]->instructions[ref.index];
}

/* The kernel, after what it reads from peers has come. */
static double kernel_seconds(const kpar_program *program, const kpar_instruction *in, const kpar_costs *costs)
{
    double seconds = costs->kernel_seconds(costs->context, &program->kernels[in->kernel]);
    for (int i = 0; i < in->n_places; i++)
        if (kpar_program_is_remote(program, &in->places[i]))
            seconds +=
                costs->move_seconds(costs->context, in->places[i].rank, program->rank, in->places[i].bytes);
    return seconds;
}

/* A ring: turns in which every member passes a part on; the slowest link sets the pace. */
static double collective_seconds(const kpar_program *program, const kpar_instruction *in,
                                 const kpar_costs *costs)
{
    const kpar_group *group = &program->groups[in->group];
    int turns = in->collective == KPAR_COLLECTIVE_ALL_REDUCE ? 2 * (group->n - 1) : group->n - 1;
    if (turns == 0) return 0;
    size_t part = kpar_program_moved_bytes(program, in) / (size_t)turns;
    double slowest = 0;
    for (int i = 0; i < group->n; i++) {
        double seconds =
            costs->move_seconds(costs->context, group->ranks[i], group->ranks[(i + 1) % group->n], part);
        if (seconds > slowest) slowest = seconds;
    }
    return turns * slowest;
}

double kpar_program_seconds(const kpar_program *program, const kpar_instruction *in, const kpar_costs *costs)
{
    switch (in->kind) {
    case KPAR_INSTRUCTION_KERNEL:
        return kernel_seconds(program, in, costs);
    case KPAR_INSTRUCTION_SEND:
        return costs->move_seconds(costs->context, program->rank, in->peer, in->places[0].bytes);
    case KPAR_INSTRUCTION_COLLECTIVE:
        return collective_seconds(program, in, costs);
    default:
        return 0;
    }
}

static double seconds_of(void *context, kpar_ref ref)
{
    const simulation *s = context;
    return kpar_program_seconds(s->programs[ref.rank], instruction_at(s, ref), s->costs);
}

static double seconds_of_kernel(void *context, kpar_ref ref)
{
    const simulation *s = context;
    double seconds = seconds_of(context, ref);
    if (instruction_at(s, ref)->lane == KPAR_LANE_COMPUTE) s->ranks[ref.rank].compute_seconds += seconds;
    return seconds;
}

static void ends(void *context, kpar_node node, double now)
{
    const simulation *s = context;
    kpar_simulated_rank *rank = &s->ranks[node.rank];
    rank->end_seconds = now;
    rank->sent_bytes += kpar_program_moved_bytes(s->programs[node.rank],
                                                 instruction_at(s, (kpar_ref){node.rank, node.index}));
}

kpar_status kpar_programs_simulate(const kpar_program *const *programs, int n, const kpar_costs *costs,
                                   kpar_simulated_rank *ranks)
{
    simulation s = {.programs = programs, .costs = costs, .ranks = ranks};
    for (int rank = 0; rank < n; rank++) {
        ranks[rank] = (kpar_simulated_rank){0};
        KPAR_TRY(kpar_program_check(programs[rank]));
    }
    kpar_matches matches;
    KPAR_TRY(kpar_matches_make(programs, n, &matches));
    kpar_replay_plan plan = {
        .programs = programs,
        .n = n,
        .matches = &matches,
        .first_list = 1,
        .last_list = 1,
        .context = &s,
        .kernel_seconds = seconds_of_kernel,
        .message_seconds = seconds_of,
        .collective_seconds = seconds_of,
        .ends = ends,
    };
    kpar_status status = kpar_replay(&plan);
    kpar_matches_free(&matches);
    return status;
}
