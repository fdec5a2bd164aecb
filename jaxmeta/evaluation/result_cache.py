"""Results in a file, each under everything that it depends on: a second run evaluates nothing twice."""

import hashlib
import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxmeta.files.cards import CardError
from jaxmeta.files.sealed import read_sealed, write_sealed
from jaxmeta.types import PyTree

_log = logging.getLogger("jaxmeta")


class ResultCache:
    """The file result_cache.json of a folder: results that JSON can hold, by key. Threads may share it."""

    def __init__(self, folder: Path):
        self.path = folder / "result_cache.json"
        self.results = _read(self.path) if self.path.exists() else {}
        self._lock = threading.Lock()

    def __contains__(self, key: list[Any]) -> bool:
        return json.dumps(key) in self.results

    def get(self, key: list[Any], make: Callable[[], Any]) -> Any:
        """The result under a key, or else what `make` gives, which is stored under it from now on."""
        name = json.dumps(key)
        if name not in self.results:
            made = make()
            with self._lock:
                self.results[name] = made
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_sealed(self.path, "results", self.results)
        return self.results[name]


def _read(path: Path) -> dict[str, Any]:
    """The results in a file; none of a damaged one, for they can be had again."""
    try:
        return read_sealed(path, "results", "they are evaluated again")
    except CardError as error:
        _log.warning("%s", error)
        return {}


def params_digest(params: PyTree) -> str:
    """Identifies weights, for the key of what was made with them."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(params):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()[:16]
