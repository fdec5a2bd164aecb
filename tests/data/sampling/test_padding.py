"""Padded lengths: the fewest frames, against trying every choice, and clips that each batch falls under."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmeta.data.sampling.padding import lengths_of_batches, lengths_of_clips, round_up

quick = settings(max_examples=40, deadline=None, derandomize=True)


def padded_frames(frames, lengths):
    return sum(min(length for length in lengths if length >= n) for n in frames)


@quick
@given(frames=st.lists(st.integers(1, 70), min_size=1, max_size=30), buckets=st.integers(1, 4))
def test_lengths_of_clips_pad_no_more_than_any_other_choice(frames, buckets):
    actual = lengths_of_clips(np.array(frames), buckets)
    possible = [n for n in range(8, 73, 8) if n <= 8 * -(-max(frames) // 8)]
    choices = itertools.chain(*(itertools.combinations(possible, count) for count in range(1, buckets + 1)))
    best = min(padded_frames(frames, choice) for choice in choices if choice[-1] >= max(frames))
    assert len(actual) <= buckets and list(actual) == sorted(set(actual)) and all(n % 8 == 0 for n in actual)
    assert padded_frames(frames, actual) == best


@quick
@given(frames=st.lists(st.integers(1, 70), min_size=1, max_size=30), least=st.integers(1, 12))
def test_every_length_serves_at_least_so_many_clips(frames, least):
    lengths = lengths_of_clips(np.array(frames), 4, least)
    served = np.bincount(np.searchsorted(lengths, frames), minlength=len(lengths))
    assert lengths[-1] >= max(frames) and served.sum() == len(frames)
    assert served.min() >= min(least, len(frames))


def test_least_may_differ_for_every_length():
    frames = np.array([8] * 3 + [16] * 3 + [24] * 3)
    assert lengths_of_clips(frames, 3, np.array([3, 3, 3])) == (8, 16, 24)
    # A batch of the shortest needs four clips, of which there are three: they join the next.
    assert lengths_of_clips(frames, 3, np.array([4, 3, 3])) == (16, 24)


@pytest.mark.parametrize("clips", [1, 10])
def test_the_longest_clip_of_a_batch_falls_under_each_length_alike(clips):
    frames = np.arange(1, 4001)
    lengths = lengths_of_batches(frames, clips, 4)
    longest = np.random.default_rng(0).choice(frames, (4000, clips)).max(axis=1)
    shares = np.bincount(np.searchsorted(lengths, longest), minlength=4) / 4000
    # A quarter each; the standard deviation of a share is 0.007, and rounding up to 8 frames of 4000 moves 0.002.
    np.testing.assert_allclose(shares, 0.25, atol=0.04)


def test_round_up_gives_multiples_of_eight_above_zero():
    assert round_up(np.array([0, 1, 8, 9, 16])).tolist() == [8, 8, 8, 16, 16]
