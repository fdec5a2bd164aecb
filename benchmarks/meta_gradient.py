"""What a meta-gradient costs in time: tasks a second, for each way to differentiate the inner loop.

    python -m benchmarks.meta_gradient --json meta_gradient.json    # a minute on two cores
    python -m benchmarks.meta_gradient --quick                      # a narrow network and three turns

One update of MAML on the word model, on random log-mels (40 mels, 40 to 80 frames). The estimators run in turn in one
process, and a ratio is the median over those turns, so that a machine with other work treats them alike. Expected:
both exact estimators take about twice the time of first order. `benchmarks.memory` says what they need in memory.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.shared import console, timing
from benchmarks.shared.results import Options, Results, Write

if TYPE_CHECKING:  # JAX is imported where it is used, so that --help is quick
    from jaxmeta.types import MetaLearner


@dataclass(frozen=True)
class Config(Options):
    """What is measured."""

    quick: bool = False
    """A network of a quarter of the width, and three turns."""
    model: Literal["conv4", "residual"] = "conv4"
    width: int = 64
    """Channels of the network."""
    ways: int = 5
    shots: int = 1
    queries: int = 5
    """Query clips of each class."""
    steps: int = 5
    """Inner steps."""
    tasks: int = 4
    """Tasks in an update."""
    microbatch: int | None = 1
    """Tasks in flight at once; None: all of them, which a GPU wants."""
    turns: int = 7
    """Times that each estimator runs; 5 or more for figures to report."""


def main(config: Config) -> dict[str, Any]:
    """Measure, print a Markdown table, and write the JSON file if one is named.

    Returns:
      {"rows": speed of each estimator, "run": the stamp}.
    """
    from jaxmeta.training import report

    if config.quick:
        config = replace(config, width=max(8, config.width // 4), turns=3)
    results = Results(config.json, ("rows",))
    results.stamp(config, report.stamp(config.seed, sys.argv, {}))
    with console.progress() as step:
        rows = results.group("speed", lambda write: measure_speed(config, step, write))
    columns = {"estimator": "", "tasks_per_second": ".2f", "lowest": ".2f", "highest": ".2f", "ratio": ".2f"}
    print(f"\nTasks a second, {_describe(config)}:\n\n{report.markdown_table(rows, columns)}")
    return {"rows": rows, "run": results.data["run"]}


def make_learners(config: Config) -> dict[str, MetaLearner]:
    """MAML on the word model under each estimator; the first is what the others are compared with."""
    import optax

    from jaxmeta import first_order, maml, mixed_mode, unrolled
    from jaxmeta.losses import cross_entropy
    from jaxmeta.models.clip_encoders import conv4, residual

    model = {"conv4": conv4, "residual": residual}[config.model](config.ways, width=config.width)
    estimators = {"first order": first_order(), "unrolled": unrolled(), "mixed mode": mixed_mode()}
    return {
        name: maml(model, cross_entropy, optax.sgd(0.1), config.steps, estimator)
        for name, estimator in estimators.items()
    }


def measure_speed(config: Config, step: Callable[[str], None], write: Write) -> list[dict[str, Any]]:
    """Tasks a second of whole updates: median, lowest and highest over turns, and the ratio of times to the first."""
    import numpy as np

    from benchmarks.shared.problems import compiled_update, word_episodes

    episodes = word_episodes(
        config.tasks, ways=config.ways, shots=config.shots, queries=config.queries, seed=config.seed
    )
    updates = {
        name: partial(compiled_update, learner, episodes, microbatch=config.microbatch)
        for name, learner in make_learners(config).items()
    }

    def summarise(seconds: dict[str, list[float]]) -> list[dict[str, Any]]:
        first, rows = np.array(next(iter(seconds.values()))), []
        for name, taken in seconds.items():
            rates = timing.rates(taken, config.tasks)
            ratio = float(np.median(np.array(taken) / first))
            rows.append({"estimator": name, "tasks_per_second": rates.pop("rate"), **rates, "ratio": ratio})
        return rows

    return summarise(timing.built_in_turns(updates, config.turns, step, lambda taken: write(summarise(taken))))


def _describe(config: Config) -> str:
    flight = "all tasks at once" if config.microbatch is None else f"{config.microbatch} at a time"
    return (
        f"{config.model} of width {config.width}, {config.ways}-way {config.shots}-shot, {config.queries} queries a "
        f"class, {config.steps} inner steps, {config.tasks} tasks, {flight}; lowest and highest of {config.turns} turns"
    )


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Config, prog="python -m benchmarks.meta_gradient", description=__doc__))
