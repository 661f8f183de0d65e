/* Muon: Jordan et al. (2024), with the rate of Liu et al., "Muon is scalable for LLM training" (2025). The step of a matrix is
 * the orthogonal matrix that is next to its momentum; other weights are Adam's. */
#include "model/optimizers.h"
#include "model/pattern.h"

#include <math.h>
#include <string.h>

/* The first pattern of the argument exclude_layers that fits the path decides; none: the weight is not excluded. */
static kpar_status is_excluded(const char *owner, const json_t *config, const char *path, bool *excluded)
{
    static const char key[] = "exclude_layers";
    const json_t *list = json_object_get(config, key), *pattern;
    size_t i;
    *excluded = false;
    if (list && !json_is_array(list) && !json_is_null(list))
        return kpar_fail(KPAR_EFORMAT, "%s: argument '%s': expected a list of strings", owner, key);
    json_array_foreach(list, i, pattern)
    {
        if (!json_is_string(pattern))
            return kpar_fail(KPAR_EFORMAT, "%s: argument '%s': element %zu: expected a string", owner, key,
                             i);
        KPAR_TRY(kpar_pattern_fits(owner, key, json_string_value(pattern), false, path, excluded));
        if (*excluded) return KPAR_OK;
    }
    return KPAR_OK;
}

/* Whether the weight is one of Adam's. */
static kpar_status is_adams(const char *owner, const json_t *config, const kpar_variable *weight, bool *adams)
{
    bool embeddings;
    KPAR_TRY(kpar_config_boolean(owner, config, "exclude_embeddings", true, &embeddings));
    KPAR_TRY(is_excluded(owner, config, weight->keras_path, adams));
    *adams = *adams || weight->rank != 2 || (embeddings && strcasestr(weight->keras_path, "embedding"));
    return KPAR_OK;
}

/* null: `none`. */
static kpar_status number_or_none(const char *owner, const json_t *config, const char *key, double fallback,
                                  double none, double *value)
{
    if (json_is_null(json_object_get(config, key))) fallback = none;
    return kpar_config_number(owner, config, key, fallback, value);
}

kpar_status kpar_optimizer_muon_decay(const char *owner, const json_t *config, const kpar_variable *weight,
                                      double *decay)
{
    bool adams;
    KPAR_TRY(is_adams(owner, config, weight, &adams));
    return number_or_none(owner, config, adams ? "adam_weight_decay" : "weight_decay", 0.004, 0, decay);
}

KPAR_OPTIMIZER_KEEPS(muon)
{
    bool adams;
    KPAR_TRY(is_adams(k->owner, k->config, k->weight, &adams));
    kpar_optimizer_keep(k, "momentum", 0, 0);
    if (adams) kpar_optimizer_keep(k, "velocity", 0, 0);
    return KPAR_OK;
}

/* A quintic polynomial of singular values. */
typedef struct quintic {
    double a, b, c;
} quintic;

/* scale_x x + scale_y y of matrices */
static kpar_status combine(kpar_lowering *lowering, double scale_x, kpar_value_id x, double scale_y,
                           kpar_value_id y, kpar_value_id *sum)
{
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x total = kpar_x_add(e, kpar_x_times(e, kpar_x_input(e, 0), scale_x),
                              kpar_x_times(e, kpar_x_input(e, 1), scale_y));
    return kpar_lower_apply(lowering, e, total, (const kpar_value_id[]){x, y}, 2, sum);
}

/* a x + (b s + c s^2) x, where s is the smaller of x x' and x' x, which stands on the other side. */
static kpar_status apply_to_singular_values(kpar_lowering *lowering, const quintic *q, kpar_value_id *x)
{
    kpar_graph *g = lowering->graph;
    const kpar_shape *shape = kpar_lower_shape(lowering, *x);
    const bool tall = shape->dims[0].size > shape->dims[1].size;
    kpar_value_id square, fourth, factor, product;
    KPAR_TRY(kpar_build_matmul(g, *x, tall, *x, !tall, &square));
    KPAR_TRY(kpar_build_matmul(g, square, false, square, false, &fourth));
    KPAR_TRY(combine(lowering, q->b, square, q->c, fourth, &factor));
    KPAR_TRY(kpar_build_matmul(g, tall ? *x : factor, false, tall ? factor : *x, false, &product));
    return combine(lowering, q->a, *x, 1, product, x);
}

/* Newton and Schulz's iteration, which brings the singular values of a matrix near to 1. */
static kpar_status orthogonalize(const char *owner, const json_t *config, kpar_update *u, kpar_x *matrix)
{
    quintic q;
    int64_t steps;
    kpar_x norm;
    kpar_value_id x;
    KPAR_TRY(kpar_config_number(owner, config, "muon_a", 3.4445, &q.a));
    KPAR_TRY(kpar_config_number(owner, config, "muon_b", -4.7750, &q.b));
    KPAR_TRY(kpar_config_number(owner, config, "muon_c", 2.0315, &q.c));
    KPAR_TRY(kpar_config_integer(owner, config, "ns_steps", 5, &steps));
    KPAR_TRY(kpar_update_norm(u, *matrix, KPAR_ALL_AXES, &norm));
    const kpar_x scaled = kpar_x_div(u->e, *matrix, kpar_x_plus(u->e, norm, 1e-7));
    KPAR_TRY(kpar_update_values(u, &scaled, 1, &x));
    for (int64_t i = 0; i < steps; i++) KPAR_TRY(apply_to_singular_values(u->lowering, &q, &x));
    *matrix = kpar_update_input(u, x);
    return KPAR_OK;
}

static kpar_status muon_step(const char *owner, const json_t *config, kpar_expression_builder *e,
                             kpar_optimizer_formula *f)
{
    const kpar_dim *dims = f->update->shape.dims;
    const double larger = sqrt((double)(dims[0].size > dims[1].size ? dims[0].size : dims[1].size));
    double momentum, rate;
    bool nesterov;
    KPAR_TRY(kpar_config_number(owner, config, "momentum", 0.95, &momentum));
    KPAR_TRY(kpar_config_boolean(owner, config, "nesterov", true, &nesterov));
    KPAR_TRY(number_or_none(owner, config, "rms_rate", 0.2, 1 / larger, &rate));
    kpar_x m = f->slots[0] = kpar_x_add(e, f->gradient, kpar_x_times(e, f->slots[0], momentum));
    kpar_x step = nesterov ? kpar_x_add(e, f->gradient, kpar_x_times(e, m, momentum)) : m;
    KPAR_TRY(orthogonalize(owner, config, f->update, &step));
    kpar_optimizer_descend(e, f, kpar_x_times(e, step, larger * rate));
    return KPAR_OK;
}

KPAR_OPTIMIZER(muon)
{
    kpar_moments a;
    double ratio;
    bool adams;
    KPAR_TRY(is_adams(owner, config, f->variable, &adams));
    if (!adams) return muon_step(owner, config, e, f);
    KPAR_TRY(kpar_config_number(owner, config, "adam_beta_1", 0.9, &a.beta_1));
    KPAR_TRY(kpar_config_number(owner, config, "adam_beta_2", 0.999, &a.beta_2));
    KPAR_TRY(kpar_config_number(owner, config, "epsilon", 1e-7, &a.epsilon));
    KPAR_TRY(kpar_config_number(owner, config, "adam_lr_ratio", 1, &ratio));
    f->rate = kpar_x_times(e, f->rate, ratio);
    kpar_optimizer_moments_step(e, f, &a, NULL);
    return KPAR_OK;
}
