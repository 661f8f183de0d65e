/* The table of layers. */
#include "model/lower_internal.h"

#include <string.h>

static const kpar_layer_row rows[] = {
    {"InputLayer", "an input of the model", "batch_shape", "sparse=false ragged=false optional=false",
     kpar_layer_input},
    {"Dense", "matrix product over the last dimension, bias, activation",
     "units activation use_bias kernel_initializer bias_initializer", "", kpar_layer_dense},
    {"Activation", "an activation by name", "activation", "", kpar_layer_activation},
    {"ReLU", "relu with maximum, slope below and threshold", "max_value negative_slope threshold", "",
     kpar_layer_relu},
    {"LeakyReLU", "relu with a slope below 0", "negative_slope alpha", "", kpar_layer_leaky_relu},
    {"PReLU", "relu with slopes below 0 that are trained", "alpha_initializer shared_axes", "",
     kpar_layer_p_re_lu},
    {"ELU", "x, or alpha (exp(x) - 1) below 0", "alpha", "", kpar_layer_elu},
    {"Softmax", "softmax over the last dimension", "axis", "", kpar_layer_softmax},
    {"Dropout", "zeroes a share of its input while training", "rate seed", "", kpar_layer_dropout},
    {"Identity", "its input", "", "", kpar_layer_identity},
    {"Flatten", "one dimension of all but the batch", "", "data_format=\"channels_last\"",
     kpar_layer_flatten},
    {"Reshape", "another shape for each sample", "target_shape", "", kpar_layer_reshape},
    {"Permute", "dimensions in another order", "dims", "", kpar_layer_permute},
    {"RepeatVector", "its input n times", "n", "", kpar_layer_repeat_vector},
    {"Normalization", "mean 0 and variance 1 by given statistics", "axis mean variance", "",
     kpar_layer_normalization},
    {"UpSampling1D", "each step several times", "size", "", kpar_layer_up_sampling},
    {"UpSampling2D", "each pixel several times, or between them", "size interpolation",
     "data_format=\"channels_last\"", kpar_layer_up_sampling},
    {"UpSampling3D", "each voxel several times", "size", "data_format=\"channels_last\"",
     kpar_layer_up_sampling},
    {"ZeroPadding1D", "zeros around", "padding", "data_format=\"channels_last\"", kpar_layer_zero_padding},
    {"Cropping1D", "without its margins", "cropping", "data_format=\"channels_last\"", kpar_layer_cropping},
    {"GlobalAveragePooling1D", "mean over the spatial dimensions", "keepdims",
     "data_format=\"channels_last\"", kpar_layer_global_average_pooling},
    {"GlobalMaxPooling1D", "largest over the spatial dimensions", "keepdims", "data_format=\"channels_last\"",
     kpar_layer_global_max_pooling},
    {"ZeroPadding2D", "zeros around", "padding", "data_format=\"channels_last\"", kpar_layer_zero_padding},
    {"Cropping2D", "without its margins", "cropping", "data_format=\"channels_last\"", kpar_layer_cropping},
    {"GlobalAveragePooling2D", "mean over the spatial dimensions", "keepdims",
     "data_format=\"channels_last\"", kpar_layer_global_average_pooling},
    {"GlobalMaxPooling2D", "largest over the spatial dimensions", "keepdims", "data_format=\"channels_last\"",
     kpar_layer_global_max_pooling},
    {"ZeroPadding3D", "zeros around", "padding", "data_format=\"channels_last\"", kpar_layer_zero_padding},
    {"Cropping3D", "without its margins", "cropping", "data_format=\"channels_last\"", kpar_layer_cropping},
    {"GlobalAveragePooling3D", "mean over the spatial dimensions", "keepdims",
     "data_format=\"channels_last\"", kpar_layer_global_average_pooling},
    {"GlobalMaxPooling3D", "largest over the spatial dimensions", "keepdims", "data_format=\"channels_last\"",
     kpar_layer_global_max_pooling},
    {"Rescaling", "scale and offset", "scale offset", "", kpar_layer_rescaling},
    {"Add", "sum of its inputs", "", "", kpar_layer_add},
    {"Subtract", "first input minus the second", "", "", kpar_layer_subtract},
    {"Multiply", "product of its inputs", "", "", kpar_layer_multiply},
    {"Average", "mean of its inputs", "", "", kpar_layer_average},
    {"Maximum", "largest of its inputs", "", "", kpar_layer_maximum},
    {"Minimum", "smallest of its inputs", "", "", kpar_layer_minimum},
    {"Dot", "scalar products along a dimension of two inputs", "axes", "", kpar_layer_dot},
    {"Concatenate", "its inputs side by side", "axis", "", kpar_layer_concatenate},
    {"BatchNormalization", "mean 0 and variance 1 over the batch, then scale and offset",
     "axis momentum epsilon center scale beta_initializer gamma_initializer moving_mean_initializer "
     "moving_variance_initializer synchronized",
     "renorm_momentum=0.99", kpar_layer_batch_normalization},
    {"LayerNormalization", "mean 0 and variance 1 within a sample, then scale and offset",
     "axis epsilon center scale beta_initializer gamma_initializer", "", kpar_layer_layer_normalization},
    {"GroupNormalization", "mean 0 and variance 1 within groups of channels, then scale and offset",
     "groups axis epsilon center scale beta_initializer gamma_initializer", "",
     kpar_layer_group_normalization},
    {"RMSNormalization", "root mean square 1 within a sample, then scale", "axis epsilon", "",
     kpar_layer_rms_normalization},
    {"UnitNormalization", "length 1", "axis", "", kpar_layer_unit_normalization},
};

const kpar_layer_row *kpar_layer_rows(int *n)
{
    *n = (int)(sizeof rows / sizeof rows[0]);
    return rows;
}

const kpar_layer_row *kpar_layer_row_find(const char *class_name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].class_name, class_name) == 0) return &rows[i];
    return NULL;
}
