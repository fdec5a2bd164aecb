"""The layers of a recurrent recogniser as models of their own, for the columns of `progressive`."""

from flax import linen as nn

from jaxmeta.models.acoustic import FrontEnd, Size
from jaxmeta.models.linen import from_linen
from jaxmeta.models.recurrent import Bidirectional
from jaxmeta.types import Model, Ragged


def recogniser_layers(classes: int, size: Size) -> list[Model]:
    """The front end, the recurrent layers and the head of `recogniser(classes, "gru", size)`, one by one.

    Args:
      classes: C, the blank included.
      size: width and depth.
    """
    return [
        from_linen(_Front(size.width)),
        *(from_linen(_Recurrent(size.width)) for _ in range(size.depth)),
        from_linen(_Head(classes)),
    ]


class _Front(nn.Module):
    width: int

    @nn.compact
    def __call__(self, inputs: Ragged) -> Ragged:
        return Ragged(*FrontEnd(self.width)(inputs))


class _Recurrent(nn.Module):
    width: int

    @nn.compact
    def __call__(self, inputs: Ragged) -> Ragged:
        return Ragged(Bidirectional(self.width)(nn.LayerNorm()(inputs.values), inputs.lengths), inputs.lengths)


class _Head(nn.Module):
    classes: int

    @nn.compact
    def __call__(self, inputs: Ragged) -> Ragged:
        return Ragged(nn.Dense(self.classes)(nn.LayerNorm()(inputs.values)), inputs.lengths)
