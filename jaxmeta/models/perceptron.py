"""Multilayer perceptrons for vectors, as one model and as one model a layer."""

from collections.abc import Sequence

from flax import linen as nn

from jaxmeta.models.linen import from_linen
from jaxmeta.types import Array, Model


def perceptron(hidden: Sequence[int] = (40, 40), outputs: int | None = 1) -> Model:
    """Linear layers with ReLU, and a linear layer named "head": inputs [N, F] to outputs [N, outputs].

    Args:
      hidden: sizes of the layers before the head.
      outputs: size of the head; None: there is none, and outputs are those of the last hidden layer.
    """
    return from_linen(_Perceptron(tuple(hidden), outputs))


def perceptron_layers(hidden: Sequence[int] = (40, 40), outputs: int = 1) -> list[Model]:
    """A model for each layer of a `perceptron`, as `progressive` takes them; the last is linear."""
    return [*(from_linen(_Perceptron((size,), None)) for size in hidden), from_linen(nn.Dense(outputs))]


class _Perceptron(nn.Module):
    hidden: tuple[int, ...]
    outputs: int | None

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        for size in self.hidden:
            inputs = nn.relu(nn.Dense(size)(inputs))
        return inputs if self.outputs is None else nn.Dense(self.outputs, name="head")(inputs)
