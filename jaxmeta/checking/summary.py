"""What a folder of recordings holds: hours, classes, speakers, rates, noise, and the episodes that it is enough for."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxmeta.data.checking.listing import Listing
from jaxmeta.data.checking.measurements import Sound

COUNTED = ("label", "speaker", "language", "split", "word_split", "transcription")
"""Columns whose values are counted."""
SHOTS, QUERIES = (1, 5, 10), 15
"""Recordings of a class to adapt to, and to be tested by, that episodes are counted for."""
METHOD = (
    "the mean power of active frames of 25 ms over that of the quietest tenth; a lower bound for clips that are cut "
    "out tightly"
)
"""How the signal-to-noise ratio is estimated."""


class Summary(NamedTuple):
    """Counts."""

    rows: int
    readable: int
    hours: float
    """Of all that can be read."""
    values: dict[str, int]
    """Column name -> distinct values."""
    fewest: dict[str, int]
    """Column name -> rows of its rarest value."""
    sample_rates: dict[int, int]
    """Hz -> rows."""
    channels: dict[int, int]
    """Channels -> rows."""
    noise_db: tuple[float, float, float] | None
    """Fifth percentile, median and 95th of the estimated signal-to-noise ratio in dB; None: nothing can be read."""
    episodes: list[tuple[int, int, int]]
    """The most ways for each number of shots and so many queries; empty without labels."""


def summarise(listing: Listing, sounds: Sequence[Sound | None]) -> Summary:
    """Count what the rows of a list hold, given what was measured of each."""
    known = [sound for sound in sounds if sound is not None]
    labels = listing.canonical("label") or [""] * len(listing)
    counted = {name: Counter(listing.canonical(name)) for name in COUNTED if name in listing.columns}
    quantiles = np.percentile([sound.noise_db for sound in known], [5, 50, 95]).tolist() if known else None
    return Summary(
        rows=len(listing),
        readable=len(known),
        hours=sum(sound.seconds for sound in known) / 3600,
        values={name: len(counts.keys() - {""}) for name, counts in counted.items()},
        fewest={name: min((count for value, count in counts.items() if value), default=0)
                for name, counts in counted.items()},
        sample_rates=dict(sorted(Counter(sound.sample_rate for sound in known).items())),
        channels=dict(sorted(Counter(sound.channels for sound in known).items())),
        noise_db=None if quantiles is None else (quantiles[0], quantiles[1], quantiles[2]),
        episodes=feasible_episodes(labels, [sound and sound.digest for sound in sounds]),
    )  # fmt: skip


def feasible_episodes(labels: Sequence[str], digests: Sequence[bytes | None]) -> list[tuple[int, int, int]]:
    """The largest (ways, shots, queries): the most classes that an episode can draw, with the most queries up to 15.

    Copies of a recording count once, for support and query must not share one; speakers are not kept apart.

    >>> feasible_episodes(["a", "a", "b", "b", "b", "c"], [b"1", b"2", b"3", b"4", b"5", b"6"])
    [(2, 1, 1)]
    """
    unique = {(label, digest) for label, digest in zip(labels, digests, strict=True) if label and digest is not None}
    counts = np.array(sorted(Counter(label for label, _ in unique).values()), int)
    shapes = []
    for shots in SHOTS:
        ways = int((counts >= shots + 1).sum())
        # The classes of the largest episode decide how many queries each has.
        if ways >= 2:
            queries = min(QUERIES, int(counts[-ways]) - shots)
            shapes.append((ways, shots, queries))
            if (fewer := int((counts >= shots + QUERIES).sum())) >= 2 and fewer < ways:
                shapes.append((fewer, shots, QUERIES))
    return shapes
