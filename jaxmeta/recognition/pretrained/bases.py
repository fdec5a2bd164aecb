"""Folders of public networks: where they lie, and their hash, by which what learnt on top of one knows it."""

import hashlib
from pathlib import Path

from jaxmeta.bundle import BundleError

_FILES = ("config.json", "tokenizer.json", "generation_config.json", "preprocessor_config.json")
"""Besides the weights, what decides what a public network computes or writes."""


def is_public(folder: str | Path, card: str = "card.json") -> bool:
    """Whether a folder is in Hugging Face's form, and not one of ours, which has a card."""
    return (Path(folder) / "config.json").is_file() and not (Path(folder) / card).is_file()


def base_hash(folder: str | Path) -> str:
    """SHA-256 of the files of a public network that decide what it computes or writes."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).iterdir()):
        if path.suffix == ".safetensors" or path.name in _FILES:
            with path.open("rb") as file:
                digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def base_folder(folder: str | Path, was: str, sha256: str, given: str | Path | None) -> Path:
    """Where the base of a folder lies.

    Args:
      folder: that needs a base.
      was: where its base lay when it was written.
      sha256: of that, as `base_hash` computes it.
      given: where it lies now; None: where it was.
    Raises:
      BundleError: it is not there, or another.
    """
    place = Path(was if given is None else given)
    if not is_public(place):
        raise BundleError(
            f"{folder} needs the public network of {place}, which is not there; give its folder by --base."
        )
    if base_hash(place) != sha256:
        raise BundleError(
            f"{folder} was made with another network than that of {place} (the SHA-256 of its files differs); give "
            "the folder of that one by --base, or train or adapt again."
        )
    return place
