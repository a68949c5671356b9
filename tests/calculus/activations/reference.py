"""g, g' and g'' of all elementwise activations in 60-digit arithmetic.

    python tests/calculus/activations/reference.py

writes tests/calculus/activations/ulps_f64.txt and ulps_f32.txt, which ulps.rs reads. A line has
the bits of z in hexadecimal and then g, g' and g'', each as unit,count: the value is
count * 2^unit. A unit is one unit in the last place of the value. If the value is less than a
quarter of the largest term of its formula (near a root), the unit is that of the term. Below the
smallest normal number, it is the spacing of subnormal numbers. The formulas use exact constants:
sqrt(2/pi), 0.044715, and slope and alpha as written."""

import os
import random
import struct

import mpmath as mp

mp.mp.dps = 60
ONE, TWO = mp.mpf(1), mp.mpf(2)


def exp(x):
    """Skips values that are 0 in every type; mpmath numbers do not underflow."""
    return mp.exp(x) if x > -100000 else mp.mpf(0)


def sigma(z):
    e = exp(-abs(z))
    return 1 / (1 + e) if z >= 0 else e / (1 + e)


def cdf(z):
    if abs(z) > 1000:
        return mp.mpf(z > 0)
    return mp.erfc(-z / mp.sqrt(2)) / 2


def phi(z):
    return exp(-z * z / 2) / mp.sqrt(2 * mp.pi)


def half_tanh(z):
    """tanh(z/2)."""
    return mp.tanh(z / 2) if abs(z) < 1000 else mp.sign(z)


def identity(z):
    return [z], [ONE], [mp.mpf(0)]


def sigmoid(z):
    d = sigma(z) * sigma(-z)
    return [sigma(z)], [d], [-d * half_tanh(z)]


def tanh(z):
    d = 4 * sigma(2 * z) * sigma(-2 * z)
    value = mp.tanh(z) if abs(z) < 1000 else mp.sign(z)
    return [value], [d], [-2 * value * d]


def relu(z):
    return ([z], [ONE], [mp.mpf(0)]) if z > 0 else ([mp.mpf(0)],) * 3


def leaky_relu(z):
    slope = ONE if z > 0 else mp.mpf("0.01")
    return [slope * z], [slope], [mp.mpf(0)]


def elu(positive, negative):
    def g(z):
        if z > 0:
            return [positive * z], [positive], [mp.mpf(0)]
        e = negative * exp(z)
        return [negative * (mp.expm1(z) if z > -1000 else exp(z) - 1)], [e], [e]

    return g


def softplus(z):
    value = max(z, 0) + mp.log1p(exp(-abs(z)))
    return [value], [sigma(z)], [sigma(z) * sigma(-z)]


def softsign(z):
    d = 1 / (1 + abs(z))
    return [z * d], [d**2], [-2 * mp.sign(z) * d**3]


def gelu(z):
    pdf = phi(z)
    return [z * cdf(z)], [cdf(z), z * pdf], [2 * pdf, -z * z * pdf]


def gelu_tanh(z):
    scale, cubic = 2 * mp.sqrt(2 / mp.pi), mp.mpf("0.044715")
    v, v1, v2 = scale * (z + cubic * z**3), scale * (1 + 3 * cubic * z * z), 6 * scale * cubic * z
    s, d = sigma(v), sigma(v) * sigma(-v)
    return [z * s], [s, z * v1 * d], [2 * v1 * d, z * v2 * d, -z * v1**2 * half_tanh(v) * d]


def silu(z):
    s, d = sigma(z), sigma(z) * sigma(-z)
    return [z * s], [s, z * d], [2 * d, -z * half_tanh(z) * d]


def mish(z):
    # In e^(-|z|).
    e = exp(-abs(z))
    if z < 0:
        d = e * (e + 2) + 2
        t, rate = e * (e + 2) / d, 4 * e * (1 + e) / d**2
    else:
        d = 1 + 2 * e + 2 * e * e
        t, rate = (1 + 2 * e) / d, 4 * e * e * (1 + e) / d**2
    return [z * t], [t, z * rate], [2 * rate, z * rate * sigma(-z), -2 * z * rate * t * sigma(z)]


def hard_tanh(z):
    return [min(max(z, -ONE), ONE)], [ONE if abs(z) < 1 else mp.mpf(0)], [mp.mpf(0)]


def sine(z):
    return [mp.sin(z)], [mp.cos(z)], [-mp.sin(z)]


def exponential(z):
    return ([mp.exp(min(z, mp.mpf(1000))) if z > -1000 else mp.mpf(0)],) * 3


SCALE, ALPHA = mp.mpf("1.0507009873554805"), mp.mpf("1.6732632423543772")
ACTIVATIONS = {
    "Identity": identity,
    "Sigmoid": sigmoid,
    "Tanh": tanh,
    "Relu": relu,
    "LeakyRelu(0.01)": leaky_relu,
    "Elu(0.7)": elu(ONE, mp.mpf("0.7")),
    "Elu(10000000000)": elu(ONE, mp.mpf(10) ** 10),
    "Selu": elu(SCALE, SCALE * ALPHA),
    "Softplus": softplus,
    "Softsign": softsign,
    "Gelu": gelu,
    "GeluTanh": gelu_tanh,
    "Silu": silu,
    "Mish": mish,
    "HardTanh": hard_tanh,
    "Sine": sine,
    "Exponential": exponential,
}
# Roots of derivatives, and points where the code or the type switches formulas.
PLACES = [0.25, 0.34657, 0.5, 0.625, 0.693147, 1.0, 1.25, 2.0, 3.0, 5.0, 8.0, 10.0, 20.0, 30.0]
PLACES += [0.7517915, 1.41421356, 1.2784645, 2.3993573, 1.19244, 2.2564, 1.4906, 1.4353]


class Kind:
    def __init__(self, name, pack, bits, smallest, digits, largest, ends):
        self.name, self.pack, self.bits = name, pack, bits
        self.smallest, self.digits, self.largest, self.ends = smallest, digits, largest, ends

    def rounded(self, x):
        return struct.unpack(self.pack, struct.pack(self.pack, x))[0]

    def hexadecimal(self, x):
        return struct.pack(">" + self.pack, x).hex()

    def unit(self, x):
        """The exponent of a unit in the last place."""
        exponent = mp.frexp(x)[1] - 1 if x else self.smallest
        return max(exponent, self.smallest) - self.digits + 1

    def points(self, random):
        end = self.ends[-1]
        points = [0.0, -0.0, self.largest, 1e30, 1e4]
        for place in PLACES + self.ends:
            points += [place, place * (1 + 1e-6), place * (1 - 1e-3), place * 1.05]
        points += [random.uniform(0, 3) for _ in range(20)]
        points += [random.uniform(0, 40) for _ in range(20)]
        points += [random.uniform(0, end) for _ in range(15)]
        points += [2.0 ** random.uniform(self.smallest - self.digits + 1, 4) for _ in range(12)]
        points = [self.rounded(x) for x in points]
        return sorted({self.hexadecimal(z): z for x in points for z in (x, -x)}.values())


F64 = Kind(
    "f64",
    "d",
    64,
    -1022,
    53,
    1.7976931348623157e308,
    [
        14.2,
        21.3,
        37.5,
        38.4,
        38.58,
        354.9,
        372.6,
        708.39,
        709.78,
        714.9,
        744.44,
        745.13,
        750.0,
        764.6,
    ],
)
F32 = Kind(
    "f32",
    "f",
    32,
    -126,
    24,
    3.4028234663852886e38,
    [10.3, 10.5, 13.0, 14.2, 14.4, 43.7, 51.9, 87.33, 88.72, 92.0, 103.97, 108.0, 115.8],
)


def entry(terms, kind):
    value = mp.fsum(terms)
    if abs(value) > mp.mpf(kind.largest):
        return "inf"
    largest = max(abs(term) for term in terms)
    unit = kind.unit(largest if abs(value) < largest / 4 else value)
    count = mp.nint(value / mp.mpf(2) ** unit * 1000)
    sign, count = ("-" if count < 0 else ""), int(abs(count))
    return f"{unit},{sign}{count // 1000}.{count % 1000:03}".replace(".000", "")


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    for kind in (F64, F32):
        points = kind.points(random.Random(1))
        with open(os.path.join(folder, f"ulps_{kind.name}.txt"), "w") as file:
            for name, g in ACTIVATIONS.items():
                file.write(f"{name}\n")
                for z in points:
                    entries = [entry(terms, kind) for terms in g(mp.mpf(z))]
                    file.write(" ".join([kind.hexadecimal(z)] + entries) + "\n")


if __name__ == "__main__":
    main()
