"""`jaxmeta doctor`: what this machine has, and what is missing for which command."""

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from jaxmeta.cli.output import show

_LEAST_FREE = 2e9
"""Bytes below which a disk is called nearly full: features and compiled programs of one corpus take about as much."""
_COUNTING = 1.0
"""Seconds that the size of the cache may take."""
_ACCELERATORS = {"/dev/nvidia0": 'pip install "jax[cuda13]"', "/dev/kfd": "install the ROCm plugin of JAX",
                 "/dev/accel0": 'pip install "jax[tpu]"'}  # fmt: skip
"""Files that are there where a device is -> what lets JAX use it."""
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?([^;]*)(?:;.*extra *== *[\"']([a-z0-9-]+)[\"'])?")


class Finding(NamedTuple):
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "note", "wrong"]
    """note: something is missing that some commands need; wrong: no command that computes can work."""
    detail: str
    remedy: str = ""


def doctor(json: bool = False) -> None:
    """Say what is installed, which devices are used, and what is missing, with the remedy for each.

    Exits with status 2 where something keeps every command from working. Nothing is sent anywhere.

    Args:
        json: Write JSON lines, with the keys name, state (ok, note or wrong), detail and remedy.
    """
    wrong = False
    for finding in _findings():
        wrong |= finding.state == "wrong"
        if json:
            show("doctor", finding._asdict(), "", as_json=True)
        else:
            mark = {"ok": " ", "note": "-", "wrong": "!"}[finding.state]
            print(f"{mark} {finding.name:<14} {finding.detail}", flush=True)
            if finding.remedy:
                print(f"{'':<17}{finding.remedy}", flush=True)
    if wrong:
        raise SystemExit(2)


def _findings() -> Iterator[Finding]:
    from jaxmeta.versions import versions

    installed = versions()
    yield Finding("python", "ok", f"{platform.python_version()} on {platform.platform(terse=True)}")
    yield Finding("versions", "ok", ", ".join(f"{name} {number}" for name, number in installed.items()))
    yield from _devices()
    yield from _cache()
    yield from _extras()
    yield _microphone()


def _devices() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        import jax

        devices = jax.devices()
    except (ImportError, RuntimeError) as error:
        yield Finding(
            "devices", "wrong", f"JAX cannot start: {str(error).partition(chr(10))[0]}", "pip install -U jax jaxlib"
        )
        return
    kinds = sorted({f"{each.platform} ({each.device_kind})" for each in devices})
    yield Finding("devices", "ok", f"{len(devices)}: {', '.join(kinds)}; CPU cores: {cores}")
    if devices[0].platform == "cpu":
        for file, remedy in _ACCELERATORS.items():
            if Path(file).exists():
                yield Finding("accelerator", "note", f"{file} is there, but JAX uses the CPU", remedy)


def _cache() -> Iterator[Finding]:
    from jaxmeta.files.folders import cache_home

    remedy = "set JAXMETA_HOME to a folder that can be written"
    try:
        folder = cache_home()
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / f".{uuid.uuid4().hex}"
        trial.touch()
        trial.unlink()
    except OSError as error:
        yield Finding("cache", "wrong", str(error), remedy)
        return
    size, whole = _bytes_below(folder)
    yield Finding("cache", "ok", f"{folder}, {'' if whole else 'more than '}{size / 1e9:.1f} GB")
    free = shutil.disk_usage(folder).free
    state: Literal["ok", "note"] = "ok" if free >= _LEAST_FREE else "note"
    yield Finding("free disk", state, f"{free / 1e9:.1f} GB beside the cache", "" if state == "ok" else remedy)


def _bytes_below(folder: Path) -> tuple[int, bool]:
    """Bytes of the files below a folder, and whether there was time to count them all."""
    size, until = 0, time.monotonic() + _COUNTING
    for here, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(os.path.join(here, name)).st_size
            except OSError:
                continue  # Another command has just deleted it, or the folder is somebody else's.
        if time.monotonic() > until:
            return size, False
    return size, True


def _extras() -> Iterator[Finding]:
    """Each extra of the package, with those of its packages that are missing."""
    try:
        required = importlib.metadata.requires("jaxmeta") or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding("extras", "note", "not known: jaxmeta runs from its sources, not installed", "pip install -e .")
        return
    extras: dict[str, list[str]] = {}
    for line in required:
        match = _REQUIREMENT.match(line)
        # The extras of developers name the others again; those that this Python has no use for have a marker.
        if match and match[3] and match[1] != "jaxmeta" and "python_version" not in line:
            extras.setdefault(match[3], []).append(match[1])
    for extra, packages in sorted(extras.items()):
        if extra in ("test", "dev", "bench", "browser"):
            continue
        missing = [name for name in packages if not _is_installed(name)]
        if missing:
            yield Finding(f"extra {extra}", "note", f"lacks {', '.join(missing)}", f'pip install "jaxmeta[{extra}]"')
        else:
            yield Finding(f"extra {extra}", "ok", ", ".join(packages))


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _microphone() -> Finding:
    if importlib.util.find_spec("sounddevice") is None:
        return Finding("microphone", "note", "not looked for", 'pip install "jaxmeta[listen]"')
    try:
        import sounddevice
    except OSError as error:
        return Finding("microphone", "note", f"not looked for ({error})", "install PortAudio, such as libportaudio2")
    try:
        device = sounddevice.query_devices(kind="input")
    except (sounddevice.PortAudioError, ValueError) as error:
        return Finding("microphone", "note", f"none ({error})", "plug one in, or give recordings")
    return Finding("microphone", "ok", str(device["name"]))
