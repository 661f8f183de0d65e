/* What the files of losses share, a file a subject: losses.c has the table. */
#ifndef KPAR_MODEL_LOSSES_H
#define KPAR_MODEL_LOSSES_H

#include "model/lower_internal.h"

#define KPAR_EPSILON 1e-7 /* Keras's backend.epsilon() */

/* Rows of the table, see kpar_loss_row. */
#define KPAR_LOSS(name)                                                                                      \
    kpar_status kpar_loss_##name(kpar_lowering *lowering, const json_t *config, const char *owner,           \
                                 kpar_value_id prediction, kpar_value_id labels, kpar_value_id *values)
#define KPAR_LOSS_SUMS(name)                                                                                 \
    kpar_status kpar_loss_##name##_sums(kpar_lowering *lowering, const json_t *config, const char *owner,    \
                                        kpar_value_id prediction, kpar_value_id labels,                      \
                                        kpar_metric_sums *sums)
KPAR_LOSS(huber);
KPAR_LOSS(kl_divergence);
/* losses_categories.c */
KPAR_LOSS(binary_cross_entropy);
KPAR_LOSS(categorical_cross_entropy);
KPAR_LOSS(sparse_categorical_cross_entropy);
KPAR_LOSS(generalized_cross_entropy);
KPAR_LOSS(binary_focal);
KPAR_LOSS(categorical_focal);
/* losses_margins.c */
KPAR_LOSS(hinge);
KPAR_LOSS(squared_hinge);
KPAR_LOSS(categorical_hinge);
KPAR_LOSS(cosine_similarity);
/* losses_pairs.c */
KPAR_LOSS(circle);
/* losses_sequence.c */
KPAR_LOSS(ctc);
/* losses_overlap.c */
KPAR_LOSS(dice);
KPAR_LOSS(tversky);
KPAR_LOSS_SUMS(dice);
KPAR_LOSS_SUMS(tversky);

#endif
