"""How long a spoken-words learner takes to adapt to a support set.

    python -m benchmarks.adaptation --json adaptation.json    # three minutes on two cores
    python -m benchmarks.adaptation --quick                   # narrow networks, three learners

Every learner of `jaxmeta.words` with its inner loop of five steps and the network of the full preset,
on support sets of five words with one and five recordings each (random log-mels, 40 to 80 frames). Compiled; the
learners run in turn in one process. Weights are as drawn, for the time does not depend on them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

from benchmarks.shared import console, timing
from benchmarks.shared.results import Options, Results, Write


@dataclass(frozen=True)
class Config(Options):
    """What is measured."""

    quick: bool = False
    """A width of 16, three learners and three turns."""
    width: int = 128
    """Of the residual network; 64 in the quick preset of the experiment."""
    steps: int = 5
    """Inner steps, of learners that have them."""
    shots: tuple[int, ...] = (1, 5)
    """Recordings of each of five words."""
    turns: int = 21
    """Times that each learner adapts."""


def main(config: Config) -> dict[str, Any]:
    """Measure, print a Markdown table, and write the JSON file if one is named.

    Returns:
      {"rows": milliseconds of each learner and number of shots, "run": the stamp}.
    """
    from typing import get_args

    from jaxmeta.training import report
    from jaxmeta.words.presets import LearnerName

    names = get_args(LearnerName)
    if config.quick:
        names, config = ("protonet", "maml", "anil"), replace(config, width=16, turns=3)
    builds = {(name, shots): partial(make_adapt, name, shots, config) for name in names for shots in config.shots}

    def summarise(seconds: dict[tuple[str, int], list[float]]) -> list[dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = {name: {"learner": name} for name, _ in seconds}
        for (name, shots), taken in seconds.items():
            rows[name][f"{shots}-shot"] = 1000 * median(taken)
        return list(rows.values())

    results = Results(config.json, ("rows",))
    results.stamp(config, report.stamp(config.seed, sys.argv, {}))
    with console.progress() as step:

        def measure(write: Write) -> list[dict[str, Any]]:
            return summarise(timing.built_in_turns(builds, config.turns, step, lambda taken: write(summarise(taken))))

        rows = results.group("adaptation", measure)
    table = report.markdown_table(rows, {"learner": ""} | {f"{shots}-shot": ".1f" for shots in config.shots})
    print(f"\nMilliseconds to adapt to five words, medians of {config.turns} turns:\n\n{table}")
    return {"rows": rows, "run": results.data["run"]}


def make_adapt(name: str, shots: int, config: Config) -> Callable[[], None]:
    """A function that adapts once, from the same weights every time."""
    import jax

    from benchmarks.shared.problems import word_episodes
    from jaxmeta.models.clip_encoders import residual
    from jaxmeta.words.learners import learners

    build = learners(partial(residual, width=config.width), None)[name]
    learner, key = build(5, config.steps), jax.random.key(config.seed)
    support = jax.tree.map(lambda leaf: leaf[0], word_episodes(1, shots=shots, seed=config.seed).support)
    params, state = jax.jit(learner.init)(key, support.inputs)
    adapt = jax.jit(learner.adapt)

    def run() -> None:
        jax.block_until_ready(adapt(params, state, support, key))

    run()
    return run


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Config, prog="python -m benchmarks.adaptation", description=__doc__))
