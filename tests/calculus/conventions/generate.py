"""Losses, gradients and steps of scikit-learn, PyTorch and Keras on one small problem, for the
tests in this folder.

    pip install numpy scikit-learn torch keras tensorflow-cpu
    python generate.py > values.json

The last run used scikit-learn 1.9.1, PyTorch 2.15.0, Keras 3.15.1 on TensorFlow 2.21.0, and NumPy
2.4.6, as recorded in the field `versions`. Keras runs on TensorFlow because its other backends
compute a float64 model in float32 (keras-team/keras#23704).

The network has 3 inputs, 5 tanh units and 4 outputs; there are 7 examples. No two of these numbers
are equal, so a mean over one of them cannot pass for a mean over another. Everything is float64.
Results are recorded as each library returns them: matrices in its own layout, one example per row,
with nothing scaled or converted."""

import json
import os
import subprocess
import sys
import warnings

import numpy as np

# One process cannot load both PyTorch and TensorFlow, because each brings an LLVM. Keras therefore
# runs in its own process.
ONLY_KERAS = sys.argv[1:] == ["keras"]
if ONLY_KERAS:
    os.environ |= {
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }
    import keras
    import tensorflow

    keras.config.set_floatx("float64")
else:
    import sklearn
    import torch
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    torch.set_default_dtype(torch.float64)
    warnings.filterwarnings("ignore", module="sklearn")  # one epoch does not converge

M, N, HIDDEN, K = 7, 3, 5, 4


def waves(scale, start, *shape):
    """Numbers without a pattern that are the same everywhere and short in print."""
    return np.round(scale * np.sin(start + np.arange(np.prod(shape))), 3).reshape(shape)


X = waves(1.5, 1, M, N)
CLASSES = np.array([2, 0, 1, 3, 1, 2, 0])
ONE_HOT = np.eye(K)[CLASSES]
LABELS = (waves(1, 40, M, K) > 0).astype(float)
REALS = waves(2.0, 70, M, K)
COUNTS = np.round(2 + waves(2.0, 100, M, K))
WEIGHTS = [waves(0.9, 200, HIDDEN, N), waves(0.7, 300, K, HIDDEN)]  # units × inputs
BIASES = [waves(0.4, 400, HIDDEN), waves(0.3, 500, K)]
# The same with some weights at 0, the kink of L1.
SPARSE = [np.where(np.abs(w) < 0.3, 0.0, w) for w in WEIGHTS]
EXAMPLE_WEIGHTS = np.array([0.5, 2.0, 1.0, 0.0, 3.0, 1.5, 0.25])
CLASS_WEIGHTS = np.array([0.5, 2.0, 1.25, 3.0])
RATE, ALPHA, DECAY = 0.25, 0.7, 0.15
R = 0.0625  # exact in float32, to which Keras rounds its regularisation strengths
L1, L2 = 0.4, 0.9
BATCH = 5  # the other batch has 2
GAMMA, BETA = np.array([0.5, -1.5, 2.0]), np.array([0.25, 0.75, -1.0])
STEPS = waves(1.2, 600, 2, 4, N)  # 2 sequences of 4 steps, or 2 images


def case(loss, weights, biases, **more):
    return {"loss": float(loss), "weights": weights, "biases": biases, **more}


# scikit-learn


def mlp(kind, y, **options):
    """An MLP with our parameters. `coefs_[l]` is inputs × units."""
    model = kind(
        hidden_layer_sizes=(HIDDEN,), activation="tanh", alpha=ALPHA, solver="sgd",
        max_iter=1, warm_start=True,
        shuffle=False, momentum=0.0, learning_rate_init=RATE, random_state=0, **options,
    )  # fmt: skip
    model.fit(X, y)  # creates the attributes
    model.coefs_ = [w.T.copy() for w in WEIGHTS]
    model.intercepts_ = [b.copy() for b in BIASES]
    return model


def mlp_case(model, y, rows=slice(None), sample_weight=None, **more):
    """The loss and the gradients that the solvers receive."""
    target = model._label_binarizer.transform(y) if isinstance(model, MLPClassifier) else y
    loss, coefs, intercepts = model._backprop(
        X[rows],
        target[rows].astype(float),
        sample_weight,
        [X[rows], None, None],
        [None] * 2,
        [None] * 2,
        [None] * 2,
    )
    return case(loss, coefs, intercepts, **more)


def scikit_learn():
    softmax, logistic = mlp(MLPClassifier, CLASSES), mlp(MLPClassifier, LABELS)
    squared, poisson = mlp(MLPRegressor, REALS), mlp(MLPRegressor, COUNTS, loss="poisson")
    batches = mlp(MLPClassifier, CLASSES, batch_size=BATCH)
    epoch = batches.fit(X, CLASSES)  # one epoch of two batches, from our parameters
    return {
        "alpha": ALPHA,
        "rate": RATE,
        "batch": BATCH,
        "parameters": {"weights": softmax.coefs_, "biases": softmax.intercepts_},
        "softmax": mlp_case(softmax, CLASSES, outputs=softmax.predict_proba(X)),
        "softmax_weighted": mlp_case(softmax, CLASSES, sample_weight=EXAMPLE_WEIGHTS),
        "logistic": mlp_case(logistic, LABELS, outputs=logistic.predict_proba(X)),
        "squared": mlp_case(squared, REALS, outputs=squared.predict(X)),
        "poisson": mlp_case(poisson, COUNTS, outputs=poisson.predict(X)),
        "batches": [
            mlp_case(softmax, CLASSES, rows) for rows in (slice(BATCH), slice(BATCH, None))
        ],
        "after_epoch": {"weights": epoch.coefs_, "biases": epoch.intercepts_},
    }


# PyTorch


def linear_layers(weights):
    """`Linear.weight` is units × inputs."""
    net = torch.nn.Sequential(
        torch.nn.Linear(N, HIDDEN), torch.nn.Tanh(), torch.nn.Linear(HIDDEN, K)
    )
    with torch.no_grad():
        for layer, weight, bias in zip((net[0], net[2]), weights, BIASES):
            layer.weight.copy_(torch.tensor(weight))
            layer.bias.copy_(torch.tensor(bias))
    return net


def read(net, what=lambda parameter: parameter):
    array = lambda parameter: what(parameter).detach().numpy().copy()
    layers = net[0], net[2]
    return {"weights": [array(l.weight) for l in layers], "biases": [array(l.bias) for l in layers]}


def torch_case(
    loss,
    target,
    output=lambda z: z,
    weights=WEIGHTS,
    penalty=lambda weights: 0.0,
    backward=1,
    **more,
):
    net = linear_layers(weights)
    for _ in range(backward):
        value = loss(output(net(torch.tensor(X))), torch.tensor(target))
        value = value + penalty([net[0].weight, net[2].weight])
        value.backward()
    return case(value.detach(), **read(net, lambda parameter: parameter.grad), **more)


def sgd_step(decay_biases):
    """The parameters after one step of `torch.optim.SGD` with weight decay."""
    net = linear_layers(WEIGHTS)
    weights, biases = [net[0].weight, net[2].weight], [net[0].bias, net[2].bias]
    if decay_biases:
        groups = net.parameters()
    else:
        groups = [{"params": weights}, {"params": biases, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=RATE, weight_decay=DECAY)
    torch.nn.CrossEntropyLoss()(net(torch.tensor(X)), torch.tensor(CLASSES)).backward()
    optimizer.step()
    return read(net)


def batch_norm():
    """Two training batches, and an evaluation; the running statistics after each batch."""
    result = {}
    for name, momentum in (("momentum", 0.25), ("cumulative", None)):
        norm = torch.nn.BatchNorm1d(N, momentum=momentum)
        with torch.no_grad():
            norm.weight.copy_(torch.tensor(GAMMA))
            norm.bias.copy_(torch.tensor(BETA))
        # Frozen parameters do not stop the statistics.
        norm.requires_grad_(name == "momentum")
        steps = []
        for rows in (slice(BATCH), slice(BATCH, None)):
            outputs = norm(torch.tensor(X[rows]))
            step = {"outputs": outputs, "mean": norm.running_mean, "variance": norm.running_var}
            steps.append({name: value.detach().numpy().copy() for name, value in step.items()})
        result[name] = {"steps": steps, "evaluated": norm.eval()(torch.tensor(X)).detach().numpy()}
    try:
        torch.nn.BatchNorm1d(N)(torch.tensor(X[:1]))
        result["refuses_one_value"] = False
    except ValueError:
        result["refuses_one_value"] = True
    return result


def norms_of_axes():
    """The norms over one axis and over two, with the default eps and γ = 1, β = 0."""
    result = {}
    for name, kind in (("layer_norm", torch.nn.LayerNorm), ("rms_norm", torch.nn.RMSNorm)):
        norms = kind(N), kind((4, N))
        outputs = [norm(torch.tensor(STEPS)).detach().numpy() for norm in norms]
        result[name] = {"eps": norms[0].eps, "one_axis": outputs[0], "two_axes": outputs[1]}
    return result


def pytorch():
    nn, t = torch.nn, torch.tensor
    sums = {"reduction": "sum"}
    net = linear_layers(WEIGHTS)
    outputs = torch.softmax(net(t(X)), dim=1).detach().numpy()
    example_weights = t(EXAMPLE_WEIGHTS)[:, None]
    elastic = lambda l1, l2: (
        lambda ws: sum(a * w.abs().sum() + b / 2 * (w**2).sum() for a, b, w in zip(l1, l2, ws)) / M
    )
    layers_l1, layers_l2 = [0.3, 0.8], [1.1, 0.2]
    return {
        "rate": RATE,
        "weight_decay": DECAY,
        "parameters": read(net),
        "softmax_outputs": outputs,
        "cross_entropy": torch_case(nn.CrossEntropyLoss(), CLASSES),
        "cross_entropy_sum": torch_case(nn.CrossEntropyLoss(**sums), CLASSES),
        "cross_entropy_class_weights": torch_case(nn.CrossEntropyLoss(t(CLASS_WEIGHTS)), CLASSES),
        "cross_entropy_class_weights_one_hot": torch_case(
            nn.CrossEntropyLoss(t(CLASS_WEIGHTS)), ONE_HOT
        ),
        "bce_with_logits": torch_case(nn.BCEWithLogitsLoss(), LABELS),
        "bce_with_logits_sum": torch_case(nn.BCEWithLogitsLoss(**sums), LABELS),
        "bce_pos_weight": torch_case(
            nn.BCEWithLogitsLoss(pos_weight=t(CLASS_WEIGHTS)), LABELS
        ),
        "bce_weighted": torch_case(nn.BCELoss(example_weights), LABELS, torch.sigmoid),
        "mse": torch_case(nn.MSELoss(), REALS),
        "mse_sum": torch_case(nn.MSELoss(**sums), REALS),
        "huber": torch_case(nn.HuberLoss(delta=0.75), REALS, delta=0.75),
        "smooth_l1": torch_case(nn.SmoothL1Loss(beta=0.75), REALS, beta=0.75),
        "poisson": torch_case(nn.PoissonNLLLoss(log_input=True), COUNTS),
        "backward_twice": torch_case(nn.CrossEntropyLoss(), CLASSES, backward=2),
        "sgd_groups": sgd_step(decay_biases=False),
        "sgd_default": sgd_step(decay_biases=True),
        # J = mean cost + (l1 Σ|W| + l2/2 ΣW²)/m, the strengths of each layer; some weights are
        # exactly 0.
        "sparse_parameters": read(linear_layers(SPARSE)),
        "torch_elastic_net": torch_case(
            nn.CrossEntropyLoss(),
            CLASSES,
            weights=SPARSE,
            penalty=elastic([L1] * 2, [L2] * 2),
            l1=L1,
            l2=L2,
        ),
        "torch_layer_strengths": torch_case(
            nn.CrossEntropyLoss(),
            CLASSES,
            weights=SPARSE,
            penalty=elastic(layers_l1, layers_l2),
            l1=layers_l1,
            l2=layers_l2,
        ),  # fmt: skip
        "batch_norm": batch_norm(),
        **norms_of_axes(),
    }


# Keras


def dense_layers(loss, weights=WEIGHTS, regularizer=None, activation=None):
    """`Dense.kernel` is inputs × units."""
    dense = lambda units, g: keras.layers.Dense(units, g, kernel_regularizer=regularizer)
    model = keras.Sequential([keras.Input((N,)), dense(HIDDEN, "tanh"), dense(K, activation)])
    model.set_weights([array for w, b in zip(weights, BIASES) for array in (w.T, b)])
    model.compile(loss=loss)
    return model


def keras_case(loss, target, sample_weight=None, more=None, **options):
    """The loss that `fit` minimises, regularisers included, and its gradients."""
    model = dense_layers(loss, **options)
    with tensorflow.GradientTape() as tape:
        value = model.compute_loss(X, target, model(X), sample_weight)
    gradients = [gradient.numpy() for gradient in tape.gradient(value, model.trainable_weights)]
    return case(value, gradients[0::2], gradients[1::2], **(more or {}))


def keras_batch_norm():
    """Two training batches, an evaluation, a frozen layer in training, and a batch of one."""
    layers, array = keras.layers, keras.ops.convert_to_numpy
    norm = layers.BatchNormalization(momentum=0.75)
    norm.build((None, N))
    norm.set_weights([GAMMA, BETA, *norm.get_weights()[2:]])
    steps = []
    for rows in (slice(BATCH), slice(BATCH, None)):
        outputs = array(norm(X[rows], training=True))
        mean, variance = norm.get_weights()[2:]
        steps.append({"outputs": outputs, "mean": mean, "variance": variance})
    evaluated = array(norm(X))
    norm.trainable = False
    frozen = array(norm(X, training=True))
    one = layers.BatchNormalization(momentum=0.75)
    one_value = array(one(X[:1], training=True))
    defaults = layers.BatchNormalization()
    return {
        "momentum": norm.momentum,
        "default_momentum": defaults.momentum,
        "epsilon": norm.epsilon,
        "axis": norm.axis,
        "steps": steps,
        "evaluated": evaluated,
        "frozen": {"outputs": frozen, "state": norm.get_weights()[2:]},
        "one_value": {"outputs": one_value, "variance": one.get_weights()[3]},
        "sequences": array(defaults(STEPS, training=True)),
        "image": array(layers.BatchNormalization()(STEPS.reshape(2, 2, 2, N), training=True)),
    }


def keras_layers():
    layers, array = keras.layers, keras.ops.convert_to_numpy
    result = {"batch_norm": keras_batch_norm()}
    for name, kind in (
        ("layer_norm", layers.LayerNormalization),
        ("rms_norm", layers.RMSNormalization),
    ):
        norms = kind(), kind(axis=[-2, -1])
        outputs = [array(norm(STEPS)) for norm in norms]
        result[name] = {"eps": norms[0].epsilon, "one_axis": outputs[0], "two_axes": outputs[1]}
    dropout, embedding = layers.Dropout(0.375, seed=1), layers.Embedding(BATCH, N)
    result["dropout"] = {"rate": dropout.rate, "outputs": array(dropout(X, training=True))}
    embedding.build()
    start = embedding.get_config()["embeddings_initializer"]["config"]
    table = waves(1.0, 700, BATCH, N)
    embedding.set_weights([table])
    ids = np.array([[4, 0], [2, 2], [1, 3]])
    result["embedding"] = {
        "start": [start["minval"], start["maxval"]],
        "embeddings": embedding.get_weights()[0],
        "ids": ids,
        "outputs": array(embedding(ids)),
    }
    return result


def keras_library():
    losses, regularizers = keras.losses, keras.regularizers
    softmax = losses.CategoricalCrossentropy(from_logits=True)
    by_weight = losses.CategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight"
    )
    binary = losses.BinaryCrossentropy(from_logits=True)
    probabilities = losses.BinaryCrossentropy()
    model = dense_layers(softmax)
    arrays = model.get_weights()
    outputs = keras.ops.softmax(model(X)).numpy()
    return {
        "parameters": {"weights": arrays[0::2], "biases": arrays[1::2]},
        "softmax_outputs": outputs,
        "categorical": keras_case(softmax, ONE_HOT),
        "categorical_l2": keras_case(
            softmax, ONE_HOT, regularizer=regularizers.L2(R), more={"r": R}
        ),
        "binary": keras_case(binary, LABELS),
        "binary_probabilities": keras_case(probabilities, LABELS, activation="sigmoid"),
        "binary_clipped": {"a": 1e-9, "loss": float(probabilities([[1.0]], [[1e-9]]))},
        "mse": keras_case(losses.MeanSquaredError(), REALS),
        "huber": keras_case(losses.Huber(delta=0.75), REALS, more={"delta": 0.75}),
        "log_cosh": keras_case(losses.LogCosh(), REALS),
        "sample_weight": keras_case(
            softmax, ONE_HOT, EXAMPLE_WEIGHTS, regularizer=regularizers.L2(R), more={"r": R}
        ),
        "mean_with_sample_weight": keras_case(
            by_weight, ONE_HOT, EXAMPLE_WEIGHTS, regularizer=regularizers.L2(R), more={"r": R}
        ),
        "sparse_parameters": {"weights": [w.T for w in SPARSE], "biases": BIASES},
        "keras_l1": keras_case(
            softmax, ONE_HOT, regularizer=regularizers.L1(R), weights=SPARSE, more={"r": R}
        ),
        **keras_layers(),
    }


def plain(value):
    """Arrays as lists of rows."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(entry) for entry in value]
    return value.item() if isinstance(value, np.generic) else value


def write(value, indent=0):
    """JSON with one line per case. Python prints the shortest digits that read back as the same
    float64.
    """
    if isinstance(value, dict) and indent < 2:
        lines = (
            f"{' ' * (indent + 1)}{json.dumps(k)}: {write(v, indent + 1)}" for k, v in value.items()
        )
        return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}"
    return json.dumps(value, allow_nan=False)


def main():
    if ONLY_KERAS:
        versions = {"keras": keras.__version__, "tensorflow": tensorflow.__version__}
        print(json.dumps(plain({"versions": versions, "keras": keras_library()})))
        return
    other = json.loads(
        subprocess.run(
            [sys.executable, __file__, "keras"], stdout=subprocess.PIPE, check=True
        ).stdout
    )
    versions = {
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "torch": torch.__version__,
        **other["versions"],
    }
    problem = {
        "x": X,
        "one_hot": ONE_HOT,
        "labels": LABELS,
        "reals": REALS,
        "counts": COUNTS,
        "example_weights": EXAMPLE_WEIGHTS,
        "class_weights": CLASS_WEIGHTS,
        "steps": STEPS,
    }
    libraries = {"sklearn": scikit_learn(), "torch": pytorch(), "keras": other["keras"]}
    print(write(plain({"versions": versions, "problem": problem, **libraries})))


main()
