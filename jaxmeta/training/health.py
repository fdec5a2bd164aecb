"""Whether a run still learns: tasks that count for nothing, and a loss that has run away."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp

from jaxmeta import tree
from jaxmeta.files.sealed import read_sealed, write_sealed
from jaxmeta.training.checkpoint import save
from jaxmeta.training.update import TrainState, Update
from jaxmeta.types import Array, Episode

finite = jax.jit(tree.all_finite)
PATIENCE = 10
"""Updates in a row without a task that counts, after which a run has diverged."""
WINDOW = 10
"""Updates that losses are averaged over."""
RUNAWAY = 20.0
"""A run has diverged once its average loss is this many times the largest loss of its first `WINDOW` updates."""


class DivergedError(ValueError):
    """Training has stopped: it learned nothing any more. The last good checkpoint is on the disk."""


class Health(NamedTuple):
    """What the metrics of a run have said so far; `health.json` in its folder, beside the checkpoints."""

    updates: int = 0
    """That counted at least one task."""
    idle: int = 0
    """Updates in a row that counted none."""
    left_out: int = 0
    """Tasks in all whose loss or gradient was not finite."""
    first: float = 0.0
    """Largest absolute loss of the first `WINDOW` updates."""
    average: float = 0.0
    """Of the absolute loss, exponential, over about `WINDOW` updates."""
    rate: float = 1.0
    """What updates are multiplied by: 0.5 once the run has gone back to a checkpoint."""
    devices: int = 1
    """That share the tasks of a batch."""

    def after(self, metrics: Mapping[str, Any]) -> Self:
        """The health after one more update, whose metrics are `loss` and, as of `make_update`, `masked`."""
        left_out = self.left_out + int(metrics.get("masked", 0))
        loss = abs(float(metrics.get("loss", 0.0)))
        if not math.isfinite(loss):
            return self._replace(idle=self.idle + 1, left_out=left_out)
        average = loss if self.updates == 0 else self.average + (loss - self.average) / WINDOW
        first = max(self.first, loss) if self.updates < WINDOW else self.first
        return self._replace(updates=self.updates + 1, idle=0, left_out=left_out, first=first, average=average)

    def at_half_rate(self) -> Self:
        """The health of a run that has gone back to a checkpoint."""
        return self._replace(idle=0, average=self.first, rate=self.rate / 2)

    @property
    def advice(self) -> str:
        """What to do about a run that has diverged again at half of the rate."""
        if not self.updates:
            return "No update has counted a task: check the data and the loss."
        return "Going back to a checkpoint at half of the rate did not help: use a lower rate in another folder."

    def problem(self, last: bool = False) -> str | None:
        """Why the run has diverged; None: it has not. `last`: there are no more updates."""
        if self.idle >= PATIENCE or (last and self.idle and not self.updates):
            return f"{self.idle} updates in a row had no task with a finite loss and gradient"
        if self.updates > WINDOW and self.average > RUNAWAY * self.first:
            return f"the loss is {self.average:.3g} on average, and was {self.first:.3g} at most when training began"
        return None


def read_health(directory: Path) -> Health:
    """The health of the run in a folder; that of a new run where none is written.

    Raises:
      ValueError: the file is damaged.
    """
    path = directory / "health.json"
    if not path.exists():
        return Health()
    return Health(**read_sealed(path, "health", "delete it, and the run goes on without it"))


def write_health(directory: Path, health: Health) -> None:
    """Put the health of a run beside its checkpoints."""
    write_sealed(directory / "health.json", "health", health._asdict())


def keep_best(directory: Path, train: TrainState, score: float) -> dict[str, float]:
    """Save the state in `best/` of the folder of a run, if it is finite and none before has had such a score.

    Returns:
      {"validation": score}, for the metrics.
    """
    path, remedy = directory / "best.json", "delete it, and the next state that is scored becomes the best"
    best = float(read_sealed(path, "best", remedy)["score"]) if path.exists() else float("-inf")
    if score > best and finite(train.params):
        # The score last: were the process killed in between, the resumed run would come here again and save again.
        save(directory / "best", train, keep=1)
        write_sealed(path, "best", {"step": int(train.step), "score": score})
    return {"validation": score}


def at_rate(update: Update, rate: float) -> Update:
    """The update with steps of the params `rate` times as long, whatever the optimizer is."""
    if rate == 1.0:
        return update

    def part(old: Array, new: Array) -> Array:
        return old + (rate * (new - old)).astype(new.dtype) if jnp.issubdtype(new.dtype, jnp.inexact) else new

    def shorter(train: TrainState, episodes: Episode) -> tuple[TrainState, dict[str, Array]]:
        after, metrics = update(train, episodes)
        return after._replace(params=jax.tree.map(part, train.params, after.params)), metrics

    return shorter
