"""A legacy key and a typed one are the same key, wherever one is taken; and models may keep keys in their state."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Model, first_order, maml, mixed_mode, truncated, unrolled
from jaxmeta.estimators import conjugate_gradients, evolution, forward_only, implicit
from jaxmeta.keys import as_keys, as_numbers, typed
from jaxmeta.learners.imaml import imaml
from jaxmeta.losses import squared_error
from jaxmeta.training import init_state, make_evaluate, make_update

TYPED, LEGACY = jax.random.key(3), jax.random.PRNGKey(3)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 6, 2)).astype(np.float32)
BATCH = Batch(X, X.sum(-1, keepdims=True), np.ones((2, 6), np.float32))
EPISODES = Episode(BATCH, BATCH)
SUPPORT = jax.tree.map(lambda leaf: leaf[0], BATCH)
ESTIMATORS = {
    **{f"{each.__name__} {remat}": each(remat) for each in (unrolled, mixed_mode) for remat in (None, 1, 2, 3, 4, 9)},
    "first order": first_order(), "truncated": truncated(2), "forward only": forward_only(),
    "evolution": evolution(0.1, 2),
}  # fmt: skip


def noisy(params, state, inputs, key, train):
    """A linear model that draws from its key, so that another number of steps or another key is seen."""
    return inputs @ params["w"] + 0.1 * jax.random.normal(key, (inputs.shape[0], 1)), state


def keeping(params, state, inputs, key, train):
    """A linear model that draws from a key in its state, and moves on when it trains."""
    draw, following = jax.random.split(state["key"])
    outputs = inputs @ params["w"] + 0.1 * jax.random.normal(draw, (inputs.shape[0], 1))
    return outputs, {"key": following, "count": state["count"] + 1} if train else state


def model(apply, state):
    return Model(lambda key, inputs: ({"w": jnp.ones((2, 1))}, state), apply)


FAST = ("unrolled None", "unrolled 2", "mixed_mode 3", "forward only")


@pytest.mark.parametrize(
    "estimator", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in ESTIMATORS]
)
def test_adaptation_takes_as_many_steps_and_gives_the_same_with_either_form(estimator):
    learner = maml(model(noisy, {}), squared_error, optax.sgd(0.1), 4, ESTIMATORS[estimator])
    results = [jax.jit(learner.adapt)({"w": jnp.ones((2, 1))}, {}, SUPPORT, key) for key in (TYPED, LEGACY)]
    assert results[0][1]["loss"].shape == results[1][1]["loss"].shape == (() if estimator == "forward only" else (4,))
    np.testing.assert_array_equal(results[0][0]["w"], results[1][0]["w"])


def test_implicit_gradients_are_the_same_with_either_form():
    learner = imaml(model(noisy, {}), squared_error, optax.sgd(0.1), 4, strength=1.0)
    assert implicit(conjugate_gradients()) is not None
    one = jax.tree.map(lambda leaf: leaf[0], EPISODES)
    gradients = [jax.jit(jax.grad(learner.meta_loss, has_aux=True))({"w": jnp.ones((2, 1))}, {}, one, key)[0]
                 for key in (TYPED, LEGACY)]  # fmt: skip
    np.testing.assert_array_equal(gradients[0]["w"], gradients[1]["w"])


def test_training_and_evaluation_are_the_same_with_either_form():
    learner, optimizer = maml(model(noisy, {}), squared_error, optax.sgd(0.1), 2, unrolled(remat=1)), optax.adam(0.1)
    update = jax.jit(make_update(learner, optimizer))
    evaluate = jax.jit(make_evaluate(learner, {"error": squared_error}))
    rows = []
    for key in (TYPED, LEGACY):
        train = init_state(learner, optimizer, key, SUPPORT.inputs)
        train, metrics = update(train, EPISODES)
        rows.append((train.params["w"], metrics["loss"], evaluate(train.params, {}, EPISODES, key)["error"]))
    for one, other in zip(*rows, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("form", ["typed", "legacy"])
@pytest.mark.parametrize(
    "estimator",
    [
        unrolled(remat=2),
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in (unrolled(), mixed_mode(), first_order(), evolution(0.1, 1))
        ),
    ],
)
def test_models_may_keep_a_key_in_their_state(estimator, form):
    key = TYPED if form == "typed" else LEGACY
    learner = maml(
        model(keeping, {"key": key, "count": jnp.zeros((), jnp.int32)}), squared_error, optax.sgd(0.1), 3, estimator
    )
    optimizer = optax.sgd(0.1)
    train = init_state(learner, optimizer, TYPED, SUPPORT.inputs)
    after, metrics = jax.jit(make_update(learner, optimizer))(train, EPISODES)
    assert np.isfinite(metrics["loss"]) and metrics["masked"] == 0
    assert after.state["key"].dtype == key.dtype
    # The query pass is the only one whose state is kept: one split, the same in every task.
    np.testing.assert_array_equal(as_numbers(after.state["key"]), as_numbers(jax.random.split(key)[1]))
    assert int(after.state["count"]) == 1


def test_keys_become_numbers_and_keys_again():
    tree = {"one": TYPED, "many": jax.random.split(TYPED, 3), "legacy": LEGACY, "x": jnp.ones(2)}
    again = as_keys(as_numbers(tree), tree)
    assert jax.tree.map(lambda leaf: leaf.dtype, again) == jax.tree.map(lambda leaf: leaf.dtype, tree)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), again, tree))


@pytest.mark.parametrize("wrong", [0, 3.0, jnp.zeros(2), None, jnp.uint32(3)])
def test_what_is_no_key_is_refused_with_the_remedy(wrong):
    with pytest.raises(ValueError, match=r"make one from a seed by jax\.random\.key"):
        typed(wrong)
