"""The rows in PyTorch (eager), JAX (jit), NumPy and scikit-learn.

    python peers.py torch 1

serves one library with a number of threads: a JSON request a line on the standard input, a JSON answer a line on the standard
output. `run.py` starts one such process for each and asks them in turn, so that all are measured side by side.

A training step is the cost and the gradients of all weights and biases, without an update. Data and weights are those of
`benches/common/table.rs`, to the last bit, so that the costs can be compared.
"""

import csv
import gc
import json
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np

DTYPES = {"f32": np.float32, "f64": np.float64}
FOREIGN = 0.06


class Unsupported(Exception):
    pass


class Row:
    """name:sizes:activation:cost:batch:mode"""

    def __init__(self, spec):
        self.spec = spec
        self.name, sizes, self.hidden, self.head, batch, mode = spec.split(":")
        self.sizes = [int(size) for size in sizes.split("-")]
        self.batch = int(batch)
        self.train = mode == "train"
        self.outputs = self.sizes[-1]
        self.layers = list(zip(self.sizes[:-1], self.sizes[1:]))

    def flops(self):
        """Of the products: forward, dW of all layers, dA of all but the first."""
        forward = [2 * self.batch * inputs * outputs for inputs, outputs in self.layers]
        return 2 * sum(forward) + sum(forward[1:]) if self.train else sum(forward)


# ------------------------------------------------------------------------------------------------ data


def uniforms(count, seed=1):
    """`count` numbers of the linear congruential generator of `benches/common/table.rs`, by doubling."""
    factors = np.array([6364136223846793005], np.uint64)  # state after k steps is factor · seed + term
    terms = np.array([1442695040888963407], np.uint64)
    while len(factors) < count:
        terms = np.concatenate([terms, factors * terms[-1] + terms])
        factors = np.concatenate([factors, factors * factors[-1]])
    states = factors[:count] * np.uint64(seed) + terms[:count]
    return (states >> np.uint64(33)) / float(1 << 31)


def data(row, dtype):
    """X (batch × inputs), Y (batch × outputs), and W (inputs × outputs) of each layer."""
    scalar = DTYPES[dtype]
    of_x = row.batch * row.sizes[0]
    of_y = row.batch * (row.outputs if row.head == "half_mse" else 1)
    draws = uniforms(of_x + of_y + sum(inputs * outputs for inputs, outputs in row.layers))
    x, y, rest = np.split(draws, [of_x, of_x + of_y])
    if not row.name.startswith("ex4"):
        x = (x - 0.5) * 3.46
    x = x.reshape(row.batch, -1).astype(scalar)
    if row.head == "half_mse":
        y = (y - 0.5).reshape(row.batch, -1)
    elif row.head == "bce" and row.outputs == 1:
        y = (y > 0.5).reshape(-1, 1)
    else:
        y = np.eye(row.outputs)[(y * row.outputs).astype(int)]
    weights = []
    for inputs, outputs in row.layers:
        draws, rest = np.split(rest, [inputs * outputs])
        epsilon = np.sqrt(6.0 / (inputs + outputs))
        weights.append(((draws * 2.0 - 1.0) * epsilon).reshape(inputs, outputs).astype(scalar))
    return x, y.astype(scalar), weights


# ------------------------------------------------------------------------------------------------ clock


def foreign_seconds():
    """Processor seconds of all other processes; None where there is no /proc."""
    try:
        with open("/proc/stat") as stat:
            ticks = [int(field) for field in stat.readline().split()[1:9]]
    except OSError:
        return None
    busy = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
    return busy - sum(os.times()[:2])


def timed(call, min_time, tries):
    """As `Timing::of` in `benches/common/timing.rs`."""
    best = None
    for attempt in range(tries):
        if attempt:
            time.sleep(1.0)
        found = timed_once(call, min_time)
        if best is None or found["foreign"] < best["foreign"]:
            best = found
        if best["foreign"] <= FOREIGN:
            break
    return best


def timed_once(call, min_time):
    clock = time.perf_counter_ns
    call()
    start, calls = clock(), 0
    while clock() - start < min_time / 3 * 1e9 or calls < 2:
        call()
        calls += 1
    inner = range(max(1, -(-20_000 * calls // (clock() - start))))
    samples = []
    gc.collect()
    gc.disable()
    load, start = foreign_seconds(), clock()
    while clock() - start < min_time * 1e9 or len(samples) < 7:
        sample = clock()
        for _ in inner:
            call()
        samples.append((clock() - sample) / 1e3 / len(inner))
    seconds = (clock() - start) / 1e9
    after = foreign_seconds()
    gc.enable()
    # Each of the two readings is rounded down to a tick of 10 ms.
    foreign = 0.0 if load is None else max(0.0, (after - load - 0.02) / seconds)
    samples.sort()
    return {"median_us": samples[len(samples) // 2], "min_us": samples[0], "foreign": round(foreign, 3)}


# ------------------------------------------------------------------------------------------------ libraries
# Each gives a function of one step, and a function that makes J or the outputs of what the step returns.


def numpy_step(row, dtype):
    """The course's formulas, a batch in rows."""
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
        "elu": (lambda z: np.where(z > 0, z, np.expm1(z)), lambda z, a: np.where(z > 0, one, a + one)),
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
    table = {
        "identity": lambda z: z, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu,
        "leaky_relu": F.leaky_relu, "elu": F.elu, "selu": F.selu, "softplus": F.softplus, "softsign": F.softsign,
        "gelu": F.gelu, "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"), "silu": F.silu, "mish": F.mish,
        "hard_tanh": F.hardtanh, "sine": torch.sin, "exponential": torch.exp,
    }
    activation = table[row.hidden]
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
                return {"bce": torch.sigmoid, "softmax": lambda z: torch.softmax(z, 1)}.get(row.head, lambda z: z)(z)

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
    table = {
        "identity": lambda z: z, "sigmoid": nn.sigmoid, "tanh": jnp.tanh, "relu": nn.relu, "leaky_relu": nn.leaky_relu,
        "elu": nn.elu, "selu": nn.selu, "softplus": nn.softplus, "softsign": nn.soft_sign,
        "gelu": lambda z: nn.gelu(z, approximate=False), "gelu_tanh": nn.gelu, "silu": nn.silu, "mish": nn.mish,
        "hard_tanh": nn.hard_tanh, "sine": jnp.sin, "exponential": jnp.exp,
    }
    activation = table[row.hidden]
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
        hidden_layer_sizes=row.sizes[1:-1], activation=names[row.hidden], solver="sgd", alpha=0.0, max_iter=1, batch_size=1
    )
    # Fitted once on a few rows that show every class, so that the model has the wanted shape.
    few = np.arange(3 * max(row.outputs, 2))
    if row.head == "half_mse":
        targets = np.sin(few[:, None] + np.arange(row.outputs)).squeeze()
    elif row.head == "bce" and row.outputs > 1:
        targets = np.eye(row.outputs, dtype=int)[few % row.outputs]
        targets[:, 0] |= few % 3 == 0  # several labels a row, for logistic outputs
    else:
        targets = few % max(row.outputs, 2)
    model.fit(np.sin(few[:, None] * 0.1 + np.arange(row.sizes[0])).astype(x.dtype), targets)
    shapes = [w.shape for w in model.coefs_]
    if shapes != row.layers or model.out_activation_ != {"bce": "logistic", "half_mse": "identity"}.get(row.head, row.head):
        raise Unsupported(f"the model is {shapes}, {model.out_activation_}")
    model.coefs_ = weights
    model.intercepts_ = [np.zeros(outputs, x.dtype) for _, outputs in row.layers]
    if not row.train:
        return lambda: model._forward_pass_fast(x, check_input=False), lambda a: a
    activations = [x] + [None] * len(weights)
    deltas = [None] * len(weights)
    gradients = [np.empty_like(w) for w in weights], [np.empty_like(b) for b in model.intercepts_]
    # Squared errors are a mean over the outputs too.
    scale = row.outputs if row.head == "half_mse" else 1
    step = lambda: model._backprop(x, y, None, activations, deltas, *gradients)
    return step, lambda result: float(result[0]) * scale


STEPS = {"torch": torch_step, "jax": jax_step, "numpy": numpy_step, "sklearn": sklearn_step}
compiled = {}


def measure(library, spec, dtype, min_time, tries):
    row = Row(spec)
    if library == "jax":
        # Compiling takes longer than measuring: once is enough. The setting goes with the row's type.
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


# ------------------------------------------------------------------------------------------------ products


def products(library, dtype, min_time, tries):
    """Rates of square products."""
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


# ------------------------------------------------------------------------------------------------ whole trainings

EPOCHS, BATCH, CLASSES = 15, 64, 10


def job_data(job, dtype):
    """Images, labels, hidden units and learning rate, as in `benches/jobs.rs`."""
    if job == "digits":
        path = Path(__file__).resolve().parents[2] / "examples/data/digits.csv"
        with open(path) as file:
            table = np.array([row for row in csv.reader(file)][1:1348], dtype=int)
        return (table[:, :-1] / 16.0).astype(DTYPES[dtype]), table[:, -1], 32, 0.1
    images, inputs = 10_000, 784
    draws = uniforms(CLASSES * inputs + images * (inputs + 1))
    prototypes = draws[: CLASSES * inputs].reshape(CLASSES, inputs)
    draws = draws[CLASSES * inputs :].reshape(images, inputs + 1)
    labels = (draws[:, 0] * CLASSES).astype(int)
    return (0.15 * prototypes[labels] + 0.85 * draws[:, 1:]).astype(DTYPES[dtype]), labels, 64, 0.02


def sklearn_job(job, dtype):
    from sklearn.neural_network import MLPClassifier

    x, labels, hidden, rate = job_data(job, dtype)
    model = MLPClassifier(
        hidden_layer_sizes=(hidden,), activation="relu", solver="sgd", alpha=0.0, batch_size=BATCH, learning_rate_init=rate, max_iter=EPOCHS,
        shuffle=True, momentum=0.0, nesterovs_momentum=False, n_iter_no_change=EPOCHS + 1, random_state=1,
    )
    clock = time.perf_counter()
    model.fit(x, labels)
    seconds = time.perf_counter() - clock
    assert model.n_iter_ == EPOCHS
    return {"seconds": seconds, "accuracy": float(model.score(x, labels))}


def torch_job(job, dtype):
    import torch
    import torch.nn.functional as F

    x, labels, hidden, rate = job_data(job, dtype)
    x, labels = torch.from_numpy(x), torch.from_numpy(labels)
    torch.manual_seed(1)
    layers = []
    for inputs, outputs in [(x.shape[1], hidden), (hidden, CLASSES)]:
        weights = torch.empty(outputs, inputs, dtype=x.dtype)
        torch.nn.init.xavier_uniform_(weights)
        layers += [weights.requires_grad_(), torch.zeros(outputs, dtype=x.dtype).requires_grad_()]

    def logits(x):
        return F.linear(torch.relu(F.linear(x, *layers[:2])), *layers[2:])

    clock = time.perf_counter()
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for batch in order.split(BATCH):
            loss = F.cross_entropy(logits(x[batch]), labels[batch])
            gradients = torch.autograd.grad(loss, layers)
            with torch.no_grad():
                torch._foreach_add_(layers, gradients, alpha=-rate)
    seconds = time.perf_counter() - clock
    with torch.no_grad():
        accuracy = (logits(x).argmax(1) == labels).double().mean().item()
    return {"seconds": seconds, "accuracy": accuracy}


JOBS = {"sklearn": sklearn_job, "torch": torch_job}


# ------------------------------------------------------------------------------------------------ server


def about(library):
    """What the library runs on."""
    if library == "torch":
        import torch

        return {"torch": f"{torch.backends.cpu.get_cpu_capability()}, MKL {torch.backends.mkl.is_available()}"}
    if library == "numpy":
        from threadpoolctl import threadpool_info

        pools = threadpool_info()
        return {"numpy": ", ".join(f"{p['internal_api']} {p['version']} {p.get('architecture', '')}" for p in pools)}
    return {}


def answer(library, request):
    kind = request.pop("kind")
    if kind == "about":
        return about(library)
    if kind == "row":
        return measure(library, **request)
    if kind == "products":
        return products(library, **request)
    clock, load = time.perf_counter(), foreign_seconds()
    result = JOBS[library](**request)
    after, seconds = foreign_seconds(), time.perf_counter() - clock
    return {**result, "foreign": 0.0 if load is None else max(0.0, after - load - 0.02) / seconds}


def main():
    library, threads = sys.argv[1], int(sys.argv[2])
    # What a library prints must not get between the answers.
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
        except Exception as error:  # a row that fails must not take the others with it
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()
