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
        ratio, peer = _ratio(what["name"], run, runs)
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
                "ratio_to_best_peer": ratio,
                "best_peer": peer,
                "memory_mb": max(turn["memory_mb"] for turn in run.turns),
                "compile_seconds": run.built["compile_seconds"],
                "gflops": float(np.median(speed)) * operations / 1e9,
                "matmul_fraction": float(np.median(speed)) * operations / matmul,
                "cores": run.built["cores"],
            }
        )
    return rows


def _ratio(network: str, run: Run, runs: list[Run]) -> tuple[float | None, str | None]:
    """Median over turns of jaxmeta's speed against the best other system's, and which that is."""
    if run.system != REFERENCE:
        return None, None
    peers = [peer for peer in runs if peer.system not in NOT_PEERS and peer.order == run.order]
    mark = ""
    if network == "ctc" and run.order == 2:
        peers = [peer for peer in runs if library(peer.system) == "torch" and peer.order == 1]
        mark = ", order 1"
    if not peers:
        return None, None
    best = max(peers, key=lambda peer: float(np.median(peer.speeds)))
    fastest = np.max([peer.speeds for peer in peers], axis=0)
    return float(np.median(run.speeds / fastest)), best.system + mark
