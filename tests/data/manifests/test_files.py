"""Files outside of the folder of a manifest, for whoever allows it."""

import os

import pytest

from jaxmeta.data.corpus import load_corpus
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.manifest import ManifestError, read_manifest, write_manifest


@pytest.fixture
def apart(tmp_path):
    """A manifest, and a folder of recordings elsewhere."""
    lists, recordings = tmp_path / "lists", tmp_path / "recordings"
    for folder in (lists, recordings / "audio"):
        folder.mkdir(parents=True)
    for name in ("a.wav", "b.wav"):
        (recordings / "audio" / name).write_bytes(b"not empty")
    return lists, recordings


def put(folder, *names):
    (folder / "metadata.csv").write_text("\n".join(["file_name", *map(str, names)]) + "\n")
    return folder


def test_names_are_relative_to_a_root_or_absolute_within_it(apart):
    lists, recordings = apart
    expected = [str(recordings.resolve() / "audio" / name) for name in ("a.wav", "b.wav")]
    read = read_manifest(put(lists, "audio/a.wav", recordings / "audio" / "b.wav"), [recordings])
    assert read.paths() == expected


def test_without_a_root_nothing_outside_is_opened(apart):
    lists, recordings = apart
    with pytest.raises(ManifestError, match=r"row 2: file_name .* must be a path inside the folder.*need --root"):
        read_manifest(put(lists, recordings / "audio" / "a.wav"))
    with pytest.raises(ManifestError, match=r"row 2: cannot open 'audio/a.wav', .* give --root with its folder"):
        read_manifest(put(lists, "audio/a.wav"))


@pytest.mark.parametrize("name", ["/etc/hosts", "../recordings/audio/a.wav", "/etc/../etc/hosts"])
def test_a_root_allows_no_other_folder(apart, name):
    lists, recordings = apart
    with pytest.raises(ManifestError, match=r"row 2: .*(outside of|without '..')"):
        read_manifest(put(lists, name), [recordings])


def test_a_link_out_of_a_root_is_refused(apart, tmp_path):
    lists, recordings = apart
    (tmp_path / "secret.wav").write_bytes(b"secret")
    (recordings / "link.wav").symlink_to(tmp_path / "secret.wav")
    with pytest.raises(ManifestError, match=r"row 2: 'link.wav' is a link out of"):
        read_manifest(put(lists, "link.wav"), [recordings])


def test_a_link_that_leads_to_itself_is_named(apart):
    lists, recordings = apart
    (recordings / "loop.wav").symlink_to(recordings / "loop.wav")
    with pytest.raises(ManifestError, match=r"row 2: cannot open 'loop.wav'"):
        read_manifest(put(lists, "loop.wav"), [recordings])


def test_a_name_in_two_folders_is_refused(apart):
    lists, recordings = apart
    (lists / "audio").mkdir()
    (lists / "audio" / "a.wav").write_bytes(b"another")
    with pytest.raises(ManifestError, match=r"row 2: 'audio/a.wav' is there twice"):
        read_manifest(put(lists, "audio/a.wav"), [recordings])
    assert read_manifest(put(lists, "audio/a.wav"), [lists]).paths() == [str(lists.resolve() / "audio" / "a.wav")]


def test_a_root_that_is_no_folder_is_named(apart):
    lists, recordings = apart
    with pytest.raises(ValueError, match=r"nowhere: no such folder"):
        read_manifest(put(lists, "audio/a.wav"), [recordings / "nowhere"])


def test_a_corpus_is_the_same_wherever_its_recordings_lie(make_waves, tmp_path):
    recordings = make_waves(3)
    lists = tmp_path / "lists"
    write_manifest(lists, {"file_name": [f"{place}.wav" for place in range(3)]})
    config = FeatureConfig(n_mels=16)
    before = load_corpus(lists, config, workers=1, progress=False, roots=[recordings])
    os.rename(recordings, tmp_path / "moved")
    after = load_corpus(lists, config, workers=1, progress=False, roots=[tmp_path / "moved"])
    assert after.fingerprint == before.fingerprint and (after.frames == before.frames).all()
