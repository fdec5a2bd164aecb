"""Inner optimizers in float64: through MAML against finite differences, at a gradient of zero against closed forms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Inner, Model, first_order, maml, mixed_mode, truncated, unrolled
from jaxmeta import optimizers as safe
from jaxmeta.losses import squared_error
from tests.programs import compiled, fast_among, ravel

pytestmark = pytest.mark.usefixtures("float64")
KEY = jax.random.key(0)
RATE, EPS_ROOT = 0.1, 1e-3


def network():
    """Five hidden units, of which the first is dead: all its gradients are exactly 0."""

    def init(key, inputs):
        first, second = jax.random.split(key)
        return {
            "body": {"kernel": jax.random.normal(first, (3, 5)), "bias": jnp.zeros(5).at[0].set(-1e3)},
            "head": jax.random.normal(second, (5,)) / 2,
        }, {}

    def apply(params, state, inputs, key, train):
        return jax.nn.relu(inputs @ params["body"]["kernel"] + params["body"]["bias"]) @ params["head"], state

    return Model(init, apply)


def problem():
    rng = np.random.default_rng(0)
    batch = lambda n: Batch(*map(jnp.asarray, (rng.normal(size=(n, 3)), rng.normal(size=n), np.ones(n))))  # noqa: E731
    episode = Episode(batch(6), batch(8))
    return compiled(network().init)(KEY, episode.support.inputs)[0], episode


def value_and_gradient(optimizer, estimator, steps=4):
    params, episode = problem()
    learner = maml(network(), squared_error, optimizer, steps, estimator)
    return params, compiled(jax.value_and_grad(lambda params: learner.meta_loss(params, {}, episode, KEY)[0]))


def only_matrices(params):
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


SAFE = {
    "adam": safe.adam(RATE),
    "adam with a schedule": safe.adam(optax.linear_schedule(RATE, 0.0, 4)),
    "adamw": safe.adamw(RATE, weight_decay=0.1),
    "rmsprop": safe.rmsprop(RATE, momentum=0.5),
    # The norms of the gradients are 0.66, 0.63, 0.54 and 0.47: two on each side of the threshold.
    "clipping": optax.chain(safe.clip_by_global_norm(0.58), optax.sgd(RATE)),
    "momentum": optax.sgd(RATE, momentum=0.9, nesterov=True),
    "schedule": optax.sgd(optax.cosine_decay_schedule(RATE, 5)),
    "masked": optax.chain(optax.masked(safe.adam(1.0), only_matrices), optax.sgd(RATE)),
}


@pytest.mark.parametrize("optimizer", fast_among(SAFE, "adam", "rmsprop", "clipping"))
def test_meta_gradients_match_finite_differences(optimizer):
    params, function = value_and_gradient(SAFE[optimizer], mixed_mode())
    _, gradient = function(params)
    rng = np.random.default_rng(1)
    params = jax.device_get(params)
    direction = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), params)
    step = 1e-6  # rounding leaves about 1e-10 of the difference; Adam's third derivatives are below 1e6
    ahead, behind = (
        float(function(jax.tree.map(lambda p, d, s=s: p + s * step * d, params, direction))[0]) for s in (1, -1)
    )
    np.testing.assert_allclose(ravel(gradient) @ ravel(direction), (ahead - behind) / (2 * step), rtol=1e-5)


def test_a_dead_unit_poisons_the_meta_gradient_of_plain_adam():
    params, function = value_and_gradient(optax.adam(RATE), unrolled())
    _, gradient = function(params)
    assert not np.isfinite(gradient["body"]["kernel"]).all()


def slope_at(optimizer, gradient, params=None):
    """The derivative of the first update in its own gradient, entry by entry."""

    def update(gradient):
        point = jnp.zeros_like(gradient) if params is None else params
        return optimizer.update(gradient, optimizer.init(point), point)[0]

    return update(gradient), jax.jacrev(update)(gradient)


def compiled_slope_at(optimizer, gradient):
    return compiled(lambda gradient: slope_at(optimizer, gradient))(gradient)


@pytest.mark.parametrize("plain", [optax.adam(RATE), optax.adamw(RATE), optax.clip_by_global_norm(1.0)])
def test_plain_forms_have_no_derivative_at_zero(plain):
    assert not np.isfinite(compiled_slope_at(plain, np.zeros(2))[1]).any()


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize(
    ("factory", "inside"), [(safe.adam, 1.0), (safe.adamw, 1.0), (functools.partial(safe.rmsprop, decay=0.75), 0.25)]
)
def test_safe_forms_step_and_slope_have_the_closed_form(factory, inside, traced):
    """-rate g / sqrt(inside g^2 + eps_root), where inside is what the running mean keeps of the first square."""

    def update(rate):
        options = {"weight_decay": 0.2} if factory is safe.adamw else {}
        params = jnp.array([0.0, 3.0])
        return slope_at(factory(rate, **options), jnp.array([0.0, 0.05]), params)

    step, slope = compiled(update)(RATE) if traced else update(RATE)
    root = np.sqrt(inside * 0.05**2 + EPS_ROOT)
    decay = 0.2 * 3.0 if factory is safe.adamw else 0.0
    # eps = 1e-8 beside a root of 0.03 or more is 3e-7 of it.
    np.testing.assert_allclose(step, [0.0, -RATE * (0.05 / root + decay)], rtol=1e-6)
    np.testing.assert_allclose(slope, np.diag([-RATE / EPS_ROOT**0.5, -RATE * EPS_ROOT / root**3]), rtol=1e-6)


@pytest.mark.parametrize("size", [0.3, 5.0])
def test_clipping_equals_that_of_optax_away_from_zero(size):
    gradient = np.random.default_rng(0).normal(size=4)
    gradient *= size / np.linalg.norm(gradient)
    ours, plain = (
        compiled_slope_at(form(1.0), gradient) for form in (safe.clip_by_global_norm, optax.clip_by_global_norm)
    )
    np.testing.assert_allclose(ours[0], plain[0], rtol=1e-12)
    np.testing.assert_allclose(ours[1], plain[1], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(ours[0]), min(size, 1.0), rtol=1e-12)


def test_clipping_is_the_identity_at_zero():
    step, slope = compiled_slope_at(safe.clip_by_global_norm(1.0), np.zeros(3))
    np.testing.assert_array_equal(step, np.zeros(3))
    np.testing.assert_array_equal(slope, np.eye(3))


def test_clipping_takes_the_norm_over_all_leaves_and_keeps_dtypes():
    gradients = {"a": jnp.array([3.0], jnp.bfloat16), "b": None, "c": jnp.array([[4.0]], jnp.float32)}
    clip = safe.clip_by_global_norm(1.0)
    clipped, _ = clip.update(gradients, clip.init(gradients))
    assert clipped["a"].dtype == jnp.bfloat16 and clipped["c"].dtype == jnp.float32 and clipped["b"] is None
    np.testing.assert_allclose(clipped["a"].astype(float), 0.6, rtol=2**-8)
    np.testing.assert_allclose(clipped["c"], 0.8, rtol=1e-6)


def stateless(update):
    return optax.GradientTransformation(lambda params: optax.EmptyState(), lambda g, slots, params: (update(g), slots))


def halved_until_small(gradients):
    shrink = lambda leaf: jax.lax.while_loop(lambda g: jnp.sum(g**2) > 1, lambda g: g / 2, leaf)  # noqa: E731
    return jax.tree.map(shrink, gradients)


FAST = {"matrix": jnp.ones((2, 3)), "not adapted": None, "vector": jnp.ones(3, jnp.bfloat16)}
ACCEPTED = {
    **SAFE,
    "plain adam": optax.adam(RATE),
    "lbfgs without a line search": optax.lbfgs(RATE, linesearch=None),
    "some leaves stopped": optax.chain(optax.masked(optax.set_to_zero(), only_matrices), optax.sgd(RATE)),
    "some leaves signed": optax.chain(optax.masked(optax.scale_by_sign(), only_matrices), optax.sgd(RATE)),
    "every third step": optax.MultiSteps(optax.sgd(RATE), 3).gradient_transformation(),
}
REFUSED = {
    "sign_sgd": (optax.sign_sgd(RATE), r"derivative of zero.*another optimizer.*first_order\(\) or implicit"),
    "lion": (optax.lion(RATE, weight_decay=0.0), "derivative of zero"),
    "decay alone has a derivative": (optax.lion(RATE, weight_decay=0.1), "derivative of zero"),
    "nothing moves": (optax.set_to_zero(), "derivative of zero"),
    "a loop": (
        stateless(halved_until_small),
        r"no reverse-mode derivative \(.*while_loop.*first_order\(\) or implicit",
    ),
    "line search": (optax.lbfgs(), r"needs more than.*value_fn.*use another optimizer"),
}


@pytest.mark.parametrize("optimizer", ACCEPTED)
def test_what_has_a_derivative_is_accepted(optimizer):
    safe.check_differentiable(ACCEPTED[optimizer], FAST)


@pytest.mark.parametrize("optimizer", REFUSED)
def test_what_has_none_is_an_error_that_names_the_remedy(optimizer):
    transformation, message = REFUSED[optimizer]
    with pytest.raises(ValueError, match=message) as caught:
        safe.check_differentiable(transformation, FAST)
    assert (caught.value.__cause__ is not None) == (optimizer in {"a loop", "line search"})


@pytest.mark.parametrize("estimator", [unrolled(), mixed_mode(), truncated(1)])
def test_exact_estimators_refuse_a_sign(estimator):
    params, episode = problem()
    with pytest.raises(ValueError, match="derivative of zero"):
        maml(network(), squared_error, optax.sign_sgd(RATE), 2, estimator).meta_loss(params, {}, episode, KEY)


@pytest.mark.parametrize("estimator", [first_order(), truncated(0)])
def test_first_order_estimators_take_a_sign(estimator):
    params, function = value_and_gradient(optax.sign_sgd(RATE), estimator, steps=1)
    assert np.isfinite(function(params)[1]["head"]).all()


def test_a_learned_rate_passes_inside_any_transformation():
    inner = Inner(lambda fast, params, state, batch, key: (jnp.sum(fast["w"] ** 2), state), safe.adam, 1)

    def adapted(rate, start):
        return unrolled()(inner)({"w": start}, rate, {}, {}, KEY)[0]["w"]

    starts = jnp.array([0.5, 2.0])
    slopes = compiled(jax.vmap(jax.grad(adapted), (None, 0)))(jnp.array(RATE), starts)
    np.testing.assert_allclose(slopes, -2 * starts / np.sqrt(4 * starts**2 + EPS_ROOT), rtol=1e-6)


def test_the_check_computes_nothing():
    calls = []

    def loud(gradients):
        jax.debug.callback(lambda: calls.append(1))
        return gradients

    safe.check_differentiable(stateless(loud), FAST)
    jax.effects_barrier()
    assert calls == []


def test_nothing_to_move_is_no_error():
    safe.check_differentiable(optax.sgd(RATE), {"not adapted": None})


@pytest.mark.parametrize("factory", [safe.adam, safe.adamw, safe.rmsprop])
def test_no_eps_root_is_an_error(factory):
    with pytest.raises(ValueError, match="eps_root must be above 0, got 0"):
        factory(RATE, eps_root=0.0)


@pytest.mark.parametrize("max_norm", [0, -1.0, float("nan")])
def test_clipping_to_nothing_is_an_error(max_norm):
    with pytest.raises(ValueError, match="max_norm must be above 0"):
        safe.clip_by_global_norm(max_norm)
