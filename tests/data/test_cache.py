import os
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from jaxmeta.data import cache, extraction
from jaxmeta.data.audio import AudioError, read_audio
from jaxmeta.data.extraction import WaveformTransform
from jaxmeta.data.features import FeatureConfig, extract
from jaxmeta.data.file_hashes import content_hashes
from jaxmeta.data.manifest import read_manifest
from jaxmeta.files.folders import cache_home

CONFIG = FeatureConfig()


def open_features(folder, config=CONFIG, **arguments):
    manifest = read_manifest(folder)
    arguments = {"workers": 1, "progress": False, **arguments}
    return cache.cached_features(manifest, content_hashes(manifest, progress=False), config, **arguments)


def entries():
    return sorted((cache_home() / "features").glob("*"))


def count_extractions(monkeypatch, fail_at=None, error=KeyboardInterrupt):
    """Counts the recordings whose features are computed, and optionally fails at one of them."""
    calls = []

    def counted(waveform, config):
        calls.append(len(waveform))
        if len(calls) == fail_at:
            raise error
        return extract(waveform, config)

    monkeypatch.setattr(extraction, "extract", counted)
    return calls


def louder(waveform, rng, sample_rate):
    return waveform * rng.uniform(1, 2)


def test_frames_are_the_features_of_each_recording_in_order(make_waves):
    folder = make_waves(5)
    features = open_features(folder)
    expected = [extract(read_audio(folder / f"{i}.wav"), CONFIG) for i in range(5)]
    np.testing.assert_array_equal(features.frames, np.concatenate(expected))
    np.testing.assert_array_equal(features.lengths, [len(part) for part in expected])
    assert (features.frames.dtype, features.lengths.dtype) == (np.float32, np.int32)


def test_frames_are_memory_mapped_and_read_only(make_waves):
    frames = open_features(make_waves(2)).frames
    assert isinstance(frames, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        frames[0] = 0


def test_a_second_open_computes_nothing(make_waves, monkeypatch):
    folder = make_waves(3)
    first = open_features(folder)
    calls = count_extractions(monkeypatch)
    np.testing.assert_array_equal(open_features(folder).frames, first.frames)
    assert calls == []


def test_a_copy_of_the_corpus_elsewhere_shares_the_entry(make_waves, monkeypatch):
    open_features(make_waves(3, name="here"))
    calls = count_extractions(monkeypatch)
    open_features(make_waves(3, name="there"))
    assert calls == []


def test_key_changes_with_content_order_config_and_transform():
    transform = WaveformTransform("louder", louder, copies=2)
    keys = [
        cache.feature_key(["a", "b"], CONFIG),
        cache.feature_key(["b", "a"], CONFIG),
        cache.feature_key(["a", "c"], CONFIG),
        cache.feature_key(["a", "b"], replace(CONFIG, hop_length=160)),
        cache.feature_key(["a", "b"], CONFIG, transform),
        cache.feature_key(["a", "b"], CONFIG, transform._replace(name="quieter")),
        cache.feature_key(["a", "b"], CONFIG, transform._replace(seed=1)),
        cache.feature_key(["a", "b"], CONFIG, transform._replace(copies=3)),
    ]
    assert len(set(keys)) == len(keys)


def test_a_changed_recording_gives_its_new_features(make_waves):
    folder = make_waves(2)
    open_features(folder)
    samples, _ = soundfile.read(folder / "1.wav")
    info = os.stat(folder / "1.wav")
    soundfile.write(folder / "1.wav", samples[::-1], 16_000, subtype="PCM_16")
    os.utime(folder / "1.wav", ns=(info.st_atime_ns, info.st_mtime_ns))  # Same size and same time of modification.
    features = open_features(folder)
    np.testing.assert_array_equal(features.frames[features.lengths[0] :], extract(samples[::-1], CONFIG))


@pytest.mark.slow
def test_several_processes_give_the_bytes_of_one(make_waves, monkeypatch):
    monkeypatch.setattr(extraction, "CHUNK", 2)
    folder = make_waves(7)
    many = open_features(folder, workers=2)
    frames, lengths = many.frames.tobytes(), many.lengths.tobytes()
    (entry,) = entries()
    entry.rename(cache_home() / "aside")
    one = open_features(folder, workers=1)
    assert (one.frames.tobytes(), one.lengths.tobytes()) == (frames, lengths)


def test_an_error_in_another_process_names_row_and_file_and_leaves_nothing(make_waves, monkeypatch):
    monkeypatch.setattr(extraction, "CHUNK", 2)
    folder = make_waves(5)
    (folder / "3.wav").write_text("hello, this is not audio\n" * 9)
    with pytest.raises(AudioError, match=r"metadata\.csv, row 5: .*3\.wav: not readable"):
        open_features(folder, workers=2)
    assert entries() == []


def spoil(path, fault):
    """Makes a good recording bad in one way."""
    samples, rate = soundfile.read(path)
    if fault in ("nan", "infinite"):
        samples[7] = np.nan if fault == "nan" else np.inf
        soundfile.write(path, samples, rate, subtype="FLOAT")
    elif fault == "truncated":
        path.write_bytes(path.read_bytes()[:1000])
    elif fault == "0 Hz":
        path.write_bytes(path.read_bytes()[:24] + bytes(4) + path.read_bytes()[28:])
    elif fault == "no samples":
        soundfile.write(path, samples[:0], rate)
    elif fault == "not finite":
        soundfile.write(path, 1e25 * samples, rate, subtype="FLOAT")
    else:
        path.write_text("hello, this is not audio\n" * 9)


@pytest.mark.parametrize("fault", ["nan", "infinite", "truncated", "0 Hz", "no samples", "not finite", "not readable"])
def test_a_bad_recording_is_named_by_row_and_file_and_nothing_is_left(make_waves, monkeypatch, fault):
    monkeypatch.setattr(extraction, "CHUNK", 1)
    folder = make_waves(3)
    spoil(folder / "1.wav", fault)
    with pytest.raises(AudioError) as info:
        open_features(folder)
    for part in (f"{folder / 'metadata.csv'}, row 3: ", str(folder / "1.wav"), "nan" if fault == "nan" else ""):
        assert part in str(info.value)
    assert str(info.value).count("1.wav") == 1
    assert fault in str(info.value) or fault == "infinite"
    assert entries() == []


def test_interrupted_work_continues_from_the_chunks_that_are_done(make_waves, monkeypatch):
    monkeypatch.setattr(extraction, "CHUNK", 2)
    folder = make_waves(7)
    with monkeypatch.context() as patch:
        count_extractions(patch, fail_at=6)
        with pytest.raises(KeyboardInterrupt):
            open_features(folder)
    (partial,) = entries()
    assert sorted(os.listdir(partial)) == ["000000.npz", "000001.npz"]
    calls = count_extractions(monkeypatch)
    features = open_features(folder)
    assert len(calls) == 3
    expected = np.concatenate([extract(read_audio(folder / f"{i}.wav"), CONFIG) for i in range(7)])
    np.testing.assert_array_equal(features.frames, expected)
    assert [path.suffix for path in entries()] == [""]  # The chunks are gone.


def test_a_damaged_chunk_is_computed_again(make_waves, monkeypatch):
    monkeypatch.setattr(extraction, "CHUNK", 2)
    folder = make_waves(5)
    with monkeypatch.context() as patch:
        count_extractions(patch, fail_at=5)
        with pytest.raises(KeyboardInterrupt):
            open_features(folder)
    first, second = sorted(entries()[0].iterdir())
    first.write_bytes(first.read_bytes()[:-500])
    data = bytearray(second.read_bytes())
    data[len(data) // 2] ^= 1
    second.write_bytes(data)
    calls = count_extractions(monkeypatch)
    features = open_features(folder)
    assert len(calls) == 5
    expected = np.concatenate([extract(read_audio(folder / f"{i}.wav"), CONFIG) for i in range(5)])
    np.testing.assert_array_equal(features.frames, expected)


def flip(path):
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("frames.npy", flip),
        ("lengths.npy", flip),
        ("frames.npy", lambda path: path.write_bytes(path.read_bytes()[:-40])),
        ("frames.npy", lambda path: path.write_bytes(b"")),
        # numpy reads a header as Python's tokens, and says so where a parenthesis is not closed.
        ("frames.npy", lambda path: path.write_bytes(path.read_bytes().replace(b")", b"(", 1))),
        ("lengths.npy", lambda path: path.unlink()),
        ("meta.json", lambda path: path.write_text("{")),
        ("meta.json", lambda path: path.write_text("[]")),
        ("meta.json", lambda path: path.write_text('{"frames": "0", "lengths": "0", "mixed": 0}')),
    ],
)
def test_a_damaged_entry_is_said_and_computed_again(make_waves, caplog, name, damage):
    folder = make_waves(3)
    frames = np.array(open_features(folder).frames)
    (entry,) = entries()
    damage(entry / name)
    np.testing.assert_array_equal(open_features(folder).frames, frames)
    assert [record.message.endswith("computing the features again.") for record in caplog.records] == [True]
    assert entries() == [entry]


def test_two_runs_at_once_agree_and_leave_one_entry(make_waves, monkeypatch):
    monkeypatch.setattr(extraction, "CHUNK", 1)
    folder = make_waves(6)
    together, results = threading.Barrier(4), []

    def run():
        together.wait()
        results.append(open_features(folder))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = np.concatenate([extract(read_audio(folder / f"{i}.wav"), CONFIG) for i in range(6)])
    assert len(results) == 4
    for features in results:
        np.testing.assert_array_equal(features.frames, expected)
    assert len([path for path in entries() if not path.suffix]) == 1


def test_a_transform_is_the_same_whatever_the_order_and_differs_between_copies(make_waves):
    config = replace(CONFIG, normalize="none")
    transform = WaveformTransform("louder", louder, copies=2, seed=3)
    features = open_features(make_waves(3), config, transform=transform)
    plain = open_features(make_waves(3, name="same"), config)
    np.testing.assert_array_equal(features.lengths, np.repeat(plain.lengths, 2))
    first = features.frames[: plain.lengths[0]] - plain.frames[: plain.lengths[0]]
    second = features.frames[plain.lengths[0] : 2 * plain.lengths[0]] - plain.frames[: plain.lengths[0]]
    gains = np.median(first), np.median(second)  # A gain is a constant in the logarithm.
    assert all(0 < gain < 2 * np.log(2) for gain in gains)
    assert abs(gains[0] - gains[1]) > 1e-3
    np.testing.assert_allclose(first, gains[0], atol=1e-3)


def test_bands_without_a_bin_fail_before_any_work(make_waves, monkeypatch):
    calls = count_extractions(monkeypatch)
    with pytest.raises(ValueError, match="n_mels=256"):
        open_features(make_waves(2), replace(CONFIG, n_mels=256))
    assert calls == [] and entries() == []


@pytest.mark.slow
def test_call_at_the_top_of_a_script_says_what_to_do(make_waves, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from jaxmeta.data import extraction\nfrom jaxmeta.data.corpus import load_corpus\n"
        f"extraction.CHUNK = 1\nload_corpus({str(make_waves(2))!r}, workers=2)\n"
    )
    run = subprocess.run([sys.executable, script], env=os.environ | {"PYTHONPATH": os.getcwd()}, capture_output=True)
    assert run.returncode == 1
    assert b"if __name__ == '__main__':" in run.stderr.splitlines()[-1]


def test_parts_of_several_processes_make_the_features_and_none_computes_what_another_did(make_waves, monkeypatch):
    folder = make_waves(4)
    monkeypatch.setattr(extraction, "CHUNK", 1)
    calls, manifest = count_extractions(monkeypatch), read_manifest(folder)
    hashes = content_hashes(manifest, progress=False)
    done = [0]
    for index in range(3):
        cache.compute_part(manifest, hashes, CONFIG, index, 3)
        done.append(len(calls))
        assert done[-1] - done[-2] == sum(int(digest, 16) % 3 == index for digest in hashes)
    features = open_features(folder)
    assert len(calls) == done[-1] == 4
    expected = [extract(read_audio(folder / f"{i}.wav"), CONFIG) for i in range(4)]
    np.testing.assert_array_equal(features.frames, np.concatenate(expected))
    cache.compute_part(manifest, hashes, CONFIG, 0, 3)
    assert len(calls) == 4
