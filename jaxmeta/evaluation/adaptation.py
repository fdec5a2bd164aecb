"""The protocol of adaptation to speakers: fixed queries, nested support sets, each result computed once."""

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from jaxmeta.data.sampling.padding import round_up
from jaxmeta.data.sampling.support_query_splits import AdaptationEpisodes
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.decoding.greedy import greedy
from jaxmeta.evaluation.result_cache import ResultCache, params_digest
from jaxmeta.evaluation.transcripts import Transcripts
from jaxmeta.progress import progress_bar
from jaxmeta.types import Batch, Episode, MetaLearner, PyTree, Ragged

Build = Callable[[float, int], MetaLearner]
"""(rate, steps) -> the learner that adapts; both are traced, so its estimator is `forward_only()`."""
Decode = Callable[[Ragged], Ragged]
"""What a learner predicts -> labels."""


class AdaptationProtocol:
    """Recognition of each group's queries after adapting to some of its utterances; a group mostly is a speaker."""

    def __init__(
        self,
        episodes: AdaptationEpisodes,
        vocabulary: Vocabulary,
        folder: Path,
        lengths: Sequence[int] | None = None,
        *,
        sizes: Sequence[int] | None = None,
        decode: Decode = greedy,
    ):
        """Args:
        episodes: groups, with their utterances.
        vocabulary: of the transcripts.
        folder: for a file of what was recognised, so that nothing is computed twice.
        lengths: that a group's frames are padded to, each a program of its own; None: the longest of all.
        sizes: that support sets are padded to, each a program of its own; None: the largest of all.
        decode: labels from what a learner predicts.
        """
        self.episodes, self.vocabulary, self.decode = episodes, vocabulary, decode
        self.longest = longest_utterances(episodes)
        self.lengths = sorted(lengths or padded_lengths([episodes], 1))
        self.sizes = sorted({*(sizes or ()), max(episodes.supports)})
        self.cache = ResultCache(folder)
        columns, rows = episodes.corpus.columns, np.concatenate([group.query for group in episodes.groups])
        self.references = columns["transcription"][rows].tolist()
        self.speakers = columns["speaker"][rows].tolist()
        self.groups = [group.name for group in episodes.groups for _ in group.query]

    def transcribe(self, name: str, build: Build, params: PyTree, shots: int, rate: float, steps: int) -> Transcripts:
        """Adapt to each group's first `shots` utterances and recognise its queries.

        Args:
          name: of the method, which with the other arguments identifies the result.
          build: the same value for the same learner, so that one program serves all rates and steps.
          params: what the learner starts from.
          shots: 0 to the largest support set; without any there are no steps.
          rate, steps: of `build`.
        """
        steps = steps if shots else 0
        key = [name, params_digest(params), self.episodes.corpus.fingerprint, len(self.references), shots, rate, steps]
        title = f"{name}, {shots} utterances, {steps} steps"
        hypotheses = self.cache.get(key, lambda: self._recognise(title, build, params, shots, rate, steps))
        return Transcripts(self.references, hypotheses, self.speakers)

    def episode(self, index: int, shots: int) -> Episode:
        """One group's support set, in one of few shapes, and its queries."""
        frames = next(length for length in self.lengths if length >= self.longest[index])
        rows = next(size for size in self.sizes if size >= shots)
        support, query = jax.tree.map(lambda leaf: leaf[0], self.episodes(shots, [index]))
        return Episode(_cut(jax.tree.map(lambda leaf: leaf[:rows], support), frames), _cut(query, frames))

    def _recognise(self, title: str, build: Build, params: PyTree, shots: int, rate: float, steps: int) -> list[str]:
        run = adapt_and_recognise(build, self.decode)
        texts: list[str] = []
        with progress_bar(title, len(self.longest)) as advance:
            for index in range(len(self.longest)):
                texts += self.vocabulary.decode_rows(run(params, rate, steps, self.episode(index, shots)))
                advance(1)
        return texts


@functools.lru_cache(maxsize=64)
def adapt_and_recognise(build: Build, decode: Decode = greedy) -> Callable[[PyTree, float, int, Episode], Ragged]:
    """(params, rate, steps, episode) -> labels of the queries, one program for every rate and number of steps."""

    def run(params: PyTree, rate: float, steps: int, episode: Episode) -> Ragged:
        learner, key = build(rate, steps), jax.random.key(0)
        fast, _ = learner.adapt(params, {}, episode.support, key)
        return decode(learner.predict(params, {}, fast, episode.query.inputs, key, False)[0])

    return jax.jit(run)


def supports_of_others(episodes: AdaptationEpisodes, by: int = 1) -> AdaptationEpisodes:
    """The same queries, each group's with the support set of the next one: a control, for this is not the voice.

    Args:
      by: places up to the next one, such as the number of draws where so many groups are of one language.
    """
    others = np.roll(np.arange(len(episodes.groups)), -by)
    groups = (
        group._replace(support=episodes.groups[other].support)
        for group, other in zip(episodes.groups, others, strict=True)
    )
    return replace(episodes, groups=tuple(groups))


def queries_as_supports(episodes: AdaptationEpisodes) -> AdaptationEpisodes:
    """The same queries, which are their own support sets: for adaptation at test time, without transcripts."""
    groups = tuple(group._replace(support=group.query) for group in episodes.groups)
    return replace(episodes, groups=groups, supports=(len(groups[0].query),))


def longest_utterances(episodes: AdaptationEpisodes) -> list[int]:
    """Frames of each group's longest utterance."""
    return [int(episodes.corpus.length[np.r_[group.support, group.query]].max()) for group in episodes.groups]


def padded_lengths(episodes: Iterable[AdaptationEpisodes], count: int) -> list[int]:
    """Lengths that equal shares of the groups are padded to, ascending; the last fits the longest utterance."""
    longest = np.concatenate([longest_utterances(each) for each in episodes])
    shares = (np.quantile(longest, number / count, method="higher") for number in range(1, count + 1))
    return sorted({int(round_up(share)) for share in shares})


def _cut(batch: Batch, frames: int) -> Batch:
    """The batch with no more frames than these."""
    inputs = batch.inputs
    return batch._replace(
        inputs=inputs._replace(values=inputs.values[:, :frames], lengths=inputs.lengths.clip(max=frames))
    )
