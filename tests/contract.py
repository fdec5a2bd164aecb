"""The one contract that every learner keeps, under every estimator it allows.

To add a learner: add a line to LEARNERS. A learner with an inner loop runs under every estimator; closed-form ones
have none to choose.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import (
    Batch,
    Episode,
    MetaLearner,
    Model,
    Ragged,
    anil,
    first_order,
    maml,
    mixed_mode,
    protonet,
    truncated,
    unrolled,
)
from jaxmeta.losses import cross_entropy, weighted_mean
from jaxmeta.models.layers import apply_mask, segment_pool
from jaxmeta.training import TrainState, init_state, make_evaluate, make_update

WAYS, SHOTS, QUERIES, TASKS, FRAMES, FEATURES, STEPS = 3, 2, 4, 5, 7, 4, 3
ESTIMATORS = {
    "unrolled": unrolled(),
    "mixed_mode": mixed_mode(),
    "first_order": first_order(),
    "truncated": truncated(last=1),
}


def network(outputs):
    """Masked frames, a hidden layer with one dead unit, two segments, a linear head."""

    def init(key, inputs):
        body, head = jax.random.split(key)
        bias = jnp.zeros(8).at[0].set(-1e3)
        return {
            "body": {"kernel": jax.random.normal(body, (inputs.values.shape[-1], 8)) / 2, "bias": bias},
            "head": {"kernel": jax.random.normal(head, (16, outputs)) / 4, "bias": jnp.zeros(outputs)},
        }, {}

    def apply(params, state, inputs, key, train):
        frames = apply_mask(inputs.values, inputs.lengths)
        hidden = jax.nn.relu(frames @ params["body"]["kernel"] + params["body"]["bias"])
        pooled = segment_pool(hidden, inputs.lengths, 2).reshape(len(inputs.lengths), -1)
        return pooled @ params["head"]["kernel"] + params["head"]["bias"], state

    return Model(init, apply)


LEARNERS = {
    "maml": lambda estimator: maml(network(WAYS), cross_entropy, optax.sgd(0.1), STEPS, estimator),
    "anil": lambda estimator: anil(network(WAYS), cross_entropy, optax.sgd(0.1), STEPS, estimator),
    "protonet": lambda _: protonet(network(6), cross_entropy, WAYS),
}
CLOSED_FORM = {"protonet"}
CASES = [
    (name, estimator)
    for name in LEARNERS
    for estimator in ESTIMATORS
    if name not in CLOSED_FORM or estimator == "unrolled"
]
OUTER = optax.sgd(1.0)

every_learner = pytest.mark.parametrize(("name", "estimator"), CASES)


def episodes(seed=0, tasks=TASKS, dtype=np.float32):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(tasks, WAYS, 1, 1, FEATURES))

    def batch(per_class):
        n = WAYS * per_class
        values = centres + rng.normal(size=(tasks, WAYS, per_class, FRAMES, FEATURES))
        lengths = rng.integers(2, FRAMES + 1, (tasks, n)).astype(np.int32)
        targets = np.tile(np.repeat(np.arange(WAYS, dtype=np.int32), per_class), (tasks, 1))
        ragged = Ragged(values.reshape(tasks, n, FRAMES, FEATURES).astype(dtype), lengths)
        return Batch(ragged, targets, np.ones((tasks, n), dtype))

    return jax.tree.map(jnp.asarray, Episode(batch(SHOTS), batch(QUERIES)))


def one(batch, index=0):
    return jax.tree.map(lambda leaf: leaf[index], batch)


class Case(NamedTuple):
    learner: MetaLearner
    train: TrainState
    update: Callable  # jitted, plain descent with rate 1, so that params - updated is the mean gradient
    gradient: Callable  # jitted (train, episode) -> the gradient of one task


@functools.cache
def case(name, estimator):
    """Compiled once for all tests of a learner: compiling is nearly all of their time."""
    learner = LEARNERS[name](ESTIMATORS[estimator])
    train = init_state(learner, OUTER, jax.random.key(0), one(episodes()).support.inputs)

    @jax.jit
    def gradient(train, episode):
        return jax.grad(lambda p: learner.meta_loss(p, train.state, episode, jax.random.key(1))[0])(train.params)

    return Case(learner, train, jax.jit(make_update(learner, OUTER)), gradient)


@every_learner
def test_jit_equals_eager(name, estimator):
    learner, train, update, _ = case(name, estimator)
    eager, _ = make_update(learner, OUTER)(train, episodes())
    chex.assert_trees_all_close(update(train, episodes())[0].params, eager.params, atol=1e-6)


@every_learner
def test_tasks_in_chunks_equal_tasks_vmapped(name, estimator):
    learner, train, update, _ = case(name, estimator)
    whole, metrics = update(train, episodes())
    parts, chunked = jax.jit(make_update(learner, OUTER, microbatch=2))(train, episodes())
    chex.assert_trees_all_close(parts.params, whole.params, atol=2e-6)
    chex.assert_trees_all_close(chunked, metrics, rtol=1e-4)


@every_learner
def test_update_is_the_mean_of_single_task_gradients(name, estimator):
    _, train, update, gradient = case(name, estimator)
    batch = episodes()
    # The contract network draws no random numbers, so one key serves every task.
    each = [gradient(train, one(batch, i)) for i in range(TASKS)]
    expected = jax.tree.map(lambda p, *g: p - np.mean(np.stack(g), axis=0), train.params, *each)
    chex.assert_trees_all_close(update(train, batch)[0].params, expected, atol=2e-6)


@every_learner
def test_one_trace_serves_thirty_updates_and_keeps_structure(name, estimator):
    learner, train, _, _ = case(name, estimator)
    traces = []

    def meta_loss(*arguments):
        traces.append(1)
        return learner.meta_loss(*arguments)

    update = jax.jit(make_update(learner._replace(meta_loss=meta_loss), OUTER))
    after, _ = update(train, episodes(0))
    first = len(traces)
    for seed in range(1, 30):
        after, _ = update(after, episodes(seed))
    assert len(traces) == first
    chex.assert_trees_all_equal_shapes_and_dtypes(after, train)
    assert int(after.step) == 30


@every_learner
def test_same_key_gives_the_same_result(name, estimator):
    _, train, update, _ = case(name, estimator)
    chex.assert_trees_all_equal(update(train, episodes())[0].params, update(train, episodes())[0].params)


@every_learner
def test_padding_examples_and_frames_change_nothing(name, estimator):
    _, train, _, gradient = case(name, estimator)

    def pad(batch):
        def widen(leaf, axis, fill):
            width = [(0, 0)] * leaf.ndim
            width[axis] = (0, 3)
            return jnp.pad(leaf, width, constant_values=fill)

        values = widen(widen(batch.inputs.values, 2, 7.0), 1, 5.0)
        lengths = widen(batch.inputs.lengths, 1, 2)
        # A row's own frames beyond its length are inert as well.
        beyond = jnp.arange(values.shape[2]) >= lengths[..., None]
        values = jnp.where(beyond[..., None], 1e3, values)
        return Batch(Ragged(values, lengths), widen(batch.targets, 1, 1), widen(batch.weight, 1, 0))

    batch = episodes()
    padded = one(Episode(pad(batch.support), pad(batch.query)))
    chex.assert_trees_all_close(gradient(train, padded), gradient(train, one(batch)), atol=1e-6)


@every_learner
def test_order_of_the_support_set_is_irrelevant(name, estimator):
    _, train, _, gradient = case(name, estimator)
    episode = one(episodes())
    order = np.random.default_rng(0).permutation(WAYS * SHOTS)
    shuffled = episode._replace(support=jax.tree.map(lambda leaf: leaf[order], episode.support))
    chex.assert_trees_all_close(gradient(train, shuffled), gradient(train, episode), atol=1e-6)


@every_learner
def test_adaptation_lowers_the_support_loss(name, estimator):
    learner, train, _, _ = case(name, estimator)
    support = one(episodes()).support
    fast, info = jax.jit(learner.adapt)(train.params, train.state, support, jax.random.key(0))
    outputs, _ = learner.predict(train.params, train.state, fast, support.inputs, jax.random.key(0), False)
    after = weighted_mean(cross_entropy(outputs, support.targets), support.weight)
    if name in CLOSED_FORM:
        assert after < np.log(WAYS)
    else:
        assert info["loss"].shape == (STEPS,)
        assert after < info["loss"][-1] < info["loss"][0]


@every_learner
def test_a_poisoned_task_is_masked(name, estimator):
    _, train, update, gradient = case(name, estimator)
    batch = episodes()
    healthy = [gradient(train, one(batch, i)) for i in (0, 2, 3, 4)]
    expected = jax.tree.map(lambda p, *g: p - np.mean(np.stack(g), axis=0), train.params, *healthy)
    for poison in (np.nan, np.inf, 1e38):
        inputs = batch.query.inputs
        spoilt_inputs = inputs._replace(values=inputs.values.at[1].mul(poison))
        updated, metrics = update(train, batch._replace(query=batch.query._replace(inputs=spoilt_inputs)))
        assert int(metrics["masked"]) == 1, poison
        chex.assert_trees_all_close(updated.params, expected, atol=2e-6)


@every_learner
def test_all_tasks_poisoned_changes_only_the_step(name, estimator):
    _, train, update, _ = case(name, estimator)
    inputs = episodes().query.inputs
    spoilt_inputs = inputs._replace(values=inputs.values * np.nan)
    after, metrics = update(train, episodes()._replace(query=episodes().query._replace(inputs=spoilt_inputs)))
    assert int(metrics["masked"]) == TASKS and int(after.step) == 1
    chex.assert_trees_all_equal(after[2:], train[2:])


@every_learner
def test_evaluation_gives_one_row_per_episode(name, estimator):
    learner, train, _, _ = case(name, estimator)
    evaluate = jax.jit(make_evaluate(learner, {"loss": cross_entropy}, microbatch=2))
    rows = evaluate(train.params, train.state, episodes(), jax.random.key(0))
    assert rows["loss"].shape == (TASKS,)
    episode = one(episodes(), 3)
    fast, _ = jax.jit(learner.adapt)(train.params, train.state, episode.support, jax.random.key(0))
    outputs, _ = learner.predict(train.params, train.state, fast, episode.query.inputs, jax.random.key(0), False)
    np.testing.assert_allclose(rows["loss"][3], np.mean(cross_entropy(outputs, episode.query.targets)), rtol=1e-5)
