"""The systems that are compared, one module each, and what such a module has.

    supports(workload, order) -> str     "" if it can do this work, else the reason why not
    build(workload, order) -> Step       ready to run: whatever is compiled has been

`order` is 1 (inner gradients are constants) or 2 (exact). Systems of one library share a process, which the modules
`jax_library` and `torch_library` set up. A compiler that may take minutes has a process of its own, which can be ended.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

SYSTEMS = {
    "jaxmeta": "jaxmeta_system",
    "plain JAX": "plain_jax",
    "jaxmeta, programs": "jaxmeta_programs",
    "PyTorch func": "torch_func",
    "PyTorch eager": "torch_eager",
    "higher": "higher_system",
    "TorchOpt": "torchopt_system",
    "torch.compile": "torch_compile",
}
"""Name -> module here, the most important first. The first is what the others are compared with; the third is measured
on a GPU alone. learn2learn is not among them: its last release, 0.2.0, ships C sources that do not compile for Python
3.11."""
REQUIRES = {
    "torch_func": ("torch",),
    "torch_eager": ("torch",),
    "higher_system": ("torch", "higher"),
    "torchopt_system": ("torch", "torchopt"),
    "torch_compile": ("torch",),
}
"""Module -> packages that an installation of jaxmeta may lack."""
LOOPS = {"PyTorch eager": 4, "higher": 4, "TorchOpt": 4}
"""Systems that take one task after another, and the number of tasks after which more take as long each."""


NOT_PEERS = ("jaxmeta", "jaxmeta, programs")


def library(system: str) -> str:
    """The library that a system computes with."""
    return "torch" if SYSTEMS[system] in REQUIRES else "jax"


def process(system: str) -> str:
    """The name of the process that a system runs in."""
    return system if system == "torch.compile" else library(system)


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
    planned_memory_mb: float | None = None
    """Temporaries, arguments and results as the compiler plans them, in MiB; None: memory is measured."""
