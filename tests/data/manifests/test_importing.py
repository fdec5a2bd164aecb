"""Rows of lists against their recordings: none is lost, and what is written can be read."""

import csv

import numpy as np
import pytest
import soundfile

from jaxmeta.data.audio import declared_seconds
from jaxmeta.data.importers.rows import Rejection, Row
from jaxmeta.data.manifest import read_manifest
from jaxmeta.data.manifests.importing import import_rows, write_import


@pytest.fixture
def source(tmp_path):
    """A folder with two recordings of two seconds, and a list that is named in rows."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("a.wav", "b.flac"):
        soundfile.write(folder / name, 0.1 * np.random.default_rng(0).normal(size=32_000), 16_000)
    return folder


def take(source, *rows, **options):
    given = [
        each if isinstance(each, Rejection) else Row(source / "list", place, *each)
        for place, each in enumerate(rows, 1)
    ]
    return import_rows(given, source, progress=False, **options)


def test_every_row_is_used_or_rejected_with_its_reason(source, tmp_path):
    (source / "empty.wav").touch()
    (source / "film.wav").write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(100))
    result = take(
        source, ("a.wav", {"x": "1"}), ("gone.wav", {}), Rejection(source / "list", 3, "odd"), ("b.flac", {}, 0.5, 1.0),
        ("empty.wav", {}), ("film.wav", {}), ("a.wav", {"x": "2"}), ("b.flac", {}, 1.5, 1.0), ("b.flac", {}, 2.0),
        ("b.flac", {}, -1.0), ("b.flac", {}, float("nan")), ("b.flac", {}, 0.5, 1.0), ("b.flac", {}, 0.0, float("inf")),
    )  # fmt: skip
    assert result.read == 13 and [each.name for each in result.utterances] == ["a.wav", "b.flac"]
    write_import(result, tmp_path, progress=False)
    with (tmp_path / "rejected.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["row"]) for row in rows] == [2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    assert {row["file"] for row in rows} == {str(source / "list")}
    reasons = [row["reason"] for row in rows]
    for said, reason in zip(
        ["no such file", "odd", "0 bytes", "is MP4", "same recording as row 1", "ends at 2.5 s", "starts at 2 s",
         "starts at -1 s", "starts at nan s", "same recording as row 4", "lasts inf s"], reasons, strict=True,
    ):  # fmt: skip
        assert said in reason


def test_a_piece_that_is_all_of_its_file_is_the_file(source, tmp_path):
    result = take(source, ("a.wav", {"duration": "two"}, 0.0, 1.98), ("b.flac", {}, 0.0, None))
    write_import(result, tmp_path, progress=False)
    read = read_manifest(tmp_path, [source])
    assert all(clip.whole for clip in read.clips()) and read.columns["duration"].tolist() == ["two", ""]


def test_columns_keep_their_names_unless_a_manifest_has_them_for_something_else(source, tmp_path):
    said = {"duration": "long", "start": "early", "file_name": "other", " gender ": "f", "e\u0301": "1", "": "none"}
    write_import(take(source, ("a.wav", said, 0.5, 1.0)), tmp_path, progress=False)
    read = read_manifest(tmp_path, [source]).columns
    assert {name: values.tolist() for name, values in read.items()} == {
        "file_name": ["source/a.wav"], "start": ["0.5"], "duration": ["1"], "gender": ["f"],
        "source duration": ["long"], "source start": ["early"], "source file_name": ["other"], "\u00e9": ["1"],
        "source": ["none"],
    }  # fmt: skip


def test_copies_are_files_of_their_own(source, tmp_path):
    result = take(source, ("a.wav", {}), ("b.flac", {"transcription": "x"}, 0.25, 0.5))
    write_import(result, tmp_path, copy=True, progress=False)
    read = read_manifest(tmp_path)
    assert read.columns["file_name"].tolist() == ["audio/000001.wav", "audio/000002.flac"]
    assert "start" not in read.columns and [declared_seconds(path) for path in read.paths()] == [2.0, 0.5]
    assert (tmp_path / "audio" / "000001.wav").read_bytes() == (source / "a.wav").read_bytes()


def test_a_piece_that_cannot_be_decoded_is_rejected_and_the_others_are_copied(source, tmp_path):
    content = bytearray((source / "b.flac").read_bytes())
    content[len(content) // 2] ^= 255
    (source / "b.flac").write_bytes(content)
    (tmp_path / "new").mkdir()
    pieces = ("b.flac", {}, 0.0, 1.9), ("a.wav", {"x": "1"}, 0.5, 1.0)
    result = write_import(take(source, *pieces), tmp_path / "new", copy=True, progress=False)
    assert (len(result.utterances), len(result.rejections), result.read) == (1, 1, 2)
    assert read_manifest(tmp_path / "new").columns["x"].tolist() == ["1"]
    (row,) = csv.DictReader((tmp_path / "new" / "rejected.csv").read_text().splitlines())
    assert row["file"] == str(source / "list") and row["row"] == "1" and "b.flac" in row["reason"]
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match=r"none of the recordings can be copied.*b\.flac"):
        write_import(take(source, pieces[0]), tmp_path / "none", copy=True, progress=False)


def test_a_name_that_two_roots_have_is_written_whole(source, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.wav").write_bytes((source / "b.flac").read_bytes())
    result = take(source, ("a.wav", {}), (str(other / "a.wav"), {}), roots=[other])
    (tmp_path / "new").mkdir()
    write_import(result, tmp_path / "new", progress=False)
    assert read_manifest(tmp_path / "new", result.roots).paths() == [str(source / "a.wav"), str(other / "a.wav")]


def test_a_file_is_found_by_the_other_form_of_its_name(source, tmp_path):
    (source / "a.wav").rename(source / "caf\u00e9.wav")
    assert take(source, ("cafe\u0301.wav", {})).utterances[0].name == "caf\u00e9.wav"
