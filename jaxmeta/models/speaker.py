"""Networks that tell who speaks: a unit embedding of a voice, alone or beside what is said, from one trunk.

The trunks are those of the word networks and of the CTC recognisers; a voice is pooled from what these compute for
every stretch of time by attentive statistics.
"""

from flax import linen as nn
from jax import numpy as jnp

from jaxmeta.models.acoustic import Encoder, FrontEnd, Size, acoustic_encoder
from jaxmeta.models.clip_encoders import relative_time, residual_body, word_embedding
from jaxmeta.models.layers import LayerNorm, frame_mask, where
from jaxmeta.models.linen import Wrap, from_linen, unwrapped
from jaxmeta.types import Array, Model, PyTree, Ragged

WORD, TEXT, SPEAKER = "word", "text", "speaker"
"""Names of the outputs of networks that have several."""


def speaker(
    outputs: int | None = None,
    *,
    width: int = 128,
    embedding: int = 128,
    frames: int = 64,
    wrap: Wrap = unwrapped,
) -> Model:
    """The trunk of `words.residual` and attentive statistics of its stages: who speaks in a clip of about a second.

    Longer recordings are cut into such clips, whose embeddings are averaged. 0.2 to 2 million weights for widths of
    96 to 328.
    Args:
      outputs: number of speakers in training, through unit vectors named "speaker/head"; the result then is cosines
        [N, C], for `speaker_losses.margin_softmax`. None gives the embedding, from the same weights.
      width: channels of the trunk.
      embedding: numbers E in the embedding.
      frames: each clip is pooled to this many segments of its own duration before the first layer.
      wrap: what is done to the network before it becomes a Model.
    Returns:
      Model of Ragged log-mels [N, T, F] to unit vectors [N, E], or to cosines [N, C].
    """
    return from_linen(wrap(_Speaker(residual_body(width), embedding, outputs, frames)))


def word_and_speaker(
    outputs: int | None = None,
    *,
    width: int = 128,
    embedding: int = 128,
    frames: int = 64,
    wrap: Wrap = unwrapped,
) -> Model:
    """One trunk, two embeddings: what word is said, as `words.residual` has it, and who says it, as `speaker` does.

    Arguments are those of `speaker`.
    Returns:
      Model of Ragged log-mels [N, T, F] to {"word": [N, 4 * width], "speaker": what `speaker` gives}.
    """
    return from_linen(wrap(_WordAndSpeaker(residual_body(width), embedding, outputs, frames)))


def text_and_speaker(
    classes: int,
    encoder: Encoder = "conformer",
    size: str | Size = "small",
    *,
    outputs: int | None = None,
    embedding: int = 128,
    dropout: float = 0.0,
    wrap: Wrap = unwrapped,
) -> Model:
    """A CTC recogniser, as `acoustic.recogniser` has it, that also tells who speaks.

    The weights of a recogniser fit, with those of "speaker" beside them.
    Args:
      classes, encoder, size, dropout, wrap: as in `acoustic.recogniser`.
      outputs, embedding: as in `speaker`.
    Returns:
      Model of Ragged log-mels [N, T, F] to {"text": Ragged logits [N, ceil(T / 4), C], "speaker": as `speaker`}.
    """
    return from_linen(wrap(_TextAndSpeaker(classes, acoustic_encoder(encoder, size, dropout), embedding, outputs)))


def part(model: Model, name: str) -> Model:
    """A model of one of the outputs of a model that has several; params and state are the same."""

    def apply(params: PyTree, state: PyTree, inputs: PyTree, key: PyTree, train: bool) -> tuple[PyTree, PyTree]:
        outputs, state = model.apply(params, state, inputs, key, train)
        return outputs[name], state

    return Model(model.init, apply)


class AttentiveStatistics(nn.Module):
    """Mean and standard deviation over a row's frames, each weighted by attention of its own.

    Rows of length 0 give zeros.
    Source: Okabe et al. 2018 (arXiv 1803.10963), eq. 1 to 6; weights for each channel as in Desplanques et al. 2020
    (arXiv 2005.07143), section 3.1.
    """

    hidden: int = 64

    @nn.compact
    def __call__(self, values: Array, lengths: Array) -> Array:
        """[N, T, D], [N] -> [N, 2 * D]."""
        mask = frame_mask(lengths, values.shape[1])[..., None]
        values = where(mask, values)
        scores = nn.Dense(values.shape[-1])(jnp.tanh(nn.Dense(self.hidden)(values)))
        # A finite number: a row without frames would be NaN, and so would its gradient.
        weights = where(mask, nn.softmax(jnp.where(mask, scores, -1e9), axis=1))
        mean = jnp.sum(weights * values, axis=1)
        variance = jnp.sum(weights * jnp.square(values), axis=1) - jnp.square(mean)
        deviation = jnp.sqrt(jnp.maximum(variance, 1e-5)) - jnp.sqrt(jnp.asarray(1e-5, values.dtype))
        return jnp.concatenate([mean, deviation], axis=-1)


class _Voice(nn.Module):
    """Pooling over time and a projection to a unit vector, and perhaps its cosines to those of training speakers."""

    embedding: int
    outputs: int | None

    @nn.compact
    def __call__(self, hidden: Array, lengths: Array) -> Array:
        pooled = AttentiveStatistics(name="pool")(hidden, lengths)
        voice = unit(nn.Dense(self.embedding, name="project")(LayerNorm()(pooled)))
        if self.outputs is None:
            return voice
        return voice @ unit(self.param("head", nn.initializers.normal(1.0), (self.outputs, self.embedding))).T


class _Speaker(nn.Module):
    body: nn.Module
    embedding: int
    outputs: int | None
    frames: int

    @nn.compact
    def __call__(self, inputs: Ragged, train: bool) -> Array:
        first, *_, last = self.body.stages(relative_time(inputs, self.frames), train)
        return _Voice(self.embedding, self.outputs, name=SPEAKER)(*_joined(first, last))


class _WordAndSpeaker(nn.Module):
    body: nn.Module
    embedding: int
    outputs: int | None
    frames: int

    @nn.compact
    def __call__(self, inputs: Ragged, train: bool) -> dict[str, Array]:
        first, *_, last = self.body.stages(relative_time(inputs, self.frames), train)
        voice = _Voice(self.embedding, self.outputs, name=SPEAKER)(*_joined(first, last))
        return {WORD: word_embedding(last), SPEAKER: voice}


class _TextAndSpeaker(nn.Module):
    classes: int
    encoder: nn.Module
    embedding: int
    outputs: int | None

    @nn.compact
    def __call__(self, inputs: Ragged, train: bool) -> dict[str, PyTree]:
        hidden, lengths = FrontEnd(self.encoder.size.width, name="front")(inputs)
        hidden = self.encoder(hidden, lengths, train)
        logits = nn.Dense(self.classes, name="head")(hidden)
        voice = _Voice(self.embedding, self.outputs, name=SPEAKER)(hidden, lengths)
        return {TEXT: Ragged(logits, lengths), SPEAKER: voice}


def unit(vectors: Array) -> Array:
    """Vectors [..., E] over their length; zeros stay zeros, and have a gradient of zero there."""
    square = jnp.sum(jnp.square(vectors), axis=-1, keepdims=True)
    return vectors / jnp.sqrt(jnp.where(square > 0, square, 1))


def _joined(first: Array, last: Array) -> tuple[Array, Array]:
    """Both stages of a trunk side by side, and that all of their frames count.

    Early layers know more of a voice, late ones, where words are told apart, less. Source: Desplanques et al. 2020
    (arXiv 2005.07143), section 3.3.
    """
    return jnp.concatenate([first, last], axis=-1), jnp.full(first.shape[0], first.shape[1])
