"""A folder of a card, weights and perhaps more files, which is either whole and unchanged or refused.

The card is written last. It holds the SHA-256 of every other file and of itself, so that one flipped bit anywhere is
noticed. Weights are a file of numpy's (`weights.npz`), one array for each leaf, named by its path. Nothing is pickled.
"""

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxmeta.files.cards import Place, build, read_card
from jaxmeta.files.durable import DAMAGE, json_text, plain, write_bytes
from jaxmeta.tree import named
from jaxmeta.types import PyTree

WEIGHTS = "weights.npz"
_OWN = "0" * 64
"""Stands in the place of the card's own hash while that is computed."""
T = TypeVar("T")


class BundleError(ValueError):
    """A folder holds nothing of the kind, or is damaged, or its parts do not fit; the message says what to do."""


class BundleKind(NamedTuple):
    """What some folders have in common."""

    name: str
    card: str
    """File name of the card."""
    version: int
    files: tuple[str, ...]
    """Files besides the card and the weights."""
    remedy: str
    """How such a folder is made, as what to do where one is of no use."""


class Bundle(NamedTuple, Generic[T]):
    """An undamaged folder whose weights are not read yet."""

    folder: Path
    card: T
    place: Place
    """Of the card, for errors about what it says."""
    forms: dict[str, jax.ShapeDtypeStruct]
    """Shape and type of each array of the weights, by its path."""

    def check_size(self, place: Place, size: int) -> None:
        """Refuse a size of a network, such as its width, that its weights cannot have, before it is built.

        Raises:
          CardError: it is larger than the file of the weights, of which a number takes a byte at least.
        """
        if size > (most := (self.folder / WEIGHTS).stat().st_size):
            raise place.wrong(size, f"at most {most:,}, for {WEIGHTS} has so many bytes")

    def weights(self, like: PyTree) -> PyTree:
        """Read the weights.

        Args:
          like: a tree of arrays, or of their shapes and types; its values are not used.
        Raises:
          BundleError: they are of another form, or not finite.
        """
        wanted = {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for name, leaf in named(like).items()}
        if wrong := [name for name in {**wanted, **self.forms} if wanted.get(name) != self.forms.get(name)]:
            there, here = (_form(forms.get(wrong[0])) for forms in (self.forms, wanted))
            raise BundleError(
                f"{self.folder / WEIGHTS}: the weights do not fit {self.place.path.name}: {wrong[0]} is {there} and "
                f"should be {here} ({len(wrong)} of {len(wanted)} arrays differ); {self.place.remedy}."
            )
        try:
            with zipfile.ZipFile(self.folder / WEIGHTS) as file:
                arrays = {name: np.lib.format.read_array(file.open(f"{name}.npy")) for name in wanted}  # type: ignore[no-untyped-call]
        except DAMAGE as error:
            raise BundleError(f"{self.folder / WEIGHTS}: damaged ({error}); {self.place.remedy}.") from None
        if bad := _not_finite(arrays):
            raise BundleError(f"{self.folder / WEIGHTS}: {bad}; {self.place.remedy}.")
        return jax.tree.unflatten(jax.tree.structure(like), [jnp.asarray(arrays[name]) for name in wanted])


def save_bundle(
    folder: str | Path,
    kind: BundleKind,
    card: Mapping[str, Any],
    weights: PyTree,
    files: Mapping[str, Callable[[Path], object]] | None = None,
) -> Path:
    """Write a folder, made if missing.

    Args:
      folder: where; other files in it stay.
      kind: what it is.
      card: what it says, as JSON can hold it.
      weights: a tree of arrays.
      files: name -> writes that file, given its path; the names of `kind.files`.
    Raises:
      ValueError: weights that are not finite, or of a type that numpy does not have; nothing is written.
      OSError: it could not be written.
    """
    arrays = {name: np.asarray(leaf) for name, leaf in named(weights).items()}
    check_finite(folder, arrays)
    if odd := [f"{name} is {array.dtype}" for name, array in arrays.items() if array.dtype.kind not in "biuf"]:
        raise ValueError(f"{folder}: {odd[0]}, which numpy has no type for; convert it to float32 first.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / kind.card).unlink(missing_ok=True)
    for name, write in (files or {}).items():
        write(folder / name)
    write_bytes(folder / WEIGHTS, _packed(arrays))
    hashes = {name: _sha256(folder / name) for name in (*kind.files, WEIGHTS)} | {kind.card: _OWN}
    # At once: a card whose own hash is not in it yet would look damaged after a kill, and not absent.
    content = json_text({"format": kind.version, "kind": kind.name} | plain(card) | {"sha256": hashes}).encode()
    write_bytes(folder / kind.card, content.replace(_OWN.encode(), hashlib.sha256(content).hexdigest().encode()))
    return folder


def open_bundle(folder: str | Path, kind: BundleKind, card: Callable[..., T]) -> Bundle[T]:
    """Read the card of a folder, and check that every file is what was written.

    Args:
      folder: that `save_bundle` wrote.
      kind: what it should be.
      card: type of the card, as `cards.build` takes it.
    Raises:
      CardError: the card is wrong; names file, key, value and remedy.
      BundleError: there is no such folder, or it has changed since it was written.
    """
    folder, path = Path(folder), Path(folder, kind.card)
    if not path.is_file():
        raise BundleError(f"{folder}: no {kind.name} ({kind.card} is missing); {kind.remedy}.")
    place = Place(path, "", kind.remedy)
    read = read_card(path, kind.remedy)
    for name, expected in (("kind", kind.name), ("format", kind.version)):
        if name not in read:
            raise place.at(name).error("is missing")
        value = read.pop(name)
        if type(value) is not type(expected) or value != expected:
            raise place.at(name).wrong(value, repr(expected))
    hashes = _hashes(read, place, kind)
    built = build(card, read, place)
    _check_unchanged(folder, kind, hashes)
    return Bundle(folder, built, place, _forms(folder / WEIGHTS, kind.remedy))


def check_finite(place: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse to write weights that hold NaN or infinity.

    Args:
      place: where they would be written, for the message.
      arrays: by their paths.
    Raises:
      ValueError: some are not finite; names the array.

    >>> check_finite("mine", {"head/bias": np.array([1.0, np.nan])})
    Traceback (most recent call last):
    ValueError: mine: 1 of the 2 weights head/bias are not finite, so that nothing is written; train or adapt again ...
    """
    if bad := _not_finite(arrays):
        raise ValueError(f"{place}: {bad}, so that nothing is written; train or adapt again with a lower rate.")


def _hashes(card: dict[str, Any], place: Place, kind: BundleKind) -> dict[str, str]:
    """The hashes that a card holds, taken out of it."""
    place = place.at("sha256")
    if "sha256" not in card:
        raise place.error("is missing")
    hashes = build(dict[str, str], card.pop("sha256"), place)
    names = {*kind.files, WEIGHTS, kind.card}
    if missing := sorted(names - hashes.keys()):
        raise place.at(missing[0]).error("is missing")
    if unknown := sorted(hashes.keys() - names):
        raise place.at(unknown[0]).wrong(hashes[unknown[0]], f"left out, for the keys are {', '.join(sorted(names))}")
    return hashes


def _check_unchanged(folder: Path, kind: BundleKind, hashes: dict[str, str]) -> None:
    for name, expected in hashes.items():
        path = folder / name
        if not path.is_file():
            raise BundleError(f"{path}: is missing; {kind.remedy}, or copy the folder whole.")
        if name == kind.card:
            content = path.read_bytes().replace(expected.encode(), _OWN.encode())
            actual = hashlib.sha256(content).hexdigest()
        else:
            actual = _sha256(path)
        if actual != expected:
            raise BundleError(
                f"{path}: damaged, or changed since it was written (its SHA-256 is not that of {kind.card}); "
                f"copy the folder again, or {kind.remedy}."
            )


def _packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """As np.savez writes them, but the same bytes for the same arrays, whenever they are written."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as file:
        for name, array in arrays.items():
            with file.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)  # type: ignore[no-untyped-call]
    return content.getvalue()


def _forms(path: Path, remedy: str) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and types of the arrays in a file; reads their headers alone."""
    forms = {}
    try:
        with zipfile.ZipFile(path) as file:
            for entry in file.infolist():
                if entry.compress_type != zipfile.ZIP_STORED or not entry.filename.endswith(".npy"):
                    raise ValueError(f"{entry.filename!r} is no plain array")
                with file.open(entry) as member:
                    if np.lib.format.read_magic(member) != (1, 0):  # type: ignore[no-untyped-call]
                        raise ValueError(f"{entry.filename!r} is of another version")
                    shape, _, dtype = np.lib.format.read_array_header_1_0(member)  # type: ignore[no-untyped-call]
                forms[entry.filename.removesuffix(".npy")] = jax.ShapeDtypeStruct(shape, dtype)
    except DAMAGE as error:
        raise BundleError(f"{path}: damaged ({error}); copy the folder again, or {remedy}.") from None
    return forms


def _form(form: jax.ShapeDtypeStruct | None) -> str:
    return "missing" if form is None else f"{form.dtype}{list(form.shape)}"


def _not_finite(arrays: Mapping[str, np.ndarray]) -> str:
    """The first array that holds NaN or infinity, as the beginning of a sentence; "" if there is none."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and (count := int((~np.isfinite(array)).sum())):
            return f"{count:,} of the {array.size:,} weights {name} are not finite"
    return ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
