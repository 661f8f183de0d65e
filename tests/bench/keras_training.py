"""Speed of Keras on TensorFlow training what kpar_train trains in bench_training.sh: one line, samples/s.

    keras_training.py MODEL.json --batch-size B --rows N --epochs E [--threads T]

Keras's own fit() as it is by default, on rows in memory. T threads compute. The first epoch warms up and does not count; the
rate is the median of the others.
"""

import argparse
import json
import os
import statistics
import time

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras  # noqa: E402
import numpy  # noqa: E402
import tensorflow  # noqa: E402


class Clock(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.begin = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.begin)


def compile_model(model, config):
    loss = config["compile_config"]["loss"]
    model.compile(
        optimizer=keras.optimizers.deserialize(config["compile_config"]["optimizer"]),
        loss=loss if isinstance(loss, str) else keras.losses.deserialize(loss),
    )


def examples(model, config, rows):
    """Random rows, and labels for the model's outputs."""
    random = numpy.random.default_rng(0)
    words = [layer["config"]["input_dim"] for layer in config["config"]["layers"] if layer["class_name"] == "Embedding"]
    shape = (rows, *model.input_shape[1:])
    x = random.integers(words[0], size=shape) if words else random.random(shape, dtype=numpy.float32)
    return x, random.integers(model.output_shape[-1], size=(rows, *model.output_shape[1:-1]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    tensorflow.config.threading.set_intra_op_parallelism_threads(options.threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    config = json.load(open(options.model))
    build_only = {key: value for key, value in config.items() if key != "compile_config"}
    model = keras.models.model_from_json(json.dumps(build_only))
    compile_model(model, config)
    x, y = examples(model, config, options.rows)
    clock = Clock()
    model.fit(x, y, batch_size=options.batch_size, epochs=options.epochs, verbose=0, callbacks=[clock])
    rates = [options.rows / seconds for seconds in clock.seconds[1:]]
    print(f"{statistics.median(rates):.1f}" if rates else "-")


if __name__ == "__main__":
    main()
