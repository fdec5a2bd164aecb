"""Training on tasks that are drawn on the device: many updates are one call of a compiled loop."""

from collections.abc import Callable
from pathlib import Path

import jax

from jaxmeta.training.runlog import RunLog, read_metrics
from jaxmeta.training.update import TrainState
from jaxmeta.types import Array, Episode, Key

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
