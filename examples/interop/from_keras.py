"""Writes a Keras `Sequential` model as JSON for the Rust crate `backprop`.

    python examples/interop/from_keras.py [folder]

This script uses TensorFlow if it is installed: with JAX or PyTorch, Keras computes float64 models
in float32 (keras-team/keras#23704).
"""

import importlib.util
import os
import pathlib
import sys

backends = [name for name in ("tensorflow", "jax", "torch") if importlib.util.find_spec(name)]
os.environ.setdefault("KERAS_BACKEND", backends[0])
import backprop_json as bp
import keras
import numpy
from keras import layers

SAME = "sigmoid tanh relu selu softplus softsign gelu silu mish hard_tanh exponential softmax"
ACTIVATIONS = {name: name for name in SAME.split()} | {
    "linear": "identity",
    "elu": {"elu": {"alpha": 1.0}},
    "leaky_relu": {"leaky_relu": {"slope": 0.2}},
}


def array(variable):
    return None if variable is None else keras.ops.convert_to_numpy(variable).astype("float64")


def activation(m):
    for name, ours in ACTIVATIONS.items():
        if m.activation is getattr(keras.activations, name):
            return ours
    raise TypeError(f"the activation of {m} has no counterpart: {m.get_config()}")


def convert(m):
    """The layer for a Keras layer. A pattern admits only options with a counterpart here."""
    match m:
        case keras.Sequential():
            return bp.sequential([convert(layer) for layer in m.layers])
        case layers.Dense():
            return bp.dense(array(m.kernel), array(m.bias), activation(m))
        case layers.Activation():
            return bp.activate(activation(m))
        case layers.LeakyReLU():
            return bp.activate({"leaky_relu": {"slope": float(m.negative_slope)}})
        case layers.ELU():
            return bp.activate({"elu": {"alpha": float(m.alpha)}})
        case layers.ReLU(max_value=None, negative_slope=0.0, threshold=0.0):
            return bp.activate("relu")
        case layers.Softmax(axis=-1):
            return bp.activate("softmax")
        case layers.Flatten():
            return bp.flatten()
        case layers.Embedding(mask_zero=False):
            return bp.embedding(array(m.embeddings))
        case layers.Dropout(noise_shape=None) if type(m) is layers.Dropout:
            return bp.dropout(m.rate)
        case layers.BatchNormalization(axis=-1, renorm=False):
            arrays = m.gamma, m.beta, m.moving_mean, m.moving_variance
            return bp.batch_norm(*map(array, arrays), m.epsilon, 1 - m.momentum)
        case layers.LayerNormalization(rms_scaling=False, axis=[-1] | [-2, -1] as axis):
            return bp.layer_norm(array(m.gamma), array(m.beta), m.epsilon, len(axis))
        case layers.RMSNormalization(axis=[-1] | [-2, -1] as axis):
            return bp.rms_norm(array(m.scale), m.epsilon, len(axis))
    raise TypeError(f"{m} has no counterpart: {m.get_config()}")


def export(name, model, x):
    """Fills the model with fixed numbers, and writes it with the outputs that Keras computes."""
    for i, variable in enumerate(model.weights):
        numbers = bp.sample(*variable.shape, start=i)
        variable.assign(abs(numbers) + 0.5 if variable.name == "moving_variance" else numbers)
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "examples/interop/files")
    bp.write(folder / f"{name}.json", x.shape[1], [convert(layer) for layer in model.layers])
    outputs = keras.ops.convert_to_numpy(model(x, training=False))
    versions = {"keras": keras.__version__, "backend": keras.backend.backend()}
    bp.write_example(folder / f"{name}.io.json", x, outputs, **versions)


keras.config.set_floatx("float64" if keras.backend.backend() == "tensorflow" else "float32")
GS = "sigmoid relu elu exponential softplus softsign selu hard_tanh tanh silu mish"
denses = [layers.Dense(6, g) for g in GS.split()] + [layers.Dense(6)]
x = bp.sample(5, 6, start=40)
export("keras_activations", keras.Sequential([keras.Input((6,)), *denses]), x)
stack = [
    layers.Embedding(7, 3),
    layers.LayerNormalization(axis=[-2, -1], epsilon=0.125, center=False),
    layers.BatchNormalization(momentum=0.75, epsilon=0.25),
    layers.RMSNormalization(),
    layers.Flatten(),
    layers.Dropout(0.5),
    layers.Dense(5, use_bias=False),
    layers.BatchNormalization(scale=False),
    layers.LeakyReLU(0.25),
    keras.Sequential([layers.Dense(4), layers.ELU(0.75), layers.LayerNormalization(scale=False)]),
    layers.Dense(4, "softmax"),
]
ids = numpy.array([[0, 6, 2, 2], [5, 1, 3, 4], [6, 6, 0, 1]])
export("keras_layers", keras.Sequential([keras.Input((4,)), *stack]), ids)
# In TensorFlow, √2 in GELU is rounded, and the slope of leaky ReLU is a float32.
keras.config.set_dtype_policy("float32")
denses = [layers.Dense(6, "leaky_relu"), layers.Dense(6, "gelu"), layers.Dense(6)]
export("keras_float32", keras.Sequential([keras.Input((6,)), *denses]), x)
