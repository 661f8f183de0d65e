/* The data of a job: which file, which arrays, which rows train and which validate. */
#include "cli/job.h"

#include <math.h>

/* A name for each of the model's inputs or outputs, or NULL where the file's own names serve. */
static kpar_status names_of(const char *option, const kpar_strings *given, const char *what, int n,
                            const char *const **names)
{
    *names = NULL;
    if (given->count == 0) return KPAR_OK;
    if (given->count != (size_t)n)
        return kpar_fail(KPAR_EUSAGE, "%s: the model has %d %s%s, expected as many names, found %zu", option,
                         n, what, n == 1 ? "" : "s", given->count);
    *names = given->items;
    return KPAR_OK;
}

static kpar_status find_names(kpar_job *job, bool validation, kpar_dataset_names *names)
{
    const kpar_settings *s = job->settings;
    const kpar_model *model = kpar_trainer_model(job->trainer);
    const bool own_x = validation && s->validation_x.count, own_y = validation && s->validation_y.count;
    *names = (kpar_dataset_names){.n_x = model->n_inputs, .n_y = model->n_outputs};
    KPAR_TRY(names_of(own_x ? "--validation-x" : "--x", own_x ? &s->validation_x : &s->x, "input",
                      model->n_inputs, &names->x));
    KPAR_TRY(names_of(own_y ? "--validation-y" : "--y", own_y ? &s->validation_y : &s->y, "output",
                      model->n_outputs, &names->y));
    if (validation) return KPAR_OK; /* weighed only where the file names its weights as kpar does */
    return names_of("--sample-weight", &s->sample_weight, "output", model->n_outputs, &names->sample_weight);
}

static kpar_status open_file(kpar_job *job, const char *path, bool validation, kpar_dataset **dataset)
{
    kpar_dataset_names names;
    KPAR_TRY(find_names(job, validation, &names));
    if (!kpar_random_data_is_meant(path)) return kpar_trainer_open_data(job->trainer, path, &names, dataset);
    return kpar_comm_agree(job->comm, kpar_random_data_open(job->settings, job->trainer, dataset));
}

/* As Keras: the last rows validate. */
static kpar_status split(kpar_job *job)
{
    const double share = job->settings->validation_split;
    const int64_t rows = kpar_dataset_rows(job->data), train = (int64_t)floor((double)rows * (1 - share));
    job->train = (kpar_rows){job->data, 0, rows};
    if (share <= 0) return KPAR_OK;
    if (train == 0 || train == rows)
        return kpar_fail(
            KPAR_EUSAGE,
            "--validation-split %g: of %lld rows, %lld would train and %lld validate; both need some", share,
            (long long)rows, (long long)train, (long long)(rows - train));
    job->train.rows = train;
    job->validation = (kpar_rows){job->data, train, rows - train};
    return KPAR_OK;
}

/* --steps alone: as many epochs as they take. */
static void count_epochs(kpar_job *job)
{
    const kpar_settings *s = job->settings;
    const int64_t a_pass = (job->train.rows + s->batch_size - 1) / s->batch_size;
    job->epochs = s->epochs ? s->epochs : s->steps ? (s->steps + a_pass - 1) / a_pass : 1;
}

kpar_status kpar_job_open_data(kpar_job *job)
{
    const char *validation = job->settings->validation;
    KPAR_TRY(open_file(job, job->settings->data, false, &job->data));
    if (validation) {
        KPAR_TRY(open_file(job, validation, true, &job->validation_data));
        job->validation = (kpar_rows){job->validation_data, 0, kpar_dataset_rows(job->validation_data)};
    }
    KPAR_TRY(split(job));
    count_epochs(job);
    return KPAR_OK;
}
