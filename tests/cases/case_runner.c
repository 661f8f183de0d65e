/* Running reference cases. */
#include "case_runner.h"

#include "data/npy.h"
#include "data/npz.h"
#include "keras/keras.h"
#include "train/trainer.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct running {
    const kpar_case_options *options;
    kpar_comm *comm;
    json_t *description;
    kpar_npz *expected;
    kpar_trainer *trainer;
    kpar_dataset *dataset;
    double worst;
    char worst_name[256];
    char path[1024];
    char model[1024], weights[1024]; /* files; weights "": in the model's */
    char *config;                    /* with the case's compile arguments; NULL: the file's */
    json_t *epochs;                  /* logs of each epoch, by name */
} running;

static const char *in_folder(running *r, const char *name)
{
    snprintf(r->path, sizeof r->path, "%s/%s", r->options->folder, name);
    return r->path;
}

/* model.keras, model.h5, or model.json beside its weights. */
static void find_files(running *r)
{
    static const char *const names[] = {"model.keras", "model.h5", "model.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names && !*r->model; i++)
        if (access(in_folder(r, names[i]), R_OK) == 0) snprintf(r->model, sizeof r->model, "%s", r->path);
    if (access(in_folder(r, "model.weights.h5"), R_OK) == 0)
        snprintf(r->weights, sizeof r->weights, "%s", r->path);
}

static kpar_status open_model(const running *r, kpar_keras_file **file)
{
    KPAR_TRY(kpar_keras_open(r->model, file));
    return *r->weights ? kpar_keras_take_weights(*file, r->weights) : KPAR_OK;
}

/* The model's config with the compile arguments that case.json has where the file has none. */
static kpar_status compile_model(running *r)
{
    json_t *compile = json_object_get(r->description, "compile");
    kpar_keras_file *file;
    size_t length;
    if (!compile) return KPAR_OK;
    KPAR_TRY(kpar_keras_open(r->model, &file));
    const char *config = kpar_keras_config(file, &length);
    json_t *root = json_loadb(config, length, 0, NULL);
    json_object_set(root, "compile_config", compile);
    r->config = json_dumps(root, 0);
    json_decref(root);
    kpar_keras_close(file);
    return KPAR_OK;
}

static double tolerance(const running *r, const char *name, double fallback)
{
    const json_t *t = json_object_get(json_object_get(r->description, "tolerance"), name);
    return t ? json_number_value(t) : fallback;
}

/* An array of expected.npz in double, NULL if there is none of that name. */
static double *expected_array(running *r, const char *name, size_t *count)
{
    char member[512];
    kpar_npy npy;
    const unsigned char *bytes;
    snprintf(member, sizeof member, "%s.npy", name);
    const int index = kpar_npz_find(r->expected, member);
    if (index < 0 || kpar_npz_bytes(r->expected, index, &bytes) != KPAR_OK) return NULL;
    const size_t size = kpar_npz_size(r->expected, index);
    if (kpar_npy_parse(member, bytes, size, size, &npy) != KPAR_OK) return NULL;
    *count = (size_t)kpar_array_count(&npy.array);
    double *values = malloc((*count + 1) * sizeof *values);
    kpar_convert(values, KPAR_F64, bytes + npy.header_bytes, npy.array.dtype, *count);
    return values;
}

static double largest(const double *values, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++) most = fabs(values[i]) > most ? fabs(values[i]) : most;
    return most;
}

static void note(running *r, const char *name, double difference, double limit)
{
    const double share = isfinite(difference) ? difference / limit : 1e300;
    if (share <= r->worst) return;
    r->worst = share;
    snprintf(r->worst_name, sizeof r->worst_name, "%s: off by %.3g, limit %.3g", name, difference, limit);
}

static kpar_status compare(running *r, const char *name, const double *found, size_t n, double rtol,
                           double atol)
{
    size_t count;
    double *expected = expected_array(r, name, &count);
    if (!expected) return KPAR_OK;
    kpar_status status = KPAR_OK;
    if (count != n)
        status = kpar_fail(KPAR_EDATA, "%s: %zu values, expected %zu", name, n, count);
    else {
        double difference = 0;
        for (size_t i = 0; i < n; i++)
            if (!(fabs(found[i] - expected[i]) <= difference)) difference = fabs(found[i] - expected[i]);
        note(r, name, difference, atol + rtol * largest(expected, count));
    }
    free(expected);
    return status;
}

/* --- what is run --- */

static kpar_class_weight *class_weights(running *r, int *n)
{
    const char *key;
    json_t *value, *object = json_object_get(r->description, "class_weight");
    *n = 0;
    kpar_class_weight *weights = calloc(json_object_size(object) + 1, sizeof *weights);
    json_object_foreach(object, key, value) weights[(*n)++] =
        (kpar_class_weight){atoll(key), json_number_value(value)};
    return weights;
}

typedef struct capture {
    kpar_consumer consumer;
    running *r;
} capture;

static kpar_status capture_event(kpar_consumer *consumer, const kpar_event *event)
{
    running *r = ((capture *)consumer)->r;
    if (event->kind != KPAR_EVENT_EPOCH_END) return KPAR_OK;
    json_t *logs = json_object();
    for (size_t i = 0; i < event->n_logs; i++)
        json_object_set_new(logs, event->logs[i].name, json_real(event->logs[i].value));
    json_array_append_new(r->epochs, logs);
    return KPAR_OK;
}

static void capture_destroy(kpar_consumer *consumer) { free(consumer); }

static kpar_report *make_report(running *r)
{
    capture *c = calloc(1, sizeof *c);
    c->consumer = (kpar_consumer){.event = capture_event, .destroy = capture_destroy};
    c->r = r;
    kpar_report *report = kpar_report_create();
    kpar_report_add(report, &c->consumer);
    return report;
}

static kpar_status check_predictions(running *r)
{
    kpar_array outputs[8] = {0};
    const int n = kpar_trainer_model(r->trainer)->n_outputs;
    const int64_t batch = json_integer_value(json_object_get(r->description, "batch_size"));
    const kpar_rows first = {r->dataset, 0, batch};
    KPAR_TRY(kpar_trainer_predict(r->trainer, &first, outputs));
    kpar_status status = KPAR_OK;
    for (int i = 0; i < n && kpar_comm_rank(r->comm) == 0; i++) {
        char name[256];
        const size_t count = (size_t)kpar_array_count(&outputs[i]);
        double *values = malloc((count + 1) * sizeof *values);
        snprintf(name, sizeof name, n > 1 ? "output/%s" : "output",
                 kpar_trainer_model(r->trainer)->outputs[i].name);
        kpar_convert(values, KPAR_F64, outputs[i].data, outputs[i].dtype, count);
        if (status == KPAR_OK)
            status = compare(r, name, values, count, tolerance(r, "output_rtol", 1e-5),
                             tolerance(r, "output_atol", 1e-6));
        free(values);
        kpar_array_destroy(&outputs[i]);
    }
    return kpar_comm_agree(r->comm, status);
}

static kpar_status check_evaluation(running *r)
{
    const kpar_named_value *logs;
    size_t n;
    const int64_t batch = json_integer_value(json_object_get(r->description, "batch_size"));
    const kpar_rows first = {r->dataset, 0, batch};
    KPAR_TRY(kpar_trainer_evaluate(r->trainer, &first, NULL, 0, NULL, &logs, &n));
    kpar_status status = KPAR_OK;
    for (size_t i = 0; i < n && kpar_comm_rank(r->comm) == 0 && status == KPAR_OK; i++) {
        char name[256];
        snprintf(name, sizeof name, "eval/%s", logs[i].name);
        status = compare(r, name, &logs[i].value, 1, tolerance(r, "logs_rtol", 2e-5),
                         tolerance(r, "logs_atol", 1e-6));
    }
    return kpar_comm_agree(r->comm, status);
}

static kpar_status check_logs(running *r, bool fit)
{
    const char *name;
    json_t *ignored, *first = json_array_get(r->epochs, 0);
    const size_t n = json_array_size(r->epochs);
    double *values = malloc((n + 1) * sizeof *values);
    kpar_status status = KPAR_OK;
    json_object_foreach(first, name, ignored)
    {
        char key[256];
        snprintf(key, sizeof key, fit ? "history/%s" : "epoch_logs/%s", name);
        for (size_t i = 0; i < n; i++)
            values[i] = json_real_value(json_object_get(json_array_get(r->epochs, i), name));
        if (status == KPAR_OK)
            status =
                compare(r, key, values, n, tolerance(r, "logs_rtol", 2e-5), tolerance(r, "logs_atol", 1e-6));
    }
    free(values);
    return status;
}

static kpar_status fit(running *r)
{
    const bool fits = strcmp(json_string_value(json_object_get(r->description, "mode")), "fit") == 0;
    const double split = json_number_value(json_object_get(r->description, "validation_split"));
    const int64_t rows = kpar_dataset_rows(r->dataset),
                  train = fits ? (int64_t)floor((double)rows * (1 - split)) : rows;
    const int64_t batch = json_integer_value(json_object_get(r->description, "batch_size"));
    kpar_fit_options o = {.train = {r->dataset, 0, train},
                          .epochs = 1,
                          .output = r->options->output,
                          .steps = r->options->steps};
    if (fits) o.epochs = json_integer_value(json_object_get(r->description, "epochs"));
    if (!fits) {
        if (!o.steps) o.steps = json_integer_value(json_object_get(r->description, "steps"));
        o.train.rows = batch * o.steps;
    }
    if (train < rows) o.validation = (kpar_rows){r->dataset, train, rows - train};
    kpar_class_weight *weights = class_weights(r, &o.n_class_weights);
    o.class_weights = weights;
    kpar_report *report = kpar_comm_rank(r->comm) == 0 ? make_report(r) : NULL;
    kpar_status status = kpar_trainer_fit(r->trainer, &o, report);
    if (report) kpar_report_destroy(report);
    free(weights);
    if (status == KPAR_OK && kpar_comm_rank(r->comm) == 0 && (!r->options->steps))
        status = check_logs(r, fits);
    return kpar_comm_agree(r->comm, status);
}

/* --- the saved file --- */

static bool is_optimizers(const char *path) { return strncmp(path, "optimizer/", 10) == 0; }

static double *read_variable(kpar_keras_file *file, const kpar_variable *v, size_t count)
{
    const kpar_slice whole = kpar_variable_whole(v);
    void *raw = malloc(count * kpar_dtype_bytes(v->dtype) + 1);
    double *values = malloc((count + 1) * sizeof *values);
    if (kpar_keras_read(file, v, &whole, raw) != KPAR_OK) {
        free(values);
        values = NULL;
    } else
        kpar_convert(values, KPAR_F64, raw, v->dtype, count);
    free(raw);
    return values;
}

/* 3e-7 of the largest slot: a slot whose true gradient is zero holds rounding noise. */
static double optimizer_floor(running *r)
{
    double most = 0;
    for (int i = 0; i < kpar_npz_count(r->expected); i++) {
        const char *name = kpar_npz_name(r->expected, i);
        if (!strstr(name, "/optimizer/vars/")) continue;
        char key[512];
        size_t count;
        snprintf(key, sizeof key, "%.*s", (int)strlen(name) - 4, name);
        double *values = expected_array(r, key, &count);
        if (values && count > 1 && largest(values, count) > most) most = largest(values, count);
        free(values);
    }
    return 3e-7 * most;
}

/* What the case says not to compare: its exact value is zero, and what is found is rounding. */
static bool is_ignored(const running *r, const char *path)
{
    const json_t *list = json_object_get(r->description, "ignore");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), path) == 0) return true;
    return false;
}

static kpar_status check_variable(running *r, const char *prefix, const kpar_variable *v,
                                  kpar_keras_file *before, kpar_keras_file *after, double floor)
{
    char name[512];
    size_t count, n = (size_t)kpar_count(v->rank, v->dims);
    snprintf(name, sizeof name, "%s/%s", prefix, v->path);
    double *expected = expected_array(r, name, &count), *found = read_variable(after, v, n),
           *initial = is_optimizers(v->path) ? NULL : read_variable(before, v, n);
    kpar_status status = KPAR_OK;
    if (!expected || !found || count != n)
        status = kpar_fail(KPAR_EDATA, "%s: %s", name,
                           !expected ? "Keras has no such variable"
                           : !found  ? "not in the saved file"
                                     : "another shape");
    else {
        double difference = 0, update = 0;
        for (size_t i = 0; i < n; i++) {
            if (!(fabs(found[i] - expected[i]) <= difference)) difference = fabs(found[i] - expected[i]);
            if (initial && fabs(expected[i] - initial[i]) > update) update = fabs(expected[i] - initial[i]);
        }
        double limit = is_optimizers(v->path)
                           ? floor + tolerance(r, "optimizer_rtol", 2e-3) * largest(expected, n)
                           : tolerance(r, "atol", 2e-7) + tolerance(r, "rtol", 1e-6) * largest(expected, n) +
                                 tolerance(r, "utol", 1e-3) * update;
        note(r, name, difference, limit > 0 ? limit : 1e-30);
    }
    free(expected);
    free(found);
    free(initial);
    return status;
}

static kpar_status check_file(running *r)
{
    char prefix[32];
    kpar_keras_file *before = NULL, *after = NULL;
    bool has_optimizer;
    const bool fits = strcmp(json_string_value(json_object_get(r->description, "mode")), "fit") == 0;
    const int64_t steps =
        r->options->steps ? r->options->steps : json_integer_value(json_object_get(r->description, "steps"));
    snprintf(prefix, sizeof prefix, fits ? "final" : "step%lld", (long long)steps);
    const kpar_catalog *catalog = kpar_plan_catalog(kpar_trainer_plan(r->trainer));
    kpar_status status = open_model(r, &before);
    if (status == KPAR_OK) status = kpar_keras_check_weights(before, catalog, &has_optimizer);
    if (status == KPAR_OK) status = kpar_keras_open(r->options->output, &after);
    if (status == KPAR_OK) status = kpar_keras_check_weights(after, catalog, &has_optimizer);
    const double floor = optimizer_floor(r);
    for (int i = 0; i < catalog->n && status == KPAR_OK; i++)
        if (catalog->variables[i].kind != KPAR_VARIABLE_CONSTANT && /* these are in no file of weights */
            !is_ignored(r, catalog->variables[i].path))
            status = check_variable(r, prefix, &catalog->variables[i], before, after, floor);
    if (before) kpar_keras_close(before);
    if (after) kpar_keras_close(after);
    return status;
}

static kpar_status make_trainer(running *r)
{
    const kpar_case_options *o = r->options;
    kpar_trainer_options t = {.modes = 7, .device = {.threads = 1}, .config = r->config};
    if (*r->weights) t.weights = r->weights;
    t.executor = (kpar_executor_options){.lane_seed = o->lane_seed, .progress_thread = o->progress_thread};
    t.plan = (kpar_plan_options){
        .mesh = o->mesh,
        .batch_size = json_integer_value(json_object_get(r->description, "batch_size")),
        .microbatches = o->leaves         ? 0
                        : o->microbatches ? o->microbatches
                                          : 1,
        .leaves = o->leaves,
        .schedule = o->schedule ? kpar_schedule_find(o->schedule) : NULL,
        .virtual_stages = o->virtual_stages,
        .recompute = (kpar_recompute)o->recompute,
        .zero = o->zero,
        .split_features = o->split_features,
        .split_vocabulary = o->split_vocabulary,
        .windows = !o->no_windows,
        .choice = o->choice,
        .device = kpar_device_find(o->device ? o->device : "cpu"),
        .without_passes = o->without_passes,
        .check_passes = true,
    };
    return kpar_trainer_create(r->comm, r->model, &t, &r->trainer);
}

static kpar_status run(running *r)
{
    json_error_t error;
    r->description = json_load_file(in_folder(r, "case.json"), 0, &error);
    if (!r->description) return kpar_fail(KPAR_EIO, "%s: %s", r->path, error.text);
    KPAR_TRY(kpar_npz_open(in_folder(r, "expected.npz"), &r->expected));
    find_files(r);
    KPAR_TRY(compile_model(r));
    KPAR_TRY(make_trainer(r));
    const kpar_dataset_names names = {0};
    char data[1024];
    snprintf(data, sizeof data, "%s", in_folder(r, "data.npz"));
    KPAR_TRY(kpar_trainer_open_data(r->trainer, data, &names, &r->dataset));
    KPAR_TRY(check_predictions(r));
    KPAR_TRY(check_evaluation(r));
    KPAR_TRY(fit(r));
    KPAR_TRY(kpar_comm_agree(r->comm, kpar_comm_rank(r->comm) == 0 ? check_file(r) : KPAR_OK));
    kpar_status status = KPAR_OK;
    if (kpar_comm_rank(r->comm) == 0 && r->worst > 1) status = kpar_fail(KPAR_EDATA, "%s", r->worst_name);
    return kpar_comm_agree(r->comm, status);
}

kpar_status kpar_case_run(kpar_comm *comm, const kpar_case_options *options, double *worst)
{
    running r = {.options = options, .comm = comm, .epochs = json_array()};
    kpar_status status = run(&r);
    kpar_trainer_destroy(r.trainer);
    if (r.dataset) kpar_dataset_close(r.dataset);
    if (r.expected) kpar_npz_close(r.expected);
    json_decref(r.description);
    free(r.config);
    json_decref(r.epochs);
    if (worst && kpar_comm_rank(comm) == 0) *worst = r.worst;
    return status;
}

typedef struct thread_run {
    pthread_t thread;
    kpar_comm *comm;
    const kpar_case_options *options;
    double worst;
    kpar_status status;
    char message[2048];
} thread_run;

static void *run_thread(void *argument)
{
    thread_run *t = argument;
    t->status = kpar_case_run(t->comm, t->options, &t->worst);
    if (t->status != KPAR_OK) snprintf(t->message, sizeof t->message, "%s", kpar_error_message());
    return NULL;
}

kpar_status kpar_case_run_local(const kpar_case_options *options, double *worst)
{
    const int n = kpar_mesh_size(options->mesh);
    kpar_comm **comms = calloc((size_t)n, sizeof *comms);
    thread_run *threads = calloc((size_t)n, sizeof *threads);
    KPAR_TRY(kpar_comm_local_create(n, 0, comms));
    for (int i = 0; i < n; i++) {
        threads[i].comm = comms[i];
        threads[i].options = options;
        pthread_create(&threads[i].thread, NULL, run_thread, &threads[i]);
    }
    kpar_status status = KPAR_OK;
    for (int i = 0; i < n; i++) {
        pthread_join(threads[i].thread, NULL);
        if (threads[i].status != KPAR_OK && status == KPAR_OK)
            status = kpar_fail(threads[i].status, "%s", threads[i].message);
    }
    if (worst) *worst = threads[0].worst;
    for (int i = 0; i < n; i++) kpar_comm_destroy(comms[i]);
    free(comms);
    free(threads);
    return status;
}

void kpar_case_title(const kpar_case_options *o, char *text, size_t capacity)
{
    const char *name = strrchr(o->folder, '/');
    snprintf(
        text, capacity, "%s %dx%dx%d m%d%s%s zero%d%s%s%s%s%s%s%s%s%s%s%s%s%s", name ? name + 1 : o->folder,
        o->mesh.data, o->mesh.pipeline, o->mesh.tensor, o->microbatches ? o->microbatches : 1,
        o->schedule ? " " : "", o->schedule ? o->schedule : "", o->zero, o->recompute ? " recompute " : "",
        o->recompute ? kpar_recompute_names[o->recompute] : "", o->leaves ? " reproducible" : "",
        o->split_features ? " split-features" : "", o->split_vocabulary ? " split-vocabulary" : "",
        o->choice ? " " : "", o->choice ? o->choice : "", o->device ? " " : "", o->device ? o->device : "",
        o->no_windows ? " no-windows" : "", o->progress_thread ? " progress-thread" : "",
        o->without_passes ? " without " : "", o->without_passes ? o->without_passes : "");
}
