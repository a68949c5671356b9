"""J, ∇J and ∂J/∂x of networks at extreme values: z of ±1e4, weights of 2^±1000, losses near 0.

python tests/calculus/costs/extremes.py > tests/calculus/costs/extremes.txt

Needs mpmath. A line is: type, hidden activation or -, activation, cost, θ, x, y, notes, J, ∇J,
∂J/∂x, each a list with commas. There is one example with one input. y has one entry per output, and
Θ of each layer is unrolled by columns. The notes are letters: o if an intermediate result
overflows, u if one is subnormal, e if an output rounds to a point where the cost is undefined, and
"-" if none applies.
"""

import struct

from mpmath import mp, mpf, cos, erfc, exp, expm1, log, log1p, pi, sin, sqrt, tanh, cosh

mp.dps = 700
LIMITS = {"f64": (mpf(2) ** -1022, mpf(2) ** 1024, 53), "f32": (mpf(2) ** -126, mpf(2) ** 128, 24)}
E = {"f64": (300, 1000), "f32": (60, 120)}
SCALE, ALPHA = mpf(1.0507009873554805), mpf(1.0507009873554805 * 1.6732632423543772)
HUBER = mpf(0.75)


def single(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def sigma(z):
    return 1 / (1 + exp(-z)) if z > -1500 else exp(z)


def slope_of_sigma(z):
    return sigma(z) * sigma(-z)


def softplus(z):
    return max(z, mpf(0)) + log1p(exp(-abs(z)))


def sech2(z):
    return 4 * slope_of_sigma(2 * z)


def phi(z):
    return exp(-z * z / 2) / sqrt(2 * pi)


def cdf(z):
    return erfc(-z / sqrt(2)) / 2


def mish(z):
    t = tanh(softplus(z))
    return z * t, t + z * (1 - t * t) * sigma(z)


ACTIVATIONS = {
    "identity": lambda z: (z, mpf(1)),
    "sigmoid": lambda z: (sigma(z), slope_of_sigma(z)),
    "tanh": lambda z: (tanh(z), sech2(z)),
    "relu": lambda z: (max(z, mpf(0)), mpf(z > 0)),
    "leaky_relu": lambda z: (z, mpf(1)) if z > 0 else (z / 8, mpf(1) / 8),
    "elu": lambda z: (z, mpf(1)) if z > 0 else (expm1(z), exp(z)),
    "selu": lambda z: (SCALE * z, SCALE) if z > 0 else (ALPHA * expm1(z), ALPHA * exp(z)),
    "softplus": lambda z: (softplus(z), sigma(z)),
    "softsign": lambda z: (z / (1 + abs(z)), 1 / (1 + abs(z)) ** 2),
    "gelu": lambda z: (z * cdf(z), cdf(z) + z * phi(z)),
    "silu": lambda z: (z * sigma(z), sigma(z) + z * slope_of_sigma(z)),
    "mish": mish,
    "hard_tanh": lambda z: (min(max(z, mpf(-1)), mpf(1)), mpf(abs(z) < 1)),
    "sine": lambda z: (sin(z), cos(z)),
    "exponential": lambda z: (exp(z), exp(z)),
}


def x_ln(x, a):
    return mpf(0) if x == 0 else x * log(a) if a > 0 else mpf("-inf")


class Undefined(Exception):
    pass


def of_cost(activation, cost, z, a, rest, y, seen):
    """Cost and δ of one unit, ∂cost/∂z (True) of a canonical pair or ∂cost/∂a."""
    if (activation, cost) == ("sigmoid", "cross_entropy"):
        return softplus(z) - y * z, sigma(z) - y if y < 1 else -sigma(-z), True
    if (activation, cost) == ("exponential", "poisson"):
        return a - y * z, a - y, True
    d = a - y if y != 1 else -rest
    seen.append(d)
    if cost == "squared_error":
        return d * d / 2, d, activation == "identity"
    if cost == "huber":
        if abs(d) <= HUBER:
            return d * d / 2, d, activation == "identity"
        return HUBER * (abs(d) - HUBER / 2), HUBER * (1 if d > 0 else -1), activation == "identity"
    if cost == "log_cosh":
        value = abs(d) + log1p(exp(-2 * abs(d))) - log(mpf(2)) if abs(d) > 1 else log(cosh(d))
        return value, tanh(d), activation == "identity"
    if a < 0 or a == 0 and y > 0:
        raise Undefined
    if cost == "cross_entropy":
        if rest < 0 or rest == 0 and y < 1:
            raise Undefined
        return (
            -x_ln(y, a) - x_ln(1 - y, rest),
            (1 - y) / rest - y / a if 0 < y < 1 else -1 / a if y == 1 else 1 / rest,
            False,
        )
    if cost == "categorical":
        return -x_ln(y, a), -y / a if y else mpf(0), False
    return a - x_ln(y, a), 1 - y / a if y else mpf(1), False


def rounded(x, digits):
    with mp.workprec(digits):
        return +x


def evaluate(kind, hidden, activation, cost, theta, x, y):
    least, most, digits = LIMITS[kind]
    k, seen = len(y), []
    theta = [mpf(t) for t in theta]
    if hidden:
        b, w, *theta = theta
        z1 = b + w * x
        h, slope = ACTIVATIONS[hidden](z1)
        seen += [w * x, z1, h, slope]
    else:
        h = x
    biases, weights = theta[:k], theta[k:]
    z = [b + v * h for b, v in zip(biases, weights)]
    seen += z + [v * h for v in weights]
    if activation == "softmax":
        u = [exp(v - max(z)) for v in z]
        a = [v / sum(u) for v in u]
        rest = [sum(a[j] for j in range(k) if j != i) for i in range(k)]
    else:
        both = [ACTIVATIONS[activation](v) for v in z]
        a, slopes = [v[0] for v in both], [v[1] for v in both]
        rest = [
            sigma(-v)
            if activation == "sigmoid"
            else 2 * sigma(-2 * v)
            if activation == "tanh"
            else 1 - p
            for v, p in zip(z, a)
        ]
        seen += slopes
    seen += a
    edge = False
    for p, r, t in zip(a, rest, y):
        p = mpf(0) if 0 < p < least else rounded(p, digits)
        linked = (activation, cost) in (
            ("sigmoid", "cross_entropy"),
            ("exponential", "poisson"),
            ("softmax", "categorical"),
        )
        if not linked and cost in ("cross_entropy", "categorical", "poisson"):
            edge |= p < 0 or p == 0 and t > 0
            edge |= cost == "cross_entropy" and (p > 1 or p == 1 and t < 1)
    if activation == "softmax" and cost == "categorical":
        total, shift = sum(y), max(z)
        j = sum(t * (log(sum(u)) - (v - shift)) for t, v in zip(y, z))
        delta = [(p * (total - t) - t * r) for p, r, t in zip(a, rest, y)]
    else:
        try:
            units = [
                of_cost(activation, cost, *v, mpf(t), seen) for v, t in zip(zip(z, a, rest), y)
            ]
        except Undefined:
            return None
        j = sum(v[0] for v in units)
        delta = [v[1] for v in units]
        seen += delta + [v[0] for v in units if v[0] >= most]
        if activation == "softmax":
            mean = [sum(a[i] * (delta[i] - delta[m]) for i in range(k)) for m in range(k)]
            delta = [-a[m] * mean[m] for m in range(k)]
        elif not units[0][2]:
            delta = [d * s for d, s in zip(delta, slopes)]
    seen += delta
    gradient = delta + [d * h for d in delta]
    below = sum(d * w for d, w in zip(delta, weights))
    seen += [d * w for d, w in zip(delta, weights)] + [below]
    if hidden:
        inner = below * slope
        seen += [inner]
        gradient = [inner, inner * x] + gradient
        below = inner * w
    notes = ""
    if any(abs(v) >= most for v in seen):
        notes += "o"
    if any(0 < abs(v) < least for v in seen):
        notes += "u"
    notes += "e" if edge else ""
    return notes or "-", j, gradient, below


def number(x):
    x = mpf(x)
    return (
        "0"
        if abs(x) < mpf(10) ** -400
        else "1e999"
        if abs(x) > mpf(10) ** 400
        else mp.nstr(x, 18, min_fixed=-2, max_fixed=4)
    )


shown = 0


def show(kind, hidden, activation, cost, theta, x, y):
    """Every third line, to keep the table short."""
    global shown
    shown += 1
    if shown % 3:
        return
    found = evaluate(kind, hidden, activation, cost, theta, mpf(x), y)
    if found is None:
        return
    notes, j, gradient, below = found
    lists = [theta, [x], y]
    text = [",".join(repr(float(v)) for v in values) for values in lists]
    print(
        kind,
        hidden or "-",
        activation,
        cost,
        *text,
        notes,
        number(j),
        ",".join(map(number, gradient)),
        number(below),
    )


def targets(activation, cost):
    if cost in ("squared_error", "huber", "log_cosh"):
        return (1, -1) if activation in ("tanh", "softsign", "elu") else (1, 0)
    return (1, 0.25) if cost == "cross_entropy" else (1, 2)


def main():
    plane, log_costs = (
        ["squared_error", "huber", "log_cosh"],
        ["cross_entropy", "categorical", "poisson"],
    )
    sizes = [1e4, 700, 100, 40, 20, 10, 1.5, 1e-4, 1e-30]
    zs = [single(s * v) for v in sizes for s in (1, -1)]
    for kind in ("f64", "f32"):
        small, large = E[kind]
        count = 0
        for activation in [*ACTIVATIONS, "softmax"]:
            full = activation in ("sigmoid", "tanh", "softmax", "exponential", "identity")
            costs = (
                plane + log_costs
                if full or activation == "softsign"
                else ["squared_error", "huber", "poisson"]
            )
            for cost in costs:
                for z in zs:
                    if activation == "gelu" and -39 < z < -2:
                        continue
                    for y in targets(activation, cost):
                        count += 1
                        if not full and count % 3:
                            continue
                        # w and x with w x = z, none of them rounded.
                        scale = [0, small, -small, large, -large][count // (1 if full else 3) % 5]
                        if (
                            kind == "f32"
                            and abs(z) * 2.0**-scale < 2.0**-126
                            or abs(z) * 2.0**-scale > 2.0 ** (127 if kind == "f32" else 1023)
                        ):
                            scale = 0
                        w, x = z * 2.0**-scale, 2.0**scale
                        if activation == "softmax":
                            ys = [1 - y, y] if y < 1 else [1, 0]
                            show(kind, None, activation, cost, [0, 0, w, 0], x, ys)
                            continue
                        show(kind, None, activation, cost, [0, w], x, [y])
                        if count % 4 == 0:
                            for hidden, (v, u) in zip(
                                ("identity", "relu", "tanh"),
                                ((z, 1), (z * 2.0**-20, 2.0**20), (z, 40)),
                            ):
                                # a of the hidden unit is u, or 1 of tanh.
                                inner = u * 2.0**-scale if abs(scale) < 900 else u
                                outer = 2.0**scale if abs(scale) < 900 else 1.0
                                if kind == "f32" and (
                                    abs(v) < 2.0**-126 or not 2.0**-126 < inner < 2.0**127
                                ):
                                    continue
                                show(kind, hidden, activation, cost, [0, inner, 0, v], outer, [y])
        # Pre-activations that cancel or overflow, and losses near 0.
        big = 2.0**large
        for activation, cost in (
            ("sigmoid", "squared_error"),
            ("sigmoid", "cross_entropy"),
            ("tanh", "huber"),
            ("identity", "squared_error"),
            ("softsign", "log_cosh"),
            ("exponential", "poisson"),
        ):
            for y in targets(activation, cost):
                show(kind, None, activation, cost, [-big, big], 1, [y])
                show(kind, None, activation, cost, [0, big], big, [y])
                show(kind, None, activation, cost, [0, -big], big, [y])
                show(kind, None, activation, cost, [0, 1 / big], 1 / big, [y])
        near = 1 + 2.0 ** -(LIMITS[kind][2] - 1)
        for cost in plane:
            show(kind, None, "identity", cost, [0, 1], 1, [near])
            show(kind, None, "identity", cost, [0, big], 1 / big, [near])
            show(kind, None, "relu", cost, [0, 2.0**-large], 1, [0])


main()
