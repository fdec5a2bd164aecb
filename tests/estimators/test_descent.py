"""Meta-gradients in float64: against finite differences, closed forms and each other."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Inner, Model, anil, first_order, forward_only, maml, mixed_mode, truncated, unrolled
from jaxmeta.losses import cross_entropy, squared_error
from tests.derivatives import slopes
from tests.problem import STEPS, WAYS, episodes, network, one
from tests.programs import compiled, fast_among

pytestmark = pytest.mark.usefixtures("float64")
EXACT = {"unrolled": unrolled(), "mixed_mode": mixed_mode(), "truncated to all steps": truncated(STEPS)}
OPTIMIZERS = {"sgd": optax.sgd(0.2), "momentum": optax.sgd(0.2, momentum=0.9), "adam": optax.adam(0.1, eps_root=1e-3)}


def meta_gradient(learner, params, episode):
    def loss(params):
        return learner.meta_loss(params, {}, episode, jax.random.key(0))[0]

    program = compiled(jax.value_and_grad(loss))
    return program(params), program


def problem(seed=0):
    episode = one(episodes(seed, dtype=np.float64))
    params, _ = compiled(network(WAYS).init)(jax.random.key(seed), episode.support.inputs)
    return jax.device_get(params), episode


@pytest.mark.parametrize("factory", fast_among([maml, anil], maml))
@pytest.mark.parametrize("estimator", EXACT)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_exact_estimators_match_finite_differences(factory, estimator, optimizer):
    params, episode = problem()
    learner = factory(network(WAYS), cross_entropy, OPTIMIZERS[optimizer], STEPS, EXACT[estimator])
    slope, expected = slopes(lambda params: learner.meta_loss(params, {}, episode, jax.random.key(0))[0], params)
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


@pytest.mark.parametrize("factory", fast_among([maml, anil], maml))
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_mixed_mode_equals_unrolled(factory, optimizer):
    params, episode = problem(1)
    gradients = [
        meta_gradient(factory(network(WAYS), cross_entropy, OPTIMIZERS[optimizer], STEPS, each), params, episode)[0]
        for each in (unrolled(), mixed_mode())
    ]
    chex.assert_trees_all_close(*gradients, rtol=1e-10, atol=1e-12)


def test_mixed_mode_carries_the_gradient_of_the_inner_losses_and_of_the_support_inputs():
    params, episode = problem(2)

    def loss(estimator, params, values):
        learner = maml(network(WAYS), cross_entropy, optax.sgd(0.2), STEPS, estimator)
        support = episode.support._replace(inputs=episode.support.inputs._replace(values=values))
        fast, info = learner.adapt(params, {}, support, jax.random.key(0))
        return info["loss"].sum() + optax.tree.vdot(fast, fast)

    values = episode.support.inputs.values
    exact, mixed = (
        compiled(jax.grad(loss, (1, 2)), static_argnums=0)(e, params, values) for e in (unrolled(), mixed_mode())
    )
    chex.assert_trees_all_close(exact, mixed, rtol=1e-9, atol=1e-11)


def constant_model():
    """outputs = body + head, whatever the input."""

    def apply(params, state, inputs, key, train):
        return jnp.broadcast_to(params["body"] + params["head"], inputs.shape), state

    return Model(lambda key, inputs: ({"body": jnp.array(0.3), "head": jnp.array(-1.1)}, {}), apply)


def constant_episode(support, query):
    batch = lambda y: Batch(jnp.zeros(1), jnp.array([y]), jnp.ones(1))  # noqa: E731
    return Episode(batch(support), batch(query))


RATE, SUPPORT, QUERY = 0.15, 0.7, -0.4
SHRINK = 1 - 2 * RATE
"""What a step on (head - target)^2 multiplies head - target by."""


@pytest.mark.parametrize(
    ("estimator", "exact_steps"),
    [(unrolled(), 3), (mixed_mode(), 3), (first_order(), 0), (truncated(0), 0), (truncated(2), 2), (truncated(3), 3)],
)
def test_anil_on_a_quadratic_has_the_closed_form(estimator, exact_steps):
    learner = anil(constant_model(), squared_error, optax.sgd(RATE), 3, estimator)
    params = {"body": jnp.array(0.3), "head": jnp.array(-1.1)}
    ((_, gradient), _) = meta_gradient(learner, params, constant_episode(SUPPORT, QUERY))
    # body + head after three steps, and the residual on the query.
    residual = SUPPORT + SHRINK**3 * (0.3 - 1.1 - SUPPORT) - QUERY
    # The head's path through a stopped step is the identity, through an exact one SHRINK; the body's own path is 1
    # and its path through the head's steps sums to SHRINK**exact_steps - 1.
    expected = 2 * residual * SHRINK**exact_steps
    np.testing.assert_allclose(gradient["head"], expected, rtol=1e-12)
    np.testing.assert_allclose(gradient["body"], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("estimator", "exact_steps"), [(unrolled(), 3), (mixed_mode(), 3), (first_order(), 0), (truncated(1), 1)]
)
def test_maml_on_a_quadratic_has_the_closed_form(estimator, exact_steps):
    def apply(params, state, inputs, key, train):
        return jnp.broadcast_to(params, inputs.shape), state

    learner = maml(Model(lambda key, inputs: (jnp.array(0.3), {}), apply), squared_error, optax.sgd(RATE), 3, estimator)
    ((loss, gradient), _) = meta_gradient(learner, jnp.array(0.3), constant_episode(SUPPORT, QUERY))
    residual = SUPPORT + SHRINK**3 * (0.3 - SUPPORT) - QUERY
    np.testing.assert_allclose(loss, residual**2, rtol=1e-12)
    np.testing.assert_allclose(gradient, 2 * residual * SHRINK**exact_steps, rtol=1e-12)


def test_first_order_keeps_the_gradient_of_a_learned_rate():
    """d fast / d rate survives: one step on a quadratic moves by -2 rate residual."""
    from jaxmeta.objective import supervised

    def apply(params, state, inputs, key, train):
        return jnp.broadcast_to(params, inputs.shape), state

    objective = supervised(Model(None, apply), squared_error)
    inner = Inner(lambda fast, params, state, batch, key: objective(fast, state, batch, key), optax.sgd, 1)
    support = constant_episode(SUPPORT, QUERY).support

    def adapted(rate):
        return first_order()(inner)(jnp.array(0.3), rate, {}, support, jax.random.key(0))[0]

    np.testing.assert_allclose(compiled(jax.grad(adapted))(jnp.array(RATE)), -2 * (0.3 - SUPPORT), rtol=1e-12)


def test_no_steps_leave_the_params():
    params, episode = problem()
    adapt = compiled(maml(network(WAYS), cross_entropy, optax.sgd(0.1), 0).adapt)
    fast, info = adapt(params, {}, episode.support, jax.random.key(0))
    chex.assert_trees_all_equal(fast, params)
    assert info["loss"].shape == (0,)


@pytest.mark.parametrize("last", [-1, 4])
def test_truncated_outside_the_steps_is_an_error_when_built(last):
    with pytest.raises(ValueError, match=rf"truncated\(last={last}\).*steps=3"):
        maml(network(WAYS), cross_entropy, optax.sgd(0.1), 3, truncated(last))


def test_negative_steps_are_an_error_when_built():
    with pytest.raises(ValueError, match="steps must be 0 or more, got -1"):
        maml(network(WAYS), cross_entropy, optax.sgd(0.1), -1)


@pytest.mark.parametrize("head", ["haed", "kernel/bias"])
def test_anil_with_a_head_that_matches_nothing_names_the_paths(head):
    params, episode = problem()
    learner = anil(network(WAYS), cross_entropy, optax.sgd(0.1), 1, head=head)
    with pytest.raises(ValueError, match=rf"name='{head}'.*head/kernel"):
        learner.adapt(params, {}, episode.support, jax.random.key(0))


def gradient_through_a_layer(estimator, steps, size):
    """Jitted derivative of the adapted weights [size, size] of a tanh layer in the start and the inputs [3, size]."""

    def loss(fast, params, state, batch, key):
        return jnp.mean(jnp.square(jnp.tanh(batch @ fast) - 1)), state

    solve = estimator(Inner(loss, lambda params: optax.sgd(1.0), steps))

    def adapted(fast, batch):
        return jnp.sum(jnp.square(solve(fast, {}, {}, batch, jax.random.key(0))[0]))

    rng = np.random.default_rng(0)
    arguments = [jnp.asarray(rng.normal(size=shape) / np.sqrt(size)) for shape in ((size, size), (3, size))]
    return jax.jit(jax.grad(adapted, (0, 1))).lower(*arguments).compile(), arguments


@pytest.mark.parametrize("estimator", [unrolled, mixed_mode])
def test_recomputing_steps_changes_no_gradient(estimator):
    stored, *recomputed = (
        gradient(*arguments)
        for remat in (None, 1, 2, 3)
        for gradient, arguments in [gradient_through_a_layer(estimator(remat), 5, 4)]
    )
    for each in recomputed:
        # The same operations, which the compiler may fuse differently.
        chex.assert_trees_all_close(each, stored, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("estimator", [unrolled, mixed_mode])
def test_recomputing_steps_saves_memory(estimator):
    """64 steps stored, against 8 starts of blocks and the 8 steps of one: a quarter, and the temporaries of a step."""
    stored, recomputed = (
        gradient_through_a_layer(estimator(remat), 64, 64)[0].memory_analysis().temp_size_in_bytes
        for remat in (None, 8)
    )
    # At least a copy of the weights a step.
    assert stored > 64 * 64**2 * 8
    assert recomputed < stored / 3


@pytest.mark.parametrize("estimator", [unrolled(), mixed_mode(), first_order()], ids=["unrolled", "mixed", "first"])
def test_a_single_step_is_no_loop(estimator):
    params, episode = problem()
    learner = maml(network(WAYS), cross_entropy, optax.sgd(0.1), 1, estimator)
    gradient = jax.grad(lambda params: learner.meta_loss(params, {}, episode, jax.random.key(0))[0])
    assert "scan" not in str(jax.make_jaxpr(gradient)(params))


@pytest.mark.parametrize("estimator", [unrolled, mixed_mode])
@pytest.mark.parametrize("remat", [0, -1])
def test_recomputing_no_steps_is_an_error(estimator, remat):
    with pytest.raises(ValueError, match=f"remat must be 1 step or more, got {remat}"):
        estimator(remat)


@pytest.mark.parametrize("estimator", [unrolled(), mixed_mode(), first_order()], ids=["unrolled", "mixed", "first"])
def test_a_support_label_that_is_no_class_never_passes_silently(estimator):
    params, episode = problem()
    targets = episode.support.targets.copy()
    targets[0] = WAYS
    support = episode.support._replace(targets=targets)
    learner = maml(network(WAYS), cross_entropy, optax.sgd(0.1), STEPS, estimator)
    (loss, gradient), _ = meta_gradient(learner, params, episode._replace(support=support))
    assert np.isnan(loss)
    weight = support.weight.copy()
    weight[0] = 0
    (loss, gradient), _ = meta_gradient(learner, params, episode._replace(support=support._replace(weight=weight)))
    assert np.isfinite(loss) and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_forward_only_adapts_as_the_others_do_for_any_traced_number_of_steps():
    params, episode = problem()

    @compiled
    def adapt(steps):
        learner = maml(network(WAYS), cross_entropy, OPTIMIZERS["momentum"], steps, forward_only())
        return learner.adapt(params, {}, episode.support, jax.random.key(0))

    for steps in (0, 1, 3):
        plain = compiled(maml(network(WAYS), cross_entropy, OPTIMIZERS["momentum"], steps).adapt)
        expected, info = plain(params, {}, episode.support, jax.random.key(0))
        fast, actual = adapt(steps)
        chex.assert_trees_all_close(fast, expected, rtol=1e-12)
        if steps:
            np.testing.assert_allclose(actual["loss"], info["loss"][-1], rtol=1e-12)
    assert adapt._cache_size() == 1


def test_forward_only_cannot_be_differentiated():
    params, episode = problem()
    learner = maml(network(WAYS), cross_entropy, OPTIMIZERS["sgd"], 2, forward_only())
    with pytest.raises(ValueError, match="Reverse-mode differentiation does not work"):
        meta_gradient(learner, params, episode)
