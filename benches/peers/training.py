"""Trains the digits with scikit-learn's MLPClassifier and with the trainer of this crate, with the
same settings, on one thread.

    python benches/peers/training.py [--seeds 10]

64-32-10, pixels / 16, alpha = lambda = 0.001; L-BFGS 200 iterations (tol 1e-9), SGD (Nesterov 0.9,
learning rate 0.1, batch 32, 100 epochs) and Adam (learning rate 0.01, batch 32, 100 epochs),
logistic and ReLU. Writes `benches/TRAINING.md`."""

import argparse
import csv
import json
import os
import pathlib
import statistics
import subprocess
import time
import warnings

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402
import sklearn  # noqa: E402
from sklearn.neural_network import MLPClassifier  # noqa: E402

from common import page  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TRAINING = 1347
SETTINGS = {
    "lbfgs": dict(solver="lbfgs", max_iter=200, tol=1e-9, max_fun=10**6),
    "sgd": dict(
        solver="sgd",
        momentum=0.9,
        nesterovs_momentum=True,
        learning_rate_init=0.1,
        batch_size=32,
        max_iter=100,
        tol=0.0,
        n_iter_no_change=10**6,
    ),
    "adam": dict(
        solver="adam",
        learning_rate_init=0.01,
        batch_size=32,
        max_iter=100,
        tol=0.0,
        n_iter_no_change=10**6,
    ),
}
FASTER = {"lbfgs": 2.0, "sgd": 5.0, "adam": 5.0}


def digits():
    with open(ROOT / "examples/data/digits.csv") as file:
        rows = [[float(value) for value in row] for row in list(csv.reader(file))[1:]]
    table = np.array(rows)
    return table[:, :-1] / 16.0, table[:, -1].astype(int)


def peer(seeds):
    x, y = digits()
    for method, settings in SETTINGS.items():
        for activation in ("logistic", "relu"):
            for seed in range(seeds):
                model = MLPClassifier(
                    (32,), activation=activation, alpha=0.001, random_state=seed, **settings
                )
                began = time.perf_counter()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    model.fit(x[:TRAINING], y[:TRAINING])
                seconds = time.perf_counter() - began
                accuracy = float((model.predict(x[TRAINING:]) == y[TRAINING:]).mean())
                yield dict(
                    method=method,
                    activation=activation,
                    seed=seed,
                    accuracy=accuracy,
                    seconds=seconds,
                )


def ours(seeds):
    command = ["cargo", "bench", "--bench", "training", "--", str(seeds)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    tables = {"ours": ours(seeds), "scikit-learn": list(peer(seeds))}
    lines = [
        "# Digits: this crate's trainer compared with scikit-learn's",
        "",
        f"Written by `python benches/peers/training.py --seeds {seeds}` with scikit-learn "
        f"{sklearn.__version__}, NumPy {np.__version__}, one thread, `f64`, "
        f"{seeds} seeds, in one run. Accuracy on the 450 test images (mean ± standard deviation), "
        "median seconds of a training run.",
        "",
        "| method | activation | ours | scikit-learn | difference (≥ −0.004) | ours, s | "
        "scikit-learn, s | times faster |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for method in SETTINGS:
        for activation in ("logistic", "relu"):
            cells = {}
            for name, records in tables.items():
                chosen = [
                    r for r in records if (r["method"], r["activation"]) == (method, activation)
                ]
                accuracies = [r["accuracy"] for r in chosen]
                cells[name] = (
                    statistics.mean(accuracies),
                    statistics.pstdev(accuracies),
                    statistics.median(r["seconds"] for r in chosen),
                )
            (a, sa, ta), (b, sb, tb) = cells["ours"], cells["scikit-learn"]
            lines.append(
                f"| {method} | {activation} | {a:.4f} ± {sa:.4f} | {b:.4f} ± {sb:.4f} | "
                f"{a - b:+.4f} | {ta:.3f} | {tb:.3f} "
                f"| {tb / ta:.1f} (≥ {FASTER[method]:.0f}) |"
            )
    text = page(lines) + "\n"
    (ROOT / "benches/TRAINING.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
