"""Folders in Hugging Face's form: config.json beside model.safetensors, or beside its shards and their index.

Weights have the names of PyTorch's modules there and of linen's here: "layers.0.fc1.weight" [out, in] is
"layers_0/fc1/kernel" [in, out]. Pickled checkpoints are refused, as reading a pickle runs what it says.
"""

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from jax import numpy as jnp

from jaxmeta.types import Array, PyTree

T = TypeVar("T")
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_LEAVES = {"kernel": "weight", "scale": "weight", "embedding": "weight"}
_REMEDY = "fetch the folder again, or convert it with transformers' save_pretrained(FOLDER)"
Tensors = dict[str, Callable[[], np.ndarray]]
"""Name of a weight in the file -> what reads it."""


def read_config(folder: str | Path, kinds: Iterable[str]) -> dict[str, Any]:
    """config.json of a folder. Raises ValueError where its "model_type" is none of `kinds`, OSError without a file."""
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {_REMEDY}.")
    config = _json(path)
    kinds = tuple(kinds)
    if config.get("model_type") not in kinds:
        raise ValueError(f"{path} has model_type={config.get('model_type')!r}; this reader needs {' or '.join(kinds)}.")
    return config


def chosen_fields(kind: type[T], config: dict[str, Any]) -> T:
    """A dataclass of those fields that config.json has; lists become tuples, and the others have their defaults."""
    given = {each.name: config[each.name] for each in fields(kind) if each.name in config}  # type: ignore[arg-type]
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})


def read_weights(
    folder: str | Path,
    shapes: PyTree,
    prefix: str,
    unused: tuple[str, ...] = (),
    dtype: Any = None,
    change: Callable[[Tensors], Tensors] = dict,
) -> PyTree:
    """The params of a network from a folder.

    Args:
      folder: with model.safetensors, or with model.safetensors.index.json and the shards that it names.
      shapes: the params, or their shapes: nested dicts with the names of linen.
      prefix: of names in the file, which may be absent there ("model.").
      unused: beginnings of names, after the prefix, of weights that the network does not have.
      dtype: of the params; None: as they are stored.
      change: applied to the weights by name, before they are read.
    Raises:
      ValueError: missing, extra or misshapen weights, or such as are not finite; a pickled checkpoint; a damaged file.
      OSError: no weights.
    """
    tensors = {name.removeprefix(prefix): read for name, read in open_weights(folder).items()}
    tensors = change({name: read for name, read in tensors.items() if not name.startswith(unused)})
    return fill(shapes, tensors, str(folder), dtype)


def fill(shapes: PyTree, tensors: Tensors, source: str, dtype: Any = None) -> PyTree:
    """Params of the given shapes from weights by their names in the file; raises as `read_weights` does."""
    wanted = {file_name(jax.tree_util.keystr(path, simple=True, separator="/")): path for path, _ in _leaves(shapes)}
    missing, extra = sorted(wanted.keys() - tensors.keys()), sorted(tensors.keys() - wanted.keys())
    if missing or extra:
        raise ValueError(
            f"{source} lacks weights {_few(missing)} and has {_few(extra)} that this network does not; config.json "
            f"and the weights belong to different networks, or the file is not whole: {_REMEDY}."
        )

    def read(path, leaf):
        name = file_name(jax.tree_util.keystr(path, simple=True, separator="/"))
        value = tensors[name]()
        if _is_kernel(path):
            value = value.T
        if value.shape != leaf.shape:
            raise ValueError(
                f"{source}: {name} has the shape {value.shape} here, this network needs {leaf.shape}; config.json "
                f"and the weights belong to different networks: {_REMEDY}."
            )
        # Half floats are widened for the sum; NaN and infinity survive it.
        if not math.isfinite(float(np.sum(value, dtype=np.float64))):
            raise ValueError(f"{source}: {name} holds numbers that are not finite; {_REMEDY}.")
        return jnp.asarray(value, dtype)

    return jax.tree_util.tree_map_with_path(read, shapes)


def open_weights(folder: str | Path) -> Tensors:
    """Every weight of a folder by its name in the file, each read when it is called; raises as `read_weights` does."""
    folder = Path(folder)
    if (folder / _INDEX).is_file():
        index = _json(folder / _INDEX).get("weight_map")
        if not isinstance(index, dict) or not all(_is_plain(name) for name in index.values()):
            raise ValueError(f"{folder / _INDEX} needs a weight_map of names to files in the same folder; {_REMEDY}.")
        shards = {name: open_file(folder / name) for name in sorted(set(index.values()))}
        if lost := sorted(name for name, shard in index.items() if name not in shards[shard]):
            raise ValueError(f"{folder / _INDEX} names {_few(lost)}, which its shards do not hold; {_REMEDY}.")
        return {name: shards[shard][name] for name, shard in index.items()}
    if (folder / _WEIGHTS).is_file():
        return open_file(folder / _WEIGHTS)
    if pickled := sorted(path.name for end in ("*.bin", "*.pt", "*.pth", "*.ckpt") for path in folder.glob(end)):
        raise ValueError(
            f"{folder} holds the weights as a pickle ({pickled[0]}), which may run anything when it is read; convert "
            "it with transformers' save_pretrained(FOLDER), which writes model.safetensors."
        )
    raise FileNotFoundError(f"{folder} holds neither {_WEIGHTS} nor {_INDEX}; {_REMEDY}.")


def open_file(path: str | Path) -> Tensors:
    """Every weight of one safetensors file; raises as `read_weights` does."""
    from safetensors import SafetensorError, safe_open  # Of the extra "pretrained".

    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} is missing; {_REMEDY}.")
    try:
        opened = safe_open(path, framework="numpy")  # Checks the header against the size of the file.
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or no safetensors file ({error}); {_REMEDY}.") from error
    return {name: _reading(opened, name) for name in opened.keys()}  # noqa: SIM118


def write_folder(
    folder: str | Path,
    config: dict[str, Any],
    params: PyTree,
    prefix: str,
    change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]] = dict,
) -> None:
    """Write a config and params, as `read_weights` reads them; `change` is applied to the weights by name."""
    from safetensors.numpy import save_file  # Of the extra "pretrained".

    tensors = {}
    for path, leaf in _leaves(params):
        value = np.asarray(leaf)
        name = prefix + file_name(jax.tree_util.keystr(path, simple=True, separator="/"))
        tensors[name] = np.ascontiguousarray(value.T if _is_kernel(path) else value)
    Path(folder).mkdir(parents=True, exist_ok=True)
    save_file(change(tensors), Path(folder) / _WEIGHTS, metadata={"format": "pt"})
    (Path(folder) / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def file_name(path: str) -> str:
    """The name in a file of the leaf at a path.

    >>> file_name("encoder/layers_0/fc1/kernel")
    'encoder.layers.0.fc1.weight'
    """
    # What all layers of WavLM share lies in the first.
    *modules, leaf = path.replace("rel_attn_embed", "layers_0/attention/rel_attn_embed").split("/")
    numbered = (re.sub(r"^(layers|conv_layers)_(\d+)$", r"\1.\2", name) for name in modules)
    return ".".join([*numbered, _LEAVES.get(leaf, leaf)])


def _leaves(params: PyTree) -> list[tuple[Any, Array]]:
    return jax.tree_util.tree_leaves_with_path(params)


def _is_kernel(path: Any) -> bool:
    return path[-1].key == "kernel"


def _reading(opened: Any, name: str) -> Callable[[], np.ndarray]:
    return lambda: opened.get_tensor(name)


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is no JSON object ({error}); {_REMEDY}.") from error


def _is_plain(name: Any) -> bool:
    return isinstance(name, str) and Path(name).name == name and name.endswith(".safetensors")


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") if names else "none"
