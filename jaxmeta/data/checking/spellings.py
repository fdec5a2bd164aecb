"""Values of a column that are meant to be the same and are not: another Unicode form, case, or blanks."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from jaxmeta.data.checking.kinds import SPELLING, Case

COLUMNS = ("label", "speaker", "language", "split", "word_split", "transcription")
"""Columns whose values are compared."""


def skeleton(text: str) -> str:
    """What is left of a text without its case, its blanks and its Unicode form.

    >>> skeleton("Light  ON ") == skeleton("light on")
    True
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    invisible = ("Zs", "Cf", "Cc", "Zl", "Zp")
    return "".join(each for each in folded if unicodedata.category(each) not in invisible)


def unlike_spellings(columns: Mapping[str, Sequence[str]]) -> list[Case]:
    """Rows whose value differs from a more frequent one by Unicode form, case or blanks only.

    Args:
      columns: name -> R cells as the file holds them.
    """
    cases = []
    for name in COLUMNS:
        cells = columns.get(name, ())
        counts, forms = Counter(cells), defaultdict(list)
        for value in counts:
            forms[skeleton(value)].append(value)
        usual: dict[str, str] = {}
        for key, values in forms.items():
            if key and len(values) > 1:
                best = max(values, key=lambda value: (counts[value], value))
                usual |= {value: best for value in values if value != best}
        for row, cell in enumerate(cells):
            if cell in usual:
                message = f"{name} {ascii_if_alike(cell, usual[cell])} is elsewhere written {usual[cell]!r}"
                cases.append(Case(SPELLING.name, row, counts[cell], 1.0, message))
    return cases


def ascii_if_alike(text: str, other: str) -> str:
    """The text in quotes; with its code points where a person would see no difference."""
    alike = unicodedata.normalize("NFC", text) == unicodedata.normalize("NFC", other)
    return ascii(text) if alike or not text.isprintable() else repr(text)
