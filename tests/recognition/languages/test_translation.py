"""A translator trains, and writes as many words as it may."""

from functools import partial

import jax
import jax.numpy as jnp

from jaxmeta import Batch, Episode, Ragged, first_order
from jaxmeta.models.acoustic import Size
from jaxmeta.models.seq2seq import seq2seq
from jaxmeta.recognition.languages.translation import translator


def test_a_translator_trains_and_writes_as_many_words_as_it_may():
    """Traced only: its parts fit together."""
    network = seq2seq(11, "gru", Size(8, 1), decoder_layers=1)
    learner = translator(network, 1e-3, 2, first_order(), longest=6, beam=3)
    speech = Ragged(jnp.zeros((5, 16, 12)), jnp.full(5, 16))
    batch = Batch(speech, Ragged(jnp.arange(20).reshape(5, 4) % 11, jnp.array([1, 2, 1, 3, 1])), jnp.ones(5))
    weights, state = jax.eval_shape(learner.init, jax.random.key(0), batch.inputs)
    loss, after = jax.eval_shape(learner.meta_loss, weights, state, Episode(batch, batch), jax.random.key(0))
    assert loss.shape == () and after == state == {}
    assert {"front", "encoder", "head", "embed", "next"} <= set(weights)
    fast, _ = jax.eval_shape(learner.adapt, weights, state, batch, jax.random.key(0))
    predict = partial(learner.predict, train=False)
    texts, _ = jax.eval_shape(predict, weights, state, fast, speech, jax.random.key(0))
    assert texts.values.shape == (5, 6) and texts.lengths.shape == (5,)
