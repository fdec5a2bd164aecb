"""Adaptation of a public Whisper to one voice with a safeguard: an uncertain gain is not taken."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxmeta.decoding.error_rates import character_edits
from jaxmeta.models.pretrained.whisper import Whisper, after_prompt, teacher_forced
from jaxmeta.padding import pad_rows
from jaxmeta.progress import progress_bar
from jaxmeta.recognition.pretrained.adapter import is_adapted, joining, new_adapters, with_whisper_adapters
from jaxmeta.recognition.pretrained.transcription import comparable, pad_memory, write
from jaxmeta.recognition.pretrained.voice import WhisperVoice
from jaxmeta.recognition.pretrained.whisper import WhisperRecogniser
from jaxmeta.recognition.safe_adaptation import Verdict, VoiceAdaptation, judge
from jaxmeta.sequence_losses import sequence_cross_entropy
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
    """Of Adam."""
    batch: int = 8
    """Recordings of a step, drawn anew for each."""
    folds: int = 5
    seed: int = 0
    """Of the folds, the adapters, the batches and the interval."""

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
        and outputs of the decoder's attention go on learning, whatever the rank of the options. None: new ones learn.
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
    """Adapters that have learnt to write the transcripts of some recordings, by Adam on the cross-entropy of tokens.

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
    run = _training(recogniser.network, joining(recogniser), prompt, recogniser.tokenizer.end, options.rate)
    start = _start(recogniser, options, trained)
    learning = {path: each for path, each in start.items() if is_adapted(path)}
    resting = {path: each for path, each in start.items() if path not in learning}
    # What rests of the encoder has done its work already.
    decoding = {path: each for path, each in resting.items() if path.startswith("decoder/")}
    # All recordings, so that every fold has one and the same program.
    memory, labels = pad_memory(voice.memory), pad_rows(voice.labels)
    decoder = {"decoder": recogniser.params["decoder"]}
    return resting | run(decoder, decoding, learning, memory, labels, batches)


@cache
def _training(
    network: Whisper, join: Callable[[PyTree, PyTree], PyTree], prompt: tuple[int, ...], end: int, rate: float
) -> Callable[..., PyTree]:
    optimizer = optax.adam(rate)
    cross_entropy = after_prompt(sequence_cross_entropy, len(prompt))

    def loss(adapters: PyTree, params: PyTree, resting: PyTree, memory: Ragged, labels: Ragged) -> jax.Array:
        inputs, targets = teacher_forced(memory, labels, prompt, end)
        logits = network.decode(join(params, resting | adapters), *inputs)
        return jnp.sum(cross_entropy(logits, targets)) / jnp.sum(targets.lengths)

    @jax.jit
    def run(
        params: PyTree, resting: PyTree, adapters: PyTree, memory: Ragged, labels: Ragged, batches: jax.Array
    ) -> PyTree:
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
