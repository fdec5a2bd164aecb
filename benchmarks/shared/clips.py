"""Recordings to measure on, and the cache folder that they are measured in."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxmeta.data.audio import write_audio
from jaxmeta.data.manifest import write_manifest
from jaxmeta.data.synthesis.builtin_corpus import embedded_corpus

CORPORA = ("zh_en_words", "ar_commands")
"""Measured on by default, where JAXMETA_DATA has both: 16,320 clips."""
LABELS = 50
"""Classes that clips of noise are dealt to."""


def find_or_make(names: tuple[str, ...], noise: int | None, folder: Path, seed: int) -> list[Path]:
    """Manifests to measure on: clips of noise if a number is given, corpora under JAXMETA_DATA, or synthesised words.

    Args:
      names: folders under JAXMETA_DATA; none: `CORPORA` where both are there, else words synthesised by espeak-ng.
      noise: number of clips of noise to make instead.
      folder: where recordings are made.
      seed: of what is made.
    Raises:
      ValueError: a named corpus is not there.
    """
    if noise is not None:
        return [noise_clips(folder / "noise", noise, seed)]
    home = os.environ.get("JAXMETA_DATA")
    folders = [Path(home, name) for name in names or CORPORA] if home else []
    if folders and all((found / "metadata.csv").is_file() for found in folders):
        return folders
    if names:
        raise ValueError(f"corpora={names} must be folders with a metadata.csv under JAXMETA_DATA={home!r}.")
    return [embedded_corpus(folder / "synthesised", seed=seed)]


def noise_clips(folder: Path, count: int, seed: int) -> Path:
    """Write clips of white noise of 0.2 to 0.3 s at 16 kHz, as FLAC, of `LABELS` classes, and return the folder."""
    rng = np.random.default_rng(seed)
    names = [f"{index % LABELS:02d}/{index:06d}.flac" for index in range(count)]
    for name in names:
        write_audio(folder / name, 0.1 * rng.standard_normal(rng.integers(3200, 4801), np.float32), 16_000)
    write_manifest(folder, {"file_name": names, "label": [name.split("/")[0] for name in names]})
    return folder


@contextlib.contextmanager
def empty_cache(folder: Path) -> Iterator[None]:
    """Let jaxmeta keep its cache in a folder of its own."""
    before = os.environ.get("JAXMETA_HOME")
    os.environ["JAXMETA_HOME"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["JAXMETA_HOME"]
        else:
            os.environ["JAXMETA_HOME"] = before


def forget(folder: Path) -> bool:
    """Ask the system to drop a folder's files from memory; false where it cannot be asked.

    Files must be on the disk and mapped by nobody, and a folder in memory (tmpfs) stays there.
    """
    if not hasattr(os, "posix_fadvise"):
        return False
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True
