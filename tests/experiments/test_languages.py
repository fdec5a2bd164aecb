"""The experiment on languages: its data, its presets and its errors."""

import itertools
from typing import get_args

import numpy as np
import pytest

from experiments.languages.__main__ import PRESETS, Config, Target, main
from experiments.languages.data import PRETRAINING, SEQUENCE, UNSEEN, VALIDATION, arabic_groups, written
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.synthesis.phrasebook import LANGUAGES


def test_texts_lose_case_and_translations_their_hyphens():
    assert written("Gib mir den Hut", False) == "gib mir den hut" and written("dix-sept", False) == "dix-sept"
    assert written("Twenty-one", True) == "twenty one"


def test_the_languages_are_those_built_in_and_mandarin_is_not_trained_on():
    assert {*PRETRAINING, VALIDATION, *UNSEEN} == set(LANGUAGES) and "cmn" in UNSEEN
    assert len(PRETRAINING) + len(UNSEEN) + 1 == len(LANGUAGES) and set(SEQUENCE) <= set(LANGUAGES)


def test_arabic_words_are_grouped_by_word_and_split():
    label, split = ["a", "b", "c", "d", "e", "f"], ["train", "train", "val", "train", "test", "train"]
    columns = {"label": np.array(label), "word_split": np.array(split)}
    corpus = Corpus(np.zeros((6, 1), np.float32), np.arange(6), np.ones(6, np.int32), columns)
    found = arabic_groups(corpus).tolist()
    assert found == ["ar-0", "ar-1", "ar-val", "ar-2", "ar-test", "ar-0"]


def test_the_full_preset_of_translation_needs_a_base(tmp_path):
    with pytest.raises(ValueError, match="base=None: the full preset of translation needs one"):
        main(Config(preset="full", target="translation", workdir=tmp_path))


def test_every_target_has_both_presets():
    assert set(PRESETS) == set(itertools.product(get_args(Target), ("quick", "full")))


def test_recordings_are_needed_for_the_full_preset(monkeypatch, tmp_path):
    monkeypatch.delenv("JAXMETA_DATA", raising=False)
    with pytest.raises(ValueError, match="JAXMETA_DATA='' lacks zh_en_words"):
        main(Config(preset="full", workdir=tmp_path))
