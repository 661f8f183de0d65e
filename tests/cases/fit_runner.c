/* Fitting on threads. */
#include "fit_runner.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct fit_rank {
    pthread_t thread;
    kpar_comm *comm;
    const kpar_fit_run *run;
    kpar_trainer *trainer;
    kpar_dataset *dataset;
    kpar_fit_result result;
    kpar_status status;
    char message[1024];
} fit_rank;

static kpar_status create(fit_rank *r)
{
    const kpar_fit_run *run = r->run;
    const kpar_trainer_options options = {
        .plan = run->plan,
        .config = run->config,
        .device = {.threads = 1},
        .executor = {.lane_seed = run->lane_seed, .progress_thread = run->progress_thread},
        .modes = (1 << KPAR_MODE_COUNT) - 1,
    };
    KPAR_TRY(kpar_trainer_create(r->comm, run->model, &options, &r->trainer));
    return kpar_trainer_open_data(r->trainer, run->data, &(kpar_dataset_names){0}, &r->dataset);
}

static kpar_status evaluate(fit_rank *r, const kpar_rows *rows)
{
    const kpar_named_value *logs;
    KPAR_TRY(kpar_trainer_evaluate(r->trainer, rows, NULL, 0, NULL, &logs, &r->result.n_logs));
    if (r->result.n_logs > KPAR_FIT_LOGS) r->result.n_logs = KPAR_FIT_LOGS;
    for (size_t i = 0; i < r->result.n_logs; i++) r->result.logs[i] = logs[i].value;
    return KPAR_OK;
}

static kpar_status fit(fit_rank *r)
{
    KPAR_TRY(create(r));
    const kpar_rows rows = {r->dataset, 0, kpar_dataset_rows(r->dataset)};
    const kpar_fit_options options = {
        .train = rows, .epochs = r->run->epochs, .shuffle = true, .seed = 5, .output = r->run->output};
    if (options.epochs > 0) KPAR_TRY(kpar_trainer_fit(r->trainer, &options, NULL));
    KPAR_TRY(evaluate(r, &rows));
    return kpar_trainer_predict(r->trainer, &rows, &r->result.predictions);
}

static void *run_rank(void *argument)
{
    fit_rank *r = argument;
    r->status = fit(r);
    if (r->status != KPAR_OK) snprintf(r->message, sizeof r->message, "%s", kpar_error_message());
    kpar_trainer_destroy(r->trainer);
    if (r->dataset) kpar_dataset_close(r->dataset);
    return NULL;
}

kpar_status kpar_fit_run_local(const kpar_fit_run *run, kpar_fit_result *result)
{
    const int n = kpar_mesh_size(run->plan.mesh);
    kpar_comm **comms = calloc((size_t)n, sizeof *comms);
    fit_rank *ranks = calloc((size_t)n, sizeof *ranks);
    kpar_status status = kpar_comm_local_create(n, 0, comms);
    for (int i = 0; i < n && status == KPAR_OK; i++) {
        ranks[i].comm = comms[i];
        ranks[i].run = run;
        pthread_create(&ranks[i].thread, NULL, run_rank, &ranks[i]);
    }
    for (int i = 0; i < n && comms[0]; i++) {
        pthread_join(ranks[i].thread, NULL);
        if (ranks[i].status != KPAR_OK && status == KPAR_OK)
            status = kpar_fail(ranks[i].status, "%s", ranks[i].message);
    }
    for (int i = 0; i < n; i++)
        if (comms[i]) kpar_comm_destroy(comms[i]);
    *result = ranks[0].result;
    free(comms);
    free(ranks);
    return status;
}
