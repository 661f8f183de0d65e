/* The invariants of one program. */
#include "program/program.h"

#include <stdlib.h>

static kpar_status wrong(const kpar_program *program, size_t index, const char *what)
{
    const kpar_instruction *in = &program->instructions[index];
    return kpar_fail(
        KPAR_EINTERNAL, "program of rank %d: instruction %zu (%s '%s'): %s", program->rank, index,
        (unsigned)in->kind < KPAR_INSTRUCTION_COUNT ? kpar_instruction_name(in->kind) : "unknown",
        in->what ? in->what : "", what);
}

static bool in_arena(const kpar_program *program, const kpar_place *place)
{
    return place->offset <= program->arena_bytes && place->bytes <= program->arena_bytes - place->offset;
}

static bool is_own(const kpar_program *program, const kpar_place *place)
{
    return place->rank == -1 || place->rank == program->rank;
}

/* Bytes of a tensor; false if they cannot be counted. */
static bool tensor_bytes(const kpar_tensor_spec *tensor, size_t *bytes)
{
    if ((unsigned)tensor->dtype >= KPAR_DTYPE_COUNT || tensor->rank < 0 || tensor->rank > KPAR_MAX_RANK)
        return false;
    *bytes = kpar_dtype_bytes(tensor->dtype);
    for (int i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] < 0 || !kpar_multiply(*bytes, (size_t)tensor->dims[i], bytes)) return false;
    return true;
}

static kpar_status check_places(const kpar_program *program, size_t index)
{
    const kpar_instruction *in = &program->instructions[index];
    if (in->n_places < 0 || in->n_writes < 0 || in->n_writes > in->n_places)
        return wrong(program, index, "expected no more writes than places");
    for (int i = 0; i < in->n_places; i++) {
        const kpar_place *place = &in->places[i];
        if (place->rank < -1 || place->rank >= program->world)
            return wrong(program, index, "a place lies on a rank outside the world");
        if (is_own(program, place) && !in_arena(program, place))
            return wrong(program, index, "a place ends behind the arena");
        if (i >= in->n_places - in->n_writes && kpar_program_is_remote(program, place))
            return wrong(program, index, "writes into a peer's memory, which may only be read");
    }
    return KPAR_OK;
}

static kpar_status check_kernel(const kpar_program *program, size_t index)
{
    const kpar_instruction *in = &program->instructions[index];
    if (in->kernel < 0 || (size_t)in->kernel >= program->n_kernels)
        return wrong(program, index, "there is no such kernel");
    const kpar_kernel_spec *kernel = &program->kernels[in->kernel];
    if (in->n_places != kernel->n_inputs + kernel->n_outputs || in->n_writes != kernel->n_outputs)
        return wrong(program, index, "expected a place for each input and output of the kernel");
    for (int i = 0; i < in->n_places; i++) {
        size_t bytes;
        if (!tensor_bytes(&kernel->tensors[i], &bytes))
            return wrong(program, index, "a tensor's size cannot be counted");
        if (in->places[i].bytes < bytes) return wrong(program, index, "a place is smaller than its tensor");
    }
    return KPAR_OK;
}

static kpar_status check_message(const kpar_program *program, size_t index)
{
    const kpar_instruction *in = &program->instructions[index];
    int writes = in->kind == KPAR_INSTRUCTION_RECEIVE;
    if (in->n_places != 1 || in->n_writes != writes || !is_own(program, &in->places[0]))
        return wrong(program, index, "expected one place in own memory");
    if (in->peer < 0 || in->peer >= program->world || in->peer == program->rank)
        return wrong(program, index, "expected another rank as peer");
    return in->channel < 0 ? wrong(program, index, "expected a channel from 0") : KPAR_OK;
}

static kpar_status check_flag(const kpar_program *program, size_t index)
{
    const kpar_instruction *in = &program->instructions[index];
    if (in->n_writes != 0) return wrong(program, index, "a flag writes no memory");
    if (in->channel < 0 || in->channel >= program->n_flags)
        return wrong(program, index, "there is no such flag");
    if (in->kind == KPAR_INSTRUCTION_WAIT &&
        (in->peer < 0 || in->peer >= program->world || in->peer == program->rank))
        return wrong(program, index, "expected another rank as peer");
    return KPAR_OK;
}

/* Own index among the group's ranks, or -1. */
static int member(const kpar_program *program, const kpar_group *group)
{
    for (int i = 0; i < group->n; i++)
        if (group->ranks[i] == program->rank) return i;
    return -1;
}

static bool counts_fit(const kpar_program *program, const kpar_instruction *in)
{
    const kpar_group *group = &program->groups[in->group];
    size_t element = kpar_dtype_bytes(in->dtype), total = 0;
    for (int i = 0; i < group->n; i++) total += in->counts[i];
    size_t whole = total * element, own = in->counts[member(program, group)] * element;
    bool gathers = in->collective == KPAR_COLLECTIVE_ALL_GATHER;
    return in->places[0].bytes == (gathers ? own : whole) && in->places[1].bytes == (gathers ? whole : own);
}

static kpar_status check_collective(const kpar_program *program, size_t index)
{
    const kpar_instruction *in = &program->instructions[index];
    if (in->group < 0 || (size_t)in->group >= program->n_groups)
        return wrong(program, index, "there is no such group");
    if (member(program, &program->groups[in->group]) < 0)
        return wrong(program, index, "its group is without this rank");
    if ((unsigned)in->collective >= KPAR_COLLECTIVE_COUNT || (unsigned)in->dtype >= KPAR_DTYPE_COUNT)
        return wrong(program, index, "there is no such collective or type");
    bool in_place = in->collective == KPAR_COLLECTIVE_ALL_REDUCE && in->n_places == 1;
    if (in->n_writes != 1 || (in->n_places != 2 && !in_place))
        return wrong(program, index, "expected two places, of which the last is written");
    for (int i = 0; i < in->n_places; i++)
        if (!is_own(program, &in->places[i])) return wrong(program, index, "expected places in own memory");
    if (in->collective == KPAR_COLLECTIVE_ALL_REDUCE) {
        bool same = in->places[0].bytes == in->places[in->n_places - 1].bytes;
        return same ? KPAR_OK : wrong(program, index, "expected places of the same size");
    }
    if (!in->counts || !counts_fit(program, in))
        return wrong(program, index, "its places do not fit its counts");
    return KPAR_OK;
}

static kpar_status check_guard(const kpar_program *program, size_t index)
{
    const kpar_instruction *in = &program->instructions[index];
    if (in->dtype != KPAR_F32 && in->dtype != KPAR_F64)
        return wrong(program, index, "a guard looks at float32 or float64");
    if (in->n_places != 1 || in->n_writes != 0 || !is_own(program, &in->places[0]) ||
        in->places[0].bytes != kpar_dtype_bytes(in->dtype))
        return wrong(program, index, "expected one scalar in own memory, which is not written");
    return KPAR_OK;
}

static kpar_status check_waits(const kpar_program *program, size_t index)
{
    const kpar_instruction *in = &program->instructions[index];
    size_t first = index < program->n_start ? 0 : program->n_start;
    for (int i = 0; i < in->n_waits; i++) {
        if (in->waits[i] < 0 || (size_t)in->waits[i] < first || (size_t)in->waits[i] >= index)
            return wrong(program, index,
                         "waits for something that is not an earlier instruction of its list");
    }
    return KPAR_OK;
}

static kpar_status (*const kind_checks[KPAR_INSTRUCTION_COUNT])(const kpar_program *, size_t) = {
    [KPAR_INSTRUCTION_KERNEL] = check_kernel,   [KPAR_INSTRUCTION_SEND] = check_message,
    [KPAR_INSTRUCTION_RECEIVE] = check_message, [KPAR_INSTRUCTION_SIGNAL] = check_flag,
    [KPAR_INSTRUCTION_WAIT] = check_flag,       [KPAR_INSTRUCTION_COLLECTIVE] = check_collective,
    [KPAR_INSTRUCTION_GUARD] = check_guard,
};

static kpar_status check_instruction(const kpar_program *program, size_t index)
{
    const kpar_instruction *in = &program->instructions[index];
    if ((unsigned)in->kind >= KPAR_INSTRUCTION_COUNT) return wrong(program, index, "there is no such kind");
    if ((unsigned)in->lane >= KPAR_LANE_COUNT) return wrong(program, index, "there is no such lane");
    if ((unsigned)in->phase >= KPAR_PHASE_COUNT) return wrong(program, index, "there is no such phase");
    if (!in->layer || !in->what) return wrong(program, index, "is without words");
    if (kpar_instruction_is_asynchronous(in->kind) && in->lane != KPAR_LANE_COMM)
        return wrong(program, index, "moves between ranks outside the comm lane");
    KPAR_TRY(check_places(program, index));
    KPAR_TRY(kind_checks[in->kind](program, index));
    return check_waits(program, index);
}

typedef struct given {
    int flag;
    size_t index;
} given;

static int compare_given(const void *a, const void *b)
{
    const given *x = a, *y = b;
    if (x->flag != y->flag) return x->flag < y->flag ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

/* Signals of one list give different flags. */
static kpar_status check_signals(const kpar_program *program, size_t first, size_t end)
{
    given *all = NULL;
    size_t n = 0, capacity = 0;
    for (size_t i = first; i < end; i++) {
        if (program->instructions[i].kind != KPAR_INSTRUCTION_SIGNAL) continue;
        KPAR_PUSH(all, n, capacity) = (given){program->instructions[i].channel, i};
    }
    if (n > 0) qsort(all, n, sizeof *all, compare_given);
    kpar_status status = KPAR_OK;
    for (size_t i = 1; i < n && status == KPAR_OK; i++)
        if (all[i].flag == all[i - 1].flag)
            status = wrong(program, all[i].index, "gives a flag that an earlier signal of the list gives");
    kpar_free(all);
    return status;
}

static kpar_status check_group(const kpar_program *program, size_t index)
{
    const kpar_group *group = &program->groups[index];
    bool right = group->n > 0;
    for (int i = 0; i < group->n; i++)
        right = right && group->ranks[i] >= 0 && group->ranks[i] < program->world;
    for (int i = 1; i < group->n; i++) right = right && group->ranks[i - 1] < group->ranks[i];
    if (right) return KPAR_OK;
    return kpar_fail(KPAR_EINTERNAL,
                     "program of rank %d: group %zu: expected ranks of the world in ascending order",
                     program->rank, index);
}

static kpar_status check_slot(const kpar_program *program, size_t index)
{
    const kpar_slot *slot = &program->slots[index];
    size_t bytes;
    const bool reached = is_own(program, &slot->place) ? in_arena(program, &slot->place)
                                                       : kpar_program_in_common(program, &slot->place);
    bool right = (unsigned)slot->kind < KPAR_SLOT_COUNT && reached && tensor_bytes(&slot->tensor, &bytes) &&
                 bytes <= slot->place.bytes && slot->slice.rank >= 0 && slot->slice.rank <= KPAR_MAX_RANK;
    if (right) return KPAR_OK;
    return kpar_fail(KPAR_EINTERNAL,
                     "program of rank %d: slot %zu: expected a tensor within the own arena's %zu bytes",
                     program->rank, index, program->arena_bytes);
}

static kpar_status check_kernel_spec(const kpar_program *program, size_t index)
{
    const kpar_kernel_spec *kernel = &program->kernels[index];
    if (kernel->op >= 0 && kernel->op < KPAR_OP_COUNT && kernel->n_inputs >= 0 && kernel->n_outputs >= 0)
        return KPAR_OK;
    return kpar_fail(KPAR_EINTERNAL, "program of rank %d: kernel %zu: there is no such op", program->rank,
                     index);
}

kpar_status kpar_program_check(const kpar_program *program)
{
    if (program->rank < 0 || program->rank >= program->world)
        return kpar_fail(KPAR_EINTERNAL, "program: rank %d is outside a world of %d", program->rank,
                         program->world);
    if (program->n_start > program->n_instructions || program->state_bytes > program->arena_bytes ||
        program->n_flags < 0)
        return kpar_fail(KPAR_EINTERNAL, "program of rank %d: its header does not fit its contents",
                         program->rank);
    for (size_t i = 0; i < program->n_groups; i++) KPAR_TRY(check_group(program, i));
    for (size_t i = 0; i < program->n_kernels; i++) KPAR_TRY(check_kernel_spec(program, i));
    for (size_t i = 0; i < program->n_slots; i++) KPAR_TRY(check_slot(program, i));
    for (size_t i = 0; i < program->n_instructions; i++) KPAR_TRY(check_instruction(program, i));
    KPAR_TRY(check_signals(program, 0, program->n_start));
    return check_signals(program, program->n_start, program->n_instructions);
}
