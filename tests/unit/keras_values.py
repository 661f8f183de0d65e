#!/usr/bin/env python3
"""Writes keras_values.h: what Keras computes for the activations, losses, optimizers and schedules that the unit tests
compare with. Needs keras and tensorflow; run from anywhere, prints to standard output."""
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np, tensorflow as tf, keras
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cases"))
from make_cases import schedule_free_as_meant

keras.config.set_floatx("float64")

POINTS = [-90, -7, -3, -1, -0.5, 0, 0.3, 1, 2.5, 3, 6, 8, 90]
ACTIVATIONS = ["linear", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "tanh", "sigmoid", "silu", "swish", "softplus",
               "softsign", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "exponential", "mish", "log_sigmoid",
               "tanh_shrink", "squareplus", "celu", "hard_shrink", "soft_shrink", "sparse_plus", "sparse_sigmoid"]
LAYERS = [("ReLU", {}), ("ReLU", {"max_value": 6.0}), ("ReLU", {"max_value": 2.5, "negative_slope": 0.1, "threshold": 0.5}),
          ("ReLU", {"negative_slope": 0.1}), ("LeakyReLU", {}), ("LeakyReLU", {"negative_slope": 0.05}), ("ELU", {}),
          ("Rescaling", {"scale": 0.5, "offset": -1.0})]
SCHEDULES = [("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5}),
             ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5, "staircase": True}),
             ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5}),
             ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5, "staircase": True}),
             ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 4, "end_learning_rate": 0.01, "power": 2.0}),
             ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 4, "end_learning_rate": 0.01, "cycle": True}),
             ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 5, "alpha": 0.1}),
             ("CosineDecay", {"initial_learning_rate": 0.01, "decay_steps": 4, "warmup_target": 0.1, "warmup_steps": 3}),
             ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 2, "m_mul": 0.5, "alpha": 0.1}),
             ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 3, "t_mul": 1.0}),
             ("PiecewiseConstantDecay", {"boundaries": [2, 5], "values": [0.1, 0.05, 0.01]})]
OPTIMIZERS = [("SGD", {"learning_rate": 0.1}), ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
              ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
              ("SGD", {"learning_rate": 0.1, "weight_decay": 0.05, "clipvalue": 0.5}),
              ("Adam", {"learning_rate": 0.1}), ("Adam", {"learning_rate": 0.1, "amsgrad": True, "beta_2": 0.5}),
              ("AdamW", {"learning_rate": 0.1}), ("Adamax", {"learning_rate": 0.1}),
              ("RMSprop", {"learning_rate": 0.1}), ("RMSprop", {"learning_rate": 0.1, "momentum": 0.5, "centered": True}),
              ("RMSprop", {"learning_rate": 0.1, "centered": True}),
              ("Adagrad", {"learning_rate": 0.1}), ("Adadelta", {"learning_rate": 1.0}), ("Lion", {"learning_rate": 0.1}),
              ("Ftrl", {"learning_rate": 0.1}),
              ("Ftrl", {"learning_rate": 0.1, "l1_regularization_strength": 0.01, "l2_regularization_strength": 0.1,
                        "l2_shrinkage_regularization_strength": 0.02, "beta": 0.3}),
              ("Nadam", {"learning_rate": 0.1}), ("Nadam", {"learning_rate": 0.1, "beta_1": 0.7, "gradient_accumulation_steps": 2}),
              ("ScheduleFreeAdamW", {"learning_rate": 0.1, "warmup_steps": 3, "weight_decay": 0.1}),
              ("Muon", {"learning_rate": 0.1}),
              ("Muon", {"learning_rate": 0.1, "rms_rate": None, "nesterov": False, "weight_decay": None, "momentum": 0.8, "ns_steps": 3}),
              ("Muon", {"learning_rate": 0.1, "exclude_layers": ["kernel"], "adam_lr_ratio": 0.5, "adam_beta_1": 0.7, "gradient_accumulation_steps": 2}),
              ("MultiOptimizer", {"optimizer_map": {"module": "keras.optimizers", "class_name": "OptimizerMap", "registered_name": None, "config": {
                  "default_optimizer": {"module": "keras.optimizers", "class_name": "SGD", "config": {}, "registered_name": None},
                  "optimizer_map": {".*kernel": {"module": "keras.optimizers", "class_name": "Adam", "config": {"learning_rate": 0.1}, "registered_name": None}}}},
                                  "loss_scale_factor": 4.0}),
              ("Lamb", {"learning_rate": 0.1}), ("Adafactor", {"learning_rate": 0.1}),
              ("Adafactor", {"learning_rate": 0.5, "clip_threshold": 0.5, "beta_2_decay": -0.5}),
              ("Adam", {"learning_rate": 0.1, "clipnorm": 0.5}),
              ("SGD", {"learning_rate": 0.1, "global_clipnorm": 0.5}), ("SGD", {"learning_rate": 0.1, "loss_scale_factor": 8.0}),
              ("SGD", {"learning_rate": 0.1, "momentum": 0.5, "use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 2}),
              ("Adam", {"learning_rate": 0.1, "gradient_accumulation_steps": 3, "use_ema": True, "ema_momentum": 0.6, "clipnorm": 0.7,
                        "weight_decay": 0.05})]
REGULARIZERS = [("L1", {}), ("L2", {"l2": 0.3}), ("L1L2", {"l1": 0.2, "l2": 0.1}), ("OrthogonalRegularizer", {"factor": 0.5}),
                ("OrthogonalRegularizer", {"mode": "columns"})]
CONSTRAINTS = [("NonNeg", {}), ("MaxNorm", {"max_value": 0.7}), ("MaxNorm", {"max_value": 0.7, "axis": [0, 1]}), ("UnitNorm", {}),
               ("UnitNorm", {"axis": -1}), ("MinMaxNorm", {"min_value": 0.4, "max_value": 0.8, "rate": 0.7, "axis": 1})]
MATRIX = [[0.5, -0.25, 1.5], [-0.75, 0.125, 0.3]]
MATRIX_GRADIENT = [[0.3, -1.5, 0.2], [-0.2, 0.4, 0.9]]
GRADIENTS = [[0.3, -1.5], [-0.2, 0.4], [0.9, 0.0], [0.1, 2.0]]
LOSSES = [("MeanSquaredError", {}), ("MeanAbsoluteError", {}), ("MeanAbsolutePercentageError", {}),
          ("MeanSquaredLogarithmicError", {}), ("Huber", {}), ("Huber", {"delta": 0.3}), ("LogCosh", {}), ("Poisson", {}),
          ("KLDivergence", {}), ("Hinge", {}), ("SquaredHinge", {}), ("CategoricalHinge", {}), ("CosineSimilarity", {}),
          ("Dice", {"axis": [1]}), ("Tversky", {"axis": [-1], "alpha": 0.3, "beta": 0.6}),
          ("BinaryFocalCrossentropy", {}), ("BinaryFocalCrossentropy", {"from_logits": True, "gamma": 1.5, "apply_class_balancing": True}),
          ("CategoricalFocalCrossentropy", {}), ("CategoricalFocalCrossentropy", {"from_logits": True, "label_smoothing": 0.1, "alpha": 0.4}),
          ("BinaryCrossentropy", {}), ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}),
          ("CategoricalCrossentropy", {}), ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.2}),
          ("CategoricalGeneralizedCrossEntropy", {}), ("CategoricalGeneralizedCrossEntropy", {"q": 0.8}),
          ("Circle", {"remove_diagonal": False, "gamma": 3.0}),
          ("SparseCategoricalCrossentropy", {}), ("SparseCategoricalCrossentropy", {"from_logits": True})]
PREDICTION = [[0.2, 0.7, 0.1, 0.4], [0.9, 0.05, 1e-9, 0.3], [0.25, 0.5, 0.125, 1.0]]
LABEL = [[0, 1, 0, 0], [0, 0, 1, 0], [0.5, 0.25, 0, 0.25]]
CLASS = [1, 2, 3]


def c_list(values): return ", ".join(repr(float(v)) for v in np.asarray(values).ravel())
def c_text(value): return json.dumps(json.dumps(value))


def row(words, *lists):
    print("    {" + ", ".join(words) + ", " + ", ".join("{" + c_list(l) + "}" for l in lists) + "},")


def with_gradient(function, x):
    x = tf.constant(x, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.function(function)(x)
    return y, tape.gradient(y, x)


print("/* What Keras %s computes; made by keras_values.py. */" % keras.__version__)
print("#ifndef KPAR_TESTS_KERAS_VALUES_H\n#define KPAR_TESTS_KERAS_VALUES_H\n")
print("/* clang-format off */")
print("enum { POINTS = %d, STEPS = %d, SCHEDULE_STEPS = 9, ROWS = 3, CLASSES = 4 };" % (len(POINTS), len(GRADIENTS)))
print("static const double points[POINTS] = {%s};" % c_list(POINTS))
print("static const struct { const char *name, *config; double values[POINTS], slopes[POINTS]; } keras_activations[] = {")
for name in ACTIVATIONS: row([json.dumps(name), '""'], *with_gradient(keras.activations.get(name), POINTS))
print("};\nstatic const struct { const char *name, *config; double values[POINTS], slopes[POINTS]; } keras_layers[] = {")
for name, config in LAYERS: row([json.dumps(name), c_text(config)], *with_gradient(getattr(keras.layers, name)(**config), POINTS))
print("};\nstatic const struct { const char *name, *config; double rates[SCHEDULE_STEPS]; } keras_schedules[] = {")
for name, config in SCHEDULES:
    schedule = getattr(keras.optimizers.schedules, name)(**config)
    row([json.dumps(name), c_text(config)], [schedule(tf.constant(s, tf.int64)) for s in range(9)])
print("};\nstatic const double first_weights[2] = {0.5, -0.25};")
print("static const double gradients[STEPS][2] = {%s};" % ", ".join("{" + c_list(g) + "}" for g in GRADIENTS))
print("/* weights: after each step; slots: after the last, in the file's order. */")
print("static const struct { const char *name, *config; int n_slots; double weights[2 * STEPS], slots[16]; } keras_optimizers[] = {")
for name, config in OPTIMIZERS:
    optimizer = getattr(keras.optimizers, name).from_config(config)
    dtype = "float32" if "gradient_accumulation_steps" in config else "float64"  # Keras accumulates in float32 only
    weight, history = keras.Variable([[0.5, -0.25]], dtype=dtype, name="kernel"), []
    optimizer.build([weight])
    if name.startswith("ScheduleFree"): schedule_free_as_meant(optimizer, [weight])
    apply = tf.function(lambda g: optimizer.apply([g], [weight]))
    for g in GRADIENTS:
        apply(tf.constant([g], dtype))
        history.append(weight.numpy())
    slots = [v.numpy() for v in optimizer.variables[2:]]
    row([json.dumps(name), c_text(config), str(len(slots))], history, np.concatenate([s.ravel() for s in slots] + [np.zeros(0)]))
print("};\n/* One step of gradient descent at rate 0.1. */")
print("static const double first_matrix[6] = {%s}, matrix_gradient[6] = {%s};" % (c_list(MATRIX), c_list(MATRIX_GRADIENT)))
print("static const struct { const char *name, *config; double penalty, weights[6]; } keras_regularizers[] = {")
for name, config in REGULARIZERS:
    regularizer, weight = getattr(keras.regularizers, name)(**config), tf.Variable(MATRIX, dtype=tf.float32)
    with tf.GradientTape() as tape: penalty = regularizer(weight)
    moved = weight - 0.1 * (MATRIX_GRADIENT + tape.gradient(penalty, weight))
    row([json.dumps(name), c_text(config), c_list(penalty)], moved)
print("};\nstatic const struct { const char *name, *config; double weights[6]; } keras_constraints[] = {")
for name, config in CONSTRAINTS:
    weight = keras.Variable(MATRIX)
    weight.constraint = getattr(keras.constraints, name)(**config)
    keras.optimizers.SGD(0.1).apply([tf.constant(MATRIX_GRADIENT, weight.dtype)], [weight])
    row([json.dumps(name), c_text(config)], weight.numpy())
print("};\nstatic const double predictions[ROWS][CLASSES] = {%s};" % ", ".join("{" + c_list(p) + "}" for p in PREDICTION))
print("static const double label_rows[ROWS][CLASSES] = {%s};" % ", ".join("{" + c_list(p) + "}" for p in LABEL))
print("static const double classes[ROWS] = {%s};" % c_list(CLASS))
print("static const struct { const char *name, *config; double values[ROWS], slopes[ROWS * CLASSES]; } keras_losses[] = {")
for name, config in LOSSES:
    loss = getattr(keras.losses, name)(reduction="none", **config)
    truth = tf.constant(CLASS if name.startswith("Sparse") or "Generalized" in name or name == "Circle" else LABEL, tf.float64)
    with tf.GradientTape() as tape:
        p = tf.constant(PREDICTION, tf.float64)
        tape.watch(p)
        values = loss(truth, p)
    row([json.dumps(name), c_text(config)], values, tape.gradient(values, p))
print("};\n/* clang-format on */\n\n#endif")
