"""What a meta-gradient costs: tasks a second and memory, for each way to differentiate the inner loop.

    python -m benchmarks.meta_gradient --json meta_gradient.json    # two minutes on two cores
    python -m benchmarks.meta_gradient --quick                      # 90 seconds: a narrow network, few steps

One update of MAML on the word model, on random log-mels (40 mels, 40 to 56 frames). Speed: the estimators run in turn
in one process, and a ratio is the median over those turns, so that a machine with other work treats them alike. Memory:
what the compiler sets aside for the meta-gradient of one task (temp_size_in_bytes), by number of inner steps, and the
slope between the two largest numbers in copies of the adapted weights. Expected: none for first order, about one copy a
step for mixed mode, and many for unrolled, which stores the activations of every step.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # JAX is imported where it is used, so that --help is quick
    from jaxmeta.types import Episode, MetaLearner

MELS, FRAMES = 40, 56


@dataclass(frozen=True)
class Config:
    """What is measured."""

    json: Path | None = None
    """File for the rows and the stamp."""
    quick: bool = False
    """A network of a quarter of the width, three turns, and memory up to 4 steps."""
    model: Literal["conv4", "residual"] = "conv4"
    width: int = 64
    """Channels of the network."""
    ways: int = 5
    shots: int = 1
    queries: int = 5
    """Query clips of each class."""
    steps: int = 5
    """Inner steps where speed is measured."""
    tasks: int = 4
    """Tasks in an update."""
    microbatch: int | None = 1
    """Tasks in flight at once; None: all of them, which a GPU wants."""
    turns: int = 7
    """Times that each estimator runs; 5 or more for figures to report."""
    memory_steps: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Inner steps for which the memory is compiled."""
    seed: int = 0


def main(config: Config) -> dict[str, Any]:
    """Measure, print two Markdown tables, and write the JSON file if one is named.

    Returns:
      {"rows": speed and memory of each estimator, "run": the stamp}.
    """
    from jaxmeta.training import report

    if config.quick:
        config = replace(config, width=max(8, config.width // 4), turns=3, memory_steps=(1, 2, 4))
    steps = config.memory_steps
    if config.turns < 1 or len(steps) < 2 or list(steps) != sorted(set(steps)):
        raise ValueError(f"turns must be 1 or more, memory_steps two or more that rise; got {config.turns}, {steps}.")
    with _progress() as step:
        speed = measure_speed(config, step)
        memory = measure_memory(config, step)
    columns = {"estimator": "", "tasks_per_second": ".2f", "lowest": ".2f", "highest": ".2f", "ratio": ".2f"}
    print(f"\nTasks a second, {_describe(config)}:\n\n{report.markdown_table(speed, columns)}")
    columns = {"estimator": "", **{f"{steps} steps": ".2f" for steps in config.memory_steps}, "copies_per_step": ".2f"}
    table = report.markdown_table(memory, columns)
    print(f"Temporary memory of one task's meta-gradient, MiB, and its slope in copies of the weights:\n\n{table}")
    rows = [{"measured": "speed", **row} for row in speed] + [{"measured": "memory", **row} for row in memory]
    run = report.stamp(config.seed, sys.argv, {}) | {"config": vars(config)}
    if config.json:
        from jaxmeta.training.durable import write_json

        config.json.parent.mkdir(parents=True, exist_ok=True)
        write_json(config.json, {"rows": rows, "run": run})
    return {"rows": rows, "run": run}


def make_learners(config: Config, steps: int) -> dict[str, MetaLearner]:
    """MAML on the word model under each estimator; the first is what the others are compared with."""
    import optax

    from jaxmeta import first_order, maml, mixed_mode, unrolled
    from jaxmeta.losses import cross_entropy
    from jaxmeta.models.words import conv4, residual

    model = {"conv4": conv4, "residual": residual}[config.model](config.ways, width=config.width)
    estimators = {"first order": first_order(), "unrolled": unrolled(), "mixed mode": mixed_mode()}
    return {
        name: maml(model, cross_entropy, optax.sgd(0.1), steps, estimator) for name, estimator in estimators.items()
    }


def random_episodes(config: Config) -> Episode:
    """Tasks of noise in the shape of log-mels; leaves [tasks, ways * shots or queries, ...]."""
    import jax.numpy as jnp
    import numpy as np

    from jaxmeta import Batch, Episode, Ragged

    rng = np.random.default_rng(config.seed)

    def batch(each: int) -> Batch:
        clips = (config.tasks, config.ways * each)
        values = jnp.asarray(rng.normal(size=(*clips, FRAMES, MELS)), jnp.float32)
        lengths = jnp.asarray(rng.integers(40, FRAMES + 1, clips), jnp.int32)
        targets = jnp.tile(jnp.repeat(jnp.arange(config.ways), each), (config.tasks, 1))
        return Batch(Ragged(values, lengths), targets, jnp.ones(clips))

    return Episode(batch(config.shots), batch(config.queries))


def measure_speed(config: Config, step: Callable[[str], None]) -> list[dict[str, Any]]:
    """Tasks a second of whole updates: median, lowest and highest over turns, and the ratio of times to the first."""
    import jax
    import numpy as np
    import optax

    from jaxmeta.training import init_state, make_update

    episodes, optimizer = random_episodes(config), optax.adam(1e-3)
    inputs = jax.tree.map(lambda leaf: leaf[0], episodes.support.inputs)
    updates = {}
    for name, learner in make_learners(config, config.steps).items():
        step(f"compiling {name}")
        train = init_state(learner, optimizer, jax.random.key(config.seed), inputs)
        update = make_update(learner, optimizer, microbatch=config.microbatch)
        updates[name] = jax.jit(update).lower(train, episodes).compile()
        jax.block_until_ready(updates[name](train, episodes))
    seconds: dict[str, list[float]] = {name: [] for name in updates}
    for turn in range(config.turns):
        step(f"timing, turn {turn + 1} of {config.turns}")
        for name, update in updates.items():
            start = time.perf_counter()
            jax.block_until_ready(update(train, episodes))
            seconds[name].append(time.perf_counter() - start)
    first = np.array(next(iter(seconds.values())))
    return [
        {
            "estimator": name,
            "tasks_per_second": float(config.tasks / np.median(taken)),
            "lowest": config.tasks / max(taken),
            "highest": config.tasks / min(taken),
            "ratio": float(np.median(np.array(taken) / first)),
        }
        for name, taken in seconds.items()
    ]


def measure_memory(config: Config, step: Callable[[str], None]) -> list[dict[str, Any]]:
    """MiB of temporaries of one task's meta-gradient by inner steps, and the slope in copies of the weights a step."""
    import jax

    episode = jax.tree.map(lambda leaf: leaf[0], random_episodes(config))
    key = jax.random.key(config.seed)
    mebibytes: dict[str, list[float]] = {}
    for steps in config.memory_steps:
        for name, learner in make_learners(config, steps).items():
            step(f"compiling {name}, {steps} steps")
            params, state = learner.init(key, episode.support.inputs)
            gradient = jax.jit(jax.value_and_grad(learner.meta_loss, has_aux=True))
            analysis: Any = gradient.lower(params, state, episode, key).compile().memory_analysis()
            mebibytes.setdefault(name, []).append(analysis.temp_size_in_bytes / 2**20)
    span = config.memory_steps[-1] - config.memory_steps[-2]
    weights = sum(leaf.nbytes for leaf in jax.tree.leaves(params)) / 2**20
    return [
        {
            "estimator": name,
            **{f"{steps} steps": size for steps, size in zip(config.memory_steps, sizes, strict=True)},
            "copies_per_step": (sizes[-1] - sizes[-2]) / span / weights,
            "weights_mib": weights,
        }
        for name, sizes in mebibytes.items()
    ]


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A function that shows what is being done: a spinner with the time so far on a terminal, lines elsewhere."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda what: print(what, file=sys.stderr, flush=True)
        return
    with Progress(SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}"), console=console) as bar:
        task = bar.add_task("")
        yield lambda what: bar.update(task, description=what)


def _describe(config: Config) -> str:
    flight = "all tasks at once" if config.microbatch is None else f"{config.microbatch} at a time"
    return (
        f"{config.model} of width {config.width}, {config.ways}-way {config.shots}-shot, {config.queries} queries a "
        f"class, {config.steps} inner steps, {config.tasks} tasks, {flight}; lowest and highest of {config.turns} turns"
    )


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Config, prog="python -m benchmarks.meta_gradient", description=__doc__))
