"""Checks the files that the test `onnx::python` wrote, and runs them.

    python check_onnx.py folder

`cases.json` in the folder lists the files with inputs and outputs. Each has to pass `onnx.checker`
and to run in onnxruntime. A file with `Erf` in float64, which onnxruntime does not have, runs in
the reference evaluator of onnx, with the `erf` of Python. Any difference is an error."""

import json
import math
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

# A constant of an attribute, such as the epsilon of a batch norm, is float32 in every file.
BOUND = {"f32": 1e-6, "f64": 1e-12}
BOUND_OF_ATTRIBUTES = 1e-8


class Erf(OpRun):
    """That of onnx itself rounds to float32."""

    def _run(self, x):
        return (np.vectorize(math.erf, otypes=[np.float64])(x),)


def check(folder, case):
    path = folder / case["file"]
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert model.producer_name == "backprop" and model.producer_version, path
    (x,), (y,) = model.graph.input, model.graph.output
    dims = x.type.tensor_type.shape.dim
    assert dims[0].dim_param == "N" == y.type.tensor_type.shape.dim[0].dim_param
    dtype = {"f32": np.float32, "f64": np.float64}[case["scalar"]]
    examples = np.array(case["x"], dtype)
    examples = examples.reshape([-1] + [dim.dim_value for dim in dims[1:]])
    operators = {node.op_type for node in model.graph.node}
    if case["scalar"] == "f64" and "Erf" in operators:
        (found,) = ReferenceEvaluator(model, new_ops=[Erf]).run(None, {"x": examples})
        runtime = "onnx"
    else:
        session = onnxruntime.InferenceSession(path)
        (found,) = session.run(None, {"x": examples})
        (first,) = session.run(None, {"x": examples[:1]})
        assert first.shape[0] == 1
        runtime = "onnxruntime"
    assert found.dtype == dtype
    assert list(found.shape[1:]) == [dim.dim_value for dim in y.type.tensor_type.shape.dim[1:]]
    expected = np.array(case["outputs"])
    error = np.abs(found.reshape(expected.shape) - expected).max() / np.abs(expected).max()
    bound = BOUND[case["scalar"]]
    if case["scalar"] == "f64" and "BatchNormalization" in operators:
        bound = BOUND_OF_ATTRIBUTES
    return runtime, error / bound


def main(folder):
    cases = json.loads((folder / "cases.json").read_text())
    worst, runs, failures = {}, {}, []
    for case in cases:
        runtime, ratio = check(folder, case)
        runs[runtime] = runs.get(runtime, 0) + 1
        kind = case["scalar"]
        worst[kind] = max(worst.get(kind, (0, "")), (ratio, case["file"]))
        if not ratio <= 1:
            failures.append(f"{case['file']}: {ratio:.1e} of the bound")
    print(f"onnx: {runs}, worst error/bound {worst}")
    assert not failures, failures
    assert len(cases) > 0


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
