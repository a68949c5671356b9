"""Rows from JSON files, whose format is in `rows/README.md`: the layers, their blocks of parameters
and the numbers, as in `benches/spec`."""

import json
import math
from pathlib import Path

import numpy as np

from common import DTYPES, Unsupported, uniforms


class Spec:
    """A network, its cost and the size of its batch."""

    def __init__(self, name, content):
        self.name, self.content = name, content
        self.input, self.batch = content["input"], content["batch"]
        self.train = content["mode"] == "train"
        self.penalty = content["lambda"]
        # (path of the layer, name, shape), in the order in which the layers name them.
        self.blocks = []
        self.layers, self.output = self.read(content["layers"], "", self.input)
        cost = content["cost"]
        if isinstance(cost, str):
            rows, axes = [0, math.prod(self.output)], self.output
            self.heads = [{"rows": rows, "axes": axes, "cost": cost, "weight": 1.0}]
        else:
            # The outputs of a head are flat.
            self.heads = [{**h, "axes": [h["rows"][1] - h["rows"][0]]} for h in cost["heads"]]

    @classmethod
    def of_file(cls, name, path):
        return cls(name, json.loads(Path(path).read_text()))

    @property
    def spec(self):
        """What `read_row` reads: the name and the content."""
        return f"{self.name}={json.dumps(self.content)}"

    def read(self, layers, path, axes):
        """Number the blocks of a list of layers. Return the layers and the axes of the output."""
        found = []
        for i, layer in enumerate(layers):
            layer, axes = self.read_layer(layer, f"{path}{i}", axes)
            found.append(layer)
        return found, axes

    def read_layer(self, layer, path, axes):
        match layer["type"]:
            case "dense" if layer["bias"]:
                block, shape = len(self.blocks), [layer["units"], axes[-1]]
                self.blocks += [(path, "weight", shape), (path, "bias", shape[:1])]
                return {**layer, "block": block, "input": axes}, [*axes[:-1], layer["units"]]
            case "activation":
                return layer, axes
            case "flatten":
                return layer, [math.prod(axes)]
            case "transpose":
                return layer, axes[::-1]
            case "select":
                return layer, [layer["to"] - layer["from"]]
            case "residual":
                body, after = self.read(layer["body"], f"{path}.body.", axes)
                shortcut = layer["shortcut"]
                if shortcut is not None:
                    shortcut, _ = self.read(shortcut, f"{path}.shortcut.", axes)
                return {**layer, "body": body, "shortcut": shortcut}, after
            case "parallel":
                pairs = [
                    self.read(branch, f"{path}.branches.{i}.", axes)
                    for i, branch in enumerate(layer["branches"])
                ]
                after = list(pairs[0][1])
                after[layer["axis"]] = sum(axes[layer["axis"]] for _, axes in pairs)
                return {**layer, "branches": [branch for branch, _ in pairs]}, after
        raise Unsupported(f"no such {layer['type']} layer here")

    def flops(self):
        """FLOPs of the products: forward, and for training the gradients of all weights and of all
        inputs of dense layers that depend on parameters.
        """
        total = 0

        def add(layers, below):
            nonlocal total
            for layer in layers:
                if layer["type"] == "dense":
                    forward = 2 * self.batch * math.prod(layer["input"]) * layer["units"]
                    total += forward * (1 + self.train * (1 + below))
                    below = True
                elif layer["type"] == "residual":
                    parts = [add(part, below) for part in (layer["body"], layer["shortcut"] or [])]
                    below = any(parts)
                elif layer["type"] == "parallel":
                    below = any([add(branch, below) for branch in layer["branches"]])
            return below

        add(self.layers, False)
        return total


def data(spec, dtype):
    """X (batch × inputs), Y of each head (batch × outputs), and the entries of each block."""
    scalar = DTYPES[dtype]
    inputs = math.prod(spec.input)
    counts = [
        math.prod(head["axes"][:-1] if head["cost"] == "cce" else head["axes"])
        for head in spec.heads
    ]
    of_x, of_y = spec.batch * inputs, spec.batch * sum(counts)
    shapes = [shape for _, _, shape in spec.blocks]
    draws = uniforms(of_x + of_y + sum(map(math.prod, shapes)))
    x, y, rest = np.split(draws, [of_x, of_x + of_y])
    x = ((x - 0.5) * 3.46).reshape(spec.batch, inputs).astype(scalar)
    heads = []
    parts = np.split(y.reshape(spec.batch, -1), np.cumsum(counts)[:-1], axis=1)
    for head, part in zip(spec.heads, parts):
        match head["cost"]:
            case "half_mse" | "huber" | "log_cosh":
                part = part - 0.5
            case "bce":
                part = part > 0.5
            case "cce":
                classes = head["axes"][-1]
                part = np.eye(classes)[(part * classes).astype(int)].reshape(spec.batch, -1)
            case "poisson_nll":
                part = np.floor(part * 3.0)
            case other:
                raise Unsupported(f"no targets for {other}")
        heads.append(part.astype(scalar))
    blocks = []
    for shape in shapes:
        draws, rest = np.split(rest, [math.prod(shape)])
        bound = np.sqrt(6.0 / sum(shape)) if len(shape) == 2 else 0.1
        blocks.append(((draws * 2.0 - 1.0) * bound).reshape(shape).astype(scalar))
    return x, heads, blocks
