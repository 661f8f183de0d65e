/* fit and evaluate. */
#include "base/clock.h"
#include "train/trainer_internal.h"

#include <string.h>

static int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

static bool is_reporter(const kpar_trainer *t, const kpar_report *report)
{
    return report && kpar_comm_rank(t->comm) == 0;
}

/* What rank 0 tells its consumers. A failure there is agreed on by the caller's next collective step. */
static kpar_status tell(kpar_trainer *t, kpar_report *report, const kpar_event *event)
{
    return is_reporter(t, report) ? kpar_report_event(report, event) : KPAR_OK;
}

static void set_log(kpar_trainer *t, const char *prefix, const char *name, double value)
{
    kpar_named_value *log = &t->logs[t->n_logs++];
    log->name = *prefix ? kpar_arena_printf(t->arena, "%s%s", prefix, name) : name;
    log->value = value;
}

/* Appends the tally's values to the logs. */
static void append_logs(kpar_trainer *t, const char *prefix, const kpar_tally *tally)
{
    const size_t n = (size_t)tally->n_entries;
    double *values = kpar_alloc((n + 1) * sizeof *values);
    kpar_tally_values(tally, values);
    t->logs = kpar_realloc(t->logs, (t->n_logs + n + 1) * sizeof *t->logs);
    for (size_t i = 0; i < n; i++) set_log(t, prefix, tally->entries[i].name, values[i]);
    kpar_free(values);
}

/* The tally's values become the logs. */
static void write_logs(kpar_trainer *t, const kpar_tally *tally)
{
    t->n_logs = 0;
    append_logs(t, "", tally);
}

const kpar_named_value *kpar_trainer_logs(const kpar_trainer *trainer, size_t *n)
{
    *n = trainer->n_logs;
    return trainer->logs;
}

typedef struct pass_clock {
    double begin;
    int64_t rows;
} pass_clock;

static kpar_event step_event(kpar_trainer *t, kpar_event_kind kind, const pass_clock *clock, int64_t step,
                             int64_t steps)
{
    const double seconds = kpar_seconds() - clock->begin;
    return (kpar_event){.kind = kind,
                        .step = step,
                        .steps = steps,
                        .rows = clock->rows,
                        .seconds = seconds,
                        .samples_per_second = seconds > 0 ? (double)clock->rows / seconds : 0,
                        .logs = t->logs,
                        .n_logs = t->n_logs};
}

static kpar_status evaluate_rows(kpar_trainer *t, const kpar_rows *rows,
                                 const kpar_class_weight *class_weights, int n_class_weights,
                                 kpar_tally *tally)
{
    const int64_t batch_size = t->options.plan.batch_size;
    double *sums = kpar_alloc(((size_t)tally->n_values + 1) * sizeof *sums);
    kpar_status status = KPAR_OK;
    for (int64_t first = 0; first < rows->rows && status == KPAR_OK; first += batch_size) {
        const int64_t left = rows->rows - first;
        const kpar_batch batch = {.data = rows,
                                  .rows = left < batch_size ? left : batch_size,
                                  .first = first,
                                  .class_weights = class_weights,
                                  .n_class_weights = n_class_weights};
        status = kpar_trainer_step(t, KPAR_MODE_EVALUATE, &batch, sums, NULL);
        if (status == KPAR_OK) kpar_tally_add(tally, sums, batch.rows);
    }
    kpar_free(sums);
    return status;
}

kpar_status kpar_trainer_evaluate(kpar_trainer *t, const kpar_rows *rows,
                                  const kpar_class_weight *class_weights, int n_class_weights,
                                  kpar_report *report, const kpar_named_value **logs, size_t *n_logs)
{
    kpar_tally tally = kpar_tally_begin(t, KPAR_MODE_EVALUATE);
    pass_clock clock = {kpar_seconds(), rows->rows};
    kpar_status status = evaluate_rows(t, rows, class_weights, n_class_weights, &tally);
    t->n_logs = 0;
    if (status == KPAR_OK) {
        write_logs(t, &tally);
        const int64_t steps = ceil_divide(rows->rows, t->options.plan.batch_size);
        const kpar_event event = step_event(t, KPAR_EVENT_EVALUATE_END, &clock, steps, steps);
        status = kpar_comm_agree(t->comm, tell(t, report, &event));
    }
    kpar_tally_end(&tally);
    *logs = t->logs;
    *n_logs = t->n_logs;
    return status;
}

typedef struct fitting {
    kpar_trainer *t;
    const kpar_fit_options *o;
    kpar_report *report;
    kpar_checkpointing *checkpointing;
    int64_t steps_per_epoch, last_step; /* steps of all epochs */
    kpar_progress_point now;
    bool stopped;
} fitting;

static kpar_status checkpoint_if_due(fitting *f, bool stop)
{
    if (!f->checkpointing) return KPAR_OK;
    const bool due = f->o->checkpoint_every > 0 && f->now.step % f->o->checkpoint_every == 0;
    return due || stop ? kpar_checkpointing_save(f->checkpointing, &f->now) : KPAR_OK;
}

static kpar_status train_step(fitting *f, double *values, pass_clock *clock)
{
    kpar_trainer *t = f->t;
    const int64_t batch_size = t->options.plan.batch_size, first = f->now.batch * batch_size,
                  left = f->o->train.rows - first;
    const kpar_batch batch = {.data = &f->o->train,
                              .rows = left < batch_size ? left : batch_size,
                              .shuffle = f->o->shuffle,
                              .seed = f->o->seed,
                              .epoch = f->now.epoch,
                              .first = first,
                              .class_weights = f->o->class_weights,
                              .n_class_weights = f->o->n_class_weights};
    KPAR_TRY(kpar_trainer_step(t, KPAR_MODE_TRAIN, &batch, values, &f->stopped));
    kpar_tally_add(&f->now.tally, values, batch.rows);
    clock->rows += batch.rows;
    f->now.batch++;
    f->now.step++;
    write_logs(t, &f->now.tally);
    kpar_event event = step_event(t, KPAR_EVENT_STEP, clock, f->now.batch, f->steps_per_epoch);
    event.epoch = f->now.epoch;
    event.epochs = f->o->epochs;
    kpar_status told = tell(t, f->report, &event);
    if (told != KPAR_OK) kpar_comm_abort(t->comm, told);
    return told;
}

static kpar_status validate(fitting *f)
{
    if (!f->o->validation.dataset) return KPAR_OK;
    kpar_tally tally = kpar_tally_begin(f->t, KPAR_MODE_EVALUATE);
    kpar_status status = evaluate_rows(f->t, &f->o->validation, NULL, 0, &tally);
    if (status == KPAR_OK) append_logs(f->t, "val_", &tally);
    kpar_tally_end(&tally);
    return status;
}

static bool is_done(const fitting *f) { return f->stopped || f->now.step >= f->last_step; }

static kpar_status train_epoch(fitting *f, double *values)
{
    kpar_trainer *t = f->t;
    pass_clock clock = {kpar_seconds(), 0};
    kpar_event event = {.kind = KPAR_EVENT_EPOCH_BEGIN,
                        .epoch = f->now.epoch,
                        .epochs = f->o->epochs,
                        .step = f->now.batch,
                        .steps = f->steps_per_epoch};
    KPAR_TRY(kpar_comm_agree(t->comm, tell(t, f->report, &event)));
    while (f->now.batch < f->steps_per_epoch && !is_done(f)) {
        KPAR_TRY(train_step(f, values, &clock));
        if (f->now.batch < f->steps_per_epoch) KPAR_TRY(checkpoint_if_due(f, f->stopped));
    }
    if (f->now.batch < f->steps_per_epoch && f->stopped) return KPAR_OK; /* goes on after a resume */
    const double trained = kpar_seconds() - clock.begin;
    write_logs(t, &f->now.tally);
    KPAR_TRY(validate(f));
    event = step_event(t, KPAR_EVENT_EPOCH_END, &clock, f->now.batch, f->steps_per_epoch);
    event.epoch = f->now.epoch;
    event.epochs = f->o->epochs;
    event.samples_per_second = trained > 0 ? (double)clock.rows / trained : 0;
    KPAR_TRY(kpar_comm_agree(t->comm, tell(t, f->report, &event)));
    if (f->now.batch < f->steps_per_epoch)
        return KPAR_OK; /* the last step; a run of more goes on from here */
    f->now.epoch++;
    f->now.batch = 0;
    kpar_tally_reset(&f->now.tally);
    return checkpoint_if_due(f, f->stopped);
}

static kpar_status train_epochs(fitting *f)
{
    double *values = kpar_alloc(((size_t)f->now.tally.n_values + 1) * sizeof *values);
    kpar_status status = KPAR_OK;
    while (!is_done(f) && status == KPAR_OK) status = train_epoch(f, values);
    kpar_free(values);
    return status;
}

/* Whether the epochs have ended training, and not a number of steps. */
static bool whole_epochs(const fitting *f)
{
    const bool by_steps = f->o->steps > 0 && f->o->steps <= f->o->epochs * f->steps_per_epoch;
    return !by_steps && f->now.step >= f->last_step;
}

static kpar_status finish(fitting *f)
{
    if (f->stopped && f->now.step < f->last_step) {
        if (f->checkpointing)
            return kpar_fail(KPAR_ESTOPPED, "stopped by a signal at step %lld; start again with --resume",
                             (long long)f->now.step);
        return kpar_fail(KPAR_ESTOPPED,
                         "stopped by a signal at step %lld; without --checkpoint nothing was kept",
                         (long long)f->now.step);
    }
    KPAR_TRY(kpar_trainer_compare_replicas(f->t));
    /* As Keras does after the last epoch of fit, and not after single steps. */
    if (f->now.step > 0 && whole_epochs(f)) KPAR_TRY(kpar_trainer_take_averages(f->t));
    return f->o->output ? kpar_trainer_save(f->t, f->o->output) : KPAR_OK;
}

static kpar_status begin(fitting *f)
{
    const kpar_fit_options *o = f->o;
    KPAR_TRY(kpar_trainer_compare_fits(f->t, o));
    if (o->output)
        KPAR_TRY(kpar_comm_agree(f->t->comm,
                                 kpar_comm_rank(f->t->comm) == 0 ? kpar_keras_can_save(o->output) : KPAR_OK));
    KPAR_TRY(kpar_trainer_check_data(f->t, &o->train));
    if (o->validation.dataset) KPAR_TRY(kpar_trainer_check_data(f->t, &o->validation));
    if (o->checkpoint) KPAR_TRY(kpar_checkpointing_begin(f->t, o, f->report, &f->checkpointing, &f->now));
    KPAR_TRY(kpar_trainer_compare_replicas(f->t));
    return o->begin ? kpar_comm_agree(f->t->comm, o->begin(o->context, f->now.epoch)) : KPAR_OK;
}

kpar_status kpar_trainer_fit(kpar_trainer *trainer, const kpar_fit_options *options, kpar_report *report)
{
    fitting f = {.t = trainer, .o = options, .report = report};
    trainer->n_logs = 0;
    f.steps_per_epoch = ceil_divide(options->train.rows, trainer->options.plan.batch_size);
    f.last_step = options->epochs * f.steps_per_epoch;
    if (options->steps > 0 && options->steps < f.last_step) f.last_step = options->steps;
    f.now.tally = kpar_tally_begin(trainer, KPAR_MODE_TRAIN);
    kpar_status status = begin(&f);
    if (status == KPAR_OK) status = train_epochs(&f);
    if (status == KPAR_OK) status = finish(&f);
    if (f.checkpointing) kpar_checkpointing_end(f.checkpointing);
    kpar_tally_end(&f.now.tally);
    return status;
}
