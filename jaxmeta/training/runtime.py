"""Settings of a process that computes for a while. None changes a result, and importing jaxmeta makes none."""

import ctypes
import logging
import os
from pathlib import Path

import jax

from jaxmeta.files.folders import cache_home

_MMAP_MAX, _TRIM_THRESHOLD, _TOP_PAD = -4, -1, -2
"""Parameters of glibc's mallopt, from malloc.h."""


def prepare(*, devices: int | None = None, compiled: str | os.PathLike | None = None) -> None:
    """Make a process ready for long work on arrays: call it once, before anything runs on a device.

    Memory that JAX frees stays with the process. glibc otherwise hands large blocks back to the system at once, and
    each run of a program then pays for clearing its temporaries anew: up to two fifths of the time of a
    convolutional meta-gradient (benchmarks/TRIED.md). Without glibc this does nothing.
    Args:
      devices: number of devices that a CPU shows, as for `make_update(mesh=...)`; None: as it was, which is 1.
      compiled: folder in which compiled programs are kept for the next process; None: none are. Files that some other
        version of JAX, or for some other machine, made are not used.
    Raises:
      RuntimeError: `devices` after JAX has started.
    """
    _keep_freed_memory()
    if devices is not None:
        jax.config.update("jax_num_cpu_devices", devices)
    if compiled is not None:
        jax.config.update("jax_compilation_cache_dir", os.fspath(Path(compiled).expanduser()))
        # Small programs too: a command has dozens of them, and reading one is quicker than compiling it.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def begin() -> None:
    """Begin a command or an experiment: `prepare`, with compiled programs kept in the cache folder."""
    # Python shows warnings so without any handler. Importing orbax adds one that puts "WARNING:jaxmeta:" before them.
    logging.basicConfig(format="%(message)s")
    prepare(compiled=cache_home() / "compiled")


def _keep_freed_memory() -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is None:  # musl, macOS, Windows
        return
    for parameter, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**26)):
        mallopt(parameter, value)
