"""Losses, metrics and trees against numpy."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta import tree
from jaxmeta.losses import cross_entropy, squared_error, weighted_mean
from jaxmeta.metrics import accuracy, mean_interval

RNG = np.random.default_rng(0)


def test_cross_entropy_is_the_negative_log_likelihood():
    logits, targets = RNG.normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = -np.log(probabilities[np.arange(5), targets])
    np.testing.assert_allclose(cross_entropy(jnp.asarray(logits), jnp.asarray(targets)), expected, rtol=1e-5)


def test_squared_error_is_averaged_over_an_example():
    outputs, targets = RNG.normal(size=(4, 2, 3)), RNG.normal(size=(4, 2, 3))
    expected = ((outputs - targets) ** 2).mean((1, 2))
    np.testing.assert_allclose(squared_error(jnp.asarray(outputs), jnp.asarray(targets)), expected, rtol=1e-5)


@pytest.mark.parametrize(("loss", "shape"), [(cross_entropy, (4, 1)), (squared_error, (4,))])
def test_losses_refuse_shapes_that_would_broadcast(loss, shape):
    with pytest.raises(ValueError, match="needs"):
        loss(jnp.zeros((4, 3)), jnp.zeros(shape, jnp.int32))


def test_weighted_mean_ignores_padding_even_where_it_is_not_finite():
    assert weighted_mean(jnp.array([1.0, 3.0, jnp.nan]), jnp.array([1.0, 1.0, 0.0])) == 2.0
    assert weighted_mean(jnp.array([1.0]), jnp.zeros(1)) == 0.0


def test_accuracy_scores_a_row_that_is_not_finite_as_wrong():
    outputs = jnp.array([[1.0, 2.0], [2.0, 1.0], [jnp.nan, 0.0]])
    np.testing.assert_array_equal(accuracy(outputs, jnp.array([1, 1, 0])), [1, 0, 0])


def test_mean_interval_is_the_normal_one():
    values = RNG.normal(3, 2, size=600)
    mean, half = mean_interval(values)
    np.testing.assert_allclose([mean, half], [values.mean(), 1.959964 * values.std(ddof=1) / 600**0.5], rtol=1e-6)
    with pytest.raises(ValueError, match="two values"):
        mean_interval(values[:1])


def test_partition_and_merge_are_inverse():
    params = {"body": {"w": 1, "b": 2}, "head": {"w": 3}}
    head, body = tree.partition(params, lambda path: path.startswith("head/"))
    assert head == {"body": {"w": None, "b": None}, "head": {"w": 3}}
    assert tree.merge(head, body) == params
    assert tree.paths(params) == ["body/b", "body/w", "head/w"]


def test_all_finite_finds_one_bad_number():
    assert tree.all_finite({"a": jnp.ones(2), "b": jnp.zeros((), jnp.int32)})
    assert not tree.all_finite({"a": jnp.ones(2), "b": jnp.array([1.0, jnp.inf])})


def test_leading_size_refuses_leaves_that_disagree():
    assert tree.leading_size({"a": jnp.ones((3, 2)), "b": jnp.ones(3)}) == 3
    for bad in ({"a": jnp.ones(3), "b": jnp.ones(4)}, {"a": jnp.ones(())}, {}):
        with pytest.raises(ValueError, match="same leading axis"):
            tree.leading_size(bad)


def test_where_chooses_whole_trees():
    chosen = jax.jit(tree.where)(jnp.array(False), {"a": jnp.ones(2)}, {"a": jnp.zeros(2)})
    chex.assert_trees_all_equal(chosen, {"a": jnp.zeros(2)})
