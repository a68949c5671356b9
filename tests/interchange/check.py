"""Loads the files that the test `python` wrote into the same networks of PyTorch, and writes them
again.

    python check.py folder

Each folder in it has `model.safetensors`, `model.npz`, `x.npy` and `outputs.npy`, and is named
after a network below and its type of number. The script adds `torch.safetensors` and `numpy.npz`.
Any difference is an error."""

import pathlib
import sys

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn


class Residual(nn.Module):
    def __init__(self, body, shortcut):
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


class Branches(nn.Module):
    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


NETWORKS = {
    "norms": lambda: nn.Sequential(
        nn.Linear(3, 4),
        nn.Tanh(),
        nn.BatchNorm1d(4),
        nn.Dropout(0.25),
        nn.BatchNorm1d(4, affine=False, momentum=None),
        nn.LayerNorm(4),
        nn.RMSNorm(4, eps=1e-5),
        nn.LayerNorm(4, bias=True, elementwise_affine=False),
        nn.Linear(4, 2, bias=False),
        nn.Softmax(-1),
    ),
    "branches": lambda: nn.Sequential(
        nn.Embedding(7, 4),
        Residual(
            nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 4, bias=False)),
            nn.Sequential(nn.Linear(4, 4)),
        ),
        nn.LayerNorm((3, 4)),
        nn.Flatten(),
        Branches(
            nn.Sequential(nn.Linear(12, 2), nn.Softmax(-1)),
            nn.Sequential(nn.Linear(12, 3), nn.SiLU(), nn.Linear(3, 1)),
        ),
    ),
}


def same_bits(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def check(folder):
    name, kind = folder.name.split("_")
    dtype, bound = {"f32": (torch.float32, 1e-5), "f64": (torch.float64, 1e-12)}[kind]
    network = NETWORKS[name]().to(dtype).eval()
    tensors = load_file(folder / "model.safetensors")
    network.load_state_dict(tensors, strict=True)
    arrays = np.load(folder / "model.npz")
    assert set(arrays) == set(tensors), set(arrays) ^ set(tensors)
    for key, values in network.state_dict().items():
        assert values.dtype == tensors[key].dtype, key
        assert same_bits(values, tensors[key]), key
        assert same_bits(values, arrays[key]), key

    x = torch.from_numpy(np.load(folder / "x.npy"))
    outputs = np.load(folder / "outputs.npy")
    assert outputs.flags.c_contiguous and outputs.shape[0] == x.shape[0]
    x = x.long() if name == "branches" else x
    with torch.no_grad():
        error = np.abs(network(x).numpy() - outputs).max() / np.abs(outputs).max()
    assert error <= bound, error

    save_file(network.state_dict(), folder / "torch.safetensors")
    fortran = {key: np.array(values, order="F") for key, values in arrays.items()}
    np.savez_compressed(folder / "numpy.npz", **fortran)
    print(f"{folder.name}: {len(tensors)} tensors, error {error:.1e}")


if __name__ == "__main__":
    for each in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        check(each)
