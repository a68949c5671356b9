"""Measures this crate and its peers side by side, and writes `benches/RESULTS.md` and `benches/results.json`.

    python benches/peers/run.py

Everything is built first. Then in each round every row is measured by all implementations one after the other, in an order that
turns from round to round, so that a machine that slows down or a neighbour that wakes up meets them alike. A figure is the
median over the rounds of the medians; rounds in which other processes took more than 0.06 of a processor count only if there is no
other. With one thread every process is bound to the first processor.
"""

import argparse
import datetime
import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from peers import FOREIGN, JOBS, STEPS, Row

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OURS = "backprop"
# Name, crate, features.
RUST_PEERS = [("burn", "burn", []), ("burn-v4", "burn", ["v4"]), ("candle", "candle", []), ("dfdx", "dfdx", [])]
PYTHON_PEERS = list(STEPS)
PEERS = PYTHON_PEERS + [name for name, _, _ in RUST_PEERS]
DTYPES = ["f32", "f64"]

# What is aimed at: the best peer's time over ours, in f32 and in f64.
RATIOS = {
    "xor": (10, 10), "iris-b1": (10, 10), "iris-b32": (6, 5), "ex4": (1.8, 1.8), "mnist-b1": (3, 3),
    "mnist-b64": (1.25, 1.2), "mnist-b1024": (1.1, 1.1), "wide-b256": (1.1, 1.04), "wide-b2048": (1.1, 1.04),
    "deep": (1.8, 1.55), "ex4-fwd-b1": (3, 3), "mnist-fwd-b1": (1.3, 1.3), "mnist-fwd-b1024": (1.04, 1.0),
    "simple": (2, 1.35),
}
# Our time over the bound, with one thread.
BOUNDS = {
    "ex4": 1.25, "mnist-b64": 1.2, "mnist-b1024": 1.12, "wide-b256": 1.1, "wide-b2048": 1.1, "deep": 1.4,
    "mnist-fwd-b1024": 1.05, "simple": 2.2,
}
# Our time with one thread over that with two.
SPEEDUP = 1.8
SPEEDUP_ROWS = ["ex4", "mnist-b1024", "wide-b256", "wide-b2048"]
SLACK = 1.03
NOISE = 1.05
# How far the costs of two implementations may differ, of their size.
AGREEMENT = {"f32": 2e-4, "f64": 1e-9}


def ratio_target(row, dtype, threads):
    if row.startswith("wide") and dtype == "f64" and threads == 2:
        return 1.0
    return RATIOS.get(row, (1.0, 1.0))[DTYPES.index(dtype)]


def log(*words):
    print(*words, file=sys.stderr, flush=True)


# ------------------------------------------------------------------------------------------------ processes


def environment(threads):
    env = dict(os.environ)
    # Settings of a machine's administrator that make a current OpenBLAS slow.
    for name in ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"]:
        env.pop(name, None)
    for name in ["OMP", "MKL", "OPENBLAS", "RAYON", "MATMUL"]:
        env[f"{name}_NUM_THREADS"] = str(threads)
    env.update(NPROC=str(threads), JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="3")
    if threads == 1:
        env["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return env


def pin(threads):
    """What a child process does first."""
    if threads == 1 and hasattr(os, "sched_setaffinity"):
        first = min(os.sched_getaffinity(0))
        return lambda: os.sched_setaffinity(0, {first})
    return None


def records(command, threads):
    """The JSON lines that a program prints, or one error."""
    done = subprocess.run(
        [str(word) for word in command], env=environment(threads), preexec_fn=pin(threads), capture_output=True, text=True
    )
    if done.returncode:
        return [{"error": (done.stderr.strip().splitlines() or ["?"])[-1]}]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


class Server:
    """A Python library with a number of threads, kept alive over all rounds."""

    def __init__(self, library, threads):
        self.process = subprocess.Popen(
            [sys.executable, HERE / "peers.py", library, str(threads)], env=environment(threads), preexec_fn=pin(threads),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
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


# ------------------------------------------------------------------------------------------------ building


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
        (program,) = cargo("build", "--release", "--locked", *extra, cwd=HERE / "rust" / crate, target=place).values()
        programs[name] = folder / name
        shutil.copy2(program, programs[name])
    return programs


def sizes(target):
    """Bytes of a program that trains XOR."""
    crate = HERE / "rust/xor-size"
    found = {}
    for name, extra in [("default features", []), ("no default features", ["--no-default-features"])]:
        log("building xor-size with", name)
        (program,) = cargo("build", "--release", *extra, cwd=crate, target=target / "size").values()
        found[name] = program.stat().st_size
    return found


# ------------------------------------------------------------------------------------------------ measuring


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
        command = [self.programs[name], "--threads", threads, "--dtypes", dtype, "--min-time", o.min_time, "--tries", o.tries]
        return records([*command, *extra], threads)

    def keep(self, **record):
        self.raw.append(record)
        if record.get("foreign", 0) > FOREIGN:
            log(f"  ! {record['impl']} {record.get('row') or record.get('job')}: foreign load {record['foreign']:.2f}")

    def row(self, name, row, dtype, threads, round):
        if name in PYTHON_PEERS:
            found = self.server(name, threads).ask(kind="row", spec=row.spec, dtype=dtype, **self.common())
        else:
            found = (self.program(name, threads, dtype, "--rows", row.spec) or [{"error": "no record"}])[0]
        self.keep(**{**found, "impl": name, "row": row.name, "dtype": dtype, "threads": threads, "round": round})

    def products(self, dtype, threads, round):
        for library in [peer for peer in ["numpy", "torch"] if peer in self.options.peers]:
            found = self.server(library, threads).ask(kind="products", dtype=dtype, **self.common())
            for record in found if isinstance(found, list) else [{**found, "row": "sq"}]:
                self.keep(**{**record, "impl": library, "dtype": dtype, "threads": threads, "round": round})
        for record in self.program("gemm-rates", threads, dtype):
            self.keep(**{"impl": "gemm-rates", "row": "sq", **record, "dtype": dtype, "threads": threads, "round": round})

    def jobs(self, dtype, threads, round):
        for job in ["digits", "images"]:
            for name in [OURS, *(peer for peer in self.options.peers if peer in JOBS)]:
                if name == OURS:
                    command = [self.programs["jobs"], "--jobs", job, "--threads", threads, "--dtypes", dtype]
                    found = records(command, threads)[0]
                else:
                    found = self.server(name, threads).ask(kind="job", job=job, dtype=dtype)
                self.keep(**{**found, "impl": name, "job": job, "dtype": dtype, "threads": threads, "round": round})

    def everything(self, save):
        """All rounds; `save` is called after each, so that little is lost if the next is interrupted."""
        names = [OURS, *self.options.peers]
        for round in range(self.options.rounds):
            for threads in self.options.threads:
                for dtype in self.options.dtypes:
                    log(f"round {round + 1} of {self.options.rounds}, {dtype}, {threads} threads, {datetime.datetime.now():%H:%M:%S}")
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


# What grows, and the rows of it.
GROWTH = {
    "examples m": [(m, f"m{m}:784-128-64-10:relu:softmax:{m}:train") for m in [64, 128, 256, 512, 1024, 2048]],
    "width w": [(w, f"w{w}:{w}-{w}-{w}-{w}:tanh:half_mse:256:train") for w in [64, 128, 256, 512, 1024]],
    "depth d": [(d, f"d{d}:{'64-' * d}64:tanh:half_mse:256:train") for d in [2, 4, 8, 16, 32, 64]],
}


def growth(run):
    """Fitted exponents of time and of the products' FLOPs, with the points."""
    found = []
    for what, cases in GROWTH.items():
        for threads in run.options.threads:
            for dtype in run.options.dtypes:
                log("growth with", what, dtype, threads)
                specs = ",".join(spec for _, spec in cases)
                # Rounds apart, as above.
                rounds = [run.program(OURS, threads, dtype, "--rows", specs) for _ in range(min(3, run.options.rounds))]
                times = [statistics.median(r[i]["median_us"] for r in rounds) for i in range(len(cases))]
                flops = [Row(spec).flops() for _, spec in cases]
                sizes = [size for size, _ in cases]
                found.append({
                    "what": what, "dtype": dtype, "threads": threads, "points": list(zip(sizes, times)),
                    "exponent": slope(sizes, times), "flops_exponent": slope(sizes, flops),
                })
    return found


def slope(x, y):
    """Of the least-squares line through the logarithms."""
    return statistics.linear_regression([math.log(v) for v in x], [math.log(v) for v in y]).slope


# ------------------------------------------------------------------------------------------------ the machine


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
    lines = [line.split(":", 1) for line in read("/proc/cpuinfo").split("\n\n")[0].splitlines() if ":" in line]
    cpu = {key.strip(): value.strip() for key, value in lines}
    caches = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        caches.append(f"L{read(index / 'level')} {read(index / 'type').lower()} {read(index / 'size')}")
    names = ["avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl"]
    return {
        "cpu": cpu.get("model name", platform.processor() or platform.machine()),
        "family, model, stepping": ", ".join(cpu.get(key, "?") for key in ["cpu family", "model", "stepping"]),
        "instructions": " ".join(name for name in names if name in cpu.get("flags", "").split()),
        "processors": os.cpu_count(),
        "caches": ", ".join(caches),
        "system": platform.platform(),
    }


def versions(peers):
    found = {"python": platform.python_version(), "rustc": output("rustc", "--version").removeprefix("rustc ")}
    for package in ["numpy", "scikit-learn", "scipy", "torch", "jax", "jaxlib"]:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            pass
    crates = {"burn": ["burn"], "candle": ["candle-core"], "dfdx": ["dfdx"]}
    wanted = [(crate, names) for crate, names in crates.items() if crate in peers]
    wanted.append(("gemm", ["faer", "gemm", "matrixmultiply", "nano-gemm"]))
    for crate, names in wanted:
        lock = tomllib.loads((HERE / "rust" / crate / "Cargo.lock").read_text())
        found.update({p["name"]: p["version"] for p in lock["package"] if p["name"] in names})
    return found


# ------------------------------------------------------------------------------------------------ the report


def summary(raw):
    """By (impl, dtype, threads, row): the median over the clean rounds, the least, and whether there were clean ones."""
    groups = {}
    for record in raw:
        if "median_us" in record:
            groups.setdefault((record["impl"], record["dtype"], record["threads"], record["row"]), []).append(record)
    found = {}
    for key, group in groups.items():
        clean = [record for record in group if record["foreign"] <= FOREIGN]
        used = clean or group
        found[key] = {
            "median_us": statistics.median(r["median_us"] for r in used), "min_us": min(r["min_us"] for r in used),
            "rounds": len(used), "disturbed": not clean,
        }
    return found


def disagreements(raw):
    """Costs, or Σ a²/m of inferences, against the median of all implementations: how many were compared, and which differ."""
    groups = {}
    for record in raw:
        value = record.get("loss", record.get("norm"))
        if value is not None:
            groups.setdefault((record["row"], record["dtype"]), []).append((record["impl"], value))
    wrong = []
    for (row, dtype), values in groups.items():
        # The more exact type is the reference for both.
        reference = statistics.median(value for _, value in groups.get((row, "f64"), values))
        for name, value in values:
            if not abs(value - reference) <= AGREEMENT[dtype] * max(1.0, abs(reference)):
                wrong.append(f"{name} {row} {dtype}: {value} against {reference}")
    return sum(map(len, groups.values())), sorted(set(wrong))


def number(x):
    """Three digits."""
    if x is None:
        return "–"
    return f"{x:.0f}" if x >= 100 else f"{x:.3g}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows] + [""]


def verdict(ok):
    return "ok" if ok else "**miss**"


def report(results):
    """The Markdown of a results file, and how many targets were met and missed."""
    raw, options = results["raw"], results["options"]
    found = summary([r for r in raw if "row" in r])
    rows = [Row(spec) for spec in results["rows"]]
    verdicts = []

    def judge(ok):
        verdicts.append(ok)
        return verdict(ok)

    def time_of(*key):
        return found[key]["median_us"] if key in found else None

    products = {key: value for key, value in found.items() if key[3].startswith("sq")}
    best_rate = {}
    for (name, dtype, threads, size), value in products.items():
        rate = 2e-3 * int(size[2:]) ** 3 / value["median_us"]
        best_rate[dtype, threads] = max(best_rate.get((dtype, threads), (0, "")), (rate, f"{name} {size}"))

    lines = ["# Results", ""]
    lines += [
        f"{results['date']}, commit `{results['commit'][:12]}`. Medians of {options['rounds']} rounds, each sampled for "
        f"{options['min_time']} s. Times are in microseconds; only ratios within one run mean something elsewhere.", "",
    ]
    lines += table(["machine", ""], results["machine"].items())
    lines += ["Versions: " + ", ".join(f"{k} {v}" for k, v in results["versions"].items()) + ".", ""]
    lines += ["Peers run on: " + "; ".join(f"{k}: {v}" for k, v in results["abouts"].items()) + ".", ""]

    compared, wrong = disagreements(raw)
    lines += [
        f"All implementations get the same data and weights. Of {compared} costs (of inference: Σ a²/m), {len(wrong)} differ from the "
        f"median of the row by more than {AGREEMENT['f32']:g} in f32 and {AGREEMENT['f64']:g} in f64.", "",
    ]
    lines += [f"- {text}" for text in wrong] + ([""] if wrong else [])
    errors = {f"{r['impl']} {r.get('row') or r.get('job')}: {r['error']}" for r in raw if "error" in r}
    if errors:
        lines += ["Not measured:", "", *(f"- {text}" for text in sorted(errors)), ""]
    timed = [r for r in raw if "foreign" in r]
    disturbed = [r for r in timed if r["foreign"] > FOREIGN]
    lines += [f"Of {len(timed)} measurements {len(disturbed)} were disturbed by other processes; `!` marks figures without an undisturbed one.", ""]

    lines += [
        "Ratio: the best peer's time over ours. Bound: the FLOPs of the row's products over the best rate of a square product in this run, "
        "of the same type and with one thread. "
        "Targets are those of `benches/peers/run.py`, with a slack of 3 %.", "",
    ]
    peers = options["peers"]
    for dtype in options["dtypes"]:
        for threads in options["threads"]:
            rate, which = best_rate.get((dtype, 1), (None, ""))
            title = f"## {dtype}, {threads} thread{'s' if threads > 1 else ''}"
            lines += [title, ""]
            if rate:
                lines += [f"Best rate with one thread: {rate:.1f} GFLOP/s ({which}).", ""]
            overview, details = [], []
            for row in rows:
                ours = time_of(OURS, dtype, threads, row.name)
                if ours is None:
                    continue
                mark = lambda name: "!" if found.get((name, dtype, threads, row.name), {}).get("disturbed") else ""
                others = {peer: time for peer in peers if (time := time_of(peer, dtype, threads, row.name))}
                best = min(others, key=others.get, default=None)
                ratio = others[best] / ours if best else None
                bound = row.flops() / rate / 1e3 if rate else None
                target, verdict_of = [], []
                if best:
                    wanted = ratio_target(row.name, dtype, threads)
                    target.append(f"≥ {wanted:g}")
                    verdict_of.append(judge(ratio * SLACK >= wanted))
                if bound and threads == 1 and row.name in BOUNDS:
                    target.append(f"≤ {BOUNDS[row.name]:g} × bound")
                    verdict_of.append(judge(ours <= BOUNDS[row.name] * SLACK * bound))
                overview.append([
                    row.name, number(ours) + mark(OURS), f"{number(others[best])}{mark(best)} {best}" if best else "–", number(ratio),
                    number(bound), number(ours / bound) if bound else "–", ", ".join(target), ", ".join(verdict_of),
                ])
                details.append([
                    row.name,
                    *(number(time_of(name, dtype, threads, row.name)) + mark(name) for name in [OURS, *peers]),
                ])
            lines += table(["row", "ours", "best peer", "ratio", "bound", "× bound", "target", ""], overview)
            lines += ["Medians:", ""] + table(["row", OURS, *peers], details)

    if 1 in options["threads"] and 2 in options["threads"]:
        lines += ["## One thread and two, ours", ""]
        speedups = []
        for row in rows:
            for dtype in options["dtypes"]:
                one, two = (time_of(OURS, dtype, threads, row.name) for threads in [1, 2])
                if one is None or two is None:
                    continue
                fast = row.name in SPEEDUP_ROWS
                ok = one / two * SLACK >= SPEEDUP if fast else two <= NOISE * one
                target = f"≥ {SPEEDUP}" if fast else "not slower"
                speedups.append([row.name, dtype, number(one), number(two), number(one / two), target, judge(ok)])
        lines += table(["row", "type", "one", "two", "speed-up", "target", ""], speedups)

    lines += ["## Square products, GFLOP/s", ""]
    columns = sorted({(d, t) for _, d, t, _ in products})
    lines += table(
        ["library", "size", *(f"{d}, {t}" for d, t in columns)],
        [
            [name, size[2:], *(number(2e-3 * int(size[2:]) ** 3 / t) if (t := time_of(name, *c, size)) else "–" for c in columns)]
            for name, size in sorted({(n, s) for n, _, _, s in products}, key=lambda x: (x[0], int(x[1][2:])))
        ],
    )

    jobs = [r for r in raw if "seconds" in r]
    if jobs:
        lines += [
            "## Whole trainings", "", "15 epochs of mini-batches of 64, plain gradient descent: seconds, and the share of the training images "
            "that are read right. `digits` is 64-32-10 on 1,347 images, `images` 784-64-10 on 10,000.", "",
        ]
        names = [OURS, *(peer for peer in peers if peer in JOBS)]
        body = []
        for job in ["digits", "images"]:
            for dtype in options["dtypes"]:
                for threads in options["threads"]:
                    cells, seconds = [], {}
                    for name in names:
                        same = [r for r in jobs if (r["impl"], r["job"], r["dtype"], r["threads"]) == (name, job, dtype, threads)]
                        if same:
                            seconds[name] = statistics.median(r["seconds"] for r in same)
                            cells.append(f"{seconds[name]:.3g} ({100 * same[0]['accuracy']:.1f} %)")
                        else:
                            cells.append("–")
                    others = [s for name, s in seconds.items() if name != OURS]
                    ratio = min(others) / seconds[OURS] if others and OURS in seconds else None
                    body.append([job, dtype, threads, *cells, number(ratio)])
        lines += table(["job", "type", "threads", *names, "best peer / ours"], body)

    if results.get("growth"):
        lines += [
            "## Growth of our time", "", "The exponent is the slope of the least-squares line through the logarithms of size and time; that "
            "of the FLOPs beside it.", "",
        ]
        body = [
            [g["what"], g["dtype"], g["threads"], f"{g['exponent']:.2f}", f"{g['flops_exponent']:.2f}",
             ", ".join(f"{size}: {number(time)}" for size, time in g["points"])]
            for g in results["growth"]
        ]
        lines += table(["with", "type", "threads", "exponent", "of FLOPs", "microseconds"], body)

    if results.get("sizes"):
        lines += ["## Size of a program that trains XOR", "", "Release, stripped, LTO.", ""]
        lines += table(["features", "bytes"], [[name, f"{size:,}"] for name, size in results["sizes"].items()])
    met = sum(verdicts)
    lines[2:2] = [f"{met} of {len(verdicts)} targets are met.", ""]
    return "\n".join(lines).rstrip() + "\n", met, len(verdicts), wrong


# ------------------------------------------------------------------------------------------------ main


def arguments():
    listed = lambda kind, known=None: lambda text: [check(kind(part), known) for part in text.split(",")]

    def check(value, known):
        if known and value not in known:
            raise argparse.ArgumentTypeError(f"{value!r} is none of {', '.join(map(str, known))}")
        return value

    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--min-time", type=float, default=0.2, help="seconds that a measurement is sampled for")
    p.add_argument("--tries", type=int, default=6, help="how often a disturbed measurement is repeated")
    p.add_argument("--rows", help="names, separated by commas (all)")
    p.add_argument("--extra", action="append", default=[], metavar="name:sizes:activation:cost:batch:train|forward", help="a further row")
    p.add_argument("--threads", type=listed(int), default=[1, 2])
    p.add_argument("--dtypes", type=listed(str, DTYPES), default=DTYPES)
    p.add_argument("--peers", type=listed(str, PEERS), default=PEERS)
    p.add_argument("--scaling", action="store_true", help="growth with examples, width and depth, and the size of a program")
    p.add_argument("--jobs", action="store_true", help="whole trainings")
    p.add_argument("--target-dir", type=Path, default=HERE / "target", help="where the Rust peers are built")
    p.add_argument("--output", type=Path, default=ROOT / "benches", help="folder of RESULTS.md and results.json")
    p.add_argument("--report", action="store_true", help="only write RESULTS.md anew from results.json")
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
        lists = [command + wanted] if options.rows else [command] + ([command + wanted] if options.extra else [])
        specs = []
        for words in lists:
            done = subprocess.run(words, capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stderr)
            specs += done.stdout.split()
        results = {
            "date": f"{datetime.datetime.now():%Y-%m-%d %H:%M}",
            "commit": output("git", "rev-parse", "HEAD") + ("-dirty" if output("git", "status", "--porcelain", "-uno") else ""),
            "options": {k: v for k, v in vars(options).items() if not isinstance(v, Path)},
            "machine": machine(), "versions": versions(options.peers), "rows": specs,
        }
        run = Run(options, programs, [Row(spec) for spec in specs])
        results |= {"abouts": {}, "raw": run.raw}
        save = lambda: json_file.write_text(json.dumps(results))
        results["abouts"] = run.everything(save)
        save()
        if options.scaling:
            results["growth"] = growth(run)
            results["sizes"] = sizes(target)
        save()
    text, met, all_targets, wrong = report(results)
    markdown_file.write_text(text)
    log(f"{met} of {all_targets} targets are met; {markdown_file}")
    if wrong:
        sys.exit("implementations disagree:\n" + "\n".join(wrong))


if __name__ == "__main__":
    main()
