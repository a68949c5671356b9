"""Scaled rows, encoded labels and splits of scikit-learn, and permutations from an independent
implementation, for the tests in this folder.

    pip install numpy scikit-learn
    python generate.py > values.json

The last run used scikit-learn 1.9.1 and NumPy 2.4.6, as recorded in the field `versions`.
Everything is float64, and matrices are scikit-learn's, with one example per row. The permutations
are those of `permutation_into`, written only from its documentation."""

import json

import numpy as np
import sklearn
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
from sklearn.preprocessing import LabelBinarizer, LabelEncoder, MinMaxScaler, StandardScaler

MASK = 2**64 - 1


def waves(scale, start, *shape):
    """Numbers without a pattern that are the same everywhere and short in print."""
    return np.round(scale * np.sin(start + np.arange(np.prod(shape))), 3).reshape(shape)


# Usual, small, large with an offset, constant (0.1 is not a sum of powers of 2), constant up to
# rounding, and zero.
X = waves(1.5, 1, 9, 6)
X[:, 1] *= 1e-6
X[:, 2] = 1e8 + X[:, 2]
X[:, 3] = 0.1
X[:, 4] = 0.3
X[3, 4] = 0.1 + 0.2
X[:, 5] = 0
NEW = np.round(waves(2.0, 50, 4, 6), 3)


def scaled(scaler, *statistics):
    scaler.fit(X)
    values = {name: getattr(scaler, name + "_").tolist() for name in statistics}
    return values | {"x": scaler.transform(X).tolist(), "new": scaler.transform(NEW).tolist()}


SPECIES = ["virginica", "setosa", "virginica", "versicolor", "setosa"]
encoder = LabelEncoder().fit(SPECIES)

LABELS = [
    [0, 0, 1, 0, 1, 1, 0, 2, 2, 2, 0, 1],
    [7, 3, 3, 7, 7, 7, 3, 7, 3, 7, 7, 3, 7, 7, 7, 7, 3],
    [5] * 4 + [1] * 5 + [9] * 6 + [5] * 7 + [9] * 3,
]


def plain(m, k):
    tests = [test.tolist() for _, test in KFold(k).split(np.zeros(m))]
    return {"examples": m, "folds": k, "tests": tests}


def stratified(labels, k):
    splits = StratifiedKFold(k).split(np.zeros(len(labels)), labels)
    return {"labels": labels, "folds": k, "tests": [test.tolist() for _, test in splits]}


def shares(counts, tests):
    """Examples of each class in a stratified split; all remainders of these counts differ."""
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    _, test = train_test_split(labels, test_size=tests, stratify=labels, random_state=0)
    found = np.bincount(test, minlength=len(counts)).tolist()
    return {"counts": counts, "tests": tests, "test_counts": found}


def splitmix(state):
    """The generator of G. Steele, D. Lea and C. Flood (OOPSLA 2014), in S. Vigna's version."""
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


def xoshiro(seed):
    """xoshiro256++ 1.0 of D. Blackman and S. Vigna, seeded as they advise."""
    words = splitmix(seed)
    s = [next(words) for _ in range(4)]
    rotate = lambda x, k: ((x << k) | (x >> (64 - k))) & MASK
    while True:
        yield (rotate((s[0] + s[3]) & MASK, 23) + s[0]) & MASK
        t = (s[1] << 17) & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotate(s[3], 45)


def below(draws, n):
    """D. Lemire's bounded integers, as in the first listing that divides."""
    while True:
        product = next(draws) * n
        if (product & MASK) >= 2**64 % n:
            return product >> 64


def permutation(n, seed, epoch):
    mix = lambda x: next(splitmix(x))
    draws = xoshiro(mix((mix(seed) + epoch) & MASK))
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = below(draws, i + 1)
        order[i], order[j] = order[j], order[i]
    # As text, because some readers round JSON numbers above 2^53.
    return {"seed": str(seed), "epoch": str(epoch), "order": order}


values = {
    "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
    "x": X.tolist(),
    "new": NEW.tolist(),
    "standard": scaled(StandardScaler(), "mean", "scale"),
    "min_max": scaled(MinMaxScaler(), "data_min"),
    "interval": scaled(MinMaxScaler(feature_range=(-1, 2)), "data_min"),
    "species": SPECIES,
    "classes": encoder.classes_.tolist(),
    "labels": encoder.transform(SPECIES).tolist(),
    "one_hot": LabelBinarizer().fit_transform(SPECIES).tolist(),
    "k_fold": [plain(7, 3), plain(10, 5), plain(11, 2), plain(5, 5)],
    "stratified": [stratified(labels, k) for labels in LABELS for k in (2, 3)]
    + [stratified(LABELS[1], 5), stratified(LABELS[2], 5)],
    "shares": [
        shares([7, 2, 4], 5),
        shares([50, 30, 21], 17),
        shares([6, 4], 3),
        shares([9, 9, 9], 9),
    ],
    "permutations": [
        permutation(*of)
        for of in [
            (8, 7, 0),
            (8, 7, 1),
            (8, 8, 0),
            (1, 0, 0),
            (20, 0, 0),
            (20, MASK, MASK),
            (13, 123456789, 1000),
            (100, 1, 2),
        ]
    ],
}


lines = []
for name, value in values.items():
    if isinstance(value, list) and isinstance(value[0], dict):
        value = "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]"
    else:
        value = json.dumps(value)
    lines.append(f" {json.dumps(name)}: {value}")
print("{\n" + ",\n".join(lines) + "\n}")
