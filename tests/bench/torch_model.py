"""A PyTorch module of a model in Keras's JSON: the layers that the models of this folder have.

Images are channels_last, as Keras keeps them and as PyTorch is fastest on a CPU. A softmax behind the last layer is left out:
the loss is a cross-entropy of logits.
"""

import torch
from torch.nn import functional

ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": functional.relu,
    "gelu": functional.gelu,
    "softmax": lambda x: x,  # behind the last layer
}


def initialized(layer):
    torch.nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        torch.nn.init.zeros_(layer.bias)
    return layer


class Dense(torch.nn.Module):
    def __init__(self, config, shape):
        super().__init__()
        self.linear = initialized(torch.nn.Linear(shape[-1], config["units"], bias=config["use_bias"]))
        self.activation = ACTIVATIONS[config["activation"]]

    def forward(self, x):
        return self.activation(self.linear(x))


def same_padding(size, window, stride):
    """Cells before and after, as Keras pads for padding="same"."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


class Conv2D(torch.nn.Module):
    def __init__(self, config, shape):
        super().__init__()
        window, stride = config["kernel_size"], config["strides"]
        self.pad, padding = None, 0
        if config["padding"] == "same":
            pads = [same_padding(n, w, s) for n, w, s in zip(shape[1:], window, stride)]
            if all(before == after for before, after in pads):
                padding = tuple(before for before, _ in pads)
            else:
                self.pad = (*pads[1], *pads[0])
        self.conv = initialized(
            torch.nn.Conv2d(
                shape[0], config["filters"], window, stride, padding, groups=config["groups"], bias=config["use_bias"]
            )
        )
        self.activation = ACTIVATIONS[config["activation"]]

    def forward(self, x):
        return self.activation(self.conv(functional.pad(x, self.pad) if self.pad else x))


class Attention(torch.nn.Module):
    """Self-attention along dimension 1, causal."""

    def __init__(self, config, shape):
        super().__init__()
        self.heads, inside = config["num_heads"], config["num_heads"] * config["key_dim"]
        self.project = torch.nn.ModuleList(initialized(torch.nn.Linear(shape[-1], inside)) for _ in range(3))
        self.out = initialized(torch.nn.Linear(inside, shape[-1]))

    def forward(self, x, _):
        query, key, value = (p(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for p in self.project)
        y = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out(y.transpose(1, 2).flatten(2))


class Call(torch.nn.Module):
    """A function without weights."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *x):
        return self.function(*x)


def batch_normalization(config, shape):
    return torch.nn.BatchNorm2d(shape[0], config["epsilon"], 1 - config["momentum"])


def flattened(x):
    """Pixel by pixel, as Keras does: with channels_last a view."""
    return x.movedim(1, -1).flatten(1)


# Class of the layer: (config, shape of a sample of its input) -> module. Shapes of images are (channels, height, width).
LAYERS = {
    "Dense": Dense,
    "Conv2D": Conv2D,
    "MultiHeadAttention": Attention,
    "BatchNormalization": batch_normalization,
    "LayerNormalization": lambda config, shape: torch.nn.LayerNorm(shape[-1], config["epsilon"]),
    "Embedding": lambda config, _: torch.nn.Embedding(config["input_dim"], config["output_dim"]),
    "MaxPooling2D": lambda config, _: torch.nn.MaxPool2d(tuple(config["pool_size"]), tuple(config["strides"])),
    "GlobalAveragePooling2D": lambda *_: Call(lambda x: x.mean((2, 3))),
    "Flatten": lambda *_: Call(flattened),
    "Dropout": lambda config, _: torch.nn.Dropout(config["rate"]),
    "ReLU": lambda *_: torch.nn.ReLU(),
    "Add": lambda *_: Call(lambda x, y: x + y),
}


def inputs_of(layer):
    """Names of the layers whose outputs it gets."""
    names = []

    def look(part):
        if isinstance(part, dict) and part.get("class_name") == "__keras_tensor__":
            names.append(part["config"]["keras_history"][0])
        elif isinstance(part, dict):
            for item in part.values():
                look(item)
        elif isinstance(part, list):
            for item in part:
                look(item)

    look(layer["inbound_nodes"][0]["args"])
    return names


class Model(torch.nn.Module):
    """Takes what Keras's model takes: images (batch, height, width, channels), numbers of words, or vectors."""

    def __init__(self, config):
        super().__init__()
        layers = config["config"]["layers"]
        names = [layer["config"]["name"] for layer in layers]
        embeddings = [layer["config"]["input_dim"] for layer in layers if layer["class_name"] == "Embedding"]
        self.row, self.words = layers[0]["config"]["batch_shape"][1:], embeddings[0] if embeddings else 0
        self.layers, self.sources, self.names = torch.nn.ModuleList(), [], names
        values = {names[0]: self.first_value(self.examples(2))}
        for i, layer in enumerate(layers[1:], 1):
            if layer["class_name"] not in LAYERS:
                raise SystemExit(f"torch_model.py: no layer {layer['class_name']}")
            sources = inputs_of(layer) if "inbound_nodes" in layer else [names[i - 1]]
            module = LAYERS[layer["class_name"]](layer["config"], values[sources[0]].shape[1:])
            with torch.no_grad():
                values[names[i]] = module(*(values[source] for source in sources))
            self.layers.append(module)
            self.sources.append(sources)
        self.labels, self.classes = values[names[-1]].shape[1:-1], values[names[-1]].shape[-1]
        self.to(memory_format=torch.channels_last)

    def examples(self, rows):
        """Random rows."""
        return torch.randint(self.words, (rows, *self.row)) if self.words else torch.rand(rows, *self.row)

    def first_value(self, x):
        return x.movedim(-1, 1) if len(self.row) == 3 else x

    def forward(self, x):
        values = {self.names[0]: self.first_value(x)}
        for name, module, sources in zip(self.names[1:], self.layers, self.sources):
            values[name] = module(*(values[source] for source in sources))
        return values[self.names[-1]]
