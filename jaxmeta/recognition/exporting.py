"""A recogniser as a file for devices, and the check that it does there what it does here."""

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

from jaxmeta.compress.artefact import load
from jaxmeta.compress.export import export_learner
from jaxmeta.compress.quantize import dequantise_params, quantise_params
from jaxmeta.recognition.adaptation import fine_tuning, starting_point
from jaxmeta.recognition.recogniser import Recogniser
from jaxmeta.training.durable import write_bytes
from jaxmeta.tree import paths
from jaxmeta.types import Batch, PyTree, Ragged

Format = Literal["stablehlo", "safetensors"]
TURNS = 7
"""Times that a recording is recognised, for the median of its latency."""


class Checked(NamedTuple):
    """What an exported recogniser is like beside the original."""

    difference: float
    """Largest difference of a logit on the recordings; of a weight, where only weights are exported."""
    size: int
    """Of the file, in bytes."""
    milliseconds: float | None
    """Median time to recognise one recording, the longest; None where only weights are exported."""

    def __str__(self) -> str:
        time = "" if self.milliseconds is None else f"; {self.milliseconds:.1f} ms for the longest recording"
        return f"largest difference {self.difference:.2g}; {self.size:,} bytes{time}"


def export_recogniser(one: Recogniser, path: Path, to: Format, bits: int, features: Sequence[np.ndarray]) -> Checked:
    """Write a recogniser's `predict` and `adapt`, or its weights alone, and compare what was written with it.

    Args:
      one: the recogniser.
      path: of the file.
      to: "stablehlo", an artefact for `jaxmeta.compress.artefact`; "safetensors", weights with the card as metadata.
      bits: 32, or 8 or 4 for kernels as codes; the difference then is that to the weights that codes stand for.
      features: log-mels [T, F] of recordings to compare on.
    Raises:
      ValueError: bits are none of these, or codes for safetensors, which has no type for their steps.
      ImportError: the extra "export" is missing.
    """
    if bits not in (32, 8, 4):
        raise ValueError(f"bits must be 32, 8 or 4, got {bits}.")
    about = {"kind": "ctc recogniser", "vocabulary": asdict(one.vocabulary)} | asdict(one.card)
    if to == "safetensors":
        if bits != 32:
            raise ValueError(f"--bits {bits} needs --to stablehlo; safetensors holds plain weights.")
        return _weights(one.params, path, about)
    params = starting_point(one.card.adaptation, one.params, jax.random.key(0))
    stored = params if bits == 32 else quantise_params(params, bits)
    learner = fine_tuning(one.model, one.card.adaptation, one.card.rate, one.card.steps)
    label, nobody = Ragged(jnp.ones((1, 8), jnp.int32), jnp.ones(1, jnp.int32)), jnp.zeros(1)
    support = Batch(_alone(features[0]), label, nobody)
    export_learner(path, learner, stored, {}, support, about=about)
    meant = dequantise_params(stored)
    fast, _ = learner.adapt(meant, {}, support, jax.random.key(0))
    expected = jax.jit(lambda clip: learner.predict(meant, {}, fast, clip, jax.random.key(0), False)[0].values)
    exported = load(path)
    start: Any = exported.start and exported.start()
    clips = [_alone(frames) for frames in sorted(features, key=len)]
    found = [np.asarray(exported.predict(start, clip)[0]) - np.asarray(expected(clip)) for clip in clips]
    latency = _milliseconds(lambda: exported.predict(start, clips[-1]))
    return Checked(float(max(np.abs(one).max() for one in found)), path.stat().st_size, latency)


def _weights(params: PyTree, path: Path, about: dict[str, Any]) -> Checked:
    from safetensors.numpy import load_file, save

    named = dict(zip(paths(params), map(np.asarray, jax.tree.leaves(params)), strict=True))
    write_bytes(path, save(named, {"card": json.dumps(about)}))
    back = load_file(path)
    return Checked(float(max(np.abs(back[name] - named[name]).max() for name in named)), path.stat().st_size, None)


def _milliseconds(run: Callable[[], Any]) -> float:
    jax.block_until_ready(run())
    times = []
    for _ in range(TURNS):
        start = time.perf_counter()
        jax.block_until_ready(run())
        times.append(1e3 * (time.perf_counter() - start))
    return median(times)


def _alone(frames: np.ndarray) -> Ragged:
    """One recording [T, F] as a batch, of its own length."""
    return Ragged(jnp.asarray(frames)[None], jnp.full(1, len(frames), jnp.int32))
