"""Exports a recogniser to a file for devices, and compares the outputs of the file with the recogniser's."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta.bundle import check_finite
from jaxmeta.compress.artefact import load
from jaxmeta.compress.export import export_learner
from jaxmeta.compress.onnx import OnnxModel, export_onnx, padded
from jaxmeta.compress.quantize import dequantise_params, quantise_params
from jaxmeta.files.durable import write_bytes
from jaxmeta.recognition.adaptation import fine_tuning, starting_point
from jaxmeta.recognition.recogniser import Recogniser
from jaxmeta.tree import named
from jaxmeta.types import Batch, Ragged

Format = Literal["stablehlo", "onnx", "safetensors"]
BITS = {"stablehlo": (32, 8, 4), "onnx": (32, 8), "safetensors": (32,)}
"""Of kernels, in each format."""
TURNS = 7
"""Times that a recording is recognised, for the median of its latency."""


class Checked(NamedTuple):
    """What an exported recogniser is like beside the original."""

    difference: float
    """Largest difference of a logit on the recordings; of a weight, where only weights are exported."""
    size: int
    """Of the file, in bytes."""
    milliseconds: float | None
    """Median time to recognise the longest recording; None where only weights are exported."""

    def __str__(self) -> str:
        time = "" if self.milliseconds is None else f"; {self.milliseconds:.1f} ms for the longest recording"
        return f"largest difference {self.difference:.2g}; {self.size:,} bytes{time}"


def export_recogniser(
    recogniser: Recogniser,
    path: Path,
    to: Format,
    features: Sequence[np.ndarray],
    *,
    bits: int = 32,
    frames: int = 1000,
) -> Checked:
    """Write a recogniser, and compare what was written with it.

    Args:
      recogniser: recognises.
      path: of the file.
      to: "stablehlo", an artefact for `jaxmeta.compress.artefact` that recognises and adapts; "onnx", which recognises;
        "safetensors", the weights. Each holds the card and the vocabulary too.
      features: log-mels [T, F] of recordings to compare on.
      bits: of kernels, one of `BITS[to]`.
      frames: of the longest recording that an ONNX file takes.
    Raises:
      ValueError: other bits, stablehlo of a network that has a largest number of frames, a recording of more frames, or
        weights that are not finite.
      ImportError: the extra "export" or "onnx" is missing.
    """
    if bits not in BITS[to]:
        raise ValueError(f"bits must be {' or '.join(map(str, BITS[to]))} for {to}, got {bits}.")
    if to == "stablehlo" and (longest := recogniser.card.longest) is not None:
        raise ValueError(
            f"stablehlo is for recordings of any length, and this network takes {longest} frames; use onnx."
        )
    check_finite(path, {name: np.asarray(leaf) for name, leaf in named(recogniser.params).items()})
    about = {"kind": "ctc recogniser", "vocabulary": asdict(recogniser.vocabulary)} | asdict(recogniser.card)
    clips = [_alone(clip) for clip in sorted(features, key=len)]
    if to == "stablehlo":
        return _stablehlo(recogniser, path, clips, bits, about)
    if to == "onnx":
        return _onnx(recogniser, path, clips, bits, frames, about)
    return _safetensors(recogniser, path, about)


def _stablehlo(
    recogniser: Recogniser, path: Path, clips: Sequence[Ragged], bits: int, about: dict[str, Any]
) -> Checked:
    """Compared with the recogniser of the weights that codes stand for."""
    params = starting_point(recogniser.card.adaptation, recogniser.params, jax.random.key(0))
    stored = params if bits == 32 else quantise_params(params, bits)
    learner = fine_tuning(recogniser.model, recogniser.card.adaptation, recogniser.card.rate, recogniser.card.steps)
    label, nobody = Ragged(jnp.ones((1, 8), jnp.int32), jnp.ones(1, jnp.int32)), jnp.zeros(1)
    support = Batch(clips[0], label, nobody)
    exported = load(export_learner(path, learner, stored, {}, support, about=about))
    start: Any = exported.start and exported.start()
    meant = dequantise_params(stored)
    fast, _ = learner.adapt(meant, {}, support, jax.random.key(0))
    expected = jax.jit(lambda clip: learner.predict(meant, {}, fast, clip, jax.random.key(0), False)[0].values)
    return _checked(path, lambda clip: exported.predict(start, clip)[0], expected, clips)


def _onnx(
    recogniser: Recogniser, path: Path, clips: Sequence[Ragged], bits: int, frames: int, about: dict[str, Any]
) -> Checked:
    """Compared with the recogniser itself."""
    form = Ragged(jnp.zeros((1, frames, recogniser.card.features.size)), jnp.ones(1, jnp.int32))
    padded(clips[-1].values, frames)  # So that nothing is written where a recording is too long.
    run = OnnxModel(export_onnx(path, recogniser.model, recogniser.params, {}, form, bits, {"card": json.dumps(about)}))

    def recognise(clip: Ragged) -> np.ndarray:
        logits = run(padded(clip.values, frames), clip.lengths)[0]
        return logits[:, : int(recogniser.card.output_lengths(clip.values.shape[1]))]

    expected = jax.jit(
        lambda clip: recogniser.model.apply(recogniser.params, {}, clip, jax.random.key(0), False)[0].values
    )
    return _checked(path, recognise, expected, clips)


def _safetensors(recogniser: Recogniser, path: Path, about: dict[str, Any]) -> Checked:
    from safetensors.numpy import load_file, save

    weights = {name: np.asarray(leaf) for name, leaf in named(recogniser.params).items()}
    write_bytes(path, save(weights, {"card": json.dumps(about)}))
    back = load_file(path)
    return Checked(float(max(np.abs(back[name] - weights[name]).max() for name in weights)), path.stat().st_size, None)


def _checked(path: Path, run: Callable[[Ragged], Any], expected: Callable, clips: Sequence[Ragged]) -> Checked:
    """The exported and the original recogniser on clips, the longest last."""
    differences = [np.abs(np.asarray(run(clip)) - np.asarray(expected(clip))).max() for clip in clips]
    times = []
    for _ in range(TURNS):
        start = time.perf_counter()
        jax.block_until_ready(run(clips[-1]))
        times.append(1e3 * (time.perf_counter() - start))
    return Checked(float(max(differences)), path.stat().st_size, median(times))


def _alone(frames: np.ndarray) -> Ragged:
    """One recording [T, F] as a batch, of its own length."""
    return Ragged(jnp.asarray(frames)[None], jnp.full(1, len(frames), jnp.int32))
