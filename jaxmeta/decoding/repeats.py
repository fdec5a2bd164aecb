"""Transcripts that a decoder repeats without end."""

from collections.abc import Sequence


def once(tokens: Sequence[int]) -> list[int]:
    """The tokens up to the first end of what is repeated at their end, three times or more; all of them else.

    The last of the repeats may be cut off.

    >>> once([5, 1, 2, 1, 2, 1, 2, 1])
    [5, 1, 2]
    """
    # How many tokens at the end are those of a period earlier.
    runs = {period: _run(tokens, period) for period in range(1, len(tokens) // 3 + 1)}
    repeated = max((run for period, run in runs.items() if run >= 2 * period), default=0)
    return list(tokens[: len(tokens) - repeated])


def _run(tokens: Sequence[int], period: int) -> int:
    place = len(tokens)
    while place > period and tokens[place - 1] == tokens[place - 1 - period]:
        place -= 1
    return len(tokens) - place
