"""Writes a PyTorch model as JSON for the Rust crate `backprop`.

    python examples/interop/from_pytorch.py [folder]
"""

import pathlib
import sys

import backprop_json as bp
import torch
from torch import nn


class Residual(nn.Module):
    """body(x) + x, an example of a module of your own."""

    def __init__(self, *body):
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, x):
        return self.body(x) + x


def array(tensor):
    return None if tensor is None else tensor.detach().cpu().double().numpy()


def of_units(m, inputs):
    """On a sequence, this module normalises each step, and a batch norm here each feature."""
    if inputs[0].dim() != 2:
        raise TypeError(f"{m} of a sequence has no counterpart")


def convert(m):
    """The layer for a module. A pattern admits only options with a counterpart here."""
    match m:
        case nn.Sequential() if type(m).forward is nn.Sequential.forward:
            return bp.sequential([convert(module) for module in m])
        case Residual():
            return bp.residual([convert(module) for module in m.body])
        case nn.Linear():
            return bp.dense(array(m.weight).T, array(m.bias))
        case nn.Embedding(max_norm=None):
            return bp.embedding(array(m.weight))
        case nn.Flatten(start_dim=1, end_dim=-1):
            return bp.flatten()
        case nn.Dropout():
            return bp.dropout(m.p)
        case nn.LayerNorm():
            axes = len(m.normalized_shape)
            return bp.layer_norm(array(m.weight), array(m.bias), m.eps, axes)
        case nn.RMSNorm():
            eps = torch.finfo(torch.get_default_dtype()).eps if m.eps is None else m.eps
            return bp.rms_norm(array(m.weight), eps, len(m.normalized_shape))
        case nn.BatchNorm1d(track_running_stats=True):
            m.register_forward_pre_hook(of_units)
            statistics = array(m.running_mean), array(m.running_var)
            batches = m.num_batches_tracked.item()
            options = m.eps, m.momentum, batches
            return bp.batch_norm(array(m.weight), array(m.bias), *statistics, *options)
        case nn.LeakyReLU():
            return bp.activate({"leaky_relu": {"slope": m.negative_slope}})
        case nn.ELU():
            return bp.activate({"elu": {"alpha": m.alpha}})
        case nn.GELU():
            return bp.activate("gelu" if m.approximate == "none" else "gelu_tanh")
        case nn.Softmax(dim=-1):
            return bp.activate("softmax")
        case nn.Hardtanh(min_val=-1.0, max_val=1.0):
            return bp.activate("hard_tanh")
        case nn.Softplus(beta=1.0):
            return bp.activate("softplus")
    names = "Identity Sigmoid Tanh ReLU SELU Softsign SiLU Mish"
    if type(m) in [getattr(nn, name) for name in names.split()]:
        return bp.activate(type(m).__name__.lower())
    raise TypeError(f"{m} has no counterpart")


def export(name, model, inputs, x):
    """Fills the model with fixed numbers, and writes it with the outputs that PyTorch computes."""
    for i, (key, tensor) in enumerate(model.state_dict().items()):
        if tensor.is_floating_point():
            numbers = torch.tensor(bp.sample(*tensor.shape, start=i))
            tensor.copy_(numbers.abs() + 0.5 if "running_var" in key else numbers)
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "examples/interop/files")
    layers = [convert(module) for module in model]
    outputs = model.eval()(x).detach().numpy()
    bp.write(folder / f"{name}.json", inputs, layers)
    bp.write_example(folder / f"{name}.io.json", x, outputs, torch=torch.__version__)


torch.set_default_dtype(torch.float64)
GS = [
    nn.Hardtanh(), nn.SELU(), nn.Mish(), nn.Softsign(), nn.SiLU(), nn.GELU(), nn.GELU("tanh"),
    nn.ELU(0.75), nn.LeakyReLU(0.25), nn.Softplus(), nn.Tanh(), nn.ReLU(), nn.Sigmoid(),
]  # fmt: skip
export(
    "pytorch_activations",
    nn.Sequential(*[m for g in GS for m in (nn.Linear(6, 6), g)], nn.Identity()),
    6,
    torch.tensor(bp.sample(5, 6, start=40)),
)
export(
    "pytorch_layers",
    nn.Sequential(
        nn.Embedding(7, 3),
        nn.LayerNorm((4, 3), eps=0.125),
        nn.RMSNorm(3),
        nn.Flatten(),
        nn.Linear(12, 5, bias=False),
        nn.BatchNorm1d(5, eps=0.25, momentum=0.375),
        nn.Tanh(),
        nn.Dropout(0.5),
        nn.Sequential(nn.BatchNorm1d(5, affine=False, momentum=None), nn.Linear(5, 4)),
        Residual(nn.Linear(4, 4), nn.ReLU()),
        nn.Softmax(dim=-1),
    ),
    4,
    torch.tensor([[0, 6, 2, 2], [5, 1, 3, 4], [6, 6, 0, 1]]),
)
