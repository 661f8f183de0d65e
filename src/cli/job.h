/* What one rank of a job does, from settings to exit code; shared by the files of src/cli. */
#ifndef KPAR_CLI_JOB_H
#define KPAR_CLI_JOB_H

#include "cli/settings.h"
#include "plan/report.h"

/* What the steps of this run came to; kept by a consumer of rank 0's report. */
typedef struct kpar_totals {
    int64_t steps, rows;
    double seconds; /* in which these rows were trained */
} kpar_totals;

typedef struct kpar_job {
    const kpar_settings *settings;
    kpar_comm *comm;
    kpar_arena *arena;
    kpar_threads threads;
    const char *cores, *crowded; /* which ones ranks run on; who shares one, NULL: nobody */
    bool windows;
    kpar_trainer *trainer;
    kpar_dataset *data, *validation_data; /* validation_data NULL: none of its own */
    kpar_rows train, validation;          /* validation.dataset NULL: none */
    int64_t epochs;
    kpar_report *report; /* rank 0 */
    kpar_totals totals;
    double began;
    bool under_way; /* RUN_BEGIN was told */
} kpar_job;

static inline bool kpar_job_is_root(const kpar_job *job) { return kpar_comm_rank(job->comm) == 0; }

/* job.c: trains, evaluates, predicts. Collective; all ranks return the same. */
kpar_status kpar_job_run(kpar_comm *comm, const kpar_settings *settings) KPAR_MUST_USE;

/* threads.c. Collective. */
kpar_status kpar_job_choose_threads(kpar_comm *comm, const kpar_settings *settings,
                                    kpar_threads *threads) KPAR_MUST_USE;

/* threads.c: what there is to say of the ranks' cores, into job->cores and job->crowded. Collective. */
kpar_status kpar_job_look_at_cores(kpar_job *job) KPAR_MUST_USE;

/* "3 threads and a progress thread" */
const char *kpar_threads_text(kpar_arena *arena, const kpar_threads *threads);

/* threads.c: to be called before MPI starts, with the number of ranks of this node. Threads that wait for work spin,
 * which takes the processors from the other ranks' threads where they are too few for all. OpenMP asks how to wait when
 * the program starts and never again, so the program starts once more; it goes on where it cannot. */
void kpar_job_share_processors(const kpar_settings *settings, int ranks, char **argv);

/* layout.c: mesh, microbatches and what else of a plan's options settings say, for `ranks` ranks. */
kpar_status kpar_layout_choose(kpar_arena *arena, const kpar_settings *settings, int ranks,
                               kpar_plan_options *options) KPAR_MUST_USE;

/* compile_override.c: the model's config.json with --compile and --learning-rate in it; *config is NULL where neither is
 * given. It lives in `arena`. */
kpar_status kpar_config_override(kpar_arena *arena, const kpar_settings *settings,
                                 const char **config) KPAR_MUST_USE;

/* data.c: opens the data sets and shares them out among training and validation. Collective. */
kpar_status kpar_job_open_data(kpar_job *job) KPAR_MUST_USE;

/* random_data.c: whether --data is "random" or "random:ROWS", and such data for the trainer's model. */
bool kpar_random_data_is_meant(const char *data);
kpar_status kpar_random_data_open(const kpar_settings *settings, const kpar_trainer *trainer,
                                  kpar_dataset **dataset) KPAR_MUST_USE;

/* begin.c: tells rank 0's consumers what is about to run: the first lines, facts and plan. */
kpar_status kpar_job_tell_begin(kpar_job *job, int64_t first_epoch) KPAR_MUST_USE;

/* end.c: sums up over ranks and tells. Collective. */
kpar_consumer *kpar_totals_create(kpar_totals *totals);
kpar_status kpar_job_tell_end(kpar_job *job) KPAR_MUST_USE;

/* A line of rank 0 that `what` is in the file `path` now. */
kpar_status kpar_job_tell_written(const kpar_job *job, const char *what, const char *path) KPAR_MUST_USE;

/* predict.c: whether the files can be made, before the work; and the work. Both collective. */
kpar_status kpar_job_try_predictions(kpar_job *job) KPAR_MUST_USE;
kpar_status kpar_job_predict(kpar_job *job) KPAR_MUST_USE;

/* check_layout.c: --check-layout. Collective. */
kpar_status kpar_job_check_layout(kpar_job *job) KPAR_MUST_USE;

/* plan.c: --plan. `ranks_started` and `threads` are those of the job; not collective. */
kpar_status kpar_plan_print(const kpar_settings *settings, int ranks_started,
                            const kpar_threads *threads) KPAR_MUST_USE;

/* dump.c: --dump-graph (rank 0) and --dump-program of `rank`, of the first mode planned; --profile of `rank`. */
kpar_status kpar_dump_graph(const kpar_settings *settings, const kpar_plan *plan) KPAR_MUST_USE;
kpar_status kpar_dump_program(const kpar_settings *settings, const kpar_plan *plan, int rank) KPAR_MUST_USE;
kpar_status kpar_dump_profile(const kpar_settings *s, const kpar_trainer *trainer, int rank) KPAR_MUST_USE;

#endif
