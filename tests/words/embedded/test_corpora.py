"""Recordings are embedded once."""

import numpy as np
import pytest

from jaxmeta.data.audio import AudioError, read_audio, write_audio
from jaxmeta.data.manifest import write_manifest
from jaxmeta.data.pretrained.embedding_features import word_bands
from jaxmeta.words.embedded.corpora import embed_corpus
from jaxmeta.words.embedded.embeddings import CLIP, Embedding, centred, google, open_embedding
from jaxmeta.words.embedded.spaces import frames_of


def tone(samples, loud=0.5):
    return (loud * np.sin(np.arange(samples) / 5)).astype(np.float32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXMETA_HOME", str(tmp_path / "home"))
    names = [f"{number}.flac" for number in range(70)]
    for number, name in enumerate(names):
        write_audio(tmp_path / name, tone(800 + 10 * number), 16_000)
    write_manifest(tmp_path, {"file_name": names, "label": ["a", "b"] * 35})
    return tmp_path


class Lengths:
    """An embedding of two frames: the number of samples, and its negative."""

    def __init__(self):
        self.calls = 0

    def apply(self, params, inputs):
        self.calls += 1
        lengths = np.asarray(inputs.lengths, float)
        return np.stack([lengths, -lengths], 1)[:, :, None] * params

    def embedding(self, digest="one"):
        return Embedding("lengths", digest, lambda waveform: waveform[:, None], self.apply, np.ones(1))


def test_recordings_are_embedded_once_for_each_embedding_and_again_after_damage(folder):
    lengths = Lengths()
    corpus = embed_corpus(folder, lengths.embedding())
    expected = 800 + 10 * np.arange(70)
    np.testing.assert_array_equal(frames_of(corpus)[:, :, 0], np.stack([expected, -expected], 1).astype(np.float16))
    assert corpus.columns["label"][:2].tolist() == ["a", "b"]
    calls = lengths.calls
    again = embed_corpus(folder, lengths.embedding())
    assert lengths.calls == calls and again.fingerprint == corpus.fingerprint
    assert corpus.frames.dtype == again.frames.dtype == np.float32
    assert embed_corpus(folder, lengths.embedding("two")).fingerprint != corpus.fingerprint
    for path in (folder / "home" / "embeddings").iterdir():
        path.write_bytes(path.read_bytes()[:-300])
    np.testing.assert_array_equal(embed_corpus(folder, lengths.embedding()).frames, corpus.frames)


def test_a_recording_that_cannot_be_read_is_named_by_its_row(folder):
    (folder / "3.flac").write_bytes(b"no audio")
    with pytest.raises(AudioError, match="row 5"):
        embed_corpus(folder, Lengths().embedding())


def test_a_word_is_put_in_the_middle_without_the_silence_around_it():
    waveform = np.concatenate([np.zeros(8000, np.float32), tone(6000), np.zeros(1000, np.float32)])
    clip = centred(waveform)
    loud = np.flatnonzero(np.abs(clip) > 0.01)
    assert len(clip) == CLIP and abs(loud[0] + loud[-1] - CLIP) < 800
    assert len(centred(tone(40_000))) == CLIP and not centred(np.zeros(100, np.float32)).any()


def test_a_file_of_onnx_takes_a_recording_at_a_time_and_is_opened_for_those_that_are_not_cached(folder, monkeypatch):
    opened = []

    class Loudest:
        """Instead of onnxruntime: the largest energy of the recording, 2,048 times."""

        def __init__(self, path):
            opened.append(path)

        def __call__(self, bands):
            assert bands.shape == (1, 1, 149, 64)
            return [np.full((1, 2048), bands.max(), np.float32)]

    monkeypatch.setattr("jaxmeta.words.embedded.embeddings.OnnxModel", Loudest)
    (folder / "words.onnx").write_bytes(b"weights")
    for _ in range(2):
        vectors = frames_of(embed_corpus(folder, open_embedding(folder / "words.onnx")))
        assert vectors.shape == (70, 1, 2048) and opened == [folder / "words.onnx"]
    loudest = word_bands(centred(read_audio(folder / "9.flac", 16_000), 24_000)).max()
    np.testing.assert_array_equal(vectors[9, 0], np.float16(loudest))


def test_what_is_no_embedding_is_refused(tmp_path):
    with pytest.raises(OSError, match="none"):
        google(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="holds no run of protonet"):
        open_embedding(tmp_path)
