"""Recordings that are kept one by one make a folder that the other commands take."""

import csv

import numpy as np
import pytest

from jaxmeta.cli.demo import recordings as recordings_module
from jaxmeta.cli.demo.recordings import Recordings
from jaxmeta.data.audio import read_audio
from jaxmeta.data.manifest import read_manifest

TONE = (0.3 * np.sin(np.arange(8_000) / 5)).astype(np.float32)


def test_a_recording_is_on_the_disk_at_once_and_comes_back(tmp_path):
    recordings = Recordings(tmp_path / "mine", "transcription")
    assert recordings.rows() == []
    name = recordings.add(TONE, 16_000, "  héllo,\n world ")
    (row,) = Recordings(tmp_path / "mine", "transcription").rows()
    assert row == (name, "héllo, world", 0.5)
    manifest = read_manifest(tmp_path / "mine")
    assert manifest.columns["transcription"].tolist() == ["héllo, world"]
    # 16 bits: half of the last digit, and as much again where full scale is one less than it is read as.
    np.testing.assert_allclose(read_audio(manifest.paths()[0]), TONE, atol=1 / 2**15)


def test_a_text_is_changed_and_a_recording_deleted(tmp_path):
    recordings = Recordings(tmp_path, "transcription")
    first, second = recordings.add(TONE, 16_000, "one"), recordings.add(TONE, 16_000, "two")
    recordings.change(first, "three")
    assert [row.text for row in recordings.rows()] == ["three", "two"]
    path = recordings.path(first)
    recordings.remove(first)
    assert [row.name for row in recordings.rows()] == [second] and not path.exists()
    recordings.remove(second)
    assert recordings.rows() == [] and not (tmp_path / "metadata.csv").exists()
    recordings.add(TONE, 16_000, "four")
    assert [row.text for row in recordings.rows()] == ["four"]


def test_names_that_are_not_in_the_list_are_refused(tmp_path):
    recordings = Recordings(tmp_path / "mine", "transcription")
    recordings.add(TONE, 16_000, "one")
    (tmp_path / "mine/audio/other.flac").write_bytes(b"not listed")
    for name in ("../metadata.csv", "other.flac", "", ".", "metadata.csv"):
        for refused in (recordings.path, recordings.remove, lambda name: recordings.change(name, "x")):
            with pytest.raises(ValueError, match="There is no recording"):
                refused(name)
    assert (tmp_path / "mine/audio/other.flac").exists()


def test_columns_that_somebody_has_added_stay(tmp_path):
    recordings = Recordings(tmp_path, "label")
    recordings.add(TONE, 16_000, "yes")
    with (tmp_path / "metadata.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    with (tmp_path / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*row, "room"])
        writer.writeheader()
        writer.writerow(row | {"room": "kitchen"})
    recordings.add(TONE, 16_000, "no")
    columns = read_manifest(tmp_path).columns
    assert columns["room"].tolist() == ["kitchen", ""] and columns["label"].tolist() == ["yes", "no"]


def test_a_recording_whose_row_cannot_be_written_leaves_no_sound_on_the_disk(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recordings_module, "write_manifest", full)
    with pytest.raises(OSError, match="No space left"):
        Recordings(tmp_path, "transcription").add(TONE, 16_000, "one")
    assert not list((tmp_path / "audio").iterdir())


def test_a_text_of_a_whole_book_is_refused(tmp_path):
    with pytest.raises(ValueError, match="2,001 characters, and at most 2,000"):
        Recordings(tmp_path, "transcription").add(TONE, 16_000, 2_001 * "a")
    assert not list(tmp_path.iterdir())
