import json
import os

import pytest

from jaxmeta.data import file_hashes as contents
from jaxmeta.data.file_hashes import content_hashes
from jaxmeta.data.manifest import read_manifest
from jaxmeta.files.folders import cache_home


def test_hashes_are_remembered_until_the_file_changes(make_waves, monkeypatch):
    manifest = read_manifest(make_waves(2))
    monkeypatch.setattr(contents, "_SETTLED", -60.0)  # As though the files had been written a minute ago.
    first = content_hashes(manifest)
    (index,) = (cache_home() / "hashes").glob("*.json")
    known = json.loads(index.read_text().split("\n", 1)[1])
    known["0.wav"][3] = "remembered"
    contents._write_index(index, known)
    assert content_hashes(manifest) == ["remembered", first[1]]
    os.utime(manifest.root / "0.wav")
    assert content_hashes(manifest) == first


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"0.wav": 3}', "\n", "\xff\n{}"])
def test_a_damaged_index_of_hashes_is_made_again(make_waves, monkeypatch, text):
    manifest = read_manifest(make_waves(2))
    monkeypatch.setattr(contents, "_SETTLED", -60.0)
    first = content_hashes(manifest)
    (index,) = (cache_home() / "hashes").glob("*.json")
    whole = index.read_text()
    index.write_text(text)
    assert content_hashes(manifest) == first
    assert index.read_text() == whole


def test_a_flipped_bit_anywhere_in_the_index_is_noticed(make_waves, monkeypatch):
    manifest = read_manifest(make_waves(2))
    monkeypatch.setattr(contents, "_SETTLED", -60.0)
    first = content_hashes(manifest)
    (index,) = (cache_home() / "hashes").glob("*.json")
    whole = index.read_bytes()
    for place in range(0, len(whole), 7):
        index.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert content_hashes(manifest) == first


def test_files_changed_a_moment_ago_are_not_remembered(make_waves):
    content_hashes(read_manifest(make_waves(2)))
    assert not (cache_home() / "hashes").exists()
