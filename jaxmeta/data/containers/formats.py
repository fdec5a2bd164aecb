"""Which kind of file something is, by its first bytes, and whether that kind is read."""

import os
import stat
from collections.abc import Callable

import soundfile

from jaxmeta.data.containers import flac, mp3, ogg, riff
from jaxmeta.data.containers.id3 import tags_end
from jaxmeta.data.containers.parts import ContainerError, Part

OFFERED = "WAV, FLAC, Ogg, Opus or MP3"
"""What is read. Each has a check of its own in this folder; a kind without one is refused, for it could lose sound."""
_OTHERS = (
    (0, b"FORM", "AIFF"),
    (0, b".snd", "AU"),
    (0, b"dns.", "AU"),
    (0, b"caff", "CAF"),
    (0, b"riff", "W64"),
    (0, b"NIST_1A", "NIST SPHERE"),
    (4, b"ftyp", "MP4"),
    (0, b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (0, b"#!AMR", "AMR"),
    (0, b"0&\xb2u", "WMA"),
    (0, b"Creative Voice", "VOC"),
)
"""Kinds that people do have: (offset, bytes there, name)."""


def parts(path: str | os.PathLike[str]) -> list[Part]:
    """The recordings in a file, one behind the other, after its container has been checked.

    Raises:
      ContainerError: it is no file, empty, cut, damaged, or of a kind that is not read.
      OSError: it is missing or cannot be read.
    """
    info = os.stat(path)
    if not stat.S_ISREG(info.st_mode):  # Opening a pipe would wait for a writer.
        raise ContainerError("is a folder, a pipe or a device, and no file")
    if info.st_size == 0:
        raise ContainerError("empty file (0 bytes)")
    with open(path, "rb", buffering=0) as file:
        view = riff.View(file, info.st_size)
        if view.head[:4] in riff.MAGIC and view.head[8:12] == b"WAVE":
            return riff.parts(view)
        return _compressed(view.head)(view.everything())


def form(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Samples of a channel that a file declares, and its sample rate in Hz; only its header is looked at.

    Raises:
      ContainerError: it is no file, empty, or of a kind that is not read, or its header makes no sense.
      OSError: it is missing or cannot be read.
    """
    info = os.stat(path)
    if not stat.S_ISREG(info.st_mode):
        raise ContainerError("is a folder, a pipe or a device, and no file")
    if info.st_size == 0:
        raise ContainerError("empty file (0 bytes)")
    with open(path, "rb", buffering=0) as file:
        view = riff.View(file, info.st_size)
        if not (view.head[:4] in riff.MAGIC and view.head[8:12] == b"WAVE"):
            _compressed(view.head)
        file.seek(0)
        try:
            with soundfile.SoundFile(file) as sound:
                return sound.frames, sound.samplerate
        except (soundfile.SoundFileError, RuntimeError, ValueError, OverflowError) as error:
            raise ContainerError(str(getattr(error, "error_string", error)).rstrip(".")) from error


def _compressed(head: bytes) -> Callable[[bytes], list[Part]]:
    if head[:4] == ogg.MAGIC:
        return ogg.parts
    if head[:4] == flac.MAGIC:
        return flac.parts
    if head[:3] == b"ID3":
        return _tagged
    if mp3.is_frame(head):
        return mp3.parts
    for offset, magic, name in _OTHERS:
        if head[offset : offset + len(magic)] == magic:
            raise ContainerError(
                f"is {name}, and {OFFERED} are read; convert it, as by `ffmpeg -i FILE FILE.flac` or sox"
            )
    raise ContainerError(f"not readable as {OFFERED}: it begins like none of them")


def _tagged(data: bytes) -> list[Part]:
    """FLAC or MP3 behind an ID3 tag."""
    return (flac if data[tags_end(data) :][:4] == flac.MAGIC else mp3).parts(data)
