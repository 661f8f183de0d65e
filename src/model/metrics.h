/* What the files of metrics share: sums and quotients, and the rows' functions. */
#ifndef KPAR_MODEL_METRICS_H
#define KPAR_MODEL_METRICS_H

#include "model/lower_internal.h"

/* a / b, 0 where b is 0. */
kpar_x kpar_metric_quotient(kpar_expression_builder *e, kpar_x a, kpar_x b);
/* The number of the largest of the last dimension, the first of equal ones. */
kpar_status kpar_metric_likeliest(kpar_lowering *lowering, kpar_value_id a, kpar_value_id *out) KPAR_MUST_USE;
/* Adds the sum of an expression of `inputs`, times their weights, over all dimensions but the last `kept`. */
kpar_status kpar_metric_add_sum(kpar_lowering *lowering, kpar_metric_sums *sums, int kept,
                                kpar_expression_builder *e, kpar_x x, const kpar_value_id *inputs,
                                int n_inputs) KPAR_MUST_USE;

/* Adds the sum of weights. */
kpar_status kpar_metric_add_count(kpar_lowering *lowering, kpar_metric_sums *sums,
                                  kpar_value_id weights) KPAR_MUST_USE;
/* The metric has n results: room for them. */
kpar_x *kpar_metric_vector(kpar_lowering *lowering, kpar_metric_sums *sums, int n);
/* Numbers that the config has as a list, or as the tensor that Keras writes a list as, or one by itself; *numbers is NULL for
 * null. */
kpar_status kpar_metric_numbers(kpar_lowering *lowering, const json_t *config, const char *owner,
                                const char *key, double **numbers, int64_t *n) KPAR_MUST_USE;

/* Functions of rows; as `lower` or `sums` in kpar_metric_row. */
typedef kpar_status kpar_metric_values_function(kpar_lowering *lowering, const json_t *config,
                                                const char *owner, kpar_value_id prediction,
                                                kpar_value_id labels, kpar_value_id *values);
typedef kpar_status kpar_metric_sums_function(kpar_lowering *lowering, const json_t *config,
                                              const char *owner, kpar_value_id prediction,
                                              kpar_value_id labels, kpar_metric_sums *sums);
/* metrics_scores.c */
kpar_metric_sums_function kpar_metric_r2_score, kpar_metric_f_score;
/* metrics_area.c */
kpar_metric_sums_function kpar_metric_area_under_curve;
/* metrics_thresholds.c */
kpar_metric_sums_function kpar_metric_sensitivity, kpar_metric_specificity, kpar_metric_precision_at_recall,
    kpar_metric_recall_at_precision, kpar_metric_precision, kpar_metric_recall, kpar_metric_true_positives,
    kpar_metric_false_positives, kpar_metric_true_negatives, kpar_metric_false_negatives;
/* Thresholds of predictions. */
typedef struct kpar_thresholds {
    const double *values; /* in order; NULL: evenly from 0 to 1 */
    int64_t n;
    bool all_at_first; /* the first of even ones is below 0 */
} kpar_thresholds;
/* Whether Keras takes these numbers for evenly spaced ones, which it reckons with otherwise. */
bool kpar_thresholds_are_even(const double *numbers, int64_t n);
void kpar_thresholds_sort(double *numbers, int64_t n);

/* Predictions as the number of thresholds that they are above, and what each label counts as a yes and as a no: all
 * (batch, ..., 1). */
typedef struct kpar_answers {
    kpar_value_id level, yes, no;
    kpar_value_id numbers; /* of thresholds */
    bool by_label;         /* sums are of each label (batch, labels) */
} kpar_answers;
typedef enum kpar_answer { KPAR_NO, KPAR_YES, KPAR_EITHER } kpar_answer;
/* `label_weights`, of the last dimension; NULL: 1. */
kpar_status kpar_answers_find(kpar_lowering *lowering, const kpar_thresholds *t, const double *label_weights,
                              kpar_value_id prediction, kpar_value_id labels,
                              kpar_answers *answers) KPAR_MUST_USE;
/* Adds for each threshold the sum of those labels of yes, or of no, for which `said` is said: of KPAR_EITHER one sum. */
kpar_status kpar_answers_add(kpar_lowering *lowering, const kpar_answers *answers, kpar_answer said, bool yes,
                             kpar_metric_sums *sums) KPAR_MUST_USE;
/* metrics_confusion.c */
kpar_metric_sums_function kpar_metric_iou, kpar_metric_mean_iou, kpar_metric_binary_iou,
    kpar_metric_one_hot_iou, kpar_metric_one_hot_mean_iou;
/* metrics_correlation.c */
kpar_metric_values_function kpar_metric_pearson, kpar_metric_concordance;

#endif
