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


class _Chunk(NamedTuple):
    name: bytes
    start: int
    length: int
    closed: bool = True


def parts(file: BinaryIO, size: int) -> list[Part]:
    """The recordings in a WAV file; raises ContainerError where they are not all there."""
    found, start = [], 0
    while start < size:
        chunks, end = _chunks(file, start, size)
        found.append(_recording(file, start, end, chunks, whole=start == 0 and end == size))
        start = end
    return found


def _recording(file: BinaryIO, start: int, end: int, chunks: list[_Chunk], whole: bool) -> Part:
    held = {chunk.name: chunk for chunk in chunks}
    if b"data" not in held:
        raise ContainerError("truncated: the WAV file ends before its data chunk")
    if b"fmt " not in held or held[b"fmt "].start > held[b"data"].start:
        raise ContainerError("the WAV file says nothing of its samples before they begin; it is damaged")
    if any([chunk.name for chunk in chunks].count(name) > 1 for name in (b"fmt ", b"data")):
        raise ContainerError("the WAV file has several headers or chunks of samples; it is damaged")
    data, order = held[b"data"], _order(file, start)
    header = _at(file, held[b"fmt "].start, held[b"fmt "].length)
    form = wav_form(header, order)
    if data.closed and data.length % form.block and form.exact:
        raise ContainerError(f"the header declares {data.length} bytes of samples, no multiple of {form.block}")
    frames = data.length // form.block * form.samples
    if whole and data.closed:
        return Part(None, frames)
    if data.length > _LARGEST - 1024:
        raise ContainerError("was not closed by its writer, and is too long to be read so; repair it, as by ffmpeg")
    return Part(_rewritten(header, _at(file, data.start, data.length), order), frames, closed=data.closed)


def _chunks(file: BinaryIO, start: int, size: int) -> tuple[list[_Chunk], int]:
    """The chunks of one recording, samples with the length that they do have, and where the next recording begins."""
    order, found, position, long = _order(file, start), [], start + 12, None
    while position < size:
        header = _at(file, position, 8)
        if header[:4] in MAGIC and _at(file, position + 8, 4) == b"WAVE":
            return found, position
        chunk = _Chunk(header[:4], position + 8, *struct.unpack(f"{order}I", header[4:].ljust(4, b"\0")))
        if chunk.name == b"data":
            length = long if long is not None and chunk.length == _LARGEST else chunk.length
            chunk = _samples(file, chunk._replace(length=length), size)
        elif not _is_name(chunk.name) or chunk.start + chunk.length > size:
            _check_rest(file, position, size, found)
            break
        elif chunk.name == b"ds64":
            long = struct.unpack("<Q", _at(file, chunk.start + 8, 8).ljust(8, b"\0"))[0]
        found.append(chunk)
        position = chunk.start + chunk.length
        position += chunk.length % 2 and _at(file, position, 1) == b"\0"  # Most writers pad to even lengths.
    return found, size


def _samples(file: BinaryIO, chunk: _Chunk, size: int) -> _Chunk:
    """The chunk of samples, up to the end of the file where its writer left the length open."""
    held = size - chunk.start
    if chunk.length > held:
        if min(abs(chunk.length - (1 << bits)) for bits in (31, 32, 63, 64)) > _NEAR:
            raise ContainerError(
                f"truncated: the WAV header declares {chunk.length} bytes of samples, the file holds {held}"
            )
        return chunk._replace(length=held, closed=False)
    if chunk.length == 0 and held and not _is_name(_at(file, chunk.start, 4)):
        return chunk._replace(length=held, closed=False)
    return chunk


def _check_rest(file: BinaryIO, position: int, size: int, chunks: list[_Chunk]) -> None:
    """Refuses what is left after the last chunk, unless it is padding or the tag that music players append."""
    rest = _at(file, position, min(size - position, 1 << 20))
    harmless = len(rest) == 1 or not rest.strip(b"\0") or rest[:3] == b"TAG" or rest[:4] in _ABOUT
    if harmless and any(chunk.name == b"data" for chunk in chunks):
        return
    raise ContainerError(
        f"truncated or damaged: {size - position} bytes from byte {position} on are no chunk of a WAV file, "
        "or the recording was not closed by its writer"
    )


def _rewritten(header: bytes, samples: bytes, order: str) -> bytes:
    """A WAV file of its own whose sizes are right."""
    samples += b"\0" * (len(samples) % 2)
    sizes = [struct.pack(f"{order}I", size) for size in (20 + len(header) + len(samples), len(header), len(samples))]
    magic = b"RIFX" if order == ">" else b"RIFF"
    return b"".join([magic, sizes[0], b"WAVEfmt ", sizes[1], header, b"data", sizes[2], samples])


def _order(file: BinaryIO, start: int) -> str:
    return ">" if _at(file, start, 4) == b"RIFX" else "<"


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)


def _at(file: BinaryIO, position: int, count: int) -> bytes:
    file.seek(position)
    return file.read(count)
