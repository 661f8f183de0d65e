/* The times of a rank's kernels as a table. */
#include "train/trainer_internal.h"

#include <stdlib.h>

typedef struct line {
    double seconds;
    int index; /* of the instruction */
} line;

static int slowest_first(const void *a, const void *b)
{
    const line *x = a, *y = b;
    if (x->seconds != y->seconds) return x->seconds < y->seconds ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

/* "128x784,784x10" */
static void print_shapes(kpar_text *text, const kpar_tensor_spec *tensors, int n)
{
    for (int i = 0; i < n; i++) {
        if (i > 0) kpar_text_append(text, ",", 1);
        if (tensors[i].rank == 0) kpar_text_append(text, "1", 1);
        for (int d = 0; d < tensors[i].rank; d++)
            kpar_text_printf(text, "%s%lld", d ? "x" : "", (long long)tensors[i].dims[d]);
    }
}

static void print_line(kpar_text *text, const kpar_program *program, const char *mode, const line *l,
                       uint64_t runs)
{
    const kpar_instruction *in = &program->instructions[l->index];
    const kpar_kernel_spec *spec = &program->kernels[in->kernel];
    kpar_text_printf(text, "%s\t%.6f\t%llu\t%s\t%s\t", mode, l->seconds, (unsigned long long)runs,
                     kpar_phase_name(in->phase), kpar_op_row_get((kpar_op_kind)spec->op)->name);
    print_shapes(text, spec->tensors, spec->n_inputs);
    kpar_text_append(text, "\t", 1);
    print_shapes(text, spec->tensors + spec->n_inputs, spec->n_outputs);
    kpar_text_printf(text, "\t%s\n", in->layer);
}

static void print_program(kpar_text *text, const kpar_trainer *t, kpar_mode mode)
{
    const kpar_program *program = t->programs[mode];
    const int index = t->program_index[mode];
    line *lines = kpar_alloc((program->n_instructions + 1) * sizeof *lines);
    size_t n = 0;
    for (size_t i = program->n_start; i < program->n_instructions; i++)
        if (program->instructions[i].kind == KPAR_INSTRUCTION_KERNEL)
            lines[n++] = (line){kpar_executor_kernel_seconds(t->executor, index, (int)i), (int)i};
    qsort(lines, n, sizeof *lines, slowest_first);
    for (size_t i = 0; i < n; i++)
        print_line(text, program, kpar_mode_name(mode), &lines[i], kpar_executor_runs(t->executor, index));
    kpar_free(lines);
}

void kpar_trainer_profile(const kpar_trainer *trainer, kpar_text *text)
{
    kpar_text_printf(text, "mode\tseconds\truns\tphase\top\tinputs\toutputs\tlayer\n");
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++)
        if (trainer->programs[mode]) print_program(text, trainer, (kpar_mode)mode);
}
