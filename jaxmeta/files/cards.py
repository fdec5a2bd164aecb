"""Cards: small JSON files that say what a folder holds. They are read strictly: nothing is guessed or converted.

Whatever is wrong raises one CardError of one line that names the file, the key, the value and what to do.
"""

import dataclasses
import json
import math
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

_MOST_BYTES = 16_000_000
_DEEPEST = 32
_LARGEST = 2**31 - 1
OPTIONAL = {"optional": True}
"""Metadata of a dataclass's field that files of earlier versions lack; it has its default then."""
_NAMES = {int: f"an integer between -{_LARGEST:,} and {_LARGEST:,}", float: "a number", str: "a string",
          bool: "true or false"}  # fmt: skip


class CardError(ValueError):
    """A card cannot be read, or says something that it may not say."""


class Place(NamedTuple):
    """Where in a card a value stands, and what to do if it is wrong."""

    path: Path
    key: str
    """Of objects in objects with dots between ("features.n_mels"); "" for the whole card."""
    remedy: str

    def at(self, name: object) -> "Place":
        """The place of an entry of the value at this place."""
        return self._replace(key=f"{self.key}.{name}" if self.key else str(name))

    def error(self, problem: str) -> CardError:
        """An error about this place."""
        key = f"{_shown(self.key)} " if self.key else "the card "
        return CardError(f"{self.path}: {key}{problem}; {self.remedy}.")

    def wrong(self, value: object, expected: str) -> CardError:
        """An error that says what stands there, and what should."""
        return self.error(f"is {_shown(repr(value))} and must be {expected}")


def read_card(path: Path, remedy: str) -> dict[str, Any]:
    """The object in a JSON file.

    Args:
      path: of the file.
      remedy: what to do if it is wrong, for messages.
    Raises:
      CardError: no such file; not JSON, or no object; a key that is there twice; a number that is not finite; nesting
        deeper than 32; more than 16 million bytes.
    """
    place = Place(path, "", remedy)
    try:
        if (size := path.stat().st_size) > _MOST_BYTES:
            raise place.error(f"has {size:,} bytes, and at most {_MOST_BYTES:,} are read")
        card = json.loads(path.read_bytes().decode("utf-8"), object_pairs_hook=lambda pairs: _unique(pairs, place))
    except OSError as error:
        raise place.error(f"cannot be read ({error.strerror})") from None
    except RecursionError:
        raise place.error(f"is nested deeper than {_DEEPEST}") from None
    except CardError:
        raise
    except ValueError as error:
        raise place.error(f"is not JSON ({_shown(str(error))})") from None
    if not isinstance(card, dict):
        raise place.wrong(card, "an object")
    _check_plain(card, place)
    return card


def build(kind: Any, value: Any, place: Place) -> Any:
    """A value of a JSON file as a value of a type, exactly.

    Args:
      kind: int, float, str, bool, Any, a Literal, an optional type, dict[str, T], list[T], a dataclass (an object with
        its fields, all of them but those that are `OPTIONAL`, and no others), or a NamedTuple (a list of its fields).
      value: as JSON gives it.
      place: where it stands.
    Raises:
      CardError: it is of another type, or the type's own checks refuse it.
    """
    if kind is Any:
        return value
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        if not isinstance(value, str) or value not in parts:
            raise place.wrong(value, f"one of {', '.join(map(str, parts))}")
        return value
    if origin in (Union, types.UnionType):
        some = next(part for part in parts if part is not type(None))
        return None if value is None else build(some, value, place)
    if origin in (dict, Mapping):
        if not isinstance(value, dict):
            raise place.wrong(value, "an object")
        return {name: build(parts[1], item, place.at(name)) for name, item in value.items()}
    if origin is list:
        if not isinstance(value, list):
            raise place.wrong(value, "a list")
        return [build(parts[0], item, place.at(index)) for index, item in enumerate(value)]
    if kind in _NAMES:
        return _scalar(kind, value, place)
    return _record(kind, value, place)


def _scalar(kind: Any, value: Any, place: Place) -> Any:
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise place.wrong(value, _NAMES[kind])
    if kind is int and abs(value) > _LARGEST:
        raise place.wrong(value, _NAMES[kind])
    return kind(value)


def _record(kind: Any, value: Any, place: Place) -> Any:
    """A dataclass from an object, or a NamedTuple from a list."""
    hints = get_type_hints(kind)
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise place.wrong(value, "an object")
        names = [field.name for field in dataclasses.fields(kind)]
        optional = {field.name for field in dataclasses.fields(kind) if field.metadata.get("optional")}
        if missing := [name for name in names if name not in value and name not in optional]:
            raise place.at(missing[0]).error("is missing")
        if unknown := [name for name in value if name not in names]:
            raise place.at(unknown[0]).wrong(value[unknown[0]], f"left out, for the keys are {', '.join(names)}")
        names = [name for name in names if name in value]
        fields = [value[name] for name in names]
    else:
        names = list(kind._fields)
        if not isinstance(value, list) or len(value) != len(names):
            raise place.wrong(value, f"a list of {', '.join(names)}")
        fields = value
    built = [build(hints[name], field, place.at(name)) for name, field in zip(names, fields, strict=True)]
    try:
        return kind(**dict(zip(names, built, strict=True)))
    except ValueError as error:
        raise place.error(f"is not right: {str(error).rstrip('.')}") from None


def _unique(pairs: list[tuple[str, Any]], place: Place) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise place.at(twice).error("is there twice")
    return dict(pairs)


def _check_plain(card: dict[str, Any], place: Place) -> None:
    """Refuse numbers that are not finite, and what is nested too deep."""
    waiting: list[tuple[Any, Place, int]] = [(card, place, 0)]
    while waiting:
        value, here, depth = waiting.pop()
        if depth > _DEEPEST:
            raise here.error(f"is nested deeper than {_DEEPEST}")
        if isinstance(value, float) and not math.isfinite(value):
            raise here.wrong(value, "a finite number")
        entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        waiting += [(item, here.at(name), depth + 1) for name, item in entries]


def _shown(text: str) -> str:
    """The text in one line of at most about 80 characters."""
    line = text if text.isprintable() else ascii(text)[1:-1]
    return line if len(line) <= 80 else f"{line[:60]}...{line[-15:]}"
