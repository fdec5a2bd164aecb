"""FLAC, Ogg and MP3: lengths that only the frames know, pages out of order, tags of encoders."""

import binascii
import struct

import numpy as np
import pytest
import soundfile

from jaxmeta.data.audio import AudioError, read_audio
from jaxmeta.data.containers.crc16 import crc16, crc16_mirrored
from jaxmeta.data.containers.mp3 import parts, tags_end
from tests.data.containers.recordings import encoded, sound

FLAC, MP3 = encoded("flac", sound(3.0)), encoded("mp3", sound(3.0))
VORBIS, OPUS = encoded("vorbis", sound(20.0)), encoded("opus", sound(20.0))


def pages(data):
    starts = [at for at in range(len(data)) if data.startswith(b"OggS", at)]
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]


def reading(path, data):
    path.write_bytes(data)
    return read_audio(path)


def refused(path, data, match):
    with pytest.raises(AudioError, match=match):
        reading(path, data)


def test_checksums_are_those_that_are_published():
    # The check values of CRC-16/ARC and CRC-16/UMTS.
    assert crc16_mirrored(b"123456789") == 0xBB3D and crc16(b"123456789") == 0xFEE8
    long = np.random.default_rng(0).bytes(5_001)
    assert crc16(long + struct.pack(">H", crc16(long))) == 0 and crc16(b"") == 0


@pytest.mark.parametrize("data", [VORBIS, OPUS])
@pytest.mark.parametrize("change", ["lost", "twice", "swapped", "last lost", "first lost", "of another stream"])
def test_ogg_pages_that_are_not_in_their_place_are_refused(tmp_path, data, change):
    found = pages(data)
    assert len(found) > 5
    middle = len(found) // 2
    other = encoded("vorbis" if data is VORBIS else "opus", sound(20.0, seed=1))
    moved = {
        "lost": found[:middle] + found[middle + 1 :],
        "twice": [*found[: middle + 1], *found[middle:]],
        "swapped": [*found[:middle], found[middle + 1], found[middle], *found[middle + 2 :]],
        "last lost": found[:-1],
        "first lost": found[1:],
        "of another stream": [*found[:middle], pages(other)[middle], *found[middle + 1 :]],
    }
    refused(tmp_path / "a.ogg", b"".join(moved[change]), r"a\.ogg: (damaged|truncated|the Ogg file)")


@pytest.mark.parametrize(("cut", "match"), [(0, "in the middle of a page"), (10, "in the middle of a page")])
def test_an_ogg_file_that_ends_within_a_page_says_so(tmp_path, cut, match):
    refused(tmp_path / "a.ogg", VORBIS[: -cut or len(VORBIS) - 1], match)


def test_ogg_with_another_codec_is_refused_by_the_right_reason(tmp_path):
    page = bytearray(b"OggS\0\x06" + bytes(8) + b"\1\0\0\0" + bytes(8) + b"\1\x08Speex   ")
    mirrored = bytes(int(f"{byte:08b}"[::-1], 2) for byte in page)
    value = int(f"{binascii.crc32(mirrored, 0xFFFFFFFF) ^ 0xFFFFFFFF:032b}"[::-1], 2)
    page[22:26] = struct.pack("<I", value)
    refused(tmp_path / "a.spx", page, "without Vorbis or Opus")


def test_flac_of_an_encoder_that_could_not_go_back_is_read_to_its_end(tmp_path):
    blank = bytearray(FLAC)
    blank[21] &= 0xF0
    blank[22:42] = bytes(20)  # The number of samples and their MD5.
    np.testing.assert_array_equal(reading(tmp_path / "a.flac", blank), reading(tmp_path / "b.flac", FLAC))
    refused(tmp_path / "a.flac", blank[:-100], "in the middle of a frame")


@pytest.mark.parametrize("place", [18, 19, 20, 22, 23, 25])
def test_a_flac_header_that_its_frames_contradict_is_refused(tmp_path, place):
    data = bytearray(FLAC)
    data[place] ^= 16
    refused(tmp_path / "a.flac", data, r"a\.flac")


def test_tags_in_front_are_passed_over(tmp_path):
    tag = b"ID3\3\0\0\0\0\1\0" + bytes(128)
    assert tags_end(tag + tag + b"x") == 2 * len(tag)
    for name, data in (("a.flac", FLAC), ("a.mp3", MP3)):
        np.testing.assert_array_equal(reading(tmp_path / name, tag + data), reading(tmp_path / name, data))


def frames(data):
    """MP3 frames of 24 kHz mono at the bit rates that libsndfile chose, with the tag first."""
    starts, at = [], 0
    while at < len(data):
        rate = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)[data[at + 2] >> 4]
        starts.append(at)
        at += 72 * rate * 1000 // 16_000 + (data[at + 2] >> 1 & 1)
    return [data[start:end] for start, end in zip(starts, [*starts[1:], at], strict=True)]


def test_mp3_without_a_tag_is_read_to_its_last_frame(tmp_path):
    sounding = frames(MP3)[1:]
    # libsndfile would estimate the number of frames, and leaves out the 529 samples of a decoder's delay.
    assert len(reading(tmp_path / "a.mp3", b"".join(sounding))) == 576 * len(sounding) - 529


def test_mp3_whose_tag_is_damaged_is_read_to_its_last_frame_too(tmp_path):
    tag, *sounding = frames(MP3)
    at = tag.index(b"LAME") + 22
    damaged = tag[:at] + bytes([tag[at] ^ 0xF]) + tag[at + 1 :]  # Samples to leave out.
    assert len(reading(tmp_path / "a.mp3", damaged + b"".join(sounding))) == 576 * len(sounding) - 529


@pytest.mark.parametrize("lost", [1, 10, 40])
def test_mp3_frames_that_are_missing_are_noticed(tmp_path, lost):
    whole = frames(MP3)
    refused(tmp_path / "a.mp3", b"".join(whole[:-lost]), "truncated: the MP3 file declares")
    refused(tmp_path / "a.mp3", b"".join(whole[:5] + whole[5 + lost :]), "truncated: the MP3 file declares")


def test_an_mp3_frame_of_another_form_amid_the_others_is_damage(tmp_path):
    sounding = frames(MP3)[1:]
    other = bytearray(sounding[9])
    other[3] ^= 0xC0  # Stereo.
    refused(tmp_path / "a.mp3", b"".join([*sounding[:9], other, *sounding[10:]]), "of another form")
    assert len(parts(b"".join(sounding))) == 1


@pytest.mark.parametrize("count", [1, 2, 3, 7, 4095, 4096, 4097, 4098, 4100, 8193])
@pytest.mark.parametrize("kind", ["noise", "silence"])
def test_flac_whose_last_frame_is_a_few_bytes_is_read(tmp_path, count, kind):
    values = np.zeros(count) if kind == "silence" else np.random.default_rng(count).normal(size=count) * 0.1
    soundfile.write(tmp_path / "a.flac", values, 16_000, subtype="PCM_16")
    assert len(read_audio(tmp_path / "a.flac")) == count
