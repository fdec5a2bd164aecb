"""Attention of WavLM: scores have a bias for how far apart two frames are. Chen et al. 2022 (arXiv 2110.13900)."""

import math

import numpy as np
from flax import linen as nn

from jaxmeta.models.pretrained.blocks import Attention
from jaxmeta.types import Array


class GatedAttention(Attention):
    """WavLM's: the bias of a distance counts as much as the frame that looks says."""

    def setup(self) -> None:
        super().setup()
        self.gru_rel_pos_linear = nn.Dense(8)
        self.gru_rel_pos_const = self.param("gru_rel_pos_const", nn.initializers.ones, (1, self.heads, 1, 1))

    def gated(self, values: Array, bias: Array) -> Array:
        """[N, T, D] and the bias [H, T, T] -> [N, H, T, T]. Source: Chen et al. 2022, eq. 4 to 7."""
        gates = self.gru_rel_pos_linear(self._split(values).swapaxes(1, 2))
        gates = nn.sigmoid(gates.reshape(*gates.shape[:-1], 2, 4).sum(-1))
        return (gates[..., :1] * (gates[..., 1:] * self.gru_rel_pos_const - 1) + 2) * bias


def buckets(frames: int, count: int, farthest: int) -> np.ndarray:
    """Which of `count` embeddings each pair of frames has, [T, T]: near ones their own, ever farther ones shared.

    Source: Raffel et al. 2020 (arXiv 1910.10683), section 2.1.
    """
    distance = np.arange(frames)[None, :] - np.arange(frames)[:, None]
    side, size = count // 2, np.abs(distance)
    exact = side // 2
    share = np.log(np.maximum(size, 1).astype(np.float32) / exact) / math.log(farthest / exact)
    far = np.minimum((exact + share * (side - exact)).astype(int), side - 1)
    return np.where(size < exact, size, far) + side * (distance > 0)
