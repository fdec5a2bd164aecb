"""Pruning: what goes, what stays at zero, and what cannot be pruned."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, losses, maml
from jaxmeta.compress.prune import above, cubic, hold, lottery_ticket, magnitude, masked, n_of_m, pruning, report
from jaxmeta.estimators import mixed_mode, unrolled
from jaxmeta.training import init_state, make_update
from jaxmeta.types import Model
from tests.programs import compiled

PARAMS = {
    "first": {"kernel": jnp.array([[1.0, -8.0], [3.0, 0.5], [-2.0, 7.0]]), "bias": jnp.array([0.1, 0.0])},
    "second": {"kernel": jnp.array([[10.0], [-20.0]])},
}


def count(masks):
    return {
        path: int(leaf.sum()) for path, leaf in zip(("bias", "first", "second"), jax.tree.leaves(masks), strict=True)
    }


def test_global_magnitude_takes_the_smallest_of_all_and_no_bias():
    masks = magnitude(PARAMS, 0.5)
    np.testing.assert_array_equal(masks["first"]["kernel"], [[False, True], [False, False], [False, True]])
    assert count(masks) == {"bias": 2, "first": 2, "second": 2}


def test_layer_magnitude_takes_the_same_share_of_each_leaf():
    assert count(magnitude(PARAMS, 0.5, "layer")) == {"bias": 2, "first": 3, "second": 1}


def test_equal_weights_go_in_their_number():
    masks = magnitude({"kernel": jnp.ones((10, 10))}, 0.37)
    assert int(masks["kernel"].sum()) == 63


def test_a_traced_sparsity_gives_the_same_masks():
    chex.assert_trees_all_equal(jax.jit(lambda s: magnitude(PARAMS, s))(0.25), magnitude(PARAMS, 0.25))


def test_a_threshold_keeps_what_reaches_it():
    np.testing.assert_array_equal(above(PARAMS, 3.0)["first"]["kernel"], [[False, True], [True, False], [False, True]])


@pytest.mark.parametrize("shape", [(8, 5), (3, 3, 4, 6)])
def test_n_of_m_holds_in_every_group(shape):
    kernel = jax.random.normal(jax.random.key(0), shape)
    mask = np.asarray(n_of_m({"kernel": kernel}, 2, 4)["kernel"])
    groups = np.moveaxis(mask, -2, -1).reshape(-1, 4)
    assert (groups.sum(1) == 2).all()
    sizes = np.moveaxis(np.abs(kernel), -2, -1).reshape(-1, 4)
    assert (np.where(groups, sizes, np.inf).min(1) >= np.where(groups, 0, sizes).max(1)).all()


def linear():
    """A linear model of two inputs and outputs, with a bias."""

    def apply(params, state, inputs, key, train):
        return inputs @ params["kernel"] + params["bias"], state

    def init(key, inputs):
        return {"kernel": jnp.array([[1.0, 0.1], [0.2, -3.0]]), "bias": jnp.zeros(2)}, {}

    return Model(init, apply)


def tasks(seed):
    inputs = jax.random.normal(jax.random.key(seed), (2, 2, 5, 2))
    batch = [Batch(part, part @ jnp.ones((2, 2)), jnp.ones((2, 5))) for part in inputs]
    return Episode(*batch)


@pytest.mark.parametrize("estimator", [unrolled(), mixed_mode()], ids=["unrolled", "mixed mode"])
def test_masks_hold_through_a_hundred_inner_and_outer_steps(estimator):
    masks = magnitude(linear().init(None, None)[0], 0.5)
    inner = optax.chain(optax.sgd(0.05, momentum=0.9), hold(masks))
    learner = maml(linear(), losses.squared_error, inner, 5, estimator)
    outer = optax.chain(optax.adam(1e-2), hold(masks))
    state = init_state(learner, outer, jax.random.key(0), jnp.zeros((1, 2)))
    state = state._replace(params=masked(state.params, masks))
    update = compiled(make_update(learner, outer))
    before = state.params
    for number in range(100):
        state = update(state, tasks(number))[0]
    kernel = np.asarray(state.params["kernel"])
    assert (kernel[[0, 1], [1, 0]] == 0).all() and (kernel != np.asarray(before["kernel"])).sum() == 2
    support = jax.tree.map(lambda leaf: leaf[0], tasks(0).support)
    fast, _ = learner.adapt(state.params, state.state, support, jax.random.key(0))
    assert (np.asarray(fast["kernel"])[[0, 1], [1, 0]] == 0).all() and (np.asarray(fast["kernel"]) != kernel).sum() == 2


def test_leaves_that_do_not_move_need_no_mask():
    actual, _ = hold(magnitude(PARAMS, 0.5)).update({"first": None, "second": {"kernel": jnp.ones((2, 1))}}, (), None)
    assert actual["first"] is None and int(actual["second"]["kernel"].sum()) == 2


def test_gradual_pruning_follows_its_schedule_and_ends_sparse():
    params = {"kernel": jax.random.normal(jax.random.key(0), (20, 10)), "bias": jnp.zeros(10)}
    optimizer = optax.chain(optax.sgd(0.1), pruning(cubic(0.8, 0, 40), every=10))
    state = optimizer.init(params)
    zeros = []

    @compiled
    def step(params, state, number):
        updates, state = optimizer.update(jax.tree.map(lambda leaf: jnp.sin(leaf + number), params), state, params)
        return optax.apply_updates(params, updates), state

    for number in range(51):
        params, state = step(params, state, number)
        zeros.append(int((params["kernel"] == 0).sum()))
    left = [1 - (1 - step / 40) ** 3 for step in (0, 10, 20, 30, 40)]
    assert [zeros[step] for step in (0, 10, 20, 30, 40)] == [round(0.8 * share * 200) for share in left]
    assert zeros[9] == zeros[0] and zeros[50] == 160 and (params["bias"] != 0).all()


def test_the_cubic_schedule_is_that_of_its_formula():
    sparsity = cubic(0.9, 100, 500, initial=0.1)
    for step, expected in ((0, 0.1), (100, 0.1), (300, 0.9 - 0.8 * 0.5**3), (500, 0.9), (900, 0.9)):
        assert float(sparsity(step)) == pytest.approx(expected, abs=1e-6)


def test_a_lottery_ticket_is_the_early_weights_that_training_made_large():
    early = {"kernel": jnp.arange(1.0, 9.0).reshape(2, 4)}
    seen = []

    def train(params, masks):
        seen.append(int(masks["kernel"].sum()))
        return {"kernel": jnp.where(masks["kernel"], 10 - params["kernel"], 0)}  # the early small ones become large

    params, masks = lottery_ticket(train, early, 0.75, rounds=2)
    assert seen == [8, 4]
    np.testing.assert_array_equal(params["kernel"], [[1.0, 2.0, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(masks["kernel"], params["kernel"] != 0)


def test_the_report_counts_zeros_and_bytes():
    rows = {row["leaf"]: row for row in report(masked(PARAMS, magnitude(PARAMS, 0.5)))}
    first = rows["first/kernel"]
    assert (first["weights"], first["zeros"], first["bytes"], first["sparse_bytes"]) == (6, 4, 24, 1 + 2 * 4)
    assert rows["second/kernel"]["sparse_bytes"] == 8  # dense is smaller than a bit more
    assert rows["all"]["weights"] == 10 and rows["all"]["sparsity"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: magnitude(PARAMS, 1.0), r"sparsity must lie in \[0, 1\), got 1.0"),
        (lambda: magnitude(PARAMS, 0.5, "block"), "scope must be 'global' or 'layer', got 'block'"),
        (lambda: magnitude(PARAMS, 0.5, prunable=lambda path, leaf: False), "chooses none of first/bias, first/kernel"),
        (lambda: above(PARAMS, -1.0), "threshold must be 0 or more"),
        (lambda: n_of_m(PARAMS, 2, 4), r"multiples of m, got first/kernel of shape \(3, 2\)"),
        (lambda: n_of_m(PARAMS, 3, 2), "got n=3 and m=2"),
        (lambda: cubic(0.5, 10, 10), "got 10 and 10"),
        (lambda: cubic(0.5, 0, 10, 0.6), "got 0.6 and 0.5"),
        (lambda: pruning(cubic(0.5, 0, 1), 0), "every must be 1 or more"),
        (lambda: pruning(cubic(0.5, 0, 1)).update(PARAMS, None), "pruning needs the weights"),
        (lambda: lottery_ticket(lambda p, m: p, PARAMS, 0.5, 0), "rounds must be 1 or more"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
