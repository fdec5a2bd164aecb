"""Writes reference.json: what transformers computes for one random checkpoint of each family. Needs the extra "parity".

python -m tests.models.pretrained.make_reference
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers

from jaxmeta.models.pretrained.wav2vec2 import write_wav2vec2
from jaxmeta.models.pretrained.whisper import write_whisper
from tests.models.pretrained import checkpoints

TARGET = Path(__file__).with_name("reference.json")
KINDS = {
    "wav2vec2": transformers.Wav2Vec2Model,
    "hubert": transformers.HubertModel,
    "wavlm": transformers.WavLMModel,
}


def whisper_numbers() -> dict:
    """Logits after the last of seven tokens, and the tokens that greedy decoding writes."""
    config = checkpoints.whisper_configs()[3]
    with tempfile.TemporaryDirectory() as folder:
        write_whisper(folder, config, checkpoints.random_whisper(config))
        network = transformers.WhisperForConditionalGeneration.from_pretrained(folder).eval()
    speech = checkpoints.log_mels([2 * config["max_source_positions"]], config["num_mel_bins"])
    mels = torch.tensor(speech.values).transpose(1, 2)
    with torch.no_grad():
        logits = network(input_features=mels, decoder_input_ids=torch.tensor([checkpoints.TOKENS])).logits
        written = transformers.GenerationMixin.generate(
            network, input_features=mels, decoder_input_ids=torch.tensor([[3, 4]]), max_new_tokens=12,
            do_sample=False, num_beams=1, suppress_tokens=None, begin_suppress_tokens=None,
        )[0, 2:]  # fmt: skip
    return {"logits": _rounded(logits[0, -1]), "tokens": written.tolist()}


def frames(kind: str, number: int) -> list:
    """The first and the last frame of a waveform."""
    config = checkpoints.wav2vec2_configs(kind)[number]
    with tempfile.TemporaryDirectory() as folder:
        write_wav2vec2(folder, config, checkpoints.random_wav2vec2(config))
        network = KINDS[kind].from_pretrained(folder).eval()
    with torch.no_grad():
        outputs = network(torch.tensor(checkpoints.waveforms([640]).values)).last_hidden_state[0]
    return [_rounded(outputs[0]), _rounded(outputs[-1])]


def _rounded(values: torch.Tensor) -> list[float]:
    return [float(f"{value:.7g}") for value in values.numpy().astype(np.float64)]


if __name__ == "__main__":
    numbers = {f"{kind} {number}": frames(kind, number) for kind in KINDS for number in (0, 3)}
    TARGET.write_text(json.dumps({"whisper": whisper_numbers()} | numbers, indent=1) + "\n", encoding="utf-8")
