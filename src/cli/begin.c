/* What a run says of itself before its first step: lines for people, facts and predictions for programs. */
#include "cli/job.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { FACTS = 9 };

static int64_t count_parameters(const kpar_catalog *catalog)
{
    int64_t count = 0;
    for (int i = 0; i < catalog->n; i++) {
        const kpar_variable *v = &catalog->variables[i];
        if (v->kind == KPAR_VARIABLE_WEIGHT || v->kind == KPAR_VARIABLE_FROZEN)
            count += kpar_count(v->rank, v->dims);
    }
    return count;
}

static const char *optimizer_name(const kpar_model *model)
{
    const json_t *optimizer = model->optimizer;
    const char *name =
        json_string_value(json_is_string(optimizer) ? optimizer : json_object_get(optimizer, "class_name"));
    return name ? name : "no optimizer";
}

static const char *model_line(const kpar_job *job)
{
    const kpar_model *model = kpar_trainer_model(job->trainer);
    return kpar_arena_printf(job->arena, "%s (%s): %d layers, %" PRId64 " parameters, %s",
                             job->settings->model, model->name, model->n_layers,
                             count_parameters(kpar_plan_catalog(kpar_trainer_plan(job->trainer))),
                             optimizer_name(model));
}

static const char *transport_text(const kpar_job *job)
{
    const char *how = kpar_comm_size(job->comm) == 1 ? ""
                      : job->windows                 ? " and memory shared within a node"
                                                     : ", nothing shared";
    return kpar_arena_printf(job->arena, "%s%s", kpar_comm_transport(job->comm), how);
}

static int count_nodes(const kpar_comm *comm)
{
    int last = 0;
    for (int rank = 0; rank < kpar_comm_size(comm); rank++)
        if (kpar_comm_node(comm, rank) > last) last = kpar_comm_node(comm, rank);
    return last + 1;
}

static const char *mesh_text(const kpar_job *job)
{
    const kpar_mesh mesh = kpar_plan_options_get(kpar_trainer_plan(job->trainer))->mesh;
    return kpar_arena_printf(job->arena, "%d data x %d pipeline x %d tensor", mesh.data, mesh.pipeline,
                             mesh.tensor);
}

static const char *mesh_line(const kpar_job *job)
{
    const int ranks = kpar_comm_size(job->comm), nodes = count_nodes(job->comm);
    return kpar_arena_printf(job->arena, "%d rank%s on %d node%s: %s, %s with %s each on %s, transport %s",
                             ranks, ranks == 1 ? "" : "s", nodes, nodes == 1 ? "" : "s", mesh_text(job),
                             kpar_settings_device(job->settings),
                             kpar_threads_text(job->arena, &job->threads), job->cores, transport_text(job));
}

static bool has_replicas(const kpar_job *job)
{
    return kpar_plan_options_get(kpar_trainer_plan(job->trainer))->mesh.data > 1;
}

/* Rows of the largest and the smallest replica of a whole batch. */
static const char *share_text(const kpar_job *job)
{
    const kpar_plan *plan = kpar_trainer_plan(job->trainer);
    const kpar_plan_options *o = kpar_plan_options_get(plan);
    int64_t most = 0, least = INT64_MAX;
    for (int data = 0; data < o->mesh.data; data++) {
        int64_t rows = 0, first, count;
        for (int m = 0; m < kpar_plan_microbatches(plan, data); m++) {
            kpar_plan_rows(plan, o->batch_size, data, m, &first, &count);
            rows += count;
        }
        if (rows > most) most = rows;
        if (rows < least) least = rows;
    }
    if (least == most) return kpar_arena_printf(job->arena, "%" PRId64, most);
    return kpar_arena_printf(job->arena, "%" PRId64 " to %" PRId64, least, most);
}

static const char *batch_line(const kpar_job *job)
{
    const kpar_plan_options *o = kpar_plan_options_get(kpar_trainer_plan(job->trainer));
    kpar_text text = {0};
    kpar_text_printf(&text, "global batch %" PRId64, o->batch_size);
    if (has_replicas(job))
        kpar_text_printf(&text, ": %s rows for each of %d replicas", share_text(job), o->mesh.data);
    if (o->leaves) kpar_text_printf(&text, ", summed over %d leaves along one tree", o->leaves);
    if (o->microbatches > 1) kpar_text_printf(&text, " in %d microbatches", o->microbatches);
    if (o->mesh.pipeline > 1) kpar_text_printf(&text, ", schedule %s", o->schedule->name);
    const char *line = kpar_arena_strdup(job->arena, kpar_text_get(&text));
    kpar_text_clear(&text);
    return line;
}

static const char *gradients_line(const kpar_job *job)
{
    const kpar_plan_options *o = kpar_plan_options_get(kpar_trainer_plan(job->trainer));
    if (o->zero)
        return kpar_arena_printf(job->arena,
                                 "gradients: summed over %d replicas, which share out the update (ZeRO 1)",
                                 o->mesh.data);
    return kpar_arena_printf(
        job->arena, "gradients: summed over %d replicas, each of which does the whole update", o->mesh.data);
}

/* "training on 900 of 1000 samples in train.npz"; "of" only where some are left out */
static void add_rows(kpar_text *line, const char *verb, const kpar_rows *rows)
{
    const int64_t all = kpar_dataset_rows(rows->dataset);
    kpar_text_printf(line, "%s%s %" PRId64, line->length ? ", " : "", verb, rows->rows);
    if (rows->rows < all) kpar_text_printf(line, " of %" PRId64, all);
    kpar_text_printf(line, " samples in %s", kpar_dataset_path(rows->dataset));
}

static const char *data_line(const kpar_job *job)
{
    const kpar_settings *s = job->settings;
    const kpar_rows all = {job->data, 0, kpar_dataset_rows(job->data)}, *validation = &job->validation;
    kpar_text text = {0};
    if (s->train) add_rows(&text, "training on", &job->train);
    if (s->train && validation->dataset) add_rows(&text, "validating on", validation);
    if (s->check_layout) add_rows(&text, "checking the layout on the first batch of", &job->train);
    if (!s->train && s->evaluate)
        add_rows(&text, "evaluating on", validation->dataset ? validation : &job->train);
    if (s->predict) add_rows(&text, "predicting", &all);
    const char *line = kpar_arena_strdup(job->arena, kpar_text_get(&text));
    kpar_text_clear(&text);
    return line;
}

static kpar_status print_lines(kpar_job *job)
{
    kpar_report *report = job->report;
    KPAR_TRY(kpar_report_message(report, "%s", model_line(job)));
    KPAR_TRY(kpar_report_message(report, "%s", mesh_line(job)));
    if (job->crowded) KPAR_TRY(kpar_report_message(report, "%s", job->crowded));
    KPAR_TRY(kpar_report_message(report, "%s", batch_line(job)));
    if (job->settings->train && has_replicas(job))
        KPAR_TRY(kpar_report_message(report, "%s", gradients_line(job)));
    KPAR_TRY(kpar_report_message(report, "%s", data_line(job)));
    if (job->settings->train && !job->settings->output)
        return kpar_report_message(report, "no --output: the trained model will not be written");
    return KPAR_OK;
}

static size_t make_facts(const kpar_job *job, kpar_named_text facts[FACTS])
{
    const kpar_plan_options *o = kpar_plan_options_get(kpar_trainer_plan(job->trainer));
    const kpar_named_text made[] = {
        {"model", job->settings->model},
        {"data", kpar_dataset_path(job->data)},
        {"mesh", mesh_text(job)},
        {"ranks", kpar_arena_printf(job->arena, "%d", kpar_comm_size(job->comm))},
        {"threads_per_rank", kpar_arena_printf(job->arena, "%d", job->threads.compute)},
        {"progress_thread", job->threads.progress ? "on" : "off"},
        {"batch_size", kpar_arena_printf(job->arena, "%" PRId64, o->batch_size)},
        {"device", kpar_settings_device(job->settings)},
        {"transport", transport_text(job)},
    };
    _Static_assert(sizeof made / sizeof made[0] == FACTS, "all facts");
    memcpy(facts, made, sizeof made);
    return FACTS;
}

/* Emitting all ranks' programs takes a moment: only for who reads the figures. */
static kpar_status predict(const kpar_job *job, kpar_event *event)
{
    kpar_plan_report *report;
    if (!job->settings->json) return KPAR_OK;
    KPAR_TRY(kpar_plan_report_create(kpar_trainer_plan(job->trainer), job->threads.compute, &report));
    const kpar_plan_value *values = kpar_plan_report_values(report, &event->n_plan);
    kpar_named_value *copies = kpar_arena_alloc(job->arena, event->n_plan * sizeof *copies);
    for (size_t i = 0; i < event->n_plan; i++)
        copies[i] = (kpar_named_value){values[i].name, values[i].value}; /* names are literals */
    event->plan = copies;
    kpar_plan_report_destroy(report);
    return KPAR_OK;
}

kpar_status kpar_job_tell_begin(kpar_job *job, int64_t first_epoch)
{
    kpar_named_text facts[FACTS];
    kpar_event event = {
        .kind = KPAR_EVENT_RUN_BEGIN, .epoch = first_epoch, .epochs = job->epochs, .facts = facts};
    kpar_consumer *log;
    if (!job->report) return KPAR_OK;
    if (job->settings->log && job->settings->train) {
        KPAR_TRY(kpar_csv_create(job->settings->log, first_epoch, &log));
        kpar_report_add(job->report, log);
    }
    KPAR_TRY(print_lines(job));
    event.n_facts = make_facts(job, facts);
    KPAR_TRY(predict(job, &event));
    return kpar_report_event(job->report, &event);
}
