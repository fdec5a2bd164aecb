"""Recognisers: inert padding, lengths, sizes, a context vector, and exact meta-gradients through CTC."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Ragged, maml, mixed_mode
from jaxmeta.learners.cavia import cavia
from jaxmeta.models.acoustic import SIZES, Size, count_weights, output_lengths, recogniser, standardise_rows
from jaxmeta.sequence_losses import ctc
from tests.derivatives import slopes
from tests.programs import compiled, fast_among, jitted

KEY = jax.random.key(0)
SMALL = Size(16, 1)
every_encoder = pytest.mark.parametrize("encoder", fast_among(SIZES, "gru", "conformer"))


def speech(frames=24, lengths=(24, 13, 0), seed=0, fill=0.0):
    values = np.random.default_rng(seed).normal(size=(len(lengths), 24, 8))
    padded = np.full((len(lengths), frames, 8), fill)
    for row, value, length in zip(padded, values, lengths, strict=True):
        row[:length] = value[:length]
    return Ragged(jnp.asarray(padded), jnp.asarray(lengths, jnp.int32))


def labels(rows=((1, 2), (3,), ())):
    values = np.zeros((len(rows), 3), np.int32)
    for value, row in zip(values, rows, strict=True):
        value[: len(row)] = row
    return Ragged(jnp.asarray(values), jnp.asarray([len(row) for row in rows], jnp.int32))


@functools.cache
def float64_program(encoder):
    """Outputs of a small recogniser in training, as function of its inputs."""
    model = recogniser(5, encoder, SMALL)
    params, state = compiled(model.init)(KEY, speech())
    assert not state
    return compiled(lambda inputs: model.apply(params, state, inputs, KEY, True)[0])


@every_encoder
def test_padding_is_inert_to_rounding_even_if_nan(encoder):
    with jax.enable_x64(True):
        apply = float64_program(encoder)
        whole, more = apply(speech()), apply(speech(frames=39, fill=np.nan))
        assert whole.values.shape == (3, 6, 5) and more.values.shape == (3, 10, 5)
        np.testing.assert_array_equal(whole.lengths, [6, 4, 0])
        for row, length in enumerate([6, 4, 0]):
            np.testing.assert_allclose(more.values[row, :length], whole.values[row, :length], atol=1e-12)


@every_encoder
def test_rows_do_not_see_each_other(encoder):
    with jax.enable_x64(True):
        apply, inputs, others = float64_program(encoder), speech(), speech(lengths=(24, 8, 24), seed=1)
        values = np.concatenate([inputs.values[:1], others.values[1:]])
        actual, expected = apply(Ragged(jnp.asarray(values), others.lengths)), apply(inputs)
        np.testing.assert_allclose(actual.values[0], expected.values[0], atol=1e-12)
        assert not np.allclose(actual.values[1], expected.values[1])


@pytest.mark.parametrize(("name", "least", "most"), [("tiny", 0.18e6, 0.22e6), ("small", 0.85e6, 1.1e6),
                                                     ("base", 1.9e6, 2.5e6), ("large", 4.9e6, 5.5e6)])  # fmt: skip
@every_encoder
def test_sizes_run_from_a_fifth_of_a_million_to_five_million_weights(encoder, name, least, most):
    inputs = Ragged(jnp.zeros((1, 64, 40)), jnp.array([64]))
    assert least < count_weights(recogniser(28, encoder, name), inputs) < most


def test_output_lengths_are_those_of_the_network():
    model = recogniser(3, "dnn", SMALL)
    inputs = Ragged(jnp.zeros((9, 24, 8)), jnp.arange(9, dtype=jnp.int32))
    lengths = compiled(lambda: model.apply(*model.init(KEY, inputs), inputs, KEY, False)[0].lengths)()
    np.testing.assert_array_equal(lengths, output_lengths(np.arange(9)))


def test_standardised_bands_have_mean_zero_and_deviation_one_over_the_row_alone():
    rows = compiled(standardise_rows)(speech(frames=30, fill=7.0))
    np.testing.assert_allclose(np.asarray(rows[1, :13]).mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(np.asarray(rows[1, :13]).std(0), 1, atol=1e-4)  # 1e-5 is added to the variance
    assert not np.asarray(rows[1, 13:]).any() and not np.asarray(rows[2]).any()


def test_dropout_acts_in_training_alone():
    model = recogniser(4, "conformer", SMALL, dropout=0.5)
    params, state = compiled(model.init)(KEY, speech())
    apply = compiled(lambda key, train: model.apply(params, state, speech(), key, train)[0].values, static_argnums=1)
    first, second = apply(jax.random.key(1), True), apply(jax.random.key(2), True)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(apply(jax.random.key(1), False), apply(jax.random.key(2), False))


def test_a_context_of_zeros_changes_nothing_and_another_one_does():
    plain, model = jitted(recogniser(4, "gru", SMALL)), jitted(recogniser(4, "gru", SMALL, context=3))
    params, state = model.init(KEY, (speech(), jnp.zeros(3)))
    shared = {name: leaf for name, leaf in params.items() if name != "context"}
    expected, _ = plain.apply(shared, state, speech(), KEY, False)
    same, _ = model.apply(params, state, (speech(), jnp.zeros(3)), KEY, False)
    np.testing.assert_array_equal(same.values, expected.values)
    other, _ = model.apply(params, state, (speech(), jnp.ones(3)), KEY, False)
    assert not np.allclose(other.values, expected.values)


def episode():
    batch = Batch(speech(), labels(), jnp.array([1.0, 1.0, 1.0]))
    query = Batch(speech(seed=1), labels(((2, 2), (1, 3), ())), jnp.array([1.0, 1.0, 1.0]))
    return Episode(batch, query)


@pytest.mark.parametrize("encoder", ["gru", pytest.param("conformer", marks=pytest.mark.slow)])
def test_the_meta_gradient_through_ctc_is_that_of_finite_differences_under_mixed_mode_too(encoder):
    with jax.enable_x64(True):
        model = recogniser(4, encoder, Size(8, 1))
        learner = maml(model, ctc, optax.sgd(0.01), 2, mixed_mode())
        params, state = compiled(learner.init)(KEY, episode().support.inputs)
        exact, differences = slopes(lambda p: learner.meta_loss(p, state, episode(), KEY)[0], params)
        np.testing.assert_allclose(exact, differences, rtol=1e-6)


@pytest.mark.slow
def test_a_speaker_vector_adapts_through_ctc():
    learner = cavia(recogniser(4, "dnn", SMALL, context=3), ctc, optax.sgd(0.05), 3, 3, mixed_mode())
    params, state = compiled(learner.init)(KEY, episode().support.inputs)
    fast, info = compiled(learner.adapt)(params, state, episode().support, KEY)
    assert fast.shape == (3,) and info["loss"][-1] < info["loss"][0]


@pytest.mark.parametrize(("arguments", "message"), [(("rnn", "small"), "encoder must be one of dnn"),
                                                    (("gru", "huge"), "size must be one of tiny")])  # fmt: skip
def test_unknown_encoders_and_sizes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        recogniser(4, *arguments)
