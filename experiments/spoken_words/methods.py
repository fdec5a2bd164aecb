"""What the spoken-words experiment compares: a learner, the fine-tuned classifier, the training-free floor."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from experiments.spoken_words.learners import Build, Network, learners
from experiments.spoken_words.recipes import Name
from jaxmeta import MetaLearner, Model, first_order, maml, protonet
from jaxmeta.losses import cross_entropy
from jaxmeta.models.layers import segment_pool
from jaxmeta.models.words import standardise
from jaxmeta.training.fit import supervised
from jaxmeta.types import PyTree

FINE_TUNING_RATE, FINE_TUNING_STEPS = 0.1, 5
"""On validation words, rates of 0.01 to 0.1 and 5 to 30 steps gave the same accuracy, and so did the head alone."""


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
    encoder: tuple[Model, PyTree] | None = None
    """What the method sees of a recording, and its params: the same in every episode, so that each recording is encoded
    once, and the learner is built for the result. None: recordings as they are."""


def classifier(network: Network, words: int) -> MetaLearner:
    """A classifier of all training words, trained plainly."""
    return supervised(network(words), cross_entropy)


def fine_tuned(network: Network, params: PyTree, state: PyTree, ways: int, folder: Path) -> Method:
    """The honest baseline: a trained classifier's body under a fresh head, all of it fine-tuned on the support set."""

    def build(ways: int, steps: int) -> MetaLearner:
        return maml(network(ways), cross_entropy, optax.sgd(FINE_TUNING_RATE), steps, first_order())

    # A head of zeros: its first step already is a classifier by class means, and no class is favoured before it.
    head = jax.tree.map(lambda leaf: jnp.zeros((*leaf.shape[:-1], ways), leaf.dtype), params["head"])
    return Method("fine-tuned classifier", build, params | {"head": head}, state, FINE_TUNING_STEPS, folder)


def closed_form(
    name: Name, network: Network, params: PyTree, state: PyTree, folder: Path, seconds: float, norm: str
) -> Method:
    """A trained learner that solves a task in closed form: its encoder never adapts."""
    build = learners(network, None)[name]
    if norm != "layer":  # What an encoder makes of a recording then depends on the others in its batch.
        return Method(name, build, params, state, 0, folder, seconds)
    encoder = (network(), params.get("encoder", params))
    return Method(name, learners(encoded, None)[name], params, state, 0, folder, seconds, encoder)


def floor(folder: Path) -> Method:
    """No training at all: cosine prototypes of log-mels in 24 segments of relative time."""

    def apply(params, state, inputs, key, train):
        clips = segment_pool(inputs.values, inputs.lengths, 24)
        features = standardise(clips).reshape(clips.shape[0], -1)
        return _unit(features), state

    def predict(params, state, fast, inputs, key, train):
        return inputs @ _unit(fast).T, state

    return Method(
        "cosine of log-mels",
        lambda ways, steps: protonet(encoded(), cross_entropy, ways)._replace(predict=predict),
        {}, {}, 0, folder, encoder=(Model(lambda key, inputs: ({}, {}), apply), {}),
    )  # fmt: skip


def encoded(outputs: None = None) -> Model:
    """The encoder of what is encoded already."""
    return Model(lambda key, inputs: ({}, {}), lambda params, state, inputs, key, train: (inputs, state))


def _unit(features: jax.Array) -> jax.Array:
    return features / jnp.maximum(jnp.linalg.norm(features, axis=-1, keepdims=True), 1e-9)
