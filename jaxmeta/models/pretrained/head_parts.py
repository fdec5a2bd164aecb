"""The head of a recogniser on a frozen encoder in two parts: one that may be frozen too, and one that adapts.

What the first part gives is a few numbers at half of the encoder's frame rate. So adaptation of the second part from
stored activations costs a hundredth of the encoder.
"""

import jax
from flax import linen as nn
from jax import numpy as jnp

from jaxmeta.models.acoustic import Encoder, Size, acoustic_encoder
from jaxmeta.models.layers import LayerNorm, apply_mask
from jaxmeta.models.linen import from_linen
from jaxmeta.models.pretrained.blocks import widened
from jaxmeta.types import Model, PyTree, Ragged


def narrowing(width: int) -> Model:
    """Activations [N, T, D] of an encoder -> Ragged [N, ceil(T / 2), width], by a convolution."""
    return from_linen(Narrowing(width))


def frames_to_logits(classes: int, kind: Encoder, size: Size, dropout: float = 0.0) -> Model:
    """Ragged frames [N, T, width] -> Ragged logits [N, T, C]; its last layer is named "output".

    Args:
      classes: C, the blank included.
      kind, size, dropout: of the layers below the last one, as in `models.acoustic.acoustic_encoder`.
    """
    return from_linen(_Logits(classes, acoustic_encoder(kind, size, dropout)))


def stacked(lower: Model, upper: Model) -> Model:
    """Two models without state, one on what the other gives; params are {"lower", "upper"}."""

    def init(key, inputs):
        params = lower.init(key, inputs)[0]
        frames, _ = lower.apply(params, {}, inputs, key, False)
        return {"lower": params, "upper": upper.init(key, frames)[0]}, {}

    def apply(params, state, inputs, key, train):
        frames, _ = lower.apply(params["lower"], {}, inputs, key, train)
        return upper.apply(params["upper"], {}, frames, key, train)[0], state

    return Model(init, apply)


def on_frozen(lower: Model, params: PyTree, upper: Model) -> Model:
    """The upper of two models on what the lower one gives with these params, which stay as they are."""

    def given(inputs: Ragged) -> Ragged:
        return lower.apply(params, {}, inputs, jax.random.key(0), False)[0]

    return Model(
        lambda key, inputs: upper.init(key, given(inputs)),
        lambda own, state, inputs, key, train: upper.apply(own, state, given(inputs), key, train),
    )


class Narrowing(nn.Module):
    """See `narrowing`."""

    width: int

    @nn.compact
    def __call__(self, inputs: Ragged) -> Ragged:
        values = apply_mask(LayerNorm()(widened(inputs.values)), inputs.lengths)
        lengths = (inputs.lengths + 1) // 2
        # A convolution of three frames at every second one, as a product: XLA's own is ten times slower in a loop.
        padded = jnp.pad(values, ((0, 0), (1, 2), (0, 0)))
        frames = 2 * ((values.shape[1] + 1) // 2)
        neighbours = jnp.concatenate([padded[:, shift : shift + frames : 2] for shift in range(3)], axis=-1)
        values = nn.gelu(nn.Dense(self.width, name="half")(neighbours))
        return Ragged(apply_mask(values, lengths), lengths)


class _Logits(nn.Module):
    classes: int
    encoder: nn.Module

    @nn.compact
    def __call__(self, inputs: Ragged, train: bool) -> Ragged:
        values = self.encoder(widened(inputs.values), inputs.lengths, train)
        return Ragged(nn.Dense(self.classes, name="output")(values), inputs.lengths)
