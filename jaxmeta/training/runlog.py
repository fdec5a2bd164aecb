"""The log of a run: rows of metrics in a file, and progress on the screen."""

import contextlib
import json
import os
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from jaxmeta.files.durable import naming, plain, write_text
from jaxmeta.files.sealed import read_sealed, write_sealed
from jaxmeta.progress import current, progress_bar
from jaxmeta.training.tensorboard import TensorBoard, is_installed

_CHECKSUM = ', "crc32": '
Log = Callable[..., Any]
"""Takes the numbers of a row, name -> float, and `step=`, as `wandb.log` and `mlflow.log_metrics` do."""


class RunLog:
    """A context that records metrics and shows progress.

    Rows go to `directory/metrics.jsonl`, one JSON object a line: `step`, `seconds` of training so far (over all
    processes that took part), the metrics, and `crc32`, of this row and those before it. Numbers that are not finite
    are the strings "NaN", "Infinity" and "-Infinity". With tensorboardX installed the rows go to
    `directory/tensorboard` too. Progress is shown as `jaxmeta.progress` does, under the name of the stage if one is
    under way.

    Args:
      directory: folder of the run; created if missing.
      total: steps of the whole run.
      start: step from which training continues; rows after it are dropped, for they are about to be written again.
      label: what is shown outside of a stage; None: "training" and the folder's name.
      also: is called with every row that is new, after it is in the file; None: nothing else logs.
      stream: where progress is shown; None: standard error.
      clock: seconds that only ever grow.
    Raises:
      ValueError: total below 0, or start outside [0, total]; on entering, rows that are there are damaged.
    """

    def __init__(
        self,
        directory: str | Path,
        total: int,
        *,
        start: int = 0,
        label: str | None = None,
        also: Log | None = None,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 <= start <= total:
            raise ValueError(f"RunLog needs 0 <= start <= total, got start={start}, total={total}.")
        self._directory, self._total, self._clock = Path(directory), total, clock
        self._label = f"training {self._directory.name}" if label is None else label
        self._stream, self._start, self._step, self._also = stream, start, start, also
        self._loss: float | None = None  # not known before the first row

    def __enter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / "metrics.jsonl"
        rows = _rows_until(path, self._start)
        self._checksum, lines = 0, []
        for row in rows:
            line, self._checksum = _line(row, self._checksum)
            lines.append(line)
        write_text(path, "".join(lines))
        self._began = self._clock() - (rows[-1]["seconds"] if rows else 0.0)
        with contextlib.ExitStack() as opened:
            self._file = opened.enter_context(path.open("a", encoding="utf-8"))
            self._board = TensorBoard(self._directory / "tensorboard", self._start) if is_installed() else None
            if self._board is not None:
                opened.callback(self._board.close)
            self._advance = opened.enter_context(progress_bar(
                current(self._label), self._total, start=self._start, unit="updates", compiles=True,
                stream=self._stream, clock=self._clock,
            ))  # fmt: skip
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with naming(self._directory):
            self._opened.close()

    def write(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Append the row of one step, and hand it to the operating system before returning.

        Args:
          step: number of updates made.
          metrics: name -> number or scalar array; `loss` is also what the progress shows.
        """
        values = {name: plain(value) for name, value in metrics.items()}
        row = {"step": step, "seconds": round(self._clock() - self._began, 3), **values}
        line, self._checksum = _line(row, self._checksum)
        with naming(self._directory):
            self._file.write(line)
            self._file.flush()
            if self._board is not None:
                self._board.write(step, values)
        if self._also is not None:
            numbers = {name: float(each) for name, each in values.items()}  # "NaN" is one, too
            self._also({"seconds": row["seconds"], **numbers}, step=step)
        if "loss" in values:
            self._loss = float(values["loss"])

    def progress(self, step: int, left_out: int = 0) -> None:
        """Show that `step` updates are made: at once in a terminal, at most every ten seconds elsewhere.

        Args:
          step: number of updates made.
          left_out: tasks in all that counted for nothing.
        """
        notes = "" if self._loss is None else f"loss {self._loss:.4g}", f"{left_out} tasks left out" if left_out else ""
        self._advance(step - self._step, ", ".join(filter(None, notes)))
        self._step = step

    def say(self, line: str) -> None:
        """Show a line beside the progress."""
        print(line, file=sys.stderr if self._stream is None else self._stream, flush=True)

    def sync(self) -> None:
        """Flush the rows to the disk, so that none is missing before the checkpoint that follows."""
        os.fsync(self._file.fileno())


class Silent:
    """In the place of a `RunLog` where another process writes it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def write(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Write nothing."""

    def progress(self, step: int, left_out: int = 0) -> None:
        """Show nothing."""

    def say(self, line: str) -> None:
        """Show nothing."""

    def sync(self) -> None:
        """Flush nothing."""


def read_metrics(directory: str | Path) -> list[dict[str, Any]]:
    """Rows of a run's metrics.jsonl, oldest first; "NaN" and the infinities as floats.

    Raises:
      FileNotFoundError: no run has written there.
      ValueError: a row is damaged, or half written; names it.
    """
    path = Path(directory) / "metrics.jsonl"
    rows, rest = _rows(path)
    if rest:
        raise ValueError(f"{path}:{len(rows) + 1}: half written; the command that trains writes it again.")
    return [{name: float(value) if isinstance(value, str) else value for name, value in row.items()} for row in rows]


def check_config(path: Path, config: Mapping[str, Any] | None) -> None:
    """Store the config of a new run in its run.json; refuse another one for an old run.

    Raises:
      ValueError: the run has another config, and what differs; or its file is damaged.
    """
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


def _rows_until(path: Path, step: int) -> list[dict[str, Any]]:
    """The rows up to a step, without one that a killed process left half written."""
    rows = _rows(path)[0] if path.exists() else []
    return [row for row in rows if row["step"] <= step]


def _rows(path: Path) -> tuple[list[dict[str, Any]], bytes]:
    """The rows that are whole, and what stands after the last of them."""
    *lines, rest = path.read_bytes().split(b"\n")
    rows: list[dict[str, Any]] = []
    checksum = 0
    for number, line in enumerate(lines, start=1):
        content, mark, given = line.rpartition(_CHECKSUM.encode())
        checksum = zlib.crc32(content, checksum)
        if not mark or given != f'"{checksum:08x}"}}'.encode():
            raise ValueError(f"{path}:{number}: damaged; delete the file, and the run goes on without its rows.")
        rows.append(json.loads(content + b"}"))
    return rows, rest


def _line(row: Mapping[str, Any], checksum: int) -> tuple[str, int]:
    """A row as a line that ends with the checksum of all rows so far, and that checksum."""
    content = json.dumps(row, ensure_ascii=False, allow_nan=False)[:-1]
    checksum = zlib.crc32(content.encode(), checksum)
    return f'{content}{_CHECKSUM}"{checksum:08x}"}}\n', checksum
