"""Rows from files in PyTorch and JAX, each in several forms.

`step_of` builds a form: a function of one step, J (or Σ a²/m), and the values that the
implementations compare. These are computed with the given masks and from the given state. A step
draws its own masks, and starts from the state that the step before left.
"""

from dataclasses import dataclass
from typing import Callable

import numpy as np

from common import DTYPES, Unsupported
from libraries import Jax, Torch
from specs import data

# A cost that is computed from z after this activation.
PARTNERS = {
    "cce": "softmax",
    "bce": "sigmoid",
    "poisson_nll": "exp",
    "half_mse": "identity",
}


@dataclass
class Step:
    call: Callable
    check: Callable
    values: Callable


@dataclass
class Chance:
    """The masks of all dropouts, or if there are none what a library draws them with."""

    masks: list | None = None
    key: object = None


class Pass:
    """What the layers read, and the state that they leave."""

    def __init__(self, parameters, ids, state, chance):
        self.parameters, self.ids, self.chance = parameters, ids, chance
        self.state = list(state)


class Model:
    """The layers and the cost of a row, on the operations of a library."""

    def __init__(self, spec, dtype, library):
        self.spec, self.library, self.scalar = spec, library, DTYPES[dtype]
        numbers = data(spec, dtype)
        self.x = library.examples(numbers.x, spec.input)
        self.ids = [library.ids(numbers.x[:, start:end]) for (start, end), _ in spec.ids]
        self.parameters = [
            library.parameter(values, block.kind)
            for values, block in zip(numbers.blocks, spec.blocks)
        ]
        self.y = [
            library.targets(head["cost"], y, head["axes"])
            for head, y in zip(spec.heads, numbers.heads)
        ]
        self.masks = [
            library.examples(mask, axes) for mask, (axes, _) in zip(numbers.masks, spec.masks)
        ]

    def state(self):
        """The state at the start: a mean and a variance for each layer that has them."""
        start = lambda kind, units: kind(units, self.scalar)
        return [
            self.library.state(start(np.zeros, units), start(np.ones, units))
            for units in self.spec.states
        ]

    def activation(self, name, z):
        if name not in self.library.activations:
            raise Unsupported(f"no {name} here")
        return self.library.activations[name](z)

    def layers(self, layers, x, run):
        for layer in layers:
            x = self.layer(layer, x, run)
        return x

    def layer(self, layer, x, run):
        library = self.library
        match layer["type"]:
            case "dense":
                return self.activation(layer["activation"], self.affine(layer, x, run))
            case "embedding":
                return library.embedding(run.ids[layer["ids"]], run.parameters[layer["block"]])
            case "layer_norm":
                return library.layer_norm(layer, x, *self.scale(layer, run))
            case "batch_norm":
                i = layer["state"]
                x, run.state[i] = library.batch_norm(
                    layer, x, *self.scale(layer, run), run.state[i]
                )
                return x
            case "dropout" if layer["mode"] == "train":
                i, p = layer["mask"], layer["p"]
                if run.chance.masks is not None:
                    return library.mask(x, run.chance.masks[i], p)
                return library.dropout(x, p, run.chance.key, i)
            case "dropout":
                return x
            case "activation":
                return self.activation(layer["g"], x)
            case "flatten":
                return library.flatten(x)
            case "transpose":
                return library.transpose(x)
            case "select":
                return library.select(x, layer["from"], layer["to"])
            case "residual":
                return self.layers(layer["body"], x, run) + self.layers(
                    layer["shortcut"] or [], x, run
                )
        parts = [self.layers(branch, x, run) for branch in layer["branches"]]
        return library.join(parts, layer["axis"])

    def affine(self, layer, x, run):
        bias = None if layer["bias"] is None else run.parameters[layer["bias"]]
        return self.library.affine(x, run.parameters[layer["block"]], bias)

    def scale(self, layer, run):
        """γ and β of a normalisation, if it has them."""
        return [run.parameters[block] for block in layer["blocks"] or []] or [None, None]

    def parts(self, layers, x, run):
        """The outputs in parts, each before its activation: pairs of z and the activation."""
        if layers and layers[-1]["type"] == "dense":
            x = self.layers(layers[:-1], x, run)
            return [(self.affine(layers[-1], x, run), layers[-1]["activation"])]
        if layers and layers[-1]["type"] == "activation":
            return [(self.layers(layers[:-1], x, run), layers[-1]["g"])]
        if layers and layers[-1]["type"] == "parallel" and len(self.spec.output) == 1:
            x = self.layers(layers[:-1], x, run)
            branches = [self.parts(branch, x, run) for branch in layers[-1]["branches"]]
            return sum(branches, [])
        return [(self.layers(layers, x, run), "identity")]

    def outputs_of(self, parts):
        outputs = [self.activation(activation, z) for z, activation in parts]
        return outputs[0] if len(outputs) == 1 else self.library.join(outputs, 0)

    def outputs(self, parameters, x, ids, state, masks, key=None):
        run = Pass(parameters, ids, state, Chance(masks, key))
        return self.outputs_of(self.parts(self.spec.layers, x, run))

    def loss(self, parameters, x, ids, y, state, masks, key=None):
        """J, and the state after the step."""
        library, spec = self.library, self.spec
        run = Pass(parameters, ids, state, Chance(masks, key))
        parts = self.parts(spec.layers, x, run)
        # The parts by their rows.
        places, start = {}, 0
        for z, activation in parts:
            rows = z.numel() if hasattr(z, "numel") else z.size
            end = start + rows // spec.batch
            places[start, end] = z, activation
            start = end
        loss = 0.0
        for head, y in zip(spec.heads, y):
            name, (start, end) = head["cost"], head["rows"]
            z, activation = places.get((start, end), (None, None))
            whole = head["axes"] is spec.output
            if z is not None and PARTNERS.get(name) == activation and (whole or z.ndim == 2):
                cost = library.partner_cost(name, z, y)
            else:
                a = self.outputs_of(parts)
                if not whole:
                    a = library.select(library.flatten(a), start, end)
                cost = library.output_cost(name, a, y)
            loss = loss + cost * (head["weight"] / spec.batch)
        if spec.penalty:
            weights = [w for w, block in zip(parameters, spec.blocks) if block.is_penalised]
            loss = loss + sum((w**2).sum() for w in weights) * (spec.penalty / (2 * spec.batch))
        return loss, run.state


def listed(values):
    return np.asarray(values, np.float64).ravel().tolist()


def norm(spec, a):
    """Σ a²/m of outputs."""
    return float((np.asarray(a, np.float64) ** 2).sum() / spec.batch)


def listed_state(state):
    return [listed(values) for pair in state for values in pair]


# ------------------------------------------------------------------------------------------------
# PyTorch


def torch_step(spec, dtype, form):
    import torch

    # The forms of all rows share the code of `Model`.
    torch._dynamo.config.recompile_limit = 10_000
    torch._dynamo.config.accumulated_recompile_limit = 10_000
    functional = form == "compiled with gradients"
    model = Model(spec, dtype, Torch(functional))
    compiled = lambda f: torch.compile(f, dynamic=False, fullgraph=True)
    parameters, x, ids, y = model.parameters, model.x, model.ids, model.y
    # It changes the state that it gets.
    loss_of = lambda *inputs: model.loss(*inputs)[0]
    outputs, loss = model.outputs, loss_of
    if form != "eager":
        outputs, loss = compiled(outputs), compiled(loss)
    held = model.state()

    def forward(state=held, masks=None):
        with torch.inference_mode():
            return outputs(parameters, x, ids, state, masks)

    if functional:
        step = compiled(torch.func.grad_and_value(model.loss, has_aux=True))

        def train(state=None, masks=None):
            nonlocal held
            gradients, (loss, after) = step(parameters, x, ids, y, state or held, masks)
            held = after if state is None else held
            return loss.item(), gradients, after
    else:
        parameters = [p.requires_grad_() for p in parameters] if spec.train else parameters

        def train(state=None, masks=None):
            state = held if state is None else state
            j = loss(parameters, x, ids, y, state, masks)
            # Zeros for parameters that no cost depends on.
            gradients = torch.autograd.grad(j, parameters, materialize_grads=True)
            return j.item(), gradients, state

    def values():
        found = {"outputs": listed(forward(model.state(), model.masks))}
        if not spec.train:
            j, _ = model.loss(parameters, x, ids, y, model.state(), model.masks)
            return {**found, "loss": float(j), "gradient": [], "state": []}
        j, gradients, state = train(model.state(), model.masks)
        return {
            **found,
            "loss": j,
            "gradient": [listed(g.detach()) for g in gradients],
            "state": listed_state(state),
        }

    if spec.train:
        return Step(train, lambda: train(model.state(), model.masks)[0], values)
    return Step(forward, lambda: norm(spec, forward()), values)


# ------------------------------------------------------------------------------------------------
# JAX


def jax_step(spec, dtype, form):
    import jax

    jax.config.update("jax_enable_x64", dtype == "f64")
    columns = form == "columns"
    model = Model(spec, dtype, Jax(columns))
    parameters, x, ids, y = model.parameters, model.x, model.ids, model.y
    outputs, loss = jax.jit(model.outputs), jax.jit(model.loss)
    given = jax.jit(jax.value_and_grad(model.loss, has_aux=True))

    @jax.jit
    def step(parameters, x, ids, y, state, key):
        draw = None
        if key is not None:
            key, draw = jax.random.split(key)
        gradients = jax.value_and_grad(model.loss, has_aux=True)
        (j, state), gradients = gradients(parameters, x, ids, y, state, None, draw)
        return j, gradients, state, key

    key = jax.random.key(1) if spec.masks else None
    held = model.state(), key
    # In C order, with one example per row.
    plain = (lambda a: np.moveaxis(np.asarray(a), -1, 0)) if columns else np.asarray
    transposed = [model.library.is_transposed(block.kind) for block in spec.blocks]

    def forward():
        return outputs(parameters, x, ids, held[0], model.masks).block_until_ready()

    def train():
        nonlocal held
        j, gradients, *held = jax.block_until_ready(step(parameters, x, ids, y, *held))
        return j, gradients

    def check():
        return given(parameters, x, ids, y, model.state(), model.masks)

    def values():
        a = outputs(parameters, x, ids, model.state(), model.masks)
        found = {"outputs": listed(plain(a))}
        if not spec.train:
            j, _ = loss(parameters, x, ids, y, model.state(), model.masks)
            return {**found, "loss": float(j), "gradient": [], "state": []}
        (j, state), gradients = check()
        assert j.dtype == DTYPES[dtype]
        return {
            **found,
            "loss": float(j),
            "gradient": [listed(g.T if t else g) for g, t in zip(gradients, transposed)],
            "state": listed_state(state),
        }

    if spec.train:
        return Step(train, lambda: float(check()[0][0]), values)
    return Step(forward, lambda: norm(spec, plain(forward())), values)


FORMS = {
    "torch": (torch_step, ["eager", "compiled", "compiled with gradients"]),
    "jax": (jax_step, ["rows", "columns"]),
}
built = {}


def forms(library, spec):
    """The forms of a row. Inference has no gradients."""
    return [form for form in FORMS[library][1] if spec.train or "gradients" not in form]


def step_of(library, spec, dtype, form):
    """Compiling takes longer than measuring, so each form is built once."""
    key = spec.spec, dtype, form
    if key not in built:
        built[key] = FORMS[library][0](spec, dtype, form)
    if library == "jax":
        import jax

        jax.config.update("jax_enable_x64", dtype == "f64")
    return built[key]
