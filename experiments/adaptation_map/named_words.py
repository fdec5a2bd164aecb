"""Words that are named to a Whisper, or taught by recordings of other speakers: recall of them, and harm elsewhere."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.adaptation_map.on_whisper import Base, edits
from jaxmeta.data.corpus import Corpus
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

BONUSES, STEPS = (1.0, 2.0, 4.0), (10, 30)
SHOTS, HARM = 5, 0.5
"""Recordings of each word, and points of errors elsewhere that a choice may cost on validation data."""
_ROWS = 8


class Part(NamedTuple):
    """Recordings as the encoder gives them."""

    corpus: Corpus
    memory: list[np.ndarray]

    def __add__(self, other: "Part") -> "Part":  # type: ignore[override]
        from jaxmeta.data.corpus import concatenate

        return Part(concatenate([self.corpus, other.corpus]), self.memory + other.memory)


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
    untouched = _texts(base.recogniser, val)
    yield _row("validation", Way("none", base.recogniser, 0), val, untouched, untouched)
    bonuses: dict[float, tuple[float, float]] = {}
    for bonus in BONUSES:
        way = Way(f"words named, bonus {bonus:g}", favouring(base.recogniser, val.words, bonus), 0)
        texts = _texts(way.recogniser, val)
        bonuses[bonus] = _gain(val, untouched, texts)
        yield _row("validation", way, val, texts, untouched)
    taught: dict[int, tuple[float, float]] = {}
    for steps in STEPS:
        learnt = _taught(base, val.taught + val.other, steps, seed)
        texts = _texts(learnt, val)
        taught[steps] = _gain(val, untouched, texts)
        yield _row("validation", Way(f"taught, {steps} steps", learnt, SHOTS), val, texts, untouched)
    yield from _test(base, test, _best(bonuses), _best(taught), seed)


def _test(base: Base, test: Parts, bonus: float, steps: int, seed: int) -> Iterator[dict[str, Any]]:
    untouched = _texts(base.recogniser, test)
    yield _row("test", Way("none", base.recogniser, 0), test, untouched, untouched)
    learnt, control = (_taught(base, part, steps, seed) for part in (test.taught + test.other, test.other))
    named = f"words named, bonus {bonus:g}"
    for way in (
        Way(named, favouring(base.recogniser, test.words, bonus), 0),
        Way(f"taught, {steps} steps", learnt, SHOTS),
        Way("taught utterances without the words", control, SHOTS),
        Way(f"taught, {steps} steps, and {named}", favouring(learnt, test.words, bonus), SHOTS),
    ):
        yield _row("test", way, test, _texts(way.recogniser, test), untouched)
    if base.adapters is None:
        yield _row("test", Way("words as previous text", base.recogniser, 0), test, _prompted(base, test), untouched)


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
    return Parts(words, *(Part(each, _memory(base, sentences, each)) for each in parts))


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
