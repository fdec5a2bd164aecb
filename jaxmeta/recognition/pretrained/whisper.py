"""A public Whisper as a recogniser: the network, its tokens and its features, read from one folder."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta.compress.quantize import quantise, quantise_params
from jaxmeta.compress.variants import restored
from jaxmeta.data.features import FeatureConfig, extract, whisper_features
from jaxmeta.data.pretrained.tokenizer import Task, Tokenizer, load_tokenizer
from jaxmeta.decoding.repeats import once
from jaxmeta.models.layers import speech_form
from jaxmeta.models.pretrained.blocks import widened
from jaxmeta.models.pretrained.whisper import Whisper, WhisperConfig, read_whisper, whisper
from jaxmeta.models.pretrained.whispers.favoured import Favoured
from jaxmeta.models.pretrained.whispers.stacked import stack, stacked_whisper
from jaxmeta.models.pretrained.whispers.taught import silent_after
from jaxmeta.models.seq2seq import Spoken
from jaxmeta.padding import pad_rows
from jaxmeta.types import PyTree, Ragged

_STEP = 500
"""Frames that lengths are padded to a multiple of, so that few programs are compiled; padding is inert."""


Case = Literal["as it is", "upper", "lower"]


class Habits(NamedTuple):
    """What a Whisper is used to: how recordings are shown to it, and how it writes."""

    silence: float | None = None
    """Seconds of silence behind a recording; None: as much as makes it as long as the encoder's window."""
    longest: float | None = None
    """Seconds of the longest stretch; None: the encoder's window."""
    case: Case = "as it is"
    """That transcripts are put in."""


PUBLIC = Habits()
"""Those of public weights."""


def fold(text: str, case: Case) -> str:
    """A text in a case.

    >>> fold("we call it bear", "upper")
    'WE CALL IT BEAR'
    """
    return {"upper": str.upper, "lower": str.lower}.get(case, str)(text)


def spelled(text: str, case: Case) -> str:
    """A transcript as a Whisper is taught to write it: in small letters, unless the case of transcripts says something.

    >>> spelled("WE CALL  IT BEAR", "upper")
    'we call it bear'
    """
    return " ".join((text if case == "as it is" else text.lower()).split())


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
    bits: Literal[8, 16] | None = None
    """Of weights, as `in_bits` stores them; None: those of `params` as they were read."""
    habits: Habits = PUBLIC
    """Those of public weights, or of what was trained from them."""
    words: Favoured | None = None
    """That it writes more readily."""
    before: tuple[int, ...] = ()
    """Tokens that stand before the prompt: the text that came before."""
    network: Whisper = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "network", (_network if self.bits is None else _stacked)(self.config))

    @property
    def features(self) -> FeatureConfig:
        """What recordings are turned into."""
        return whisper_features(self.config.num_mel_bins)

    @property
    def silence(self) -> int:
        """Frames of log-mels that are added behind recordings."""
        return round((self.habits.silence or 0) * self.features.frame_rate)

    @property
    def forms(self) -> PyTree:
        """Weights of the network itself, or their shapes where these are stored in fewer bits."""
        if self.bits is None:
            return self.params
        inputs = Spoken(speech_form(1, 2, self.config.num_mel_bins), jnp.zeros((1, 1), jnp.int32))
        return jax.eval_shape(_network(self.config).model.init, jax.random.key(0), inputs)[0]

    @property
    def longest(self) -> int:
        """Most tokens of a transcript, which share the positions with the prompt."""
        return self.config.max_target_positions // 2 - 4

    def encode(self, speech: Ragged) -> Ragged:
        """What the decoder looks at: frames [N, ceil(T / 2), D] of log-mels [N, T, M]."""
        return _encode(self.network, self.silence)(self.params, speech)

    def tokens(
        self, memory: Ragged, language: str = "en", length: int = 200, task: Task = "transcribe"
    ) -> list[list[int]]:
        """Greedy transcripts as tokens; what is repeated without end is there once.

        Args:
          memory: that `encode` gives.
          language: ISO 639-1 code.
          length: most tokens of a transcript.
          task: "translate" writes English.
        """
        prompt = (*self.before, *self.tokenizer.whisper_prompt(language, task))
        suppressed = (self.suppress, self.suppress_first)
        decode = _decode(self.network, self.bits is None, prompt, self.tokenizer.end, length, suppressed)
        values, lengths = jax.device_get(decode({"decoder": self.params["decoder"]}, memory, self.words))
        rows = [row[:count].tolist() for row, count in zip(values, lengths, strict=True)]
        return [once(row) if len(row) == length else row for row in rows]

    def text(self, tokens: Sequence[int]) -> str:
        """The text of a transcript."""
        return fold(self.tokenizer.decode(tokens).strip(), self.habits.case)

    def transcribe(
        self,
        waveforms: Sequence[np.ndarray],
        language: str = "en",
        length: int = 200,
        seconds: float | None = None,
        task: Task = "transcribe",
    ) -> list[str]:
        """The text of each recording, a waveform [S] at 16 kHz, all in one batch.

        Args:
          waveforms: of up to 30 seconds each.
          language: ISO 639-1 code.
          length: most tokens of a transcript.
          seconds: that a shorter recording is padded to with silence; None: what its habits say. Whisper was trained on
            30. Fewer take less time, but a decoder that has not been trained on short recordings then writes the same
            words again and again for some of them, and for half of them without padding.
          task: "translate" writes English.
        """
        usual = 30.0 if self.habits.silence is None else 0.0
        least = int((usual if seconds is None else seconds) * self.features.sample_rate)
        full = [np.pad(waveform, (0, max(0, least - len(waveform)))) for waveform in waveforms]
        frames = [extract(waveform, self.features) for waveform in full]
        speech = padded(frames, 2 * self.config.max_source_positions - self.silence)
        return [self.text(row) for row in self.tokens(self.encode(speech), language, length, task)]


def padded(frames: Sequence[np.ndarray], most: int) -> Ragged:
    """Features [T, M] of several recordings as one batch, whose T is a multiple of 5 seconds up to a most."""
    longest = max(map(len, frames))
    return pad_rows(frames, max(longest, min(most, -(-longest // _STEP) * _STEP)))


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
    always, first = (tuple(options.get(name) or ()) for name in ("suppress_tokens", "begin_suppress_tokens"))
    return WhisperRecogniser(config, params, load_tokenizer(folder), always, first)


def in_bits(recogniser: WhisperRecogniser, bits: Literal[8, 16]) -> WhisperRecogniser:
    """The recogniser with weights in fewer bits, which are restored layer by layer as they are used.

    It takes less memory, and more time for each token.
    Args:
      recogniser: with weights as they were read, and without adapters.
      bits: 16: float32 becomes float16, and 16 bits stay. 8: matrices of layers become integers with a scale for each
        output, and the embedding of tokens such with a scale for each token; the others as with 16.
    Raises:
      ValueError: other bits; a weight beyond the largest number of float16, 65,504.
    """
    if bits not in (8, 16):
        raise ValueError(f"bits must be 8 or 16, got {bits}.")

    def half(leaf: jax.Array) -> jax.Array:
        # Not bfloat16: XLA's CPU compiler would widen the weights of all layers at once.
        small = leaf if leaf.dtype.itemsize == 2 else leaf.astype(jnp.float16)
        if not isinstance(small, jax.core.Tracer) and not bool(jnp.isfinite(small).all()):
            raise ValueError("a weight is beyond 65,504, the largest number of float16; use all bits.")
        return small

    def store(weights: PyTree) -> PyTree:
        if bits == 16:
            return weights
        if "embedding" in weights:
            return {"embedding": quantise(widened(weights["embedding"]), axis=None)}
        return quantise_params(jax.tree.map(lambda leaf: widened(leaf) if leaf.ndim > 1 else leaf, weights))

    params = stack(jax.tree.map(half, recogniser.params), store)
    return replace(recogniser, params=params, bits=bits)


_network = cache(whisper)  # So that recognisers of the same form share compiled programs.
_stacked = cache(partial(stacked_whisper, restore=restored))


@cache
def _encode(network: Whisper, silence: int) -> Callable[[PyTree, Ragged], Ragged]:
    if not silence:
        return jax.jit(network.encode)
    return jax.jit(lambda params, speech: network.encode(params, silent_after(speech, silence)))


@cache
def _decode(
    network: Whisper,
    widen: bool,
    prompt: tuple[int, ...],
    end: int,
    length: int,
    suppressed: tuple[tuple[int, ...], tuple[int, ...]],
) -> Callable[[PyTree, Ragged, Favoured | None], Ragged]:
    def decode(params: PyTree, memory: Ragged, words: Favoured | None) -> Ragged:
        # Once, and not again for each token, unless that would take the memory that fewer bits save.
        weights = jax.tree.map(widened, params) if widen else params
        return network.greedy(weights, memory, np.array(prompt), end, length, *suppressed, words)

    return jax.jit(decode)
