/* kpar_bench: times one collective, done by kpar's own programs and by the MPI library. Shared by the
 * files of src/bench. */
#ifndef KPAR_BENCH_BENCH_H
#define KPAR_BENCH_BENCH_H

#include "base/options.h"
#include "comm/algorithm.h"
#include "comm/comm.h"
#include "train/defaults.h"

typedef enum kpar_bench_against { KPAR_BENCH_NOTHING, KPAR_BENCH_MPI } kpar_bench_against;

typedef struct kpar_bench_settings {
    kpar_collective collective; /* the operand */
    const char *begin, *end;
    size_t begin_bytes, end_bytes;
    double factor;
    int iterations, warmup;
    unsigned against;
    const char *choice, *json;
    int ranks_per_node, threads_per_rank;
    unsigned progress_thread; /* kpar_progress_wish */
    bool windows, help, help_man, help_markdown, version;
} kpar_bench_settings;

extern const kpar_options kpar_bench_options;

/* KPAR_EUSAGE says what is wrong. With one of the flags that print, no operand is needed. */
kpar_status kpar_bench_settings_read(kpar_arena *arena, int argc, char **argv,
                                     kpar_bench_settings *settings) KPAR_MUST_USE;

/* One collective of float32 over n ranks; part i of its `total` elements is member i's. */
typedef struct kpar_bench_case {
    kpar_collective collective;
    int me, n;
    size_t total, *offsets, *counts; /* n */
    const kpar_algorithm_row *row;
} kpar_bench_case;

/* The case of `bytes`, rounded down to whole elements, the same number on each rank where parts are
 * scattered or gathered, and at least one. `shared`: all ranks share windows. In `arena`. */
kpar_status kpar_bench_case_make(kpar_arena *arena, const kpar_bench_settings *settings, size_t bytes, int me,
                                 int n, bool shared, kpar_bench_case *made) KPAR_MUST_USE;

/* program.c: the program of one rank; ranks are the members. *result: where the own result lies, `total`
 * elements or, of a reduce-scatter, the own part. The buffer itself lies at the start of memory. */
kpar_status kpar_bench_program_create(const kpar_bench_case *c, kpar_program **program,
                                      kpar_place *result) KPAR_MUST_USE;

/* One way of doing the collective, on memory of its own. */
typedef struct kpar_bench_side kpar_bench_side;
struct kpar_bench_side {
    const char *name;
    float *data;         /* all parts */
    const float *result; /* all parts or, of a reduce-scatter, the own one */
    kpar_status (*run)(kpar_bench_side *side);
    void (*destroy)(kpar_bench_side *side);
};

/* Collective; all ranks fail or none. */
kpar_status kpar_bench_own_side(kpar_comm *comm, const kpar_bench_settings *settings,
                                const kpar_bench_case *c, kpar_bench_side **side) KPAR_MUST_USE;
kpar_status kpar_bench_mpi_side(kpar_comm *comm, const kpar_bench_case *c,
                                kpar_bench_side **side) KPAR_MUST_USE;

/* What a side took. Seconds are for one operation, a mean over iterations. */
typedef struct kpar_bench_times {
    double least, mean, most; /* over ranks */
    size_t wrong;             /* elements, over all ranks */
} kpar_bench_times;

/* Checks one run of each side, then lets them take turns. Collective; a rank that fails ends the job. */
kpar_status kpar_bench_measure(kpar_comm *comm, const kpar_bench_settings *settings, const kpar_bench_case *c,
                               kpar_bench_side *const *sides, int n_sides,
                               kpar_bench_times *times) KPAR_MUST_USE;

/* report.c: rank 0's table and JSON. A file that cannot be made is an error before anything is measured. */
typedef struct kpar_bench_report kpar_bench_report;
kpar_status kpar_bench_report_create(const kpar_bench_settings *settings, const kpar_comm *comm,
                                     kpar_bench_report **report) KPAR_MUST_USE;
void kpar_bench_report_row(kpar_bench_report *report, const kpar_bench_case *c,
                           const kpar_bench_times *times);
/* Writes the JSON, if all was measured, and frees. NULL: nothing. */
kpar_status kpar_bench_report_finish(kpar_bench_report *report, bool complete) KPAR_MUST_USE;

/* Bandwidth that a rank's link must carry, as a multiple of size / time: 2 (n - 1) / n or (n - 1) / n. */
double kpar_bench_bus_factor(kpar_collective collective, int n);

#endif
