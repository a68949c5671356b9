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
import subprocess
import sys
from pathlib import Path

from agreement import agree
from building import RUST_PEERS, build, log, sizes
from common import DTYPES, FOREIGN
from jobs import JOBS
from machine import HERE, ROOT, machine, output, versions
from peers import STEPS
from report import OURS, read_row, report
from specs import Spec

PYTHON_PEERS = list(STEPS)
PEERS = PYTHON_PEERS + [name for name, _, _ in RUST_PEERS]
# The peers that read rows from files.
SPEC_PEERS = ["torch", "jax", "burn", "burn-v4", "candle"]


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
# measuring


class Run:
    def __init__(self, options, programs, rows, files):
        self.options, self.programs, self.rows = options, programs, rows
        # The rows from files, as the programs read them.
        self.files = files
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
        for found in self.measured(name, row, dtype, threads):
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

    def measured(self, name, row, dtype, threads):
        """The records of a row: one, or one for each form of a library."""
        if isinstance(row, Spec):
            if name in PYTHON_PEERS:
                return self.spec(name, row, dtype, threads, values=False)
            extra = ["--rows", self.files[row.name]]
        elif name in PYTHON_PEERS:
            request = {"kind": "row", "spec": row.spec, "dtype": dtype, **self.common()}
            return [self.server(name, threads).ask(**request)]
        else:
            extra = ["--rows", row.spec]
        return self.program(name, threads, dtype, *extra)[:1] or [{"error": "no record"}]

    def spec(self, name, spec, dtype, threads, values):
        request = {"kind": "spec", "name": spec.name, "content": spec.content, "dtype": dtype}
        found = self.server(name, threads).ask(**request, values=values, **self.common())
        return found if isinstance(found, list) else [found]

    def values(self, name, spec, dtype):
        """What the implementations compare: a record, or one for each form of a library."""
        threads = self.options.threads[0]
        if name in PYTHON_PEERS:
            return self.spec(name, spec, dtype, threads, values=True)
        return self.program(name, threads, dtype, "--values", "--rows", self.files[spec.name])

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
                        able = [OURS, *SPEC_PEERS] if isinstance(row, Spec) else names
                        first = round % len(names)
                        for name in names[first:] + names[:first]:
                            if name in able:
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
    p.add_argument("--rows", help="names or name=FILE, separated by commas (all names)")
    p.add_argument(
        "--extra",
        action="append",
        default=[],
        metavar="name:sizes:activation:cost:batch:train|forward or name=FILE",
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
            specs += done.stdout.splitlines()
        files = dict(spec.split("=", 1) for spec in specs if "=" in spec)
        rows = [
            Spec.of_file(*spec.split("=", 1)) if "=" in spec else read_row(spec) for spec in specs
        ]
        results = {
            "date": f"{datetime.datetime.now():%Y-%m-%d %H:%M}",
            "commit": output("git", "rev-parse", "HEAD")
            + ("-dirty" if output("git", "status", "--porcelain", "-uno") else ""),
            "options": {k: v for k, v in vars(options).items() if not isinstance(v, Path)},
            "machine": machine(),
            "versions": versions({crate for name, crate, _ in RUST_PEERS if name in options.peers}),
            "rows": [row.spec for row in rows],
        }
        run = Run(options, programs, rows, {name: f"{name}={file}" for name, file in files.items()})
        from_files = [row for row in rows if isinstance(row, Spec)]
        if from_files:
            log("comparing outputs and gradients of", *files)
        peers = [peer for peer in options.peers if peer in SPEC_PEERS]
        results["agreement"], wrong = agree(run.values, OURS, peers, from_files, options.dtypes)
        if wrong:
            sys.exit("implementations disagree:\n" + "\n".join(wrong))
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
