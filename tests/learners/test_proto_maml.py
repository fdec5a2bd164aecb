"""Proto-MAML against prototypical networks, numpy and finite differences, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Model, mixed_mode, unrolled
from jaxmeta.learners.proto_maml import proto_maml
from jaxmeta.losses import cross_entropy
from tests.derivatives import slopes
from tests.problem import WAYS, episodes, network, one
from tests.programs import compiled

pytestmark = pytest.mark.usefixtures("float64")
IDENTITY = Model(lambda key, inputs: ({}, {}), lambda params, state, inputs, key, train: (inputs, state))
KEY = jax.random.key(0)
TARGETS, WEIGHT, RATE = np.array([0, 2, 1, 2, 1, 0]), np.array([1, 1, 1, 0, 2, 0.5]), 0.3


def problem():
    rng = np.random.default_rng(0)
    support, query = rng.normal(size=(6, 4)), rng.normal(size=(5, 4))
    members = [np.flatnonzero(np.equal(TARGETS, c)) for c in range(3)]
    means = np.stack([np.average(support[each], 0, WEIGHT[each]) for each in members])
    return Batch(*map(jnp.asarray, (support, TARGETS, WEIGHT))), query, means


def test_without_steps_logits_are_minus_squared_distances_to_prototypes_up_to_a_constant_of_the_row():
    support, query, means = problem()
    learner = proto_maml(IDENTITY, cross_entropy, optax.sgd(RATE), 0, 3)
    fast, _ = compiled(learner.adapt)({}, {}, support, KEY)
    logits, _ = compiled(learner.predict, static_argnums=5)({}, {}, fast, query, KEY, False)
    distances = np.sum((query[:, None] - means) ** 2, axis=-1)
    constant = np.sum(query**2, axis=1, keepdims=True)
    np.testing.assert_allclose(logits, constant - distances, rtol=1e-12)


def test_a_step_moves_the_head_by_the_gradient_of_softmax_regression():
    support, _, means = problem()
    fast, info = compiled(proto_maml(IDENTITY, cross_entropy, optax.sgd(RATE), 1, 3).adapt)({}, {}, support, KEY)
    kernel, bias, inputs = 2 * means.T, -np.sum(means**2, axis=1), np.asarray(support.inputs)
    logits = inputs @ kernel + bias
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    share = WEIGHT / WEIGHT.sum()
    error = share[:, None] * (probabilities - np.eye(3)[TARGETS])
    np.testing.assert_allclose(fast["head"]["kernel"], kernel - RATE * inputs.T @ error, rtol=1e-12)
    np.testing.assert_allclose(fast["head"]["bias"], bias - RATE * error.sum(axis=0), rtol=1e-12)
    expected = -np.sum(share * np.log(probabilities[np.arange(6), TARGETS]))
    np.testing.assert_allclose(info["loss"], [expected], rtol=1e-12)


@pytest.mark.parametrize("estimator", [unrolled(), mixed_mode()], ids=["unrolled", "mixed_mode"])
def test_the_meta_gradient_passes_through_the_prototypes(estimator):
    """Differences of the whole meta loss see the prototypes move with the encoder's weights."""
    episode = one(episodes(dtype=np.float64))
    learner = proto_maml(network(6), cross_entropy, optax.sgd(0.1), 2, WAYS, estimator)
    params, state = compiled(learner.init)(KEY, episode.support.inputs)
    slope, expected = slopes(lambda params: learner.meta_loss(params, state, episode, KEY)[0], params)
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


def test_padding_examples_are_inert():
    support, _, _ = problem()
    padded = Batch(
        np.concatenate([support.inputs, np.full((2, 4), 9.0)]),
        np.concatenate([support.targets, np.array([1, 0])]),
        np.concatenate([support.weight, np.zeros(2)]),
    )
    learner = proto_maml(IDENTITY, cross_entropy, optax.sgd(RATE), 3, 3)
    heads = [compiled(learner.adapt)({}, {}, batch, KEY)[0]["head"] for batch in (support, padded)]
    for name in ("kernel", "bias"):
        np.testing.assert_allclose(heads[1][name], heads[0][name], rtol=1e-12)


def test_encoder_and_head_both_adapt_and_the_ways_may_change():
    episode = one(episodes(dtype=np.float64))
    params, state = compiled(network(6).init)(KEY, episode.support.inputs)
    two = jax.tree.map(lambda leaf: leaf[:4], episode.support)  # two shots of each of the first two classes
    learner = proto_maml(network(6), cross_entropy, optax.sgd(0.1), 2, 2)
    fast, info = compiled(learner.adapt)(params, state, two, KEY)
    assert fast["head"]["kernel"].shape == (6, 2)
    assert np.any(np.asarray(fast["encoder"]["body"]["kernel"]) != np.asarray(params["body"]["kernel"]))
    assert info["loss"][1] < info["loss"][0]
