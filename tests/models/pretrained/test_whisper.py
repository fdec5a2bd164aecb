"""Whisper: padding, short recordings, decoding with a cache, and the parts of the encoder."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxmeta import Ragged
from jaxmeta.models.pretrained.whisper import whisper, whisper_encoder
from jaxmeta.models.pretrained.whispers.favoured import favoured
from jaxmeta.models.seq2seq import Spoken
from tests.models.pretrained.checkpoints import WHISPER, log_mels, random_whisper, whisper_config
from tests.programs import compiled, jitted

pytestmark = pytest.mark.slow
KEY = jax.random.key(0)
CONFIG = whisper_config(WHISPER)
PARAMS = random_whisper(WHISPER)
SPEECH = log_mels([13, 20, 0], 8)


def test_padding_is_inert_and_rows_do_not_depend_on_each_other():
    encode = compiled(whisper(CONFIG).encode)
    together = encode(PARAMS, SPEECH)
    np.testing.assert_array_equal(together.lengths, [7, 10, 0])
    alone = encode(PARAMS, Ragged(SPEECH.values[:1, :13], SPEECH.lengths[:1]))
    np.testing.assert_allclose(together.values[0, :7], alone.values[0], atol=1e-5)
    assert np.isfinite(together.values).all() and not together.values[0, 7:].any()


def test_decoding_with_a_cache_writes_the_likeliest_token_after_the_whole_prefix():
    network = whisper(CONFIG)
    greedy = compiled(
        lambda params, speech: network.greedy(params, network.encode(params, speech), [3, 4], 2, 6, (7,), (9, 20))
    )
    labels = greedy(PARAMS, SPEECH)
    score = jitted(network.model).apply
    for row in range(2):
        prefix = [3, 4]
        for step in range(6):
            # Without a cache: the whole prefix, padded to one length, which later tokens do not change.
            tokens = np.array([prefix + [0] * (8 - len(prefix))] * 3)
            logits = np.array(score(PARAMS, {}, Spoken(SPEECH, tokens), KEY, False)[0][row, len(prefix) - 1])
            logits[[7, 9, 20] if step == 0 else [7]] = -np.inf
            prefix.append(int(np.argmax(logits)))
            if prefix[-1] == 2:
                break
        expected = [token for token in prefix[2:] if token != 2]
        assert labels.values[row, : labels.lengths[row]].tolist() == expected
    assert set(np.asarray(labels.values[0, labels.lengths[0] :])) <= {2}


def test_a_favoured_word_that_cannot_be_completed_changes_nothing():
    network = whisper(CONFIG)

    def greedy(params, words):
        return network.greedy(params, network.encode(params, SPEECH), [3, 4], 2, 6, (7,), words=words)

    usual = compiled(greedy)(PARAMS, None)
    # The bonus is taken back at each place, for 7 is never written; but where the text is cut off, a word may be, too.
    actual = compiled(greedy)(PARAMS, favoured([[5, 6, 7]], 1e4))
    assert usual.lengths[:2].min() == 6
    np.testing.assert_array_equal(actual.values[:2, :4], usual.values[:2, :4])


def test_two_parts_of_the_encoder_are_the_whole():
    whole, lower, upper = (jitted(whisper_encoder(CONFIG, *part)) for part in ((), (None, 1), (1,)))
    expected = whole.apply(PARAMS["encoder"], {}, SPEECH, KEY, False)[0]
    between = lower.apply(PARAMS["encoder"], {}, SPEECH, KEY, False)[0]
    np.testing.assert_allclose(
        upper.apply(PARAMS["encoder"], {}, between, KEY, False)[0].values, expected.values, atol=1e-6
    )
    used = {
        name: set(jax.eval_shape(model.init, KEY, inputs)[0])
        for name, model, inputs in (("lower", lower, SPEECH), ("upper", upper, between))
    }
    assert used == {"lower": {"conv1", "conv2", "embed_positions", "layers_0"}, "upper": {"layers_1", "layer_norm"}}


def test_half_floats_compute_in_the_type_of_the_features():
    half = jax.tree.map(lambda leaf: leaf.astype(np.float16), PARAMS)
    exact = jax.tree.map(lambda leaf: leaf.astype(np.float32), half)
    apply = jitted(whisper(CONFIG).model).apply
    inputs = Spoken(SPEECH, np.array([[3, 4, 5]] * 3))
    logits = apply(half, {}, inputs, KEY, False)[0]
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, apply(exact, {}, inputs, KEY, False)[0], atol=1e-4)


def test_what_is_too_long_for_the_positions_is_refused():
    short = whisper(dataclasses.replace(CONFIG, max_source_positions=9))
    with pytest.raises(ValueError, match=r"positions for 18 frames of log-mels, got 20; cut"):
        jax.eval_shape(short.encode, PARAMS, SPEECH)
    network = whisper(CONFIG)
    with pytest.raises(ValueError, match="positions for 20 tokens, got 22"):
        network.greedy(PARAMS, SPEECH, [3, 4], 2, 20)
    with pytest.raises(ValueError, match="positions for 20 tokens, got 21"):
        jax.eval_shape(network.model.init, KEY, Spoken(SPEECH, np.zeros((3, 21), np.int32)))
