"""Write `RESULTS.md` from `results.json`, and check the targets."""

import json
import math
import shlex
import statistics

from agreement import agreement_lines
from common import DTYPES, FOREIGN, Row, page
from jobs import JOBS
from specs import Spec

OURS = "backprop"

# Targets: the best peer's time divided by ours, in f32 and in f64.
RATIOS = {
    "xor": (10, 10),
    "iris-b1": (10, 10),
    "iris-b32": (6, 5),
    "ex4": (1.8, 1.8),
    "mnist-b1": (3, 3),
    "mnist-b64": (1.25, 1.2),
    "mnist-b1024": (1.1, 1.1),
    "wide-b256": (1.1, 1.04),
    "wide-b2048": (1.1, 1.04),
    "deep": (1.8, 1.55),
    "ex4-fwd-b1": (3, 3),
    "mnist-fwd-b1": (1.3, 1.3),
    "mnist-fwd-b1024": (1.04, 1.0),
    "simple": (2, 1.35),
    "residual": (1.5, 1.5),
    "two-heads": (1.5, 1.5),
    "batchnorm": (1.5, 1.5),
    "tabular": (1.5, 1.5),
}
# Our time divided by the bound, with one thread.
BOUNDS = {
    "ex4": 1.25,
    "mnist-b64": 1.2,
    "mnist-b1024": 1.12,
    "wide-b256": 1.1,
    "wide-b2048": 1.1,
    "deep": 1.4,
    "mnist-fwd-b1024": 1.05,
    "simple": 2.2,
}
# Our time with one thread divided by that with two.
SPEEDUP = 1.8
SPEEDUP_ROWS = ["ex4", "mnist-b1024", "wide-b256", "wide-b2048"]
SLACK = 1.03
NOISE = 1.05
# The largest relative difference between the costs of two implementations.
AGREEMENT = {"f32": 2e-4, "f64": 1e-9}


def read_row(text):
    """A row in the form name:sizes:…, or one from a file in the form name={…}."""
    name, file, content = text.partition("=")
    return Spec(name, json.loads(content)) if file else Row(text)


def ratio_target(row, dtype, threads):
    if row.startswith("wide") and dtype == "f64" and threads == 2:
        return 1.0
    return RATIOS.get(row, (1.0, 1.0))[list(DTYPES).index(dtype)]


def summary(raw):
    """By (impl, dtype, threads, row): the median over the clean rounds, the least, and whether
    there were clean ones. If an implementation has several forms of a row, the fastest counts.
    """
    groups = {}
    for record in raw:
        if "median_us" in record:
            key = (record["impl"], record["dtype"], record["threads"], record["row"])
            groups.setdefault(key, {}).setdefault(record.get("form"), []).append(record)
    found = {}
    for key, forms in groups.items():
        medians = [{"form": form, **median_of(group)} for form, group in forms.items()]
        found[key] = min(medians, key=lambda median: median["median_us"])
    return found


def median_of(group):
    clean = [record for record in group if record["foreign"] <= FOREIGN]
    used = clean or group
    return {
        "median_us": statistics.median(r["median_us"] for r in used),
        "min_us": min(r["min_us"] for r in used),
        "rounds": len(used),
        "disturbed": not clean,
    }


def disagreements(raw):
    """Compare costs (for inference: Σ a²/m) with the median of all implementations. Return how many
    were compared, and which differ.
    """
    groups = {}
    for record in raw:
        value = record.get("loss", record.get("norm"))
        if value is not None:
            groups.setdefault((record["row"], record["dtype"]), []).append((record["impl"], value))
    wrong = []
    for (row, dtype), values in groups.items():
        # The more precise type is the reference for both.
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


def command(options):
    """The command that repeats the measurement, with every option except folders."""
    words = ["python", "benches/peers/run.py"]
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if name == "extra":
            words += [word for row in value for word in (flag, row)]
        elif value is True:
            words.append(flag)
        elif value not in (False, None):
            words += [flag, ",".join(map(str, value)) if isinstance(value, list) else str(value)]
    return shlex.join(words)


def report(results):
    """The Markdown of a results file, and how many targets were met and missed."""
    raw, options = results["raw"], results["options"]
    found = summary([r for r in raw if "row" in r])
    rows = [read_row(spec) for spec in results["rows"]]
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
        best_rate[dtype, threads] = max(
            best_rate.get((dtype, threads), (0, "")), (rate, f"{name} {size}")
        )

    lines = ["# Results", ""]
    lines += [
        f"{results['date']}, commit `{results['commit'][:12]}`. Medians of {options['rounds']} "
        "rounds, each sampled for "
        f"{options['min_time']} s. Times are in microseconds; only ratios within one run "
        "carry over to other machines.",
        "",
        "```sh",
        command(options),
        "```",
        "",
    ]
    lines += table(["machine", ""], results["machine"].items())
    lines += [
        "Versions: " + ", ".join(f"{k} {v}" for k, v in results["versions"].items()) + ".",
        "",
    ]
    lines += [
        "Peers run on: " + "; ".join(f"{k}: {v}" for k, v in results["abouts"].items()) + ".",
        "",
    ]

    compared, wrong = disagreements(raw)
    lines += [
        f"All implementations get the same data and weights. {len(wrong)} of {compared} costs (for "
        "inference: Σ a²/m) differ from the "
        f"median of the row by more than {AGREEMENT['f32']:g} in f32 and {AGREEMENT['f64']:g} in "
        "f64.",
        "",
    ]
    lines += [f"- {text}" for text in wrong] + ([""] if wrong else [])
    lines += agreement_lines(results.get("agreement", []))
    everything = raw + results.get("growth", [])
    errors = {
        f"{r['impl']} {r.get('row') or r.get('job')}"
        f"{', ' + r['form'] if r.get('form') else ''}: {r['error']}"
        for r in everything
        if "error" in r
    }
    if errors:
        lines += ["Not measured:", "", *(f"- {text}" for text in sorted(errors)), ""]
    timed = [r for r in everything if "foreign" in r]
    disturbed = [r for r in timed if r["foreign"] > FOREIGN]
    lines += [
        f"{len(disturbed)} of {len(timed)} measurements were disturbed by other processes; `!` "
        "marks figures for which all were disturbed.",
        "",
    ]

    lines += [
        "Ratio: the best peer's time divided by ours. Bound: the FLOPs of the row's products "
        "divided by the best rate of a square product in this run, "
        "with the same type and one thread. "
        "Targets are those of `benches/peers/report.py`, with a slack of 3 %.",
        "",
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
                of = lambda name: found.get((name, dtype, threads, row.name), {})
                mark = lambda name: "!" if of(name).get("disturbed") else ""
                form = lambda name: f" ({of(name)['form']})" if of(name).get("form") else ""
                others = {
                    peer: time
                    for peer in peers
                    if (time := time_of(peer, dtype, threads, row.name))
                }
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
                overview.append(
                    [
                        row.name,
                        number(ours) + mark(OURS),
                        f"{number(others[best])}{mark(best)} {best}{form(best)}" if best else "–",
                        number(ratio),
                        number(bound),
                        number(ours / bound) if bound else "–",
                        ", ".join(target),
                        ", ".join(verdict_of),
                    ]
                )
                details.append(
                    [
                        row.name,
                        *(
                            number(time_of(name, dtype, threads, row.name)) + mark(name)
                            for name in [OURS, *peers]
                        ),
                    ]
                )
            lines += table(
                ["row", "ours", "best peer", "ratio", "bound", "× bound", "target", ""], overview
            )
            lines += ["Medians:", ""] + table(["row", OURS, *peers], details)

    if 1 in options["threads"] and 2 in options["threads"]:
        lines += ["## Our times with one thread and with two", ""]
        speedups = []
        for row in rows:
            for dtype in options["dtypes"]:
                one, two = (time_of(OURS, dtype, threads, row.name) for threads in [1, 2])
                if one is None or two is None:
                    continue
                fast = row.name in SPEEDUP_ROWS
                ok = one / two * SLACK >= SPEEDUP if fast else two <= NOISE * one
                target = f"≥ {SPEEDUP}" if fast else "not slower"
                speedups.append(
                    [
                        row.name,
                        dtype,
                        number(one),
                        number(two),
                        number(one / two),
                        target,
                        judge(ok),
                    ]
                )
        lines += table(["row", "type", "one", "two", "speed-up", "target", ""], speedups)

    lines += ["## Square products, GFLOP/s", ""]
    columns = sorted({(d, t) for _, d, t, _ in products})
    lines += table(
        ["library", "size", *(f"{d}, {t}" for d, t in columns)],
        [
            [
                name,
                size[2:],
                *(
                    number(2e-3 * int(size[2:]) ** 3 / t) if (t := time_of(name, *c, size)) else "–"
                    for c in columns
                ),
            ]
            for name, size in sorted(
                {(n, s) for n, _, _, s in products}, key=lambda x: (x[0], int(x[1][2:]))
            )
        ],
    )

    lines += (
        training_runs(raw, options)
        + growth(results.get("growth", []))
        + program_sizes(results.get("sizes", {}))
    )
    met = sum(verdicts)
    lines[2:2] = [f"{met} of {len(verdicts)} targets are met.", ""]
    return page(lines).rstrip() + "\n", met, len(verdicts), wrong


def training_runs(raw, options):
    """The section of `--jobs`."""
    jobs = [r for r in raw if "seconds" in r]
    if not jobs:
        return []
    names = [OURS, *(peer for peer in options["peers"] if peer in JOBS)]
    body = []
    for job in ["digits", "images"]:
        for dtype in options["dtypes"]:
            for threads in options["threads"]:
                cells, seconds = [], {}
                for name in names:
                    same = [
                        r
                        for r in jobs
                        if (r["impl"], r["job"], r["dtype"], r["threads"])
                        == (name, job, dtype, threads)
                    ]
                    clean = [r for r in same if r.get("foreign", 0) <= FOREIGN]
                    if same:
                        seconds[name] = statistics.median(r["seconds"] for r in clean or same)
                        cells.append(
                            f"{seconds[name]:.3g}{'' if clean else '!'} "
                            f"({100 * same[0]['accuracy']:.1f} %)"
                        )
                    else:
                        cells.append("–")
                others = [s for name, s in seconds.items() if name != OURS]
                ratio = min(others) / seconds[OURS] if others and OURS in seconds else None
                body.append([job, dtype, threads, *cells, number(ratio)])
    return [
        "## Training runs",
        "",
        "15 epochs of mini-batches of 64, plain gradient descent: seconds, and the share of the "
        "training images "
        "that are classified correctly. `digits` is 64-32-10 on 1,347 images, `images` "
        "784-64-10 on 10,000.",
        "",
        *table(["job", "type", "threads", *names, "best peer / ours"], body),
    ]


def growth(records):
    """A section of `--scaling`: how time and the products' FLOPs grow."""
    found, series = summary(records), {}
    for r in records:
        median = found.get((OURS, r["dtype"], r["threads"], r.get("row")))
        if median:
            series.setdefault((r["what"], r["dtype"], r["threads"]), {})[r["size"]] = (
                Row(r["spec"]).flops(),
                median,
            )
    body = []
    for (what, dtype, threads), points in series.items():
        flops, medians = zip(*points.values())
        times = [median["median_us"] for median in medians]
        exponents = [
            f"{slope(list(points), y):.2f}" if len(points) > 1 else "–" for y in (times, flops)
        ]
        cells = (
            f"{n}: {number(m['median_us'])}{'!' if m['disturbed'] else ''}"
            for n, m in zip(points, medians)
        )
        body.append([what, dtype, threads, *exponents, ", ".join(cells)])
    if not body:
        return []
    return [
        "## Growth of our time",
        "",
        "The exponent is the slope of the least-squares line through the logarithms of size and "
        "time. The next column gives "
        "the exponent of the FLOPs.",
        "",
        *table(["with", "type", "threads", "exponent", "of FLOPs", "microseconds"], body),
    ]


def slope(x, y):
    """The slope of the least-squares line through the logarithms."""
    return statistics.linear_regression([math.log(v) for v in x], [math.log(v) for v in y]).slope


def program_sizes(programs):
    """A section of `--scaling`: bytes by features."""
    if not programs:
        return []
    body = [[name, f"{size:,}"] for name, size in programs.items()]
    return [
        "## Size of a program that trains XOR",
        "",
        "Release, stripped, LTO.",
        "",
        *table(["features", "bytes"], body),
    ]
