/* What a plan predicts, for each rank: what it holds, computes, sends, and how long a step takes. From the emitted
 * programs, the device's modelled seconds and the link model; for people as a table, for programs as named values. */
#ifndef KPAR_PLAN_REPORT_H
#define KPAR_PLAN_REPORT_H

#include "plan/plan.h"

/* A rank, or ranks that the first one stands for. */
typedef struct kpar_plan_rank {
    int first_rank, last_rank;
    int stage;
    int layers; /* that compute on the rank */
    const char *first_layer, *last_layer;
    int64_t parameters;     /* of the model, held by the rank */
    size_t weight_bytes;    /* and what they take */
    size_t optimizer_bytes; /* slots, step count, learning rate */
    size_t buffer_bytes;    /* activations, gradients and everything else, at their highest */
    size_t memory_bytes;    /* all of that, what kernels hold and a process by itself */
    double flops;           /* of a step */
    size_t sent_bytes;      /* in a step: messages, and what is read from peers' windows */
    double compute_seconds; /* of a step: in kernels */
    double end_seconds;     /* when the rank is through with a step */
} kpar_plan_rank;

typedef struct kpar_plan_report {
    kpar_arena *arena;
    kpar_mode mode; /* the steps are of this */
    int n_ranks;
    kpar_plan_rank *rows;
    size_t n_rows, capacity;
    double step_seconds, samples_per_second;
    double bubble;  /* share of the ranks' time in which they do not compute */
    bool estimated; /* too large to simulate: a row a stage, of its first rank; times without overlap */
} kpar_plan_report;

/* Emits the programs (of the first planned mode of train, evaluate, predict) of all ranks and simulates a step, with
 * `threads` cores a rank. Where that would take long, only the first rank of each stage is looked at. */
kpar_status kpar_plan_report_create(const kpar_plan *plan, int threads,
                                    kpar_plan_report **report) KPAR_MUST_USE;
void kpar_plan_report_destroy(kpar_plan_report *report); /* NULL is fine */

/* Appends the table and the line of totals. */
void kpar_plan_report_print(const kpar_plan_report *report, kpar_text *text);

/* Sums over ranks, and the largest rank's bytes: units in the names. The list is the report's. */
typedef struct kpar_plan_value {
    const char *name;
    double value;
} kpar_plan_value;
const kpar_plan_value *kpar_plan_report_values(const kpar_plan_report *report, size_t *n);

#endif
