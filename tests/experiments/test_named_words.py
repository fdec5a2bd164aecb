"""Words that are named or taught: what is skipped and refused, and how a choice weighs recall and harm."""

import pytest

from experiments.named_words.__main__ import Config, best, main


def test_it_is_skipped_without_a_whisper_and_says_why(capsys):
    assert main(Config()) == [] and "give --recogniser FOLDER" in capsys.readouterr().out


def test_no_utterance_of_a_word_is_refused():
    with pytest.raises(ValueError, match="queries=0 must be 1 or more"):
        main(Config(queries=0))


def test_the_choice_that_misses_least_may_harm_little_and_otherwise_the_least_harm_is_chosen():
    rows = {10: {"missed": 20.0, "harm": 0.1}, 30: {"missed": 5.0, "harm": 0.5}, 60: {"missed": 0.0, "harm": 0.6}}
    assert best(rows) == 30
    assert best({key: row | {"harm": row["harm"] + 1} for key, row in rows.items()}) == 10
