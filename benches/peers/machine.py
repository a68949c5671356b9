"""The machine and the versions of a run."""

import os
import platform
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def read(path):
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout.strip()
    except OSError:
        return ""


def machine():
    lines = [
        line.split(":", 1)
        for line in read("/proc/cpuinfo").split("\n\n")[0].splitlines()
        if ":" in line
    ]
    cpu = {key.strip(): value.strip() for key, value in lines}
    caches = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        caches.append(
            f"L{read(index / 'level')} {read(index / 'type').lower()} {read(index / 'size')}"
        )
    names = ["avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl"]
    return {
        "cpu": cpu.get("model name", platform.processor() or platform.machine()),
        "family, model, stepping": ", ".join(
            cpu.get(key, "?") for key in ["cpu family", "model", "stepping"]
        ),
        "instructions": " ".join(name for name in names if name in cpu.get("flags", "").split()),
        "processors": os.cpu_count(),
        "caches": ", ".join(caches),
        "system": platform.platform(),
    }


def versions(crates_of_peers):
    """`crates_of_peers` are the names in `rust/`."""
    found = {
        "python": platform.python_version(),
        "rustc": output("rustc", "--version").removeprefix("rustc "),
    }
    for package in ["numpy", "scikit-learn", "scipy", "torch", "jax", "jaxlib"]:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            pass
    crates = {"burn": ["burn"], "candle": ["candle-core"], "dfdx": ["dfdx"]}
    wanted = [(crate, names) for crate, names in crates.items() if crate in crates_of_peers]
    wanted.append(("gemm", ["faer", "gemm", "matrixmultiply", "nano-gemm"]))
    for crate, names in wanted:
        lock = tomllib.loads((HERE / "rust" / crate / "Cargo.lock").read_text())
        found.update({p["name"]: p["version"] for p in lock["package"] if p["name"] in names})
    return found
