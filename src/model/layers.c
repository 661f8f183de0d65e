/* The table of layers. */
#include "model/lower_internal.h"

#include <string.h>

#define CONV_ARGUMENTS "kernel_size strides padding dilation_rate activation use_bias bias_initializer"

#define HEADS_ARGUMENTS                                                                                      \
    "use_bias use_gate sliding_window dropout seed kernel_initializer bias_initializer activity_regularizer"

#define HEADS_CALL_ARGUMENTS                                                                                 \
    "query_mask value_mask key_mask attention_mask use_causal_mask return_attention_scores"

#define RECURRENT_ARGUMENTS                                                                                  \
    "return_sequences return_state go_backwards unroll zero_output_for_mask activity_regularizer"

#define CELL_ARGUMENTS                                                                                       \
    "units activation use_bias kernel_initializer recurrent_initializer bias_initializer dropout "           \
    "recurrent_dropout seed"

#define CONV_CELL_ARGUMENTS                                                                                  \
    "filters kernel_size strides padding dilation_rate activation recurrent_activation use_bias "            \
    "unit_forget_bias kernel_initializer recurrent_initializer bias_initializer dropout "                    \
    "recurrent_dropout seed"

/* What layers that change images at random have, each some of it. */
#define AUGMENT_ARGUMENTS                                                                                    \
    "factor height_factor width_factor fill_mode fill_value interpolation seed value_range scale alpha "     \
    "x_factor y_factor kernel_size sigma brightness_factor contrast_factor saturation_factor hue_factor "    \
    "num_ops num_chains chain_depth all_ops interpolation alpha_stddev bounding_box_format"

static const kpar_layer_row rows[] = {
    {"InputLayer", "an input of the model", "batch_shape dtype", "sparse=false ragged=false optional=false",
     .lower = kpar_layer_input},
    {"Dense", "matrix product over the last dimension, bias, activation",
     "units activation use_bias kernel_initializer bias_initializer", "", .lower = kpar_layer_dense,
     .mask = kpar_mask_first},
    {"Activation", "an activation by name", "activation", "", .lower = kpar_layer_activation,
     .mask = kpar_mask_first, .is_activation = true},
    {"ReLU", "relu with maximum, slope below and threshold", "max_value negative_slope threshold", "",
     .lower = kpar_layer_relu, .mask = kpar_mask_first, .is_activation = true},
    {"LeakyReLU", "relu with a slope below 0", "negative_slope alpha", "", .lower = kpar_layer_leaky_relu,
     .mask = kpar_mask_first, .is_activation = true},
    {"PReLU", "relu with slopes below 0 that are trained", "alpha_initializer shared_axes", "",
     .lower = kpar_layer_p_re_lu, .mask = kpar_mask_first},
    {"ELU", "x, or alpha (exp(x) - 1) below 0", "alpha", "", .lower = kpar_layer_elu, .mask = kpar_mask_first,
     .is_activation = true},
    {"Softmax", "softmax over dimensions", "axis", "", .lower = kpar_layer_softmax, .mask = kpar_mask_first,
     .is_activation = true, .call_arguments = "mask"},
    {"Dropout", "zeroes a share of its input while training", "rate seed noise_shape", "",
     .lower = kpar_layer_dropout, .mask = kpar_mask_first},
    {"SpatialDropout1D", "zeroes a share of the channels while training", "rate seed", "",
     .lower = kpar_layer_spatial_dropout, .mask = kpar_mask_first},
    {"SpatialDropout2D", "zeroes a share of the channels while training", "rate seed", "",
     .lower = kpar_layer_spatial_dropout, .mask = kpar_mask_first, .images = true},
    {"SpatialDropout3D", "zeroes a share of the channels while training", "rate seed", "",
     .lower = kpar_layer_spatial_dropout, .mask = kpar_mask_first, .images = true},
    {"GaussianNoise", "adds normal numbers while training", "stddev seed", "",
     .lower = kpar_layer_gaussian_noise, .mask = kpar_mask_first},
    {"GaussianDropout", "multiplies by normal numbers of mean 1 while training", "rate seed", "",
     .lower = kpar_layer_gaussian_dropout, .mask = kpar_mask_first},
    {"AlphaDropout", "dropout that keeps mean and variance", "rate seed noise_shape", "",
     .lower = kpar_layer_alpha_dropout, .mask = kpar_mask_first},
    {"StochasticDepth", "zeroes a share of the samples while training (of keras.applications)",
     "drop_path_rate", "", .lower = kpar_layer_stochastic_depth, .mask = kpar_mask_first},
    {"LayerScale", "times a weight for each channel (of keras.applications)", "init_values projection_dim",
     "", .lower = kpar_layer_layer_scale, .mask = kpar_mask_first},
    {"CustomScaleLayer", "the first input plus the second, scaled (of keras.applications)", "scale", "",
     .lower = kpar_layer_custom_scale, .mask = kpar_mask_either},
    {"Identity", "its input", "", "", .lower = kpar_layer_identity, .mask = kpar_mask_first},
    {"ActivityRegularization", "its input, with a penalty on it", "l1 l2", "",
     .lower = kpar_layer_activity_regularization, .mask = kpar_mask_first},
    {"Flatten", "one dimension of all but the batch", "", "", .lower = kpar_layer_flatten, .images = true},
    {"Reshape", "another shape for each sample", "target_shape", "", .lower = kpar_layer_reshape},
    {"Permute", "dimensions in another order", "dims", "", .lower = kpar_layer_permute},
    {"RepeatVector", "its input n times", "n", "", .lower = kpar_layer_repeat_vector},
    {"Normalization", "mean 0 and variance 1 by given statistics or those it was adapted to",
     "axis mean variance invert", "", .lower = kpar_layer_normalization, .mask = kpar_mask_first},
    {"UpSampling1D", "each step several times", "size", "", .lower = kpar_layer_up_sampling},
    {"UpSampling2D", "each pixel several times, or between them", "size interpolation", "",
     .lower = kpar_layer_up_sampling, .images = true},
    {"UpSampling3D", "each voxel several times", "size", "", .lower = kpar_layer_up_sampling, .images = true},
    {"Resizing", "images of another size",
     "height width interpolation antialias crop_to_aspect_ratio pad_to_aspect_ratio fill_value",
     "fill_mode=\"constant\"", .lower = kpar_layer_resizing, .images = true},
    {"CenterCrop", "the middle of images", "height width", "", .lower = kpar_layer_center_crop,
     .images = true},
    {"RandomFlip", "flips images at random while training", "mode seed", "", .lower = kpar_layer_random_flip,
     .images = true},
    {"RandomBrightness", "makes images brighter or darker at random while training",
     "factor value_range seed", "", .lower = kpar_layer_random_brightness, .images = true},
    {"RandomContrast", "changes the contrast of images at random while training", "factor value_range seed",
     "", .lower = kpar_layer_random_contrast, .images = true},
    {"RandomInvert", "makes negatives of images at random while training", "factor value_range seed", "",
     .lower = kpar_layer_random_invert, .images = true},
    {"RandomRotation", "turns images at random while training", AUGMENT_ARGUMENTS, "",
     .lower = kpar_layer_random_rotation, .images = true},
    {"RandomZoom", "enlarges or shrinks images at random while training", AUGMENT_ARGUMENTS, "",
     .lower = kpar_layer_random_zoom, .images = true},
    {"RandomTranslation", "moves images at random while training", AUGMENT_ARGUMENTS, "",
     .lower = kpar_layer_random_translation, .images = true},
    {"RandomShear", "slants images at random while training", AUGMENT_ARGUMENTS, "",
     .lower = kpar_layer_random_shear, .images = true},
    {"RandomPerspective", "tilts images at random while training (not supported there)", AUGMENT_ARGUMENTS,
     "", .lower = kpar_layer_random_other, .images = true},
    {"RandomElasticTransform", "warps images at random while training (not supported there)",
     AUGMENT_ARGUMENTS, "", .lower = kpar_layer_random_other, .images = true},
    {"RandomErasing", "erases parts of images at random while training (not supported there)",
     AUGMENT_ARGUMENTS, "", .lower = kpar_layer_random_other, .images = true},
    {"RandomGaussianBlur", "blurs images at random while training (not supported there)", AUGMENT_ARGUMENTS,
     "", .lower = kpar_layer_random_other, .images = true},
    {"RandomGrayscale", "takes colours away at random while training (not supported there)",
     AUGMENT_ARGUMENTS, "", .lower = kpar_layer_random_other, .images = true},
    {"RandomHue", "shifts colours at random while training (not supported there)", AUGMENT_ARGUMENTS, "",
     .lower = kpar_layer_random_other, .images = true},
    {"RandomSaturation", "strengthens or weakens colours at random while training (not supported there)",
     AUGMENT_ARGUMENTS, "", .lower = kpar_layer_random_other, .images = true},
    {"RandomSharpness", "sharpens or blurs images at random while training (not supported there)",
     AUGMENT_ARGUMENTS, "", .lower = kpar_layer_random_other, .images = true},
    {"RandomPosterization", "takes shades away at random while training (not supported there)",
     AUGMENT_ARGUMENTS, "", .lower = kpar_layer_random_other, .images = true},
    {"RandomColorDegeneration", "takes colours away at random while training (not supported there)",
     AUGMENT_ARGUMENTS, "", .lower = kpar_layer_random_other, .images = true},
    {"RandomColorJitter", "changes colours in several ways at random while training (not supported there)",
     AUGMENT_ARGUMENTS, "", .lower = kpar_layer_random_other, .images = true},
    {"RandAugment", "changes images in several ways at random while training (not supported there)",
     AUGMENT_ARGUMENTS, "", .lower = kpar_layer_random_other, .images = true},
    {"AugMix", "mixes changed images at random while training (not supported there)", AUGMENT_ARGUMENTS, "",
     .lower = kpar_layer_random_other, .images = true},
    {"MixUp", "mixes images of the batch at random while training (not supported there)", AUGMENT_ARGUMENTS,
     "", .lower = kpar_layer_random_other, .images = true},
    {"CutMix", "puts parts of images into others at random while training (not supported there)",
     AUGMENT_ARGUMENTS, "", .lower = kpar_layer_random_other, .images = true},
    {"CategoryEncoding", "numbers of categories as vectors", "num_tokens output_mode", "sparse=false",
     .lower = kpar_layer_category_encoding, .call_arguments = "count_weights"},
    {"Discretization", "the number of the interval between given bounds",
     "bin_boundaries num_bins epsilon output_mode", "sparse=false", .lower = kpar_layer_discretization},
    {"IntegerLookup", "places in a vocabulary of whole numbers",
     "vocabulary vocabulary_size num_oov_indices oov_token mask_token output_mode max_tokens "
     "vocabulary_dtype "
     "pad_to_max_tokens oov_method",
     "sparse=false invert=false", .lower = kpar_layer_integer_lookup},
    {"ZeroPadding1D", "zeros around", "padding", "", .lower = kpar_layer_zero_padding, .images = true},
    {"Cropping1D", "without its margins", "cropping", "", .lower = kpar_layer_cropping, .images = true},
    {"GlobalAveragePooling1D", "mean over the spatial dimensions", "keepdims", "",
     .lower = kpar_layer_global_average_pooling, .images = true, .call_arguments = "mask"},
    {"GlobalMaxPooling1D", "largest over the spatial dimensions", "keepdims", "",
     .lower = kpar_layer_global_max_pooling, .images = true},
    {"ZeroPadding2D", "zeros around", "padding", "", .lower = kpar_layer_zero_padding, .images = true},
    {"Cropping2D", "without its margins", "cropping", "", .lower = kpar_layer_cropping, .images = true},
    {"GlobalAveragePooling2D", "mean over the spatial dimensions", "keepdims", "",
     .lower = kpar_layer_global_average_pooling, .images = true},
    {"GlobalMaxPooling2D", "largest over the spatial dimensions", "keepdims", "",
     .lower = kpar_layer_global_max_pooling, .images = true},
    {"ZeroPadding3D", "zeros around", "padding", "", .lower = kpar_layer_zero_padding, .images = true},
    {"Cropping3D", "without its margins", "cropping", "", .lower = kpar_layer_cropping, .images = true},
    {"GlobalAveragePooling3D", "mean over the spatial dimensions", "keepdims", "",
     .lower = kpar_layer_global_average_pooling, .images = true},
    {"GlobalMaxPooling3D", "largest over the spatial dimensions", "keepdims", "",
     .lower = kpar_layer_global_max_pooling, .images = true},
    {"Embedding", "rows of a table by their numbers", "input_dim output_dim mask_zero embeddings_initializer",
     "", .lower = kpar_layer_embedding, .mask = kpar_mask_embedding},
    {"ReversibleEmbedding", "rows of a table by their numbers, or products with all rows",
     "input_dim output_dim mask_zero embeddings_initializer tie_weights logit_soft_cap", "",
     .lower = kpar_layer_reversible_embedding, .mask = kpar_mask_reversible_embedding,
     .call_arguments = "reverse"},
    {"Masking", "steps whose features all have a value count for nothing", "mask_value", "",
     .lower = kpar_layer_masking, .mask = kpar_mask_masking},
    {"SimpleRNN", "activation of products with input and state, step by step",
     RECURRENT_ARGUMENTS " " CELL_ARGUMENTS, "", .lower = kpar_layer_recurrent, .mask = kpar_mask_recurrent,
     .parts = "cell=simple_rnn_cell", .call_arguments = "mask initial_state"},
    {"LSTM", "long short-term memory, step by step",
     RECURRENT_ARGUMENTS " " CELL_ARGUMENTS " recurrent_activation unit_forget_bias", "",
     .lower = kpar_layer_recurrent, .mask = kpar_mask_recurrent, .parts = "cell=lstm_cell",
     .call_arguments = "mask initial_state"},
    {"GRU", "gated recurrent unit, step by step",
     RECURRENT_ARGUMENTS " " CELL_ARGUMENTS " recurrent_activation reset_after", "",
     .lower = kpar_layer_recurrent, .mask = kpar_mask_recurrent, .parts = "cell=gru_cell",
     .call_arguments = "mask initial_state"},
    {"RNN", "a cell, or several above each other, step by step", RECURRENT_ARGUMENTS " cell", "",
     .lower = kpar_layer_recurrent, .mask = kpar_mask_recurrent, .inner = "cell=cell",
     .call_arguments = "mask initial_state"},
    {"ConvLSTM1D", "LSTM with convolutions for products",
     RECURRENT_ARGUMENTS " data_format " CONV_CELL_ARGUMENTS, "", .lower = kpar_layer_recurrent,
     .mask = kpar_mask_recurrent, .parts = "cell=conv_lstm_cell", .call_arguments = "mask initial_state"},
    {"ConvLSTM2D", "LSTM with convolutions for products",
     RECURRENT_ARGUMENTS " data_format " CONV_CELL_ARGUMENTS, "", .lower = kpar_layer_recurrent,
     .mask = kpar_mask_recurrent, .parts = "cell=conv_lstm_cell", .call_arguments = "mask initial_state"},
    {"ConvLSTM3D", "LSTM with convolutions for products",
     RECURRENT_ARGUMENTS " data_format " CONV_CELL_ARGUMENTS, "", .lower = kpar_layer_recurrent,
     .mask = kpar_mask_recurrent, .parts = "cell=conv_lstm_cell", .call_arguments = "mask initial_state"},
    {"StackedRNNCells", "cells of RNN above each other", "cells", "", .lower = kpar_layer_cell,
     .inner = "cells=cells"},
    {"SimpleRNNCell", "a step of SimpleRNN", CELL_ARGUMENTS, "", .lower = kpar_layer_cell},
    {"LSTMCell", "a step of LSTM", CELL_ARGUMENTS " recurrent_activation unit_forget_bias", "",
     .lower = kpar_layer_cell},
    {"GRUCell", "a step of GRU", CELL_ARGUMENTS " recurrent_activation reset_after", "",
     .lower = kpar_layer_cell},
    {"Bidirectional", "a recurrent layer in both directions of time", "layer backward_layer merge_mode", "",
     .lower = kpar_layer_bidirectional, .mask = kpar_mask_bidirectional,
     .inner = "layer=forward_layer backward_layer=backward_layer", .call_arguments = "mask initial_state"},
    {"TimeDistributed", "a layer for each step", "layer", "", .lower = kpar_layer_time_distributed,
     .mask = kpar_mask_time_distributed, .inner = "layer=layer", .call_arguments = "mask"},
    {"SpectralNormalization", "a layer whose kernel is divided by its largest singular value",
     "layer power_iterations", "", .lower = kpar_layer_spectral_normalization,
     .mask = kpar_mask_spectral_normalization, .inner = "layer=layer"},
    {"Attention", "attention of query to key and value in one head", "use_scale score_mode dropout seed", "",
     .lower = kpar_layer_attention, .mask = kpar_mask_first,
     .call_arguments = "mask use_causal_mask return_attention_scores"},
    {"AdditiveAttention", "attention by sums of query and key", "use_scale dropout seed", "",
     .lower = kpar_layer_additive_attention, .mask = kpar_mask_first,
     .call_arguments = "mask use_causal_mask return_attention_scores"},
    {"MultiHeadAttention", "attention of query to key and value in several heads",
     "num_heads key_dim value_dim output_shape attention_axes " HEADS_ARGUMENTS, "",
     .lower = kpar_layer_multi_head_attention, .mask = kpar_mask_multi_head_attention,
     .parts = "query_dense=query key_dense=key _gate_dense=gate?use_gate value_dense=value "
              "output_dense=attention_output _softmax=softmax _dropout_layer=dropout",
     .parts_penalized = true, .positions = "query value key", .call_arguments = HEADS_CALL_ARGUMENTS},
    {"GroupQueryAttention", "attention in several heads, of which some share keys and values",
     "head_dim num_query_heads num_key_value_heads " HEADS_ARGUMENTS, "",
     .lower = kpar_layer_group_query_attention, .mask = kpar_mask_first,
     .parts = "_query_dense=query _key_dense=key _gate_dense=gate?use_gate _value_dense=value "
              "_output_dense=attention_output _softmax=softmax _dropout_layer=dropout",
     .positions = "query value key", .call_arguments = HEADS_CALL_ARGUMENTS},
    {"Rescaling", "scale and offset", "scale offset", "", .lower = kpar_layer_rescaling,
     .mask = kpar_mask_first},
    {"Add", "sum of its inputs", "", "", .lower = kpar_layer_add, .mask = kpar_mask_either},
    {"Subtract", "first input minus the second", "", "", .lower = kpar_layer_subtract,
     .mask = kpar_mask_either},
    {"Multiply", "product of its inputs", "", "", .lower = kpar_layer_multiply, .mask = kpar_mask_either},
    {"Average", "mean of its inputs", "", "", .lower = kpar_layer_average, .mask = kpar_mask_either},
    {"Maximum", "largest of its inputs", "", "", .lower = kpar_layer_maximum, .mask = kpar_mask_either},
    {"Minimum", "smallest of its inputs", "", "", .lower = kpar_layer_minimum, .mask = kpar_mask_either},
    {"Dot", "scalar products along a dimension of two inputs", "axes normalize", "", .lower = kpar_layer_dot},
    {"Concatenate", "its inputs side by side", "axis", "", .lower = kpar_layer_concatenate,
     .mask = kpar_mask_concatenate},
    {"BatchNormalization", "mean 0 and variance 1 over the batch, then scale and offset",
     "axis momentum epsilon center scale beta_initializer gamma_initializer moving_mean_initializer "
     "moving_variance_initializer synchronized",
     "renorm_momentum=0.99", .lower = kpar_layer_batch_normalization, .mask = kpar_mask_first,
     .mixes_rows = true, .call_arguments = "mask"},
    {"LayerNormalization", "mean 0 and variance 1 within a sample, then scale and offset",
     "axis epsilon center scale beta_initializer gamma_initializer", "",
     .lower = kpar_layer_layer_normalization, .mask = kpar_mask_first},
    {"GroupNormalization", "mean 0 and variance 1 within groups of channels, then scale and offset",
     "groups axis epsilon center scale beta_initializer gamma_initializer", "",
     .lower = kpar_layer_group_normalization, .mask = kpar_mask_first},
    {"RMSNormalization", "root mean square 1 within a sample, then scale", "axis epsilon", "",
     .lower = kpar_layer_rms_normalization},
    {"UnitNormalization", "length 1", "axis", "", .lower = kpar_layer_unit_normalization,
     .mask = kpar_mask_first},
    {"Conv1D", "convolution, bias, activation", CONV_ARGUMENTS " filters groups kernel_initializer", "",
     .lower = kpar_layer_conv_1d, .images = true},
    {"Conv2D", "convolution, bias, activation", CONV_ARGUMENTS " filters groups kernel_initializer", "",
     .lower = kpar_layer_conv_2d, .images = true},
    {"Conv3D", "convolution, bias, activation", CONV_ARGUMENTS " filters groups kernel_initializer", "",
     .lower = kpar_layer_conv_3d, .images = true},
    {"Conv1DTranspose", "transposed convolution, bias, activation",
     CONV_ARGUMENTS " filters output_padding kernel_initializer", "", .lower = kpar_layer_conv_1d_transpose,
     .images = true},
    {"Conv2DTranspose", "transposed convolution, bias, activation",
     CONV_ARGUMENTS " filters output_padding kernel_initializer", "", .lower = kpar_layer_conv_2d_transpose,
     .images = true},
    {"Conv3DTranspose", "transposed convolution, bias, activation",
     CONV_ARGUMENTS " filters output_padding kernel_initializer", "", .lower = kpar_layer_conv_3d_transpose,
     .images = true},
    {"DepthwiseConv1D", "convolution of each channel by itself, bias, activation",
     CONV_ARGUMENTS " depth_multiplier depthwise_initializer", "", .lower = kpar_layer_depthwise_conv_1d,
     .images = true},
    {"DepthwiseConv2D", "convolution of each channel by itself, bias, activation",
     CONV_ARGUMENTS " depth_multiplier depthwise_initializer", "", .lower = kpar_layer_depthwise_conv_2d,
     .images = true},
    {"SeparableConv1D", "convolution of each channel, then across channels, bias, activation",
     CONV_ARGUMENTS " filters depth_multiplier depthwise_initializer pointwise_initializer", "",
     .lower = kpar_layer_separable_conv_1d, .images = true},
    {"SeparableConv2D", "convolution of each channel, then across channels, bias, activation",
     CONV_ARGUMENTS " filters depth_multiplier depthwise_initializer pointwise_initializer", "",
     .lower = kpar_layer_separable_conv_2d, .images = true},
    {"MaxPooling1D", "largest element of each window", "pool_size strides padding", "",
     .lower = kpar_layer_max_pooling_1d, .images = true},
    {"MaxPooling2D", "largest element of each window", "pool_size strides padding", "",
     .lower = kpar_layer_max_pooling_2d, .images = true},
    {"MaxPooling3D", "largest element of each window", "pool_size strides padding", "",
     .lower = kpar_layer_max_pooling_3d, .images = true},
    {"AveragePooling1D", "mean of each window", "pool_size strides padding", "",
     .lower = kpar_layer_average_pooling_1d, .images = true},
    {"AveragePooling2D", "mean of each window", "pool_size strides padding", "",
     .lower = kpar_layer_average_pooling_2d, .images = true},
    {"AveragePooling3D", "mean of each window", "pool_size strides padding", "",
     .lower = kpar_layer_average_pooling_3d, .images = true},
    {"AdaptiveAveragePooling1D", "mean of each of a number of windows", "output_size", "",
     .lower = kpar_layer_adaptive_average_pooling, .images = true},
    {"AdaptiveAveragePooling2D", "mean of each of a number of windows", "output_size", "",
     .lower = kpar_layer_adaptive_average_pooling, .images = true},
    {"AdaptiveAveragePooling3D", "mean of each of a number of windows", "output_size", "",
     .lower = kpar_layer_adaptive_average_pooling, .images = true},
    {"AdaptiveMaxPooling1D", "largest element of each of a number of windows", "output_size", "",
     .lower = kpar_layer_adaptive_max_pooling, .images = true},
    {"AdaptiveMaxPooling2D", "largest element of each of a number of windows", "output_size", "",
     .lower = kpar_layer_adaptive_max_pooling, .images = true},
    {"AdaptiveMaxPooling3D", "largest element of each of a number of windows", "output_size", "",
     .lower = kpar_layer_adaptive_max_pooling, .images = true},
    {"EinsumDense", "sums of products with a kernel by an equation, bias, activation",
     "equation output_shape activation bias_axes kernel_initializer bias_initializer", "",
     .lower = kpar_layer_einsum_dense},
};

const kpar_layer_row *kpar_layer_rows(int *n)
{
    *n = (int)(sizeof rows / sizeof rows[0]);
    return rows;
}

const char *kpar_layer_positions(const kpar_layer_row *row)
{
    return row && row->positions ? row->positions : "inputs";
}

bool kpar_layer_part(kpar_arena *arena, const kpar_layer *layer, int i, const char **group, const char **name)
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

const kpar_layer_row *kpar_layer_row_find(const char *class_name, bool is_operation)
{
    const int n = sizeof rows / sizeof rows[0];
    if (is_operation) return kpar_operation_row_find(class_name);
    for (int i = 0; i < n; i++)
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
    const char *all =
        kpar_arena_printf(arena, "name trainable dtype %s%s%s", row->parts ? "" : "activity_regularizer ",
                          row->images ? "data_format " : "", row->arguments);
    for (const char *word = row->arguments; *word; word += strspn(word, " ")) {
        const size_t length = strcspn(word, " ");
        const char *regularizer = kpar_layer_companion(arena, word, length, "regularizer");
        const char *constraint = kpar_layer_companion(arena, word, length, "constraint");
        if (regularizer) all = kpar_arena_printf(arena, "%s %s %s", all, regularizer, constraint);
        word += length;
    }
    return all;
}
