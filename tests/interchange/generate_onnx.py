"""Writes the files of tests/interchange/files/onnx with scikit-learn, PyTorch and Keras, and
`cases.json`: inputs of each, and what onnxruntime computes from them.

python tests/interchange/generate_onnx.py
"""

import json
import os
import pathlib
import warnings

os.environ["KERAS_BACKEND"] = "torch"
warnings.filterwarnings("ignore")

import keras
import numpy as np
import onnx
import onnxruntime
import torch
from keras import layers
from skl2onnx import to_onnx
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import nn

FILES = pathlib.Path(__file__).parent / "files" / "onnx"


ACTIVATIONS = "gelu silu elu selu softplus softsign mish leaky_relu exponential".split()


def scikit_learn():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    two = (x[:, 0] > 0).astype(int)
    three = two + (x[:, 1] > 0)
    settings = {"max_iter": 5, "random_state": 1}
    binary = MLPClassifier((4,), activation="tanh", **settings).fit(x, two)
    text = MLPClassifier((4,), activation="logistic", **settings).fit(x, np.array(["a", "b"])[two])
    several = MLPClassifier((4, 3), activation="relu", **settings).fit(x, three)
    regressor = MLPRegressor(hidden_layer_sizes=(4,), activation="identity", **settings)
    regressor.fit(x, 2 * x[:, 0])
    example = x[:1].astype(np.float32)
    yield "sklearn_binary", to_onnx(binary, example)
    yield "sklearn_binary_text", to_onnx(text, example)
    yield "sklearn_several", to_onnx(several, example)
    plain = {id(several): {"zipmap": False}}
    yield "sklearn_several_13", to_onnx(several, example, options=plain, target_opset=13)
    yield "sklearn_regressor", to_onnx(regressor, example)
    pipeline = make_pipeline(StandardScaler(), several).fit(5 * x + 3, three)
    options = {id(pipeline): {"zipmap": False}}
    yield "sklearn_pipeline", to_onnx(pipeline, example, options=options)
    double = {id(binary): {"zipmap": False}}
    yield "sklearn_binary_f64", to_onnx(binary, x[:1], options=double)
    # In float64 the scaler is a difference and a quotient, and this one is a product and a sum.
    options = {id(pipeline): {"zipmap": False}}
    yield "sklearn_pipeline_f64", to_onnx(pipeline, x[:1], options=options)
    pipeline = make_pipeline(MinMaxScaler(), several).fit(5 * x + 3, three)
    options = {id(pipeline): {"zipmap": False}}
    yield "sklearn_min_max", to_onnx(pipeline, example, options=options)


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.body = nn.Linear(4, 5), nn.Linear(5, 5)
        self.a, self.b = nn.Linear(5, 2), nn.Linear(5, 3)

    def forward(self, x):
        x = torch.tanh(self.trunk(x))
        x = x + torch.relu(self.body(x))
        return torch.cat([self.a(x), torch.softmax(self.b(x), -1)], 1)


def export(file, network, x, opset, dynamo):
    if dynamo:
        shapes = ({0: torch.export.Dim.DYNAMIC},)
        kwargs = {"dynamic_shapes": shapes, "external_data": False, "verbose": False}
    else:
        kwargs = {"dynamic_axes": {"x": {0: "N"}}}
    torch.onnx.export(
        network.eval(),
        (x,),
        file,
        opset_version=opset,
        dynamo=dynamo,
        input_names=["x"],
        **kwargs,
    )
    return onnx.load(file)


def pytorch():
    torch.manual_seed(0)
    units = nn.Sequential(
        nn.Linear(4, 6),
        nn.LayerNorm(6),
        nn.GELU(),
        nn.Linear(6, 6),
        nn.GELU(approximate="tanh"),
        nn.BatchNorm1d(6),
        nn.SiLU(),
        nn.Linear(6, 6),
        nn.Mish(),
        nn.Hardtanh(),
        nn.Softplus(),
        nn.ELU(),
        nn.SELU(),
        nn.Softsign(),
        nn.LeakyReLU(),
        nn.Dropout(0.3),
        nn.Linear(6, 2, bias=False),
    )
    for name, value in [("weight", 1.5), ("bias", 0.25), ("running_mean", 0.1)]:
        getattr(units[5], name).data.fill_(value)
    text = nn.Sequential(
        nn.Embedding(7, 3),
        nn.Linear(3, 4),
        nn.LayerNorm((5, 4)),
        nn.Flatten(),
        nn.Linear(20, 2),
        nn.Softmax(-1),
    )
    rms = nn.Sequential(nn.Linear(4, 4), nn.RMSNorm(4, eps=1e-5))
    x, ids = torch.randn(3, 4), torch.randint(0, 7, (3, 5))
    file = FILES / "torch.onnx"
    for opset, dynamo in [(13, False), (17, False), (18, True), (23, True)]:
        yield f"torch_{opset}", export(file, units, x, opset, dynamo)
        yield f"torch_text_{opset}", export(file, text, ids, opset, dynamo)
    for opset in [18, 23]:
        yield f"torch_rms_{opset}", export(file, rms, x, opset, True)
    yield "torch_heads", export(file, Heads(), x, 17, False)
    file.unlink()


def with_keras():
    def sequential(shape, *parts):
        return keras.Sequential([keras.Input(shape), *parts])

    keras.utils.set_random_seed(0)
    norm = layers.BatchNormalization()
    models = {
        "keras_dense": sequential(
            (4,),
            layers.Dense(6, activation="tanh"),
            layers.Dropout(0.2),
            layers.Dense(3, activation="softmax"),
        ),
        "keras_batch_norm": sequential(
            (4,), layers.Dense(6), norm, layers.Activation("relu"), layers.Dense(1)
        ),
        "keras_activations": sequential(
            (4,),
            *[layers.Dense(5, activation=name) for name in ACTIVATIONS],
        ),
        "keras_text": sequential((5,), layers.Embedding(7, 3), layers.Flatten(), layers.Dense(2)),
        "keras_sequence": sequential(
            (5, 4), layers.Dense(3, activation="relu"), layers.Flatten(), layers.Dense(2)
        ),
    }
    gamma, beta, mean, variance = norm.get_weights()
    norm.set_weights([gamma + 0.5, beta - 0.25, mean + 0.1, variance * 2])
    x = keras.Input((4,))
    trunk = layers.Dense(6, activation="tanh")(x)
    trunk = layers.Add()([trunk, layers.Dense(6, activation="relu")(trunk)])
    heads = [layers.Dense(3, activation="softmax"), layers.Dense(1, activation="silu")]
    models["keras_heads"] = keras.Model(x, layers.Concatenate()([head(trunk) for head in heads]))
    for name, model in models.items():
        model(np.zeros((2, *model.input_shape[1:])))
        file = FILES / "keras.onnx"
        model.export(file, format="onnx", verbose=False)
        yield name, onnx.load(file)
        file.unlink()


def without_traces(model):
    """Removes the places of Python code, which hold paths of this machine."""
    for part in [model, model.graph, *model.graph.node, *model.graph.value_info]:
        part.doc_string = ""
        del part.metadata_props[:]
    for part in [*model.graph.input, *model.graph.output, *model.graph.initializer]:
        part.doc_string = ""
        del part.metadata_props[:]
    return model


def case(name, model):
    (input,) = model.graph.input
    dims = [3] + [dim.dim_value for dim in input.type.tensor_type.shape.dim[1:]]
    kind = onnx.helper.tensor_dtype_to_np_dtype(input.type.tensor_type.elem_type)
    rng = np.random.default_rng(3)
    has_ids = name.startswith(("torch_text", "keras_text"))
    x = rng.integers(0, 7, dims) if has_ids else rng.normal(size=dims)
    x = x.astype(kind)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    outputs = session.run(None, {input.name: x})[-1]
    if isinstance(outputs, list):
        outputs = [list(probabilities.values()) for probabilities in outputs]
    outputs = np.array(outputs, dtype=float).reshape(3, -1)
    if "binary" in name:
        outputs = outputs[:, 1:]
    x = x.astype(float).reshape(3, -1)
    return {"file": f"{name}.onnx", "x": x.tolist(), "outputs": outputs.tolist()}


def main():
    FILES.mkdir(exist_ok=True)
    cases = []
    for models in [scikit_learn(), pytorch(), with_keras()]:
        for name, model in models:
            model = without_traces(model)
            onnx.save(model, FILES / f"{name}.onnx")
            cases.append(case(name, model))
    text = ",\n".join(json.dumps(case) for case in cases)
    (FILES / "cases.json").write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    main()
