"""What compiling an update takes: to trace, to lower, to compile, and how fast the program is then.

    python -m benchmarks.compiling --json compiling.json
    python -m benchmarks.compiling --workloads words

Each workload runs in processes of its own. A cold one compiles, with an empty folder for compiled programs; a warm one
finds its programs there. Seconds are of processor time, but for the column of wall time. `words` is an update of MAML
with the network for spoken words (width 64, 4 tasks, 5 inner steps), `gru` and `conformer` are updates of MAML through
CTC with the recognisers of size "small" (4 tasks of 400 frames, 3 inner steps), all in mixed mode and one task in
flight; "supervised" is an update on a batch of 16 utterances, without inner steps.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Literal

from benchmarks.shared import console

Workload = Literal["words", "gru", "conformer", "supervised gru", "supervised conformer"]


@dataclass(frozen=True)
class Config:
    """What is measured."""

    json: Path | None = None
    """File for the rows and the stamp."""
    workloads: tuple[Workload, ...] = ("words", "gru", "conformer", "supervised conformer")
    """Updates."""
    turns: int = 5
    """Updates that are timed."""
    seed: int = 0


def main(config: Config) -> dict[str, Any]:
    """Measure, print a table, and write the JSON file if one is named. Rows are written as they come."""
    from benchmarks.tables import render
    from jaxmeta.training import report

    rows: list[dict[str, Any]] = []
    stamp = report.stamp(config.seed, sys.argv, {}) | {"config": vars(config)}
    with console.progress() as step:
        for name in config.workloads:
            with tempfile.TemporaryDirectory() as folder:
                for cache in ("cold", "warm"):
                    step(f"{name}, {cache}")
                    rows.append({"workload": name, "cache": cache} | _in_own_process(name, config, folder))
                    results = console.keep(config.json, rows, stamp)
    print(render(rows))
    return results


def measure(name: Workload, config: Config, folder: str) -> dict[str, Any]:
    """What a workload took this process, which must be a fresh one."""
    import jax

    from jaxmeta.training.runtime import prepare

    prepare(compiled=folder)
    clock, started = [time.process_time()], time.perf_counter()
    update, make, episodes = problem(name, config.seed)
    train = jax.block_until_ready(make())
    clock.append(time.process_time())
    traced = update.trace(train, episodes)
    clock.append(time.process_time())
    lowered = traced.lower()
    clock.append(time.process_time())
    lowered.compile()
    clock.append(time.process_time())
    parts = ("initial state", "trace", "lower", "compile")
    taken = {part: after - before for part, before, after in zip(parts, clock, clock[1:], strict=False)}
    taken |= {"in all": clock[-1] - clock[0], "wall": time.perf_counter() - started}
    seconds = []
    for _ in range(config.turns + 1):
        start = time.process_time()
        train, _ = jax.block_until_ready(update(train, episodes))
        seconds.append(time.process_time() - start)
    return taken | {"update": median(seconds[1:])}


def problem(name: Workload, seed: int) -> tuple[Any, Callable[[], Any], Any]:
    """A jitted update, what makes the state before it, and its tasks."""
    import jax
    import optax

    from benchmarks.shared.problems import CLASSES, transcription_episodes, word_episodes
    from jaxmeta import maml, mixed_mode
    from jaxmeta.losses import cross_entropy
    from jaxmeta.models.acoustic import recogniser
    from jaxmeta.models.clip_encoders import conv4
    from jaxmeta.sequence_losses import ctc, per_label
    from jaxmeta.training import init_state, make_update
    from jaxmeta.training.fit import supervised

    encoder: Any = name.removeprefix("supervised ")
    if name == "words":
        episodes = word_episodes(4, seed=seed)
        learner = maml(conv4(5, width=64), cross_entropy, optax.sgd(0.1), 5, mixed_mode())
    elif name == encoder:
        episodes = transcription_episodes(4, frames=400, labels=30, seed=seed)
        learner = maml(recogniser(CLASSES, encoder, "small"), per_label(ctc), optax.sgd(0.1), 3, mixed_mode())
    else:
        episodes = transcription_episodes(1, support=16, query=16, frames=400, labels=30, seed=seed)
        learner = supervised(recogniser(CLASSES, encoder, "small", dropout=0.1), per_label(ctc))
    optimizer = optax.adam(1e-3)
    inputs = jax.tree.map(lambda leaf: leaf[0], episodes.support.inputs)
    make = partial(init_state, learner, optimizer, jax.random.key(seed), inputs)
    return jax.jit(make_update(learner, optimizer, microbatch=1)), make, episodes


def _in_own_process(*arguments: Any) -> dict[str, Any]:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()
