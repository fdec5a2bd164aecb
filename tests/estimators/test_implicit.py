"""The implicit estimator in float64: against closed forms, and against unrolling to convergence."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Inner, Model, unrolled
from jaxmeta.estimators import conjugate_gradients, implicit, neumann, solve_residual
from jaxmeta.learners.imaml import imaml
from jaxmeta.losses import cross_entropy
from jaxmeta.tree import Under, everything
from tests.programs import compiled, fast_among

pytestmark = pytest.mark.usefixtures("float64")
KEY = jax.random.key(0)
SOLVERS = {
    "conjugate gradients": conjugate_gradients(50, tolerance=1e-12),
    # The loss's curvature is below 10, so 0.1 is below 2 / (1 + 10 / STRENGTH); the error falls by 0.9 a term.
    "neumann": neumann(250, 0.1),
}
STRENGTH, RATE, STEPS = 1.0, 0.1, 300
"""The pull alone makes the problem strongly convex: the distance to the minimum falls by 0.9 a step, to 1e-14."""


def network():
    def init(key, inputs):
        body, head = jax.random.split(key)
        return {
            "body": {"kernel": jax.random.normal(body, (4, 6), inputs.dtype) / 2},
            "head": {"kernel": jax.random.normal(head, (6, 3), inputs.dtype) / 2, "bias": jnp.zeros(3, inputs.dtype)},
        }, {}

    def apply(params, state, inputs, key, train):
        hidden = jnp.tanh(inputs @ params["body"]["kernel"])
        return hidden @ params["head"]["kernel"] + params["head"]["bias"], state

    return Model(init, apply)


def problem(dtype=np.float64):
    rng = np.random.default_rng(0)

    def batch(n):
        inputs = rng.normal(size=(n, 4)).astype(dtype)
        return jax.tree.map(jnp.asarray, Batch(inputs, rng.integers(0, 3, n), np.ones(n, dtype)))

    episode = Episode(batch(6), batch(9))
    return network().init(KEY, episode.support.inputs)[0], episode


def gradients(estimator, adapt_only, steps=STEPS, dtype=np.float64):
    """Of the loss on the query set, in the params and in the inputs of the support set."""
    params, episode = problem(dtype)
    learner = imaml(network(), cross_entropy, optax.sgd(RATE), steps, STRENGTH, estimator, adapt_only)

    def loss(params, inputs):
        support = episode.support._replace(inputs=inputs)
        return learner.meta_loss(params, {}, episode._replace(support=support), KEY)[0]

    return compiled(jax.grad(loss, (0, 1)))(params, episode.support.inputs)


@pytest.mark.parametrize("adapt_only", [everything, pytest.param(Under("head"), marks=pytest.mark.slow)])
def test_implicit_equals_unrolled_at_convergence(adapt_only):
    exact = gradients(unrolled(), adapt_only)
    # No leaf is trivially zero, the frozen body of the second case included.
    assert all(jnp.linalg.norm(leaf) > 1e-3 for leaf in jax.tree.leaves(exact))
    for solver in SOLVERS.values():
        # 300 steps leave 1e-14 of the distance, 250 terms 4e-12.
        chex.assert_trees_all_close(gradients(implicit(solver), adapt_only), exact, atol=1e-8, rtol=0)


def descent_on_a_quadratic(estimator, steps, start=0.3, frozen=-0.2, target=0.7, strength=0.5):
    """fast' and residual for the loss (fast + frozen - target)^2, as function of (start, frozen, target)."""

    def loss(fast, params, state, batch, key):
        return jnp.sum(jnp.square(fast["w"] + params - batch.targets)), state

    inner = Inner(loss, lambda params: optax.sgd(RATE), steps, proximal=strength)

    def adapted(start, frozen, target):
        batch = Batch(jnp.zeros(1), target[None], jnp.ones(1))
        fast, info = estimator(inner)({"w": start, "not adapted": None}, frozen, {}, batch, KEY)
        return fast["w"], info

    arguments = [jnp.array(value) for value in (start, frozen, target)]
    (fast, info), slopes = compiled(jax.value_and_grad(adapted, (0, 1, 2), has_aux=True))(*arguments)
    return fast, info, slopes


@pytest.mark.parametrize("steps", fast_among([0, 3, 40], 3))
def test_away_from_convergence_the_gradient_is_that_of_the_minimum(steps):
    fast, info, slopes = descent_on_a_quadratic(implicit(conjugate_gradients()), steps)
    # The objective's curvature is 2 + strength; its minimum is (2 (target - frozen) + strength start) / curvature.
    curvature, shrink = 2.5, (1 - RATE * 2.5) ** steps
    minimum = (2 * 0.9 + 0.5 * 0.3) / curvature
    np.testing.assert_allclose(fast, minimum + shrink * (0.3 - minimum), rtol=1e-12)
    np.testing.assert_allclose(info["residual"], curvature * shrink * abs(0.3 - minimum), rtol=1e-10)
    assert info["loss"].shape == (steps,)
    np.testing.assert_allclose(slopes, [0.5 / curvature, -2 / curvature, 2 / curvature], rtol=1e-12)

    _, _, exact = descent_on_a_quadratic(unrolled(), steps)
    own = 0.5 / curvature + shrink * (1 - 0.5 / curvature)
    np.testing.assert_allclose(exact, [own, own - 1, 1 - own], rtol=1e-12)
    # The documented error: what the steps have not yet forgotten of the start.
    np.testing.assert_allclose(exact[0] - slopes[0], 0.8 * shrink, rtol=1e-9)


def linear_problem():
    """A matrix with eigenvalues of 1 and more, as function of a tree with a leaf that does not adapt."""
    rng = np.random.default_rng(1)
    square = rng.normal(size=(5, 5))
    matrix = np.eye(5) + square @ square.T / 2
    v = {"a": jnp.asarray(rng.normal(size=3)), "frozen": None, "b": jnp.asarray(rng.normal(size=2))}

    def matvec(u):
        product = matrix @ jnp.concatenate([u["a"], u["b"]])
        return {"a": product[:3], "frozen": None, "b": product[3:]}

    return matvec, v, np.linalg.solve(matrix, np.concatenate([v["a"], v["b"]]))


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_solver_solves_trees_with_leaves_that_do_not_adapt(solver):
    matvec, v, expected = linear_problem()
    u = compiled(functools.partial(SOLVERS[solver], matvec))(v)
    # 250 terms of rate 0.1 leave less than 0.9^250 = 4e-12.
    np.testing.assert_allclose(np.concatenate([u["a"], u["b"]]), expected, atol=1e-10)
    assert u["frozen"] is None
    assert solve_residual(matvec, u, v) < 1e-10


def test_a_warm_start_is_done_where_there_is_no_curvature():
    v = jnp.array([0.3, -2.0])
    calls = []

    def identity(u):
        jax.debug.callback(lambda: calls.append(1))
        return u

    for warm, products in ((True, 1), (False, 2)):  # the first product is the residual of the start
        calls.clear()
        np.testing.assert_array_equal(conjugate_gradients(warm=warm)(identity, v), v)
        jax.effects_barrier()
        assert len(calls) == products


def test_few_iterations_leave_more_error_than_many():
    matvec, v, expected = linear_problem()
    errors = []
    for iterations in (1, 3, 5):
        u = compiled(functools.partial(conjugate_gradients(iterations, tolerance=0.0), matvec))(v)
        errors.append(np.linalg.norm(np.concatenate([u["a"], u["b"]]) - expected) / np.linalg.norm(expected))
    # As many iterations as dimensions are exact but for rounding.
    assert errors[0] > 0.1 and errors[0] > 2 * errors[1] > 2e3 * errors[2] and errors[2] < 1e-9


def test_neumann_is_the_series_term_by_term():
    v = jnp.array([2.0, -1.0])
    diagonal = jnp.array([1.5, 4.0])
    for terms in (1, 2, 4):
        expected = 0.3 * sum((1 - 0.3 * diagonal) ** j * v for j in range(terms))
        np.testing.assert_allclose(
            compiled(lambda v, terms=terms: neumann(terms, 0.3)(lambda u: diagonal * u, v))(v), expected, rtol=1e-12
        )


def test_solve_residual_is_relative_and_zero_for_nothing_to_solve():
    v = {"a": jnp.array([3.0, 4.0])}
    double = lambda u: jax.tree.map(lambda leaf: 2 * leaf, u)  # noqa: E731
    np.testing.assert_allclose(solve_residual(double, v, v), 1.0)
    zero = jax.tree.map(jnp.zeros_like, v)
    assert solve_residual(double, zero, zero) == 0


def test_any_optimizer_will_do():
    """A sign has no derivative, and is not asked for one; here steps shrink until they have converged."""
    schedule = optax.exponential_decay(0.1, 1, 0.95)

    def loss(fast, params, state, batch, key):
        return jnp.sum(jnp.square(fast - batch.targets)), state

    inner = Inner(loss, lambda params: optax.sign_sgd(schedule), 400, proximal=0.5)
    batch = Batch(jnp.zeros(1), jnp.array([0.7]), jnp.ones(1))
    slope = jax.grad(lambda start: implicit(conjugate_gradients())(inner)(start, {}, {}, batch, KEY)[0])
    np.testing.assert_allclose(compiled(slope)(jnp.array(0.3)), 0.5 / 2.5, rtol=1e-12)


def test_dtypes_are_kept_and_may_be_mixed():
    start = {"half": jnp.array([0.25, -1.0], jnp.bfloat16), "single": jnp.array([2.0], jnp.float32)}

    def loss(fast, params, state, batch, key):
        both = jnp.concatenate([fast["half"].astype(jnp.float32), fast["single"]])
        return jnp.sum(jnp.array([1.0, 2.0, 0.5], jnp.float32) * jnp.square(both)), state

    inner = Inner(loss, lambda params: optax.sgd(RATE), 20, proximal=0.5)

    def total(start):
        fast, _ = implicit(conjugate_gradients())(inner)(start, {}, {}, jnp.zeros(()), KEY)
        return jnp.sum(fast["half"].astype(jnp.float32)) + jnp.sum(fast["single"])

    slopes = compiled(jax.grad(total))(start)
    chex.assert_trees_all_equal_shapes_and_dtypes(slopes, start)
    # 0.5 / (2 c + 0.5); bfloat16 keeps 8 bits.
    np.testing.assert_allclose(slopes["half"].astype(jnp.float32), [0.5 / 2.5, 0.5 / 4.5], rtol=2**-7)
    np.testing.assert_allclose(slopes["single"], [0.5 / 1.5], rtol=2**-7)


@pytest.mark.parametrize("proximal", [0.0, -1.0])
def test_a_problem_without_a_pull_is_an_error_when_built(proximal):
    inner = Inner(lambda *_: None, lambda params: optax.sgd(0.1), 3, proximal=proximal)
    with pytest.raises(ValueError, match=rf"proximal > 0\), got {proximal}.*does not depend on it.*strength"):
        implicit(conjugate_gradients())(inner)


@pytest.mark.parametrize("wrong", [{"iterations": 0}, {"tolerance": -1e-6}])
def test_wrong_conjugate_gradients_are_an_error(wrong):
    with pytest.raises(ValueError, match="iterations >= 1 and tolerance >= 0"):
        conjugate_gradients(**wrong)


@pytest.mark.parametrize(("terms", "rate"), [(0, 0.1), (3, 0.0), (3, float("nan"))])
def test_a_wrong_neumann_series_is_an_error(terms, rate):
    with pytest.raises(ValueError, match=rf"terms >= 1 and rate > 0, got {terms} and {rate}"):
        neumann(terms, rate)
