#!/usr/bin/env python3
"""Lets Keras load what kpar trained, predict with it, and train on from there.

usage: train_on.py KPAR_TRAIN RUN CASE...

KPAR_TRAIN  the program
RUN         the program that starts ranks: RUN RANKS PROGRAM ARGUMENT...
CASE        a folder with model.keras and data.npz

kpar trains each case for an epoch: on one rank, or on two replicas of two stages those cases from which Keras trains on. A case
passes when Keras loads the file with all its optimizer state and predicts what kpar does, and when an epoch of kpar and one of
Keras end where two epochs of Keras do.
Exit status 0 all pass, 1 one does not, 77 Keras is not installed.
"""
import os, subprocess, sys, tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
try:
    import keras, numpy as np
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

BATCH = 8
# A case for each kind of state that Keras goes on with: none, momentum, Adam's, the learning rate of a schedule, what the
# model's file brought, a scale, averages, those of several optimizers; and models that are no chain.
TRAINED_ON = {"opt_sgd", "opt_sgd_momentum", "opt_adam", "lr_exponential", "opt_resume", "opt_scaled", "opt_multi", "opt_muon",
              "functional_branches", "two_inputs_two_outputs"}


def arrays(data, which):
    named = {key.split("/", 1)[1]: data[key] for key in data if key.startswith(which + "/")}
    return data[which] if which in data else named


def train(model, x, y): model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)


def values(model): return [v.numpy() for v in [*model.variables, *model.optimizer.variables]]


def check_predictions(model, x, folder):
    found = model.predict(x, verbose=0)
    if isinstance(found, (list, tuple)): found = dict(zip(model.output_names, found))
    if not isinstance(found, dict): found = {None: found}
    for name, predicted in found.items():
        expected = np.load(os.path.join(folder, f"p.{name}.npy" if name else "p.npy"))
        assert np.allclose(predicted, expected, rtol=1e-5, atol=1e-6), f"predictions {name or ''}"


def check_values(names, found, expected, before):
    for name, a, b, c in zip(names, found, expected, before):
        a, b, c = (np.asarray(v, dtype="float64") for v in (a, b, c))
        assert a.shape == b.shape, name
        state = name.startswith("optimizer/")  # the limits are those of tests/cases/check_case.py
        limit = 2e-7 + 1e-6 * np.abs(b).max() + (2e-3 * np.abs(b).max() if state else 1e-3 * np.abs(b - c).max())
        difference = np.abs(a - b).max()
        assert difference <= limit, f"{name}: off by {difference}, limit {limit}"


def check(program, run, case, folder):
    name = os.path.basename(case)
    original, trained = os.path.join(case, "model.keras"), os.path.join(folder, "trained.keras")
    data_file = os.path.join(case, "data.npz")
    start = [run, "4", program, "--pipeline", "2"] if name in TRAINED_ON else [program]
    subprocess.run([*start, original, "--data", data_file, "--batch-size", str(BATCH), "--epochs", "1", "--no-shuffle", "--verbose", "0",
                    "--output", trained, "--predict", os.path.join(folder, "p.npy")], check=True)
    data = np.load(data_file)
    x, model = arrays(data, "x"), keras.models.load_model(trained)
    check_predictions(model, x, folder)
    if name not in TRAINED_ON: return
    y, whole = arrays(data, "y"), keras.models.load_model(original)
    before = [v.numpy() for v in whole.variables] # those of the optimizer may not be built yet
    train(whole, x, y)
    names = ["weights/" + v.path for v in whole.variables] + ["optimizer/" + v.path for v in whole.optimizer.variables]
    before += [v.numpy() for v in whole.optimizer.variables]
    assert len(model.optimizer.variables) == len(whole.optimizer.variables), "optimizer state"
    check_values(names, values(model), values(whole), before)
    train(whole, x, y)
    train(model, x, y)
    check_values(names, values(model), values(whole), before)


def main(program, run, *cases):
    failed = 0
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            try:
                check(program, run, case, folder)
                print("ok", case)
            except (AssertionError, subprocess.CalledProcessError) as difference:
                print("DIFFERENT", case, difference)
                failed = 1
    return failed


if __name__ == "__main__":
    if len(sys.argv) < 4: sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
