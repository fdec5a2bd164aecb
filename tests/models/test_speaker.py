"""Networks that tell who speaks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta import Ragged
from jaxmeta.models.acoustic import Size, count_weights, recogniser
from jaxmeta.models.clip_encoders import residual
from jaxmeta.models.speaker import AttentiveStatistics, part, speaker, text_and_speaker, word_and_speaker
from tests.programs import compiled, fast_among, jitted

KEY = jax.random.key(0)
SMALL = {"width": 16, "embedding": 6, "frames": 16}
BUILD = {
    "speaker": lambda outputs: speaker(outputs, **SMALL),
    "word_and_speaker": lambda outputs: word_and_speaker(outputs, **SMALL),
    "text_and_speaker": lambda outputs: text_and_speaker(5, "dnn", Size(8, 1), outputs=outputs, embedding=6),
}


def clips(frames=20, garbage=0.0):
    values = np.random.default_rng(0).normal(size=(3, 20, 8)).astype(np.float32)
    lengths = np.array([20, 11, 7], np.int32)
    padded = np.full((3, frames, 8), garbage, np.float32)
    for row, length in enumerate(lengths):
        padded[row, :length] = values[row, :length]
    return Ragged(jnp.asarray(padded), jnp.asarray(lengths))


def voices(outputs):
    return outputs["speaker"] if isinstance(outputs, dict) else outputs


@functools.cache
def build(name):
    """A network that embeds, and one that tells four training speakers; with their weights."""
    pair = [jitted(BUILD[name](outputs)) for outputs in (None, 4)]
    return [(model, *model.init(KEY, clips())) for model in pair]


@pytest.mark.parametrize("name", fast_among(BUILD, "speaker"))
def test_embeddings_are_unit_vectors_and_padding_is_inert(name):
    (model, params, state), _ = build(name)
    actual = voices(model.apply(params, state, clips(), KEY, False)[0])
    assert actual.shape == (3, 6)
    np.testing.assert_allclose(np.linalg.norm(actual, axis=1), 1, rtol=1e-5)
    longer = voices(model.apply(params, state, clips(28, 50.0), KEY, False)[0])
    np.testing.assert_allclose(longer, actual, atol=2e-5)  # another order of float32 sums


@pytest.mark.parametrize("name", fast_among(BUILD, "speaker"))
def test_training_speakers_are_told_by_cosines_of_the_same_embeddings(name):
    (encoder, _, _), (model, params, state) = build(name)
    cosines = voices(model.apply(params, state, clips(), KEY, True)[0])
    alone = voices(encoder.apply(params, state, clips(), KEY, True)[0])
    head = params["speaker"]["head"]
    expected = alone @ (head / np.linalg.norm(head, axis=1, keepdims=True)).T
    np.testing.assert_allclose(cosines, expected, atol=1e-6)


def test_what_is_said_is_embedded_as_by_the_networks_of_one_task():
    (fused, params, _), _ = build("word_and_speaker")
    words = jitted(residual(width=16, frames=16))
    expected, _ = words.apply({"body": params["body"]}, {}, clips(), KEY, False)
    np.testing.assert_array_equal(fused.apply(params, {}, clips(), KEY, False)[0]["word"], expected)
    np.testing.assert_array_equal(part(fused, "word").apply(params, {}, clips(), KEY, False)[0], expected)
    (text, params, _), _ = build("text_and_speaker")
    alone = jitted(recogniser(5, "dnn", Size(8, 1)))
    weights, _ = alone.init(KEY, clips())
    both = params | weights
    actual, expected = (
        text.apply(both, {}, clips(), KEY, False)[0]["text"],
        alone.apply(weights, {}, clips(), KEY, False),
    )
    np.testing.assert_array_equal(actual.values, expected[0].values)


def test_attentive_statistics_are_weighted_mean_and_deviation():
    pool = AttentiveStatistics(5)
    inputs = clips()
    variables = compiled(pool.init)(KEY, *inputs)
    actual = compiled(pool.apply)(variables, *inputs)
    second, first = variables["params"]["Dense_0"], variables["params"]["Dense_1"]
    for row, length in enumerate(inputs.lengths):
        values = np.asarray(inputs.values[row, :length], np.float64)
        scores = np.tanh(values @ first["kernel"] + first["bias"]) @ second["kernel"] + second["bias"]
        weights = np.exp(scores) / np.exp(scores).sum(0)
        mean = (weights * values).sum(0)
        deviation = np.sqrt((weights * values**2).sum(0) - mean**2) - np.sqrt(1e-5)
        np.testing.assert_allclose(actual[row], np.concatenate([mean, deviation]), rtol=1e-4, atol=1e-5)


def test_a_row_without_frames_gives_zeros_and_finite_slopes():
    pool, values = AttentiveStatistics(5), clips().values
    lengths = jnp.array([20, 0, 1])
    variables = compiled(pool.init)(KEY, values, lengths)
    value_and_grad = compiled(jax.value_and_grad(lambda v: jnp.sum(pool.apply(v, values, lengths)[1] ** 2)))
    actual, slopes = value_and_grad(variables)
    assert actual == 0 and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


def test_sizes_are_those_that_are_promised():
    inputs = Ragged(jnp.zeros((1, 8, 64)), jnp.full(1, 8, jnp.int32))
    assert 0.15e6 < count_weights(speaker(width=96), inputs) < 0.25e6
    assert 1.8e6 < count_weights(speaker(width=328), inputs) < 2.1e6
