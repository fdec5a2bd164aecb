"""What a call of the device costs: updates of a small network one at a time, several in a call, and JAX by hand.

    python -m benchmarks.calls --json benchmarks/results/calls.json    # two minutes on two cores
    python -m benchmarks.calls --quick                                 # three turns

MAML on sinusoids (`benchmarks.workloads`, 25 tasks, 1,761 weights). jaxmeta makes whole updates, with `make_update`
one at a time, and with what `train_loop` calls for such a network. By hand there is the gradient alone, as in
`benchmarks.peers`, and an update: the loss, that gradient and the same outer optimizer, without a mask of tasks and
without metrics, one at a time and several in a `lax.scan`. All run in turn in one process. Figures are the processor
time of an update, which other work on the machine changes less than wall time; the ratio to the gradient by hand is the
median over turns.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

GRADIENT = "by hand, gradient"


@dataclass(frozen=True)
class Config:
    """What is measured."""

    json: Path | None = None
    """File for the rows and the stamp."""
    quick: bool = False
    """Three turns."""
    steps: tuple[int, ...] = (1, 5)
    """Inner steps."""
    orders: tuple[int, ...] = (2, 1)
    at_once: int = 8
    """Updates in a call."""
    updates: int = 48
    """Of each program in a turn, a multiple of `at_once`."""
    turns: int = 15
    seed: int = 0


def main(config: Config) -> dict[str, Any]:
    """Measure, print a Markdown table, and write the JSON file if one is named.

    Returns:
      {"rows": one for each program, "run": the stamp}.
    Raises:
      ValueError: updates that are no multiple of at_once.
    """
    from benchmarks.shared import console
    from benchmarks.shared.results import Results
    from jaxmeta.training import report
    from jaxmeta.training.runtime import prepare

    if config.updates % config.at_once:
        raise ValueError(f"updates={config.updates} must be a multiple of at_once={config.at_once}.")
    prepare()
    rows: list[dict[str, Any]] = []
    results = Results(config.json, ("rows",))
    results.stamp(config, report.stamp(config.seed, sys.argv, {}))
    with console.progress() as step:
        for steps in config.steps:
            for order in config.orders:
                step(f"{steps} steps, order {order}")
                label = f"{steps} steps, order {order}"
                rows += results.group(label, lambda _, steps=steps, order=order: measure(steps, order, config))
    print(report.markdown_table(rows, list(rows[0])))
    return {"rows": rows, "run": results.data["run"]}


def measure(steps: int, order: int, config: Config) -> list[dict[str, Any]]:
    """Processor milliseconds of an update by each program."""
    milliseconds: dict[str, list[float]] = {}
    runs = programs(steps, order, config)
    for run, _ in runs.values():
        run()
    for _ in range(3 if config.quick else config.turns):
        for name, (run, updates) in runs.items():
            began = time.process_time()
            for _ in range(config.updates // updates):
                run()
            milliseconds.setdefault(name, []).append(1000 * (time.process_time() - began) / config.updates)
    by_hand = milliseconds[GRADIENT]
    return [
        {"steps": steps, "order": order, "program": name, "milliseconds": median(taken), "lowest": min(taken),
         "highest": max(taken), "speed_over_gradient_by_hand": median(map(float.__truediv__, by_hand, taken))}
        for name, taken in milliseconds.items()
    ]  # fmt: skip


def programs(steps: int, order: int, config: Config) -> dict[str, tuple[Callable[[], Any], int]]:
    """Name -> (a function that computes and waits, updates that it makes)."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    from benchmarks.systems import jaxmeta_system, plain_jax
    from benchmarks.workloads import make
    from jaxmeta.training.on_device import Batches, several

    workload = make("sinusoid", 25, steps, config.seed)
    update, train, episodes = jaxmeta_system.update_of(workload, order)
    mean_loss, weights, support, query = plain_jax.loss_of(workload, order)

    def by_hand(moving, tasks):
        weights, slots = moving
        loss, gradients = jax.value_and_grad(mean_loss)(weights, *tasks)
        updates, slots = jaxmeta_system.OPTIMIZER.update(gradients, slots, weights)
        return (optax.apply_updates(weights, updates), slots), loss

    def stacked(tasks):
        return jax.tree.map(lambda leaf: jnp.stack([leaf] * config.at_once), tasks)

    batches = Batches(stacked(episodes), np.asarray(config.at_once, np.int32))
    moving, tasks, many = (weights, jaxmeta_system.OPTIMIZER.init(weights)), (support, query), config.at_once
    given = {
        "jaxmeta": (update, (train, episodes), 1),
        f"jaxmeta, {many} in a call": (several(update), (train, batches), many),
        "by hand, update": (by_hand, (moving, tasks), 1),
        f"by hand, {many} updates in a call": (partial(jax.lax.scan, by_hand), (moving, stacked(tasks)), many),
        GRADIENT: (jax.grad(mean_loss), (weights, support, query), 1),
    }

    def waiting(program: Any, arguments: Any) -> Callable[[], Any]:
        return lambda: jax.block_until_ready(program(*arguments))

    return {name: (waiting(jax.jit(program), arguments), count) for name, (program, arguments, count) in given.items()}


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Config, prog="python -m benchmarks.calls", description=__doc__))
