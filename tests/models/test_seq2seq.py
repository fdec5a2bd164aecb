"""The encoder-decoder: causality, inert padding, the joint loss, and exact meta-gradients."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, MetaLearner, Ragged, check_estimator, maml, mixed_mode
from jaxmeta.models.acoustic import Size
from jaxmeta.models.seq2seq import Written, joint_loss, seq2seq, teacher_forced, teacher_forcing
from jaxmeta.sequence_losses import ctc, sequence_cross_entropy
from tests.derivatives import slopes
from tests.programs import compiled

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
NETWORK = seq2seq(5, "gru", Size(8, 1), decoder_layers=1, heads=2)


@cache
def weights():
    return compiled(NETWORK.model.init)(KEY, batch().inputs)


def outputs(inputs):
    return apply(*weights(), inputs)


@compiled
def apply(params, state, inputs):
    return NETWORK.model.apply(params, state, inputs, KEY, False)[0]


def batch(labels_width=3, frames=16, fill=0.0):
    speech = np.full((2, frames, 6), fill)
    # No row is constant: its variance would be a rounding error, at a corner of layer normalisation.
    speech[0, :16], speech[1, :9] = np.split(np.random.default_rng(1).normal(size=(25, 6)), [16])
    labels = np.zeros((2, labels_width), np.int32)
    labels[0, :3], labels[1, :1] = (1, 2, 2), 4
    lengths = jnp.array([16, 9], jnp.int32)
    targets = Ragged(jnp.asarray(labels), jnp.array([3, 1], jnp.int32))
    return teacher_forced(Batch(Ragged(jnp.asarray(speech), lengths), targets, jnp.ones(2)))


def test_the_prefix_is_the_start_and_then_the_labels():
    np.testing.assert_array_equal(batch().inputs.prefix, [[0, 1, 2, 2], [0, 4, 0, 0]])


def test_activations_are_halved_once_and_log_mels_twice():
    for activations, frames in ((True, 8), (False, 4)):
        model = seq2seq(5, "dnn", Size(8, 1), decoder_layers=1, heads=2, activations=activations).model
        written = jax.eval_shape(
            lambda model=model: model.apply(model.init(KEY, batch().inputs)[0], {}, batch().inputs, KEY, False)
        )[0]
        assert written.ctc.values.shape == (2, frames, 5) and written.attention.shape == (2, 4, 5)


def test_padding_of_speech_and_labels_is_inert():
    with jax.enable_x64(True):
        loss = joint_loss(ctc, sequence_cross_entropy)
        params, state = compiled(NETWORK.model.init)(KEY, batch().inputs)

        @compiled
        def value(batch):
            return loss(NETWORK.model.apply(params, state, batch.inputs, KEY, True)[0], batch.targets)

        np.testing.assert_allclose(value(batch(6, 21, np.nan)), value(batch()), atol=1e-12)


def test_a_later_label_changes_no_earlier_prediction():
    inputs = batch().inputs
    changed = inputs._replace(prefix=inputs.prefix.at[0, 2].set(3))
    before, after = (np.asarray(outputs(each).attention) for each in (inputs, changed))
    np.testing.assert_allclose(after[0, :2], before[0, :2], atol=1e-6)
    assert not np.allclose(after[0, 2:], before[0, 2:], atol=1e-4)


def test_the_two_halves_are_the_whole():
    inputs = batch().inputs
    (params, _), whole = weights(), outputs(inputs)
    memory, logits = compiled(NETWORK.encode)(params, inputs.speech)
    np.testing.assert_allclose(logits.values, whole.ctc.values, atol=1e-6)
    scores = compiled(NETWORK.score)(params, memory, logits.lengths, inputs.prefix)
    np.testing.assert_allclose(scores, jax.nn.log_softmax(whole.attention), atol=1e-5)


def test_the_joint_loss_weighs_ctc_and_a_cross_entropy_that_counts_the_end():
    frames, rows = jnp.array([6, 6], jnp.int32), RNG.normal(size=(2, 6, 5))
    attention = RNG.normal(size=(2, 4, 5))
    outputs, targets = Written(Ragged(jnp.asarray(rows), frames), jnp.asarray(attention)), batch().targets
    log_p = np.asarray(jax.nn.log_softmax(attention))
    sequence = [-(log_p[0, [0, 1, 2, 3], [1, 2, 2, 0]].sum()), -(log_p[1, [0, 1], [4, 0]].sum())]
    loss = joint_loss(ctc, sequence_cross_entropy, 0.25)
    alone, actual = compiled(lambda outputs: (ctc(outputs.ctc, targets), loss(outputs, targets)))(outputs)
    np.testing.assert_allclose(actual, 0.25 * alone + 0.75 * np.array(sequence), rtol=1e-5)
    with pytest.raises(ValueError, match=r"weight must lie in \[0, 1\], got 2"):
        joint_loss(ctc, sequence_cross_entropy, 2)


@pytest.mark.slow
def test_the_meta_gradient_of_the_joint_loss_is_that_of_finite_differences_under_mixed_mode():
    with jax.enable_x64(True):
        model = seq2seq(5, "dnn", Size(8, 1), decoder_layers=1, heads=2).model
        learner = maml(model, joint_loss(ctc, sequence_cross_entropy), optax.sgd(0.01), 2, mixed_mode())
        params, state = compiled(learner.init)(KEY, batch().inputs)
        episode = Episode(batch(), batch())
        exact, differences = slopes(lambda p: learner.meta_loss(p, state, episode, KEY)[0], params)
        np.testing.assert_allclose(exact, differences, rtol=1e-6)


@pytest.mark.slow
def test_mixed_mode_is_exact_for_the_joint_loss():
    loss = joint_loss(ctc, sequence_cross_entropy)
    with jax.enable_x64(True):
        episode = Episode(batch(), batch())
        build = partial(maml, NETWORK.model, loss, optax.sgd(0.01), 2)
        assert check_estimator(build, episode, mixed_mode()) == {}


def speech_and_labels(number: int, labels: list[list[int]]) -> Batch:
    lengths = jnp.array([len(row) for row in labels])
    padded = jnp.array([row + [0] * (4 - len(row)) for row in labels])
    speech = Ragged(jnp.zeros((number, 16, 12)), jnp.full(number, 16))
    return Batch(speech, Ragged(padded, lengths), jnp.ones(number))


def test_a_decoder_sees_the_labels_before_each_in_training_and_in_adaptation():
    seen = {}

    def keep(name, result):
        def function(params, state, data, key):
            seen[name] = data
            return result

        return function

    learner = teacher_forcing(MetaLearner(None, keep("support", (0, {})), None, keep("episode", (0.0, {}))))
    support, query = speech_and_labels(1, [[3, 4]]), speech_and_labels(2, [[5], [6, 7, 8, 9]])
    learner.adapt(None, None, support, None)
    learner.meta_loss(None, None, Episode(support, query), None)
    assert seen["support"].inputs.prefix.tolist() == [[0, 3, 4, 0, 0]]
    assert seen["episode"].support.inputs.prefix.tolist() == [[0, 3, 4, 0, 0]]
    assert seen["episode"].query.inputs.prefix.tolist() == [[0, 5, 0, 0, 0], [0, 6, 7, 8, 9]]
    np.testing.assert_array_equal(seen["episode"].query.inputs.speech.lengths, [16, 16])
