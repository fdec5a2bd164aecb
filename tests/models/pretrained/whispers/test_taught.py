"""A Whisper of which adapters learn computes what it does with the adapters merged, from whatever layer on."""

import jax
import numpy as np
import pytest

from jaxmeta.data.features import extract, whisper_features
from jaxmeta.models.low_rank import merged
from jaxmeta.models.pretrained.whisper import whisper, whisper_encoder
from jaxmeta.models.pretrained.whispers.taught import (
    masked_tokens,
    silent_after,
    taught_adapters,
    taught_whisper,
    with_silence,
)
from jaxmeta.models.seq2seq import Spoken
from jaxmeta.padding import pad_rows
from jaxmeta.types import Ragged
from tests.models.pretrained.checkpoints import TOKENS, WHISPER, log_mels, random_whisper, whisper_config
from tests.programs import compiled

CONFIG, PARAMS = whisper_config(WHISPER), random_whisper(WHISPER)
SILENCE = 4


@pytest.mark.slow
@pytest.mark.parametrize("layers", [1, 2])
def test_adapters_on_activations_are_as_if_they_were_merged_in_the_whole_network(layers):
    rng = np.random.default_rng(layers)
    drawn = taught_adapters(PARAMS, 2, layers, 2, jax.random.key(0))
    assert len(drawn) == 20 + 6 * layers
    adapters = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), drawn)
    speech, tokens = log_mels([18, 13], WHISPER["num_mel_bins"]), np.array([TOKENS, TOKENS[::-1]])
    lower = with_silence(whisper_encoder(CONFIG, last=2 - layers if layers else None), SILENCE)

    def run(adapters):
        below = speech if layers == 2 else lower.apply(PARAMS["encoder"], {}, speech, jax.random.key(0), False)[0]
        taught = taught_whisper(CONFIG, PARAMS, 2, layers, SILENCE)
        actual, _ = taught.model.apply(adapters, {}, Spoken(below, tokens), jax.random.key(0), True)
        whole = Spoken(silent_after(speech, SILENCE), tokens)
        weights = merged({"weights": PARAMS, "adapters": adapters})
        return actual, whisper(CONFIG).model.apply(weights, {}, whole, jax.random.key(0), False)[0]

    actual, expected = compiled(run)(adapters)
    np.testing.assert_allclose(actual, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.slow
def test_silence_behind_log_mels_is_what_zeros_behind_the_recording_give():
    waveforms = [0.1 * np.random.default_rng(index).normal(size=1_600 + 160 * index) for index in range(2)]
    config = whisper_features(16)
    frames = [extract(each, config) for each in waveforms]
    padded = pad_rows(frames)
    values, lengths = jax.device_get(compiled(silent_after, static_argnums=1)(padded, 20))
    assert values.shape == (2, 31, 16) and lengths.tolist() == [30, 31]
    for row, length, waveform in zip(values, lengths, waveforms, strict=True):
        expected = extract(np.pad(waveform, (0, 20 * 160)), config)
        # But for the frames that see the end of the recording.
        inside = [*range(length - 22), *range(length - 18, length)]
        np.testing.assert_allclose(row[inside], expected[inside], atol=1e-5)


@pytest.mark.slow
def test_tokens_after_the_prompt_are_hidden_at_their_share():
    speech, tokens = Ragged(np.zeros((200, 2, 1)), np.full(200, 2)), np.full((200, 12), 9)
    hide = compiled(masked_tokens, static_argnums=(2, 3, 4))
    hidden = np.asarray(hide(jax.random.key(0), Spoken(speech, tokens), 2, 1, 0.25).prefix)
    assert (hidden[:, :2] == 9).all() and set(np.unique(hidden)) == {1, 9}
    # Five standard deviations of 2,000 draws.
    assert abs((hidden[:, 2:] == 1).mean() - 0.25) < 0.05
