"""Writing a model, or a learner that adapts, as a file that runs without the code that made it.

    export_learner("voice.zip", learner, params, state, support)      # reading it: `artefact.py`

One file serves batches of any size, recordings and transcripts of any length, on CPU, CUDA and TPU. Weights may hold
`Quantised` leaves: they are stored as codes. Needs the extra "export".
"""

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

import jaxmeta
from jaxmeta.compress.artefact import CARD, FORMAT, WEIGHTS, digest
from jaxmeta.compress.quantize import dequantise_params
from jaxmeta.files.durable import write_bytes
from jaxmeta.types import Batch, MetaLearner, Model, PyTree, Ragged

PLATFORMS = ("cpu", "cuda", "tpu")
Program = tuple[Callable, tuple]
"""A function of arrays, and their forms."""


def export_learner(
    path: str | Path,
    learner: MetaLearner,
    params: PyTree,
    state: PyTree,
    support: Batch,
    *,
    platforms: Sequence[str] = PLATFORMS,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Write `adapt` and `predict` of a learner.

    Args:
      path: of the file; what was there is replaced when all of it is written.
      learner: adapts without drawing random numbers, or always draws the same ones.
      params: what it starts from; leaves may be `Quantised`.
      state: of the model, often {}.
      support: any batch of the form that it adapts to. Rows, and the second axis of Ragged values, may vary later.
      platforms: that the file runs on.
      about: more for the card, as JSON.
    Raises:
      ImportError: flatbuffers is missing.
      ValueError: about has a key of the card's own.
    """
    key = jax.random.key(0)
    tidy = jax.eval_shape(lambda p: learner.adapt(dequantise_params(p), state, support, key)[0], params)
    form = jax.tree.structure(tidy)

    def adapt(weights, inputs, targets, weight):
        plain, carried = _restored(weights, params, state)
        batch = Batch(_like(support.inputs, inputs), _like(support.targets, targets), weight)
        return tuple(jax.tree.leaves(learner.adapt(plain, carried, batch, key)[0]))

    def start(weights):
        plain, carried = _restored(weights, params, state)
        nobody = jax.tree.map(lambda leaf: leaf[:1], support)._replace(weight=jnp.zeros(1))
        return tuple(jax.tree.leaves(learner.adapt(plain, carried, nobody, key)[0]))

    def predict(weights, fast, inputs):
        plain, carried = _restored(weights, params, state)
        moved = jax.tree.unflatten(form, fast)
        outputs, _ = learner.predict(plain, carried, moved, _like(support.inputs, inputs), key, False)
        return tuple(jax.tree.leaves(outputs))

    scope = export.SymbolicScope()
    support_rows, support_frames, labels, rows, frames = export.symbolic_shape("n, t, l, m, s", scope=scope)
    weights, fast = _specs((params, state)), _specs(tidy)
    programs: dict[str, Program] = {
        "start": (start, (weights,)),
        "adapt": (adapt, (
            weights,
            _symbolic(support.inputs, support_rows, support_frames),
            _symbolic(support.targets, support_rows, labels),
            _symbolic(support.weight, support_rows, None)[0],
        )),
        "predict": (predict, (weights, fast, _symbolic(support.inputs, rows, frames))),
    }  # fmt: skip
    return _write(Path(path), programs, jax.tree.leaves((params, state)), platforms, about)


def export_model(
    path: str | Path,
    model: Model,
    params: PyTree,
    state: PyTree,
    inputs: PyTree,
    *,
    platforms: Sequence[str] = PLATFORMS,
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Write a model's predictions: an artefact whose `adapt` and `start` are None.

    Args:
      inputs: any batch of inputs of the model's form.
      path, params, state, platforms, about: as in `export_learner`.
    Raises:
      As `export_learner`.
    """

    def predict(weights, fast, arrays):
        plain, carried = _restored(weights, params, state)
        outputs, _ = model.apply(plain, carried, _like(inputs, arrays), jax.random.key(0), False)
        return tuple(jax.tree.leaves(outputs))

    rows, frames = export.symbolic_shape("m, s", scope=export.SymbolicScope())
    programs: dict[str, Program] = {
        "predict": (predict, (_specs((params, state)), (), _symbolic(inputs, rows, frames)))
    }
    return _write(Path(path), programs, jax.tree.leaves((params, state)), platforms, about)


def _restored(weights: Sequence[Any], params: PyTree, state: PyTree) -> tuple[PyTree, PyTree]:
    """Arrays as the weights and the state that they were, codes decoded."""
    held = jax.tree.unflatten(jax.tree.structure((params, state)), weights)
    return dequantise_params(held[0]), held[1]


def _like(example: PyTree, arrays: Sequence[Any]) -> PyTree:
    return jax.tree.unflatten(jax.tree.structure(example), arrays)


def _specs(tree: PyTree) -> tuple[jax.ShapeDtypeStruct, ...]:
    return tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree))


def _symbolic(part: PyTree, rows: Any, second: Any) -> tuple[jax.ShapeDtypeStruct, ...]:
    """The form of some inputs or targets with any number of rows, and of frames or labels where they are Ragged."""

    def spec(array: Any, *axes: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((*axes, *array.shape[len(axes) :]), array.dtype)

    def symbolic_leaf(node: Any) -> Any:
        return (spec(node.values, rows, second), spec(node.lengths, rows)) if _is_ragged(node) else spec(node, rows)

    return tuple(jax.tree.leaves(jax.tree.map(symbolic_leaf, part, is_leaf=_is_ragged)))


def _is_ragged(node: Any) -> bool:
    return isinstance(node, Ragged)


def _write(
    path: Path,
    programs: Mapping[str, Program],
    weights: Sequence[Any],
    platforms: Sequence[str],
    about: Mapping[str, Any] | None,
) -> Path:
    parts = {
        name: bytes(export.export(jax.jit(function), platforms=tuple(platforms))(*specs).serialize())
        for name, (function, specs) in programs.items()
    }
    arrays = [np.asarray(leaf) for leaf in weights]
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{f"{number:04d}": array for number, array in enumerate(arrays)})
    parts[WEIGHTS] = buffer.getvalue()
    card = {
        "format": FORMAT, "jaxmeta": jaxmeta.__version__, "jax": jax.__version__, "platforms": list(platforms),
        "inputs": [_described(spec) for spec in programs["predict"][1][-1]],
        "targets": [_described(spec) for spec in programs["adapt"][1][2]] if "adapt" in programs else None,
        "weights": [[list(array.shape), array.dtype.name] for array in arrays],
        "sha256": {name: digest(content) for name, content in parts.items()},
    }  # fmt: skip
    if taken := sorted(card.keys() & (about or {}).keys()):
        raise ValueError(f"about has {taken[0]!r}, which is the card's own; call it something else.")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, part in parts.items():
            file.writestr(name, part, zipfile.ZIP_DEFLATED if name in programs else zipfile.ZIP_STORED)
        file.writestr(CARD, json.dumps(card | dict(about or {}), indent=1))
    write_bytes(path, content.getvalue())
    return path


def _described(spec: jax.ShapeDtypeStruct) -> list:
    """Axes, letters for those that may vary, and type."""
    return [[str(size) for size in spec.shape], spec.dtype.name]
