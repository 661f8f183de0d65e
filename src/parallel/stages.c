/* Choosing stages. */
#include "parallel/stages.h"

#include "base/memory.h"
#include "base/names.h"
#include "parallel/module.h"

#include <string.h>

enum { UNCUT = INT32_MAX };

/* A unit: what may not be cut, the ops of one layer, forward and backward. */
typedef struct unit {
    const char *layer;
    double seconds;
    int stage;
    bool joined;  /* with the unit before: no stage begins here */
    int crossing; /* tensors that go over where it begins; UNCUT: it begins within a module */
} unit;

typedef struct choice {
    const kpar_graph *graph;
    const kpar_cut_options *options;
    unit *units; /* in order of the forward pass */
    int n_units;
    size_t units_capacity;
    kpar_names layers; /* numbered as units are */
} choice;

static bool takes_part(const kpar_op *op) { return op->phase == KPAR_PHASE_MICROBATCH; }

static unit *unit_of(choice *c, const char *layer)
{
    const int found = kpar_names_find(&c->layers, layer);
    return found >= 0 ? &c->units[found] : NULL;
}

static void find_units(choice *c)
{
    for (size_t i = 0; i < c->graph->n_ops; i++) {
        const kpar_op *op = &c->graph->ops[i];
        if (!takes_part(op)) continue;
        unit *u = unit_of(c, op->layer);
        if (!u) {
            size_t n = (size_t)c->n_units;
            KPAR_PUSH(c->units, n, c->units_capacity) = (unit){.layer = op->layer};
            u = &c->units[c->n_units++];
            kpar_names_add(&c->layers, op->layer);
        }
        u->seconds += kpar_cost_seconds(c->graph, op, &c->options->cost);
    }
}

/* Stages may be on one rank, which then runs one after the other: so none may read what a later one makes. A layer that
 * is used again behind others is joined with them. */
static void join_reused(choice *c)
{
    for (size_t i = 0; i < c->graph->n_ops; i++) {
        const kpar_op *op = &c->graph->ops[i];
        if (!takes_part(op) || op->part != KPAR_FORWARD) continue;
        const int reader = kpar_names_find(&c->layers, op->layer);
        for (int k = 0; k < op->n_inputs; k++) {
            const kpar_op_id maker = c->graph->values[op->inputs[k]].op;
            if (maker < 0 || !takes_part(&c->graph->ops[maker])) continue;
            for (int u = kpar_names_find(&c->layers, c->graph->ops[maker].layer); u > reader; u--)
                c->units[u].joined = true;
        }
    }
}

/* Otherwise they had better not, as ranks would wait for each other, but may where there is no other cut. */
static void part_again(choice *c)
{
    for (int i = 0; i < c->n_units; i++) c->units[i].joined = false;
}

/* Between blocks fewer tensors go over than inside: a residual block has its input besides. */
static void count_crossings(choice *c)
{
    const kpar_graph *g = c->graph;
    int *last = kpar_alloc((g->n_values + 1) * sizeof *last);
    int *change = kpar_alloc_zeroed((size_t)c->n_units + 2, sizeof *change);
    for (size_t i = 0; i < g->n_values; i++) last[i] = -1;
    for (size_t i = 0; i < g->n_ops; i++)
        for (int k = 0; takes_part(&g->ops[i]) && g->ops[i].part == KPAR_FORWARD && k < g->ops[i].n_inputs;
             k++) {
            const int reader = kpar_names_find(&c->layers, g->ops[i].layer);
            if (reader > last[g->ops[i].inputs[k]]) last[g->ops[i].inputs[k]] = reader;
        }
    for (size_t i = 0; i < g->n_values; i++) {
        const kpar_op_id maker = g->values[i].op;
        if (maker < 0 || !takes_part(&g->ops[maker]) || g->ops[maker].part != KPAR_FORWARD) continue;
        const int first = kpar_names_find(&c->layers, g->ops[maker].layer);
        if (last[i] <= first) continue;
        change[first + 1]++;
        change[last[i] + 1]--;
    }
    for (int i = 1, tensors = change[0]; i < c->n_units; i++) {
        tensors += change[i];
        c->units[i].crossing = kpar_module_nested(c->units[i - 1].layer, c->units[i].layer) ? UNCUT : tensors;
    }
    kpar_free(last);
    kpar_free(change);
}

static const char *unit_name(const unit *u) { return *u->layer ? u->layer : "the loss"; }

/* Contiguous partition of the units with the smallest largest stage, whose seconds it returns: dynamic programming over
 * prefixes. At most `crossing` tensors go over each cut; 1e300 and no partition where there are too few such places. */
static double balance(choice *c, int crossing)
{
    const int n = c->n_units, stages = c->options->stages;
    double *best = kpar_alloc((size_t)(n + 1) * (size_t)(stages + 1) * sizeof *best);
    int *from = kpar_alloc((size_t)(n + 1) * (size_t)(stages + 1) * sizeof *from);
#define AT(table, units, parts) (table)[(units) * (stages + 1) + (parts)]
    for (int i = 0; i <= n; i++)
        for (int s = 0; s <= stages; s++) AT(best, i, s) = i == 0 && s == 0 ? 0 : 1e300;
    for (int s = 1; s <= stages; s++)
        for (int i = s; i <= n; i++) {
            double last = 0;
            for (int k = i - 1; k >= s - 1; k--) {
                last += c->units[k].seconds;
                if (last >= AT(best, i, s)) break; /* earlier cuts make the last part larger still */
                if (c->units[k].joined || c->units[k].crossing > crossing) continue;
                double largest = AT(best, k, s - 1) > last ? AT(best, k, s - 1) : last;
                if (largest >= AT(best, i, s)) continue;
                AT(best, i, s) = largest;
                AT(from, i, s) = k;
            }
        }
    const double largest = AT(best, n, stages);
    for (int s = stages, end = n; s > 0 && largest < 1e300; end = AT(from, end, s), s--)
        for (int k = AT(from, end, s); k < end; k++) c->units[k].stage = s - 1;
#undef AT
    kpar_free(best);
    kpar_free(from);
    return largest;
}

/* The fewest tensors that make the largest stage little larger: so blocks and modules stay whole. */
static void balance_modules(choice *c)
{
    enum { MOST = 8 };
    const double acceptable = 1.25, largest = balance(c, UNCUT);
    count_crossings(c);
    for (int crossing = 1; crossing <= MOST; crossing++)
        if (balance(c, crossing) <= acceptable * largest) return;
    balance(c, UNCUT);
}

static kpar_status cut_where_told(choice *c)
{
    int next = 0;
    for (int i = 0; i < c->n_units; i++) {
        if (next < c->options->stages - 1 && strcmp(c->units[i].layer, c->options->first_layers[next]) == 0) {
            if (c->units[i].joined)
                return kpar_fail(
                    KPAR_EUSAGE,
                    "--stages: no stage can begin at layer '%s' where a rank has several: a layer "
                    "before it is used again behind it",
                    c->units[i].layer);
            if (i == 0)
                return kpar_fail(KPAR_EUSAGE,
                                 "--stages: layer '%s' begins the first stage anyway; name the first layer "
                                 "of each later stage",
                                 c->units[i].layer);
            next++;
        }
        c->units[i].stage = next;
    }
    if (next == c->options->stages - 1) return KPAR_OK;
    const char *name = c->options->first_layers[next];
    return unit_of(c, name)
               ? kpar_fail(KPAR_EUSAGE,
                           "--stages: layer '%s' comes before the stage in front of it; name layers in the "
                           "model's order",
                           name)
               : kpar_fail(KPAR_EUSAGE,
                           "--stages: no layer '%s' that can begin a stage; the model has %s ... %s", name,
                           unit_name(&c->units[0]), unit_name(&c->units[c->n_units - 1]));
}

/* Layers that the map does not know, such as a loss that only training has, stay with the layer before them. */
static void follow_map(choice *c)
{
    const kpar_stage_map *map = c->options->map;
    kpar_names known = {0};
    for (int k = 0; k < map->n; k++) kpar_names_add(&known, map->layers[k]);
    for (int i = 0; i < c->n_units; i++) {
        const int k = kpar_names_find(&known, c->units[i].layer);
        c->units[i].stage = k >= 0 ? map->stages[k] : i ? c->units[i - 1].stage : 0;
    }
    kpar_names_clear(&known);
}

static void keep_map(const choice *c)
{
    kpar_stage_map *map = c->options->map;
    map->n = c->n_units;
    map->layers = kpar_arena_alloc(map->arena, (size_t)map->n * sizeof *map->layers);
    map->stages = kpar_arena_alloc(map->arena, (size_t)map->n * sizeof *map->stages);
    for (int i = 0; i < map->n; i++) {
        map->layers[i] = kpar_arena_strdup(map->arena, c->units[i].layer);
        map->stages[i] = c->units[i].stage;
    }
}

/* The largest number of stages. */
static int count_parts(const choice *c)
{
    int n = 0;
    for (int i = 0; i < c->n_units; i++) n += !c->units[i].joined;
    return n;
}

static kpar_status check_parts(const choice *c)
{
    const int stages = c->options->stages, ranks = c->options->cost.mesh.pipeline, parts = count_parts(c);
    if (parts >= stages) return KPAR_OK;
    if (stages == ranks)
        return kpar_fail(KPAR_EUSAGE,
                         "--pipeline %d: the model can be cut into at most %d stages (a layer is never cut, "
                         "the loss may be a stage)",
                         ranks, parts);
    return kpar_fail(
        KPAR_EUSAGE,
        "--pipeline %d with %d stages a rank: the model can be cut into at most %d stages (neither a layer "
        "nor what lies between two uses of it is cut, the loss may be a stage); choose a "
        "smaller --virtual-stages or another --schedule",
        ranks, stages / ranks, parts);
}

static kpar_status choose(choice *c)
{
    find_units(c);
    if (c->options->map->n > 0) {
        follow_map(c);
        return KPAR_OK;
    }
    const bool several = c->options->stages > c->options->cost.mesh.pipeline; /* on a rank */
    if (several || !c->options->first_layers) join_reused(c);
    if (!several && count_parts(c) < c->options->stages) part_again(c);
    KPAR_TRY(check_parts(c));
    if (c->options->first_layers)
        KPAR_TRY(cut_where_told(c));
    else
        balance_modules(c);
    keep_map(c);
    return KPAR_OK;
}

kpar_status kpar_choose_stages(const kpar_graph *graph, const kpar_cut_options *options, int **stages)
{
    choice c = {.graph = graph, .options = options};
    const kpar_status status = choose(&c);
    *stages = kpar_alloc((graph->n_ops + 1) * sizeof **stages);
    for (size_t i = 0; i < graph->n_ops && status == KPAR_OK; i++)
        (*stages)[i] = takes_part(&graph->ops[i]) ? unit_of(&c, graph->ops[i].layer)->stage : -1;
    kpar_free(c.units);
    kpar_names_clear(&c.layers);
    return status;
}
