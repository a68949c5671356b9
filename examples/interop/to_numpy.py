"""Reads a network that the Rust crate `backprop` wrote as JSON, and computes its outputs.

    python examples/interop/to_numpy.py network.json < x.json > outputs.json

`x.json` is a list of examples, each a flat list of numbers, and so are the outputs. This is the
network outside training: dropout and noise pass their input on, and batch norms use their running
statistics. The functions work on arrays with one example per row.
"""

import json
import math
import sys

import numpy

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def sigmoid(z):
    e = numpy.exp(-abs(z))
    return numpy.where(z < 0, e, 1) / (1 + e)


def softplus(z):
    return numpy.maximum(z, 0) + numpy.log1p(numpy.exp(-abs(z)))


def elu(z, alpha):
    return numpy.where(z > 0, z, alpha * numpy.expm1(numpy.minimum(z, 0)))


def gelu_tanh(z):
    return z * sigmoid(2 * math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))


def softmax(z):
    e = numpy.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


ACTIVATIONS = {
    "identity": lambda z: z,
    "sigmoid": sigmoid,
    "tanh": numpy.tanh,
    "relu": lambda z: numpy.maximum(z, 0),
    "leaky_relu": lambda z, slope: numpy.where(z > 0, z, slope * z),
    "elu": elu,
    "selu": lambda z: SELU_SCALE * elu(z, SELU_ALPHA),
    "softplus": softplus,
    "softsign": lambda z: z / (1 + abs(z)),
    "gelu": lambda z: z * numpy.vectorize(math.erfc)(-z / math.sqrt(2)) / 2,
    "gelu_tanh": gelu_tanh,
    "silu": lambda z: z * sigmoid(z),
    "mish": lambda z: z * numpy.tanh(softplus(z)),
    "hard_tanh": lambda z: numpy.clip(z, -1, 1),
    "sine": numpy.sin,
    "exponential": numpy.exp,
    "softmax": softmax,
}


def only(tagged):
    """The tag of a layer or an activation, and its fields."""
    return (tagged, {}) if isinstance(tagged, str) else next(iter(tagged.items()))


def activate(g, z):
    name, constants = only(g)
    return ACTIVATIONS[name](z, **constants)


AXES = {
    "sequence": ("steps", "features"),
    "signal": ("channels", "length"),
    "image": ("channels", "height", "width"),
}


class Reader:
    """Computes layers in order, and takes their numbers from the front of θ and of the state."""

    def __init__(self, network):
        self.theta, self.state = network["theta"], network.get("state", [])
        self.channels_first = False

    def take(self, *shape):
        count = math.prod(shape)
        numbers, self.theta = self.theta[:count], self.theta[count:]
        return numpy.reshape(numbers, shape)

    def take_state(self, *shape):
        count = math.prod(shape)
        numbers, self.state = self.state[:count], self.state[count:]
        return numpy.reshape(numbers, shape)

    def sequence(self, layers, a):
        for layer in layers:
            a = self.layer(*only(layer), a)
        return a

    def branches(self, branches, a):
        before, outputs = self.channels_first, []
        for layers in branches:
            self.channels_first = before
            outputs.append(self.sequence(layers, a))
        return outputs

    def scaled(self, a, shape, affine, shift=True):
        a = a * self.take(*shape) if affine else a
        return a + self.take(*shape) if affine and shift else a

    def layer(self, name, f, a):
        match name:
            case "dense":
                bias = self.take(f["outputs"]) if f.get("bias", True) else 0.0
                return activate(f["activation"], a @ self.take(f["inputs"], f["outputs"]) + bias)
            case "activate":
                return activate(f["activation"], a)
            case "dropout" | "gaussian_noise":
                return a
            case "layer_norm" | "rms_norm":
                axes = tuple(range(-f["axes"], 0))
                centred = name == "layer_norm"
                a = a - a.mean(axis=axes, keepdims=True) if centred else a
                a = a / numpy.sqrt((a * a).mean(axis=axes, keepdims=True) + f["eps"])
                return self.scaled(a, a.shape[axes[0] :], f["affine"], shift=centred)
            case "batch_norm":
                first = self.channels_first and a.ndim > 2
                shape = (a.shape[1],) + (1,) * (a.ndim - 2) if first else a.shape[-1:]
                mean, variance = self.take_state(*shape), self.take_state(*shape)
                self.take_state(1 if f["momentum"] is None else 0)  # the number of batches
                return self.scaled((a - mean) / numpy.sqrt(variance + f["eps"]), shape, f["affine"])
            case "embedding":
                self.channels_first = False
                return self.take(f["entries"], f["dim"])[a.astype(int)]
            case "sequential":
                return self.sequence(f, a)
            case "residual":
                return sum(self.branches([f["body"], f.get("shortcut") or []], a))
            case "concat":
                axis = {"first": 1, "last": -1}[f["axis"]]
                return numpy.concatenate(self.branches(f["branches"], a), axis)
            case "rearrange":
                return self.rearrange(*only(f), a)
        raise ValueError(name)

    def rearrange(self, name, f, a):
        match name:
            case "flatten":
                return a.reshape(len(a), -1)
            case "transpose":
                self.channels_first = not self.channels_first
                return a.swapaxes(1, 2)
            case "select":
                return a[:, f["from"] : f["to"]]
        raise ValueError(name)


def forward(network, x):
    """The outputs for examples, one per row of x."""
    inputs, reader = network["inputs"], Reader(network)
    if not isinstance(inputs, int):
        name, sizes = only(inputs)
        x = numpy.reshape(x, (-1, *(sizes[axis] for axis in AXES[name])))
        reader.channels_first = name != "sequence"
    outputs = reader.sequence(network["layers"], numpy.asarray(x))
    assert len(reader.theta) == 0 and len(reader.state) == 0, "numbers are left over"
    return outputs.reshape(len(outputs), -1)


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        network = json.load(file)
    json.dump(forward(network, numpy.array(json.load(sys.stdin))).tolist(), sys.stdout)
