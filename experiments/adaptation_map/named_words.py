"""Words that are named to a Whisper, or taught by recordings of other speakers: recall of them, and harm elsewhere."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from experiments.adaptation_map.on_whisper import Base, edits
from jaxmeta.data.corpus import Corpus, concatenate
from jaxmeta.data.recordings import read_waveforms
from jaxmeta.data.sampling.subsets import containing
from jaxmeta.decoding.error_rate_intervals import bootstrap_rate, paired_difference
from jaxmeta.decoding.error_rates import Edits, error_rate
from jaxmeta.evaluation.shifts.protocols import missed_words
from jaxmeta.padding import pad_rows
from jaxmeta.recognition.pretrained.adaptation import TRAINED_RATE, AdaptationOptions, learn
from jaxmeta.recognition.pretrained.adapter import with_whisper_adapters
from jaxmeta.recognition.pretrained.favoured_words import favouring
from jaxmeta.recognition.pretrained.transcription import comparable, encode, write
from jaxmeta.recognition.pretrained.voice import WhisperVoice
from jaxmeta.recognition.pretrained.whisper import WhisperRecogniser, spelled
from jaxmeta.recognition.shifts.shift import Sentences

BONUSES, STEPS = (2.0, 4.0), (10, 30)
SHOTS, HARM = 5, 0.5
"""Recordings of each word, and points of errors elsewhere that a choice may cost on validation data."""
_ROWS = 8


class Part:
    """Recordings, which are encoded once they are needed."""

    def __init__(self, corpus: Corpus, encoded: Callable[[Corpus], list[np.ndarray]]) -> None:
        self.corpus, self._encoded = corpus, encoded

    @cached_property
    def memory(self) -> list[np.ndarray]:
        """What the encoder gives for each."""
        return self._encoded(self.corpus)

    def with_others(self, other: "Part") -> "Part":
        """Both."""
        return Part(concatenate([self.corpus, other.corpus]), self._encoded)


class Way(NamedTuple):
    """A recogniser, and what it is called."""

    name: str
    recogniser: WhisperRecogniser
    count: int


class Parts(NamedTuple):
    """Words, what teaches them, and what tests them."""

    words: list[str]
    taught: Part
    """Utterances with them, by training speakers."""
    other: Part
    """As many without any."""
    having: Part
    free: Part


def rows(base: Base, sentences: Sentences, queries: int, seed: int) -> Iterator[dict[str, Any]]:
    """Rows of validation words, by which the bonus and the steps are chosen, and then those of the test words.

    Half of the training speakers teach. A public Whisper, which has heard none of the corpus, is tested by the others
    and the test speakers, and one that was trained on them by the validation and test speakers alone.
    """
    val, test = (
        _parts(base, sentences, [word.lower() for word in words], queries, seed, number)
        for number, words in enumerate((sentences.val_words, sentences.words))
    )
    before = [_texts(base.recogniser, parts) for parts in (val, test)]
    nothing = Way("none", base.recogniser, 0)
    yield from (_row(part, nothing, *each) for part, each in _places((val, test), before, before))

    def named(recogniser: WhisperRecogniser, words: list[str], bonus: float) -> Way:
        return Way(f"words named, bonus {bonus:g}", favouring(recogniser, words, bonus), 0)

    gains: dict[float, tuple[float, float]] = {}
    for bonus in BONUSES:
        way = named(base.recogniser, val.words, bonus)
        texts = _texts(way.recogniser, val)
        gains[bonus] = _gain(val, before[0], texts)
        yield _row("validation", way, val, texts, before[0])
    bonus = _best(gains)
    way = named(base.recogniser, test.words, bonus)
    yield _row("test", way, test, _texts(way.recogniser, test), before[1])
    taught: dict[int, tuple[float, float]] = {}
    for steps in STEPS:
        learnt = _taught(base, val.taught.with_others(val.other), steps, seed)
        texts = _texts(learnt, val)
        taught[steps] = _gain(val, before[0], texts)
        yield _row("validation", Way(f"taught, {steps} steps", learnt, SHOTS), val, texts, before[0])
    steps = _best(taught)
    learnt, control = (_taught(base, part, steps, seed) for part in (test.taught.with_others(test.other), test.other))
    for way in (
        Way(f"taught, {steps} steps", learnt, SHOTS),
        Way("taught utterances without the words", control, SHOTS),
        named(learnt, test.words, bonus)._replace(name=f"taught, and named, bonus {bonus:g}", count=SHOTS),
    ):
        yield _row("test", way, test, _texts(way.recogniser, test), before[1])
    if base.adapters is None:
        yield _row("test", Way("words as previous text", base.recogniser, 0), test, _prompted(base, test), before[1])


def _places(parts, texts, before) -> list[tuple[str, tuple]]:
    return [*zip(("validation", "test"), zip(parts, texts, before, strict=True), strict=True)]


def _parts(base: Base, sentences: Sentences, words: list[str], queries: int, seed: int, number: int) -> Parts:
    corpus = sentences.corpus
    said = [set(comparable(text).split()) for text in corpus.columns["transcription"].tolist()]
    split, names = corpus.columns["split"], np.unique(corpus.columns["speaker"])
    teaches = (split == "train") & np.isin(corpus.columns["speaker"], names[::2])
    tests = (split != "train") if base.adapters is not None else (split == "test") | ((split == "train") & ~teaches)
    rng = np.random.default_rng(seed)
    taught, having = np.zeros((2, len(corpus)), bool)
    for word in words:
        own = np.array([word in each and len(each & {*words}) == 1 for each in said])
        taught[rng.permutation(np.flatnonzero(own & teaches))[:SHOTS]] = True
        having[np.random.default_rng(0).permutation(np.flatnonzero(own & tests))[:queries]] = True
    free = ~containing(corpus, (*sentences.words, *sentences.val_words))
    other, elsewhere = np.zeros((2, len(corpus)), bool)
    other[rng.permutation(np.flatnonzero(free & teaches))[: taught.sum()]] = True
    # Other speakers' utterances for validation than for the test, where there are enough.
    places = np.random.default_rng(0).permutation(np.flatnonzero(free & tests))
    elsewhere[places[number::2][:60]] = True
    parts = [corpus.select(mask) for mask in (taught, other, having, elsewhere)]
    return Parts(words, *(Part(each, partial(_memory, base, sentences)) for each in parts))


def _memory(base: Base, sentences: Sentences, corpus: Corpus) -> list[np.ndarray]:
    files = [sentences.folder / name for name in corpus.columns["file_name"].tolist()]
    return [encode(base.recogniser, wave).astype(np.float16) for wave in read_waveforms(16_000, files)]


def _taught(base: Base, part: Part, steps: int, seed: int) -> WhisperRecogniser:
    """The recogniser with adapters of the decoder's attention that learnt from some utterances."""
    below = base.below
    case = below.habits.case
    texts = [
        text.capitalize() if case == "as it is" else spelled(text, case)
        for text in part.corpus.columns["transcription"].tolist()
    ]
    labels = [below.tokenizer.encode(f" {text}") for text in texts]
    voice = WhisperVoice(part.memory, labels, texts, [*range(len(texts))], [])
    rate = AdaptationOptions.rate if base.adapters is None else TRAINED_RATE
    options = AdaptationOptions(steps=steps, rate=rate, seed=seed)
    return with_whisper_adapters(below, learn(below, voice, np.arange(len(texts)), options, base.adapters))


def _texts(recogniser: WhisperRecogniser, parts: Parts) -> tuple[list[str], list[str]]:
    """Of utterances with the words, and without."""
    return tuple(_written(recogniser, part.memory) for part in (parts.having, parts.free))  # type: ignore[return-value]


def _written(recogniser: WhisperRecogniser, memory: Sequence[np.ndarray]) -> list[str]:
    texts: dict[int, str] = {}
    order = sorted(range(len(memory)), key=lambda row: len(memory[row]))
    for start in range(0, len(order), _ROWS):
        chosen = [order[min(place, len(order) - 1)] for place in range(start, start + _ROWS)]
        texts |= dict(zip(chosen, write(recogniser, [memory[row] for row in chosen]), strict=True))
    return [texts[row] for row in range(len(memory))]


def _prompted(base: Base, parts: Parts) -> tuple[list[str], list[str]]:
    """With the words as the text that came before, which is how users name words to Whisper."""
    import jax

    whisper = base.recogniser
    before = whisper.tokenizer.encode(f" {', '.join(parts.words)}.").tolist()
    prompt = np.array([whisper.tokenizer.special("<|startofprev|>"), *before, *whisper.tokenizer.whisper_prompt()])
    decode = jax.jit(
        lambda params, memory: whisper.network.greedy(params, memory, prompt, whisper.tokenizer.end, 100)
    )  # fmt: skip

    def texts(part: Part) -> list[str]:
        said = []
        for row in part.memory:
            memory = pad_rows([row], -(-len(row) // 250) * 250)
            values, lengths = jax.device_get(decode({"decoder": whisper.params["decoder"]}, memory))
            said.append(whisper.text(values[0, : lengths[0]].tolist()))
        return said

    return texts(parts.having), texts(parts.free)


def _missed(parts: Parts, texts: Sequence[str]) -> Edits:
    wanted = [comparable(text) for text in parts.having.corpus.columns["transcription"].tolist()]
    return missed_words(wanted, [comparable(text) for text in texts], parts.words)


def _gain(parts: Parts, before, after) -> tuple[float, float]:
    """Share of the words that are missed, and points of errors more elsewhere."""
    missed = error_rate(_missed(parts, after[0]))
    elsewhere = [error_rate(edits(texts[1], parts.free.corpus)) for texts in (after, before)]
    return missed, elsewhere[0] - elsewhere[1]


def _best(gains: dict) -> Any:
    """The least share missed among those that harm little, or the one that harms least."""
    allowed = {key: gain for key, gain in gains.items() if gain[1] <= HARM}
    return min(allowed, key=lambda key: allowed[key]) if allowed else min(gains, key=lambda key: gains[key][1])


def _row(part: str, way: Way, parts: Parts, texts, before) -> dict[str, Any]:
    words = [
        next(word for word in comparable(text).split() if word in parts.words)
        for text in parts.having.corpus.columns["transcription"].tolist()
    ]
    missed, missed_before = (_missed(parts, each[0]) for each in (texts, before))
    elsewhere, usual = (edits(each[1], parts.free.corpus) for each in (texts, before))
    row = {"part": part, "shift": "words", "method": way.name, "utterances": way.count}
    row |= bootstrap_rate(missed, words).columns("error")
    speakers = parts.free.corpus.columns["speaker"]
    return (
        row
        | paired_difference(missed_before, missed, words).columns("change")
        | paired_difference(usual, elsewhere, speakers).columns("harm")
        | bootstrap_rate(elsewhere, speakers).columns("elsewhere")
    )
