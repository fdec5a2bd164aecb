"""Voices of recordings by a trained network, compared with the names that the list gives them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import numpy as np

from jaxmeta.data.checking.kinds import Case
from jaxmeta.data.checking.voices import voice_cases
from jaxmeta.data.features import extract
from jaxmeta.data.pretrained.embedding_features import speaker_mels
from jaxmeta.data.text import canonical
from jaxmeta.models.pretrained.speaker_embedding import read_speaker_embedding, speaker_embedding
from jaxmeta.padding import pad_rows
from jaxmeta.verification.assistant import ASSISTANT, embed_voices, load_assistant
from jaxmeta.verification.user import USER, load_user

MOST = 40
"""Recordings of a name that are looked at, spread over all of them."""
_ROWS = 16
_STRETCHES = 16
"""Of 100 frames, beyond which a recording is cut off: 16 s say who speaks."""
Embed = Callable[[list[np.ndarray]], np.ndarray]
"""Features [T, F] of recordings -> unit vectors [N, E]."""


class Voices:
    """An observer that embeds recordings, in batches of about the same length, and compares them at the end."""

    def __init__(
        self, sample_rate: int, features: Callable[[np.ndarray], np.ndarray], embed: Embed, names: Sequence[str]
    ):
        """Args:
        sample_rate: Hz of the waveforms.
        features: of a waveform [S], [T, F].
        embed: makes voices of them.
        names: R speakers; rows without one are not looked at.
        """
        self.sample_rate = sample_rate
        self._features, self._embed, self._names = features, embed, [canonical(name) for name in names]
        self._chosen = _spread(self._names)
        self._waiting: dict[int, list[tuple[int, np.ndarray]]] = {}
        self._voices: dict[int, np.ndarray] = {}

    def wants(self, row: int) -> bool:
        return row in self._chosen

    def take(self, row: int, waveform: np.ndarray) -> None:
        frames = self._features(waveform)[: 100 * _STRETCHES]
        length = int(np.ceil(np.log2(max(len(frames), 100) / 100)))
        self._waiting.setdefault(length, []).append((row, frames))
        if len(self._waiting[length]) == _ROWS:
            self._flush(length)

    def cases(self) -> list[Case]:
        for length in [*self._waiting]:
            self._flush(length)
        rows = sorted(self._voices)
        if not rows:
            return []
        cases = voice_cases(np.stack([self._voices[row] for row in rows]), [self._names[row] for row in rows])
        return [case._replace(row=rows[case.row]) for case in cases]

    def _flush(self, length: int) -> None:
        rows, frames = zip(*self._waiting.pop(length), strict=True)
        self._voices |= dict(zip(rows, self._embed(list(frames)), strict=True))


def pretrained_voices(path: str | Path, names: Sequence[str]) -> Voices:
    """Voices by the weights of Resemblyzer, see `models.pretrained.speaker_embedding`.

    Raises:
      ValueError: other weights, or a damaged file. OSError: no such file.
    """
    params, model = read_speaker_embedding(path), speaker_embedding()
    program = jax.jit(lambda params, speech: model.apply(params, {}, speech, jax.random.key(0), False)[0])

    def embed(frames: list[np.ndarray]) -> np.ndarray:
        return np.asarray(program(params, _batch(frames)))[: len(frames)]

    return Voices(16_000, speaker_mels, embed, names)


def assistant_voices(folder: str | Path, names: Sequence[str]) -> Voices:
    """Voices by the network of an assistant, or of a user who enrolled with one.

    Raises:
      CardError, BundleError: the folder holds neither, or is damaged.
    """
    enrolled = (Path(folder) / USER.card).is_file() and not (Path(folder) / ASSISTANT.card).is_file()
    assistant = load_user(folder)[0] if enrolled else load_assistant(folder)
    config = assistant.card.features
    return Voices(
        config.sample_rate,
        lambda waveform: extract(waveform, config),
        lambda rows: embed_voices(assistant, rows),
        names,
    )


def _batch(frames: list[np.ndarray]):
    """Always as many rows, and lengths of few kinds, for which few programs are compiled."""
    longest = 100 * 2 ** max(0, int(np.ceil(np.log2(max(map(len, frames)) / 100))))
    return pad_rows([*frames, *[frames[-1][:1]] * (_ROWS - len(frames))], longest)


def _spread(names: Sequence[str]) -> set[int]:
    """At most `MOST` rows of each name, at equal distances; none of the empty name."""
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    places = {name: np.linspace(0, len(own) - 1, min(MOST, len(own))).astype(int) for name, own in rows.items() if name}
    return {rows[name][place] for name, own in places.items() for place in own}
