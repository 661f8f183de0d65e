/* The lines of a program's text: which fields each has, how a field is read, what is done with a complete line.
 * Inside src/program only. */
#ifndef KPAR_PROGRAM_TEXT_LINES_H
#define KPAR_PROGRAM_TEXT_LINES_H

#include "program/program.h"

typedef struct kpar_place_list {
    kpar_place *items;
    size_t n, capacity;
} kpar_place_list;

/* The line being read: every kind of line uses its part. */
typedef struct kpar_text_line {
    int rank, world, index;
    kpar_program header;
    kpar_kernel_spec kernel;
    kpar_slot slot;
    kpar_instruction instruction;
} kpar_text_line;

typedef struct kpar_text_reader {
    int number; /* of the line */
    kpar_program *program;
    kpar_arena *arena; /* what a line needs until it is complete */
    kpar_text_line line;
    kpar_tensor_spec *inputs, *outputs;
    size_t n_inputs, inputs_capacity, n_outputs, outputs_capacity;
    kpar_place_list reads, writes;
    int *ranks, *waits;
    size_t n_ranks, ranks_capacity, n_waits, waits_capacity;
    size_t *counts;
    size_t n_counts, counts_capacity;
} kpar_text_reader;

typedef struct kpar_line_field {
    const char *key;
    bool needed;
    bool (*parse)(kpar_text_reader *r, char *value, void *member);
    size_t offset; /* of the member in `line` */
} kpar_line_field;

enum { KPAR_LINE_FIELDS = 24 };

typedef struct kpar_line_kind {
    const char *word;
    kpar_line_field fields[KPAR_LINE_FIELDS];
    kpar_status (*complete)(kpar_text_reader *r);
    bool attributes; /* fields that are not listed are attributes of the kernel */
} kpar_line_kind;

/* One for each word that a line may begin with; the first is that of the first line. */
const kpar_line_kind *kpar_line_kinds(int *n);

/* KPAR_EFORMAT: "program: line N: expected WHAT, found 'FOUND'". */
kpar_status kpar_text_malformed(const kpar_text_reader *r, const char *what, const char *found);

/* Cuts the next element off a list; NULL behind the last. */
char *kpar_next_element(char **list, char separator);

#endif
