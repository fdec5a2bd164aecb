"""Counts of confused characters, by hand."""

import pytest

from jaxmeta.decoding.confusions import character_confusions


def test_substitutions_deletions_and_insertions_are_counted_by_their_characters():
    actual = character_confusions(["bad", "bad", "cat", ""], ["bet", "ba", "cart", "x"])
    assert actual == {("a", "e"): 1, ("d", "t"): 1, ("d", ""): 1, ("", "r"): 1, ("", "x"): 1}


def test_blanks_at_the_ends_do_not_shift_what_is_counted():
    assert character_confusions(["a b"], [" a c "]) == {("b", "c"): 1}


def test_rows_must_be_as_many():
    with pytest.raises(ValueError, match=r"got 1 references and 2 hypotheses"):
        character_confusions(["a"], ["a", "b"])
