/* Constraints: what becomes of a weight after its update. Norms are along dimensions that the config names. */
#include "model/lower_internal.h"

static kpar_status read_axes(const char *owner, const json_t *config, int rank, unsigned *axes)
{
    const json_t *json = json_object_get(config, "axis");
    const size_t n = json_is_array(json) ? json_array_size(json) : 1;
    *axes = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t axis = 0;
        if (json_is_array(json))
            axis = json_integer_value(json_array_get(json, i));
        else
            KPAR_TRY(kpar_config_integer(owner, config, "axis", 0, &axis));
        if (axis < -rank || axis >= rank)
            return kpar_fail(KPAR_EFORMAT, "%s: argument 'axis' names dimension %lld of a weight of %d",
                             owner, (long long)axis, rank);
        *axes |= 1u << (axis < 0 ? axis + rank : axis);
    }
    return KPAR_OK;
}

static kpar_status norms(const char *owner, const json_t *config, kpar_update *u, kpar_x weight, kpar_x *norm)
{
    unsigned axes;
    KPAR_TRY(read_axes(owner, config, u->shape.rank, &axes));
    return kpar_update_norm(u, weight, axes, norm);
}

/* weight desired / (1e-7 + norm) */
static kpar_x scaled(kpar_expression_builder *e, kpar_x weight, kpar_x desired, kpar_x norm)
{
    kpar_x sum = kpar_x_add(e, kpar_x_constant(e, 1e-7), norm);
    return kpar_x_mul(e, weight, kpar_x_div(e, desired, sum));
}

static kpar_status non_negative(const char *owner, const json_t *config, kpar_update *u, kpar_x *weight)
{
    (void)owner;
    (void)config;
    *weight = kpar_x_max(u->e, *weight, kpar_x_constant(u->e, 0));
    return KPAR_OK;
}

static kpar_status max_norm(const char *owner, const json_t *config, kpar_update *u, kpar_x *weight)
{
    double most;
    kpar_x norm;
    KPAR_TRY(kpar_config_number(owner, config, "max_value", 2, &most));
    KPAR_TRY(norms(owner, config, u, *weight, &norm));
    *weight = scaled(u->e, *weight, kpar_x_clip(u->e, norm, 0, most), norm);
    return KPAR_OK;
}

static kpar_status unit_norm(const char *owner, const json_t *config, kpar_update *u, kpar_x *weight)
{
    kpar_x norm;
    KPAR_TRY(norms(owner, config, u, *weight, &norm));
    *weight = scaled(u->e, *weight, kpar_x_constant(u->e, 1), norm);
    return KPAR_OK;
}

static kpar_status min_max_norm(const char *owner, const json_t *config, kpar_update *u, kpar_x *weight)
{
    double least, most, rate;
    kpar_x norm;
    KPAR_TRY(kpar_config_number(owner, config, "min_value", 0, &least));
    KPAR_TRY(kpar_config_number(owner, config, "max_value", 1, &most));
    KPAR_TRY(kpar_config_number(owner, config, "rate", 1, &rate));
    KPAR_TRY(norms(owner, config, u, *weight, &norm));
    kpar_x wanted = kpar_x_mul(u->e, kpar_x_clip(u->e, norm, least, most), kpar_x_constant(u->e, rate));
    kpar_x kept = kpar_x_mul(u->e, norm, kpar_x_constant(u->e, 1 - rate));
    *weight = scaled(u->e, *weight, kpar_x_add(u->e, wanted, kept), norm);
    return KPAR_OK;
}

static const kpar_constraint_row rows[] = {
    {"NonNeg", "non_neg", "no element below 0", "", non_negative},
    {"MaxNorm", "max_norm", "no norm above a limit", "max_value axis", max_norm},
    {"UnitNorm", "unit_norm", "norms of 1", "axis", unit_norm},
    {"MinMaxNorm", "min_max_norm", "norms moved towards an interval", "min_value max_value rate axis",
     min_max_norm},
};

const kpar_constraint_row *kpar_constraint_rows(int *n)
{
    *n = (int)(sizeof rows / sizeof rows[0]);
    return rows;
}

kpar_status kpar_constrain(kpar_update *u, const kpar_variable *variable, kpar_x *weight)
{
    kpar_lowering *lowering = u->lowering;
    const char *name, *owner = kpar_arena_printf(lowering->arena, "%s: layer '%s': %s", lowering->model->file,
                                                 variable->layer, variable->name);
    const json_t *config;
    int n;
    const kpar_constraint_row *all = kpar_constraint_rows(&n);
    if (!variable->constraint) return KPAR_OK;
    KPAR_TRY(kpar_config_object(owner, variable->constraint, &name, &config));
    const kpar_constraint_row *row = kpar_table_find(all, n, sizeof *all, name);
    if (!row)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: constraint '%s' is not supported; supported are: %s", owner,
                         name, kpar_table_names(lowering->arena, all, n, sizeof *all));
    owner = kpar_arena_printf(lowering->arena, "%s: constraint %s", owner, row->class_name);
    KPAR_TRY(kpar_lower_known(lowering, owner, config, "", row->arguments, ""));
    return row->apply(owner, config, u, weight);
}
