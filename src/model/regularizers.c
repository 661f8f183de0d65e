/* Regularizers: penalties on weights and on what layers give. That of a weight is a matter of the whole step and not of a
 * microbatch or a replica: its gradient joins the others' in the update, and the loss that is reported has it once. */
#include "graph/pass.h"
#include "model/lower_internal.h"

#include <string.h>

static kpar_status weighted(kpar_expression_builder *e, double l1, double l2, kpar_x x, kpar_x *penalty)
{
    kpar_x sum = kpar_x_constant(e, 0);
    if (l1 != 0) sum = kpar_x_add(e, sum, kpar_x_times(e, kpar_x_abs(e, x), l1));
    if (l2 != 0) sum = kpar_x_add(e, sum, kpar_x_times(e, kpar_x_square(e, x), l2));
    *penalty = sum;
    return KPAR_OK;
}

static kpar_status l1(const char *owner, const json_t *config, kpar_expression_builder *e, kpar_x x,
                      kpar_x *penalty)
{
    double factor;
    KPAR_TRY(kpar_config_number(owner, config, "l1", 0.01, &factor));
    return weighted(e, factor, 0, x, penalty);
}

static kpar_status l2(const char *owner, const json_t *config, kpar_expression_builder *e, kpar_x x,
                      kpar_x *penalty)
{
    double factor;
    KPAR_TRY(kpar_config_number(owner, config, "l2", 0.01, &factor));
    return weighted(e, 0, factor, x, penalty);
}

static kpar_status l1_l2(const char *owner, const json_t *config, kpar_expression_builder *e, kpar_x x,
                         kpar_x *penalty)
{
    double first, second;
    KPAR_TRY(kpar_config_number(owner, config, "l1", 0, &first));
    KPAR_TRY(kpar_config_number(owner, config, "l2", 0, &second));
    return weighted(e, first, second, x, penalty);
}

/* |x| off the diagonal of a square matrix, times `factor`. */
static kpar_status off_diagonal(kpar_lowering *lowering, double factor, kpar_value_id x, kpar_value_id *out)
{
    kpar_graph *g = lowering->graph;
    const kpar_shape shape = *kpar_lower_shape(lowering, x);
    kpar_value_id inputs[3] = {x};
    KPAR_TRY(kpar_build_iota(g, 0, g->real, shape, &inputs[1]));
    KPAR_TRY(kpar_build_iota(g, 1, g->real, shape, &inputs[2]));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x on = kpar_x_eq(e, kpar_x_input(e, 1), kpar_x_input(e, 2));
    kpar_x value = kpar_x_times(e, kpar_x_abs(e, kpar_x_input(e, 0)), factor);
    return kpar_lower_apply(lowering, e, kpar_x_select(e, on, kpar_x_constant(e, 0), value), inputs, 3, out);
}

/* Cosines of the angles between rows or columns. */
static kpar_status orthogonal(kpar_lowering *lowering, const char *owner, const json_t *config,
                              kpar_value_id x, kpar_value_id *penalty)
{
    const kpar_shape *shape = kpar_lower_shape(lowering, x);
    double factor;
    const char *mode;
    KPAR_TRY(kpar_config_number(owner, config, "factor", 0.01, &factor));
    KPAR_TRY(kpar_config_string(owner, config, "mode", "rows", &mode));
    const bool rows = strcmp(mode, "rows") == 0;
    if (shape->rank != 2 || (!rows && strcmp(mode, "columns") != 0))
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: mode \"%s\" of a weight with %d dimensions; supported are \"rows\" and "
                         "\"columns\" of two",
                         owner, mode, shape->rank);
    const double n = (double)shape->dims[rows ? 0 : 1].size, pairs = n * (n - 1) / 2;
    KPAR_TRY(kpar_lower_unit_length(lowering, 1u << (rows ? 1 : 0), 1e-7, x, &x));
    KPAR_TRY(kpar_build_matmul(lowering->graph, x, !rows, x, rows, &x));
    KPAR_TRY(off_diagonal(lowering, factor * 0.5 / pairs, x, &x));
    return kpar_build_reduce(lowering->graph, KPAR_REDUCE_SUM, 3, x, penalty);
}

static const kpar_regularizer_row rows[] = {
    {"L1", "l1", "sum of absolute values", "l1", l1, NULL},
    {"L2", "l2", "sum of squares", "l2", l2, NULL},
    {"L1L2", "l1_l2", "both", "l1 l2", l1_l2, NULL},
    {"OrthogonalRegularizer", "orthogonal_regularizer", "cosines between the rows or columns of a matrix",
     "factor mode", NULL, orthogonal},
};

const kpar_regularizer_row *kpar_regularizer_rows(int *n)
{
    *n = (int)(sizeof rows / sizeof rows[0]);
    return rows;
}

/* A regularizer of a config. */
typedef struct regularizer {
    const kpar_regularizer_row *row;
    const json_t *config;
    const char *owner;
} regularizer;

static kpar_status find(kpar_lowering *lowering, const char *owner, const json_t *json, regularizer *r)
{
    const char *name;
    int n;
    const kpar_regularizer_row *all = kpar_regularizer_rows(&n);
    KPAR_TRY(kpar_config_object(owner, json, &name, &r->config));
    r->row = kpar_table_find(all, n, sizeof *all, name);
    if (!r->row)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: regularizer '%s' is not supported; supported are: %s", owner,
                         name, kpar_table_names(lowering->arena, all, n, sizeof *all));
    r->owner = kpar_arena_printf(lowering->arena, "%s: regularizer %s", owner, r->row->class_name);
    return kpar_lower_known(lowering, r->owner, r->config, "", r->row->arguments, "");
}

static kpar_status of_weight(kpar_lowering *lowering, const kpar_variable *v, regularizer *r)
{
    const char *owner =
        kpar_arena_printf(lowering->arena, "%s: layer '%s': %s", lowering->model->file, v->layer, v->name);
    return find(lowering, owner, v->regularizer, r);
}

/* The penalty of each element. */
static kpar_status of_elements(kpar_lowering *lowering, const regularizer *r, kpar_value_id value,
                               kpar_value_id *penalties)
{
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x penalty = 0;
    kpar_status status = r->row->formula(r->owner, r->config, e, kpar_x_input(e, 0), &penalty);
    if (status == KPAR_OK) return kpar_lower_apply(lowering, e, penalty, &value, 1, penalties);
    kpar_expression_end(e, lowering->arena, NULL, 0);
    return status;
}

static kpar_status whole_penalty(kpar_lowering *lowering, const regularizer *r, kpar_value_id value,
                                 kpar_value_id *penalty)
{
    if (r->row->lower) return r->row->lower(lowering, r->owner, r->config, value, penalty);
    const unsigned all = (1u << kpar_lower_shape(lowering, value)->rank) - 1;
    KPAR_TRY(of_elements(lowering, r, value, penalty));
    return kpar_build_reduce(lowering->graph, KPAR_REDUCE_SUM, all, *penalty, penalty);
}

bool kpar_lower_is_penalized(const kpar_lowering *lowering)
{
    for (int i = 0; i < lowering->n_weights; i++)
        if (lowering->catalog->variables[lowering->weights[i]].regularizer) return true;
    return false;
}

kpar_status kpar_lower_penalties(kpar_lowering *lowering, int number)
{
    kpar_graph *g = lowering->graph;
    g->phase = KPAR_PHASE_UPDATE;
    for (int i = 0; i < lowering->n_weights; i++) {
        const kpar_variable *v = &lowering->catalog->variables[lowering->weights[i]];
        regularizer r;
        kpar_value_id penalty, value;
        if (!v->regularizer) continue;
        g->layer = kpar_arena_strdup(lowering->arena, v->layer);
        KPAR_TRY(of_weight(lowering, v, &r));
        value = kpar_graph_next_state(g, kpar_lower_variable(lowering, lowering->weights[i]));
        KPAR_TRY(whole_penalty(lowering, &r, value, &penalty));
        kpar_graph_add_output(g, KPAR_OUTPUT_REPORT, number, penalty);
    }
    g->layer = "";
    g->phase = KPAR_PHASE_MICROBATCH;
    return KPAR_OK;
}

/* The derivative of a formula, in the update's expression. */
static kpar_status derivative(kpar_update *u, const regularizer *r, kpar_x weight, kpar_x *out)
{
    kpar_arena *arena = u->lowering->arena;
    kpar_expression_builder *e = kpar_expression_begin(1);
    kpar_x penalty = 0;
    kpar_status status = r->row->formula(r->owner, r->config, e, kpar_x_input(e, 0), &penalty);
    const kpar_expression *formula = kpar_expression_end(e, arena, &penalty, status == KPAR_OK);
    if (status != KPAR_OK) return status;
    kpar_x inputs[3] = {weight, 0, kpar_x_constant(u->e, 1)};
    kpar_x_inline(u->e, formula, inputs, &inputs[1]);
    kpar_x_inline(u->e, kpar_expression_derivative(formula, arena, 0, (bool[]){true}), inputs, out);
    return KPAR_OK;
}

kpar_status kpar_regularizer_gradient(kpar_update *u, const kpar_variable *variable, kpar_value_id value,
                                      kpar_x *gradient)
{
    kpar_lowering *lowering = u->lowering;
    regularizer r;
    kpar_x own;
    if (!variable->regularizer) return KPAR_OK;
    KPAR_TRY(of_weight(lowering, variable, &r));
    if (r.row->formula) {
        KPAR_TRY(derivative(u, &r, kpar_update_input(u, value), &own));
    } else {
        kpar_value_id penalty;
        KPAR_TRY(whole_penalty(lowering, &r, value, &penalty));
        KPAR_TRY(kpar_graph_gradient(lowering->graph, penalty, &value, 1, &value));
        own = kpar_update_input(u, value);
    }
    *gradient = kpar_x_add(u->e, *gradient, own);
    return KPAR_OK;
}

kpar_status kpar_lower_activity_penalty(kpar_lowering *lowering, const json_t *json, kpar_value_id value)
{
    regularizer r;
    kpar_value_id penalty, scale;
    size_t n = (size_t)lowering->n_activity_penalties;
    if (!json || json_is_null(json) || lowering->mode == KPAR_MODE_PREDICT) return KPAR_OK;
    KPAR_TRY(find(lowering, kpar_arena_printf(lowering->arena, "%s: activity_regularizer", lowering->owner),
                  json, &r));
    if (!r.row->formula)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s is not supported for what a layer gives", r.owner);
    KPAR_TRY(kpar_lower_real(lowering, value, &value));
    KPAR_TRY(of_elements(lowering, &r, value, &penalty));
    KPAR_TRY(kpar_lower_rows_scale(lowering, &scale));
    KPAR_TRY(kpar_lower_weighted_sum(lowering, penalty, kpar_lower_row_mask(lowering), scale, &penalty));
    KPAR_PUSH(lowering->activity_penalties, n, lowering->activity_capacity) = penalty;
    lowering->n_activity_penalties++;
    return KPAR_OK;
}

KPAR_LAYER(activity_regularization)
{
    (void)n_inputs;
    const json_t *config = lowering->layer->config;
    double first, second;
    KPAR_TRY(kpar_config_number(lowering->owner, config, "l1", 0, &first));
    KPAR_TRY(kpar_config_number(lowering->owner, config, "l2", 0, &second));
    kpar_lower_pass_on(lowering, inputs[0], output);
    if (first == 0 && second == 0) return KPAR_OK;
    json_t *own = json_pack("{s:s, s:{s:f, s:f}}", "class_name", "L1L2", "config", "l1", first, "l2", second);
    kpar_status status = kpar_lower_activity_penalty(lowering, own, inputs[0]);
    json_decref(own);
    return status;
}
