"""Whether two systems compute the same thing: their gradients in float64, where rounding hides nothing.

In float32 the comparison is weak. A max pooling or a ReLU whose operands differ by rounding may choose otherwise, and
in a batch-normalised network such a choice, carried through the inner steps, moves leaves of the gradient by up to 4 %
of their largest entry; a wrong second derivative of batch norm moved them by 2 %. In float64 right ones agree to
1e-11, or to 1e-8 for `words`, where jaxmeta pools frames by shares in float32.
"""

import contextlib
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.systems import SYSTEMS
from benchmarks.worker import Worker, WorkerError

REFERENCE = next(iter(SYSTEMS))
DOUBLE, SINGLE = 1e-6, 1e-1
"""Largest difference of a leaf that is allowed, as a share of its largest entry: in float64, and in float32."""


class Agreement:
    """Compares systems with the reference, once for each workload's name and steps."""

    def __init__(self, systems, seed):
        self._systems, self._seed = systems, seed
        self._references, self._reasons = {}, {}

    def reason(self, system, order, workload):
        """Why a system cannot be timed: it does not do this work, does other work, or ended; "" if it can be.

        Args:
          system: one of `systems`; the reference must be the first that is asked about.
          workload: arguments of `workloads.make`; two tasks of it are compared.
        """
        # Two, so that a sum in the place of the mean is noticed.
        small = workload | {"tasks": 2, "seed": self._seed, "dtype": "float64"}
        key = (system, order, small["name"], small["steps"])
        if key not in self._reasons:
            self._reasons[key] = self._compare(system, order, small)
        return self._reasons[key]

    def _compare(self, system, order, workload):
        with contextlib.closing(Worker(self._systems[system])) as worker, tempfile.TemporaryDirectory() as folder:
            try:
                reason = worker.ask("supports", workload=workload, order=order)["reason"]
                if reason:
                    return reason
                options = {"devices": 1} if system == REFERENCE else {}
                file = Path(folder) / "gradient.npz"
                worker.ask("build", workload=workload, order=order, gradient=str(file), **options)
            except WorkerError as died:
                return str(died)
            gradient = load(file)
        place = (order, workload["name"], workload["steps"])
        error, leaf = largest_error(gradient, self._references.setdefault(place, gradient))
        return "" if error <= DOUBLE else f"not timed, in float64 its gradient of {leaf} is off by {error:.1e}"


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
