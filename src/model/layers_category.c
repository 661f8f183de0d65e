/* Layers that make numbers of categories of what they are given, and vectors of these. */
#include "model/lower_internal.h"

#include <string.h>

/* --- numbers as vectors: argument 'output_mode' --- */

/* Of dimension 1: the largest, or the sum of what counts by weights (-1: none). */
static kpar_status over_numbers(kpar_lowering *lowering, bool counts, kpar_value_id weights,
                                kpar_value_id *vectors)
{
    const int rank = kpar_lower_shape(lowering, *vectors)->rank;
    if (rank != 3)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected several numbers for each sample, (batch, numbers)",
                         lowering->owner);
    if (weights >= 0) {
        KPAR_TRY(kpar_lower_insert(lowering, rank - 1, weights, &weights));
        KPAR_TRY(kpar_build_binary(lowering->graph, KPAR_SCALAR_MULTIPLY, *vectors, weights, vectors));
    }
    return kpar_lower_reduce(lowering, counts ? KPAR_REDUCE_SUM : KPAR_REDUCE_MAX, 1u << 1, false, *vectors,
                             vectors);
}

static kpar_status encode(kpar_lowering *lowering, const char *mode, int64_t classes, kpar_value_id numbers,
                          kpar_value_id *output)
{
    const kpar_shape *shape = kpar_lower_shape(lowering, numbers);
    const kpar_value_id weights = kpar_lower_named(lowering, "count_weights", 0);
    const bool one = strcmp(mode, "one_hot") == 0, counts = strcmp(mode, "count") == 0;
    KPAR_TRY(kpar_build_cast(lowering->graph, KPAR_I32, numbers, output));
    if (strcmp(mode, "int") == 0) return KPAR_OK;
    if (!one && !counts && strcmp(mode, "multi_hot") != 0)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: argument 'output_mode' is \"%s\"; supported: int, one_hot, multi_hot, count",
                         lowering->owner, mode);
    if (one && shape->rank > 1 && shape->dims[shape->rank - 1].size == 1)
        KPAR_TRY(kpar_lower_drop(lowering, shape->rank - 1, *output, output));
    KPAR_TRY(kpar_lower_one_hot(lowering, *output, classes, output));
    return one ? KPAR_OK : over_numbers(lowering, counts, weights, output);
}

KPAR_LAYER(category_encoding)
{
    const char *mode;
    int64_t classes;
    (void)n_inputs;
    KPAR_TRY(kpar_lower_positive(lowering, "num_tokens", 0, &classes));
    KPAR_TRY(kpar_config_string(lowering->owner, lowering->layer->config, "output_mode", "multi_hot", &mode));
    return encode(lowering, mode, classes, inputs[0], output);
}

/* --- intervals --- */

KPAR_LAYER(discretization)
{
    const json_t *config = lowering->layer->config, *bounds = json_object_get(config, "bin_boundaries");
    const char *mode;
    kpar_value_id x, values;
    (void)n_inputs;
    if (json_array_size(bounds) == 0)
        return kpar_fail(KPAR_EUNSUPPORTED,
                         "%s: argument 'bin_boundaries': expected numbers; adapt the layer, or give them",
                         lowering->owner);
    KPAR_TRY(kpar_config_string(lowering->owner, config, "output_mode", "int", &mode));
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], &x));
    KPAR_TRY(kpar_lower_array(lowering, bounds, &values));
    KPAR_TRY(kpar_lower_count_bounds(lowering, x, values, false, &x));
    return encode(lowering, mode, (int64_t)json_array_size(bounds) + 1, x, output);
}

/* --- a vocabulary --- */

/* What the config says of numbers that are not in the vocabulary. */
typedef struct lookup {
    const json_t *words;
    const char *mode;
    int64_t others;       /* how many numbers there are for them */
    int64_t classes;      /* elements of a vector */
    const json_t *masked; /* what has the number 0; NULL: nothing */
} lookup;

static bool has_number(const json_t *list, const json_t *number)
{
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item) if (json_is_integer(number) &&
                                          json_integer_value(item) == json_integer_value(number)) return true;
    return false;
}

static kpar_status read_lookup(const kpar_lowering *lowering, lookup *l)
{
    const json_t *config = lowering->layer->config;
    *l = (lookup){.words = json_object_get(config, "vocabulary"),
                  .masked = json_object_get(config, "mask_token")};
    if (json_is_null(l->masked)) l->masked = NULL;
    const char *method;
    KPAR_TRY(kpar_config_string(lowering->owner, config, "output_mode", "int", &l->mode));
    KPAR_TRY(kpar_config_integer(lowering->owner, config, "num_oov_indices", 1, &l->others));
    KPAR_TRY(kpar_config_string(lowering->owner, config, "oov_method", "floormod", &method));
    if (l->others > 1 && strcmp(method, "floormod") != 0)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument 'oov_method' is \"%s\"; supported: floormod",
                         lowering->owner, method);
    if (json_array_size(l->words) == 0)
        return kpar_fail(
            KPAR_EUNSUPPORTED,
            "%s: argument 'vocabulary': expected a list of numbers; an adapted one is a file beside the "
            "config, give it as the argument",
            lowering->owner);
    if (l->others < 0 || (l->masked && strcmp(l->mode, "int") != 0) || has_number(l->words, l->masked) ||
        has_number(l->words, json_object_get(config, "oov_token")))
        return kpar_fail(
            KPAR_EUNSUPPORTED,
            "%s: supported are no 'oov_token' and 'mask_token' in the vocabulary, and 'mask_token' "
            "with output_mode \"int\"",
            lowering->owner);
    l->classes = (int64_t)json_array_size(l->words) + l->others + (l->masked ? 1 : 0);
    if (json_is_true(json_object_get(config, "pad_to_max_tokens")))
        KPAR_TRY(kpar_config_integer(lowering->owner, config, "max_tokens", l->classes, &l->classes));
    return KPAR_OK;
}

/* The place of each number in the list, from 1 on; 0 for those not in it. */
static kpar_status places(kpar_lowering *lowering, const lookup *l, kpar_value_id x, kpar_value_id *out)
{
    kpar_graph *g = lowering->graph;
    const kpar_shape along = {.rank = 1, .dims = {{(int64_t)json_array_size(l->words), false}}};
    kpar_value_id terms[3];
    KPAR_TRY(kpar_lower_insert(lowering, kpar_lower_shape(lowering, x)->rank, x, &terms[0]));
    KPAR_TRY(kpar_lower_array(lowering, l->words, &terms[1]));
    KPAR_TRY(kpar_build_iota(g, 0, g->real, along, &terms[2]));
    kpar_expression_builder *e = kpar_expression_begin(3);
    kpar_x same = kpar_x_eq(e, kpar_x_input(e, 0), kpar_x_input(e, 1));
    kpar_x place = kpar_x_add(e, kpar_x_input(e, 2), kpar_x_constant(e, 1));
    KPAR_TRY(
        kpar_lower_apply(lowering, e, kpar_x_select(e, same, place, kpar_x_constant(e, 0)), terms, 3, out));
    return kpar_lower_sum_last(lowering, false, *out, out);
}

/* What is masked is 0; behind it stand the numbers of what is not in the list, by their remainders, then the list. */
static kpar_x number_of(kpar_expression_builder *e, const lookup *l, kpar_x x, kpar_x place)
{
    kpar_x zero = kpar_x_constant(e, 0), n = kpar_x_constant(e, (double)(l->others > 1 ? l->others : 1));
    kpar_x first = kpar_x_constant(e, l->masked ? 1 : 0);
    kpar_x whole = kpar_x_mul(e, kpar_x_floor(e, kpar_x_div(e, x, n)), n);
    kpar_x other = l->others > 1 ? kpar_x_add(e, first, kpar_x_sub(e, x, whole)) : first;
    kpar_x known = kpar_x_add(e, place, kpar_x_constant(e, (l->masked ? 0 : -1) + (double)l->others));
    kpar_x number = kpar_x_select(e, kpar_x_eq(e, place, zero), other, known);
    if (!l->masked) return number;
    kpar_x masked = kpar_x_eq(e, x, kpar_x_constant(e, json_number_value(l->masked)));
    return kpar_x_select(e, masked, zero, number);
}

KPAR_LAYER(integer_lookup)
{
    lookup l;
    kpar_value_id terms[2], numbers;
    (void)n_inputs;
    KPAR_TRY(read_lookup(lowering, &l));
    KPAR_TRY(kpar_lower_real(lowering, inputs[0], &terms[0]));
    KPAR_TRY(places(lowering, &l, terms[0], &terms[1]));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x number = number_of(e, &l, kpar_x_input(e, 0), kpar_x_input(e, 1));
    KPAR_TRY(kpar_lower_apply(lowering, e, number, terms, 2, &numbers));
    return encode(lowering, l.mode, l.classes, numbers, output);
}
