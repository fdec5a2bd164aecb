"""What lies on the device: the frames that tasks are of, and loops of many updates as one call."""

import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta import tree
from jaxmeta.padding import Clips, look_up
from jaxmeta.training.runlog import RunLog, read_metrics
from jaxmeta.training.update import TrainState
from jaxmeta.types import Array, Episode, Key, PyTree

SMALL = 10_000
"""Weights of a network up to which several updates are one call. Those of the sinusoid, with 1,761 weights, then take
two thirds of the processor time at one inner step (benchmarks/README.md); an update of the word network hides the time
of a call."""
AT_ONCE = 8
"""Updates in a call for such a network."""


class Batches(NamedTuple):
    """The batches of consecutive updates."""

    episodes: PyTree
    """Leaves [most, B, ...]; those from `made` on are repetitions of the last one."""
    made: np.ndarray
    """Scalar int32: how many there are, each for an update."""


def calls(
    update: Callable,
    sampler: Callable[[int], Episode],
    train: TrainState,
    most: int | None,
    ends: Callable[[int], bool],
) -> tuple[Callable, Callable[[int], PyTree]]:
    """What one call computes, and what it is given: an update and a batch of `sampler`, or `several` and `Batches`.

    Args:
      update: of `make_update`.
      sampler: step -> batch of tasks; called once for each step.
      train: where training begins.
      most: updates in a call. None: `AT_ONCE` for a network of at most `SMALL` weights, else 1. It is 1, too, where an
        update changes the form of the state, which no loop can, and where XLA's own convolutions are in it: a CPU
        computes them several times slower within a loop.
      ends: number of updates made -> whether something has to happen then, before the next update.
    """
    small = sum(np.size(leaf) for leaf in jax.tree.leaves(train.params)) <= SMALL
    if most == 1 or (most is None and not small):
        return update, sampler
    step = int(train.step)
    first = {step: sampler(step)}
    most = most or (AT_ONCE if _loops_well(update, train, first[step]) else 1)
    if most == 1:
        return update, lambda step: first.pop(step) if step in first else sampler(step)
    return several(update), drawn(sampler, most, ends, first)


def _loops_well(update: Callable, train: TrainState, episodes: Episode) -> bool:
    traced = jax.jit(update).trace(train, episodes)
    return _form(train)[1] == _form(traced.out_info[0])[1] and "conv_general_dilated" not in str(traced.jaxpr)


def several(update: Callable) -> Callable[[TrainState, Batches], tuple[TrainState, dict[str, Array]]]:
    """(train, batches) -> the state after the updates, and metrics [most]. One program serves every count."""
    update = jax.jit(update)  # Traced once, for the shapes of the metrics and for the loop.

    def updates(train: TrainState, batches: Batches) -> tuple[TrainState, dict[str, Array]]:
        shapes = jax.eval_shape(update, train, jax.tree.map(lambda leaf: leaf[0], batches.episodes))[1]
        most = tree.leading_size(batches.episodes)

        def step(index: Array, carry: tuple[TrainState, dict[str, Array]]) -> tuple[TrainState, dict[str, Array]]:
            train, rows = carry
            train, metrics = update(train, tree.take(batches.episodes, index))
            return train, jax.tree.map(lambda row, value: row.at[index].set(value), rows, metrics)

        rows = jax.tree.map(lambda shape: jnp.zeros((most, *shape.shape), shape.dtype), shapes)
        return jax.lax.fori_loop(0, batches.made, step, (train, rows))

    return updates


def drawn(
    sampler: Callable[[int], Episode], most: int, ends: Callable[[int], bool], waiting: dict[int, Episode]
) -> Callable[[int], Batches]:
    """step -> the batches from that update on, up to `most` and while they have the form of the first.

    Args:
      sampler: step -> batch of tasks; called once for a step, as long as steps follow each other.
      most: batches at once.
      ends: number of updates made -> whether something has to happen then, before the next update.
      waiting: step -> batch, those that have been drawn already.
    """

    def next_batch(step: int) -> Episode:
        return waiting.pop(step) if step in waiting else sampler(step)

    def draw(step: int) -> Batches:
        batches = [next_batch(step)]
        while len(batches) < most and not ends(step + len(batches)):
            batch = next_batch(step + len(batches))
            if _form(batch) != _form(batches[0]):
                waiting[step + len(batches)] = batch
                break
            batches.append(batch)
        count = len(batches)
        batches += batches[-1:] * (most - count)
        return Batches(jax.tree.map(lambda *leaves: np.stack(leaves), *batches), np.asarray(count, np.int32))

    return draw


def made_by(given: PyTree) -> int | None:
    """Updates that a call makes with what it is given; None: a single one, whose metrics are scalars."""
    return int(given.made) if isinstance(given, Batches) else None


def rows_of(step: int, count: int | None, metrics: dict[str, Array]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(step, metrics) of each update of a call that ended at a step; count None: of a single one."""
    if count is None:
        yield step, metrics
        return
    metrics = jax.device_get(metrics)
    for index in range(count):
        yield step - count + index + 1, {name: values[index] for name, values in metrics.items()}


def _form(batch: PyTree) -> Any:
    return jax.tree.structure(batch), [(np.shape(leaf), jnp.result_type(leaf)) for leaf in jax.tree.leaves(batch)]


class Placed(NamedTuple):
    """Tasks as places in frames that lie on the device."""

    frames: Array
    """[total, F]."""
    episodes: Episode
    """Whose inputs are `Clips`."""


def with_frames(sampler: Any) -> Callable[[int], Placed]:
    """A sampler that sends places instead of frames, which it puts on the device with the first batch.

    Args:
      sampler: with the frames `sampler.corpus.frames`, and `sampler.clips`, index -> Episode of `Clips`.
    Raises:
      ValueError: it is another one.
    """
    if not hasattr(sampler, "clips"):
        raise ValueError(f"{type(sampler).__name__} does not say where its frames are; leave frames_on_device=None.")
    frames = functools.cache(lambda: jnp.asarray(sampler.corpus.frames))
    return lambda index: Placed(frames(), sampler.clips(index))


def looked_up(placed: Placed | Episode) -> Episode:
    """The tasks with their frames, as the sampler gives them by itself; within jit."""
    if not isinstance(placed, Placed):
        return placed
    episodes = jax.tree.map(
        lambda leaf: look_up(placed.frames, leaf) if isinstance(leaf, Clips) else leaf,
        placed.episodes, is_leaf=lambda leaf: isinstance(leaf, Clips),
    )  # fmt: skip
    # What follows is compiled as if it were given them, so that results are the same bit for bit.
    return jax.lax.optimization_barrier(episodes)


def frames_fit(sampler: Any) -> bool:
    """Whether frames are to lie on the device: where it has memory of its own, and they take a quarter of it at most.

    A line says so. On a CPU nothing would be gained (benchmarks/README.md), for its memory is that of the host.
    """
    memory = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    if memory is None or not hasattr(sampler, "clips"):
        return False
    size, fits = sampler.corpus.frames.nbytes, 4 * sampler.corpus.frames.nbytes <= memory
    where = "lie on the device, and tasks are sent as places in them" if fits else "stay on the host"
    print(f"{size / 2**20:,.0f} MiB of features {where}: the device has {memory / 2**20:,.0f} MiB", file=sys.stderr)
    return fits


UpdateLoop = Callable[[TrainState, Key, int], tuple[TrainState, Array]]
"""(train, key, count) -> the state after `count` updates, and their mean loss."""


def make_update_loop(update: Callable, sample: Callable[[Key], Episode]) -> UpdateLoop:
    """A compiled loop of updates on tasks drawn on the device.

    It suits small problems, where the time between two updates would be longer than an update.
    Args:
      update: of `make_update`.
      sample: a key -> a batch of tasks. Each update has the key fold_in(key, step), whatever the count.
    """

    @jax.jit
    def update_loop(train: TrainState, key: Key, count: int) -> tuple[TrainState, Array]:
        def step(_: Array, carry: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
            train, total = carry
            train, metrics = update(train, sample(jax.random.fold_in(key, train.step)))
            return train, total + metrics["loss"]

        # The count is an argument, so that a last chunk of another size does not compile again.
        train, total = jax.lax.fori_loop(0, count, step, (train, 0.0))
        return train, total / count

    return update_loop


def fit_on_device(
    update_loop: UpdateLoop, train: TrainState, updates: int, key: Key, directory: Path, chunk: int = 500
) -> tuple[TrainState, float]:
    """The state after some updates, and the seconds that they took; metrics.jsonl in the directory has the losses.

    Args:
      update_loop: of `make_update_loop`.
      train: the state before.
      updates: in all, 1 or more.
      key: of the tasks.
      directory: of the log. There is no checkpoint, so a run that is stopped starts again.
      chunk: updates between two rows of the log.
    """
    with RunLog(directory, updates) as log:
        for done in range(0, updates, chunk):
            count = min(chunk, updates - done)
            train, loss = update_loop(train, key, count)
            log.write(done + count, {"loss": loss})
            log.progress(done + count)
    return train, read_metrics(directory)[-1]["seconds"]
