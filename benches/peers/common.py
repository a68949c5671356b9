"""Shared by all measurements: the rows, their data and the clock, as in `benches/common`."""

import gc
import os
import textwrap
import time

import numpy as np

DTYPES = {"f32": np.float32, "f64": np.float64}
# A measurement is repeated if other processes use more than this many processors.
FOREIGN = 0.06


def page(lines):
    """Joins the lines of a Markdown page, with its paragraphs wrapped at 100 columns."""
    wrapped, code = [], False
    for line in lines:
        code ^= line.startswith("```")
        if code or line.startswith(("|", "#", "```")):
            wrapped.append(line)
        else:
            width = {"width": 100, "break_long_words": False, "break_on_hyphens": False}
            wrapped += textwrap.wrap(line, **width) or [""]
    return "\n".join(wrapped)


class Unsupported(Exception):
    """A library does not have what a row needs."""


class Row:
    """name:sizes:activation:cost:batch:mode"""

    def __init__(self, spec):
        self.spec = spec
        self.name, sizes, self.hidden, self.head, batch, mode = spec.split(":")
        self.sizes = [int(size) for size in sizes.split("-")]
        self.batch = int(batch)
        self.train = mode == "train"
        self.outputs = self.sizes[-1]
        self.layers = list(zip(self.sizes[:-1], self.sizes[1:]))

    def flops(self):
        """FLOPs of the products: forward, dW of all layers, dA of all but the first."""
        forward = [2 * self.batch * inputs * outputs for inputs, outputs in self.layers]
        return 2 * sum(forward) + sum(forward[1:]) if self.train else sum(forward)


# ------------------------------------------------------------------------------------------------
# data


def uniforms(count, seed=1):
    """`count` numbers of the linear congruential generator of `benches/common/table.rs`, by
    doubling.
    """
    factors = np.array(
        [6364136223846793005], np.uint64
    )  # state after k steps is factor · seed + term
    terms = np.array([1442695040888963407], np.uint64)
    while len(factors) < count:
        terms = np.concatenate([terms, factors * terms[-1] + terms])
        factors = np.concatenate([factors, factors * factors[-1]])
    states = factors[:count] * np.uint64(seed) + terms[:count]
    return (states >> np.uint64(33)) / float(1 << 31)


def data(row, dtype):
    """X (batch × inputs), Y (batch × outputs), and W (inputs × outputs) of each layer."""
    scalar = DTYPES[dtype]
    of_x = row.batch * row.sizes[0]
    of_y = row.batch * (row.outputs if row.head == "half_mse" else 1)
    draws = uniforms(of_x + of_y + sum(inputs * outputs for inputs, outputs in row.layers))
    x, y, rest = np.split(draws, [of_x, of_x + of_y])
    if not row.name.startswith("ex4"):
        x = (x - 0.5) * 3.46
    x = x.reshape(row.batch, -1).astype(scalar)
    if row.head == "half_mse":
        y = (y - 0.5).reshape(row.batch, -1)
    elif row.head == "bce" and row.outputs == 1:
        y = (y > 0.5).reshape(-1, 1)
    else:
        y = np.eye(row.outputs)[(y * row.outputs).astype(int)]
    weights = []
    for inputs, outputs in row.layers:
        draws, rest = np.split(rest, [inputs * outputs])
        epsilon = np.sqrt(6.0 / (inputs + outputs))
        weights.append(((draws * 2.0 - 1.0) * epsilon).reshape(inputs, outputs).astype(scalar))
    return x, y.astype(scalar), weights


# ------------------------------------------------------------------------------------------------
# clock


def foreign_seconds():
    """Processor seconds of all other processes; None where there is no /proc."""
    try:
        with open("/proc/stat") as stat:
            ticks = [int(field) for field in stat.readline().split()[1:9]]
    except OSError:
        return None
    busy = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
    return busy - sum(os.times()[:2])


def timed(call, min_time, tries):
    """Time a function as `Timing::of` in `benches/common/timing.rs` does."""
    best = None
    for attempt in range(tries):
        if attempt:
            time.sleep(1.0)
        found = timed_once(call, min_time)
        if best is None or found["foreign"] < best["foreign"]:
            best = found
        if best["foreign"] <= FOREIGN:
            break
    return best


def timed_once(call, min_time):
    clock = time.perf_counter_ns
    call()
    start, calls = clock(), 0
    while clock() - start < min_time / 3 * 1e9 or calls < 2:
        call()
        calls += 1
    inner = range(max(1, -(-20_000 * calls // (clock() - start))))
    samples = []
    gc.collect()
    gc.disable()
    load, start = foreign_seconds(), clock()
    while clock() - start < min_time * 1e9 or len(samples) < 7:
        sample = clock()
        for _ in inner:
            call()
        samples.append((clock() - sample) / 1e3 / len(inner))
    seconds = (clock() - start) / 1e9
    after = foreign_seconds()
    gc.enable()
    # Each of the two readings is rounded down to a tick of 10 ms.
    foreign = 0.0 if load is None else max(0.0, (after - load - 0.02) / seconds)
    samples.sort()
    return {
        "median_us": samples[len(samples) // 2],
        "min_us": samples[0],
        "foreign": round(foreign, 3),
    }
