"""Reading what `export.py` writes: a model that predicts, and perhaps adapts, with nothing but jax and numpy.

    recogniser = load("voice.zip")
    fast = recogniser.adapt(inputs, targets, weight)   # or recogniser.start(), before any adaptation
    outputs = recogniser.predict(fast, inputs)

This file stands alone: a device needs it, jax (with flatbuffers) and numpy, and neither flax nor the rest of jaxmeta.
An artefact is a ZIP file of card.json, weights.npz and a program for each function, as jax.export serialises it; the
card holds their hashes. Nothing in it is code for Python, and a program is run only once all that it calls outside of
itself is allowed: XLA would hand any registered target whatever operands the file says. Hashes tell damage, not origin.
"""

import hashlib
import io
import json
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import export
from jax.interpreters import mlir
from jaxlib.mlir import ir

FORMAT = 1
CARD, WEIGHTS = "card.json", "weights.npz"
FUNCTIONS = ("start", "adapt", "predict")
TARGETS = frozenset({"shape_assertion"})
"""What a program may call outside of itself: the check of shapes that jax.export writes for axes of any size."""
_DIALECTS = ("builtin", "func", "stablehlo", "chlo", "sdy")
_REACHING_OUT = ("stablehlo.infeed", "stablehlo.outfeed", "stablehlo.send", "stablehlo.recv")
_CARD_BYTES, _PROGRAM_BYTES = 1 << 20, 1 << 26
_RATIO = 100
"""Times its size in the file that a program may have; jax.export's are packed to about a fifth."""
_HEADER_BYTES = 4096
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, KeyError, IndexError, TypeError, AttributeError, ValueError,
    AssertionError, NotImplementedError, RuntimeError, OverflowError, MemoryError, SyntaxError, tokenize.TokenError,
    ir.MLIRError,
)  # fmt: skip
"""What zipfile, numpy, json, flatbuffers and MLIR raise for bytes that they did not write; RecursionError is among."""


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


def load(path: str | Path, allow: Collection[str] = ()) -> Artefact:
    """Read an artefact and compile nothing yet; a function compiles when it is first called, for each shape anew.

    Args:
      path: of the file.
      allow: targets outside of the program that it may call besides `TARGETS`, such as "lapack_spotrf_ffi" for a
        Cholesky decomposition; only for a file whose origin you trust.
    Raises:
      ArtefactError: no such artefact, a part that is missing, too large or whose hash differs, weights of other shapes
        than the card's, another format, a platform that it was not exported for, or a program that calls more than it
        may.
      OSError: it could not be read.
    """
    with open(path, "rb") as file:
        try:
            card, weights, programs = _read(file, path)
        except ArtefactError:
            raise
        except (*_DAMAGE, OSError) as error:
            raise ArtefactError(f"{path}: is no artefact, or is damaged ({error}); export or copy it again.") from error
    platform = jax.default_backend()
    if platform not in card["platforms"]:
        raise ArtefactError(
            f"{path}: was exported for {', '.join(card['platforms'])}, and this is {platform}; export it for that too."
        )
    functions = {name: _program(content, weights, name, path, allow) for name, content in programs.items()}
    return Artefact(card, functions.get("start"), functions.get("adapt"), functions["predict"])


def digest(content: bytes) -> str:
    """The hash that a card holds of a part."""
    return hashlib.sha256(content).hexdigest()


def _read(file: Any, path: str | Path) -> tuple[dict[str, Any], tuple, dict[str, bytes]]:
    """The card, the weights and the programs, each only as far as the card says."""
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        if len(members) < len(archive.infolist()):
            raise ArtefactError(f"{path}: has two parts of one name; export it again.")
        if CARD not in members:
            raise ArtefactError(f"{path}: is no artefact, for it has no {CARD}; give a file that an export wrote.")
        card = _card(_member(archive, members[CARD], _CARD_BYTES, path), path)
        names = [name for name in FUNCTIONS if name in card["sha256"] or name == "predict"]
        if missing := [name for name in (*names, WEIGHTS) if name not in members]:
            raise ArtefactError(f"{path}: has no {missing[0]}; copy it again.")
        parts = {name: _member(archive, members[name], _PROGRAM_BYTES, path) for name in names}
        if members[WEIGHTS].compress_type != zipfile.ZIP_STORED:  # So they are no larger than the file itself.
            raise ArtefactError(f"{path}: {WEIGHTS} is compressed, which no export does; export it again.")
        parts[WEIGHTS] = archive.read(WEIGHTS)
    if wrong := [name for name, content in sorted(parts.items()) if digest(content) != card["sha256"].get(name)]:
        raise ArtefactError(f"{path}: {wrong[0]} is damaged (its SHA-256 is not the card's); copy it again.")
    return card, _weights(parts.pop(WEIGHTS), card["weights"], path), parts


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int, path: str | Path) -> bytes:
    """A part of the archive, unless it would be larger unpacked than such a part can be."""
    if info.file_size > min(most, _RATIO * info.compress_size + _HEADER_BYTES):
        raise ArtefactError(
            f"{path}: {info.filename} would unpack to {info.file_size:,} bytes, more than any export; do not use it."
        )
    with archive.open(info) as part:
        return part.read(most)


def _card(content: bytes, path: str | Path) -> dict[str, Any]:
    try:
        card = json.loads(content)
        version, hashes, weights, platforms = (card[key] for key in ("format", "sha256", "weights", "platforms"))
        known = (
            all(isinstance(name, str) and isinstance(hash_, str) for name, hash_ in hashes.items())
            and all(isinstance(size, int) and size >= 0 for shape, _ in weights for size in shape)
            and all(isinstance(name, str) for name in [*platforms, *(name for _, name in weights)])
        )
    except _DAMAGE as error:
        raise ArtefactError(f"{path}: {CARD} is no artefact's card ({error!r}); export it again.") from error
    if version != FORMAT:
        raise ArtefactError(f"{path}: is of format {version}, and this reads {FORMAT}; export it again, or update.")
    if not known:
        raise ArtefactError(f"{path}: {CARD} is no artefact's card (a value of another type); export it again.")
    return card


def _weights(content: bytes, forms: list, path: str | Path) -> tuple:
    """The arrays, each allocated only once its own header agrees with the card."""
    weights = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        for info, (shape, name) in zip(infos, forms, strict=len(infos) == len(forms)):
            with archive.open(info) as file:
                np.lib.format.read_magic(file)
                actual, fortran, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=_HEADER_BYTES)
                size = dtype.itemsize * int(np.prod(actual, dtype=object))
                if (
                    [list(actual), dtype.name] != [shape, name]
                    or dtype.hasobject
                    or info.file_size > size + _HEADER_BYTES
                ):
                    break
                array = np.frombuffer(file.read(size), dtype)
            weights.append(array.reshape(actual, order="F" if fortran else "C"))
    if len(weights) != len(forms) or len(infos) != len(forms):
        raise ArtefactError(f"{path}: {WEIGHTS} holds other shapes than {CARD} says; export it again.")
    return tuple(weights)


def _program(
    content: bytes, weights: tuple, name: str, path: str | Path, allow: Collection[str]
) -> Callable[..., tuple]:
    try:
        exported = export.deserialize(bytearray(content))
        calls = _calls(exported.mlir_module())
    except (*_DAMAGE, OSError) as error:
        raise ArtefactError(f"{path}: this jax {jax.__version__} cannot read {name} ({error}).") from error
    if strange := sorted(calls - TARGETS - set(allow)):
        raise ArtefactError(
            f"{path}: {name} calls {strange[0]}, which is no part of the program; if you trust whoever made the file, "
            f"load it with allow={strange}."
        )
    call = jax.jit(exported.call)

    def run(*arguments: Any) -> tuple:
        return call(weights, *(tuple(one) if isinstance(one, Sequence) else one for one in arguments))

    return run


def _calls(module: str) -> set[str]:
    """Everything outside of a program that it calls: targets of custom calls, and operations of other dialects."""
    found: set[str] = set()

    def visit(operation: Any) -> Any:
        if operation.name == "stablehlo.custom_call":
            found.add(ir.StringAttr(operation.attributes["call_target_name"]).value)
        elif operation.name.split(".")[0] not in _DIALECTS or operation.name in _REACHING_OUT:
            found.add(operation.name)
        return ir.WalkResult.ADVANCE

    with mlir.make_ir_context() as context:
        ir.Module.parse(module, context).operation.walk(visit)
    return found
