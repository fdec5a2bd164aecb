"""Wrong labels of a support set never pass silently: errors where they can be seen, NaN under jit."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Model
from jaxmeta.learners.labels import class_means, one_hot
from jaxmeta.learners.matching import matching
from jaxmeta.learners.proto_maml import proto_maml
from jaxmeta.learners.protonet import protonet
from jaxmeta.learners.r2d2 import r2d2
from jaxmeta.losses import cross_entropy
from tests.programs import compiled

IDENTITY = Model(lambda key, inputs: ({}, {}), lambda params, state, inputs, key, train: (inputs, state))
KEY = jax.random.key(0)
LEARNERS = {
    "protonet": lambda ways: protonet(IDENTITY, cross_entropy, ways),
    "matching": lambda ways: matching(IDENTITY, cross_entropy, ways),
    "proto_maml": lambda ways: proto_maml(IDENTITY, cross_entropy, optax.sgd(0.1), 1, ways),
    "r2d2": lambda ways: r2d2(IDENTITY, cross_entropy, ways),
}
every_learner = pytest.mark.parametrize("name", LEARNERS)


def support(labels, weight=None, dtype=np.int32):
    labels = np.asarray(labels, dtype)
    inputs = np.random.default_rng(0).normal(size=(len(labels), 2)).astype(np.float32)
    weight = np.ones(len(labels), np.float32) if weight is None else np.asarray(weight, np.float32)
    return jax.tree.map(jnp.asarray, Batch(inputs, labels, weight))


def adapt(name, ways, batch):
    learner = LEARNERS[name](ways)
    params, state = learner.init(KEY, batch.inputs)
    return learner.adapt(params, state, batch, KEY)[0]


@every_learner
@pytest.mark.parametrize("labels", [[0, 1, 7], [0, 1, -1, 7]])
def test_a_label_outside_the_ways_is_an_error_that_names_it(name, labels):
    with pytest.raises(ValueError, match=rf"labels must lie in \[0, 2\).*got \[{'-1, ' * (-1 in labels)}7\]"):
        adapt(name, 2, support(labels))


@pytest.mark.parametrize("name", ["protonet", "matching", "proto_maml"])
def test_a_class_without_an_example_is_an_error_that_names_it(name):
    with pytest.raises(ValueError, match=r"no example of class \[1, 3\] of ways=4"):
        adapt(name, 4, support([0, 2, 2]))
    # The only example of class 1 is padding.
    with pytest.raises(ValueError, match=r"no example of class \[1\] of ways=2"):
        adapt(name, 2, support([0, 1], weight=[1, 0]))


@every_learner
def test_labels_that_are_not_integers_and_too_few_ways_are_errors_even_under_jit(name):
    with pytest.raises(ValueError, match=r"targets must be integer class labels \[N\], got float32\[2\]"):
        compiled(lambda batch: adapt(name, 2, batch))(support([0, 1], dtype=np.float32))
    with pytest.raises(ValueError, match=r"targets must be integer class labels \[N\], got int32\[2, 1\]"):
        adapt(name, 2, support([0, 1])._replace(targets=jnp.zeros((2, 1), jnp.int32)))
    with pytest.raises(ValueError, match="ways must be 2 classes or more, got 1"):
        adapt(name, 1, support([0, 0]))


@pytest.mark.parametrize("label", [7, -1])
def test_under_jit_a_label_outside_the_ways_is_a_row_of_nan(label):
    batch = support([0, label, 1])
    rows = compiled(lambda t, w: one_hot(t, w, 2, jnp.float32, every_class=False))(batch.targets, batch.weight)
    np.testing.assert_array_equal(rows, [[1, 0], [np.nan, np.nan], [0, 1]])


def test_under_jit_a_class_without_an_example_is_a_column_of_nan_where_each_needs_one():
    batch = support([0, 2, 2])
    rows = [
        compiled(lambda t, w, every=every: one_hot(t, w, 3, jnp.float32, every_class=every))(
            batch.targets, batch.weight
        )
        for every in (True, False)
    ]
    np.testing.assert_array_equal(rows[0], [[1, np.nan, 0], [0, np.nan, 1], [0, np.nan, 1]])
    np.testing.assert_array_equal(rows[1], [[1, 0, 0], [0, 0, 1], [0, 0, 1]])


@every_learner
def test_under_jit_a_wrong_label_makes_the_outputs_of_the_task_nan(name):
    learner = LEARNERS[name](2)

    @compiled
    def outputs(batch):
        params, state = learner.init(KEY, batch.inputs)
        fast, _ = learner.adapt(params, state, batch, KEY)
        return learner.predict(params, state, fast, batch.inputs, KEY, False)[0]

    assert np.isfinite(outputs(support([0, 1, 1]))).all()
    assert np.isnan(outputs(support([0, 1, 7]))).any(axis=1).all()


@pytest.mark.parametrize("label", [-1, 1, 9])
def test_a_padding_example_may_have_any_label(label):
    embeddings = jnp.arange(8.0).reshape(4, 2)
    batch = support([0, label, 1, 1], weight=[1, 0, 1, 1])
    expected = [[0, 1], [5, 6]]
    means = (f(embeddings, batch.targets, batch.weight) for f in (three, compiled(three)))
    for each in means:
        np.testing.assert_array_equal(each, expected)


def three(embeddings, targets, weight):
    return class_means(embeddings, targets, weight, 2)
