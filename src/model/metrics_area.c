/* AUC: the area under a curve through points at many thresholds, of yes and no or of each of several labels. */
#include "model/metrics.h"

#include <string.h>
#include <strings.h>

/* Sums at one threshold: yeses that are right and wrong, and how many should be said or not. */
typedef struct sums_at {
    kpar_x right, wrong, yeses, noes;
} sums_at;

typedef struct point {
    kpar_x x, y;
} point;

/* --- curves --- */

static point roc(kpar_expression_builder *e, const sums_at *s)
{
    return (point){kpar_metric_quotient(e, s->wrong, s->noes), kpar_metric_quotient(e, s->right, s->yeses)};
}

static point precision_recall(kpar_expression_builder *e, const sums_at *s)
{
    return (point){kpar_metric_quotient(e, s->right, s->yeses),
                   kpar_metric_quotient(e, s->right, kpar_x_add(e, s->right, s->wrong))};
}

/* 1 - yeses / noes * other / right, or `without` where nothing is right. */
static kpar_x gain(kpar_expression_builder *e, const sums_at *s, kpar_x other, double without)
{
    kpar_x ratio =
        kpar_x_mul(e, kpar_metric_quotient(e, s->yeses, s->noes), kpar_metric_quotient(e, other, s->right));
    return kpar_x_select(e, kpar_x_eq(e, s->right, kpar_x_constant(e, 0)), kpar_x_constant(e, without),
                         kpar_x_sub(e, kpar_x_constant(e, 1), ratio));
}

/* Flach and Kull, "Precision-recall-gain curves: PR analysis done right" (2015). */
static point precision_recall_gain(kpar_expression_builder *e, const sums_at *s)
{
    kpar_x missed = kpar_x_sub(e, s->yeses, s->right);
    return (point){kpar_x_max(e, gain(e, s, missed, 0), kpar_x_constant(e, 0)), gain(e, s, s->wrong, 1)};
}

/* --- the area between two thresholds --- */

static kpar_x trapezoid(kpar_expression_builder *e, kpar_x a, kpar_x b)
{
    return kpar_x_mul(e, kpar_x_add(e, a, b), kpar_x_constant(e, 0.5));
}

static kpar_x smaller(kpar_expression_builder *e, kpar_x a, kpar_x b) { return kpar_x_min(e, a, b); }

static kpar_x larger(kpar_expression_builder *e, kpar_x a, kpar_x b) { return kpar_x_max(e, a, b); }

/* Between points of precision and recall right yeses grow evenly with all that are said, not precision with recall: Davis and
 * Goadrich, "The relationship between precision-recall and ROC curves" (2006). */
static kpar_x precision_recall_area(kpar_expression_builder *e, const sums_at *a, const sums_at *b)
{
    const kpar_x zero = kpar_x_constant(e, 0);
    kpar_x rise = kpar_x_sub(e, a->right, b->right);
    kpar_x said_a = kpar_x_add(e, a->right, a->wrong), said_b = kpar_x_add(e, b->right, b->wrong);
    kpar_x slope = kpar_metric_quotient(e, rise, kpar_x_max(e, kpar_x_sub(e, said_a, said_b), zero));
    kpar_x intercept = kpar_x_sub(e, b->right, kpar_x_mul(e, slope, said_b));
    kpar_x both = kpar_x_mul(e, kpar_x_lt(e, zero, said_a), kpar_x_lt(e, zero, said_b));
    kpar_x ratio = kpar_x_select(e, both, kpar_metric_quotient(e, said_a, said_b), kpar_x_constant(e, 1));
    kpar_x area = kpar_x_add(e, rise, kpar_x_mul(e, intercept, kpar_x_log(e, ratio)));
    return kpar_metric_quotient(e, kpar_x_mul(e, slope, area), b->yeses);
}

/* --- arguments --- */

typedef struct curve_row {
    const char *name;
    point (*point)(kpar_expression_builder *e, const sums_at *s);
    kpar_x (*area)(kpar_expression_builder *e, const sums_at *a,
                   const sums_at *b); /* instead of trapezoids */
} curve_row;
static const curve_row curves[] = {{"ROC", roc, NULL},
                                   {"PR", precision_recall, precision_recall_area},
                                   {"PRGAIN", precision_recall_gain, NULL}};

typedef struct method_row {
    const char *name;
    kpar_x (*height)(kpar_expression_builder *e, kpar_x a, kpar_x b);
} method_row;
static const method_row methods[] = {
    {"interpolation", trapezoid}, {"minoring", smaller}, {"majoring", larger}};

typedef struct arguments {
    const curve_row *curve;
    const method_row *method;
    kpar_thresholds thresholds;
    bool by_label, logits;
    double *label_weights; /* NULL: all alike */
} arguments;

/* The row of a table, each of which begins with a name. */
static kpar_status find_row(const char *owner, const json_t *config, const char *key, const void *rows,
                            size_t row_bytes, const void **row)
{
    enum { N = 3 };
    const char *name, *names[N];
    for (int i = 0; i < N; i++) names[i] = *(const char *const *)((const char *)rows + (size_t)i * row_bytes);
    KPAR_TRY(kpar_config_string(owner, config, key, names[0], &name));
    for (int i = 0; i < N; i++)
        if (strcasecmp(names[i], name) == 0) {
            *row = (const char *)rows + (size_t)i * row_bytes;
            return KPAR_OK;
        }
    return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument '%s' is \"%s\"; supported are %s, %s and %s", owner,
                     key, name, names[0], names[1], names[2]);
}

/* 'thresholds' in order with one below 0 and one above 1, or 'num_thresholds' even ones. */
static kpar_status read_thresholds(kpar_lowering *lowering, const json_t *config, const char *owner,
                                   kpar_thresholds *t)
{
    const double epsilon = 1e-7;
    double *given;
    int64_t n;
    t->all_at_first = true;
    KPAR_TRY(kpar_metric_numbers(lowering, config, owner, "thresholds", &given, &n));
    if (given) {
        double *all = kpar_arena_alloc(lowering->arena, ((size_t)n + 2) * sizeof *all);
        memcpy(all + 1, given, (size_t)n * sizeof *all);
        kpar_thresholds_sort(all + 1, n);
        all[0] = 0;
        all[n + 1] = 1;
        t->n = n + 2;
        if (kpar_thresholds_are_even(all, t->n)) return KPAR_OK;
        all[0] = -epsilon;
        all[n + 1] = 1 + epsilon;
        t->values = all;
        return KPAR_OK;
    }
    KPAR_TRY(kpar_config_integer(owner, config, "num_thresholds", 200, &t->n));
    if (t->n >= 2 && t->n <= 10000) return KPAR_OK;
    return kpar_fail(KPAR_EUNSUPPORTED, "%s: argument 'num_thresholds' is %lld; supported are 2 to 10000",
                     owner, (long long)t->n);
}

static kpar_status read_labels(kpar_lowering *lowering, const json_t *config, const char *owner,
                               const kpar_shape *shape, arguments *a)
{
    const int64_t labels = shape->dims[shape->rank - 1].size;
    int64_t n;
    KPAR_TRY(kpar_config_boolean(owner, config, "multi_label", false, &a->by_label));
    if (a->by_label && shape->rank != 2) {
        char text[KPAR_SHAPE_TEXT];
        return kpar_fail(KPAR_EUNSUPPORTED, "%s: multi_label expects predictions (batch, labels), found %s",
                         owner, kpar_shape_format(text, shape));
    }
    KPAR_TRY(kpar_config_integer(owner, config, "num_labels", labels, &n));
    if (a->by_label && n != labels)
        return kpar_fail(KPAR_EFORMAT, "%s: argument 'num_labels' is %lld; the output has %lld labels", owner,
                         (long long)n, (long long)labels);
    KPAR_TRY(kpar_metric_numbers(lowering, config, owner, "label_weights", &a->label_weights, &n));
    if (a->label_weights && n != labels)
        return kpar_fail(KPAR_EFORMAT,
                         "%s: argument 'label_weights' has %lld numbers; the output has %lld labels", owner,
                         (long long)n, (long long)labels);
    return KPAR_OK;
}

static kpar_status read_arguments(kpar_lowering *lowering, const json_t *config, const char *owner,
                                  const kpar_shape *shape, arguments *a)
{
    const void *curve, *method;
    KPAR_TRY(find_row(owner, config, "curve", curves, sizeof *curves, &curve));
    KPAR_TRY(find_row(owner, config, "summation_method", methods, sizeof *methods, &method));
    a->curve = curve;
    a->method = method;
    KPAR_TRY(read_thresholds(lowering, config, owner, &a->thresholds));
    KPAR_TRY(kpar_config_boolean(owner, config, "from_logits", false, &a->logits));
    return read_labels(lowering, config, owner, shape, a);
}

/* --- the area --- */

/* Of label l of n_labels. Inputs of the expression: right and wrong yeses of each label at each threshold, then yeses and
 * noes of each label. */
static kpar_x area_of(kpar_expression_builder *e, const arguments *a, int l, int n_labels)
{
    const int n = (int)a->thresholds.n, totals = 2 * n * n_labels;
    const kpar_x yeses = kpar_x_input(e, totals + l), noes = kpar_x_input(e, totals + n_labels + l);
    const bool trapezoids = a->method->height == trapezoid;
    kpar_x area = kpar_x_constant(e, 0);
    sums_at before = {0};
    for (int i = 0; i < n; i++) {
        const sums_at here = {kpar_x_input(e, l * n + i), kpar_x_input(e, (n_labels + l) * n + i), yeses,
                              noes};
        if (i > 0 && a->curve->area && trapezoids)
            area = kpar_x_add(e, area, a->curve->area(e, &before, &here));
        else if (i > 0) {
            const point left = a->curve->point(e, &here), right = a->curve->point(e, &before);
            const kpar_x height = a->method->height(e, right.y, left.y);
            area = kpar_x_add(e, area, kpar_x_mul(e, kpar_x_sub(e, right.x, left.x), height));
        }
        before = here;
    }
    return area;
}

kpar_status kpar_metric_area_under_curve(kpar_lowering *lowering, const json_t *config, const char *owner,
                                         kpar_value_id prediction, kpar_value_id labels,
                                         kpar_metric_sums *sums)
{
    const kpar_shape *shape = kpar_lower_shape(lowering, prediction);
    const int last = (int)shape->dims[shape->rank - 1].size;
    arguments a = {0};
    kpar_answers answers;
    KPAR_TRY(read_arguments(lowering, config, owner, shape, &a));
    if (a.logits) KPAR_TRY(kpar_build_unary(lowering->graph, KPAR_SCALAR_SIGMOID, prediction, &prediction));
    KPAR_TRY(kpar_answers_find(lowering, &a.thresholds, a.by_label ? NULL : a.label_weights, prediction,
                               labels, &answers));
    answers.by_label = a.by_label;
    for (int said = KPAR_YES; said <= KPAR_EITHER; said++)
        for (int yes = 1; yes >= 0; yes--)
            KPAR_TRY(kpar_answers_add(lowering, &answers, (kpar_answer)said, yes, sums));
    const int n_labels = a.by_label ? last : 1;
    kpar_expression_builder *e = sums->e = kpar_expression_begin(2 * ((int)a.thresholds.n + 1) * n_labels);
    kpar_x total = kpar_x_constant(e, 0), weights = total;
    for (int l = 0; l < n_labels; l++) {
        const kpar_x weight = kpar_x_constant(e, a.by_label && a.label_weights ? a.label_weights[l] : 1);
        total = kpar_x_add(e, total, kpar_x_mul(e, weight, area_of(e, &a, l, n_labels)));
        weights = kpar_x_add(e, weights, weight);
    }
    sums->result = kpar_metric_quotient(e, total, weights);
    return KPAR_OK;
}
