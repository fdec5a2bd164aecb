"""A model's predictions as ONNX, for runtimes without JAX. Needs the extra "onnx"."""

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta.files.durable import write_bytes
from jaxmeta.types import Model, PyTree

_TOO_NEW = (0, 12)
"""The version of jax that jax2onnx 0.17 does not know, nor later ones."""


def export_onnx(
    path: str | Path,
    model: Model,
    params: PyTree,
    state: PyTree,
    inputs: PyTree,
    bits: int = 32,
    about: Mapping[str, str] | None = None,
) -> Path:
    """Write a model for inputs of one shape; Ragged ones serve everything up to it, padded, for padding is inert.

    Converters know neither scans nor slices of unknown length, which is why the shape is fixed. Inputs and outputs are
    the leaves of the model's, in their order; those of integers stay integers.

    Args:
      path: of the file; what was there is replaced when all of it is written.
      model, params, state: what predicts.
      inputs: a batch of the shape that the file is for.
      bits: 32, or 8 for weights as integers and products in integers (dynamic quantisation by onnxruntime).
      about: for the file's metadata.
    Raises:
      ImportError: jax2onnx or onnxruntime is missing, or does not know this version of jax.
      ValueError: other bits.
    """
    if bits not in (32, 8):
        raise ValueError(f"bits must be 32 or 8 for ONNX, got {bits}.")
    if jax.__version_info__ >= _TOO_NEW:
        raise ImportError(
            f"jax2onnx does not know jax {jax.__version__}, only versions below {'.'.join(map(str, _TOO_NEW))}; "
            'install the extra, which asks for one: pip install "jaxmeta[onnx]"'
        )
    import onnx
    from jax2onnx import to_onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def predict(*arrays):
        held = jax.tree.unflatten(jax.tree.structure(inputs), arrays)
        outputs, _ = model.apply(params, state, held, jax.random.key(0), False)
        return tuple(jax.tree.leaves(outputs))

    forms = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(inputs)]
    with _without_remarks(), tempfile.TemporaryDirectory() as folder:
        whole, small = Path(folder, "whole.onnx"), Path(folder, "small.onnx")
        whole.write_bytes(to_onnx(predict, inputs=forms).SerializeToString())
        if bits == 8:
            quantize_dynamic(whole, small, weight_type=QuantType.QInt8)
        made = onnx.load(small if bits == 8 else whole)
    onnx.helper.set_model_props(made, dict(about or {}))
    write_bytes(Path(path), made.SerializeToString())
    return Path(path)


@contextlib.contextmanager
def _without_remarks() -> Iterator[None]:
    """Say nothing of types that the converter asks for and JAX narrows again, nor of shapes that it leaves open."""
    remarks = logging.getLogger("onnx_ir")
    level = remarks.level
    remarks.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        remarks.setLevel(level)


class OnnxModel:
    """An ONNX file in onnxruntime, called with the leaves of a model's inputs; returns those of its outputs."""

    def __init__(self, path: str | Path):
        """Raises ImportError without onnxruntime, and onnxruntime's own errors for a file that is no model."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # Errors; it warns of every constant that nothing uses.
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, *arrays: jax.Array) -> list[np.ndarray]:
        names = [entry.name for entry in self._session.get_inputs()]
        return self._session.run(None, dict(zip(names, map(np.asarray, arrays), strict=True)))


def padded(values: jax.Array, frames: int) -> jax.Array:
    """[N, T, ...] with zeros up to a fixed number of frames. Raises ValueError where there are more."""
    if values.shape[1] > frames:
        raise ValueError(f"the recording has {values.shape[1]} frames, more than the {frames} that the file is for.")
    return jnp.pad(values, ((0, 0), (0, frames - values.shape[1]), *[(0, 0)] * (values.ndim - 2)))
