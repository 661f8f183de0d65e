/* --plan: the model is planned and described, nothing is trained and no rank needs to be there. */
#include "cli/job.h"

#include <stdio.h>
#include <string.h>

typedef struct planning {
    const kpar_settings *settings;
    kpar_arena *arena;
    kpar_model *model;
    kpar_catalog *catalog;
    kpar_plan *plan;
    kpar_plan_report *report;
    kpar_threads threads;
} planning;

static kpar_status describe_model(planning *p)
{
    const kpar_settings *s = p->settings;
    const char *config;
    kpar_keras_file *file;
    size_t length;
    KPAR_TRY(kpar_config_override(p->arena, s, &config));
    if (config) return kpar_keras_describe(s->model, config, strlen(config), &p->model);
    KPAR_TRY(kpar_keras_open(s->model, &file));
    config = kpar_keras_config(file, &length);
    kpar_status status = kpar_keras_describe(s->model, config, length, &p->model);
    kpar_keras_close(file);
    return status;
}

static kpar_status make_plan(planning *p, int ranks)
{
    const kpar_settings *s = p->settings;
    kpar_plan_options options;
    KPAR_TRY(kpar_layout_choose(p->arena, s, ranks, &options));
    int *nodes = kpar_arena_alloc(p->arena, (size_t)ranks * sizeof *nodes);
    for (int rank = 0; rank < ranks; rank++) nodes[rank] = s->ranks_per_node ? rank / s->ranks_per_node : 0;
    options.nodes = nodes;
    p->catalog = kpar_catalog_create();
    const kpar_mode mode = s->train ? KPAR_MODE_TRAIN : s->evaluate ? KPAR_MODE_EVALUATE : KPAR_MODE_PREDICT;
    return kpar_plan_create(p->model, p->catalog, &options, 1u << mode, &p->plan);
}

static void print(const planning *p, int ranks)
{
    const kpar_settings *s = p->settings;
    const kpar_plan_options *o = kpar_plan_options_get(p->plan);
    const int nodes = s->ranks_per_node ? (ranks + s->ranks_per_node - 1) / s->ranks_per_node : 1;
    kpar_text text = {0};
    kpar_text_printf(
        &text, "%s: %d rank%s on %d node%s (%d data x %d pipeline x %d tensor), %s each, global batch %lld",
        s->model, ranks, ranks == 1 ? "" : "s", nodes, nodes == 1 ? "" : "s", o->mesh.data, o->mesh.pipeline,
        o->mesh.tensor, kpar_threads_text(p->arena, &p->threads), (long long)o->batch_size);
    if (o->microbatches > 1) kpar_text_printf(&text, ", %d microbatches", o->microbatches);
    if (o->leaves) kpar_text_printf(&text, ", %d leaves", o->leaves);
    kpar_text_printf(&text, "\n\n");
    kpar_plan_report_print(p->report, &text);
    fputs(kpar_text_get(&text), stdout);
    fflush(stdout);
    kpar_text_clear(&text);
}

/* --json: the predictions alone. */
static kpar_status write_values(const planning *p)
{
    size_t n;
    kpar_consumer *file;
    if (!p->settings->json) return KPAR_OK;
    KPAR_TRY(kpar_run_file_create(p->settings->json, &file));
    kpar_report *report = kpar_report_create();
    kpar_report_add(report, file);
    const kpar_plan_value *values = kpar_plan_report_values(p->report, &n);
    kpar_named_value *copies = kpar_arena_alloc(p->arena, n * sizeof *copies);
    for (size_t i = 0; i < n; i++) copies[i] = (kpar_named_value){values[i].name, values[i].value};
    const kpar_named_text model = {"model", p->settings->model};
    const kpar_event begin = {
        .kind = KPAR_EVENT_RUN_BEGIN, .facts = &model, .n_facts = 1, .plan = copies, .n_plan = n};
    kpar_status status = kpar_report_event(report, &begin);
    if (status == KPAR_OK) status = kpar_report_event(report, &(kpar_event){.kind = KPAR_EVENT_RUN_END});
    kpar_report_destroy(report);
    return status;
}

static kpar_status plan_and_print(planning *p, int ranks)
{
    KPAR_TRY(describe_model(p));
    KPAR_TRY(make_plan(p, ranks));
    KPAR_TRY(kpar_dump_graph(p->settings, p->plan));
    for (int rank = 0; rank < ranks; rank++) KPAR_TRY(kpar_dump_program(p->settings, p->plan, rank));
    KPAR_TRY(kpar_plan_report_create(p->plan, p->threads.compute, &p->report));
    KPAR_TRY(write_values(p));
    print(p, ranks);
    return KPAR_OK;
}

kpar_status kpar_plan_print(const kpar_settings *settings, int ranks_started, const kpar_threads *threads)
{
    planning p = {.settings = settings, .arena = kpar_arena_create(), .threads = *threads};
    kpar_status status = plan_and_print(&p, settings->ranks ? settings->ranks : ranks_started);
    kpar_plan_report_destroy(p.report);
    kpar_plan_destroy(p.plan);
    if (p.catalog) kpar_catalog_destroy(p.catalog);
    kpar_model_destroy(p.model);
    kpar_arena_destroy(p.arena);
    return status;
}
