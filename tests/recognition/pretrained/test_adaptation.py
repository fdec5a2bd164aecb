"""Adapters of a small random Whisper: they learn, the base stays as it is, and their folder belongs to one base."""

import json
import os
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxmeta.bundle import BundleError
from jaxmeta.data.audio import AudioError, write_audio
from jaxmeta.data.manifest import ManifestError
from jaxmeta.recognition.pretrained.adaptation import AdaptationOptions, adapt_whisper, learn, recognise
from jaxmeta.recognition.pretrained.adapter import (
    AdapterCard,
    is_adapted,
    load_adapted,
    new_adapters,
    save_adapter,
    with_whisper_adapters,
)
from jaxmeta.recognition.pretrained.bases import base_hash
from jaxmeta.recognition.pretrained.voice import read_whisper_voice
from jaxmeta.recognition.pretrained.whisper import load_whisper
from jaxmeta.tree import named
from tests.recognition.conftest import write_voice


def test_adapters_in_half_precision_weights_have_float32_and_change_nothing_at_first(whisper_folder):
    recogniser = load_whisper(whisper_folder, np.float16)
    adapters = new_adapters(recogniser.params, 2, jax.random.key(0))
    # Two layers with two attentions each, whose queries and outputs adapt.
    assert len(adapters) == 8 and {leaf.dtype for leaf in jax.tree.leaves(adapters)} == {np.dtype("float32")}
    before, after = named(recogniser.params), named(with_whisper_adapters(recogniser, adapters).params)
    for path, leaf in before.items():
        np.testing.assert_array_equal(leaf, after[path])
        assert after[path].dtype == (np.float32 if is_adapted(path) else np.float16)


def card(folder, **options):
    return AdapterCard(str(folder), base_hash(folder), **{"rank": 2, "language": "en", "adapted": True} | options)


def test_a_folder_of_adapters_belongs_to_one_base(whisper_folder, tmp_path):
    recogniser = load_whisper(whisper_folder)
    adapters = jax.tree.map(lambda leaf: leaf + 1, new_adapters(recogniser.params, 2, jax.random.key(0)))
    save_adapter(tmp_path / "mine", card(whisper_folder), adapters)
    actual, read = load_adapted(tmp_path / "mine")
    expected = named(with_whisper_adapters(recogniser, adapters).params)
    for path, leaf in named(actual.params).items():
        np.testing.assert_array_equal(leaf, expected[path])
    assert read == card(whisper_folder)
    moved = shutil.copytree(whisper_folder, tmp_path / "moved")
    assert load_adapted(tmp_path / "mine", moved)[1] == read
    text = (moved / "config.json").read_text()
    (moved / "config.json").write_text(text + " ")
    with pytest.raises(BundleError, match="was made with another network than that of"):
        load_adapted(tmp_path / "mine", moved)
    with pytest.raises(BundleError, match="which is not there; give its folder by --base"):
        load_adapted(tmp_path / "mine", tmp_path / "nowhere")


def test_a_rank_that_the_weights_cannot_have_is_refused(whisper_folder, tmp_path):
    adapters = new_adapters(load_whisper(whisper_folder).params, 2, jax.random.key(0))
    save_adapter(tmp_path / "large", card(whisper_folder, rank=1_000_000), adapters)
    with pytest.raises(ValueError, match="rank is 1000000 and must be at most"):
        load_adapted(tmp_path / "large")
    save_adapter(tmp_path / "other", card(whisper_folder, rank=3), adapters)
    with pytest.raises(BundleError, match=r"the weights do not fit card\.json"):
        load_adapted(tmp_path / "other")


@pytest.mark.parametrize("options", [{"rank": 0}, {"steps": -1}, {"folds": 1}, {"batch": 0}, {"rate": float("nan")}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        AdaptationOptions(**options)


@pytest.mark.slow
def test_adapters_learn_what_a_voice_says_and_the_gain_is_certain(whisper_folder, greetings):
    recogniser = load_whisper(whisper_folder)
    untouched = jax.tree.map(np.array, recogniser.params)
    voice = read_whisper_voice(recogniser, greetings)
    options = AdaptationOptions(rank=4, steps=200, rate=0.03, folds=3)
    result = adapt_whisper(recogniser, voice, options)
    assert result.taken and result.summary()["cer_after"] < result.summary()["cer_before"]
    adapted = with_whisper_adapters(recogniser, result.adapted)
    assert recognise(adapted, voice, np.arange(6)) == ["hello world"] * 6
    jax.tree.map(np.testing.assert_array_equal, recogniser.params, untouched)
    # Without a step nothing is gained, and the adapters change nothing.
    kept = adapt_whisper(recogniser, voice, AdaptationOptions(steps=0))
    assert not kept.taken and "the recogniser is kept as it was" in str(kept)
    assert not any(np.any(each["up"]) for each in kept.adapted.values())


@pytest.mark.slow
def test_recordings_of_other_folds_alone_are_learnt(whisper_folder, greetings):
    recogniser = load_whisper(whisper_folder)
    voice = read_whisper_voice(recogniser, greetings)
    rows = np.array([0, 2, 4])
    changed = voice._replace(memory=[each if row in rows else 0 * each for row, each in enumerate(voice.memory)])
    options = AdaptationOptions(steps=3, batch=2)
    jax.tree.map(np.testing.assert_array_equal, learn(recogniser, voice, rows, options),
                 learn(recogniser, changed, rows, options))  # fmt: skip


@pytest.mark.slow
def test_recordings_that_cannot_be_learnt_are_named(whisper_folder, tmp_path):
    recogniser = load_whisper(whisper_folder)
    cases = {
        "row 3: the transcript has no letters": ["hello", "...", "world"],
        "row 3: the transcript has 7 tokens, and this Whisper writes at most 6": ["hello", "a b a b a b a"],
        "row 2: lasts 6.0 s, and this Whisper takes 5 s": ["a" * 50, "hello"],
        "one recording; adaptation needs two or more": ["hello"],
    }
    for index, (message, texts) in enumerate(cases.items()):
        with pytest.raises(ManifestError, match=message):
            read_whisper_voice(recogniser, write_voice(tmp_path / str(index), texts))
    folder = write_voice(tmp_path / "voice", ["HELLO", "OK", "HELLO"])
    voice = read_whisper_voice(recogniser, folder)
    assert voice.texts == ["Hello", "Ok", "Hello"] and voice.original == [0, 1, 0] and "row 4" in voice.remarks[0]
    write_audio(folder / "audio" / "1.wav", np.zeros(16_000, np.float32), 16_000)
    with pytest.raises(AudioError, match=r"row 3: .*is silent"):
        read_whisper_voice(recogniser, folder)


PUBLIC = Path(os.environ.get("JAXMETA_MODELS", ".")) / "tiny.en"


@pytest.mark.slow
@pytest.mark.skipif(not (PUBLIC / "config.json").is_file(), reason="JAXMETA_MODELS has no folder tiny.en")
def test_adapters_of_public_weights_take_less_than_a_megabyte(tmp_path):
    adapters = new_adapters(load_whisper(PUBLIC).params, AdaptationOptions().rank, jax.random.key(0))
    folder = save_adapter(tmp_path / "mine", card(PUBLIC, rank=AdaptationOptions().rank), adapters)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_000_000
    assert json.loads((folder / "card.json").read_text())["kind"] == "whisper adapter"
