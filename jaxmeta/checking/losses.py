"""Transcripts under which the loss of a trained recogniser is unusual."""

from collections.abc import Sequence

import jax
import numpy as np

from jaxmeta.data.checking.kinds import LOSS, Case
from jaxmeta.data.checking.outliers import robust_scores
from jaxmeta.data.checking.transcripts import frames_needed
from jaxmeta.data.features import extract
from jaxmeta.padding import pad_rows
from jaxmeta.recognition.recogniser import Recogniser
from jaxmeta.sequence_losses import ctc

ODD_SCORE = 4.0
"""Modified z-score of the loss a character from which a transcript is odd."""
SPREAD = 0.15
"""Nats a character: deviation that is assumed at least."""
LONGEST = 3_000
"""Frames of the features beyond which a recording is not looked at: 30 s."""
_ROWS, _FRAMES, _LABELS = 8, 256, 32


class TranscriptLosses:
    """An observer that computes the CTC loss of each transcript, in batches of about the same length."""

    def __init__(self, recogniser: Recogniser, texts: Sequence[str]):
        """Args:
        recogniser: trained on other recordings, or on most of these.
        texts: R transcripts; what the vocabulary cannot spell, or no alignment fits, is not looked at.
        """
        self.sample_rate = recogniser.card.features.sample_rate
        self._recogniser = recogniser
        self._texts = [recogniser.fold(text) for text in texts]
        self._waiting: dict[tuple[int, int], list[tuple[int, np.ndarray, np.ndarray]]] = {}
        self._losses = np.full(len(texts), np.nan)

        @jax.jit
        def losses(params, speech, labels):
            outputs, _ = recogniser.model.apply(params, {}, speech, jax.random.key(0), False)
            return ctc(outputs, labels)

        self._program = losses

    def wants(self, row: int) -> bool:
        return self._labels(row) is not None

    def take(self, row: int, waveform: np.ndarray) -> None:
        frames, labels = extract(waveform, self._recogniser.card.features), self._labels(row)
        if labels is None or len(frames) > LONGEST:
            return
        if self._recogniser.card.output_lengths(len(frames)) < frames_needed(self._texts[row]):
            return
        form = _FRAMES * -(-len(frames) // _FRAMES), _LABELS * -(-len(labels) // _LABELS)
        self._waiting.setdefault(form, []).append((row, frames, labels))
        if len(self._waiting[form]) == _ROWS:
            self._flush(form)

    def cases(self) -> list[Case]:
        for form in [*self._waiting]:
            self._flush(form)
        scores = robust_scores(self._losses, least=SPREAD)
        usual = np.nanmedian(self._losses) if np.isfinite(self._losses).any() else np.nan
        return [
            Case(LOSS.name, row, float(self._losses[row]), float(scores[row]) / ODD_SCORE,
                 f"loss of {self._losses[row]:.2f} nats a character, and {usual:.2f} are usual")
            for row in np.flatnonzero(scores >= ODD_SCORE).tolist()
        ]  # fmt: skip

    def _labels(self, row: int) -> np.ndarray | None:
        """The classes of a transcript; None where the vocabulary lacks a character, or nothing is said."""
        try:
            labels = self._recogniser.vocabulary.encode(self._texts[row])
        except ValueError:
            return None
        return labels if len(labels) else None

    def _flush(self, form: tuple[int, int]) -> None:
        rows, frames, labels = zip(*self._waiting.pop(form), strict=True)
        missing = _ROWS - len(rows)
        speech = pad_rows([*frames, *[frames[0]] * missing], form[0])
        targets = pad_rows([*labels, *[labels[0]] * missing], form[1])
        losses = np.asarray(self._program(self._recogniser.params, speech, targets))[: len(rows)]
        self._losses[list(rows)] = losses / np.array([len(each) for each in labels])
