"""Speakers whose utterances hold nothing, and a learner that writes letters by its rate and steps alone."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta import MetaLearner, Ragged
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.support_query_splits import adaptation_episodes
from jaxmeta.data.vocabulary import build_vocabulary
from jaxmeta.evaluation.adaptation import AdaptationProtocol
from jaxmeta.evaluation.choosing import ChosenMethod

SPEAKERS = ("anna", "ben", "carl")
VOCABULARY = build_vocabulary(["ab"])


def make_corpus() -> Corpus:
    """Utterances of 4 letters in 8 frames; each speaker has 14."""
    rows = len(SPEAKERS) * 14
    texts = np.random.default_rng(0).choice(["aaaa", "aaba", "abab"], rows)
    columns = {
        "file_name": np.array([f"{number}.wav" for number in range(rows)]),
        "recording": np.array([str(number) for number in range(rows)]),
        "speaker": np.repeat(SPEAKERS, 14),
        "transcription": texts,
    }
    return Corpus(np.zeros((8 * rows, 1), np.float32), 8 * np.arange(rows), np.full(rows, 8), columns)


def make_episodes(corpus: Corpus):
    return adaptation_episodes(corpus, VOCABULARY, supports=(0, 1, 2, 5, 10), query=4, seed=0)


def writes(rate, steps):
    """A learner that writes as many letters "a" as steps * rate, once it has been adapted to something."""

    def adapt(params, state, support, key):
        return params["letters"] + steps * rate * (support.weight.sum() > 0), {}

    def predict(params, state, fast, inputs, key, train):
        letter = (jnp.arange(16) % 2 == 0) & (jnp.arange(16) < 2 * fast)
        logits = jnp.stack([1.0 - letter, letter.astype(float), jnp.full(16, -1.0)], -1)
        rows = len(inputs.values)
        return Ragged(jnp.broadcast_to(logits, (rows, 16, 3)), jnp.full(rows, 16)), state

    return MetaLearner(None, adapt, predict, None)


def chosen(name, rate=1.0, steps=4, error=0.0, letters=0.0):
    """A method that writes `letters` before it adapts."""
    return ChosenMethod(name, writes, {"letters": jnp.asarray(letters)}, rate, steps, error)


@pytest.fixture
def protocol(tmp_path):
    return AdaptationProtocol(make_episodes(make_corpus()), VOCABULARY, tmp_path, sizes=(5,))
