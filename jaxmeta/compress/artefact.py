"""Reading what `export.py` writes: a model that predicts, and perhaps adapts, with nothing but jax and numpy.

    recogniser = load("voice.zip")
    fast = recogniser.adapt(inputs, targets, weight)   # or recogniser.start(), before any adaptation
    outputs = recogniser.predict(fast, inputs)

This file stands alone: a device needs it, jax (with flatbuffers) and numpy, and neither flax nor the rest of jaxmeta.
An artefact is a ZIP file of card.json, weights.npz and a program for each function, as jax.export serialises it; the
card holds their hashes. Nothing in it is code for Python.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import export

FORMAT = 1
CARD, WEIGHTS = "card.json", "weights.npz"
FUNCTIONS = ("start", "adapt", "predict")


class Artefact(NamedTuple):
    """An exported model. Arrays are passed in the order of the card's `inputs` and `targets`, of any row count."""

    card: dict[str, Any]
    """Shapes, axes, versions, platforms, and what the exporter added."""
    start: Callable[..., tuple] | None
    """() -> fast without adaptation, arrays; None where the model was exported without a learner."""
    adapt: Callable[..., tuple] | None
    """(inputs, targets, weight [N]) -> fast; None where the model was exported without a learner."""
    predict: Callable[..., tuple]
    """(fast, inputs) -> outputs, arrays; fast is () without a learner."""


class ArtefactError(ValueError):
    """A file is no artefact, is damaged, or is of another version; the message says what to do."""


def load(path: str | Path) -> Artefact:
    """Read an artefact and compile nothing yet; a function compiles when it is first called, for each shape anew.

    Raises:
      ArtefactError: no such artefact, a part that is missing or whose hash differs, weights of other shapes than the
        card's, another format, or a platform that it was not exported for.
      OSError: it could not be read.
    """
    parts, card = _read(Path(path))
    platform = jax.default_backend()
    if platform not in card["platforms"]:
        raise ArtefactError(
            f"{path}: was exported for {', '.join(card['platforms'])}, and this is {platform}; export it for that too."
        )
    weights = _weights(parts[WEIGHTS], card, path)
    programs = {name: _program(parts[name], weights, name, path) for name in FUNCTIONS if name in parts}
    if "predict" not in programs:
        raise ArtefactError(f"{path}: has no predict; export it again.")
    return Artefact(card, programs.get("start"), programs.get("adapt"), programs["predict"])


def digest(content: bytes) -> str:
    """The hash that a card holds of a part."""
    return hashlib.sha256(content).hexdigest()


def _read(path: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    try:
        with zipfile.ZipFile(path) as file:
            parts = {name: file.read(name) for name in file.namelist()}
    except zipfile.BadZipFile as error:
        raise ArtefactError(f"{path}: is no artefact, or is damaged ({error}); export or copy it again.") from error
    if CARD not in parts:
        raise ArtefactError(f"{path}: is no artefact, for it has no {CARD}; give a file that an export wrote.")
    try:
        card = json.loads(parts.pop(CARD))
        version, expected = card["format"], card["sha256"]
    except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ArtefactError(f"{path}: {CARD} is no artefact's card ({error!r}); export it again.") from error
    if version != FORMAT:
        raise ArtefactError(f"{path}: is of format {version}, and this reads {FORMAT}; export it again, or update.")
    if missing := sorted(expected.keys() - parts.keys()):
        raise ArtefactError(f"{path}: has no {missing[0]}; copy it again.")
    if wrong := [name for name in sorted(expected) if digest(parts[name]) != expected[name]]:
        raise ArtefactError(f"{path}: {wrong[0]} is damaged (its SHA-256 is not the card's); copy it again.")
    return parts, card


def _weights(content: bytes, card: dict[str, Any], path: str | Path) -> tuple:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        weights = tuple(arrays[name] for name in arrays.files)
    forms = [[list(array.shape), array.dtype.name] for array in weights]
    if forms != card["weights"]:
        raise ArtefactError(f"{path}: {WEIGHTS} holds other shapes than {CARD} says; export it again.")
    return weights


def _program(content: bytes, weights: tuple, name: str, path: str | Path) -> Callable[..., tuple]:
    try:
        call = jax.jit(export.deserialize(bytearray(content)).call)
    except ValueError as error:
        raise ArtefactError(f"{path}: this jax {jax.__version__} cannot read {name} ({error}).") from error

    def run(*arguments: Any) -> tuple:
        return call(weights, *(tuple(each) if isinstance(each, Sequence) else each for each in arguments))

    return run
