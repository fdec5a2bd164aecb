"""Baselines of few-shot learners: the same network fine-tuned, and a floor that needs no training."""

from pathlib import Path

import jax
import jax.numpy as jnp
import optax

from jaxmeta import MetaLearner, Model, first_order, maml, protonet
from jaxmeta.evaluation.few_shot import Method
from jaxmeta.losses import cross_entropy
from jaxmeta.models.clip_encoders import standardise
from jaxmeta.models.heads import Network
from jaxmeta.models.layers import segment_pool
from jaxmeta.types import PyTree

FINE_TUNING_RATE, FINE_TUNING_STEPS = 0.1, 5
"""On validation words, rates of 0.01 to 0.1 and 5 to 30 steps gave the same accuracy, and so did the head alone."""


def fine_tuned(
    network: Network, params: PyTree, state: PyTree, ways: int, folder: Path, seconds: float = 0.0
) -> Method:
    """The honest baseline: a trained classifier's body under a fresh head, all of it fine-tuned on the support set.

    Args:
      network: (outputs or None) -> the model.
      params, state: of the classifier, with a "head".
      ways: classes of a test episode.
      folder: where its rows are kept.
      seconds: that the classifier was trained for.
    """

    def build(ways: int, steps: int) -> MetaLearner:
        return maml(network(ways), cross_entropy, optax.sgd(FINE_TUNING_RATE), steps, first_order())

    # A head of zeros: its first step already is a classifier by class means, and no class is favoured before it.
    head = jax.tree.map(lambda leaf: jnp.zeros((*leaf.shape[:-1], ways), leaf.dtype), params["head"])
    return Method("fine-tuned classifier", build, params | {"head": head}, state, FINE_TUNING_STEPS, folder, seconds)


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
