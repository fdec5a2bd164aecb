"""Recordings as overlapping stretches."""

import numpy as np
import pytest

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.windows import starts, windows


def corpus():
    frames = np.arange(42, dtype=np.float32)[:, None]
    length = np.array([10, 3, 25, 4], np.int32)
    start = np.array([0, 10, 13, 38])
    return Corpus(frames, start, length, {"speaker": np.array(list("abca"))})


def test_stretches_cover_every_frame_and_none_outlasts_its_recording():
    actual = windows(corpus(), 10, 4)
    assert actual.columns["speaker"].tolist() == list("abccccca") and actual.length.tolist() == [10, 3] + 5 * [10] + [4]
    for row, first in enumerate(corpus().start):
        own = (actual.start >= first) & (actual.start < first + corpus().length[row])
        covered = {
            frame for s, n in zip(actual.start[own], actual.length[own], strict=True) for frame in range(s, s + n)
        }
        assert covered == set(range(first, first + corpus().length[row]))
        assert actual.columns["window"][own].tolist() == [str(number) for number in range(own.sum())]
        assert (actual.start[own] - first).tolist() == starts(int(corpus().length[row]), 10, 4)


def test_a_stretch_ends_where_its_recording_does():
    assert starts(25, 10, 4) == [0, 4, 8, 12, 15] and starts(10, 10, 4) == [0] and starts(11, 10, 10) == [0, 1]


@pytest.mark.parametrize(("frames", "hop"), [(0, 1), (5, 0), (5, 6)])
def test_arguments_out_of_range_are_said(frames, hop):
    with pytest.raises(ValueError, match=f"frames={frames}, hop={hop}"):
        windows(corpus(), frames, hop)
