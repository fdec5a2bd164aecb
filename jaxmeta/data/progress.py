"""Progress of a long loop: a bar with the time left on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

INTERVAL = 10.0
"""Least seconds between two plain lines."""


@contextmanager
def progress_bar(label: str, total: int, show: bool = True) -> Iterator[Callable[[int], None]]:
    """Yields a function that takes the number of units just done and shows how far the loop is, on standard error.

    Args:
      label: what is being done, such as "features of words".
      total: number of units.
      show: False shows nothing.
    """
    if not show or total == 0:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _terminal_bar(label, total) as advance:
            yield advance
    else:
        yield _plain_lines(label, total)


@contextmanager
def _terminal_bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console  # Imported late: a third of this package's import time, for terminals only.
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count: bar.advance(task, count)


def _plain_lines(label: str, total: int) -> Callable[[int], None]:
    done = first = 0
    start = shown = 0.0

    def advance(count: int) -> None:
        nonlocal shown, done, first, start
        now = time.monotonic()
        done += count
        if not first:  # The rate is taken from the first report on, so that starting processes does not count.
            first, start, shown = done, now, now
        elif now - shown >= INTERVAL:
            shown = now
            left = (now - start) * (total - done) / (done - first)
            print(f"{label}: {done:,} of {total:,}, about {left:.0f} s left", file=sys.stderr, flush=True)

    return advance
