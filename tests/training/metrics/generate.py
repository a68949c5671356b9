"""Metrics of scikit-learn on small problems, for the tests in this folder.

    pip install numpy scikit-learn
    python generate.py > values.json

The last run used scikit-learn 1.9.1 and NumPy 2.4.6, as recorded in the field `versions`.
Everything is float64, and matrices are scikit-learn's, with one example per row. The argument
`labels` names classes that do not occur. Where scikit-learn raises, or warns and returns NaN, the
value is null. Outputs that are not finite are text: "nan" and "inf"."""

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


DIVISIONS = {"zero": 0.0, "one": 1.0, "exclude": np.nan}


def divided(y, read, count):
    """Each ratio with each average and each `zero_division`; null where the result is NaN."""
    found = {}
    for name in ["precision", "recall", "f1"]:
        score = getattr(metrics, name + "_score")
        for division, value in DIVISIONS.items():
            averaged = lambda average: score(
                y, read, labels=range(count), average=average, zero_division=value
            )
            averages = ["macro", "micro", "weighted"]
            of_classes = averaged(None).tolist()
            found[f"{name} {division}"] = {
                average: known(float(averaged(average))) for average in averages
            } | {"classes": [known(x) for x in of_classes]}
    return found


def known(x):
    return None if np.isnan(x) else x


def attempt(call):
    """The result, or null where scikit-learn raises, or warns and returns NaN."""
    try:
        return known(float(call()))
    except ValueError:
        return None


def zero_divisions(outputs, y):
    """Classes that do not occur or are never predicted."""
    count = outputs.shape[1]
    case = {"outputs": outputs.tolist(), "labels": y.tolist()}
    return case | divided(y, outputs.argmax(axis=1), count)


def multi_label(outputs, y):
    """Outputs of independent labels, and an indicator matrix."""
    read = (outputs > 0.5).astype(int)
    areas = {
        average: attempt(lambda: metrics.roc_auc_score(y, outputs, average=average))
        for average in ["macro", "micro", "weighted"]
    }
    return {
        "outputs": outputs.tolist(),
        "targets": y.tolist(),
        "accuracy": float(metrics.accuracy_score(y, read)),
        "hamming_loss": float(metrics.hamming_loss(y, read)),
        "roc_auc": areas,
    } | divided(y, read, y.shape[1])


def rank(outputs, y):
    """Outputs to be ranked, of one class, against labels 0 and 1."""
    area = attempt(lambda: metrics.roc_auc_score(y, outputs))
    return {"outputs": outputs.tolist(), "labels": y.tolist(), "roc_auc": area}


def probabilities(outputs, y):
    """Probabilities of classes, and labels."""
    count = 2 if outputs.ndim == 1 else outputs.shape[1]
    case = {
        "outputs": outputs.tolist(),
        "labels": y.tolist(),
        "log_loss": attempt(lambda: metrics.log_loss(y, outputs, labels=range(count))),
        "log_loss_f32": attempt(
            lambda: metrics.log_loss(y, outputs.astype(np.float32), labels=range(count))
        ),
    }
    if count > 2:
        area = lambda average: attempt(
            lambda: metrics.roc_auc_score(
                y, outputs, multi_class="ovr", average=average, labels=range(count)
            )
        )
        case["roc_auc"] = {name: area(name) for name in ["macro", "micro", "weighted"]}
        one = lambda c: attempt(lambda: metrics.roc_auc_score(y == c, outputs[:, c]))
        case["roc_auc"]["classes"] = [one(c) for c in range(count)]
    return case


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


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
LABELS_OF_4 = np.array([0, 1, 2, 3, 1, 1, 0, 2, 2, 3, 0, 1])
HALVES = np.array([[0.5, 0.1, 0.9, 0.2], [0.2, 0.5, 0.6, 0.5], [0.8, 0.7, 0.4, 0.1]])
SIX = np.array([0, 1, 2, 3, 4, 5] * 3)
values = {
    "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
    "classes": [
        classes(waves(1.0, 3, 12, 4), LABELS_OF_4),
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
    "zero_divisions": [
        zero_divisions(waves(1.0, 3, 12, 4), LABELS_OF_4),
        zero_divisions(
            waves(0.2, 9, 9, 5) + np.array([-1, 0, 0, 0, -2]), np.array([0, 1, 2, 2, 1, 1, 0, 2, 1])
        ),
        # One class only, and another one is predicted.
        zero_divisions(np.eye(3)[[1, 1, 1]], np.array([0, 0, 0])),
        zero_divisions(np.eye(3)[[0, 0]], np.array([0, 0])),
    ],
    "multi_label": [
        multi_label(np.abs(waves(1.0, 3, 14, 3)), (waves(1.0, 8, 14, 3) > 0).astype(int)),
        # An output of ½ is no label, label 2 is in every example, label 3 in none.
        multi_label(HALVES, np.array([[1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 1, 0]])),
        # No labels at all, and none predicted.
        multi_label(0.4 * np.abs(waves(1.0, 3, 5, 2)), np.zeros((5, 2), dtype=int)),
        multi_label(np.ones((3, 2)), np.ones((3, 2), dtype=int)),
        # Many equal outputs.
        multi_label(
            np.round(np.abs(waves(1.0, 21, 30, 2)), 1), (waves(1, 9, 30, 2) > 0.3).astype(int)
        ),
    ],
    "rank": [
        rank(waves(1.0, 11, 15), (waves(1.0, 4, 15) > 0).astype(int)),
        rank(np.round(waves(1.0, 11, 40), 1), (waves(1.0, 4, 40) > 0.4).astype(int)),
        rank(np.full(6, 0.3), np.array([0, 1, 1, 0, 0, 0])),
        rank(np.array([-0.0, 0.0, 1.0, -1.0]), np.array([0, 1, 1, 0])),
        rank(np.arange(5.0), np.array([0, 0, 0, 1, 1])),
        rank(np.arange(5.0), np.array([1, 1, 1, 0, 0])),
        rank(waves(1.0, 5, 4), np.zeros(4, dtype=int)),
        rank(waves(1.0, 5, 4), np.ones(4, dtype=int)),
        rank(waves(1.0, 5, 1), np.ones(1, dtype=int)),
        rank(np.array([0.1, np.nan]), np.array([0, 1])),
        rank(np.array([0.1, np.inf]), np.array([0, 1])),
    ],
    "probabilities": [
        probabilities(np.abs(waves(1.0, 11, 10)), np.array([0, 1, 0, 0, 1, 1, 0, 1, 0, 1])),
        # Clipped at both ends; one class only.
        probabilities(np.array([0.0, 1.0, 1e-300, 1 - 1e-16, 0.5]), np.array([1, 0, 1, 0, 1])),
        probabilities(np.array([0.0, 1.0, 0.25]), np.array([0, 1, 1])),
        probabilities(np.array([0.2, 0.7]), np.array([1, 1])),
        probabilities(softmax(waves(2.0, 3, 12, 4)), LABELS_OF_4),
        # Ties, and a class that does not occur.
        probabilities(np.full((4, 3), 1 / 3), np.array([0, 1, 2, 1])),
        probabilities(
            softmax(np.round(waves(2.0, 5, 9, 3))), np.array([0, 1, 1, 0, 0, 1, 0, 0, 1])
        ),
        probabilities(np.eye(3)[[0, 1, 2, 2]], np.array([0, 1, 1, 2])),
        # Not probabilities.
        probabilities(np.array([0.5, 1.5]), np.array([0, 1])),
        probabilities(np.array([0.5, -0.5]), np.array([0, 1])),
        probabilities(np.array([0.5, np.nan]), np.array([0, 1])),
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


def finite(value):
    """Numbers that JSON lacks, as text."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [finite(entry) for entry in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


lines = []
for name, value in values.items():
    if isinstance(value, list):
        value = "[\n  " + ",\n  ".join(map(json.dumps, map(finite, value))) + "\n ]"
    else:
        value = json.dumps(value)
    lines.append(f" {json.dumps(name)}: {value}")
print("{\n" + ",\n".join(lines) + "\n}")
