"""A Whisper whose weights are stored in fewer bits: what they take, what is written, and what learns on them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmeta.models.layers import speech_form
from jaxmeta.recognition.pretrained.adaptation import AdaptationOptions, learn, recognise
from jaxmeta.recognition.pretrained.adapter import new_adapters, with_whisper_adapters
from jaxmeta.recognition.pretrained.voice import read_whisper_voice
from jaxmeta.recognition.pretrained.whisper import WhisperConfig, WhisperRecogniser, _decode, in_bits, load_whisper
from jaxmeta.types import Ragged

LARGE = WhisperConfig(
    d_model=128, encoder_layers=6, encoder_attention_heads=2, encoder_ffn_dim=512, decoder_layers=6,
    decoder_attention_heads=2, decoder_ffn_dim=512, vocab_size=9000, num_mel_bins=8, max_source_positions=32,
)  # fmt: skip
"""Large enough for its weights to decide what memory is taken: 2.8 million, of which 1.2 million are of tokens."""


def stored(params, bits):
    return in_bits(WhisperRecogniser(LARGE, params, None), bits).params


@pytest.fixture(scope="module")
def forms():
    """Weights of `LARGE` as read, in 16 bits and in 8: shapes alone."""
    whole = WhisperRecogniser(LARGE, None, None, bits=16).forms
    fewer = {bits: jax.eval_shape(lambda params, bits=bits: stored(params, bits), whole) for bits in (16, 8)}
    return {None: whole} | fewer


def weight_bytes(params):
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(params))


@pytest.mark.slow
def test_weights_take_half_and_about_a_quarter_of_the_bytes(forms):
    whole = weight_bytes(forms[None])
    assert weight_bytes(forms[16]) == pytest.approx(whole / 2, rel=0.001)
    assert weight_bytes(forms[8]) == pytest.approx(whole / 4, rel=0.1)


@pytest.mark.slow
def test_the_program_restores_a_layer_at_a_time(forms):
    """By the compiler's count, what decoding needs besides the stored weights is a fraction of the whole weights."""
    memory = Ragged(jax.ShapeDtypeStruct((1, 8, 128), jnp.float32), speech_form(1, 8, 128).lengths)
    needed = {}
    for bits, params in forms.items():
        network = WhisperRecogniser(LARGE, None, None, bits=bits).network
        decode = _decode(network, bits is None, (3,), 2, 8, ((), ()))
        analysis = decode.lower({"decoder": params["decoder"]}, memory, None).compile().memory_analysis()
        needed[bits] = analysis.argument_size_in_bytes + analysis.temp_size_in_bytes
    whole = weight_bytes(forms[None]["decoder"])
    assert needed[None] >= whole
    # The embedding of tokens is restored in three blocks.
    assert needed[8] < 0.55 * whole and needed[16] < 0.8 * whole
    assert needed[8] < needed[16] < needed[None]


@pytest.mark.slow
def test_logits_are_those_of_the_rounded_weights(whisper_folder):
    recogniser = load_whisper(whisper_folder)
    rng = np.random.default_rng(0)
    memory = Ragged(rng.normal(size=(2, 9, 16)).astype(np.float32), np.array([9, 5]))
    tokens = rng.integers(0, 31, (2, 5))

    def logits(recogniser, params):
        return jax.jit(recogniser.network.decode)(params, memory, tokens)

    def rounded(path, leaf):
        """To 127 steps on both sides, with a scale for each output or token; nothing but matrices of layers."""
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if ("layers_" not in name and "embed_tokens" not in name) or leaf.ndim < 2:
            return leaf.astype(np.float16).astype(np.float32)
        leaf = leaf.astype(np.float16).astype(np.float32)
        scale = np.abs(leaf).max(axis=1 if "embed_tokens" in name else 0, keepdims=True) / 127
        return np.round(leaf / scale) * scale

    expected = logits(recogniser, jax.tree_util.tree_map_with_path(rounded, recogniser.params))
    small = in_bits(recogniser, 8)
    actual = logits(small, small.params)
    np.testing.assert_allclose(actual, expected, atol=2e-3 * np.abs(expected).max())


@pytest.mark.slow
def test_adapters_in_float32_learn_on_integers(whisper_folder, greetings):
    recogniser = in_bits(load_whisper(whisper_folder), 8)
    voice = read_whisper_voice(recogniser, greetings)
    options = AdaptationOptions(rank=4, steps=200, rate=0.03)
    adapters = learn(recogniser, voice, np.arange(6), options)
    assert {leaf.dtype for leaf in jax.tree.leaves(adapters)} == {np.dtype("float32")}
    assert jax.tree.structure(adapters) == jax.tree.structure(new_adapters(recogniser.forms, 4, jax.random.key(0)))
    adapted = with_whisper_adapters(recogniser, adapters)
    assert recognise(adapted, voice, np.arange(6)) == ["hello world"] * 6
    codes = [leaf for leaf in jax.tree.leaves(adapted.params) if leaf.dtype == np.int8]
    assert sum(leaf.size for leaf in codes) > sum(leaf.size for leaf in jax.tree.leaves(recogniser.forms)) / 2


def test_other_bits_are_refused():
    with pytest.raises(ValueError, match="bits must be 8 or 16, got 4"):
        in_bits(WhisperRecogniser(LARGE, None, None), 4)
