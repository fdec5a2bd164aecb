"""Texts that are repeated without end."""

import pytest

from jaxmeta.decoding.repeats import once


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([], []),
        ([1, 2, 3], [1, 2, 3]),
        ([7, 1, 1, 1, 1], [7, 1]),
        ([7, 1, 2, 1, 2, 1, 2], [7, 1, 2]),
        ([7, 1, 2, 1, 2, 1, 2, 1], [7, 1, 2]),
        ([1, 2, 1, 2, 9], [1, 2, 1, 2, 9]),
        ([7, 1, 2, 1, 2], [7, 1, 2, 1, 2]),
        # The whole of what is repeated, not the three alike within it.
        ([9, 5, 1, 1, 1, 5, 1, 1, 1, 5, 1, 1, 1], [9, 5, 1, 1, 1]),
    ],
)
def test_what_is_repeated_three_times_at_the_end_is_there_once(tokens, expected):
    assert once(tokens) == expected
