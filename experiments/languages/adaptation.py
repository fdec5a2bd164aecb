"""Adaptation to languages never heard in pretraining, from a few utterances: fine-tuning and MAML on one protocol."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from experiments.languages.systems import System
from jaxmeta import Episode, Ragged, forward_only
from jaxmeta.data.sampling.support_query_splits import AdaptationEpisodes
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.decoding.error_rate_intervals import bootstrap_rate, paired_difference
from jaxmeta.decoding.error_rates import Edits, error_rate
from jaxmeta.evaluation.result_cache import ResultCache, params_digest
from jaxmeta.evaluation.transcripts import Transcripts
from jaxmeta.progress import progress_bar
from jaxmeta.types import PyTree

Count = Callable[[list[str], list[str]], Edits]
"""(said, heard) -> the edits that an error rate is of."""


class Trained(NamedTuple):
    """What a method starts from, and what was best on the validation language."""

    method: str
    params: PyTree
    rate: float
    steps: int


class Adaptation:
    """What a system writes for the queries of languages after adapting to some utterances of each."""

    def __init__(self, episodes: AdaptationEpisodes, vocabulary: Vocabulary, system: System, folder: Path):
        self.episodes, self.vocabulary, self.system = episodes, vocabulary, system
        self.kept = ResultCache(folder)

    def hear(self, method: str, params: PyTree, shots: int, rate: float, steps: int) -> dict[str, Transcripts]:
        """Language -> what was said and written in all draws of its support set."""
        steps = steps if shots else 0
        key = [method, params_digest(params), self.episodes.corpus.fingerprint, shots, rate, steps]
        title = f"{method}, {shots} utterances, {steps} steps at {rate:g}"
        return self._by_language(self.kept.get(key, lambda: self._hear(title, params, shots, rate, steps)))

    def _hear(self, title: str, params: PyTree, shots: int, rate: float, steps: int) -> list[list[str]]:
        run, found = _adapt_and_write(self.system), []
        with progress_bar(title, len(self.episodes.groups)) as advance:
            for index in range(len(self.episodes.groups)):
                found.append(self.vocabulary.decode_rows(run(params, rate, steps, self._episode(index, shots))))
                advance(1)
        return found

    def _episode(self, index: int, shots: int) -> Episode:
        """One language's support set, in one of two sizes, as each is another program, and its queries."""
        support, query = jax.tree.map(lambda leaf: leaf[0], self.episodes(shots, [index]))
        sizes = [size for size in self.episodes.supports if size >= max(1, shots)]
        size = sizes[0] if shots <= min(filter(None, self.episodes.supports)) else sizes[-1]
        return Episode(jax.tree.map(lambda leaf: leaf[:size], support), query)

    def _by_language(self, heard: Sequence[Sequence[str]]) -> dict[str, Transcripts]:
        columns, found = self.episodes.corpus.columns, {}
        for group, texts in zip(self.episodes.groups, heard, strict=True):
            one = found.setdefault(group.name.rpartition("/")[0], Transcripts([], [], []))
            one.references.extend(columns["transcription"][group.query].tolist())
            one.hypotheses.extend(texts)
            one.speakers.extend(columns["speaker"][group.query].tolist())
        return found


def choose(
    method: str,
    params: PyTree,
    validation: Adaptation,
    count: Count,
    rates: Sequence[float],
    steps: Sequence[int],
    shots: int,
) -> Trained:
    """The rate and number of steps with the fewest errors in the validation language."""
    tried = []
    for rate in rates:
        for number in steps:
            (heard,) = validation.hear(method, params, shots, rate, number).values()
            tried.append((error_rate(count(heard.references, heard.hypotheses)), Trained(method, params, rate, number)))
    error, chosen = min(tried, key=lambda one: one[0])
    print(f"{method}: rate {chosen.rate:g}, {chosen.steps} steps, {error:.1f} % errors", file=sys.stderr)
    return chosen


def table(methods: Sequence[Trained], test: Adaptation, count: Count, shots: Sequence[int]) -> list[dict]:
    """A row for each language, number of utterances and method; the first method is what others are compared with."""
    rows = []
    for number in shots:
        found = {one.method: test.hear(one.method, one.params, number, one.rate, one.steps) for one in methods}
        for one in methods:
            for language, heard in found[one.method].items():
                rows.append(
                    {"language": language, "utterances": number, "method": one.method, "rate": one.rate}
                    | {"steps": one.steps if number else 0}
                    | scores(heard, found[methods[0].method][language] if one is not methods[0] else None, count)
                )
    return sorted(rows, key=lambda row: row["language"])


def scores(heard: Transcripts, baseline: Transcripts | None, count: Count) -> dict:
    """Error rate in percent with its interval over voices, exact matches, and the difference to a baseline."""
    edits = count(heard.references, heard.hypotheses)
    rate = bootstrap_rate(edits, heard.speakers)
    right = np.mean([said == written for said, written in zip(heard.references, heard.hypotheses, strict=True)])
    found = {"error": rate.value, "low": rate.low, "high": rate.high, "exact": 100 * float(right)}
    if baseline is not None:
        change = paired_difference(count(baseline.references, baseline.hypotheses), edits, heard.speakers)
        found |= {"against": change.value, "against_low": change.low, "against_high": change.high}
    return found


@functools.lru_cache(maxsize=64)
def _adapt_and_write(system: System) -> Callable[[PyTree, float, int, Episode], Ragged]:
    """Compiled once for each shape of a support set, whatever the rate and the number of steps."""

    def run(params: PyTree, rate: float, steps: int, episode: Episode) -> Ragged:
        learner = system.learner(rate, steps, forward_only())
        fast, _ = learner.adapt(params, {}, episode.support, jax.random.key(0))
        return system.write(fast, episode.query.inputs)

    return jax.jit(run)
