"""Constants and polynomials of the two GELUs in src/kernels/real.rs.

    python tests/calculus/activations/coefficients.py

With phi and Phi for the density and the distribution function of the standard normal, x >= 0,
s = 1/(x + 4) and t = (x - 4)/(x + 4) = 1 - 8 s:

    exp(x^2/2) Phi(-x)                  = s P(t)
    exp(x^2/2) (Phi(-x) - x phi(x))     = (root - x) Q(t)

Both are fitted up to the x at which the exponential is 0. The script prints the largest relative
error of the rounded polynomials."""

import mpmath as mp
import numpy as np

mp.mp.dps = 50
MIDDLE = 4
ROOT_OF_TAU = mp.sqrt(2 * mp.pi)


def tail(x):
    """exp(x^2/2) Phi(-x)."""
    return mp.exp(x * x / 2) * mp.erfc(x / mp.sqrt(2)) / 2


ROOT = mp.findroot(lambda x: tail(x) - x / ROOT_OF_TAU, mp.mpf("0.75"))


def p(x):
    return tail(x) * (x + MIDDLE)


def q(x):
    return (tail(x) - x / ROOT_OF_TAU) / (ROOT - x)


def x_of(t):
    return MIDDLE * (1 + t) / (1 - t)


def fit(f, degree, end, kind):
    """Coefficients of powers of t, the constant first, on [-1, t(end)], each with its Rust literal.

    Least squares of the relative error at Chebyshev's nodes. Each coefficient is rounded before the
    next ones are fitted to the remainder, so that they make up for its rounding.
    """
    low, high = mp.mpf(-1), (mp.mpf(end) - MIDDLE) / (mp.mpf(end) + MIDDLE)
    count = 3 * (degree + 1)
    angles = [mp.pi * (2 * j + 1) / (2 * count) for j in range(count)]
    nodes = [(high + low) / 2 + (high - low) / 2 * mp.cos(angle) for angle in angles]
    values = [f(x_of(t)) for t in nodes]
    left, pairs = [mp.mpf(1)] * count, []
    for i in range(degree + 1):
        powers = mp.matrix(
            [[t**k / v for k in range(i, degree + 1)] for t, v in zip(nodes, values)]
        )
        best = mp.lu_solve(powers.T * powers, powers.T * mp.matrix(left))
        pairs.append(rounded(best[0], kind))
        left = [r - pairs[i][0] * t**i / v for r, t, v in zip(left, nodes, values)]
    return pairs


def rounded(x, kind):
    """The nearest number of the type, and its Rust literal."""
    if kind == "f32":
        x = np.float32(mp.nstr(x, 30))
        return mp.mpf(float(x)), str(x)
    return mp.mpf(float(x)), repr(float(x))


def two_parts(x, kind):
    high, first = rounded(x, kind)
    return f"({first}, {rounded(x - high, kind)[1]})"


def worst(f, coefficients, end):
    errors = []
    for i in range(3001):
        x = mp.mpf(end) * (mp.mpf(i) / 3000) ** 2
        if abs(x - ROOT) < mp.mpf(10) ** -6:
            continue
        t = (x - MIDDLE) / (x + MIDDLE)
        exact = f(x)
        errors.append(abs(mp.polyval(coefficients[::-1], t) / exact - 1))
    return mp.nstr(max(errors), 3)


def report(kind, end, degrees):
    print(f"--- {kind}")
    for name, f, degree in zip(["P", "Q"], [p, q], degrees):
        pairs = fit(f, degree, end, kind)
        print(f"{name}, relative error {worst(f, [c for c, _ in pairs], end)}:")
        for _, text in reversed(pairs):
            print(f"    {text},")
    print("root:", two_parts(ROOT, kind))
    print("1/sqrt(2 pi):", rounded(1 / ROOT_OF_TAU, kind)[1])
    scale = 2 * mp.sqrt(2 / mp.pi)
    cubic = scale * mp.mpf("0.044715")
    print("2 sqrt(2/pi):", two_parts(scale, kind))
    print("times 0.044715:", two_parts(cubic, kind))
    # Where x^2/2, and 2u for GELU's tanh form, are so large that the scaled exponential is 0.
    limit = mp.mpf("764.5") if kind == "f64" else mp.mpf("115.7")
    print("end:", mp.nstr(mp.sqrt(2 * limit), 10))
    print(
        "end of the tanh form:",
        mp.nstr(mp.findroot(lambda z: scale * z + cubic * z**3 - limit, 20), 10),
    )


if __name__ == "__main__":
    report("f64", 39.2, (23, 21))
    report("f32", 15.3, (11, 10))
