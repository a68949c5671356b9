"""Compares outputs and gradients of rows from files, before they are measured."""

import numpy as np

# The largest error: a difference divided by the largest entry of the outputs or of the block.
BOUNDS = {"f32": 1e-4, "f64": 1e-9}
WHAT = ["loss", "outputs", "gradient", "state"]


def error(found, expected, scale):
    """The largest difference, relative to the largest expected entry or, where all are 0, to
    `scale`.
    """
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    if found.shape != expected.shape:
        return np.inf
    difference = np.abs(found - expected).max(initial=0.0)
    # NaN is no agreement.
    return np.inf if np.isnan(difference) else difference / (np.abs(expected).max() or scale or 1)


def errors(found, expected):
    """The errors of J, of the outputs, and of the worst block of the gradient and of the state."""
    blocks = found["gradient"], expected["gradient"]
    scale = max((abs(value) for block in blocks[1] for value in block), default=0.0)
    gradient = [error(*pair, scale) for pair in zip(*blocks)]
    states = found["state"], expected["state"]
    state = [error(*pair, 1.0) for pair in zip(*states)]
    return {
        "loss": error([found["loss"]], [expected["loss"]], 1.0),
        "outputs": error(found["outputs"], expected["outputs"], 1.0),
        "gradient": max(gradient, default=0.0) if len(blocks[0]) == len(blocks[1]) else np.inf,
        "state": max(state, default=0.0) if len(states[0]) == len(states[1]) else np.inf,
    }


def agree(values, ours, peers, specs, dtypes):
    """Compare each form of each peer with `ours` of the same type, and ours in f32 with f64.

    `values` returns the records of an implementation. Returns the errors, and what disagrees. A
    form that does not run is not measured either, so it is no disagreement.
    """
    compared, wrong = [], []
    for spec in specs:
        (exact,) = values(ours, spec, "f64")
        for dtype in dtypes:
            (reference,) = [exact] if dtype == "f64" else values(ours, spec, dtype)
            if "error" in reference:
                wrong.append(f"{ours} {spec.name} {dtype}: {reference['error']}")
                continue
            pairs = [(ours, reference, exact)]
            pairs += [
                (peer, found, reference) for peer in peers for found in values(peer, spec, dtype)
            ]
            for name, found, expected in pairs:
                if "error" in found:
                    continue
                which = {"impl": name, "form": found.get("form"), "row": spec.name, "dtype": dtype}
                record = {**which, **errors(found, expected)}
                compared.append(record)
                for what in WHAT:
                    if not record[what] <= BOUNDS[dtype]:
                        words = [name, found.get("form"), spec.name, dtype, what]
                        wrong.append(f"{' '.join(filter(None, words))}: {record[what]:.2g}")
    return compared, wrong


def agreement_lines(compared):
    """A paragraph of the report."""
    if not compared:
        return []
    largest = {
        dtype: max(r[what] for r in group for what in WHAT if what in r)
        for dtype in BOUNDS
        if (group := [r for r in compared if r["dtype"] == dtype])
    }
    found = " and ".join(f"{value:.2g} in {dtype}" for dtype, value in largest.items())
    bounds = " and ".join(f"{BOUNDS[dtype]:g}" for dtype in largest)
    return [
        "Rows from files: J, all outputs, all gradients and the state of each implementation, in "
        "each of its forms, were compared with ours before the measurement. The largest of "
        f"{len(compared)} errors is {found}; the bounds are {bounds}. The best peer is the fastest "
        "form of any.",
        "",
    ]
