"""What commands print on standard output: a text for people or, with --json, lines of one form for programs."""

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

VERSION = 1
"""Of the form of lines: raised whenever a key changes its meaning or goes."""


def show(command: str, row: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print a result at once: the text, or one line of JSON, an object with version and command before its own keys.

    Args:
      command: which prints it, such as "data import".
      row: key -> value; numbers are finite.
      text: the same for people.
      as_json: whether a program reads it.
    """
    line = json.dumps({"version": VERSION, "command": command, **row}, ensure_ascii=False, allow_nan=False)
    print(line if as_json else text, flush=True)


@contextlib.contextmanager
def aside(as_json: bool) -> Iterator[None]:
    """Let what is printed within go to standard error where standard output is for a program."""
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        yield


def results_of(folder: Path) -> list[Any]:
    """The rows of the results.json that a training has written."""
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))["rows"]
