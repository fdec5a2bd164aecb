"""The noise experiment: which noise is for training and which for the test, its flags and errors."""

from pathlib import Path

import numpy as np
import pytest

from experiments.noise.__main__ import METHODS, ON_BASE, PRESETS, SNRS, TUNED, Config, _preset, main
from experiments.noise.data import five_seconds, recorded_noise, speakers_in_noise
from jaxmeta.data.audio import write_audio
from jaxmeta.data.corpus import load_corpus
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.manifest import write_manifest

RATE = 16_000


def write(folder: Path, names: list[str], seconds=0.1, **columns: list[str]) -> Path:
    """A manifest of short noises, each of a level of its own."""
    for number, name in enumerate(names):
        wave = np.random.default_rng(number).normal(size=round(seconds * RATE)) * 0.1 / (number + 1)
        write_audio(folder / name, wave.astype(np.float32), RATE)
    write_manifest(folder, {"file_name": names, **columns})
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The three folders of recorded noise, in small: four types in five folds, long noise, and two kinds of rooms."""
    home = tmp_path_factory.mktemp("home")
    kinds, folds = ("rain", "wind", "sea", "saw"), ("1", "2", "3", "4", "5")
    both = [(kind, fold) for kind in kinds for fold in folds]
    (home / "noise_esc10").mkdir()
    write(
        home / "noise_esc10", [f"{kind}_{fold}.wav" for kind, fold in both],
        label=[kind for kind, _ in both], fold=[fold for _, fold in both],
    )  # fmt: skip
    (home / "noise_long").mkdir()
    write(home / "noise_long", ["babble.wav", "street.wav"], source=["a", "b"])
    (home / "rir_iosr").mkdir()
    write(home / "rir_iosr", ["dead.wav", "hall.wav"], room=["anechoic", "room_a"])
    return home


@pytest.fixture(scope="module")
def noise(home):
    """Noises for training, and conditions of the test."""
    return recorded_noise(home / "noise_esc10", home / "noise_long", home / "rir_iosr", SNRS, 0)


def kinds_of(files):
    return {name.split("_")[0] for name in files}


def test_types_are_seen_or_unseen_and_no_recording_is_in_both_training_and_test(noise):
    known, conditions = noise
    noises = {c.kind: c.transform.apply.keywords["noises"] for c in conditions if c.snr == 0}
    seen, unseen = noises["seen"], noises["unseen"]
    assert len(kinds_of(seen.files)) == len(kinds_of(unseen.files)) == 2
    assert not kinds_of(seen.files) & kinds_of(unseen.files)
    # Folds 4 and 5 are the test's; training has the three others of the two seen types.
    assert all(name[-5] in "45" for name in (*seen.files, *unseen.files)) and len(seen.files) == 4
    assert np.shape(five_seconds(known)) == (6, 5 * RATE)
    assert noises["background"].files == ("babble.wav", "street.wav")


def test_each_training_speaker_is_in_one_condition(home, noise):
    corpus = load_corpus(home / "noise_esc10", FeatureConfig(n_mels=16, hop_length=160), progress=False)
    corpus = corpus.with_column("speaker", corpus.columns["label"])
    noisy = speakers_in_noise(corpus, home / "noise_esc10", noise[0], (5.0,), 0)
    clean = frames_of(corpus)
    same = {name: np.array_equal(frames, clean[name]) for name, frames in frames_of(noisy).items()}
    assert same == {name: name.startswith(("rain", "sea")) for name in clean}


def frames_of(corpus) -> dict[str, np.ndarray]:
    rows = zip(corpus.columns["file_name"].tolist(), corpus.start, corpus.length, strict=True)
    return {name: corpus.frames[start : start + length] for name, start, length in rows}


def test_rooms_without_echo_are_no_condition(noise):
    assert len(noise[1][-1].transform.apply.keywords["rooms"]) == 1


def test_rates_are_chosen_in_seen_noise_that_both_presets_have(noise):
    recorded = {condition.name for condition in noise[1]}
    artificial = {f"{kind} {snr:g} dB" for kind in ("seen", "unseen") for snr in SNRS}
    assert set(TUNED) <= recorded & artificial and all(name.startswith("seen") for name in TUNED)


def test_presets_and_flags(monkeypatch, tmp_path):
    assert all(set(preset.methods) <= set(METHODS) for preset in PRESETS.values())
    preset = _preset(Config(updates=3, speakers=2, methods=("maml",)))
    assert (preset.training.updates, preset.speakers, preset.methods) == (3, 2, ("maml",))
    assert _preset(Config()) == PRESETS["quick"]
    assert _preset(Config("full", base=tmp_path)) == ON_BASE
    with pytest.raises(ValueError, match="is for recordings; add --preset full"):
        main(Config(base=tmp_path))
    monkeypatch.setenv("JAXMETA_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"JAXMETA_DATA=.* lacks en_nonnative_sentences"):
        main(Config(preset="full", workdir=tmp_path / "run"))
