"""Adaptation of a public Whisper to one voice with a safeguard: an uncertain gain is not taken."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxmeta import optimizers
from jaxmeta.decoding.error_rates import character_edits
from jaxmeta.learners.learned_rates import RATE, without_rates
from jaxmeta.models.pretrained.whisper import Whisper, teacher_forced
from jaxmeta.padding import pad_rows
from jaxmeta.progress import progress_bar
from jaxmeta.recognition.pretrained.adapter import joining, new_adapters, with_whisper_adapters
from jaxmeta.recognition.pretrained.decoder.start import adapting, transcript_loss
from jaxmeta.recognition.pretrained.presets import RecogniserLearner
from jaxmeta.recognition.pretrained.transcription import comparable, pad_memory, write
from jaxmeta.recognition.pretrained.voice import WhisperVoice
from jaxmeta.recognition.pretrained.whisper import WhisperRecogniser
from jaxmeta.recognition.safe_adaptation import Verdict, VoiceAdaptation, judge
from jaxmeta.types import PyTree, Ragged

_ROWS = 4
"""Recordings that are recognised at once."""


TRAINED_RATE = 1e-3
"""Of Adam, for adapters that were trained on many speakers."""


@dataclass(frozen=True)
class AdaptationOptions:
    """How adapters learn. Raises ValueError for numbers out of range."""

    language: str = "en"
    rank: int = 4
    steps: int = 30
    rate: float = 3e-3
    """Of Adam, or with a learner of gradient descent."""
    batch: int = 8
    """Recordings of a step, drawn anew for each."""
    folds: int = 5
    seed: int = 0
    """Of the folds, the adapters, the batches and the interval."""
    learner: RecogniserLearner | None = None
    """By which trained adapters were meta-learned as a start; rates among them are in the place of `rate`."""

    def __post_init__(self) -> None:
        for name, least in (("rank", 1), ("steps", 0), ("batch", 1), ("folds", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} must be {least} or more.")
        if not 0 <= self.rate < float("inf"):
            raise ValueError(f"rate={self.rate} must be a finite number of 0 or more.")


def adapt_whisper(
    recogniser: WhisperRecogniser,
    voice: WhisperVoice,
    options: AdaptationOptions,
    *,
    trained: PyTree | None = None,
    always: bool = False,
) -> VoiceAdaptation[PyTree]:
    """Cross-validate adaptation to a voice, and adapt to all of its recordings where that helps.

    Args:
      recogniser: stays as it is.
      voice: transcribed recordings.
      options: how adapters learn; at most one fold for each recording is used.
      trained: adapters that the recogniser has already, such as those of training on many speakers; those of queries
        and outputs of the decoder's attention, or what the learner of a start adapts, go on learning, whatever the rank
        of the options. Their rates stay as they are. None: new ones learn.
      always: adapt whatever the verdict.
    Returns:
      Adapters; where the verdict is against adaptation those that were trained, or new ones that change nothing.
    Raises:
      ValueError: a language that the Whisper does not know.
    """
    start = _start(recogniser, options, trained)
    verdict = cross_validate(recogniser, voice, options, start)
    if not (verdict.adopted or always):
        return VoiceAdaptation(start, verdict, False)
    return VoiceAdaptation(learn(recogniser, voice, np.arange(len(voice.texts)), options, start), verdict, True)


def _start(recogniser: WhisperRecogniser, options: AdaptationOptions, trained: PyTree | None) -> PyTree:
    if trained is not None:
        return trained
    return new_adapters(recogniser.forms, options.rank, jax.random.key(options.seed))


def cross_validate(
    recogniser: WhisperRecogniser, voice: WhisperVoice, options: AdaptationOptions, trained: PyTree | None = None
) -> Verdict:
    """Adapt to all folds but one and recognise that one, for each fold; copies of a recording share a fold."""
    different, recording = np.unique(voice.original, return_inverse=True)
    folds = min(options.folds, len(different))
    fold = (np.random.default_rng(options.seed).permutation(len(different)) % folds)[recording]
    rows = np.arange(len(voice.texts))
    after = [""] * len(rows)
    with progress_bar("cross-validating", folds, unit="folds") as advance:
        for index in range(folds):
            adapters = learn(recogniser, voice, rows[fold != index], options, trained)
            own = rows[fold == index]
            adapted = with_whisper_adapters(recogniser, adapters)
            for row, text in zip(own, recognise(adapted, voice, own, options.language), strict=True):
                after[row] = text
            advance(1)
    untouched = recogniser if trained is None else with_whisper_adapters(recogniser, trained)
    before = recognise(untouched, voice, rows, options.language)
    verdict = judge(_edits(voice, before), _edits(voice, after), options.seed, voice.original)
    return verdict._replace(texts=(before, after))


def recognise(recogniser: WhisperRecogniser, voice: WhisperVoice, rows: np.ndarray, language: str = "en") -> list[str]:
    """The texts of some recordings."""
    texts: list[str] = []
    for start in range(0, len(rows), _ROWS):
        # The last batch is filled up with its last recording.
        chosen = rows[np.minimum(np.arange(start, start + _ROWS), len(rows) - 1)]
        texts += write(recogniser, [voice.memory[row] for row in chosen], language)
    return texts[: len(rows)]


def learn(
    recogniser: WhisperRecogniser,
    voice: WhisperVoice,
    rows: np.ndarray,
    options: AdaptationOptions,
    trained: PyTree | None = None,
) -> PyTree:
    """Adapters that have learnt to write the transcripts of some recordings, by their cross-entropy.

    Adam takes it of a token; gradient descent from a meta-learned start of a transcript, as in meta-training.

    Args:
      recogniser, voice, options: as in `adapt_whisper`.
      rows: of the recordings.
      trained: as in `adapt_whisper`.
    """
    draw = np.random.default_rng(options.seed)
    size = min(options.batch, len(rows))
    # Every recording in turn, in a new order each time.
    order = np.concatenate([draw.permutation(rows) for _ in range(-(-options.steps * size // len(rows)))] or [rows[:0]])
    batches = order[: options.steps * size].reshape(options.steps, size)
    prompt = tuple(recogniser.tokenizer.whisper_prompt(options.language))
    step = _Step(recogniser.network, joining(recogniser), prompt, recogniser.tokenizer.end, options.learner is None)
    start = _start(recogniser, options, trained)
    learning, resting = learning_and_resting(start, options.learner, recogniser.config.decoder_layers)
    # What rests of the encoder has done its work already.
    decoding = {path: each for path, each in resting.items() if path.startswith("decoder/")}
    rates = {path: start[RATE][path] for path in learning} if RATE in start else options.rate
    # All recordings, so that every fold has one and the same program.
    memory, labels = pad_memory(voice.memory), pad_rows(voice.labels)
    decoder = {"decoder": recogniser.params["decoder"]}
    return resting | _training(step)(rates, decoder, decoding, learning, memory, labels, batches)


def learning_and_resting(
    adapters: PyTree, learner: RecogniserLearner | None, layers: int
) -> tuple[dict[str, PyTree], dict[str, PyTree]]:
    """Adapters that go on learning, and the others with the rates; `learner` and `layers` are those of `adapting`."""
    adapts = adapting(learner, layers)
    learning = {path: each for path, each in without_rates(adapters).items() if adapts(path)}
    return learning, {path: each for path, each in adapters.items() if path not in learning}


class _Step(NamedTuple):
    """What a program of training depends on."""

    network: Whisper
    join: Callable[[PyTree, PyTree], PyTree]
    prompt: tuple[int, ...]
    end: int
    adam: bool
    """Whether it is Adam on the loss of a token, in place of gradient descent on that of a transcript."""


@cache
def _training(step_of: _Step) -> Callable[..., PyTree]:
    network, join, prompt, end, adam = step_of
    cross_entropy = transcript_loss(len(prompt))

    def loss(adapters: PyTree, params: PyTree, resting: PyTree, memory: Ragged, labels: Ragged) -> jax.Array:
        inputs, targets = teacher_forced(memory, labels, prompt, end)
        losses = cross_entropy(network.decode(join(params, resting | adapters), *inputs), targets)
        return jnp.sum(losses) / (jnp.sum(targets.lengths) if adam else len(losses))

    @jax.jit
    def run(
        rates: PyTree, params: PyTree, resting: PyTree, adapters: PyTree, memory: Ragged, labels: Ragged,
        batches: jax.Array,
    ) -> PyTree:  # fmt: skip
        if adam:
            optimizer = optax.adam(rates)
        else:
            optimizer = optimizers.descent(rates) if isinstance(rates, dict) else optax.sgd(rates)

        def step(carry, rows):
            adapters, slots = carry
            speech, written = jax.tree.map(lambda leaf: leaf[rows], (memory, labels))
            speech = speech._replace(values=speech.values.astype(jnp.float32))
            gradients = jax.grad(loss)(adapters, params, resting, speech, written)
            updates, slots = optimizer.update(gradients, slots, adapters)
            return (optax.apply_updates(adapters, updates), slots), None

        return jax.lax.scan(step, (adapters, optimizer.init(adapters)), batches)[0][0]

    return run


def _edits(voice: WhisperVoice, texts: list[str]):
    return character_edits(list(map(comparable, voice.texts)), list(map(comparable, texts)))
