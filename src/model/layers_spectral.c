/* SpectralNormalization: a layer whose kernel is divided by its spectral norm in every step of training. Miyato, Kataoka,
 * Koyama and Yoshida (2018). As Keras on TensorFlow does it, the quotient takes the kernel's place: the gradient is taken
 * of it, and the update goes on from it. */
#include "model/lower_internal.h"

#include <string.h>

/* The kernel as a matrix (rows, columns), its largest singular value and the direction that belongs to it. */
typedef struct spectrum {
    kpar_value_id kernel, matrix, direction, norm;
    kpar_value_id next; /* the direction, more exactly */
    int64_t rows, columns, iterations;
} spectrum;

static kpar_status read_iterations(const kpar_lowering *lowering, int64_t *iterations)
{
    KPAR_TRY(
        kpar_config_integer(lowering->owner, lowering->layer->config, "power_iterations", 1, iterations));
    if (*iterations > 0) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s: argument 'power_iterations' is %lld, expected 1 or more",
                     lowering->owner, (long long)*iterations);
}

/* The wrapper's own weights: the kernel, which is the layer's within, and the direction. */
static kpar_status own_weights(kpar_lowering *lowering, int kernel, spectrum *s)
{
    const kpar_layer *wrapper = &lowering->model->layers[lowering->layer->around - 1];
    const kpar_weight direction = {.name = "vector_u",
                                   .initializer = "",
                                   .by_default = "TruncatedNormal",
                                   .rank = 2,
                                   .dims = {1, s->columns},
                                   .frozen = true};
    kpar_frame within;
    KPAR_TRY(kpar_lower_enter(lowering, wrapper, &within));
    KPAR_TRY(read_iterations(lowering, &s->iterations));
    kpar_catalog_add_alias(
        lowering->catalog, kernel,
        kpar_arena_printf(lowering->arena, "%s/vars/%d", wrapper->group, lowering->layer_weights++));
    KPAR_TRY(kpar_lower_weight(lowering, &direction, &s->direction));
    kpar_lower_leave(lowering, &within);
    return KPAR_OK;
}

/* x times the matrix, or its transpose, of length 1. */
static kpar_status turn(kpar_lowering *lowering, const spectrum *s, bool transpose, kpar_value_id x,
                        kpar_value_id *out)
{
    KPAR_TRY(kpar_build_matmul(lowering->graph, x, false, s->matrix, transpose, out));
    return kpar_lower_unit_length(lowering, 3, 1e-7, *out, out);
}

static kpar_status iterate(kpar_lowering *lowering, spectrum *s)
{
    kpar_graph *g = lowering->graph;
    kpar_value_id left = -1, product;
    KPAR_TRY(kpar_build_reshape(g, (kpar_shape){.rank = 2, .dims = {{s->rows, false}, {s->columns, false}}},
                                s->kernel, &s->matrix));
    s->next = s->direction;
    for (int64_t i = 0; i < s->iterations; i++) {
        KPAR_TRY(turn(lowering, s, true, s->next, &left));
        KPAR_TRY(turn(lowering, s, false, left, &s->next));
    }
    KPAR_TRY(kpar_build_matmul(g, left, false, s->matrix, false, &product));
    KPAR_TRY(kpar_build_matmul(g, product, false, s->next, true, &s->norm));
    return kpar_build_reshape(g, (kpar_shape){.rank = 0}, s->norm, &s->norm);
}

/* The kernel over its norm, or itself where that is 0: a value whose gradient is the kernel's. */
static kpar_status quotient(kpar_lowering *lowering, kpar_value_id kernel, kpar_value_id norm,
                            kpar_value_id *out)
{
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x x = kpar_x_input(e, 0), n = kpar_x_input(e, 1);
    kpar_x is_zero = kpar_x_eq(e, n, kpar_x_constant(e, 0));
    kpar_x over = kpar_x_stop(e, kpar_x_select(e, is_zero, x, kpar_x_div(e, x, n)));
    kpar_x result = kpar_x_add(e, kpar_x_sub(e, x, kpar_x_stop(e, x)), over);
    return kpar_lower_apply(lowering, e, result, (kpar_value_id[]){kernel, norm}, 2, out);
}

/* What kernel and direction are from this step on. */
static kpar_status keep(kpar_lowering *lowering, spectrum s)
{
    kpar_graph *g = lowering->graph;
    kpar_value_id next;
    g->phase = KPAR_PHASE_UPDATE;
    KPAR_TRY(iterate(lowering, &s));
    KPAR_TRY(quotient(lowering, s.kernel, s.norm, &next));
    kpar_graph_set_state(g, s.kernel, next);
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x is_zero = kpar_x_eq(e, kpar_x_input(e, 0), kpar_x_constant(e, 0));
    KPAR_TRY(kpar_lower_apply(lowering, e, kpar_x_select(e, is_zero, kpar_x_input(e, 1), kpar_x_input(e, 2)),
                              (kpar_value_id[]){s.norm, s.direction, s.next}, 3, &next));
    kpar_graph_set_state(g, s.direction, next);
    g->phase = KPAR_PHASE_MICROBATCH;
    return KPAR_OK;
}

/* What the layer within gets for its kernel. */
static kpar_status normalized(kpar_lowering *lowering, int variable, kpar_value_id *value)
{
    const kpar_variable *v = &lowering->catalog->variables[variable];
    const kpar_shape *shape = kpar_lower_shape(lowering, *value);
    spectrum s = {.kernel = *value};
    if (lowering->part || (strcmp(v->name, "kernel") != 0 && strcmp(v->name, "embeddings") != 0))
        return KPAR_OK;
    s.columns = shape->dims[shape->rank - 1].size;
    s.rows = kpar_lower_elements(shape, 0) / s.columns;
    KPAR_TRY(own_weights(lowering, variable, &s));
    if (lowering->mode != KPAR_MODE_TRAIN) return KPAR_OK;
    KPAR_TRY(keep(lowering, s));
    KPAR_TRY(iterate(lowering, &s));
    return quotient(lowering, s.kernel, s.norm, value);
}

KPAR_LAYER(spectral_normalization)
{
    const kpar_layer *layer = kpar_lower_inner(lowering, "layer", 0);
    const kpar_value_id *masks = lowering->masks;
    kpar_frame outer;
    if (!layer || !layer->row || n_inputs != 1)
        return kpar_fail(KPAR_EFORMAT, "%s: argument 'layer': expected a layer with a kernel, and one input",
                         lowering->owner);
    if (lowering->mode == KPAR_MODE_TRAIN && lowering->model->calls[lowering->call].number > 0)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: is called more than once, which is not supported in training", lowering->owner);
    if (kpar_graph_value(lowering->graph, inputs[0])->dtype != lowering->graph->real)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: is given whole numbers, to which Keras would convert what it gives",
                         lowering->owner);
    KPAR_TRY(kpar_lower_enter(lowering, layer, &outer));
    lowering->masks = masks;
    lowering->weight_rule = normalized;
    KPAR_TRY(kpar_lower_layer(lowering, inputs, 1, output));
    KPAR_TRY(kpar_lower_activity_penalty(lowering, json_object_get(layer->config, "activity_regularizer"),
                                         *output));
    kpar_lower_leave(lowering, &outer);
    const char *direction = kpar_arena_printf(lowering->arena, "%s/vars/1", lowering->layer->group);
    if (kpar_catalog_find(lowering->catalog, direction) >= 0) return KPAR_OK;
    return kpar_fail(KPAR_EFORMAT, "%s: argument 'layer': a %s has no kernel", lowering->owner,
                     layer->class_name);
}

KPAR_MASK(spectral_normalization)
{
    const kpar_layer *layer = kpar_lower_inner(lowering, "layer", 0);
    const kpar_value_id *given = lowering->masks;
    kpar_frame outer;
    if (!layer->row->mask) return KPAR_OK;
    KPAR_TRY(kpar_lower_enter(lowering, layer, &outer));
    lowering->masks = given;
    KPAR_TRY(layer->row->mask(lowering, inputs, n_inputs, masks));
    kpar_lower_leave(lowering, &outer);
    return KPAR_OK;
}
