"""Losses, metrics and trees against numpy."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta import tree
from jaxmeta.losses import (
    binary_cross_entropy,
    class_balanced,
    cross_entropy,
    label_smoothed,
    squared_error,
    weighted_mean,
)
from jaxmeta.metrics import accuracy, mean_interval

RNG = np.random.default_rng(0)


def test_cross_entropy_is_the_negative_log_likelihood():
    logits, targets = RNG.normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = -np.log(probabilities[np.arange(5), targets])
    np.testing.assert_allclose(cross_entropy(jnp.asarray(logits), jnp.asarray(targets)), expected, rtol=1e-5)


def test_cross_entropy_of_a_label_that_is_no_class_is_nan_and_leaves_the_others_alone():
    logits = jnp.asarray(RNG.normal(size=(4, 3)), jnp.float32)
    values = cross_entropy(logits, jnp.array([0, 3, -1, 2]))
    np.testing.assert_array_equal(np.isnan(values), [False, True, True, False])
    weight = jnp.array([1.0, 0.0, 0.0, 1.0])
    gradient = jax.grad(lambda logits: weighted_mean(cross_entropy(logits, jnp.array([0, 3, -1, 2])), weight))(logits)
    assert np.isfinite(gradient).all() and not gradient[1:3].any()


def test_squared_error_is_averaged_over_an_example():
    outputs, targets = RNG.normal(size=(4, 2, 3)), RNG.normal(size=(4, 2, 3))
    expected = ((outputs - targets) ** 2).mean((1, 2))
    np.testing.assert_allclose(squared_error(jnp.asarray(outputs), jnp.asarray(targets)), expected, rtol=1e-5)


def test_binary_cross_entropy_is_averaged_over_an_example():
    logits, targets = RNG.normal(size=(4, 3)), RNG.uniform(size=(4, 3))
    p = 1 / (1 + np.exp(-logits))
    expected = -(targets * np.log(p) + (1 - targets) * np.log(1 - p))
    actual = binary_cross_entropy(jnp.asarray(logits), jnp.asarray(targets))
    np.testing.assert_allclose(actual, expected.mean(1), rtol=1e-5)
    single = binary_cross_entropy(jnp.asarray(logits[:, 0]), jnp.asarray(targets[:, 0] > 0.5))
    hard = np.where(targets[:, 0] > 0.5, -np.log(p[:, 0]), -np.log(1 - p[:, 0]))
    np.testing.assert_allclose(single, hard, rtol=1e-5)
    # exp(200) is beyond float32: the loss of a confident mistake must not be.
    np.testing.assert_allclose(binary_cross_entropy(jnp.array([200.0]), jnp.array([0.0])), [200.0])


def test_balanced_classes_weigh_alike():
    targets = jnp.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2])
    loss = class_balanced(lambda outputs, targets: jnp.ones(len(targets)), [5, 3, 2])
    weights = np.asarray(loss(None, targets))
    np.testing.assert_allclose([weights[targets == c].sum() for c in range(3)], 10 / 3, rtol=1e-6)
    assert np.isnan(loss(None, jnp.array([3])))  # a class that was not counted has no weight
    even = class_balanced(cross_entropy, [7, 7, 7])
    logits = jnp.asarray(RNG.normal(size=(10, 3)))
    np.testing.assert_allclose(even(logits, targets), cross_entropy(logits, targets), rtol=1e-6)


@pytest.mark.parametrize("counts", [[3, 0, 1], [], [[1, 2]], [1, -2], [1, np.nan]])
def test_a_class_that_was_never_counted_is_an_error(counts):
    with pytest.raises(ValueError, match="count above 0 a class"):
        class_balanced(cross_entropy, counts)


def test_label_smoothing_mixes_the_target_with_the_uniform_one():
    logits, targets = RNG.normal(size=(5, 3)), np.array([0, 2, 1, 1, 0])
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    expected = -0.8 * log_p[np.arange(5), targets] - 0.2 / 3 * log_p.sum(1)
    smoothed = label_smoothed(cross_entropy, 0.2)
    np.testing.assert_allclose(smoothed(jnp.asarray(logits), jnp.asarray(targets)), expected, rtol=1e-5)
    # With another loss, here 0 or 1: a wrong class of three is met by the uniform target with share 2 / 3.
    missed = label_smoothed(lambda outputs, targets: 1.0 - accuracy(outputs, targets), 0.3)
    np.testing.assert_allclose(missed(jnp.eye(3), jnp.array([0, 1, 0])), [0.2, 0.2, 0.9], rtol=1e-6)


@pytest.mark.parametrize("amount", [-0.1, 1.0, float("nan")])
def test_smoothing_by_a_share_outside_its_range_is_an_error(amount):
    with pytest.raises(ValueError, match=r"amount in \[0, 1\)"):
        label_smoothed(cross_entropy, amount)


@pytest.mark.parametrize("targets", [jnp.zeros(4), jnp.zeros((4, 1), jnp.int32)])
@pytest.mark.parametrize("composed", [label_smoothed(squared_error, 0.1), class_balanced(squared_error, [1, 2, 3])])
def test_losses_of_classes_refuse_other_targets(composed, targets):
    with pytest.raises(ValueError, match=r"integer classes \[N\]"):
        composed(jnp.zeros((4, 3)), targets)


@pytest.mark.parametrize("name", ["bfloat16", "float32"])
def test_composed_losses_keep_the_type_of_the_loss(name):
    logits, targets = jnp.zeros((2, 3), name), jnp.array([0, 1])
    composed = class_balanced(label_smoothed(cross_entropy, 0.1), [1, 2, 3])
    assert composed(logits, targets).dtype == cross_entropy(logits, targets).dtype == jnp.dtype(name)


@pytest.mark.parametrize(
    ("loss", "shape"), [(cross_entropy, (4, 1)), (squared_error, (4,)), (binary_cross_entropy, (4, 1))]
)
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
    assert tree.named(params) == {"body/b": 2, "body/w": 1, "head/w": 3}
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
