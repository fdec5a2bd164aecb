"""Each speaker in each condition: choosing rates and steps on validation speakers, and the table of test speakers."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.adapt_asr.methods import Method
from experiments.adapt_asr.protocol import Heard, Protocol
from experiments.adapt_asr.report import Trained, interval
from experiments.noise.conditions import Condition
from experiments.noise.recipes import COLUMNS, QUERY, SHOTS
from jaxmeta.data.augmentation.waveform import heard_in
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.support_query_splits import AdaptationEpisodes, adaptation_episodes
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.decoding.error_rate_intervals import bootstrap_rate, paired_difference
from jaxmeta.decoding.error_rates import Edits, error_rate
from jaxmeta.training.report import markdown_table
from jaxmeta.types import PyTree


class Setting(NamedTuple):
    """One condition: the same utterances in it, for adaptation with transcripts and without."""

    condition: Condition
    told: Protocol
    """Support sets of `SHOTS` transcribed utterances, in the condition."""
    alone: Protocol
    """The queries are their own support sets; for methods that look at no transcripts."""

    def hear(self, method: Trained, labels: bool) -> Heard:
        """What a method recognises after adapting to each speaker in this condition."""
        protocol, shots = (self.told, SHOTS) if labels else (self.alone, QUERY)
        return protocol.hear(method.name, method.build, method.params, shots, method.rate, method.steps)

    def unadapted(self, method: Trained) -> Heard:
        """What the recogniser that a method starts from recognises."""
        return self.told.hear("unadapted", method.build, method.params, 0, 0.0, 0)


def settings(
    corpus: Corpus, folder: Path, vocabulary: Vocabulary, conditions: Sequence[Condition], speakers: int, seed: int,
    keep: Path,
) -> list[Setting]:  # fmt: skip
    """Some speakers in every condition, always with the same utterances.

    Args:
      corpus: of a split, as in the manifest in `folder`.
      folder: of the recordings.
      vocabulary: of the transcripts.
      conditions: that they are heard in.
      speakers: how many of them, at most; drawn at random.
      seed: of the draw of speakers and utterances.
      keep: folder for what is recognised.
    """
    some = some_utterances(corpus, vocabulary, speakers, seed)
    found = []
    for condition in conditions:
        heard = heard_in(some, folder, condition.transform)
        told = adaptation_episodes(heard, vocabulary, supports=(0, SHOTS), query=QUERY, seed=seed)
        # Each condition keeps its own file, so that none grows large.
        folders = (keep / condition.name.replace(" ", "_") / name for name in ("told", "alone"))
        both = zip((told, by_themselves(told)), folders, strict=True)
        found.append(Setting(condition, *(Protocol(episodes, vocabulary, own) for episodes, own in both)))
    return found


def some_utterances(corpus: Corpus, vocabulary: Vocabulary, speakers: int, seed: int) -> Corpus:
    """As many utterances as the protocol needs of each of some speakers, so that no others need be computed."""
    groups = adaptation_episodes(corpus, vocabulary, supports=(SHOTS,), query=QUERY, seed=seed).groups
    drawn = np.random.default_rng(seed).permutation(len(groups))[:speakers]
    mask = np.zeros(len(corpus), bool)
    for index in drawn:
        mask[np.r_[groups[index].support, groups[index].query]] = True
    return corpus.select(mask)


def by_themselves(episodes: AdaptationEpisodes) -> AdaptationEpisodes:
    """The same queries, each group's being its support set too."""
    groups = tuple(group._replace(support=group.query) for group in episodes.groups)
    return replace(episodes, groups=groups, supports=(len(groups[0].query),))


def choose(
    name: str, method: Method, params: PyTree, tuned: Sequence[Setting], rates: Sequence[float], steps: Sequence[int]
) -> Trained:
    """Try every rate and number of steps on validation speakers in some conditions, and keep the best of all."""
    tried = []
    for rate in rates:
        for count in steps:
            one = Trained(name, method.build, params, rate, count, 0.0)
            edits = [setting.hear(one, method.labels).characters for setting in tuned]
            tried.append(one._replace(error=error_rate(together(edits))))
    best = min(tried, key=lambda one: one.error)
    print(f"{name}: rate {best.rate:g}, {best.steps} steps, {best.error:.1f} % on validation speakers", file=sys.stderr)
    return best


def together(edits: Sequence[Edits]) -> Edits:
    """The rows of several."""
    return Edits(*(np.concatenate(parts) for parts in zip(*edits, strict=True)))


def table(
    unadapted: Trained, methods: Mapping[str, Trained], known: Mapping[str, Method], tested: Sequence[Setting]
) -> list[dict]:
    """A row for each condition and method, and one of each condition without adaptation."""
    rows = []
    for setting in tested:
        before = setting.unadapted(unadapted)
        rows.append(_named(setting, "unadapted", 0) | rates_of(before, before))
        for name, method in methods.items():
            labels = known[name].labels
            heard = setting.hear(method, labels)
            named = _named(setting, name, SHOTS if labels else 0) | {"rate": method.rate, "steps": method.steps}
            rows.append(named | rates_of(heard, before))
    return rows


def rates_of(heard: Heard, before: Heard) -> dict:
    """Error rates in percent, and the change of the character error rate in points, with intervals over speakers."""
    cer, wer = bootstrap_rate(heard.characters, heard.speakers), bootstrap_rate(heard.words, heard.speakers)
    change = paired_difference(before.characters, heard.characters, heard.speakers)
    return {
        "cer": cer.value, "cer_low": cer.low, "cer_high": cer.high,
        "wer": wer.value, "wer_low": wer.low, "wer_high": wer.high,
        "change": change.value, "change_low": change.low, "change_high": change.high,
    }  # fmt: skip


def show(rows: list[dict]) -> str:
    """The table as Markdown: percent, and changes in points, with 95 % intervals over speakers."""
    texts = []
    for row in rows:
        change = interval(row, "change", "", "+.1f") if row["method"] != "unadapted" else None
        texts.append(row | {"CER": interval(row, "cer"), "WER": interval(row, "wer"), "change of CER": change})
    return markdown_table(texts, COLUMNS)


def _named(setting: Setting, method: str, transcribed: int) -> dict:
    condition = setting.condition
    return {
        "condition": condition.name, "kind": condition.kind, "snr": condition.snr, "method": method,
        "transcribed": transcribed, "speakers": len(setting.told.episodes.groups),
    }  # fmt: skip
