"""Rows from files in PyTorch and JAX, each in several forms.

`torch_forms` and `jax_forms` return, by the name of a form, a function that builds it. `build`
gives a `Step`: a function of one step, J (or Σ a²/m) from its result, and the values that the
implementations compare.
"""

import math
from dataclasses import dataclass
from typing import Callable

import numpy as np

from activations import jax_activations, torch_activations
from common import DTYPES, Unsupported
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


class Torch:
    """One example per row."""

    def __init__(self):
        import torch
        import torch.nn.functional as F

        self.torch, self.F = torch, F
        self.activations = torch_activations()
        self.activations["softmax"] = lambda z: torch.softmax(z, -1)

    def examples(self, values, axes):
        return self.torch.from_numpy(values.reshape(-1, *axes))

    def parameter(self, values):
        return self.torch.from_numpy(values)

    def affine(self, x, weights, bias):
        return self.F.linear(x, weights, bias)

    def flatten(self, x):
        return x.flatten(1)

    def transpose(self, x):
        return x.transpose(1, 2)

    def select(self, x, start, end):
        return x[:, start:end]

    def join(self, parts, axis):
        return self.torch.cat(parts, 1 if axis == 0 else -1)

    def partner_cost(self, name, z, y):
        F = self.F
        match name:
            case "cce":
                classes = z.shape[-1]
                return F.cross_entropy(z.reshape(-1, classes), y, reduction="sum")
            case "bce":
                return F.binary_cross_entropy_with_logits(z, y, reduction="sum")
            case "poisson_nll":
                return (self.torch.exp(z) - y * z).sum()
        return F.mse_loss(z, y, reduction="sum") / 2

    def targets(self, name, y, axes):
        if name == "cce":
            return self.torch.from_numpy(y.reshape(-1, axes[-1]).argmax(1))
        return self.examples(y, axes)

    def output_cost(self, name, a, y):
        F, log = self.F, self.torch.log
        match name:
            case "cce":
                return F.nll_loss(log(a).reshape(-1, a.shape[-1]), y, reduction="sum")
            case "bce":
                return F.binary_cross_entropy(a, y, reduction="sum")
            case "poisson_nll":
                return (a - y * log(a)).sum()
            case "half_mse":
                return F.mse_loss(a, y, reduction="sum") / 2
            case "huber":
                return F.huber_loss(a, y, reduction="sum")
            case "log_cosh":
                return (a - y + F.softplus(2 * (y - a)) - math.log(2)).sum()
        raise Unsupported(f"no {name} here")


class Jax:
    """One example per row, or with `columns` one per column."""

    def __init__(self, columns):
        import jax
        import jax.numpy as jnp

        self.np, self.nn, self.columns = jnp, jax.nn, columns
        self.activations = jax_activations()
        self.last = -2 if columns else -1
        self.activations["softmax"] = lambda z: jax.nn.softmax(z, self.last)

    def examples(self, values, axes):
        values = values.reshape(-1, *axes)
        return self.np.asarray(np.moveaxis(values, 0, -1) if self.columns else values)

    def parameter(self, values):
        return self.np.asarray(values if self.columns else values.T)

    def affine(self, x, weights, bias):
        if not self.columns:
            return x @ weights + bias
        if x.ndim == 2:
            return weights @ x + bias[:, None]
        return self.np.einsum("uf,tfm->tum", weights, x) + bias[:, None]

    def flatten(self, x):
        return x.reshape(-1, x.shape[-1]) if self.columns else x.reshape(len(x), -1)

    def transpose(self, x):
        return x.swapaxes(0, 1) if self.columns else x.swapaxes(1, 2)

    def select(self, x, start, end):
        return x[start:end] if self.columns else x[:, start:end]

    def join(self, parts, axis):
        first = 0 if self.columns else 1
        return self.np.concatenate(parts, first if axis == 0 else self.last)

    def targets(self, name, y, axes):
        return self.examples(y, axes)

    def partner_cost(self, name, z, y):
        nn = self.nn
        match name:
            case "cce":
                return -(nn.log_softmax(z, self.last) * y).sum()
            case "bce":
                return (nn.softplus(z) - y * z).sum()
            case "poisson_nll":
                return (self.np.exp(z) - y * z).sum()
        return ((z - y) ** 2).sum() / 2

    def output_cost(self, name, a, y):
        log, error = self.np.log, a - y
        match name:
            case "cce":
                return -(y * log(a)).sum()
            case "bce":
                return -(y * log(a) + (1 - y) * log(1 - a)).sum()
            case "poisson_nll":
                return (a - y * log(a)).sum()
            case "half_mse":
                return (error**2).sum() / 2
            case "huber":
                size = self.np.minimum(abs(error), 1)
                return (size * (abs(error) - size / 2)).sum()
            case "log_cosh":
                return (error + self.nn.softplus(-2 * error) - math.log(2)).sum()
        raise Unsupported(f"no {name} here")


class Model:
    """The layers and the cost of a row, on the operations of a library."""

    def __init__(self, spec, dtype, library):
        self.spec, self.library = spec, library
        x, heads, blocks = data(spec, dtype)
        self.x = library.examples(x, spec.input)
        self.parameters = [library.parameter(block) for block in blocks]
        self.y = [
            library.targets(head["cost"], y, head["axes"]) for head, y in zip(spec.heads, heads)
        ]

    def activation(self, name, z):
        if name not in self.library.activations:
            raise Unsupported(f"no {name} here")
        return self.library.activations[name](z)

    def layers(self, layers, x, parameters):
        for layer in layers:
            x = self.layer(layer, x, parameters)
        return x

    def layer(self, layer, x, parameters):
        library = self.library
        match layer["type"]:
            case "dense":
                return self.activation(layer["activation"], self.affine(layer, x, parameters))
            case "activation":
                return self.activation(layer["g"], x)
            case "flatten":
                return library.flatten(x)
            case "transpose":
                return library.transpose(x)
            case "select":
                return library.select(x, layer["from"], layer["to"])
            case "residual":
                return self.layers(layer["body"], x, parameters) + self.layers(
                    layer["shortcut"] or [], x, parameters
                )
        parts = [self.layers(branch, x, parameters) for branch in layer["branches"]]
        return library.join(parts, layer["axis"])

    def affine(self, layer, x, parameters):
        block = layer["block"]
        return self.library.affine(x, parameters[block], parameters[block + 1])

    def parts(self, layers, x, parameters):
        """The outputs in parts, each before its activation: pairs of z and the activation."""
        if layers and layers[-1]["type"] == "dense":
            x = self.layers(layers[:-1], x, parameters)
            return [(self.affine(layers[-1], x, parameters), layers[-1]["activation"])]
        if layers and layers[-1]["type"] == "activation":
            return [(self.layers(layers[:-1], x, parameters), layers[-1]["g"])]
        if layers and layers[-1]["type"] == "parallel" and len(self.spec.output) == 1:
            x = self.layers(layers[:-1], x, parameters)
            branches = [self.parts(branch, x, parameters) for branch in layers[-1]["branches"]]
            return sum(branches, [])
        return [(self.layers(layers, x, parameters), "identity")]

    def outputs_of(self, parts):
        outputs = [self.activation(activation, z) for z, activation in parts]
        return outputs[0] if len(outputs) == 1 else self.library.join(outputs, 0)

    def outputs(self, parameters, x):
        return self.outputs_of(self.parts(self.spec.layers, x, parameters))

    def loss(self, parameters, x, y):
        """J."""
        library, spec = self.library, self.spec
        parts = self.parts(spec.layers, x, parameters)
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
            weights = [w for w, block in zip(parameters, spec.blocks) if block[1] == "weight"]
            loss = loss + sum((w**2).sum() for w in weights) * (spec.penalty / (2 * spec.batch))
        return loss


def listed(values):
    return np.asarray(values, np.float64).ravel().tolist()


def norm(spec):
    """Σ a²/m of outputs."""
    return lambda a: float((np.asarray(a, np.float64) ** 2).sum() / spec.batch)


# ------------------------------------------------------------------------------------------------
# PyTorch


def torch_step(spec, dtype, form):
    import torch

    # The forms of all rows share the code of `Model`.
    torch._dynamo.config.recompile_limit = 10_000
    torch._dynamo.config.accumulated_recompile_limit = 10_000
    model = Model(spec, dtype, Torch())
    compiled = lambda f: torch.compile(f, dynamic=False, fullgraph=True)
    parameters, x, y = model.parameters, model.x, model.y
    outputs, loss = (
        (model.outputs, model.loss)
        if form == "eager"
        else (compiled(model.outputs), compiled(model.loss))
    )

    def forward():
        with torch.inference_mode():
            return outputs(parameters, x)

    if form == "compiled with gradients":
        step = compiled(torch.func.grad_and_value(model.loss))

        def train():
            gradients, loss = step(parameters, x, y)
            return loss.item(), gradients
    else:
        parameters = [p.requires_grad_() for p in parameters] if spec.train else parameters

        def train():
            j = loss(parameters, x, y)
            # Zeros for parameters that no cost depends on.
            gradients = torch.autograd.grad(j, parameters, materialize_grads=True)
            return j.item(), gradients

    def values():
        found = {"outputs": listed(forward())}
        if not spec.train:
            return {**found, "loss": float(model.loss(parameters, x, y)), "gradient": []}
        j, gradients = train()
        return {**found, "loss": j, "gradient": [listed(g.detach()) for g in gradients]}

    if spec.train:
        return Step(train, lambda result: result[0], values)
    return Step(forward, norm(spec), values)


# ------------------------------------------------------------------------------------------------
# JAX


def jax_step(spec, dtype, form):
    import jax

    jax.config.update("jax_enable_x64", dtype == "f64")
    model = Model(spec, dtype, Jax(form == "columns"))
    parameters, x, y = model.parameters, model.x, model.y
    outputs, loss = jax.jit(model.outputs), jax.jit(model.loss)
    step = jax.jit(jax.value_and_grad(model.loss))
    # In C order, with one example per row.
    plain = (lambda a: np.moveaxis(np.asarray(a), -1, 0)) if form == "columns" else np.asarray
    block = (lambda g: g) if form == "columns" else (lambda g: g.T)

    def forward():
        return outputs(parameters, x).block_until_ready()

    def train():
        return jax.block_until_ready(step(parameters, x, y))

    def values():
        found = {"outputs": listed(plain(forward()))}
        if not spec.train:
            return {**found, "loss": float(loss(parameters, x, y)), "gradient": []}
        j, gradients = train()
        assert j.dtype == DTYPES[dtype]
        return {
            **found,
            "loss": float(j),
            "gradient": [listed(block(np.asarray(g))) for g in gradients],
        }

    if spec.train:
        return Step(train, lambda result: float(result[0]), values)
    return Step(forward, norm(spec), values)


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
