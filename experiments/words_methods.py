"""Methods of the spoken-words experiment: learners by name, the fine-tuned classifier, the training-free floor."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxmeta import MetaLearner, Model, anil, first_order, maml, protonet, unrolled
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.episodes import episode_sampler
from jaxmeta.data.progress import progress_bar
from jaxmeta.estimators import Estimator
from jaxmeta.losses import cross_entropy
from jaxmeta.metrics import accuracy, mean_interval
from jaxmeta.models.layers import segment_pool
from jaxmeta.models.words import standardise
from jaxmeta.training import make_evaluate
from jaxmeta.types import PyTree

INNER_RATE = 0.1
FINE_TUNING_RATE, FINE_TUNING_STEPS = 0.1, 5
"""On validation words, rates of 0.01 to 0.1 and 5 to 30 steps gave the same accuracy, and so did the head alone."""
DIVERGED = 10
"""Times the loss of a uniform guess above which an episode has diverged."""
Network = Callable[..., Model]
"""(outputs or None) -> the model with a head for that many classes, or the encoder."""
Build = Callable[[int, int], MetaLearner]
"""(ways, steps) -> the learner; params fit any number of steps, and any number of ways where there is no head."""


class Method(NamedTuple):
    """Something to evaluate: a learner for any episode, and the params it starts from."""

    name: str
    build: Build
    params: PyTree
    state: PyTree
    steps: int


def learners(network: Network, estimator: Estimator | None) -> dict[str, Build]:
    """Every learner by name; `estimator` overrides each one's own."""

    def inner(factory: Callable, default: Estimator) -> Build:
        def build(ways: int, steps: int) -> MetaLearner:
            return factory(network(ways), cross_entropy, optax.sgd(INNER_RATE), steps, estimator or default)

        return build

    return {
        "maml": inner(maml, unrolled()),
        "fomaml": inner(maml, first_order()),
        "anil": inner(anil, unrolled()),
        "protonet": lambda ways, steps: protonet(network(), cross_entropy, ways),
    }


def classifier(network: Network, words: int) -> MetaLearner:
    """Plain supervised training: a learner that does not adapt, so that its query loss is the loss of a batch."""
    return maml(network(words), cross_entropy, optax.sgd(0.0), steps=0)


def fine_tuned(network: Network, params: PyTree, state: PyTree, ways: int) -> Method:
    """The honest baseline: a trained classifier's body under a fresh head, all of it fine-tuned on the support set."""

    def build(ways: int, steps: int) -> MetaLearner:
        return maml(network(ways), cross_entropy, optax.sgd(FINE_TUNING_RATE), steps, first_order())

    # A head of zeros: its first step already is a classifier by class means, and no class is favoured before it.
    head = jax.tree.map(lambda leaf: jnp.zeros((*leaf.shape[:-1], ways), leaf.dtype), params["head"])
    return Method("fine-tuned classifier", build, params | {"head": head}, state, FINE_TUNING_STEPS)


def floor() -> Method:
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
        {}, {}, 0,
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
    """One row of results: accuracy in percent with its 95 % interval over episodes."""
    steps = method.steps if steps is None else steps
    chunk = 25
    sampler = episode_sampler(
        corpus, ways=protocol.ways, shots=shots, queries=protocol.queries, tasks=chunk, seed=protocol.seed, buckets=2
    )
    # On a CPU one task at a time: a task's own kernels are then ordinary matrices.
    microbatch = 1 if jax.default_backend() == "cpu" else None
    metrics = {"accuracy": accuracy, "loss": cross_entropy}
    run = jax.jit(make_evaluate(method.build(protocol.ways, steps), metrics, microbatch=microbatch))
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
    }  # fmt: skip


def _unit(features: jax.Array) -> jax.Array:
    return features / jnp.maximum(jnp.linalg.norm(features, axis=-1, keepdims=True), 1e-9)
