"""A CTC recogniser on a frozen public encoder: low-rank adapters in its layers, and a head that learns.

Hu et al. 2021, "LoRA: low-rank adaptation of large language models" (arXiv 2106.09685).
"""

from collections.abc import Callable
from typing import Any

import jax
from flax import linen as nn
from jax import numpy as jnp

from jaxmeta.models.acoustic import Encoder, Size, acoustic_encoder
from jaxmeta.models.layers import LayerNorm, apply_mask
from jaxmeta.models.linen import from_linen
from jaxmeta.models.low_rank import with_adapters
from jaxmeta.models.pretrained.blocks import widened
from jaxmeta.types import Array, Key, Model, PyTree, Ragged


def ctc_head(classes: int, kind: Encoder, size: Size, dropout: float = 0.0) -> Model:
    """Activations [N, T, D] of an encoder -> Ragged logits [N, ceil(T / 2), C].

    Args:
      classes: C, the blank included.
      kind, size, dropout: of the layers below the last one, as in `models.acoustic.acoustic_encoder`.
    Raises:
      ValueError: an unknown kind.
    """
    return from_linen(_Head(classes, acoustic_encoder(kind, size, dropout)))


def adapted(encoder: Model, base: PyTree, head: Model, rank: int = 0) -> Model:
    """A head on a frozen encoder, or on the upper part of one, with low-rank adapters on each of its matrices.

    Args:
      encoder: Model of Ragged inputs to Ragged activations, without state.
      base: params of the encoder, of any floating type. They are no part of the params, so that they have no
        gradients, no optimizer state and no place in a checkpoint. Params of other parts of the encoder are not read.
      head: Model of Ragged activations to Ragged logits, without state.
      rank: of the adapters; 0: none.
    Returns:
      Model whose params are {"head": the head's, "adapters": {path: {"down", "up"}}}; "adapters" only for a rank
      above 0. The adapters change nothing at first.
    Raises:
      ValueError: at init, adapters for an encoder without matrices; as `low_rank`.
    """

    def init(key: Key, inputs: PyTree) -> tuple[PyTree, PyTree]:
        head_key, adapter_key = jax.random.split(key)
        frames, _ = encoder.apply(base, {}, inputs, key, False)
        learned = {"head": head.init(head_key, frames)[0]}
        if not rank:
            return learned, {}
        used = jax.eval_shape(encoder.init, key, inputs)[0]
        return learned | {"adapters": new_adapters(used, rank, adapter_key)}, {}

    def apply(params, state, inputs, key, train):
        with nn.intercept_methods(adding(params["adapters"] if rank else {})):
            frames, _ = encoder.apply(base, {}, inputs, key, train)
        return head.apply(params["head"], {}, frames, key, train)[0], state

    return Model(init, apply)


def new_adapters(weights: PyTree, rank: int, key: Key) -> PyTree:
    """Adapters in float32 for every matrix of Transformer layers; their products are zero.

    Args:
      weights: of an encoder, or their shapes.
      rank: 1 or more.
      key: of the draw.
    """
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, "float32"), weights)
    return with_adapters(shapes, rank, is_layer_matrix, key)["adapters"]


def is_layer_matrix(path: str) -> bool:
    """Whether a path of an encoder is that of a matrix in one of its Transformer layers.

    >>> is_layer_matrix("layers_3/fc1/kernel"), is_layer_matrix("conv1/kernel")
    (True, False)
    """
    return path.endswith("kernel") and any(name.startswith("layers_") for name in path.split("/"))


def adding(adapters: PyTree) -> Callable[..., Any]:
    """What adds the products of adapters to the outputs of the linear layers that they belong to.

    Adding them to the matrices, as `low_rank.merged` does, would need the gradient of every matrix of the base.
    """

    def intercept(call, arguments, options, context):
        outputs = call(*arguments, **options)
        adapter = adapters.get("/".join([*context.module.path, "kernel"]))
        if adapter is None or not isinstance(context.module, nn.Dense):
            return outputs
        return outputs + (arguments[0] @ adapter["down"]) @ adapter["up"]

    return intercept


class _Head(nn.Module):
    """Normalises, halves the frame rate, and recognises with layers of its own."""

    classes: int
    encoder: nn.Module

    @nn.compact
    def __call__(self, inputs: Ragged, train: bool) -> Ragged:
        # Before normalisation too: what is not finite there would reach the gradient of its scale.
        values = apply_mask(widened(inputs.values), inputs.lengths)
        values = apply_mask(LayerNorm()(values), inputs.lengths)
        values = _Halving(self.encoder.size.width, name="half")(values)
        lengths = (inputs.lengths + 1) // 2
        values = self.encoder(apply_mask(nn.gelu(values), lengths), lengths, train)
        return Ragged(nn.Dense(self.classes, name="output")(values), lengths)


class _Halving(nn.Module):
    """A convolution over time with a kernel of 3 and a stride of 2, zeros beyond the ends, as a product of matrices.

    As a convolution, its gradient for each task is slow on a CPU.
    """

    features: int

    @nn.compact
    def __call__(self, values: Array) -> Array:
        """[N, T, D] -> [N, ceil(T / 2), features]."""
        shape = (3, values.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(in_axis=(0, 1)), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        frames = values.shape[1]
        padded = jnp.pad(values, ((0, 0), (1, 1 + frames % 2), (0, 0)))
        neighbours = [padded[:, shift : shift + frames : 2] for shift in range(3)]
        return jnp.concatenate(neighbours, axis=-1) @ kernel.reshape(-1, self.features) + bias
