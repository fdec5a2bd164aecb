"""How long one clip and one adaptation take, in compiled JAX and in onnxruntime, all taking turns."""

import importlib.util
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxmeta.compress.onnx import OnnxModel, export_onnx
from jaxmeta.compress.quantize import stored_bytes
from jaxmeta.compress.variants import Variant
from jaxmeta.progress import progress_bar

TURNS = 100
Run = Callable[[], Any]


def latencies(
    network: str, variants: Mapping[str, Variant], inputs: Any, adaptation: Callable[[Variant], Run], folder: Path
) -> list[dict]:
    """A row for every variant and runtime: the median and the 95th percentile in milliseconds, and kilobytes.

    Timed are float32 and the networks with fewer channels, in JAX and, with the extra "onnx", in onnxruntime, and
    networks that compute in integers in JAX.
    Args:
      network: its name.
      variants: by name, "float32" among them.
      inputs: of the clip.
      adaptation: a variant -> what adapts it.
      folder: for ONNX files.
    """
    smaller = [each for name, each in variants.items() if each.kind == "channels" and not name.endswith("int8")]
    timed = [variants["float32"], *smaller]
    runs: dict[tuple[str, str, str], tuple[Run, int]] = {}
    for variant in timed:
        size = stored_bytes(variant.stored)
        runs[variant.name, "JAX", "a clip"] = _compiled(variant, inputs), size
        runs[variant.name, "JAX", "adaptation"] = adaptation(variant), size
    for variant in variants.values():
        if variant.integers:
            runs[variant.name, "JAX", "a clip"] = _compiled(variant, inputs), stored_bytes(variant.stored)
    if importlib.util.find_spec("jax2onnx") and importlib.util.find_spec("onnxruntime"):
        for variant in timed:
            for bits in (32, 8):
                name = variant.name if bits == 32 else f"{variant.name}, int8"
                runs[name, "onnxruntime", "a clip"] = _exported(variant, bits, inputs, folder)
    else:
        print('onnxruntime is not timed: the extra "onnx" is not installed', file=sys.stderr)
    times = time_in_turns({key: run for key, (run, _) in runs.items()})
    return [
        {
            "network": network, "run by": runtime, "what": f"{what}, {name}", "kB": size / 1000,
            "median ms": float(np.median(times[name, runtime, what])),
            "95 % below ms": float(np.quantile(times[name, runtime, what], 0.95)),
        }
        for (name, runtime, what), (_, size) in runs.items()
    ]  # fmt: skip


def time_in_turns(runs: Mapping[Any, Run], turns: int = TURNS) -> dict[Any, list[float]]:
    """Milliseconds of every run, one after another again and again, so that a busy machine is so for all.

    Args:
      runs: by name; each runs once before, to be compiled.
      turns: times that each is timed.
    """
    times: dict[Any, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        jax.block_until_ready(run())
    with progress_bar("latency", turns) as advance:
        for _ in range(turns):
            for name, run in runs.items():
                start = time.perf_counter()
                jax.block_until_ready(run())
                times[name].append(1e3 * (time.perf_counter() - start))
            advance(1)
    return times


def _compiled(variant: Variant, inputs: Any) -> Run:
    run = jax.jit(lambda params, inputs: variant.model.apply(params, {}, inputs, jax.random.key(0), False)[0])
    params = variant.params
    return lambda: run(params, inputs)


def _exported(variant: Variant, bits: int, inputs: Any, folder: Path) -> tuple[Run, int]:
    """Runs a clip in onnxruntime, and the bytes of the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{variant.name.replace(' ', '_').replace('%', '')}_{bits}.onnx"
    model = OnnxModel(export_onnx(path, variant.model, variant.params, {}, inputs, bits))
    arrays = jax.tree.leaves(inputs)
    return lambda: model(*arrays), path.stat().st_size
