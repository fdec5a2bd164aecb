"""The systems that are compared, one module each, and what such a module has.

    supports(workload, order) -> str     "" if it can do this work, else the reason why not
    build(workload, order) -> Step       ready to run: whatever is compiled has been
    matmul(size) -> Callable             a function that multiplies two float32 square matrices and waits

`order` is 1 (inner gradients are constants) or 2 (exact). A module imports its library at the top, so that a worker
can tell memory that the library takes from memory that the work takes, and may start threads or devices in `build`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

SYSTEMS = {
    "jaxmeta": "jaxmeta_system",
    "plain JAX": "plain_jax",
    "PyTorch eager": "torch_eager",
    "PyTorch func": "torch_func",
    "higher": "higher_system",
    "TorchOpt": "torchopt_system",
}
"""Name -> module here. The first is what the others are compared with. learn2learn is not among them: its last release,
0.2.0, ships C sources that do not compile for Python 3.11."""
REQUIRES = {"torch_eager": ("torch",), "torch_func": ("torch",), "higher_system": ("torch", "higher")} | {
    "torchopt_system": ("torch", "torchopt"),
}
"""Module -> packages that an installation of jaxmeta may lack."""


class Step(NamedTuple):
    """One meta-gradient, again and again."""

    run: Callable[[], Any]
    """Computes the gradient of the mean query loss over tasks in the initial weights, and waits for it."""
    read: Callable[[Any], Mapping[str, np.ndarray]]
    """What `run` returned -> name -> gradient, in the names and layouts of `Workload.weights`."""
    compile_seconds: float | None = None
    """Tracing and compilation, where there is such a thing."""
    cores: str = ""
    """What it computes with: threads, or devices."""
