/* Fit, evaluate, and the results of both. */
#include "api/context.h"
#include "api/training_internal.h"

#include "base/memory.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const kpar_training_fit_options fit_defaults = {.epochs = 1, .shuffle = true};
static const kpar_versioned fit_kind = {"kpar_training_fit_options", &fit_defaults, sizeof fit_defaults};

void kpar_training_fit_options_init(kpar_training_fit_options *options, size_t bytes)
{
    kpar_versioned_init(&fit_kind, options, bytes);
}

/* --- options --- */

static kpar_status expected(const char *member, const char *what, double found)
{
    return kpar_fail(KPAR_EUSAGE, "kpar_training_fit_options: %s: expected %s, found %g", member, what,
                     found);
}

static kpar_status check_numbers(const kpar_training_fit_options *o)
{
    if (o->epochs < 1) return expected("epochs", "1 or more", (double)o->epochs);
    if (o->steps < 0) return expected("steps", "0 or more", (double)o->steps);
    if (!(o->validation_split >= 0 && o->validation_split < 1))
        return expected("validation_split", "a share from 0 up to 1", o->validation_split);
    if (o->validation_split > 0 && o->validation)
        return expected("validation_split", "0 where validation is given", o->validation_split);
    if (o->checkpoint_every < 0)
        return expected("checkpoint_every", "0 or more", (double)o->checkpoint_every);
    if (o->verbose < 0 || o->verbose > 1) return expected("verbose", "0 or 1", o->verbose);
    if (o->n_class_weights < 0) return expected("n_class_weights", "0 or more", o->n_class_weights);
    if (o->n_class_weights && !o->class_weights)
        return expected("n_class_weights", "0 where class_weights is NULL", o->n_class_weights);
    for (int i = 0; i < o->n_class_weights; i++)
        if (!(o->class_weights[i] >= 0 && isfinite(o->class_weights[i])))
            return expected("class_weights", "finite numbers from 0 on", o->class_weights[i]);
    if (!o->checkpoint && (o->checkpoint_every || o->resume))
        return kpar_fail(KPAR_EUSAGE,
                         "kpar_training_fit_options: checkpoint_every and resume need a checkpoint folder");
    return KPAR_OK;
}

static kpar_status check_fit(const kpar_training *training, const kpar_training_fit_options *given,
                             kpar_training_fit_options *own)
{
    KPAR_TRY(kpar_training_check_mode(training, "kpar_training_fit", KPAR_MODE_TRAIN, "KPAR_USE_FIT"));
    KPAR_TRY(kpar_versioned_take(&fit_kind, given, own));
    KPAR_TRY(check_numbers(own));
    if (!own->validation && own->validation_split <= 0) return KPAR_OK;
    return kpar_training_check_mode(training, "kpar_training_fit with validation", KPAR_MODE_EVALUATE,
                                    "KPAR_USE_EVALUATE");
}

/* --- fit --- */

typedef struct fitting {
    kpar_training *training;
    kpar_training_fit_options options;
    kpar_dataset *data, *validation;
    kpar_report *report;
    kpar_class_weight *class_weights;
} fitting;

static bool is_root(const fitting *f) { return kpar_comm_rank(f->training->context->comm) == 0; }

/* Called before the first step, when it is known in which epoch a resumed run goes on: the log keeps the ones before. */
static kpar_status begin(void *context, int64_t epoch)
{
    fitting *f = context;
    kpar_consumer *log;
    if (!is_root(f)) return KPAR_OK;
    const kpar_event event = {.kind = KPAR_EVENT_RUN_BEGIN, .epoch = epoch, .epochs = f->options.epochs};
    if (f->options.log) {
        KPAR_TRY(kpar_csv_create(f->options.log, epoch, &log));
        kpar_report_add(f->report, log);
    }
    return kpar_report_event(f->report, &event);
}

static void make_report(fitting *f)
{
    const kpar_progress_options lines = {.stream = stdout, .verbose = f->options.verbose};
    if (!is_root(f)) return;
    f->report = kpar_report_create();
    kpar_report_add(f->report, kpar_progress_create(&lines));
}

static void copy_class_weights(fitting *f)
{
    const int n = f->options.n_class_weights;
    f->class_weights = kpar_alloc(((size_t)n + 1) * sizeof *f->class_weights);
    for (int i = 0; i < n; i++) f->class_weights[i] = (kpar_class_weight){i, f->options.class_weights[i]};
}

/* As Keras: the last rows validate. */
static kpar_status split(const fitting *f, kpar_rows *train, kpar_rows *validation)
{
    const double share = f->options.validation_split;
    const int64_t rows = kpar_dataset_rows(f->data), first = (int64_t)floor((double)rows * (1 - share));
    *train = (kpar_rows){f->data, 0, rows};
    *validation = (kpar_rows){f->validation, 0, f->validation ? kpar_dataset_rows(f->validation) : 0};
    if (share <= 0) return KPAR_OK;
    if (first == 0 || first == rows)
        return kpar_fail(KPAR_EUSAGE,
                         "kpar_training_fit_options: validation_split %g: of %lld rows, %lld would train and "
                         "%lld validate; "
                         "both need some",
                         share, (long long)rows, (long long)first, (long long)(rows - first));
    train->rows = first;
    *validation = (kpar_rows){f->data, first, rows - first};
    return KPAR_OK;
}

static kpar_status train(fitting *f)
{
    const kpar_training_fit_options *o = &f->options;
    kpar_fit_options fit = {
        .epochs = o->epochs,
        .steps = o->steps,
        .shuffle = o->shuffle,
        .seed = f->training->seed,
        .class_weights = f->class_weights,
        .n_class_weights = o->n_class_weights,
        .checkpoint = o->checkpoint,
        .checkpoint_every = o->checkpoint_every,
        .resume = o->resume,
        .output = o->output,
        .begin = begin,
        .context = f,
    };
    KPAR_TRY(split(f, &fit.train, &fit.validation));
    KPAR_TRY(kpar_trainer_fit(f->training->trainer, &fit, f->report));
    const kpar_event event = {.kind = KPAR_EVENT_RUN_END};
    return kpar_comm_agree(f->training->context->comm,
                           f->report ? kpar_report_event(f->report, &event) : KPAR_OK);
}

static kpar_status fit(fitting *f, const kpar_training_data *data, const kpar_training_fit_options *options)
{
    KPAR_TRY(kpar_training_data_open(f->training, "kpar_training_fit", data,
                                     check_fit(f->training, options, &f->options), &f->data));
    if (f->options.validation)
        KPAR_TRY(kpar_training_data_open(f->training, "kpar_training_fit, validation", f->options.validation,
                                         KPAR_OK, &f->validation));
    make_report(f);
    copy_class_weights(f);
    return train(f);
}

kpar_status kpar_training_fit(kpar_training *training, const kpar_training_data *data,
                              const kpar_training_fit_options *options)
{
    fitting f = {.training = training};
    KPAR_TRY(kpar_training_check(training, "kpar_training_fit"));
    kpar_status status = fit(&f, data, options);
    if (f.report) kpar_report_destroy(f.report);
    if (f.data) kpar_dataset_close(f.data);
    if (f.validation) kpar_dataset_close(f.validation);
    kpar_free(f.class_weights);
    return status;
}

/* --- evaluate --- */

static kpar_status evaluate(kpar_training *training, kpar_dataset *dataset)
{
    const kpar_rows rows = {dataset, 0, kpar_dataset_rows(dataset)};
    const kpar_named_value *logs;
    size_t n;
    KPAR_TRY(kpar_trainer_check_data(training->trainer, &rows));
    return kpar_trainer_evaluate(training->trainer, &rows, NULL, 0, NULL, &logs, &n);
}

kpar_status kpar_training_evaluate(kpar_training *training, const kpar_training_data *data)
{
    kpar_dataset *dataset;
    KPAR_TRY(kpar_training_check(training, "kpar_training_evaluate"));
    const kpar_status own =
        kpar_training_check_mode(training, "kpar_training_evaluate", KPAR_MODE_EVALUATE, "KPAR_USE_EVALUATE");
    KPAR_TRY(kpar_training_data_open(training, "kpar_training_evaluate", data, own, &dataset));
    kpar_status status = evaluate(training, dataset);
    kpar_dataset_close(dataset);
    return status;
}

/* --- results --- */

size_t kpar_training_result_count(const kpar_training *training)
{
    size_t n = 0;
    if (training) (void)kpar_trainer_logs(training->trainer, &n);
    return n;
}

const char *kpar_training_result_name(const kpar_training *training, size_t index)
{
    size_t n;
    if (!training) return NULL;
    const kpar_named_value *logs = kpar_trainer_logs(training->trainer, &n);
    return index < n ? logs[index].name : NULL;
}

static kpar_status no_such_result(const kpar_training *training, const char *name)
{
    kpar_text known = {0};
    const char *next;
    for (size_t i = 0; (next = kpar_training_result_name(training, i)); i++)
        kpar_text_printf(&known, " %s", next);
    kpar_status status =
        kpar_fail(KPAR_EUSAGE, "kpar_training_result: no result '%s'; there are:%s", name,
                  known.length ? kpar_text_get(&known) : " none before the first fit or evaluation");
    kpar_text_clear(&known);
    return status;
}

kpar_status kpar_training_result(const kpar_training *training, const char *name, double *value)
{
    size_t n;
    KPAR_TRY(kpar_training_check(training, "kpar_training_result"));
    if (!name || !value)
        return kpar_fail(KPAR_EUSAGE,
                         "kpar_training_result: expected a name and a place for the value, found NULL");
    const kpar_named_value *logs = kpar_trainer_logs(training->trainer, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(logs[i].name, name) == 0) {
            *value = logs[i].value;
            return KPAR_OK;
        }
    return no_such_result(training, name);
}
