#!/usr/bin/env python3
"""Makes reference cases with Keras in the format of README.md.

usage: KERAS_BACKEND=tensorflow make_cases.py [CASE...]     all of them without arguments

Each case goes to data/CASE beside this script. Two runs give the same numbers, not the same bytes: Keras dates its files.
"""
import io, json, os, sys, zipfile, zlib

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
import h5py, keras, numpy as np, tensorflow as tf
from keras import layers, losses, optimizers
from check_case import tolerances

HERE = os.path.dirname(os.path.abspath(__file__))
BATCH, STEPS, CHECK_STEPS = 8, 5, (1, 5)
ROWS = BATCH * STEPS

ACTIVATIONS = ["linear", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "tanh", "sigmoid", "silu", "softplus", "softsign",
               "hard_sigmoid", "hard_silu", "hard_tanh", "exponential", "mish", "log_sigmoid", "tanh_shrink", "squareplus", "softmax"]


# Data: features are normal; labels follow from nothing, which trains as well as any.

def features(rng, *shape, rows=ROWS): return rng.normal(size=(rows, *shape)).astype("float32")


def classes(rng, n, *shape, rows=ROWS): return rng.integers(0, n, size=(rows, *shape)).astype("int32")


def one_hot(rng, n, rows=ROWS): return np.eye(n, dtype="float32")[classes(rng, n, rows=rows)]


def dense_stack(units, inputs=12, activation="tanh", last="softmax"):
    hidden = [layers.Dense(n, activation=activation) for n in units[:-1]]
    return keras.Sequential([layers.Input((inputs,)), *hidden, layers.Dense(units[-1], activation=last)])


def compiled(model, loss, optimizer=None, metrics=("accuracy",), **more):
    model.compile(optimizer or optimizers.SGD(0.1), loss, metrics=list(metrics) if isinstance(metrics, tuple) else metrics, **more)
    return model


# Cases: each returns model, x, y and what else there is. A docstring is the case's "about".

CASES = {}  # by name, in the order of this file


def case(function=None, *, deflated=False):
    """Registers a case. `deflated`: its model is packed, which pays where HDF5 and the config, which repeat much, are large next to the weights."""
    if function is None: return lambda function: case(function, deflated=deflated)
    function.deflated = deflated
    CASES[function.__name__] = function
    return function


@case
def functional_branches(rng):
    """Functional: Rescaling, two branches with Reshape, Flatten and activation layers, Add"""
    x = layers.Input((12,))
    scaled = layers.Rescaling(0.5, offset=-0.1)(x)
    left = layers.Activation("relu")(layers.Dense(8)(scaled))
    right = layers.Dense(4, activation="tanh")(layers.Reshape((3, 4))(scaled))
    right = layers.Activation("gelu")(layers.Dense(8)(layers.Flatten()(right)))
    both = layers.Activation("sigmoid")(layers.Add()([left, right]))
    model = keras.Model(x, layers.Activation("softmax")(layers.Dense(5)(both)))
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), x=features(rng, 12), y=classes(rng, 5))


@case(deflated=True)
def activation_layers(rng):
    """Functional: every activation as a layer on one hidden layer, and the layers ReLU, LeakyReLU, ELU and Softmax; their sum"""
    x = layers.Input((12,))
    hidden = layers.Dense(8)(x)
    branches = [layers.Activation(name)(hidden) for name in ACTIVATIONS]
    branches += [layers.ReLU(max_value=0.8, negative_slope=0.1, threshold=0.05)(hidden), layers.LeakyReLU(negative_slope=0.3)(hidden),
                 layers.ELU(alpha=0.7)(hidden), layers.Softmax()(hidden)]
    total = layers.Rescaling(0.1)(layers.Add()(branches))
    model = keras.Model(x, layers.Dense(5, activation="softmax")(total))
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), x=features(rng, 12), y=classes(rng, 5))


@case
def merge_layers(rng):
    """Functional: Add, Subtract, Multiply, Average, Maximum, Minimum and Concatenate of two branches"""
    x = layers.Input((12,))
    a, b = layers.Dense(6, activation="tanh")(x), layers.Dense(6, activation="sigmoid")(x)
    merged = [merge()([a, b]) for merge in (layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum)]
    model = keras.Model(x, layers.Dense(5, activation="softmax")(layers.Concatenate()(merged)))
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), x=features(rng, 12), y=classes(rng, 5))


@case
def normalizations(rng):
    """LayerNormalization over one and two dimensions, GroupNormalization, RMSNormalization, UnitNormalization, BatchNormalization"""
    model = keras.Sequential([
        layers.Input((6, 8)), layers.LayerNormalization(), layers.Dense(8, activation="tanh"), layers.GroupNormalization(groups=4),
        layers.LayerNormalization(axis=[1, 2], center=False), layers.Dense(8), layers.RMSNormalization(),
        layers.GroupNormalization(groups=-1, scale=False), layers.Flatten(), layers.Dense(12, activation="tanh"),
        layers.BatchNormalization(momentum=0.9), layers.UnitNormalization(), layers.Dense(4, activation="softmax")])
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), x=rng.normal(size=(40, 6, 8)).astype("float32"), y=classes(rng, 4))


@case
def two_inputs_two_outputs(rng):
    """Functional: two inputs, two outputs with different losses and loss weights"""
    left, right = layers.Input((5,), name="left"), layers.Input((4,), name="right")
    both = layers.Concatenate()([layers.Dense(6, activation="tanh")(left), layers.Dense(6, activation="relu")(right)])
    kind, size = layers.Dense(4, activation="softmax", name="kind")(both), layers.Dense(1, name="size")(both)
    model = keras.Model({"left": left, "right": right}, {"kind": kind, "size": size})
    compiled(model, {"kind": "sparse_categorical_crossentropy", "size": "mean_squared_error"}, metrics={"kind": ["accuracy"]},
             loss_weights={"kind": 1.0, "size": 0.5})
    return dict(model=model, x={"left": features(rng, 5), "right": features(rng, 4)}, y={"kind": classes(rng, 4), "size": features(rng, 1)})


@case
def loss_mse(rng):
    """mean squared error over 3 outputs"""
    return dict(model=compiled(dense_stack([16, 3], last=None), losses.MeanSquaredError(), metrics=()), x=features(rng, 12), y=features(rng, 3))


@case
def loss_mean_with_sample_weight(rng):
    """reduction mean_with_sample_weight: the denominator is the sum of the batch's weights; one weight is zero"""
    weights = rng.uniform(0.2, 3, size=ROWS).astype("float32")
    weights[3] = 0
    model = compiled(dense_stack([16, 5]), losses.SparseCategoricalCrossentropy(reduction="mean_with_sample_weight"))
    return dict(model=model, x=features(rng, 12), y=classes(rng, 5), sample_weight=weights)


@case
def opt_sgd_nesterov(rng):
    """SGD with Nesterov momentum"""
    model = compiled(dense_stack([16, 16, 5]), "sparse_categorical_crossentropy", optimizers.SGD(0.05, momentum=0.9, nesterov=True))
    return dict(model=model, x=features(rng, 12), y=classes(rng, 5))


@case(deflated=True)
def opt_muon(rng):
    """Muon: wide and tall matrices; Adam's weights: vectors, a kernel of a convolution, a table, layers that patterns exclude"""
    x, image, word = layers.Input((6,), name="x"), layers.Input((4, 4, 2), name="image"), layers.Input((1,), dtype="int32", name="word")
    flat = layers.Flatten()(layers.Conv2D(3, 2, activation="relu", name="window")(image))
    parts = [layers.Dense(4, activation="tanh", name="tall")(layers.Dense(10, activation="tanh", name="wide")(x)),
             layers.Dense(5, activation="tanh", name="taller")(flat), layers.Flatten()(layers.Embedding(8, 3, name="table")(word))]
    model = keras.Model({"x": x, "image": image, "word": word}, layers.Dense(4, activation="softmax", name="head_12")(layers.Concatenate()(parts)))
    optimizer = optimizers.Muon(0.02, exclude_layers=["nothing", r"(?:ta|he)ad_\d+?/[a-z]"], weight_decay=0.1, adam_weight_decay=0.05, adam_lr_ratio=0.5)
    words = np.concatenate([rng.permutation(8) for _ in range(STEPS)]).astype("int32")[:, None]  # none twice in a batch: TensorFlow squares before it adds
    return dict(model=compiled(model, "sparse_categorical_crossentropy", optimizer), y=classes(rng, 4),
                x={"x": features(rng, 6), "image": features(rng, 4, 4, 2), "word": words})


@case(deflated=True)
def opt_multi(rng):
    """MultiOptimizer: two of one class, one with a schedule, one that clips its own gradients together, one that no pattern leads to; weights
    by pattern, by path, and all others"""
    x = layers.Input((6,))
    hidden = x
    for i, units in enumerate((8, 6, 6, 4)): hidden = layers.Dense(units, activation="tanh", name=f"dense_{i}")(hidden)
    model = keras.Model(x, layers.Dense(5, activation="softmax", name="out")(hidden))
    halving = optimizers.schedules.ExponentialDecay(0.05, 2, 0.5)
    by_path = {"dense_[01]/.*": optimizers.Adam(0.02, weight_decay=0.1), "dense_2/kernel": optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.05),
               r"dense_2/b\w+": optimizers.Nadam(halving, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=2), "dense": optimizers.Adam(),
               "dense_3/(kernel|bias)": optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.02)}
    optimizer = optimizers.MultiOptimizer(optimizers.OptimizerMap(optimizers.Muon(0.02), by_path), loss_scale_factor=4.0)
    return dict(model=compiled(model, "sparse_categorical_crossentropy", optimizer), x=features(rng, 6), y=classes(rng, 5))


@case(deflated=True)
def opt_clip_together(rng):
    """the norm of all gradients, of weights that tensor ranks cut and of some that they have whole; a loss that they have parts of"""
    model = keras.Sequential([layers.Input((6,)), layers.Dense(8, activation="relu"), layers.LayerNormalization(), layers.Dense(6, activation="tanh"),
                              layers.LayerNormalization(), layers.Dense(4, activation="sigmoid")])
    return dict(model=compiled(model, "binary_crossentropy", optimizers.SGD(0.1, global_clipnorm=0.1), metrics=None), x=features(rng, 6), y=classes(rng, 2, 4).astype("float32"))


@case(deflated=True)
def opt_schedule_free(rng):
    """ScheduleFreeAdamW with warm-up and weight decay; weights that the loss does not depend on"""
    x = layers.Input((12,))
    hidden = layers.Dense(8, activation="tanh")(x)
    model = keras.Model(x, {"out": layers.Dense(5, activation="softmax")(hidden), "idle": layers.Dense(2)(hidden)})
    compiled(model, {"out": "sparse_categorical_crossentropy"}, optimizers.ScheduleFreeAdamW(0.02, warmup_steps=3, weight_decay=0.01), metrics=None)
    return dict(model=model, x=features(rng, 12), y={"out": classes(rng, 5)})


def scaled(inner, exponent, **more): return optimizers.LossScaleOptimizer(inner, initial_scale=2.0 ** exponent, dynamic_growth_steps=2, **more)


@case(deflated=True)
def opt_adafactor_images(rng):
    """Adafactor: kernels of convolutions, whose rows and columns are their last two dimensions"""
    x = layers.Input((5, 5, 4))
    hidden = layers.Conv2D(6, 3, activation="tanh")(layers.Conv2D(8, 2, activation="tanh")(x))
    model = keras.Model(x, layers.Dense(4, activation="softmax")(layers.Flatten()(hidden)))
    return dict(model=compiled(model, "sparse_categorical_crossentropy", optimizers.Adafactor(0.05)), x=features(rng, 5, 5, 4), y=classes(rng, 4))


@case(deflated=True)
def opt_scaled(rng):
    """LossScaleOptimizer: steps that overflow and change the scale alone, and scales that grow; within it Adam, averages, all gradients clipped"""
    inner = optimizers.Adam(0.02, use_ema=True, ema_momentum=0.7, global_clipnorm=2.0, loss_scale_factor=3.0, weight_decay=0.01)
    model = compiled(dense_stack([8, 8, 5], activation="relu"), "sparse_categorical_crossentropy", scaled(inner, 125, name="around"))
    return dict(model=model, x=8 * features(rng, 12), y=classes(rng, 5))


@case(deflated=True)
def opt_scaled_statistics(rng):
    """LossScaleOptimizer: BatchNormalization learns of a step that changes no weight; gradients of two steps"""
    large, small = layers.Input((12,), name="large"), layers.Input((6,), name="small")
    hidden = layers.BatchNormalization(momentum=0.7)(layers.Dense(4, use_bias=False, kernel_regularizer="l2")(small))
    hidden = layers.Dropout(0.0)(layers.Concatenate()([layers.Rescaling(0.1)(layers.Dense(4, activation="relu")(large)), hidden]))
    model = keras.Model({"large": large, "small": small}, layers.Dense(5, activation="softmax")(hidden))
    inner = optimizers.SGD(optimizers.schedules.ExponentialDecay(0.05, 2, 0.9), gradient_accumulation_steps=2)
    return dict(model=compiled(model, "sparse_categorical_crossentropy", scaled(inner, 126)), y=classes(rng, 5),
                x={"large": 100 * features(rng, 12), "small": features(rng, 6)})


@case
def dropout_zero(rng):
    """Dropout of rate 0 between dense layers"""
    model = keras.Sequential([layers.Input((12,)), layers.Dense(16, activation="relu"), layers.Dropout(0.0),
                              layers.Dense(16, activation="tanh"), layers.Dropout(0.0), layers.Dense(5, activation="softmax")])
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), x=features(rng, 12), y=classes(rng, 5))


@case
def five_outputs_deep(rng):
    """dense 12-16-16-16-5: four stages; 5 outputs do not divide by 2"""
    model = compiled(dense_stack([16, 16, 16, 5]), "sparse_categorical_crossentropy", optimizers.SGD(0.05, momentum=0.9))
    return dict(model=model, x=features(rng, 12), y=classes(rng, 5))


@case(deflated=True)
def deep_mlp8(rng):
    """eight dense layers"""
    model = compiled(dense_stack([16, 14, 12, 16, 10, 12, 14, 5]), "sparse_categorical_crossentropy")
    return dict(model=model, x=features(rng, 12), y=classes(rng, 5))


@case(deflated=True)
def residual_blocks(rng):
    """four residual blocks named block_1 and so on, a tower that is a model of its own, and a skip over all of them"""
    inputs = x = layers.Input((12,), name="in")
    first = x = layers.Dense(16, activation="tanh", name="stem")(x)
    for i in range(1, 5):
        inner = layers.Dense(16, activation="gelu", name=f"block_{i}_expand")(x)
        inner = layers.LayerNormalization(name=f"block_{i}_norm")(inner)
        inner = layers.Dense(16, name=f"block_{i}_project")(inner)
        x = layers.Add(name=f"block_{i}_add")([x, inner])
    tower = keras.Sequential([layers.Input((16,)), layers.Dense(14, activation="relu", name="one"),
                              layers.Dense(16, activation="tanh", name="two")], name="tower")
    x = layers.Add(name="skip")([first, tower(x)])
    model = keras.Model(inputs, layers.Dense(5, activation="softmax", name="top")(x))
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), x=features(rng, 12), y=classes(rng, 5))


@case
def binary_crossentropy(rng):
    """binary cross-entropy of one sigmoid output"""
    model = compiled(dense_stack([16, 1], last="sigmoid"), losses.BinaryCrossentropy())
    return dict(model=model, x=features(rng, 12), y=classes(rng, 2, 1).astype("float32"))


@case
def binary_crossentropy_logits(rng):
    """binary cross-entropy from logits"""
    model = compiled(dense_stack([16, 1], last=None), losses.BinaryCrossentropy(from_logits=True), metrics=())
    return dict(model=model, x=features(rng, 12), y=classes(rng, 2, 1).astype("float32"))


@case
def categorical_crossentropy(rng):
    """categorical cross-entropy of softmax outputs with one-hot labels"""
    return dict(model=compiled(dense_stack([16, 5]), losses.CategoricalCrossentropy()), x=features(rng, 12), y=one_hot(rng, 5))


@case
def categorical_crossentropy_smooth(rng):
    """categorical cross-entropy with label smoothing 0.1"""
    model = compiled(dense_stack([16, 5]), losses.CategoricalCrossentropy(label_smoothing=0.1))
    return dict(model=model, x=features(rng, 12), y=one_hot(rng, 5))


@case
def dense_rank3(rng):
    """dense layers on (batch, 6, 8): the loss is a mean over batch and time"""
    model = keras.Sequential([layers.Input((6, 8)), layers.Dense(10, activation="tanh"), layers.Dense(5, activation="softmax")])
    return dict(model=compiled(model, losses.SparseCategoricalCrossentropy()), x=features(rng, 6, 8), y=classes(rng, 5, 6))


@case
def outputs_by_name(rng):
    """two outputs in a dictionary: lists of losses, loss weights and metrics follow the order of its keys"""
    x = layers.Input((12,))
    hidden = layers.Dense(8, activation="tanh")(x)
    kind, size = layers.Dense(4, activation="softmax", name="kind")(hidden), layers.Dense(1, name="size")(hidden)
    model = keras.Model(x, {"size": size, "kind": kind})
    compiled(model, ["sparse_categorical_crossentropy", "mean_squared_error"], metrics=[["accuracy"], ["mean_absolute_error"]],
             loss_weights=[1.0, 0.5])
    return dict(model=model, x=features(rng, 12), y={"size": features(rng, 1), "kind": classes(rng, 4)})


@case
def output_without_loss(rng):
    """two outputs, of which one has a layer of its own and no loss: its weights stay, its optimizer state too"""
    x = layers.Input((12,))
    hidden = layers.Dense(8, activation="tanh")(x)
    kind, extra = layers.Dense(4, activation="softmax", name="kind")(hidden), layers.Dense(6, name="extra")(hidden)
    model = keras.Model(x, {"kind": kind, "extra": extra})
    compiled(model, {"kind": "sparse_categorical_crossentropy"}, optimizers.Adam(0.01, weight_decay=0.1), metrics=())
    return dict(model=model, x=features(rng, 12), y={"kind": classes(rng, 4), "extra": features(rng, 6)})


@case(deflated=True)
def unread_weights(rng):
    """attention of which only the scores are used: what it has for its values is trained by nothing, decayed by nothing and saved as it came"""
    x = layers.Input((5, 4))
    both = layers.Dense(4, activation="tanh")(x)
    scores = layers.MultiHeadAttention(2, 3, kernel_regularizer="l2")(both, both, return_attention_scores=True)[1]
    model = keras.Model(x, layers.Dense(3, activation="softmax")(layers.Flatten()(scores)))
    return dict(model=compiled(model, "sparse_categorical_crossentropy", optimizers.SGD(0.05, momentum=0.9, global_clipnorm=0.5)),
                x=features(rng, 5, 4), y=classes(rng, 3))


@case
def logits_of_either(rng):
    """cross-entropies take the logits of a softmax or of sigmoids, whichever it is, behind layers that change nothing too, but not behind Flatten"""
    x = layers.Input((12,))
    hidden = layers.Dense(8, activation="tanh")(x)
    shares = layers.Activation("linear")(layers.Dropout(0.0)(layers.Dense(4, activation="softmax")(hidden)))
    chances = layers.Activation("sigmoid")(layers.Dense(4)(hidden))
    flat = layers.Flatten()(layers.Softmax()(layers.Dense(4)(hidden)))
    model = keras.Model(x, {"chances": layers.Identity(name="chances")(chances), "flat": flat, "shares": shares})
    loss = {"chances": "categorical_crossentropy", "flat": "binary_crossentropy", "shares": "binary_crossentropy"}
    compiled(model, loss, metrics={name: [each, losses.binary_focal_crossentropy] for name, each in loss.items()})
    return dict(model=model, x=features(rng, 12), y={name: one_hot(rng, 4) for name in loss})


@case
def nothing_to_train(rng):
    """frozen layers: nothing changes, and the optimizer counts no steps"""
    model = dense_stack([16, 5])
    model.trainable = False
    return dict(model=compiled(model, "sparse_categorical_crossentropy", optimizers.Adam(0.01)), x=features(rng, 12), y=classes(rng, 5))


@case
def fit_outputs(rng):
    """fit: logs of three outputs with sample weights of their own, losses of three reductions, both kinds of metrics; short last batches in training and in validation"""
    rows = 44
    x = layers.Input((12,))
    hidden = layers.Dense(8, activation="tanh")(x)
    model = keras.Model(x, {"chances": layers.Dense(3, activation="sigmoid", name="chances")(hidden),
                            "kind": layers.Dense(4, activation="softmax", name="kind")(hidden), "size": layers.Dense(1, name="size")(hidden)})
    compiled(model, {"chances": losses.BinaryCrossentropy(reduction="mean_with_sample_weight"), "kind": "sparse_categorical_crossentropy",
                     "size": losses.MeanSquaredError(reduction="sum")}, loss_weights={"chances": 2.0, "kind": 1.0, "size": 0.05},
             metrics={"chances": ["accuracy"], "kind": ["accuracy"], "size": ["mean_absolute_error"]},
             weighted_metrics={"chances": ["mean_squared_error"], "kind": ["accuracy"], "size": ["mean_absolute_error"]})
    return dict(model=model, x=features(rng, 12, rows=rows),
                y={"chances": one_hot(rng, 3, rows=rows), "kind": classes(rng, 4, rows=rows), "size": features(rng, 1, rows=rows)},
                sample_weight={name: rng.uniform(0.2, 3, size=rows).astype("float32") for name in ("chances", "kind", "size")},
                fit=dict(epochs=2, validation_split=0.25))


@case
def metrics_of_classes(rng):
    """fit: intersections over unions of class numbers and of one-hot labels, with weights in whole numbers and not; correlations; best
    shares at thresholds of one class; short last batches"""
    from keras import metrics as m
    rows = 44
    x = layers.Input((12,))
    hidden = layers.Dense(8, activation="tanh")(x)
    model = keras.Model(x, {"kind": layers.Dense(3, activation="softmax", name="kind")(hidden),
                            "size": layers.Dense(4, activation="relu", name="size")(hidden)})
    compiled(model, {"kind": "categorical_crossentropy", "size": "mean_squared_error"},
             metrics={"kind": [m.OneHotIoU(3, [0, 2]), m.OneHotMeanIoU(3, ignore_class=2), m.PearsonCorrelation(),
                               m.RecallAtPrecision(0.4, class_id=1, num_thresholds=20)],
                      "size": [m.MeanIoU(3, dtype="float32"), m.IoU(2, [1]), m.ConcordanceCorrelation()]},
             weighted_metrics={"kind": [m.OneHotMeanIoU(3), m.OneHotIoU(3, [1], dtype="float32", name="exact_weights"), m.PearsonCorrelation(),
                                        m.PrecisionAtRecall(0.5, class_id=-1)],
                               "size": [m.ConcordanceCorrelation()]})
    return dict(model=model, x=features(rng, 12, rows=rows),
                y={"kind": one_hot(rng, 3, rows=rows),
                   "size": rng.uniform(-1, 4, size=(rows, 4)).astype("float32")},
                sample_weight={name: rng.uniform(0.2, 3, size=rows).astype("float32") for name in ("kind", "size")},
                fit=dict(epochs=2, validation_split=0.25))


@case
def metrics_of_places(rng):
    """fit: intersections over unions where each row has several places, and correlations of them, all with masks; a short last batch"""
    from keras import metrics as m
    rows, words = 36, layers.Input((4,), dtype="int32")
    table = layers.Embedding(7, 6, mask_zero=True)(words)
    model = keras.Model(words, {"tags": layers.Dense(4, activation="softmax", name="tags")(table), "sizes": layers.Dense(3, name="sizes")(table)})
    compiled(model, {"tags": "sparse_categorical_crossentropy", "sizes": "mean_squared_error"}, metrics={
        "tags": [m.MeanIoU(4, sparse_y_pred=False), m.IoU(5, [3, 0, 4], sparse_y_pred=False, ignore_class=1)],
        "sizes": [m.PearsonCorrelation(), m.ConcordanceCorrelation(), m.MeanIoU(3, sparse_y_true=False, sparse_y_pred=False)]})
    return dict(model=model, x=of_lengths(rng, 4, classes(rng, 7, 4, rows=rows)), y={"tags": classes(rng, 4, 4, rows=rows), "sizes": features(rng, 4, 3, rows=rows)},
                fit=dict(epochs=2))


@case
def metrics_at_thresholds(rng):
    """yes and no: best shares over many thresholds, one and two, and intersection over union, plain and weighted"""
    from keras import metrics as m
    model = dense_stack([8, 1], last="sigmoid")
    compiled(model, "binary_crossentropy",
             metrics=[m.SensitivityAtSpecificity(0.6), m.SpecificityAtSensitivity(0.6), m.PrecisionAtRecall(0.5), m.RecallAtPrecision(0.55),
                      m.RecallAtPrecision(1.0, name="all_precise"), m.SensitivityAtSpecificity(0.3, num_thresholds=1, name="middle"),
                      m.SpecificityAtSensitivity(1.0, num_thresholds=2, name="ends"), m.BinaryIoU(), m.BinaryIoU([1], threshold=0.4, name="yes_iou"),
                      m.AUC(num_thresholds=30)],
             weighted_metrics=[m.SensitivityAtSpecificity(0.4, num_thresholds=50), m.PrecisionAtRecall(0.7), m.BinaryIoU(name="weighted_iou"), m.AUC()])
    return dict(model=model, x=features(rng, 12), y=classes(rng, 2, 1), sample_weight=rng.uniform(0.3, 3, size=ROWS).astype("float32"))


@case
def metrics_counted(rng):
    """right and wrong yeses and noes, shares of one class, plain and weighted"""
    from keras import metrics as m
    model = dense_stack([8, 3], last="sigmoid")
    compiled(model, "binary_crossentropy",
             metrics=[m.TruePositives(), m.FalsePositives(thresholds=0.4), m.TrueNegatives(thresholds=[0.55]), m.FalseNegatives(),
                      m.Precision(class_id=1), m.Recall(thresholds=0.4, class_id=2), m.LogCoshError()],
             weighted_metrics=[m.TruePositives(name="weighted_yeses"), m.FalseNegatives(name="weighted_noes"), m.Precision(class_id=0, name="weighted_share")])
    return dict(model=model, x=features(rng, 12), y=rng.integers(0, 2, size=(ROWS, 3)).astype("float32"),
                sample_weight=rng.uniform(0.3, 3, size=ROWS).astype("float32"))


@case(deflated=True)
def metrics_each(rng):
    """fit: metrics of several numbers, one for each class, each threshold or each value; the likeliest alone; short last batches"""
    from keras import metrics as m
    rows = 44
    x = layers.Input((12,))
    hidden = layers.Dense(8, activation="tanh")(x)
    model = keras.Model(x, {"kind": layers.Dense(4, activation="softmax", name="kind")(hidden), "size": layers.Dense(3, name="size")(hidden),
                            "tags": layers.Dense(3, activation="sigmoid", name="tags")(hidden)})
    compiled(model, {"kind": "categorical_crossentropy", "size": "mean_squared_error", "tags": "binary_crossentropy"},
             metrics={"kind": [m.F1Score(), m.F1Score(name="f1_score"), m.FBetaScore(beta=0.5, threshold=0.3), m.Precision(top_k=2), m.Recall(top_k=1, thresholds=[0.4, 0.2]),
                               m.Precision(thresholds=[0.7, 0.1, 0.3], name="sure"), m.Recall(top_k=3, class_id=2, name="third"), m.FBetaScore(average="weighted", name="one")],
                      "size": [m.R2Score(class_aggregation=None), m.R2Score(class_aggregation="variance_weighted_average", name="spread")],
                      "tags": [m.Precision(thresholds=[0.6, 0.5], class_id=1)]},
             weighted_metrics={"kind": [m.F1Score(), m.Precision(top_k=1, name="first")], "size": [m.R2Score(class_aggregation=None)],
                               "tags": [m.Recall(thresholds=[0.6, 0.4])]})
    return dict(model=model, x=features(rng, 12, rows=rows),
                y={"kind": one_hot(rng, 4, rows=rows), "size": features(rng, 3, rows=rows), "tags": rng.integers(0, 2, size=(rows, 3)).astype("float32")},
                sample_weight={name: rng.uniform(0.2, 3, size=rows).astype("float32") for name in ("kind", "size", "tags")},
                fit=dict(epochs=2, validation_split=0.25))


@case(deflated=True)
def metrics_areas(rng):
    """areas under curves of three kinds, summed in three ways, at thresholds of their own, of each label by itself, of logits; counts at several thresholds; plain and weighted"""
    from keras import metrics as m

    def listed(metric):  # Keras reads weights of labels as a list alone, but writes them as a tensor
        config = {**metric.get_config(), "label_weights": [1.0, 0.5, 2.0]}
        metric.get_config = lambda: config
        return metric
    weights = [1.0, 0.5, 2.0]
    x = layers.Input((12,))
    hidden = layers.Dense(8, activation="tanh")(x)
    model = keras.Model(x, {"chances": layers.Dense(3, activation="sigmoid", name="chances")(hidden), "logits": layers.Dense(1, name="logits")(hidden)})
    compiled(model, {"chances": "binary_crossentropy", "logits": losses.BinaryCrossentropy(from_logits=True)},
             metrics={"chances": [m.TruePositives(thresholds=[0.25, 0.5, 0.75]), m.FalsePositives(thresholds=[0.0, 0.5, 1.0]), m.TrueNegatives(thresholds=[0.6, 0.4]),
                                  m.FalseNegatives(thresholds=[0.0, 0.25, 0.5, 0.75, 1.0]), m.AUC(curve="PR"), m.AUC(curve="PRGAIN", name="gain"), m.AUC(multi_label=True, num_thresholds=30, name="by_label"),
                                  m.AUC(curve="PR", summation_method="minoring", num_thresholds=7, name="below"), m.AUC(summation_method="majoring", num_thresholds=6, name="above"),
                                  m.AUC(thresholds=[0.7, 0.45, 0.4], name="own"), m.AUC(thresholds=[0.25, 0.75, 0.5], curve="PR", multi_label=True, num_labels=3, name="even"),
                                  listed(m.AUC(label_weights=weights, thresholds=[0.4, 0.6], name="weighed")), listed(m.AUC(label_weights=weights, num_thresholds=20, name="weighed_even")),
                                  listed(m.AUC(label_weights=weights, multi_label=True, curve="PR", name="weighed_labels"))],
                      "logits": [m.AUC(from_logits=True, num_thresholds=40), m.AUC(thresholds=[0.3, 0.5], name="below_zero"), m.AUC(from_logits=True, curve="PR", thresholds=[0.3, 0.5], name="own")]},
             weighted_metrics={"chances": [m.FalseNegatives(thresholds=[0.5, 0.6]), m.AUC(curve="PR", name="with_weights"), m.AUC(multi_label=True, num_thresholds=20, name="labels_with_weights")],
                               "logits": [m.AUC(thresholds=[0.45], name="one_with_weights")]})
    return dict(model=model, x=features(rng, 12), y={"chances": rng.integers(0, 2, size=(ROWS, 3)).astype("float32"), "logits": classes(rng, 2, 1)},
                sample_weight={name: rng.uniform(0.3, 3, size=ROWS).astype("float32") for name in ("chances", "logits")})


@case(deflated=True)
def metrics_by_function(rng):
    """fit: functions as metrics, by themselves and in MeanMetricWrapper; the class Accuracy; an adjusted R2; outputs without a loss"""
    from keras import metrics as m
    rows = 64  # in whole batches: eager steps weigh an output's loss by rows, graphs do not
    x = layers.Input((12,))
    hidden = layers.Dense(8, activation="tanh")(x)
    model = keras.Model(x, {"extra": layers.Dense(3, activation="softmax", name="extra")(hidden), "kind": layers.Dense(4, activation="softmax", name="kind")(hidden),
                            "none": layers.Dense(1, name="none")(hidden), "numbers": layers.Dense(3, activation="relu", name="numbers")(hidden), "size": layers.Dense(3, activation="relu", name="size")(hidden)})
    compiled(model, {"kind": "sparse_categorical_crossentropy", "size": "mean_squared_error"},
             metrics={"extra": ["sparse_categorical_accuracy", "accuracy", m.Accuracy()], "kind": ["accuracy", m.sparse_top_k_categorical_accuracy, m.Accuracy(name="same"), m.MeanMetricWrapper(m.sparse_top_k_categorical_accuracy, k=2, name="two")],
                      "numbers": [m.SparseTopKCategoricalAccuracy(k=2, from_sorted_ids=True)],
                      "none": ["acc", m.RootMeanSquaredError()],
                      "size": [m.Accuracy(), m.MeanMetricWrapper(losses.mean_absolute_error), m.MeanMetricWrapper(m.binary_accuracy, threshold=0.3, name="over"),
                               losses.huber, m.MeanMetricWrapper(losses.huber, delta=0.4, name="near"), losses.mean_squared_logarithmic_error, m.R2Score(num_regressors=2), m.R2Score(None, num_regressors=40),
                               m.R2Score(num_regressors=500, name="too_many")]},
             weighted_metrics={"size": [m.Accuracy(), losses.log_cosh], "none": ["mae"]}, run_eagerly=True)
    size = rng.integers(-1, 2, size=(rows, 3)).astype("float32")
    return dict(model=model, x=features(rng, 12, rows=rows),
                y={"extra": classes(rng, 3, 1, rows=rows), "kind": classes(rng, 4, 1, rows=rows), "none": classes(rng, 2, 1, rows=rows), "numbers": classes(rng, 2, rows=rows), "size": size},
                sample_weight={name: rng.uniform(0.2, 3, size=rows).astype("float32") for name in ("extra", "kind", "none", "numbers", "size")},
                fit=dict(epochs=2, validation_split=0.25))


@case(deflated=True)
def metrics_by_loss(rng):
    """fit: losses as metrics, which are the mean over batches of what they make of each; a class that is ignored; correlations along another
    dimension; short last batches"""
    from keras import metrics as m
    rows = 44
    x = layers.Input((3, 4))
    hidden = layers.Dense(6, activation="tanh")(x)
    first = layers.Cropping1D((0, 2))(hidden)
    model = keras.Model(x, {"areas": layers.Dense(3, activation="sigmoid", name="areas")(hidden), "kind": layers.Dense(4, activation="softmax", name="kind")(layers.Flatten()(first)),
                            "size": layers.Dense(3, activation="sigmoid", name="size")(layers.Flatten()(first)), "tags": layers.Dense(4, activation="softmax", name="tags")(hidden)})
    compiled(model, {"areas": None, "kind": "sparse_categorical_crossentropy", "size": "mean_squared_error", "tags": None},
             metrics={"areas": [losses.Dice(), losses.dice, losses.Tversky(alpha=0.3, beta=0.6), losses.Dice(axis=[1, 2], name="each"), m.MeanMetricWrapper(losses.tversky, alpha=0.2, axis=[1, 2], name="of_rows"),
                                losses.MeanSquaredError(reduction="sum", name="total"), losses.MeanSquaredError(name="of_batches"), losses.MeanAbsoluteError(reduction=None, name="of_all"), losses.Huber(delta=0.3),
                                losses.cosine_similarity, m.CosineSimilarity(), m.PearsonCorrelation(axis=1), m.ConcordanceCorrelation(axis=-2)],
                      "kind": [losses.SparseCategoricalCrossentropy(name="of_batches")],
                      "tags": [m.SparseCategoricalCrossentropy(ignore_class=1), losses.SparseCategoricalCrossentropy(ignore_class=2, name="but_two"), losses.SparseCategoricalCrossentropy(name="of_batches")]},
             weighted_metrics={"size": [losses.MeanAbsoluteError(reduction="none", name="weighed"), losses.binary_focal_crossentropy, m.ConcordanceCorrelation(axis=1)],
                               "kind": [m.SparseCategoricalCrossentropy(ignore_class=0)]})
    chances = [(rng.integers(0, 2, size=(rows, *shape)) * 0.8 + rng.uniform(0, 0.1, size=(rows, *shape))).astype("float32") for shape in ((3, 3), (3,))]
    return dict(model=model, x=features(rng, 3, 4, rows=rows), y={"areas": chances[0], "kind": classes(rng, 4, rows=rows), "size": chances[1], "tags": classes(rng, 4, 3, rows=rows)},
                sample_weight={name: rng.uniform(0.2, 3, size=rows).astype("float32") for name in ("areas", "kind", "size", "tags")}, fit=dict(epochs=2, validation_split=0.25))


@case
def conv_padding(rng):
    """uneven SAME with stride 2, depthwise of multiplier 2, average pooling SAME, dilation in two dimensions, causal with dilation"""
    model = keras.Sequential([
        layers.Input((9, 8, 3)), layers.Conv2D(6, 3, strides=2, padding="same", activation="relu"),
        layers.DepthwiseConv2D((2, 3), depth_multiplier=2, padding="same", activation="tanh"),
        layers.AveragePooling2D(3, strides=2, padding="same"), layers.Conv2D(4, 2, dilation_rate=2, padding="same", activation="tanh"),
        layers.Reshape((6, 4)), layers.Conv1D(5, 3, dilation_rate=2, padding="causal", activation="tanh"), layers.Flatten(),
        layers.Dense(4, activation="softmax")])
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), x=features(rng, 9, 8, 3), y=classes(rng, 4))


@case
def conv_one_dimension(rng):
    """depthwise and separable with dilation and multiplier 3, groups, overlapping maxima, means of VALID windows, an image of one channel in front"""
    model = keras.Sequential([
        layers.Input((17, 1)), layers.Conv1D(8, 5, activation="relu"), layers.DepthwiseConv1D(3, dilation_rate=2, padding="same"),
        layers.MaxPooling1D(3, strides=1), layers.SeparableConv1D(8, 2, depth_multiplier=3, padding="same", activation="tanh"),
        layers.Conv1D(12, 3, groups=4, strides=2, use_bias=False), layers.AveragePooling1D(2, strides=1), layers.GlobalAveragePooling1D(),
        layers.Dense(4, activation="softmax")])
    return dict(model=compiled(model, "sparse_categorical_crossentropy", optimizers.Adam(0.01)), x=features(rng, 17, 1), y=classes(rng, 4))


@case
def transposed_kinds(rng):
    """Conv1DTranspose dilated, Conv2DTranspose VALID with output_padding, Conv3DTranspose with uneven windows and strides"""
    one, two, three = layers.Input((7, 3), name="one"), layers.Input((4, 5, 2), name="two"), layers.Input((2, 3, 2, 2), name="three")
    a = layers.Conv1DTranspose(4, 3, dilation_rate=2, padding="same", activation="tanh")(one)
    a = layers.Conv1DTranspose(4, 2, dilation_rate=3, use_bias=False)(a)
    b = layers.Conv2DTranspose(4, (3, 2), strides=(2, 3), output_padding=(1, 2), activation="relu")(two)
    b = layers.Conv2DTranspose(4, 5, strides=(3, 2), padding="same", output_padding=(2, 0))(b)
    c = layers.Conv3DTranspose(4, (2, 3, 1), strides=(2, 1, 2), padding="same", activation="tanh")(three)
    c = layers.Conv3DTranspose(4, 2, strides=(1, 2, 1), output_padding=(0, 1, 0))(c)
    means = [layers.GlobalAveragePooling1D()(a), layers.GlobalAveragePooling2D()(b), layers.GlobalAveragePooling3D()(c)]
    model = keras.Model([one, two, three], layers.Dense(4, activation="softmax")(layers.Concatenate()(means)))
    return dict(model=compiled(model, "sparse_categorical_crossentropy", optimizers.Adam(0.01)),
                x={"one": features(rng, 7, 3), "two": features(rng, 4, 5, 2), "three": features(rng, 2, 3, 2, 2)}, y=classes(rng, 4))


@case
def applied_layers(rng):
    """layers of keras.applications: Normalization adapted to data and given, LayerScale, StochasticDepth, CustomScaleLayer; Softmax over other dimensions
    and several; SpatialDropout, noise and AlphaDropout of rate 0"""
    from keras.src.applications.convnext import LayerScale, StochasticDepth
    from keras.src.applications.inception_resnet_v2 import CustomScaleLayer
    x, ids = layers.Input((4, 6), name="x"), layers.Input((4,), dtype="int32", name="ids")
    adapted, given = layers.Normalization(axis=[1, 2]), layers.Normalization(axis=1, mean=[0.1, 0.2, 0.3, 0.4], variance=[1, 2, 3, 4])
    adapted.adapt(features(rng, 4, 6))
    h = layers.Dense(6, activation="tanh")(layers.SpatialDropout1D(0.0)(adapted(given(x))))
    h = layers.GaussianNoise(0.0)(CustomScaleLayer(0.3)([h, StochasticDepth(0.0)(LayerScale(0.5, 6)(layers.Dense(6)(h)))]))
    a = layers.GaussianDropout(0.0)(layers.Softmax(axis=1)(h))
    b = layers.AlphaDropout(0.0)(layers.Softmax(axis=[1, 2])(layers.Dense(6)(h)))
    c = layers.Softmax(axis=-1)(layers.Reshape((4, 6))(layers.Dense(24)(layers.Flatten()(h))))
    d = layers.Embedding(5, 6)(ids)
    total = layers.Dropout(0.0, noise_shape=(None, 1, 6))(layers.Multiply()([layers.Add()([a, b, c]), d]))
    model = keras.Model([x, ids], layers.Dense(4, activation="softmax")(layers.Flatten()(total)))
    return dict(model=compiled(model, "sparse_categorical_crossentropy", optimizers.SGD(0.1)),
                x={"x": features(rng, 4, 6), "ids": classes(rng, 5, 4)}, y=classes(rng, 4))


@case
def einsums_and_adaptive(rng):
    """EinsumDense with and without dots on either side, biases of some dimensions; adaptive pooling, even and uneven; images resized and
    cropped"""
    x, image = layers.Input((5, 6), name="x"), layers.Input((7, 5, 2), name="image")
    h = layers.EinsumDense("abc,cde->abed", output_shape=(None, 3, 4), bias_axes="ed", activation="tanh")(x)
    h = layers.EinsumDense("...ed,def->...f", output_shape=8, bias_axes="f")(h)
    h = layers.EinsumDense("ab...,bc->ac...", output_shape=4, bias_axes="c", activation="tanh")(layers.Reshape((5, 8))(h))
    h = layers.EinsumDense("abc,bcd->ad", output_shape=6)(layers.Reshape((4, 8))(h))
    a = layers.AdaptiveAveragePooling2D((3, 5))(image)
    b = layers.AdaptiveMaxPooling2D((3, 2))(layers.Conv2D(3, 2)(image))
    c = layers.AdaptiveMaxPooling1D(3)(layers.AdaptiveAveragePooling1D(4)(layers.Dense(4)(x)))
    d = layers.CenterCrop(4, 3)(layers.Resizing(6, 8)(layers.Conv2D(2, 2)(image)))
    d = layers.Add()([d, layers.Resizing(4, 3, interpolation="nearest")(image)])
    joined = layers.Concatenate()([h, *(layers.Flatten()(branch) for branch in (a, b, c, d))])
    model = keras.Model([x, image], layers.Dense(4, activation="softmax")(joined))
    return dict(model=compiled(model, "sparse_categorical_crossentropy", optimizers.Adam(0.01)),
                x={"x": features(rng, 5, 6), "image": features(rng, 7, 5, 2)}, y=classes(rng, 4))


@case
def running_sums(rng):
    """Functional: running sums and products, products, casts; numbers of features cast to whole ones are an embedding's rows"""
    x = layers.Input((4, 6))
    hidden = layers.Dense(5, activation="sigmoid")(x)
    sums = keras.ops.cumsum(hidden, axis=1) + 0.1 * keras.ops.cumsum(keras.ops.cast(4 * x[:, :, :5], "int32"), axis=-1)
    products = keras.ops.cumprod(hidden + 0.5, axis=-1)
    whole = keras.ops.cast(keras.ops.clip(3 * x[:, :, 0] + 5, 0, 9.5), "int32")
    table = layers.Embedding(10, 5)(whole) * keras.ops.cast(keras.ops.cast(x[:, :, :1] > 0, "bool"), "float32")
    merged = layers.Concatenate()([sums, products, table])
    features_of = layers.Dense(3, activation="tanh")(merged)
    pooled = layers.Concatenate()([layers.Flatten()(features_of), keras.ops.prod(hidden + 0.5, axis=(1, 2), keepdims=True)[:, 0]])
    model = keras.Model(x, layers.Dense(4, activation="softmax")(pooled))
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), x=features(rng, 4, 6), y=classes(rng, 4))


@case(deflated=True)
def attention_heads(rng):
    """GroupQueryAttention with gate, window and causal mask; MultiHeadAttention over two dimensions and over the second of two, another
    shape of outputs, a key of its own, scores as an output"""
    x, memory, image = layers.Input((6, 8), name="x"), layers.Input((5, 7), name="memory"), layers.Input((3, 4, 5), name="image")
    shared = layers.GroupQueryAttention(4, 4, 2, use_gate=True, sliding_window=3)(x, x, use_causal_mask=True)
    other = layers.GroupQueryAttention(3, 6, 1, use_bias=False)(x, layers.Dense(8)(memory))
    heads, scores = layers.MultiHeadAttention(2, 3, value_dim=5, output_shape=6, use_gate=True)(
        x, layers.Dense(7)(x), layers.Dense(4)(x), return_attention_scores=True)
    windowed = layers.MultiHeadAttention(2, 4, sliding_window=2)(x, x)
    plane = layers.MultiHeadAttention(2, 3, output_shape=(2, 3))(image, layers.Dense(4, activation="tanh")(image))
    lines = layers.MultiHeadAttention(2, 3, attention_axes=-2)(image, image)
    flat = [layers.Flatten()(part) for part in (shared, other, heads, scores, windowed, plane, lines)]
    model = keras.Model([x, memory, image], layers.Dense(4, activation="softmax")(layers.Concatenate()(flat)))
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), y=classes(rng, 4),
                x={"x": features(rng, 6, 8), "memory": features(rng, 5, 7), "image": features(rng, 3, 4, 5)})


@case(deflated=True)
def attention_single(rng):
    """Attention with products and with sums, AdditiveAttention: scales, a key of its own, causal masks, scores as outputs"""
    x, memory = layers.Input((6, 8), name="x"), layers.Input((5, 6), name="memory")
    query, value, key = layers.Dense(6)(x), layers.Dense(4)(memory), layers.Dense(6)(memory)
    parts = [layers.Attention()([query, memory]), layers.Attention(use_scale=True)([query, value, key], use_causal_mask=True),
             layers.Attention(score_mode="concat")([query, memory]),
             *layers.Attention(score_mode="concat", use_scale=True)([query, value, key], return_attention_scores=True),
             layers.AdditiveAttention(use_scale=False)([query, memory, key]),
             *layers.AdditiveAttention()([query, value, key], use_causal_mask=True, return_attention_scores=True)]
    merged = layers.Concatenate()(parts)
    model = keras.Model([x, memory], layers.Dense(4, activation="softmax")(layers.Flatten()(merged)))
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), y=classes(rng, 4),
                x={"x": features(rng, 6, 8), "memory": features(rng, 5, 6)})


def of_lengths(rng, steps, values):
    """values (rows, steps, ...) with zeros after a length of 1 to steps, another for each row"""
    lengths = rng.integers(1, steps + 1, size=len(values))
    for row, length in zip(values, lengths): row[length:] = 0
    return values


@case
def masked_steps(rng):
    """masks from Embedding and Masking, through Dense, Add and Concatenate, to losses, metrics and GlobalAveragePooling1D"""
    words, signal = layers.Input((6,), dtype="int32", name="words"), layers.Input((6, 3), name="signal")
    left = layers.Embedding(12, 5, mask_zero=True)(words)
    right = layers.Dense(5, activation="tanh")(layers.Masking()(signal))
    both = layers.Add()([left, right])
    tags = layers.Dense(4, activation="softmax", name="tags")(layers.Concatenate()([left, right]))
    sizes = layers.Dense(2, name="sizes")(left)
    kind = layers.GlobalAveragePooling1D()(layers.Concatenate(axis=1)([layers.Dropout(0.0)(left), both]))
    kind = layers.Dense(3, activation="softmax", name="kind")(kind)
    model = keras.Model({"words": words, "signal": signal}, {"tags": tags, "sizes": sizes, "kind": kind})
    model.compile(optimizers.SGD(0.2), {"tags": "sparse_categorical_crossentropy", "kind": "sparse_categorical_crossentropy",
                                        "sizes": losses.MeanSquaredError(reduction="mean_with_sample_weight")},
                  metrics={"tags": ["accuracy"], "sizes": ["mean_absolute_error"], "kind": ["accuracy"]})
    return dict(model=model, x={"words": of_lengths(rng, 6, rng.integers(1, 12, size=(ROWS, 6)).astype("int32")),
                                "signal": of_lengths(rng, 6, features(rng, 6, 3))},
                y={"tags": classes(rng, 4, 6), "sizes": features(rng, 6, 2), "kind": classes(rng, 3)})


@case(deflated=True)
def attention_masks(rng):
    """Attention of every kind with masks that tensors bring along, masks by name, of pairs and of pairs for each head, rows that may see
    nothing; MultiHeadAttention takes the masks off its inputs"""
    tokens, others = layers.Input((6,), dtype="int32", name="tokens"), layers.Input((5,), dtype="int32", name="others")
    pairs, headed = layers.Input((6, 5), dtype="bool", name="pairs"), layers.Input((2, 6, 5), name="headed")
    image, near = layers.Input((2, 3, 4), name="image"), layers.Input((2, 3, 2, 3), dtype="int32", name="near")
    chosen = layers.Input((5,), dtype="bool", name="chosen")
    x, y, z = (layers.Embedding(9, 6, mask_zero=True)(source) for source in (tokens, others, others))
    grouped = layers.GroupQueryAttention(3, 4, 2)(query=x, key=z, value=y, attention_mask=pairs)
    chosen_only = layers.GroupQueryAttention(3, 2, 2)(x, y, value_mask=chosen, use_causal_mask=True)
    single = layers.Attention()([x, y, z], use_causal_mask=True)
    halves = layers.Attention(use_scale=True)([x, y], mask=[None, chosen])
    sums = layers.AdditiveAttention()([x, z])
    before = layers.Add()([x, x])
    heads = layers.MultiHeadAttention(2, 3)(query=x, value=y, key=z, attention_mask=pairs)
    after = layers.AdditiveAttention()([x, y])
    free = layers.Dense(6)(layers.Input((5, 6), name="free"))
    each = layers.MultiHeadAttention(2, 3, output_shape=6)(before, free, attention_mask=pairs, return_attention_scores=True)[0]
    by_head = layers.MultiHeadAttention(2, 3, output_shape=6)(layers.Reshape((6, 6))(before), free, attention_mask=headed)
    plane = layers.MultiHeadAttention(2, 3)(image, image, attention_mask=near)
    merged = layers.Concatenate()([grouped, chosen_only, single, halves, sums, heads, after, each, by_head])
    pooled = layers.Concatenate()([layers.Flatten()(layers.Dense(3)(merged)), layers.Flatten()(plane)])
    inputs = {t.name: t for t in (tokens, others, pairs, headed, image, near, chosen)}
    inputs["free"] = free._keras_history.operation.input
    model = keras.Model(list(inputs.values()), layers.Dense(4, activation="softmax")(pooled))
    x = {"tokens": classes(rng, 9, 6), "others": classes(rng, 9, 5), "pairs": classes(rng, 2, 6, 5), "headed": classes(rng, 2, 2, 6, 5),
         "image": features(rng, 2, 3, 4), "near": classes(rng, 2, 2, 3, 2, 3), "chosen": classes(rng, 2, 5), "free": features(rng, 5, 6)}
    x["tokens"][:, 4:] *= classes(rng, 2, 2)
    x["others"][::5] = 0
    x["headed"] = x["headed"].astype("float32")
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), x=x, y=classes(rng, 4))


@case
def language_model(rng):
    """Token and position embeddings, one block, logits of 96 words for each of 6 steps, cross-entropy and accuracy"""
    x = layers.Input((6,), dtype="int32")
    tokens = layers.Embedding(96, 8)(x)
    positions = layers.Embedding(6, 8)(keras.ops.cumsum(keras.ops.ones_like(x), axis=1) - 1)
    hidden = layers.Add()([tokens, positions])
    heads = layers.MultiHeadAttention(2, 4)(layers.LayerNormalization()(hidden), layers.LayerNormalization()(hidden), use_causal_mask=True)
    hidden = layers.Add()([hidden, heads])
    logits = layers.Dense(96)(layers.LayerNormalization()(hidden))
    model = keras.Model(x, logits)
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    return dict(model=compiled(model, loss, optimizers.SGD(0.5), metrics=("sparse_categorical_accuracy",)), x=classes(rng, 96, 6), y=classes(rng, 96, 6))


@case
def many_classes(rng):
    """Softmax over 48 classes with probabilities as labels, and again as an activity that a loss reads; an embedding of 64 numbers"""
    x = layers.Input((3,), dtype="int32")
    hidden = layers.Dense(7, activation="tanh")(layers.Flatten()(layers.Embedding(64, 4)(x)))
    kind = layers.Dense(48, activation="softmax", name="kind")(hidden)
    shares = layers.Dense(32, activation="softmax", name="shares")(hidden)
    model = keras.Model(x, {"kind": kind, "shares": shares})
    compiled(model, {"kind": "categorical_crossentropy", "shares": "mean_squared_error"}, optimizers.SGD(0.5), metrics={"kind": ["accuracy"]})
    return dict(model=model, x=classes(rng, 64, 3), y={"kind": one_hot(rng, 48), "shares": one_hot(rng, 32)})


@case(deflated=True)
def recurrent_masked(rng):
    """masked steps: in both directions, backwards, held or zero outputs, GRU with the reset gate before, cells above each other, an argument
    by name together with an initial state, sequences that go to the loss"""
    words, short = layers.Input((6,), dtype="int32", name="words"), layers.Input((6,), dtype="bool", name="short")
    x = layers.Embedding(12, 5, mask_zero=True)(words)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True, unit_forget_bias=False))(x)
    x = layers.GRU(5, reset_after=False, go_backwards=True, return_sequences=True)(x)
    x = layers.RNN([layers.GRUCell(4, use_bias=False), layers.SimpleRNNCell(4, activation="relu")], return_sequences=True)(x)
    x = layers.Bidirectional(layers.SimpleRNN(3, recurrent_regularizer="l2"), merge_mode="mul", backward_layer=layers.SimpleRNN(
        3, go_backwards=True, use_bias=False))(x)
    state = layers.Dense(4, activation="tanh")(x)
    y = layers.Embedding(12, 4, mask_zero=True)(words)
    y = layers.LSTM(4, return_sequences=True, zero_output_for_mask=True)(y, initial_state=[state, state], mask=short)
    z = layers.GRU(4, return_sequences=True, activation="softsign", recurrent_activation="hard_sigmoid")(y, initial_state=state)
    tags = layers.Dense(4, activation="softmax", name="tags")(layers.Concatenate()([y, z]))
    kind = layers.Dense(3, activation="softmax", name="kind")(x)
    model = keras.Model({"words": words, "short": short}, {"tags": tags, "kind": kind})
    model.compile(optimizers.SGD(0.2), "sparse_categorical_crossentropy", metrics={"tags": ["accuracy"], "kind": ["accuracy"]})
    return dict(model=model, x={"words": of_lengths(rng, 6, rng.integers(1, 12, size=(ROWS, 6)).astype("int32")),
                                "short": of_lengths(rng, 6, np.ones((ROWS, 6), dtype="int32"))[:, ::-1].copy()},
                y={"tags": classes(rng, 4, 6), "kind": classes(rng, 3)})


@case(deflated=True)
def recurrent_wrapped(rng):
    """Bidirectional that gives both sequences and all states, or takes states; TimeDistributed of convolution, batch normalization, a
    recurrent layer and a softmax; a layer that is called twice, a frozen one, an activity regularizer"""
    x = layers.Input((4, 6, 3))
    h = layers.TimeDistributed(layers.Conv1D(4, 3, activation="relu"))(x)
    h = layers.TimeDistributed(layers.BatchNormalization(momentum=0.8))(h)
    h = layers.TimeDistributed(layers.GRU(5))(h)
    ahead, back, *states = layers.Bidirectional(layers.LSTM(3, return_sequences=True, return_state=True), merge_mode=None)(h)
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True, activity_regularizer="l2"), merge_mode="ave")(
        layers.Concatenate()([ahead, back]), initial_state=states)
    twice = layers.SimpleRNN(3, return_sequences=True)
    frozen = layers.LSTM(2, return_sequences=True, trainable=False)
    merged = layers.Concatenate()([twice(both), twice(layers.Dense(3)(h)), frozen(both)])
    steps = layers.TimeDistributed(layers.Dense(3, activation="softmax"))(merged)
    model = keras.Model(x, layers.Dense(4, activation="softmax")(layers.Flatten()(steps)))
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), x=features(rng, 4, 6, 3), y=classes(rng, 4))


@case(deflated=True)
def spectral_norms(rng):
    """SpectralNormalization of kernels of several ranks, with a penalty, with a mask that passes, of a layer that is frozen"""
    image, signal = layers.Input((5, 5, 2), name="image"), layers.Input((4, 3), name="signal")
    h = layers.SpectralNormalization(layers.Conv2D(4, 3, activation="tanh", kernel_regularizer="l2"), power_iterations=2)(image)
    h = layers.Flatten()(layers.SpectralNormalization(layers.DepthwiseConv2D(2, activity_regularizer="l2"))(h))
    steps = layers.SpectralNormalization(layers.Dense(4, activation="tanh", kernel_constraint="unit_norm"))(layers.Masking()(signal))
    steps = layers.SpectralNormalization(layers.EinsumDense("abc,cd->abd", (4, 4), bias_axes="d", trainable=False))(steps)
    both = layers.Concatenate()([h, layers.GRU(3)(steps)])
    model = keras.Model({"image": image, "signal": signal}, layers.Dense(3, activation="softmax")(both))
    return dict(model=compiled(model, "sparse_categorical_crossentropy", optimizers.SGD(0.05, momentum=0.9)), y=classes(rng, 3),
                x={"image": features(rng, 5, 5, 2), "signal": of_lengths(rng, 4, features(rng, 4, 3))})


@case
def alike_gradients(rng):
    """Two Dense layers of different depth that Add joins: what they say about their biases is the same sum"""
    x = layers.Input((5,))
    near, far = layers.Dense(3)(x), layers.Dense(3)(layers.Dense(4)(x))
    return dict(model=compiled(keras.Model(x, layers.Add()([near, far])), "mean_squared_error", metrics=()), x=features(rng, 5), y=features(rng, 3))


@case
def scalar_weights(rng):
    """weights that are single numbers, on an early and a late layer; the norm over all gradients"""
    inputs = layers.Input((5, 6))
    x = layers.Attention(use_scale=True)([inputs, layers.Dense(6, activation="tanh")(inputs)])
    x = layers.Dense(6, activation="tanh")(layers.Dense(8, activation="tanh")(x))
    x = layers.Attention(use_scale=True, score_mode="concat")([x, x])
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.3)
    return dict(model=compiled(model, "sparse_categorical_crossentropy", optimizer), x=features(rng, 5, 6), y=classes(rng, 3))


@case(deflated=True)
def masked_merges(rng):
    """Minimum, Maximum and Multiply of what has masks, all or some of it: what does not count is left out"""
    words, signs, seen = layers.Input((5,), dtype="int32", name="words"), layers.Input((5,), dtype="int32", name="signs"), layers.Input((5, 3), name="seen")
    parts = [layers.Embedding(7, 3, mask_zero=True)(words), layers.Embedding(4, 3, mask_zero=True)(signs), layers.Masking()(seen), layers.Dense(3)(seen)]
    merged = [merge()([parts[i] for i in which]) for merge in (layers.Minimum, layers.Maximum, layers.Multiply) for which in ((0, 1), (2, 0, 1), (3, 1), (0, 3, 2))]
    pooled = [layers.GlobalAveragePooling1D()(layers.Dense(2, activation="tanh")(part)) for part in merged]
    model = keras.Model([words, signs, seen], layers.Dense(4, activation="softmax")(layers.Concatenate()(pooled)))
    x = {"words": of_lengths(rng, 5, classes(rng, 6, 5) + 1), "signs": classes(rng, 4, 5), "seen": features(rng, 5, 3) * (rng.random((ROWS, 5, 1)) < 0.7)}
    x["words"][:, 0] = np.maximum(x["words"][:, 0], 1)
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), x=x, y=classes(rng, 4))


@case
def masked_blocks(rng):
    """A block within the model that is called with a mask, and again; attention that goes on with one; what merges masks"""
    i = layers.Input((6, 8))
    block = keras.Model(i, layers.LayerNormalization()(layers.Add()([i, layers.Attention()([i, i])])), name="block")
    x = layers.Input((6,), dtype="int32")
    embedded = layers.Embedding(9, 8, mask_zero=True)(x)
    merged = layers.Concatenate()([layers.Attention()([embedded, embedded]), layers.AdditiveAttention()([embedded, embedded])])
    pooled = layers.Concatenate()([layers.GlobalAveragePooling1D()(block(block(embedded))), layers.GlobalAveragePooling1D()(merged)])
    words = classes(rng, 9, 6)
    words[:, 3:] *= classes(rng, 2, 3)
    return dict(model=compiled(keras.Model(x, layers.Dense(4, activation="softmax")(pooled)), "sparse_categorical_crossentropy"), x=words, y=classes(rng, 4))


@case
def masked_statistics(rng):
    """batch normalization over the steps that a mask leaves, for training and with given statistics"""
    signal = layers.Input((5, 3))
    x = layers.Dense(4)(layers.Masking()(signal))
    x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.7)(x))
    x = layers.BatchNormalization(trainable=False)(layers.Dense(4)(x))
    model = keras.Model(signal, layers.Dense(3, activation="softmax")(x))
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), x=of_lengths(rng, 5, features(rng, 5, 3)), y=classes(rng, 3, 5))


@case
def recurrent_images(rng):
    """ConvLSTM in one to three dimensions: strides, dilation, valid and same, states given, masks, backwards"""
    line, image, masked = layers.Input((4, 7, 2), name="line"), layers.Input((3, 5, 5, 2), name="image"), layers.Input((4,), dtype="bool", name="m")
    one = layers.ConvLSTM1D(3, 2, strides=2, padding="same", return_sequences=True)(line, mask=masked)
    one = layers.ConvLSTM1D(2, 3, dilation_rate=2, padding="same", go_backwards=True, unit_forget_bias=False)(one)
    two, *states = layers.ConvLSTM2D(3, 2, return_sequences=True, return_state=True, recurrent_activation="hard_sigmoid")(image)
    two = layers.ConvLSTM2D(3, 3, padding="same", use_bias=False)(two, initial_state=states)
    three = layers.ConvLSTM3D(2, (2, 1, 2))(layers.Reshape((3, 5, 5, 2, 1))(image))
    flat = layers.Concatenate()([layers.Flatten()(part) for part in (one, two, three)])
    model = keras.Model({"line": line, "image": image, "m": masked}, layers.Dense(4, activation="softmax")(flat))
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), y=classes(rng, 4),
                x={"line": features(rng, 4, 7, 2), "image": features(rng, 3, 5, 5, 2),
                   "m": of_lengths(rng, 4, np.ones((ROWS, 4), dtype="int32"))})


@case(deflated=True)
def models_in_time(rng):
    """TimeDistributed of models, of Flatten, Reshape, RepeatVector and attention's neighbours; a model that is given a mask"""
    image, words = layers.Input((3, 6, 6, 2), name="image"), layers.Input((3,), dtype="int32", name="words")
    picture = layers.Input((6, 6, 2))
    small = layers.MaxPooling2D(2)(layers.Conv2D(4, 3, activation="relu", padding="same")(picture))
    small = layers.Add()([layers.Dense(3)(layers.Flatten()(small)), layers.Dense(3)(layers.GlobalAveragePooling2D()(small))])
    looked = layers.TimeDistributed(keras.Model(picture, small, name="look"))(image)
    rows = layers.TimeDistributed(layers.RepeatVector(2))(layers.TimeDistributed(layers.Flatten())(image))
    rows = layers.TimeDistributed(layers.Reshape((4, 36)))(rows)
    means = layers.TimeDistributed(layers.GlobalAveragePooling2D(data_format="channels_first"))(image)
    rows = layers.TimeDistributed(keras.Sequential([layers.Input((4, 36)), layers.LSTM(3), layers.LayerNormalization()]))(rows)
    both = layers.Concatenate()([looked, rows, means])
    told = keras.Sequential([layers.Input((3, 5)), layers.Dense(4, activation="tanh"), layers.GRU(4)], name="told")(
        layers.Embedding(12, 5, mask_zero=True)(words))
    last = layers.GRU(4)(both, initial_state=told)
    model = keras.Model({"image": image, "words": words}, layers.Dense(4, activation="softmax")(last))
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), y=classes(rng, 4),
                x={"image": features(rng, 3, 6, 6, 2), "words": of_lengths(rng, 3, rng.integers(1, 12, size=(ROWS, 3)).astype("int32"))})


@case(deflated=True)
def models_normalized_in_time(rng):
    """BatchNormalization in models within TimeDistributed: statistics of each step by itself, moving averages from step to step"""
    x, picture, inside = layers.Input((3, 4, 4, 2)), layers.Input((4, 4, 2)), layers.Input((3,))
    normal = layers.BatchNormalization(momentum=0.8, epsilon=0.01)
    small = layers.Activation("tanh")(normal(layers.Conv2D(3, 2, use_bias=False)(picture)))
    small = keras.Model(inside, normal_rows(inside))(layers.GlobalAveragePooling2D()(small))
    seen = layers.TimeDistributed(keras.Model(picture, small))(x)
    model = keras.Model(x, layers.Dense(4, activation="softmax")(layers.GRU(4)(normal_rows(seen))))
    return dict(model=compiled(model, "sparse_categorical_crossentropy", optimizers.SGD(0.1)), x=features(rng, 3, 4, 4, 2), y=classes(rng, 4))


def normal_rows(x): return layers.BatchNormalization(momentum=0.7, epsilon=0.02)(layers.Dense(5)(x))


@case(deflated=True)
def models_at_the_end(rng):
    """outputs of models within: of the first and the second call of a Functional, whose calls Keras counts from 1 there, and of a Sequential"""
    x, inside = layers.Input((6,)), layers.Input((6,))
    hidden = layers.Dense(6, activation="tanh")(inside)
    twice = keras.Model(inside, [hidden, layers.Dense(3)(hidden)], name="twice")
    first, near = twice(x)
    far = twice(layers.Add()([first, x]))[1]
    last = keras.Sequential([layers.Input((3,)), layers.Dense(2)], name="last")(far)
    model = keras.Model(x, {"near": near, "far": far, "last": last})
    return dict(model=compiled(model, {name: "mean_squared_error" for name in ("near", "far", "last")}, metrics=None), x=features(rng, 6),
                y={"near": features(rng, 3), "far": features(rng, 3), "last": features(rng, 2)})


def summed(branches):
    """All elements of the branches, which are real numbers or become so, in one Dense layer of classes"""
    flat = [layers.Flatten()(keras.ops.cast(branch, "float32")) for branch in branches]
    return layers.Dense(4, activation="softmax")(layers.Concatenate()(flat))


@case(deflated=True)
def operations_element(rng):
    """operations element by element: angles, logarithms, whole numbers, choices, activations with their numbers"""
    ops, x = keras.ops, layers.Input((5,))
    a, b = layers.Dense(3, activation="tanh")(x), layers.Dense(3)(x)
    c = 0.5 + ops.sigmoid(b)
    one = [ops.arcsin(0.9 * a), ops.arccos(0.9 * a), ops.arctanh(0.9 * a), ops.arctan(b), ops.arcsinh(b), ops.arccosh(c + 1), ops.sinh(a), ops.cosh(a),
           ops.tan(a), ops.sinc(b), ops.expm1(a), ops.exp2(a), ops.log2(c), ops.log10(c), ops.cbrt(c), ops.deg2rad(b), ops.rad2deg(0.01 * b),
           a * ops.ceil(b), a * ops.trunc(b), a * ops.round(b, 1), ops.stop_gradient(a) * b, ops.nan_to_num(b), ops.full_like(a, 0.5) * b, ops.signbit(a)]
    two = [ops.arctan2(a, b), ops.hypot(a, b), ops.logaddexp(a, b), ops.logaddexp2(a, b), b % 0.7, b // 0.7, ops.fmax(a, b), ops.fmin(a, b), ops.divide_no_nan(a, c),
           ops.select([a > 0.5, b > 0], [a, 2 * b], 0.25), ops.isclose(a, b, rtol=0.1), ops.heaviside(a, b), a + np.arange(3, dtype="float32"), ops.isfinite(b)]
    kinds = [ops.elu(b, 0.5), ops.celu(b, 0.5), ops.leaky_relu(b, 0.1), ops.hard_shrink(b, 0.3), ops.soft_shrink(b, 0.3), ops.threshold(b, 0.2, 0.7), ops.squareplus(b, 2),
             ops.relu6(4 * b), ops.selu(b), ops.hard_silu(b), ops.log_sigmoid(b), ops.sparse_plus(b), ops.log_softmax(b), ops.glu(ops.concatenate([a, b], axis=-1))]
    return dict(model=compiled(keras.Model(x, summed(one + two + kinds)), "sparse_categorical_crossentropy"), x=features(rng, 5), y=classes(rng, 4))


@case(deflated=True)
def operations_dims(rng):
    """operations over dimensions of a sample: moments, norms, weighted means, order, places"""
    ops, x = keras.ops, layers.Input((4, 3))
    h, w = layers.Dense(6)(x), layers.Dense(6, activation="sigmoid")(x)
    values, places = ops.top_k(h, 2)
    branches = [ops.var(h, axis=(1, 2)), ops.std(h, axis=1, keepdims=True), *ops.moments(h, axes=[1]), ops.ptp(h, axis=-1), ops.max(h, axis=1, initial=0.3),
                ops.reshape(ops.average(h, axis=1, weights=np.array([1.0, 2.0, 3.0, 4.0])), (-1, 6)), ops.average(h, axis=-1, weights=w), ops.logsumexp(h, axis=1), ops.norm(h, axis=1),
                ops.norm(h, ord=1, axis=-1), ops.norm(h, ord=3, axis=-1, keepdims=True), ops.norm(h, ord="fro", axis=(1, 2)), ops.normalize(h, axis=1),
                ops.normalize(w, order=3), ops.count_nonzero(h > 0, axis=1), ops.argmin(h, axis=1, keepdims=True), ops.argmax(h, axis=-1), values, places,
                ops.sort(h, axis=1), ops.argsort(w), ops.median(h, axis=1), ops.log_softmax(h, axis=1), ops.softmax(w, axis=1)]
    return dict(model=compiled(keras.Model(x, summed(branches)), "sparse_categorical_crossentropy", optimizers.SGD(0.02)), x=features(rng, 4, 3), y=classes(rng, 4))


@case(deflated=True)
def operations_parts(rng):
    """operations on shapes and parts: order, repetition, margins, triangles, indices of all kinds, one-hot numbers"""
    ops, x, words = keras.ops, layers.Input((4, 3), name="x"), layers.Input((3,), dtype="int32", name="words")
    h = layers.Dense(6)(x)
    shapes = [ops.swapaxes(h, 1, 2), ops.moveaxis(ops.expand_dims(h, (1, -1)), (1, 2), (3, 1)), ops.hstack([h, h[:, :1]]), ops.dstack([h, 2 * h]), *ops.array_split(h, 3, axis=1),
              *ops.hsplit(h, 2), *ops.unstack(h, axis=1)]
    parts = [ops.flip(h, axis=(1, 2)), ops.roll(h, (1, -2), axis=(1, 2)), ops.rot90(h, 3, axes=(1, 2)), ops.repeat(h, 2, axis=1), ops.repeat(h, [1, 0, 2, 1], axis=1),
             ops.tile(h, (1, 2, 1)), ops.pad(h, ((0, 0), (1, 0), (0, 2)), constant_values=1.5), ops.pad(h, ((0, 0), (2, 1), (3, 0)), mode="reflect"),
             ops.pad(h, ((0, 0), (2, 1), (0, 0)), mode="symmetric"), ops.tril(h, k=1), ops.triu(h, k=-1), ops.diagonal(h, offset=1, axis1=1, axis2=2),
             ops.trace(h, axis1=1, axis2=2)[:, None], ops.diff(h, n=2, axis=1)]
    picked = [h[:, ::-2], h[..., -1], h[:, None, -1, ...], h[:, -1:0:-2, 1:5:3], ops.take(h, np.array([2, 0, -1]), axis=1), ops.take(h, np.array([[2, 0], [1, 1]]), axis=2),
              ops.take(np.arange(10, dtype="float32").reshape(5, 2), words, axis=0), ops.take_along_axis(h, ops.argsort(h, axis=1), axis=1), ops.one_hot(words, 4, axis=1),
              ops.multi_hot(words, 5), ops.digitize(h, np.array([-1.0, 0.0, 0.5])),
              ops.searchsorted(np.array([-1.0, 0.0, 0.5], "float32"), h[:, 0, 0], side="right")[:, None]]
    step = layers.Input((6,))
    picked.append(layers.TimeDistributed(keras.Model(step, ops.logsumexp(ops.reshape(layers.Dense(4)(step), (-1, 2, 2)), axis=1)))(h))
    model = keras.Model({"x": x, "words": words}, summed(shapes + parts + picked))
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), x={"x": features(rng, 4, 3), "words": classes(rng, 5, 3)}, y=classes(rng, 4))


@case(deflated=True)
def operations_products(rng):
    """operations that are sums of products, and operations on images"""
    ops, x, image = keras.ops, layers.Input((4, 3), name="x"), layers.Input((6, 4, 2), name="image")
    h, k, kernel = layers.Dense(6)(x), layers.Dense(6, activation="tanh")(x), np.arange(12, dtype="float32").reshape(6, 2) / 9
    cube = np.arange(48, dtype="float32").reshape(6, 2, 4) / 99
    products = [h @ kernel, ops.matmul(h, kernel[:, 0]), ops.matmul(np.ones((3, 4), "float32"), h), ops.dot(h, kernel),
                ops.tensordot(h, kernel, axes=1), ops.tensordot(h, cube, axes=[[1, 2], [2, 0]]), ops.einsum("btc,bsd->bcd", h, k),
                ops.einsum("btc,cd,dt->bd", h, kernel, np.ones((2, 4), "float32")), ops.einsum("...c,...c->...", h, k), ops.einsum("btc->bct", h),
                ops.einsum("bic,bjc->bijc", h, k), ops.cdist(h, k)]
    y = layers.Conv2D(8, 1)(image)
    images = [ops.nn.depth_to_space(y, 2), ops.nn.space_to_depth(y, 2), ops.image.extract_patches(y, (4, 3)), ops.max_pool(y, 2), ops.average_pool(y, 3, strides=2, padding="same"),
              ops.image.resize(y, (9, 3)), ops.image.resize(y, (9, 3), interpolation="nearest"), ops.image.resize(y, (4, 7), interpolation="lanczos5"),
              ops.image.resize(y, (3, 3), antialias=True), ops.image.resize(y, (3, 4), crop_to_aspect_ratio=True), ops.image.resize(y, (3, 4), pad_to_aspect_ratio=True, fill_value=0.5)]
    query, shared = ops.reshape(h, (-1, 4, 2, 3)), ops.reshape(k, (-1, 4, 2, 3))
    products += [ops.dot_product_attention(ops.repeat(query, 2, axis=2), shared, shared, is_causal=True),
                 ops.dot_product_attention(query, query, query, scale=0.3, mask=(h @ ops.swapaxes(k, 1, 2) > -1)[:, None], bias=np.eye(4, dtype="float32"))]
    model = keras.Model({"x": x, "image": image}, summed(products + images))
    return dict(model=compiled(model, "sparse_categorical_crossentropy", optimizers.SGD(0.02)), x={"x": features(rng, 4, 3), "image": features(rng, 6, 4, 2)}, y=classes(rng, 4))


@case(deflated=True)
def fourier_transforms(rng):
    """Fourier transforms as in FNet: of complex and of real numbers, over one and two dimensions and back, of even and odd lengths, cut off
    and filled up"""
    ops, x = keras.ops, layers.Input((5, 6))
    h = x + layers.Dense(6, activation="tanh")(x)
    mixed, _ = ops.fft2((h, ops.zeros_like(h)))
    h = layers.LayerNormalization(epsilon=0.01)(h + 0.3 * mixed)
    pair = ops.fft((layers.Dense(4)(h), layers.Dense(4)(h)))
    back = ops.ifft2((layers.Dense(3)(h), layers.Dense(3)(h)))
    even, odd = ops.rfft(h), ops.rfft(h[:, :, :5])
    other = [*ops.rfft(x, fft_length=7), *ops.rfft(x, fft_length=4), ops.irfft((x, x), fft_length=13), ops.irfft((x, x), fft_length=6)]  # TensorFlow has no gradient of these
    real = [ops.irfft(tuple(even)), ops.irfft(tuple(odd), fft_length=5), *other]
    found = [0.3 * part for part in (*pair, *back, *even, *odd)] + real
    model = keras.Model(x, summed(layers.Dense(1, activation="tanh")(part) for part in found))
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), x=features(rng, 5, 6), y=classes(rng, 4))


@case(deflated=True)
def patches_of_images(rng):
    """windows of images and of volumes as pixels: overlapping, dilated, with rows left out, padded, channels first"""
    patches, image, volume = keras.ops.image.extract_patches, layers.Input((6, 5, 2), name="image"), layers.Input((3, 4, 2, 2), name="volume")
    y = layers.Conv2D(3, 2, padding="same", activation="tanh")(image)
    found = [patches(y, (3, 2), strides=(2, 1), padding="same"), patches(y, 2, strides=1, dilation_rate=2, padding="valid"), patches(y, (4, 2)),
             patches(y, 4, padding="same"), patches(y, 2, strides=3, data_format="channels_first"),
             keras.ops.image.extract_patches_3d(layers.Dense(2)(volume), (2, 3, 1), strides=1), keras.ops.image.extract_patches_3d(volume, 2, padding="same")]
    model = keras.Model({"image": image, "volume": volume}, summed(layers.Dense(1, activation="tanh")(part) for part in found))
    return dict(model=compiled(model, "sparse_categorical_crossentropy", optimizers.SGD(0.02)), x={"image": features(rng, 6, 5, 2), "volume": features(rng, 3, 4, 2, 2)}, y=classes(rng, 4))


@case(deflated=True)
def categories_and_sizes(rng):
    """numbers of categories and intervals as vectors and for tables; normalization undone; images of other sizes by all interpolations that
    backends agree on, cropped or padded before; images smaller than their crop"""
    words, signal, image = layers.Input((3,), dtype="int32", name="words"), layers.Input((3,), name="signal"), layers.Input((6, 4, 2), name="image")
    bounds, vocabulary = [-0.5, 0.0, 1.0], [4, 1, 3]
    vectors = [layers.CategoryEncoding(6, output_mode="count")(words), layers.CategoryEncoding(6)(words), layers.Discretization(bounds, output_mode="multi_hot")(signal),
               layers.Discretization(bounds, output_mode="one_hot")(signal), layers.IntegerLookup(vocabulary=vocabulary, output_mode="count")(words),
               layers.Embedding(4, 3)(layers.Discretization(bounds)(signal)), layers.Embedding(6, 3)(layers.IntegerLookup(vocabulary=vocabulary, mask_token=0)(words)),
               layers.Normalization(mean=[0.5, 0.1, 0.2], variance=[2.0, 1.0, 0.5], invert=True)(signal), layers.Normalization(axis=None, mean=0.5, variance=2.0)(signal)]
    y = layers.Conv2D(3, 1)(image)
    images = [layers.Resizing(4, 7, interpolation=name)(y) for name in ("nearest", "lanczos3")]
    images += [layers.UpSampling2D((1, 2), interpolation=name)(y) for name in ("bilinear", "lanczos5")]
    images += [layers.Resizing(3, 3, antialias=True)(y), layers.Resizing(5, 9, crop_to_aspect_ratio=True)(y), layers.Resizing(5, 9, pad_to_aspect_ratio=True, fill_value=2.0)(y),
               layers.CenterCrop(3, 6)(y), layers.CenterCrop(3, 3)(y)]
    model = keras.Model({"words": words, "signal": signal, "image": image}, summed(vectors + [layers.GlobalAveragePooling2D()(i) for i in images]))
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), y=classes(rng, 4),
                x={"words": classes(rng, 5, 3), "signal": features(rng, 3), "image": features(rng, 6, 4, 2)})


@case(deflated=True)
def recurrent_channels_first(rng):
    """ConvLSTM of images with their channels first: states passed on, masks, backwards, both directions"""
    image, masked = layers.Input((3, 2, 4, 5), name="image"), layers.Input((3,), dtype="bool", name="m")
    one, *states = layers.ConvLSTM2D(3, 2, data_format="channels_first", return_sequences=True, return_state=True)(image, mask=masked)
    one = layers.ConvLSTM2D(3, 3, padding="same", data_format="channels_first", go_backwards=True)(one, initial_state=states)
    two = layers.Bidirectional(layers.ConvLSTM2D(2, (2, 3), data_format="channels_first", return_sequences=True))(image)
    flat = layers.Concatenate()([layers.Flatten()(part) for part in (one, two)])
    model = keras.Model({"image": image, "m": masked}, layers.Dense(3, activation="softmax")(flat))
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), y=classes(rng, 3),
                x={"image": features(rng, 3, 2, 4, 5), "m": of_lengths(rng, 3, np.ones((ROWS, 3), dtype="int32"))})


@case(deflated=True)
def moved_images(rng):
    """images that are turned, zoomed and shifted by numbers that are drawn from ranges of one number, looked up and filled in all ways"""
    image = layers.Input((6, 5, 2))
    moved = [layers.RandomRotation((0.13, 0.13))(image), layers.RandomRotation((-0.3, -0.3), fill_mode="constant", fill_value=0.3)(image),
             layers.RandomZoom((0.37, 0.37), fill_mode="wrap")(image), layers.RandomZoom((0.8, 0.8), (-0.3, -0.3), interpolation="nearest")(image),
             layers.RandomTranslation((0.37, 0.37), (-0.93, -0.93))(image), layers.RandomTranslation((-0.2, -0.2), (0.4, 0.4), fill_mode="nearest")(image)]
    h = layers.Conv2D(4, 3, activation="tanh")(layers.Concatenate()(moved))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(h)))
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), x=features(rng, 6, 5, 2), y=classes(rng, 3))


@case(deflated=True)
def layer_arguments(rng):
    """layers in the place of an activation's name, logits of one of them; groups of other dimensions than the last; statistics of several
    dimensions; several numbers for what is in no vocabulary, vectors longer than it"""
    words, image = layers.Input((3,), dtype="int32", name="words"), layers.Input((4, 3, 2), name="image")
    y = layers.Conv2D(4, 1, activation=layers.LeakyReLU(0.1))(image)
    branches = [layers.GroupNormalization(2, axis=1)(y), layers.GroupNormalization(2, axis=-1, scale=False)(y), layers.GroupNormalization(-1, axis=-2)(y),
                layers.Normalization(axis=(1, 3), mean=rng.normal(size=(4, 2)), variance=rng.uniform(0.5, 2, size=(4, 2)))(image),
                layers.Normalization(axis=(1, -1), mean=[0.5, 0.1], variance=[2.0, 1.0])(image)]
    h = layers.Concatenate()([layers.GlobalAveragePooling2D()(branch) for branch in branches])
    found = [layers.IntegerLookup(vocabulary=[4, 1, 3], num_oov_indices=2, output_mode="count", max_tokens=8, pad_to_max_tokens=True)(words),
             layers.Flatten()(layers.Embedding(7, 2)(layers.IntegerLookup(vocabulary=[4, 1, 3], num_oov_indices=3, mask_token=0)(words)))]
    h = layers.Dense(6, activation=layers.ReLU(max_value=1.5, negative_slope=0.2))(layers.Concatenate()([h, *found]))
    h = layers.EinsumDense("ab,bc->ac", 5, activation=layers.ELU(0.7))(h)
    model = keras.Model({"words": words, "image": image}, layers.Dense(4, activation=layers.Softmax())(h))
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), y=classes(rng, 4), x={"words": classes(rng, 9, 3), "image": features(rng, 4, 3, 2)})


@case(deflated=True)
def tables_and_pairs(rng):
    """a table that is read by numbers and multiplied with, tied or not; penalties on the projections of attention; Dot of all kinds;
    EinsumDense with a letter in all parts and one that is summed alone"""
    words, signal = layers.Input((4,), dtype="int32", name="words"), layers.Input((4, 3), name="signal")
    tied, untied = layers.ReversibleEmbedding(6, 4, logit_soft_cap=2.0), layers.ReversibleEmbedding(6, 4, tie_weights=False, mask_zero=True)
    a, b, h = tied(words), untied(words), layers.Dense(4)(signal)
    heads = [layers.MultiHeadAttention(2, 3, activity_regularizer="l2")(h, a), layers.GroupQueryAttention(3, 4, 2, activity_regularizer="l2")(h, h)]
    flat = layers.Flatten()(h)
    pairs = [layers.Dot(2)([h, a]), layers.Dot(1, normalize=True)([h, a]), layers.Dot((2, 1))([h, layers.Dense(4)(flat)]), layers.Dot(1, normalize=True)([flat, layers.Flatten()(a)])]
    sums = [layers.EinsumDense("abc,bcd->abd", output_shape=(4, 3), bias_axes="bd")(h), layers.EinsumDense("abc,cd->ad", output_shape=3)(h)]
    model = keras.Model({"words": words, "signal": signal}, summed([tied(h, reverse=True), untied(b, reverse=True)] + heads + pairs + sums))
    return dict(model=compiled(model, "sparse_categorical_crossentropy"), x={"words": classes(rng, 6, 4), "signal": features(rng, 4, 3)}, y=classes(rng, 4))


def overlapping(rng, dice, tversky, rows=ROWS, **more):
    """Maps of 3 by 4 points in 2 classes, two outputs."""
    x = layers.Input((6,))
    hidden = layers.Dense(8, activation="tanh")(x)
    def maps(name): return layers.Reshape((3, 4, 2), name=name)(layers.Dense(24, activation="sigmoid")(hidden))
    model = keras.Model(x, {"areas": maps("areas"), "rare": maps("rare")})
    compiled(model, {"areas": losses.Dice(**dice), "rare": losses.Tversky(alpha=0.3, beta=0.6, **tversky)}, metrics=None)
    return dict(model=model, x=features(rng, 6, rows=rows), y={name: classes(rng, 2, 3, 4, 2, rows=rows).astype("float32") for name in ("areas", "rare")}, **more)


@case
def loss_overlap(rng):
    """Dice and Tversky of each row, and of each class of a row"""
    return overlapping(rng, dict(axis=(1, 2, 3)), dict(axis=[1, -2]))


@case
def loss_overlap_batch(rng):
    """Dice and Tversky of the whole batch"""
    return overlapping(rng, {}, dict(reduction="mean_with_sample_weight"))


@case
def loss_overlap_classes(rng):
    """Dice and Tversky of each class over the batch and its points, their mean and their sum"""
    return overlapping(rng, dict(axis=(0, 1, 2)), dict(axis=[0, -2], reduction="sum"))


@case
def fit_overlap_batch(rng):
    """fit: Dice and Tversky of the whole batch with sample weights; short last batches in training and in validation"""
    rows = 29
    weights = {name: rng.uniform(0.2, 3, size=rows).astype("float32") for name in ("areas", "rare")}
    return overlapping(rng, {}, dict(reduction="mean_with_sample_weight"), rows, sample_weight=weights, fit=dict(epochs=2, validation_split=0.3))


def ignoring(ignored, **more): return losses.SparseCategoricalCrossentropy(ignore_class=ignored, **more)


def some(rng, share, ignored, labels):
    """labels, of which a share is of the class that is ignored"""
    labels[rng.random(size=labels.shape) < share] = ignored
    return labels


@case
def loss_ignore_class(rng):
    """a class that is ignored: of points of maps (255, in some parts of a batch all) and of masked steps (-1, probabilities that are nearly 0
    and 1)"""
    x, words = layers.Input((2, 3, 4), name="x"), layers.Input((5,), dtype="int32", name="words")
    points = layers.Dense(20, name="points")(layers.Dense(6, activation="tanh")(x))
    steps = layers.Dense(5, activation="softmax", name="steps")(layers.Rescaling(12.0)(layers.Embedding(9, 5, mask_zero=True)(words)))
    model = keras.Model([x, words], {"points": points, "steps": steps})
    compiled(model, {"points": ignoring(255, from_logits=True), "steps": ignoring(-1)}, metrics={"points": ["accuracy"]})
    y = {"points": some(rng, 0.3, 255, classes(rng, 20, 2, 3)), "steps": some(rng, 0.4, -1, classes(rng, 5, 5))}
    y["points"][4:8] = y["points"][16:21] = 255
    return dict(model=model, x={"x": features(rng, 2, 3, 4), "words": of_lengths(rng, 5, rng.integers(1, 9, size=(ROWS, 5)).astype("int32"))}, y=y)


@case
def loss_ignore_weighted(rng):
    """fit: one of the classes is ignored, of rows with weights, by each reduction; no row of the last batch counts"""
    x = layers.Input((6,))
    hidden = layers.Dense(8, activation="tanh")(x)
    reductions = {"sums": "sum", "means": "sum_over_batch_size", "shares": "mean_with_sample_weight"}
    model = keras.Model(x, {name: layers.Dense(3, activation="softmax", name=name)(hidden) for name in reductions})
    compiled(model, {name: ignoring(1, reduction=reduction) for name, reduction in reductions.items()}, metrics=None)
    rows = 27
    y = {name: some(rng, 0.2, 1, classes(rng, 3, rows=rows)) for name in reductions}
    for labels in y.values(): labels[24:] = 1
    weights = {name: rng.uniform(0.2, 2, size=rows).astype("float32") for name in reductions}
    return dict(model=model, x=features(rng, 6, rows=rows), y=y, sample_weight=weights, fit=dict(epochs=2))


@case
def loss_unreduced(rng):
    """fit: losses of several values a batch, of which Keras descends the sum and logs the mean, beside one that is reduced; short last batch,
    masked steps, sample weights"""
    words = layers.Input((4,), dtype="int32")
    hidden = layers.Embedding(9, 5, mask_zero=True)(words)
    model = keras.Model(words, {"tags": layers.Dense(3, activation="softmax", name="tags")(hidden), "sizes": layers.Dense(2, name="sizes")(hidden),
                                "kind": layers.Dense(3, activation="softmax", name="kind")(layers.Flatten()(hidden))})
    compiled(model, {"tags": losses.SparseCategoricalCrossentropy(reduction=None), "sizes": losses.MeanSquaredError(reduction="none"),
                     "kind": "sparse_categorical_crossentropy"}, optimizers.SGD(0.02), metrics={"kind": ["accuracy"]}, loss_weights={"tags": 1.0, "sizes": 0.5, "kind": 2.0})
    rows = 21
    return dict(model=model, x=of_lengths(rng, 4, rng.integers(1, 9, size=(rows, 4)).astype("int32")), fit=dict(epochs=2),
                y={"tags": classes(rng, 3, 4, rows=rows), "sizes": features(rng, 4, 2, rows=rows), "kind": classes(rng, 3, rows=rows)})


@case
def loss_unreduced_rows(rng):
    """a loss of one value a row with sample weights, not reduced"""
    model = compiled(dense_stack([8, 3], inputs=6, last=None), losses.Huber(reduction=None), metrics=("mae",))
    return dict(model=model, x=features(rng, 6), y=features(rng, 3), sample_weight=rng.uniform(0.2, 2, size=ROWS).astype("float32"))


@case
def loss_overlap_whole(rng):
    """Dice and Tversky of the whole batch, summed and not reduced: either way the one value that there is"""
    return overlapping(rng, dict(reduction="sum"), dict(reduction="none"))


@case(deflated=True)
def loss_axes(rng):
    """losses along another dimension than the last, of logits, of what softmax and sigmoid are made of, of probabilities that are smoothed over
    the last dimension all the same; sigmoids that a focal loss takes for logits"""
    x = layers.Input((6,))
    hidden = layers.Dense(4, activation="tanh")(x)
    def block(name): return layers.Reshape((2, 3, 4), name=name)(layers.Dense(24)(hidden))
    def along(kind, axis, **more): return getattr(losses, kind)(axis=axis, **more)
    outputs = {"logits": block("logits"), "softmax": layers.Softmax(axis=2, name="softmax")(block("a")), "last": layers.Softmax(axis=1, name="last")(block("b")),
               "shares": layers.Softmax(axis=(1, 2), name="shares")(block("c")), "focal": block("focal"), "yes": layers.Activation("sigmoid", name="yes")(block("d")),
               "sure": layers.Activation("sigmoid", name="sure")(block("e")), "ways": block("ways")}
    wanted = {"logits": along("CategoricalCrossentropy", 1, from_logits=True), "softmax": along("CategoricalCrossentropy", 2),
              "last": along("CategoricalCrossentropy", -1), "shares": along("CategoricalCrossentropy", -2, label_smoothing=0.1),
              "focal": along("CategoricalFocalCrossentropy", 1, from_logits=True, label_smoothing=0.2), "yes": along("BinaryCrossentropy", -3),
              "sure": along("BinaryFocalCrossentropy", 2, from_logits=True), "ways": along("CosineSimilarity", 2)}
    model = compiled(keras.Model(x, outputs), wanted, metrics=None)
    y = {name: classes(rng, 2, 2, 3, 4).astype("float32") for name in wanted}
    for name, axis in {"logits": 1, "softmax": 2, "last": 3}.items():
        y[name] = np.moveaxis(np.eye(y[name].shape[axis], dtype="float32")[classes(rng, y[name].shape[axis], *np.delete((2, 3, 4), axis - 1))], -1, axis)
    y["ways"] = features(rng, 2, 3, 4)
    return dict(model=model, x=features(rng, 6), y=y)


@case(deflated=True)
def loss_functions(rng):
    """losses as functions, plain and with arguments, which their classes do not all save; one of class numbers with and without weights"""
    x = layers.Input((6,))
    hidden = layers.Dense(5, activation="tanh")(x)
    def of(function, **arguments): return keras.src.losses.losses.LossFunctionWrapper(function, **arguments)
    def shares(name): return layers.Dense(4, activation="softmax", name=name)(hidden)
    model = keras.Model(x, {"plain": layers.Dense(3, name="plain")(hidden), "huber": layers.Dense(3, name="huber")(hidden),
                            "cosine": layers.Reshape((3, 1), name="cosine")(layers.Dense(3)(hidden)), "noisy": shares("noisy"), "doubtful": shares("doubtful")})
    wanted = {"plain": keras.losses.mean_absolute_error, "huber": of(keras.losses.huber, delta=0.4, reduction="sum"), "cosine": of(keras.losses.cosine_similarity, axis=1),
              "noisy": losses.CategoricalGeneralizedCrossEntropy(), "doubtful": losses.CategoricalGeneralizedCrossEntropy(q=0.8, reduction="mean_with_sample_weight")}
    model = compiled(model, wanted, metrics={"noisy": ["accuracy"]})
    y = {"plain": features(rng, 3), "huber": features(rng, 3), "cosine": features(rng, 3, 1), "noisy": classes(rng, 4), "doubtful": classes(rng, 4)}
    return dict(model=model, x=features(rng, 6), y=y, sample_weight={name: rng.uniform(0.2, 2, size=ROWS).astype("float32") for name in y})


def embeddings(rng, rows=ROWS, **more):
    """rows of length one, of few kinds, so that most have another of their own in a batch"""
    x = layers.Input((6,))
    hidden = layers.Dense(8, activation="tanh")(x)
    def ways(name): return layers.UnitNormalization(name=name)(layers.Dense(4)(hidden))
    model = keras.Model(x, {"near": ways("near"), "all": ways("all"), "far": ways("far")})
    wanted = {"near": losses.Circle(), "all": losses.Circle(gamma=20, margin=0.25, remove_diagonal=False, reduction="sum"),
              "far": losses.Circle(gamma=400, margin=0.5, reduction="mean_with_sample_weight")}
    compiled(model, wanted, optimizers.SGD(0.002), metrics=None)
    return dict(model=model, x=features(rng, 6, rows=rows), y={name: classes(rng, 4, rows=rows) + 7 for name in wanted}, **more)


@case(deflated=True)
def loss_circle(rng):
    """Circle of pairs of a batch, by each reduction; rows that have no other of their kind, and values that vanish"""
    return embeddings(rng)


@case(deflated=True)
def fit_circle(rng):
    """fit: Circle with sample weights; short last batches in training and in validation"""
    rows = 29
    return embeddings(rng, rows, sample_weight={name: rng.uniform(0.2, 3, size=rows).astype("float32") for name in ("near", "all", "far")},
                      fit=dict(epochs=2, validation_split=0.3))


@case(deflated=True)
def loss_ctc(rng):
    """CTC: labels of all lengths, some repeated, none at all, and as many as there are steps; logits, and probabilities that it takes for logits"""
    x = layers.Input((5, 3))
    hidden = layers.Dense(6, activation="tanh")(x)
    model = keras.Model(x, {"said": layers.Dense(4, name="said")(hidden), "heard": layers.Dense(3, activation="softmax", name="heard")(hidden)})
    compiled(model, {"said": losses.CTC(), "heard": losses.CTC(reduction="mean_with_sample_weight")}, metrics=None)
    y = {"said": classes(rng, 3, 5) + 1, "heard": of_lengths(rng, 3, classes(rng, 2, 3) + 1)}
    y["said"] = of_lengths(rng, 5, y["said"])
    for labels in y["said"]:
        while np.sum(labels > 0) + np.sum((labels[1:] == labels[:-1]) & (labels[1:] > 0)) > 5: labels[np.sum(labels > 0) - 1] = 0
    y["said"][3], y["said"][5], y["said"][9] = 0, (1, 2, 1, 3, 2), (2, 2, 2, 0, 0)
    y["heard"] = np.pad(y["heard"], ((0, 0), (0, 2)))
    return dict(model=model, x=features(rng, 5, 3), y=y, sample_weight={name: rng.uniform(0.2, 2, size=ROWS).astype("float32") for name in y})


@case(deflated=True)
def loss_of_numbers(rng):
    """predictions and labels of shape (batch), which Keras takes the mean of: scores of pairs, and sigmoids of them"""
    users, items = layers.Input((3,), name="users"), layers.Input((4,), name="items")
    a, b = layers.Dense(5, activation="tanh")(users), layers.Dense(5)(items)
    score = keras.ops.sum(a * b, axis=-1)
    model = keras.Model([users, items], [score, layers.Activation("sigmoid", name="likes")(3.0 * score)])
    model.compile(optimizers.SGD(0.1), ["huber", losses.BinaryCrossentropy(label_smoothing=0.1)])
    return dict(model=model, x={"users": features(rng, 3), "items": features(rng, 4)}, y=dict(zip(model.output_names, (features(rng), classes(rng, 2).astype("float32")))))


def weighed(rng, *shape, rows=ROWS):
    """sample weights, some of them zero"""
    weights = rng.uniform(0.2, 3, size=(rows, *shape)).astype("float32")
    return np.where(rng.uniform(size=weights.shape) < 0.1, np.float32(0), weights)


@case(deflated=True)
def weights_steps(rng):
    """sample weights of steps, of pixels, of rows of pixels and of whole rows, by each reduction, with masked steps and without; metrics of
    both kinds, of an output without a loss too"""
    m = keras.metrics
    words, signal = layers.Input((6,), dtype="int32", name="words"), layers.Input((4, 3), name="signal")
    told, heard = layers.Embedding(9, 5, mask_zero=True)(words), layers.Dense(6, activation="tanh")(signal)
    image = layers.Reshape((4, 2, 3))(heard)
    def dense(name, units, x, activation=None): return layers.Dense(units, activation=activation, name=name)(x)
    model = keras.Model({"words": words, "signal": signal}, {
        "tags": dense("tags", 4, told, "softmax"), "sizes": dense("sizes", 2, told), "kinds": dense("kinds", 3, heard, "softmax"),
        "shares": dense("shares", 2, heard), "alike": dense("alike", 2, heard), "pixels": dense("pixels", 1, image, "sigmoid"),
        "places": dense("places", 2, image), "loose": dense("loose", 1, heard, "sigmoid")})
    compiled(model, {"tags": "sparse_categorical_crossentropy", "sizes": losses.MeanSquaredError(reduction="mean_with_sample_weight"),
                     "kinds": losses.SparseCategoricalCrossentropy(ignore_class=1), "shares": losses.MeanSquaredError(reduction="mean_with_sample_weight"),
                     "alike": losses.MeanAbsoluteError(reduction="sum"), "pixels": "binary_crossentropy", "places": "mse", "loose": None},
             optimizers.SGD(0.05), metrics={"tags": ["accuracy"], "loose": ["mse"]},
             loss_weights={"tags": 1.0, "sizes": 0.5, "kinds": 1.0, "shares": 0.5, "alike": 0.02, "pixels": 1.0, "places": 0.5, "loose": 1.0},
             weighted_metrics={"tags": ["accuracy", "sparse_top_k_categorical_accuracy"], "sizes": ["mae"], "kinds": ["accuracy"], "shares": [m.RootMeanSquaredError()],
                               "alike": ["mse", m.PearsonCorrelation(axis=1)], "pixels": ["accuracy", m.Precision(), m.AUC(num_thresholds=20), m.BinaryIoU(dtype="float32")],
                               "places": ["mae"], "loose": ["accuracy", m.TruePositives()]})
    y = {"tags": classes(rng, 4, 6), "sizes": features(rng, 6, 2), "kinds": classes(rng, 3, 4), "shares": features(rng, 4, 2), "alike": features(rng, 4, 2),
         "pixels": classes(rng, 2, 4, 2, 1).astype("float32"), "places": features(rng, 4, 2, 2), "loose": classes(rng, 2, 4, 1).astype("float32")}
    weights = {"tags": (6,), "sizes": (6,), "kinds": (4,), "shares": (4, 1), "alike": (1,), "pixels": (4, 2), "places": (4, 1), "loose": (4,)}
    return dict(model=model, x={"words": of_lengths(rng, 6, rng.integers(1, 9, size=(ROWS, 6)).astype("int32")), "signal": features(rng, 4, 3)},
                y=y, sample_weight={name: weighed(rng, *shape) for name, shape in weights.items()})


@case(deflated=True)
def fit_weights_steps(rng):
    """fit: sample weights of steps, masked and not, by three reductions; short last batches in training and in validation"""
    rows = 27
    words = layers.Input((5,), dtype="int32")
    told = layers.Embedding(9, 5, mask_zero=True)(words)
    heard = layers.Reshape((5, 5))(layers.Flatten()(told))
    model = keras.Model(words, {"tags": layers.Dense(3, activation="softmax", name="tags")(told), "sizes": layers.Dense(2, name="sizes")(heard),
                                "each": layers.Dense(2, name="each")(heard)})
    compiled(model, {"tags": "sparse_categorical_crossentropy", "sizes": losses.MeanSquaredError(reduction="mean_with_sample_weight"),
                     "each": losses.MeanAbsoluteError(reduction="none")}, optimizers.SGD(0.02), metrics={"tags": ["accuracy"]},
             weighted_metrics={"tags": ["accuracy"], "sizes": ["mae"], "each": ["mse"]})
    return dict(model=model, x=of_lengths(rng, 5, rng.integers(1, 9, size=(rows, 5)).astype("int32")), fit=dict(epochs=2, validation_split=0.3),
                y={"tags": classes(rng, 3, 5, rows=rows), "sizes": features(rng, 5, 2, rows=rows), "each": features(rng, 5, 2, rows=rows)},
                sample_weight={name: weighed(rng, 5, rows=rows) for name in ("tags", "sizes", "each")})


# What Keras does with a case.

def randomize(model, rng):
    """random numbers in all weights, biases too, so that none equals another"""
    def values(variable):
        if "variance" in variable.path: return rng.uniform(0.5, 1.5, size=variable.shape)
        return rng.normal(0, 1 / np.sqrt(variable.shape[0]) if len(variable.shape) > 1 else 0.2, size=variable.shape)
    model.set_weights([values(variable).astype("float32") for variable in model.weights])


def datasets(path):
    found = {}
    with h5py.File(io.BytesIO(zipfile.ZipFile(path).read("model.weights.h5")), "r") as file:
        file.visititems(lambda name, item: found.__setitem__(name, item[()]) if isinstance(item, h5py.Dataset) else None)
    return found


def rows_of(data, step):
    """the rows of one step of an array, or of a dictionary of arrays"""
    if data is None: return None
    part = slice(step * BATCH, (step + 1) * BATCH)
    return {name: array[part] for name, array in data.items()} if isinstance(data, dict) else data[part]


def named(prefix, value):
    return {f"{prefix}/{name}": np.asarray(item) for name, item in value.items()} if isinstance(value, dict) else {prefix: np.asarray(value)}


def numbers(logs):
    """logs of a number each: what has several is name[0], name[1] and so on"""
    return {name if np.size(value) == 1 else f"{name}[{i}]": float(each)
            for name, value in logs.items() for i, each in enumerate(np.ravel(value))}


def columns(logs):
    """a list of logs, numbers, as an array for each of their names"""
    return {name: np.array([log[name] for log in logs]) for name in logs[0]}


def of_epochs(history):
    return columns([numbers(dict(zip(history, values))) for values in zip(*history.values())])


def deflate(path):
    """packs the entries, which Keras stores as they are and reads either way"""
    with zipfile.ZipFile(path) as stored: entries = [(entry.filename, stored.read(entry)) for entry in stored.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in entries: packed.writestr(name, content)


def weight_paths(model, path):
    """the dataset of each trainable variable, found by its value; of a kernel that a layer around has too, that of its own layer"""
    stored = {name: array for name, array in datasets(path).items() if not name.startswith("optimizer/")}
    paths = []
    for variable in model.trainable_variables:
        same = [name for name, array in stored.items() if np.array_equal(array, variable.numpy())]
        assert len({os.path.dirname(os.path.dirname(name)).removesuffix("/layer") for name in same}) == 1, (variable.path, same)
        paths.append(min(same))
    return paths


def schedule_free_as_meant(optimizer, weights):
    """The points begin as the weights: Keras builds an optimizer before it loads them. And what an update calls the old point is
    what it was before, as in JAX: with TensorFlow it would be the variable, which is then the new one."""
    for point, weight in zip(optimizer._momentums, weights):
        point.assign(weight)
        point.__class__ = type("Point", (point.__class__,), {"value": property(lambda self: tf.identity(self._value))})
    optimizer.assign_sub = lambda point, step: point.assign(point - step)


def loaded(path):
    model = keras.saving.load_model(path)
    if isinstance(model.optimizer, optimizers.ScheduleFreeAdamW): schedule_free_as_meant(model.optimizer, model.trainable_variables)
    return model


def gradients(path, x, y, weights):
    model = loaded(path)
    paths = weight_paths(model, path)
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x=x, y=y, y_pred=model(x, training=True), sample_weight=weights, training=True)
    values = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    return {"grad/" + name: tf.convert_to_tensor(value).numpy() for name, value in zip(paths, values) if value is not None}


def steps(path, case, scratch):
    model, found, logs, rates = loaded(path), {}, [], []
    for step in range(STEPS):
        rates.append(float(getattr(model.optimizer, "learning_rate", 0)))
        model.reset_metrics()
        logs.append(numbers(model.train_on_batch(rows_of(case["x"], step), rows_of(case["y"], step), sample_weight=rows_of(case["w"], step), return_dict=True)))
        if step + 1 not in CHECK_STEPS: continue
        model.save(scratch)
        found.update({f"step{step + 1}/{name}": array for name, array in datasets(scratch).items()})
    found.update(named("step_logs", columns(logs)))
    return {**found, "learning_rate": np.array(rates)}


def fitted(path, case, scratch):
    """mode fit: logs of the epochs, and all that the file has in the end"""
    model = loaded(path)
    history = model.fit(case["x"], case["y"], sample_weight=case["w"], batch_size=BATCH, shuffle=False, verbose=0, **case["fit"]).history
    model.save(scratch)
    return {**named("history", of_epochs(history)), **{"final/" + name: array for name, array in datasets(scratch).items()}}


def expected(path, case, scratch):
    x, y, weights = (rows_of(case[key], 0) for key in "xyw")
    model = loaded(path)
    found = named("output", keras.tree.map_structure(lambda value: value.numpy(), model(x, training=False)))
    found.update(named("eval", numbers(model.evaluate(x, y, batch_size=BATCH, sample_weight=weights, return_dict=True, verbose=0))))
    if "fit" in case: return {**found, **fitted(path, case, scratch)}
    found.update(gradients(path, x, y, weights))
    found.update(steps(path, case, scratch))
    history = loaded(path).fit(case["x"], case["y"], sample_weight=case["w"], batch_size=BATCH, shuffle=False, verbose=0).history
    return {**found, **named("epoch_logs", {name: values[0] for name, values in of_epochs(history).items()})}


def make(function):
    name, seed = function.__name__, zlib.crc32(function.__name__.encode())
    folder = os.path.join(HERE, "data", name)
    path, scratch = os.path.join(folder, "model.keras"), os.path.join(folder, "scratch.keras")
    os.makedirs(folder, exist_ok=True)
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    case = function(rng)
    model, case["w"] = case.pop("model"), case.get("sample_weight")
    randomize(model, rng)
    model.save(path)
    if function.deflated: deflate(path)
    arrays = {**named("x", case["x"]), **named("y", case["y"])}
    if case["w"] is not None: arrays.update(named("sample_weight", case["w"]))
    np.savez_compressed(os.path.join(folder, "data.npz"), **arrays)
    values = expected(path, case, scratch)
    os.remove(scratch)
    np.savez_compressed(os.path.join(folder, "expected.npz"), **values)
    facts = dict(name=name, about=function.__doc__, format="keras", mode="fit" if "fit" in case else "steps", batch_size=BATCH, seed=seed)
    facts.update(case.get("fit") or dict(steps=STEPS, check_steps=CHECK_STEPS))
    for key, data in (("inputs", case["x"]), ("outputs", case["y"])):
        if isinstance(data, dict): facts[key] = list(data)
    facts.update(keras_version=keras.__version__, backend=keras.backend.backend(), numpy_version=np.__version__, params=model.count_params())
    facts["tolerance"] = tolerances({}, values, facts)["tolerance"]
    with open(os.path.join(folder, "case.json"), "w") as file: file.write(json.dumps(facts, indent=1) + "\n")
    print(f"{name}: {model.count_params()} parameters, losses {np.array2string(values['history/loss' if 'fit' in case else 'step_logs/loss'], precision=4)}")


def main(wanted):
    unknown = [name for name in wanted if name not in CASES]
    if unknown: sys.exit(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    for name in wanted or CASES: make(CASES[name])


if __name__ == "__main__": main(sys.argv[1:])
