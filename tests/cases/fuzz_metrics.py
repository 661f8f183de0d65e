#!/usr/bin/env python3
"""Looks for differences to Keras in what is logged: random metrics of a small model, on one rank and on a random mesh.

usage: KERAS_BACKEND=tensorflow fuzz_metrics.py SEED COUNT KPAR_TRAIN RUN [--keep FOLDER]

SEED        the first seed; each seed is an output, its data, metrics of it, and a mesh
COUNT       how many seeds, one after the other
KPAR_TRAIN  the program
RUN         the program that starts ranks: RUN RANKS PROGRAM ARGUMENT...
--keep      leave model and data of seeds that differ in FOLDER/SEED

Metrics that Keras itself cannot compute for the output are left out. So are weighted ones of rows that ignore a class: without sample
weights Keras counts what they ignore as zeros, kpar does not count it.
Exit status 0 all equal, 1 one is not, 77 Keras is not installed.
"""
import csv, os, shutil, subprocess, sys, tempfile, warnings

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.filterwarnings("ignore")
try:
    import keras, numpy as np
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)
from keras import layers, losses, metrics as m
from fuzz_models import between, chance, classes, pick

BATCH, RTOL, ATOL = 8, 3e-5, 1e-5
NAMES = ["mse", "MAE", "auc", "AUC", "precision", "recall", "cosine_similarity", "mape", "msle", "log_cosh_error", "LogCoshError", "bce",
         "root_mean_squared_error", "r2_score", "f1_score", "true_positives", "poisson", "kl_divergence", "squared_hinge", "pearson_correlation"]
FUNCTIONS = [losses.huber, losses.mean_squared_error, losses.dice, losses.tversky, losses.binary_crossentropy, losses.log_cosh, losses.hinge,
             losses.categorical_hinge, losses.cosine_similarity, losses.binary_focal_crossentropy, m.binary_accuracy, m.categorical_accuracy]
LOSSES = [losses.Huber, losses.MeanSquaredError, losses.Dice, losses.Tversky, losses.BinaryCrossentropy, losses.Poisson, losses.CosineSimilarity]
SIMPLE = [m.Accuracy, m.CategoricalAccuracy, m.RootMeanSquaredError, m.CosineSimilarity, m.MeanAbsolutePercentageError, m.LogCoshError,
          m.MeanSquaredLogarithmicError, m.Hinge, m.CategoricalHinge, m.Poisson, m.KLDivergence]
BEST = {m.SensitivityAtSpecificity: "specificity", m.SpecificityAtSensitivity: "sensitivity", m.PrecisionAtRecall: "recall", m.RecallAtPrecision: "precision"}


# Metrics.

def share(rng): return round(rng.random(), 2)


def thresholds(rng): return pick(rng, None, share(rng), [share(rng) for _ in range(between(rng, 1, 4))], [0.0, 0.5, 1.0], [0.25, 0.5, 0.75])


def one_class(rng, n): return pick(rng, None, between(rng, 0, n - 1))


def area(rng, n):
    own = dict(thresholds=[share(rng) for _ in range(between(rng, 1, 5))]) if chance(rng, 0.3) else {}
    return m.AUC(curve=pick(rng, "ROC", "PR", "PRGAIN"), summation_method=pick(rng, "interpolation", "minoring", "majoring"),
                 num_thresholds=pick(rng, 2, 3, 7, 50, 200), multi_label=chance(rng, 0.3), from_logits=chance(rng, 0.2), **own)


def best(rng, n):
    kind = pick(rng, *BEST)
    return kind(**{BEST[kind]: share(rng)}, num_thresholds=pick(rng, 1, 2, 3, 20, 200), class_id=one_class(rng, n))


def found(rng, n):
    return pick(rng, m.Precision, m.Recall)(thresholds=thresholds(rng), top_k=pick(rng, None, between(rng, 1, n)), class_id=one_class(rng, n))


def counted(rng, n): return pick(rng, m.TruePositives, m.FalsePositives, m.TrueNegatives, m.FalseNegatives)(thresholds=thresholds(rng))


def scored(rng, n):
    average = pick(rng, None, "micro", "macro", "weighted")
    return pick(rng, lambda: m.F1Score(average, pick(rng, None, 0.3)), lambda: m.FBetaScore(average, pick(rng, 0.5, 2.0), pick(rng, None, 0.4)),
                lambda: m.R2Score(pick(rng, None, "uniform_average", "variance_weighted_average")))()


def overlapping(rng, n):
    coded = chance(rng, 0.5)
    return pick(rng, lambda: m.MeanIoU(n, sparse_y_true=coded, sparse_y_pred=coded, ignore_class=pick(rng, None, 0)), lambda: m.OneHotMeanIoU(n),
                lambda: m.OneHotIoU(n, [between(rng, 0, n - 1)]), lambda: m.BinaryIoU([0, 1], threshold=share(rng)))()


def correlated(rng, n): return pick(rng, m.PearsonCorrelation, m.ConcordanceCorrelation)(axis=pick(rng, -1, 1))


def entropy(rng, n):
    return pick(rng, m.BinaryCrossentropy, m.CategoricalCrossentropy)(from_logits=chance(rng, 0.5), label_smoothing=pick(rng, 0, 0.1))


def likely(rng, n):
    return pick(rng, lambda: m.BinaryAccuracy(threshold=share(rng)), lambda: m.TopKCategoricalAccuracy(k=between(rng, 1, n)),
                lambda: m.MeanMetricWrapper(m.binary_accuracy, threshold=share(rng)), lambda: m.MeanMetricWrapper(losses.huber, delta=0.3))()


def reducing(rng, n): return pick(rng, *LOSSES)(reduction=pick(rng, "sum", "none", "sum_over_batch_size"))


def of_numbers(rng, n):
    """metrics of labels that are class numbers"""
    ignored = pick(rng, None, 1)
    return pick(rng, lambda: m.SparseCategoricalAccuracy(), lambda: m.SparseTopKCategoricalAccuracy(k=between(rng, 1, n)),
                lambda: m.SparseCategoricalCrossentropy(from_logits=chance(rng, 0.3)), lambda: m.IoU(n, [0], sparse_y_pred=False),
                lambda: m.MeanIoU(n, sparse_y_pred=False, ignore_class=ignored), lambda: losses.sparse_categorical_crossentropy,
                lambda: losses.SparseCategoricalCrossentropy(ignore_class=ignored, reduction=pick(rng, "sum", "mean")),
                lambda: losses.SparseCategoricalCrossentropy(reduction="none"),
                lambda: m.MeanMetricWrapper(m.sparse_top_k_categorical_accuracy, k=2), lambda: pick(rng, "accuracy", "Acc"))()


def of_values(rng, n):
    """metrics of labels of the predictions' shape"""
    return pick(rng, area, best, found, counted, scored, overlapping, correlated, entropy, likely, reducing, lambda rng, n: pick(rng, *SIMPLE)(),
                lambda rng, n: pick(rng, *FUNCTIONS), lambda rng, n: pick(rng, *NAMES), lambda rng, n: pick(rng, "accuracy", "acc"))(rng, n)


def renamed(metric, name):
    """where two have one name, Keras logs may be one of them alone"""
    if isinstance(metric, str) or not hasattr(metric, "get_config"): return metric
    return type(metric).from_config({**metric.get_config(), "name": name})


# One seed.

def random_output(rng):
    """the activation, the number of values, the dimensions before them, the loss, and what makes labels"""
    kind, n, shape = pick(rng, "sigmoid", "softmax", "linear", "relu", "numbers"), between(rng, 2, 5), pick(rng, (), (), (3,))
    if kind == "numbers": return "softmax", n, shape, "sparse_categorical_crossentropy", lambda rows: classes(rng, rows, n, *shape)
    if kind == "softmax": return kind, n, shape, "categorical_crossentropy", lambda rows: np.eye(n, dtype="float32")[classes(rng, rows, n, *shape)]
    if kind == "linear": return kind, n, shape, "mse", lambda rows: rng.normal(size=(rows, *shape, n)).astype("float32")
    if kind == "relu": return kind, n, shape, "mse", lambda rows: classes(rng, rows, 3, *shape, n).astype("float32")
    n = pick(rng, 1, n)
    return kind, n, shape, "binary_crossentropy", lambda rows: classes(rng, rows, 2, *shape, n).astype("float32")


def logs_of(path, data):
    """what Keras logs of an epoch, a number each"""
    history = keras.saving.load_model(path).fit(data["x"], data["y"], sample_weight=data.get("sample_weight"), batch_size=BATCH, shuffle=False, verbose=0).history
    return {name if np.size(value) == 1 else f"{name}[{i}]": float(each) for name, (value,) in history.items() for i, each in enumerate(np.ravel(value))}


def saved(model, loss, path, usual, weighted):
    model.compile(keras.optimizers.SGD(0.05), loss, metrics=usual or None, weighted_metrics=weighted or None)
    model.save(path)


def computable(model, loss, path, data, candidates, weighted):
    """those that Keras computes, on a few rows"""
    few, good = {key: array[:BATCH] for key, array in data.items()}, []
    for metric in candidates:
        try:
            saved(model, loss, path, *(([], [metric]) if weighted else ([metric], [])))
            logs_of(path, few)
            good.append(metric)
        except Exception: pass
    return good


def kpar(start, path, data_file, log, options):
    command = [*start, path, "--data", data_file, "--batch-size", str(BATCH), "--no-shuffle", "--verbose", "0", "--log", log, *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode: return None, f"code {done.returncode}: {done.stdout.strip()[-600:]}"
    with open(log) as file: return {name: float(value) for name, value in next(csv.DictReader(file)).items() if name != "epoch"}, ""


def differences(logs, expected):
    for name in sorted(logs.keys() | expected.keys()):
        if not np.allclose(logs.get(name, np.inf), expected.get(name, -np.inf), rtol=RTOL, atol=ATOL, equal_nan=True):
            yield f"{name}: {logs.get(name)}, expected {expected.get(name)}"


def try_seed(seed, program, run, folder):
    rng = np.random.default_rng(seed)
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    activation, n, shape, loss, labels = random_output(rng)
    x = layers.Input((*shape, 5))
    model = keras.Model(x, layers.Dense(n, activation=activation)(layers.Dense(6, activation="tanh")(x)))
    rows = between(rng, 12, 44)
    data = dict(x=rng.normal(size=(rows, *shape, 5)).astype("float32"), y=labels(rows))
    if chance(rng, 0.6): data["sample_weight"] = rng.uniform(0.2, 3, size=(rows, *pick(rng, shape, (1,) * len(shape)))).astype("float32")
    path, data_file, log = (os.path.join(folder, name) for name in ("model.keras", "data.npz", "log.csv"))
    np.savez(data_file, **data)
    some = of_numbers if loss.startswith("sparse") else of_values
    usual, weighted = ([renamed(some(rng, n), f"{kind}_{i}") for i in range(k)] for kind, k in (("usual", 5), ("weighted", pick(rng, 0, 3))))
    saved(model, loss, path, computable(model, loss, path, data, usual, False), computable(model, loss, path, data, weighted, True))
    expected = logs_of(path, data)
    d, p, t = pick(rng, (1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2), (2, 2, 1), (2, 1, 2))
    mesh = ["--data-parallel", str(d), "--pipeline", str(p), "--tensor", str(t), "--microbatches", str(between(rng, 1, 3))]
    if t > 1 and chance(rng, 0.5): mesh += ["--split-vocabulary", "2"]
    for name, start, options in (("one rank", [program], []), (" ".join(mesh), [run, str(d * p * t), program], mesh)):
        logs, message = kpar(start, path, data_file, log, options)
        lines = [message] if logs is None else differences(logs, expected)
        yield from (f"seed {seed}, {name}: {line}" for line in lines)
        if os.path.exists(log): os.remove(log)


def main(seed, count, program, run, kept=None):
    different = 0
    for seed in range(int(seed), int(seed) + int(count)):
        with tempfile.TemporaryDirectory() as folder:
            lines = list(try_seed(seed, program, run, folder))
            if lines and kept: shutil.copytree(folder, os.path.join(kept, str(seed)), dirs_exist_ok=True)
        print(*("DIFFERENT " + line for line in lines), sep="\n", end="\n" if lines else "", flush=True)
        different += len(lines) > 0
    print(f"{count} outputs, {different} different")
    return 1 if different else 0


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--keep"]
    if len(arguments) != len(sys.argv) - 1 - ("--keep" in sys.argv) or len(arguments) < 4: sys.exit(__doc__)
    sys.exit(main(*arguments))
