/* Step 1 on the trainer's layout and on one rank: what differs, beside what rounding may make of it. */
#include "train/trainer_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A log may differ by its share of these; a weight by a thousandth of what the step moved it, and by its own rounding; what
 * the optimizer keeps by a share of its largest element. */
#define LOG_RELATIVE 2e-5
#define LOG_ABSOLUTE 1e-6
#define MOVE_RELATIVE 1e-3
#define WEIGHT_RELATIVE 1e-6
#define STATE_RELATIVE 2e-3
#define ABSOLUTE 2e-7

typedef struct comparison {
    kpar_trainer *here, *alone; /* alone: rank 0's */
    float **before;             /* by variable: on one rank before the step; NULL: it is no weight */
    kpar_layout_check *check;
} comparison;

/* --- one rank --- */

static kpar_status make_alone(const kpar_trainer *t, kpar_comm **comm, kpar_trainer **alone)
{
    kpar_trainer_options options = t->options;
    options.plan.mesh = (kpar_mesh){1, 1, 1};
    options.plan.microbatches = t->options.plan.leaves ? 0 : 1;
    options.plan.schedule = NULL;
    options.plan.virtual_stages = 0;
    options.plan.recompute = KPAR_RECOMPUTE_NONE;
    options.plan.zero = 0;
    options.plan.split_features = false;
    options.plan.stages = NULL;
    options.plan.nodes = NULL;
    options.modes = 1u << KPAR_MODE_TRAIN;
    options.executor.progress_thread = false;
    KPAR_TRY(kpar_comm_local_create(1, 0, comm));
    return kpar_trainer_create(*comm, t->path, &options, alone);
}

static float *new_values(const kpar_variable *v)
{
    return kpar_alloc(((size_t)kpar_count(v->rank, v->dims) + 1) * sizeof(float));
}

/* All elements of a variable. */
static kpar_status fetch_whole(kpar_trainer *t, int variable, kpar_fetch fetch, float *values)
{
    const kpar_variable *v = &t->catalog->variables[variable];
    const kpar_slice whole = kpar_variable_whole(v);
    const size_t n = (size_t)kpar_count(v->rank, v->dims);
    if (v->dtype == KPAR_F32) return fetch(t, variable, &whole, values);
    void *raw = kpar_alloc((n + 1) * kpar_dtype_bytes(v->dtype));
    kpar_status status = fetch(t, variable, &whole, raw);
    if (status == KPAR_OK) kpar_convert(values, KPAR_F32, raw, v->dtype, n);
    kpar_free(raw);
    return status;
}

static kpar_status keep_before(kpar_fetch fetch, void *context)
{
    comparison *c = context;
    for (int i = 0; i < c->alone->catalog->n; i++) {
        if (c->alone->catalog->variables[i].kind != KPAR_VARIABLE_WEIGHT) continue;
        c->before[i] = new_values(&c->alone->catalog->variables[i]);
        KPAR_TRY(fetch_whole(c->alone, i, fetch, c->before[i]));
    }
    return KPAR_OK;
}

/* --- what differs --- */

static void add(kpar_layout_check *check, const char *name, double difference, double tolerance)
{
    kpar_difference *d = &check->differences[check->n++];
    *d = (kpar_difference){.difference = difference, .tolerance = tolerance};
    snprintf(d->name, sizeof d->name, "%s", name);
    if (!(difference <= tolerance)) check->n_off++;
}

static void compare_logs(comparison *c, const double *here, const double *alone, size_t n)
{
    kpar_tally tallies[2] = {kpar_tally_begin(c->here, KPAR_MODE_TRAIN),
                             kpar_tally_begin(c->alone, KPAR_MODE_TRAIN)};
    double *values = kpar_alloc((2 * n + 1) * sizeof *values);
    kpar_tally_add(&tallies[0], here, c->check->rows);
    kpar_tally_add(&tallies[1], alone, c->check->rows);
    for (int i = 0; i < 2; i++) kpar_tally_values(&tallies[i], values + (size_t)i * n);
    for (size_t i = 0; i < n; i++) {
        const double a = values[i], b = values[n + i];
        add(c->check, tallies[0].entries[i].name, fabs(a - b), LOG_RELATIVE * fabs(b) + LOG_ABSOLUTE);
    }
    for (int i = 0; i < 2; i++) kpar_tally_end(&tallies[i]);
    kpar_free(values);
}

static double largest(const float *a, const float *b, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        const double size = fabs((double)a[i] - (b ? (double)b[i] : 0));
        if (!(size <= most)) most = size;
    }
    return most;
}

static double tolerance_of(const comparison *c, int variable, const float *alone, size_t n)
{
    const kpar_variable *v = &c->alone->catalog->variables[variable];
    if (v->dtype != KPAR_F32) return 0;
    const double size = largest(alone, NULL, n);
    if (v->kind != KPAR_VARIABLE_WEIGHT) return STATE_RELATIVE * size + ABSOLUTE;
    return MOVE_RELATIVE * largest(alone, c->before[variable], n) + WEIGHT_RELATIVE * size + ABSOLUTE;
}

static const char *weight_name(const comparison *c, const kpar_variable *v)
{
    if (v->keras_path) return v->keras_path;
    return kpar_arena_printf(c->here->arena, "%s%s%s", v->layer, *v->layer ? "/" : "", v->name);
}

static const char *name_of(const comparison *c, const kpar_variable *v)
{
    if (v->of < 0) return weight_name(c, v);
    return kpar_arena_printf(c->here->arena, "%s: %s", weight_name(c, &c->alone->catalog->variables[v->of]),
                             v->name);
}

static kpar_status compare_variable(comparison *c, int variable, kpar_fetch fetch)
{
    const kpar_variable *v = &c->alone->catalog->variables[variable];
    const size_t n = (size_t)kpar_count(v->rank, v->dims);
    float *here = new_values(v), *alone = new_values(v);
    kpar_status status = fetch_whole(c->here, variable, fetch, here);
    if (status == KPAR_OK) status = fetch_whole(c->alone, variable, fetch, alone);
    if (status == KPAR_OK)
        add(c->check, name_of(c, v), largest(here, alone, n), tolerance_of(c, variable, alone, n));
    kpar_free(here);
    kpar_free(alone);
    return status;
}

static kpar_status compare_variables(kpar_fetch fetch, void *context)
{
    comparison *c = context;
    for (int i = 0; i < c->alone->catalog->n; i++)
        if (c->alone->catalog->variables[i].kind != KPAR_VARIABLE_CONSTANT)
            KPAR_TRY(compare_variable(c, i, fetch));
    return KPAR_OK;
}

/* Furthest beyond its tolerance first. */
static int by_share(const void *a, const void *b)
{
    const kpar_difference *x = a, *y = b;
    const double left = x->difference / (x->tolerance + 1e-30),
                 right = y->difference / (y->tolerance + 1e-30);
    return left < right ? 1 : left > right ? -1 : 0;
}

/* --- together --- */

static kpar_status prepare(comparison *c, kpar_comm **comm)
{
    KPAR_TRY(make_alone(c->here, comm, &c->alone));
    const size_t n = (size_t)c->alone->catalog->n;
    int logs, values;
    kpar_plan_reports(c->here->plan, KPAR_MODE_TRAIN, &logs, &values);
    c->before = kpar_alloc_zeroed(n + 1, sizeof *c->before);
    c->check->differences = kpar_alloc((n + (size_t)logs + 1) * sizeof *c->check->differences);
    return kpar_trainer_with_variables(c->alone, keep_before, c);
}

static kpar_status step_both(comparison *c, const kpar_batch *batch, double *here, double *alone)
{
    KPAR_TRY(kpar_trainer_step(c->here, KPAR_MODE_TRAIN, batch, here, NULL));
    return kpar_comm_agree(
        c->here->comm, c->alone ? kpar_trainer_step(c->alone, KPAR_MODE_TRAIN, batch, alone, NULL) : KPAR_OK);
}

static kpar_status compare(comparison *c, const kpar_batch *batch)
{
    int n, values;
    kpar_plan_reports(c->here->plan, KPAR_MODE_TRAIN, &n, &values);
    double *here = kpar_alloc((2 * (size_t)values + 1) * sizeof *here), *alone = here + values;
    kpar_status status = step_both(c, batch, here, alone);
    if (status == KPAR_OK && c->alone) compare_logs(c, here, alone, (size_t)n);
    kpar_free(here);
    if (status != KPAR_OK) return status;
    KPAR_TRY(kpar_trainer_with_variables(c->here, compare_variables, c));
    if (c->alone) qsort(c->check->differences, c->check->n, sizeof *c->check->differences, by_share);
    return KPAR_OK;
}

static void forget(comparison *c, kpar_comm *comm)
{
    for (int i = 0; c->before && i < c->alone->catalog->n; i++) kpar_free(c->before[i]);
    kpar_free(c->before);
    kpar_trainer_destroy(c->alone);
    if (comm) kpar_comm_destroy(comm);
}

kpar_status kpar_trainer_check_layout(kpar_trainer *t, const kpar_fit_options *fit, kpar_layout_check *check)
{
    const int64_t most = t->options.plan.batch_size;
    const kpar_batch batch = {.data = &fit->train,
                              .rows = fit->train.rows < most ? fit->train.rows : most,
                              .shuffle = fit->shuffle,
                              .seed = fit->seed,
                              .class_weights = fit->class_weights,
                              .n_class_weights = fit->n_class_weights};
    kpar_comm *comm = NULL;
    *check = (kpar_layout_check){.rows = batch.rows};
    comparison c = {.here = t, .check = check};
    const bool root = kpar_comm_rank(t->comm) == 0;
    kpar_status status = kpar_comm_agree(t->comm, root ? prepare(&c, &comm) : KPAR_OK);
    if (status == KPAR_OK) status = compare(&c, &batch);
    forget(&c, comm);
    return status;
}
