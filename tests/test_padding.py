"""Rows as one Ragged."""

import numpy as np
import pytest

from jaxmeta.padding import pad_rows


def test_rows_are_followed_by_zeros_and_know_their_lengths():
    rows = [np.ones((2, 3), np.float32), np.full((0, 3), 7, np.float32), np.full((4, 3), 2, np.float32)]
    padded = pad_rows(rows, 5)
    assert padded.values.shape == (3, 5, 3) and padded.values.dtype == np.float32
    np.testing.assert_array_equal(padded.values.sum(axis=(1, 2)), [6, 0, 24])
    np.testing.assert_array_equal(padded.lengths, [2, 0, 4])
    assert pad_rows(rows).values.shape == (3, 4, 3)


def test_rows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="length=3 is less than the longest row, 4"):
        pad_rows([np.zeros(4)], 3)
    with pytest.raises(ValueError, match="one row at least"):
        pad_rows([])
