"""Tables that scikit-learn transforms, with the steps of our pipelines, for `tables.rs`.

    pip install numpy scikit-learn
    python tables.py > tables.json

The last run used scikit-learn 1.9.1 and NumPy 2.4.6, as recorded in the field `versions`. A case
has the rows to fit, new rows, and both after the transformation, with one example per row. The
value `null` stands for a missing value, and for a result where scikit-learn raises an error."""

import json
import warnings

import numpy as np
import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    StandardScaler,
)

NAN = float("nan")
waves = np.round(1.5 * np.sin(1 + np.arange(40)), 3)

FIT = {
    "plain": waves[:8].tolist(),
    "gaps": [0.5, NAN, 2.25, -1.0, NAN, 7.5, 0.1, 3.0],
    "ties": [3.0, 1.0, NAN, 1.0, 3.0, -0.0, 2.0, 0.0],
    "offset": [1.7e2, 1.7e2 + 1, NAN, 1.7e2 + 3, 1.7e2, 1.7e2 + 7, NAN, 1.7e2 + 2],
    "constant": [0.1, 0.1, 0.1, NAN, 0.1, 0.1, 0.1, 0.1],
    "alone": [NAN, NAN, NAN, NAN, NAN, 4.5, NAN, NAN],
    "void": [NAN] * 8,
    "colour": ["red", "green", "blue", "red", "green", "blue", "red", "green"],
    "holes": ["b", None, "a", "b", None, "a", "c", None],
    "same": ["x"] * 8,
    "accents": ["é", "e", "Z", "z", "ß", "日本", "", "e"],
    "nothing": [None] * 8,
}
NEW = {
    "plain": [0.3, NAN, -2.0],
    "gaps": [NAN, 1e6, 0.0],
    "ties": [NAN, 5.0, 3.0],
    "offset": [1.7e2 + 5, NAN, 0.0],
    "constant": [0.1, NAN, 5.0],
    "alone": [NAN, 4.5, -4.5],
    "void": [NAN, 1.0, 2.0],
    "colour": ["blue", "red", "blue"],
    "holes": ["c", None, "a"],
    "same": ["x", "x", "x"],
    "accents": ["ß", "", "z"],
    "nothing": [None, None, None],
}
NUMBERS = ["plain", "gaps", "ties", "offset", "constant", "alone"]
SCALERS = {
    None: lambda: None,
    "standardize": StandardScaler,
    "min_max": lambda: MinMaxScaler(feature_range=(-1, 1)),
}


def numbers(columns, fill=None, constant=None, indicator=False, scale=None):
    return {
        "kind": "numbers",
        "columns": columns,
        "fill": fill,
        "constant": constant,
        "indicator": indicator,
        "scale": scale,
    }


def categories(columns, fill=None, constant=None, zeros=False, scale=None):
    return {
        "kind": "categories",
        "columns": columns,
        "fill": fill,
        "constant": constant,
        "zeros": zeros,
        "scale": scale,
    }


def transformer(group):
    """The steps of a column. A column is an entry of its own, so its indicator follows it."""
    missing = np.nan if group["kind"] == "numbers" else None
    steps = []
    if group["fill"]:
        steps.append(
            SimpleImputer(
                missing_values=missing,
                strategy=group["fill"],
                fill_value=group["constant"],
                add_indicator=group.get("indicator", False),
            )
        )
    if group["kind"] == "categories":
        unknown = "ignore" if group["zeros"] else "error"
        steps.append(OneHotEncoder(handle_unknown=unknown, sparse_output=False))
    if group["scale"]:
        steps.append(SCALERS[group["scale"]]())
    return make_pipeline(*steps) if steps else "passthrough"


def array(table, columns):
    kind = object if isinstance(FIT[columns[0]][-1], (str, type(None))) else float
    return np.array([table[name] for name in columns], kind).T


def matrix(table, groups):
    """All columns of the groups as one array of objects."""
    return np.concatenate([array(table, group["columns"]).astype(object) for group in groups], 1)


def floats(group):
    """Converts an array of objects back to numbers."""
    if group["kind"] == "numbers":
        return FunctionTransformer(lambda x: np.asarray(x, float))
    return FunctionTransformer(lambda x: x)


def run(name, groups, fit=FIT, new=NEW):
    used = [column for group in groups for column in group["columns"]]
    case = {
        "name": name,
        "groups": groups,
        "fit": {column: rows(fit[column]) for column in used},
        "new": {column: rows(new[column]) for column in used},
    }
    x = matrix(fit, groups)
    steps = [make_pipeline(floats(g), transformer(g)) for g in groups for _ in g["columns"]]
    parts = [(str(k), step, [k]) for k, step in enumerate(steps)]
    whole = ColumnTransformer(parts)
    case["x"] = case["x_new"] = None
    with warnings.catch_warnings():
        # A column that scikit-learn drops with a warning is refused by us.
        warnings.filterwarnings("error", message="Skipping features without any observed values")
        warnings.filterwarnings("ignore", message="Found unknown categories")
        try:
            case["x"] = finite(whole.fit_transform(x))
            case["x_new"] = finite(whole.transform(matrix(new, groups)))
        except (ValueError, UserWarning) as error:
            case["error"] = str(error)
    return case


def finite(x):
    """A network takes no NaN, so where scikit-learn leaves one, there is no result."""
    x = np.asarray(x, float)
    if not np.isfinite(x).all():
        raise ValueError("NaN or infinity is left")
    return x.tolist()


def rows(values):
    return [
        None if value != value else "inf" if value == float("inf") else value for value in values
    ]


cases = []
for fill in ["mean", "median", "most_frequent", "constant"]:
    for indicator in [False, True]:
        for scale in SCALERS:
            group = numbers(NUMBERS, fill, 2.5 if fill == "constant" else None, indicator, scale)
            cases.append(run(f"{fill}, indicator {indicator}, {scale}", [group]))
for name in ["gaps", "alone", "constant", "plain"]:
    cases.append(run(f"{name} alone", [numbers([name], "mean", None, True, "standardize")]))
cases.append(run("numbers as they are", [numbers(["plain"])], new=NEW | {"plain": [1.0, 2.0, 3.0]}))
cases.append(run("a missing number is left", [numbers(["gaps"])]))
cases.append(run("a constant fills an empty column", [numbers(["void"], "constant", -1.0, True)]))
for fill in ["mean", "median", "most_frequent"]:
    cases.append(run(f"{fill} of an empty column", [numbers(["void"], fill)]))
infinite = NEW | {"gaps": [float("inf"), 1.0, 2.0]}
cases.append(run("infinity", [numbers(["gaps"], "mean")], new=infinite))

TEXT = ["colour", "same", "accents", "holes"]
for fill, constant in [(None, None), ("most_frequent", None), ("constant", "b"), ("constant", "?")]:
    for zeros in [False, True]:
        group = categories(TEXT, fill, constant, zeros)
        cases.append(run(f"categories, {fill} {constant}, zeros {zeros}", [group]))
unknown = NEW | {"colour": ["blue", "violet", "red"]}
gap = NEW | {"colour": ["blue", None, "red"]}
for zeros in [False, True]:
    cases.append(run(f"unknown, {zeros}", [categories(["colour"], zeros=zeros)], new=unknown))
    cases.append(run(f"unseen gap, {zeros}", [categories(["colour"], zeros=zeros)], new=gap))
for scale in ["standardize", "min_max"]:
    group = categories(TEXT, "most_frequent", scale=scale)
    cases.append(run(f"categories, {scale}", [group]))
cases.append(run("a filled gap", [categories(["colour"], "most_frequent")], new=gap))
cases.append(run("a gap with an unseen fill", [categories(["colour"], "constant", "?")], new=gap))
cases.append(run("most frequent of nothing", [categories(["nothing"], "most_frequent")]))
cases.append(run("a constant for nothing", [categories(["nothing"], "constant", "?")]))
cases.append(run("the mean of text", [numbers(["colour"], "mean")]))

mixed = [
    categories(["holes"], "constant", "none"),
    numbers(["gaps", "plain"], "median", None, True, "standardize"),
    numbers(["ties"], "most_frequent", None, False, "min_max"),
    categories(["colour", "same"], zeros=True),
]
cases.append(run("mixed", mixed, new=unknown))
one = {name: values[5:6] for name, values in FIT.items()}
cases.append(run("one row", mixed, fit=one, new=one))

versions = {"scikit-learn": sklearn.__version__, "numpy": np.__version__}
print("{" + f'"versions": {json.dumps(versions)}, "cases": [')
print(",\n".join(json.dumps(case, ensure_ascii=False) for case in cases))
print("]}")
