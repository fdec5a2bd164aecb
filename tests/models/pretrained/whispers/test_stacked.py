"""Whisper with stacked layers computes what `whisper` does, from weights that are stored in any form."""

import jax
import numpy as np
import pytest

from jaxmeta.models.low_rank import merged
from jaxmeta.models.pretrained.whisper import whisper
from jaxmeta.models.pretrained.whispers.stacked import stack, stacked_whisper, with_stacked_adapters
from jaxmeta.models.seq2seq import Spoken
from tests.models.pretrained.checkpoints import TOKENS, WHISPER, log_mels, random_whisper, whisper_config
from tests.programs import compiled

CONFIG = whisper_config(WHISPER | {"decoder_layers": 3})
PARAMS = random_whisper(WHISPER | {"decoder_layers": 3})


def doubled(weights):
    return jax.tree.map(lambda leaf: 2 * leaf, weights)


def halved(weights):
    return jax.tree.map(lambda leaf: leaf / 2, weights)


def everything(network, params):
    """What encoding, decoding with teacher forcing, and greedy decoding give."""
    speech = log_mels([24, 17], WHISPER["num_mel_bins"])
    tokens = np.array([TOKENS, TOKENS[::-1]])

    def run(params):
        memory = network.encode(params, speech)
        logits = network.decode(params, memory, tokens)
        written = network.greedy(params, memory, np.array([3, 4]), 2, 8, (5,), (6,))
        whole, _ = network.model.apply(params, {}, Spoken(speech, tokens), jax.random.key(0), False)
        return memory, logits, written, whole

    return compiled(run)(params)


@pytest.mark.slow
def test_outputs_are_those_of_the_network_whatever_the_form_of_its_weights(monkeypatch):
    monkeypatch.setattr("jaxmeta.models.pretrained.whispers.stacked._BLOCK", 7)  # 30 tokens in five blocks.
    expected = everything(whisper(CONFIG), PARAMS)
    actual = everything(stacked_whisper(CONFIG, halved), stack(PARAMS, doubled))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), actual, expected)


def adapters(paths, rank=2):
    rng = np.random.default_rng(1)
    flat = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf
            for path, leaf in jax.tree_util.tree_leaves_with_path(PARAMS)}  # fmt: skip
    sizes = {path: (flat[path].size // flat[path].shape[-1], flat[path].shape[-1]) for path in paths}
    return {
        path: {"down": rng.normal(size=(n, rank)).astype(np.float32), "up": rng.normal(size=(rank, m)).astype("f4")}
        for path, (n, m) in sizes.items()
    }


@pytest.mark.slow
def test_adapters_of_some_layers_are_as_if_they_were_merged():
    own = adapters([
        "decoder/layers_0/self_attn/q_proj/kernel", "decoder/layers_2/self_attn/q_proj/kernel",
        "decoder/layers_1/fc1/kernel", "encoder/layers_1/fc2/kernel",
    ])  # fmt: skip
    expected = everything(whisper(CONFIG), merged({"weights": PARAMS, "adapters": own}))
    params = with_stacked_adapters(stack(PARAMS, doubled), own)
    actual = everything(stacked_whisper(CONFIG, halved), params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), actual, expected)


def test_adapters_of_what_is_no_layer_are_refused():
    with pytest.raises(ValueError, match="encoder/conv1/kernel is adapted, and is no matrix of a layer"):
        with_stacked_adapters({}, {"encoder/conv1/kernel": {}})


def test_tokens_beyond_the_positions_are_refused():
    network, speech = stacked_whisper(CONFIG, halved), log_mels([24], WHISPER["num_mel_bins"])
    with pytest.raises(ValueError, match="positions for 20 tokens, got 21"):
        jax.eval_shape(lambda memory: network.decode({}, memory, np.zeros((1, 21), int)), speech)
