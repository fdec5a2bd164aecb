"""Recordings that are there more than once."""

from collections.abc import Mapping, Sequence

from jaxmeta.data.checking.kinds import CONTRADICTION, COPY, Case

TELLING = ("label", "transcription", "speaker", "split")
"""Columns in which copies of one recording must not differ."""


def copies(digests: Sequence[bytes | None], names: Sequence[str], columns: Mapping[str, Sequence[str]]) -> list[Case]:
    """Rows that sound like an earlier one to the last bit.

    Args:
      digests: R of the content; None where a recording cannot be read, or is silent.
      names: R files.
      columns: name -> R cells; where copies differ in `TELLING` they contradict each other.
    """
    first: dict[bytes, int] = {}
    cases = []
    for row, digest in enumerate(digests):
        if digest is None or (original := first.setdefault(digest, row)) == row:
            continue
        unlike = [name for name in TELLING if name in columns and columns[name][row] != columns[name][original]]
        message = f"the same recording as {names[original]} (row {original + 2})"
        if unlike:
            said = ", ".join(f"{name} {columns[name][row]!r} and {columns[name][original]!r}" for name in unlike)
            cases.append(Case(CONTRADICTION.name, row, original, 1.0 + len(unlike), f"{message}, with {said}"))
        else:
            cases.append(Case(COPY.name, row, original, 1.0, message))
    return cases
