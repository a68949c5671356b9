#!/usr/bin/env python3
"""Measures training on one and two ranks, fits a model of the time of a step, and prints the tables
of SCALING.md and of docs/scaling.md.

    cargo build --release -p backprop-mpi --example scaling
    python3 benches/scaling.py

Every rank has one thread. The rounds alternate between the numbers of ranks, and medians are
printed. The model has no free parameter for two ranks: compute and the serial part come from one
rank, latency and bandwidth from messages alone.
"""

import json
import os
import statistics
import subprocess
import sys

PROGRAM = "target/release/examples/scaling"
ROUNDS = 5
# Name, sizes, and the number of batches of an epoch.
ROWS = [
    ("ex4", "400-25-10", 16),
    ("mnist", "784-128-64-10", 8),
    ("784-512-512-10", "784-512-512-10", 4),
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
    for name, sizes, batches in ROWS:
        records = {1: [], 2: []}
        epochs = "40" if name == "ex4" else "8"
        for _ in range(ROUNDS):
            for ranks in (1, 2):
                options = ["--sizes", sizes, "--batches", str(batches), "--epochs", epochs]
                records[ranks].append(run(ranks, *options))
        alone, both = records[1], records[2]
        one, two = median(alone, "step_ms"), median(both, "step_ms")
        rows.append(
            {
                "name": name,
                "parameters": alone[0]["parameters"],
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


def main():
    rows = measure()
    print("| network | P | one rank, ms | two ranks, ms | speed-up | messages | sent a step |")
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
    # Each rank sends P/2 and receives P/2 scalars of four bytes, twice.
    sent = 4 * (largest - smallest)
    bandwidth = sent / (1e-3 * (times[largest] - times[smallest]))
    print(f"\nlatency of a call {1e3 * latency:.1f} us, bandwidth {bandwidth / 1e9:.2f} GB/s")


if __name__ == "__main__":
    main()
