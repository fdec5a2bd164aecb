import logging
import struct

import numpy as np
import pytest
import soundfile

from jaxmeta.data import audio
from jaxmeta.data.audio import AudioError, decode, read_audio, write_audio


def tone(seconds=0.5, rate=16_000, frequency=440.0, amplitude=0.5):
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def refused(path, *parts):
    with pytest.raises(AudioError) as info:
        read_audio(path)
    for part in (path.name, *parts):
        assert part in str(info.value)


@pytest.mark.parametrize(("suffix", "subtype"), [("wav", "PCM_16"), ("wav", "FLOAT"), ("flac", "PCM_24")])
def test_lossless_formats_return_the_waveform(tmp_path, suffix, subtype):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(), 16_000, subtype=subtype)
    read = read_audio(path)
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, tone(), atol=2**-15)  # One step of 16 bits.


@pytest.mark.parametrize(
    ("suffix", "kind", "subtype"), [("ogg", "OGG", "VORBIS"), ("opus", "OGG", "OPUS"), ("mp3", "MP3", "MPEG_LAYER_III")]
)
def test_lossy_formats_return_the_tone_at_its_length(tmp_path, suffix, kind, subtype):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(), 16_000, format=kind, subtype=subtype)
    read = read_audio(path)
    assert len(read) == 8_000
    spectrum = np.abs(np.fft.rfft(read * np.hanning(8_000)))
    assert spectrum.argmax() == 220  # 440 Hz in bins of 2 Hz.


def test_eight_and_forty_eight_kilohertz_become_sixteen(tmp_path):
    for rate in (8_000, 48_000):
        soundfile.write(tmp_path / "a.wav", tone(rate=rate), rate)
        read = read_audio(tmp_path / "a.wav", 16_000)
        # Away from the ends, where the resampling filter sees the silence beyond, it is the same tone.
        np.testing.assert_allclose(read[500:-500], tone()[500:-500], atol=2e-3)
        assert len(read) == 8_000


def test_stereo_is_averaged_and_said_once(tmp_path, caplog):
    audio._said.cache_clear()
    path = tmp_path / "a.wav"
    other = tone(frequency=880.0)
    soundfile.write(path, np.stack([tone(), other], axis=1), 16_000)
    with caplog.at_level(logging.WARNING, logger="jaxmeta"):
        read = read_audio(path)
        read_audio(path)
    np.testing.assert_allclose(read, (tone() + other) / 2, atol=2**-15)
    assert [record.message.startswith("stereo") for record in caplog.records] == [True]
    assert decode(path).channels == 2


def test_missing_file_is_refused(tmp_path):
    refused(tmp_path / "gone.wav", "no such file")


def test_empty_file_is_refused(tmp_path):
    (tmp_path / "a.flac").write_bytes(b"")
    refused(tmp_path / "a.flac", "0 bytes")


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "raw"])
def test_text_under_the_name_of_audio_is_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_text("hello, this is not audio\n" * 50)
    refused(path, "not readable as WAV")


@pytest.mark.parametrize("lost", [1, 100, 8_000, 15_990])
def test_truncated_wav_is_refused(tmp_path, lost):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), 16_000, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[:-lost])
    refused(path, "truncated", "declares 16000 bytes", f"holds {16_000 - lost}")


def test_wav_cut_within_its_header_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), 16_000)
    path.write_bytes(path.read_bytes()[:38])
    refused(path, "truncated")


def test_wav_with_other_chunks_around_the_samples_is_whole(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), 16_000, subtype="PCM_16")
    data = path.read_bytes()
    odd = b"note" + struct.pack("<I", 3) + b"abc\0"
    data = data[:36] + odd + data[36:] + odd
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    assert len(read_audio(path)) == 8_000


def test_wav_from_a_pipe_without_a_declared_size_is_read(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), 16_000, subtype="PCM_16")
    data = path.read_bytes()
    path.write_bytes(data[:4] + b"\xff" * 4 + data[8:40] + b"\xff" * 4 + data[44:])
    np.testing.assert_allclose(read_audio(path), tone(), atol=2**-15)


@pytest.mark.parametrize("cut", ["half", "page"])
@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_truncated_ogg_is_refused(tmp_path, subtype, cut):
    path = tmp_path / "a.ogg"
    noise = 0.1 * np.random.default_rng(0).standard_normal(160_000)  # Many pages, unlike a tone.
    soundfile.write(path, noise, 16_000, format="OGG", subtype=subtype)
    data = path.read_bytes()
    end = len(data) // 2 if cut == "half" else data.rfind(b"OggS")
    path.write_bytes(data[:end])
    refused(path, "truncated", "Ogg")


@pytest.mark.parametrize(("suffix", "kind"), [("flac", "FLAC"), ("mp3", "MP3")])
def test_truncated_flac_and_mp3_are_refused(tmp_path, suffix, kind):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(), 16_000, format=kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused(tmp_path, value):
    samples = tone()
    samples[123] = value
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    refused(tmp_path / "a.wav", "sample 123", str(value))


@pytest.mark.parametrize("rate", [0, 1, 4_000_000_000])
def test_impossible_sample_rate_is_refused(tmp_path, rate):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), 16_000)
    data = path.read_bytes()
    path.write_bytes(data[:24] + struct.pack("<I", rate) + data[28:])
    refused(path, f"{rate} Hz" if rate < 2**31 else "")


@pytest.mark.parametrize("suffix", ["wav", "ogg"])
def test_file_without_samples_is_refused(tmp_path, suffix):
    soundfile.write(tmp_path / f"a.{suffix}", np.zeros(0), 16_000)
    refused(tmp_path / f"a.{suffix}", "no samples")


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_written_audio_is_read_back(tmp_path, suffix):
    path = tmp_path / "new" / f"a.{suffix}"
    write_audio(path, np.concatenate([tone(), [1.5, -1.5]]), 16_000)
    read = read_audio(path)
    np.testing.assert_allclose(read[:-2], tone(), atol=2**-15)
    np.testing.assert_allclose(read[-2:], [1, -1], atol=2**-15)
    assert soundfile.info(path).subtype == "PCM_16"


@pytest.mark.parametrize("waveform", [np.zeros(0), np.zeros((3, 2)), np.array([0.0, np.nan])])
def test_write_refuses_what_read_would_and_leaves_no_file(tmp_path, waveform):
    with pytest.raises(AudioError, match=r"a\.wav"):
        write_audio(tmp_path / "a.wav", waveform, 16_000)
    with pytest.raises(AudioError, match=r"\.mp3"):
        write_audio(tmp_path / "a.mp3", tone(), 16_000)
    assert list(tmp_path.iterdir()) == []
