"""The work that is compared: its arrays, its count of operations, and networks that are jaxmeta's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from benchmarks.systems import jax_networks
from benchmarks.systems.agreement import largest_error
from benchmarks.systems.jaxmeta_system import _max_pool
from benchmarks.systems.plain_jax import _convolve
from benchmarks.systems.plain_jax import _max_pool as reduce_window
from benchmarks.workloads import CPU, GPU, QUICK, SEGMENTS, make, pooling
from jaxmeta import Ragged
from jaxmeta.models import clip_encoders
from jaxmeta.models.layers import segment_pool
from tests.programs import compiled, jitted


def one_task(workload):
    return jnp.asarray(workload.episodes["support_x"][0])


@pytest.mark.parametrize(("name", "tasks", "steps"), QUICK)
def test_arrays_are_reproducible_and_have_the_documented_axes_and_types(name, tasks, steps):
    first, second = make(name, tasks, steps, seed=3), make(name, tasks, steps, seed=3)
    for a, b in zip(first.episodes.values(), second.episodes.values(), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.shape[0] == tasks and a.dtype in (np.float32, np.int32)
    assert all(weight.dtype == np.float32 for weight in first.weights.values())
    other = make(name, tasks, steps, seed=4)
    assert any((first.weights[key] != other.weights[key]).any() for key in first.weights)


def test_float64_has_the_same_values_before_rounding():
    single, double = make("sinusoid", 2, 1), make("sinusoid", 2, 1, dtype="float64")
    for key, weight in double.weights.items():
        assert weight.dtype == np.float64
        np.testing.assert_array_equal(weight.astype(np.float32), single.weights[key])


def test_operations_of_the_sinusoid_are_those_counted_by_hand():
    # 40 + 1600 + 40 multiply-adds; backward as many again for weights, and 1640 for inputs: 5000, at 2 each.
    gradient = 2 * (1680 + 1680 + 1640)
    assert make("sinusoid", 25, 1).operations(1) == gradient * (10 + 10)
    assert make("sinusoid", 25, 5).operations(1) == gradient * (5 * 10 + 10)
    assert make("sinusoid", 25, 5).operations(2) == gradient * (3 * 5 * 10 + 10)


@pytest.mark.parametrize("name", ["sinusoid", "conv4", "words"])
def test_products_are_those_in_the_program(name):
    """Counted in the traced forward pass of one example; pooling matrices are no weights and are left out."""
    workload = make(name, 1, 1)
    network = {
        "sinusoid": jax_networks.mlp,
        "conv4": lambda weights, inputs: jax_networks.images(weights, inputs, _convolve, reduce_window),
        "words": lambda weights, inputs: jax_networks.words(weights, inputs, _convolve),
    }[name]
    traced = jax.make_jaxpr(network)(workload.weights, one_task(workload)[:1])
    # A product with weights has 2-D matrices or 4-D kernels on its right; pooling's right side has three axes.
    counted = [
        equation.outvars[0].aval.size * int(np.prod(equation.invars[1].aval.shape[:-1]))
        for equation in traced.eqns
        if equation.primitive.name in ("dot_general", "conv_general_dilated") and equation.invars[1].aval.ndim != 3
    ]
    assert tuple(counted) == workload.products


def test_products_of_the_recogniser_are_those_of_its_sizes():
    frames, gates = 100, 3 * 128
    assert make("ctc", 1, 1).products == (
        frames * 20 * 9 * 32,
        frames * 20 * 32 * 128,
        frames * 2 * (128 * gates + 128 * gates),
        frames * 256 * 32,
    )


def test_every_utterance_has_more_frames_than_its_labels_need():
    episodes = make("ctc", 4, 3).episodes
    for part in ("support", "query"):
        labels = episodes[f"{part}_y"]
        repeats = (labels[..., 1:] == labels[..., :-1]).sum(axis=-1)
        assert (episodes[f"{part}_lengths"] + repeats <= 100).all() and labels.min() >= 1 and labels.max() < 32


def test_words_by_hand_is_the_network_of_jaxmeta():
    workload = make("words", 1, 1)
    clips = one_task(workload)
    params = traverse_util.unflatten_dict(workload.weights, sep="/")
    ragged = Ragged(clips, jnp.full(clips.shape[0], clips.shape[1]))
    theirs, _ = jitted(clip_encoders.conv4(5)).apply(params, {}, ragged, jax.random.key(0), True)
    ours = compiled(lambda weights, clips: jax_networks.words(weights, clips, _convolve))(workload.weights, clips)
    # Sums over 576 products in float32, in another order.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5 * float(jnp.abs(theirs).max()))


def test_pooling_is_that_of_jaxmeta():
    values = np.random.default_rng(0).normal(size=(2, 80, 3)).astype(np.float32)
    expected = compiled(segment_pool, static_argnums=2)(values, np.array([80, 80]), SEGMENTS)
    np.testing.assert_allclose(pooling(80, SEGMENTS) @ values, expected, atol=1e-6)


def test_pooling_by_comparison_is_max_pooling_and_drops_odd_edges():
    values = np.random.default_rng(0).normal(size=(2, 7, 6, 3)).astype(np.float32)
    expected = values[:, :6].reshape(2, 3, 2, 3, 2, 3).max(axis=(2, 4))
    for pool in (_max_pool, reduce_window):
        np.testing.assert_array_equal(compiled(pool)(values), expected)


def test_largest_error_is_relative_to_each_leaf_and_counts_nan():
    reference = {"a": np.array([1.0, -10.0]), "b": np.array([0.1])}
    assert largest_error({"a": np.array([1.5, -10.0]), "b": np.array([0.1])}, reference) == (0.05, "a")
    error, leaf = largest_error({"a": np.array([1.5, -10.0]), "b": np.array([np.nan])}, reference)
    assert np.isnan(error) and leaf == "b"


def test_a_workload_that_is_none_is_refused():
    with pytest.raises(ValueError, match="name must be one of"):
        make("cosine", 1, 1)
    assert {name for name, _, _ in CPU} == {name for name, _, _ in GPU} == {"sinusoid", "conv4", "words", "ctc"}
