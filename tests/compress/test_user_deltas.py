"""One compressed network for everybody, and a little that adapts for each user."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Ragged, anil
from jaxmeta.compress.prune import magnitude, masked
from jaxmeta.compress.quantize import Quantised, dequantise_params, quantise_params
from jaxmeta.compress.user_deltas import decoded, differences, user_bytes
from jaxmeta.losses import weighted_mean
from jaxmeta.models.acoustic import Size, recogniser
from jaxmeta.recognition.adaptation import LOSS, fine_tuning, is_norm_or_bias, starting_point
from tests.programs import compiled

KEY = jax.random.key(0)
MODEL = recogniser(7, "gru", Size(16, 1))


@cache
def utterances():
    inputs = Ragged(jax.random.normal(KEY, (3, 24, 8)), jnp.array([24, 20, 16]))
    labels = Ragged(jax.random.randint(KEY, (3, 3), 1, 7), jnp.array([3, 2, 1]))
    return Batch(inputs, labels, jnp.ones(3))


@cache
def weights():
    return compiled(MODEL.init)(KEY, utterances().inputs)[0]


def loss_after(learner, params):
    def run(params):
        fast, _ = learner.adapt(params, {}, utterances(), KEY)
        outputs, _ = learner.predict(params, {}, fast, utterances().inputs, KEY, False)
        return weighted_mean(LOSS(outputs, utterances().targets), utterances().weight), fast

    return compiled(run)(params)


@pytest.mark.parametrize(
    "method, body",
    [
        ("head", "int8"),
        pytest.param("norms", "int4", marks=pytest.mark.slow),
        pytest.param("low_rank", "pruned", marks=pytest.mark.slow),
    ],
)
def test_a_compressed_body_stays_as_it_is_while_a_small_part_adapts(method, body):
    params = starting_point(method, weights(), KEY)

    def matrix(path, leaf):
        return leaf.ndim > 1 and not path.startswith(("head", "adapters"))

    if body == "pruned":
        stored = masked(params, magnitude(params, 0.8, prunable=matrix))
    else:
        stored = quantise_params(params, int(body[3:]), chosen=matrix)
    learner = decoded(differences(fine_tuning(MODEL, method, 0.1, 5)))
    before, _ = loss_after(decoded(differences(fine_tuning(MODEL, method, 0.1, 0))), stored)
    after, fast = loss_after(learner, stored)
    assert float(after) < 0.95 * float(before)
    assert {leaf.dtype for leaf in jax.tree.leaves(fast)} == {jnp.dtype("float16")}
    whole = sum(leaf.nbytes for leaf in jax.tree.leaves(weights()))
    assert user_bytes(fast) == 2 * sum(leaf.size for leaf in jax.tree.leaves(fast)) < whole / 4


@pytest.mark.slow
def test_codes_compute_what_the_weights_that_they_stand_for_do():
    stored = quantise_params(weights(), chosen=lambda path, leaf: leaf.ndim > 1)
    assert isinstance(stored["head"]["kernel"], Quantised)
    learner = fine_tuning(MODEL, "norms", 0.1, 3)
    actual, fast = loss_after(decoded(learner), stored)
    expected, other = loss_after(learner, dequantise_params(stored))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    jax.tree.map(lambda one, two: np.testing.assert_allclose(one, two, atol=1e-6), fast, other)


@pytest.mark.slow
def test_differences_in_half_precision_are_close_to_what_adapted():
    learner = fine_tuning(MODEL, "norms", 0.1, 3)
    whole, fast = loss_after(learner, weights())
    kept, moved = loss_after(differences(learner), weights())
    np.testing.assert_allclose(kept, whole, rtol=1e-4)
    start = weights()["head"]["bias"]
    np.testing.assert_allclose(moved["head"]["bias"], fast["head"]["bias"] - start, rtol=2**-10, atol=1e-7)


@pytest.mark.slow
def test_meta_training_reaches_float_weights_behind_frozen_codes():
    """The codes have no gradient; what adapts does, exactly through the steps."""
    learner = decoded(anil(MODEL, LOSS, optax.sgd(0.1), 2))
    stored = quantise_params(weights(), chosen=lambda path, leaf: leaf.ndim > 1 and not path.startswith("head"))

    def loss(head):
        return learner.meta_loss(stored | {"head": head}, {}, Episode(utterances(), utterances()), KEY)[0]

    actual = compiled(jax.grad(loss))(stored["head"])
    assert all(float(jnp.abs(leaf).max()) > 0 for leaf in jax.tree.leaves(actual))


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_a_user_of_a_preset_takes_at_most_twenty_kilobytes(size):
    inputs = Ragged(jax.ShapeDtypeStruct((1, 40, 40), jnp.float32), jax.ShapeDtypeStruct((1,), jnp.int32))
    params, _ = jax.eval_shape(recogniser(30, "gru", size).init, KEY, inputs)
    paths = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in jax.tree.leaves_with_path(params)]
    leaves = zip(paths, jax.tree.leaves(params), strict=True)
    norms = [jax.ShapeDtypeStruct(leaf.shape, jnp.float16) for path, leaf in leaves if is_norm_or_bias(path)]
    assert user_bytes(norms) <= 20_000
