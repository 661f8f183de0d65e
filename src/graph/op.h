/* The op table. A row: name, shape rule, gradient rule, cost. Placement rules are rows of parallel/place_rules.c;
 * kernels are rows of the devices. */
#ifndef KPAR_GRAPH_OP_H
#define KPAR_GRAPH_OP_H

#include "graph/graph.h"

/* constant, name, inputs (-1: any number), one line of documentation */
#define KPAR_OP_LIST(X)                                                                                      \
    X(MAP, "map", -1,                                                                                        \
      "an expression, element by element; inputs broadcast to the output's shape; an output for each of "    \
      "its outputs")                                                                                         \
    X(REDUCE, "reduce", 1, "sum, product, maximum or minimum over `axes`, which are removed")                \
    X(MAP_REDUCE, "map_reduce", -1,                                                                          \
      "reduce of an expression's outputs, which are not kept: an output for each; its inputs broadcast to "  \
      "what is reduced. Fusion makes it")                                                                    \
    X(ARG_REDUCE, "arg_reduce", 1, "int32 index of the first maximum along `axis`, which is removed")        \
    X(CUMULATIVE, "cumulative", 1,                                                                           \
      "sum or product of the elements up to each along `axis`, or from it on, with or without itself")       \
    X(MATMUL, "matmul", 2, "(..., m, k) x (..., k, n), either transposed in its last two dimensions")        \
    X(CONV, "conv", 2,                                                                                       \
      "correlation of images (batch, ..., in) with a kernel (..., in / groups, out), over `start`, `stop`, " \
      "`stride`, `dilation`")                                                                                \
    X(CONV_INPUT_GRADIENT, "conv_input_gradient", 2,                                                         \
      "from the gradient of conv's result and the kernel: of the images, which have `shape`")                \
    X(CONV_KERNEL_GRADIENT, "conv_kernel_gradient", 2,                                                       \
      "from the images and the gradient of conv's result: of the kernel, which has `shape`")                 \
    X(POOL, "pool", 1,                                                                                       \
      "maximum, or with reduction sum the mean, of each window's cells; padding is none of them")            \
    X(MAX_POOL_GRADIENT, "max_pool_gradient", 2,                                                             \
      "from pool's input and the gradient of its result: to the first maximum of each window")               \
    X(MEAN_POOL_GRADIENT, "mean_pool_gradient", 1,                                                           \
      "from the gradient of pool's result: of its input, which has `shape`")                                 \
    X(TRANSPOSE, "transpose", 1, "permutes dimensions")                                                      \
    X(RESHAPE, "reshape", 1, "the same elements in row-major order under another shape")                     \
    X(SLICE, "slice", 1, "elements start to stop of each dimension")                                         \
    X(PAD, "pad", 1, "zeros before and after each dimension")                                                \
    X(CONCAT, "concat", -1, "inputs one after the other along `axis`")                                       \
    X(GATHER, "gather", 2,                                                                                   \
      "rows of the table (v, ...) picked by integer indices of any shape; with `axis` 1 "                    \
      "each sample has a table (batch, v, ...) and indices (batch, ...) of its own")                         \
    X(SCATTER_ADD, "scatter_add", 2, "the gradient of gather: rows summed into a table of v rows by index")  \
    X(CONSTANT, "constant", 0, "one value, broadcast to a shape")                                            \
    X(IOTA, "iota", 0, "0, 1, 2 ... along `axis`")                                                           \
    X(RANDOM, "random", 2,                                                                                   \
      "uniform in [0, 1) from Philox: row positions (batch) and the step select the numbers")                \
    X(SOFTMAX, "softmax", 1, "exp(x - max) / sum along the last dimension")                                  \
    X(SOFTMAX_GRADIENT, "softmax_gradient", 2, "from softmax's output y and dy: y (dy - sum(y dy))")         \
    X(CROSS_ENTROPY, "cross_entropy", 2,                                                                     \
      "of logits (..., classes) and labels, class numbers (...) or probabilities (..., classes): (...)")     \
    X(CROSS_ENTROPY_GRADIENT, "cross_entropy_gradient", 3,                                                   \
      "from logits, labels and the gradient (...) of cross_entropy: of the logits")                          \
    X(ACCUMULATE, "accumulate", 1,                                                                           \
      "the sum over microbatches: the only way out of a phase that is replayed")                             \
    X(COMPUTE_COPY, "compute_copy", 1,                                                                       \
      "the form of a variable that kernels like: gathered, in their layout and precision")                   \
    X(SPLIT, "split", 1,                                                                                     \
      "replicated to split or shard over `mesh_axis`: each rank takes its own part; nothing moves")          \
    X(ALL_REDUCE, "all_reduce", -1, "partial to replicated over `mesh_axis`; several inputs are a bucket")   \
    X(REDUCE_SCATTER, "reduce_scatter", -1, "partial to shard over `mesh_axis`")                             \
    X(ALL_GATHER, "all_gather", -1, "split or shard to replicated over `mesh_axis`")                         \
    X(SEND, "send", 1, "to the same position of stage `peer`")                                               \
    X(RECEIVE, "receive", 0, "from stage `peer`")

enum kpar_op_kind {
#define KPAR_OP_ENUM(constant, name, inputs, doc) KPAR_OP_##constant,
    KPAR_OP_LIST(KPAR_OP_ENUM)
#undef KPAR_OP_ENUM
        KPAR_OP_COUNT
};

typedef struct kpar_op_row {
    const char *name, *doc;
    int n_inputs;

    /* Types and shapes of the outputs (at most KPAR_OP_OUTPUTS) from the op's inputs and attributes. */
    kpar_status (*shape)(const kpar_graph *graph, const kpar_value_id *inputs, int n_inputs,
                         const kpar_attributes *attributes, kpar_dtype *dtypes, kpar_shape *shapes,
                         int *n_outputs);

    /* Appends ops that compute the gradient of each input from those of the outputs (-1: none reaches it) into
     * input_gradients (-1: none). NULL: the op has no gradient. */
    kpar_status (*gradient)(kpar_graph *graph, kpar_op_id op, const kpar_value_id *output_gradients,
                            const bool *wanted, kpar_value_id *input_gradients);

    /* Floating-point operations for concrete input and output shapes; NULL: none to speak of. */
    double (*flops)(const kpar_attributes *attributes, const kpar_array *inputs, int n_inputs,
                    const kpar_array *outputs);
} kpar_op_row;

enum { KPAR_OP_OUTPUTS = 64 };

const kpar_op_row *kpar_op_row_get(kpar_op_kind kind);
bool kpar_op_parse(const char *name, kpar_op_kind *kind);

/* Whether the op can be taken apart, see kpar_graph_expand. */
bool kpar_op_expands(int kind);

/* Whether maps behind the op may become its epilogue. */
static inline bool kpar_op_is_anchor(int kind) { return kind == KPAR_OP_MATMUL || kind == KPAR_OP_CONV; }

/* How many windows of `cells` cells there are along dimension `dim` of an image that has `size` of them; 0 or less:
 * none fits. */
static inline int64_t kpar_window_positions(const kpar_attributes *a, int dim, int64_t size, int64_t cells)
{
    const int64_t dilation = a->dilation[dim] ? a->dilation[dim] : 1;
    const int64_t room = a->start[dim] + size + a->stop[dim] - (cells - 1) * dilation - 1;
    return room < 0 ? 0 : room / (a->stride[dim] ? a->stride[dim] : 1) + 1;
}

/* Whether ranks along `mesh_axis` exchange what they have. */
static inline bool kpar_op_is_collective(int kind)
{
    return kind == KPAR_OP_ALL_REDUCE || kind == KPAR_OP_REDUCE_SCATTER || kind == KPAR_OP_ALL_GATHER;
}
static inline bool kpar_op_is_collective_over(const kpar_op *op, kpar_axis axis)
{
    return kpar_op_is_collective(op->kind) && op->attributes.mesh_axis == axis;
}

#endif
