"""The noise experiment: which noise is for training and which for the test, its flags and errors."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.noise.__main__ import METHODS, PRESETS, SNRS, TUNED, Config, _preset, _start, main
from experiments.noise.data import artificial_sounds, recorded_sounds
from jaxmeta.data.audio import write_audio
from jaxmeta.data.augmentation.banks import coloured_noise
from jaxmeta.data.manifest import write_manifest
from jaxmeta.models.acoustic import SIZES
from jaxmeta.recognition.corpora import FEATURES, TranscribedSpeech
from jaxmeta.recognition.recogniser import Recogniser, save_recogniser
from tests.recognition.conftest import one

__all__ = ["one"]  # a fixture
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
def sounds(home):
    return recorded_sounds(home / "noise_esc10", home / "noise_long", home / "rir_iosr", SNRS, 0)


@pytest.fixture(scope="module")
def voice(home):
    return home / "noise_long" / "babble.wav"


def kinds_of(files):
    return {name.split("_")[0] for name in files}


def test_types_are_seen_or_unseen_and_no_recording_is_in_both_training_and_test(sounds):
    noises = {c.kind: c.transform.apply.keywords["noises"] for c in sounds.conditions if c.snr == 0}
    seen, unseen = noises["seen"], noises["unseen"]
    assert len(kinds_of(seen.files)) == len(kinds_of(unseen.files)) == 2
    assert not kinds_of(seen.files) & kinds_of(unseen.files)
    # Folds 4 and 5 are the test's; the bank holds the three others of the two seen types.
    assert all(name[-5] in "45" for name in (*seen.files, *unseen.files)) and len(seen.files) == 4
    assert sounds.bank.shape == (6, 501, FEATURES.n_mels)
    assert noises["background"].files == ("babble.wav", "street.wav")


def test_rooms_without_echo_are_no_condition(sounds):
    rooms = sounds.conditions[-1].transform.apply.keywords["rooms"]
    assert len(rooms) == 1


def test_every_group_of_noises_is_met_at_every_level_and_rates_are_chosen_in_seen_noise_only(sounds, voice):
    artificial = artificial_sounds([voice], SNRS, seed=0)
    levels = [f"{kind} {snr} dB" for kind in ("seen", "unseen") for snr in (20, 10, 5, 0)]
    assert [condition.name for condition in artificial.conditions] == ["clean", *levels, "room"]
    names = {condition.name for condition in sounds.conditions}
    assert set(TUNED) <= set(levels) & names and all(name.startswith("seen") for name in TUNED)


def test_noise_of_the_test_is_none_of_that_of_training(voice):
    artificial = artificial_sounds([voice], SNRS, seed=0)
    test = artificial.conditions[1].transform.apply.keywords["noises"]
    training = coloured_noise(48, seed=0)
    alike = np.abs(test @ training.T) / test.shape[1]
    # Unit power: the same stretch would give 1; brown noise of five seconds is alike by chance at a few lowest tones.
    assert alike.max() < 0.9


def test_presets_and_flags(monkeypatch, tmp_path):
    assert all(set(preset.methods) <= set(METHODS) for preset in PRESETS.values())
    preset = _preset(Config(updates=3, speakers=2, methods=("maml",)))
    assert (preset.training.updates, preset.speakers, preset.methods) == (3, 2, ("maml",))
    assert _preset(Config()) == PRESETS["quick"]
    monkeypatch.setenv("JAXMETA_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"JAXMETA_DATA=.* lacks en_nonnative_sentences"):
        main(Config(preset="full", workdir=tmp_path / "run"))


def test_training_goes_on_from_a_recogniser_of_the_same_network_and_speech_alone(one, tmp_path):
    card = replace(one.card, origin={"data": {"own": "speech"}})
    save_recogniser(tmp_path, Recogniser(card, one.vocabulary, one.params))
    speech = TranscribedSpeech(None, None, one.vocabulary, {"a folder": "speech"}, "")
    config, quick = Config(start=tmp_path), PRESETS["quick"]
    with pytest.raises(ValueError, match=f"--start {tmp_path} has another network"):
        _start(config, quick, speech)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIZES["dnn"], "tiny", card.size)
        preset = quick._replace(training=quick.training._replace(encoder="dnn"))
        np.testing.assert_array_equal(_start(config, preset, speech)["head"]["bias"], one.params["head"]["bias"])
        with pytest.raises(ValueError, match=r"was trained on .*speech.*, not on .*other"):
            _start(config, preset, speech._replace(fingerprints={"a folder": "other"}))
    assert _start(Config(), quick, speech) is None
