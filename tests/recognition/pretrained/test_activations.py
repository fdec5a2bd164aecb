"""Activations of a frozen part in the place of features."""

import shutil

import jax
import numpy as np
import pytest

from jaxmeta import Model, Ragged
from jaxmeta.data.cache import publish
from jaxmeta.data.corpus import Corpus
from jaxmeta.recognition.pretrained.activations import cached_activations, with_activations

FRAMES = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
CORPUS = Corpus(FRAMES, np.array([0, 10, 25]), np.array([10, 4, 15], np.int32), {"speaker": np.array(["a", "b", "c"])})


def halving(params, state, inputs, key, train):
    """Sums of neighbouring frames, of whole pairs only."""
    assert not train
    values = inputs.values[:, ::2] + inputs.values[:, 1::2]
    return Ragged(values * params["scale"], inputs.lengths // 2), state


LOWER = Model(lambda key, inputs: ({"scale": np.float32(2)}, {}), halving)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_each_recording_has_what_the_part_gives_for_it_alone(batch):
    corpus = with_activations(CORPUS, LOWER, {"scale": np.float32(2)}, batch=batch)
    assert corpus.length.tolist() == [5, 2, 7] and corpus.frames.dtype == np.float16
    assert corpus.columns["speaker"].tolist() == ["a", "b", "c"] and corpus.config is None
    for start, length, first in zip(corpus.start, corpus.length, CORPUS.start, strict=True):
        frames = FRAMES[first : first + 2 * length]
        np.testing.assert_allclose(
            corpus.frames[start : start + length], 2 * (frames[::2] + frames[1::2]), rtol=1e-3, atol=1e-3
        )


def test_what_cannot_be_computed_is_refused():
    with pytest.raises(ValueError, match="batch must be 1 or more, got 0"):
        with_activations(CORPUS, LOWER, {}, batch=0)
    short = Corpus(FRAMES, np.array([0, 10]), np.array([10, 1], np.int32), {})
    with pytest.raises(ValueError, match="recording 1 of the corpus is too short"):
        jax.tree.leaves(with_activations(short, LOWER, {"scale": np.float32(1)}))


def test_cached_activations_are_computed_once_and_again_where_they_are_damaged(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXMETA_HOME", str(tmp_path))
    corpus = CORPUS.with_column("recording", ["x", "y", "z"])
    expected = with_activations(CORPUS, LOWER, {"scale": np.float32(2)})

    def check(scale, key):
        # Where the cache is used, what is computed now does not matter.
        actual = cached_activations(corpus, LOWER, {"scale": np.float32(scale)}, {"base": key})
        np.testing.assert_allclose(actual.frames, scale_of[key] / 2 * expected.frames, rtol=2e-3)
        assert actual.length.tolist() == expected.length.tolist() and actual.frames.dtype == np.float16

    scale_of = {"a": 2, "b": 6}
    check(2, "a")
    check(3, "a")
    check(6, "b")
    frames = sorted(tmp_path.glob("activations/*/frames.npy"))
    assert len(frames) == 2 and not list(tmp_path.glob("activations/*.partial"))
    for path in frames:
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    check(2, "a")
    check(6, "b")


@pytest.mark.slow
def test_cached_activations_that_another_process_publishes_meanwhile_are_taken_from_it(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXMETA_HOME", str(tmp_path))
    corpus = CORPUS.with_column("recording", ["x", "y", "z"])

    def faster(paths, entry, *rest):
        publish(paths, entry, *rest)
        shutil.rmtree(paths[0].parent)
        publish(paths, entry, *rest)  # Of this process, whose chunks are gone.

    monkeypatch.setattr("jaxmeta.recognition.pretrained.activations.publish", faster)
    actual = cached_activations(corpus, LOWER, {"scale": np.float32(2)}, {"base": "a"})
    expected = with_activations(CORPUS, LOWER, {"scale": np.float32(2)})
    np.testing.assert_array_equal(actual.frames, expected.frames)
