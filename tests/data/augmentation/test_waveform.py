"""Conditions: the stated ratio of powers, rooms as a convolution, noises parted by type, the same in any process."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from jaxmeta.data.audio import write_audio
from jaxmeta.data.augmentation.banks import coloured_noise
from jaxmeta.data.augmentation.waveform import find_noises, in_condition, noisy, reverberant, split_noises
from jaxmeta.data.corpus import Corpus, load_corpus
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.manifest import write_manifest

RATE = 16_000


def speech(size=4000, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(size)).astype(np.float32)


def applied(transform, waveform, seed=3):
    return transform.apply(waveform, np.random.default_rng(seed), RATE)


def make_noises(folder, kinds=("rain", "wind", "sea", "car"), takes=2, seconds=0.2):
    """Recordings of noise whose samples have the sign and the size of their own number."""
    names = [f"{kind}_{take}.wav" for kind in kinds for take in range(takes)]
    for number, name in enumerate(names):
        ramp = np.linspace(0.1, 0.9, round(seconds * RATE)) * (-1) ** number / (number + 1)
        write_audio(folder / name, ramp, RATE)
    write_manifest(folder, {"file_name": names, "label": np.repeat(kinds, takes)})
    return folder


@pytest.mark.parametrize("snr_db", [20.0, 10.0, 5.0, 0.0])
@pytest.mark.parametrize("size", [50, 4000, 20_000])
def test_the_ratio_is_that_of_mean_powers_over_the_clip(tmp_path, snr_db, size):
    clean = speech(size)
    for noises in (coloured_noise(3, 0.1), find_noises(make_noises(tmp_path / f"noise{size}{snr_db}"))):
        noise = applied(noisy(noises, snr_db), clean).astype(np.float64) - clean
        ratio = 10 * np.log10(np.mean(clean.astype(np.float64) ** 2) / np.mean(noise**2))
        # Adding in float32 leaves an error of 1e-7 of the speech: 1e-3 dB at most where noise is 20 dB lower.
        assert ratio == pytest.approx(snr_db, abs=2e-3)


def test_the_noise_is_a_stretch_of_one_recording_that_goes_round():
    ramp = np.arange(1, 101, dtype=np.float32)[None] / 100
    clean = speech(250)
    noise = applied(noisy(ramp, 0.0), clean).astype(np.float64) - clean
    start = np.argmin(np.abs(noise[:100]))
    expected = (np.arange(250) - start) % 100 + 1.0
    np.testing.assert_allclose(noise / noise[start], expected, rtol=2e-4)


def test_levels_differ_in_nothing_but_the_level():
    clean, bank = speech(), coloured_noise(20, 0.5)
    loud, soft = (applied(noisy(bank, snr), clean).astype(np.float64) - clean for snr in (0.0, 20.0))
    np.testing.assert_allclose(loud, 10 * soft, atol=1e-6)


def test_every_recording_of_noise_is_used_and_none_of_another_kind(tmp_path):
    folder = make_noises(tmp_path / "noise")
    seen = find_noises(folder, ["rain", "sea"])
    assert seen.files == ("rain_0.wav", "rain_1.wav", "sea_0.wav", "sea_1.wav") and seen.kinds == ("rain", "sea")
    clean = speech(1000)
    recordings = {}
    for seed in range(60):
        noise = applied(noisy(seen, 0.0), clean, seed).astype(np.float64) - clean
        # The sign tells takes apart.
        recordings[bool(noise.mean() < 0)] = recordings.get(bool(noise.mean() < 0), 0) + 1
    assert set(recordings) == {True, False} and min(recordings.values()) > 12


def test_silent_stretches_of_noise_are_drawn_again():
    bank = np.zeros((1, 10_000), np.float32)
    bank[0, :1000] = 1
    clean = speech(200)  # One stretch in eight is not silent.
    for seed in range(5):
        assert np.abs(applied(noisy(bank, 10.0), clean, seed) - clean).max() > 0.01
    with pytest.raises(ValueError, match="100 stretches of noise in turn were digital silence"):
        applied(noisy(np.eye(1, 100_000), 10.0), clean[:1])


def test_a_silent_recording_is_refused():
    with pytest.raises(ValueError, match="digital silence, so that no level of noise follows"):
        applied(noisy(coloured_noise(1, 0.1), 10.0), np.zeros(100, np.float32))


def test_a_room_is_a_convolution_from_the_direct_path_on_at_the_same_power():
    room = np.zeros((1, 400), np.float32)
    room[0, [50, 90, 300]] = 0.8, -0.4, 0.2
    dry = speech()
    wet = applied(reverberant(room), dry)
    expected = np.convolve(dry.astype(np.float64), room[0, 50:])[: len(dry)]
    expected *= np.sqrt(np.sum(dry.astype(np.float64) ** 2) / np.sum(expected**2))
    assert wet.dtype == np.float32
    np.testing.assert_allclose(wet, expected, atol=1e-6)


def test_a_direct_path_alone_changes_nothing():
    np.testing.assert_allclose(applied(reverberant(np.array([[0.0, 0.5, 0.0]])), speech()), speech(), atol=1e-6)


def test_noises_are_parted_by_type(tmp_path):
    folder = make_noises(tmp_path / "noise")
    parts = [split_noises(folder, seen=0.5, seed=seed) for seed in range(20)]
    for seen, unseen in parts:
        assert len(seen.kinds) == len(unseen.kinds) == 2
        assert sorted(seen.kinds + unseen.kinds) == ["car", "rain", "sea", "wind"]
        assert all(name.split("_")[0] in seen.kinds for name in seen.files) and len(seen.files) == 4
        assert not set(seen.files) & set(unseen.files) and seen.digest != unseen.digest
    assert parts[0] == split_noises(folder, seen=0.5, seed=0) and len({seen for seen, _ in parts}) > 3
    assert [len(split_noises(folder, seen=share)[0].kinds) for share in (0.01, 0.75, 0.99)] == [1, 3, 3]


def test_the_name_tells_conditions_apart(tmp_path):
    folder = make_noises(tmp_path / "noise")
    seen, unseen = split_noises(folder)
    bank = coloured_noise(2, 0.1)
    transforms = [
        noisy(seen, 10), noisy(unseen, 10), noisy(seen, 10.001), noisy(bank, 10), noisy(2 * bank, 10),
        noisy(bank[:1], 10), reverberant(bank), reverberant(bank[:1]),
    ]  # fmt: skip
    assert len({transform.name for transform in transforms}) == len(transforms)
    assert noisy(seen, 10).name == noisy(find_noises(folder, seen.kinds), 10.0).name


def test_transforms_can_be_sent_to_other_processes(tmp_path):
    seen, _ = split_noises(make_noises(tmp_path / "noise"))
    for transform in (noisy(seen, 5.0), noisy(coloured_noise(2, 0.1), 5.0), reverberant(coloured_noise(2, 0.1))):
        again = pickle.loads(pickle.dumps(transform))
        np.testing.assert_array_equal(applied(again, speech()), applied(transform, speech()))
    assert len(pickle.dumps(noisy(seen, 5.0))) < 2000


def test_a_corpus_is_the_same_in_any_chunks_and_keeps_its_recordings(make_waves, tmp_path, monkeypatch):
    folder, config = make_waves(6), FeatureConfig(normalize="none")
    transform = noisy(find_noises(make_noises(tmp_path / "noise")), 5.0, copies=2)
    plain = load_corpus(folder, config, workers=1, progress=False)
    one = load_corpus(folder, config, workers=1, progress=False, transform=transform)
    monkeypatch.setenv("JAXMETA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("jaxmeta.data.extraction.CHUNK", 2)
    two = load_corpus(folder, config, workers=1, progress=False, transform=transform)
    np.testing.assert_array_equal(one.frames, two.frames)
    assert one.columns["recording"].tolist() == np.repeat(plain.columns["recording"], 2).tolist()
    copies = [one.frames[start : start + length] for start, length in zip(one.start[:2], one.length[:2], strict=True)]
    assert copies[0].shape == copies[1].shape and not np.array_equal(*copies)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: split_noises(folder, seen=0.0), "seen must lie between 0 and 1, got 0.0"),
        (lambda folder: split_noises(folder, by="source"), "by='source': .* has no such column; it has file_name"),
        (lambda folder: find_noises(folder, ["hail"]), r"kinds=\['hail'\] must be some of \['car', 'rain'"),
        (lambda folder: find_noises(folder, []), r"kinds=\[\] must be some of"),
        (lambda folder: noisy(find_noises(folder), np.inf), "snr_db must be finite, got inf"),
        (lambda folder: noisy(find_noises(folder), 5.0, copies=0), "copies must be at least 1"),
        (lambda folder: noisy(np.ones(5), 5.0), r"noises must be finite waveforms \[M, L\].*\(5,\)"),
        (lambda folder: reverberant(np.zeros((1, 5))), "rooms must be finite waveforms"),
        (lambda folder: reverberant(np.array([[np.nan, 1]])), "rooms must be finite"),
    ],
)
def test_bad_arguments_are_named(tmp_path, make, message):
    with pytest.raises(ValueError, match=message):
        make(make_noises(tmp_path / "noise", takes=1))


def test_one_type_of_noise_cannot_be_parted(tmp_path):
    with pytest.raises(ValueError, match=r"has one type of noise, 'rain'; splitting needs two"):
        split_noises(make_noises(tmp_path / "noise", ["rain"]))


@pytest.mark.skipif("JAXMETA_DATA" not in os.environ, reason="needs real recordings: set JAXMETA_DATA")
def test_recorded_noises_part_by_label_and_by_source():
    home = Path(os.environ["JAXMETA_DATA"])
    seen, unseen = split_noises(home / "noise_esc10", seen=0.5)
    assert len(seen.kinds) == len(unseen.kinds) == 5 and len(seen.files) == len(unseen.files) == 200
    seen, unseen = split_noises(home / "noise_long", seen=0.5, by="source")
    assert len(seen.files) + len(unseen.files) == 26
    clean = speech(3 * RATE)
    for seed in range(3):
        noise = applied(noisy(unseen, 5.0), clean, seed).astype(np.float64) - clean
        assert 10 * np.log10(np.mean(clean.astype(np.float64) ** 2) / np.mean(noise**2)) == pytest.approx(5, abs=2e-3)


def test_a_condition_gives_chosen_recordings_the_features_that_the_whole_corpus_would_have(tmp_path):
    folder, transform = make_noises(tmp_path), noisy(coloured_noise(2, 0.1), 10.0, seed=3)
    config = FeatureConfig(n_mels=16)
    clean, whole = (load_corpus(folder, config, transform=each, progress=False) for each in (None, transform))
    mask = np.arange(8) % 5 == 1
    chosen, expected = in_condition(clean.select(mask), folder, transform), whole.select(mask)
    for row in range(len(expected)):
        own, other = (c.frames[c.start[row] : c.start[row] + c.length[row]] for c in (chosen, expected))
        np.testing.assert_array_equal(own, other)
    np.testing.assert_array_equal(chosen.columns["file_name"], expected.columns["file_name"])
    assert chosen.fingerprint != clean.fingerprint


def test_a_corpus_without_its_features_is_put_into_no_condition(tmp_path):
    frames = np.zeros((4, 2), np.float32)
    corpus = Corpus(frames, np.array([0]), np.array([4], np.int32), {"file_name": np.array(["a.wav"])})
    transform = noisy(np.ones((1, 8)), 5.0, copies=2)
    assert in_condition(corpus, tmp_path, None) is corpus
    with pytest.raises(ValueError, match=r"needs a corpus with a config and one copy, got copies=2"):
        in_condition(corpus, tmp_path, transform)
