/* Predictions for all rows, as .npy files. */
#include "cli/job.h"

#include "data/npy.h"
#include "data/output.h"

#include <string.h>

/* OUT.npy, or with several outputs OUT.NAME.npy; a name's slashes would be folders. */
static const char *path_of(const kpar_job *job, int output)
{
    const kpar_model *model = kpar_trainer_model(job->trainer);
    const char *path = job->settings->predict;
    if (model->n_outputs == 1) return path;
    const size_t length = strlen(path),
                 stem = length > 4 && strcmp(path + length - 4, ".npy") == 0 ? length - 4 : length;
    char *name = kpar_arena_strdup(job->arena, model->outputs[output].name);
    for (char *at = name; *at; at++)
        if (*at == '/') *at = '_';
    return kpar_arena_printf(job->arena, "%.*s.%s.npy", (int)stem, path, name);
}

static kpar_status try_files(const kpar_job *job)
{
    for (int i = 0; i < kpar_trainer_model(job->trainer)->n_outputs; i++) {
        kpar_new_file *trial;
        KPAR_TRY(kpar_new_file_create(path_of(job, i), &trial));
        kpar_new_file_abandon(trial);
    }
    return KPAR_OK;
}

kpar_status kpar_job_try_predictions(kpar_job *job)
{
    return kpar_comm_agree(job->comm, kpar_job_is_root(job) ? try_files(job) : KPAR_OK);
}

static kpar_status write_files(const kpar_job *job, kpar_array *outputs)
{
    for (int i = 0; i < kpar_trainer_model(job->trainer)->n_outputs; i++) {
        KPAR_TRY(kpar_npy_write(path_of(job, i), &outputs[i]));
        KPAR_TRY(kpar_job_tell_written(job, "predictions", path_of(job, i)));
    }
    return KPAR_OK;
}

kpar_status kpar_job_predict(kpar_job *job)
{
    const int n = kpar_trainer_model(job->trainer)->n_outputs;
    const kpar_rows all = {job->data, 0, kpar_dataset_rows(job->data)};
    if (!job->settings->train) KPAR_TRY(kpar_trainer_check_data(job->trainer, &all));
    kpar_array *outputs = kpar_alloc_zeroed((size_t)n + 1, sizeof *outputs);
    kpar_status status = kpar_trainer_predict(job->trainer, &all, outputs);
    if (status == KPAR_OK)
        status = kpar_comm_agree(job->comm, kpar_job_is_root(job) ? write_files(job, outputs) : KPAR_OK);
    for (int i = 0; i < n; i++) kpar_array_destroy(&outputs[i]);
    kpar_free(outputs);
    return status;
}
