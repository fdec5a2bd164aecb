"""The training loop: resumable, interruptible, and the same bit for bit however often it is interrupted."""

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxmeta.training.checkpoint import restore, save
from jaxmeta.training.durable import lock, plain, write_json
from jaxmeta.training.runlog import RunLog
from jaxmeta.training.update import TrainState
from jaxmeta.types import Array, Episode

Update = Callable[[TrainState, Episode], tuple[TrainState, dict[str, Array]]]


class Interrupted(SystemExit):
    """A signal stopped training, which is saved; uncaught, it ends the script with 128 + the signal's number."""


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
) -> TrainState:
    """Train until step `steps`, from the newest checkpoint in `directory` if there is one.

    The result is that of an uninterrupted run, bit for bit. The host samples the next tasks while the device computes.
    SIGTERM and Ctrl-C save and stop; a second one stops at once. A run that is complete is only loaded.
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
    Returns:
      The state after `steps` updates.
    Raises:
      Interrupted: a signal came, and the state is saved.
      ValueError: the directory holds a run of another config, model or optimizer, or of more steps, is in use, or has
        damaged checkpoints only.
    """
    _check(steps=steps, save_every=save_every, keep=keep, log_every=log_every, validation=validation)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with lock(directory):
        _check_config(directory / "run.json", config)
        first = restore(directory / "checkpoints", train) or train
        start = int(first.step)
        if start > steps:
            raise ValueError(f"{directory} holds a run of {start} steps, beyond steps={steps}; use another folder.")
        if start == steps:
            return first
        with RunLog(directory, steps, start=start) as log, _signals() as received:
            saved_at = time.monotonic()
            for step, train, metrics in _updates(jax.jit(update), first, sampler, steps):
                if on_step is not None:
                    on_step(train, metrics)
                score = _validate(directory, train, step, validation)
                if score or step % log_every == 0 or step == steps:
                    log.write(step, metrics | score)
                log.progress(step)
                due = time.monotonic() - saved_at >= save_seconds or (save_every and step % save_every == 0)
                if due or received or step == steps:
                    log.sync()
                    save(directory / "checkpoints", train, keep=keep)
                    saved_at = time.monotonic()
                if received:
                    break
    if received and step < steps:
        _stop(received[0], directory, step, steps)
    return train


def _updates(
    update: Update, train: TrainState, sampler: Callable[[int], Episode], steps: int
) -> Iterator[tuple[int, TrainState, dict[str, Array]]]:
    """The states of a run one after another, each with its step and its metrics.

    They may still be computed: who reads them waits, and the device has the next step to do before the last is read.
    """
    start, before = int(train.step), None
    episodes = sampler(start)
    for step in range(start + 1, steps + 1):
        train, metrics = update(train, episodes)
        if step < steps:
            episodes = sampler(step)  # while the device is busy
        # One step in flight, so that memory stays that of two.
        jax.block_until_ready(before)
        before = metrics
        yield step, train, metrics


def _validate(directory: Path, train: TrainState, step: int, validation: Validation | None) -> dict[str, float]:
    """Score the state if it is time to, and keep it if it is the best so far."""
    if validation is None or step % validation.every:
        return {}
    score, path = float(validation.score(train)), directory / "best.json"
    best = float(json.loads(path.read_bytes())["score"]) if path.exists() else float("-inf")
    if score > best:
        # The score last: were the process killed in between, the resumed run would come here again and save again.
        save(directory / "best", train, keep=1)
        write_json(path, {"step": step, "score": score})
    return {"validation": score}


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them; the second finds the handlers that were there before."""
    received: list[int] = []
    before: dict[int, Any] = {}

    def put_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, frame: Any) -> None:
        received.append(number)
        put_back()
        # print may be in the middle of a line right now, and must not be entered twice.
        os.write(2, b"\nstopping after this step; once more to stop at once without saving\n")

    if threading.current_thread() is threading.main_thread():  # only it may set handlers
        for number in (signal.SIGINT, signal.SIGTERM):
            # nohup and job control ignore signals on purpose; None is a handler that Python cannot put back.
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, handle)
    try:
        yield received
    finally:
        put_back()


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
        write_json(path, now)
        return
    try:
        before = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); use another folder.") from error
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
