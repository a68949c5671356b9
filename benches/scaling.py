#!/usr/bin/env python3
"""Measures training on one and two ranks, fits a model of the time of a step, and prints the tables
of SCALING.md and of docs/scaling.md.

    cargo build --release -p backprop-mpi --example scaling
    python3 benches/scaling.py
    python3 benches/scaling.py model 30e-12 7e-9 2e-6 10e9

Every rank has one thread. The rounds alternate between the numbers of ranks, and medians are
printed. The third command prints the speed-ups that the model predicts for c, s₀, the latency and
the bandwidth.
"""

import json
import os
import statistics
import subprocess
import sys

PROGRAM = "target/release/examples/scaling"
ROUNDS = 5
# Name, sizes, examples of a batch, batches of an epoch, and epochs.
ROWS = [
    ("ex4, all 5000", "400-25-10", 5000, 1, 600),
    ("ex4, batches of 4096", "400-25-10", 4096, 4, 150),
    ("784-128-64-10, batches of 4096", "784-128-64-10", 4096, 4, 20),
    ("784-512-512-10, batches of 4096", "784-512-512-10", 4096, 4, 8),
]


def run(ranks, *options):
    command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", str(ranks), PROGRAM]
    environment = dict(os.environ, RAYON_NUM_THREADS="1")
    done = subprocess.run(
        [*command, *options], env=environment, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def median(records, key):
    return statistics.median(record[key] for record in records)


def measure():
    rows = []
    for name, sizes, batch, batches, epochs in ROWS:
        records = {1: [], 2: []}
        options = ["--sizes", sizes, "--batch", str(batch), "--batches", str(batches)]
        options += ["--epochs", str(epochs)]
        for _ in range(ROUNDS):
            for ranks in (1, 2):
                records[ranks].append(run(ranks, *options))
        alone, both = records[1], records[2]
        one, two = median(alone, "step_ms"), median(both, "step_ms")
        rows.append(
            {
                "name": name,
                "parameters": alone[0]["parameters"],
                "batch": batch,
                "one": one,
                "two": two,
                "speedup": one / two,
                "messages": median(both, "messages_ms") / two,
                "sent": both[0]["sent_bytes"],
            }
        )
        print(rows[-1], file=sys.stderr)
    return rows


def messages():
    """Returns the time of the messages of a step in ms, by the number of parameters."""
    times = {}
    for sizes in ("2-2-2", "400-25-10", "784-128-64-10", "784-512-512-10", "2048-1024-1024-10"):
        records = [run(2, "--sizes", sizes, "--messages", "only") for _ in range(ROUNDS)]
        times[records[0]["parameters"]] = median(records, "messages_ms")
    return times


def step(parameters, examples, ranks, compute, serial, latency, bandwidth):
    """Returns the time of a step in seconds, by the model of docs/scaling.md."""
    if parameters > 1 << 18:
        parts = examples // 512 & ~1
    else:
        parts = -(-examples // 320)
        parts += parts % 2
    share = -(-parts // ranks) / parts
    sent = 2 * 4 * parameters * (ranks - 1) / ranks
    return (
        compute * parameters * examples * share
        + serial * parameters
        + 3 * (ranks - 1) * latency
        + sent / bandwidth
    )


def model(*constants):
    ranks = (2, 4, 8, 16, 64, 256, 1024)
    print("| m | P | 1 rank, ms |", " | ".join(map(str, ranks)), "|")
    print("|---" * (3 + len(ranks)) + "|")
    for examples in (4096, 65536):
        for parameters in (10**4, 10**5, 10**6, 10**7, 10**8):
            one = step(parameters, examples, 1, *constants)
            gains = (one / step(parameters, examples, n, *constants) for n in ranks)
            cells = " | ".join(f"{gain:.1f}" for gain in gains)
            print(f"| {examples} | {parameters:.0e} | {1e3 * one:.1f} | {cells} |")


def main():
    if sys.argv[1:2] == ["model"]:
        return model(*map(float, sys.argv[2:]))
    rows = measure()
    print("| network | P | one rank, ms | two ranks, ms | speed-up | messages | sent per step |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['name']} | {row['parameters']:,} | {row['one']:.3f} | {row['two']:.3f} "
            f"| {row['speedup']:.2f} | {100 * row['messages']:.1f} % "
            f"| {row['sent'] / 1e3:.0f} kB |"
        )
    times = messages()
    print("\n| P | messages of a step, 2 ranks, ms |\n|---|---|")
    for parameters, time in sorted(times.items()):
        print(f"| {parameters:,} | {time:.4f} |")
    smallest, largest = min(times), max(times)
    latency = times[smallest] / 3
    # Each rank sends P/2 scalars of four bytes, twice.
    sent = 4 * (largest - smallest)
    bandwidth = sent / (1e-3 * (times[largest] - times[smallest]))
    print(f"\nlatency of a call {1e3 * latency:.2f} us, bandwidth {bandwidth / 1e9:.2f} GB/s")
    for row in rows:
        # One rank takes C + S, and two take C/2 + S + M, where M has the wait for the other rank.
        one, two = row["one"], row["two"] * (1 - row["messages"])
        serial = 2 * two - one
        compute = (one - serial) / (row["parameters"] * row["batch"])
        print(
            f"{row['name']}: c = {1e9 * compute:.1f} ps for each example and parameter, "
            f"s = {1e6 * serial / row['parameters']:.1f} ns for each parameter"
        )


if __name__ == "__main__":
    main()
