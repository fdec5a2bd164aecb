"""Times of several things on one machine, taken in turn so that other work on it treats them alike."""

import time
from collections.abc import Callable, Hashable, Mapping
from statistics import median
from typing import Any, TypeVar

Name = TypeVar("Name", bound=Hashable)


def in_turns(
    runs: Mapping[Name, Callable[[], Any]], turns: int, step: Callable[[str], None]
) -> dict[Name, list[float]]:
    """Seconds that each function takes, once a turn.

    Args:
      runs: name -> a function that returns when its work is done.
      turns: how often each is called, 1 or more.
      step: told which turn it is.
    Returns:
      name -> [turns] seconds.
    Raises:
      ValueError: turns below 1.
    """
    if turns < 1:
        raise ValueError(f"turns must be 1 or more, got {turns}; 5 or more give figures to report.")
    seconds: dict[Name, list[float]] = {name: [] for name in runs}
    for turn in range(turns):
        step(f"timing, turn {turn + 1} of {turns}")
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def built_in_turns(
    builds: Mapping[Name, Callable[[], Callable[[], Any]]],
    turns: int,
    step: Callable[[str], None],
    note: Callable[[dict[Name, list[float]]], None],
) -> dict[Name, list[float]]:
    """`in_turns` of functions that are built first, so that what is stopped has figures of all that it has built.

    Args:
      builds: name -> a function that compiles, and returns what is timed; it is timed once as soon as it is built.
      turns: how often each is timed, 1 or more.
      step: told what is being done.
      note: told the seconds so far, whenever there are more; it writes them.
    Returns:
      name -> [turns] seconds.
    """
    runs, seconds = {}, {}
    for name, build in builds.items():
        step(f"compiling {name}")
        runs[name] = build()
        seconds |= in_turns({name: runs[name]}, 1, lambda what: None)
        note(seconds)
    for turn in range(1, turns):
        step(f"timing, turn {turn + 1} of {turns}")
        for name, taken in in_turns(runs, 1, lambda what: None).items():
            seconds[name] += taken
        note(seconds)
    return seconds


def rates(seconds: list[float], units: float) -> dict[str, float]:
    """Units a second at the median time as "rate", with the "lowest" and the "highest" of the turns."""
    return {"rate": units / median(seconds), "lowest": units / max(seconds), "highest": units / min(seconds)}
