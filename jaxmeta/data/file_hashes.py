"""SHA-256 of audio files, remembered in the cache folder so that a file is read again only once it has changed."""

import hashlib
import json
import os
import time
from pathlib import Path

from jaxmeta.data.manifest import Manifest
from jaxmeta.files.durable import replacing
from jaxmeta.files.folders import cache_folder, cache_home
from jaxmeta.progress import progress_bar

_SETTLED = 2.0
"""Seconds: a file changed more recently may change again within the resolution of its time stamps."""
_BLOCK = 64
"""Files between two reports of progress."""


def content_hashes(manifest: Manifest, *, progress: bool = True) -> list[str]:
    """SHA-256 (hex) of every file of a manifest, in row order.

    A hash is taken from the index in the cache folder where path, size and time stamps are as they were.
    """
    index = cache_home() / "hashes" / f"{hashlib.sha256(str(manifest.root).encode()).hexdigest()[:32]}.json"
    known = _read_index(index)
    settled = time.time_ns() - int(_SETTLED * 1e9)
    hashes, fresh = [], {}
    names = manifest.columns["file_name"].tolist()
    with progress_bar(f"reading {manifest.root.name}", len(names), progress) as advance:
        for row, (name, path) in enumerate(zip(names, manifest.paths(), strict=True)):
            info = os.stat(path)
            # The time of change catches a file replaced by another of the same size and time of modification.
            stamp = [info.st_size, info.st_mtime_ns, info.st_ctime_ns]
            entry = known.get(name)
            if entry is None or entry[:3] != stamp:
                with open(path, "rb") as file:
                    entry = [*stamp, hashlib.file_digest(file, "sha256").hexdigest()]
                if max(stamp[1:]) < settled:
                    fresh[name] = entry
            hashes.append(entry[3])
            if row % _BLOCK == _BLOCK - 1:
                advance(_BLOCK)
    if fresh:
        _write_index(index, {**known, **fresh})
    return hashes


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
