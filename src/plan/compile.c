/* Drives the passes: lower, gradient, update, simplify, place, fuse, cut, recompute, split, buckets. */
#include "base/hash.h"
#include "graph/attributes.h"
#include "parallel/bucket.h"
#include "parallel/cut.h"
#include "parallel/deal.h"
#include "parallel/place.h"
#include "parallel/split_backward.h"
#include "plan/emit.h"
#include "plan/plan.h"

#include <stdio.h>
#include <string.h>

struct kpar_plan {
    const kpar_model *model;
    kpar_catalog *catalog;
    kpar_plan_options options;
    kpar_graph *graphs[KPAR_MODE_COUNT];
    struct {
        kpar_report_entry *entries;
        int n, values;
    } reports[KPAR_MODE_COUNT];
    kpar_label_range *label_ranges[KPAR_MODE_COUNT];
    kpar_weight_range *weight_ranges[KPAR_MODE_COUNT];
    kpar_stage_map stages;
    kpar_variable_place *places; /* of the catalog's variables */
    int n_places;
    kpar_arena *arena;
};

/* --- dealing the batch --- */

static int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

int kpar_plan_microbatches(const kpar_plan *plan, int data)
{
    if (plan->options.leaves == 0) return plan->options.microbatches;
    int64_t first, count;
    kpar_deal(plan->options.leaves, 0, plan->options.mesh.data, data, &first, &count);
    return (int)count;
}

int kpar_plan_chunks(const kpar_plan *plan)
{
    const kpar_plan_options *o = &plan->options;
    if (o->mesh.pipeline == 1) return 1;
    return o->virtual_stages ? o->virtual_stages : o->schedule->chunks;
}

int64_t kpar_plan_capacity(const kpar_plan *plan)
{
    const kpar_plan_options *o = &plan->options;
    return ceil_divide(o->batch_size, o->leaves ? o->leaves : (int64_t)o->mesh.data * o->microbatches);
}

void kpar_plan_rows(const kpar_plan *plan, int64_t rows, int data, int m, int64_t *first, int64_t *count)
{
    const kpar_plan_options *o = &plan->options;
    if (o->leaves == 0) {
        kpar_deal(rows, 0, o->mesh.data * o->microbatches, data * o->microbatches + m, first, count);
        return;
    }
    int64_t leaf, leaves;
    kpar_deal(o->leaves, 0, o->mesh.data, data, &leaf, &leaves);
    kpar_deal(rows, kpar_plan_capacity(plan), o->leaves, (int)leaf + m, first, count);
}

/* --- passes --- */

typedef kpar_status (*pass)(kpar_plan *plan, const kpar_graph *in, kpar_graph **out);
typedef bool (*condition)(const kpar_plan *plan);

static kpar_status pass_simplify(kpar_plan *plan, const kpar_graph *in, kpar_graph **out)
{
    (void)plan;
    return kpar_graph_simplify(in, out);
}

/* Modes lowered later may bring further variables. */
static void grow_places(kpar_plan *plan)
{
    const int n = plan->catalog->n;
    plan->places = kpar_realloc(plan->places, ((size_t)n + 1) * sizeof *plan->places);
    for (; plan->n_places < n; plan->n_places++)
        plan->places[plan->n_places] = (kpar_variable_place){.known = false};
}

static kpar_status pass_place(kpar_plan *plan, const kpar_graph *in, kpar_graph **out)
{
    const kpar_plan_options *o = &plan->options;
    bool *trained = kpar_alloc_zeroed((size_t)plan->catalog->n + 1, sizeof *trained);
    for (size_t i = 0; i < in->n_states; i++) {
        const kpar_state *s = &in->states[i];
        trained[s->variable] =
            s->next != s->value && plan->catalog->variables[s->variable].kind == KPAR_VARIABLE_WEIGHT;
    }
    grow_places(plan);
    const kpar_place_options options = {.mesh = o->mesh,
                                        .split_features = o->split_features,
                                        .zero = o->zero,
                                        .reproducible = o->leaves > 0,
                                        .split_vocabulary = o->split_vocabulary,
                                        .trained = trained,
                                        .variables = plan->places};
    kpar_status status = kpar_place_graph(in, &options, out);
    kpar_free(trained);
    return status;
}

static kpar_status pass_fuse(kpar_plan *plan, const kpar_graph *in, kpar_graph **out)
{
    (void)plan;
    return kpar_graph_fuse(in, out);
}

static kpar_status pass_cut(kpar_plan *plan, const kpar_graph *in, kpar_graph **out)
{
    enum { GFLOPS = 100, GBYTES = 12 }; /* one core of docs/performance.md; only ratios matter here */
    const kpar_cut_options options = {
        plan->options.mesh.pipeline * kpar_plan_chunks(plan),
        plan->options.stages,
        {plan->options.mesh, kpar_plan_capacity(plan), GFLOPS * 1e9, GBYTES * 1e9},
        &plan->stages,
        plan->catalog};
    return kpar_cut(in, &options, out);
}

static kpar_status pass_recompute(kpar_plan *plan, const kpar_graph *in, kpar_graph **out)
{
    return kpar_recompute_graph(in, plan->options.recompute, out);
}

static kpar_status pass_split(kpar_plan *plan, const kpar_graph *in, kpar_graph **out)
{
    (void)plan;
    return kpar_split_backward(in, out);
}

static kpar_status pass_fuse_layers(kpar_plan *plan, const kpar_graph *in, kpar_graph **out)
{
    (void)plan;
    return kpar_graph_fuse_layers(in, out);
}

static kpar_status pass_bucket(kpar_plan *plan, const kpar_graph *in, kpar_graph **out)
{
    enum { BUCKET_BYTES = 16 << 20 };
    (void)plan;
    kpar_graph *gradients;
    KPAR_TRY(kpar_bucket(in, BUCKET_BYTES, &gradients));
    kpar_status status = kpar_bucket_scalars(gradients, out);
    kpar_graph_destroy(gradients);
    return status;
}

static bool recomputes(const kpar_plan *plan) { return plan->options.recompute != KPAR_RECOMPUTE_NONE; }
static bool splits(const kpar_plan *plan) { return plan->options.schedule->splits_backward; }

static const struct {
    const char *name;
    pass run;
    bool optional;
    condition wanted; /* NULL: always */
} passes[] = {
    {"simplify", pass_simplify, true, NULL},
    {"place", pass_place, false, NULL},
    {"fuse", pass_fuse, true, NULL},
    {"cut", pass_cut, false, NULL},
    {"recompute", pass_recompute, false, recomputes},
    {"split", pass_split, false, splits},
    {"fuse-layers", pass_fuse_layers, true, NULL},
    {"bucket", pass_bucket, true, NULL},
};
enum { PASSES = sizeof passes / sizeof passes[0] };

const char *const *kpar_plan_optional_passes(void)
{
    static const char *const names[] = {"simplify", "fuse", "fuse-layers", "bucket", NULL};
    return names;
}

static bool listed(const char *list, const char *name)
{
    const size_t length = strlen(name);
    for (const char *at = list; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || !at[length])) return true;
    return false;
}

static kpar_status run_passes(kpar_plan *plan, kpar_graph **graph)
{
    for (int i = 0; i < PASSES; i++) {
        if (passes[i].optional && listed(plan->options.without_passes, passes[i].name)) continue;
        if (passes[i].wanted && !passes[i].wanted(plan)) continue;
        kpar_graph *next = NULL;
        KPAR_TRY(passes[i].run(plan, *graph, &next));
        kpar_graph_destroy(*graph);
        *graph = next;
        kpar_status status = plan->options.check_passes ? kpar_graph_check(next) : KPAR_OK;
        if (status != KPAR_OK) return kpar_fail_in(status, "after pass %s", passes[i].name);
    }
    return KPAR_OK;
}

/* --- modes --- */

static kpar_status lower_training(kpar_lowering *lowering)
{
    kpar_value_id *gradients =
        kpar_arena_alloc(lowering->arena, ((size_t)lowering->n_weights + 1) * sizeof *gradients);
    KPAR_TRY(kpar_graph_gradient(lowering->graph, lowering->loss, lowering->weight_copies,
                                 lowering->n_weights, gradients));
    return kpar_lower_update(lowering, gradients);
}

/* Statistics of the whole batch are there only if a rank has it in one piece. */
static kpar_status check_statistics(const kpar_plan *plan, const kpar_lowering *lowering)
{
    const kpar_plan_options *o = &plan->options;
    if (!lowering->batch_statistics) return KPAR_OK;
    if (o->leaves)
        return kpar_fail(KPAR_EUSAGE,
                         "%s: needs sums over the whole batch, which --reproducible makes in %d parts: leave "
                         "--reproducible out, or do without (a layer: trainable = False; a loss: axis)",
                         lowering->batch_statistics, o->leaves);
    if (o->microbatches == 1 || o->microbatch_statistics) return KPAR_OK;
    return kpar_fail(
        KPAR_EUSAGE,
        "%s: needs sums over the whole batch, which a pipeline computes in %d microbatches: choose "
        "--microbatches 1 for Keras's result, or --batch-statistics microbatch for another",
        lowering->batch_statistics, o->microbatches);
}

static void keep_weight_ranges(kpar_plan *plan, kpar_mode mode, const kpar_weight_range *ranges)
{
    const int n = plan->model->n_outputs;
    plan->weight_ranges[mode] = kpar_arena_copy(plan->arena, ranges, (size_t)n * sizeof *ranges);
    for (kpar_weight_range *r = plan->weight_ranges[mode]; r < plan->weight_ranges[mode] + n; r++) {
        const char **names[] = {&r->unweighted, &r->weighs_rows, &r->divides_by_weights};
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
            if (*names[i]) *names[i] = kpar_arena_strdup(plan->arena, *names[i]);
    }
}

static kpar_status lower(kpar_plan *plan, kpar_mode mode, kpar_graph *graph)
{
    kpar_lowering lowering;
    kpar_lower_begin(&lowering, graph, plan->catalog, plan->model, mode, plan->options.seed);
    lowering.batch_size = plan->options.batch_size;
    if (plan->options.leaves == 0) lowering.microbatches = plan->options.microbatches;
    kpar_status status = kpar_lower_forward(&lowering);
    if (status == KPAR_OK) status = check_statistics(plan, &lowering);
    if (status == KPAR_OK && mode == KPAR_MODE_TRAIN) status = lower_training(&lowering);
    if (status == KPAR_OK && plan->options.check_passes) status = kpar_graph_check(graph);
    plan->reports[mode].n = lowering.n_reports;
    plan->reports[mode].values = lowering.n_report_values;
    plan->reports[mode].entries =
        kpar_arena_copy(plan->arena, lowering.reports, (size_t)lowering.n_reports * sizeof *lowering.reports);
    plan->label_ranges[mode] = kpar_arena_copy(plan->arena, lowering.label_ranges,
                                               (size_t)plan->model->n_outputs * sizeof(kpar_label_range));
    keep_weight_ranges(plan, mode, lowering.weight_ranges);
    for (int i = 0; i < lowering.n_reports; i++) {
        kpar_report_entry *entry = &plan->reports[mode].entries[i];
        entry->name = kpar_arena_strdup(plan->arena, entry->name);
        if (entry->formula) entry->formula = kpar_expression_copy(entry->formula, plan->arena);
    }
    kpar_lower_end(&lowering);
    return status;
}

static kpar_status plan_mode(kpar_plan *plan, kpar_mode mode)
{
    plan->graphs[mode] = kpar_graph_create(plan->options.real);
    KPAR_TRY(lower(plan, mode, plan->graphs[mode]));
    return run_passes(plan, &plan->graphs[mode]);
}

static kpar_status check_options(const kpar_plan_options *o)
{
    if (o->mesh.data < 1 || o->mesh.pipeline < 1 || o->mesh.tensor < 1)
        return kpar_fail(KPAR_EUSAGE, "the mesh %d x %d x %d has an axis below 1", o->mesh.data,
                         o->mesh.pipeline, o->mesh.tensor);
    if (o->batch_size < 1)
        return kpar_fail(KPAR_EUSAGE, "--batch-size %lld: expected at least 1", (long long)o->batch_size);
    if (o->leaves && o->leaves < o->mesh.data)
        return kpar_fail(KPAR_EUSAGE, "--reproducible %d: %d replicas need at least one leaf each", o->leaves,
                         o->mesh.data);
    if (!o->leaves && o->microbatches < 1)
        return kpar_fail(KPAR_EUSAGE, "--microbatches %d: expected at least 1", o->microbatches);
    if (o->virtual_stages > 1 && (!o->schedule || o->schedule->chunks == 1))
        return kpar_fail(
            KPAR_EUSAGE,
            "--virtual-stages %d: schedule %s has one stage a rank; choose --schedule interleaved",
            o->virtual_stages, o->schedule ? o->schedule->name : "1f1b");
    for (const char *at = o->without_passes; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        char name[32];
        bool known = false;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at, ","), at);
        for (int i = 0; i < PASSES; i++)
            known = known || (passes[i].optional && strcmp(passes[i].name, name) == 0);
        if (!known)
            return kpar_fail(KPAR_EUSAGE, "--without-pass %s: expected simplify, fuse, fuse-layers or bucket",
                             name);
    }
    return KPAR_OK;
}

kpar_status kpar_plan_create(const kpar_model *model, kpar_catalog *catalog, const kpar_plan_options *options,
                             unsigned modes, kpar_plan **plan)
{
    KPAR_TRY(check_options(options));
    kpar_plan *p = kpar_alloc_zeroed(1, sizeof *p);
    *p = (kpar_plan){.model = model, .catalog = catalog, .options = *options, .arena = kpar_arena_create()};
    p->stages.arena = p->arena;
    if (!p->options.schedule) p->options.schedule = kpar_schedule_find("1f1b");
    kpar_status status = KPAR_OK;
    for (int mode = 0; mode < KPAR_MODE_COUNT && status == KPAR_OK; mode++)
        if (modes >> mode & 1) status = plan_mode(p, (kpar_mode)mode);
    if (status != KPAR_OK)
        kpar_plan_destroy(p);
    else
        *plan = p;
    return status;
}

void kpar_plan_destroy(kpar_plan *plan)
{
    if (!plan) return;
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++) kpar_graph_destroy(plan->graphs[mode]);
    kpar_arena_destroy(plan->arena);
    kpar_free(plan->places);
    kpar_free(plan);
}

const kpar_plan_options *kpar_plan_options_get(const kpar_plan *plan) { return &plan->options; }
const kpar_catalog *kpar_plan_catalog(const kpar_plan *plan) { return plan->catalog; }
const kpar_graph *kpar_plan_graph(const kpar_plan *plan, kpar_mode mode) { return plan->graphs[mode]; }

kpar_mode kpar_plan_first_mode(const kpar_plan *plan)
{
    int mode = 0;
    while (mode < KPAR_MODE_COUNT - 1 && !plan->graphs[mode]) mode++;
    return (kpar_mode)mode;
}

const kpar_report_entry *kpar_plan_reports(const kpar_plan *plan, kpar_mode mode, int *n, int *values)
{
    *n = plan->reports[mode].n;
    *values = plan->reports[mode].values;
    return plan->reports[mode].entries;
}

const kpar_label_range *kpar_plan_label_ranges(const kpar_plan *plan, kpar_mode mode)
{
    return plan->label_ranges[mode];
}

const kpar_weight_range *kpar_plan_weight_ranges(const kpar_plan *plan, kpar_mode mode)
{
    return plan->weight_ranges[mode];
}

/* What the dump leaves out, too: it is for reading. */
static uint64_t hash_attributes(uint64_t hash, const kpar_graph *graph)
{
    for (size_t i = 0; i < graph->n_ops; i++) hash = kpar_attributes_hash(hash, &graph->ops[i].attributes);
    return hash;
}

uint64_t kpar_plan_hash(const kpar_plan *plan)
{
    kpar_text text = {0};
    const kpar_plan_options *o = &plan->options;
    kpar_text_printf(&text, "%d %d %d %lld %d %d %s %d %d %d %s %llu %016llx %d %s %s\n", o->mesh.data,
                     o->mesh.pipeline, o->mesh.tensor, (long long)o->batch_size, o->microbatches, o->leaves,
                     o->schedule->name, kpar_plan_chunks(plan), o->zero, o->split_features,
                     o->choice ? o->choice : "", (unsigned long long)o->seed,
                     (unsigned long long)kpar_model_hash(plan->model), o->windows, o->device->name,
                     kpar_dtype_name(o->real));
    for (int i = 0; i < kpar_mesh_size(o->mesh); i++)
        kpar_text_printf(&text, "%d ", o->nodes ? o->nodes[i] : 0);
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++)
        if (plan->graphs[mode]) kpar_graph_dump_text(plan->graphs[mode], &text);
    uint64_t hash = kpar_hash(KPAR_HASH_START, kpar_text_get(&text), text.length);
    for (int mode = 0; mode < KPAR_MODE_COUNT; mode++)
        if (plan->graphs[mode]) hash = hash_attributes(hash, plan->graphs[mode]);
    kpar_text_clear(&text);
    return hash;
}
