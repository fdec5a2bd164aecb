"""Whether two systems compute the same thing: their gradients in float64, where rounding hides nothing.

In float32 the comparison is weak. A max pooling or a ReLU whose operands differ by rounding may choose otherwise, and
in a batch-normalised network such a choice, carried through the inner steps, moves leaves of the gradient by up to 4 %
of their largest entry; a wrong second derivative of batch norm moved them by 2 %. In float64 right ones agree to
1e-11, or to 1e-8 for `words`, where jaxmeta pools frames by shares in float32.
"""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.systems import SYSTEMS
from benchmarks.worker import WorkerError

REFERENCE = next(iter(SYSTEMS))
DOUBLE = 1e-6
"""Largest difference of a leaf that is allowed in float64, as a share of its largest entry."""


def check(network, order, systems, workers, seed, step):
    """A row for each system: how far its gradient is from jaxmeta's, on two tasks and two inner steps.

    Args:
      network: name of a workload.
      systems: names; the reference is among them.
      workers: `Workers`, whose processes compute.
      step: told what is being done.
    Returns:
      [{"workload", "order", "system", "difference": None where it does not do this work, "reason"}].
    """
    # Two tasks, so that a sum in the place of the mean is noticed; two steps, so that the second is differentiated.
    workload = {"name": network, "tasks": 2, "steps": 2, "seed": seed, "dtype": "float64"}
    rows, reference = [], None
    for system in systems:
        step(f"{network}, {system}, order {order}: comparing")
        row = {"workload": network, "order": order, "system": system, "difference": None, "reason": ""}
        try:
            row["reason"] = workers.ask(system, "supports", workload=workload, order=order)["reason"]
            if not row["reason"]:
                gradient = _gradient(workers, system, workload, order)
                reference = gradient if reference is None else reference
                row["difference"], leaf = largest_error(gradient, reference)
                if not row["difference"] <= DOUBLE:
                    row["reason"] = f"in float64 its gradient of {leaf} is off by {row['difference']:.1e}"
        except WorkerError as failed:
            row["reason"] = str(failed)
        rows.append(row)
    workers.drop()
    return rows


def _gradient(workers, system, workload, order):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gradient.npz"
        workers.ask(system, "build", name="comparison", workload=workload, order=order, gradient=str(file))
        return load(file)


def largest_error(gradient, reference):
    """(largest over leaves of max |gradient - reference| / max |reference|, that leaf); NaN counts as largest."""
    errors = {
        name: float(np.abs(gradient[name] - value).max() / np.abs(value).max()) for name, value in reference.items()
    }
    worst = max(errors, key=lambda name: np.inf if np.isnan(errors[name]) else errors[name])
    return errors[worst], worst


def load(file):
    """Name -> array, of an .npz file."""
    with np.load(file) as arrays:
        return dict(arrays)
