"""The training runs of `benches/jobs.rs` in scikit-learn and PyTorch."""

import csv
import time
from pathlib import Path

import numpy as np

from common import DTYPES, uniforms

EPOCHS, BATCH, CLASSES = 15, 64, 10


def job_data(job, dtype):
    """Images, labels, hidden units and learning rate, as in `benches/jobs.rs`."""
    if job == "digits":
        path = Path(__file__).resolve().parents[2] / "examples/data/digits.csv"
        with open(path) as file:
            table = np.array([row for row in csv.reader(file)][1:1348], dtype=int)
        return (table[:, :-1] / 16.0).astype(DTYPES[dtype]), table[:, -1], 32, 0.1
    images, inputs = 10_000, 784
    draws = uniforms(CLASSES * inputs + images * (inputs + 1))
    prototypes = draws[: CLASSES * inputs].reshape(CLASSES, inputs)
    draws = draws[CLASSES * inputs :].reshape(images, inputs + 1)
    labels = (draws[:, 0] * CLASSES).astype(int)
    return (0.15 * prototypes[labels] + 0.85 * draws[:, 1:]).astype(DTYPES[dtype]), labels, 64, 0.02


def sklearn_job(job, dtype):
    from sklearn.neural_network import MLPClassifier

    x, labels, hidden, rate = job_data(job, dtype)
    model = MLPClassifier(
        hidden_layer_sizes=(hidden,),
        activation="relu",
        solver="sgd",
        alpha=0.0,
        batch_size=BATCH,
        learning_rate_init=rate,
        max_iter=EPOCHS,
        shuffle=True,
        momentum=0.0,
        nesterovs_momentum=False,
        n_iter_no_change=EPOCHS + 1,
        random_state=1,
    )
    clock = time.perf_counter()
    model.fit(x, labels)
    seconds = time.perf_counter() - clock
    assert model.n_iter_ == EPOCHS
    return {"seconds": seconds, "accuracy": float(model.score(x, labels))}


def torch_job(job, dtype):
    import torch
    import torch.nn.functional as F

    x, labels, hidden, rate = job_data(job, dtype)
    x, labels = torch.from_numpy(x), torch.from_numpy(labels)
    torch.manual_seed(1)
    layers = []
    for inputs, outputs in [(x.shape[1], hidden), (hidden, CLASSES)]:
        weights = torch.empty(outputs, inputs, dtype=x.dtype)
        torch.nn.init.xavier_uniform_(weights)
        layers += [weights.requires_grad_(), torch.zeros(outputs, dtype=x.dtype).requires_grad_()]

    def logits(x):
        return F.linear(torch.relu(F.linear(x, *layers[:2])), *layers[2:])

    clock = time.perf_counter()
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for batch in order.split(BATCH):
            loss = F.cross_entropy(logits(x[batch]), labels[batch])
            gradients = torch.autograd.grad(loss, layers)
            with torch.no_grad():
                torch._foreach_add_(layers, gradients, alpha=-rate)
    seconds = time.perf_counter() - clock
    with torch.no_grad():
        accuracy = (logits(x).argmax(1) == labels).double().mean().item()
    return {"seconds": seconds, "accuracy": accuracy}


JOBS = {"sklearn": sklearn_job, "torch": torch_job}
