/* What the files of lowering share: sources, conversions, reports. */
#ifndef KPAR_MODEL_LOWER_INTERNAL_H
#define KPAR_MODEL_LOWER_INTERNAL_H

#include "base/text.h"
#include "model/config.h"
#include "model/tables.h"

static inline const kpar_shape *kpar_lower_shape(const kpar_lowering *lowering, kpar_value_id value)
{
    return &kpar_graph_value(lowering->graph, value)->shape;
}

/* lower_values.c */

/* Product of the sizes of dimensions [first, rank) without the factor batch. */
int64_t kpar_lower_elements(const kpar_shape *shape, int first);
/* Labels of output `output` for predictions of shape `prediction`. */
kpar_value_id kpar_lower_labels(kpar_lowering *lowering, int output, const kpar_shape *prediction,
                                bool sparse);
/* (batch): 1 on rows of the batch, 0 on others. */
kpar_value_id kpar_lower_row_mask(kpar_lowering *lowering);
/* The sample weights of an output, 0 on rows that are not of the batch: of the shape in lowering->weight_ranges. */
kpar_value_id kpar_lower_sample_weights(kpar_lowering *lowering, int output);
kpar_value_id kpar_lower_variable(kpar_lowering *lowering, int variable);
/* The predictions of an output as a real value, for its loss or a metric; sets lowering->output and what goes with it. */
kpar_status kpar_lower_prediction(kpar_lowering *lowering, int output,
                                  kpar_value_id *prediction) KPAR_MUST_USE;
/* While training, x with a share `rate` of its elements zeroed and the others scaled up; else x. The random number of an
 * element follows from the layer, the call, the step and the element's position in the global batch. */
kpar_status kpar_lower_dropout(kpar_lowering *lowering, double rate, kpar_value_id x,
                               kpar_value_id *out) KPAR_MUST_USE;
/* Likewise with random numbers of their own for each `stream` of a layer. */
kpar_status kpar_lower_dropout_of(kpar_lowering *lowering, const char *stream, double rate, kpar_value_id x,
                                  kpar_value_id *out) KPAR_MUST_USE;
/* The first input of the call as its output, the very tensor in Keras too, which remembers its logits. */
void kpar_lower_pass_on(kpar_lowering *lowering, kpar_value_id input, kpar_value_id *output);
/* An expression of one value. */
kpar_status kpar_lower_apply(kpar_lowering *lowering, kpar_expression_builder *e, kpar_x result,
                             const kpar_value_id *inputs, int n_inputs, kpar_value_id *out) KPAR_MUST_USE;
/* `shape` with size 1 in the dimensions `axes`. */
kpar_shape kpar_lower_kept(kpar_shape shape, unsigned axes);
/* Reduction, or mean, over the dimensions `axes`, which are kept with size 1 or removed. */
kpar_status kpar_lower_reduce(kpar_lowering *lowering, kpar_reduction kind, unsigned axes, bool keep,
                              kpar_value_id a, kpar_value_id *out) KPAR_MUST_USE;
kpar_status kpar_lower_mean(kpar_lowering *lowering, unsigned axes, bool keep, kpar_value_id a,
                            kpar_value_id *out) KPAR_MUST_USE;
/* log(sum(exp(x))) over the dimensions `axes`, which are kept with size 1 or removed. */
kpar_status kpar_lower_log_sum(kpar_lowering *lowering, unsigned axes, bool keep, kpar_value_id x,
                               kpar_value_id *out) KPAR_MUST_USE;
/* x over its length along `axes`, a length of less than `least` counting as that. */
kpar_status kpar_lower_unit_length(kpar_lowering *lowering, unsigned axes, double least, kpar_value_id x,
                                   kpar_value_id *out) KPAR_MUST_USE;
/* layers_core.c: softmax over the dimensions `axes`; as what the current call gives, whose logits are x if it is over one. */
kpar_status kpar_lower_softmax_over(kpar_lowering *lowering, unsigned axes, kpar_value_id x,
                                    kpar_value_id *output) KPAR_MUST_USE;
kpar_status kpar_lower_softmax(kpar_lowering *lowering, unsigned axes, kpar_value_id x,
                               kpar_value_id *output) KPAR_MUST_USE;
/* Over the last dimension: the sum, the largest, and the mean, which is removed. */
kpar_status kpar_lower_max_last(kpar_lowering *lowering, bool keep, kpar_value_id a,
                                kpar_value_id *out) KPAR_MUST_USE;
kpar_status kpar_lower_sum_last(kpar_lowering *lowering, bool keep, kpar_value_id a,
                                kpar_value_id *out) KPAR_MUST_USE;
kpar_status kpar_lower_mean_last(kpar_lowering *lowering, kpar_value_id a, kpar_value_id *out) KPAR_MUST_USE;
/* losses_categories.c: the config's `axis` is the last dimension. */
kpar_status kpar_lower_check_last(const char *owner, const json_t *config,
                                  const kpar_shape *shape) KPAR_MUST_USE;
/* losses_margins.c: the cosine of the angle between predictions and labels along the config's `axis`, times `sign`. */
kpar_status kpar_lower_cosine(kpar_lowering *lowering, const json_t *config, const char *owner, double sign,
                              kpar_value_id prediction, kpar_value_id labels,
                              kpar_value_id *values) KPAR_MUST_USE;
/* values (batch, ...) times weights (batch), or of further dimensions that values have, times `factor` (scalar, -1: none). */
kpar_status kpar_lower_weighted(kpar_lowering *lowering, kpar_value_id values, kpar_value_id weights,
                                kpar_value_id factor, kpar_value_id *out) KPAR_MUST_USE;
/* The sum of that over all elements. */
kpar_status kpar_lower_weighted_sum(kpar_lowering *lowering, kpar_value_id values, kpar_value_id weights,
                                    kpar_value_id factor, kpar_value_id *out) KPAR_MUST_USE;
/* The sum over microbatches of a value becomes a report output; *number is the number of its first element, *sum the sum
 * (NULL: not wanted). */
kpar_status kpar_lower_report_value(kpar_lowering *lowering, kpar_value_id value, int *number,
                                    kpar_value_id *sum) KPAR_MUST_USE;
void kpar_lower_report(kpar_lowering *lowering, const char *name, int value, int weight);
/* A formula of sums `first` and following; several results are called name[0], name[1] and so on.
 * `each_batch`: the log is the mean over batches. */
void kpar_lower_report_formula(kpar_lowering *lowering, const char *name, int first, bool each_batch,
                               const kpar_expression *formula);

/* Config keys that all optimizers, or all of a kind, have. `extra` is the row's own list. */
kpar_status kpar_lower_known(kpar_lowering *lowering, const char *owner, const json_t *config,
                             const char *common, const char *extra, const char *defaults) KPAR_MUST_USE;

/* lower_losses.c, lower_metrics.c: of all outputs of the model. */
kpar_status kpar_lower_losses(kpar_lowering *lowering) KPAR_MUST_USE;
kpar_status kpar_lower_metrics(kpar_lowering *lowering) KPAR_MUST_USE;
/* The row of the loss that a model output is compiled with, or an error that names it. *row is NULL without a loss. */
kpar_status kpar_lower_loss_row(kpar_lowering *lowering, int output, const kpar_loss_row **row,
                                const json_t **config, const char **owner) KPAR_MUST_USE;

/* loss_scaling.c */
/* The loss that the gradient is taken of: times the factor of loss scaling. */
kpar_status kpar_lower_scaled_loss(kpar_lowering *lowering, kpar_value_id loss,
                                   kpar_value_id *scaled) KPAR_MUST_USE;

/* lower_losses.c: 1 over the rows of the global batch, a fact. */
kpar_status kpar_lower_rows_scale(kpar_lowering *lowering, kpar_value_id *scale) KPAR_MUST_USE;

/* regularizers.c */
/* Whether a trained weight has a regularizer. */
bool kpar_lower_is_penalized(const kpar_lowering *lowering);
/* The penalties on weights become further parts of report number `number`. */
kpar_status kpar_lower_penalties(kpar_lowering *lowering, int number) KPAR_MUST_USE;
/* Adds the gradient of the weight's penalty; `value` is the weight. */
kpar_status kpar_regularizer_gradient(kpar_update *u, const kpar_variable *variable, kpar_value_id value,
                                      kpar_x *gradient) KPAR_MUST_USE;
/* The penalty, by the regularizer that `json` is, on what the current layer gives joins the loss. */
kpar_status kpar_lower_activity_penalty(kpar_lowering *lowering, const json_t *json,
                                        kpar_value_id value) KPAR_MUST_USE;

/* constraints.c: the weight after its constraint, if it has one. */
kpar_status kpar_constrain(kpar_update *u, const kpar_variable *variable, kpar_x *weight) KPAR_MUST_USE;

/* hoist.c: kpar_build_map_many, with what depends on scalar inputs alone computed once, by maps of scalars. */
kpar_status kpar_lower_hoisted_map(kpar_lowering *lowering, const kpar_expression *e,
                                   const kpar_value_id *inputs, int n_inputs,
                                   kpar_value_id *outs) KPAR_MUST_USE;

/* A dimension after the batch of a tensor of rank `rank`, counted from the end if negative; and those that the config's
 * 'axis', a number or a list of them, names. */
kpar_status kpar_lower_dim(const kpar_lowering *lowering, int64_t axis, int rank, int *dim) KPAR_MUST_USE;
kpar_status kpar_lower_axes(const kpar_lowering *lowering, int rank, unsigned *axes) KPAR_MUST_USE;
kpar_status kpar_lower_axes_of(const kpar_lowering *lowering, const char *key, int rank,
                               unsigned *axes) KPAR_MUST_USE;
kpar_status kpar_axis_in(const char *owner, const json_t *config, const char *key, int rank,
                         int *dim) KPAR_MUST_USE;
kpar_status kpar_axes_in(const char *owner, const json_t *config, const char *key, int rank,
                         unsigned *axes) KPAR_MUST_USE;
/* The same, of which the batch may be one. */
kpar_status kpar_axes_with_batch(const char *owner, const json_t *config, const char *key, int rank,
                                 unsigned *axes) KPAR_MUST_USE;
/* A constant; its values lie in the arena. */
kpar_value_id kpar_lower_numbers(kpar_lowering *lowering, int rank, const int64_t *dims,
                                 const double *values);
/* An array that the config holds, as nested lists of numbers. */
kpar_status kpar_lower_array(kpar_lowering *lowering, const json_t *list, kpar_value_id *value) KPAR_MUST_USE;
/* Output of a call: kpar_tensor_ref to value, and to its mask. */
kpar_value_id kpar_lower_output(const kpar_lowering *lowering, kpar_tensor_ref tensor);
kpar_value_id kpar_lower_output_mask(const kpar_lowering *lowering, kpar_tensor_ref tensor);
/* The `number`-th tensor that the current call is given as `name`; -1: there is none. */
kpar_value_id kpar_lower_named(const kpar_lowering *lowering, const char *name, int number);

/* pick.c: elements of a dimension by their numbers. */
/* A slice of it. */
kpar_status kpar_lower_cut(kpar_lowering *lowering, int dim, int64_t start, int64_t stop, kpar_value_id x,
                           kpar_value_id *out) KPAR_MUST_USE;
/* The elements `numbers`, in this order; any may come again. */
kpar_status kpar_lower_pick(kpar_lowering *lowering, int dim, const int64_t *numbers, int64_t n,
                            kpar_value_id x, kpar_value_id *out) KPAR_MUST_USE;
/* Those that a value of whole numbers says, whose dimensions take the place of `dim`. */
kpar_status kpar_lower_take(kpar_lowering *lowering, int dim, kpar_value_id x, kpar_value_id numbers,
                            kpar_value_id *out) KPAR_MUST_USE;
/* 1 where the number is that of the element, which is the last dimension: (..., n). */
kpar_status kpar_lower_one_hot(kpar_lowering *lowering, kpar_value_id numbers, int64_t n,
                               kpar_value_id *out) KPAR_MUST_USE;
/* operations_order.c: the largest of the last dimension (the first of equal ones) becomes -FLT_MAX in `left`; its number, and
 * 1 where it was. */
kpar_status kpar_lower_take_largest(kpar_lowering *lowering, kpar_value_id *left, kpar_value_id *number,
                                    kpar_value_id *picked) KPAR_MUST_USE;
/* operations_index.c: for each element of x the number of `bounds` that are at most it, or only those below it. */
kpar_status kpar_lower_count_bounds(kpar_lowering *lowering, kpar_value_id x, kpar_value_id bounds,
                                    bool below, kpar_value_id *out) KPAR_MUST_USE;
/* A dimension of 1 more; or less. */
kpar_status kpar_lower_insert(kpar_lowering *lowering, int dim, kpar_value_id x,
                              kpar_value_id *out) KPAR_MUST_USE;
kpar_status kpar_lower_drop(kpar_lowering *lowering, int dim, kpar_value_id x,
                            kpar_value_id *out) KPAR_MUST_USE;
/* Dimension `from` in the place `to`. */
kpar_status kpar_lower_move(kpar_lowering *lowering, int from, int to, kpar_value_id x,
                            kpar_value_id *out) KPAR_MUST_USE;
/* layers_spatial.c: each element of a dimension `times` times; one after the other, or the whole dimension again. */
kpar_status kpar_lower_repeat(kpar_lowering *lowering, int dim, int64_t times, bool whole, kpar_value_id x,
                              kpar_value_id *out) KPAR_MUST_USE;

/* operations_parts.c: `value` before and after each dimension, in the place of x. */
kpar_status kpar_lower_pad(kpar_lowering *lowering, const int64_t *before, const int64_t *after, double value,
                           kpar_value_id *x) KPAR_MUST_USE;
/* layers_augment.c: a uniform number for each image, another for each `stream`. */
kpar_status kpar_lower_draw(kpar_lowering *lowering, const char *stream, kpar_value_id images, double low,
                            double high, kpar_value_id *number) KPAR_MUST_USE;
/* layers_pool.c: the largest or (of KPAR_REDUCE_SUM) the mean of windows, by the arguments of pooling. */
kpar_status kpar_lower_pooling(kpar_lowering *lowering, int dims, kpar_reduction reduction,
                               const kpar_value_id *inputs, int n_inputs,
                               kpar_value_id *output) KPAR_MUST_USE;

/* layers_random.c: numbers in [0, 1) of a shape of rows of the batch, or of several parts of each row, of their own for each
 * `stream` of a layer. */
kpar_status kpar_lower_uniform(kpar_lowering *lowering, const char *stream, kpar_shape shape,
                               kpar_value_id *random) KPAR_MUST_USE;
/* operations_parts.c: the dimension from its end. */
kpar_status kpar_lower_flip(kpar_lowering *lowering, int dim, kpar_value_id *x) KPAR_MUST_USE;

/* layers_wrapped.c: layers within layers. */
/* What of the lowering belongs to the layer around while one within is lowered. */
typedef struct kpar_frame {
    const kpar_layer *layer;
    const char *owner, *part;
    int layer_weights;
    const kpar_value_id *masks;
    const kpar_argument *named;
    int n_named;
    kpar_status (*weight_rule)(kpar_lowering *lowering, int variable, kpar_value_id *value);
} kpar_frame;
/* The layer that the current layer's argument is, or the `number`-th of a list; NULL: there is none. */
const kpar_layer *kpar_lower_inner(const kpar_lowering *lowering, const char *argument, int number);
/* Such a layer becomes the current one, without masks and arguments by name, until it is left. */
kpar_status kpar_lower_enter(kpar_lowering *lowering, const kpar_layer *layer,
                             kpar_frame *outer) KPAR_MUST_USE;
void kpar_lower_leave(kpar_lowering *lowering, const kpar_frame *outer);
/* lower.c: the argument data_format. */
kpar_status kpar_lower_channels_first(const kpar_lowering *lowering, bool *first) KPAR_MUST_USE;
/* What the current layer, which mixes rows, makes of several steps of each row (steps · batch, ...): of one step after the
 * other. */
kpar_status kpar_lower_each_step(kpar_lowering *lowering, kpar_value_id rows,
                                 kpar_value_id *output) KPAR_MUST_USE;
/* lower.c: what the current layer makes of these inputs, images with their channels wherever it has them. */
kpar_status kpar_lower_layer(kpar_lowering *lowering, const kpar_value_id *inputs, int n_inputs,
                             kpar_value_id *outputs) KPAR_MUST_USE;
/* lower.c: sets the owner of messages; whether the current layer is supported, with its arguments. */
kpar_status kpar_lower_check_layer(kpar_lowering *lowering) KPAR_MUST_USE;

/* masks.c: rules for a layer's mask, see kpar_layer_row. */
#define KPAR_MASK(name)                                                                                      \
    kpar_status kpar_mask_##name(kpar_lowering *lowering, const kpar_value_id *inputs, int n_inputs,         \
                                 kpar_value_id *masks)
KPAR_MASK(first); /* that of its first input */
KPAR_MASK(multi_head_attention);
KPAR_MASK(either);      /* where one of the inputs counts */
KPAR_MASK(concatenate); /* side by side as the inputs are */
KPAR_MASK(embedding);   /* where the number is not 0 */
KPAR_MASK(reversible_embedding);
KPAR_MASK(masking);   /* where not all features have the value of the mask */
KPAR_MASK(recurrent); /* that of its first input, of a sequence */
KPAR_MASK(bidirectional);
KPAR_MASK(time_distributed);
KPAR_MASK(spectral_normalization);
/* 1 where `value` is not 0, else 0. */
kpar_status kpar_lower_truth(kpar_lowering *lowering, kpar_value_id value,
                             kpar_value_id *truth) KPAR_MUST_USE;
/* x where `mask`, which broadcasts to it, is not 0, else `otherwise`. */
kpar_status kpar_lower_kept_where(kpar_lowering *lowering, kpar_value_id mask, kpar_value_id x,
                                  double otherwise, kpar_value_id *out) KPAR_MUST_USE;
/* Weights, of rows (batch) or of an output's values, times a mask of these, -1: none: (batch, ...). `fact`: as a value of the phase of
 * facts about rows, which is current. */
kpar_status kpar_lower_masked(kpar_lowering *lowering, int output, kpar_value_id mask, bool fact,
                              kpar_value_id *weights) KPAR_MUST_USE;

/* layers_conv.c, for layers of images (batch, one to three dimensions, channels). */

/* Argument `key`: a positive whole number for each of n dimensions, or one for all; `fallback` where there is none (NULL:
 * an error). */
kpar_status kpar_lower_dims(const kpar_lowering *lowering, const char *key, int n, const int64_t *fallback,
                            int64_t *dims) KPAR_MUST_USE;
/* The one input as images of `dims` dimensions. */
kpar_status kpar_lower_images(kpar_lowering *lowering, int dims, const kpar_value_id *inputs, int n_inputs,
                              kpar_value_id *images) KPAR_MUST_USE;
/* What conv and pool need to know of a window: the arguments strides, dilation_rate and padding. */
kpar_status kpar_lower_window(kpar_lowering *lowering, int dims, kpar_value_id images, const int64_t *window,
                              const int64_t *default_stride, kpar_attributes *attributes) KPAR_MUST_USE;
/* Argument `key`, a positive whole number. */
kpar_status kpar_lower_positive(const kpar_lowering *lowering, const char *key, int64_t fallback,
                                int64_t *number) KPAR_MUST_USE;
/* The weight `name`, a kernel (window..., in, out), whose initializer the argument `initializer` is. */
kpar_status kpar_lower_kernel(kpar_lowering *lowering, const char *name, const char *initializer, int dims,
                              const int64_t *window, int64_t in, int64_t out,
                              kpar_value_id *kernel) KPAR_MUST_USE;
/* x + bias (channels) if the layer has one, and its activation. */
kpar_status kpar_lower_biased(kpar_lowering *lowering, kpar_value_id x, kpar_value_id *output) KPAR_MUST_USE;

/* Lowerings of layers, a file a family (layers_*.c); the table is in layers.c. */
#define KPAR_LAYER(name)                                                                                     \
    kpar_status kpar_layer_##name(kpar_lowering *lowering, const kpar_value_id *inputs, int n_inputs,        \
                                  kpar_value_id *output)
KPAR_LAYER(input);
KPAR_LAYER(dense);
KPAR_LAYER(activation);
KPAR_LAYER(relu);
KPAR_LAYER(leaky_relu);
KPAR_LAYER(elu);
KPAR_LAYER(softmax);
KPAR_LAYER(dropout);
KPAR_LAYER(spatial_dropout);
KPAR_LAYER(stochastic_depth);
KPAR_LAYER(gaussian_noise);
KPAR_LAYER(gaussian_dropout);
KPAR_LAYER(alpha_dropout);
KPAR_LAYER(layer_scale);
KPAR_LAYER(custom_scale);
KPAR_LAYER(identity);
KPAR_LAYER(activity_regularization);
KPAR_LAYER(flatten);
KPAR_LAYER(reshape);
KPAR_LAYER(rescaling);
KPAR_LAYER(add);
KPAR_LAYER(subtract);
KPAR_LAYER(multiply);
KPAR_LAYER(average);
KPAR_LAYER(maximum);
KPAR_LAYER(minimum);
KPAR_LAYER(concatenate);
KPAR_LAYER(p_re_lu);
KPAR_LAYER(permute);
KPAR_LAYER(repeat_vector);
KPAR_LAYER(normalization);
KPAR_LAYER(up_sampling);
KPAR_LAYER(resizing);
KPAR_LAYER(center_crop);
KPAR_LAYER(dot);
KPAR_LAYER(embedding);
KPAR_LAYER(reversible_embedding);
KPAR_LAYER(attention);
KPAR_LAYER(additive_attention);
KPAR_LAYER(multi_head_attention);
KPAR_LAYER(group_query_attention);
KPAR_LAYER(masking);
KPAR_LAYER(recurrent);
KPAR_LAYER(cell);
KPAR_LAYER(bidirectional);
KPAR_LAYER(time_distributed);
KPAR_LAYER(spectral_normalization);
KPAR_LAYER(zero_padding);
KPAR_LAYER(random_flip);
KPAR_LAYER(random_brightness);
KPAR_LAYER(random_contrast);
KPAR_LAYER(random_invert);
KPAR_LAYER(random_rotation);
KPAR_LAYER(random_zoom);
KPAR_LAYER(random_translation);
KPAR_LAYER(random_shear);
KPAR_LAYER(random_other);
KPAR_LAYER(category_encoding);
KPAR_LAYER(discretization);
KPAR_LAYER(integer_lookup);
KPAR_LAYER(cropping);
KPAR_LAYER(global_average_pooling);
KPAR_LAYER(global_max_pooling);
KPAR_LAYER(batch_normalization);
KPAR_LAYER(layer_normalization);
KPAR_LAYER(group_normalization);
KPAR_LAYER(rms_normalization);
KPAR_LAYER(unit_normalization);
KPAR_LAYER(conv_1d);
KPAR_LAYER(conv_2d);
KPAR_LAYER(conv_3d);
KPAR_LAYER(conv_1d_transpose);
KPAR_LAYER(conv_2d_transpose);
KPAR_LAYER(conv_3d_transpose);
KPAR_LAYER(depthwise_conv_1d);
KPAR_LAYER(depthwise_conv_2d);
KPAR_LAYER(separable_conv_1d);
KPAR_LAYER(separable_conv_2d);
KPAR_LAYER(adaptive_average_pooling);
KPAR_LAYER(adaptive_max_pooling);
KPAR_LAYER(einsum_dense);
KPAR_LAYER(max_pooling_1d);
KPAR_LAYER(max_pooling_2d);
KPAR_LAYER(max_pooling_3d);
KPAR_LAYER(average_pooling_1d);
KPAR_LAYER(average_pooling_2d);
KPAR_LAYER(average_pooling_3d);

#endif
