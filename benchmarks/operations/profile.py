"""What an update spends its time on, by `jax.profiler`: convolutions, products, sums, copies, and all else.

    python -m benchmarks.operations --json operations.json    # a minute on a core
    python -m benchmarks.operations --quick                      # words alone

An update of jaxmeta of each workload of `benchmarks.workloads` (second order, one device) is compiled, called, and then
called a few times while the profiler looks. Each operation of the compiled program belongs to one kind, by the
operation of the source that it ends with: what a compiler fuses with a convolution or a sum counts for that. Times are
those of operations, on a GPU of kernels; shares are of their sum. The last row is an update by the clock, without the
profiler: where it is longer than the sum, the device was idle; where it is much shorter, the profiler slowed a program
of many small operations down, whose shares are then too large.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.shared import console
from benchmarks.shared.results import Options

INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = (.*)$", re.MULTILINE)
SOURCE = re.compile(r'op_name="([^"]*)"')
CONTROL = re.compile(r"(while|call|conditional|async)[.\-\w]*$")
"""Operations that last as long as others within them."""
COPIES = re.compile(r"copy|transpose|pad|slice|concatenate|broadcast|gather|scatter|reshape|convert|iota")
KINDS = (
    (re.compile(r"/convolution_outputs\b"), "convolutions: outputs"),
    (re.compile(r"/convolution_inputs\b"), "convolutions: inputs' gradients"),
    (re.compile(r"/convolution_kernel\b"), "convolutions: kernels' gradients"),
    (re.compile(r"/(dot_general|conv_general_dilated)$"), "products of matrices"),
    (re.compile(r"/(reduce_\w+|cumsum|argmax|cumlogsumexp)$"), "sums and largest values"),
    (re.compile(rf"/({COPIES.pattern})\w*$"), "copies"),
)


@dataclass(frozen=True)
class Config(Options):
    """What is measured."""

    quick: bool = False
    """Words alone."""
    workloads: tuple[str, ...] = ("conv4", "words", "ctc")
    tasks: int | None = None
    """None: 4 on a CPU, 128 on a GPU."""
    updates: int = 3
    """That the profiler sees."""


def main(config: Config) -> dict[str, Any]:
    """Measure, print a table, and write the JSON file if one is named. Rows are written as they come."""
    from benchmarks.tables import render
    from jaxmeta.training import report
    from jaxmeta.training.runtime import prepare

    prepare()
    stamp = report.stamp(config.seed, sys.argv, {}) | {"config": vars(config)}
    rows: list[dict[str, Any]] = []
    results = console.keep(config.json, rows, stamp)
    with console.progress() as step:
        for name in ("words",) if config.quick else config.workloads:
            step(name)
            rows += measure(name, config)
            results = console.keep(config.json, rows, stamp)
    print(render(rows))
    return results


def measure(name: str, config: Config) -> list[dict[str, Any]]:
    """Rows of one workload: a kind each, the longest first."""
    import jax

    from benchmarks.systems import jaxmeta_system
    from benchmarks.workloads import CPU, make

    gpu = jax.default_backend() == "gpu"
    tasks = config.tasks or (128 if gpu else 4)
    steps = next(steps for workload, _, steps in CPU if workload == name)
    workload = make(name, tasks, steps, config.seed, precision="tf32" if gpu else "float32")
    update, train, episodes = jaxmeta_system.update_of(workload, order=2)
    program = jax.jit(update).lower(train, episodes).compile()
    jax.block_until_ready(program(train, episodes))
    began = time.perf_counter()
    for _ in range(config.updates):
        jax.block_until_ready(program(train, episodes))
    wall = time.perf_counter() - began
    with tempfile.TemporaryDirectory() as folder:
        options = jax.profiler.ProfileOptions()
        options.host_tracer_level, options.python_tracer_level = 3, 0  # 3: each operation of a CPU.
        with jax.profiler.trace(folder, profiler_options=options):
            for _ in range(config.updates):
                jax.block_until_ready(program(train, episodes))
        taken: dict[str, float] = defaultdict(float)
        for operation, seconds in events(folder):
            taken[operation] += seconds
    rows = shares(kinds(program.as_text() or ""), taken, wall)
    return [
        {"workload": name, "tasks": tasks, "kind": row["kind"], "milliseconds an update": row["ms"] / config.updates}
        | {"%": row["%"]}
        for row in rows
    ]


def kinds(program: str) -> dict[str, str]:
    """Instruction of an optimised program, as text -> its kind; those that hold others are left out."""
    return {
        name: kind_of(name, source[1] if (source := SOURCE.search(text)) else "")
        for name, text in INSTRUCTION.findall(program)
        if not CONTROL.match(name)
    }


def kind_of(instruction: str, source: str) -> str:
    """Kind of an instruction, by its name and by the operation that it was made from."""
    for pattern, kind in KINDS:
        if pattern.search(source):
            # The arrays of a convolution are brought into the order of axes that is fast.
            moves = kind.startswith("convolutions") and COPIES.search(source.rsplit("/", 1)[-1])
            return "copies for convolutions" if moves else kind
    return "copies" if COPIES.match(instruction) else "element by element, and all else"


def shares(kinds: dict[str, str], taken: dict[str, float], wall: float) -> list[dict[str, Any]]:
    """{"kind", "ms", "%"} of each kind, the longest first, and the wall time as "all, by the clock".

    Args:
      kinds: instruction -> kind.
      taken: instruction -> seconds; those of other programs are left out.
      wall: seconds of the same updates without the profiler.
    """
    total: dict[str, float] = defaultdict(float)
    for instruction, seconds in taken.items():
        if instruction in kinds:
            total[kinds[instruction]] += seconds
    everything = sum(total.values())
    longest = sorted(total.items(), key=lambda each: -each[1])
    rows = [{"kind": kind, "ms": 1000 * s, "%": 100 * s / everything} for kind, s in longest]
    return [*rows, {"kind": "all, by the clock", "ms": 1000 * wall, "%": None}]


def events(folder: str) -> Iterator[tuple[str, float]]:
    """(instruction, seconds) of each operation that a trace saw."""
    from jax.profiler import ProfileData

    for file in Path(folder).rglob("*.xplane.pb"):
        for plane in ProfileData.from_file(str(file)).planes:
            for line in plane.lines:
                for event in line.events:
                    for name, value in event.stats:
                        if name == "hlo_op":
                            yield value, event.duration_ns / 1e9
