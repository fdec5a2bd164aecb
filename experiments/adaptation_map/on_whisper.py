"""A Whisper that adapts to shifts: all adapters that it was trained with, or new ones of the decoder."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import optax
from jax import numpy as jnp

from jaxmeta.data.corpus import Corpus
from jaxmeta.decoding.error_rates import Edits, character_edits
from jaxmeta.models.pretrained.whisper import WhisperConfig, after_prompt, teacher_forced
from jaxmeta.models.pretrained.whispers.taught import taught_whisper
from jaxmeta.padding import pad_rows
from jaxmeta.recognition.pretrained.adapter import read_adapted, with_whisper_adapters
from jaxmeta.recognition.pretrained.bases import is_public
from jaxmeta.recognition.pretrained.transcription import comparable
from jaxmeta.recognition.pretrained.whisper import WhisperRecogniser, load_whisper, spelled
from jaxmeta.sequence_losses import sequence_cross_entropy
from jaxmeta.types import PyTree, Ragged


class Base(NamedTuple):
    """A recogniser as it is without adaptation."""

    recogniser: WhisperRecogniser
    below: WhisperRecogniser
    """Without the adapters."""
    adapters: PyTree | None
    """None: it is public, and has none."""
    rank: int
    layers: int
    """Of the encoder, uppermost, with adapters."""


def read(folder: Path, base: Path | None) -> Base:
    """A public Whisper, or one with trained adapters; raises as `load_whisper` and `read_adapted` do."""
    if is_public(folder):
        whisper = load_whisper(folder)
        return Base(whisper, whisper, None, 0, 0)
    found = read_adapted(folder, base)
    with_adapters = with_whisper_adapters(found.recogniser, found.adapters)
    return Base(with_adapters, found.recogniser, found.adapters, found.card.rank, found.card.layers)


def adapted(base: Base, corpus: Corpus, rate: float, steps: int, seed: int, batch: int = 5) -> WhisperRecogniser:
    """The recogniser whose adapters, those of the encoder too, have learnt from the utterances of a corpus, by Adam.

    Raises:
      ValueError: not all layers of the encoder have adapters, so that log-mels are not what they see.
    """
    whisper = base.below
    if base.layers != whisper.config.encoder_layers:
        raise ValueError(f"layers={base.layers} of the encoder have adapters; train with --layers of all of them.")
    prompt, end = tuple(whisper.tokenizer.whisper_prompt("en")), whisper.tokenizer.end
    step, optimizer = _step(whisper.config, base.rank, base.layers, whisper.silence, prompt, end)
    texts = corpus.columns["transcription"].tolist()
    labels = pad_rows([whisper.tokenizer.encode(f" {spelled(text, whisper.habits.case)}") for text in texts])
    longest = -(-int(corpus.length.max()) // 100) * 100
    speech = pad_rows(frames(corpus), longest)

    rng, adapters = np.random.default_rng(seed), base.adapters
    slots = optimizer.init(adapters)
    for _ in range(steps):
        rows = rng.choice(len(corpus), min(batch, len(corpus)), replace=False)
        adapters, slots = step(
            whisper.params, rate, adapters, slots, *(Ragged(part[0][rows], part[1][rows]) for part in (speech, labels))
        )
    return with_whisper_adapters(whisper, adapters)


@cache
def _step(config: WhisperConfig, rank: int, layers: int, silence: int, prompt: tuple[int, ...], end: int):
    """A compiled step of Adam, and its optimizer."""
    cross_entropy, optimizer = after_prompt(sequence_cross_entropy, len(prompt)), optax.scale_by_adam()

    @jax.jit
    def step(params: PyTree, rate: float, adapters: PyTree, slots: PyTree, heard: Ragged, written: Ragged):
        network = taught_whisper(config, params, rank, layers, silence)

        def loss(adapters: PyTree) -> jax.Array:
            inputs, targets = teacher_forced(heard, written, prompt, end)
            logits, _ = network.model.apply(adapters, {}, inputs, jax.random.key(0), False)
            return jnp.sum(cross_entropy(logits, targets)) / jnp.sum(targets.lengths)

        updates, slots = optimizer.update(jax.grad(loss)(adapters), slots)
        return jax.tree.map(lambda leaf, update: leaf - rate * update, adapters, updates), slots

    return step, optimizer


def frames(corpus: Corpus) -> list[np.ndarray]:
    """The log-mels of each row, [T, M]."""
    return [
        np.asarray(corpus.frames[start : start + length], np.float32)
        for start, length in zip(corpus.start, corpus.length, strict=True)
    ]


def edits(texts: Sequence[str], corpus: Corpus) -> Edits:
    """In characters, without case and punctuation."""
    wanted = [comparable(text) for text in corpus.columns["transcription"].tolist()]
    return character_edits(wanted, [comparable(text) for text in texts])


def drawn(corpus: Corpus, within: str, count: int, seed: int) -> Corpus:
    """So many rows of each speaker or other group, as they are drawn."""
    rng, names = np.random.default_rng(seed), corpus.columns[within]
    rows = [rng.permutation(np.flatnonzero(names == name))[:count] for name in np.unique(names)]
    mask = np.zeros(len(corpus), bool)
    mask[np.concatenate(rows)] = True
    return corpus.select(mask)
