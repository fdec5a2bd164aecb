"""Channels on a Whisper that was trained on short recordings: bands of log-mels aligned, or adapters that learn."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from experiments.adaptation_map.on_whisper import Base, adapted, drawn, edits, frames
from jaxmeta.data.corpus import Corpus
from jaxmeta.decoding.error_rate_intervals import bootstrap_rate, paired_difference
from jaxmeta.decoding.error_rates import Edits, error_rate
from jaxmeta.recognition.pretrained.transcription import write_features
from jaxmeta.recognition.shifts.shift import Sentences

SHARES = (0.5, 1.0)
"""Of the way from a channel's statistics to those of training."""
RATES, STEPS = (1e-4, 3e-4), 20


def rows(base: Base, sentences: Sentences, queries: int, seed: int) -> Iterator[dict[str, Any]]:
    """Rows of validation channels, by which share and rate are chosen, and then those of the test."""
    corpus = sentences.corpus
    split = corpus.columns["split"]
    train = drawn(corpus.select(split == "train"), "speaker", 1, seed)
    usual = statistics(frames(train))
    teaching = train.select(np.arange(len(train)) < 10)
    val, test = (drawn(corpus.select(split == part), "speaker", queries + 10, 0) for part in ("val", "test"))
    places = {name: sentences.seen[name] for name in sentences.tuned}
    errors: dict[tuple[str, float], list[Edits]] = {}
    for name, transform in places.items():
        heard, taught = sentences.through(val, transform), sentences.through(teaching, transform)
        for share in (0.0, *SHARES):
            shown = aligned(heard, heard, usual, 10, share) if share else heard
            errors.setdefault(("aligned", share), []).append(_recognised(base.recogniser, shown, 10))
            yield _row("validation", name, f"aligned, {share:g} of the way", 10, errors["aligned", share][-1], heard)
        for rate in RATES if base.adapters is not None else ():
            learnt = adapted(base, taught, rate, STEPS, seed)
            errors.setdefault(("adapters", rate), []).append(_recognised(learnt, heard, 10))
            yield _row("validation", name, f"adapters, {rate:g} x {STEPS}", 10, errors["adapters", rate][-1], heard)
    chosen = {
        kind: min((key for key in errors if key[0] == kind), key=lambda key: error_rate(_joined(errors[key])))[1]
        for kind in {key[0] for key in errors}
    }
    yield from _test(base, sentences, test, teaching, usual, chosen, seed)


def _test(base: Base, sentences: Sentences, test: Corpus, teaching: Corpus, usual, chosen, seed) -> Iterator[dict]:
    clean = _recognised(base.recogniser, test, 10)
    yield _row("test", "none", "none", 0, clean, test)
    row = partial(_row, "test")
    if "adapters" in chosen:
        on_clean = adapted(base, teaching, chosen["adapters"], STEPS, seed)
    for name, transform in sentences.unseen.items():
        heard = sentences.through(test, transform)
        before = _recognised(base.recogniser, heard, 10)
        yield row(name, "none", 0, before, heard)
        share = chosen["aligned"] or SHARES[0]
        for count, statistics_of, of in ((5, heard, ""), (10, heard, ""), (10, test, ", by clean utterances")):
            after = _recognised(base.recogniser, aligned(heard, statistics_of, usual, count, share), 10)
            yield row(name, f"aligned, {share:g} of the way{of}", count, after, heard, before)
        if "adapters" in chosen:
            learnt = adapted(base, sentences.through(teaching, transform), chosen["adapters"], STEPS, seed)
            after, control = (_recognised(each, heard, 10) for each in (learnt, on_clean))
            yield row(name, f"adapters, {chosen['adapters']:g} x {STEPS}", 10, after, heard, before)
            yield row(name, "adapters, by clean utterances", 10, control, heard, before)
            yield row(name, "adapters, against clean utterances", 10, after, heard, control)


def statistics(rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each band over all frames."""
    together = np.concatenate(rows)
    return together.mean(0), together.std(0)


def aligned(corpus: Corpus, of: Corpus, usual, count: int, share: float) -> Corpus:
    """Frames with each band's mean and deviation moved to the usual ones, by some utterances of the same speaker.

    Args:
      corpus: its first ten rows of each speaker are never recognised.
      of: the same rows, in which statistics are taken.
      usual: mean and deviation of training speakers.
      count: rows of each speaker, of those ten.
      share: of the way.
    """
    from dataclasses import replace

    parts, names = frames(corpus), corpus.columns["speaker"]
    others = frames(of)
    for name in np.unique(names):
        own = np.flatnonzero(names == name)
        mean, deviation = statistics([others[row] for row in own[:count]])
        to_mean, to_deviation = mean + share * (usual[0] - mean), deviation + share * (usual[1] - deviation)
        for row in own:
            parts[row] = ((parts[row] - mean) / np.maximum(deviation, 1e-3) * to_deviation + to_mean).astype("f4")
    lengths = np.array([len(part) for part in parts], np.int32)
    start = np.cumsum(lengths, dtype=np.int64) - lengths
    return replace(corpus, frames=np.concatenate(parts), start=start, length=lengths)


def _queries(corpus: Corpus, first: int) -> Corpus:
    """All but the first rows of each speaker."""
    names, mask = corpus.columns["speaker"], np.ones(len(corpus), bool)
    for name in np.unique(names):
        mask[np.flatnonzero(names == name)[:first]] = False
    return corpus.select(mask)


def _recognised(recogniser, corpus: Corpus, first: int) -> Edits:
    shown = _queries(corpus, first)
    return edits(write_features(recogniser, frames(shown)), shown)


def _joined(parts: list[Edits]) -> Edits:
    return Edits(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _row(part, shift, method, count, after: Edits, corpus: Corpus, before: Edits | None = None) -> dict[str, Any]:
    speakers = _queries(corpus, 10).columns["speaker"]
    named = {"part": part, "shift": shift, "method": method, "utterances": count}
    row = named | bootstrap_rate(after, speakers).columns("error")
    return row if before is None else row | paired_difference(before, after, speakers).columns("change")
