"""Compares the full-batch solvers with SciPy's, from the same starts: J within the same budget.

    python benches/peers/solvers.py [--seeds 20]

ReLU networks by L-BFGS within 200 evaluations of J and its gradient: 64-32-10 on the digits,
784-32-10 on 2,400 images of MNIST. Nonlinear conjugate gradients on 64-25-10 sigmoid, 50
iterations. Softmax cross-entropy, lambda = 1, starts of Glorot's uniform rule from seeds 0 to 19.
Targets: median of the ratios at most 1.05, worst at most 1.1. Writes `benches/SOLVERS.md`."""

import argparse
import csv
import gzip
import json
import os
import pathlib
import statistics
import subprocess

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402
import scipy  # noqa: E402
from scipy.optimize import minimize  # noqa: E402

from common import page  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FOLDER = ROOT / "target/solvers"
LAMBDA = 1.0
PROBLEMS = [
    dict(
        name="digits, ReLU, L-BFGS",
        data="digits",
        hidden=32,
        activation="relu",
        method="lbfgs",
        iterations=100000,
        evaluations=200,
    ),
    dict(
        name="mnist3k, ReLU, L-BFGS",
        data="mnist3k",
        hidden=32,
        activation="relu",
        method="lbfgs",
        iterations=100000,
        evaluations=200,
    ),
    dict(
        name="digits, sigmoid, CG",
        data="digits",
        hidden=25,
        activation="sigmoid",
        method="cg",
        iterations=50,
        evaluations=100000,
    ),
]
MEDIAN, WORST = 1.05, 1.1


def load(name):
    """Images in columns, scaled to [0, 1], and one-hot targets."""
    if name == "digits":
        with open(ROOT / "examples/data/digits.csv") as file:
            table = np.array([[float(v) for v in row] for row in list(csv.reader(file))[1:]])
        x, labels = table[:1347, :-1] / 16.0, table[:1347, -1].astype(int)
    else:
        data = np.frombuffer(gzip.open(ROOT / "benches/data/mnist3k.u8.gz").read(), np.uint8)
        x, labels = data[3000:].reshape(3000, 784)[:2400] / 255.0, data[:2400].astype(int)
    return x.T.copy(), np.eye(10)[:, labels]


def start(sizes, seed):
    """Glorot's uniform weights and zero biases, unrolled by columns."""
    rng = np.random.default_rng(seed)
    parts = []
    for fan_in, fan_out in zip(sizes, sizes[1:]):
        bound = np.sqrt(6.0 / (fan_in + fan_out))
        weights = rng.uniform(-bound, bound, (fan_out, fan_in))
        parts.append(np.hstack([np.zeros((fan_out, 1)), weights]).ravel(order="F"))
    return np.concatenate(parts)


def objective(theta, x, y, sizes, activation):
    """J and its gradient, by the formulas of the course."""
    n, h, k = sizes
    m = x.shape[1]
    t1 = theta[: h * (n + 1)].reshape((h, n + 1), order="F")
    t2 = theta[h * (n + 1) :].reshape((k, h + 1), order="F")
    z = t1[:, 1:] @ x + t1[:, :1]
    a = np.maximum(z, 0.0) if activation == "relu" else 1.0 / (1.0 + np.exp(-z))
    slope = (z > 0.0) * 1.0 if activation == "relu" else a * (1.0 - a)
    out = t2[:, 1:] @ a + t2[:, :1]
    out -= out.max(axis=0)
    log_sum = np.log(np.exp(out).sum(axis=0))
    cost = (log_sum - (out * y).sum(axis=0)).sum() / m
    cost += LAMBDA / (2 * m) * ((t1[:, 1:] ** 2).sum() + (t2[:, 1:] ** 2).sum())
    delta = np.exp(out - log_sum) - y
    back = (t2[:, 1:].T @ delta) * slope
    d1 = np.hstack([back.sum(axis=1, keepdims=True), back @ x.T + LAMBDA * t1[:, 1:]])
    d2 = np.hstack([delta.sum(axis=1, keepdims=True), delta @ a.T + LAMBDA * t2[:, 1:]])
    return cost, np.concatenate([d1.ravel(order="F"), d2.ravel(order="F")]) / m


def peer(problem, x, y, sizes, theta):
    """J at the last iterate within the budget."""
    best = []
    calls = [0]

    def counted(theta):
        calls[0] += 1
        return objective(theta, x, y, sizes, problem["activation"])

    def iterated(intermediate_result):
        if calls[0] <= problem["evaluations"]:
            best.append((float(intermediate_result.fun), calls[0]))

    method = {"lbfgs": "L-BFGS-B", "cg": "CG"}[problem["method"]]
    options = dict(maxiter=problem["iterations"], gtol=0.0)
    if method == "L-BFGS-B":
        options |= dict(maxfun=problem["evaluations"], ftol=0.0)
    minimize(counted, theta, jac=True, method=method, callback=iterated, options=options)
    return best[-1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    seeds = parser.parse_args().seeds
    scipys = {}
    for index, problem in enumerate(PROBLEMS):
        x, y = load(problem["data"])
        sizes = [x.shape[0], problem["hidden"], 10]
        folder = FOLDER / str(index)
        folder.mkdir(parents=True, exist_ok=True)
        kept = {
            key: problem[key]
            for key in ("name", "activation", "method", "iterations", "evaluations")
        }
        (folder / "problem.json").write_text(
            json.dumps(kept | dict(sizes=sizes, seeds=seeds, **{"lambda": LAMBDA}))
        )
        x.ravel(order="F").tofile(folder / "x.f64")
        y.ravel(order="F").tofile(folder / "y.f64")
        for seed in range(seeds):
            theta = start(sizes, seed)
            theta.tofile(folder / f"start-{seed}.f64")
            scipys[problem["name"], seed] = peer(problem, x, y, sizes, theta)
    command = ["cargo", "bench", "--bench", "solvers", "--", str(FOLDER)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    ours = {}
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            record = json.loads(line)
            ours[record["problem"], record["seed"]] = record["cost"], record["evaluations"]
    report(ours, scipys, seeds)


def report(ours, scipys, seeds):
    lines = [
        "# Full-batch solvers compared with SciPy's",
        "",
        f"J reached from the same {seeds} starts within the same budget, divided by SciPy "
        f"{scipy.__version__}'s (below 1 is better). `python benches/peers/solvers.py` writes "
        "this page and explains what it measures. Targets: median at most 1.05, worst at most 1.1.",
        "",
        "| problem | median | worst | best | our J, median | SciPy's | our evaluations, median | "
        "SciPy's |",
        "|---|---|---|---|---|---|---|---|",
    ]
    met = True
    for problem in PROBLEMS:
        keys = [(problem["name"], seed) for seed in range(seeds)]
        ratios = [ours[key][0] / scipys[key][0] for key in keys]
        median, worst = statistics.median(ratios), max(ratios)
        met &= median <= MEDIAN and worst <= WORST
        middle = [
            statistics.median(side[key][at] for key in keys)
            for at in (0, 1)
            for side in (ours, scipys)
        ]
        lines.append(
            f"| {problem['name']} | {median:.3f} | {worst:.3f} | {min(ratios):.3f} | "
            f"{middle[0]:.6f} | {middle[1]:.6f}"
            f" | {middle[2]:.0f} | {middle[3]:.0f} |"
        )
        print([round(ratio, 3) for ratio in ratios])
    lines += ["", "All targets are met." if met else "Not all targets are met."]
    (ROOT / "benches/SOLVERS.md").write_text(page(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
