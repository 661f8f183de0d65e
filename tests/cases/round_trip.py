#!/usr/bin/env python3
"""Copies .keras files with kpar's reader and writer and lets Keras judge the copies.

usage: round_trip.py COPY_MODEL CASE...

COPY_MODEL  the program tests/cases/copy_model
CASE        a folder with model.keras and data.npz

A copy passes when its archive is laid out as Keras's own, and when Keras finds in it the weights, the optimizer state and the
predictions of the original, and after one more training step the same weights but for rounding: TensorFlow adds the
gradients of a branch in the order in which its threads finish.
Exit status 0 all pass, 1 one does not, 77 Keras is not installed.
"""
import io, json, os, subprocess, sys, tempfile, zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
try:
    import h5py, keras, numpy as np
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

def check_archive(path):
    """the entries' order and how they are stored, as Keras does it"""
    archive = zipfile.ZipFile(path)
    names = [entry.filename for entry in archive.infolist()]
    assert names == ["metadata.json", "config.json", "model.weights.h5"], names
    for entry in archive.infolist():
        assert (entry.compress_type, entry.extra, entry.flag_bits) == (zipfile.ZIP_STORED, b"", 0), entry
    assert archive.testzip() is None
    assert set(json.loads(archive.read("metadata.json"))) == {"keras_version", "date_saved"}


def layout(path):
    """{path: facts} of the weights file, and the config"""
    archive = zipfile.ZipFile(path)
    facts = {}

    def visit(name, thing):
        # Keras numbers layers within attention as it makes them; their names are in no config.
        facts[name] = {} if name.endswith(("/_softmax/vars", "/_dropout_layer/vars")) else dict(thing.attrs)
        if isinstance(thing, h5py.Dataset):
            layout = thing.id.get_create_plist().get_layout()
            facts[name] = (thing.shape, thing.dtype.str, layout, thing[()].tobytes())
    h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r").visititems(visit)
    return facts, archive.read("config.json")


def values(model):
    """all but the states of random numbers, which are in no file"""
    variables = list(model.variables) + (list(model.optimizer.variables) if model.optimizer else [])
    return [np.array(v) for v in variables if not v.path.endswith("seed_generator_state")]


def same(a, b):
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b))


def close(a, b):
    return len(a) == len(b) and all(np.allclose(x, y, rtol=1e-4, atol=1e-5) for x, y in zip(a, b))


def arrays(data, which, model):
    """data.npz's x or y in the structure of the model's inputs or outputs, the first eight rows"""
    if which in data: return data[which][:8]
    named = {key.split("/", 1)[1]: data[key][:8] for key in data if key.startswith(which + "/")}
    structure = model.input if which == "x" else model.output
    return named if isinstance(structure, dict) else list(named.values())


def loaded(path):
    keras.utils.set_random_seed(0) # Keras may begin an optimizer with weights as they are before it loads them
    return keras.models.load_model(path)


def predictions(model, x): return keras.tree.flatten(model.predict(x, verbose=0))


def check(program, case, folder):
    original, copied = os.path.join(case, "model.keras"), os.path.join(folder, "copy.keras")
    subprocess.run([program, original, copied], check=True)
    check_archive(copied)
    (wanted, config), (found, copied_config) = layout(original), layout(copied)
    assert config == copied_config, "config.json"
    assert set(wanted) == set(found), set(wanted) ^ set(found)
    assert all(found[path] == wanted[path] for path in wanted), [p for p in wanted if found[p] != wanted[p]]
    a, b = loaded(original), loaded(copied)
    assert same(values(a), values(b)), "weights or optimizer state"
    data = np.load(os.path.join(case, "data.npz"))
    x, y = arrays(data, "x", a), arrays(data, "y", a)
    assert same(predictions(a, x), predictions(b, x)), "predictions"
    for model in (a, b): model.train_on_batch(x, y)
    assert close(values(a), values(b)), "weights after a step"


def main(program, *cases):
    failed = 0
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            try:
                check(program, case, folder)
                print("ok", case)
            except (AssertionError, subprocess.CalledProcessError) as difference:
                print("DIFFERENT", case, difference)
                failed = 1
    return failed


if __name__ == "__main__":
    if len(sys.argv) < 3: sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
