"""Results that are written as they come, so that a run that is stopped keeps what it has and can go on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

NO_SETTINGS = ("json", "plot", "budget", "workdir")
"""Of a configuration: they say where and how long, not what is measured."""
Write = Callable[[list[dict[str, Any]]], None]


@dataclass(frozen=True)
class Options:
    """What benchmarks have in common."""

    json: Path | None = None
    """File for the rows and the stamp."""
    seed: int = 0
    """Of everything random."""


class Results:
    """Lists of rows in a JSON file, beside the stamp of the run and the groups that are complete."""

    def __init__(self, path: Path | None, lists: tuple[str, ...]):
        """Read what the file holds.

        Raises:
          ValueError: the file is not JSON.
        """
        self.path = path
        self.data: dict[str, Any] = {name: [] for name in lists} | {"finished": [], "run": {}}
        if path is not None and path.exists():
            self.data |= json.loads(path.read_text(encoding="utf-8"))

    def __getitem__(self, name: str) -> list[Any]:
        return self.data[name]

    def stamp(self, config: Any, run: Mapping[str, Any] | None = None) -> None:
        """Say how these results were made, unless an earlier run has: the settings, and what `report.stamp` says.

        Raises:
          ValueError: the file has results of other settings.
        """
        from jaxmeta.files.durable import plain

        settings = {name: value for name, value in plain(asdict(config)).items() if name not in NO_SETTINGS}
        before = self.data["run"].get("config", settings)
        if changed := [name for name in settings if before.get(name) != settings[name]]:
            raise ValueError(
                f"{self.path} was measured with {changed[0]}={before.get(changed[0])}, not {settings[changed[0]]}; "
                "name another file."
            )
        if not self.data["run"]:
            self.data["run"] = {"argv": list(sys.argv), **(run or {}), "config": settings}

    def group(self, name: str, measure: Callable[[Write], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        """The rows of a group: those of the file if it is complete there, or else measured.

        Args:
          name: of the group.
          measure: a function that gives the rows; what it is called with writes those that it has so far.
        """
        if not self.done(name):
            self.put(name, measure(partial(self.put, name)))
            self.finish(name)
        return [
            {key: cell for key, cell in row.items() if key != "group"} for row in self["rows"] if row["group"] == name
        ]

    def done(self, group: str) -> bool:
        """Whether a group of rows is complete."""
        return group in self.data["finished"]

    def put(self, group: str, rows: list[dict[str, Any]]) -> None:
        """Write the rows of a group in the place of those that it had."""
        others = [row for row in self.data["rows"] if row["group"] != group]
        self.data["rows"] = others + [{"group": group, **row} for row in rows]
        self.write()

    def finish(self, group: str) -> None:
        """A group is complete."""
        self.data["finished"].append(group)
        self.write()

    def extend(self, name: str, rows: list[Any]) -> None:
        """Add to a list."""
        self.data[name].extend(rows)
        self.write()

    def note(self, text: str) -> None:
        """Say once what was left out, and why."""
        if text not in self.data["notes"]:
            self.extend("notes", [text])

    def forget(self, text: str) -> None:
        """Take back what does not hold any more."""
        self.data["notes"] = [note for note in self.data["notes"] if note != text]

    def write(self) -> None:
        """Write the file, if one is named."""
        if self.path is not None:
            from jaxmeta.files.durable import write_json

            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.path, self.data)
