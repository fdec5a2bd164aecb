"""What the spoken-words experiment compares: a learner, the fine-tuned classifier, the training-free floor."""

import json
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.spoken_words.learners import Build, Network
from experiments.training import plain
from jaxmeta import MetaLearner, Model, first_order, maml, protonet
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.episodes import episode_sampler
from jaxmeta.losses import cross_entropy
from jaxmeta.metrics import accuracy, mean_interval
from jaxmeta.models.layers import segment_pool
from jaxmeta.models.words import standardise
from jaxmeta.progress import progress_bar
from jaxmeta.training import make_evaluate
from jaxmeta.training.durable import write_json
from jaxmeta.training.report import commit
from jaxmeta.types import PyTree

FINE_TUNING_RATE, FINE_TUNING_STEPS = 0.1, 5
"""On validation words, rates of 0.01 to 0.1 and 5 to 30 steps gave the same accuracy, and so did the head alone."""
DIVERGED = 10
"""Times the loss of a uniform guess above which an episode has diverged."""


class Method(NamedTuple):
    """Something to evaluate: a learner for any episode, and the params it starts from."""

    name: str
    build: Build
    params: PyTree
    state: PyTree
    steps: int
    folder: Path
    """Where its rows are kept, so that none is computed twice."""
    training_seconds: float = 0.0
    """Of meta-training, without that of what it started from."""


def classifier(network: Network, words: int) -> MetaLearner:
    """A classifier of all training words, trained plainly."""
    return plain(network(words), cross_entropy)


def fine_tuned(network: Network, params: PyTree, state: PyTree, ways: int, folder: Path) -> Method:
    """The honest baseline: a trained classifier's body under a fresh head, all of it fine-tuned on the support set."""

    def build(ways: int, steps: int) -> MetaLearner:
        return maml(network(ways), cross_entropy, optax.sgd(FINE_TUNING_RATE), steps, first_order())

    # A head of zeros: its first step already is a classifier by class means, and no class is favoured before it.
    head = jax.tree.map(lambda leaf: jnp.zeros((*leaf.shape[:-1], ways), leaf.dtype), params["head"])
    return Method("fine-tuned classifier", build, params | {"head": head}, state, FINE_TUNING_STEPS, folder)


def floor(folder: Path) -> Method:
    """No training at all: cosine prototypes of log-mels in 24 segments of relative time."""

    def apply(params, state, inputs, key, train):
        clips = segment_pool(inputs.values, inputs.lengths, 24)
        features = standardise(clips).reshape(clips.shape[0], -1)
        return _unit(features), state

    def predict(params, state, fast, inputs, key, train):
        features, state = encoder.apply(params, state, inputs, key, train)
        return features @ _unit(fast).T, state

    encoder = Model(lambda key, inputs: ({}, {}), apply)
    return Method(
        "cosine of log-mels",
        lambda ways, steps: protonet(encoder, cross_entropy, ways)._replace(predict=predict),
        {}, {}, 0, folder,
    )  # fmt: skip


class Protocol(NamedTuple):
    """How methods are tested."""

    ways: int
    queries: int
    episodes: int
    seed: int
    norm: str


def evaluate(
    method: Method, name: str, corpus: Corpus, shots: int, protocol: Protocol, steps: int | None = None
) -> dict:
    """One row of results: accuracy in percent with its 95 % interval over episodes.

    Rows are kept in the method's folder under everything that they depend on, a clean commit included.
    """
    steps = method.steps if steps is None else steps
    path, code = method.folder / "rows.json", commit()
    rows = json.loads(path.read_bytes()) if path.exists() else {}
    key = json.dumps([method.name, name, corpus.fingerprint, len(corpus), shots, steps, *protocol, code])
    if key not in rows or (code and code["dirty"]):
        rows[key] = _evaluate(method, name, corpus, shots, protocol, steps)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, rows)
    return rows[key]


def _evaluate(method: Method, name: str, corpus: Corpus, shots: int, protocol: Protocol, steps: int) -> dict:
    chunk = 25
    sampler = episode_sampler(
        corpus, ways=protocol.ways, shots=shots, queries=protocol.queries, tasks=chunk, seed=protocol.seed, buckets=2
    )
    # On a CPU one task at a time: a task's own kernels are then ordinary matrices.
    microbatch = 1 if jax.default_backend() == "cpu" else None
    metrics = {"accuracy": accuracy, "loss": cross_entropy}
    learner = method.build(protocol.ways, steps)
    run = jax.jit(make_evaluate(learner, metrics, microbatch=microbatch))
    batches = []
    with progress_bar(f"{method.name}, {name}, {shots}-shot, {steps} steps", protocol.episodes) as advance:
        for index in range(-(-protocol.episodes // chunk)):
            key = jax.random.fold_in(jax.random.key(protocol.seed), index)
            batches.append(jax.tree.map(np.asarray, run(method.params, method.state, sampler(index), key)))
            advance(chunk)
    scores = {metric: np.concatenate([batch[metric] for batch in batches])[: protocol.episodes] for metric in metrics}
    mean, half = mean_interval(100 * scores["accuracy"])
    print(f"{method.name}, {name}, {shots}-shot, {steps} steps: {mean:.1f} +- {half:.1f} %", file=sys.stderr)
    # Finite but as wrong as this: the inner steps left the region where they help.
    diverged = ~(scores["loss"] <= DIVERGED * np.log(protocol.ways))
    return {
        "corpus": name, "method": method.name, "ways": protocol.ways, "shots": shots, "queries": protocol.queries,
        "steps": steps, "accuracy": mean, "ci95": half, "episodes": protocol.episodes,
        "diverged": float(diverged.mean()), "transductive": protocol.norm == "transductive",
        "training_minutes": method.training_seconds / 60,
    }  # fmt: skip


def _unit(features: jax.Array) -> jax.Array:
    return features / jnp.maximum(jnp.linalg.norm(features, axis=-1, keepdims=True), 1e-9)
