"""Does a Whisper write a user's words that it is told by name, or that five recordings by others teach it?

    JAXMETA_DATA=DIR python -m experiments.named_words --recogniser whisper-tiny.en

Ten words are named to the recogniser (a bonus in greedy search, as `jaxmeta transcribe --words` gives it, or as the
text that came before), or five recordings of each teach adapters of the decoder, beside as many without any of them.
What counts is how many are missed in other sentences by other people, and the errors in sentences without them. The
bonus and the number of steps are chosen on four other words. The control is taught without the words.

Writes results.json and results.md, anew after each row. All numbers: README.md in this folder.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from experiments.named_words.data import Base, Part, Parts
    from jaxmeta.decoding.error_rates import Edits
    from jaxmeta.recognition.pretrained.whisper import WhisperRecogniser

BONUSES, STEPS = (2.0, 3.0, 4.0, 6.0), (10, 30)
"""Nats, and updates of the adapters, that are chosen among on validation words."""
HARM = 0.5
"""Points of errors elsewhere that a choice may cost on validation words."""
ROWS = 8
"""Utterances that are recognised at once."""
COLUMNS: dict[str, str | tuple[str, str, str]] = {
    "part": "", "method": "", "words missed": ("missed", "", ".1f"), "change": ("change", "", "+.1f"),
    "errors elsewhere": ("elsewhere", "", ".1f"), "harm": ("harm", "", "+.1f"),
}  # fmt: skip


@dataclass(frozen=True)
class Config:
    """A recogniser that meets a user's words."""

    recogniser: Path | None = None
    """Folder of a Whisper, or of adapters that `jaxmeta train recogniser --base` trained on many speakers."""
    base: Path | None = None
    """Of the adapters, where it has moved."""
    queries: int = 10
    """Utterances with each word to recognise, at most."""
    seed: int = 0
    """Of the recordings that teach, and of the adapters."""
    workdir: Path = Path("runs/named_words")
    """Results."""


class Texts(NamedTuple):
    """What was written for utterances with the words, and without."""

    having: list[str]
    free: list[str]


def main(config: Config) -> list[dict[str, Any]]:
    """Measure, and return the rows.

    Raises:
      ValueError: the corpus is missing, or the folder is no Whisper; `queries` below 1.
    """
    if config.queries < 1:
        raise ValueError(f"queries={config.queries} must be 1 or more.")
    if config.recogniser is None:
        print("skipped: no words are named without a Whisper; give --recogniser FOLDER")
        return []
    from experiments.named_words.data import read, read_parts
    from jaxmeta.training.report import interval_table, stamp, write_tables

    base = read(config.recogniser, config.base)
    parts = read_parts(base, config.queries, config.seed)
    stamped = stamp(config.seed, sys.argv, {part.name: part.having.corpus.fingerprint for part in parts})
    written: list[dict[str, Any]] = []
    for row in rows(base, *parts, config.seed):
        written.append(row)
        write_tables(config.workdir, interval_table(written, COLUMNS), written, stamped)
    return written


def rows(base: Base, val: Parts, test: Parts, seed: int) -> Iterator[dict[str, Any]]:
    """Rows of validation words, by which the bonus and the steps are chosen, and those of the test words."""
    from jaxmeta.recognition.pretrained.favoured_words import favouring

    before = {parts.name: recognised(base.recogniser, parts) for parts in (val, test)}
    yield from (row_of(parts, "none", before[parts.name], before[parts.name]) for parts in (val, test))

    def rows_on(parts: Parts, name: str, recogniser: WhisperRecogniser) -> dict[str, Any]:
        return row_of(parts, name, recognised(recogniser, parts), before[parts.name])

    bonuses = {
        bonus: rows_on(val, f"named, bonus {bonus:g}", favouring(base.recogniser, val.words, bonus))
        for bonus in BONUSES
    }
    yield from bonuses.values()
    bonus = best(bonuses)
    yield rows_on(test, f"named, bonus {bonus:g}", favouring(base.recogniser, test.words, bonus))
    if base.adapters is None:
        for parts in (val, test):
            yield rows_on(parts, "words as previous text", told(base.recogniser, parts.words))
        both = favouring(told(base.recogniser, test.words), test.words, bonus)
        yield rows_on(test, f"words as previous text, and named, bonus {bonus:g}", both)
    teaches = partial(taught, base, seed=seed)
    lessons = {
        steps: rows_on(val, f"taught, {steps} steps", teaches(val.taught.with_others(val.other), steps))
        for steps in STEPS
    }
    yield from lessons.values()
    steps = best(lessons)
    learnt = teaches(test.taught.with_others(test.other), steps)
    yield rows_on(test, f"taught, {steps} steps", learnt)
    yield rows_on(test, "taught without the words", teaches(test.other, steps))
    yield rows_on(test, f"taught, and named, bonus {bonus:g}", favouring(learnt, test.words, bonus))


def best(choices: dict[Any, dict[str, Any]]) -> Any:
    """The least share of words missed among choices that harm little, or the choice that harms least."""
    allowed = {key: row["missed"] for key, row in choices.items() if row["harm"] <= HARM}
    return min(allowed or choices, key=allowed.get if allowed else lambda key: choices[key]["harm"])  # type: ignore[arg-type]


def told(recogniser: WhisperRecogniser, words: Sequence[str]) -> WhisperRecogniser:
    """The recogniser with words as the text that came before, as users name words to Whisper."""
    from jaxmeta.recognition.pretrained.previous_text import after_text

    return after_text(recogniser, f"{', '.join(words)}.")


def taught(base: Base, part: Part, steps: int, seed: int) -> WhisperRecogniser:
    """The recogniser with adapters of the decoder's attention that learnt from some utterances."""
    import numpy as np

    from jaxmeta.recognition.pretrained.adaptation import TRAINED_RATE, AdaptationOptions, learn
    from jaxmeta.recognition.pretrained.adapter import with_whisper_adapters
    from jaxmeta.recognition.pretrained.voice import WhisperVoice
    from jaxmeta.recognition.pretrained.whisper import spelled

    below, case = base.below, base.below.habits.case
    said = part.corpus.columns["transcription"].tolist()
    texts = [text.capitalize() if case == "as it is" else spelled(text, case) for text in said]
    labels = [below.tokenizer.encode(f" {text}") for text in texts]
    rate = AdaptationOptions.rate if base.adapters is None else TRAINED_RATE
    options = AdaptationOptions(steps=steps, rate=rate, seed=seed)
    voice = WhisperVoice(part.memory, labels, texts, [*range(len(texts))], [])
    return with_whisper_adapters(below, learn(below, voice, np.arange(len(texts)), options, base.adapters))


def recognised(recogniser: WhisperRecogniser, parts: Parts) -> Texts:
    """What greedy search writes for the utterances that test."""
    from jaxmeta.recognition.pretrained.transcription import write

    def texts(part: Part) -> list[str]:
        order = sorted(range(len(part.memory)), key=lambda row: len(part.memory[row]))
        said: dict[int, str] = {}
        for start in range(0, len(order), ROWS):
            # The last batch is filled up with the longest utterance.
            chosen = [order[min(place, len(order) - 1)] for place in range(start, start + ROWS)]
            said |= dict(zip(chosen, write(recogniser, [part.memory[row] for row in chosen]), strict=True))
        return [said[row] for row in range(len(order))]

    return Texts(texts(parts.having), texts(parts.free))


def row_of(parts: Parts, method: str, texts: Texts, before: Texts) -> dict[str, Any]:
    """Words missed, with an interval over the words; characters wrong elsewhere, with one over speakers; in percent."""
    from jaxmeta.decoding.error_rate_intervals import bootstrap_rate, paired_difference
    from jaxmeta.decoding.error_rates import character_edits
    from jaxmeta.evaluation.shifts.protocols import missed_words
    from jaxmeta.recognition.pretrained.transcription import comparable

    def wanted(part: Part) -> list[str]:
        return [comparable(text) for text in part.corpus.columns["transcription"].tolist()]

    def edits(each: Texts) -> tuple[Edits, Edits]:
        having, free = ([comparable(text) for text in texts] for texts in each)
        return missed_words(wanted(parts.having), having, parts.words), character_edits(wanted(parts.free), free)

    words = [next(word for word in text.split() if word in parts.words) for text in wanted(parts.having)]
    speakers = parts.free.corpus.columns["speaker"].tolist()
    (missed, elsewhere), (missed_before, usual) = edits(texts), edits(before)
    return {"part": parts.name, "method": method} | {
        name: value
        for interval, column in (
            (bootstrap_rate(missed, words), "missed"),
            (paired_difference(missed_before, missed, words), "change"),
            (bootstrap_rate(elsewhere, speakers), "elsewhere"),
            (paired_difference(usual, elsewhere, speakers), "harm"),
        )
        for name, value in interval.columns(column).items()
    }


if __name__ == "__main__":
    import tyro

    given = tyro.cli(Config, prog="python -m experiments.named_words", description=__doc__)

    from jaxmeta.training.runtime import begin

    begin()
    main(given)
