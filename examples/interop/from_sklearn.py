"""Writes a scikit-learn network, or a pipeline of `StandardScaler` and a network, as JSON for the
Rust crate `backprop`.

    python examples/interop/from_sklearn.py [folder]
"""

import pathlib
import sys
import warnings

import backprop_json as bp
import numpy
import sklearn
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

NAMES = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
NAMES |= {"softmax": "softmax", "exp": "exponential"}


def convert(model, scaler=None):
    """The layers of a network. The scaler becomes part of the first layer."""
    hidden = [model.activation] * (len(model.coefs_) - 1)
    kernels, biases = [*model.coefs_], [*model.intercepts_]
    if scaler is not None:
        # ((x - mean)/scale) kernel + bias
        first = kernels[0]
        kernels[0] = first / (1 if scaler.scale_ is None else scaler.scale_)[:, None]
        biases[0] = biases[0] - (0 if scaler.mean_ is None else scaler.mean_) @ kernels[0]
    names = [NAMES[name] for name in [*hidden, model.out_activation_]]
    return [bp.dense(*layer) for layer in zip(kernels, biases, names, strict=True)]


def export(name, pipeline, x, y):
    """Fills the network with fixed numbers, and writes it with the outputs of scikit-learn."""
    model = pipeline.fit(x, y)[-1]  # creates the attributes
    for i, arrays in enumerate([model.coefs_, model.intercepts_]):
        for l, array in enumerate(arrays):
            array[...] = bp.sample(*array.shape, start=i + 2 * l)
    scaler = pipeline[0] if len(pipeline) > 1 else None
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "examples/interop/files")
    bp.write(folder / f"{name}.json", x.shape[1], convert(model, scaler))
    outputs = getattr(pipeline, "predict_proba", pipeline.predict)(x).reshape(len(x), -1)
    outputs = outputs[:, -model.n_outputs_ :]  # for two classes, only the second
    bp.write_example(folder / f"{name}.io.json", x, outputs, sklearn=sklearn.__version__)


warnings.filterwarnings("ignore", module="sklearn")  # one epoch does not converge
x = bp.sample(12, 3) * [1.0, 20.0, 300.0] + [0.0, 5.0, -70.0]
options = {"max_iter": 1, "random_state": 0}
classes, labels = numpy.arange(12) % 4, bp.sample(12, 2, start=9) > 0
for name, model, y in (
    ("classes", MLPClassifier((5, 4), "tanh", **options), classes),
    ("two_classes", MLPClassifier((5,), "logistic", **options), classes % 2),
    ("labels", MLPClassifier((5,), "identity", **options), labels),
    ("numbers", MLPRegressor("squared_error", (5, 4), "relu", **options), bp.sample(12, 2)),
    ("counts", MLPRegressor("poisson", (5,), "tanh", **options), classes),
):
    scaled = make_pipeline(StandardScaler(), model) if name != "counts" else make_pipeline(model)
    export(f"sklearn_{name}", scaled, x if name != "counts" else bp.sample(12, 3), y)
