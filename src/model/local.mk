# Sources of src/model: lowering. (catalog.mk: config, catalog, initializers.)
libkpar_core_la_SOURCES += \
	src/model/hoist.c src/model/loss_scaling.c src/model/lower.c src/model/lower.h src/model/lower_internal.h \
	src/model/lower_losses.c src/model/lower_metrics.c src/model/lower_optimizer.c src/model/lower_optimizer.h \
	src/model/lower_update.c src/model/lower_values.c src/model/masks.c src/model/pattern.c src/model/pattern.h \
	src/model/pick.c src/model/tables.h src/model/update.c \
	src/model/activations.c src/model/attention.c src/model/attention.h src/model/cells.c src/model/cells.h \
	src/model/einsum.c src/model/einsum.h src/model/heads.h src/model/heads_masks.c src/model/layers.c \
	src/model/layers_attention.c src/model/layers_augment.c src/model/layers_augment_places.c \
	src/model/layers_category.c src/model/layers_conv.c src/model/layers_conv_transpose.c \
	src/model/layers_core.c src/model/layers_einsum.c src/model/layers_merge.c src/model/layers_multi_head.c \
	src/model/layers_norm.c src/model/layers_pool.c src/model/layers_random.c src/model/layers_recurrent.c \
	src/model/layers_shape.c src/model/layers_spatial.c src/model/layers_spectral.c src/model/layers_wrapped.c \
	src/model/resize.c src/model/resize.h \
	src/model/operations.c src/model/operations.h src/model/operations_activation.c src/model/operations_dims.c \
	src/model/operations_element.c src/model/operations_fourier.c src/model/operations_function.c \
	src/model/operations_image.c src/model/operations_index.c src/model/operations_order.c \
	src/model/operations_parts.c src/model/operations_product.c src/model/operations_shape.c \
	src/model/losses.c src/model/losses.h src/model/losses_categories.c src/model/losses_margins.c \
	src/model/losses_overlap.c src/model/losses_pairs.c src/model/losses_sequence.c \
	src/model/metrics.c src/model/metrics.h src/model/metrics_area.c src/model/metrics_confusion.c \
	src/model/metrics_correlation.c src/model/metrics_scores.c src/model/metrics_thresholds.c \
	src/model/constraints.c src/model/optimizers.c src/model/optimizers.h src/model/optimizers_adaptive.c \
	src/model/optimizers_factored.c src/model/optimizers_moments.c src/model/optimizers_multi.c \
	src/model/optimizers_orthogonal.c src/model/regularizers.c src/model/schedules.c
