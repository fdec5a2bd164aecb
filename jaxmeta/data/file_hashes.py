"""SHA-256 of audio files, remembered in the cache folder so that a file is read again only once it has changed."""

import hashlib
import json
import os
import time
from pathlib import Path

from jaxmeta.data.manifest import Manifest
from jaxmeta.data.manifests.clips import Clip
from jaxmeta.files.durable import replacing
from jaxmeta.files.folders import cache_folder, cache_home
from jaxmeta.progress import progress_bar

_SETTLED = 2.0
"""Seconds: a file changed more recently may change again within the resolution of its time stamps."""
_BLOCK = 64
"""Files between two reports of progress."""


def content_hashes(manifest: Manifest, *, progress: bool = True) -> list[str]:
    """SHA-256 (hex) of every recording of a manifest, in row order: of a file, or of a file's hash and the seconds.

    A hash of a file is taken from the index in the cache folder where path, size and time stamps are as they were.
    """
    index = cache_home() / "hashes" / f"{hashlib.sha256(str(manifest.root).encode()).hexdigest()[:32]}.json"
    known = _read_index(index)
    settled = time.time_ns() - int(_SETTLED * 1e9)
    hashes: list[str] = []
    fresh: dict[str, list] = {}
    seen: dict[str, str] = {}
    names = manifest.columns["file_name"].tolist()
    with progress_bar(f"reading {manifest.root.name}", len(names), progress) as advance:
        for row, (name, clip) in enumerate(zip(names, manifest.clips(), strict=True)):
            if name not in seen:  # Pieces of a file follow each other, and it is read once for all of them.
                entry = _entry(clip.path, known.get(name))
                if entry is not known.get(name) and max(entry[1:3]) < settled:
                    fresh[name] = entry
                seen[name] = entry[3]
            hashes.append(seen[name] if clip.whole else _of_piece(seen[name], clip))
            if row % _BLOCK == _BLOCK - 1:
                advance(_BLOCK)
    if fresh:
        _write_index(index, {**known, **fresh})
    return hashes


def _entry(path: str, known: list | None) -> list:
    """Size, times and hash of a file; what is known of it, if it has not changed."""
    info = os.stat(path)
    # The time of change catches a file replaced by another of the same size and time of modification.
    stamp = [info.st_size, info.st_mtime_ns, info.st_ctime_ns]
    if known is not None and known[:3] == stamp:
        return known
    with open(path, "rb") as file:
        return [*stamp, hashlib.file_digest(file, "sha256").hexdigest()]


def _of_piece(digest: str, clip: Clip) -> str:
    return hashlib.sha256(f"{digest} {clip.start!r} {clip.duration!r}".encode()).hexdigest()


def _read_index(path: Path) -> dict[str, list]:
    """The index, or an empty one where there is none or it is damaged: it only saves time."""
    try:
        digest, _, content = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return {}
    whole = digest.decode("ascii", "replace") == hashlib.sha256(content).hexdigest()
    return json.loads(content) if whole else {}


def _write_index(path: Path, known: dict[str, list]) -> None:
    """Writes the index behind its own digest: one flipped bit in a hash would give a recording another's features."""
    content = json.dumps(known).encode()
    cache_folder("hashes")
    with replacing(path, flush=False) as draft:
        draft.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
