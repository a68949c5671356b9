"""Metrics of scikit-learn on small problems, for the tests in this folder.

    pip install numpy scikit-learn
    python generate.py > values.json

The last run used scikit-learn 1.9.1 and NumPy 2.4.6, as recorded in the field `versions`.
Everything is float64, and matrices are scikit-learn's, with one example per row. The argument
`labels` names classes that do not occur."""

import json
import warnings

import numpy as np
import sklearn
from sklearn import metrics

warnings.filterwarnings("ignore", module="sklearn")  # divisions by zero, which are 0


def waves(scale, start, *shape):
    """Numbers without a pattern that are the same everywhere and short in print."""
    return np.round(scale * np.sin(start + np.arange(np.prod(shape))), 3).reshape(shape)


def ratios(y, read, classes):
    found = {}
    for name in ["precision", "recall", "f1"]:
        score = getattr(metrics, name + "_score")
        averaged = lambda average: score(
            y, read, labels=range(classes), average=average, zero_division=0
        )
        found[name] = {
            "macro": float(averaged("macro")),
            "micro": float(averaged("micro")),
            "classes": averaged(None).tolist(),
        }
    return found


def classes(outputs, y):
    """Outputs of several classes, no two of them equal, and labels."""
    count = outputs.shape[1]
    read = outputs.argmax(axis=1)
    top = lambda k: float(metrics.top_k_accuracy_score(y, outputs, k=k, labels=range(count)))
    return {
        "outputs": outputs.tolist(),
        "labels": y.tolist(),
        "accuracy": float(metrics.accuracy_score(y, read)),
        "top_k": [top(k) for k in range(1, count + 1)],
        "confusion": metrics.confusion_matrix(y, read, labels=range(count)).tolist(),
    } | ratios(y, read, count)


def binary(outputs, y):
    """One output, and labels 0 and 1."""
    read = (outputs > 0.5).astype(int)
    averaged = lambda score: float(score(y, read, average="binary", zero_division=0))
    scores = [metrics.precision_score, metrics.recall_score, metrics.f1_score]
    return {
        "outputs": outputs.tolist(),
        "labels": y.tolist(),
        "accuracy": float(metrics.accuracy_score(y, read)),
        "confusion": metrics.confusion_matrix(y, read, labels=range(2)).tolist(),
        "binary": [averaged(score) for score in scores],
    } | ratios(y, read, 2)


def numbers(outputs, y):
    return {
        "outputs": outputs.tolist(),
        "targets": y.tolist(),
        "r2": float(metrics.r2_score(y, outputs)),
        "mean_absolute_error": float(metrics.mean_absolute_error(y, outputs)),
        "mean_squared_error": float(metrics.mean_squared_error(y, outputs)),
    }


Y = waves(2.0, 70, 11, 3)
CONSTANT = Y.copy()
CONSTANT[:, 1] = 0.25
MET = CONSTANT + waves(0.5, 5, 11, 3)
MET[:, 1] = 0.25
SIX = np.array([0, 1, 2, 3, 4, 5] * 3)
values = {
    "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
    "classes": [
        classes(waves(1.0, 3, 12, 4), np.array([0, 1, 2, 3, 1, 1, 0, 2, 2, 3, 0, 1])),
        # Class 3 does not occur, class 0 is never predicted, and class 4 neither occurs nor is
        # predicted.
        classes(
            waves(0.2, 9, 9, 5) + np.array([-1, 0, 0, 0, -2]), np.array([0, 1, 2, 2, 1, 1, 0, 2, 1])
        ),
        classes(waves(0.9, 31, 18, 6) + 0.7 * np.eye(6)[SIX], SIX),
    ],
    "binary": [
        binary(np.abs(waves(1.0, 11, 10)), np.array([0, 1, 0, 0, 1, 1, 0, 1, 0, 1])),
        binary(0.4 * np.abs(waves(1.0, 11, 5)), np.array([0, 1, 0, 0, 1])),
        binary(0.4 * np.abs(waves(1.0, 11, 4)), np.zeros(4, dtype=int)),
    ],
    "numbers": [
        numbers(Y + waves(0.7, 20, 11, 3), Y),
        numbers(waves(3.0, 33, 11, 3), Y),
        numbers(waves(3.0, 33, 8, 1), 1e6 + waves(1.0, 2, 8, 1)),
        numbers(CONSTANT + waves(0.5, 5, 11, 3), CONSTANT),
        numbers(MET, CONSTANT),
        numbers(Y, Y),
    ],
}
lines = []
for name, value in values.items():
    if isinstance(value, list):
        value = "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]"
    else:
        value = json.dumps(value)
    lines.append(f" {json.dumps(name)}: {value}")
print("{\n" + ",\n".join(lines) + "\n}")
