"""JSON files that hold a digest of what they say: a flipped bit, a cut or another file in their place is noticed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxmeta.files.cards import CardError, read_card
from jaxmeta.files.durable import plain, write_json

SEAL = "sha256"


def write_sealed(path: Path, kind: str, value: Mapping[str, Any]) -> None:
    """Replace a file by `plain(value)` and its digest as JSON, at once.

    Args:
      path: of the file.
      kind: what it is, which is part of the digest: no file stands for one of another kind.
      value: what it says, without a key "sha256".
    Raises:
      OSError: it could not be written; the old file is untouched.
    """
    content = plain(value)
    write_json(path, content | {SEAL: _digest(kind, content)})


def read_sealed(path: Path, kind: str, remedy: str) -> dict[str, Any]:
    """What `write_sealed` wrote.

    Args:
      path: of the file.
      kind: as it was written.
      remedy: what to do if it is damaged, for the message.
    Raises:
      CardError: it cannot be read, is damaged, of another kind, or without a digest; names the file.
    """
    content = read_card(path, remedy)
    if content.pop(SEAL, None) != _digest(kind, content):
        raise CardError(f"{path}: damaged, changed by hand, or of an older version ({SEAL} is not right); {remedy}.")
    return content


def _digest(kind: str, content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps([kind, content], sort_keys=True).encode()).hexdigest()
