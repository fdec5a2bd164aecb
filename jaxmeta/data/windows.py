"""Long recordings as overlapping stretches: columns that point into the same frames, no copy of any."""

from dataclasses import replace

import numpy as np

from jaxmeta.data.corpus import Corpus


def starts(length: int, frames: int, hop: int) -> list[int]:
    """First frames of the stretches of one recording, as `windows` cuts it.

    >>> starts(length=25, frames=10, hop=5)
    [0, 5, 10, 15]
    """
    last = max(length - frames, 0)
    return [min(number * hop, last) for number in range(1 - (-last // hop))]


def windows(corpus: Corpus, frames: int, hop: int) -> Corpus:
    """Each recording as stretches of `frames` frames, a new one every `hop`; shorter recordings stay whole.

    The last stretch ends where the recording does, so that nothing is left out. Stretches of a recording are
    neighbours and share its columns, so that an episode has all of them on one side; the column "window" counts them.
    Args:
      corpus: R recordings.
      frames: of a stretch, 1 or more.
      hop: frames from one start to the next, 1 to `frames`.
    Raises:
      ValueError: an argument out of its range.
    """
    if frames < 1 or not 1 <= hop <= frames:
        raise ValueError(f"windows needs frames of 1 or more and hop in [1, frames], got frames={frames}, hop={hop}.")
    counts = 1 + -(-np.maximum(corpus.length - frames, 0) // hop)
    rows = np.repeat(np.arange(len(corpus)), counts)
    number = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    length = np.minimum(corpus.length[rows], frames)
    offset = np.minimum(number * hop, corpus.length[rows] - length)
    columns = {name: values[rows] for name, values in corpus.columns.items()}
    columns["window"] = number.astype(np.str_)
    return replace(corpus, start=corpus.start[rows] + offset, length=length, columns=columns)
