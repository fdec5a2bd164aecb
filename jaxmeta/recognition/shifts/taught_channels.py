"""Channels on a Whisper with trained adapters: all of them go on learning from a few transcribed utterances.

A channel is taught by people who are not recognised. Rates and steps are chosen in channels of their own, where half of
the validation speakers teach and the other half is recognised. In the test all of them teach.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from jaxmeta import tree
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.subsets import some_speakers
from jaxmeta.data.sampling.transcribed import batch_of, encode_column
from jaxmeta.decoding.error_rate_intervals import bootstrap_rate
from jaxmeta.decoding.error_rates import character_edits, error_rate
from jaxmeta.estimators import forward_only
from jaxmeta.evaluation.shifts.gains import harmed
from jaxmeta.evaluation.transcripts import Transcripts
from jaxmeta.learners.learned_rates import without_rates
from jaxmeta.learners.maml import maml
from jaxmeta.models.pretrained.blocks import widened
from jaxmeta.models.pretrained.whisper import WhisperConfig, after_prompt, teacher_forced
from jaxmeta.models.pretrained.whispers.taught import taught_whisper
from jaxmeta.recognition.pretrained.adapter import ReadAdapters, with_whisper_adapters
from jaxmeta.recognition.pretrained.decoder.batches import Tokens
from jaxmeta.recognition.pretrained.decoder.training import TrainedDecoder
from jaxmeta.recognition.pretrained.transcription import comparable
from jaxmeta.recognition.safe_adaptation import judge
from jaxmeta.recognition.shifts.shift import Sentences
from jaxmeta.sequence_losses import smoothed_cross_entropy
from jaxmeta.types import Batch, PyTree

METHOD = "fine-tune adapters"
PARTS, RATES, STEPS = ("encoder", "encoder and decoder"), (3e-5, 1e-4), (10, 20)
"""Whose adapters learn, the rate of Adam and its steps, to choose among."""
SMOOTHING = 0.1
"""Of the targets, as in training, so that learning does not begin by making the recogniser surer."""
FEW, MANY = 5, 10
"""Utterances that teach a channel, each by another speaker."""
DRAWS, LONGEST = 2, 500
"""Draws of these utterances, each for an equal share of the test speakers; frames of the longest."""


class Settings(NamedTuple):
    """How adapters learn, and whose."""

    part: str
    rate: float
    steps: int


class Utterances(NamedTuple):
    """Log-mels in a channel, some rows of which teach."""

    corpus: Corpus
    rows: np.ndarray


class Taught:
    """A Whisper with adapters in all of its layers, which learn from utterances.

    Args:
      trained: the Whisper and its adapters.
    Raises:
      ValueError: not all layers of the encoder have adapters, so that log-mels are not what they see.
    """

    def __init__(self, trained: ReadAdapters) -> None:
        whisper, self.card = trained.recogniser, trained.card
        if self.card.layers != (of := whisper.config.encoder_layers):
            raise ValueError(f"layers={self.card.layers} of the encoder have adapters; train with --layers {of}.")
        self.whisper, self.start = whisper, without_rates(trained.adapters)
        self.tokens = Tokens(whisper.tokenizer, whisper.habits.case, whisper.longest)

    def learnt(self, utterances: Utterances, settings: Settings) -> PyTree:
        """The adapters after some steps of Adam on the cross-entropy of the transcripts."""
        whisper, prompt = self.whisper, tuple(self.whisper.tokenizer.whisper_prompt(self.card.language))
        # Tokens of the whole corpus, so that all draws have one width.
        tokens = encode_column(utterances.corpus, self.tokens)
        batch = batch_of(utterances.corpus, tokens, utterances.rows, LONGEST)
        inputs, targets = teacher_forced(batch.inputs, batch.targets, prompt, whisper.tokenizer.end)
        adapt = _adapting(whisper.config, self.card.rank, whisper.silence, len(prompt), settings.part)
        return adapt(whisper.params, self.start, Batch(inputs, targets, batch.weight), settings.rate, settings.steps)

    def recognised(self, adapters: PyTree, corpus: Corpus) -> Transcripts:
        """What is written for each row, without case and punctuation."""
        decoder = TrainedDecoder(self.card, adapters, with_whisper_adapters(self.whisper, adapters))
        said, texts = corpus.columns["transcription"].tolist(), decoder.texts(corpus)
        return Transcripts([*map(comparable, said)], [*map(comparable, texts)], corpus.columns["speaker"].tolist())


@cache
def _adapting(config: WhisperConfig, rank: int, silence: int, prompt: int, part: str) -> Callable[..., PyTree]:
    loss = after_prompt(smoothed_cross_entropy(SMOOTHING), prompt)

    @jax.jit
    def adapt(params: PyTree, adapters: PyTree, batch: Batch, rate: float, steps: int) -> PyTree:
        taught = taught_whisper(config, jax.tree.map(widened, params), rank, config.encoder_layers, silence)
        adapts = tree.everything if part == PARTS[1] else lambda path: path.startswith("encoder/")
        learner = maml(taught.model, loss, optax.adam(rate), steps, forward_only(), adapts)
        fast, _ = learner.adapt(adapters, {}, batch, jax.random.key(0))
        return tree.merge(fast, adapters)

    return adapt


def channel_rows(
    trained: ReadAdapters, sentences: Sentences, *, queries: int, seed: int
) -> Iterator[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """For each channel of the test rows without adaptation and after it, and one of the gate.

    Args:
      trained: the Whisper and its adapters.
      sentences: with channels to choose in (`seen`) and to test (`unseen`).
      queries: utterances of each test speaker to recognise.
      seed: of the utterances that teach.
    Returns:
      Columns as `gain_rows` has them; `own`, at the fewer utterances, is the difference to the same utterances without
      the channel. `avoided` is the part of the errors that is gone, in percent. The gate cross-validates the more
      utterances in two halves, and `adopted` counts the draws whose gain is certain.
    Raises:
      ValueError: too few validation speakers; as `Taught`.
    """
    taught = Taught(trained)
    split = sentences.corpus.columns["split"]
    val, test = (sentences.corpus.select(split == part) for part in ("val", "test"))
    val = val.select(val.length <= LONGEST)
    if len(np.unique(val.columns["speaker"])) < MANY:
        raise ValueError(
            f"channels are taught by {MANY} validation speakers; the corpus has fewer with short recordings."
        )
    settings = _chosen(taught, sentences, val, seed)
    draws = [_one_of_each(val, np.random.default_rng([seed, draw]))[:MANY] for draw in range(DRAWS)]
    names = np.unique(test.columns["speaker"])
    tested = some_speakers(test, len(names), queries, 0)
    clean = [taught.learnt(Utterances(val, rows[:FEW]), settings) for rows in draws]
    for name, transform in sentences.unseen.items():
        there, teaching = sentences.through(tested, transform), sentences.through(val, transform)
        parts = [there.select(np.isin(there.columns["speaker"], names[draw::DRAWS])) for draw in range(DRAWS)]
        yield _channel(name, taught, settings, teaching, draws, parts, clean)


def _chosen(taught: Taught, sentences: Sentences, val: Corpus, seed: int) -> Settings:
    """What is best with the fewest steps, and the best number of steps then."""
    names = np.unique(val.columns["speaker"])
    first = np.isin(val.columns["speaker"], names[::2])
    rows = np.flatnonzero(first)[_one_of_each(val.select(first), np.random.default_rng(seed))[:FEW]]
    tested = some_speakers(val.select(~first), len(names), 3, 0)
    places = [(sentences.through(val, each), sentences.through(tested, each)) for each in sentences.seen.values()]

    @cache
    def error(settings: Settings) -> float:
        texts = [taught.recognised(taught.learnt(Utterances(own, rows), settings), there) for own, there in places]
        value = error_rate(_joined(texts).characters)
        print(f"{METHOD}: {', '.join(map(str, settings))}: {value:.1f} % in channels of validation", file=sys.stderr)
        return value

    error(Settings(PARTS[0], 0.0, 0))  # To be printed beside the others.
    few = min((Settings(part, rate, STEPS[0]) for part in PARTS for rate in RATES), key=error)
    return min((few._replace(steps=steps) for steps in STEPS), key=error)


def _channel(
    name: str, taught: Taught, settings: Settings, teaching: Corpus, draws: Sequence[np.ndarray],
    parts: Sequence[Corpus], clean: Sequence[PyTree],
) -> tuple[list[dict[str, Any]], dict[str, Any]]:  # fmt: skip
    def recognised(adapters: Sequence[PyTree]) -> list[Transcripts]:
        return [taught.recognised(each, part) for each, part in zip(adapters, parts, strict=True)]

    before = recognised([taught.start] * DRAWS)
    rows = [{"shift": name, "method": "none", "utterances": 0} | _error(_joined(before))]
    few, many = (
        [taught.learnt(Utterances(teaching, draw[:count]), settings) for draw in draws] for count in (FEW, MANY)
    )
    after = {count: recognised(adapters) for count, adapters in ((FEW, few), (MANY, many))}
    for count, texts in after.items():
        row = {"shift": name, "method": METHOD, "utterances": count, **settings._asdict()}
        rows.append(row | _gain(_joined(before), _joined(texts)))
    rows[1] |= _joined(after[FEW]).change_from(_joined(recognised(clean))).columns("own")
    adopted = [
        _certain(taught, teaching, draw, (own, taught.learnt(Utterances(teaching, draw[FEW:]), settings)))
        for draw, own in zip(draws, few, strict=True)
    ]
    gated = [texts[yes] for texts, yes in zip(zip(before, after[MANY], strict=True), adopted, strict=True)]
    gain = _gain(_joined(before), _joined(gated))
    gate = {"shift": name, "method": METHOD, "utterances": MANY, "adopted": sum(adopted), "draws": DRAWS}
    return rows, gate | {"harmed": gain["harmed"], "groups": gain["groups"]} | _error(_joined(gated), "gated")


def _certain(taught: Taught, teaching: Corpus, draw: np.ndarray, halves: tuple[PyTree, PyTree]) -> bool:
    """Whether the gain is certain in two halves, each recognised by what learnt from the other one."""
    first, second = (teaching.select(np.isin(np.arange(len(teaching)), rows)) for rows in (draw[:FEW], draw[FEW:]))
    before = _joined([taught.recognised(taught.start, half) for half in (first, second)])
    after = _joined([taught.recognised(halves[1], first), taught.recognised(halves[0], second)])
    return judge(before.characters, after.characters).adopted


def _one_of_each(corpus: Corpus, rng: np.random.Generator) -> np.ndarray:
    """A row of each speaker, in random order."""
    names = corpus.columns["speaker"]
    return rng.permutation([rng.choice(np.flatnonzero(names == name)) for name in np.unique(names)])


def _joined(parts: Sequence[Transcripts]) -> Transcripts:
    return Transcripts(*([each for part in column for each in part] for column in zip(*parts, strict=True)))


def _error(texts: Transcripts, column: str = "error") -> dict[str, float]:
    return bootstrap_rate(texts.characters, texts.speakers).columns(column)


def _gain(before: Transcripts, after: Transcripts) -> dict[str, Any]:
    change, avoided = after.change_from(before).columns("change"), after.avoided(before).columns("avoided")
    return _error(after) | change | avoided | harmed(after.speakers, before, after, character_edits)
