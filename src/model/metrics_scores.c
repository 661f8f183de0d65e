/* Scores of each class, or of each value of a row: reported as they are, or one mean of them. */
#include "model/metrics.h"

#include <string.h>

/* Adds the sum of an expression of predictions (input 0) and labels (input 1). */
static kpar_status add_sum(kpar_lowering *lowering, kpar_metric_sums *sums, int kept,
                           kpar_expression_builder *e, kpar_x x, kpar_value_id prediction,
                           kpar_value_id labels)
{
    return kpar_metric_add_sum(lowering, sums, kept, e, x, (kpar_value_id[]){prediction, labels}, 2);
}

/* Scores, and what each weighs in a mean: expressions of the sums. */
typedef struct scores {
    kpar_x *score, *weight;
    int n;
} scores;

static scores scores_begin(kpar_lowering *lowering, int n)
{
    kpar_x *room = kpar_arena_alloc(lowering->arena, 2 * (size_t)n * sizeof *room);
    return (scores){room, room + n, n};
}

/* What is reported of scores. */
typedef enum aggregation { EACH, MEAN, WEIGHTED_MEAN } aggregation;

/* `epsilon` is added to the weights of a weighted mean. */
static kpar_x mean_of(kpar_expression_builder *e, const scores *s, bool weighted, double epsilon)
{
    kpar_x total = kpar_x_constant(e, 0), weights = kpar_x_constant(e, weighted ? epsilon : 0);
    for (int i = 0; i < s->n; i++) {
        const kpar_x weight = weighted ? s->weight[i] : kpar_x_constant(e, 1);
        total = kpar_x_add(e, total, kpar_x_mul(e, s->score[i], weight));
        weights = kpar_x_add(e, weights, weight);
    }
    return kpar_metric_quotient(e, total, weights);
}

static void aggregate(kpar_lowering *lowering, kpar_metric_sums *sums, const scores *s, aggregation kind,
                      double epsilon)
{
    kpar_x *results = kpar_metric_vector(lowering, sums, kind == EACH ? s->n : 1);
    for (int i = 0; i < sums->n_results; i++)
        results[i] = kind == EACH ? s->score[i] : mean_of(sums->e, s, kind == WEIGHTED_MEAN, epsilon);
}

/* The kind that the argument `key` names; null is each score. */
static kpar_status read_aggregation(const char *owner, const json_t *config, const char *key,
                                    const char *mean, const char *weighted_mean, const char *absent,
                                    aggregation *kind)
{
    const char *name;
    const bool null = json_is_null(json_object_get(config, key));
    KPAR_TRY(kpar_config_string(owner, config, key, null ? NULL : absent, &name));
    *kind = !name ? EACH : strcmp(name, mean) == 0 ? MEAN : WEIGHTED_MEAN;
    if (*kind != WEIGHTED_MEAN || strcmp(name, weighted_mean) == 0) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument '%s' is %s; supported are: %s, %s, null", owner, key,
                     name, mean, weighted_mean);
}

/* --- R2 --- */

/* The score for so many regressors, unless there are as many of them as values. */
static kpar_x adjust(kpar_expression_builder *e, kpar_x score, int64_t regressors, kpar_x values)
{
    const kpar_x one = kpar_x_constant(e, 1), given = kpar_x_sub(e, values, one);
    const kpar_x left = kpar_x_sub(e, given, kpar_x_constant(e, (double)regressors));
    const kpar_x rest = kpar_x_div(e, kpar_x_mul(e, kpar_x_sub(e, one, score), given), left);
    return kpar_x_select(e, kpar_x_lt(e, kpar_x_constant(e, 0), left), kpar_x_sub(e, one, rest), score);
}

/* 1 - residuals / deviations from the mean. Inputs of the expression: for each of n values the sums of y, y^2 and
 * (y - p)^2, then the weights'. */
static void r2_score_of(kpar_expression_builder *e, int i, int n, scores *s)
{
    kpar_x sum = kpar_x_input(e, i), squares = kpar_x_input(e, n + i), rest = kpar_x_input(e, 2 * n + i);
    kpar_x center = kpar_x_div(e, sum, kpar_x_input(e, 3 * n));
    kpar_x spread = kpar_x_sub(e, squares, kpar_x_mul(e, sum, center)), zero = kpar_x_constant(e, 0);
    kpar_x score = kpar_x_sub(e, kpar_x_constant(e, 1), kpar_x_div(e, rest, spread));
    s->score[i] = kpar_x_select(e, kpar_x_eq(e, spread, zero), zero, score);
    s->weight[i] = spread;
}

static kpar_status add_powers(kpar_lowering *lowering, kpar_value_id prediction, kpar_value_id labels,
                              kpar_metric_sums *sums)
{
    for (int power = 0; power < 3; power++) {
        kpar_expression_builder *e = kpar_expression_begin(2);
        kpar_x y = kpar_x_input(e, 1);
        if (power == 1) y = kpar_x_square(e, y);
        if (power == 2) y = kpar_x_square(e, kpar_x_sub(e, y, kpar_x_input(e, 0)));
        KPAR_TRY(add_sum(lowering, sums, 1, e, y, prediction, labels));
    }
    KPAR_TRY(kpar_metric_add_count(lowering, sums, sums->weights));
    return kpar_metric_add_count(lowering, sums, sums->rows);
}

kpar_status kpar_metric_r2_score(kpar_lowering *lowering, const json_t *config, const char *owner,
                                 kpar_value_id prediction, kpar_value_id labels, kpar_metric_sums *sums)
{
    aggregation kind;
    int64_t regressors;
    char text[KPAR_SHAPE_TEXT];
    KPAR_TRY(read_aggregation(owner, config, "class_aggregation", "uniform_average",
                              "variance_weighted_average", "uniform_average", &kind));
    KPAR_TRY(kpar_config_integer(owner, config, "num_regressors", 0, &regressors));
    if (regressors < 0)
        return kpar_fail(KPAR_EFORMAT, "%s: argument 'num_regressors' is %lld; expected 0 or more", owner,
                         (long long)regressors);
    const kpar_shape *shape = kpar_lower_shape(lowering, prediction);
    if (shape->rank != 2)
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: expected predictions (batch, values), found %s", owner,
                         kpar_shape_format(text, shape));
    const int n = (int)shape->dims[1].size;
    KPAR_TRY(add_powers(lowering, prediction, labels, sums));
    kpar_expression_builder *e = sums->e = kpar_expression_begin(3 * n + 2);
    scores s = scores_begin(lowering, n);
    for (int i = 0; i < n; i++) r2_score_of(e, i, n, &s);
    aggregate(lowering, sums, &s, kind, 0);
    const kpar_x values = kpar_x_mul(e, kpar_x_input(e, 3 * n + 1), kpar_x_constant(e, n));
    for (int i = 0; regressors && i < sums->n_results; i++)
        sums->results[i] = adjust(e, sums->results[i], regressors, values);
    return KPAR_OK;
}

/* --- F --- */

/* 1 where a prediction is a yes: above the threshold, or without one the largest of its row. */
static kpar_status decide(kpar_lowering *lowering, const json_t *config, const char *owner,
                          kpar_value_id prediction, kpar_value_id *said)
{
    double threshold;
    const bool given = json_is_number(json_object_get(config, "threshold"));
    kpar_value_id inputs[2] = {prediction, prediction};
    KPAR_TRY(kpar_config_number(owner, config, "threshold", 0, &threshold));
    if (!given) KPAR_TRY(kpar_lower_max_last(lowering, true, prediction, &inputs[1]));
    kpar_expression_builder *e = kpar_expression_begin(2);
    kpar_x p = kpar_x_input(e, 0), yes = kpar_x_lt(e, kpar_x_constant(e, threshold), p);
    if (!given) {
        kpar_x sizeable = kpar_x_lt(e, kpar_x_constant(e, 1e-9), kpar_x_abs(e, p));
        yes = kpar_x_mul(e, kpar_x_le(e, kpar_x_input(e, 1), p), sizeable);
    }
    return kpar_lower_apply(lowering, e, yes, inputs, 2, said);
}

/* Adds for each class, or for all together, the sums of yeses that are right, of all yeses, of all that should be. */
static kpar_status add_yeses(kpar_lowering *lowering, bool together, kpar_value_id said, kpar_value_id labels,
                             kpar_metric_sums *sums)
{
    for (int k = 0; k < 3; k++) {
        kpar_expression_builder *e = kpar_expression_begin(2);
        kpar_x yes = kpar_x_input(e, 0), is = kpar_x_input(e, 1);
        kpar_x counted = k == 0 ? kpar_x_mul(e, yes, is) : k == 1 ? yes : is;
        KPAR_TRY(add_sum(lowering, sums, together ? 0 : 1, e, counted, said, labels));
    }
    return KPAR_OK;
}

/* (1 + beta^2) precision recall / (beta^2 precision + recall) of class i of n. */
static void f_score_of(kpar_expression_builder *e, double beta, int i, int n, scores *s)
{
    const kpar_x epsilon = kpar_x_constant(e, 1e-7);
    kpar_x right = kpar_x_input(e, i), is = kpar_x_input(e, 2 * n + i);
    kpar_x exact = kpar_x_div(e, right, kpar_x_add(e, kpar_x_input(e, n + i), epsilon));
    kpar_x found = kpar_x_div(e, right, kpar_x_add(e, is, epsilon));
    kpar_x mix = kpar_x_add(e, kpar_x_mul(e, exact, kpar_x_constant(e, beta * beta)), found);
    kpar_x score = kpar_x_div(e, kpar_x_mul(e, exact, found), kpar_x_add(e, mix, epsilon));
    s->score[i] = kpar_x_mul(e, score, kpar_x_constant(e, 1 + beta * beta));
    s->weight[i] = is;
}

kpar_status kpar_metric_f_score(kpar_lowering *lowering, const json_t *config, const char *owner,
                                kpar_value_id prediction, kpar_value_id labels, kpar_metric_sums *sums)
{
    const char *average = json_string_value(json_object_get(config, "average"));
    const bool together = average && strcmp(average, "micro") == 0;
    aggregation kind = EACH;
    double beta;
    KPAR_TRY(kpar_config_number(owner, config, "beta", 1, &beta));
    if (!together) KPAR_TRY(read_aggregation(owner, config, "average", "macro", "weighted", NULL, &kind));
    const kpar_shape *shape = kpar_lower_shape(lowering, prediction);
    const int n = together ? 1 : (int)shape->dims[shape->rank - 1].size;
    KPAR_TRY(decide(lowering, config, owner, prediction, &prediction));
    KPAR_TRY(add_yeses(lowering, together, prediction, labels, sums));
    sums->e = kpar_expression_begin(3 * n);
    scores s = scores_begin(lowering, n);
    for (int i = 0; i < n; i++) f_score_of(sums->e, beta, i, n, &s);
    aggregate(lowering, sums, &s, kind, 1e-7);
    return KPAR_OK;
}
