/* Programs: making them, and looking things up in them. */
#include "program/program.h"

#include "base/hash.h"
#include "graph/attributes.h"

#include <string.h>

const char *kpar_lane_name(kpar_lane lane)
{
#define NAME(constant, name) [KPAR_LANE_##constant] = (name),
    static const char *const names[] = {KPAR_LANE_LIST(NAME)};
#undef NAME
    return names[lane];
}

const char *kpar_instruction_name(kpar_instruction_kind kind)
{
#define NAME(constant, name, doc) [KPAR_INSTRUCTION_##constant] = (name),
    static const char *const names[] = {KPAR_INSTRUCTION_LIST(NAME)};
#undef NAME
    return names[kind];
}

const char *kpar_collective_name(kpar_collective collective)
{
    static const char *const names[] = {
        [KPAR_COLLECTIVE_ALL_REDUCE] = "all_reduce",
        [KPAR_COLLECTIVE_REDUCE_SCATTER] = "reduce_scatter",
        [KPAR_COLLECTIVE_ALL_GATHER] = "all_gather",
    };
    return names[collective];
}

const char *kpar_slot_name(kpar_slot_kind kind)
{
    static const char *const names[] = {
        [KPAR_SLOT_VARIABLE] = "variable",     [KPAR_SLOT_FEATURE] = "feature",
        [KPAR_SLOT_LABEL] = "label",           [KPAR_SLOT_SAMPLE_WEIGHT] = "sample_weight",
        [KPAR_SLOT_ROW_MASK] = "row_mask",     [KPAR_SLOT_ROW_POSITION] = "row_position",
        [KPAR_SLOT_PREDICTION] = "prediction", [KPAR_SLOT_REPORT] = "report",
    };
    return names[kind];
}

kpar_program *kpar_program_create(int rank, int world)
{
    kpar_program *program = kpar_alloc_zeroed(1, sizeof *program);
    program->arena = kpar_arena_create();
    program->rank = rank;
    program->world = world;
    return program;
}

void kpar_program_destroy(kpar_program *program)
{
    if (!program) return;
    kpar_free(program->kernels);
    kpar_free(program->kernel_table);
    kpar_free(program->instructions);
    kpar_free(program->groups);
    kpar_free(program->slots);
    kpar_arena_destroy(program->arena);
    kpar_free(program);
}

static bool tensor_equal(const kpar_tensor_spec *a, const kpar_tensor_spec *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

static bool kernel_equal(const kpar_kernel_spec *a, const kpar_kernel_spec *b)
{
    if (a->op != b->op || a->n_inputs != b->n_inputs || a->n_outputs != b->n_outputs) return false;
    if (a->row_elements != b->row_elements || a->row_start != b->row_start) return false;
    for (int i = 0; i < a->n_inputs + a->n_outputs; i++)
        if (!tensor_equal(&a->tensors[i], &b->tensors[i])) return false;
    return kpar_attributes_equal(&a->attributes, &b->attributes);
}

static uint64_t kernel_hash(const kpar_kernel_spec *kernel)
{
    const int64_t numbers[] = {kernel->op, kernel->n_inputs, kernel->n_outputs, kernel->row_elements,
                               kernel->row_start};
    uint64_t hash = kpar_hash(KPAR_HASH_START, numbers, sizeof numbers);
    for (int i = 0; i < kernel->n_inputs + kernel->n_outputs; i++) {
        const kpar_tensor_spec *tensor = &kernel->tensors[i];
        hash = kpar_hash(hash, &tensor->dtype, sizeof tensor->dtype);
        hash = kpar_hash(hash, tensor->dims, (size_t)tensor->rank * sizeof *tensor->dims);
    }
    return kpar_attributes_hash(hash, &kernel->attributes);
}

/* The kernel's place in the table, or the free one where it belongs. Entries are indices + 1; 0 is free. */
static int *find_kernel(const kpar_program *program, const kpar_kernel_spec *spec)
{
    size_t mask = program->kernel_table_capacity - 1;
    for (size_t at = kernel_hash(spec) & mask;; at = (at + 1) & mask) {
        int *entry = &program->kernel_table[at];
        if (*entry == 0 || kernel_equal(&program->kernels[*entry - 1], spec)) return entry;
    }
}

/* Keeps the table at most half full. */
static void grow_kernel_table(kpar_program *program)
{
    if (2 * (program->n_kernels + 1) <= program->kernel_table_capacity) return;
    kpar_free(program->kernel_table);
    program->kernel_table_capacity = program->kernel_table_capacity ? 2 * program->kernel_table_capacity : 64;
    program->kernel_table = kpar_alloc_zeroed(program->kernel_table_capacity, sizeof *program->kernel_table);
    for (size_t i = 0; i < program->n_kernels; i++) *find_kernel(program, &program->kernels[i]) = (int)i + 1;
}

int kpar_program_kernel(kpar_program *program, const kpar_kernel_spec *spec)
{
    grow_kernel_table(program);
    int *entry = find_kernel(program, spec);
    if (*entry) return *entry - 1;
    kpar_kernel_spec *kernel = &KPAR_PUSH(program->kernels, program->n_kernels, program->kernels_capacity);
    *kernel = *spec;
    size_t n_tensors = (size_t)(spec->n_inputs + spec->n_outputs);
    kernel->tensors = kpar_arena_copy(program->arena, spec->tensors, n_tensors * sizeof *spec->tensors);
    kernel->attributes.expression = kpar_expression_copy(spec->attributes.expression, program->arena);
    *entry = (int)program->n_kernels;
    return *entry - 1;
}

static const kpar_place *copy_places(kpar_program *program, const kpar_place *places, int n)
{
    kpar_place *copy = kpar_arena_copy(program->arena, places, (size_t)n * sizeof *places);
    for (int i = 0; i < n; i++)
        if (copy[i].rank == program->rank) copy[i].rank = -1;
    return copy;
}

int kpar_program_append(kpar_program *program, const kpar_instruction *instruction)
{
    kpar_arena *arena = program->arena;
    kpar_instruction copy = *instruction;
    copy.places = copy_places(program, instruction->places, instruction->n_places);
    copy.waits = kpar_arena_copy(arena, instruction->waits, (size_t)instruction->n_waits * sizeof(int));
    if (instruction->counts) {
        size_t members = (size_t)program->groups[instruction->group].n;
        copy.counts = kpar_arena_copy(arena, instruction->counts, members * sizeof(size_t));
    }
    copy.layer = kpar_arena_strdup(arena, instruction->layer);
    copy.what = kpar_arena_strdup(arena, instruction->what);
    KPAR_PUSH(program->instructions, program->n_instructions, program->instructions_capacity) = copy;
    return (int)program->n_instructions - 1;
}

int kpar_program_group(kpar_program *program, const int *ranks, int n)
{
    size_t bytes = (size_t)n * sizeof *ranks;
    for (size_t i = 0; i < program->n_groups; i++)
        if (program->groups[i].n == n && memcmp(program->groups[i].ranks, ranks, bytes) == 0) return (int)i;
    kpar_group *group = &KPAR_PUSH(program->groups, program->n_groups, program->groups_capacity);
    group->n = n;
    group->ranks = kpar_arena_copy(program->arena, ranks, bytes);
    return (int)program->n_groups - 1;
}

/* A ring sends all parts but one; an all-reduce does so twice. */
static size_t collective_bytes(const kpar_program *program, const kpar_instruction *instruction)
{
    size_t members = (size_t)program->groups[instruction->group].n;
    size_t whole = 0;
    for (int i = 0; i < instruction->n_places; i++)
        if (instruction->places[i].bytes > whole) whole = instruction->places[i].bytes;
    size_t moved = whole / members * (members - 1);
    return instruction->collective == KPAR_COLLECTIVE_ALL_REDUCE ? 2 * moved : moved;
}

bool kpar_program_is_shard(const kpar_program *program, size_t i)
{
    const kpar_slot *slot = &program->slots[i];
    return i > 0 && slot->kind == KPAR_SLOT_VARIABLE && slot[-1].kind == KPAR_SLOT_VARIABLE &&
           slot[-1].index == slot->index;
}

bool kpar_program_in_common(const kpar_program *program, const kpar_place *place)
{
    const kpar_place *common = &program->common;
    const int rank = place->rank < 0 ? program->rank : place->rank;
    return common->bytes > 0 && rank == common->rank && place->offset >= common->offset &&
           place->bytes <= common->bytes && place->offset - common->offset <= common->bytes - place->bytes;
}

bool kpar_program_is_remote(const kpar_program *program, const kpar_place *place)
{
    return place->rank >= 0 && place->rank != program->rank && !kpar_program_in_common(program, place);
}

size_t kpar_program_moved_bytes(const kpar_program *program, const kpar_instruction *instruction)
{
    size_t bytes = 0;
    switch (instruction->kind) {
    case KPAR_INSTRUCTION_KERNEL:
        for (int i = 0; i < instruction->n_places; i++)
            if (kpar_program_is_remote(program, &instruction->places[i]))
                bytes += instruction->places[i].bytes;
        return bytes;
    case KPAR_INSTRUCTION_SEND:
        return instruction->places[0].bytes;
    case KPAR_INSTRUCTION_COLLECTIVE:
        return collective_bytes(program, instruction);
    default:
        return 0;
    }
}
