"""WAV files: RIFF, RIFX (big-endian) and RF64. Walks every chunk, for libsndfile stops at the first with samples.

The samples themselves carry no checksum: a flipped bit in one of them is a click that nobody can know of.
"""

import struct
from typing import BinaryIO, NamedTuple

from jaxmeta.data.containers.parts import ContainerError, Part
from jaxmeta.data.containers.wav_form import wav_form

MAGIC = (b"RIFF", b"RIFX", b"RF64")
_LARGEST = 0xFFFFFFFF
_NEAR = 1 << 16
"""Writers that cannot go back put a size near 2^31 or 2^32, less the header: 0x7ffff000 (sox), 0xffffffff - 36."""


_ABOUT = (b"LIST", b"id3 ", b"ID3 ", b"bext", b"iXML", b"cue ", b"smpl", b"JUNK", b"FLLR", b"PEAK", b"_PMX")
"""Chunks about the sound, which may be cut or miscounted without a loss of it."""


class View:
    """Bytes of a file by their place; all of a small one are read at once, of a large one the first few thousand."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.size, self.head = size, file.read(size if size <= 1 << 16 else 1 << 12)
        self._file = file

    def everything(self) -> bytes:
        """The whole file."""
        return self.head if len(self.head) == self.size else self.at(0, self.size)

    def at(self, position: int, count: int) -> bytes:
        """Up to `count` bytes from a place on."""
        if position + count <= len(self.head):
            return self.head[position : position + count]
        self._file.seek(position)
        return self._file.read(count)


class _Chunk(NamedTuple):
    name: bytes
    start: int
    length: int
    closed: bool = True


def parts(view: View) -> list[Part]:
    """The recordings in a WAV file; raises ContainerError where they are not all there."""
    found, start = [], 0
    while start < view.size:
        chunks, end = _chunks(view, start)
        found.append(_recording(view, start, chunks, whole=start == 0 and end == view.size))
        start = end
    return found


def _recording(view: View, start: int, chunks: list[_Chunk], whole: bool) -> Part:
    held = {chunk.name: chunk for chunk in chunks}
    if b"data" not in held:
        raise ContainerError("truncated: the WAV file ends before its data chunk")
    if b"fmt " not in held or held[b"fmt "].start > held[b"data"].start:
        raise ContainerError("the WAV file says nothing of its samples before they begin; it is damaged")
    if any([chunk.name for chunk in chunks].count(name) > 1 for name in (b"fmt ", b"data")):
        raise ContainerError("the WAV file has several headers or chunks of samples; it is damaged")
    data, order = held[b"data"], _order(view, start)
    header = view.at(held[b"fmt "].start, held[b"fmt "].length)
    form = wav_form(header, order)
    if data.closed and data.length % form.block and form.exact:
        raise ContainerError(f"the header declares {data.length} bytes of samples, no multiple of {form.block}")
    frames = data.length // form.block * form.samples
    if whole and data.closed:
        return Part(None, frames)
    if data.length > _LARGEST - 1024:
        raise ContainerError("was not closed by its writer, and is too long to be read so; repair it, as by ffmpeg")
    return Part(_rewritten(header, view.at(data.start, data.length), order), frames, closed=data.closed)


def _chunks(view: View, start: int) -> tuple[list[_Chunk], int]:
    """The chunks of one recording, samples with the length that they do have, and where the next recording begins."""
    size, order, long = view.size, _order(view, start), None
    found: list[_Chunk] = []
    position = start + 12
    while position < size:
        header = view.at(position, 8)
        if header[:4] in MAGIC and view.at(position + 8, 4) == b"WAVE":
            return found, position
        chunk = _Chunk(header[:4], position + 8, *struct.unpack(f"{order}I", header[4:].ljust(4, b"\0")))
        if chunk.name == b"data":
            length = long if long is not None and chunk.length == _LARGEST else chunk.length
            chunk = _samples(view, chunk._replace(length=length))
        elif not _is_name(chunk.name) or chunk.start + chunk.length > size:
            _check_rest(view, position, found)
            break
        elif chunk.name == b"ds64":
            long = struct.unpack("<Q", view.at(chunk.start + 8, 8).ljust(8, b"\0"))[0]
        found.append(chunk)
        position = chunk.start + chunk.length
        position += chunk.length % 2 and view.at(position, 1) == b"\0"  # Most writers pad to even lengths.
    return found, size


def _samples(view: View, chunk: _Chunk) -> _Chunk:
    """The chunk of samples, up to the end of the file where its writer left the length open."""
    held = view.size - chunk.start
    if chunk.length > held:
        if min(abs(chunk.length - (1 << bits)) for bits in (31, 32, 63, 64)) > _NEAR:
            raise ContainerError(
                f"truncated: the WAV header declares {chunk.length} bytes of samples, the file holds {held}"
            )
        return chunk._replace(length=held, closed=False)
    if chunk.length == 0 and held and not _is_name(view.at(chunk.start, 4)):
        return chunk._replace(length=held, closed=False)
    return chunk


def _check_rest(view: View, position: int, chunks: list[_Chunk]) -> None:
    """Refuses what is left after the last chunk, unless it is padding or the tag that music players append."""
    rest = view.at(position, min(view.size - position, 1 << 20))
    harmless = len(rest) == 1 or not rest.strip(b"\0") or rest[:3] == b"TAG" or rest[:4] in _ABOUT
    if harmless and any(chunk.name == b"data" for chunk in chunks):
        return
    raise ContainerError(
        f"truncated or damaged: {view.size - position} bytes from byte {position} on are no chunk of a WAV file, "
        "or the recording was not closed by its writer"
    )


def _rewritten(header: bytes, samples: bytes, order: str) -> bytes:
    """A WAV file of its own whose sizes are right."""
    samples += b"\0" * (len(samples) % 2)
    sizes = [struct.pack(f"{order}I", size) for size in (20 + len(header) + len(samples), len(header), len(samples))]
    magic = b"RIFX" if order == ">" else b"RIFF"
    return b"".join([magic, sizes[0], b"WAVEfmt ", sizes[1], header, b"data", sizes[2], samples])


def _order(view: View, start: int) -> str:
    return ">" if view.at(start, 4) == b"RIFX" else "<"


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)
