/* A table says for each kind of line which fields it has and what to do when the line is complete; before it the
 * functions that read the fields' values. */
#include "program/text_lines.h"

#include "base/number.h"

#include <limits.h>
#include <string.h>

kpar_status kpar_text_malformed(const kpar_text_reader *r, const char *what, const char *found)
{
    return kpar_fail(KPAR_EFORMAT, "program: line %d: expected %s, found '%.40s'", r->number, what, found);
}

/* Values of fields. */

static bool parse_int(kpar_text_reader *r, char *value, void *member)
{
    long long number;
    (void)r;
    if (!kpar_parse_whole_integer(value, &number) || number < INT_MIN || number > INT_MAX) return false;
    *(int *)member = (int)number;
    return true;
}

static bool parse_natural(kpar_text_reader *r, char *value, void *member)
{
    return parse_int(r, value, member) && *(int *)member >= 0;
}

static bool parse_int64(kpar_text_reader *r, char *value, void *member)
{
    long long number;
    (void)r;
    if (!kpar_parse_whole_integer(value, &number)) return false;
    *(int64_t *)member = number;
    return true;
}

static bool parse_size(kpar_text_reader *r, char *value, void *member)
{
    int64_t number;
    if (!parse_int64(r, value, &number) || number < 0) return false;
    *(size_t *)member = (size_t)number;
    return true;
}

static bool parse_flag(kpar_text_reader *r, char *value, void *member)
{
    (void)r;
    *(bool *)member = value[0] == '1';
    return strcmp(value, "0") == 0 || strcmp(value, "1") == 0;
}

static bool parse_op(kpar_text_reader *r, char *value, void *member)
{
    kpar_op_kind kind;
    (void)r;
    if (!kpar_op_parse(value, &kind)) return false;
    *(int *)member = (int)kind;
    return true;
}

static bool parse_dtype(kpar_text_reader *r, char *value, void *member)
{
    (void)r;
    return kpar_dtype_parse(value, member);
}

/* Enums, by the names of their members. */
#define PARSE_NAME(function, type, count, name)                                                              \
    static bool function(kpar_text_reader *r, char *value, void *member)                                     \
    {                                                                                                        \
        (void)r;                                                                                             \
        for (int i = 0; i < (int)(count); i++) {                                                             \
            if (strcmp(value, name((type)i)) != 0) continue;                                                 \
            *(type *)member = (type)i;                                                                       \
            return true;                                                                                     \
        }                                                                                                    \
        return false;                                                                                        \
    }
PARSE_NAME(parse_kind, kpar_instruction_kind, KPAR_INSTRUCTION_COUNT, kpar_instruction_name)
PARSE_NAME(parse_lane, kpar_lane, KPAR_LANE_COUNT, kpar_lane_name)
PARSE_NAME(parse_phase, kpar_phase, KPAR_PHASE_COUNT, kpar_phase_name)
PARSE_NAME(parse_collective, kpar_collective, KPAR_COLLECTIVE_COUNT, kpar_collective_name)
PARSE_NAME(parse_slot_kind, kpar_slot_kind, KPAR_SLOT_COUNT, kpar_slot_name)
#undef PARSE_NAME

static bool parse_reduction(kpar_text_reader *r, char *value, void *member)
{
    int number;
    if (!parse_natural(r, value, &number) || number >= KPAR_REDUCTION_COUNT) return false;
    *(kpar_reduction *)member = (kpar_reduction)number;
    return true;
}

static bool parse_string(kpar_text_reader *r, char *value, void *member)
{
    *(const char **)member = kpar_arena_strdup(r->arena, value);
    return true;
}

static bool parse_expression(kpar_text_reader *r, char *value, void *member)
{
    const char *at = value;
    return kpar_expression_parse(&at, r->program->arena, member) == KPAR_OK && *at == '\0';
}

/* Lists. */

char *kpar_next_element(char **list, char separator)
{
    char *element = *list;
    if (!element) return NULL;
    char *end = strchr(element, separator);
    if (end) *end = '\0';
    *list = end ? end + 1 : NULL;
    return element;
}

/* "first+second", two numbers. */
static bool parse_pair(kpar_text_reader *r, char *value, int64_t *first, int64_t *second)
{
    char *plus = strchr(value, '+');
    if (!plus) return false;
    *plus = '\0';
    return parse_int64(r, value, first) && parse_int64(r, plus + 1, second);
}

/* "offset+bytes", behind "rank:" if it is a peer's. */
static bool parse_place(kpar_text_reader *r, char *value, void *member)
{
    kpar_place *place = member;
    char *colon = strchr(value, ':');
    int64_t offset, bytes;
    place->rank = -1;
    if (colon) {
        *colon = '\0';
        if (!parse_natural(r, value, &place->rank)) return false;
        value = colon + 1;
    }
    if (!parse_pair(r, value, &offset, &bytes) || offset < 0 || bytes < 0) return false;
    place->offset = (size_t)offset;
    place->bytes = (size_t)bytes;
    return true;
}

static bool parse_places(kpar_text_reader *r, char *value, kpar_place_list *list)
{
    for (char *element; (element = kpar_next_element(&value, ','));)
        if (!parse_place(r, element, &KPAR_PUSH(list->items, list->n, list->capacity))) return false;
    return true;
}

static bool parse_reads(kpar_text_reader *r, char *value, void *member)
{
    (void)member;
    return parse_places(r, value, &r->reads);
}

static bool parse_writes(kpar_text_reader *r, char *value, void *member)
{
    (void)member;
    return parse_places(r, value, &r->writes);
}

static bool parse_ranks(kpar_text_reader *r, char *value, void *member)
{
    (void)member;
    for (char *element; (element = kpar_next_element(&value, ','));)
        if (!parse_natural(r, element, &KPAR_PUSH(r->ranks, r->n_ranks, r->ranks_capacity))) return false;
    return true;
}

static bool parse_waits(kpar_text_reader *r, char *value, void *member)
{
    (void)member;
    for (char *element; (element = kpar_next_element(&value, ','));)
        if (!parse_natural(r, element, &KPAR_PUSH(r->waits, r->n_waits, r->waits_capacity))) return false;
    return true;
}

static bool parse_counts(kpar_text_reader *r, char *value, void *member)
{
    (void)member;
    for (char *element; (element = kpar_next_element(&value, ','));)
        if (!parse_size(r, element, &KPAR_PUSH(r->counts, r->n_counts, r->counts_capacity))) return false;
    return true;
}

static bool parse_slice(kpar_text_reader *r, char *value, void *member)
{
    kpar_slice *slice = member;
    for (char *element; (element = kpar_next_element(&value, ',')); slice->rank++) {
        if (slice->rank == KPAR_MAX_RANK) return false;
        if (!parse_pair(r, element, &slice->start[slice->rank], &slice->size[slice->rank])) return false;
    }
    return true;
}

/* "float32(2,3)" */
static bool parse_tensor(kpar_text_reader *r, char *value, void *member)
{
    kpar_tensor_spec *tensor = member;
    *tensor = (kpar_tensor_spec){0};
    char *dims = strchr(value, '(');
    size_t length = strlen(value);
    if (!dims || value[length - 1] != ')') return false;
    value[length - 1] = '\0';
    *dims++ = '\0';
    if (!kpar_dtype_parse(value, &tensor->dtype)) return false;
    if (!*dims) return true;
    for (char *element; (element = kpar_next_element(&dims, ',')); tensor->rank++)
        if (tensor->rank == KPAR_MAX_RANK || !parse_int64(r, element, &tensor->dims[tensor->rank]))
            return false;
    return true;
}

static bool parse_inputs(kpar_text_reader *r, char *value, void *member)
{
    (void)member;
    for (char *element; (element = kpar_next_element(&value, ';'));)
        if (!parse_tensor(r, element, &KPAR_PUSH(r->inputs, r->n_inputs, r->inputs_capacity))) return false;
    return true;
}

static bool parse_outputs(kpar_text_reader *r, char *value, void *member)
{
    (void)member;
    for (char *element; (element = kpar_next_element(&value, ';'));)
        if (!parse_tensor(r, element, &KPAR_PUSH(r->outputs, r->n_outputs, r->outputs_capacity)))
            return false;
    return true;
}

/* Lines, when all their fields are read. */

static kpar_status complete_header(kpar_text_reader *r)
{
    const kpar_program *header = &r->line.header;
    if (r->program) return kpar_text_malformed(r, "one line 'program', the first", "another");
    r->program = kpar_program_create(r->line.rank, r->line.world);
    r->program->arena_bytes = header->arena_bytes;
    r->program->state_bytes = header->state_bytes;
    r->program->common = header->common;
    r->program->n_flags = header->n_flags;
    r->program->microbatches = header->microbatches;
    r->program->rows = header->rows;
    r->program->n_start = header->n_start;
    return KPAR_OK;
}

/* Things are numbered from 0 in the order of their lines. */
static kpar_status check_index(const kpar_text_reader *r, int index)
{
    if (index == r->line.index) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "program: line %d: expected index %d, found %d", r->number, index,
                     r->line.index);
}

static kpar_status complete_group(kpar_text_reader *r)
{
    return check_index(r, kpar_program_group(r->program, r->ranks, (int)r->n_ranks));
}

static kpar_status complete_kernel(kpar_text_reader *r)
{
    kpar_kernel_spec *kernel = &r->line.kernel;
    kernel->n_inputs = (int)r->n_inputs;
    kernel->n_outputs = (int)r->n_outputs;
    kpar_tensor_spec *tensors = kpar_arena_alloc(r->arena, (r->n_inputs + r->n_outputs) * sizeof *tensors);
    if (r->n_inputs) memcpy(tensors, r->inputs, r->n_inputs * sizeof *tensors);
    if (r->n_outputs) memcpy(tensors + r->n_inputs, r->outputs, r->n_outputs * sizeof *tensors);
    kernel->tensors = tensors;
    return check_index(r, kpar_program_kernel(r->program, kernel));
}

static kpar_status complete_slot(kpar_text_reader *r)
{
    kpar_program *program = r->program;
    KPAR_PUSH(program->slots, program->n_slots, program->slots_capacity) = r->line.slot;
    return KPAR_OK;
}

static kpar_status complete_instruction(kpar_text_reader *r)
{
    kpar_instruction *in = &r->line.instruction;
    size_t n = r->reads.n + r->writes.n;
    kpar_place *all = kpar_arena_alloc(r->arena, n * sizeof *all);
    if (r->reads.n) memcpy(all, r->reads.items, r->reads.n * sizeof *all);
    if (r->writes.n) memcpy(all + r->reads.n, r->writes.items, r->writes.n * sizeof *all);
    in->places = all;
    in->n_places = (int)n;
    in->n_writes = (int)r->writes.n;
    in->waits = r->waits;
    in->n_waits = (int)r->n_waits;
    if (r->n_counts > 0) {
        if ((size_t)in->group >= r->program->n_groups ||
            (size_t)r->program->groups[in->group].n != r->n_counts)
            return kpar_text_malformed(r, "a count for each rank of a group above", "another number");
        in->counts = r->counts;
    }
    return check_index(r, kpar_program_append(r->program, in));
}

#define FIELD(key, needed, parse, member)                                                                    \
    {                                                                                                        \
        key, needed, parse, offsetof(kpar_text_line, member)                                                 \
    }
static const kpar_line_kind line_kinds[] = {
    {"program",
     {FIELD("rank", true, parse_natural, rank), FIELD("world", true, parse_natural, world),
      FIELD("arena", true, parse_size, header.arena_bytes),
      FIELD("state", true, parse_size, header.state_bytes),
      FIELD("flags", true, parse_natural, header.n_flags),
      FIELD("microbatches", true, parse_natural, header.microbatches),
      FIELD("rows", true, parse_natural, header.rows), FIELD("start", true, parse_size, header.n_start),
      FIELD("common", false, parse_place, header.common)},
     complete_header,
     false},
    {"group",
     {FIELD("index", true, parse_natural, index), FIELD("ranks", true, parse_ranks, rank)},
     complete_group,
     false},
    {"slot",
     {FIELD("kind", true, parse_slot_kind, slot.kind), FIELD("index", true, parse_int, slot.index),
      FIELD("microbatch", true, parse_int, slot.microbatch), FIELD("tensor", true, parse_tensor, slot.tensor),
      FIELD("slice", false, parse_slice, slot.slice), FIELD("owner", false, parse_flag, slot.owner),
      FIELD("place", true, parse_place, slot.place)},
     complete_slot,
     false},
    {"kernel",
     {FIELD("index", true, parse_natural, index), FIELD("op", true, parse_op, kernel.op),
      FIELD("inputs", false, parse_inputs, kernel), FIELD("outputs", false, parse_outputs, kernel),
      FIELD("row_elements", false, parse_int64, kernel.row_elements),
      FIELD("row_start", false, parse_int64, kernel.row_start),
      FIELD("expression", false, parse_expression, kernel.attributes.expression)},
     complete_kernel,
     true},
    {"instruction",
     {FIELD("index", true, parse_natural, index), FIELD("kind", true, parse_kind, instruction.kind),
      FIELD("lane", true, parse_lane, instruction.lane), FIELD("phase", true, parse_phase, instruction.phase),
      FIELD("microbatch", true, parse_int, instruction.microbatch),
      FIELD("kernel", false, parse_natural, instruction.kernel),
      FIELD("peer", false, parse_natural, instruction.peer),
      FIELD("channel", false, parse_natural, instruction.channel),
      FIELD("collective", false, parse_collective, instruction.collective),
      FIELD("reduction", false, parse_reduction, instruction.reduction),
      FIELD("type", false, parse_dtype, instruction.dtype),
      FIELD("group", false, parse_natural, instruction.group),
      FIELD("counts", false, parse_counts, instruction), FIELD("reads", false, parse_reads, instruction),
      FIELD("writes", false, parse_writes, instruction), FIELD("waits", false, parse_waits, instruction),
      FIELD("layer", true, parse_string, instruction.layer),
      FIELD("what", true, parse_string, instruction.what)},
     complete_instruction,
     false},
};
#undef FIELD

const kpar_line_kind *kpar_line_kinds(int *n)
{
    *n = (int)(sizeof line_kinds / sizeof line_kinds[0]);
    return line_kinds;
}
