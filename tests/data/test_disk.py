"""What is written is whole, or an error names the file; the process lives on."""

import contextlib
import errno
import os
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest

from jaxmeta.data import numba_cache
from jaxmeta.data.audio import write_audio
from jaxmeta.data.corpus import load_corpus
from jaxmeta.data.file_hashes import _write_index
from jaxmeta.data.manifest import write_manifest
from jaxmeta.files.durable import write_bytes, write_json
from jaxmeta.files.folders import cache_folder, cache_home


@contextlib.contextmanager
def largest_file(size):
    """No file may grow beyond this many bytes, as on a disk that is nearly full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


NOISE = np.random.default_rng(0).uniform(-1, 1, 9_000)
WRITERS = {
    "manifest": (lambda path: write_manifest(path, {"file_name": [f"{i}.wav" for i in range(999)]}), "metadata.csv"),
    "wav": (lambda path: write_audio(path / "a.wav", np.zeros(9_000), 16_000), "a.wav"),
    "flac": (lambda path: write_audio(path / "a.flac", NOISE, 16_000), "a.flac"),
    "bytes": (lambda path: write_bytes(path / "b", bytes(9_000)), "b"),
    "json": (lambda path: write_json(path / "c.json", list(range(9_000))), "c.json"),
    "index": (lambda path: _write_index(path / "d.json", {str(i): [1, 2, 3, "x"] for i in range(999)}), "d.json"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_is_an_error_that_names_the_file_and_leaves_no_part(tmp_path, kind):
    write, name = WRITERS[kind]
    with largest_file(2_000), pytest.raises(OSError, match=name) as info:
        write(tmp_path)
    assert info.value.errno == errno.EFBIG and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [100, 1_000, 5_000, 20_000])
def test_a_cache_on_a_full_disk_is_an_error_that_names_a_file_of_it(make_waves, size):
    folder = make_waves(30)
    with largest_file(size), pytest.raises(OSError, match=str(cache_home())):
        load_corpus(folder, workers=1, progress=False)
    assert len(load_corpus(folder, workers=1, progress=False)) == 30


@pytest.mark.parametrize("place", [0, 20, 100, 300, 500])
def test_a_flipped_bit_in_what_the_cache_says_of_itself_is_noticed(make_waves, place):
    folder = make_waves(3)
    expected = load_corpus(folder, workers=1, progress=False)
    (meta,) = (cache_home() / "features").glob("*/meta.json")
    whole = bytearray(meta.read_bytes())
    place = min(place, len(whole) - 2)
    whole[place] ^= 1
    meta.write_bytes(whole)
    again = load_corpus(folder, workers=1, progress=False)
    np.testing.assert_array_equal(again.frames, expected.frames)
    assert meta.read_bytes() != whole


def test_a_cache_folder_that_cannot_be_made_says_how_to_choose_another(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("JAXMETA_HOME", str(tmp_path / "file" / "cache"))
    with pytest.raises(NotADirectoryError, match=r"set JAXMETA_HOME.*file/cache"):
        cache_folder("features")


def test_a_user_without_a_home_folder_is_told_of_the_variable(monkeypatch):
    monkeypatch.delenv("JAXMETA_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    with pytest.raises(OSError, match="no home folder; set JAXMETA_HOME"):
        cache_home()


def test_numba_gets_a_private_folder_only_where_it_has_none(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new" / "cache"))
    numba_cache.choose_numba_cache()
    assert "NUMBA_CACHE_DIR" not in os.environ
    monkeypatch.setattr(numba_cache, "_writable", lambda folder: False)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    numba_cache.choose_numba_cache()
    folder = os.environ["NUMBA_CACHE_DIR"]
    assert folder.startswith(str(tmp_path)) and os.stat(folder).st_mode & 0o777 == 0o700
    # A folder that others can write to is not trusted: numba runs what it finds there.
    os.chmod(folder, 0o777)
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    numba_cache.choose_numba_cache()
    other = os.environ["NUMBA_CACHE_DIR"]
    assert other != folder and os.stat(other).st_mode & 0o077 == 0
    shutil.rmtree(other)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
@pytest.mark.parametrize("size", ["20k", "40k", "80k", "120k", "160k"])
def test_disks_of_five_sizes_end_no_process(make_waves, tmp_path, size):
    folder, small = make_waves(60), tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", small], check=False).returncode:
        pytest.skip("cannot mount")
    code = f"from jaxmeta.data.corpus import load_corpus; load_corpus({str(folder)!r}, workers=1, progress=False)"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"JAXMETA_HOME": str(small)}, capture_output=True, text=True
        )
    finally:
        subprocess.run(["umount", small], check=True)
    assert done.returncode == 1 and "No space left on device" in done.stderr and str(small) in done.stderr
