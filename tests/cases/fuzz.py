#!/usr/bin/env python3
"""Looks for differences to Keras: random models, trained by Keras and by kpar on one rank and on a random mesh.

usage: KERAS_BACKEND=jax fuzz.py SEED COUNT KPAR_TRAIN RUN [--keep FOLDER]

SEED        the first seed; each seed is a model, its data, how it is trained, and a mesh
COUNT       how many seeds, one after the other
KPAR_TRAIN  the program
RUN         the program that starts ranks: RUN RANKS PROGRAM ARGUMENT...
--keep      leave model and data of seeds that differ in FOLDER/SEED, with Keras's result

The limits are the floors of check_case.py. A weight beyond them is looked at again: what it is off from Keras in float64 may be
ten times what Keras itself is off in float32, over several orders of the rows of each batch, which change rounding alone. So a
weight whose exact gradient is zero, such as a bias in front of a normalization, is held to the noise that it has. A seed differs
if it does so from slightly other initial weights, too: rounding may otherwise have crossed the kink of an activation.
Exit status 0 all equal, 1 one is not, 77 Keras or JAX is not installed.
"""
import contextlib, json, os, shutil, subprocess, sys, tempfile, warnings

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")
warnings.filterwarnings("ignore")
try:
    import jax, keras, numpy as np
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)
from check_case import FLOORS, f64, is_opt, mx, opt_floor, read_weights
from fuzz_models import between, chance, pick, random_model

ORDERS, NOISE = 4, 10
NUDGES = [1.0, 0.997, 1.004]


# Data and mesh of a seed.

def plain(named):
    """an array rather than a dictionary of one"""
    return next(iter(named.values())) if len(named) == 1 else named


def random_data(rng, x, y, weights):
    batch, steps = between(rng, 3, 12), between(rng, 2, 3)
    rows = batch * (steps - 1) + between(rng, 1, batch)
    data = dict(x={name: make(rng, rows) for name, make in x.items()}, y={name: make(rng, rows) for name, make in y.items()})
    if chance(rng, 0.3): data["sample_weight"] = {name: make(rng, rows) for name, make in weights.items()}
    return batch, {key: plain(value) for key, value in data.items()}


def classes_of(config):
    """the names of all classes in a configuration"""
    if isinstance(config, list): return {name for item in config for name in classes_of(item)}
    if not isinstance(config, dict): return set()
    return {str(config.get("class_name"))} | {name for item in config.values() for name in classes_of(item)}


def random_mesh(rng, model):
    """degrees of data, pipeline and tensor, and options"""
    data, pipeline, tensor = between(rng, 1, 4), between(rng, 1, 3), between(rng, 1, 2)
    if data * pipeline * tensor > 8: data = 1
    mixes_rows = {"BatchNormalization", "Circle"} & classes_of([model.get_config(), model.get_compile_config()])
    options = ["--microbatches", "1" if mixes_rows else str(between(rng, 1, 3))]
    if pipeline > 1: options += ["--schedule", pick(rng, "1f1b", "gpipe", "interleaved", "zb-h1")]
    if chance(rng, 0.3): options += ["--recompute", pick(rng, "stage", "block")]
    if chance(rng, 0.3): options += ["--zero", "0"]
    if tensor > 1 and chance(rng, 0.5): options += ["--split-vocabulary", str(between(rng, 2, 4))]
    return (data, pipeline, tensor), options


# What Keras makes of it.

def trained(model, data, batch, path):
    """all that is in the file after an epoch"""
    model.fit(data["x"], data["y"], sample_weight=data.get("sample_weight"), batch_size=batch, shuffle=False, verbose=0)
    model.save(path)
    return read_weights(path)[0]


@contextlib.contextmanager
def doubles():
    jax.config.update("jax_enable_x64", True)
    keras.config.set_floatx("float64")
    try: yield
    finally:
        keras.config.set_floatx("float32")
        jax.config.update("jax_enable_x64", False)


def wide(value): return value.astype("float64") if value.dtype == np.float32 else value


def in_doubles(path, data, batch):
    """the result of the model in path with float64 for float32 everywhere"""
    narrow = keras.saving.load_model(path)
    config, how = (json.loads(json.dumps(part, default=str).replace('"float32"', '"float64"')) for part in
                   (keras.saving.serialize_keras_object(narrow), narrow.get_compile_config()))
    config.pop("compile_config", None)
    with doubles():
        model = keras.saving.deserialize_keras_object(config)
        model.set_weights(narrow.get_weights())
        model.compile_from_config(how)
        return trained(model, keras.tree.map_structure(wide, data), batch, path + ".float64.keras")


def in_other_orders(path, data, batch):
    """results of float32 Keras whose only difference is the order of the rows within each batch"""
    for i in range(ORDERS):
        rng, rows = np.random.default_rng(i), len(keras.tree.flatten(data["x"])[0])
        order = np.concatenate([first + rng.permutation(min(batch, rows - first)) for first in range(0, rows, batch)])
        yield trained(keras.saving.load_model(path), keras.tree.map_structure(lambda a: a[order], data), batch, path + ".order.keras")


class Reference:
    """what Keras makes of a model, and how exact that is, which is found out when it matters"""
    def __init__(self, path, data, batch):
        self.path, self.data, self.batch, self.exact, self.noise = path, data, batch, None, None
        self.before = read_weights(path)[0]
        self.values = trained(keras.saving.load_model(path), data, batch, path + ".trained.keras")
        self.floor = opt_floor({"final/" + name: value for name, value in self.values.items()})

    def limit(self, name):
        expected = f64(self.values[name])
        if is_opt(name): return self.floor + FLOORS["optimizer_rtol"] * mx(expected)
        return FLOORS["atol"] + FLOORS["rtol"] * mx(expected) + FLOORS["utol"] * mx(expected - f64(self.before[name]))

    def look_closer(self):
        exact = in_doubles(self.path, self.data, self.batch)
        finite = all(np.isfinite(value).all() for value in exact.values())
        self.exact = exact if finite else self.values  # JAX has now and then no finite numbers there
        runs = [self.values, *in_other_orders(self.path, self.data, self.batch)]
        self.noise = {name: max(mx(f64(run[name]) - f64(exact)) for run in runs) for name, exact in self.exact.items()}

    def excess(self, found):
        """by how much of its limit the worst tensor is off, and a line on it"""
        if found.keys() != self.values.keys(): return float("inf"), f"not in both files: {sorted(found.keys() ^ self.values.keys())}"
        worst = (0.0, "")
        for name, expected in self.values.items():
            if found[name].shape != expected.shape: return float("inf"), f"{name}: shape {found[name].shape}, expected {expected.shape}"
            limit, off = self.limit(name), mx(f64(found[name]) - f64(expected))
            if self.exact: limit, off = limit + NOISE * self.noise[name], mx(f64(found[name]) - f64(self.exact[name]))
            share = 0.0 if off == 0 else off / limit if np.isfinite(off) and limit > 0 else float("inf")
            line = f"{name} {expected.shape}: off by {off:.3g}, limit {limit:.3g}, moved by {mx(f64(expected) - f64(self.before.get(name, 0))):.3g}"
            worst = max(worst, (share, line))
        return worst


# One seed.

def kpar(start, path, data_file, batch, options):
    """what is in the file that kpar writes, or a message"""
    output = path + ".kpar.keras"
    command = [*start, path, "--data", data_file, "--batch-size", str(batch), "--epochs", "1", "--no-shuffle", "--verbose", "0",
               "--threads-per-rank", "1", "--output", output, *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    return (read_weights(output)[0], "") if done.returncode == 0 else (None, f"code {done.returncode}: {done.stdout.strip()[-600:]}")


def try_seed(seed, program, run, folder, nudge=1.0):
    """lines on what differs where the initial weights are those of the seed times nudge"""
    rng = np.random.default_rng(seed)
    keras.backend.clear_session()
    model, *made = random_model(rng)
    model.set_weights([(w * nudge).astype(w.dtype) for w in model.get_weights()])
    batch, data = random_data(rng, *made)
    (d, p, t), options = random_mesh(rng, model)
    path, data_file = os.path.join(folder, "model.keras"), os.path.join(folder, "data.npz")
    model.optimizer.build(model.trainable_variables)
    model.save(path)
    np.savez(data_file, **{key if not name else f"{key}/{name}": array for key, value in data.items()
                           for name, array in (value.items() if isinstance(value, dict) else [("", value)])})
    reference = Reference(path, data, batch)
    mesh = ["--data-parallel", str(d), "--pipeline", str(p), "--tensor", str(t), *options]
    layouts = [("one rank", [program], [])] + ([(" ".join(mesh), [run, str(d * p * t), program], mesh)])
    lines = []
    for name, start, options in layouts:
        found, message = kpar(start, path, data_file, batch, options)
        if found:
            share, message = reference.excess(found)
            if share > 1 and not reference.exact: reference.look_closer()
            if reference.exact: share, message = reference.excess(found)
            if share <= 1: continue
            message = f"{share:.3g} times its limit: {message}"
        lines.append(f"seed {seed}, batch {batch}, {name}: {message}")
    return lines


def main(seed, count, program, run, kept=None):
    different = 0
    for seed in range(int(seed), int(seed) + int(count)):
        for nudge in NUDGES:
            with tempfile.TemporaryDirectory() as folder:
                lines = try_seed(seed, program, run, folder, nudge)
                if lines and kept: shutil.copytree(folder, os.path.join(kept, str(seed)), dirs_exist_ok=True)
            if not lines: break
        print(*("DIFFERENT " + line for line in lines), sep="\n", end="\n" if lines else "", flush=True)
        different += len(lines) > 0
    print(f"{count} models, {different} different")
    return 1 if different else 0


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--keep"]
    if len(arguments) != len(sys.argv) - 1 - ("--keep" in sys.argv) or len(arguments) < 4: sys.exit(__doc__)
    sys.exit(main(*arguments))
