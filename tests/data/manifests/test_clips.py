"""Pieces of long recordings: where they begin and end, and what reading them costs."""

import numpy as np
import pytest
import soundfile

from jaxmeta.data import audio
from jaxmeta.data.audio import AudioError, declared_seconds, decode, read_audio
from jaxmeta.data.corpus import load_corpus
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.file_hashes import content_hashes
from jaxmeta.data.manifest import ManifestError, copy_recordings, read_manifest, write_manifest
from jaxmeta.data.manifests.clips import Clip, clip_seconds
from jaxmeta.data.manifests.copies import copy_clip
from jaxmeta.data.recordings import read_waveforms

RATE = 16_000


@pytest.fixture
def long(tmp_path):
    """A folder with the same three seconds of noise as WAV, FLAC and Ogg Vorbis."""
    folder = tmp_path / "long"
    folder.mkdir()
    noise = 0.1 * np.random.default_rng(0).normal(size=3 * RATE)
    for name, form in (("a.wav", "WAV"), ("a.flac", "FLAC"), ("a.ogg", "OGG")):
        soundfile.write(folder / name, noise, RATE, format=form)
    return folder


def put(folder, text):
    (folder / "metadata.csv").write_text(text)
    return folder


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
def test_a_piece_is_the_same_samples_as_in_the_whole(long, name):
    whole = read_audio(long / name)
    piece = read_audio(Clip(str(long / name), 1.25, 0.5))
    np.testing.assert_array_equal(piece, whole[20_000:28_000])
    np.testing.assert_array_equal(read_audio(Clip(str(long / name), 2.5)), whole[40_000:])


def test_a_piece_is_resampled_by_itself(long):
    assert len(read_audio(Clip(str(long / "a.wav"), 1.0, 0.5), 8_000)) == 4_000


@pytest.mark.parametrize(("name", "most"), [("a.wav", 0.4), ("a.flac", 0.4), ("a.ogg", 3.0)])
def test_ten_pieces_decode_what_they_hold_where_a_codec_can_be_sought_in(long, name, most, monkeypatch):
    decoded = []
    read = soundfile.SoundFile.read

    def counted(self, *args, **options):
        values = read(self, *args, **options)
        decoded.append(len(values))
        return values

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    audio._last_decoded.cache_clear()
    read_waveforms(RATE, [Clip(str(long / name), place / 10, 0.04) for place in range(10)])
    assert sum(decoded) <= most * RATE


def test_a_container_is_checked_once_for_all_of_its_pieces(long, monkeypatch):
    checked = []
    parts = audio.parts
    monkeypatch.setattr(audio, "parts", lambda path: checked.append(path) or parts(path))
    for place in range(5):
        decode(Clip(str(long / "a.flac"), place / 2, 0.25))
    assert len(checked) == 1


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
@pytest.mark.parametrize(("start", "duration"), [(3.0, None), (2.5, 0.6), (5.0, 1.0), (1.0, 1e-7)])
def test_a_piece_beyond_the_end_or_of_no_sample_is_refused_with_its_row(long, name, start, duration):
    with pytest.raises(AudioError, match=rf"^row 2: .*{name}: the piece .*(beyond the end|shorter than one sample)"):
        read_waveforms(RATE, [Clip(str(long / name), start, duration)], ["row 2"].__getitem__)


def test_a_piece_may_end_a_rounding_beyond_the_end(long):
    assert len(read_audio(Clip(str(long / "a.wav"), 2.5, 0.54))) == RATE // 2


def test_seconds_are_plain_decimals():
    assert [clip_seconds("start", cell) for cell in ("0", "1.5", ".5", "2e1", "")] == [0.0, 1.5, 0.5, 20.0, None]


@pytest.mark.parametrize("cell", ["-1", "nan", "inf", "1_0", "٣", "1,5", "0x1", "1e99", "-0.5", "x" * 100])
@pytest.mark.parametrize("column", ["start", "duration"])
def test_seconds_that_are_none_are_refused_with_file_and_row(long, column, cell):
    row = {"start": "0", "duration": "1"} | {column: f'"{cell}"'}
    put(long, f"file_name,start,duration\na.wav,0,1\na.wav,{row['start']},{row['duration']}\n")
    with pytest.raises(ManifestError, match=rf"metadata.csv, row 3: 'a.wav': {column} .* must be a number of seconds"):
        read_manifest(long)


def test_a_duration_of_nothing_is_refused(long):
    with pytest.raises(ManifestError, match=r"row 2: 'a.wav': duration '0.0' must be .* above 0"):
        read_manifest(put(long, "file_name,start,duration\na.wav,1,0.0\n"))


def test_rows_may_be_pieces_of_one_file_but_not_the_same_piece(long):
    read = read_manifest(put(long, "file_name,start,duration\na.wav,0,1\na.wav,1,1\na.wav,1,\na.flac,,\n"))
    assert [clip[1:] for clip in read.clips()] == [(0.0, 1.0), (1.0, 1.0), (1.0, None), (0.0, None)]
    with pytest.raises(ManifestError, match=r"row 4: file_name 'a.wav' is already in row 3; .* different seconds"):
        read_manifest(put(long, "file_name,start,duration\na.wav,0,1\na.wav,1,1\na.wav,1.0,1e0\n"))


def test_a_duration_without_a_start_says_something_of_the_file_only(long):
    read = read_manifest(put(long, "file_name,duration\na.wav,2.98\n"))
    assert read.clips() == [Clip(str(long.resolve() / "a.wav"))]


def test_hashes_tell_pieces_apart_and_read_a_file_once(long, monkeypatch):
    read = read_manifest(put(long, "file_name,start,duration\na.wav,0,1\na.wav,1,1\na.wav,,\na.flac,1,1\n"))
    hashes = content_hashes(read, progress=False)
    assert len(set(hashes)) == 4 and all(int(each, 16) for each in hashes)
    put(long, "file_name\na.wav\n")
    assert content_hashes(read_manifest(long), progress=False) == hashes[2:3]  # A whole file has its own hash.


def test_features_of_pieces_are_those_of_files_cut_by_hand(long, tmp_path):
    whole, _ = soundfile.read(long / "a.wav", dtype="int16")
    cut = tmp_path / "cut"
    cut.mkdir()
    for place in range(3):
        soundfile.write(cut / f"{place}.wav", whole[place * RATE : (place + 1) * RATE], RATE, subtype="PCM_16")
    write_manifest(cut, {"file_name": [f"{place}.wav" for place in range(3)]})
    write_manifest(long, {"file_name": ["a.wav"] * 3, "start": [0, 1, 2], "duration": [1, 1, 1]})
    pieces, files = (load_corpus(each, FeatureConfig(n_mels=16), workers=1, progress=False) for each in (long, cut))
    np.testing.assert_array_equal(pieces.frames, files.frames)
    assert len(set(pieces.columns["recording"].tolist())) == 3


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_a_copied_piece_has_the_samples_of_its_file(long, tmp_path, name):
    copied = copy_clip(Clip(str(long / name), 1.25, 0.5), tmp_path / "piece")
    expected, _ = soundfile.read(long / name, dtype="int16")
    actual, rate = soundfile.read(copied, dtype="int16")
    assert copied.name == "piece.flac" and rate == RATE
    np.testing.assert_array_equal(actual, expected[20_000:28_000])


def test_copied_recordings_are_whole_files(long, tmp_path):
    columns = {"file_name": ["a.wav", "a.wav"], "start": ["0", "1"], "duration": ["1", "1"], "label": ["x", "y"]}
    read = read_manifest(copy_recordings(long, tmp_path / "copies", columns))
    assert sorted(read.columns) == ["file_name", "label"] and read.columns["label"].tolist() == ["x", "y"]
    assert [declared_seconds(path) for path in read.paths()] == [1.0, 1.0]
