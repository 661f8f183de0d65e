/* Reads what text_dump.c writes. A line is a word and fields; a table says for each word which fields it has and
 * what to do when the line is complete. */
#include "program/program.h"

#include "base/number.h"
#include "program/attributes.h"

#include <limits.h>
#include <string.h>

typedef struct places {
    kpar_place *items;
    size_t n, capacity;
} places;

/* The line being read: every kind of line uses its part. */
typedef struct line {
    int rank, world, index;
    kpar_program header;
    kpar_kernel_spec kernel;
    kpar_slot slot;
    kpar_instruction instruction;
} line;

typedef struct reader {
    int number; /* of the line */
    kpar_program *program;
    kpar_arena *arena; /* what a line needs until it is complete */
    line line;
    kpar_tensor_spec *inputs, *outputs;
    size_t n_inputs, inputs_capacity, n_outputs, outputs_capacity;
    places reads, writes;
    int *ranks, *waits;
    size_t n_ranks, ranks_capacity, n_waits, waits_capacity;
    size_t *counts;
    size_t n_counts, counts_capacity;
} reader;

typedef struct field {
    const char *key;
    bool needed;
    bool (*parse)(reader *r, char *value, void *member);
    size_t offset; /* of the member in `line` */
} field;

enum { MAX_FIELDS = 24 };

typedef struct line_kind {
    const char *word;
    field fields[MAX_FIELDS];
    kpar_status (*complete)(reader *r);
    bool attributes; /* fields that are not listed are attributes of the kernel */
} line_kind;

static kpar_status malformed(const reader *r, const char *what, const char *found)
{
    return kpar_fail(KPAR_EFORMAT, "program: line %d: expected %s, found '%.40s'", r->number, what, found);
}

/* Values of fields. */

static bool parse_int(reader *r, char *value, void *member)
{
    long long number;
    (void)r;
    if (!kpar_parse_whole_integer(value, &number) || number < INT_MIN || number > INT_MAX) return false;
    *(int *)member = (int)number;
    return true;
}

static bool parse_natural(reader *r, char *value, void *member)
{
    return parse_int(r, value, member) && *(int *)member >= 0;
}

static bool parse_int64(reader *r, char *value, void *member)
{
    long long number;
    (void)r;
    if (!kpar_parse_whole_integer(value, &number)) return false;
    *(int64_t *)member = number;
    return true;
}

static bool parse_size(reader *r, char *value, void *member)
{
    int64_t number;
    if (!parse_int64(r, value, &number) || number < 0) return false;
    *(size_t *)member = (size_t)number;
    return true;
}

static bool parse_flag(reader *r, char *value, void *member)
{
    (void)r;
    *(bool *)member = value[0] == '1';
    return strcmp(value, "0") == 0 || strcmp(value, "1") == 0;
}

static bool parse_op(reader *r, char *value, void *member)
{
    kpar_op_kind kind;
    (void)r;
    if (!kpar_op_parse(value, &kind)) return false;
    *(int *)member = (int)kind;
    return true;
}

static bool parse_dtype(reader *r, char *value, void *member)
{
    (void)r;
    return kpar_dtype_parse(value, member);
}

/* Enums, by the names of their members. */
#define PARSE_NAME(function, type, count, name)                                                              \
    static bool function(reader *r, char *value, void *member)                                               \
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

static bool parse_reduction(reader *r, char *value, void *member)
{
    int number;
    if (!parse_natural(r, value, &number) || number > KPAR_REDUCE_MIN) return false;
    *(kpar_reduction *)member = (kpar_reduction)number;
    return true;
}

static bool parse_string(reader *r, char *value, void *member)
{
    *(const char **)member = kpar_arena_strdup(r->arena, value);
    return true;
}

static bool parse_expression(reader *r, char *value, void *member)
{
    const char *at = value;
    return kpar_expression_parse(&at, r->program->arena, member) == KPAR_OK && *at == '\0';
}

/* Lists. */

/* Cuts the next element off a list; NULL behind the last. */
static char *next_element(char **list, char separator)
{
    char *element = *list;
    if (!element) return NULL;
    char *end = strchr(element, separator);
    if (end) *end = '\0';
    *list = end ? end + 1 : NULL;
    return element;
}

/* "first+second", two numbers. */
static bool parse_pair(reader *r, char *value, int64_t *first, int64_t *second)
{
    char *plus = strchr(value, '+');
    if (!plus) return false;
    *plus = '\0';
    return parse_int64(r, value, first) && parse_int64(r, plus + 1, second);
}

/* "offset+bytes", behind "rank:" if it is a peer's. */
static bool parse_place(reader *r, char *value, void *member)
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

static bool parse_places(reader *r, char *value, places *list)
{
    for (char *element; (element = next_element(&value, ','));)
        if (!parse_place(r, element, &KPAR_PUSH(list->items, list->n, list->capacity))) return false;
    return true;
}

static bool parse_reads(reader *r, char *value, void *member)
{
    (void)member;
    return parse_places(r, value, &r->reads);
}

static bool parse_writes(reader *r, char *value, void *member)
{
    (void)member;
    return parse_places(r, value, &r->writes);
}

static bool parse_ranks(reader *r, char *value, void *member)
{
    (void)member;
    for (char *element; (element = next_element(&value, ','));)
        if (!parse_natural(r, element, &KPAR_PUSH(r->ranks, r->n_ranks, r->ranks_capacity))) return false;
    return true;
}

static bool parse_waits(reader *r, char *value, void *member)
{
    (void)member;
    for (char *element; (element = next_element(&value, ','));)
        if (!parse_natural(r, element, &KPAR_PUSH(r->waits, r->n_waits, r->waits_capacity))) return false;
    return true;
}

static bool parse_counts(reader *r, char *value, void *member)
{
    (void)member;
    for (char *element; (element = next_element(&value, ','));)
        if (!parse_size(r, element, &KPAR_PUSH(r->counts, r->n_counts, r->counts_capacity))) return false;
    return true;
}

static bool parse_slice(reader *r, char *value, void *member)
{
    kpar_slice *slice = member;
    for (char *element; (element = next_element(&value, ',')); slice->rank++) {
        if (slice->rank == KPAR_MAX_RANK) return false;
        if (!parse_pair(r, element, &slice->start[slice->rank], &slice->size[slice->rank])) return false;
    }
    return true;
}

/* "float32(2,3)" */
static bool parse_tensor(reader *r, char *value, void *member)
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
    for (char *element; (element = next_element(&dims, ',')); tensor->rank++)
        if (tensor->rank == KPAR_MAX_RANK || !parse_int64(r, element, &tensor->dims[tensor->rank]))
            return false;
    return true;
}

static bool parse_inputs(reader *r, char *value, void *member)
{
    (void)member;
    for (char *element; (element = next_element(&value, ';'));)
        if (!parse_tensor(r, element, &KPAR_PUSH(r->inputs, r->n_inputs, r->inputs_capacity))) return false;
    return true;
}

static bool parse_outputs(reader *r, char *value, void *member)
{
    (void)member;
    for (char *element; (element = next_element(&value, ';'));)
        if (!parse_tensor(r, element, &KPAR_PUSH(r->outputs, r->n_outputs, r->outputs_capacity)))
            return false;
    return true;
}

/* Lines, when all their fields are read. */

static kpar_status complete_header(reader *r)
{
    const kpar_program *header = &r->line.header;
    if (r->program) return malformed(r, "one line 'program', the first", "another");
    r->program = kpar_program_create(r->line.rank, r->line.world);
    r->program->arena_bytes = header->arena_bytes;
    r->program->state_bytes = header->state_bytes;
    r->program->n_flags = header->n_flags;
    r->program->microbatches = header->microbatches;
    r->program->rows = header->rows;
    r->program->n_start = header->n_start;
    return KPAR_OK;
}

/* Things are numbered from 0 in the order of their lines. */
static kpar_status check_index(const reader *r, int index)
{
    if (index == r->line.index) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "program: line %d: expected index %d, found %d", r->number, index,
                     r->line.index);
}

static kpar_status complete_group(reader *r)
{
    return check_index(r, kpar_program_group(r->program, r->ranks, (int)r->n_ranks));
}

static kpar_status complete_kernel(reader *r)
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

static kpar_status complete_slot(reader *r)
{
    kpar_program *program = r->program;
    KPAR_PUSH(program->slots, program->n_slots, program->slots_capacity) = r->line.slot;
    return KPAR_OK;
}

static kpar_status complete_instruction(reader *r)
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
            return malformed(r, "a count for each rank of a group above", "another number");
        in->counts = r->counts;
    }
    return check_index(r, kpar_program_append(r->program, in));
}

#define FIELD(key, needed, parse, member)                                                                    \
    {                                                                                                        \
        key, needed, parse, offsetof(line, member)                                                           \
    }
static const line_kind line_kinds[] = {
    {"program",
     {FIELD("rank", true, parse_natural, rank), FIELD("world", true, parse_natural, world),
      FIELD("arena", true, parse_size, header.arena_bytes),
      FIELD("state", true, parse_size, header.state_bytes),
      FIELD("flags", true, parse_natural, header.n_flags),
      FIELD("microbatches", true, parse_natural, header.microbatches),
      FIELD("rows", true, parse_natural, header.rows), FIELD("start", true, parse_size, header.n_start)},
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

static void begin_line(reader *r)
{
    r->line = (line){0};
    r->n_inputs = r->n_outputs = r->reads.n = r->writes.n = r->n_ranks = r->n_waits = r->n_counts = 0;
    kpar_arena_destroy(r->arena);
    r->arena = kpar_arena_create();
}

/* Takes the quotes and backslashes out of a quoted value at *at; false if it does not end. */
static bool unquote(char **at, char **value)
{
    char *from = *at + 1, *to = *at;
    *value = to;
    for (; *from && *from != '"'; from++) {
        if (*from == '\\' && from[1])
            from++;
        else if (*from == '\\')
            return false;
        else {
            *to++ = *from;
            continue;
        }
        *to++ = *from == 'n' ? '\n' : *from;
    }
    if (*from != '"') return false;
    *at = from + 1;
    *to = '\0';
    return true;
}

/* A value goes to the next space; a quoted one to its quote, one in braces to its brace. */
static bool cut_value(char **at, char **value)
{
    if (**at == '"') return unquote(at, value);
    *value = *at;
    char *end = **at == '{' ? strchr(*at, '}') : *at + strcspn(*at, " ");
    if (!end) return false;
    if (*end == '}') end++;
    if (*end != ' ' && *end != '\0') return false;
    *at = *end ? end + 1 : end;
    *end = '\0';
    return true;
}

static bool parse_attribute(reader *r, const char *key, const char *value)
{
    int n;
    const kpar_attribute_row *rows = kpar_attribute_rows(&n);
    for (int i = 0; i < n; i++)
        if (strcmp(rows[i].name, key) == 0)
            return kpar_attribute_parse(&rows[i], value, &r->line.kernel.attributes);
    return false;
}

static kpar_status read_field(reader *r, const line_kind *kind, const char *key, char *value, unsigned *seen)
{
    const field *f = kind->fields;
    while (f->key && strcmp(f->key, key) != 0) f++;
    if (!f->key) {
        if (kind->attributes && parse_attribute(r, key, value)) return KPAR_OK;
        return malformed(r, "a field or value that a program has", key);
    }
    unsigned bit = 1U << (f - kind->fields);
    if (*seen & bit) return malformed(r, "each field once", key);
    *seen |= bit;
    if (f->parse(r, value, (char *)&r->line + f->offset)) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "program: line %d: field '%s' has a malformed value", r->number, f->key);
}

static kpar_status read_fields(reader *r, const line_kind *kind, char *at)
{
    unsigned seen = 0;
    while (at += strspn(at, " "), *at) {
        char *key = at, *value, *equals = at + strcspn(at, "= ");
        if (*equals != '=') return malformed(r, "key=value", key);
        *equals = '\0';
        at = equals + 1;
        if (!cut_value(&at, &value)) return malformed(r, "a value that ends", key);
        KPAR_TRY(read_field(r, kind, key, value, &seen));
    }
    for (const field *f = kind->fields; f->key; f++)
        if (f->needed && !(seen >> (f - kind->fields) & 1))
            return kpar_fail(KPAR_EFORMAT, "program: line %d: expected the field '%s'", r->number, f->key);
    return kind->complete(r);
}

static kpar_status read_line(reader *r, char *text)
{
    char *rest = text + strcspn(text, " ");
    if (*text == '\0' || *text == '#') return KPAR_OK;
    if (*rest) *rest++ = '\0';
    for (size_t i = 0; i < sizeof line_kinds / sizeof line_kinds[0]; i++) {
        if (strcmp(text, line_kinds[i].word) != 0) continue;
        if (i > 0 && !r->program) return malformed(r, "a first line 'program'", text);
        begin_line(r);
        return read_fields(r, &line_kinds[i], rest);
    }
    return malformed(r, "program, group, slot, kernel or instruction", text);
}

static kpar_status read_all(reader *r, char *text)
{
    for (char *at; (at = next_element(&text, '\n'));) {
        r->number++;
        KPAR_TRY(read_line(r, at));
    }
    if (!r->program) return malformed(r, "a line 'program'", "none");
    kpar_status status = kpar_program_check(r->program);
    return status == KPAR_OK ? status : kpar_fail_in(KPAR_EFORMAT, "program text");
}

static void free_reader(reader *r)
{
    kpar_arena_destroy(r->arena);
    kpar_free(r->inputs);
    kpar_free(r->outputs);
    kpar_free(r->reads.items);
    kpar_free(r->writes.items);
    kpar_free(r->ranks);
    kpar_free(r->waits);
    kpar_free(r->counts);
}

kpar_status kpar_program_read(const char *text, kpar_program **program)
{
    reader r = {0};
    char *copy = kpar_strdup(text);
    kpar_status status = read_all(&r, copy);
    kpar_free(copy);
    free_reader(&r);
    if (status != KPAR_OK) {
        kpar_program_destroy(r.program);
        r.program = NULL;
    }
    *program = r.program;
    return status;
}
