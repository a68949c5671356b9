"""Runs `cargo bench --bench derivatives` and writes the section "All calls" of DERIVATIVES.md.

    python3 benches/calls.py [--min-time 0.5]

It needs no other library. The machine should be idle otherwise.
"""

import argparse
import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "benches/DERIVATIVES.md"
HEADING = "## All calls"
ROWS = ["ex4", "mnist-b64", "deep", "iris-b32"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--min-time", default="0.5")
    options = parser.parse_args()
    command = ["cargo", "bench", "--locked", "--bench", "derivatives", "--"]
    command += ["--rows", ",".join(ROWS), "--min-time", options.min_time]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    records = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    found = {}
    for record in records:
        place = record["row"], record["dtype"]
        found.setdefault(record["kind"], {})[place] = record["ratio"]
    columns = [(row, dtype) for row in ROWS for dtype in ["f32", "f64"]]
    lines = [
        HEADING,
        "",
        "Written by `python3 benches/calls.py`: the time of each call divided by that of J and ∇J,",
        "on one thread.",
        "`jvp_inputs` moves parameters and inputs, and `vjp` computes the product for θ. `–` marks",
        "results that are too large for memory or take too long.",
        "",
        "| call | " + " | ".join(f"{row} {dtype}" for row, dtype in columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    for kind, ratios in found.items():
        cells = [f"{ratios[c]:.2f}" if c in ratios else "–" for c in columns]
        lines.append(f"| `{kind}` | " + " | ".join(cells) + " |")
    page = PAGE.read_text().split(HEADING)[0].rstrip()
    PAGE.write_text(page + "\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
