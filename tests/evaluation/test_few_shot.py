"""The few-shot protocol: its floor and its baseline, rows that are computed once, and what cannot be drawn."""

import functools
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxmeta import Ragged
from jaxmeta.data.corpus import load_corpus
from jaxmeta.data.sampling.episodes import episode_sampler
from jaxmeta.data.word_corpora import FEATURES
from jaxmeta.evaluation import few_shot
from jaxmeta.evaluation.few_shot_baselines import fine_tuned, floor
from jaxmeta.losses import cross_entropy
from jaxmeta.models.clip_encoders import residual, standardise
from jaxmeta.models.layers import segment_pool
from jaxmeta.training.fit import initial_state, make_optimizer, supervised
from tests.words.conftest import tones_folder  # noqa: F401


def test_the_floor_is_the_cosine_to_class_means_by_numpy(tones_folder):  # noqa: F811
    """One episode by hand: 24 segments, standardised, unit vectors, cosine."""
    heard = load_corpus(tones_folder, FEATURES, progress=False)
    episode = jax.tree.map(lambda leaf: leaf[0], episode_sampler(heard, ways=3, shots=2, queries=4, tasks=1, seed=0)(0))

    def unit(x):
        return x / np.linalg.norm(x, axis=-1, keepdims=True)

    def features(batch):
        return unit(np.asarray(standardise(segment_pool(*batch.inputs, 24))).reshape(len(batch.targets), -1))

    means = unit(np.stack([features(episode.support)[episode.support.targets == c].mean(0) for c in range(3)]))
    method = floor(Path())
    encoder, _ = method.encoder
    support, query = (
        batch._replace(inputs=encoder.apply({}, {}, batch.inputs, jax.random.key(0), False)[0]) for batch in episode
    )
    learner = method.build(3, 0)
    fast, _ = learner.adapt({}, {}, support, jax.random.key(0))
    logits, _ = learner.predict({}, {}, fast, query.inputs, jax.random.key(0), False)
    np.testing.assert_allclose(logits, features(episode.query) @ means.T, atol=1e-5)


def test_a_row_is_computed_once_unless_the_code_or_the_weights_change(monkeypatch, tmp_path, tones_folder):  # noqa: F811
    heard = load_corpus(tones_folder, FEATURES, progress=False)
    calls = []
    monkeypatch.setattr(few_shot, "_row", lambda test, encoding, protocol, advance: calls.append(test) or {"n": 1})
    monkeypatch.setattr(few_shot, "source_digest", lambda *packages: "before")
    test = few_shot.Test(floor(tmp_path)._replace(encoder=None), "tones", heard, 1, 0)
    protocol = few_shot.Protocol(3, 4, 8, 1, "layer")
    assert few_shot.evaluate([test], protocol) == few_shot.evaluate([test], protocol) == [{"n": 1}]
    assert len(calls) == 1
    trained = test._replace(method=test.method._replace(params={"weight": np.ones(2)}))
    few_shot.evaluate([trained], protocol)
    monkeypatch.setattr(few_shot, "source_digest", lambda *packages: "after")
    few_shot.evaluate([test, trained], protocol)
    assert len(calls) == 4


def test_fine_tuning_starts_from_chance(tones_folder):  # noqa: F811
    network = functools.partial(residual, width=16)
    baseline = supervised(network(7), cross_entropy)
    heard = load_corpus(tones_folder, FEATURES, progress=False)
    train = initial_state(baseline, make_optimizer(1, 1e-3), heard.frames.shape[1], 0)
    method = fine_tuned(network, train.params, train.state, 5, Path())
    clip = Ragged(np.ones((2, 8, heard.frames.shape[1]), np.float32), np.array([8, 5], np.int32))
    predict = jax.jit(method.build(5, 1).predict, static_argnums=5)
    logits, _ = predict(method.params, {}, method.params, clip, jax.random.key(0), False)
    np.testing.assert_array_equal(logits, np.zeros((2, 5)))


def test_episodes_that_cannot_be_drawn_are_said_before_training(tones_folder):  # noqa: F811
    heard = {"tones": load_corpus(tones_folder, FEATURES, progress=False)}
    few_shot.check_feasible(heard, (1, 5), few_shot.Protocol(5, 15, 4, 1, "layer"))
    with pytest.raises(ValueError, match=r"test episodes of tones: .* largest feasible .* Set ways, shots or queries"):
        few_shot.check_feasible(heard, (1,), few_shot.Protocol(13, 15, 4, 1, "layer"))
