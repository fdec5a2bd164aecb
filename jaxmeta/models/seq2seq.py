"""An attention encoder-decoder for speech, with a CTC head beside the decoder.

Class 0 is the blank of CTC and, for the decoder, both the start and the end of a sentence: one vocabulary serves both.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from flax import linen as nn
from jax import numpy as jnp

from jaxmeta.models.acoustic import Encoder, FrontEnd, Size, acoustic_encoder
from jaxmeta.models.attention import DecoderBlock
from jaxmeta.models.layers import frame_mask
from jaxmeta.models.linen import from_linen
from jaxmeta.models.pretrained.head_parts import Narrowing
from jaxmeta.types import Array, Batch, Episode, Loss, MetaLearner, Model, PyTree, Ragged


class Spoken(NamedTuple):
    """Inputs of the encoder-decoder in training: what was said, and what is written so far at each position."""

    speech: Ragged
    """Log-mels [N, T, F], or activations of a frozen encoder."""
    prefix: Array
    """[N, L + 1] int32: 0, then the labels; position l predicts label l, or the end."""


class Written(NamedTuple):
    """Outputs of the encoder-decoder."""

    ctc: Ragged
    """Logits [N, ceil(T / 4), C]; of activations [N, ceil(T / 2), C]."""
    attention: Array
    """Logits [N, L + 1, C] of the next label, class 0 being the end."""


class Seq2Seq(NamedTuple):
    """An encoder-decoder as a Model, and its two halves for decoding, where the encoder need run once only."""

    model: Model
    """Of Spoken to Written."""
    encode: Callable[[PyTree, Ragged], tuple[Array, Ragged]]
    """(params, speech) -> memory [N, T', D] and the logits of CTC."""
    score: Callable[[PyTree, Array, Array, Array], Array]
    """(params, memory [M, T', D], lengths [M], prefix [M, L]) -> log-probabilities [M, L, C] of the next label."""


def seq2seq(
    classes: int,
    encoder: Encoder = "conformer",
    size: str | Size = "small",
    *,
    decoder_layers: int = 2,
    heads: int = 4,
    dropout: float = 0.0,
    activations: bool = False,
) -> Seq2Seq:
    """An encoder as in `recogniser` and a Transformer decoder of the same width.

    Args:
      classes: C, class 0 included.
      encoder, size, dropout: as in `recogniser`.
      decoder_layers: of self-attention, attention to the encoder and feed-forward.
      heads: of the decoder's attention; twice their number must divide the encoder's width.
      activations: whether it takes those of a frozen encoder, whose frame rate it halves once, and not log-mels.
    Raises:
      ValueError: an unknown encoder or size.
    Source: Karita et al. 2019 (arXiv 1909.06317), the joint model of section 2.
    """
    layers = acoustic_encoder(encoder, size, dropout)
    module: Any = _Seq2Seq(classes, layers, decoder_layers, heads, dropout, activations)

    def encode(params: PyTree, speech: Ragged) -> tuple[Array, Ragged]:
        return module.apply({"params": params}, speech, False, method="encode")

    def score(params: PyTree, memory: Array, lengths: Array, prefix: Array) -> Array:
        logits = module.apply({"params": params}, memory, lengths, prefix, False, method="write")
        return nn.log_softmax(logits)

    return Seq2Seq(from_linen(module), encode, score)


def teacher_forced(batch: Batch) -> Batch:
    """A batch of speech and labels as one of Spoken and labels: the decoder sees the true labels before each."""
    labels = jnp.where(frame_mask(batch.targets.lengths, batch.targets.values.shape[1]), batch.targets.values, 0)
    return batch._replace(inputs=Spoken(batch.inputs, jnp.pad(labels, ((0, 0), (1, 0)))))


def teacher_forcing(learner: MetaLearner) -> MetaLearner:
    """A learner of an encoder-decoder that takes batches of speech and labels: its decoder sees the true labels."""

    def init(key, inputs):
        labels = Ragged(jnp.zeros((len(inputs.lengths), 8), jnp.int32), jnp.ones_like(inputs.lengths))
        return learner.init(key, teacher_forced(Batch(inputs, labels, jnp.ones(len(inputs.lengths)))).inputs)

    def adapt(params, state, support, key):
        return learner.adapt(params, state, teacher_forced(support), key)

    def meta_loss(params, state, episode, key):
        forced = Episode(teacher_forced(episode.support), teacher_forced(episode.query))
        return learner.meta_loss(params, state, forced, key)

    return learner._replace(init=init, adapt=adapt, meta_loss=meta_loss)


def joint_loss(ctc: Loss, sequence: Loss, weight: float = 0.3) -> Loss:
    """weight * ctc + (1 - weight) * sequence, both in nats a row.

    Args:
      ctc: (Ragged logits, Ragged labels) -> [N], such as `sequence_losses.ctc`.
      sequence: (logits [N, L, C], Ragged labels) -> [N], such as `sequence_losses.sequence_cross_entropy`; gets the
        labels with the end of the sentence appended.
      weight: of CTC, in [0, 1].
    Raises:
      ValueError: weight outside of [0, 1].
    Source: Kim, Hori and Watanabe 2017 (arXiv 1609.06773), eq. 10.
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"weight must lie in [0, 1], got {weight}.")

    def loss(outputs: Written, targets: Ragged) -> Array:
        real = frame_mask(targets.lengths, targets.values.shape[1])
        ended = Ragged(jnp.pad(jnp.where(real, targets.values, 0), ((0, 0), (0, 1))), targets.lengths + 1)
        return weight * ctc(outputs.ctc, targets) + (1 - weight) * sequence(outputs.attention, ended)

    return loss


class _Seq2Seq(nn.Module):
    classes: int
    encoder: nn.Module
    layers: int
    heads: int
    dropout: float
    activations: bool

    def setup(self) -> None:
        width = self.encoder.size.width  # type: ignore[attr-defined]
        self.front = Narrowing(width) if self.activations else FrontEnd(width)
        self.head = nn.Dense(self.classes)
        self.embed = nn.Embed(self.classes, width)
        block: Any = partial(DecoderBlock, self.heads, dropout=self.dropout)
        self.decoder = [block() for _ in range(self.layers)]
        self.normalise = nn.LayerNorm()
        self.next = nn.Dense(self.classes)

    def __call__(self, inputs: Spoken, train: bool) -> Written:
        memory, logits = self.encode(inputs.speech, train)
        return Written(logits, self.write(memory, logits.lengths, inputs.prefix, train))

    def encode(self, speech: Ragged, train: bool) -> tuple[Array, Ragged]:
        hidden, lengths = self.front(speech)
        memory = self.encoder(hidden, lengths, train)
        return memory, Ragged(self.head(memory), lengths)

    def write(self, memory: Array, lengths: Array, prefix: Array, train: bool) -> Array:
        mask = frame_mask(lengths, memory.shape[1])
        values = self.embed(prefix)
        for block in self.decoder:
            values = block(values, memory, mask, train)
        return self.next(self.normalise(values))
