"""Writes JAX parameters as JSON for the Rust crate `backprop`. They are nested dictionaries with
the names of Flax (`kernel`, `bias`, `scale`, `embedding`, `mean`, `var`). Flax itself is not
needed.

    python examples/interop/from_jax.py [folder]
"""

import pathlib
import sys

import backprop_json as bp
import jax
import jax.numpy as jnp
import numpy


def norm(p):
    """Scale and shift of a norm, each of which may be missing."""
    return p.get("scale"), p.get("bias")


def convert(variables):
    """The layers of `forward`. A dictionary has no activations and no eps, so they are stated here.
    The default of Flax is eps = 1e-6 for its layer norm and 1e-5 for its batch norm."""
    p, statistics = variables["params"], variables["batch_stats"]["BatchNorm_0"]
    dense = lambda name, g="identity": bp.dense(p[name]["kernel"], p[name].get("bias"), g)
    return [
        bp.embedding(p["Embed_0"]["embedding"]),
        bp.layer_norm(*norm(p["LayerNorm_0"]), eps=1e-6),
        bp.flatten(),
        dense("Dense_0"),
        bp.batch_norm(
            *norm(p["BatchNorm_0"]), statistics["mean"], statistics["var"], eps=1e-5, momentum=0.01
        ),
        bp.activate("gelu_tanh"),  # `jax.nn.gelu` is the tanh form by default
        bp.residual([dense("Dense_1", "silu")]),
        dense("Dense_2", "softmax"),
    ]


def forward(variables, ids):
    """The same network in JAX, with the formulas of Flax's layers outside training."""
    p, statistics = variables["params"], variables["batch_stats"]["BatchNorm_0"]
    dense = lambda name, a: a @ p[name]["kernel"] + p[name].get("bias", 0.0)
    scaled = lambda a, name: a * p[name]["scale"] + p[name]["bias"]
    a = p["Embed_0"]["embedding"][ids]
    a = scaled(jax.nn.standardize(a, epsilon=1e-6), "LayerNorm_0")
    a = dense("Dense_0", a.reshape(len(a), -1))
    roots = jnp.sqrt(statistics["var"] + 1e-5)
    a = jax.nn.gelu(scaled((a - statistics["mean"]) / roots, "BatchNorm_0"))
    a = a + jax.nn.silu(dense("Dense_1", a))
    return jax.nn.softmax(dense("Dense_2", a))


jax.config.update("jax_enable_x64", True)
shapes = {
    "params": {
        "Embed_0": {"embedding": (7, 3)},
        "LayerNorm_0": {"scale": (3,), "bias": (3,)},
        "Dense_0": {"kernel": (12, 5)},
        "BatchNorm_0": {"scale": (5,), "bias": (5,)},
        "Dense_1": {"kernel": (5, 5), "bias": (5,)},
        "Dense_2": {"kernel": (5, 4), "bias": (4,)},
    },
    "batch_stats": {"BatchNorm_0": {"mean": (5,), "var": (5,)}},
}
is_shape = lambda value: isinstance(value, tuple)
paths, structure = jax.tree_util.tree_flatten_with_path(shapes, is_leaf=is_shape)
arrays = [jnp.array(bp.sample(*shape, start=i)) for i, (_, shape) in enumerate(paths)]
variables = jax.tree_util.tree_unflatten(structure, arrays)
variables["batch_stats"]["BatchNorm_0"]["var"] = jnp.array(0.5 + abs(bp.sample(5)))
ids = numpy.array([[0, 6, 2, 2], [5, 1, 3, 4], [6, 6, 0, 1]])
folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "examples/interop/files")
bp.write(folder / "jax.json", 4, convert(variables))
bp.write_example(folder / "jax.io.json", ids, forward(variables, ids), jax=jax.__version__)
