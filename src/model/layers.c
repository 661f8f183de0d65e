/* The table of layers. */
#include "model/lower_internal.h"

#include <string.h>

#define CONV_ARGUMENTS "kernel_size strides padding dilation_rate activation use_bias bias_initializer"

#define HEADS_ARGUMENTS                                                                                      \
    "use_bias use_gate sliding_window dropout seed kernel_initializer bias_initializer"

static const kpar_layer_row rows[] = {
    {"InputLayer", "an input of the model", "batch_shape dtype", "sparse=false ragged=false optional=false",
     kpar_layer_input, NULL, NULL},
    {"Dense", "matrix product over the last dimension, bias, activation",
     "units activation use_bias kernel_initializer bias_initializer", "", kpar_layer_dense, NULL, NULL},
    {"Activation", "an activation by name", "activation", "", kpar_layer_activation, NULL, NULL},
    {"ReLU", "relu with maximum, slope below and threshold", "max_value negative_slope threshold", "",
     kpar_layer_relu, NULL, NULL},
    {"LeakyReLU", "relu with a slope below 0", "negative_slope alpha", "", kpar_layer_leaky_relu, NULL, NULL},
    {"PReLU", "relu with slopes below 0 that are trained", "alpha_initializer shared_axes", "",
     kpar_layer_p_re_lu, NULL, NULL},
    {"ELU", "x, or alpha (exp(x) - 1) below 0", "alpha", "", kpar_layer_elu, NULL, NULL},
    {"Softmax", "softmax over the last dimension", "axis", "", kpar_layer_softmax, NULL, NULL},
    {"Dropout", "zeroes a share of its input while training", "rate seed", "", kpar_layer_dropout, NULL,
     NULL},
    {"Identity", "its input", "", "", kpar_layer_identity, NULL, NULL},
    {"ActivityRegularization", "its input, with a penalty on it", "l1 l2", "",
     kpar_layer_activity_regularization, NULL, NULL},
    {"Flatten", "one dimension of all but the batch", "", "data_format=\"channels_last\"", kpar_layer_flatten,
     NULL, NULL},
    {"Reshape", "another shape for each sample", "target_shape", "", kpar_layer_reshape, NULL, NULL},
    {"Permute", "dimensions in another order", "dims", "", kpar_layer_permute, NULL, NULL},
    {"RepeatVector", "its input n times", "n", "", kpar_layer_repeat_vector, NULL, NULL},
    {"Normalization", "mean 0 and variance 1 by given statistics", "axis mean variance", "",
     kpar_layer_normalization, NULL, NULL},
    {"UpSampling1D", "each step several times", "size", "", kpar_layer_up_sampling, NULL, NULL},
    {"UpSampling2D", "each pixel several times, or between them", "size interpolation",
     "data_format=\"channels_last\"", kpar_layer_up_sampling, NULL, NULL},
    {"UpSampling3D", "each voxel several times", "size", "data_format=\"channels_last\"",
     kpar_layer_up_sampling, NULL, NULL},
    {"ZeroPadding1D", "zeros around", "padding", "data_format=\"channels_last\"", kpar_layer_zero_padding,
     NULL, NULL},
    {"Cropping1D", "without its margins", "cropping", "data_format=\"channels_last\"", kpar_layer_cropping,
     NULL, NULL},
    {"GlobalAveragePooling1D", "mean over the spatial dimensions", "keepdims",
     "data_format=\"channels_last\"", kpar_layer_global_average_pooling, NULL, NULL},
    {"GlobalMaxPooling1D", "largest over the spatial dimensions", "keepdims", "data_format=\"channels_last\"",
     kpar_layer_global_max_pooling, NULL, NULL},
    {"ZeroPadding2D", "zeros around", "padding", "data_format=\"channels_last\"", kpar_layer_zero_padding,
     NULL, NULL},
    {"Cropping2D", "without its margins", "cropping", "data_format=\"channels_last\"", kpar_layer_cropping,
     NULL, NULL},
    {"GlobalAveragePooling2D", "mean over the spatial dimensions", "keepdims",
     "data_format=\"channels_last\"", kpar_layer_global_average_pooling, NULL, NULL},
    {"GlobalMaxPooling2D", "largest over the spatial dimensions", "keepdims", "data_format=\"channels_last\"",
     kpar_layer_global_max_pooling, NULL, NULL},
    {"ZeroPadding3D", "zeros around", "padding", "data_format=\"channels_last\"", kpar_layer_zero_padding,
     NULL, NULL},
    {"Cropping3D", "without its margins", "cropping", "data_format=\"channels_last\"", kpar_layer_cropping,
     NULL, NULL},
    {"GlobalAveragePooling3D", "mean over the spatial dimensions", "keepdims",
     "data_format=\"channels_last\"", kpar_layer_global_average_pooling, NULL, NULL},
    {"GlobalMaxPooling3D", "largest over the spatial dimensions", "keepdims", "data_format=\"channels_last\"",
     kpar_layer_global_max_pooling, NULL, NULL},
    {"Embedding", "rows of a table by their numbers", "input_dim output_dim mask_zero embeddings_initializer",
     "", kpar_layer_embedding, NULL, NULL},
    {"Attention", "attention of query to key and value in one head", "use_scale score_mode dropout seed", "",
     kpar_layer_attention, NULL, "use_causal_mask return_attention_scores"},
    {"AdditiveAttention", "attention by sums of query and key", "use_scale dropout seed", "",
     kpar_layer_additive_attention, NULL, "use_causal_mask return_attention_scores"},
    {"MultiHeadAttention", "attention of query to key and value in several heads",
     "num_heads key_dim value_dim output_shape attention_axes " HEADS_ARGUMENTS, "",
     kpar_layer_multi_head_attention,
     "query_dense=query key_dense=key _gate_dense=gate?use_gate value_dense=value "
     "output_dense=attention_output _softmax=softmax _dropout_layer=dropout",
     "use_causal_mask return_attention_scores"},
    {"GroupQueryAttention", "attention in several heads, of which some share keys and values",
     "head_dim num_query_heads num_key_value_heads " HEADS_ARGUMENTS, "", kpar_layer_group_query_attention,
     "_query_dense=query _key_dense=key _gate_dense=gate?use_gate _value_dense=value "
     "_output_dense=attention_output _softmax=softmax _dropout_layer=dropout",
     "use_causal_mask return_attention_scores"},
    {"Rescaling", "scale and offset", "scale offset", "", kpar_layer_rescaling, NULL, NULL},
    {"Add", "sum of its inputs", "", "", kpar_layer_add, NULL, NULL},
    {"Subtract", "first input minus the second", "", "", kpar_layer_subtract, NULL, NULL},
    {"Multiply", "product of its inputs", "", "", kpar_layer_multiply, NULL, NULL},
    {"Average", "mean of its inputs", "", "", kpar_layer_average, NULL, NULL},
    {"Maximum", "largest of its inputs", "", "", kpar_layer_maximum, NULL, NULL},
    {"Minimum", "smallest of its inputs", "", "", kpar_layer_minimum, NULL, NULL},
    {"Dot", "scalar products along a dimension of two inputs", "axes", "", kpar_layer_dot, NULL, NULL},
    {"Concatenate", "its inputs side by side", "axis", "", kpar_layer_concatenate, NULL, NULL},
    {"BatchNormalization", "mean 0 and variance 1 over the batch, then scale and offset",
     "axis momentum epsilon center scale beta_initializer gamma_initializer moving_mean_initializer "
     "moving_variance_initializer synchronized",
     "renorm_momentum=0.99", kpar_layer_batch_normalization, NULL, NULL},
    {"LayerNormalization", "mean 0 and variance 1 within a sample, then scale and offset",
     "axis epsilon center scale beta_initializer gamma_initializer", "", kpar_layer_layer_normalization, NULL,
     NULL},
    {"GroupNormalization", "mean 0 and variance 1 within groups of channels, then scale and offset",
     "groups axis epsilon center scale beta_initializer gamma_initializer", "",
     kpar_layer_group_normalization, NULL, NULL},
    {"RMSNormalization", "root mean square 1 within a sample, then scale", "axis epsilon", "",
     kpar_layer_rms_normalization, NULL, NULL},
    {"UnitNormalization", "length 1", "axis", "", kpar_layer_unit_normalization, NULL, NULL},
    {"Conv1D", "convolution, bias, activation", CONV_ARGUMENTS " filters groups kernel_initializer",
     "data_format=\"channels_last\"", kpar_layer_conv_1d, NULL, NULL},
    {"Conv2D", "convolution, bias, activation", CONV_ARGUMENTS " filters groups kernel_initializer",
     "data_format=\"channels_last\"", kpar_layer_conv_2d, NULL, NULL},
    {"Conv3D", "convolution, bias, activation", CONV_ARGUMENTS " filters groups kernel_initializer",
     "data_format=\"channels_last\"", kpar_layer_conv_3d, NULL, NULL},
    {"DepthwiseConv1D", "convolution of each channel by itself, bias, activation",
     CONV_ARGUMENTS " depth_multiplier depthwise_initializer", "data_format=\"channels_last\"",
     kpar_layer_depthwise_conv_1d, NULL, NULL},
    {"DepthwiseConv2D", "convolution of each channel by itself, bias, activation",
     CONV_ARGUMENTS " depth_multiplier depthwise_initializer", "data_format=\"channels_last\"",
     kpar_layer_depthwise_conv_2d, NULL, NULL},
    {"SeparableConv1D", "convolution of each channel, then across channels, bias, activation",
     CONV_ARGUMENTS " filters depth_multiplier depthwise_initializer pointwise_initializer",
     "data_format=\"channels_last\"", kpar_layer_separable_conv_1d, NULL, NULL},
    {"SeparableConv2D", "convolution of each channel, then across channels, bias, activation",
     CONV_ARGUMENTS " filters depth_multiplier depthwise_initializer pointwise_initializer",
     "data_format=\"channels_last\"", kpar_layer_separable_conv_2d, NULL, NULL},
    {"MaxPooling1D", "largest element of each window", "pool_size strides padding",
     "data_format=\"channels_last\"", kpar_layer_max_pooling_1d, NULL, NULL},
    {"MaxPooling2D", "largest element of each window", "pool_size strides padding",
     "data_format=\"channels_last\"", kpar_layer_max_pooling_2d, NULL, NULL},
    {"MaxPooling3D", "largest element of each window", "pool_size strides padding",
     "data_format=\"channels_last\"", kpar_layer_max_pooling_3d, NULL, NULL},
    {"AveragePooling1D", "mean of each window", "pool_size strides padding", "data_format=\"channels_last\"",
     kpar_layer_average_pooling_1d, NULL, NULL},
    {"AveragePooling2D", "mean of each window", "pool_size strides padding", "data_format=\"channels_last\"",
     kpar_layer_average_pooling_2d, NULL, NULL},
    {"AveragePooling3D", "mean of each window", "pool_size strides padding", "data_format=\"channels_last\"",
     kpar_layer_average_pooling_3d, NULL, NULL},
};

const kpar_layer_row *kpar_layer_rows(int *n)
{
    *n = (int)(sizeof rows / sizeof rows[0]);
    return rows;
}

bool kpar_layer_part(kpar_arena *arena, const kpar_layer *layer, int i, const char **group,
                     const char **name)
{
    const char *at = layer->row && layer->row->parts ? layer->row->parts : "";
    for (; i > 0 && *at; i--) at += strcspn(at, " ") + strspn(at + strcspn(at, " "), " ");
    const size_t key = strcspn(at, "="), end = strcspn(at, " ?"), all = strcspn(at, " ");
    if (*at == '\0') return false;
    *group = kpar_arena_printf(arena, "%.*s", (int)key, at);
    *name = kpar_arena_printf(arena, "%.*s", (int)(end - key - 1), at + key + 1);
    if (end == all) return true;
    const char *argument = kpar_arena_printf(arena, "%.*s", (int)(all - end - 1), at + end + 1);
    if (!json_is_true(json_object_get(layer->config, argument))) *group = NULL;
    return true;
}

const kpar_layer_row *kpar_layer_row_find(const char *class_name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].class_name, class_name) == 0) return &rows[i];
    return NULL;
}

const char *kpar_layer_companion(kpar_arena *arena, const char *initializer, size_t length, const char *kind)
{
    static const char suffix[] = "initializer";
    const size_t end = strlen(suffix);
    if (length < end || strncmp(initializer + length - end, suffix, end) != 0) return NULL;
    return kpar_arena_printf(arena, "%.*s%s", (int)(length - end), initializer, kind);
}

const char *kpar_layer_arguments(kpar_arena *arena, const kpar_layer_row *row)
{
    /* Where a layer has parts the penalty would be on what these give. */
    const char *all = kpar_arena_printf(arena, "name trainable dtype %s%s",
                                        row->parts ? "" : "activity_regularizer ", row->arguments);
    for (const char *word = row->arguments; *word; word += strspn(word, " ")) {
        const size_t length = strcspn(word, " ");
        const char *regularizer = kpar_layer_companion(arena, word, length, "regularizer");
        const char *constraint = kpar_layer_companion(arena, word, length, "constraint");
        if (regularizer) all = kpar_arena_printf(arena, "%s %s %s", all, regularizer, constraint);
        word += length;
    }
    return all;
}
