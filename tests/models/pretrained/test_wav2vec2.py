"""The wav2vec2 family: padding, parts and the waveform's normalisation."""

import jax
import numpy as np
import pytest

from jaxmeta import Ragged
from jaxmeta.models.pretrained.wav2vec2 import normalised, wav2vec2
from tests.models.pretrained.checkpoints import WAV2VEC2, random_wav2vec2, wav2vec2_config, waveforms
from tests.programs import jitted

KEY = jax.random.key(0)
WAVEFORMS = waveforms([700, 530, 0])
VARIANTS = [
    WAV2VEC2,
    WAV2VEC2 | {"model_type": "hubert", "do_stable_layer_norm": True, "feat_extract_norm": "layer"},
    WAV2VEC2 | {"model_type": "wavlm", "num_buckets": 8, "max_bucket_distance": 20},
]


@pytest.mark.slow
@pytest.mark.parametrize("fields", VARIANTS, ids=lambda fields: fields["model_type"])
def test_padding_is_inert_and_two_parts_are_the_whole(fields):
    config, params = wav2vec2_config(fields), random_wav2vec2(fields)
    whole, lower, upper = (jitted(wav2vec2(config, *part)) for part in ((), (None, 1), (1,)))
    together = whole.apply(params, {}, WAVEFORMS, KEY, False)[0]
    np.testing.assert_array_equal(together.lengths, [config.frames(700), config.frames(530), 0])
    alone = whole.apply(params, {}, Ragged(WAVEFORMS.values[1:2, :530], WAVEFORMS.lengths[1:2]), KEY, False)[0]
    np.testing.assert_allclose(together.values[1, : alone.lengths[0]], alone.values[0], atol=1e-5)
    assert np.isfinite(together.values).all() and not together.values[2].any()
    between = lower.apply(params, {}, WAVEFORMS, KEY, False)[0]
    np.testing.assert_allclose(upper.apply(params, {}, between, KEY, False)[0].values, together.values, atol=1e-5)
    used = jax.eval_shape(upper.init, KEY, between)[0]
    assert set(used) == {"encoder"} and "layers_0" not in used["encoder"] and "layers_1" in used["encoder"]


def test_a_waveform_is_normalised_over_its_own_samples():
    values = normalised(WAVEFORMS).values
    real = np.asarray(WAVEFORMS.values[1, :530], np.float64)
    np.testing.assert_allclose(values[1, :530], (real - real.mean()) / np.sqrt(real.var() + 1e-7), atol=1e-5)
    assert not values[1, 530:].any() and not values[2].any()


def test_a_waveform_without_a_frame_is_refused():
    config = wav2vec2_config(WAV2VEC2)
    assert config.frames(24) == 0 and config.frames(30) == 1
    with pytest.raises(ValueError, match=r"waveforms of 24 samples are too short for a frame; pad"):
        jax.eval_shape(wav2vec2(config).init, KEY, waveforms([24]))
