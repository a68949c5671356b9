"""The operations of rows from files in PyTorch and JAX."""

import math

import numpy as np

from activations import jax_activations, torch_activations
from common import Unsupported


def updated(state, found, rate, examples):
    """The running mean and variance after a batch, whose variance is biased."""
    (mean, var), (found_mean, found_var) = state, found
    unbiased = found_var * (examples / (examples - 1))
    return (1 - rate) * mean + rate * found_mean, (1 - rate) * var + rate * unbiased


class Torch:
    """One example per row."""

    def __init__(self, functional):
        import torch
        import torch.nn.functional as F

        self.torch, self.F, self.functional = torch, F, functional
        self.activations = torch_activations()
        self.activations["softmax"] = lambda z: torch.softmax(z, -1)

    def examples(self, values, axes):
        return self.torch.from_numpy(values.reshape(-1, *axes))

    def parameter(self, values, kind):
        return self.torch.from_numpy(values)

    def ids(self, values):
        return self.torch.from_numpy(values.astype(np.int64))

    def state(self, mean, var):
        return self.torch.from_numpy(mean), self.torch.from_numpy(var)

    def affine(self, x, weights, bias):
        return self.F.linear(x, weights, bias)

    def embedding(self, ids, table):
        return self.F.embedding(ids, table)

    def layer_norm(self, layer, x, scale, shift):
        return self.F.layer_norm(x, layer["shape"], scale, shift, layer["eps"])

    def batch_norm(self, layer, x, scale, shift, state):
        """Also updates the state, and returns it."""
        rate, eps = layer["momentum"], layer["eps"]
        if self.functional and layer["mode"] == "train":
            # Gradients of functions may not change tensors.
            var, mean = self.torch.var_mean(x, 0, correction=0)
            a = (x - mean) * self.torch.rsqrt(var + eps)
            a = a if scale is None else a * scale + shift
            m, found = len(x), (mean.detach(), var.detach())
            return a, updated(state, found, rate, m)
        train = layer["mode"] == "train"
        return self.F.batch_norm(x, *state, scale, shift, train, rate, eps), state

    def mask(self, x, mask, p):
        return x * mask / (1 - p)

    def dropout(self, x, p, key, index):
        return self.F.dropout(x, p)

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
        self.random, self.rsqrt = jax.random, jax.lax.rsqrt
        self.activations = jax_activations()
        self.last = -2 if columns else -1
        self.activations["softmax"] = lambda z: jax.nn.softmax(z, self.last)

    def examples(self, values, axes):
        values = values.reshape(-1, *axes)
        return self.np.asarray(np.moveaxis(values, 0, -1) if self.columns else values)

    def parameter(self, values, kind):
        return self.np.asarray(values.T if self.is_transposed(kind) else values)

    def is_transposed(self, kind):
        return kind == "weight" and not self.columns

    def ids(self, values):
        return self.examples(values.astype(np.int32), values.shape[1:])

    def state(self, mean, var):
        return self.np.asarray(mean), self.np.asarray(var)

    def of_units(self, values):
        """A number for each unit, as it is added to a matrix."""
        return values[:, None] if self.columns else values

    def affine(self, x, weights, bias):
        if not self.columns:
            z = x @ weights
        else:
            z = weights @ x if x.ndim == 2 else self.np.einsum("uf,tfm->tum", weights, x)
        return z if bias is None else z + self.of_units(bias)

    def embedding(self, ids, table):
        vectors = table.at[ids].get(mode="promise_in_bounds")
        return vectors.swapaxes(1, 2) if self.columns else vectors

    def scaled(self, a, scale, shift):
        return a if scale is None else a * self.of_units(scale) + self.of_units(shift)

    def layer_norm(self, layer, x, scale, shift):
        mean = x.mean(self.last, keepdims=True)
        var = x.var(self.last, keepdims=True)
        a = (x - mean) * self.rsqrt(var + layer["eps"])
        return self.scaled(a, scale, shift)

    def batch_norm(self, layer, x, scale, shift, state):
        """Also returns the state after the step."""
        examples = -1 if self.columns else 0
        mean, var = state
        if layer["mode"] == "train":
            mean, var = x.mean(examples), x.var(examples)
            state = updated(state, (mean, var), layer["momentum"], x.shape[examples])
        a = (x - self.of_units(mean)) * self.of_units(self.rsqrt(var + layer["eps"]))
        return self.scaled(a, scale, shift), state

    def mask(self, x, mask, p):
        return x * mask / (1 - p)

    def dropout(self, x, p, key, index):
        key = self.random.fold_in(key, index)
        kept = self.random.bernoulli(key, 1 - p, x.shape)
        return self.np.where(kept, x / (1 - p), 0)

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
