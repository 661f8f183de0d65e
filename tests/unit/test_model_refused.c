/* What lowering refuses, and how it says so. */
#include "model_fixture.h"

#define ADAM_OBJECT "{\"class_name\": \"Adam\", \"config\": {}}"
#define MULTI(other, by_pattern)                                                                             \
    "\"optimizer\": {\"class_name\": \"MultiOptimizer\", \"config\": {\"optimizer_map\": {\"class_name\": "  \
    "\"OptimizerMap\", \"config\": {\"default_optimizer\": " other ", \"optimizer_map\": {" by_pattern       \
    "}}}}}"

#define ONE_DENSE(config) "{\"layers\": [" INPUT("2") LAYER("Dense", config, "0") "], \"outputs\": [1], "
#define ONE_OF(shape, name, config)                                                                          \
    "{\"layers\": [" INPUT(shape)                                                                            \
        LAYER(name, config, "0") "], \"outputs\": [1], \"losses\": [\"mse\"], " ADAM "}"
/* A metric of the output of PLAIN. */
#define METRIC(loss, name, config)                                                                           \
    PLAIN "\"losses\": [\"" loss "\"], \"metrics\": [[{\"class_name\": \"" name "\", \"config\": {" config   \
          "}}]], " ADAM "}"
#define PLAIN ONE_DENSE("{\"units\": 2}")
/* A loss, and a metric, of a number for each row. */
#define NUMBERS(loss, metrics)                                                                               \
    "{\"layers\": [{\"class_name\": \"InputLayer\", \"config\": {\"batch_shape\": [null], \"name\": "        \
    "\"in\"}}]"                                                                                              \
    ", \"outputs\": [0], \"losses\": [" loss "], \"metrics\": [" metrics "], " ADAM "}"
/* A metric of an output of rows of this shape. */
#define ONE_OF_SHAPE(shape, name, config)                                                                    \
    "{\"layers\": [" INPUT(                                                                                  \
        shape) "], \"outputs\": [0], \"losses\": [\"mse\"], \"metrics\": [[{\"class_name\": \"" name         \
               "\", \"config\": {" config "}}]], " ADAM "}"
/* Metrics of the second of two outputs, which has no loss. */
#define WITHOUT_LOSS(metrics)                                                                                \
    "{\"layers\": [" INPUT("2") LAYER("Dense", "{\"units\": 2}", "0")                                        \
        LAYER("Dense", "{\"units\": 3}",                                                                     \
              "0") "], \"outputs\": [1, 2], \"losses\": [\"mse\", null], \"metrics\": [null, " metrics       \
                   "], " ADAM "}"
#define WITHIN(name, config)                                                                                 \
    ", {\"class_name\": \"" name "\", \"config\": " config ", \"argument\": \"layer\"}"
#define SPECTRAL(shape, name, config, more)                                                                  \
    "{\"layers\": [" INPUT(shape) LAYER("SpectralNormalization", "{}", "0") WITHIN(name, config) more        \
        "], \"outputs\": [1], \"losses\": [\"mse\"], " ADAM "}"

START_TEST(what_is_not_supported_is_named_with_file_layer_and_argument)
{
    static const struct {
        const char *text, *words;
        kpar_status status;
    } cases[] = {
        {ONE_DENSE("{\"units\": 2, \"kernel_regularizer\": {\"class_name\": \"L3\"}}") "\"losses\": "
                                                                                       "[\"mse\"], " ADAM "}",
         "m.keras|layer_1|kernel|L3|L1, L2", KPAR_EUNSUPPORTED},
        {ONE_DENSE("{\"units\": 2, \"bias_constraint\": {\"class_name\": \"Cap\"}}") "\"losses\": "
                                                                                     "[\"mse\"], " ADAM "}",
         "m.keras|layer_1|bias|Cap|NonNeg, MaxNorm", KPAR_EUNSUPPORTED},
        {ONE_DENSE("{\"units\": 2, \"gamma_regularizer\": {\"class_name\": \"L2\"}}") "\"losses\": "
                                                                                      "[\"mse\"], " ADAM "}",
         "m.keras|layer_1|Dense|gamma_regularizer", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("3, 2") LAYER("Dense", "{\"units\": 2}", "0")
             LAYER("Masking", "{}", "1") "]"
                                         ", \"outputs\": [2], \"losses\": [\"mse\"], " ADAM "}",
         "m.keras|layer_2|mask|depends on weights", KPAR_EUNSUPPORTED},
        {ONE_OF("3, 2", "LSTM", "{\"units\": 2, \"stateful\": true}"), "m.keras|layer_1|stateful",
         KPAR_EUNSUPPORTED},
        {ONE_OF("3, 2", "GRU", "{\"units\": 2, \"activation\": \"softmax\"}"), "layer_1|activation|softmax",
         KPAR_EUNSUPPORTED},
        {ONE_OF("3, 2", "SimpleRNN", "{\"units\": 0}"), "layer_1|units", KPAR_EFORMAT},
        {ONE_OF("3", "SimpleRNN", "{\"units\": 2}"), "layer_1|(batch, 3)|time", KPAR_EUNSUPPORTED},
        {ONE_OF("3, 4, 2", "LSTM", "{\"units\": 2}"), "layer_1|4 dimensions, expected 3", KPAR_EUNSUPPORTED},
        {ONE_OF("3, 4, 2", "ConvLSTM1D", "{\"filters\": 2, \"kernel_size\": 5}"),
         "layer_1|smaller than its kernel", KPAR_EFORMAT},
        {ONE_OF("3, 2, 4", "ConvLSTM1D", "{\"filters\": 2, \"kernel_size\": 1, \"data_format\": \"first\"}"),
         "layer_1|data_format|channels_first", KPAR_EFORMAT},
        {ONE_OF("3, 2", "LSTMCell", "{\"units\": 2}"), "layer_1|LSTMCell|RNN", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("3, 2") LAYER("Masking", "{}", "0")
             LAYER("BatchNormalization", "{\"axis\": 1}",
                   "1") "], \"outputs\": [2], \"losses\": [\"mse\"], " ADAM "}",
         "m.keras|layer_2|mask", KPAR_EUNSUPPORTED},
        {ONE_DENSE("{\"units\": 2, \"dtype\": \"mixed_float16\"}") "\"losses\": [\"mse\"], " ADAM "}",
         "m.keras|layer_1|dtype|mixed_float16", KPAR_EUNSUPPORTED},
        {ONE_DENSE("{\"units\": 2, \"activation\": \"sparsemax\"}") "\"losses\": [\"mse\"], " ADAM "}",
         "layer_1|sparsemax|relu, relu6", KPAR_EUNSUPPORTED},
        {ONE_DENSE("{\"units\": 0}") "\"losses\": [\"mse\"], " ADAM "}", "layer_1|units", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("2") LAYER("Quux", "{\"name\": \"q\"}", "0") "], \"outputs\": [1]}",
         "m.keras|'q'|Quux|Dense", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("null") "], \"outputs\": [0]}", "m.keras|'in'|batch_shape|dimension 1",
         KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("6")
             LAYER("Reshape", "{\"target_shape\": [4, -1]}", "0") "], \"outputs\": [1]}",
         "layer_1|target_shape|6", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6")
             LAYER("Dropout", "{\"noise_shape\": [1, 6]}", "0") "], \"outputs\": [1]}",
         "layer_1|noise_shape", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("2, 3") LAYER("Softmax", "{\"axis\": 3}", "0") "], \"outputs\": [1]}",
         "layer_1|axis", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("2, 3")
             LAYER("EinsumDense", "{\"equation\": \"abc,cde->abd\", \"output_shape\": 3}",
                   "0") "], \"outputs\": [1]}",
         "layer_1|EinsumDense|equation|abc,cde->abd", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("2, 3") LAYER(
             "EinsumDense", "{\"equation\": \"ab,bc->ac\", \"output_shape\": 3}", "0") "], \"outputs\": [1]}",
         "layer_1|EinsumDense|ab,bc->ac|3 dimensions", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("2, 3")
             LAYER("EinsumDense", "{\"equation\": \"...b,bc->...c\", \"output_shape\": null}",
                   "0") "], \"outputs\": [1]}",
         "layer_1|EinsumDense|output_shape|'c'", KPAR_EFORMAT},
        {ONE_OF("3", "Discretization", "{\"num_bins\": 4}"), "layer_1|bin_boundaries|adapt",
         KPAR_EUNSUPPORTED},
        {ONE_OF("3", "CategoryEncoding", "{\"num_tokens\": 4, \"output_mode\": \"tf_idf\"}"),
         "layer_1|output_mode|tf_idf|multi_hot", KPAR_EUNSUPPORTED},
        {ONE_OF("3, 2", "CategoryEncoding", "{\"num_tokens\": 4}"), "layer_1|(batch, numbers)",
         KPAR_EUNSUPPORTED},
        {ONE_OF("3", "IntegerLookup", "{\"vocabulary\": null}"), "layer_1|vocabulary|beside the config",
         KPAR_EUNSUPPORTED},
        {ONE_OF("3", "IntegerLookup",
                "{\"vocabulary\": [1, 2], \"num_oov_indices\": 2, \"oov_method\": \"farmhash\"}"),
         "layer_1|oov_method|farmhash|floormod", KPAR_EUNSUPPORTED},
        {ONE_OF("3", "Normalization", "{\"axis\": [1], \"mean\": [[1, 2, 3]], \"variance\": [[1, 1, 1]]}"),
         "layer_1|axis|(1, 3)", KPAR_EFORMAT},
        {ONE_OF("6", "GroupNormalization", "{\"groups\": 4}"), "layer_1|6 channels|4 groups",
         KPAR_EUNSUPPORTED},
        {ONE_OF("3", "Dense", "{\"units\": 2, \"activation\": {\"class_name\": \"PReLU\", \"config\": {}}}"),
         "layer_1|PReLU|relu, relu6", KPAR_EUNSUPPORTED},
        {ONE_OF("3", "Hashing", "{\"num_bins\": 4}"), "layer_1|Hashing|not supported|IntegerLookup",
         KPAR_EUNSUPPORTED},
        {ONE_OF("4, 4, 1", "Resizing", "{\"height\": 2, \"width\": 2, \"interpolation\": \"area\"}"),
         "layer_1|interpolation|area|lanczos3", KPAR_EUNSUPPORTED},
        {ONE_OF("2, 2, 1", "RandomBrightness", "{\"factor\": 1}"), "layer_1|factor|two numbers",
         KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("4") ", " INPUT("4")
             LAYER("Dot", "{\"axes\": 2}", "0, 1") "], \"outputs\": [2]}",
         "layer_2|axis|rank 2", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("4, 3")
             LAYER("AdaptiveMaxPooling1D", "{\"output_size\": [5]}", "0") "], \"outputs\": [1]}",
         "layer_1|AdaptiveMaxPooling1D|output_size|larger", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("4, 3")
             LAYER("GaussianNoise", "{\"stddev\": -1}", "0") "], \"outputs\": [1]}",
         "layer_1|GaussianNoise|stddev|-1", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("4, 3")
             LAYER("Normalization", "{\"axis\": -1, \"mean\": [1, 2], \"variance\": [1, 2]}",
                   "0") "], \"outputs\": [1]}",
         "layer_1|Normalization|fit (1, 1, 3)|shape (2)", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("2") LAYER("Reshape", "{\"target_shape\": [3]}", "0") "], \"outputs\": [1]}",
         "layer_1|target_shape", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("2") LAYER("Reshape", "{\"target_shape\": [2, 1]}", "0")
             LAYER("Add", "{}", "0, 1") "], \"outputs\": [2]}",
         "layer_2|Add|dimensions", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("2") LAYER("Add", "{}", "0") "], \"outputs\": [1]}", "layer_1|two or more",
         KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 6, 3")
             LAYER("Conv2D", "{\"filters\": 2, \"kernel_size\": 3, \"data_format\": \"sideways\"}",
                   "0") "], \"outputs\": [1]}",
         "layer_1|Conv2D|data_format|sideways", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 3") LAYER(
             "Conv1DTranspose", "{\"filters\": 2, \"kernel_size\": 3, \"strides\": 2, \"output_padding\": 2}",
             "0") "], \"outputs\": [1]}",
         "layer_1|Conv1DTranspose|output_padding|below the stride", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 3")
             LAYER("Conv2D", "{\"filters\": 2, \"kernel_size\": 3}", "0") "], \"outputs\": [1]}",
         "layer_1|Conv2D|rank 4", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("6, 3")
             LAYER("Conv1D", "{\"filters\": 2, \"kernel_size\": [3, 3]}", "0") "], \"outputs\": [1]}",
         "layer_1|Conv1D|kernel_size|list of 1", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 3") LAYER("Conv1D", "{\"filters\": 4, \"kernel_size\": 3, \"groups\": 2}",
                                              "0") "], \"outputs\": [1]}",
         "layer_1|groups|2 does not divide 3 channels", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 3")
             LAYER("Conv1D", "{\"filters\": 4, \"kernel_size\": 7}", "0") "], \"outputs\": [1]}",
         "layer_1|(batch, 6, 3)|larger than the images", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("6, 3")
             LAYER("MaxPooling1D", "{\"padding\": \"full\"}", "0") "], \"outputs\": [1]}",
         "layer_1|padding|full", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("6, 4")
             LAYER("MultiHeadAttention", "{\"num_heads\": 0, \"key_dim\": 2}", "0, 0") "], \"outputs\": [1]}",
         "layer_1|MultiHeadAttention|positive numbers of heads", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 4")
             LAYER("MultiHeadAttention", "{\"num_heads\": 2, \"key_dim\": 2, \"attention_axes\": [1, 2]}",
                   "0, 0") "], \"outputs\": [1]}",
         "layer_1|attention_axes|before the features", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 3, 4")
             LAYER("MultiHeadAttention",
                   "{\"num_heads\": 2, \"key_dim\": 2, \"attention_axes\": [2], \"sliding_window\": 2}",
                   "0, 0") "], \"outputs\": [1]}",
         "layer_1|sliding_window|attention_axes [1]", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("1, 1, 1, 1, 1, 1, 4")
             LAYER("MultiHeadAttention", "{\"num_heads\": 2, \"key_dim\": 2}", "0, 0") "], \"outputs\": [1]}",
         "layer_1|one rank, 3 to 7", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT(
             "6, 4") ", {\"class_name\": \"MultiHeadAttention\", \"config\": {\"num_heads\": "
                     "2, \"key_dim\": 2}, \"from\": [0, 0], \"named\": "
                     "{\"attention_mask\": 0}}], \"outputs\": [1]}",
         "layer_1|attention_mask (batch, queries, keys)", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT(
             "6, 4") ", {\"class_name\": \"GroupQueryAttention\", \"config\": "
                     "{\"num_query_heads\": 2, \"num_key_value_heads\": 1, \"head_dim\": 2}, "
                     "\"from\": [0, 0], \"named\": {\"query_mask\": 0}}], \"outputs\": [1]}",
         "layer_1|masks (batch, steps)", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("6, 4") LAYER(
             "GroupQueryAttention", "{\"num_query_heads\": 3, \"num_key_value_heads\": 2, \"head_dim\": 2}",
             "0, 0") "], \"outputs\": "
                     "[1]}",
         "layer_1|GroupQueryAttention|multiple|3 and 2 heads", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 4")
             LAYER("Attention", "{\"score_mode\": \"cosine\"}", "0, 0") "], \"outputs\": [1]}",
         "layer_1|score_mode|cosine|concat", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 4")
             LAYER("AdditiveAttention", "{\"dropout\": 1.5}", "0, 0") "], \"outputs\": [1]}",
         "layer_1|dropout|1.5", KPAR_EFORMAT},
        {"{\"layers\": [" INPUT("6, 4") LAYER("Attention", "{}", "0") "], \"outputs\": [1]}",
         "layer_1|query, value", KPAR_EUNSUPPORTED},
        {SPECTRAL("3", "Flatten", "{}", ""), "layer_1|SpectralNormalization|Flatten has no kernel",
         KPAR_EFORMAT},
        {SPECTRAL("3", "Dense", "{\"units\": 3}", ", {\"again\": 1, \"from\": [1]}"),
         "layer_1|more than once|training", KPAR_EUNSUPPORTED},
        {"{\"layers\": [{\"class_name\": \"InputLayer\", \"config\": {\"batch_shape\": [null, 3], \"dtype\": "
         "\"int32\"}}" LAYER("SpectralNormalization", "{}", "0")
             WITHIN("Embedding", "{\"input_dim\": 4, \"output_dim\": 2}") "], \"outputs\": [1]}",
         "layer_1|whole numbers", KPAR_EUNSUPPORTED},
        {PLAIN ADAM "}", "m.keras|not compiled with a loss", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"]}", "m.keras|not compiled with an optimizer", KPAR_EUNSUPPORTED},
        {ONE_DENSE("{\"units\": 2, \"kernel_regularizer\": \"l2\"}") "\"losses\": [{\"class_name\": "
                                                                     "\"MeanSquaredError\", \"config\": "
                                                                     "{\"reduction\": null}}], " ADAM "}",
         "m.keras|the reduction \"none\"|regularizers", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [{\"class_name\": \"Tversky\", \"config\": {\"axis\": [0, 2]}}], " ADAM "}",
         "m.keras|output 'layer_1'|Tversky|'axis' is 2|a dimension of a tensor of rank 2", KPAR_EUNSUPPORTED},
        {PLAIN
         "\"losses\": [{\"class_name\": \"Dice\", \"config\": {\"axis\": 0, \"reduction\": null}}], " ADAM
         "}",
         "m.keras|output 'layer_1'|Dice|reduction|over the batch", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"ctc\"], " ADAM "}",
         "m.keras|output 'layer_1' (CTC)|(batch, 2), expected (batch, steps, classes)", KPAR_EUNSUPPORTED},
        {PLAIN
         "\"losses\": [{\"class_name\": \"MeanSquaredError\", \"config\": {\"reduction\": \"most\"}}], " ADAM
         "}",
         "reduction|most|none, sum", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [{\"class_name\": \"SparseCategoricalCrossentropy\", \"config\": "
               "{\"ignore_class\": 0.5}}], " ADAM "}",
         "layer_1|ignore_class|a whole number, found 0.5", KPAR_EFORMAT},
        {NUMBERS("{\"class_name\": \"Huber\", \"config\": {\"reduction\": \"sum\"}}", "null"),
         "output 'in' (Huber)|shape (batch)|sum_over_batch_size", KPAR_EUNSUPPORTED},
        {NUMBERS("\"kl_divergence\"", "null"), "output 'in' (KLDivergence)|shape (batch)", KPAR_EUNSUPPORTED},
        {NUMBERS("\"mse\"", "[\"mae\"]"), "metric of output 'in'|shape (batch)", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [{\"class_name\": \"CategoricalGeneralizedCrossEntropy\", \"config\": "
               "{\"q\": 1}}], " ADAM "}",
         "layer_1|'q'|between 0 and 1, found 1", KPAR_EFORMAT},
        {PLAIN "\"losses\": [{\"class_name\": \"CategoricalCrossentropy\", \"config\": {\"axis\": 0}}], " ADAM
               "}",
         "axis", KPAR_EUNSUPPORTED},
        {METRIC("mse", "Sum", ""), "metric of output 'layer_1'|Sum|accuracy", KPAR_EUNSUPPORTED},
        {METRIC("mse", "MeanIoU", ""), "MeanIoU|num_classes|found 0", KPAR_EUNSUPPORTED},
        {METRIC("mse", "MeanIoU", "\"num_classes\": 3, \"axis\": 1"), "MeanIoU|axis -1|3 and 1",
         KPAR_EUNSUPPORTED},
        {METRIC("mse", "MeanIoU", "\"num_classes\": 3, \"sparse_y_true\": false"),
         "sparse_y_true and sparse_y_pred", KPAR_EUNSUPPORTED},
        {METRIC("sparse_categorical_crossentropy", "MeanIoU", "\"num_classes\": 3, \"sparse_y_true\": false"),
         "MeanIoU|takes class numbers", KPAR_EUNSUPPORTED},
        {METRIC("sparse_categorical_crossentropy", "OneHotMeanIoU", "\"num_classes\": 3"),
         "OneHotMeanIoU|class numbers", KPAR_EUNSUPPORTED},
        {METRIC("mse", "IoU", "\"num_classes\": 3"), "target_class_ids|missing", KPAR_EFORMAT},
        {METRIC("mse", "IoU", "\"num_classes\": 3, \"target_class_ids\": [3]"),
         "target_class_ids|from 0 to 2", KPAR_EFORMAT},
        {METRIC("mse", "BinaryIoU", "\"target_class_ids\": []"), "target_class_ids|a list", KPAR_EFORMAT},
        {METRIC("mse", "RecallAtPrecision", ""), "precision|from 0 to 1", KPAR_EFORMAT},
        {METRIC("mse", "PrecisionAtRecall", "\"recall\": 2"), "recall|is 2", KPAR_EFORMAT},
        {METRIC("mse", "Precision", "\"thresholds\": [0.2, 1.8]"), "thresholds|has 1.8", KPAR_EFORMAT},
        {METRIC("mse", "Recall", "\"thresholds\": [0.2, null]"), "thresholds|numbers", KPAR_EFORMAT},
        {METRIC("mse", "FalsePositives", "\"thresholds\": []"), "thresholds|empty", KPAR_EFORMAT},
        {METRIC("mse", "Precision", "\"top_k\": 65"), "top_k|is 65|1 to 64", KPAR_EUNSUPPORTED},
        {METRIC("mse", "F1Score", "\"average\": \"samples\""), "F1Score|average|samples|macro",
         KPAR_EUNSUPPORTED},
        {METRIC("mse", "R2Score", "\"class_aggregation\": \"sum\""), "class_aggregation|sum|uniform_average",
         KPAR_EUNSUPPORTED},
        {METRIC("mse", "R2Score", "\"num_regressors\": -1"), "num_regressors|is -1", KPAR_EFORMAT},
        {ONE_OF_SHAPE("3, 2", "R2Score", ""), "R2Score|(batch, values)", KPAR_EUNSUPPORTED},
        {METRIC("mse", "SensitivityAtSpecificity", "\"specificity\": 1, \"num_thresholds\": 0"),
         "num_thresholds|is 0", KPAR_EUNSUPPORTED},
        {METRIC("mse", "SpecificityAtSensitivity", "\"sensitivity\": 1, \"class_id\": 99"), "class_id|is 99",
         KPAR_EFORMAT},
        {METRIC("mse", "PearsonCorrelation", "\"axis\": 0"), "PearsonCorrelation|axis", KPAR_EUNSUPPORTED},
        {METRIC("mse", "AUC", "\"curve\": \"ROCK\""), "AUC|curve|ROCK|ROC, PR and PRGAIN", KPAR_EUNSUPPORTED},
        {METRIC("mse", "AUC", "\"summation_method\": \"simpson\""), "summation_method|simpson|minoring",
         KPAR_EUNSUPPORTED},
        {METRIC("mse", "AUC", "\"num_thresholds\": 1"), "num_thresholds|is 1", KPAR_EUNSUPPORTED},
        {METRIC("mse", "AUC", "\"multi_label\": true, \"num_labels\": 3"), "num_labels|is 3|2 labels",
         KPAR_EFORMAT},
        {METRIC("mse", "AUC", "\"label_weights\": [1, 2, 3]"), "label_weights|3 numbers|2 labels",
         KPAR_EFORMAT},
        {METRIC("mse", "AUC",
                "\"label_weights\": {\"class_name\": \"__tensor__\", \"config\": {\"value\": "
                "[1], \"dtype\": \"float32\"}}"),
         "label_weights|1 numbers|2 labels", KPAR_EFORMAT},
        {ONE_OF_SHAPE("3, 2", "AUC", "\"multi_label\": true"), "AUC|multi_label|(batch, labels)",
         KPAR_EUNSUPPORTED},
        {METRIC("mse", "MeanMetricWrapper", "\"fn\": \"luck\""), "'luck' is not supported",
         KPAR_EUNSUPPORTED},
        {METRIC("mse", "MeanMetricWrapper", "\"fn\": \"binary_accuracy\", \"k\": 2"), "BinaryAccuracy|k",
         KPAR_EUNSUPPORTED},
        {METRIC("mse", "Huber", ""), "'Huber' is not supported|MeanSquaredError", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("3, 2")
             LAYER("Masking", "{}", "0") "], \"outputs\": [1], \"losses\": [\"mse\"], "
                                         "\"metrics\": [[{\"module\": \"keras.losses\", \"class_name\": "
                                         "\"MeanSquaredError\", \"config\": {}}]], " ADAM "}",
         "MeanSquaredError|one value for the batch|mask", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], \"metrics\": [[{\"module\": \"keras.losses\", \"class_name\": "
               "\"SparseCategoricalCrossentropy\", \"config\": {}}]], " ADAM "}",
         "SparseCategoricalCrossentropy|class numbers", KPAR_EUNSUPPORTED},
        {WITHOUT_LOSS("[\"accuracy\"]"), "output 'layer_2'|no loss|sparse_categorical_accuracy",
         KPAR_EUNSUPPORTED},
        {WITHOUT_LOSS("[\"mae\", \"sparse_categorical_accuracy\"]"),
         "output 'layer_2'|MeanAbsoluteError|other metric", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], \"metrics\": [[\"sparse_categorical_accuracy\"]], " ADAM "}",
         "SparseCategoricalAccuracy|class numbers", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": \"downhill\"}", "optimizer|downhill|Adam",
         KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": {\"class_name\": \"Muon\", \"config\": "
               "{\"exclude_layers\": [\"(?=head)\"]}}}",
         "optimizer (Muon)|exclude_layers|pattern '(?=head)'", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": {\"class_name\": \"Muon\", \"config\": "
               "{\"exclude_layers\": \"head\"}}}",
         "optimizer (Muon)|exclude_layers|a list of strings", KPAR_EFORMAT},
        {PLAIN "\"losses\": [\"mse\"], " MULTI(ADAM_OBJECT, "\"layer_1/k.*\": " ADAM_OBJECT
                                                            ", \".*kernel\": " ADAM_OBJECT) "}",
         "optimizer (MultiOptimizer)|'layer_1/k.*' and '.*kernel' both fit|'layer_1/kernel'", KPAR_EFORMAT},
        {PLAIN
         "\"losses\": [\"mse\"], " MULTI("{\"class_name\": \"MultiOptimizer\", \"config\": {}}", "") "}",
         "member 1 (MultiOptimizer)|updates weights itself", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], " MULTI("\"downhill\"", "") "}", "member 1|downhill|Adam",
         KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": {\"class_name\": \"MultiOptimizer\", \"config\": "
               "{\"optimizer_map\": {\"class_name\": \"function\", \"config\": \"pick\"}}}}",
         "optimizer_map|an OptimizerMap|pick", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": \"multi_optimizer\"}", "optimizer_map|missing",
         KPAR_EFORMAT},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": {\"class_name\": \"Adam\", \"config\": "
               "{\"gradient_accumulation_steps\": -1}}}",
         "optimizer (Adam)|gradient_accumulation_steps|-1", KPAR_EFORMAT},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": {\"class_name\": \"Adam\", \"config\": {\"use_lion\": "
               "true}}}",
         "use_lion", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": {\"class_name\": \"SGD\", \"config\": "
               "{\"learning_rate\": {\"class_name\": "
               "\"NoSuchDecay\", \"config\": {}}}}}",
         "learning_rate|NoSuchDecay|ExponentialDecay", KPAR_EUNSUPPORTED},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": {\"class_name\": \"SGD\", \"config\": "
               "{\"learning_rate\": {\"class_name\": "
               "\"ExponentialDecay\", \"config\": {\"initial_learning_rate\": 1}}}}}",
         "learning_rate (ExponentialDecay)|decay_rate", KPAR_EFORMAT},
        {PLAIN "\"losses\": [\"mse\"], \"optimizer\": {\"class_name\": \"SGD\", \"config\": {\"momentum\": "
               "\"much\"}}}",
         "optimizer (SGD)|momentum", KPAR_EFORMAT},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_refused(cases[i].text, KPAR_MODE_TRAIN, cases[i].status, cases[i].words);
}
END_TEST

/* An operation on an input of this shape, and other arguments. */
#define TENSOR "{\"class_name\": \"__keras_tensor__\"}"
#define OPERATION(shape, name, config, args)                                                                 \
    "{\"layers\": [" INPUT(shape) ", {\"class_name\": \"" name "\", \"config\": " config                     \
                                  ", \"from\": [0], \"args\": [" TENSOR args "]}], \"outputs\": [1]}"

START_TEST(operations_that_are_not_supported_so_are_refused_with_their_reason)
{
    static const struct {
        const char *text, *words;
        kpar_status status;
    } cases[] = {
        {OPERATION("4", "Sum", "{\"axis\": null}", ""), "layer_1|Sum|the batch too", KPAR_EUNSUPPORTED},
        {OPERATION("4", "Max", "{\"axis\": 0}", ""), "axis|after the batch", KPAR_EUNSUPPORTED},
        {OPERATION("4", "Cast", "{\"dtype\": \"uint8\"}", ""), "dtype|uint8|int32", KPAR_EUNSUPPORTED},
        {OPERATION("4", "Add", "{}", ", \"word\""), "argument 2|a tensor or a number", KPAR_EUNSUPPORTED},
        {OPERATION("4", "Elu", "{}", ""), "alpha|a number", KPAR_EFORMAT},
        {OPERATION("3", "Glu", "{\"axis\": -1}", ""), "axis|3 is odd", KPAR_EFORMAT},
        {OPERATION("4", "Norm", "{\"axis\": 1, \"ord\": 0}", ""), "ord|positive", KPAR_EUNSUPPORTED},
        {OPERATION("4", "TopK", "{\"k\": 5}", ""), "5 elements|of 4", KPAR_EUNSUPPORTED},
        {OPERATION("99", "Sort", "{\"axis\": 1}", ""), "99 elements|up to 64", KPAR_EUNSUPPORTED},
        {OPERATION("4", "Flip", "{\"axis\": null}", ""), "axis|after the batch", KPAR_EUNSUPPORTED},
        {OPERATION("4", "Tile", "{\"repeats\": [2, 1]}", ""), "repeats|after the batch", KPAR_EUNSUPPORTED},
        {OPERATION("4", "Repeat", "{\"repeats\": [1, 2], \"axis\": 1}", ""), "repeats|each of 4",
         KPAR_EFORMAT},
        {OPERATION("4", "Pad", "{\"pad_width\": [[1, 1], [0, 0]]}", ""), "pad_width|zeros for the batch",
         KPAR_EUNSUPPORTED},
        {OPERATION("4", "Pad", "{\"pad_width\": [[0, 0], [1, 0]], \"mode\": \"maximum\"}", ""),
         "mode|maximum|reflect", KPAR_EUNSUPPORTED},
        {OPERATION("4", "Tril", "{\"k\": 0}", ""), "matrices", KPAR_EUNSUPPORTED},
        {OPERATION("4", "GetItem", "{}", ", [0]"), "after the whole batch", KPAR_EUNSUPPORTED},
        {OPERATION("4", "GetItem", "{}", ", [{\"class_name\": \"__ellipsis__\"}, 4]"), "index 4|of 4",
         KPAR_EFORMAT},
        {OPERATION("4", "Take", "{\"axis\": 0}", ", [1, 2]"), "axis|not the batch", KPAR_EUNSUPPORTED},
        {OPERATION("4", "TakeAlongAxis", "{\"axis\": 1}", ", [1, 2]"), "as many dimensions",
         KPAR_EUNSUPPORTED},
        {OPERATION("4", "SearchSorted", "{}", ", 1"), "sorted sequence", KPAR_EUNSUPPORTED},
        {OPERATION("4", "MultiHot", "{\"num_classes\": 0}", ""), "num_classes", KPAR_EFORMAT},
        {OPERATION("4", "Dot", "{}", ", [[1], [2], [3]]"), "4 and 3", KPAR_EFORMAT},
        {OPERATION("4", "Tensordot", "{\"axes\": [[2], [0]]}", ", [1, 2]"), "axes|not there", KPAR_EFORMAT},
        {OPERATION("4", "Einsum", "{\"subscripts\": \"bb->b\"}", ""), "bb->b|btc,bsc->bts",
         KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT(
             "4") ", {\"class_name\": \"Einsum\", \"config\": {\"subscripts\": \"ac,bc->ab\"}, "
                  "\"from\": [0, 0], \"args\": [" TENSOR ", " TENSOR "]}], \"outputs\": [1]}",
         "every row of the batch with every other", KPAR_EUNSUPPORTED},
        {OPERATION("4, 3, 2", "DotProductAttention", "{\"attn_logits_soft_cap\": 2}",
                   ", " TENSOR ", " TENSOR),
         "attn_logits_soft_cap", KPAR_EUNSUPPORTED},
        {"{\"layers\": [" INPUT("4, 3, 2") ", " INPUT(
             "4, 2, 2") ", {\"class_name\": \"DotProductAttention\", "
                        "\"config\": {}, \"from\": [0, 1, 1], \"args\": [" TENSOR ", " TENSOR ", " TENSOR
                        "]}], \"outputs\": [2]}",
         "divide the 3 of the queries", KPAR_EUNSUPPORTED},
        {OPERATION("4, 4, 3", "DepthToSpace", "{\"block_size\": 2}", ""), "block_size|2 does not divide",
         KPAR_EFORMAT},
        {OPERATION("4, 4, 3", "ExtractPatches", "{\"size\": [2, 5]}", ""), "nothing is left of dimension 2",
         KPAR_EUNSUPPORTED},
        {OPERATION("3", "RFFT", "{\"fft_length\": 0}", ""), "fft_length|positive number, found 0",
         KPAR_EFORMAT},
        {"{\"layers\": [" INPUT(
             "4") ", {\"class_name\": \"FFT2\", \"config\": {}, \"from\": [0, 0], \"args\": [[" TENSOR
                  ", " TENSOR "]]}], \"outputs\": [1]}",
         "over the batch; expected a tensor of rank 3, found 2", KPAR_EUNSUPPORTED},
        {OPERATION("4, 4, 3", "Resize", "{\"size\": [2, 2], \"interpolation\": \"area\"}", ""),
         "interpolation|area|bicubic", KPAR_EUNSUPPORTED},
        {OPERATION("9, 2", "Unstack", "{\"axis\": 1}", ""), "9 elements|up to 8", KPAR_EUNSUPPORTED},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_refused(cases[i].text, KPAR_MODE_PREDICT, cases[i].status, cases[i].words);
}
END_TEST

START_TEST(a_layer_called_with_inputs_of_two_sizes_is_refused)
{
    assert_refused("{\"layers\": [" INPUT("2") LAYER(
                       "Dense", "{\"units\": 3}", "0") ", {\"again\": 1, \"from\": [1]}], \"outputs\": [2]}",
                   KPAR_MODE_PREDICT, KPAR_EUNSUPPORTED, "layer_1|kernel|(2, 3)|(3, 3)");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("model refused");
    TCase *t = tcase_create("model refused");
    tcase_add_test(t, what_is_not_supported_is_named_with_file_layer_and_argument);
    tcase_add_test(t, operations_that_are_not_supported_so_are_refused_with_their_reason);
    tcase_add_test(t, a_layer_called_with_inputs_of_two_sizes_is_refused);
    suite_add_tcase(s, t);
    return s;
}

int main(void) { return run_suite(suite()); }
