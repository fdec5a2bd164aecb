"""What it costs that several processes share an update, on one machine.

    python -m benchmarks.processes --json processes.json            # minutes on two cores
    python -m benchmarks.processes --quick                          # a narrow network

Second-order MAML (mixed mode, 5 inner steps) on random log-mels with `conv4`, 8 tasks an update, through `train_loop`.
Each run trains in one process, or in two or four that share the tasks over the loopback. Figures are of processor time,
the least of an update from the second one on, summed over the processes: other work on the machine changes them little.
`efficiency` is that of one process over that of all; what is lost is work done twice, and collectives.
"""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.shared.host import usable_cores
from benchmarks.shared.results import Results, Write

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Config:
    """What is measured."""

    json: Path | None = None
    """File for the rows and the stamp."""
    quick: bool = False
    """Width 8 and few updates."""
    processes: tuple[int, ...] = (1, 2, 4)
    tasks: int = 8
    updates: int = 8
    width: int = 64
    turns: int = 3
    """Times that each number of processes runs, in turn."""


def main(config: Config) -> dict[str, Any]:
    """Measure, print a Markdown table, and write the JSON file if one is named.

    Returns:
      {"rows": one for each number of processes, "run": the stamp}.
    """
    from jaxmeta.training import report

    results = Results(config.json, ("rows",))
    results.stamp(config, report.stamp(0, sys.argv, {}) | {"usable_cores": usable_cores()})
    rows = results.group("processes", lambda write: _measure(config, write))
    print(report.markdown_table(rows, list(rows[0])))
    return {"rows": rows, "run": results.data["run"]}


def _measure(config: Config, write: Write) -> list[dict[str, Any]]:
    """A row for each number of processes, which run in turn."""
    updates, width, turns = (4, 8, 1) if config.quick else (config.updates, config.width, config.turns)
    seconds: dict[int, list[float]] = {}
    rows: list[dict[str, Any]] = []
    for _ in range(turns):
        for count in config.processes:
            taken = _run(count, {"tasks": config.tasks, "updates": updates, "width": width})
            seconds.setdefault(count, []).append(taken)
            first = median(seconds[config.processes[0]])
            rows = [
                {"processes": count, "tasks": config.tasks, "width": width, "turns": len(each),
                 "cpu_seconds_per_update": median(each), "lowest": min(each), "highest": max(each),
                 "efficiency": first / median(each)}
                for count, each in seconds.items()
            ]  # fmt: skip
            write(rows)
    return rows


def _run(count: int, what: dict[str, Any]) -> float:
    """Processor seconds an update of so many processes, all together."""
    with socket.socket(socket.AF_INET6) as held, tempfile.TemporaryDirectory() as folder:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # The coordinator binds to this port too.
        held.bind(("::", 0))
        given = {**what, "count": count, "port": held.getsockname()[1], "folder": folder}
        children = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.processes", "--child", json.dumps(given | {"index": index})],
                stdout=subprocess.PIPE, text=True, cwd=ROOT,
            )
            for index in range(count)
        ]  # fmt: skip
        try:
            return sum(float(each.communicate()[0].split()[-1]) for each in children)
        finally:
            for each in children:
                each.kill()


def _train(given: dict[str, Any]) -> None:
    """One of the processes: print its processor seconds an update."""
    import jax
    import optax

    from benchmarks.shared.problems import word_episodes
    from jaxmeta import maml, mixed_mode
    from jaxmeta.losses import cross_entropy
    from jaxmeta.models.clip_encoders import conv4
    from jaxmeta.training import init_state, make_update
    from jaxmeta.training.loop import train_loop
    from jaxmeta.training.processes import joined, together
    from jaxmeta.training.sharing import all_devices

    times = []
    several = (f"127.0.0.1:{given['port']}", given["count"], given["index"]) if given["count"] > 1 else ()
    with joined(*several):
        mesh = all_devices() if together() else None
        learner = maml(conv4(5, width=given["width"]), cross_entropy, optax.sgd(0.1), 5, mixed_mode())
        episodes, optimizer = word_episodes(given["tasks"]), optax.adam(1e-3)
        start = init_state(learner, optimizer, jax.random.key(0), jax.tree.map(lambda x: x[0], episodes.support.inputs))
        update = make_update(learner, optimizer, microbatch=1, mesh=mesh)

        def note(state: Any, _: Any) -> None:
            jax.block_until_ready(state)
            times.append(time.process_time())

        folder = Path(given["folder"])
        train_loop(update, start, lambda index: episodes, given["updates"], folder, mesh=mesh, on_step=note)
    print(min(after - before for before, after in itertools.pairwise(times)), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _train(json.loads(sys.argv[2]))
    else:
        import tyro

        main(tyro.cli(Config, prog="python -m benchmarks.processes", description=__doc__))
