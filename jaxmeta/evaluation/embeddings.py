"""Few-shot accuracy of prototypical networks: each recording is embedded once, and episodes reuse the embeddings."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from jaxmeta import Batch, Model, protonet
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.episodes import episode_sampler
from jaxmeta.data.sampling.padding import gather, round_up
from jaxmeta.losses import cross_entropy
from jaxmeta.metrics import accuracy, mean_interval
from jaxmeta.types import PyTree, Ragged

EPISODES, WAYS, SHOTS, QUERIES = 600, 5, 5, 15
TASKS = 25
"""Classified at a time."""


def accuracies(
    corpus: Corpus, support: np.ndarray, query: np.ndarray, seed: int, episodes: int = EPISODES, shots: int = SHOTS
) -> np.ndarray:
    """Of each test episode [E], classified by embeddings of all recordings [R, D]: these suffice for prototypes.

    Args:
      corpus: of the recordings.
      support, query: embeddings by the network that adapts, and by the one that classifies.
      seed: of the draw.
      episodes: a multiple of `TASKS`.
      shots: recordings of each class to adapt to.
    """
    sampler = episode_sampler(corpus, ways=WAYS, shots=shots, queries=QUERIES, tasks=TASKS, seed=seed, buckets=2)
    rows = [sampler.rows(index) for index in range(episodes // TASKS)]
    return np.concatenate([_classify(support[some], query[others]) for some, others in rows])


def compare(
    corpus: Corpus, embeddings: Mapping[str, np.ndarray], shots: Sequence[int], seed: int
) -> list[dict[str, Any]]:
    """Rows with the accuracy in percent of each network, and its change against the first one in the same episodes.

    Args:
      corpus: of the recordings, with the column `label`.
      embeddings: name of the network -> of all recordings [R, D].
      shots: recordings of each class to adapt to.
      seed: of the draw.
    """
    rows = []
    for each in shots:
        scores = {name: 100 * accuracies(corpus, x, x, seed, shots=each) for name, x in embeddings.items()}
        first = next(iter(scores.values()))
        for name, score in scores.items():
            row = {"shots": each, "network": name, "accuracy %": mean_interval(score)}
            rows.append(row | {"change": mean_interval(score - first)})
    return rows


def embed(model: Model, params: PyTree, corpus: Corpus, size: int = 50) -> np.ndarray:
    """Embeddings of all recordings [R, D], in batches of one form."""
    longest, batches = int(round_up(corpus.length.max())), []
    for start in range(0, len(corpus), size):
        rows = np.minimum(np.arange(start, start + size), len(corpus) - 1)
        batches.append(np.asarray(_outputs(model, params, gather(corpus, rows, longest))))
    return np.concatenate(batches)[: len(corpus)]


@partial(jax.jit, static_argnames="model")
def _outputs(model: Model, params: PyTree, clips: Ragged) -> jax.Array:
    return model.apply(params, {}, clips, jax.random.key(0), False)[0]


@jax.jit
def _classify(support: jax.Array, query: jax.Array) -> jax.Array:
    """Accuracies [B] of tasks with embeddings [B, N, D], ordered by class."""
    learner = protonet(Model(lambda key, inputs: ({}, {}), _identity), cross_entropy, WAYS)

    def of_task(support, query):
        labels, answers = (jnp.repeat(jnp.arange(WAYS), len(some) // WAYS) for some in (support, query))
        fast, _ = learner.adapt({}, {}, Batch(support, labels, jnp.ones(len(support))), jax.random.key(0))
        stored = fast.astype(jnp.float16).astype(fast.dtype)  # as a user's prototypes are stored
        return accuracy(learner.predict({}, {}, stored, query, jax.random.key(0), False)[0], answers).mean()

    return jax.vmap(of_task)(support, query)


def _identity(params, state, inputs, key, train):
    return inputs, state
