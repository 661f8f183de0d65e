/* A job on one rank: a trainer is made, data are opened, then it trains, evaluates, predicts. */
#include "cli/job.h"

#include "base/clock.h"

#include <signal.h>
#include <stdlib.h>

/* --- signals --- */

static void stop(int signal)
{
    (void)signal;
    kpar_trainer_stop();
}

/* A second INT finds its default again, and kills. */
static void listen_to_signals(void)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGUSR1, SIGHUP};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction action = {.sa_handler = stop,
                                   .sa_flags = SA_RESTART | (signals[i] == SIGINT ? (int)SA_RESETHAND : 0)};
        sigemptyset(&action.sa_mask);
        sigaction(signals[i], &action, NULL);
    }
}

/* --- making --- */

static unsigned modes(const kpar_settings *s)
{
    unsigned all = 0;
    if (s->train || s->check_layout) all |= 1u << KPAR_MODE_TRAIN;
    if (s->evaluate || (s->train && (s->validation || s->validation_split > 0)))
        all |= 1u << KPAR_MODE_EVALUATE;
    if (s->predict) all |= 1u << KPAR_MODE_PREDICT;
    return all;
}

/* Whether ranks of every node reach each other's memory. */
static kpar_status find_windows(kpar_job *job)
{
    const int ranks = kpar_comm_size(job->comm);
    job->windows = job->settings->transport != KPAR_TRANSPORT_MPI;
    for (int a = 0; a < ranks && job->windows; a++)
        for (int b = a + 1; b < ranks; b++)
            if (kpar_comm_node(job->comm, a) == kpar_comm_node(job->comm, b) &&
                !kpar_comm_shares(job->comm, a, b))
                job->windows = false;
    if (job->windows || job->settings->transport != KPAR_TRANSPORT_SHARED) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED,
                     "--transport shared: ranks of a node cannot share memory here; use --transport auto");
}

static kpar_status make_trainer(kpar_job *job)
{
    const kpar_settings *s = job->settings;
    kpar_trainer_options options = {
        .modes = modes(s),
        .ignore_memory = !s->memory_check,
        .device.threads = job->threads.compute,
        .executor = {.stall_seconds = s->stall_timeout, .progress_thread = job->threads.progress}};
    KPAR_TRY(kpar_layout_choose(job->arena, s, kpar_comm_size(job->comm), &options.plan));
    options.plan.windows = job->windows;
    options.weights = s->weights;
    KPAR_TRY(kpar_comm_agree(job->comm, kpar_config_override(job->arena, s, &options.config)));
    return kpar_trainer_create(job->comm, s->model, &options, &job->trainer);
}

static kpar_status write_dumps(kpar_job *job)
{
    const kpar_plan *plan = kpar_trainer_plan(job->trainer);
    if (kpar_job_is_root(job)) KPAR_TRY(kpar_dump_graph(job->settings, plan));
    return kpar_dump_program(job->settings, plan, kpar_comm_rank(job->comm));
}

/* Open MPI gives ranks a terminal of its own, whatever the job's output goes to. */
static kpar_progress_options find_terminal(int verbose)
{
    kpar_progress_options options = kpar_progress_detect(stdout, verbose);
    if (getenv("OMPI_COMM_WORLD_SIZE")) options.terminal = false;
    return options;
}

static kpar_status make_report(kpar_job *job)
{
    const kpar_progress_options progress = find_terminal(job->settings->verbose);
    kpar_consumer *file;
    if (!kpar_job_is_root(job)) return KPAR_OK;
    job->report = kpar_report_create();
    kpar_report_add(job->report, kpar_totals_create(&job->totals));
    kpar_report_add(job->report, kpar_progress_create(&progress));
    if (!job->settings->json) return KPAR_OK;
    KPAR_TRY(kpar_run_file_create(job->settings->json, &file));
    kpar_report_add(job->report, file);
    return KPAR_OK;
}

/* --- doing --- */

static kpar_status begin_run(void *context, int64_t first_epoch)
{
    kpar_job *job = context;
    job->under_way = true;
    return kpar_job_tell_begin(job, first_epoch);
}

kpar_status kpar_job_tell_written(const kpar_job *job, const char *what, const char *path)
{
    return job->report ? kpar_report_message(job->report, "%s written to %s", what, path) : KPAR_OK;
}

static kpar_status train(kpar_job *job)
{
    const kpar_settings *s = job->settings;
    const kpar_fit_options fit = {
        .train = job->train,
        .validation = job->validation,
        .epochs = job->epochs,
        .steps = s->steps,
        .shuffle = s->shuffle,
        .seed = (uint64_t)s->seed,
        .class_weights = s->class_weights,
        .n_class_weights = (int)s->class_weight.count,
        .checkpoint = s->checkpoint,
        .checkpoint_every = s->checkpoint_every,
        .resume = s->resume,
        .output = s->output,
        .begin = begin_run,
        .context = job,
    };
    KPAR_TRY(kpar_trainer_fit(job->trainer, &fit, job->report));
    return s->output ? kpar_comm_agree(job->comm, kpar_job_tell_written(job, "trained model", s->output))
                     : KPAR_OK;
}

static kpar_status evaluate(kpar_job *job)
{
    const kpar_rows *rows = job->validation.dataset ? &job->validation : &job->train;
    const kpar_named_value *logs;
    size_t n_logs;
    KPAR_TRY(kpar_trainer_check_data(job->trainer, rows));
    return kpar_trainer_evaluate(job->trainer, rows, NULL, 0, job->report, &logs, &n_logs);
}

static kpar_status do_all(kpar_job *job)
{
    const kpar_settings *s = job->settings;
    if (s->train)
        KPAR_TRY(train(job));
    else
        KPAR_TRY(kpar_comm_agree(job->comm, begin_run(job, 0)));
    if (s->check_layout) KPAR_TRY(kpar_job_check_layout(job));
    if (s->evaluate) KPAR_TRY(evaluate(job));
    if (s->predict) KPAR_TRY(kpar_job_predict(job));
    return kpar_comm_agree(job->comm, kpar_dump_profile(s, job->trainer, kpar_comm_rank(job->comm)));
}

static kpar_status prepare(kpar_job *job)
{
    KPAR_TRY(kpar_job_choose_threads(job->comm, job->settings, &job->threads));
    KPAR_TRY(kpar_job_look_at_cores(job));
    KPAR_TRY(find_windows(job));
    KPAR_TRY(make_trainer(job));
    KPAR_TRY(kpar_comm_agree(job->comm, write_dumps(job)));
    if (job->settings->predict) KPAR_TRY(kpar_job_try_predictions(job));
    KPAR_TRY(kpar_job_open_data(job));
    return kpar_comm_agree(job->comm, make_report(job));
}

/* A run that was stopped says how far it came; its status stays. */
static kpar_status finish(kpar_job *job, kpar_status status)
{
    if (status != KPAR_OK && (status != KPAR_ESTOPPED || !job->under_way)) return status;
    char *message = kpar_strdup(kpar_error_message());
    kpar_status told = kpar_comm_agree(job->comm, kpar_job_tell_end(job));
    if (told == KPAR_OK && status != KPAR_OK) told = kpar_fail(status, "%s", message);
    kpar_free(message);
    return told;
}

kpar_status kpar_job_run(kpar_comm *comm, const kpar_settings *settings)
{
    kpar_job job = {
        .settings = settings, .comm = comm, .arena = kpar_arena_create(), .began = kpar_seconds()};
    listen_to_signals();
    kpar_status status = prepare(&job);
    if (status == KPAR_OK) status = finish(&job, do_all(&job));
    if (job.report) kpar_report_destroy(job.report);
    if (job.validation_data) kpar_dataset_close(job.validation_data);
    if (job.data) kpar_dataset_close(job.data);
    kpar_trainer_destroy(job.trainer);
    kpar_arena_destroy(job.arena);
    return status;
}
