"""Builds this crate's benches and the Rust peers."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from machine import HERE, ROOT
from report import OURS

# Name, crate, features.
RUST_PEERS = [
    ("burn", "burn", []),
    ("burn-v4", "burn", ["v4"]),
    ("candle", "candle", []),
    ("dfdx", "dfdx", []),
]


def log(*words):
    print(*words, file=sys.stderr, flush=True)


def cargo(*words, cwd=ROOT, target=None):
    env = dict(os.environ)
    if target:
        env["CARGO_TARGET_DIR"] = str(target)
    command = ["cargo", *words, "--message-format=json-render-diagnostics"]
    done = subprocess.run(command, cwd=cwd, env=env, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed in {cwd}")
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {m["target"]["name"]: Path(m["executable"]) for m in messages if m.get("executable")}


def build(peers, target):
    """Executables by name."""
    log("building this crate's benches")
    found = cargo("bench", "--bench", "rows", "--bench", "jobs", "--no-run")
    programs = {OURS: found["rows"], "jobs": found["jobs"]}
    wanted = [peer for peer in RUST_PEERS if peer[0] in peers] + [("gemm-rates", "gemm", [])]
    folder = target / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    for name, crate, features in wanted:
        log("building", name)
        extra = ["--features", ",".join(features)] if features else []
        # A folder for each set of features, so that the next run finds both built.
        place = target / "-".join(["with", *features]) if features else target
        (program,) = cargo(
            "build", "--release", "--locked", *extra, cwd=HERE / "rust" / crate, target=place
        ).values()
        programs[name] = folder / name
        shutil.copy2(program, programs[name])
    return programs


def sizes(target):
    """Bytes of a program that trains XOR."""
    crate = HERE / "rust/xor-size"
    found = {}
    for name, extra in [
        ("default features", []),
        ("no default features", ["--no-default-features"]),
    ]:
        log("building xor-size with", name)
        (program,) = cargo("build", "--release", *extra, cwd=crate, target=target / "size").values()
        found[name] = program.stat().st_size
    return found
