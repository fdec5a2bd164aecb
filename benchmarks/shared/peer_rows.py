"""Rows of the comparison with peers, from the turns that systems took."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.systems import NOT_PEERS, library
from benchmarks.systems.agreement import REFERENCE
from benchmarks.workloads import Workload

COLUMNS = {
    "workload": "",
    "tasks": "",
    "steps": "",
    "precision": "",
    "order": "",
    "system": "",
    "tasks_per_second": ".3g",
    "lowest": ".3g",
    "highest": ".3g",
    "turns": "",
    "ratio_to_best_peer": ".2f",
    "ratio_of_processor_time": ".2f",
    "best_peer": "",
    "memory_mb": ".0f",
    "compile_seconds": ".1f",
    "gflops": ".4g",
    "matmul_fraction": ".3f",
    "cores": "",
}


@dataclass
class Run:
    """A system at work on one workload."""

    system: str
    order: int
    workload: Workload
    """Of as many tasks as this system is timed on."""
    built: dict[str, Any]
    """compile_seconds and cores."""
    turns: list[dict[str, Any]] = field(default_factory=list)
    """runs, seconds and memory_mb of each."""

    @property
    def speeds(self) -> np.ndarray:
        """Tasks a second of each turn."""
        return np.array([self.workload.tasks * turn["runs"] / turn["seconds"] for turn in self.turns])

    @property
    def cpu_speeds(self) -> np.ndarray | None:
        """Tasks a second of processor time of each turn; None where a GPU computes."""
        if any(turn["cpu_seconds"] is None for turn in self.turns):
            return None
        return np.array([self.workload.tasks * turn["runs"] / turn["cpu_seconds"] for turn in self.turns])


def summarise(what: dict[str, Any], runs: list[Run], matmul: float) -> list[dict[str, Any]]:
    """A row for each run.

    Args:
      what: name, tasks, steps and precision of the workload.
      runs: each with the same number of turns.
      matmul: operations a second of a large product of this precision.
    """
    rows = []
    for run in runs:
        speed, operations = run.speeds, run.workload.operations(run.order)
        peers, mark = _peers(what["name"], run, runs)
        rows.append(
            {
                "workload": what["name"],
                "tasks": what["tasks"],
                "steps": what["steps"],
                "precision": what["precision"],
                "order": run.order,
                "system": run.system,
                "tasks_per_second": float(np.median(speed)),
                "lowest": float(speed.min()),
                "highest": float(speed.max()),
                "turns": len(speed),
                "ratio_to_best_peer": _ratio(run.speeds, [peer.speeds for peer in peers]),
                "ratio_of_processor_time": _ratio(run.cpu_speeds, [peer.cpu_speeds for peer in peers]),
                "best_peer": max(peers, key=lambda peer: np.median(peer.speeds)).system + mark if peers else None,
                "memory_mb": max(turn["memory_mb"] for turn in run.turns),
                "compile_seconds": run.built["compile_seconds"],
                "gflops": float(np.median(speed)) * operations / 1e9,
                "matmul_fraction": float(np.median(speed)) * operations / matmul,
                "cores": run.built["cores"],
            }
        )
    return rows


def _peers(network: str, run: Run, runs: list[Run]) -> tuple[list[Run], str]:
    """What jaxmeta is compared with, and a mark for its name; nothing for the other systems."""
    if run.system != REFERENCE:
        return [], ""
    if network == "ctc" and run.order == 2:
        return [peer for peer in runs if library(peer.system) == "torch" and peer.order == 1], ", order 1"
    return [peer for peer in runs if peer.system not in NOT_PEERS and peer.order == run.order], ""


def _ratio(speeds: np.ndarray | None, peers: list[np.ndarray | None]) -> float | None:
    """Median over turns of a speed against the best other one in the same turn."""
    others = [each for each in peers if each is not None]
    if speeds is None or not others:
        return None
    return float(np.median(speeds / np.max(others, axis=0)))
