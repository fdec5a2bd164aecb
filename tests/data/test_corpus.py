import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from jaxmeta.data import audio
from jaxmeta.data.audio import read_audio
from jaxmeta.data.corpus import Corpus, concatenate, load_corpus
from jaxmeta.data.extraction import WaveformTransform
from jaxmeta.data.features import FeatureConfig, Statistics, extract
from jaxmeta.data.manifest import ManifestError, write_manifest

RAW = FeatureConfig(normalize="none")


def small(values=(1.0, 2.0, 3.0), fingerprint="f"):
    """Recordings of 1, 2, ... frames of two features, each filled with its own value."""
    length = np.arange(1, len(values) + 1, dtype=np.int32)
    frames = np.repeat(np.array(values, dtype=np.float32), length)[:, None] * np.ones((1, 2), dtype=np.float32)
    labels, splits = np.array(["a", "b", "a"]), np.array(["train", "train", "test"])
    columns = {"label": labels[: len(values)], "split": splits[: len(values)]}
    return Corpus(frames, np.cumsum(length, dtype=np.int64) - length, length, columns, fingerprint)


def rows_of(corpus):
    return [corpus.frames[s : s + n].tolist() for s, n in zip(corpus.start, corpus.length, strict=True)]


def load(folder, config=FeatureConfig(), **arguments):
    return load_corpus(folder, config, workers=1, progress=False, **arguments)


def double(waveform, rng, sample_rate):
    return 2 * waveform


def test_loaded_corpus_holds_features_and_columns_of_each_recording(make_waves):
    folder = make_waves(4)
    corpus = load(folder)
    assert len(corpus) == 4
    assert corpus.columns["file_name"].tolist() == ["0.wav", "1.wav", "2.wav", "3.wav"]
    assert corpus.columns["label"].tolist() == ["word0", "word1", "word0", "word1"]
    assert (corpus.start.dtype, corpus.length.dtype) == (np.int64, np.int32)
    for i, rows in enumerate(rows_of(corpus)):
        assert rows == extract(read_audio(folder / f"{i}.wav"), FeatureConfig()).tolist()


def test_the_same_audio_under_two_names_is_one_recording(make_waves):
    folder = make_waves(2)
    (folder / "again.wav").write_bytes((folder / "1.wav").read_bytes())
    write_manifest(folder, {"file_name": ["0.wav", "1.wav", "again.wav"]})
    recording = load(folder).columns["recording"]
    assert recording[1] == recording[2] != recording[0]


def test_fingerprint_depends_on_audio_and_columns_only(make_waves):
    folder, same, other = make_waves(2), make_waves(2, name="same"), make_waves(2, name="other", seed=1)
    first = load(folder).fingerprint
    assert load(same).fingerprint == load(folder, RAW).fingerprint == first != load(other).fingerprint
    write_manifest(folder, {"file_name": ["0.wav", "1.wav"], "label": ["x", "y"]})
    assert load(folder).fingerprint != first


def test_eight_kilohertz_beside_sixteen_and_stereo_are_said_once(make_waves, caplog):
    audio._said.cache_clear()
    folder = make_waves(3)
    samples, _ = soundfile.read(folder / "0.wav")
    soundfile.write(folder / "1.wav", np.stack([samples, samples], axis=1), 16_000, subtype="PCM_16")
    soundfile.write(folder / "2.wav", samples[::2], 8_000, subtype="PCM_16")
    corpus = load(folder)
    assert corpus.length.tolist() == [6, 6, 6]
    assert rows_of(corpus)[0] == rows_of(corpus)[1]
    load(folder)
    assert [record.message for record in caplog.records] == [
        f"stereo: 1 of 3 recordings of {folder} are mixed down to mono."
    ]


def test_empty_recording_is_named_before_anything_is_computed(make_waves, cache_folder):
    folder = make_waves(3)
    (folder / "1.wav").write_bytes(b"")
    with pytest.raises(ManifestError, match=r"metadata\.csv, row 3: '1\.wav' is an empty file"):
        load(folder)
    assert list(cache_folder.iterdir()) == []


def test_select_by_mask_value_and_set():
    corpus = small()
    assert rows_of(corpus.select(label="a")) == [[[1, 1]], [[3, 3]] * 3]
    assert rows_of(corpus.select(label={"a", "b"}, split="train")) == [[[1, 1]], [[2, 2]] * 2]
    assert rows_of(corpus.select(np.array([False, True, True]), label=("a",))) == [[[3, 3]] * 3]
    assert corpus.select(label="b").columns["split"].tolist() == ["train"]
    assert corpus.select(label="a").frames is corpus.frames


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"word": "a"}, "no column 'word'; the columns are label, split"),
        ({"split": "tset"}, r"\['test', 'train'\]"),
        ({"mask": np.array([True])}, r"\[3\] booleans"),
        ({"mask": np.array([0, 1, 2])}, "int64"),
    ],
)
def test_select_says_what_is_there_when_nothing_is_found(arguments, said):
    with pytest.raises(ValueError, match=said):
        small().select(**arguments)


def test_concatenate_fills_missing_columns_and_takes_only_selected_frames():
    joined = concatenate([small().select(label="a"), small((7.0,)).with_column("language", "ar")])
    assert rows_of(joined) == [[[1, 1]], [[3, 3]] * 3, [[7, 7]]]
    assert len(joined.frames) == 5
    assert joined.columns["language"].tolist() == ["", "", "ar"]
    assert joined.columns["label"].tolist() == ["a", "a", "a"]
    assert joined.fingerprint != concatenate([small(), small((7.0,), fingerprint="g")]).fingerprint


def test_concatenate_refuses_features_of_another_size_or_config(make_waves):
    folder = make_waves(2)
    wide = Corpus(np.zeros((1, 3), np.float32), np.zeros(1, np.int64), np.ones(1, np.int32), {})
    with pytest.raises(ValueError, match=r"\[2, 3\]"):
        concatenate([small(), wide])
    with pytest.raises(ValueError, match="normalize='none'"):
        concatenate([load(folder), load(folder, RAW)])
    with pytest.raises(ValueError, match="at least one"):
        concatenate([])


def test_with_column_adds_and_replaces_without_touching_the_original():
    corpus = small()
    assert corpus.with_column("label", ["x", "y", "z"]).columns["label"].tolist() == ["x", "y", "z"]
    assert corpus.with_column("language", "zh").columns["language"].tolist() == ["zh"] * 3
    assert corpus.columns["label"].tolist() == ["a", "b", "a"]
    with pytest.raises(ValueError, match="'language': 2"):
        corpus.with_column("language", ["zh", "en"])


@pytest.mark.parametrize(("start", "length"), [([0, 1, 3], [1, 2, 4]), ([-1, 1, 3], [1, 2, 3]), ([0, 1, 3], [0, 2, 3])])
def test_recordings_outside_the_frames_are_refused(start, length):
    corpus = small()
    with pytest.raises(ValueError, match="outside the 6 frames"):
        Corpus(corpus.frames, np.array(start), np.array(length, np.int32), corpus.columns)


def test_statistics_count_the_selected_frames_only():
    stats = small().select(split="train").statistics()  # Frames 1, 2, 2.
    np.testing.assert_allclose(stats.mean, np.full(2, 5 / 3), rtol=1e-6)
    np.testing.assert_allclose(stats.std, np.full(2, np.sqrt(2 / 9)), rtol=1e-6)


def test_corpus_normalisation_takes_the_statistics_of_training_data(make_waves):
    train, test = make_waves(4), make_waves(3, name="test", seed=1)
    config = FeatureConfig(normalize="corpus")
    own = load(train, config).frames.astype(np.float64)
    np.testing.assert_allclose(own.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(own.std(axis=0), 1, atol=1e-4)
    stats = load(train, RAW).statistics()
    expected = (load(test, RAW).frames - stats.mean) / stats.std
    np.testing.assert_allclose(load(test, config, statistics=stats).frames, expected, rtol=1e-6)


def test_statistics_of_another_size_or_without_their_normalisation_are_refused(make_waves):
    folder = make_waves(2)
    stats = Statistics(np.zeros(3, np.float32), np.ones(3, np.float32))
    with pytest.raises(ValueError, match=r"\[40\] each, got \(3,\)"):
        load(folder, FeatureConfig(normalize="corpus"), statistics=stats)
    with pytest.raises(ValueError, match="normalize='none'"):
        load(folder, RAW, statistics=stats)


def test_a_transform_gives_copies_that_share_their_recording(make_waves):
    corpus = load(make_waves(2), RAW, transform=WaveformTransform("double", double, copies=3))
    plain = load(make_waves(2, name="same"), RAW)
    assert corpus.columns["copy"].tolist() == ["0", "1", "2"] * 2
    assert corpus.columns["recording"].tolist() == np.repeat(plain.columns["recording"], 3).tolist()
    copies = rows_of(corpus)
    assert copies[0] == copies[1] == copies[2]
    np.testing.assert_allclose(copies[3], np.add(rows_of(plain)[1], np.log(4)), atol=1e-4)  # Twice the amplitude.


def test_description_counts_recordings_hours_and_names(make_waves):
    corpus = load(make_waves(4)).with_column("language", "en")
    assert corpus.describe() == "4 recordings, 0.00 h, 2 labels, 2 speakers, 1 language"
    many = 180_000  # Frames of 20 ms in an hour.
    hour = Corpus(np.zeros((many, 1), np.float32), np.zeros(1, np.int64), np.array([many], np.int32), {}, "", RAW)
    assert hour.describe() == "1 recording, 1.00 h"


@pytest.mark.skipif("JAXMETA_DATA" not in os.environ, reason="needs real recordings: set JAXMETA_DATA")
def test_recordings_of_many_formats_and_rates_load_at_their_stated_duration():
    corpus = load(Path(os.environ["JAXMETA_DATA"]) / "en_speech_commands_sample")
    frames = 1 + np.floor(corpus.columns["duration"].astype(float) * 50 + 1e-6)
    assert np.abs(corpus.length - frames).max() <= 1
