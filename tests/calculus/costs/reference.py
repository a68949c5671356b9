"""True values of costs and their δ near the constants that outputs round to.

python tests/calculus/costs/reference.py > tests/calculus/costs/ulps.txt

Needs mpmath. A line is: activation, cost, z, y, cost, δ, tangent, each a list with commas. z and y
are exact in f32. δ is ∂cost/∂z of a canonical pair, else ∂cost/∂a. The tangent is that of δ along 1
in every z or a. Each of the last three may be followed by a slash and the size of its largest term,
if that is larger than the number. The terms are those by which it is best computed: distances from
the constants 0, ±1, ½, 1/n and −α."""

import struct

from mpmath import mp, mpf, exp, log, tanh, cosh, expm1

mp.dps = 600
HALF, ALPHA, LIMIT = mpf(1) / 2, mpf(3) / 2, mpf(3) / 4


def single(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def sigmoid(z):
    return 1 / (1 + exp(-z))


# Each with the constants near which its outputs keep their digits.
ACTIVATIONS = {
    "sigmoid": (sigmoid, [0, HALF, 1]),
    "tanh": (tanh, [0, 1, -1]),
    "softsign": (lambda z: z / (1 + abs(z)), [0, 1, -1]),
    "exponential": (exp, [0, 1]),
    "elu": (lambda z: z if z > 0 else ALPHA * expm1(z), [0, -ALPHA]),
    "identity": (lambda z: z, [0]),
}
CANONICAL = {
    ("sigmoid", "cross_entropy"),
    ("softmax", "categorical"),
    ("exponential", "poisson"),
}


def of_difference(cost, d, scale):
    """Value, δ and its slope of the costs of d = a − y, each with its largest term."""
    if cost == "squared_error":
        return (d * d / 2, abs(d) * scale / 2), (d, scale), (mpf(1), 0)
    if cost == "huber":
        if abs(d) <= LIMIT:
            return (d * d / 2, abs(d) * scale / 2), (d, scale), (mpf(1), 0)
        value = LIMIT * (abs(d) - LIMIT / 2)
        return (value, LIMIT * scale), (LIMIT if d > 0 else -LIMIT, 0), (mpf(0), 0)
    t = tanh(d)
    slope = 1 / cosh(d) ** 2
    # The error of d counts twice in ln cosh d. For |d| ≥ 1 that is |d| − ln 2 + …
    value = (log(cosh(d)), max(abs(t) * scale, abs(d) if abs(d) >= 1 else 0))
    return value, (t, slope * scale), (slope, 2 * abs(t) * slope * scale)


def distance(a, y, anchors):
    return min(max(abs(c - y), abs(a - c)) for c in anchors)


def x_ln(x, a):
    return x * log(a) if x != 0 else mpf(0)


def of_unit(g, cost, z, y):
    function, anchors = ACTIVATIONS[g]
    a = function(z)
    d, scale = a - y, distance(a, y, anchors)
    if cost in ("squared_error", "huber", "log_cosh"):
        return of_difference(cost, d, scale)
    if (g, cost) == ("sigmoid", "cross_entropy"):
        value = -x_ln(y, a) - x_ln(1 - y, 1 - a)
        return (value, 0), (d, scale), (a * (1 - a), 0)
    if (g, cost) == ("exponential", "poisson"):
        return (a - y * z, max(a, abs(y * z))), (d, scale), (a, 0)
    if cost == "cross_entropy":
        value = -x_ln(y, a) - x_ln(1 - y, 1 - a)
        slope = y / a**2 + ((1 - y) / (1 - a) ** 2 if y != 1 else 0)
        return (value, 0), (d / a / (1 - a), scale / a / (1 - a)), (slope, 0)
    if cost == "categorical":
        return (-x_ln(y, a), 0), (-y / a, 0), (y / a**2, 0)
    value = a - x_ln(y, a)
    return (value, max(a, abs(x_ln(y, a)))), (d / a, scale / a), (y / a**2, 0)


def of_softmax(cost, z, y):
    u = [exp(x - max(z)) for x in z]
    total, t = sum(u), sum(y)
    a = [x / total for x in u]
    n = sum(x - max(z) > -0.34 for x in z)

    def size(i, t):
        rest = sum(a[j] for j in range(len(a)) if j != i)
        less = sum(x - 1 if x > 0.7 else x for x in u)
        sizes = [max(a[i] * t, y[i]), max(abs(t - y[i]), rest * t)]
        if n > 1 and u[i] > 0.7:
            terms = [t - n * y[i], (u[i] - 1) * t, y[i] * less]
            sizes.append(max(abs(x) for x in terms) / total)
        return min(sizes)

    values, deltas, tangents = [], [], []
    for i in range(len(z)):
        if cost == "categorical":
            values.append((-x_ln(y[i], a[i]), 0))
            deltas.append((a[i] * t - y[i], size(i, t)))
            tangents.append((mpf(0), a[i]))
            continue
        d, scale = a[i] - y[i], size(i, mpf(1))
        if cost in ("squared_error", "huber", "log_cosh"):
            found = of_difference(cost, d, scale)
        elif cost == "cross_entropy":
            both = a[i] * (1 - a[i])
            value = -x_ln(y[i], a[i]) - x_ln(1 - y[i], 1 - a[i])
            found = (
                (value, 0),
                (d / both, scale / both),
                (y[i] / a[i] ** 2 + (1 - y[i]) / (1 - a[i]) ** 2, 0),
            )
        else:
            value = a[i] - x_ln(y[i], a[i])
            found = (value, max(a[i], value)), (d / a[i], scale / a[i]), (y[i] / a[i] ** 2, 0)
        for to, part in zip((values, deltas, tangents), found):
            to.append(part)
    return values, deltas, tangents


def number(x):
    return mp.nstr(mpf(x), 20, min_fixed=-3, max_fixed=6)


def sized(x, size):
    return (
        number(x)
        if size <= abs(x) * (1 + mpf(10) ** -15)
        else f"{number(x)}/{mp.nstr(mpf(size), 6)}"
    )


def show(g, cost, z, y, values, deltas, tangents):
    value = (sum(v for v, _ in values), max(max(abs(v), s) for v, s in values))
    if value[1] <= value[0]:
        value = (value[0], 0)
    lists = [",".join(map(number, z)), ",".join(map(number, y)), sized(*value)]
    lists += [",".join(sized(*x) for x in part) for part in (deltas, tangents)]
    print(g, cost, *lists)


def main():
    sizes = [1e-30, 1e-10, 1e-4, 0.01, 0.45, 0.75, 0.95, 1.5, 3, 10, 17.5, 40, 80]
    zs = [mpf(0)] + [mpf(single(s * x)) for x in sizes for s in (1, -1)]
    plane = ["squared_error", "huber", "log_cosh"]
    targets = {
        "sigmoid": [0, 0.5, 1, 0.75],
        "tanh": [0, 1, -1, 0.25],
        "softsign": [1, -1],
        "exponential": [0, 1, 0.75],
        "elu": [0, -1.5],
        "identity": [0.25],
    }
    for g, ys in targets.items():
        costs = list(plane)
        if g in ("sigmoid", "tanh", "softsign"):
            costs += ["cross_entropy", "categorical", "poisson"]
        if g == "exponential":
            costs += ["categorical", "poisson"]
        for cost in costs:
            for y in ys:
                for z in zs:
                    a = ACTIVATIONS[g][0](z)
                    inside = (
                        cost in plane or a > 0 and y >= 0 and (cost != "cross_entropy" or a < 1)
                    )
                    # Where a rounds to 0 or 1 the domain is that of the rounded output.
                    at_edge = cost == "cross_entropy" and (g, cost) not in CANONICAL
                    if not inside or at_edge and y not in (0, 1) and abs(z) > 10:
                        continue
                    if at_edge and y == 0 and z > 10:
                        continue
                    if g == "exponential" and z > 25:
                        continue
                    found = of_unit(g, cost, z, mpf(y))
                    show(g, cost, [z], [mpf(y)], *([part] for part in found))
    columns = [
        [40, 0],
        [10, 0],
        [17.5, 0, -3],
        [3, -1, 2],
        [100, 0, 0],
        [0, 0],
        [0, 0, 0, 0],
        [0.25, 0, -40],
        [2.0**-20, 0],
        [2.0**-60, 0],
        [2.0**-30, 0, -(2.0**-30), 0],
        [0.125, 0, 0.25],
        [0.125, 0, -60],
    ]
    for z in columns:
        k = len(z)
        hard = [1.0] + [0.0] * (k - 1)
        even = [1 / k] * k if k != 3 else [0.5, 0.5, 0.0]
        for y in (
            hard,
            hard[::-1],
            even,
            [0.75] + [0.25 / (k - 1)] * (k - 1) if k != 4 else even[::-1],
        ):
            if any(single(v) != v for v in y):
                continue
            for cost in plane + ["cross_entropy", "categorical", "poisson"]:
                if cost == "cross_entropy" and y != hard and max(z) - min(z) > 10:
                    continue
                if cost == "huber" and 0.75 in y or 1 in y and z[0] == 2.0**-30:
                    continue  # at the limit, where the second derivative jumps
                given = [mpf(x) for x in z], [mpf(x) for x in y]
                show("softmax", cost, *given, *of_softmax(cost, *given))


main()
