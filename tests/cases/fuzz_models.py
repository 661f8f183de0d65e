"""Random models for fuzz.py: every choice comes from one generator of random numbers, so that a seed is a model.

A model grows from its inputs by blocks, which take a tensor and give another one; which of them can be next, its rank says.
"""
import keras, numpy as np
from keras import constraints, layers, losses, optimizers, regularizers
from keras.optimizers import schedules


def pick(rng, *choices): return choices[rng.integers(len(choices))]


def between(rng, least, most): return int(rng.integers(least, most + 1))


def chance(rng, share): return rng.random() < share


SMOOTH = ["tanh", "gelu", "silu", "sigmoid", "softplus", "elu", "selu", "mish", "softsign", "softmax", "linear"]
KINKED = ["relu", "relu6", "leaky_relu", "hard_sigmoid", "hard_silu"]


def activation(rng):
    """a name, or a layer in its place"""
    if not chance(rng, 0.08): return pick(rng, *SMOOTH, *KINKED)
    return pick(rng, lambda: layers.LeakyReLU(negative_slope=0.2), lambda: layers.ELU(alpha=0.7), lambda: layers.ReLU(max_value=1.5, negative_slope=0.1),
                lambda: layers.Softmax(), lambda: layers.Activation("tanh"))()


def penalties(rng, *weights):
    """regularizers and constraints of a layer, now and then"""
    found = {}
    for weight in weights:
        if chance(rng, 0.1): found[weight + "_regularizer"] = pick(rng, regularizers.L1(0.01), regularizers.L2(0.02), regularizers.L1L2(0.01, 0.02))
        if chance(rng, 0.07): found[weight + "_constraint"] = pick(rng, constraints.NonNeg(), constraints.MaxNorm(0.8), constraints.UnitNorm(), constraints.MinMaxNorm(0.3, 0.9, rate=0.7))
    if chance(rng, 0.05): found["activity_regularizer"] = regularizers.L2(0.01)
    return found


# Blocks of any rank.

def dense(rng, x):
    kind = penalties(rng, "kernel", "bias")
    if not chance(rng, 0.85): kind = {name: value for name, value in kind.items() if "bias" not in name} | dict(use_bias=False)
    return layers.Dense(between(rng, 1, 9), activation=activation(rng), **kind)(x)


def normalized(rng, x):
    last = len(x.shape) - 1
    kinds = [lambda: layers.LayerNormalization(center=chance(rng, 0.8), scale=chance(rng, 0.8), epsilon=0.01),
             lambda: layers.BatchNormalization(momentum=0.8, center=chance(rng, 0.8), scale=chance(rng, 0.8), epsilon=0.01, axis=pick(rng, -1, last, 1)),
             lambda: layers.RMSNormalization(epsilon=0.01)]
    if last > 1:
        axis = pick(rng, -1, -1, 1)
        groups = pick(rng, *[n for n in range(1, x.shape[axis] + 1) if x.shape[axis] % n == 0])
        kinds += [lambda: layers.GroupNormalization(groups=groups, axis=axis, epsilon=0.01), lambda: layers.LayerNormalization(axis=list(range(1, last + 1)), epsilon=0.01)]
    return pick(rng, *kinds)()(x)


def activated(rng, x):
    return pick(rng, lambda: layers.Activation(activation(rng)), lambda: layers.PReLU(shared_axes=pick(rng, None, [1])), lambda: layers.LeakyReLU(negative_slope=0.2),
                lambda: layers.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.1), lambda: layers.Rescaling(0.7, offset=0.1), lambda: layers.Dropout(0.0))()(x)


def same_shape(rng, x):
    """what an addition to x can be: a few blocks, and a dense layer that brings back the last dimension"""
    inner = grow(rng, x, between(rng, 1, 2), [dense, normalized, activated])
    return layers.Dense(x.shape[-1], activation=activation(rng))(inner)


def residual(rng, x):
    inner = same_shape(rng, x)
    return pick(rng, lambda: layers.Add()([x, inner]), lambda: x + inner, lambda: layers.Average()([inner, x]), lambda: layers.Subtract()([x, inner]))()


def gated(rng, x):
    gate = layers.Dense(x.shape[-1], activation="sigmoid")(x)
    return pick(rng, lambda: layers.Multiply()([x, gate]), lambda: x * gate)()


def branches(rng, x):
    parts = [same_shape(rng, x) for _ in range(between(rng, 2, 3))] + ([x] if chance(rng, 0.3) else [])
    merge = pick(rng, layers.Add, layers.Average, layers.Multiply, layers.Maximum, layers.Minimum, layers.Concatenate)
    return merge()(parts)


def shared(rng, x):
    """one layer, two calls"""
    kind = penalties(rng, "kernel")
    kind.pop("activity_regularizer", None)  # Keras on JAX counts that of the last call alone
    layer = layers.Dense(x.shape[-1], activation=pick(rng, *SMOOTH), **kind)
    first = layer(x)
    return layers.Add()([first, layer(first)]) if chance(rng, 0.5) else layer(activated(rng, first))


def nested(rng, x):
    """a model within the model, called once or twice"""
    start = inside = layers.Input(x.shape[1:])
    inside = same_shape(rng, inside)
    inner = keras.Model(start, inside)
    return inner(x) if chance(rng, 0.5) else inner(inner(x))


def of_norm_one(rng, x):
    """a kernel that is divided by its spectral norm, on TensorFlow: the others' does not go on from the quotient"""
    layer = layers.Dense(between(rng, 1, 9), activation=activation(rng), use_bias=chance(rng, 0.7))
    return layers.SpectralNormalization(layer, power_iterations=between(rng, 1, 2))(x) if keras.backend.backend() == "tensorflow" else layer(x)


def moved_in_training(rng, x):
    """what it changes at random, it does not change outside of training"""
    return pick(rng, lambda: layers.GaussianNoise(0.3), lambda: layers.AlphaDropout(0.3), lambda: layers.GaussianDropout(0.3))()(x, training=False)


ANY = [of_norm_one, moved_in_training, dense, dense, normalized, activated, residual, gated, branches, shared, nested]


# Vectors.

def steps_of(rng, x):
    """a sequence"""
    if x.shape[1] % 2 == 0: return layers.Reshape((x.shape[1] // 2, 2))(x)
    return layers.RepeatVector(between(rng, 2, 4))(x)


VECTORS = ANY + [dense, steps_of]


# Sequences.

def convolution(rng, size, space, filters=None):
    """arguments of a convolution over a space: what fits in it"""
    kernel = [between(rng, 1, min(3, n)) for n in space]
    dilated = chance(rng, 0.2)
    dilation = [between(rng, 1, 2) if dilated else 1 for _ in space]
    padding = "valid" if all((k - 1) * d < n for k, d, n in zip(kernel, dilation, space)) and chance(rng, 0.5) else "same"
    strides = [1 if dilated else between(rng, 1, 2) for _ in space]
    found = dict(kernel_size=kernel, strides=strides, padding=padding, dilation_rate=dilation, activation=activation(rng), use_bias=chance(rng, 0.7))
    return found | (dict(filters=filters) if filters else {})


def groups_of(rng, channels):
    return pick(rng, *[n for n in range(1, channels + 1) if channels % n == 0]) if chance(rng, 0.3) else 1


def layout(rng, x):
    """data format, space, channels"""
    first = chance(rng, 0.15)
    return ("channels_first", x.shape[2:], x.shape[1]) if first else ("channels_last", x.shape[1:-1], x.shape[-1])


def convolved(rng, x):
    data_format, space, channels = layout(rng, x)
    groups = groups_of(rng, channels)
    arguments = convolution(rng, 3, space, groups * between(rng, 1, max(1, 6 // groups)))
    if len(space) == 1 and data_format == "channels_last" and chance(rng, 0.2): arguments["padding"] = "causal"
    layer = layers.Conv1D if len(space) == 1 else layers.Conv2D
    return layer(groups=groups, data_format=data_format, **arguments, **penalties(rng, "kernel"))(x)


def even(arguments):
    """the same stride in all dimensions, as some layers want"""
    if max(arguments["strides"]) > 1 or max(arguments["dilation_rate"]) > 1:
        arguments["strides"] = [max(arguments["strides"])] * len(arguments["strides"])
        arguments["dilation_rate"] = [max(arguments["dilation_rate"])] * len(arguments["dilation_rate"])
        arguments["padding"] = "same"
    return arguments


def depthwise(rng, x):
    data_format, space, _ = layout(rng, x)
    arguments = even(convolution(rng, 3, space))
    separable = chance(rng, 0.4)
    kinds = [layers.SeparableConv1D, layers.SeparableConv2D] if separable else [layers.DepthwiseConv1D, layers.DepthwiseConv2D]
    if separable: arguments["filters"] = between(rng, 1, 6)
    return kinds[len(space) - 1](depth_multiplier=between(rng, 1, 2), data_format=data_format, **arguments)(x)


def transposed(rng, x):
    data_format, space, _ = layout(rng, x)
    if np.prod(space) > 40: return convolved(rng, x)
    arguments = convolution(rng, 3, space, between(rng, 1, 5))
    if max(arguments["strides"]) > 1: arguments["dilation_rate"] = [1] * len(space)
    layer = layers.Conv1DTranspose if len(space) == 1 else layers.Conv2DTranspose
    return layer(data_format=data_format, **arguments)(x)


def pooled(rng, x):
    data_format, space, _ = layout(rng, x)
    size = [between(rng, 1, min(3, n)) for n in space]
    kinds = [layers.MaxPooling1D, layers.AveragePooling1D] if len(space) == 1 else [layers.MaxPooling2D, layers.AveragePooling2D]
    if len(space) == 1: size = size[0]
    return pick(rng, *kinds)(pool_size=size, strides=pick(rng, None, 1, 2), padding=pick(rng, "valid", "same"), data_format=data_format)(x)


def resized(rng, x):
    space = x.shape[1:-1]
    if np.prod(space) > 40 or min(space) < 3:
        return pooled(rng, x)
    kinds = [layers.ZeroPadding1D(between(rng, 1, 2)), layers.Cropping1D((1, between(rng, 0, 1))), layers.UpSampling1D(2)] if len(space) == 1 else \
            [layers.ZeroPadding2D(((1, 0), (2, 1))), layers.Cropping2D(((1, 0), (0, 1))), layers.UpSampling2D((1, 2)), layers.UpSampling2D((2, 1), interpolation="bilinear")]
    return pick(rng, *kinds)(x)


def recurrent_layer(rng, sequences):
    arguments = dict(units=between(rng, 1, 5), return_sequences=sequences, use_bias=chance(rng, 0.8))
    kind = pick(rng, layers.LSTM, layers.GRU, layers.SimpleRNN)
    if kind is layers.GRU: arguments["reset_after"] = chance(rng, 0.5)
    return kind(**arguments, **penalties(rng, "kernel", "recurrent"))


def recurrent(rng, x):
    sequences = chance(rng, 0.5)
    layer = recurrent_layer(rng, sequences)
    if chance(rng, 0.3): return layers.Bidirectional(layer, merge_mode=pick(rng, "concat", "sum", "mul", "ave"))(x)
    layer.go_backwards = chance(rng, 0.2)
    return layer(x)


def attention(rng, x):
    heads, causal = between(rng, 1, 3), chance(rng, 0.3)
    kind = pick(rng, "multi", "multi", "group", "plain", "additive")
    if kind == "multi": return layers.MultiHeadAttention(heads, between(rng, 1, 4), use_bias=chance(rng, 0.7))(x, x, use_causal_mask=causal)
    if kind == "group": return layers.GroupQueryAttention(between(rng, 1, 4), heads * 2, heads)(x, x, use_causal_mask=causal)
    if kind == "plain": return layers.Attention(use_scale=chance(rng, 0.5))([x, x], use_causal_mask=causal)
    return layers.AdditiveAttention()([x, x], use_causal_mask=causal)


def transformer(rng, x):
    x = layers.Add()([x, layers.MultiHeadAttention(2, between(rng, 1, 4))(*[layers.LayerNormalization(epsilon=0.01)(x)] * 2)])
    inner = layers.Dense(between(rng, 2, 9), activation="gelu")(layers.LayerNormalization(epsilon=0.01)(x))
    return layers.Add()([x, layers.Dense(x.shape[-1])(inner)])


def per_step(rng, x):
    return pick(rng, lambda: layers.TimeDistributed(layers.Dense(between(rng, 1, 6), activation=activation(rng))),
                lambda: layers.EinsumDense("abc,cd->abd", (None, between(rng, 1, 6)), bias_axes="d"),
                lambda: layers.EinsumDense("abc,bd->adc", (between(rng, 1, 5), x.shape[-1])), lambda: layers.Permute((2, 1)))()(x)


def summed_up(rng, x):
    """a vector of a sequence or an image"""
    kinds = [layers.GlobalAveragePooling1D, layers.GlobalMaxPooling1D] if len(x.shape) == 3 else [layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D]
    return pick(rng, layers.Flatten, *kinds)()(x)


SPATIAL = [convolved, convolved, depthwise, transposed, pooled, resized]
SEQUENCES = ANY + SPATIAL + [recurrent, recurrent, attention, attention, transformer, per_step, summed_up]


# Images.

def convolved_residual(rng, x):
    channels = x.shape[-1]
    inner = layers.Conv2D(channels, between(rng, 1, 3), padding="same", use_bias=chance(rng, 0.5))(x)
    inner = activated(rng, normalized(rng, inner))
    return layers.Add()([x, layers.Conv2D(channels, 3, padding="same", groups=groups_of(rng, channels))(inner)])


def inception(rng, x):
    parts = [layers.Conv2D(between(rng, 1, 4), between(rng, 1, 3), padding="same", activation=activation(rng))(x) for _ in range(2)]
    return layers.Concatenate()(parts + [layers.MaxPooling2D(3, strides=1, padding="same")(x)])


def excited(rng, x):
    """squeeze and excite"""
    weights = layers.GlobalAveragePooling2D(keepdims=True)(x)
    weights = layers.Dense(x.shape[-1], activation="sigmoid")(layers.Conv2D(2, 1, activation="relu")(weights))
    return layers.Multiply()([x, weights])


def rows_as_steps(rng, x):
    return layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]) if chance(rng, 0.5) else (-1, x.shape[3]))(x)


def lines_as_steps(rng, x):
    """a convolutional LSTM over the lines of an image"""
    kernel = between(rng, 1, 3)
    layer = layers.ConvLSTM1D(between(rng, 1, 4), kernel, padding="same", data_format=pick(rng, "channels_last", "channels_first"), return_sequences=chance(rng, 0.5),
                              use_bias=chance(rng, 0.8), **penalties(rng, "kernel", "recurrent"))
    if chance(rng, 0.2): return layers.Bidirectional(layer, merge_mode=pick(rng, "concat", "sum", "ave"))(x)
    layer.go_backwards = chance(rng, 0.2)
    return layer(x)


def augmented(rng, x):
    """outside of training"""
    return pick(rng, lambda: layers.RandomRotation(0.2), lambda: layers.RandomFlip(), lambda: layers.RandomZoom(0.3), lambda: layers.RandomTranslation(0.2, 0.1))()(x, training=False)


IMAGES = [lines_as_steps, augmented] + SPATIAL * 2 + [normalized, normalized, activated, residual, convolved_residual, inception, excited, nested, branches, rows_as_steps, summed_up]
BLOCKS = {2: VECTORS, 3: SEQUENCES, 4: IMAGES}
LARGEST = 400  # elements of a sample


def grow(rng, x, blocks, kinds=None):
    for _ in range(blocks):
        grown = pick(rng, *(kinds or BLOCKS[len(x.shape)]))(rng, x)
        if None not in grown.shape[1:] and np.prod(grown.shape[1:]) <= LARGEST: x = grown  # None: what Keras cannot tell
    return x


# Inputs, each with a function that makes its data.

def of_lengths(rng, rows, steps, values):
    """values, zeros behind a length of at least 1"""
    lengths = rng.integers(1, steps + 1, size=rows)
    return np.where((np.arange(steps) < lengths[:, None]).reshape(rows, steps, *[1] * (values.ndim - 2)), values, 0).astype(values.dtype)


def normal(shape): return lambda rng, rows: rng.normal(size=(rows, *shape)).astype("float32")


def vector_input(rng, name):
    shape = (between(rng, 2, 10),)
    x = layers.Input(shape, name=name)
    return x, x, normal(shape)


def sequence_input(rng, name):
    steps, width = between(rng, 3, 7), between(rng, 2, 5)
    x = layers.Input((steps, width), name=name)
    if chance(rng, 0.6): return x, x, normal((steps, width))
    return x, layers.Masking()(x), lambda rng, rows: of_lengths(rng, rows, steps, rng.normal(size=(rows, steps, width)).astype("float32"))


def token_input(rng, name):
    steps, words, masked = between(rng, 3, 7), between(rng, 4, 11), chance(rng, 0.5)
    x = layers.Input((steps,), dtype=pick(rng, "int32", "float32"), name=name)
    looked_up = layers.Embedding(words, between(rng, 2, 6), mask_zero=masked, **penalties_of_tables(rng))(x)
    if chance(rng, 0.3): looked_up = layers.Add()([looked_up, layers.Embedding(words, looked_up.shape[-1])(x)])

    def data(rng, rows):
        tokens = rng.integers(1 if masked else 0, words, size=(rows, steps)).astype("int32")
        return of_lengths(rng, rows, steps, tokens) if masked else tokens
    return x, looked_up, data


def penalties_of_tables(rng): return {name: value for name, value in penalties(rng, "embeddings").items() if name != "activity_regularizer"}


def image_input(rng, name):
    shape = (between(rng, 4, 8), between(rng, 4, 8), between(rng, 1, 4))
    x = layers.Input(shape, name=name)
    return x, x, normal(shape)


INPUTS = [vector_input, vector_input, sequence_input, token_input, token_input, image_input, image_input]


# Outputs: a layer, a loss, and data.

def classes(rng, rows, n, *shape): return rng.integers(0, n, size=(rows, *shape)).astype("int32")


def head_along_steps(rng, x, name):
    """classes along the first dimension rather than the last, directions along it, or labels in order"""
    steps, n = x.shape[1], between(rng, 2, 5)

    def categories():
        return (layers.Softmax(axis=1, name=name)(layers.Dense(n)(x)), losses.CategoricalCrossentropy(axis=1, label_smoothing=pick(rng, 0.0, 0.1)),
                lambda rng, rows: np.moveaxis(np.eye(steps, dtype="float32")[classes(rng, rows, steps, n)], -1, 1))

    def directions(): return layers.Dense(n, name=name)(x), losses.CosineSimilarity(axis=1), normal((steps, n))

    def in_order():
        def labels(rng, rows):  # every other step at most, so that equal ones have room between them
            found = np.zeros((rows, steps), dtype="int32")
            found[:, :(steps + 1) // 2] = of_lengths(rng, rows, (steps + 1) // 2, 1 + classes(rng, rows, n - 1, (steps + 1) // 2))
            return found
        return layers.Dense(n, name=name)(layers.Reshape(x.shape[1:])(x)), losses.CTC(), labels
    return pick(rng, categories, directions, in_order)()


def head_of_pairs(rng, x, name):
    x = x if len(x.shape) == 2 else summed_up(rng, x)
    loss = losses.Circle(gamma=pick(rng, 10, 40), margin=pick(rng, 0.25, 0.4), remove_diagonal=chance(rng, 0.7))
    return layers.UnitNormalization(name=name)(layers.Dense(between(rng, 2, 5))(x)), loss, lambda rng, rows: classes(rng, rows, 3)


def head(rng, x, name):
    if len(x.shape) == 4 or len(x.shape) == 3 and chance(rng, 0.6): x = summed_up(rng, x)
    if len(x.shape) == 3 and chance(rng, 0.15): return head_along_steps(rng, x, name)
    if chance(rng, 0.08): return head_of_pairs(rng, x, name)
    shape, n = x.shape[1:-1], between(rng, 2, 5)
    reduction = pick(rng, "sum_over_batch_size", "sum_over_batch_size", "sum_over_batch_size", "sum", "mean_with_sample_weight")

    def sparse(logits):
        return (layers.Dense(n, activation=None if logits else "softmax", name=name), losses.SparseCategoricalCrossentropy(from_logits=logits, reduction=reduction, ignore_class=pick(rng, None, None, n - 1)),
                lambda rng, rows: classes(rng, rows, n, *shape))

    def one_hot(loss, last="softmax"):
        return layers.Dense(n, activation=last, name=name), loss, lambda rng, rows: np.eye(n, dtype="float32")[classes(rng, rows, n, *shape)]

    def values(loss, last=None):
        return layers.Dense(n, activation=last, name=name), loss, normal((*shape, n))

    layer, loss, data = pick(
        rng, lambda: sparse(False), lambda: sparse(True), lambda: one_hot(losses.CategoricalCrossentropy(label_smoothing=pick(rng, 0.0, 0.1), reduction=reduction)),
        lambda: one_hot(losses.BinaryCrossentropy(reduction=reduction), "sigmoid"), lambda: one_hot(losses.BinaryCrossentropy(from_logits=True, reduction=reduction), None),
        lambda: one_hot(losses.CategoricalFocalCrossentropy(reduction=reduction)), lambda: one_hot(losses.KLDivergence(reduction=reduction)),
        lambda: values(losses.MeanSquaredError(reduction=reduction)), lambda: values(losses.Huber(reduction=reduction)), lambda: values(losses.LogCosh(reduction=reduction)),
        lambda: values(losses.MeanAbsoluteError(reduction=reduction)), lambda: values(losses.CosineSimilarity(reduction=reduction)),
        lambda: one_hot(losses.Hinge(reduction=reduction), "tanh"), lambda: one_hot(losses.Poisson(reduction=reduction), "softplus"))()
    return layer(x), loss, data


def sample_weights(rng, prediction, loss, labels):
    """what makes a weight for each value of the loss, or for each row"""
    given, shape = keras.ops.convert_to_tensor(labels(np.random.default_rng(0), 2)), prediction.shape[1:]
    each = tuple(loss.call(given, keras.ops.zeros((2, *shape))).shape[1:])
    if loss.reduction != "mean_with_sample_weight" and chance(rng, 0.5): each = (1,) * len(each)
    return lambda rng, rows: rng.uniform(0.2, 3, size=(rows, *each)).astype("float32")


# How it is trained.

def learning_rate(rng, base):
    return pick(rng, lambda: base, lambda: base, lambda: schedules.ExponentialDecay(base, 2, 0.7, staircase=chance(rng, 0.5)), lambda: schedules.CosineDecay(base, 5, warmup_target=2 * base, warmup_steps=2),
                lambda: schedules.PolynomialDecay(base, 3, base / 5, power=2.0), lambda: schedules.InverseTimeDecay(base, 2, 0.5), lambda: schedules.PiecewiseConstantDecay([1, 2], [base, base / 2, base / 3]))()


def optimizer(rng):
    rate, common = learning_rate(rng, pick(rng, 0.01, 0.03)), {}
    if chance(rng, 0.3): common[pick(rng, "clipnorm", "clipvalue", "global_clipnorm")] = pick(rng, 0.05, 0.5)
    if chance(rng, 0.15): common["weight_decay"] = 0.05
    if chance(rng, 0.15): common |= dict(use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=pick(rng, None, 2))
    if chance(rng, 0.15): common["gradient_accumulation_steps"] = 2
    plain = pick(
        rng, lambda: optimizers.SGD(rate, **common), lambda: optimizers.SGD(rate, momentum=0.9, nesterov=chance(rng, 0.5), **common),
        lambda: optimizers.Adam(rate, amsgrad=chance(rng, 0.3), epsilon=pick(rng, 1e-7, 1e-3), **common), lambda: optimizers.AdamW(rate, **{"weight_decay": 0.02, **common}),
        lambda: optimizers.RMSprop(rate, momentum=pick(rng, 0.0, 0.5), centered=chance(rng, 0.5), **common), lambda: optimizers.Adagrad(rate, **common),
        lambda: optimizers.Adadelta(rate, **common), lambda: optimizers.Adamax(rate, **common), lambda: optimizers.Nadam(rate, **common), lambda: optimizers.Lamb(rate, **common),
        lambda: optimizers.Adafactor(rate, **common), lambda: optimizers.Ftrl(rate, l1_regularization_strength=pick(rng, 0.0, 0.01), **common), lambda: optimizers.Lion(rate, **common),
        lambda: optimizers.ScheduleFreeAdamW(rate, warmup_steps=pick(rng, 0, 2), **common),
        lambda: optimizers.Muon(rate, nesterov=chance(rng, 0.5), rms_rate=pick(rng, 0.2, None), exclude_layers=pick(rng, None, ["out", r"_\d*[02468]/"]), **common),
        lambda: optimizers.MultiOptimizer(optimizers.OptimizerMap(optimizers.SGD(rate, momentum=0.9), {
            r".*_\d*[13579]/.*": optimizers.Adam(rate, **common), r"[a-z]+/\w*bias": optimizers.Nadam(rate, **common)})))()
    if type(plain) not in (optimizers.SGD, optimizers.Adam, optimizers.AdamW, optimizers.RMSprop, optimizers.Adagrad) or not chance(rng, 0.3): return plain
    return optimizers.LossScaleOptimizer(plain, initial_scale=2.0**15, dynamic_growth_steps=pick(rng, 1, 2, 2000))


def randomize(model, rng):
    """random numbers in all weights, biases and moving statistics too, so that none equals another"""
    def values(variable):
        shape = variable.shape
        if "variance" in variable.path: return rng.uniform(0.5, 1.5, size=shape)
        if "gamma" in variable.path or variable.name == "scale": return 1 + rng.normal(0, 0.2, size=shape)
        return rng.normal(0, 1 / np.sqrt(np.prod(shape[:-1])) if len(shape) > 1 else 0.2, size=shape)
    model.set_weights([values(variable).astype("float32") for variable in model.weights])


def merged(rng, ends):
    """one tensor of several"""
    if len(ends) == 1: return ends[0]
    vectors = [end if len(end.shape) == 2 else summed_up(rng, end) for end in ends]
    if chance(rng, 0.5): return layers.Concatenate()(vectors)
    width = between(rng, 2, 6)
    return pick(rng, layers.Add, layers.Multiply, layers.Average)()([layers.Dense(width, activation="tanh")(vector) for vector in vectors])


def random_model(rng):
    """a compiled model, and what makes its inputs, its labels and sample weights: dictionaries of functions"""
    inputs, ends, x, y, outputs, compiled = [], [], {}, {}, {}, {}
    for i in range(pick(rng, 1, 1, 1, 2, 2, 3)):
        name = f"in_{i}"
        given, end, x[name] = pick(rng, *INPUTS)(rng, name)
        inputs.append(given)
        ends.append(grow(rng, end, between(rng, 0, 4)))
    trunk = grow(rng, merged(rng, ends), between(rng, 1, 3))
    for i in range(pick(rng, 1, 1, 1, 2, 3)):
        name = f"out_{i}"
        outputs[name], compiled[name], y[name] = head(rng, grow(rng, trunk, between(rng, 0, 2)), name)
    model = keras.Model(inputs, outputs)
    if chance(rng, 0.1):
        for layer in model.layers: layer.trainable = layer.trainable and chance(rng, 0.7)
    model.compile(optimizer(rng), compiled, loss_weights={name: pick(rng, 1.0, 0.5, 2.0) for name in y} if chance(rng, 0.5) else None)
    randomize(model, rng)
    return model, x, y, {name: sample_weights(rng, outputs[name], compiled[name], y[name]) for name in y}
