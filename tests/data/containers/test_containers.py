"""Damage, pieces and chains of every container: all of the sound, or an error that names the file."""

import numpy as np
import pytest
import soundfile

from jaxmeta.data import audio
from jaxmeta.data.audio import AudioError, decode, read_audio
from tests.data.containers.recordings import KINDS, RATE, TELEPHONE, encoded, sound

WHOLE = {kind: encoded(kind, sound()) for kind in KINDS}
CHECKED = ("vorbis", "opus", "flac")
"""Kinds whose every byte of sound is under a checksum."""


def refused(path, data, *parts):
    path.write_bytes(data)
    with pytest.raises(AudioError) as info:
        read_audio(path)
    for part in (path.name, *parts):
        assert part in str(info.value)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_whole(tmp_path, kind):
    path = tmp_path / kind
    path.write_bytes(WHOLE[kind])
    # Codecs of blocks fill up the last of them; G.721 here writes 20 bytes more.
    assert RATE <= len(read_audio(path)) <= RATE + 1024 * (kind.removeprefix("wav-") in TELEPHONE)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("kind", KINDS)
def test_a_piece_of_a_file_is_refused(tmp_path, kind, share):
    refused(tmp_path / kind, WHOLE[kind][: int(share * len(WHOLE[kind]))])


@pytest.mark.parametrize("kind", KINDS)
def test_a_hole_in_a_file_is_refused(tmp_path, kind):
    middle = len(WHOLE[kind]) // 2
    refused(tmp_path / kind, WHOLE[kind][:middle] + WHOLE[kind][middle + 300 :])


@pytest.mark.parametrize("kind", CHECKED)
@pytest.mark.parametrize("place", np.linspace(0.2, 0.99, 5))
def test_one_flipped_bit_under_a_checksum_is_noticed(tmp_path, kind, place):
    data = bytearray(WHOLE[kind])
    data[int(place * len(data))] ^= 4
    refused(tmp_path / kind, data)


@pytest.mark.parametrize(
    "kind", ["wav-PCM_16", "wav-IMA_ADPCM", "rifx", "rf64", "flac", "flac-24", "vorbis", "opus", "mp3"]
)
def test_files_put_one_behind_the_other_are_one_recording(tmp_path, kind):
    path = tmp_path / kind
    parts = []
    for seed, seconds in ((0, 1.0), (1, 0.5), (2, 2.0)):
        path.write_bytes(encoded(kind, sound(seconds, seed)))
        parts.append(read_audio(path))
    path.write_bytes(b"".join(encoded(kind, sound(seconds, seed)) for seed, seconds in ((0, 1.0), (1, 0.5), (2, 2.0))))
    np.testing.assert_array_equal(read_audio(path), np.concatenate(parts))


@pytest.mark.parametrize("kind", ["wav-PCM_16", "flac", "vorbis", "opus", "mp3"])
def test_recordings_of_a_chain_may_have_rates_and_channels_of_their_own(tmp_path, kind):
    second = np.stack([sound(rate=8_000), sound(seed=1, rate=8_000)], axis=1)
    (tmp_path / kind).write_bytes(WHOLE[kind] + encoded(kind, second, 8_000))
    recording = decode(tmp_path / kind)
    assert len(recording.waveform) == 2 * RATE and recording.channels == 2 and recording.sample_rate == 8_000


@pytest.mark.parametrize("kind", ["vorbis", "opus", "flac", "mp3", "wav-PCM_16"])
def test_a_damaged_recording_in_a_chain_is_refused(tmp_path, kind):
    damaged = bytearray(WHOLE[kind] * 2)
    del damaged[len(WHOLE[kind]) + 1000 : len(WHOLE[kind]) + 1100]
    refused(tmp_path / kind, damaged)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tag", [b"TAG" + bytes(125), bytes(512)])
def test_what_players_append_is_no_damage(tmp_path, kind, tag):
    (tmp_path / kind).write_bytes(WHOLE[kind] + tag)
    assert len(read_audio(tmp_path / kind)) >= RATE


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"flac", "flac-24"}))  # Those say how many samples there are.
def test_bytes_behind_a_file_that_are_nothing_are_refused(tmp_path, kind):
    refused(tmp_path / kind, WHOLE[kind] + bytes(range(1, 200)))


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"FORM\0\0\0\0AIFF", "AIFF"), (b".snd\0\0\0\x18", "AU"), (b"caff\0\1\0\0", "CAF"), (b"NIST_1A\n", "NIST"),
        (b"riff.\x91\xcf\x11", "W64"), (b"\0\0\0\x20ftypM4A ", "MP4"), (b"\x1aE\xdf\xa3", "Matroska"),
        (b"#!AMR\n", "AMR"), (b"0&\xb2u", "WMA"),
    ],
)  # fmt: skip
def test_other_containers_are_refused_by_name_with_a_remedy(tmp_path, head, name):
    refused(tmp_path / "a.wav", head + bytes(1000), f"is {name}", "convert it", "ffmpeg")


@pytest.mark.parametrize("error", [MemoryError("no"), ValueError("no"), OverflowError("no"), RuntimeError("no")])
@pytest.mark.parametrize("library", [(soundfile, "SoundFile"), (soundfile.SoundFile, "read")])
def test_errors_of_libraries_name_the_file(tmp_path, monkeypatch, error, library):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(*library, fail)
    refused(tmp_path / "a.wav", WHOLE["wav-PCM_16"])


def test_a_recording_that_does_not_fit_into_memory_is_named(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(audio.librosa, "resample", fail)
    refused(tmp_path / "a.wav", encoded("wav-PCM_16", sound(rate=8_000), 8_000), "memory")
