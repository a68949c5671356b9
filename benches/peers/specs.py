"""Rows from JSON files, whose format is in `rows/README.md`: the layers, their blocks of parameters
and the numbers, as in `benches/spec`."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common import DTYPES, Unsupported, uniforms


@dataclass
class Block:
    """A block of parameters: the path of its layer, what it is, and its shape."""

    layer: str
    kind: str  # weight, bias, table, scale or shift
    shape: list

    @property
    def is_penalised(self):
        return self.kind in ["weight", "table"]

    def values(self, draws):
        """The entries from numbers in [0, 1)."""
        match self.kind:
            case "weight":
                return (draws * 2.0 - 1.0) * np.sqrt(6.0 / sum(self.shape))
            case "table":
                return (draws - 0.5) * 3.46
            case "scale":
                return draws + 0.5
        return (draws * 2.0 - 1.0) * 0.1


class Spec:
    """A network, its cost and the size of its batch."""

    def __init__(self, name, content):
        self.name, self.content = name, content
        self.input, self.batch = content["input"], content["batch"]
        self.train = content["mode"] == "train"
        self.penalty = content["lambda"]
        # In the order in which the layers name them.
        self.blocks = []
        # The units of each batch normalisation, which has a mean and a variance for each unit.
        self.states = []
        # The number of entries of one example that each dropout masks, and p.
        self.masks = []
        # The rows of X that each embedding reads, and the number of its entries.
        self.ids = []
        rows = (0, self.input[0]) if len(self.input) == 1 else None
        self.layers, self.output = self.read(content["layers"], "", self.input, rows)
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

    def read(self, layers, path, axes, rows):
        """Number the blocks of a list of layers. Return the layers and the axes of the output.

        `rows` are the rows of X that the layers read, if these are their input.
        """
        found = []
        for i, layer in enumerate(layers):
            if layer["type"] == "embedding":
                if rows is None:
                    raise Unsupported("no embedding of computed ids here")
                # It reads the ids themselves.
                found.clear()
            before, (layer, axes) = rows, self.read_layer(layer, f"{path}{i}", axes, rows)
            rows = None
            if before and layer["type"] == "select":
                rows = before[0] + layer["from"], before[0] + layer["to"]
            elif before and layer["type"] == "flatten":
                rows = before
            found.append(layer)
        return found, axes

    def block(self, *block):
        """Add a block, and return its index."""
        self.blocks.append(Block(*block))
        return len(self.blocks) - 1

    def mode(self, layer):
        """Check the mode of a layer."""
        if (layer["mode"] == "train") != self.train:
            raise Unsupported(f"no {layer['type']} in another mode than the row")

    def norm(self, layer, path, units):
        """The blocks of a normalisation."""
        if not layer["affine"]:
            return {**layer, "units": units, "blocks": None}
        blocks = [self.block(path, "scale", [units]), self.block(path, "shift", [units])]
        return {**layer, "units": units, "blocks": blocks}

    def read_layer(self, layer, path, axes, rows):
        match layer["type"]:
            case "dense":
                block = self.block(path, "weight", [layer["units"], axes[-1]])
                bias = self.block(path, "bias", [layer["units"]]) if layer["bias"] else None
                layer = {**layer, "block": block, "bias": bias, "input": axes}
                return layer, [*axes[:-1], layer["units"]]
            case "batch_norm" if len(axes) == 1:
                self.mode(layer)
                self.states.append(axes[0])
                return {**self.norm(layer, path, axes[0]), "state": len(self.states) - 1}, axes
            case "layer_norm" if layer["shape"] == axes[-1:]:
                return self.norm(layer, path, axes[-1]), axes
            case "dropout":
                self.mode(layer)
                self.masks.append((axes, layer["p"]))
                return {**layer, "mask": len(self.masks) - 1}, axes
            case "embedding":
                self.ids.append((rows, layer["entries"]))
                block = self.block(path, "table", [layer["entries"], layer["dim"]])
                return {**layer, "block": block, "ids": len(self.ids) - 1}, [*axes, layer["dim"]]
            case "activation":
                return layer, axes
            case "flatten":
                return layer, [math.prod(axes)]
            case "transpose":
                return layer, axes[::-1]
            case "select":
                return layer, [layer["to"] - layer["from"]]
            case "residual":
                body, after = self.read(layer["body"], f"{path}.body.", axes, rows)
                shortcut = layer["shortcut"]
                if shortcut is not None:
                    shortcut, _ = self.read(shortcut, f"{path}.shortcut.", axes, rows)
                return {**layer, "body": body, "shortcut": shortcut}, after
            case "parallel":
                pairs = [
                    self.read(branch, f"{path}.branches.{i}.", axes, rows)
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
                elif layer["type"] in ["embedding", "batch_norm", "layer_norm"]:
                    below = True
                elif layer["type"] == "residual":
                    parts = [add(part, below) for part in (layer["body"], layer["shortcut"] or [])]
                    below = any(parts)
                elif layer["type"] == "parallel":
                    below = any([add(branch, below) for branch in layer["branches"]])
            return below

        add(self.layers, False)
        return total


@dataclass
class Data:
    x: np.ndarray  # batch × inputs
    heads: list  # Y of each head, batch × outputs
    blocks: list  # the entries of each block
    masks: list  # batch × entries of each dropout, 1 where an entry is kept


def data(spec, dtype):
    scalar = DTYPES[dtype]
    inputs = math.prod(spec.input)
    counts = [
        math.prod(head["axes"][:-1] if head["cost"] == "cce" else head["axes"])
        for head in spec.heads
    ]
    of_x, of_y = spec.batch * inputs, spec.batch * sum(counts)
    sizes = [math.prod(block.shape) for block in spec.blocks]
    sizes += [spec.batch * math.prod(axes) for axes, _ in spec.masks]
    draws = uniforms(of_x + of_y + sum(sizes))
    u, y, *rest = np.split(draws, np.cumsum([of_x, of_y, *sizes]))[:-1]
    u = u.reshape(spec.batch, inputs)
    x = (u - 0.5) * 3.46
    for (start, end), entries in spec.ids:
        x[:, start:end] = np.floor(u[:, start:end] * entries)
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
    return Data(
        x.astype(scalar),
        heads,
        [b.values(u).reshape(b.shape).astype(scalar) for b, u in zip(spec.blocks, rest)],
        [
            (u >= p).reshape(spec.batch, -1).astype(scalar)
            for (_, p), u in zip(spec.masks, rest[len(spec.blocks) :])
        ],
    )
