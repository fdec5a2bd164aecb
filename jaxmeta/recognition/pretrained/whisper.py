"""A public Whisper as a recogniser: the network, its tokens and its features, read from one folder."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxmeta.data.features import FeatureConfig, extract, whisper_features
from jaxmeta.data.pretrained.tokenizer import Tokenizer, load_tokenizer
from jaxmeta.models.pretrained.whisper import Whisper, WhisperConfig, read_whisper, whisper
from jaxmeta.padding import pad_rows
from jaxmeta.types import PyTree, Ragged

_STEP = 500
"""Frames that lengths are padded to a multiple of, so that few programs are compiled; padding is inert."""


@dataclass(frozen=True)
class WhisperRecogniser:
    """Transcribes recordings of up to 30 seconds."""

    config: WhisperConfig
    params: PyTree
    tokenizer: Tokenizer
    suppress: tuple[int, ...] = ()
    """Tokens that are never written."""
    suppress_first: tuple[int, ...] = ()
    """Tokens that no transcript starts with."""
    network: Whisper = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "network", whisper(self.config))

    @property
    def features(self) -> FeatureConfig:
        """What recordings are turned into."""
        return whisper_features(self.config.num_mel_bins)

    def tokens(self, speech: Ragged, language: str = "en", length: int = 200) -> list[list[int]]:
        """Greedy transcripts of log-mels [N, T, M], as tokens.

        Args:
          speech: frames of `features`.
          language: ISO 639-1 code.
          length: most tokens of a transcript.
        """
        prompt = tuple(self.tokenizer.whisper_prompt(language))
        decode = _decode(self.network, prompt, self.tokenizer.end, length, self.suppress, self.suppress_first)
        values, lengths = jax.device_get(decode(self.params, speech))
        return [row[:count].tolist() for row, count in zip(values, lengths, strict=True)]

    def transcribe(
        self, waveforms: Sequence[np.ndarray], language: str = "en", length: int = 200, seconds: float = 30.0
    ) -> list[str]:
        """The text of each recording, a waveform [S] at 16 kHz, all in one batch.

        Args:
          waveforms: of up to 30 seconds each.
          language: ISO 639-1 code.
          length: most tokens of a transcript.
          seconds: that a shorter recording is padded to with silence. Whisper was trained on 30. Fewer take less time,
            but a decoder that has not been adapted to short recordings then writes the same words again and again for
            some of them, and for half of them without padding.
        """
        least = int(seconds * self.features.sample_rate)
        full = [np.pad(waveform, (0, max(0, least - len(waveform)))) for waveform in waveforms]
        frames = [extract(waveform, self.features) for waveform in full]
        return [self.tokenizer.decode(row).strip() for row in self.tokens(padded(frames), language, length)]


def padded(frames: Sequence[np.ndarray]) -> Ragged:
    """Features [T, M] of several recordings as one batch, whose T is a multiple of 5 seconds."""
    return pad_rows(frames, -(-max(map(len, frames)) // _STEP) * _STEP)


def load_whisper(folder: str | Path, dtype: Any = None) -> WhisperRecogniser:
    """Read config.json, the weights, tokenizer.json and, where it is there, generation_config.json.

    Args:
      folder: on the disk, in Hugging Face's form.
      dtype: of the weights; None: as they are stored.
    Raises:
      ValueError, OSError: as `read_whisper` and `load_tokenizer` do.
    """
    config, params = read_whisper(folder, dtype)
    path = Path(folder) / "generation_config.json"
    options = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    suppressed = (tuple(options.get(name) or ()) for name in ("suppress_tokens", "begin_suppress_tokens"))
    return WhisperRecogniser(config, params, load_tokenizer(folder), *suppressed)


@cache
def _decode(
    network: Whisper, prompt: tuple[int, ...], end: int, length: int, suppress: tuple[int, ...], first: tuple[int, ...]
) -> Callable[[PyTree, Ragged], Ragged]:
    def decode(params: PyTree, speech: Ragged) -> Ragged:
        memory = network.encode(params, speech)
        return network.greedy(params, memory, np.array(prompt), end, length, suppress, first)

    return jax.jit(decode)
