/* A program as text: a line for each thing, "word key=value key=value ...". text_read.c reads it back.
 *
 *     program rank=0 world=2 arena=128 state=64 flags=0 microbatches=1 rows=4 start=0
 *     kernel index=0 op=matmul inputs=float32(4,2);float32(2,2) outputs=float32(4,2)
 *     instruction index=0 kind=send lane=comm phase=microbatch microbatch=0 peer=1 channel=3 reads=64+32 layer="dense" what="send"
 */
#include "program/program.h"

#include "base/hash.h"
#include "graph/attributes.h"

static void dump_quoted(kpar_text *text, const char *key, const char *value)
{
    kpar_text_printf(text, " %s=\"", key);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            kpar_text_printf(text, "\\%c", *value);
        else if (*value == '\n')
            kpar_text_append(text, "\\n", 2);
        else
            kpar_text_append(text, value, 1);
    }
    kpar_text_append(text, "\"", 1);
}

/* What stands before element i of a list: its key, or the separator. */
static void dump_head(kpar_text *text, const char *key, char separator, int i)
{
    if (i == 0)
        kpar_text_printf(text, " %s=", key);
    else
        kpar_text_append(text, &separator, 1);
}

static void dump_integers(kpar_text *text, const char *key, const int *values, int n)
{
    for (int i = 0; i < n; i++) {
        dump_head(text, key, ',', i);
        kpar_text_printf(text, "%d", values[i]);
    }
}

static void dump_sizes(kpar_text *text, const char *key, const size_t *values, int n)
{
    for (int i = 0; i < n; i++) {
        dump_head(text, key, ',', i);
        kpar_text_printf(text, "%zu", values[i]);
    }
}

static void dump_places(kpar_text *text, const char *key, const kpar_place *places, int n)
{
    for (int i = 0; i < n; i++) {
        dump_head(text, key, ',', i);
        if (places[i].rank >= 0) kpar_text_printf(text, "%d:", places[i].rank);
        kpar_text_printf(text, "%zu+%zu", places[i].offset, places[i].bytes);
    }
}

static void dump_tensors(kpar_text *text, const char *key, const kpar_tensor_spec *tensors, int n)
{
    for (int i = 0; i < n; i++) {
        dump_head(text, key, ';', i);
        kpar_text_printf(text, "%s(", kpar_dtype_name(tensors[i].dtype));
        for (int d = 0; d < tensors[i].rank; d++)
            kpar_text_printf(text, "%s%lld", d ? "," : "", (long long)tensors[i].dims[d]);
        kpar_text_append(text, ")", 1);
    }
}

static void dump_slice(kpar_text *text, const kpar_slice *slice)
{
    for (int i = 0; i < slice->rank; i++) {
        dump_head(text, "slice", ',', i);
        kpar_text_printf(text, "%lld+%lld", (long long)slice->start[i], (long long)slice->size[i]);
    }
}

static void dump_kernel(kpar_text *text, size_t index, const kpar_kernel_spec *kernel)
{
    kpar_text_printf(text, "kernel index=%zu op=%s", index, kpar_op_row_get((kpar_op_kind)kernel->op)->name);
    dump_tensors(text, "inputs", kernel->tensors, kernel->n_inputs);
    dump_tensors(text, "outputs", kernel->tensors + kernel->n_inputs, kernel->n_outputs);
    if (kernel->row_elements) kpar_text_printf(text, " row_elements=%lld", (long long)kernel->row_elements);
    if (kernel->row_start) kpar_text_printf(text, " row_start=%lld", (long long)kernel->row_start);
    kpar_attributes_print(text, &kernel->attributes);
    if (kernel->attributes.expression) {
        kpar_text_printf(text, " expression=");
        kpar_expression_print(text, kernel->attributes.expression);
    }
    kpar_text_append(text, "\n", 1);
}

static void dump_slot(kpar_text *text, const kpar_slot *slot)
{
    kpar_text_printf(text, "slot kind=%s index=%d microbatch=%d", kpar_slot_name(slot->kind), slot->index,
                     slot->microbatch);
    dump_tensors(text, "tensor", &slot->tensor, 1);
    dump_slice(text, &slot->slice);
    if (slot->owner) kpar_text_printf(text, " owner=1");
    dump_places(text, "place", &slot->place, 1);
    kpar_text_append(text, "\n", 1);
}

static void dump_collective(kpar_text *text, const kpar_program *program, const kpar_instruction *in)
{
    kpar_text_printf(text, " collective=%s reduction=%d type=%s group=%d",
                     kpar_collective_name(in->collective), (int)in->reduction, kpar_dtype_name(in->dtype),
                     in->group);
    if (in->counts) dump_sizes(text, "counts", in->counts, program->groups[in->group].n);
}

/* What instructions of this kind have besides places and waits. */
static void dump_particulars(kpar_text *text, const kpar_program *program, const kpar_instruction *in)
{
    switch (in->kind) {
    case KPAR_INSTRUCTION_KERNEL:
        kpar_text_printf(text, " kernel=%d", in->kernel);
        break;
    case KPAR_INSTRUCTION_SIGNAL:
        kpar_text_printf(text, " channel=%d", in->channel);
        break;
    case KPAR_INSTRUCTION_COLLECTIVE:
        dump_collective(text, program, in);
        break;
    case KPAR_INSTRUCTION_GUARD:
        kpar_text_printf(text, " type=%s", kpar_dtype_name(in->dtype));
        break;
    default:
        kpar_text_printf(text, " peer=%d channel=%d", in->peer, in->channel);
        break;
    }
}

static void dump_instruction(kpar_text *text, const kpar_program *program, size_t index)
{
    const kpar_instruction *in = &program->instructions[index];
    kpar_text_printf(text, "instruction index=%zu kind=%s lane=%s phase=%s microbatch=%d", index,
                     kpar_instruction_name(in->kind), kpar_lane_name(in->lane), kpar_phase_name(in->phase),
                     in->microbatch);
    dump_particulars(text, program, in);
    int n_reads = in->n_places - in->n_writes;
    dump_places(text, "reads", in->places, n_reads);
    dump_places(text, "writes", in->places + n_reads, in->n_writes);
    dump_integers(text, "waits", in->waits, in->n_waits);
    dump_quoted(text, "layer", in->layer);
    dump_quoted(text, "what", in->what);
    kpar_text_append(text, "\n", 1);
}

void kpar_program_dump(const kpar_program *program, kpar_text *text)
{
    kpar_text_printf(
        text, "program rank=%d world=%d arena=%zu state=%zu flags=%d microbatches=%d rows=%d start=%zu",
        program->rank, program->world, program->arena_bytes, program->state_bytes, program->n_flags,
        program->microbatches, program->rows, program->n_start);
    if (program->common.bytes) dump_places(text, "common", &program->common, 1);
    kpar_text_append(text, "\n", 1);
    for (size_t i = 0; i < program->n_groups; i++) {
        kpar_text_printf(text, "group index=%zu", i);
        dump_integers(text, "ranks", program->groups[i].ranks, program->groups[i].n);
        kpar_text_append(text, "\n", 1);
    }
    for (size_t i = 0; i < program->n_slots; i++) dump_slot(text, &program->slots[i]);
    for (size_t i = 0; i < program->n_kernels; i++) dump_kernel(text, i, &program->kernels[i]);
    for (size_t i = 0; i < program->n_instructions; i++) dump_instruction(text, program, i);
}

uint64_t kpar_program_hash(const kpar_program *program)
{
    kpar_text text = {0};
    kpar_program_dump(program, &text);
    uint64_t hash = kpar_hash(KPAR_HASH_START, kpar_text_get(&text), text.length);
    kpar_text_clear(&text);
    return hash;
}
