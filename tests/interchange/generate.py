"""Writes the files of tests/interchange/files with NumPy, PyTorch and safetensors.

    pip install numpy torch safetensors
    python tests/interchange/generate.py

The last run used NumPy 2.4.6, PyTorch 2.15.0 and safetensors 0.8.0. Some zip files contain the
time."""

import io
import pathlib
import zipfile

import numpy as np
import torch
from numpy.lib import format as npy
from safetensors.torch import save_file

FILES = pathlib.Path(__file__).parent / "files"

# A dense layer from 3 to 2 with an activation, and a batch norm.
TENSORS = {
    "0.weight": [[1.0, 2.0, 3.0], [-4.0, 5.5, 6.25]],
    "0.bias": [0.5, -0.5],
    "2.weight": [1.5, 2.5],
    "2.bias": [-1.0, 0.125],
    "2.running_mean": [0.25, 0.75],
    "2.running_var": [2.0, 3.0],
}


def arrays(dtype, order="C"):
    found = {k: np.asarray(v, dtype=dtype, order=order) for k, v in TENSORS.items()}
    return found | {"2.num_batches_tracked": np.array(9)}


def array(name, values, version=None):
    with open(FILES / name, "wb") as file:
        npy.write_array(file, np.asanyarray(values), version=version, allow_pickle=True)


def main():
    FILES.mkdir(exist_ok=True)
    np.savez(FILES / "stored.npz", **arrays("<f8"))
    np.savez_compressed(FILES / "compressed.npz", **arrays("<f8"))
    np.savez_compressed(FILES / "fortran_compressed.npz", **arrays("<f8", "F"))
    np.savez(FILES / "fortran_f32.npz", **arrays("<f4", "F"))
    np.savez(FILES / "big_endian.npz", **arrays(">f8"))
    np.savez(FILES / "big_endian_fortran_f16.npz", **arrays(">f2", "F"))
    with zipfile.ZipFile(FILES / "bzip2.npz", "w", zipfile.ZIP_BZIP2) as file:
        for name, values in arrays("<f8").items():
            buffer = io.BytesIO()
            npy.write_array(buffer, values)
            file.writestr(f"{name}.npy", buffer.getvalue())
    with zipfile.ZipFile(FILES / "twice.npz", "w") as file:
        for name in ["0.weight.npy", "0.weight.npy"]:
            file.writestr(name, b"")
    with zipfile.ZipFile(FILES / "not_an_array.npz", "w") as file:
        for name in TENSORS:
            file.writestr(f"{name}.npy", b"text")

    # The shape of a tensor of the network is that of a member, but its numbers go on for 1 MB.
    buffer = io.BytesIO()
    npy.write_array(buffer, np.asarray(TENSORS["0.weight"]))
    with zipfile.ZipFile(FILES / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as file:
        for name in TENSORS:
            file.writestr(f"{name}.npy", buffer.getvalue() + bytes(2**20))

    # Three examples with four features.
    x = np.arange(12, dtype="<f8").reshape(3, 4) / 4
    array("c.npy", x)
    array("fortran.npy", np.asfortranarray(x))
    array("f4.npy", x.astype("<f4"))
    array("f2.npy", x.astype("<f2"))
    array("big_endian.npy", x.astype(">f8"))
    array("big_endian_fortran_i4.npy", np.asfortranarray(4 * x).astype(">i4"))
    for kind in ["i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8"]:
        array(f"{kind.strip('<')}.npy", (4 * x).astype(kind))
    array("bool.npy", x > 1)
    array("version2.npy", x, (2, 0))
    array("version3.npy", x, (3, 0))
    array("one_axis.npy", x[1])
    array("one_axis_fortran.npy", np.asfortranarray(x[1]))
    array("three_axes.npy", np.arange(12, dtype="<f8").reshape(2, 3, 2))
    array("three_axes_fortran.npy", np.asfortranarray(np.arange(12, dtype="<f8").reshape(2, 3, 2)))
    array("missing.npy", [[1.0], [np.nan], [np.inf]])
    array("inexact.npy", [[0.1, 1.0], [2.0, 1e300]])
    array("large_integer.npy", [[2**53 + 1]])
    array("no_axes.npy", 1.0)
    array("no_examples.npy", np.zeros((0, 4)))
    array("no_features.npy", np.zeros((4, 0)))
    array("complex.npy", x + 1j)
    array("text.npy", ["a", "b"])
    array("structured.npy", np.zeros(2, dtype=[("a", "<f8"), ("b", "<i4")]))
    array("object.npy", np.array([1, "a"], dtype=object))
    array("time.npy", np.array(["2020-01-01"], dtype="datetime64[D]"))

    # PyTorch's own networks, in each type of number.
    for name, dtype in [
        ("f64", torch.float64),
        ("f32", torch.float32),
        ("f16", torch.float16),
        ("bf16", torch.bfloat16),
    ]:
        tensors = {k: torch.tensor(v, dtype=dtype) for k, v in TENSORS.items()}
        tensors["2.num_batches_tracked"] = torch.tensor(9)
        save_file(tensors, FILES / f"{name}.safetensors")


if __name__ == "__main__":
    main()
