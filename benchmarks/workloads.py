"""The work that every system does: four meta-learning problems as plain arrays, and the operations that each needs.

`sinusoid` is the regression of Finn et al. 2017 (arXiv 1703.03400, section 5.1); `conv4` the few-shot image network of
Vinyals et al. 2016 (arXiv 1606.04080) with batch statistics; `words` jaxmeta's own network for spoken words; `ctc` a
small recogniser. Images and log-mels are noise: speed does not depend on what they show.

Weights are in JAX's layouts: kernels [kh, kw, C, D], matrices [in, out]; a GRU's three gates in the order r, z, n.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

WAYS = 5
IMAGE, WIDTH = 28, 64
"""Rows and columns of an image; channels of both convolutional networks."""
FRAMES, MELS, SEGMENTS = 80, 40, 64
"""Frames and bands of a clip; segments of relative time that `words` pools it to."""
WORDS_STRIDES = ((2, 2), (2, 2), (1, 2), (1, 2))
UTTERANCE, LABELS, CLASSES = 200, 20, 32
"""Frames and labels of an utterance; classes with the blank, 0."""
FRONT, HIDDEN = 32, 128
"""Channels of the recogniser's convolution; units of its linear layer and of each direction of its GRU."""

CPU = (
    ("sinusoid", 25, 1),
    ("sinusoid", 25, 5),
    ("conv4", 4, 5),
    ("conv4", 16, 5),
    ("conv4", 32, 5),
    ("words", 4, 5),
    ("ctc", 4, 3),
)
"""(name, tasks, steps) of each measurement on a CPU."""
GPU = (
    ("conv4", 128, 5),
    ("words", 128, 5),
    ("ctc", 128, 3),
    ("ctc", 16, 3),
    ("sinusoid", 25, 5),
    ("conv4", 32, 5),
    ("words", 32, 5),
    ("sinusoid", 25, 1),
)
"""The same on a GPU, the most telling first."""
QUICK = (("sinusoid", 25, 1), ("sinusoid", 25, 5), ("conv4", 4, 5), ("words", 4, 5), ("ctc", 4, 3))


class Workload(NamedTuple):
    """Meta-gradient of MAML: the mean query loss over tasks after `steps` of gradient descent on each support set."""

    name: str
    tasks: int
    steps: int
    rate: float
    """Of the inner gradient descent."""
    weights: dict[str, np.ndarray]
    """Where adaptation starts."""
    episodes: dict[str, np.ndarray]
    """support_x, support_y, query_x, query_y, each [tasks, N, ...]; `ctc` has support_lengths and query_lengths too,
    the labels of each utterance [tasks, N]."""
    precision: str
    """"float32"; "tf32", products of rounded numbers; "bf16", a network in bfloat16 with weights in float32."""
    products: tuple[int, ...]
    """Multiply-adds with each layer's weights in one example's forward pass; the first layer has no input gradient."""

    def operations(self, order: int) -> int:
        """Floating-point operations that one task needs, in products with weights alone: 2 for each multiply-add.

        A gradient is a forward pass and two products of its size backward, except the first layer's, which has one.
        Second order adds to each inner step the transposition of its gradient: twice the gradient's own count.
        Whatever a system computes again is not counted; products with the zeros around an image are.
        """
        gradient = 2 * (3 * sum(self.products) - self.products[0])
        support, query = (self.episodes[f"{part}_x"].shape[1] for part in ("support", "query"))
        return gradient * (self.steps * support * {1: 1, 2: 3}[order] + query)


def make(
    name: str, tasks: int, steps: int, seed: int = 0, dtype: str = "float32", precision: str = "float32"
) -> Workload:
    """The workload of that name; the same arguments give the same arrays everywhere.

    Args:
      dtype: of weights, inputs and real targets: "float32", or "float64" to compare systems without rounding.
      precision: of products, as in `Workload`.
    Raises:
      ValueError: a name that is none of the four, fewer tasks or steps than 1.
    """
    makers = {"sinusoid": _sinusoid, "conv4": _conv4, "words": _words, "ctc": _ctc}
    if name not in makers or tasks < 1 or steps < 1:
        raise ValueError(
            f"name must be one of {sorted(makers)}, tasks and steps 1 or more; got {name}, {tasks}, {steps}."
        )
    rate, weights, episodes, products = makers[name](np.random.default_rng(seed), tasks)
    weights = {key: np.asarray(value, dtype) for key, value in weights.items()}
    episodes = {
        key: np.asarray(value, np.int32 if value.dtype.kind == "i" else dtype) for key, value in episodes.items()
    }
    return Workload(name, tasks, steps, rate, weights, episodes, precision, products)


def pooling(frames: int, segments: int) -> np.ndarray:
    """[segments, frames]: the mean over equal segments, a frame on a border counting for both by its share."""
    width, start = frames / segments, np.arange(segments)[:, None] * frames / segments
    frame = np.arange(frames)
    overlap = np.clip(np.minimum(frame + 1, start + width) - np.maximum(frame, start), 0, None)
    return overlap / width


def _sinusoid(rng: np.random.Generator, tasks: int):
    sizes = (1, 40, 40, 1)
    weights = {}
    for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes), start=1):
        weights |= _dense(rng, f"layer{layer}", inputs, outputs)
    amplitude, phase = rng.uniform(0.1, 5, (tasks, 1, 1)), rng.uniform(0, np.pi, (tasks, 1, 1))
    episodes = {}
    for part in ("support", "query"):
        x = rng.uniform(-5, 5, (tasks, 10, 1))
        episodes |= {f"{part}_x": x, f"{part}_y": amplitude * np.sin(x + phase)}
    return 0.01, weights, episodes, tuple(a * b for a, b in itertools.pairwise(sizes))


def _conv4(rng: np.random.Generator, tasks: int):
    weights, products = {}, []
    size, channels = IMAGE, 1
    for layer in range(1, 5):
        weights[f"conv{layer}/kernel"] = _kernel(rng, channels, WIDTH)
        weights |= {f"norm{layer}/scale": np.ones(WIDTH), f"norm{layer}/bias": np.zeros(WIDTH)}
        products.append(size * size * 9 * channels * WIDTH)
        size, channels = size // 2, WIDTH
    weights |= _dense(rng, "head", WIDTH, WAYS)
    episodes = _classes(rng, tasks, (IMAGE, IMAGE, 1), 1, 15)
    return 0.1, weights, episodes, (*products, WIDTH * WAYS)


def _words(rng: np.random.Generator, tasks: int):
    """Weights are named by their paths in `jaxmeta.models.clip_encoders.conv4`."""
    weights, products = {}, []
    time, bands, channels = SEGMENTS, MELS, 1
    for layer, (along_time, along_bands) in enumerate(WORDS_STRIDES):
        weights[f"body/Convolution_{layer}/kernel"] = _kernel(rng, channels, WIDTH)
        norm = f"body/LayerNorm_{layer}"
        weights |= {f"{norm}/scale": np.ones(WIDTH), f"{norm}/bias": np.zeros(WIDTH)}
        time, bands = -(-time // along_time), -(-bands // along_bands)
        products.append(time * bands * 9 * channels * WIDTH)
        channels = WIDTH
    weights |= _dense(rng, "head", 4 * WIDTH, WAYS)
    episodes = _classes(rng, tasks, (FRAMES, MELS), 1, 5)
    return 0.1, weights, episodes, (*products, 4 * WIDTH * WAYS)


def _ctc(rng: np.random.Generator, tasks: int):
    time, flat = UTTERANCE // 2, MELS // 2 * FRONT
    weights = {"conv/kernel": _kernel(rng, 1, FRONT), "conv/bias": np.zeros(FRONT)}
    weights |= _dense(rng, "linear", flat, HIDDEN)
    for direction in ("forward", "backward"):
        shapes = {"input": (HIDDEN, 3 * HIDDEN), "hidden": (HIDDEN, 3 * HIDDEN)}
        for kind, shape in shapes.items():
            weights[f"{direction}/{kind}_kernel"] = rng.uniform(-1, 1, shape) / HIDDEN**0.5
            weights[f"{direction}/{kind}_bias"] = rng.uniform(-1, 1, shape[1:]) / HIDDEN**0.5
    weights |= _dense(rng, "head", 2 * HIDDEN, CLASSES)
    episodes = {}
    for part in ("support", "query"):
        episodes[f"{part}_x"] = rng.normal(size=(tasks, 4, UTTERANCE, MELS))
        episodes[f"{part}_y"] = rng.integers(1, CLASSES, (tasks, 4, LABELS))
        episodes[f"{part}_lengths"] = np.full((tasks, 4), LABELS)
    convolution = time * (MELS // 2) * 9 * FRONT
    # Input and recurrent products of both directions.
    recurrent = 2 * 2 * time * HIDDEN * 3 * HIDDEN
    # At 0.01 the loss, which is summed over frames, rises again in the second step.
    return 0.001, weights, episodes, (convolution, time * flat * HIDDEN, recurrent, time * 2 * HIDDEN * CLASSES)


def _classes(rng: np.random.Generator, tasks: int, shape: tuple[int, ...], shots: int, queries: int):
    """Examples of noise in WAYS classes."""
    episodes = {}
    for part, each in (("support", shots), ("query", queries)):
        episodes[f"{part}_x"] = rng.normal(size=(tasks, WAYS * each, *shape))
        episodes[f"{part}_y"] = np.tile(np.repeat(np.arange(WAYS), each), (tasks, 1))
    return episodes


def _kernel(rng: np.random.Generator, channels: int, features: int) -> np.ndarray:
    return rng.normal(size=(3, 3, channels, features)) * (2 / (9 * channels)) ** 0.5


def _dense(rng: np.random.Generator, name: str, inputs: int, outputs: int) -> dict[str, np.ndarray]:
    return {f"{name}/kernel": rng.normal(size=(inputs, outputs)) / inputs**0.5, f"{name}/bias": np.zeros(outputs)}
