"""How much of the time of training is inside of the updates, and what frames on the device save.

    python -m benchmarks.training --json training.json    # two minutes on a core
    python -m benchmarks.training --quick                 # fewer updates

The training is what `train words` does by default: a prototypical network on tasks of 20 words, 1 + 3 recordings of
each and 2 tasks an update, on augmented log-mels, through `train_loop`, whose sampler draws, whose metrics are read and
logged. The corpus is noise in the shape of words. Beside it the same compiled updates are called by themselves, one
after the other, on batches that are there. `inside` is the processor time of these over that of the loop, and `inside,
wall` the same of wall time, which on a machine that other work shares says less. Features are gathered by the host, or
they lie on the device, and the sampler sends places in them (`fit(frames_on_device=True)`). Ways take turns.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.shared import console
from benchmarks.shared.results import Options

if TYPE_CHECKING:
    from jaxmeta.data.corpus import Corpus

UNDER_WAY = 2
"""Updates that the loop has under way at once."""
FIRST = 4
"""Updates of a run that no clock counts: until as many are under way as later."""


@dataclass(frozen=True)
class Config(Options):
    """What is measured."""

    quick: bool = False
    """Four updates in two turns."""
    width: int = 64
    """Of the residual network, as the preset "quick" has it."""
    clips: int = 5000
    """Recordings of noise, of a hundred words."""
    updates: int = 10
    turns: int = 5


def main(config: Config) -> dict[str, Any]:
    """Measure, print a table, and write the JSON file if one is named. Rows are written as they come."""
    from benchmarks.tables import render
    from jaxmeta.training import report

    updates, turns = (4, 2) if config.quick else (config.updates, config.turns)
    stamp = report.stamp(config.seed, sys.argv, {}) | {"config": vars(config)}
    taken: dict[str, list[tuple[Clock, Clock]]] = {}
    with console.progress() as step:
        step("compiling")
        runs = {name: training(config, updates, name == "on the device") for name in ("by the host", "on the device")}
        for turn in range(turns):
            step(f"turn {turn + 1} of {turns}")
            for name, (loop, alone) in runs.items():
                taken.setdefault(name, []).append((loop(), alone()))
            results = console.keep(config.json, rows(taken), stamp | {"turns": turn + 1})
    print(render(results["rows"]))
    return results


Clock = tuple[float, float]
"""Seconds of processor time and of wall time, an update."""


def rows(taken: dict[str, list[tuple[Clock, Clock]]]) -> list[dict[str, Any]]:
    """A row for each way to bring frames to an update: medians over turns of (loop, updates alone)."""
    first = next(iter(taken.values()))
    table = []
    for name, turns in taken.items():
        milliseconds = [1000 * loop[0] for loop, _ in turns]
        table.append({
            "features": name, "milliseconds an update": median(milliseconds), "lowest": min(milliseconds),
            "highest": max(milliseconds), "the update alone": median(1000 * alone[0] for _, alone in turns),
            "inside": median(alone[0] / loop[0] for loop, alone in turns),
            "inside, wall": median(alone[1] / loop[1] for loop, alone in turns),
            "speed": median(host[0] / loop[0] for (host, _), (loop, _) in zip(first, turns, strict=False)),
        })  # fmt: skip
    return table


def noise(clips: int, features: int, seed: int) -> Corpus:
    """A corpus in memory of clips of 40 to 80 frames, of a hundred words."""
    import numpy as np

    from jaxmeta.data.corpus import Corpus

    rng = np.random.default_rng(seed)
    length = rng.integers(40, 81, clips).astype(np.int32)
    columns = {
        "label": np.array([f"word {row % 100}" for row in range(clips)]), "corpus": np.full(clips, "noise"),
        "pool": np.full(clips, "recorded"), "file_name": np.array([f"{row}.wav" for row in range(clips)]),
    }  # fmt: skip
    frames = rng.standard_normal((length.sum(), features), np.float32)
    return Corpus(frames, np.cumsum(length) - length, length, columns)


def training(config: Config, updates: int, on_device: bool) -> tuple[Callable[[], Clock], Callable[[], Clock]]:
    """What runs the loop, and what runs its compiled updates alone; each gives the time of one update."""
    import jax
    import numpy as np

    from jaxmeta import protonet
    from jaxmeta.data.augmentation.recipes import word_augmentation
    from jaxmeta.data.augmentation.transforms import augment_episode
    from jaxmeta.data.sampling.word_tasks import task_sampler
    from jaxmeta.data.word_corpora import FEATURES
    from jaxmeta.losses import cross_entropy
    from jaxmeta.models.clip_encoders import residual
    from jaxmeta.training import make_update
    from jaxmeta.training.fit import augmented, initial_state, make_optimizer
    from jaxmeta.training.loop import train_loop
    from jaxmeta.training.on_device import looked_up, with_frames
    from jaxmeta.training.sharing import copied

    background = np.random.default_rng(config.seed).standard_normal((20, 200, FEATURES.n_mels)).astype(np.float32)
    learner = augmented(
        protonet(residual(width=config.width), cross_entropy, 20), augment_episode(word_augmentation(background))
    )
    optimizer = make_optimizer(1000, 2e-3)
    sampler = task_sampler(noise(config.clips, FEATURES.n_mels, config.seed), 20, ((1, 3, 2),), config.seed)
    draw: Callable[[int], Any] = with_frames(sampler) if on_device else sampler
    update = make_update(learner, optimizer, microbatch=1 if jax.default_backend() == "cpu" else None)

    def on_tasks(state: Any, given: Any) -> Any:
        return update(state, looked_up(given))

    program = jax.jit(on_tasks, donate_argnums=0)  # As the loop has it, which then finds it compiled.
    start = initial_state(learner, optimizer, FEATURES.n_mels, config.seed)
    batches = [draw(index) for index in range(FIRST + updates)]

    def loop() -> Clock:
        times = []

        def drawn(index: int) -> Any:
            times.append((time.process_time(), time.perf_counter()))
            return batches[0] if index == 0 else draw(index)

        with tempfile.TemporaryDirectory() as folder:
            train_loop(on_tasks, start, drawn, FIRST + updates + 1, folder, save_seconds=1e9, at_once=1)
        return _per_update(times[FIRST], times[-1], updates)

    def alone() -> Clock:
        state, under_way = copied(start), deque[Any]()
        for index, batch in enumerate(batches):
            if index == FIRST:
                began = time.process_time(), time.perf_counter()
            state, metrics = program(state, batch)
            under_way.append(metrics)
            if len(under_way) > UNDER_WAY:  # As the loop does: a device that is waited for each time is slower.
                jax.block_until_ready(under_way.popleft())
        return _per_update(began, (time.process_time(), time.perf_counter()), updates)

    alone()
    return loop, alone


def _per_update(began: Clock, ended: Clock, updates: int) -> Clock:
    return (ended[0] - began[0]) / updates, (ended[1] - began[1]) / updates
