"""Corpora of words: what is held out for tests, and what is synthesised."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from jaxmeta.data import word_corpora
from jaxmeta.data.audio import write_audio
from jaxmeta.data.augmentation.banks import coloured_noise
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.features import extract
from jaxmeta.files.folders import cache_home
from tests.words.conftest import tones, tones_folder  # noqa: F401


def corpus(**columns: list[str]) -> Corpus:
    rows = len(next(iter(columns.values())))
    start, length = np.arange(rows, dtype=np.int64), np.ones(rows, np.int32)
    return Corpus(np.zeros((rows, 2), np.float32), start, length, {k: np.array(v) for k, v in columns.items()})


def test_rows_of_a_split_agree_in_speaker_and_word():
    both = corpus(split=["train", "test", "test"], word_split=["test", "train", "test"])
    assert word_corpora.rows(both, "test").start.tolist() == [2]
    assert len(word_corpora.rows(corpus(label=["a", "b"]), "test")) == 2


def test_a_corpus_without_splits_has_words_and_speakers_held_out_for_good(capsys):
    plain = corpus(label=list("aabbccdd"), speaker=list("xyzxyzxy"))
    split, again = (word_corpora.with_splits(plain, "plain", 0) for _ in range(2))
    for name, column, heldout in (("split", "speaker", 1), ("word_split", "label", 2)):
        np.testing.assert_array_equal(split.columns[name], again.columns[name])
        parts = [set(split.columns[column][split.columns[name] == part]) for part in ("test", "train")]
        assert len(parts[0]) == heldout and not parts[0] & parts[1]
    word_corpora.with_splits(corpus(label=list("abab"), speaker=list("xxyy")), "two", 0)
    said = capsys.readouterr().err
    assert "two has no column 'split': the test has speaker of training, for there are too few" in said
    with pytest.raises(ValueError, match="no column 'label'"):
        word_corpora.with_splits(corpus(speaker=["x"]), "plain", 0)
    with pytest.raises(ValueError, match="no row has word_split='test'"):
        word_corpora.with_splits(corpus(label=["a"], word_split=["train"]), "plain", 0)


def test_recorded_words_are_one_pool_and_are_parted_by_word_and_speaker(tones_folder):  # noqa: F811
    words = word_corpora.load_words([tones_folder])
    assert set(words.train.columns["pool"]) == {"recorded"} and set(words.train.columns["corpus"]) == {"tones"}
    for column in ("label", "speaker"):
        assert not set(words.train.columns[column]) & set(words.test["tones"].columns[column])
    assert words.val == {} and words.folders == {"tones": tones_folder} and list(words.fingerprints) == ["tones"]


def test_training_never_speaks_a_test_word(monkeypatch, tones_folder):  # noqa: F811
    """What is handed to the synthesiser is told of every test label, and of other spellings."""
    told = {}

    def synthesise(invented, exclude, seed):
        told["exclude"] = set(exclude)
        raise KeyboardInterrupt

    monkeypatch.setattr(word_corpora, "_synthesise", synthesise)
    monkeypatch.setitem(word_corpora.SPELLINGS, "tones", ("zhongguo",))
    with pytest.raises(KeyboardInterrupt):
        word_corpora.load_words([tones_folder], invented=1)
    assert {"word1", "word11", "zhongguo"} <= told["exclude"] and "word0" not in told["exclude"]


def test_an_unknown_corpus_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXMETA_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="corpora='nowhere'"):
        word_corpora.find_corpora(("nowhere",))
    assert word_corpora.find_corpora() == word_corpora.find_noise() == []
    (tmp_path / "here").mkdir()
    with pytest.raises(ValueError, match="twice"):
        word_corpora.find_corpora(("here", str(tmp_path / "here")))
    (tmp_path / "noise_esc10").mkdir()
    assert word_corpora.find_noise() == [tmp_path / "noise_esc10"]


def test_folders_that_cannot_be_told_apart_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"told apart by their last part, got \['a', 'a'\]"):
        word_corpora.load_words([tmp_path / "a", tmp_path / "b" / "a"])
    with pytest.raises(ValueError, match="rename one"):
        word_corpora.load_words([tmp_path / "synthesised"], invented=1)
    with pytest.raises(ValueError, match="needs folders"):
        word_corpora.load_words([])


def test_features_of_noise_come_from_the_cache_until_a_recording_changes(monkeypatch, tmp_path):
    folder = tones(tmp_path / "noise", words=1, speakers=1, takes=2)
    noise = coloured_noise(64, 2.0, seed=3)
    expected = np.stack([extract(row, replace(word_corpora.FEATURES, trim_db=None)) for row in noise])
    np.testing.assert_array_equal(word_corpora.noise_features(seed=3), expected)
    recorded = word_corpora.noise_features([folder])
    with monkeypatch.context() as without:
        without.setattr(word_corpora, "extract", None)
        np.testing.assert_array_equal(word_corpora.noise_features(seed=3), expected)
        np.testing.assert_array_equal(word_corpora.noise_features([folder]), recorded)
    write_audio(
        folder / "audio" / "0_0_0.flac", np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32), 16_000
    )
    assert not np.array_equal(word_corpora.noise_features([folder]), recorded)


def test_damaged_features_of_noise_are_computed_again():
    expected = word_corpora.noise_features(seed=3)
    (file,) = (cache_home() / "noise").iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    np.testing.assert_array_equal(word_corpora.noise_features(seed=3), expected)


@pytest.mark.slow
def test_what_the_cache_holds_is_read_without_the_libraries_that_computed_it(tmp_path):
    folder = tones(tmp_path / "words", words=2, speakers=1, takes=1)
    script = f"""
import sys
from pathlib import Path
from jaxmeta.data.word_corpora import load_log_mels, noise_features
load_log_mels(Path({str(folder)!r})), noise_features()
print(sorted({{"scipy", "numba"}} & {{name.split(".")[0] for name in sys.modules}}))
"""
    said = [subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True) for _ in "12"]
    assert [each.stdout.splitlines()[-1] for each in said] == ["['numba', 'scipy']", "[]"]
