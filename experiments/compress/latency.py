"""How long one clip and one adaptation take, in compiled JAX and in onnxruntime, all taking turns."""

import importlib.util
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.compress.variants import System, Variant
from jaxmeta.compress.onnx import OnnxModel, export_onnx
from jaxmeta.compress.quantize import stored_bytes
from jaxmeta.progress import progress_bar

TURNS = 100
Run = Callable[[], Any]


def latencies(system: System, variants: Mapping[str, Variant], folder: Path) -> list[dict]:
    """A row for every network and runtime.

    Args:
      system: the network.
      variants: by name; those of which a clip is timed are float32, and the smaller ones.
      folder: for ONNX files.
    """
    dense = variants["float32"]
    timed = [dense, *(one for name, one in variants.items() if one.kind == "channels" and not name.endswith("int8"))]
    runs: dict[tuple[str, str, str], tuple[Run, int]] = {}
    for one in timed:
        size = stored_bytes(one.stored)
        runs[one.name, "JAX", "a clip"] = _compiled(one.model.apply, one.params, system.inputs), size
        runs[one.name, "JAX", "adaptation"] = system.adaptation(one), size
    for one in variants.values():
        if one.integers:
            run = _compiled(one.model.apply, one.params, system.inputs)
            runs[one.name, "JAX", "a clip"] = run, stored_bytes(one.stored)
    if importlib.util.find_spec("jax2onnx") and importlib.util.find_spec("onnxruntime"):
        for one in timed:
            for bits in (32, 8):
                runs[_name(one, bits), "onnxruntime", "a clip"] = _exported(one, bits, system.inputs, folder)
    else:
        print('onnxruntime is not timed: the extra "onnx" is not installed', file=sys.stderr)
    times = _take_turns({key: run for key, (run, _) in runs.items()})
    return [
        {
            "network": system.name, "run by": runtime, "what": f"{what}, {name}", "kB": size / 1000,
            "median ms": float(np.median(times[name, runtime, what])),
            "95 % below ms": float(np.quantile(times[name, runtime, what], 0.95)),
        }
        for (name, runtime, what), (_, size) in runs.items()
    ]  # fmt: skip


def _name(variant: Variant, bits: int) -> str:
    return variant.name if bits == 32 else f"{variant.name}, int8"


def _compiled(apply: Callable, params: Any, inputs: Any) -> Run:
    run = jax.jit(lambda params, inputs: apply(params, {}, inputs, jax.random.key(0), False)[0])
    return lambda: run(params, inputs)


def _exported(variant: Variant, bits: int, inputs: Any, folder: Path) -> tuple[Run, int]:
    """Runs a clip in onnxruntime, and the bytes of the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{variant.name.replace(' ', '_').replace('%', '')}_{bits}.onnx"
    model = OnnxModel(export_onnx(path, variant.model, variant.params, {}, inputs, bits))
    arrays = jax.tree.leaves(inputs)
    return lambda: model(*arrays), path.stat().st_size


def _take_turns(runs: Mapping[Any, Run]) -> dict[Any, list[float]]:
    """Milliseconds of every run, one after another again and again, so that a busy machine is so for all."""
    times: dict[Any, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        jax.block_until_ready(run())
    with progress_bar("latency", TURNS) as advance:
        for _ in range(TURNS):
            for name, run in runs.items():
                start = time.perf_counter()
                jax.block_until_ready(run())
                times[name].append(1e3 * (time.perf_counter() - start))
            advance(1)
    return times
