"""The pretrained networks against those of transformers, on five random small configurations of each family."""

import jax
import numpy as np
import pytest

from jaxmeta import Ragged
from jaxmeta.models.pretrained.wav2vec2 import Wav2Vec2Config, read_wav2vec2, wav2vec2, write_wav2vec2
from jaxmeta.models.pretrained.whisper import read_whisper, whisper, write_whisper
from jaxmeta.models.seq2seq import Spoken
from tests.models.pretrained import checkpoints
from tests.programs import compiled, jitted

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]
transformers = pytest.importorskip("transformers", reason='needs the extra "parity"')
torch = pytest.importorskip("torch", reason='needs the extra "parity"')
KEY = jax.random.key(0)


def theirs(kind, folder):
    """The network of transformers, which has loaded every weight of the folder and drawn none."""
    network, report = kind.from_pretrained(folder, output_loading_info=True, attn_implementation="eager")
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    return network.eval()


@pytest.mark.parametrize("number", range(5))
def test_whisper_computes_and_decodes_as_transformers_does(number, tmp_path):
    config = checkpoints.whisper_configs()[number]
    write_whisper(tmp_path, config, checkpoints.random_whisper(config, number))
    reference = theirs(transformers.WhisperForConditionalGeneration, tmp_path)
    frames = 2 * config["max_source_positions"]
    speech = checkpoints.log_mels([frames, frames], config["num_mel_bins"])
    tokens = np.random.default_rng(number).integers(0, config["vocab_size"], (2, 7))
    mels = torch.tensor(speech.values).transpose(1, 2)
    with torch.no_grad():
        expected = reference(input_features=mels, decoder_input_ids=torch.tensor(tokens)).logits.numpy()
        written = transformers.GenerationMixin.generate(
            reference, input_features=mels, decoder_input_ids=torch.tensor([[3, 4], [3, 4]]), max_new_tokens=12,
            do_sample=False, num_beams=1, suppress_tokens=None, begin_suppress_tokens=None,
        ).numpy()[:, 2:]  # fmt: skip
    read, params = read_whisper(tmp_path)
    ours = whisper(read)
    logits = jitted(ours.model).apply(params, {}, Spoken(speech, tokens), KEY, False)[0]
    np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())
    decode = compiled(lambda params, speech: ours.greedy(params, ours.encode(params, speech), [3, 4], 2, 12))
    labels = decode(params, speech)
    assert len(np.unique(labels.values)) > 1
    for row, length, other in zip(labels.values, labels.lengths, written, strict=True):
        ended = np.append(other, 2)
        np.testing.assert_array_equal(row[:length], ended[: int(np.argmax(ended == 2))])


def test_a_short_recording_is_as_in_whisper_with_fewer_positions(tmp_path):
    config = checkpoints.WHISPER
    params = checkpoints.random_whisper(config, 0)
    cut = config | {"max_source_positions": 5}
    positions = params["encoder"]["embed_positions"]["embedding"][:5]
    fewer = params | {"encoder": params["encoder"] | {"embed_positions": {"embedding": positions}}}
    write_whisper(tmp_path, cut, fewer)
    reference = theirs(transformers.WhisperForConditionalGeneration, tmp_path).model.encoder
    speech = checkpoints.log_mels([10], config["num_mel_bins"])
    with torch.no_grad():
        expected = reference(torch.tensor(speech.values).transpose(1, 2)).last_hidden_state.numpy()
    ours = whisper(checkpoints.whisper_config(config))
    np.testing.assert_allclose(compiled(ours.encode)(params, speech).values, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm"])
@pytest.mark.parametrize("number", range(5))
def test_the_wav2vec2_family_computes_as_transformers_does(kind, number, tmp_path):
    config = checkpoints.wav2vec2_configs(kind)[number]
    write_wav2vec2(tmp_path, config, checkpoints.random_wav2vec2(config, number))
    reference = theirs({"wav2vec2": transformers.Wav2Vec2Model, "hubert": transformers.HubertModel,
                        "wavlm": transformers.WavLMModel}[kind], tmp_path)  # fmt: skip
    read, params = read_wav2vec2(tmp_path)
    assert isinstance(read, Wav2Vec2Config)
    waveforms = checkpoints.waveforms([700, 540])
    outputs = jitted(wav2vec2(read)).apply(params, {}, waveforms, KEY, False)[0]
    assert isinstance(outputs, Ragged)
    for row, frames, samples, length in zip(*outputs, *waveforms, strict=True):
        # Alone, as transformers' first normalisation counts padding.
        with torch.no_grad():
            expected = reference(torch.tensor(samples[None, :length])).last_hidden_state.numpy()[0]
        assert len(expected) == frames
        np.testing.assert_allclose(row[:frames], expected, atol=1e-5 * np.abs(expected).max())
        assert not row[frames:].any()
