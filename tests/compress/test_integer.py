"""Integers through qwix: training that feels the rounding, calibration, inference, and what must be refused."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from jaxmeta import Batch, Episode, Ragged, imaml, maml, mixed_mode, tree, unrolled
from jaxmeta.compress.quantize import dequantise_params
from jaxmeta.estimators import asymmetric, first_order
from jaxmeta.losses import squared_error
from jaxmeta.models.acoustic import Size, recogniser
from jaxmeta.models.clip_encoders import residual
from jaxmeta.models.linen import from_linen
from tests.programs import compiled

pytest.importorskip("qwix", reason='the extra "quant" is not installed')
from jaxmeta.compress.integer import as_trained, aware, calibrated, integer

# qwix asks flax for a name that is deprecated there.
pytestmark = pytest.mark.filterwarnings("ignore:'VariableState' was removed:DeprecationWarning")
KEY = jax.random.key(0)
BUILDS = {
    "words": partial(residual, 5, width=8, frames=8),
    "gru": partial(recogniser, 7, "gru", Size(8, 1)),
    "conformer": partial(recogniser, 7, "conformer", Size(8, 1)),
}


def clips(frames=16, rows=2, seed=0):
    lengths = jnp.full(rows, frames).at[-1].set(frames // 2)
    return Ragged(jax.random.normal(jax.random.key(seed), (rows, frames, 8)), lengths)


@cache
def drawn(name):
    return compiled(BUILDS[name]().init)(KEY, clips())[0]


def outputs(model, params, inputs):
    actual, _ = compiled(lambda params: model.apply(params, {}, inputs, KEY, False))(params)
    return np.asarray(actual.values if isinstance(actual, Ragged) else actual)


def difference(one, other):
    return np.abs(one - other).max() / np.abs(other).max()


@pytest.mark.parametrize(
    "name", [name if name == "gru" else pytest.param(name, marks=pytest.mark.slow) for name in BUILDS]
)
def test_integer_arithmetic_is_what_training_felt(name):
    build, params = BUILDS[name], drawn(name)
    model, stored = integer(build, params, {}, clips())
    actual = outputs(model, stored, clips())
    # Sums of products of integers are exact; what is left is the rounding of float32 around them, and a value that it
    # carries across the border between two codes.
    assert difference(actual, outputs(build(wrap=aware()), params, clips())) < 1e-2
    assert 0 < difference(actual, outputs(build(), params, clips())) < 0.1
    # All matrices are integers but the Conformer's kernels over time, one for each feature.
    leaves = tree.named(params).items()
    matrices = sum(leaf.size for path, leaf in leaves if path.endswith("kernel"))
    depthwise = 15 * 8 if name == "conformer" else 0
    assert sum(leaf.size for leaf in jax.tree.leaves(stored) if leaf.dtype == jnp.int8) == matrices - depthwise
    program = jax.jit(lambda stored: model.apply(stored, {}, clips(), KEY, False)[0]).lower(stored).as_text()
    products = [line for line in program.splitlines() if "dot_general" in line or "stablehlo.convolution" in line]
    weightless = {"words": 2, "gru": 0, "conformer": 2}[name]  # pooling to segments; scores and sums of attention
    assert sum("xi8>" in line for line in products) == len(products) - weightless > 0


@pytest.mark.slow
def test_calibrated_scales_serve_other_recordings_of_other_lengths():
    build, params = BUILDS["gru"], drawn("gru")
    state = calibrated(build(wrap=aware(calibrate=True)), params, [clips(seed=seed) for seed in range(3)])
    model, stored = integer(build, params, state, clips())
    other = clips(frames=24, rows=3, seed=9)
    error = difference(outputs(model, stored, other), outputs(build(), params, other))
    assert 0 < error < 0.2
    assert {leaf.dtype for leaf in jax.tree.leaves(stored)} == {jnp.dtype("int8"), jnp.dtype("float32")}


def rows(shape=(6, 4)):
    return jax.random.normal(jax.random.key(3), shape)


def test_training_feels_rounded_weights_and_moves_them_straight_through():
    model = from_linen(aware(4, activations=False)(nn.Dense(3)))
    params, _ = compiled(model.init)(KEY, rows())
    kernel, x = (np.asarray(array, np.float64) for array in (params["kernel"], rows()))
    stored = as_trained(params, 4)
    assert stored["kernel"].codes.nbytes == 6
    rounded = np.asarray(dequantise_params(stored)["kernel"], np.float64)
    scale = np.abs(kernel).max(0) / 7.5  # qwix lets the outermost codes reach half a step beyond themselves
    # The largest magnitude lies on the border between two codes, and goes to either.
    assert (np.abs(rounded - kernel) <= (0.5 + 1e-4) * scale).all()
    inner = np.abs(kernel) < np.abs(kernel).max(0)
    np.testing.assert_allclose(rounded[inner], (np.round(kernel / scale) * scale)[inner], atol=1e-6)
    np.testing.assert_allclose(outputs(model, params, rows()), x @ rounded, atol=1e-5)
    actual = compiled(jax.grad(lambda params: jnp.square(model.apply(params, {}, rows(), KEY, True)[0]).sum()))(params)
    np.testing.assert_allclose(actual["kernel"], 2 * x.T @ (x @ rounded), rtol=1e-4, atol=1e-4)


class Network(nn.Module):
    @nn.compact
    def __call__(self, inputs):
        return nn.Dense(1)(nn.tanh(nn.Dense(4)(inputs)))


def episode():
    batch = Batch(rows(), rows()[:, :1], jnp.ones(6))
    return Episode(batch, batch)


def meta_gradient(learner):
    params, state = compiled(learner.init)(KEY, episode().support.inputs)
    return compiled(jax.grad(lambda params: learner.meta_loss(params, state, episode(), KEY)[0]))(params)


@pytest.mark.slow
def test_meta_training_through_rounding_needs_unrolled():
    build = partial(maml, loss=squared_error, optimizer=optax.sgd(0.1), steps=2)
    model = from_linen(aware(8)(Network()))
    actual = meta_gradient(build(model, estimator=unrolled()))
    assert all(bool((jnp.isfinite(leaf) & (leaf != 0)).all()) for leaf in jax.tree.leaves(actual))
    with pytest.raises(ValueError, match=r"rounded weights .* as mixed_mode\(\) needs them; use unrolled\(\)"):
        meta_gradient(build(model, estimator=mixed_mode()))
    meta_gradient(build(model, estimator=first_order()))
    meta_gradient(build(from_linen(Network()), estimator=mixed_mode()))
    learner = build(model, estimator=mixed_mode())  # Nothing is wrong with adaptation alone.
    params, state = compiled(learner.init)(KEY, rows())
    compiled(lambda params: learner.adapt(params, state, episode().support, KEY)[0])(params)


def test_implicit_refuses_made_up_derivatives_too():
    def made_up(outputs, targets):
        asymmetric("a loss of this test")
        return squared_error(outputs, targets)

    with pytest.raises(ValueError, match=r"a loss of this test has made-up derivatives.* as implicit\(\) needs them"):
        meta_gradient(imaml(from_linen(Network()), made_up, optax.sgd(0.1), steps=1, strength=1.0))


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match="bits must be 8 or 4, got 3"):
        aware(3)
    with pytest.raises(ValueError, match="there is nothing to calibrate"):
        aware(activations=False, calibrate=True)
    model = from_linen(nn.Dense(3))
    with pytest.raises(ValueError, match="calibrated needs at least one batch"):
        calibrated(model, {}, [])
    params, _ = model.init(KEY, rows())
    with pytest.raises(ValueError, match=r"made with wrap=aware\(calibrate=True\)"):
        calibrated(model, params, [rows()])
