"""Exact statistics and scaled rows, for the tests in this folder.

    pip install mpmath
    python exact.py > exact.json

The last run used mpmath 1.4.1. The values of each row are numbers of its scalar type.
Everything else is computed with fractions (square roots at 60 digits) and rounded once to
float64."""

import json
import struct
from fractions import Fraction

import mpmath

mpmath.mp.dps = 60


def single(x):
    """The nearest float32."""
    return struct.unpack("f", struct.pack("f", x))[0]


def rounded(x):
    return float(mpmath.mpf(x.numerator) / x.denominator)


def row(scalar, values):
    values = [float(x) for x in values]
    if scalar == "f32":
        assert values == [single(x) for x in values], values
    exact = [Fraction(x) for x in values]
    m = len(exact)
    mean = sum(exact) / m
    variance = sum((x - mean) ** 2 for x in exact) / m
    deviation = mpmath.sqrt(mpmath.mpf(variance.numerator) / variance.denominator)
    least, largest = min(exact), max(exact)
    low, high = (Fraction(single(x) if scalar == "f32" else x) for x in (-0.1, 0.3))
    t = [(x - least) / (largest - least) for x in exact]
    scaled = [mpmath.mpf((x - mean).numerator) / (x - mean).denominator / deviation for x in exact]
    return {
        "scalar": scalar,
        "x": values,
        "mean": rounded(mean),
        "deviation": float(deviation),
        "standard": [float(z) for z in scaled],
        "unit": [rounded(t) for t in t],
        "interval": [rounded(low + t * (high - low)) for t in t],
    }


ROWS = [
    # Counters, pressures and counts far from 0, whose means the scalar can or cannot hold.
    row("f32", [1.7e9 + 128 * k for k in range(13)]),
    row("f32", [1.7e9 + 128 * k for k in range(12)]),
    row("f32", [-1.7e9 - 128 * k for k in (0, 1, 1, 5)]),
    row("f32", [101325 + k / 128 for k in range(13)]),
    row("f32", [101325 + k / 128 for k in range(4)]),
    row("f32", [2**24 + 2 * k for k in (0, 1, 1)]),
    row("f32", [single(0.3), single(0.3) + 2**-25]),
    row("f32", [1, 1, 1, 1, 1, 1 + 2**-23]),
    row("f32", [single(3e38), single(3e38) - 2**104]),
    row("f32", [-1.5, 0.25, 3]),
    row("f64", [1.7e18 + 256 * k for k in range(13)]),
    row("f64", [1.7e18 + 256 * k for k in range(12)]),
    row("f64", [2**53 + 2 * k for k in (0, 0, 1, 4)]),
    row("f64", [0.3, 0.1 + 0.2]),
    row("f64", [0.3, 0.3, 0.1 + 0.2]),
    row("f64", [1, 1, 1, 1, 1, 1 + 2**-52]),
    row("f64", [-1e300, -1e300 * (1 - 2**-52), -1e300]),
    row("f64", [101325 + k / 128 for k in range(13)]),
    row("f64", [-1.5, 0.1, 3]),
]


def r2(targets, outputs):
    """1 − Σ (y − a)²/Σ (y − ȳ)²."""
    y, a = [Fraction(x) for x in targets], [Fraction(x) for x in outputs]
    mean = sum(y) / len(y)
    total = sum((y - mean) ** 2 for y in y)
    value = 1 - sum((y - a) ** 2 for y, a in zip(y, a)) / total
    return {"targets": targets, "outputs": outputs, "r2": rounded(value)}


SCORES = [
    r2([2.0**53 + 2 * k for k in (0, 1, 2, 3)], [2.0**53 + 2 * k for k in (1, 1, 2, 3)]),
    r2([2.0**53, 2.0**53 + 2], [2.0**53, 2.0**53]),
    r2([0.3, 0.1 + 0.2, 0.3], [0.3, 0.3, 0.3]),
    r2([1.0, 2.0, 4.0], [1.5, 2.0, 3.0]),
]

lines = lambda of: "[\n  " + ",\n  ".join(map(json.dumps, of)) + "\n ]"
print('{\n "rows": ' + lines(ROWS) + ',\n "r2": ' + lines(SCORES) + "\n}")
