"""Where things lie on this machine: the cache, and recordings that several experiments share."""

import os
from pathlib import Path


def cache_home() -> Path:
    """The cache folder: $JAXMETA_HOME, else $XDG_CACHE_HOME/jaxmeta, else ~/.cache/jaxmeta."""
    if home := os.environ.get("JAXMETA_HOME"):
        return Path(home)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jaxmeta"


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
