"""The vocabulary of a recogniser: the characters or words of transcripts, numbered as classes.

Class 0 is no unit: it is the blank of CTC, and in an attention decoder the start and the end of a sentence. Unit i is
class i + 1. Case stays as it is: a script that wants one case folds its transcripts before it builds or encodes.
"""

import functools
import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from jaxmeta.data.sampling.padding import round_up
from jaxmeta.files.sealed import read_sealed, write_sealed
from jaxmeta.padding import pad_rows
from jaxmeta.types import Ragged

Level = Literal["character", "word"]
_FORMAT = 2


@dataclass(frozen=True)
class Vocabulary:
    """Units and their classes. Raises ValueError where there are none, one repeats, or one could never be met."""

    units: tuple[str, ...]
    """Unit i is class i + 1. A character is one code point; " " is one where texts have spaces."""
    level: Level = "character"
    """What a unit is: a character, or a word between spaces."""

    def __post_init__(self) -> None:
        if self.level not in ("character", "word"):
            raise ValueError(f"level={self.level!r} must be 'character' or 'word'.")
        if not self.units:
            raise ValueError("units is empty; a vocabulary needs at least one unit.")
        if len(self._classes) < len(self.units):
            twice = next(unit for unit in self.units if self.units.count(unit) > 1)
            raise ValueError(f"units has {_shown(twice)} twice; give each unit once.")
        for unit in self.units:
            if not self._possible(unit):
                raise ValueError(f"units has {_shown(unit)}, which is no {self.level} of a text after normalise().")

    @property
    def size(self) -> int:
        """Classes: the units, and class 0."""
        return len(self.units) + 1

    def encode(self, text: str) -> np.ndarray:
        """The classes of a text after `normalise`, int32 [L], each in [1, size); L is 0 for an empty text.

        Raises:
          ValueError: a character or word that is no unit; names it and, for a character, its code point.
        """
        units = _split(normalise(text), self.level)
        try:
            return np.array([self._classes[unit] for unit in units], np.int32)
        except KeyError as error:
            raise ValueError(
                f"{text!r} has {_shown(error.args[0])}, which is not among the {len(self.units)} units of the "
                "vocabulary; build it from all transcripts, or fold or leave out that text."
            ) from None

    def encode_rows(self, transcripts: Sequence[str] | np.ndarray, where: Callable[[int], str]) -> Ragged:
        """The classes of R texts as Ragged: values [R, L] int32 with 0 beyond lengths [R] int32.

        L is the longest text's number of units, rounded up to a multiple of 8.
        Args:
          transcripts: R strings.
          where: names a row for an error message.
        Raises:
          ValueError: as `encode`, or a text is empty; names the row.
        """
        rows = []
        for row, text in enumerate(transcripts):
            try:
                rows.append(self.encode(str(text)))
            except ValueError as error:
                raise ValueError(f"{where(row)}: {error}") from None
            if not rows[-1].size:
                raise ValueError(f"{where(row)}: the text is empty; write it, or leave the row out.")
        return pad_rows(rows, int(round_up(max(map(len, rows)))))

    def decode(self, labels: Sequence[int] | np.ndarray) -> str:
        """The text of classes [L], the inverse of `encode`.

        Raises:
          ValueError: a class outside [1, size): cut a padded row at its length, and take blanks out.
        """
        labels = np.asarray(labels)
        if wrong := [int(label) for label in labels if not 1 <= label < self.size]:
            raise ValueError(
                f"labels has {wrong[0]}, which is not in [1, {self.size}); cut a padded row at its length."
            )
        return ("" if self.level == "character" else " ").join(self.units[label - 1] for label in labels)

    def decode_rows(self, labels: Ragged) -> list[str]:
        """The texts of R rows of classes, the inverse of `encode_rows`; arrays of JAX or numpy.

        Raises:
          ValueError: as `decode`.
        """
        rows = zip(np.asarray(labels.values), np.asarray(labels.lengths), strict=True)
        return [self.decode(row[:length]) for row, length in rows]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the vocabulary as a JSON file (`vocabulary.json` by custom) in one step."""
        content = {"format": _FORMAT, "level": self.level, "units": self.units}
        write_sealed(Path(path), "vocabulary", content)

    @functools.cached_property
    def _classes(self) -> dict[str, int]:
        return {unit: index for index, unit in enumerate(self.units, start=1)}

    def _possible(self, unit: str) -> bool:
        if self.level == "character":
            return len(unit) == 1 and (unit == " " or normalise(unit) == unit)
        return bool(unit) and " " not in unit and normalise(unit) == unit


def build_vocabulary(transcripts: Iterable[str], *, level: Level = "character") -> Vocabulary:
    """The characters, or the words between spaces, of some texts after `normalise`, sorted by code point.

    A combining mark that no precomposed character has (an Arabic vowel sign, say) is a unit of its own.
    Raises:
      ValueError: the texts hold no characters, or another level.

    >>> vocabulary = build_vocabulary(["on off"])
    >>> vocabulary.units, vocabulary.encode("no").tolist(), vocabulary.decode([3, 4])
    ((' ', 'f', 'n', 'o'), [3, 4], 'no')
    """
    units = sorted({unit for text in transcripts for unit in _split(normalise(str(text)), level)})
    return Vocabulary(tuple(units), level)


def load_vocabulary(path: str | os.PathLike[str]) -> Vocabulary:
    """Reads a vocabulary that `Vocabulary.save` wrote.

    Raises:
      ValueError: no such file, or it is not such a file, or damaged; names it.
    """
    path = Path(path)
    content = read_sealed(path, "vocabulary", "give a file that Vocabulary.save wrote, or build it again")
    if content.get("format") != _FORMAT:
        raise ValueError(f'{path}: not a vocabulary of "format": {_FORMAT}; build it again with this version.')
    units = content.get("units")
    if not isinstance(units, list) or not all(isinstance(unit, str) for unit in units):
        raise ValueError(f'{path}: "units" must be a list of strings; the file is damaged, copy or build it again.')
    try:
        return Vocabulary(tuple(units), content.get("level"))  # type: ignore[arg-type]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def normalise(text: str) -> str:
    """The text in Unicode NFC, with single spaces for runs of white space, and none at the ends. Case stays.

    >>> normalise("  light   on ")
    'light on'
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def _split(text: str, level: Level) -> list[str]:
    return list(text) if level == "character" else text.split()


def _shown(unit: str) -> str:
    return f"{unit!r} (U+{ord(unit):04X})" if len(unit) == 1 else repr(unit)
