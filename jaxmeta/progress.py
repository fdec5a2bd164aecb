"""Progress of long work: stages that are counted and timed, and how far a loop within one is.

A terminal shows bars; anything else gets a plain line every ten seconds:

    [2/5] training the classifier: 120 of 500 updates, loss 1.23, 40 s left
"""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple, Protocol, TextIO

INTERVAL = 10.0
"""Least seconds between two plain lines."""
_BRIEF = 1.0
"""Seconds that reports must span to say how fast a loop is, and after which its end is worth a line of its own."""
_RECENT = 200
"""Reports that the time left is judged by."""
_PAUSE = 10
"""A report that takes this many times as long as the others do on average has waited for a compilation."""


class Advance(Protocol):
    """Takes the number of units just done, and what else to show, such as "loss 1.23"; any thread may call it."""

    def __call__(self, count: int, note: str = "") -> None: ...


class _Run(NamedTuple):
    """The run that is under way."""

    total: int
    """Stages."""
    seconds: dict[str, float]
    """By stage, in order; a stage that is under way has its name here already."""
    clock: Callable[[], float]
    stream: TextIO
    bars: Any
    """rich's display, or None where there is no terminal."""

    def title(self) -> str:
        return f"[{len(self.seconds)}/{self.total}] "


_run: _Run | None = None


@contextmanager
def stages(
    total: int, *, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[dict[str, float]]:
    """A run of so many stages; yields the seconds that each one took, by its name, and shows them at the end.

    Args:
      total: number of stages.
      stream: where progress is shown; None: standard error.
      clock: seconds that only ever grow.
    """
    global _run
    stream, outer = sys.stderr if stream is None else stream, _run
    try:
        with _bars(stream) as bars:
            _run = _Run(total, {}, clock, stream, bars)
            yield _run.seconds
        parts = ", ".join(f"{name} {duration(seconds)}" for name, seconds in _run.seconds.items())
        print(f"{parts}; {duration(sum(_run.seconds.values()))} in all", file=stream, flush=True)
    finally:
        _run = outer


@contextmanager
def stage(name: str) -> Iterator[None]:
    """The next stage of the run that is under way; outside of one this does nothing."""
    if _run is None:
        yield
        return
    run, start = _run, _run.clock()
    run.seconds[name] = 0.0
    with ExitStack() as stack:
        if run.bars is None:
            print(f"{run.title()}{name}", file=run.stream, flush=True)
        else:
            task = run.bars.add_task(f"{run.title()}{name}", total=run.total, completed=len(run.seconds) - 1, status="")
            stack.callback(run.bars.remove_task, task)
        try:
            yield
        finally:
            run.seconds[name] = run.clock() - start


def current(otherwise: str) -> str:
    """Name of the stage that is under way, or else this."""
    return otherwise if _run is None else next(reversed(_run.seconds), otherwise)


@contextmanager
def progress_bar(
    label: str,
    total: int,
    show: bool = True,
    *,
    start: int = 0,
    unit: str = "",
    compiles: bool = False,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Advance]:
    """Yields a function that takes the number of units just done and shows how far the loop is, on standard error.

    Args:
      label: what is being done, such as "features of words".
      total: number of units.
      show: False shows nothing.
      start: units that were done before.
      unit: their name in the plural.
      compiles: the first unit waits for a compilation; says so.
      stream: where progress is shown; None: standard error.
      clock: seconds that only ever grow.
    """
    if not show or total == 0:
        yield lambda count, note="": None
        return
    stream = sys.stderr if stream is None else stream
    with ExitStack() as stack:
        bars = stack.enter_context(_bars(stream)) if _run is None else _run.bars
        loop = _Loop(label, total, start, unit, bars, stream, clock)
        stack.callback(loop.end)
        loop.begin("compiling" if compiles else "")
        yield loop.advance


def duration(seconds: float) -> str:
    """Seconds as a person says them: "40 s", "3 min 5 s", "2 h 7 min".

    >>> duration(40), duration(185), duration(7620)
    ('40 s', '3 min 5 s', '2 h 7 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


class _Loop:
    """How far one loop is, as a bar or as lines."""

    def __init__(self, label: str, total: int, start: int, unit: str, bars: Any, stream: TextIO, clock: Callable):
        # The bar of the run says by itself which stage this is.
        self._label = label if _run is None or bars is not None else f"{_run.title()}{label}"
        self._done, self._total, self._unit = start, total, f" {unit}" if unit else ""
        self._bars, self._stream, self._clock = bars, stream, clock
        self._gaps: deque[tuple[float, int]] = deque(maxlen=_RECENT)
        self._reported: float | None = None
        self._status, self._unshown, self._shown = "", False, clock()
        self._lock = threading.Lock()

    def begin(self, status: str) -> None:
        if self._bars is not None:
            self._task = self._bars.add_task(
                self._label, total=self._total, completed=self._done, status=status or self._how_far()
            )
        elif status:
            print(f"{self._label}: {status}", file=self._stream, flush=True)

    def advance(self, count: int, note: str = "") -> None:
        with self._lock:
            now = self._clock()
            if self._reported is not None:  # What came before the first report was compiling, or starting processes.
                self._gaps.append((now - self._reported, count))
            self._reported = now
            self._done += count
            left = seconds_left(self._gaps, self._total - self._done)
            parts = self._how_far(), note, f"{duration(left)} left" if left else ""
            self._status, self._unshown = ", ".join(filter(None, parts)), True
            if self._bars is not None:
                self._bars.update(self._task, completed=self._done, status=self._status)
            elif now - self._shown >= INTERVAL:
                self._line(now)

    def end(self) -> None:
        if self._bars is not None:
            self._bars.refresh()
            self._bars.remove_task(self._task)
        elif self._unshown and self._clock() - self._shown >= _BRIEF:
            self._line(self._clock())

    def _line(self, now: float) -> None:
        self._shown, self._unshown = now, False
        print(f"{self._label}: {self._status}", file=self._stream, flush=True)

    def _how_far(self) -> str:
        return f"{self._done:,} of {self._total:,}{self._unit}"


@contextmanager
def progress_callback(label: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A `progress_bar` as a function of the units that are done so far, and of their number."""
    with progress_bar(label, total) as advance:
        before = 0

        def report(done: int, total: int) -> None:
            nonlocal before
            advance(done - before)
            before = done

        yield report


def seconds_left(gaps: "deque[tuple[float, int]]", units: int) -> float | None:
    """Seconds that so many units will take at the pace of these reports (seconds, units); None: not known yet.

    Reports that waited for a compilation do not count.
    """
    known = sorted(gaps)
    seconds, done = sum(gap for gap, _ in known), sum(count for _, count in known)
    while len(known) > 1 and known[-1][0] > _PAUSE * (seconds - known[-1][0]) / (len(known) - 1):
        gap, count = known.pop()
        seconds, done = seconds - gap, done - count
    return seconds * units / done if len(gaps) > 1 and done and seconds >= _BRIEF else None


@contextmanager
def _bars(stream: TextIO) -> Iterator[Any]:
    """rich's display on a terminal, else None."""
    if not stream.isatty():
        yield None
        return
    from rich.console import Console  # Imported late: a third of this package's import time, for terminals only.
    from rich.progress import BarColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[status]}")
    with Progress(*columns, console=Console(file=stream), refresh_per_second=4, transient=True) as bars:
        yield bars
