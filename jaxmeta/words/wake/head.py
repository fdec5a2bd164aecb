"""The head of a wake word: dense layers with ReLU between them, over the last 16 embeddings, with one logit."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Layer(NamedTuple):
    """A dense layer."""

    weight: np.ndarray
    """[I, O]."""
    bias: np.ndarray
    """[O]."""


def logits(layers: Sequence[Layer], windows: np.ndarray) -> np.ndarray:
    """What the layers give for windows of embeddings [N, 16, 96]: a logit each [N], by numpy alone."""
    hidden = np.asarray(windows, np.float32).reshape(len(windows), len(layers[0].weight))
    for layer in layers[:-1]:
        hidden = np.maximum(hidden @ layer.weight + layer.bias, 0)
    return (hidden @ layers[-1].weight + layers[-1].bias)[:, 0]


def scores(layers: Sequence[Layer], windows: np.ndarray) -> np.ndarray:
    """The logits as scores in [0, 1].

    >>> layers = [Layer(np.zeros((16 * 96, 1), np.float32), np.zeros(1, np.float32))]
    >>> scores(layers, np.ones((2, 16, 96))).tolist()
    [0.5, 0.5]
    """
    return 1 / (1 + np.exp(-np.clip(logits(layers, windows), -80, 80)))
