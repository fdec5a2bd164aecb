"""Several channels become one without losing what only one of them holds."""

import numpy as np
import pytest

from jaxmeta.data.containers.channels import mix_down

SPEECH = (0.1 * np.random.default_rng(0).standard_normal(8_000)).astype(np.float32)
OTHER = (0.1 * np.random.default_rng(1).standard_normal(8_000)).astype(np.float32)


@pytest.mark.parametrize("channels", [[SPEECH], [SPEECH, SPEECH], [SPEECH, OTHER], [SPEECH, 0.01 * OTHER], [OTHER] * 6])
def test_channels_that_agree_or_differ_are_averaged(channels):
    waveform, remark = mix_down(np.stack(channels, axis=1))
    np.testing.assert_allclose(waveform, np.mean(channels, axis=0), atol=1e-7)
    assert remark is None


@pytest.mark.parametrize(
    "channels", [[SPEECH, -SPEECH], [-0.7 * SPEECH, SPEECH], [SPEECH, -SPEECH + 1e-3], [0.9 * OTHER, -OTHER, 0 * OTHER]]
)
def test_channels_that_cancel_leave_the_loudest(channels):
    waveform, remark = mix_down(np.stack(channels, axis=1).astype(np.float32))
    loudest = max(channels, key=lambda channel: np.square(channel).mean())
    np.testing.assert_array_equal(waveform, loudest.astype(np.float32))
    assert "cancel" in remark


@pytest.mark.parametrize("dead", [np.zeros(8_000), 1e-6 * OTHER])
def test_a_dead_channel_does_not_halve_the_others(dead):
    waveform, remark = mix_down(np.stack([dead, SPEECH, OTHER], axis=1).astype(np.float32))
    np.testing.assert_allclose(waveform, (SPEECH + OTHER) / 2, atol=1e-7)
    assert "1 of 3 channels are silent" in remark


def test_silence_stays_silence_and_is_remarked_on_by_nobody_here():
    waveform, remark = mix_down(np.zeros((10, 2), np.float32))
    assert not waveform.any() and remark is None
