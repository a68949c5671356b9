"""Steps of PyTorch's optimisers, factors of its schedules and clipped gradients, for the tests in
this folder.

    pip install numpy torch
    python generate.py > values.json

The last run used PyTorch 2.15.0, as recorded in the field `version`. Everything is float64. The
problem is Rosenbrock's function in 6 variables with 10 in place of 100. Its gradient is the formula
below, which `golden.rs` computes in the same order of operations."""

import json

import torch
from torch.optim import lr_scheduler

torch.set_default_dtype(torch.float64)

START = [-1.2, 1.0, 0.5, -0.3, 0.8, 2.0]
STEPS = 10
BIASES = 2  # of a dense layer with 2 units and 2 inputs, whose θ has 6 entries


def gradient(x):
    """The gradient of Σ 10 (xᵢ₊₁ − xᵢ²)² + (1 − xᵢ)²."""
    g = [0.0] * len(x)
    for i in range(len(x) - 1):
        rest = x[i + 1] - x[i] * x[i]
        g[i] += -40.0 * x[i] * rest - 2.0 * (1.0 - x[i])
        g[i + 1] += 20.0 * rest
    return g


def steps(make, groups):
    """θ after each step. The entries of a group are one tensor."""
    tensors = [torch.tensor([START[i] for i in group]) for group in groups]
    optimizer = make(tensors)
    path = []
    for _ in range(STEPS):
        g = gradient([x for tensor in tensors for x in tensor.tolist()])
        for tensor, group in zip(tensors, groups):
            tensor.grad = torch.tensor([g[i] for i in group])
        optimizer.step()
        path.append([x for tensor in tensors for x in tensor.tolist()])
    return path


def case(name, **options):
    path = steps(lambda tensors: getattr(torch.optim, name)(tensors, **options), [range(6)])
    return {"optimizer": name, "options": options, "path": path}


def spared(**options):
    """AdamW that does not decay biases."""
    decay = options.pop("weight_decay")

    def make(tensors):
        bias, weights = tensors
        groups = [
            {"params": [bias], "weight_decay": 0.0},
            {"params": [weights], "weight_decay": decay},
        ]
        return torch.optim.AdamW(groups, **options)

    path = steps(make, [range(BIASES), range(BIASES, 6)])
    return {
        "optimizer": "AdamW",
        "spared": True,
        "options": options | {"weight_decay": decay},
        "path": path,
    }


def cases():
    yield case("SGD", lr=0.003)
    yield case("SGD", lr=0.001, momentum=0.9)
    yield case("SGD", lr=0.002, momentum=0.5, dampening=0.3)
    yield case("SGD", lr=0.001, momentum=0.8, nesterov=True)
    yield case("Adam", lr=0.1)
    yield case("Adam", lr=0.05, betas=(0.7, 0.9), eps=1e-3)
    yield case("Adam", lr=0.2, betas=(0.8, 0.6), amsgrad=True)
    yield case("AdamW", lr=0.1)
    yield case("AdamW", lr=0.05, weight_decay=0.7)
    yield case("AdamW", lr=0.1, weight_decay=0.3, betas=(0.6, 0.8), amsgrad=True)
    yield spared(lr=0.1, weight_decay=0.5)
    yield spared(lr=0.05, weight_decay=0.9, amsgrad=True)
    yield case("RMSprop", lr=0.01)
    yield case("RMSprop", lr=0.02, alpha=0.8, eps=1e-2)
    yield case("RMSprop", lr=0.01, alpha=0.9, centered=True)
    yield case("RMSprop", lr=0.005, alpha=0.9, momentum=0.7)
    yield case("RMSprop", lr=0.005, alpha=0.95, centered=True, momentum=0.6)
    yield case("Adagrad", lr=0.1)
    yield case("Adagrad", lr=0.2, lr_decay=0.1)
    yield case("Adagrad", lr=0.3, initial_accumulator_value=0.5, eps=1e-3)
    yield case("Adadelta")
    yield case("Adadelta", lr=2.0, rho=0.7, eps=1e-3)
    yield case("Rprop", lr=0.1)
    yield case("Rprop", lr=0.01, etas=(0.3, 1.5), step_sizes=(1e-3, 0.05))
    yield case("Rprop", lr=2.0, step_sizes=(1e-6, 0.2))


def rates(make, count, observed=None):
    """The factor in each epoch: the learning rate, which starts at 1."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = make(optimizer)
    factors = []
    for i in range(count):
        if observed is None:
            factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*([] if observed is None else [observed[i]]))
        if observed is not None:
            factors.append(optimizer.param_groups[0]["lr"])
    return factors


def schedules():
    yield "step", rates(lambda o: lr_scheduler.StepLR(o, step_size=3, gamma=0.4), 10)
    yield "exponential", rates(lambda o: lr_scheduler.ExponentialLR(o, gamma=0.8), 10)
    yield "cosine", rates(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=9, eta_min=0.1), 10)
    yield (
        "one_cycle",
        rates(
            lambda o: lr_scheduler.OneCycleLR(o, max_lr=1.0, total_steps=20, cycle_momentum=False),
            20,
        ),
    )
    yield "warm_up", rates(lambda o: lr_scheduler.LinearLR(o, start_factor=0.2, total_iters=4), 7)
    make = lambda o: lr_scheduler.ReduceLROnPlateau(
        o, factor=0.3, patience=2, threshold=0.01, min_lr=0.05
    )
    yield "plateau", rates(make, len(OBSERVED), OBSERVED)


OBSERVED = [
    5.0,
    4.0,
    3.99,
    3.98,
    3.97,
    3.9,
    3.95,
    3.95,
    3.95,
    3.95,
    3.95,
    3.95,
    3.95,
    3.95,
    2.0,
    1.0,
]


def clipped(kind, bound, values):
    tensor = torch.zeros(len(values))
    tensor.grad = torch.tensor(values)
    norm = torch.linalg.vector_norm(tensor.grad).item()
    if kind == "norm":
        torch.nn.utils.clip_grad_norm_([tensor], bound)
    else:
        torch.nn.utils.clip_grad_value_([tensor], bound)
    return {
        "kind": kind,
        "bound": bound,
        "gradient": values,
        "norm": norm,
        "clipped": tensor.grad.tolist(),
    }


VALUES = [0.3, -4.0, 2.5, 0.0, -0.001, 7.5]

parts = {
    "version": torch.__version__.split("+")[0],
    "optimizers": list(cases()),
    "schedules": dict(schedules()),
    "observed": OBSERVED,
    "clippings": [clipped(k, b, VALUES) for k in ("norm", "value") for b in (0.5, 3.0, 20.0)],
}
# One case per line.
print(json.dumps(parts).replace(', {"', ',\n{"'))
