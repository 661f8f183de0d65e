/* What the files of metrics share: sums and quotients, and the rows' functions. */
#ifndef KPAR_MODEL_METRICS_H
#define KPAR_MODEL_METRICS_H

#include "model/lower_internal.h"

/* a / b, 0 where b is 0. */
kpar_x kpar_metric_quotient(kpar_expression_builder *e, kpar_x a, kpar_x b);
/* The number of the largest of the last dimension, the first of equal ones. */
kpar_status kpar_metric_likeliest(kpar_lowering *lowering, kpar_value_id a, kpar_value_id *out) KPAR_MUST_USE;
/* Adds the sum of an expression of `inputs`, times the rows' weights, over all dimensions but the last `kept`. */
kpar_status kpar_metric_add_sum(kpar_lowering *lowering, kpar_metric_sums *sums, int kept,
                                kpar_expression_builder *e, kpar_x x, const kpar_value_id *inputs,
                                int n_inputs) KPAR_MUST_USE;

/* Functions of rows; as `lower` or `sums` in kpar_metric_row. */
typedef kpar_status kpar_metric_values_function(kpar_lowering *lowering, const json_t *config,
                                                const char *owner, kpar_value_id prediction,
                                                kpar_value_id labels, kpar_value_id *values);
typedef kpar_status kpar_metric_sums_function(kpar_lowering *lowering, const json_t *config,
                                              const char *owner, kpar_value_id prediction,
                                              kpar_value_id labels, kpar_metric_sums *sums);
/* metrics_thresholds.c */
kpar_metric_sums_function kpar_metric_area_under_curve, kpar_metric_sensitivity, kpar_metric_specificity,
    kpar_metric_precision_at_recall, kpar_metric_recall_at_precision, kpar_metric_precision,
    kpar_metric_recall, kpar_metric_true_positives, kpar_metric_false_positives, kpar_metric_true_negatives,
    kpar_metric_false_negatives;
/* metrics_confusion.c */
kpar_metric_sums_function kpar_metric_iou, kpar_metric_mean_iou, kpar_metric_binary_iou,
    kpar_metric_one_hot_iou, kpar_metric_one_hot_mean_iou;
/* metrics_correlation.c */
kpar_metric_values_function kpar_metric_pearson, kpar_metric_concordance;

#endif
