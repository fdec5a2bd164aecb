"""The protocol of adaptation to speakers: fixed queries, nested support sets, corpus error rates with intervals."""

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxmeta import Episode, MetaLearner
from jaxmeta.data.sampling.padding import round_up
from jaxmeta.data.sampling.support_query_splits import AdaptationEpisodes
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.decoding.error_rate_intervals import bootstrap_rate, paired_difference, paired_relative
from jaxmeta.decoding.error_rates import Edits, character_edits, word_edits
from jaxmeta.decoding.greedy import greedy
from jaxmeta.evaluation.result_cache import ResultCache, params_digest
from jaxmeta.progress import progress_bar
from jaxmeta.types import PyTree

Build = Callable[[float, int], MetaLearner]
"""(rate, steps) -> the learner that adapts; both are traced, so its estimator is `forward_only()`."""


class Heard(NamedTuple):
    """What a method recognised in the queries of all speakers, and what was said."""

    said: list[str]
    heard: list[str]
    speakers: list[str]

    @property
    def characters(self) -> Edits:
        return character_edits(self.said, self.heard)

    @property
    def words(self) -> Edits:
        return word_edits(self.said, self.heard)


class Protocol:
    """Recognition of each speaker's queries after adapting to some of the speaker's utterances."""

    def __init__(
        self, episodes: AdaptationEpisodes, vocabulary: Vocabulary, folder: Path, lengths: Sequence[int] | None = None
    ):
        """Args:
        episodes: speakers, with their utterances.
        vocabulary: of the transcripts.
        folder: for what is recognised.
        lengths: that a speaker's frames are padded to, each a program of its own; None: the longest of all.
        """
        self.episodes, self.vocabulary = episodes, vocabulary
        self.longest = longest_of(episodes)
        self.lengths = sorted(lengths or padded_lengths([episodes], 1))
        self.kept = ResultCache(folder)
        text = episodes.corpus.columns["transcription"]
        self.said = [str(text[row]) for group in episodes.groups for row in group.query]
        self.speakers = [group.name for group in episodes.groups for _ in group.query]

    def hear(self, name: str, build: Build, params: PyTree, shots: int, rate: float, steps: int) -> Heard:
        """Adapt to each speaker's first `shots` utterances and recognise the queries."""
        steps = steps if shots else 0
        key = [name, params_digest(params), self.episodes.corpus.fingerprint, len(self.said), shots, rate, steps]
        title = f"{name}, {shots} utterances, {steps} steps"
        heard = self.kept.get(key, lambda: self._hear(title, build, params, shots, rate, steps))
        return Heard(self.said, heard, self.speakers)

    def episode(self, index: int, shots: int) -> Episode:
        """One speaker's support set, in one of few shapes, and queries."""
        padded = next(length for length in self.lengths if length >= self.longest[index])
        return _first(self.episodes(shots, [index]), padded, 5 if shots <= 5 else None)

    def _hear(self, title: str, build: Build, params: PyTree, shots: int, rate: float, steps: int) -> list[str]:
        run = adapt_and_recognise(build)
        heard = []
        with progress_bar(title, len(self.longest)) as advance:
            for index in range(len(self.longest)):
                heard += self.vocabulary.decode_rows(run(params, rate, steps, self.episode(index, shots)))
                advance(1)
        return heard


def supports_of_others(episodes: AdaptationEpisodes) -> AdaptationEpisodes:
    """The same queries, each speaker's with the support set of the next one: what adapts to them is not the voice."""
    others = np.roll(np.arange(len(episodes.groups)), -1)
    groups = (
        one._replace(support=episodes.groups[other].support) for one, other in zip(episodes.groups, others, strict=True)
    )
    return replace(episodes, groups=tuple(groups))


def longest_of(episodes: AdaptationEpisodes) -> list[int]:
    """Frames of each speaker's longest utterance."""
    return [int(episodes.corpus.length[np.r_[group.support, group.query]].max()) for group in episodes.groups]


def padded_lengths(episodes: Iterable[AdaptationEpisodes], count: int) -> list[int]:
    """Lengths that equal shares of the speakers are padded to, ascending; the last fits the longest utterance."""
    longest = np.concatenate([longest_of(some) for some in episodes])
    return sorted(
        {int(round_up(np.quantile(longest, number / count, method="higher"))) for number in range(1, count + 1)}
    )


def row(heard: Heard, before: Heard, baseline: Heard | None = None, another: Heard | None = None) -> dict:
    """Error rates in percent with intervals over speakers, and differences to other systems on the same speech.

    Args:
      heard: by the system itself.
      before: by the same without adaptation; "gain" is the part of its errors that is gone.
      baseline: by another method; "against" is the difference to it.
      another: by the same system adapted to other speakers; "own" is the difference to that.
    """
    cer, wer = bootstrap_rate(heard.characters, heard.speakers), bootstrap_rate(heard.words, heard.speakers)
    gain = paired_relative(before.characters, heard.characters, heard.speakers)
    found = {
        "cer": cer.value, "cer_low": cer.low, "cer_high": cer.high,
        "wer": wer.value, "wer_low": wer.low, "wer_high": wer.high,
        "gain": gain.value, "gain_low": gain.low, "gain_high": gain.high,
    }  # fmt: skip
    for name, other in (("against", baseline), ("own", another)):
        if other is not None:
            change = paired_difference(other.characters, heard.characters, heard.speakers)
            found |= {name: change.value, f"{name}_low": change.low, f"{name}_high": change.high}
    return found


@functools.lru_cache(maxsize=64)
def adapt_and_recognise(build: Build) -> Callable:
    """(params, rate, steps, episode) -> labels of the queries, one program for every rate and number of steps."""

    def run(params: PyTree, rate: float, steps: int, episode: Episode):
        learner, key = build(rate, steps), jax.random.key(0)
        fast, _ = learner.adapt(params, {}, episode.support, key)
        return greedy(learner.predict(params, {}, fast, episode.query.inputs, key, False)[0])

    return jax.jit(run)


def _first(episodes: Episode, padded: int, support: int | None) -> Episode:
    """The only task of a batch, its frames and its support set cut to these numbers."""

    def cut(batch, rows: Sequence | slice):
        batch = jax.tree.map(lambda leaf: leaf[0][rows], batch)
        inputs = batch.inputs
        return batch._replace(
            inputs=inputs._replace(values=inputs.values[:, :padded], lengths=inputs.lengths.clip(max=padded))
        )

    return Episode(cut(episodes.support, slice(support)), cut(episodes.query, slice(None)))
