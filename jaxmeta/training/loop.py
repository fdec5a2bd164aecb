"""The training loop: resumable, interruptible, and the same bit for bit however often it is interrupted."""

import contextlib
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from jaxmeta.files.durable import lock
from jaxmeta.interrupts import WHILE_TRAINING, collected_signals, patience
from jaxmeta.training.checkpoint import Validation, checkpoints, restore, save
from jaxmeta.training.health import DivergedError, Health, at_rate, finite, keep_best, read_health, write_health
from jaxmeta.training.on_device import calls, made_by, rows_of
from jaxmeta.training.processes import is_first, stop, together, wait_for_all
from jaxmeta.training.runlog import Log, RunLog, Silent, check_config
from jaxmeta.training.sharing import copied, from_first, gathered, on_mesh, placed_like, shared_draw, shared_update
from jaxmeta.training.update import TrainState, Update
from jaxmeta.types import Array, Episode

_AHEAD = 2
"""Calls that are under way while the metrics of the one before them are read."""


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
    mesh: Mesh | None = None,
    log: Log | None = None,
    at_once: int | None = None,
) -> TrainState:
    """Train until step `steps`, from the newest checkpoint in `directory` if there is one.

    The result is that of an uninterrupted run, bit for bit. The host samples the next tasks while the device computes,
    and reads metrics two calls late, so that neither waits for the other. A state that nobody else holds lends its
    memory to the next one. SIGTERM and Ctrl-C save and stop; a second one stops at once. A complete run is only loaded.

    Several processes that call this with a mesh of all their devices train as one would, to rounding; so does a run
    that goes on with another number of devices, which says so. The first process writes, and all get its checkpoint.

    A run whose tasks all stop counting, whose loss runs away or whose weights are not finite (`training.health`) goes
    back to a checkpoint once and continues at half of the rate; then it stops. Such weights are never saved.
    In `directory` come to lie `run.json` (the config), `metrics.jsonl`, `checkpoints/`, and with a validation `best/`.

    Args:
      update: pure (train, episodes) -> (train, metrics), as `make_update` gives; compiled here.
      train: initial state, and the form that a checkpoint must have.
      sampler: step -> batch of tasks, a pure function.
      steps: updates in all, 0 or more.
      directory: folder of the run; created if missing.
      config: what determines the result; a run is not resumed with another one. None: not checked.
      save_every: steps between two checkpoints. None: by time alone.
      save_seconds: seconds between two checkpoints, after the end of a call; the last step is always saved.
      keep: how many checkpoints stay, 1 or more.
      log_every: steps between two rows of metrics, 1 or more.
      validation: keeps the best state, which `restore(directory / "best", train)` reads. None: does not.
      on_step: called with the new state and its metrics after each update, which is waited for then.
      explain: says why tasks of an update were left out, as `partial(why_left_out, learner)` of `training.diagnosis`
        does; called once, with a state that has the step and the key of before the update, and weights of at most two
        calls later.
      mesh: devices that share each batch, for which `update` was made. The arrays of `train` that lie on it already
        stay where they are, as by `shard_weights` of `training.sharing`. None: one device.
      log: called with the numbers of each row of metrics and `step=`, see `runlog.Log`; by the first process alone.
        After an interruption, rows since the last checkpoint come again.
      at_once: most updates in a call; the result is the same bit for bit wherever calls begin and end. None: 8 for a
        small network (`on_device.calls`), else 1. With `on_step` or a mesh always 1.
    Returns:
      The state after `steps` updates; with a mesh, whole on a device of this process.
    Raises:
      Interrupted: a signal came, and the state is saved.
      DivergedError: training learns nothing any more, at half of the rate neither; the last good checkpoint is there.
      ValueError: the directory holds a run of another config, model or optimizer, or of more steps, is in use, or has
        damaged checkpoints only.
    """
    _check(steps=steps, save_every=save_every, keep=keep, log_every=log_every, validation=validation, at_once=at_once)
    directory = Path(directory)
    how = save_every, save_seconds, keep, log_every, validation, on_step, explain, mesh, log, at_once
    run = _Run(update, sampler, steps, directory, *how)
    if is_first():
        directory.mkdir(parents=True, exist_ok=True)
    with lock(directory) if is_first() else contextlib.nullcontext():
        first, health = run.begin(train, config)
        start = int(first.step)
        if start > steps:
            raise ValueError(f"{directory} holds a run of {start} steps, beyond steps={steps}; use another folder.")
        if start == steps:
            return first
        end, health, problem = run.train(first, train, health)
        if problem and health.updates and health.rate == 1.0:
            first, health = run.begin(train, config, back=health.at_half_rate())
            if is_first():
                print(f"{problem}: back to step {int(first.step)}, at half of the rate", file=sys.stderr, flush=True)
            end, health, problem = run.train(first, train, health)
        if problem:
            raise DivergedError(f"{directory}: {problem}. {health.advice}")
        wait_for_all("trained")  # What the first process wrote is there for the others now.
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
    mesh: Mesh | None
    log: Log | None
    at_once: int | None

    @property
    def devices(self) -> int:
        """That share a batch."""
        return 1 if self.mesh is None else self.mesh.size

    def begin(
        self, train: TrainState, config: Mapping[str, Any] | None, back: Health | None = None
    ) -> tuple[TrainState, Health]:
        """What training goes on from: the newest checkpoint, or with `back`, a health, the oldest; else `train`."""
        first, health = gathered(train, self.mesh), Health()
        if is_first():
            check_config(self.directory / "run.json", config)
            if back is not None:
                for later in checkpoints(self.directory / "checkpoints")[1:]:
                    shutil.rmtree(later)
                write_health(self.directory, back)
            first = restore(self.directory / "checkpoints", first) or first
            health = read_health(self.directory)
            if int(first.step) and health.devices != self.devices:
                then, now = (f"{count} device{'s'[: count > 1]}" for count in (health.devices, self.devices))
                print(f"{self.directory}: begun on {then}, goes on on {now}: the same to rounding", file=sys.stderr)
        return from_first((first, health._replace(devices=self.devices))) if together() else (first, health)

    def train(self, first: TrainState, like: TrainState, health: Health) -> tuple[TrainState, Health, str | None]:
        """Train from a state on, whose arrays go where those of `like` are, until the last step or a problem."""
        log = RunLog(self.directory, self.steps, start=int(first.step), also=self.log) if is_first() else Silent()
        with log, collected_signals() as received:
            training = _Training(self, first, like, health._replace(devices=self.devices), log, received)
            training.go_on()
        if (training.step < self.steps or (received and not together())) and not training.problem:
            stop([*received, signal.SIGTERM][0], f"step {training.step}/{self.steps} in {self.directory}")
        return gathered(training.state, self.mesh), training.health, training.problem


class _Training:
    """A run from some state on: updates are sent to the device, and their metrics read some updates later."""

    def __init__(
        self, run: _Run, first: TrainState, like: TrainState, health: Health, log: RunLog | Silent, received: list[int]
    ):
        self.run, self.health, self.log, self.received = run, health, log, received
        self.step, self.last, self.save_at = int(first.step), run.steps, -1
        self.problem: str | None = None
        self.waiting: deque[tuple[int, int | None, dict[str, Array]]] = deque()
        donated = (0,) if run.on_step is None else ()  # A callback may hold states for as long as it likes.
        if run.mesh is None:
            self.state = copied(first)
            most = run.at_once if run.on_step is None else 1
            program, draw = calls(at_rate(run.update, health.rate), run.sampler, first, most, self._ends)
            self.update = jax.jit(program, donate_argnums=donated)
            self.draw: Callable[..., Any] = lambda step, *_: draw(step)
        else:
            self.state = placed_like(first, on_mesh(like, run.mesh))
            where = jax.tree.map(lambda leaf: leaf.sharding, self.state)
            update: Update = at_rate(shared_update(run.update), health.rate)
            self.update = jax.jit(update, donate_argnums=donated, out_shardings=(where, None))
            self.draw = shared_draw(run.sampler, run.mesh)

    def go_on(self) -> None:
        """Train until the last step, a signal or a problem."""
        run, self.saved_at = self.run, time.monotonic()
        upcoming = self.draw(self.step, False, False)
        while self.step < self.last and not self.problem:
            self.state, metrics = self.update(self.state, upcoming)
            count = made_by(upcoming)
            self.step += count or 1
            self.waiting.append((self.step, count, metrics))
            wishes = bool(self.received), is_first() and time.monotonic() - self.saved_at >= run.save_seconds
            if self.step < run.steps:
                upcoming = self.draw(self.step, *wishes)  # while the device is busy
            if run.mesh is None:
                self._heed(self.step, *wishes)
            if run.on_step is not None:
                run.on_step(self.state, jax.block_until_ready(metrics))
                if run.mesh is None:
                    self._heed(self.step, bool(self.received), False)
            self._read_metrics(0 if run.on_step or self._saves() or self._validates() else _AHEAD)
            if self._saves():  # Perhaps since those metrics, which tell what another process wishes.
                self._read_metrics(0)
            if self._saves() and not self.problem:
                self.log.sync()
                self.problem, self.saved_at = self._save(), time.monotonic()

    def _heed(self, step: int, stop: bool, save: bool) -> None:
        """Stop, or save, after a step to come."""
        self.last = min(self.last, step) if stop else self.last
        self.save_at = step if save and self.save_at < self.step else self.save_at

    def _ends(self, step: int) -> bool:
        """Whether a state is looked at after a step, so that no call may go beyond it."""
        return step == self.run.steps or self._saves(step) or self._validates(step)

    def _saves(self, step: int | None = None) -> bool:
        step, every = self.step if step is None else step, self.run.save_every
        return step in (self.last, self.save_at) or (every is not None and step % every == 0)

    def _validates(self, step: int | None = None) -> bool:
        step, validation = self.step if step is None else step, self.run.validation
        return validation is not None and step % validation.every == 0

    def _read_metrics(self, ahead: int) -> None:
        """Read the metrics of all calls but the last `ahead` ones."""
        while len(self.waiting) > ahead and not self.problem:
            for step, metrics in rows_of(*self.waiting.popleft()):
                self.problem = self.problem or self._read(step, metrics)

    def _read(self, step: int, metrics: dict[str, Array]) -> str | None:
        """Heed the metrics of an update, log them, and say why the run has diverged."""
        # Processes are at different steps now, but none is beyond this one.
        self._heed(step + _AHEAD, *(bool(metrics.pop(name, False)) for name in ("stop", "save")))
        if "masked" in metrics and int(metrics["masked"]) and not self.health.left_out:
            self._say_left_out(step - 1, int(metrics["masked"]))
        self.health = self.health.after(metrics)
        score = self._validate() if step == self.step and self._validates() else {}
        if score or step % self.run.log_every == 0 or step == self.run.steps:
            self.log.write(step, metrics | score)
        self.log.progress(step, self.health.left_out)
        patience.seconds = WHILE_TRAINING
        return self.health.problem(last=step == self.run.steps)

    def _save(self) -> str | None:
        """Save a checkpoint, and say why there is none to save."""
        state = gathered(self.state, self.run.mesh)
        if not finite(state.params):
            return f"weights are not finite after step {self.step}"
        if is_first():
            save(self.run.directory / "checkpoints", state, keep=self.run.keep)
            write_health(self.run.directory, self.health)
        return None

    def _validate(self) -> dict[str, float]:
        state, validation = gathered(self.state, self.run.mesh), self.run.validation
        if validation is None or not is_first():
            return {}
        return keep_best(self.run.directory, state, float(validation.score(state)))

    def _say_left_out(self, step: int, count: int) -> None:
        reason, state = "a loss or gradient is not finite", gathered(self.state, self.run.mesh)
        if self.run.explain is not None and is_first():
            reason = self.run.explain(state._replace(step=step), self.run.sampler(step)) or reason
        self.log.say(f"step {step + 1} leaves out {count} task{'s'[: count > 1]}: {reason}")


def _check(*, steps: int, validation: Validation | None, **counts: int | None) -> None:
    if steps < 0:
        raise ValueError(f"train_loop(steps={steps}) must be 0 or more.")
    for name, value in (counts | {"validation.every": validation and validation.every}).items():
        if value is not None and value < 1:
            raise ValueError(f"train_loop({name}={value}) must be 1 or more.")
