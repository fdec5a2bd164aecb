"""A place for what numba compiles, without which librosa cannot be imported where packages and home are read-only."""

import importlib.util
import os
import stat
from pathlib import Path


def choose_numba_cache() -> None:
    """Points numba to a temporary folder where it could write neither beside librosa nor in the user's cache.

    Does nothing where NUMBA_CACHE_DIR is set. The folder is the user's own: numba runs what it finds in it.
    """
    if not os.environ.get("NUMBA_CACHE_DIR") and not any(_writable(folder) for folder in _usual()):
        os.environ["NUMBA_CACHE_DIR"] = _private_folder()


def _private_folder() -> str:
    import tempfile

    folder = Path(tempfile.gettempdir(), f"jaxmeta-numba-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    info = folder.lstat()
    private = stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid() and not info.st_mode & 0o077
    return str(folder) if private else tempfile.mkdtemp(prefix="jaxmeta-numba-")


def _usual() -> list[Path]:
    """Where numba keeps its files, in its order: beside the source, else in the cache of the user."""
    librosa = importlib.util.find_spec("librosa")
    beside = [Path(librosa.origin).parent / "core" / "__pycache__"] if librosa and librosa.origin else []
    return [*beside, Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "numba"]


def _writable(folder: Path) -> bool:
    """Whether the folder can be written; made where it is missing, as numba itself would."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
