"""Adaptation to one voice with a safeguard: the gain is cross-validated, and an uncertain one is not taken."""

import functools
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import jax
import numpy as np

from jaxmeta import tree
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.decoding.error_rate_intervals import Interval, paired_difference
from jaxmeta.decoding.error_rates import Edits, character_edits, error_rate
from jaxmeta.decoding.greedy import greedy
from jaxmeta.models.chunks import in_chunks
from jaxmeta.models.low_rank import merged
from jaxmeta.recognition.adaptation import fine_tuning, starting_point
from jaxmeta.recognition.recogniser import Recogniser
from jaxmeta.recognition.voice import VoiceRecordings
from jaxmeta.types import Batch, MetaLearner, PyTree, Ragged

T = TypeVar("T")
CHUNK = 16
"""Recordings that are recognised, or whose gradient is computed, at once."""


class Verdict(NamedTuple):
    """What adaptation does to utterances that it has not seen."""

    before: Edits
    """In characters, a row for each utterance, without adaptation."""
    after: Edits
    """The same, each utterance recognised by what was adapted to the folds without it."""
    change: Interval
    """Of the character error rate, in points; below 0 adaptation helps."""
    adopted: bool
    """Whether the interval lies below 0."""
    texts: tuple[Sequence[str], Sequence[str]] | None = None
    """What was recognised of each utterance before and after, where that is known."""


def judge(before: Edits, after: Edits, seed: int = 0, original: Sequence[int] | None = None) -> Verdict:
    """The verdict over utterances of one speaker, each resampled by itself, and copies of a recording together.

    Args:
      before: errors in each utterance without adaptation.
      after: with it.
      seed: of the resampling.
      original: for each utterance the first one that is the same recording; None: all are different.
    Raises:
      ValueError: fewer than two utterances.
    """
    rows = range(len(before.reference)) if original is None else original
    change = paired_difference(before, after, [str(row) for row in rows], seed=seed)
    return Verdict(before, after, change, change.high < 0)


def cross_validate(
    learner: MetaLearner,
    params: PyTree,
    batch: Batch,
    texts: Sequence[str],
    vocabulary: Vocabulary,
    *,
    folds: int = 5,
    seed: int = 0,
    original: Sequence[int] | None = None,
    count: Callable[[Sequence[str], Sequence[str]], Edits] = character_edits,
) -> Verdict:
    """Adapt to all folds but one and recognise that one, for each fold.

    Args:
      learner: adapts a recogniser; its outputs are Ragged logits.
      params: what it starts from.
      batch: N transcribed utterances, inputs and targets Ragged.
      texts: what was said in each.
      vocabulary: of the labels.
      folds: 2 or more; at most as many as there are different recordings.
      seed: of the folds and of the resampling.
      original: for each utterance the first one that is the same recording, which stays in one fold with its copies;
        None: all are different.
      count: (references, hypotheses) -> the edits that the gain is of.
    Raises:
      ValueError: folds out of range.
    """
    rows = len(texts)
    different, recording = np.unique(range(rows) if original is None else original, return_inverse=True)
    if not 2 <= folds <= len(different):
        raise ValueError(f"folds must lie between 2 and the number of recordings, {len(different)}, got {folds}.")
    fold = (np.random.default_rng(seed).permutation(len(different)) % folds)[recording]
    # The last mask adapts to nothing: the recogniser as it is.
    masks = np.stack([fold != index for index in range(folds)] + [np.zeros(rows, bool)])
    recognised = recognise_after(learner)(params, batch, masks)
    after = [vocabulary.decode(recognised[fold[row]][row]) for row in range(rows)]
    before = [vocabulary.decode(labels) for labels in recognised[folds]]
    return judge(count(texts, before), count(texts, after), seed, original)._replace(texts=(before, after))


@functools.lru_cache(maxsize=8)
def recognise_after(learner: MetaLearner) -> Callable[[PyTree, Batch, np.ndarray], list[list[np.ndarray]]]:
    """(params, batch, masks [M, N]) -> labels of every utterance after adapting to those of each mask."""

    @jax.jit
    def run(params: PyTree, batch: Batch, masks: jax.Array) -> Ragged:
        def after_adaptation(mask):
            key = jax.random.key(0)
            fast, _ = learner.adapt(params, {}, batch._replace(weight=mask * batch.weight), key)
            return greedy(learner.predict(params, {}, fast, batch.inputs, key, False)[0])

        return jax.lax.map(after_adaptation, masks)

    def recognise(params: PyTree, batch: Batch, masks: np.ndarray) -> list[list[np.ndarray]]:
        labels = jax.tree.map(np.asarray, run(params, batch, masks))
        return [
            [row[:length] for row, length in zip(values, lengths, strict=True)]
            for values, lengths in zip(labels.values, labels.lengths, strict=True)
        ]

    return recognise


def summary(verdict: Verdict, taken: bool) -> dict:
    """Figures as plain numbers; error rates in percent of characters. `taken`: whether the adapted weights are."""
    change = verdict.change
    return {
        "recordings": len(verdict.before.reference),
        "cer_before": error_rate(verdict.before),
        "cer_after": error_rate(verdict.after),
        "change": change.value,
        "change_low": change.low,
        "change_high": change.high,
        "certain": verdict.adopted,
        "adapted": taken,
    }


def sentence(verdict: Verdict, taken: bool) -> str:
    """The figures of `summary` for people."""
    figures = summary(verdict, taken)
    rates = f"{figures['cer_before']:.1f} % -> {figures['cer_after']:.1f} % of characters wrong (cross-validated)"
    interval = f"95 % interval {figures['change_low']:+.1f} to {figures['change_high']:+.1f}"
    change = f"change {figures['change']:+.1f} points, {interval}"
    if verdict.adopted:
        return f"{rates}; {change}: adapted."
    end = "adapted all the same." if taken else "the recogniser is kept as it was. More recordings may help."
    return f"{rates}; {change}: the gain is not certain, {end}"


class VoiceAdaptation(NamedTuple, Generic[T]):
    """What was adapted to one voice, and what that is worth."""

    adapted: T
    """A recogniser, or adapters of one; as they were where the verdict is against adaptation."""
    verdict: Verdict
    taken: bool
    """Whether it is adapted."""

    def summary(self) -> dict:
        """Figures as plain numbers; error rates in percent of characters."""
        return summary(self.verdict, self.taken)

    def __str__(self) -> str:
        return sentence(self.verdict, self.taken)


def adapt_to_voice(
    recogniser: Recogniser, voice: VoiceRecordings, *, folds: int = 5, seed: int = 0, always: bool = False
) -> VoiceAdaptation[Recogniser]:
    """Cross-validate adaptation to a voice, and adapt to all of its recordings where that helps.

    Args:
      recogniser: the recogniser, whose card says how it adapts.
      voice: transcribed recordings.
      folds: at most one for each recording is used.
      seed: of the folds and of the interval.
      always: adapt whatever the verdict.
    """
    card = recogniser.card
    # By chunks of recordings: all of five hundred at once would take gigabytes.
    learner = fine_tuning(in_chunks(recogniser.model, CHUNK), card.adaptation, card.rate, card.steps)
    params = starting_point(card.adaptation, recogniser.params, jax.random.key(0))
    folds = min(folds, len(set(voice.original)))
    verdict = cross_validate(
        learner, params, voice.batch, voice.texts, recogniser.vocabulary,
        folds=folds, seed=seed, original=voice.original,
    )  # fmt: skip
    if not (verdict.adopted or always):
        return VoiceAdaptation(recogniser, verdict, False)
    fast, _ = jax.jit(learner.adapt)(params, {}, voice.batch, jax.random.key(0))
    whole = tree.merge(fast, params)
    return VoiceAdaptation(
        recogniser._replace(params=merged(whole) if card.adaptation == "low_rank" else whole), verdict, True
    )
