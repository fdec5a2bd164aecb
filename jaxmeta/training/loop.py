"""The training loop: resumable, interruptible, and the same bit for bit however often it is interrupted."""

import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxmeta import tree
from jaxmeta.files.durable import lock, plain
from jaxmeta.files.sealed import read_sealed, write_sealed
from jaxmeta.interrupts import WHILE_TRAINING, Interrupted, collected_signals, patience
from jaxmeta.training.checkpoint import checkpoints, restore, save
from jaxmeta.training.health import DivergedError, Health, at_rate, read_health, write_health
from jaxmeta.training.runlog import RunLog
from jaxmeta.training.update import TrainState
from jaxmeta.types import Array, Episode

finite = jax.jit(tree.all_finite)
Update = Callable[[TrainState, Episode], tuple[TrainState, dict[str, Array]]]


class Validation(NamedTuple):
    """How to find the best state of a run."""

    score: Callable[[TrainState], float]
    """Higher is better. It must depend on the state alone, so that a resumed run judges alike."""
    every: int
    """Steps between two scores, 1 or more."""


def train_loop(
    update: Update,
    train: TrainState,
    sampler: Callable[[int], Episode],
    steps: int,
    directory: str | Path,
    *,
    config: Mapping[str, Any] | None = None,
    save_every: int | None = None,
    save_seconds: float = 60.0,
    keep: int = 3,
    log_every: int = 10,
    validation: Validation | None = None,
    on_step: Callable[[TrainState, dict[str, Array]], None] | None = None,
    explain: Callable[[TrainState, Episode], str] | None = None,
) -> TrainState:
    """Train until step `steps`, from the newest checkpoint in `directory` if there is one.

    The result is that of an uninterrupted run, bit for bit. The host samples the next tasks while the device computes.
    SIGTERM and Ctrl-C save and stop; a second one stops at once. A run that is complete is only loaded.

    A run whose tasks all stop counting, whose loss runs away or whose weights are not finite (`training.health`) goes
    back to a checkpoint once and continues at half of the rate; then it stops. Such weights are never saved.
    In `directory` come to lie `run.json` (the config), `metrics.jsonl`, `checkpoints/`, and with a validation `best/`,
    which `restore(directory / "best", train)` reads.

    Args:
      update: pure (train, episodes) -> (train, metrics), as `make_update` gives; compiled here.
      train: initial state, and the form that a checkpoint must have.
      sampler: step -> batch of tasks, a pure function.
      steps: updates in all, 0 or more.
      directory: folder of the run; created if missing.
      config: what determines the result; a run is not resumed with another one. None: not checked.
      save_every: steps between two checkpoints. None: by time alone.
      save_seconds: seconds between two checkpoints; the last step is always saved.
      keep: how many checkpoints stay, 1 or more.
      log_every: steps between two rows of metrics, 1 or more.
      validation: keeps the best state, and its score in the metrics. None: does not.
      on_step: called with the new state and its metrics after each update.
      explain: says why tasks of an update were left out, given the state before it, as `partial(why_left_out, learner)`
        of `training.diagnosis` does; called once.
    Returns:
      The state after `steps` updates.
    Raises:
      Interrupted: a signal came, and the state is saved.
      DivergedError: training learns nothing any more, at half of the rate neither; the last good checkpoint is there.
      ValueError: the directory holds a run of another config, model or optimizer, or of more steps, is in use, or has
        damaged checkpoints only.
    """
    _check(steps=steps, save_every=save_every, keep=keep, log_every=log_every, validation=validation)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    run = _Run(
        update, sampler, steps, directory, save_every, save_seconds, keep, log_every, validation, on_step, explain
    )
    with lock(directory):
        _check_config(directory / "run.json", config)
        first = restore(directory / "checkpoints", train) or train
        start = int(first.step)
        if start > steps:
            raise ValueError(f"{directory} holds a run of {start} steps, beyond steps={steps}; use another folder.")
        if start == steps:
            return first
        health = read_health(directory)
        end, health, problem = run.train(first, health)
        if problem and health.updates and health.rate == 1.0:
            first, health = _go_back(directory, train, health)
            print(f"{problem}: back to step {int(first.step)}, at half of the rate", file=sys.stderr, flush=True)
            end, health, problem = run.train(first, health)
        if problem:
            raise DivergedError(f"{directory}: {problem}. {_advice(health)}")
        return end


class _Run(NamedTuple):
    """What `train_loop` was called with."""

    update: Update
    sampler: Callable[[int], Episode]
    steps: int
    directory: Path
    save_every: int | None
    save_seconds: float
    keep: int
    log_every: int
    validation: Validation | None
    on_step: Callable[[TrainState, dict[str, Array]], None] | None
    explain: Callable[[TrainState, Episode], str] | None

    def train(self, first: TrainState, health: Health) -> tuple[TrainState, Health, str | None]:
        """Train from a state on, until the last step or a problem."""
        update, problem = at_rate(self.update, health.rate), None
        with RunLog(self.directory, self.steps, start=int(first.step)) as log, collected_signals() as received:
            saved_at = time.monotonic()
            for before, episodes, state, metrics in _updates(update, first, self.sampler, self.steps):
                step, patience.seconds = int(state.step), WHILE_TRAINING
                if self.on_step is not None:
                    self.on_step(state, metrics)
                if "masked" in metrics and int(metrics["masked"]) and not health.left_out:
                    log.say(self._left_out(before, episodes, metrics))
                health = health.after(metrics)
                score = _validate(self.directory, state, step, self.validation)
                if score or step % self.log_every == 0 or step == self.steps:
                    log.write(step, metrics | score)
                log.progress(step, health.left_out)
                problem = health.problem(last=step == self.steps)
                if not problem and (received or self._is_due(step, saved_at)):
                    log.sync()
                    problem = self._save(state, health)
                    saved_at = time.monotonic()
                if problem or received:
                    break
        if received and not problem and step < self.steps:
            _stop(received[0], self.directory, step, self.steps)
        return state, health, problem

    def _is_due(self, step: int, saved_at: float) -> bool:
        by_step = step == self.steps or (self.save_every is not None and step % self.save_every == 0)
        return by_step or time.monotonic() - saved_at >= self.save_seconds

    def _save(self, state: TrainState, health: Health) -> str | None:
        """Save a checkpoint, and say why there is none to save."""
        if not finite(state.params):
            return f"weights are not finite after step {int(state.step)}"
        save(self.directory / "checkpoints", state, keep=self.keep)
        write_health(self.directory, health)
        return None

    def _left_out(self, before: TrainState, episodes: Episode, metrics: dict[str, Array]) -> str:
        reason = self.explain(before, episodes) if self.explain else "a loss or gradient is not finite"
        count = int(metrics["masked"])
        return f"step {int(before.step) + 1} leaves out {count} task{'s'[: count > 1]}: {reason}"


def _go_back(directory: Path, train: TrainState, health: Health) -> tuple[TrainState, Health]:
    """The oldest checkpoint that is kept, or else the state before training; later ones are deleted."""
    for later in checkpoints(directory / "checkpoints")[1:]:
        shutil.rmtree(later)
    health = health.at_half_rate()
    write_health(directory, health)
    return restore(directory / "checkpoints", train) or train, health


def _advice(health: Health) -> str:
    if not health.updates:
        return "No update has counted a task: check the data and the loss."
    return "Going back to a checkpoint at half of the rate did not help: use a lower rate in another folder."


def _updates(
    update: Update, train: TrainState, sampler: Callable[[int], Episode], steps: int
) -> Iterator[tuple[TrainState, Episode, TrainState, dict[str, Array]]]:
    """Every update of a run: the state before it, its tasks, the state after it, and its metrics."""
    start = int(train.step)
    update, upcoming = jax.jit(update), sampler(start)
    for step in range(start + 1, steps + 1):
        before, episodes = train, upcoming
        train, metrics = update(before, episodes)
        if step < steps:
            upcoming = sampler(step)  # while the device is busy
        yield before, episodes, *jax.block_until_ready((train, metrics))


def _validate(directory: Path, train: TrainState, step: int, validation: Validation | None) -> dict[str, float]:
    """Score the state if it is time to, and keep it if it is the best so far."""
    if validation is None or step % validation.every:
        return {}
    score, path = float(validation.score(train)), directory / "best.json"
    remedy = "delete it, and the next state that is scored becomes the best"
    best = float(read_sealed(path, "best", remedy)["score"]) if path.exists() else float("-inf")
    if score > best and finite(train.params):
        # The score last: were the process killed in between, the resumed run would come here again and save again.
        save(directory / "best", train, keep=1)
        write_sealed(path, "best", {"step": step, "score": score})
    return {"validation": score}


def _stop(number: int, directory: Path, step: int, steps: int) -> None:
    name = signal.Signals(number).name
    print(f"{name}: saved step {step}/{steps} in {directory}; the same command resumes.", file=sys.stderr, flush=True)
    raise Interrupted(128 + number)


def _check_config(path: Path, config: Mapping[str, Any] | None) -> None:
    """Store the config of a new run; refuse another one for an old run."""
    if config is None:
        return
    now = plain(config)
    if not path.exists():
        write_sealed(path, "run", now)
        return
    before = read_sealed(path, "run", "use another folder")
    differ = [
        f"{name}={before.get(name, '(absent)')!r} there, {now.get(name, '(absent)')!r} here"
        for name in sorted(before.keys() | now.keys())
        if name not in before or name not in now or before[name] != now[name]
    ]
    if differ:
        raise ValueError(
            f"{path} is of a run with another config: {'; '.join(differ)}. Use the same config, or another folder."
        )


def _check(*, steps: int, save_every: int | None, keep: int, log_every: int, validation: Validation | None) -> None:
    if steps < 0:
        raise ValueError(f"train_loop(steps={steps}) must be 0 or more.")
    counts = {
        "save_every": save_every,
        "keep": keep,
        "log_every": log_every,
        "validation.every": None if validation is None else validation.every,
    }
    for name, value in counts.items():
        if value is not None and value < 1:
            raise ValueError(f"train_loop({name}={value}) must be 1 or more.")
