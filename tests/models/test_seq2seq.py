"""The encoder-decoder: causality, inert padding, the joint loss, and exact meta-gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta import Batch, Episode, Ragged, check_estimator, maml, mixed_mode
from jaxmeta.models.acoustic import Size
from jaxmeta.models.seq2seq import Written, joint_loss, seq2seq, teacher_forced
from jaxmeta.sequence_losses import ctc, sequence_cross_entropy

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
NETWORK = seq2seq(5, "gru", Size(8, 1), decoder_layers=1, heads=2)


def batch(labels_width=3, frames=16, fill=0.0):
    speech = np.full((2, frames, 6), fill)
    speech[0, :16], speech[1, :9] = np.random.default_rng(1).normal(size=(16, 6)), 1.0
    labels = np.zeros((2, labels_width), np.int32)
    labels[0, :3], labels[1, :1] = (1, 2, 2), 4
    lengths = jnp.array([16, 9], jnp.int32)
    targets = Ragged(jnp.asarray(labels), jnp.array([3, 1], jnp.int32))
    return teacher_forced(Batch(Ragged(jnp.asarray(speech), lengths), targets, jnp.ones(2)))


def test_the_prefix_is_the_start_and_then_the_labels():
    np.testing.assert_array_equal(batch().inputs.prefix, [[0, 1, 2, 2], [0, 4, 0, 0]])


def test_padding_of_speech_and_labels_is_inert():
    with jax.enable_x64(True):
        loss = joint_loss(ctc, sequence_cross_entropy)
        params, state = NETWORK.model.init(KEY, batch().inputs)

        def value(batch):
            return loss(NETWORK.model.apply(params, state, batch.inputs, KEY, True)[0], batch.targets)

        np.testing.assert_allclose(value(batch(6, 21, np.nan)), value(batch()), atol=1e-12)


def test_a_later_label_changes_no_earlier_prediction():
    inputs = batch().inputs
    params, state = NETWORK.model.init(KEY, inputs)
    changed = inputs._replace(prefix=inputs.prefix.at[0, 2].set(3))
    before, after = (NETWORK.model.apply(params, state, x, KEY, False)[0].attention for x in (inputs, changed))
    np.testing.assert_allclose(after[0, :2], before[0, :2], atol=1e-6)
    assert not np.allclose(after[0, 2:], before[0, 2:], atol=1e-4)


def test_the_two_halves_are_the_whole():
    inputs = batch().inputs
    params, state = NETWORK.model.init(KEY, inputs)
    whole, _ = NETWORK.model.apply(params, state, inputs, KEY, False)
    memory, logits = NETWORK.encode(params, inputs.speech)
    np.testing.assert_allclose(logits.values, whole.ctc.values, atol=1e-6)
    scores = NETWORK.score(params, memory, logits.lengths, inputs.prefix)
    np.testing.assert_allclose(scores, jax.nn.log_softmax(whole.attention), atol=1e-5)


def test_the_joint_loss_weighs_ctc_and_a_cross_entropy_that_counts_the_end():
    frames, rows = jnp.array([6, 6], jnp.int32), RNG.normal(size=(2, 6, 5))
    attention = RNG.normal(size=(2, 4, 5))
    outputs, targets = Written(Ragged(jnp.asarray(rows), frames), jnp.asarray(attention)), batch().targets
    log_p = np.asarray(jax.nn.log_softmax(attention))
    sequence = [-(log_p[0, [0, 1, 2, 3], [1, 2, 2, 0]].sum()), -(log_p[1, [0, 1], [4, 0]].sum())]
    expected = 0.25 * ctc(outputs.ctc, targets) + 0.75 * np.array(sequence)
    np.testing.assert_allclose(joint_loss(ctc, sequence_cross_entropy, 0.25)(outputs, targets), expected, rtol=1e-5)
    with pytest.raises(ValueError, match=r"weight must lie in \[0, 1\], got 2"):
        joint_loss(ctc, sequence_cross_entropy, 2)


def test_mixed_mode_is_exact_for_the_joint_loss():
    loss = joint_loss(ctc, sequence_cross_entropy)
    with jax.enable_x64(True):
        episode = Episode(batch(), batch())
        build = partial(maml, NETWORK.model, loss, optax.sgd(0.01), 2)
        assert check_estimator(build, episode, mixed_mode()) == {}
