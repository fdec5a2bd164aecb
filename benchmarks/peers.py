"""Meta-gradients of jaxmeta beside those of its peers: the same work, in turn, on the same machine.

    python -m benchmarks.peers --json peers.json    # an hour on two cores
    python -m benchmarks.peers --quick              # fewer tasks, two turns; the same networks

Every system computes the gradient of the mean query loss over tasks in the initial weights, for the workloads of
`benchmarks.workloads`, each in a process of its own. One whose gradient differs from jaxmeta's, in float64 on two
tasks, is reported and not timed; `gradient_error` is what rounding leaves in float32 on all of them.
The processes then compute one at a time, in turn, so that a machine with other work treats all alike. Tasks a second
are the median, lowest and highest over turns, and `ratio_to_best_peer` is the median over turns of jaxmeta's speed
against that of the fastest other system of the same order in the same turn; `best_peer` is the one with the highest
median. PyTorch has no second derivative of CTC: there, jaxmeta's second order is compared with the first order of the
PyTorch systems, which is less work, and `best_peer` says so.
`matmul_fraction` is the operations that the algorithm needs (`operations`, for one task) over those that this machine
does in a large float32 matrix product. Peak memory is the process's, compilation included and the library not.
Peers that are not installed are left out: pip install 'jaxmeta[bench]'.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.console import progress
from benchmarks.systems import REQUIRES, SYSTEMS
from benchmarks.systems.agreement import REFERENCE, SINGLE, Agreement, largest_error, load
from benchmarks.worker import Worker, WorkerError
from benchmarks.workloads import FULL, QUICK, Workload, make

COLUMNS = {
    "workload": "",
    "system": "",
    "order": "",
    "tasks": "",
    "steps": "",
    "tasks_per_second": ".3g",
    "lowest": ".3g",
    "highest": ".3g",
    "ratio_to_best_peer": ".2f",
    "best_peer": "",
    "peak_memory_mb": ".0f",
    "compile_seconds": ".1f",
    "operations": ".3g",
    "matmul_fraction": ".3f",
    "gradient_error": ".0e",
    "cores": "",
}


@dataclass(frozen=True)
class Config:
    """What is measured."""

    json: Path | None = None
    """File for the rows and the stamp."""
    quick: bool = False
    """Few tasks and two turns."""
    workloads: tuple[str, ...] = tuple(dict.fromkeys(name for name, _, _ in FULL))
    systems: tuple[str, ...] = tuple(SYSTEMS)
    """jaxmeta must be among them."""
    orders: tuple[int, ...] = (1, 2)
    """1: inner gradients are constants. 2: exact."""
    turns: int = 7
    """Times that each system runs; 5 or more for figures to report."""
    turn_seconds: float = 0.2
    """Least duration of a turn, which is one meta-gradient at least."""
    devices: int | None = None
    """Devices that jaxmeta divides a CPU into; None: one a core where the tasks can be shared equally."""
    seed: int = 0


@dataclass
class Run:
    """A system at work on one workload."""

    system: str
    order: int
    worker: Worker
    built: dict[str, Any]
    """compile_seconds and cores."""
    error: float
    """Largest difference of a leaf of the gradient from jaxmeta's, as a share of the leaf's largest entry."""
    turns: list[dict[str, Any]]
    """runs, seconds and peak_memory_mb of each."""


def main(config: Config) -> dict[str, Any]:
    """Measure, print a Markdown table with notes, and write the JSON file if one is named.

    Returns:
      {"rows": one for each workload, system and order, "notes": what was left out and why, "run": the stamp}.
    """
    if config.quick:
        config = replace(config, turns=min(config.turns, 2))
    _check(config)
    notes: list[str] = []
    with progress() as step:
        systems = _installed(config, notes)
        speed = measure_matmul(systems, step, notes)
        agreement = Agreement(systems, config.seed)
        rows = []
        for variant in QUICK if config.quick else FULL:
            if variant[0] in config.workloads:
                rows += measure(config, variant, agreement, systems, max(speed.values()), step, notes)
    # JAX is imported here and not before: a child's peak memory starts at its parent's.
    from jaxmeta.training import report

    rates = ", ".join(f"{rate / 1e9:.0f} billion ({system})" for system, rate in speed.items())
    print(f"\nFloat32 matrix product, operations a second: {rates}.\n")
    print(report.markdown_table(rows, COLUMNS) if rows else "Nothing was measured.\n")
    for note in notes:
        print(f"- {note}")
    run = report.stamp(config.seed, sys.argv, {}) | {"config": vars(config), "matmul": speed, "peers": _versions()}
    if config.json:
        from jaxmeta.files.durable import write_json

        config.json.parent.mkdir(parents=True, exist_ok=True)
        write_json(config.json, {"rows": rows, "notes": notes, "run": run})
    return {"rows": rows, "notes": notes, "run": run}


def measure_matmul(systems: dict[str, str], step: Callable[[str], None], notes: list[str]) -> dict[str, float]:
    """System -> float32 operations a second in a large matrix product, for one system of each library."""
    speed = {}
    libraries = {"torch" if "torch" in REQUIRES.get(module, ()) else "jax": name for name, module in systems.items()}
    for library, system in libraries.items():
        step(f"matrix product in {library}")
        with contextlib.closing(Worker(systems[system])) as worker:
            try:
                answer = worker.ask("matmul", sizes=[1024, 2048], seconds=1.0)
            except WorkerError as error:
                notes.append(f"matrix product in {library}: {error}")
                continue
            speed[library] = answer["operations_per_second"]
    return speed or {"none": float("nan")}


def measure(config: Config, variant: tuple[str, int, int], agreement: Agreement, systems, matmul: float, step, notes):
    """Rows of one workload: all systems and orders, in turn."""
    name, tasks, steps = variant
    what = {"name": name, "tasks": tasks, "steps": steps, "seed": config.seed}
    # One order after the other, for the sake of memory; those of CTC are compared with each other.
    groups = [config.orders] if name == "ctc" else [(order,) for order in config.orders]
    rows = []
    for orders in groups:
        with contextlib.ExitStack() as stack:
            runs = _start(config, what, orders, agreement, systems, stack, step, notes)
            for turn in range(config.turns):
                step(f"{_title(what)}: timing, turn {turn + 1} of {config.turns}")
                runs = [run for run in runs if _take_turn(run, config.turn_seconds, what, notes)]
            rows += summarise(make(**what), runs, matmul)
    return rows


def summarise(workload: Workload, runs: list[Run], matmul: float) -> list[dict[str, Any]]:
    """A row for each run that took its turns."""
    speeds = {
        id(run): np.array([workload.tasks * turn["runs"] / turn["seconds"] for turn in run.turns]) for run in runs
    }
    rows = []
    for run in runs:
        speed, operations = speeds[id(run)], workload.operations(run.order)
        ratio, peer = None, None
        if run.system == REFERENCE:
            peers, mark = _peers(workload, runs, run.order)
            if peers:
                best = max(peers, key=lambda peer: np.median(speeds[id(peer)]))
                fastest = np.max([speeds[id(peer)] for peer in peers], axis=0)
                ratio, peer = float(np.median(speed / fastest)), best.system + mark
        rows.append(
            {
                "workload": workload.name,
                "system": run.system,
                "order": run.order,
                "tasks": workload.tasks,
                "steps": workload.steps,
                "tasks_per_second": float(np.median(speed)),
                "lowest": float(speed.min()),
                "highest": float(speed.max()),
                "ratio_to_best_peer": ratio,
                "best_peer": peer,
                "peak_memory_mb": max(turn["peak_memory_mb"] for turn in run.turns),
                "compile_seconds": run.built["compile_seconds"],
                "operations": operations,
                "matmul_fraction": float(np.median(speed)) * operations / matmul,
                "gradient_error": run.error,
                "cores": run.built["cores"],
            }
        )
    return rows


def _peers(workload: Workload, runs: list[Run], order: int) -> tuple[list[Run], str]:
    """What jaxmeta is compared with, and a remark on it."""
    if workload.name == "ctc" and order == 2:
        torch = [run for run in runs if "torch" in REQUIRES.get(SYSTEMS[run.system], ())]
        return [run for run in torch if run.order == 1], ", order 1"
    return [run for run in runs if run.system != REFERENCE and run.order == order], ""


def _start(config, what, orders, agreement, systems, stack, step, notes) -> list[Run]:
    """The workers of one workload, built, without those whose gradients differ from jaxmeta's."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    runs, references = [], {}
    for system, module in systems.items():
        for order in orders:
            label = f"{_title(what)}, {system}, order {order}"
            step(f"{label}: comparing")
            reason = agreement.reason(system, order, what)
            if reason:
                notes.append(f"{label}: {reason}.")
                continue
            step(f"{label}: building")
            worker = stack.enter_context(contextlib.closing(Worker(module)))
            options = {"devices": config.devices} if system == REFERENCE else {}
            file = folder / f"{module}_{order}.npz"
            try:
                built = worker.ask("build", workload=what, order=order, gradient=str(file), **options)
            except WorkerError as died:
                notes.append(f"{label}: {died}.")
                continue
            gradient = load(file)
            if order not in references and system != REFERENCE:
                notes.append(f"{label}: {REFERENCE} is not there, so the others' gradients are compared with this one.")
            error, leaf = largest_error(gradient, references.setdefault(order, gradient))
            if error <= SINGLE:
                runs.append(Run(system, order, worker, built, error, []))
                continue
            notes.append(f"{label}: not timed, in float32 its gradient of {leaf} is off by {error:.1e}.")
            worker.close()
    return runs


def _take_turn(run: Run, seconds: float, what: dict[str, Any], notes: list[str]) -> bool:
    """Whether the worker is still there after its turn."""
    try:
        run.turns.append(run.worker.ask("time", seconds=seconds))
    except WorkerError as died:
        notes.append(f"{_title(what)}, {run.system}, order {run.order}: {died}.")
        return False
    return True


def _installed(config: Config, notes: list[str]) -> dict[str, str]:
    """System -> module, of those asked for whose libraries are here."""
    systems = {}
    for system, module in SYSTEMS.items():
        missing = [name for name in REQUIRES.get(module, ()) if importlib.util.find_spec(name) is None]
        if system in config.systems and missing:
            notes.append(f"{system}: left out, {' and '.join(missing)} not installed; pip install 'jaxmeta[bench]'.")
        elif system in config.systems:
            systems[system] = module
    return systems


def _check(config: Config) -> None:
    known = {"workloads": {name for name, _, _ in FULL}, "systems": set(SYSTEMS), "orders": {1, 2}}
    for field, choices in known.items():
        unknown = set(getattr(config, field)) - choices
        if unknown or not getattr(config, field):
            raise ValueError(f"{field} must be some of {sorted(choices)}, got {getattr(config, field)}.")
    if REFERENCE not in config.systems:
        raise ValueError(f"systems must have {REFERENCE!r}, with which the others are compared; got {config.systems}.")
    if config.turns < 1:
        raise ValueError(f"turns must be 1 or more, got {config.turns}.")


def _title(what: dict[str, Any]) -> str:
    return f"{what['name']} with {what['tasks']} tasks and {what['steps']} step{'s' * (what['steps'] > 1)}"


def _versions() -> dict[str, str]:
    """Of the peers' libraries."""
    packages = sorted({name for names in REQUIRES.values() for name in names})
    return {name: importlib.metadata.version(name) for name in packages if importlib.util.find_spec(name)}


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Config, prog="python -m benchmarks.peers", description=__doc__))
