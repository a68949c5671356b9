"""Measures this crate and its peers in one run, and writes `benches/RESULTS.md` and
`benches/results.json`.

    python benches/peers/run.py

Everything is built first. In each round, all implementations measure every row in sequence. The
order rotates from round to round, so a slow phase of the machine affects all equally. Each
figure is the median over the rounds of the medians. Rounds in which other processes used more
than 0.06 of a processor count only if there are no others. With one thread, every process is
pinned to the first processor."""

import argparse
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from common import DTYPES, FOREIGN, Row
from jobs import JOBS
from peers import STEPS
from report import OURS, report

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Name, crate, features.
RUST_PEERS = [
    ("burn", "burn", []),
    ("burn-v4", "burn", ["v4"]),
    ("candle", "candle", []),
    ("dfdx", "dfdx", []),
]
PYTHON_PEERS = list(STEPS)
PEERS = PYTHON_PEERS + [name for name, _, _ in RUST_PEERS]


def log(*words):
    print(*words, file=sys.stderr, flush=True)


# ------------------------------------------------------------------------------------------------
# processes


def environment(threads):
    env = dict(os.environ)
    # Settings of the system that slow down a current OpenBLAS.
    for name in ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"]:
        env.pop(name, None)
    for name in ["OMP", "MKL", "OPENBLAS", "RAYON", "MATMUL"]:
        env[f"{name}_NUM_THREADS"] = str(threads)
    env.update(
        NPROC=str(threads), JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="3"
    )
    if threads == 1:
        env["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return env


def pin(threads):
    """Return the function that pins a child process."""
    if threads == 1 and hasattr(os, "sched_setaffinity"):
        first = min(os.sched_getaffinity(0))
        return lambda: os.sched_setaffinity(0, {first})
    return None


def records(command, threads):
    """Read the JSON lines that a program prints, or one error."""
    done = subprocess.run(
        [str(word) for word in command],
        env=environment(threads),
        preexec_fn=pin(threads),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        return [{"error": (done.stderr.strip().splitlines() or ["?"])[-1]}]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


class Server:
    """The process of a Python library with a number of threads, kept alive over all rounds."""

    def __init__(self, library, threads):
        self.process = subprocess.Popen(
            [sys.executable, HERE / "peers.py", library, str(threads)],
            env=environment(threads),
            preexec_fn=pin(threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, **request):
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        return json.loads(line) if line else {"error": "the process has ended"}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# ------------------------------------------------------------------------------------------------
# building


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


# ------------------------------------------------------------------------------------------------
# measuring


class Run:
    def __init__(self, options, programs, rows):
        self.options, self.programs, self.rows = options, programs, rows
        self.servers = {}
        self.raw = []

    def server(self, library, threads):
        if (library, threads) not in self.servers:
            self.servers[library, threads] = Server(library, threads)
        return self.servers[library, threads]

    def common(self):
        return {"min_time": self.options.min_time, "tries": self.options.tries}

    def program(self, name, threads, dtype, *extra):
        o = self.options
        command = [
            self.programs[name],
            "--threads",
            threads,
            "--dtypes",
            dtype,
            "--min-time",
            o.min_time,
            "--tries",
            o.tries,
        ]
        return records([*command, *extra], threads)

    def keep(self, **record):
        self.raw.append(record)
        if record.get("foreign", 0) > FOREIGN:
            log(
                f"  ! {record['impl']} {record.get('row') or record.get('job')}: load of others "
                f"{record['foreign']:.2f}"
            )

    def row(self, name, row, dtype, threads, round):
        if name in PYTHON_PEERS:
            found = self.server(name, threads).ask(
                kind="row", spec=row.spec, dtype=dtype, **self.common()
            )
        else:
            found = (
                self.program(name, threads, dtype, "--rows", row.spec) or [{"error": "no record"}]
            )[0]
        self.keep(
            **{
                **found,
                "impl": name,
                "row": row.name,
                "dtype": dtype,
                "threads": threads,
                "round": round,
            }
        )

    def products(self, dtype, threads, round):
        for library in [peer for peer in ["numpy", "torch"] if peer in self.options.peers]:
            found = self.server(library, threads).ask(kind="products", dtype=dtype, **self.common())
            for record in found if isinstance(found, list) else [{**found, "row": "sq"}]:
                self.keep(
                    **{
                        **record,
                        "impl": library,
                        "dtype": dtype,
                        "threads": threads,
                        "round": round,
                    }
                )
        for record in self.program("gemm-rates", threads, dtype):
            self.keep(
                **{
                    "impl": "gemm-rates",
                    "row": "sq",
                    **record,
                    "dtype": dtype,
                    "threads": threads,
                    "round": round,
                }
            )

    def jobs(self, dtype, threads, round):
        for job in ["digits", "images"]:
            for name in [OURS, *(peer for peer in self.options.peers if peer in JOBS)]:
                if name == OURS:
                    command = [
                        self.programs["jobs"],
                        "--jobs",
                        job,
                        "--threads",
                        threads,
                        "--dtypes",
                        dtype,
                    ]
                    found = records(command, threads)[0]
                else:
                    found = self.server(name, threads).ask(kind="job", job=job, dtype=dtype)
                self.keep(
                    **{
                        **found,
                        "impl": name,
                        "job": job,
                        "dtype": dtype,
                        "threads": threads,
                        "round": round,
                    }
                )

    def everything(self, save):
        """Run all rounds. Call `save` after each, so that an interruption loses little."""
        names = [OURS, *self.options.peers]
        for round in range(self.options.rounds):
            for threads in self.options.threads:
                for dtype in self.options.dtypes:
                    log(
                        f"round {round + 1} of {self.options.rounds}, {dtype}, {threads} threads, "
                        f"{datetime.datetime.now():%H:%M:%S}"
                    )
                    self.products(dtype, threads, round)
                    for row in self.rows:
                        first = round % len(names)
                        for name in names[first:] + names[:first]:
                            self.row(name, row, dtype, threads, round)
                    if self.options.jobs:
                        self.jobs(dtype, threads, round)
            save()
        abouts = {}
        for (library, _), server in self.servers.items():
            abouts.update(server.ask(kind="about"))
        for server in self.servers.values():
            server.close()
        return abouts


# The size that grows, and its rows.
GROWTH = {
    "examples m": [
        (m, f"m{m}:784-128-64-10:relu:softmax:{m}:train") for m in [64, 128, 256, 512, 1024, 2048]
    ],
    "width w": [
        (w, f"w{w}:{w}-{w}-{w}-{w}:tanh:half_mse:256:train") for w in [64, 128, 256, 512, 1024]
    ],
    "depth d": [(d, f"d{d}:{'64-' * d}64:tanh:half_mse:256:train") for d in [2, 4, 8, 16, 32, 64]],
}


def growth(run):
    """Our time as a size grows: every measurement of some rounds."""
    for round in range(min(3, run.options.rounds)):
        for threads in run.options.threads:
            for dtype in run.options.dtypes:
                for what, cases in GROWTH.items():
                    log("growth with", what, dtype, threads)
                    specs = ",".join(spec for _, spec in cases)
                    for (size, spec), record in zip(
                        cases, run.program(OURS, threads, dtype, "--rows", specs)
                    ):
                        yield {
                            "row": spec.split(":")[0],
                            **record,
                            "impl": OURS,
                            "dtype": dtype,
                            "threads": threads,
                            "round": round,
                            "what": what,
                            "size": size,
                            "spec": spec,
                        }


# ------------------------------------------------------------------------------------------------
# the machine


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


def versions(peers):
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
    used = {crate for name, crate, _ in RUST_PEERS if name in peers}
    wanted = [(crate, names) for crate, names in crates.items() if crate in used]
    wanted.append(("gemm", ["faer", "gemm", "matrixmultiply", "nano-gemm"]))
    for crate, names in wanted:
        lock = tomllib.loads((HERE / "rust" / crate / "Cargo.lock").read_text())
        found.update({p["name"]: p["version"] for p in lock["package"] if p["name"] in names})
    return found


# ------------------------------------------------------------------------------------------------
# main


def arguments():
    listed = lambda kind, known=None: (
        lambda text: [check(kind(part), known) for part in text.split(",")]
    )

    def check(value, known):
        if known and value not in known:
            raise argparse.ArgumentTypeError(f"{value!r} is not in {', '.join(map(str, known))}")
        return value

    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument(
        "--min-time", type=float, default=0.2, help="seconds that a measurement is sampled for"
    )
    p.add_argument(
        "--tries", type=int, default=6, help="how often a disturbed measurement is repeated"
    )
    p.add_argument("--rows", help="names, separated by commas (all)")
    p.add_argument(
        "--extra",
        action="append",
        default=[],
        metavar="name:sizes:activation:cost:batch:train|forward",
        help="a further row",
    )
    p.add_argument("--threads", type=listed(int), default=[1, 2])
    p.add_argument("--dtypes", type=listed(str, DTYPES), default=list(DTYPES))
    p.add_argument("--peers", type=listed(str, PEERS), default=PEERS)
    p.add_argument(
        "--scaling",
        action="store_true",
        help="growth with examples, width and depth, and the size of a program",
    )
    p.add_argument("--jobs", action="store_true", help="also complete training runs")
    p.add_argument(
        "--target-dir", type=Path, default=HERE / "target", help="where the Rust peers are built"
    )
    p.add_argument(
        "--output",
        type=Path,
        default=ROOT / "benches",
        help="folder of RESULTS.md and results.json",
    )
    p.add_argument(
        "--report", action="store_true", help="only rewrite RESULTS.md from results.json"
    )
    return p.parse_args()


def main():
    options = arguments()
    json_file, markdown_file = options.output / "results.json", options.output / "RESULTS.md"
    if options.report:
        results = json.loads(json_file.read_text())
    else:
        target = options.target_dir.resolve()
        options.output.mkdir(parents=True, exist_ok=True)
        programs = build(options.peers, target)
        wanted = ["--rows", ",".join(([options.rows] if options.rows else []) + options.extra)]
        command = [programs[OURS], "--list"]
        lists = (
            [command + wanted]
            if options.rows
            else [command] + ([command + wanted] if options.extra else [])
        )
        specs = []
        for words in lists:
            done = subprocess.run(words, capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stderr)
            specs += done.stdout.split()
        results = {
            "date": f"{datetime.datetime.now():%Y-%m-%d %H:%M}",
            "commit": output("git", "rev-parse", "HEAD")
            + ("-dirty" if output("git", "status", "--porcelain", "-uno") else ""),
            "options": {k: v for k, v in vars(options).items() if not isinstance(v, Path)},
            "machine": machine(),
            "versions": versions(options.peers),
            "rows": specs,
        }
        run = Run(options, programs, [Row(spec) for spec in specs])
        results |= {"abouts": {}, "raw": run.raw}
        save = lambda: json_file.write_text(json.dumps(results))
        results["abouts"] = run.everything(save)
        save()
        if options.scaling:
            results["growth"] = list(growth(run))
            results["sizes"] = sizes(target)
        save()
    text, met, all_targets, wrong = report(results)
    markdown_file.write_text(text)
    log(f"{met} of {all_targets} targets are met; {markdown_file}")
    if wrong:
        sys.exit("implementations disagree:\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
