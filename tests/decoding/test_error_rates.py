"""Edits against hand counts and dynamic programming; intervals against enumeration and known spreads."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxmeta.decoding.error_rate_intervals import bootstrap_rate, paired_difference, paired_relative
from jaxmeta.decoding.error_rates import Edits, character_edits, error_rate, word_edits


def edits(errors, reference):
    zeros = np.zeros(len(errors), np.int64)
    return Edits(np.asarray(errors), zeros, zeros, np.asarray(reference))


def distance(first, second):
    """Levenshtein's, row by row of the table."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        above, row = row, [i]
        for j, b in enumerate(second, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b)))
    return row[-1]


def test_word_edits_are_those_counted_by_hand():
    references = ["the cat sat", "one two three", "yes", "", "  spaced   out ", ""]
    hypotheses = ["the bat sat down", "one three", "", "um er", "spaced out", ""]
    actual = word_edits(references, hypotheses)
    np.testing.assert_array_equal(actual.substitutions, [1, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(actual.deletions, [0, 1, 1, 0, 0, 0])
    np.testing.assert_array_equal(actual.insertions, [1, 0, 0, 2, 0, 0])
    np.testing.assert_array_equal(actual.reference, [3, 3, 1, 0, 2, 0])
    np.testing.assert_array_equal(actual.errors, [2, 1, 1, 2, 0, 0])
    assert error_rate(actual) == pytest.approx(100 * 6 / 9)


def test_character_edits_count_spaces_and_compare_composed_letters():
    actual = character_edits(["ab cd", "caf\u00e9", "a  b", "北京"], ["abcd", "cafe\u0301", " a b", "北"])
    np.testing.assert_array_equal(actual.errors, [1, 0, 0, 1])
    np.testing.assert_array_equal(actual.deletions, [1, 0, 0, 1])
    np.testing.assert_array_equal(actual.reference, [5, 4, 3, 2])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.lists(st.sampled_from("abc"), max_size=7)] * 2), min_size=1, max_size=4))
def test_errors_are_the_edit_distance(pairs):
    expected = [distance(*pair) for pair in pairs]
    words = word_edits(*zip(*((" ".join(a), " ".join(b)) for a, b in pairs), strict=True))
    characters = character_edits(*zip(*(("".join(a), "".join(b)) for a, b in pairs), strict=True))
    for actual in (words, characters):
        assert actual.errors.tolist() == expected
        assert actual.reference.tolist() == [len(reference) for reference, _ in pairs]


def test_rates_that_cannot_be_are_errors():
    with pytest.raises(ValueError, match="2 references and 1 hypotheses"):
        word_edits(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="0 references"):
        word_edits([], [])
    with pytest.raises(ValueError, match="single text"):
        character_edits("ab", "ab")
    with pytest.raises(ValueError, match="every reference is empty"):
        error_rate(word_edits(["", " "], ["a", ""]))


def enumerated(errors, reference):
    """The rate of every equally likely resample of groups of one row."""
    draws = itertools.product(range(len(errors)), repeat=len(errors))
    return [100 * sum(errors[i] for i in d) / sum(reference[i] for i in d) for d in draws]


def test_the_interval_has_the_quantiles_of_all_resamples():
    errors, reference = [1, 7, 3, 10], [20, 18, 30, 25]
    actual = bootstrap_rate(edits(errors, reference), list("abcd"), resamples=200_000)
    low, high = np.quantile(enumerated(errors, reference), [0.025, 0.975], method="inverted_cdf")
    assert actual.value == pytest.approx(100 * 21 / 93)
    # 256 resamples are equally likely: beside a quantile lie values at most about a point away
    assert actual.low == pytest.approx(low, abs=0.7) and actual.high == pytest.approx(high, abs=0.7)


def test_the_interval_is_as_wide_as_the_spread_of_groups_says():
    rng = np.random.default_rng(0)
    errors, reference = rng.integers(0, 40, 400), np.full(400, 100)
    actual = bootstrap_rate(edits(errors, reference), [f"s{i}" for i in range(400)])
    half = 1.96 * errors.std() / math.sqrt(400)
    # the normal limit; 10,000 resamples know a quantile to about 2 %
    assert actual.high - actual.low == pytest.approx(2 * half, rel=0.05)


def test_rows_of_one_group_are_drawn_together():
    errors, reference, groups = [5, 0, 9, 1], [10, 10, 10, 10], ["a", "a", "b", "b"]
    together = bootstrap_rate(edits(errors, reference), groups)
    assert together == bootstrap_rate(edits([5, 10], [20, 20]), ["a", "b"])
    assert (together.low, together.high) == (25.0, 50.0)


def test_paired_intervals_cancel_what_is_hard_for_both():
    rng = np.random.default_rng(1)
    reference, hard = np.full(30, 100), rng.integers(10, 80, 30)
    groups = [f"s{i}" for i in range(30)]
    first, second = edits(hard, reference), edits(hard - 4, reference)
    difference = paired_difference(first, second, groups)
    assert difference == pytest.approx((-4.0, -4.0, -4.0))
    assert bootstrap_rate(first, groups).high - bootstrap_rate(first, groups).low > 10
    halved = paired_relative(edits(2 * hard, reference), first, groups)
    assert halved == pytest.approx((50.0, 50.0, 50.0))


def test_paired_figures_are_of_the_whole_set():
    first, second = edits([4, 6], [10, 30]), edits([3, 4], [10, 30])
    assert paired_difference(first, second, ["a", "b"]).value == pytest.approx(100 * 7 / 40 - 100 * 10 / 40)
    assert paired_relative(first, second, ["a", "b"]).value == pytest.approx(30.0)


def test_the_same_seed_draws_the_same():
    rows, groups = edits([1, 2, 3, 9, 4], [9, 8, 7, 9, 6]), list("abcde")
    assert bootstrap_rate(rows, groups, seed=3, resamples=50) == bootstrap_rate(rows, groups, seed=3, resamples=50)
    assert bootstrap_rate(rows, groups, seed=3, resamples=50) != bootstrap_rate(rows, groups, seed=4, resamples=50)


def test_intervals_that_mean_nothing_are_errors():
    rows = edits([1, 2], [9, 8])
    for groups, message in ((["a", "a"], "two groups"), (["a"], "each of 2 rows")):
        with pytest.raises(ValueError, match=message):
            bootstrap_rate(rows, groups)
    with pytest.raises(ValueError, match="'b' has no reference"):
        bootstrap_rate(edits([1, 2], [9, 0]), ["a", "b"])
    with pytest.raises(ValueError, match="resamples=0"):
        bootstrap_rate(rows, ["a", "b"], resamples=0)
    with pytest.raises(ValueError, match="confidence=95"):
        bootstrap_rate(rows, ["a", "b"], confidence=95)
    with pytest.raises(ValueError, match="same references"):
        paired_difference(rows, edits([1, 2], [8, 9]), ["a", "b"])
    with pytest.raises(ValueError, match="first makes no error"):
        paired_relative(edits([0, 2], [9, 8]), rows, ["a", "b"])
