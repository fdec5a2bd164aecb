"""WAV: sizes that writers leave open, headers that contradict themselves, codecs that are not read."""

import struct

import numpy as np
import pytest

from jaxmeta.data.audio import AudioError, read_audio
from tests.data.containers.recordings import encoded, sound

WAVEFORM = sound()
PCM = (WAVEFORM * 32767).astype("<i2").tobytes()
OPEN = (0, 0x7FFFF000, 0x7FFFF024, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF - 36, 0xFFFFFFFF - 44)


def wav(
    data_size, riff_size=None, samples=PCM, *, codec=1, channels=1, rate=16_000, bits=16, byte_rate=None, block=None
):
    block = channels * bits // 8 if block is None else block
    form = struct.pack("<HHIIHH", codec, channels, rate, rate * block if byte_rate is None else byte_rate, block, bits)
    riff = min(data_size + 36, 0xFFFFFFFF) if riff_size is None else riff_size
    return (b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + struct.pack("<I", 16) + form + b"data"
            + struct.pack("<I", data_size) + samples)  # fmt: skip


@pytest.mark.parametrize("riff", [0, 36, 0x7FFFF024, 0xFFFFFFFF])
@pytest.mark.parametrize("size", OPEN)
def test_a_size_left_open_reads_to_the_end(tmp_path, caplog, size, riff):
    path = tmp_path / "a.wav"
    path.write_bytes(wav(size, riff))
    np.testing.assert_allclose(read_audio(path), WAVEFORM, atol=2**-14)


@pytest.mark.parametrize("size", [1, 2, 1000, len(PCM) - 2, len(PCM) + 2, 10 * len(PCM), 0x70000000, 0xF0000000])
def test_any_other_wrong_size_is_refused(tmp_path, size):
    (tmp_path / "a.wav").write_bytes(wav(size))
    with pytest.raises(AudioError, match=r"a\.wav"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("size", [0, 1 << 63, (1 << 64) - 1])
def test_an_open_size_of_64_bits_reads_to_the_end(tmp_path, size):
    data = bytearray(encoded("rf64", WAVEFORM))
    data[data.index(b"ds64") + 16 : data.index(b"ds64") + 24] = struct.pack("<Q", size)
    (tmp_path / "a.wav").write_bytes(data)
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav"), WAVEFORM, atol=2**-14)


def test_chunks_about_the_sound_may_come_in_between_and_be_cut(tmp_path):
    path = tmp_path / "a.wav"
    about = b"LIST" + struct.pack("<I", 5) + b"INFOx\0"
    whole = wav(len(PCM))
    path.write_bytes(whole[:36] + about + whole[36:] + about + about[:9])
    assert len(read_audio(path)) == 16_000


def test_an_odd_number_of_bytes_may_go_without_padding(tmp_path):
    path = tmp_path / "a.wav"
    samples = bytes(range(100, 200)) * 10 + b"\x7f"
    about = b"LIST" + struct.pack("<I", 4) + b"INFO"
    for padding in (b"", b"\0"):
        path.write_bytes(wav(1001, samples=samples + padding + about, bits=8))
        assert len(read_audio(path)) == 1001


@pytest.mark.parametrize(
    "changes",
    [{"channels": 0}, {"channels": 2, "block": 2}, {"rate": 0}, {"rate": 32_000, "byte_rate": 32_000}, {"block": 0},
     {"bits": 24, "block": 2}, {"bits": 0, "block": 2}, {"channels": 2**15 + 1, "block": 2}, {"byte_rate": 1}],
)  # fmt: skip
def test_a_header_that_contradicts_itself_is_refused(tmp_path, changes):
    (tmp_path / "a.wav").write_bytes(wav(len(PCM), **changes))
    with pytest.raises(AudioError, match=r"a\.wav: .*(damaged|contradicts)"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("codec", "name"), [(0x55, "MP3"), (0x50, "MPEG"), (0x161, "WMA"), (0x45, "0x0045"), (0, "0x0000")]
)
def test_other_codecs_are_refused_by_name(tmp_path, codec, name):
    (tmp_path / "a.wav").write_bytes(wav(len(PCM), codec=codec))
    with pytest.raises(AudioError, match=f"is WAV with .*{name}.* convert it"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("missing", [b"fmt ", b"data"])
def test_a_missing_chunk_is_refused(tmp_path, missing):
    (tmp_path / "a.wav").write_bytes(wav(len(PCM)).replace(missing, b"LIST"))
    with pytest.raises(AudioError, match=r"a\.wav"):
        read_audio(tmp_path / "a.wav")
