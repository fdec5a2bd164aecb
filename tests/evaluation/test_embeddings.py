"""Embeddings give the accuracies of the learner itself."""

import jax
import numpy as np

from jaxmeta import protonet
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.episodes import episode_sampler
from jaxmeta.evaluation.embeddings import SHOTS, WAYS, accuracies, embed
from jaxmeta.losses import cross_entropy
from jaxmeta.metrics import accuracy
from jaxmeta.models.clip_encoders import residual
from jaxmeta.training import make_evaluate


def spoken():
    """25 recordings of each of six words, of several lengths, in noise as loud as they are."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(9, 14, 150).astype(np.int32)
    start = np.r_[0, lengths.cumsum()[:-1]]
    word = np.repeat(np.arange(6), 25)
    sounds = rng.normal(size=(6, 14, 8))
    frames = np.concatenate([sounds[w, :n] + rng.normal(size=(n, 8)) for w, n in zip(word, lengths, strict=True)])
    names, speakers = np.arange(150).astype(str), np.tile(np.arange(5), 30).astype(str)
    columns = {"file_name": names, "label": word.astype(str), "speaker": speakers}
    return Corpus(frames.astype(np.float32), start, lengths, columns)


def test_embeddings_give_the_accuracies_of_the_learner_itself():
    corpus, model = spoken(), residual(width=8, frames=8)
    sampler = episode_sampler(corpus, ways=WAYS, shots=SHOTS, queries=15, tasks=25, seed=3, buckets=2)
    params, _ = jax.jit(model.init)(jax.random.key(0), jax.tree.map(lambda leaf: leaf[0], sampler(0)).support.inputs)
    found = embed(model, params, corpus)
    assert found.shape == (150, 32)
    run = jax.jit(make_evaluate(protonet(model, cross_entropy, WAYS), {"accuracy": accuracy}))
    expected = run(params, {}, sampler(0), jax.random.key(0))["accuracy"]
    # Prototypes in float16 may change the answer to a query of 75 here and there.
    np.testing.assert_allclose(accuracies(corpus, found, found, 3, 25), expected, atol=0.014)
    assert 0.25 < expected.mean() < 1  # of chance, 0.2
