"""The rows in PyTorch (eager), JAX (jit), NumPy and scikit-learn; rows from files in the forms of
`models.py`.

    python peers.py torch 1

runs one library with a number of threads. It reads one JSON request per line and writes one JSON
answer per line. `run.py` starts one process per library and sends requests to them in turn, so all
are measured under the same conditions.

A training step is the cost and the gradients of all weights and biases, without an update. Data and
weights equal those of `benches/common/table.rs` to the last bit, so costs can be compared.
"""

import json
import os
import sys
import time
import warnings

import numpy as np

from activations import jax_activations, torch_activations
from common import DTYPES, Row, Unsupported, data, foreign_seconds, timed, uniforms
from jobs import JOBS
from models import forms, step_of
from specs import Spec


# ------------------------------------------------------------------------------------------------
# libraries
# Each returns a function of one step, and a function that gets J or the outputs from its result.


def numpy_step(row, dtype):
    """The course's formulas, with one example per row."""
    x, y, weights = data(row, dtype)
    one = x.dtype.type(1)
    mean = x.dtype.type(1 / row.batch)
    biases = [np.zeros(outputs, x.dtype) for _, outputs in row.layers]
    labels = y.argmax(1)
    examples = np.arange(row.batch)
    last = len(weights) - 1

    def sigmoid(z):
        return one / (one + np.exp(-z))

    # g(z), and g′ from z and a.
    table = {
        "identity": (lambda z: z, lambda z, a: one),
        "sigmoid": (sigmoid, lambda z, a: a * (one - a)),
        "tanh": (np.tanh, lambda z, a: one - a * a),
        "relu": (lambda z: np.maximum(z, 0), lambda z, a: a > 0),
        "softplus": (lambda z: np.logaddexp(z, 0), lambda z, a: sigmoid(z)),
        "silu": (lambda z: z * sigmoid(z), lambda z, a: (s := sigmoid(z)) * (one + z * (one - s))),
        "elu": (
            lambda z: np.where(z > 0, z, np.expm1(z)),
            lambda z, a: np.where(z > 0, one, a + one),
        ),
    }
    if row.hidden not in table:
        raise Unsupported(f"no {row.hidden} here")
    activation, slope = table[row.hidden]

    def output(z):
        if row.head == "bce":
            return sigmoid(z)
        if row.head == "softmax":
            powers = np.exp(z - z.max(1, keepdims=True))
            return powers / powers.sum(1, keepdims=True)
        return z

    def forward():
        a = x
        for l in range(last + 1):
            z = a @ weights[l]
            z += biases[l]
            a = output(z) if l == last else activation(z)
        return a

    def train():
        zs, activations = [], [x]
        for l in range(last + 1):
            z = activations[-1] @ weights[l]
            z += biases[l]
            zs.append(z)
            activations.append(output(z) if l == last else activation(z))
        a = activations[-1]
        delta = a - y
        if row.head == "bce":
            loss = -(y * np.log(a) + (one - y) * np.log(one - a)).sum() * mean
        elif row.head == "softmax":
            loss = -np.log(a[examples, labels]).sum() * mean
        else:
            loss = (delta * delta).sum() * mean / 2
        delta *= mean
        gradients = [None] * (last + 1)
        for l in range(last, -1, -1):
            gradients[l] = activations[l].T @ delta, delta.sum(0)
            if l:
                delta = (delta @ weights[l].T) * slope(zs[l - 1], activations[l])
        return float(loss), gradients

    return (train, lambda result: result[0]) if row.train else (forward, lambda a: a)


def torch_step(row, dtype):
    import torch
    import torch.nn.functional as F

    x, y, weights = data(row, dtype)
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    labels = y.argmax(1)
    # As in `Linear`: outputs × inputs.
    weights = [torch.from_numpy(np.ascontiguousarray(w.T)) for w in weights]
    biases = [torch.zeros(outputs, dtype=x.dtype) for _, outputs in row.layers]
    activation = torch_activations()[row.hidden]
    last = len(weights) - 1

    def logits():
        a = x
        for l in range(last + 1):
            a = F.linear(a, weights[l], biases[l])
            if l < last:
                a = activation(a)
        return a

    if not row.train:

        def forward():
            with torch.inference_mode():
                z = logits()
                return {"bce": torch.sigmoid, "softmax": lambda z: torch.softmax(z, 1)}.get(
                    row.head, lambda z: z
                )(z)

        return forward, lambda a: a.numpy()

    parameters = [p.requires_grad_() for p in weights + biases]

    def train():
        z = logits()
        if row.head == "bce":
            loss = F.binary_cross_entropy_with_logits(z, y, reduction="sum") / row.batch
        elif row.head == "softmax":
            loss = F.cross_entropy(z, labels)
        else:
            loss = F.mse_loss(z, y)
        gradients = torch.autograd.grad(loss, parameters)
        return loss.item(), gradients

    # `mse_loss` is a mean over the outputs too, without ½.
    scale = row.outputs / 2 if row.head == "half_mse" else 1
    return train, lambda result: result[0] * scale


def jax_step(row, dtype):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", dtype == "f64")
    x, y, weights = data(row, dtype)
    x, y = jnp.asarray(x), jnp.asarray(y)
    weights = [jnp.asarray(w) for w in weights]
    biases = [jnp.zeros(outputs, x.dtype) for _, outputs in row.layers]
    nn = jax.nn
    activation = jax_activations()[row.hidden]
    last = len(weights) - 1

    def logits(weights, biases, x):
        a = x
        for l in range(last + 1):
            a = a @ weights[l] + biases[l]
            if l < last:
                a = activation(a)
        return a

    if not row.train:

        @jax.jit
        def outputs(weights, biases, x):
            z = logits(weights, biases, x)
            return {"bce": nn.sigmoid, "softmax": nn.softmax}.get(row.head, lambda z: z)(z)

        return lambda: outputs(weights, biases, x).block_until_ready(), np.asarray

    def loss(parameters, x, y):
        z = logits(*parameters, x)
        if row.head == "bce":
            return (nn.softplus(z) - y * z).sum() / row.batch
        if row.head == "softmax":
            return -(nn.log_softmax(z) * y).sum() / row.batch
        return ((z - y) ** 2).sum() / (2 * row.batch)

    step = jax.jit(jax.value_and_grad(loss))
    parameters = weights, biases
    assert step(parameters, x, y)[0].dtype == DTYPES[dtype]
    return lambda: jax.block_until_ready(step(parameters, x, y)), lambda result: float(result[0])


def sklearn_step(row, dtype):
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    x, y, weights = data(row, dtype)
    names = {"sigmoid": "logistic", "tanh": "tanh", "relu": "relu", "identity": "identity"}
    if row.hidden not in names:
        raise Unsupported(f"no {row.hidden} here")
    kind = MLPRegressor if row.head == "half_mse" else MLPClassifier
    model = kind(
        hidden_layer_sizes=row.sizes[1:-1],
        activation=names[row.hidden],
        solver="sgd",
        alpha=0.0,
        max_iter=1,
        batch_size=1,
    )
    # Fitted once on a few rows with every class, so that the model has the required shape.
    few = np.arange(3 * max(row.outputs, 2))
    if row.head == "half_mse":
        targets = np.sin(few[:, None] + np.arange(row.outputs)).squeeze()
    elif row.head == "bce" and row.outputs > 1:
        targets = np.eye(row.outputs, dtype=int)[few % row.outputs]
        targets[:, 0] |= few % 3 == 0  # several labels per row, for logistic outputs
    else:
        targets = few % max(row.outputs, 2)
    model.fit(np.sin(few[:, None] * 0.1 + np.arange(row.sizes[0])).astype(x.dtype), targets)
    shapes = [w.shape for w in model.coefs_]
    if shapes != row.layers or model.out_activation_ != {
        "bce": "logistic",
        "half_mse": "identity",
    }.get(row.head, row.head):
        raise Unsupported(f"the model is {shapes}, {model.out_activation_}")
    model.coefs_ = weights
    model.intercepts_ = [np.zeros(outputs, x.dtype) for _, outputs in row.layers]
    if not row.train:
        return lambda: model._forward_pass_fast(x, check_input=False), lambda a: a
    activations = [x] + [None] * len(weights)
    deltas = [None] * len(weights)
    gradients = [np.empty_like(w) for w in weights], [np.empty_like(b) for b in model.intercepts_]
    # Squared errors are a mean over the outputs as well.
    scale = row.outputs if row.head == "half_mse" else 1
    step = lambda: model._backprop(x, y, None, activations, deltas, *gradients)
    return step, lambda result: float(result[0]) * scale


STEPS = {"torch": torch_step, "jax": jax_step, "numpy": numpy_step, "sklearn": sklearn_step}
compiled = {}


def measure(library, spec, dtype, min_time, tries):
    row = Row(spec)
    if library == "jax":
        # Compiling takes longer than measuring, so each row is compiled once. The setting depends
        # on the row's type.
        import jax

        if (spec, dtype) not in compiled:
            compiled[spec, dtype] = jax_step(row, dtype)
        jax.config.update("jax_enable_x64", dtype == "f64")
        step, check = compiled[spec, dtype]
    else:
        step, check = STEPS[library](row, dtype)
    found = check(step())
    if row.train:
        record = {"loss": float(found)}
    else:
        record = {"norm": float((np.asarray(found, np.float64) ** 2).sum() / row.batch)}
    return {**record, **timed(step, min_time, tries)}


def measure_spec(library, name, content, dtype, values, **options):
    """A record for each form of a row from a file: its time, or with `values` what the
    implementations compare.
    """
    spec, records = Spec(name, content), []
    for form in forms(library, spec):
        record = {"form": form}
        try:
            step = step_of(library, spec, dtype, form)
            if values:
                record |= step.values()
            else:
                record["loss" if spec.train else "norm"] = step.check()
                record |= timed(step.call, **options)
        except Exception as error:  # the other forms may still work
            kind = "" if isinstance(error, Unsupported) else f"{type(error).__name__}: "
            record["error"] = kind + (str(error).strip().splitlines() or ["?"])[0]
        records.append(record)
    return records


# ------------------------------------------------------------------------------------------------
# products


def products(library, dtype, min_time, tries):
    """Measure the rates of square products."""
    records = []
    for n in [256, 512, 1024, 2048]:
        a, b = ((uniforms(2 * n * n) - 0.5).reshape(2, n, n)).astype(DTYPES[dtype])
        c = np.empty_like(a)
        if library == "torch":
            import torch

            a, b, c = torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(c)
            call = lambda: torch.mm(a, b, out=c)
        else:
            call = lambda: np.matmul(a, b, out=c)
        found = timed(call, min_time, tries)
        records.append({"row": f"sq{n}", **found, "gflops": 2e-3 * n**3 / found["median_us"]})
    return records


# ------------------------------------------------------------------------------------------------
# server


def about(library):
    """Describe what the library runs on."""
    if library == "torch":
        import torch

        level = torch.backends.cpu.get_cpu_capability()
        return {"torch": f"{level}, MKL {torch.backends.mkl.is_available()}"}
    if library == "numpy":
        from threadpoolctl import threadpool_info

        pools = threadpool_info()
        return {
            "numpy": ", ".join(
                f"{p['internal_api']} {p['version']} {p.get('architecture', '')}" for p in pools
            )
        }
    return {}


def answer(library, request):
    kind = request.pop("kind")
    if kind == "about":
        return about(library)
    if kind == "row":
        return measure(library, **request)
    if kind == "spec":
        return measure_spec(library, **request)
    if kind == "products":
        return products(library, **request)
    clock, load = time.perf_counter(), foreign_seconds()
    result = JOBS[library](**request)
    after, seconds = foreign_seconds(), time.perf_counter() - clock
    return {**result, "foreign": 0.0 if load is None else max(0.0, after - load - 0.02) / seconds}


def main():
    library, threads = sys.argv[1], int(sys.argv[2])
    # Keep the output of libraries apart from the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.filterwarnings("ignore")
    if library == "torch":
        import torch

        torch.set_num_threads(threads)
    for line in sys.stdin:
        try:
            reply = answer(library, json.loads(line))
        except Unsupported as error:
            reply = {"error": str(error)}
        except Exception as error:  # a row that fails must not stop the others
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()
