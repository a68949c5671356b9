"""Writes networks as the JSON that the Rust crate `backprop` reads, with NumPy only.

Each function returns a `Layer`, and `write` puts layers in sequence. Kernels are inputs × units, as
in Keras, scikit-learn and Flax; transpose `weight` of PyTorch's `Linear`. `docs/json.md`
describes the format.
"""

import json
from typing import NamedTuple

import numpy


class Layer(NamedTuple):
    """A layer as JSON, with its parameters and its state in the order of the file."""

    json: dict | str
    theta: list = []
    state: list = []


def dense(kernel, bias=None, activation="identity"):
    """g(W a + b). In memory, the bias comes first, then the kernel row by row."""
    inputs, units = numpy.shape(kernel)
    fields = {"inputs": inputs, "outputs": units, "activation": activation}
    if bias is None:
        return Layer({"dense": fields | {"bias": False}}, [kernel])
    return Layer({"dense": fields}, [bias, kernel])


def activate(activation):
    """An activation by itself: a name such as "tanh", or {"leaky_relu": {"slope": 0.01}}."""
    return Layer({"activate": {"activation": activation}})


def dropout(p):
    """Sets entries to 0 with probability p in training, and scales the others by 1/(1 - p)."""
    return Layer({"dropout": {"p": p}})


def flatten():
    """Flattens all axes of an example into units, in C order."""
    return Layer({"rearrange": "flatten"})


def embedding(table):
    """A row of the table for each id."""
    entries, dim = numpy.shape(table)
    return Layer({"embedding": {"entries": entries, "dim": dim}}, [table])


def scale_and_shift(scale, shift, size):
    """Gamma and beta of a norm that has at least one of them."""
    if scale is None and shift is None:
        return []
    ones, zeros = numpy.ones(size), numpy.zeros(size)
    return [ones if scale is None else scale, zeros if shift is None else shift]


def layer_norm(scale, shift, eps, axes=1):
    """Normalises the last `axes` axes of each example. `scale` and `shift` may be None."""
    theta = scale_and_shift(scale, shift, numpy.shape(shift if scale is None else scale))
    return Layer({"layer_norm": {"axes": axes, "eps": eps, "affine": theta != []}}, theta)


def rms_norm(scale, eps, axes=1):
    """Divides by the root mean square of the last `axes` axes. `scale` may be None."""
    theta = [] if scale is None else [scale]
    return Layer({"rms_norm": {"axes": axes, "eps": eps, "affine": theta != []}}, theta)


def batch_norm(scale, shift, mean, variance, eps, momentum, batches=0):
    """`momentum` is the share of a batch in the running statistics: 1 - the momentum of Keras.
    With None, the statistics are means over all `batches` batches so far."""
    theta = scale_and_shift(scale, shift, numpy.shape(mean))
    fields = {"eps": eps, "momentum": momentum, "affine": theta != []}
    count = [batches] if momentum is None else []
    return Layer({"batch_norm": fields}, theta, [mean, variance, *count])


def sequential(layers):
    """Layers in sequence, as one layer."""
    json, theta, state = zip(*layers, strict=True) if layers else ([], [], [])
    return Layer({"sequential": list(json)}, sum(theta, []), sum(state, []))


def residual(body, shortcut=None):
    """body(a) + a, or body(a) + shortcut(a), each a list of layers."""
    inside = [sequential(layers) for layers in (body, shortcut) if layers is not None]
    lists = [layer.json["sequential"] for layer in inside] + [None]
    theta, state = (sum(parts, []) for parts in list(zip(*inside))[1:])
    return Layer({"residual": {"body": lists[0], "shortcut": lists[1]}}, theta, state)


def write(path, inputs, layers):
    """Writes a network. `inputs` is a number, or a shape such as
    {"sequence": {"steps": 5, "features": 3}}."""
    whole = sequential(layers)
    flat = lambda arrays: [float(x) for array in arrays for x in numpy.ravel(array)]
    network = {"scalar": "f64", "inputs": inputs, "layers": whole.json["sequential"]}
    network["theta"] = flat(whole.theta)
    if whole.state:
        network["state"] = flat(whole.state)
    text = json.dumps(network, allow_nan=False)  # JSON has no NaN: an error
    with open(path, "w") as file:
        file.write(text + "\n")


def write_example(path, x, outputs, **versions):
    """Writes examples, one per row, and the outputs that the library computed for them."""
    x, outputs = numpy.asarray(x), numpy.asarray(outputs)
    rows = lambda array: array.reshape(len(array), -1).tolist()
    values = {"versions": versions, "computed_in": str(outputs.dtype)}
    with open(path, "w") as file:
        json.dump(values | {"x": rows(x), "outputs": rows(outputs)}, file, allow_nan=False)
        file.write("\n")


def sample(*shape, start=0):
    """Irregular numbers in [-1, 1], the same on every machine, and exact in float32."""
    count = numpy.arange(numpy.prod(shape, dtype=int))
    return numpy.reshape(numpy.round(64 * numpy.sin(start + 0.7 * count**2)) / 64, shape)
