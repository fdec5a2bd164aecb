import os

import numpy as np
import pytest

from jaxmeta.data.manifest import ManifestError, copy_recordings, read_manifest, write_manifest


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "words"
    (root / "audio").mkdir(parents=True)
    for name in ("a.wav", "b.wav", "c.wav"):
        (root / "audio" / name).write_bytes(b"not empty")
    return root


def put(folder, text):
    (folder / "metadata.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def refused(folder, *parts):
    """The error names the CSV file and says each of the parts."""
    with pytest.raises(ManifestError) as info:
        read_manifest(folder)
    for part in ("metadata.csv", *parts):
        assert part in str(info.value)


def test_columns_are_strings_in_file_order(folder):
    put(folder, 'file_name,label,take\naudio/b.wav,猫,01\naudio/a.wav,"yes, ""now""",2.50\n')
    manifest = read_manifest(folder)
    assert {name: column.tolist() for name, column in manifest.columns.items()} == {
        "file_name": ["audio/b.wav", "audio/a.wav"],
        "label": ["猫", 'yes, "now"'],
        "take": ["01", "2.50"],
    }
    assert manifest.root == folder.resolve()


def test_byte_order_mark_windows_line_ends_and_final_blank_lines_are_read(folder):
    put(folder, b"\xef\xbb\xbffile_name,label\r\naudio/a.wav,x\r\n\r\n\r\n")
    assert read_manifest(folder).columns["label"].tolist() == ["x"]


def test_a_csv_of_another_name_is_read_from_its_own_folder(folder):
    (folder / "train.csv").write_text("file_name\naudio/a.wav\n")
    manifest = read_manifest(folder / "train.csv")
    assert manifest.where(0) == f"{folder.resolve() / 'train.csv'}, row 2"


def test_written_columns_are_read_back(folder):
    columns = {"label": ["a,b", 'quo"te', "two\nlines"], "file_name": [f"audio/{x}.wav" for x in "abc"]}
    write_manifest(folder, columns)
    read = read_manifest(folder).columns
    assert {name: read[name].tolist() for name in columns} == columns


def test_write_that_fails_leaves_the_old_manifest_and_nothing_else(folder, monkeypatch):
    put(folder, "file_name\naudio/a.wav\n")
    before = sorted(os.listdir(folder))

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_manifest(folder, {"file_name": ["audio/b.wav"]})
    assert sorted(os.listdir(folder)) == before
    assert (folder / "metadata.csv").read_text() == "file_name\naudio/a.wav\n"


@pytest.mark.parametrize(
    "columns",
    [{"label": ["x"]}, {"file_name": []}, {"file_name": ["a.wav"], "label": []}, {"file_name": ["a.wav", "./a.wav"]}],
)
def test_write_refuses_what_read_would(tmp_path, columns):
    with pytest.raises(ManifestError):
        write_manifest(tmp_path / "new", columns)
    assert not (tmp_path / "new").exists()


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(ManifestError, match="nowhere: no such folder"):
        read_manifest(tmp_path / "nowhere")


def test_missing_metadata_is_named(folder):
    refused(folder, "no such file")


@pytest.mark.parametrize("text", ["", "\n\n", b"\xef\xbb\xbf"])
def test_empty_csv_is_refused(folder, text):
    refused(put(folder, text), "empty")


def test_header_without_rows_is_refused(folder):
    refused(put(folder, "file_name,label\n"), "no rows")


def test_missing_file_name_column_is_refused_with_the_columns_found(folder):
    refused(put(folder, "path,label\naudio/a.wav,x\n"), "row 1", "file_name", "path, label")


@pytest.mark.parametrize("header", ["file_name,x,x", "file_name,,x"])
def test_repeated_or_empty_column_names_are_refused(folder, header):
    refused(put(folder, f"{header}\naudio/a.wav,1,2\n"), "row 1", "distinct")


@pytest.mark.parametrize("row", ["audio/b.wav", "audio/b.wav,x,y", ""])
def test_ragged_row_is_named(folder, row):
    refused(put(folder, f"file_name,label\naudio/a.wav,x\n{row}\naudio/c.wav,z\n"), "row 3", "fields")


def test_rows_are_counted_as_a_spreadsheet_does_when_a_field_spans_lines(folder):
    refused(put(folder, 'file_name,label\naudio/a.wav,"one\ntwo\nthree"\naudio/b.wav\n'), "row 3", "fields")


def test_unclosed_quote_is_refused(folder):
    refused(put(folder, 'file_name,label\naudio/a.wav,x\naudio/b.wav,"y\n'), "row 3", "CSV")


def test_text_that_is_not_utf8_is_named(folder):
    refused(put(folder, b"file_name,label\naudio/a.wav,x\naudio/b.wav,caf\xe9\n"), "row 3", "UTF-8")


def test_nul_character_is_refused(folder):
    refused(put(folder, b"file_name,label\naudio/a.wav,\0\n"), "row 2", "NUL")


@pytest.mark.parametrize("again", ["audio/a.wav", "./audio/a.wav", "audio//a.wav"])
def test_duplicate_row_names_both_rows(folder, again):
    refused(put(folder, f"file_name\naudio/a.wav\naudio/b.wav\n{again}\n"), "row 4", "already in row 2", again)


@pytest.mark.parametrize("name", ["/etc/hosts", "../words/audio/a.wav", "a/../../a.wav", "C:\\a.wav", "a\\..\\..\\b"])
def test_path_that_leaves_the_folder_is_refused(folder, name):
    refused(put(folder, f"file_name\naudio/a.wav\n{name}\n"), "row 3", repr(name), "inside the folder")


def test_empty_file_name_is_refused(folder):
    refused(put(folder, "file_name,label\naudio/a.wav,x\n,y\n"), "row 3", "inside the folder")


def test_links_out_of_the_folder_are_refused_and_links_within_are_not(folder, tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.wav").write_bytes(b"not empty")
    (folder / "file.wav").symlink_to(tmp_path / "secret" / "a.wav")
    (folder / "outside").symlink_to(tmp_path / "secret")
    (folder / "within.wav").symlink_to(folder / "audio" / "a.wav")
    refused(put(folder, "file_name\naudio/a.wav\nfile.wav\n"), "row 3", "link out of")
    refused(put(folder, "file_name\noutside/a.wav\n"), "row 2", "link out of")
    assert read_manifest(put(folder, "file_name\nwithin.wav\n")).columns["file_name"].tolist() == ["within.wav"]


def test_missing_file_is_named(folder):
    rows = "file_name\naudio/a.wav\naudio/gone.wav\n"
    refused(put(folder, rows), "row 3", "audio/gone.wav", "copy it there, or give --root")


def test_folder_in_place_of_a_file_is_named(folder):
    refused(put(folder, "file_name\naudio\n"), "row 2", "not a file")


def test_empty_file_is_named(folder):
    (folder / "audio" / "b.wav").write_bytes(b"")
    refused(put(folder, "file_name\naudio/a.wav\naudio/b.wav\n"), "row 3", "audio/b.wav", "0 bytes")


def test_columns_of_numpy_strings_are_written(folder):
    write_manifest(folder, {"file_name": np.array(["audio/a.wav"]), "label": np.array([7])})
    assert read_manifest(folder).columns["label"].tolist() == ["7"]


def test_recordings_are_copied_under_numbers_with_what_is_said_of_them(tmp_path):
    for name in ("a.wav", "b.flac"):
        (tmp_path / name).write_bytes(name.encode())
    columns = {"file_name": np.array(["b.flac", "a.wav"]), "transcription": ["two", "one"]}
    read = read_manifest(copy_recordings(tmp_path, tmp_path / "copies", columns))
    assert read.columns["file_name"].tolist() == ["01.flac", "02.wav"]
    assert read.columns["transcription"].tolist() == ["two", "one"]
    assert (tmp_path / "copies" / "02.wav").read_bytes() == b"a.wav"
