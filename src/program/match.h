/* Which instruction of one rank meets which of another: sends and receives, signals and waits, the members of a
 * collective. Inside src/program only. */
#ifndef KPAR_PROGRAM_MATCH_H
#define KPAR_PROGRAM_MATCH_H

#include "program/program.h"

/* An instruction of a rank. */
typedef struct kpar_ref {
    int rank, index;
} kpar_ref;

/* What an instruction meets. */
typedef struct kpar_match {
    kpar_ref other; /* SEND, RECEIVE: the other end; WAIT: its signal */
    int join;       /* COLLECTIVE: number of the join */
    int first, n;   /* SIGNAL: its waits are waits[first .. first + n) */
} kpar_match;

typedef struct kpar_matches {
    kpar_arena *arena;
    kpar_match **of;  /* [rank][index] */
    kpar_ref *waits;  /* by signal */
    kpar_ref *joined; /* members of collectives, join after join */
    int *join_first;  /* [join]: where its members begin; an entry more at the end */
    int n_joins;
} kpar_matches;

/* Fails with KPAR_EINTERNAL naming ranks and instructions where something has no counterpart or a different one. The
 * programs pass kpar_program_check. */
kpar_status kpar_matches_make(const kpar_program *const *programs, int n,
                              kpar_matches *matches) KPAR_MUST_USE;
void kpar_matches_free(kpar_matches *matches);

/* "rank 1, instruction 7 (send 'dense/send' of microbatch 0)" into text; returns text. */
enum { KPAR_REF_TEXT = 160 };
const char *kpar_ref_text(char text[KPAR_REF_TEXT], const kpar_program *const *programs, kpar_ref ref);

/* The list that an instruction belongs to: 0 start, 1 run. */
static inline int kpar_list_of(const kpar_program *program, int index)
{
    return (size_t)index >= program->n_start;
}

#endif
