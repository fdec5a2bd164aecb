"""Transfer formulas by hand, and rows that say better or worse by their signs."""

import numpy as np
import pytest

from jaxmeta.decoding.error_rates import word_edits
from jaxmeta.evaluation.transfer import backward_transfer, error_matrix, forward_transfer, matrix_rows, transfer_rows

# By hand: after the first language its error is 10, after the second 25, at the end 40, and so on.
MATRIX = np.array([[10.0, 90.0, 95.0], [25.0, 20.0, 95.0], [40.0, 30.0, 30.0]])
SAID, SPEAKERS = ["a b", "c d", "a d", "c b"], ["ann", "ann", "bob", "bob"]


def test_forgetting_is_a_negative_backward_transfer():
    assert backward_transfer(MATRIX) == pytest.approx(((10 - 40) + (20 - 30)) / 2)
    kept = MATRIX.copy()
    kept[-1, :2] = 10, 20
    assert backward_transfer(kept) == 0


def test_forward_transfer_is_what_is_saved_against_learning_from_scratch():
    scratch = np.array([10.0, 26.0, 28.0])
    assert forward_transfer(MATRIX, scratch) == pytest.approx(((26 - 20) + (28 - 30)) / 2)


@pytest.mark.parametrize("errors", [np.zeros((2, 3)), np.zeros((1, 1)), np.zeros(3)])
def test_transfer_needs_a_square_of_two_languages_or_more(errors):
    with pytest.raises(ValueError, match="errors must be"):
        backward_transfer(errors)
    with pytest.raises(ValueError, match="scratch must be"):
        forward_transfer(MATRIX, np.zeros(2))


def with_errors(wrong: int) -> list[str]:
    """`SAID` with so many of its eight words wrong, the first ones of each voice in turn."""
    words = [text.split() for text in SAID]
    for number in range(wrong):
        words[(number % 2) * 2 + number // 4][(number // 2) % 2] = "x"
    return [" ".join(each) for each in words]


def edits(wrong: int):
    return word_edits(SAID, with_errors(wrong))


def test_rows_hold_percentages_and_signs_that_say_better_or_worse():
    """Of eight words: 2 wrong when learnt, 4 at the end, 6 from scratch."""
    errors = {(0, 0): edits(2), (1, 0): edits(4), (1, 1): edits(2)}
    first, second, mean = transfer_rows("m", ["p", "q"], errors, [edits(2), edits(6)], [SPEAKERS] * 2)
    assert first["backward"] == -25 and "forward" not in first
    assert second["forward"] == 50 and second["forward_low"] <= 50 <= second["forward_high"]
    assert "backward" not in second and second["scratch"] == 75 and second["learnt"] == 25
    assert (mean["forward"], mean["backward"]) == (50, -25)
    matrix = matrix_rows("m", ["p", "q"], errors)
    assert matrix == [
        {"method": "m", "after": "p", "p": 25, "q": None},
        {"method": "m", "after": "q", "p": 50, "q": 25},
    ]
    assert np.isnan(error_matrix(errors, 2)[0, 1])
