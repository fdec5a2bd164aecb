"""What numbers and paths of the command line may be: checked by the name of the option, before any work."""

import dataclasses
import functools
import re
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from tyro.conf import UseAppendAction


class Within(NamedTuple):
    """Bounds of an option, as metadata of its type. NaN and infinity lie in none."""

    least: float
    most: float
    ends: Literal["[]", "()", "[)"] = "[]"
    """Which of the bounds are meant: square where they are."""

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int | float) or number in self.excluded:
            return False
        return self.least <= number <= self.most

    def __str__(self) -> str:
        excluded = f", {' and '.join(f'{each:,}' for each in self.excluded)} excluded" if self.excluded else ""
        return f"between {self.least:,} and {self.most:,}{excluded}"

    @property
    def excluded(self) -> list[float]:
        """The bounds that are not meant."""
        return [self.least] * (self.ends[0] == "(") + [self.most] * (self.ends[1] == ")")


Roots = Annotated[tuple[Path, ...], UseAppendAction]
"""Folders, one an option, so that what follows is none of them."""
Seed = Annotated[int, Within(0, 2**32 - 1)]
Updates = Annotated[int, Within(1, 10**9)]
Count = Annotated[int, Within(1, 1_000_000)]
Process = Annotated[int, Within(0, 999_999)]
Probability = Annotated[float, Within(0, 1, "()")]
Certainty = Annotated[float, Within(0.5, 1, "[)")]


def checked(command: Callable[..., None]) -> Callable[..., None]:
    """The command, which first refuses numbers out of range, and reads ~ as the home folder in paths.

    Bash leaves the tilde of `--out=~/mine` as it is. A folder that is really called so needs its whole path.
    """

    @functools.wraps(command)
    def check(**options: Any) -> None:
        command(**admitted(command, options))

    # What is said of an option is to be one line: bash would take further ones as completions of their own.
    command.__doc__ = re.sub(r"\n {9,}", " ", command.__doc__ or "")
    return check


def admitted(command: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    """The options of a command with paths written out.

    Raises:
      ValueError: a number out of its range, or an unknown home folder; names the option.
    """
    hints = typing.get_type_hints(command, include_extras=True)
    for name, value in options.items():
        if dataclasses.is_dataclass(value) and not isinstance(value, type):  # a group of options
            options = options | {name: dataclasses.replace(value, **admitted(type(value), vars(value)))}
            continue
        flag = f"--{name.replace('_', '-')}"
        for bounds in _bounds(hints[name]):
            for number in value if isinstance(value, tuple) else (value,):
                if number is not None and number not in bounds:
                    raise ValueError(f"{flag} must lie {bounds}, got {number}.")
        options = options | {name: _written_out(flag, value)}
    return options


def _bounds(hint: Any) -> list[Within]:
    """Those that a type holds, such as `tuple[Count, ...]` or `Seed | None`."""
    own = [each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Within)]
    return own + [each for part in typing.get_args(hint) for each in _bounds(part)]


def _written_out(flag: str, value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_written_out(flag, each) for each in value)
    try:
        return value.expanduser() if isinstance(value, Path) else value
    except RuntimeError:
        raise ValueError(
            f"{flag} {value}: there is no such home folder; write the whole path of such a folder."
        ) from None
