"""Measures derivatives beyond the gradient in this crate and in JAX (jit), on one thread, and
writes `benches/DERIVATIVES.md`.

    python benches/peers/derivatives.py [--min-time 0.5] [--target-dir DIR]

For each row and type, both are measured in sequence. The JAX counterparts are `jax.jvp` of
`jax.grad`, `jax.jvp` and `jax.vjp` around the Hessian of the cost, and `jax.vmap` of `jax.grad`.
The norms of the results must agree."""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

os.environ.update(
    XLA_FLAGS="--xla_cpu_multi_thread_eigen=false",
    NPROC="1",
    JAX_PLATFORMS="cpu",
    TF_CPP_MIN_LOG_LEVEL="3",
)
for name in ["OMP", "MKL", "OPENBLAS", "RAYON"]:
    os.environ[f"{name}_NUM_THREADS"] = "1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from common import DTYPES, Row, data, page, timed  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    "ex4:400-25-10:sigmoid:bce:5000:train",
    "mnist-b64:784-128-64-10:relu:softmax:64:train",
    "deep:" + "-".join(["64"] * 33 + ["1"]) + ":tanh:half_mse:32:train",
]
# The targets: time in units of one gradient.
BOUNDS = {
    ("ex4", "hessian_product"): 1.8,
    ("mnist-b64", "hessian_product"): 2.2,
    ("deep", "hessian_product"): 3.0,
    ("ex4", "gauss_newton_product"): 2.0,
    ("mnist-b64", "gauss_newton_product"): 2.0,
    ("deep", "gauss_newton_product"): 2.0,
    ("ex4", "example_gradient_norms"): 1.0,
    ("mnist-b64", "example_gradient_norms"): 1.0,
    ("deep", "example_gradient_norms"): 1.0,
    ("ex4", "gradients"): 1.6,
}


def peer(row, dtype, min_time, tries):
    """Kind: microseconds and the norm of the result."""
    jax.config.update("jax_enable_x64", dtype == "f64")
    x, y, weights = data(row, dtype)
    x, y = jnp.asarray(x), jnp.asarray(y)
    weights = [jnp.asarray(w) for w in weights]
    parameters = weights, [jnp.zeros(outputs, x.dtype) for _, outputs in row.layers]
    activation = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu, "tanh": jnp.tanh}[row.hidden]

    # The direction sin i, i in the order of our flat parameters: each layer [b W] column by column.
    direction, offset = ([], []), 0
    for inputs, outputs in row.layers:
        unrolled = (
            np.sin(np.arange(offset, offset + outputs * (inputs + 1)))
            .reshape(inputs + 1, outputs)
            .astype(DTYPES[dtype])
        )
        direction[1].append(jnp.asarray(unrolled[0]))
        direction[0].append(jnp.asarray(unrolled[1:]))
        offset += outputs * (inputs + 1)

    def logits(parameters, x):
        a = x
        for l, (w, b) in enumerate(zip(*parameters)):
            a = a @ w + b
            if l + 1 < len(weights):
                a = activation(a)
        return a

    def cost(z, y):
        if row.head == "bce":
            return (jax.nn.softplus(z) - y * z).sum()
        if row.head == "softmax":
            return -(jax.nn.log_softmax(z) * y).sum()
        return ((z - y) ** 2).sum() / 2

    def loss(parameters, x, y):
        return cost(logits(parameters, x), y) / row.batch

    def hessian_product(parameters, v):
        return jax.jvp(lambda p: jax.grad(loss)(p, x, y), (parameters,), (v,))[1]

    def gauss_newton_product(parameters, v):
        z, along = jax.jvp(lambda p: logits(p, x), (parameters,), (v,))
        bent = jax.jvp(lambda z: jax.grad(cost)(z, y) / row.batch, (z,), (along,))[1]
        return jax.vjp(lambda p: logits(p, x), parameters)[1](bent)[0]

    def example_gradients(parameters, _):
        one = lambda p, x, y: cost(logits(p, x), y)
        return jax.vmap(jax.grad(one), in_axes=(None, 0, 0))(parameters, x, y)

    def example_gradient_norms(parameters, v):
        leaves = jax.tree.leaves(example_gradients(parameters, v))
        return jnp.sqrt(sum((leaf.reshape(row.batch, -1) ** 2).sum(1) for leaf in leaves))

    def gradient(parameters, _):
        return jax.value_and_grad(loss)(parameters, x, y)

    def gradients(parameters, _):
        return jax.value_and_grad(loss, argnums=(0, 1))(parameters, x, y)

    found = {}
    for f in [
        gradient,
        hessian_product,
        gauss_newton_product,
        example_gradient_norms,
        gradients,
        example_gradients,
    ]:
        step = jax.jit(f)
        result = step(parameters, direction)
        if f is gradients:
            result = result[1][0]  # ours takes the norm of the gradient
        norm = float(
            np.sqrt(
                sum((np.asarray(leaf, np.float64) ** 2).sum() for leaf in jax.tree.leaves(result))
            )
        )
        timing = timed(lambda: jax.block_until_ready(step(parameters, direction)), min_time, tries)
        found[f.__name__] = timing["median_us"], norm
        jax.clear_caches()
    return found


def ours(row, dtype, options):
    command = [
        "cargo",
        "bench",
        "--bench",
        "derivatives",
        "--",
        "--rows",
        row.name,
        "--dtypes",
        dtype,
        "--min-time",
        str(options.min_time),
        "--tries",
        str(options.tries),
    ]
    env = dict(
        os.environ, **({"CARGO_TARGET_DIR": options.target_dir} if options.target_dir else {})
    )
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, env=env)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {line["kind"]: line for line in lines}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--min-time", type=float, default=0.5)
    parser.add_argument("--tries", type=int, default=6)
    parser.add_argument("--target-dir")
    options = parser.parse_args()
    lines = [
        "# Derivatives beyond the gradient",
        "",
        f"Written by `python benches/peers/derivatives.py` with JAX {jax.__version__}, one thread, "
        f"{platform.machine()}, in one run. `gradients` is ∇J with ∂J/∂X. "
        "A ratio is the time divided by that of J and ∇J in the same library, measured in "
        "alternation. The bound is the target.",
        "",
        "| row | type | derivative | ours, µs | ratio | bound | JAX, µs | JAX's ratio | times "
        "faster |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    missed = []
    for spec in ROWS:
        for dtype in ["f32", "f64"]:
            row = Row(spec)
            mine = ours(row, dtype, options)
            theirs = peer(row, dtype, options.min_time, options.tries)
            for kind, line in mine.items():
                if kind not in theirs:
                    continue
                time, norm = theirs[kind]
                if abs(line["norm"] - norm) > {"f32": 1e-3, "f64": 1e-9}[dtype] * norm:
                    sys.exit(
                        f"{row.name} {dtype} {kind}: the norm is {line['norm']}, JAX has {norm}"
                    )
                bound = BOUNDS.get((row.name, kind))
                if (bound and line["ratio"] > bound) or time < line["median_us"]:
                    missed.append(f"{row.name} {dtype} {kind}")
                lines.append(
                    f"| {row.name} | {dtype} | {kind} | {line['median_us']:.0f} | "
                    f"{line['ratio']:.2f} | {f'≤ {bound}' if bound else '–'} "
                    f"| {time:.0f} | {time / theirs['gradient'][0]:.2f} | "
                    f"{time / line['median_us']:.2f} |"
                )
                print(lines[-1], flush=True)
    lines += ["", f"Missed: {', '.join(missed) or 'none'}."]
    # `benches/calls.py` writes the rest of the page.
    file = ROOT / "benches/DERIVATIVES.md"
    _, heading, calls = file.read_text().partition("\n## All calls")
    file.write_text(page(lines) + "\n" + heading + calls)
    print(lines[-1])


if __name__ == "__main__":
    main()
