/* The run as JSON for programs. Schema "kpar.run/1"; a number that is not finite is null.
 *
 *     schema              "kpar.run/1"
 *     facts               texts that describe the run: "model", "mesh" ...
 *     plan                the plan's predictions, units in the names
 *     first_epoch         epoch that the run began with, 0 unless resumed
 *     epochs, steps, rows done by this run
 *     seconds             wall time
 *     samples_per_second  training alone
 *     compute_seconds, wait_seconds   means over ranks
 *     bytes_read, bytes_sent          sums over ranks
 *     peak_rank_bytes     the most memory that a rank had at a time, without files that are mapped
 *     losses              an entry an epoch
 *     metrics             name: an entry an epoch, for each other log, "val_loss" too; null where not logged
 *     evaluation          name: value, of the last evaluation on its own; null without one
 *     checkpoints         paths, in the order they were made
 * */
#include "report/report.h"

#include "base/memory.h"
#include "data/output.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct run_file {
    kpar_consumer consumer;
    char *path;
    json_t *facts, *plan, *losses, *metrics, *evaluation, *checkpoints;
    int64_t first_epoch, epochs;
} run_file;

static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *values_to_json(const kpar_named_value *values, size_t n)
{
    json_t *object = json_object();
    for (size_t i = 0; i < n; i++) json_object_set_new(object, values[i].name, number(values[i].value));
    return object;
}

static void replace(json_t **member, json_t *value)
{
    json_decref(*member);
    *member = value;
}

static kpar_status run_file_begin(kpar_consumer *consumer, const kpar_event *event)
{
    run_file *file = (run_file *)consumer;
    file->first_epoch = event->epoch;
    for (size_t i = 0; i < event->n_facts; i++)
        json_object_set_new(file->facts, event->facts[i].name, json_string(event->facts[i].value));
    replace(&file->plan, values_to_json(event->plan, event->n_plan));
    return KPAR_OK;
}

/* Appends a value to the list, after nulls for the epochs that did not log it. */
static void append(json_t *list, int64_t epochs_before, double value)
{
    while ((int64_t)json_array_size(list) < epochs_before) json_array_append_new(list, json_null());
    json_array_append_new(list, number(value));
}

static json_t *metric_list(run_file *file, const char *name)
{
    json_t *list = json_object_get(file->metrics, name);
    if (list) return list;
    json_object_set_new(file->metrics, name, json_array());
    return json_object_get(file->metrics, name);
}

static void add_epoch(run_file *file, const kpar_event *event)
{
    for (size_t i = 0; i < event->n_logs; i++) {
        bool loss = !strcmp(event->logs[i].name, "loss");
        append(loss ? file->losses : metric_list(file, event->logs[i].name), file->epochs,
               event->logs[i].value);
    }
    file->epochs++;
}

static kpar_status run_file_event(kpar_consumer *consumer, const kpar_event *event)
{
    run_file *file = (run_file *)consumer;
    if (event->kind == KPAR_EVENT_EPOCH_END) add_epoch(file, event);
    if (event->kind == KPAR_EVENT_EVALUATE_END)
        replace(&file->evaluation, values_to_json(event->logs, event->n_logs));
    if (event->kind == KPAR_EVENT_CHECKPOINT)
        json_array_append_new(file->checkpoints, json_string(event->text));
    return KPAR_OK;
}

/* Metrics that the last epochs did not log get their nulls. */
static void complete_metrics(run_file *file)
{
    const char *name = NULL;
    json_t *list = NULL;
    json_object_foreach(file->metrics, name, list) while ((int64_t)json_array_size(list) < file->epochs)
        json_array_append_new(list, json_null());
}

static json_t *make_document(run_file *file, const kpar_event *event)
{
    complete_metrics(file);
    return json_pack("{ss sO sO sI sI sI sI so so so so sI sI sI sO sO sO sO}", "schema", "kpar.run/1",
                     "facts", file->facts, "plan", file->plan, "first_epoch", (json_int_t)file->first_epoch,
                     "epochs", (json_int_t)file->epochs, "steps", (json_int_t)event->step, "rows",
                     (json_int_t)event->rows, "seconds", number(event->seconds), "samples_per_second",
                     number(event->samples_per_second), "compute_seconds", number(event->compute_seconds),
                     "wait_seconds", number(event->wait_seconds), "bytes_read", (json_int_t)event->bytes_read,
                     "bytes_sent", (json_int_t)event->bytes_sent, "peak_rank_bytes",
                     (json_int_t)event->peak_rank_bytes, "losses", file->losses, "metrics", file->metrics,
                     "evaluation", file->evaluation, "checkpoints", file->checkpoints);
}

static kpar_status run_file_end(kpar_consumer *consumer, const kpar_event *event)
{
    run_file *file = (run_file *)consumer;
    json_t *document = make_document(file, event);
    char *text = json_dumps(document, JSON_INDENT(1));
    json_decref(document);
    if (!text) return kpar_fail(KPAR_EINTERNAL, "%s: the run cannot be written as JSON", file->path);
    kpar_status status = kpar_new_file_put(file->path, text, strlen(text));
    free(text);
    return status;
}

static void run_file_destroy(kpar_consumer *consumer)
{
    run_file *file = (run_file *)consumer;
    json_t *members[] = {file->facts,   file->plan,       file->losses,
                         file->metrics, file->evaluation, file->checkpoints};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) json_decref(members[i]);
    kpar_free(file->path);
    kpar_free(file);
}

kpar_status kpar_run_file_create(const char *path, kpar_consumer **consumer)
{
    *consumer = NULL;
    kpar_new_file *trial = NULL;
    KPAR_TRY(kpar_new_file_create(path, &trial));
    kpar_new_file_abandon(trial);
    run_file *file = kpar_alloc_zeroed(1, sizeof *file);
    file->consumer = (kpar_consumer){
        .begin = run_file_begin, .event = run_file_event, .end = run_file_end, .destroy = run_file_destroy};
    file->path = kpar_strdup(path);
    file->facts = json_object();
    file->plan = json_object();
    file->losses = json_array();
    file->metrics = json_object();
    file->evaluation = json_null();
    file->checkpoints = json_array();
    *consumer = &file->consumer;
    return KPAR_OK;
}
