import json
import os

import pytest

from jaxmeta.data import file_hashes as contents
from jaxmeta.data.file_hashes import content_hashes
from jaxmeta.data.manifest import read_manifest
from jaxmeta.folders import cache_home


def test_hashes_are_remembered_until_the_file_changes(make_waves, monkeypatch):
    manifest = read_manifest(make_waves(2))
    monkeypatch.setattr(contents, "_SETTLED", -60.0)  # As though the files had been written a minute ago.
    first = content_hashes(manifest)
    (index,) = (cache_home() / "hashes").glob("*.json")
    known = json.loads(index.read_text())
    known["0.wav"][3] = "remembered"
    index.write_text(json.dumps(known))
    assert content_hashes(manifest) == ["remembered", first[1]]
    os.utime(manifest.root / "0.wav")
    assert content_hashes(manifest) == first


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"0.wav": 3}'])
def test_a_damaged_index_of_hashes_is_made_again(make_waves, monkeypatch, text):
    manifest = read_manifest(make_waves(2))
    monkeypatch.setattr(contents, "_SETTLED", -60.0)
    first = content_hashes(manifest)
    (index,) = (cache_home() / "hashes").glob("*.json")
    whole = index.read_text()
    index.write_text(text)
    assert content_hashes(manifest) == first
    assert json.loads(index.read_text()) == json.loads(whole)


def test_files_changed_a_moment_ago_are_not_remembered(make_waves):
    content_hashes(read_manifest(make_waves(2)))
    assert not (cache_home() / "hashes").exists()
