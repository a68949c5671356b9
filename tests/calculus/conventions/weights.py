"""Runs the Python code of `docs/conventions.md`, which writes a network as JSON and reads it.

    python tests/calculus/conventions/weights.py

Writes `network.json` with that code, and to `network_outputs.json` the code itself and the outputs
that NumPy computes with the same weights.
"""

import json
import os
import re
from pathlib import Path

import numpy

FOLDER = Path(__file__).resolve().parent
page = (FOLDER.parents[2] / "docs/conventions.md").read_text()
code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
os.chdir(FOLDER)

random = numpy.random.default_rng(1)
w1, b1 = random.normal(size=(4, 2)), random.normal(size=4)
w2, b2 = random.normal(size=(3, 4)), random.normal(size=3)
written = {"json": json, "numpy": numpy, "w1": w1, "b1": b1, "w2": w2, "b2": b2}
exec(code[0], written)

read = {"json": json, "numpy": numpy}
exec(code[1], read)
for (weight, bias), (w, b) in zip(read["layers"], [(w1, b1), (w2, b2)], strict=True):
    assert weight.shape == w.shape and (weight == w).all() and (bias == b).all()

x = random.normal(size=(5, 2))
z = numpy.tanh(x @ w1.T + b1) @ w2.T + b2
exponentials = numpy.exp(z - z.max(axis=1, keepdims=True))
outputs = exponentials / exponentials.sum(axis=1, keepdims=True)
with open("network_outputs.json", "w") as file:
    values = {"code": code, "numpy": numpy.__version__}
    values |= {"x": x.tolist(), "outputs": outputs.tolist()}
    json.dump(values, file, indent=1)
