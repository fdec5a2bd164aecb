"""The experiment on adapting a recogniser to speakers: its presets, flags and errors."""

import pytest

from experiments.adapt_asr.__main__ import PRESETS, QUICK_METHODS, Config, _preset, main
from jaxmeta.recognition.methods import adaptation_methods


def test_flags_replace_the_updates_of_the_preset():
    preset = _preset(Config(updates=3, meta_updates=0))
    assert (preset.training.updates, preset.meta.updates) == (3, 0)
    assert _preset(Config()) == PRESETS["quick"]


def test_methods_that_are_named_exist():
    known = adaptation_methods(5, "dnn", "tiny")
    assert set(QUICK_METHODS) <= set(known)


def test_missing_data_and_too_few_speakers_are_said(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="speakers=1 must be 2 or more"):
        main(Config(speakers=1, workdir=tmp_path))
    monkeypatch.delenv("JAXMETA_DATA", raising=False)
    with pytest.raises(ValueError, match="lacks en_nonnative_sentences"):
        main(Config(preset="full", workdir=tmp_path))
