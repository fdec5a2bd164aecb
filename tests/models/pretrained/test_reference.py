"""The pretrained networks against numbers that transformers gave (make_reference.py), where it is not installed."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxmeta.models.pretrained.wav2vec2 import read_wav2vec2, wav2vec2, write_wav2vec2
from jaxmeta.models.pretrained.whisper import read_whisper, whisper, write_whisper
from jaxmeta.models.seq2seq import Spoken
from tests.models.pretrained import checkpoints
from tests.programs import compiled, jitted

pytestmark = pytest.mark.slow
pytest.importorskip("safetensors", reason='needs the extra "pretrained"')
REFERENCE = json.loads(Path(__file__).with_name("reference.json").read_text(encoding="utf-8"))
KEY = jax.random.key(0)


def test_whisper_gives_the_logits_and_tokens_of_transformers(tmp_path):
    config = checkpoints.whisper_configs()[3]
    write_whisper(tmp_path, config, checkpoints.random_whisper(config))
    read, params = read_whisper(tmp_path)
    network, frames = whisper(read), 2 * config["max_source_positions"]
    # The padding behind the frames holds NaN.
    speech = checkpoints.log_mels([frames], config["num_mel_bins"])
    tokens = np.array([checkpoints.TOKENS])
    logits = jitted(network.model).apply(params, {}, Spoken(speech, tokens), KEY, False)[0]
    expected = np.array(REFERENCE["whisper"]["logits"])
    np.testing.assert_allclose(logits[0, -1], expected, atol=1e-5 * np.abs(expected).max())
    decode = compiled(lambda params, speech: network.greedy(params, network.encode(params, speech), [3, 4], 2, 12))
    labels = decode(params, speech)
    written = [*REFERENCE["whisper"]["tokens"], 2]
    assert labels.values[0, : labels.lengths[0]].tolist() == written[: written.index(2)]


@pytest.mark.parametrize("name", sorted(REFERENCE.keys() - {"whisper"}))
def test_the_wav2vec2_family_gives_the_frames_of_transformers(name, tmp_path):
    kind, number = name.split()
    config = checkpoints.wav2vec2_configs(kind)[int(number)]
    write_wav2vec2(tmp_path, config, checkpoints.random_wav2vec2(config))
    read, params = read_wav2vec2(tmp_path)
    outputs = jitted(wav2vec2(read)).apply(params, {}, checkpoints.waveforms([640]), KEY, False)[0]
    expected = np.array(REFERENCE[name])
    np.testing.assert_allclose(outputs.values[0, [0, -1]], expected, atol=1e-5 * np.abs(expected).max())
