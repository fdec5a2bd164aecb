"""How fast single convolutions are, of tasks that each have a kernel of their own, beside a product of matrices.

    python -m benchmarks.layers --json layers.json    # two minutes on a core, one on a GPU
    python -m benchmarks.layers --quick               # the two largest layers

The layers are those of conv4 and words (`benchmarks.workloads`) with 64 channels in and out, and with the examples of a
support set and of a query set. Each is computed alone, in a loop over tasks or for all of them at once as an update has
it, in its three roles: outputs, the gradient of the inputs, and that of the kernel. Operations are those that the sum
over taps needs; products with the zeros around an image count, and zeros between strides do not. On a GPU products are
rounded as tensor cores do, and the form of single programs (`convolution_form("programs")`) stands beside patches.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from benchmarks.shared import console, timing
from benchmarks.shared.results import Options
from benchmarks.workloads import IMAGE, MELS, SEGMENTS, WIDTH, WORDS_STRIDES

SUPPORT, QUERY = 5, {"conv4": 75, "words": 25}
"""Examples of a task."""
PRODUCT = {"cpu": 2048, "gpu": 8192}
"""Rows of the square matrices whose product is the measure."""


@dataclass(frozen=True)
class Config(Options):
    """What is measured."""

    quick: bool = False
    """The largest layer of each network, in three turns."""
    tasks: int | None = None
    """Each with a kernel; None: 4 on a CPU, 128 on a GPU."""
    turns: int = 15


class Layer(NamedTuple):
    """A convolution of 3 x 3 with WIDTH channels in and out."""

    name: str
    size: tuple[int, int]
    """Height and width of its inputs."""
    strides: tuple[int, int]
    examples: int

    @property
    def operations(self) -> int:
        """Of one task: two for each multiply-add."""
        places = [-(-size // stride) for size, stride in zip(self.size, self.strides, strict=True)]
        return 2 * self.examples * places[0] * places[1] * 9 * WIDTH**2


def layers() -> Iterator[Layer]:
    """The second and later layers of both networks, for a support set and for a query set."""
    size = IMAGE
    for number in (2, 3, 4):
        size //= 2
        for examples in (SUPPORT, QUERY["conv4"]):
            yield Layer(f"conv4, {number}", (size, size), (1, 1), examples)
    frames, bands = SEGMENTS, MELS
    for number, strides in enumerate(WORDS_STRIDES, start=1):
        if number > 1:
            for examples in (SUPPORT, QUERY["words"]):
                yield Layer(f"words, {number}", (frames, bands), strides, examples)
        frames, bands = -(-frames // strides[0]), -(-bands // strides[1])


def main(config: Config) -> dict[str, Any]:
    """Measure, print a table, and write the JSON file if one is named. Rows are written as they come."""
    import jax

    from benchmarks.systems.jax_library import matmul, use
    from benchmarks.tables import render
    from jaxmeta.training import report
    from jaxmeta.training.runtime import prepare

    prepare()
    gpu = jax.default_backend() == "gpu"
    precision = "tf32" if gpu else "float32"
    turns, tasks = (3 if config.quick else config.turns), config.tasks or (128 if gpu else 4)
    stamp = report.stamp(config.seed, sys.argv, {}) | {"config": vars(config), "precision": use(precision)}
    rows: list[dict[str, Any]] = []
    results = console.keep(config.json, rows, stamp)
    size = PRODUCT["gpu" if gpu else "cpu"]
    best = 2 * size**3 / seconds(matmul(size, precision), turns)
    stamp["product"] = best
    with console.progress() as step:
        for layer in layers():
            if config.quick and not layer.name.endswith(", 2"):
                continue
            step(f"{layer.name}, {layer.examples} examples")
            for form in ("patches", "programs") if gpu else ("",):
                for role, run in programs(layer, tasks, form, config.seed).items():
                    taken = seconds(run, turns)
                    rows.append(row(layer, tasks, role, form, taken, best))
                    results = console.keep(config.json, rows, stamp)
    print(f"A product of {size} x {size} reaches {best / 1e9:,.0f} GFLOP/s.\n\n{render(rows)}")
    return results


def row(layer: Layer, tasks: int, role: str, form: str, taken: float, best: float) -> dict[str, Any]:
    """What a layer's seconds say."""
    rate = tasks * layer.operations / taken
    return {
        "layer": layer.name, "examples": layer.examples, "tasks": tasks, "gives": role,
        **({"form": form} if form else {}),
        "milliseconds": 1000 * taken, "gflop/s": rate / 1e9, "of product": rate / best,
    }  # fmt: skip


def programs(layer: Layer, tasks: int, form: str, seed: int) -> dict[str, Callable[[], Any]]:
    """Role -> what computes it for all tasks, and waits."""
    import contextlib
    from functools import partial

    import jax

    from jaxmeta.models.accelerated.convolution_programs import convolution_form
    from jaxmeta.models.convolution import convolve

    def outputs(inputs: Any, kernels: Any) -> Any:
        return jax.vmap(partial(convolve, strides=layer.strides))(inputs, kernels)

    def inputs_gradient(cotangents: Any, kernels: Any) -> Any:
        return jax.linear_transpose(lambda inputs: outputs(inputs, kernels), inputs)(cotangents)[0]

    def kernels_gradient(inputs: Any, cotangents: Any) -> Any:
        return jax.linear_transpose(lambda kernels: outputs(inputs, kernels), kernels)(cotangents)[0]

    keys = jax.random.split(jax.random.key(seed), 3)
    inputs = jax.random.normal(keys[0], (tasks, layer.examples, *layer.size, WIDTH))
    kernels = jax.random.normal(keys[1], (tasks, 3, 3, WIDTH, WIDTH))
    cotangents = jax.random.normal(keys[2], jax.eval_shape(outputs, inputs, kernels).shape)
    given = {
        "outputs": (outputs, inputs, kernels),
        "inputs' gradient": (inputs_gradient, cotangents, kernels),
        "kernels' gradient": (kernels_gradient, inputs, cotangents),
    }
    with convolution_form(form) if form else contextlib.nullcontext():  # type: ignore[arg-type]
        compiled = {name: (jax.jit(f).lower(a, b).compile(), a, b) for name, (f, a, b) in given.items()}
    return {
        name: lambda program=program, a=a, b=b: jax.block_until_ready(program(a, b))  # type: ignore[misc]
        for name, (program, a, b) in compiled.items()
    }


def seconds(run: Callable[[], Any], turns: int) -> float:
    """Median wall time of a call."""
    run()
    return median(timing.in_turns({"": run}, turns, lambda what: None)[""])
