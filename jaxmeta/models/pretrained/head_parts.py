"""The head of a recogniser on a frozen encoder in two parts: one that may be frozen too, and one that adapts.

What the first part gives is a few numbers at half of the encoder's frame rate. So adaptation of the second part from
stored activations costs a hundredth of the encoder.
"""

from flax import linen as nn

from jaxmeta.models.acoustic import Encoder, Size, acoustic_encoder
from jaxmeta.models.layers import LayerNorm, apply_mask
from jaxmeta.models.linen import from_linen
from jaxmeta.models.pretrained.blocks import widened
from jaxmeta.types import Model, Ragged


def narrowing(width: int) -> Model:
    """Activations [N, T, D] of an encoder -> Ragged [N, ceil(T / 2), width], by a convolution."""
    return from_linen(_Narrowing(width))


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


class _Narrowing(nn.Module):
    width: int

    @nn.compact
    def __call__(self, inputs: Ragged) -> Ragged:
        values = apply_mask(LayerNorm()(widened(inputs.values)), inputs.lengths)
        lengths = (inputs.lengths + 1) // 2
        values = nn.gelu(nn.Conv(self.width, (3,), 2, padding=1, name="half")(values))
        return Ragged(apply_mask(values, lengths), lengths)


class _Logits(nn.Module):
    classes: int
    encoder: nn.Module

    @nn.compact
    def __call__(self, inputs: Ragged, train: bool) -> Ragged:
        values = self.encoder(widened(inputs.values), inputs.lengths, train)
        return Ragged(nn.Dense(self.classes, name="output")(values), inputs.lengths)
