"""Where things lie on this machine: the cache, and recordings that several experiments share."""

import errno
import os
from pathlib import Path

_REMEDY = "; set JAXMETA_HOME to a folder for the cache that can be written"


def cache_home() -> Path:
    """The cache folder: $JAXMETA_HOME, else $XDG_CACHE_HOME/jaxmeta, else ~/.cache/jaxmeta.

    Raises:
      OSError: this user has no home folder.
    """
    if home := os.environ.get("JAXMETA_HOME"):
        return Path(home)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jaxmeta"
    except RuntimeError as error:
        raise FileNotFoundError(errno.ENOENT, f"there is no home folder{_REMEDY}", "~") from error


def cache_folder(name: str) -> Path:
    """A folder of the cache, made where it is missing.

    Raises:
      OSError: it cannot be made; names the folder and says how to choose another.
    """
    folder = cache_home() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}{_REMEDY}", str(folder)) from error
    return folder


def has_data(*names: str) -> bool:
    """Whether there are folders of these names in $JAXMETA_DATA."""
    home = os.environ.get("JAXMETA_DATA")
    return bool(home) and all(Path(str(home), name).is_dir() for name in names)


def data_folders(*names: str) -> list[Path]:
    """The folders of these names in $JAXMETA_DATA.

    Raises:
      ValueError: one of them is missing.
    """
    home = os.environ.get("JAXMETA_DATA", "")
    if missing := [name for name in names if not has_data(name)]:
        raise ValueError(f"JAXMETA_DATA={home!r} lacks {', '.join(missing)}; point it there, or use --preset quick.")
    return [Path(home, name) for name in names]
