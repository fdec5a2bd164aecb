"""Meta-gradients of jaxmeta beside those of its peers: the same work, in turn, on the same machine.

    python -m benchmarks.peers --json peers.json                  # an hour on two cores
    python -m benchmarks.peers --quick                            # fewer tasks, two turns; the same networks
    python -m benchmarks.peers --budget 480 --json peers.json     # as many turns as eight minutes leave
    python -m benchmarks.peers --check --json peers.json          # compares gradients, and times nothing

Every system computes the gradient of the mean query loss over tasks in the initial weights, for the workloads of
`benchmarks.workloads`. Systems of one library share a process. One whose gradient differs from jaxmeta's, in float64
on two tasks and two inner steps, is reported and not timed; this is looked at once for a network.
The systems of a workload compute one at a time, in turn, so that a machine with other work treats all alike. Tasks a
second are the median, lowest and highest over turns, and `ratio_to_best_peer` is the median over turns of jaxmeta's
speed against that of the fastest other system of the same order in the same turn. PyTorch has no second derivative of
CTC: there, jaxmeta's second order is compared with the first order of the PyTorch systems, which is less work.
Systems that take tasks one after another are timed on four of them. Rows are written after every turn, and the same
command with the same file goes on where it was stopped. Peers that are not installed are left out.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.shared.console import progress
from benchmarks.shared.host import HUGE_PAGES, usable_cores
from benchmarks.shared.peer_rows import COLUMNS, Run, summarise
from benchmarks.shared.results import Options, Results
from benchmarks.systems import LOOPS, REQUIRES, SYSTEMS, library
from benchmarks.systems.agreement import REFERENCE, check
from benchmarks.systems.workers import Workers
from benchmarks.worker import WorkerError
from benchmarks.workloads import CPU, GPU, QUICK, make

NETWORKS = tuple(dict.fromkeys(name for name, _, _ in CPU))


@dataclass(frozen=True)
class Config(Options):
    """What is measured."""

    quick: bool = False
    """Few tasks and two turns."""
    budget: float | None = None
    """Seconds for everything; turns are dropped before systems. None: as long as it takes."""
    check: bool = False
    """Compare gradients only."""
    checked: bool = True
    """Compare gradients before anything is timed."""
    workloads: tuple[str, ...] = NETWORKS
    systems: tuple[str, ...] = tuple(SYSTEMS)
    """jaxmeta must be among them."""
    orders: tuple[int, ...] = (2, 1)
    """1: inner gradients are constants. 2: exact."""
    precisions: tuple[str, ...] | None = None
    """Of "float32", "tf32", "bf16"; None: float32 on a CPU, tf32 and bf16 on a GPU."""
    turns: int = 7
    """Times that each system runs; 5 or more for figures to report."""
    turn_seconds: float = 0.2
    """Least duration of a turn, which is one meta-gradient at least."""
    compile_seconds: float = 90.0
    """After which torch.compile is given up."""


def main(config: Config) -> dict[str, Any]:
    """Measure, print a Markdown table with notes, and write the JSON file if one is named.

    Returns:
      {"rows": one for each workload, system and order, "agreement": of gradients, "notes": what was left out and why,
      "run": the stamp}.
    """
    _check(config)
    results = Results(config.json, ("rows", "agreement", "notes"))
    with progress() as step, contextlib.closing(Workers()) as workers:
        results.stamp(config, workers.ask(REFERENCE, "stamp", seed=config.seed, argv=sys.argv))
        systems = _installed(config, results)
        session = _Session(config, results, workers, systems, step)
        if not config.check:
            session.measure_products()
            if session.on_gpu:
                session.prepare()
        for group in session.groups():
            session.measure(*group)
    # JAX is imported here and not before: a child's peak memory starts at its parent's.
    from jaxmeta.training import report

    print(report.markdown_table(results["rows"], COLUMNS) if results["rows"] else "Nothing was timed.\n")
    for note in results["notes"]:
        print(f"- {note}")
    return results.data


class _Session:
    """One run of the benchmark."""

    def __init__(self, config: Config, results: Results, workers: Workers, systems: tuple[str, ...], step):
        self.config, self.results, self.workers, self.systems, self.step = config, results, workers, systems, step
        self.device = workers.ask(REFERENCE, "device")
        results.data["run"] |= {"device": self.device, "cores": usable_cores()}
        results.data["run"]["environment"] = {name: os.environ.get(name, value) for name, value in HUGE_PAGES.items()}
        self.on_gpu = self.device["platform"] != "cpu"
        self.precisions = config.precisions or (("tf32", "bf16") if self.on_gpu else ("float32",))
        self.turns = min(config.turns, 2) if config.quick else config.turns
        self.end = None if config.budget is None else time.monotonic() + config.budget

    def measure_products(self) -> None:
        """What a large matrix product reaches in each library and precision."""
        speeds = self.results.data["run"].setdefault("matmul", {})
        for name in {library(system): system for system in self.systems}.values():
            for precision in self.precisions:
                label = f"{library(name)}, {precision}"
                if label not in speeds:
                    self.step(f"matrix product, {label}")
                    sizes = [8192] if self.on_gpu else [1024, 2048]
                    answer = self.workers.ask(name, "matmul", precision=precision, sizes=sizes, seconds=1.0)
                    speeds[label] = answer["operations_per_second"]
                    self.results.data["run"].setdefault("settings", {})[label] = answer["settings"]
                    print(f"{label}: {speeds[label] / 1e12:.3g} TFLOP/s, {answer['settings']}", flush=True)

    def prepare(self) -> None:
        """Compile JAX programs at the same time, as many as a budget leaves time for."""
        seconds = None if self.config.budget is None else 0.55 * self.config.budget
        builds = [
            {"module": SYSTEMS[system], "workload": what | {"seed": self.config.seed}, "order": order}
            for what, orders, _ in self.groups()
            for system, order in self._wanted(what, orders)
            if library(system) == "jax"
        ][: seconds and int(seconds / 8)]
        self.step(f"compiling {len(builds)} programs")
        began = time.monotonic()
        ready = self.workers.ask(REFERENCE, "prepare", builds=builds, seconds=seconds)["ready"] if builds else 0
        seconds = time.monotonic() - began
        self.results.data["run"]["compiling"] = {"programs": len(builds), "ready": ready, "seconds": seconds}

    def _wanted(self, what: dict[str, Any], orders: tuple[int, ...]) -> list[tuple[str, int]]:
        """Systems and orders of one workload."""
        wanted = []
        for system in self.systems:
            for order in orders:
                if what["name"] == "ctc" and library(system) == "torch":
                    order = 1
                if system == "jaxmeta, programs" and not (self.on_gpu and what["name"] in ("conv4", "words")):
                    continue
                # Convolutions with a kernel for each task take a CPU twenty times as long as jaxmeta's.
                slow = system == "plain JAX" and what["name"] in ("conv4", "words") and not self.on_gpu
                if self.config.quick and (slow or (system == "torch.compile" and not self.on_gpu)):
                    continue  # torch.compile takes a CPU a minute or more before its first turn.
                # A program by hand takes long to compile: it is compared in one precision.
                if system == "plain JAX" and what["precision"] != self.precisions[0]:
                    continue
                if (system, order) not in wanted:
                    wanted.append((system, order))
        return wanted

    def groups(self) -> Iterator[tuple]:
        """(workload, orders, share of the time that is left), the most telling first."""
        groups = [group for group in self._groups() if not self.results.done(_label(group[0], group[1]))]
        for index, group in enumerate(groups):
            left = None if self.end is None else (self.end - time.monotonic()) / (len(groups) - index)
            yield *group, left

    def _groups(self) -> list[tuple[dict[str, Any], tuple[int, ...]]]:
        variants = QUICK if self.config.quick else GPU if self.on_gpu else CPU
        variants = [variant for variant in variants if variant[0] in self.config.workloads]
        groups = []
        for order in self.config.orders:
            for name, tasks, steps in variants:
                for precision in self.precisions:
                    # Those of CTC are compared with each other.
                    orders = self.config.orders if name == "ctc" else (order,)
                    group = ({"name": name, "tasks": tasks, "steps": steps, "precision": precision}, orders)
                    if group not in groups:
                        groups.append(group)
        return groups

    def measure(self, what: dict[str, Any], orders: tuple[int, ...], seconds: float | None) -> None:
        """Rows of one workload, all systems and orders in turn, unless they are there."""
        label = _label(what, orders)
        agreeing = self._agreeing(what["name"], orders)
        if self.config.check:
            return
        if seconds is not None and seconds < 5:
            self.results.note(f"{label}: left out, no time was left.")
            return
        self.results.forget(f"{label}: left out, no time was left.")
        end = None if seconds is None else time.monotonic() + seconds
        wanted = [pair for pair in self._wanted(what, orders) if pair in agreeing]
        runs = [run for system, order in wanted if (run := self._start(system, order, what))]
        for turn in range(self.turns):
            if turn and end is not None and time.monotonic() > end:
                break
            self.step(f"{label}: timing, turn {turn + 1} of {self.turns}")
            runs = [run for run in runs if self._take_turn(run, label)]
            speeds = self.results.data["run"]["matmul"].items()
            peak = max(speed for name, speed in speeds if name.endswith(what["precision"]))
            self.results.put(label, summarise(what, runs, peak))
        self.results.finish(label)
        self.workers.drop()

    def _agreeing(self, network: str, orders: tuple[int, ...]) -> set[tuple[str, int]]:
        """The systems and orders whose gradients are right, or have not been looked at."""
        for order in orders:
            there = [row for row in self.results["agreement"] if (row["workload"], row["order"]) == (network, order)]
            if not there and (self.config.checked or self.config.check):
                rows = check(network, order, self._compared(), self.workers, self.config.seed, self.step)
                self.results.extend("agreement", rows)
                for row in rows:
                    print({key: value for key, value in row.items() if value != ""}, flush=True)
                    if row["reason"]:
                        self.results.note(f"{network}, {row['system']}, order {order}: not timed, {row['reason']}.")
        wrong = {
            (row["system"], row["order"])
            for row in self.results["agreement"]
            if row["workload"] == network and row["reason"]
        }
        return {(system, order) for system in self.systems for order in (1, 2)} - wrong

    def _compared(self) -> list[str]:
        """torch.compile compiles what PyTorch func runs, and float64 has one form of a convolution."""
        return [system for system in self.systems if system not in ("torch.compile", "jaxmeta, programs")]

    def _start(self, system: str, order: int, what: dict[str, Any]) -> Run | None:
        """A system ready to run, or None and a note why not."""
        tasks = min(what["tasks"], LOOPS.get(system, what["tasks"]))
        workload = what | {"tasks": tasks, "seed": self.config.seed}
        name = f"{system}, order {order}"
        self.step(f"{what['name']}, {what['tasks']} tasks, {what['precision']}, {name}: building")
        limit = self.config.compile_seconds if system == "torch.compile" else None
        arguments = {"name": name, "workload": workload, "order": order, "gradient": "/dev/null"}
        try:
            if self.workers.ask(system, "supports", workload=workload, order=order)["reason"]:
                return None
            built = self.workers.ask(system, "build", limit, **arguments)
        except WorkerError as failed:
            self.results.note(f"{', '.join(map(str, what.values()))}, {name}: {failed}.")
            return None
        return Run(system, order, make(**workload), built)

    def _take_turn(self, run: Run, label: str) -> bool:
        """Whether the system is still there after its turn."""
        try:
            name = f"{run.system}, order {run.order}"
            run.turns.append(self.workers.ask(run.system, "time", name=name, seconds=self.config.turn_seconds))
        except WorkerError as failed:
            self.results.note(f"{label}, {run.system}, order {run.order}: {failed}.")
            return False
        return True


def _label(what: dict[str, Any], orders: tuple[int, ...]) -> str:
    return f"{', '.join(str(value) for value in what.values())}, order {' and '.join(map(str, orders))}"


def _installed(config: Config, results: Results) -> tuple[str, ...]:
    """The systems that are asked for and whose libraries are here."""
    systems = []
    for system, module in SYSTEMS.items():
        missing = [name for name in REQUIRES.get(module, ()) if importlib.util.find_spec(name) is None]
        if system in config.systems and missing:
            results.note(f"{system}: left out, {' and '.join(missing)} not installed; pip install 'jaxmeta[bench]'.")
        elif system in config.systems:
            systems.append(system)
    return tuple(systems)


def _check(config: Config) -> None:
    known = {"workloads": set(NETWORKS), "systems": set(SYSTEMS), "orders": {1, 2}}
    for field, choices in known.items():
        unknown = set(getattr(config, field)) - choices
        if unknown or not getattr(config, field):
            raise ValueError(f"{field} must be some of {sorted(choices)}, got {getattr(config, field)}.")
    if unknown := set(config.precisions or ()) - {"float32", "tf32", "bf16"}:
        raise ValueError(f"precisions must be some of float32, tf32 and bf16, got {sorted(unknown)}.")
    if REFERENCE not in config.systems:
        raise ValueError(f"systems must have {REFERENCE!r}, with which the others are compared; got {config.systems}.")
    if config.turns < 1:
        raise ValueError(f"turns must be 1 or more, got {config.turns}.")


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Config, prog="python -m benchmarks.peers", description=__doc__))
