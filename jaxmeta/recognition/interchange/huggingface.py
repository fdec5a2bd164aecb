"""An adapted Whisper as a folder that transformers loads: its adapters are added to the matrices of the base."""

import json
import shutil
import uuid
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta.bundle import check_finite
from jaxmeta.files.durable import naming, sync
from jaxmeta.learners.learned_rates import without_rates
from jaxmeta.models.pretrained.whisper import write_whisper
from jaxmeta.recognition.pretrained.adapter import read_adapted, with_whisper_adapters
from jaxmeta.tree import named
from jaxmeta.types import PyTree

COPIED = (
    "tokenizer.json", "generation_config.json", "preprocessor_config.json", "processor_config.json",
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
    "normalizer.json",
)  # fmt: skip
"""Files of the base that adapters do not change."""


class Exported(NamedTuple):
    """What was written."""

    weights: int
    adapted: int
    """Matrices that adapters were added to."""
    dtype: str
    """Of most weights."""
    files: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.weights:,} weights in {self.dtype}, {self.adapted} matrices adapted; {', '.join(self.files)}"


def export_huggingface(
    folder: str | Path, out: str | Path, base: str | Path | None = None, bits: Literal[32] | None = None
) -> Exported:
    """Write the Whisper of a folder of adapters, for `WhisperForConditionalGeneration.from_pretrained` and others.

    Args:
      folder: that `save_adapter` wrote.
      out: of the result; missing or empty. It appears when all of it is written.
      base: folder of the Whisper that was adapted; None: where it was then.
      bits: 32 writes float32; None: as the base is stored, so that sums of half floats are rounded once more.
    Raises:
      CardError, BundleError, ValueError, OSError: as `read_adapted`; ValueError: sums beyond the largest half float.
    """
    read = read_adapted(folder, base)
    sums = with_whisper_adapters(read.recogniser, read.adapters).params
    params = jax.tree.map(
        lambda new, old: new.astype(jnp.float32 if bits == 32 else old.dtype), sums, read.recogniser.params
    )
    # numpy has no bfloat16 that this check knows.
    check_finite(out, {name: np.asarray(leaf, np.float32) for name, leaf in named(params).items()})
    return _write(Path(out), read.place, params, len(without_rates(read.adapters)))


def _write(out: Path, base: Path, params: PyTree, adapted: int) -> Exported:
    """The whole folder, which replaces an empty one at once."""
    leaves = jax.tree.leaves(params)
    dtype = max(leaves, key=lambda leaf: leaf.size).dtype.name
    config: dict[str, Any] = json.loads((base / "config.json").read_text(encoding="utf-8"))
    config |= {"architectures": ["WhisperForConditionalGeneration"]}
    config |= {name: dtype for name in ("torch_dtype", "dtype") if name in config}
    files = [name for name in COPIED if (base / name).is_file()]
    draft = out.with_name(f".{out.name}.{uuid.uuid4().hex}")
    try:
        with naming(out):
            write_whisper(draft, config, params)
            for name in files:
                shutil.copyfile(base / name, draft / name)
            for path in draft.iterdir():
                sync(path)
            draft.replace(out)
            sync(out.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Exported(sum(leaf.size for leaf in leaves), adapted, dtype, ("model.safetensors", "config.json", *files))
