/* Planning: drives the passes and emits the program of each rank. */
#ifndef KPAR_PLAN_PLAN_H
#define KPAR_PLAN_PLAN_H

#include "device/device.h"
#include "model/lower.h"
#include "parallel/mesh.h"
#include "parallel/recompute.h"
#include "parallel/schedule.h"

typedef struct kpar_plan_options {
    kpar_mesh mesh;
    int64_t batch_size;            /* rows of the global batch */
    int microbatches;              /* a replica; with leaves: 0 */
    int leaves;                    /* reproducible sums over so many leaves of the batch; 0: off */
    const kpar_schedule *schedule; /* NULL: 1f1b */
    int virtual_stages;            /* of a rank; 0: as many as the schedule likes */
    kpar_recompute recompute;      /* what backward runs again instead of keeping it */
    int zero;                      /* 0 or 1 */
    bool split_features;
    int64_t split_vocabulary;        /* see parallel/place.h */
    bool microbatch_statistics;      /* what sums over the batch does so over each microbatch */
    const char *const *stages;       /* first layers of stages 1 ..., or NULL */
    const int *nodes;                /* node of each rank; NULL: all on one */
    bool windows;                    /* ranks of a node share memory */
    const char *choice;              /* choice of algorithms; NULL: the built-in table */
    const kpar_device_class *device; /* says what runs as one kernel */
    const char *without_passes;      /* names of optional passes left out, separated by commas; NULL: none */
    uint64_t seed;                   /* of dropout and initial weights */
    bool check_passes;               /* assert the invariants after each pass */
    kpar_dtype real;                 /* F32; F64 for oracles */
} kpar_plan_options;

typedef struct kpar_plan kpar_plan;

/* Plans the modes in `modes` (bit 1 << kpar_mode). The catalog is filled. Model, catalog and what the options point to
 * are borrowed and must outlive the plan. Every argument that cannot be served is an error that names it. */
kpar_status kpar_plan_create(const kpar_model *model, kpar_catalog *catalog, const kpar_plan_options *options,
                             unsigned modes, kpar_plan **plan) KPAR_MUST_USE;
void kpar_plan_destroy(kpar_plan *plan);

const kpar_plan_options *kpar_plan_options_get(const kpar_plan *plan);
const kpar_catalog *kpar_plan_catalog(const kpar_plan *plan);

/* The graph of a mode after all passes; NULL: not planned. */
const kpar_graph *kpar_plan_graph(const kpar_plan *plan, kpar_mode mode);
/* The first mode that is planned. */
kpar_mode kpar_plan_first_mode(const kpar_plan *plan);

/* What a run of the mode reports; *values is the number of report slots. */
const kpar_report_entry *kpar_plan_reports(const kpar_plan *plan, kpar_mode mode, int *n, int *values);

/* What the mode takes as labels, of each output of the model. */
const kpar_label_range *kpar_plan_label_ranges(const kpar_plan *plan, kpar_mode mode);
/* What it takes as sample weights, likewise. */
const kpar_weight_range *kpar_plan_weight_ranges(const kpar_plan *plan, kpar_mode mode);

/* The programs of one rank, by mode (NULL: not planned), sharing one arena. The caller destroys them. */
kpar_status kpar_plan_emit(const kpar_plan *plan, int rank,
                           kpar_program *programs[KPAR_MODE_COUNT]) KPAR_MUST_USE;

/* How a global batch is dealt: microbatches of replica `data`, and the rows (positions) of its microbatch `m` in a
 * batch of `rows` rows. */
int kpar_plan_microbatches(const kpar_plan *plan, int data);
void kpar_plan_rows(const kpar_plan *plan, int64_t rows, int data, int m, int64_t *first, int64_t *count);

/* Stages of a rank: 1, or more in a pipeline whose schedule takes turns with them. */
int kpar_plan_chunks(const kpar_plan *plan);

/* Hash over what must be the same on all ranks: options, graphs, catalog. */
uint64_t kpar_plan_hash(const kpar_plan *plan);

/* Passes that may be left out, NULL-terminated. */
const char *const *kpar_plan_optional_passes(void);

#endif
