"""Training of recognisers: what is held out, what a run gives, and that it resumes exactly."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.manifest import ManifestError, read_manifest, write_manifest
from jaxmeta.data.vocabulary import build_vocabulary
from jaxmeta.decoding.error_rate_intervals import bootstrap_rate
from jaxmeta.decoding.error_rates import character_edits, error_rate
from jaxmeta.interrupts import Interrupted
from jaxmeta.models.acoustic import SIZES, Size
from jaxmeta.recognition import training
from jaxmeta.recognition.corpora import TranscribedSpeech, copy_voice, read_corpora
from jaxmeta.recognition.presets import PRESETS
from jaxmeta.recognition.recogniser import load_recogniser, save_recogniser
from jaxmeta.recognition.training import train_in_stages, train_recogniser, weights_to_go_on_from
from jaxmeta.recognition.validation import error_table, held_out_errors
from jaxmeta.training.runlog import read_metrics
from tests.recognition.conftest import SAID, SPEAKERS, interrupted, write_voice

TINY = PRESETS["quick"]._replace(encoder="dnn", updates=4, frames_per_batch=200, max_frames=100)


def write_speakers(folder, texts=SAID, **columns):
    """Recordings of tones by six speakers, with more columns, or others."""
    return write_voice(folder, texts, **{"speaker": SPEAKERS, **columns})


@pytest.fixture(scope="module", autouse=True)
def small_network():
    """A network that compiles at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIZES["dnn"], "tiny", Size(16, 1))
        yield


def test_speakers_are_drawn_by_the_seed_and_each_is_in_one_part(tmp_path):
    folder = write_speakers(tmp_path / "speech")
    speech = read_corpora([folder], seed=1)
    trained, held_out = (set(part.columns["speaker"].tolist()) for part in (speech.train, speech.held_out))
    assert len(held_out) == 2 and trained | held_out == set(SPEAKERS) and not trained & held_out
    assert speech.how == "a draw with seed 1" and speech.vocabulary.units == (" ", "a", "b")
    again = read_corpora([folder], seed=1).held_out.columns["speaker"].tolist()
    others = [set(read_corpora([folder], seed=seed).held_out.columns["speaker"].tolist()) for seed in range(2, 8)]
    assert set(again) == held_out and any(other != held_out for other in others)


def test_the_column_split_says_who_is_held_out_and_folders_are_joined(tmp_path):
    splits = ["train", "train", "train", "train", "val", "test"]
    first = write_speakers(tmp_path / "first", split=splits)
    second = write_speakers(tmp_path / "second", speaker=[f"{name} 2" for name in SPEAKERS])
    speech = read_corpora([first, second], seed=0)
    assert set(speech.held_out.columns["speaker"].tolist()) >= {"dora", "emma"}
    assert set(speech.train.columns["speaker"].tolist()) >= {"anna", "ben", "carl"}
    assert len(speech.train) + len(speech.held_out) == 12 and len(speech.fingerprints) == 2
    assert speech.how == "a draw with seed 0 and the column split"


def test_recordings_may_lie_in_another_folder_that_is_allowed(tmp_path):
    folder = write_speakers(tmp_path / "speech")
    (tmp_path / "lists").mkdir()
    (folder / "metadata.csv").rename(tmp_path / "lists" / "metadata.csv")
    with pytest.raises(ManifestError, match=r"row 2: cannot open .audio/0\.wav."):
        read_corpora([tmp_path / "lists"], seed=1)
    speech = read_corpora([tmp_path / "lists"], seed=1, roots=[folder])
    voice = copy_voice(speech.held_out, tmp_path / "lists", tmp_path / "voice")
    assert len(speech.train) + len(speech.held_out) == 6 and len(read_manifest(voice).paths()) >= 1


def test_recordings_without_speakers_count_as_somebodys_own(tmp_path):
    speech = read_corpora([write_speakers(tmp_path / "speech", speaker=None)], seed=0)
    assert len(speech.held_out) == 2 and len(np.unique(speech.held_out.columns["speaker"])) == 2


def test_recordings_that_are_too_short_are_left_out_if_asked_to(tmp_path):
    folder = write_speakers(tmp_path / "speech", texts=["ab", "ba ab", "bab", "a ba", "ab a", "ba b"])
    rows = read_manifest(folder).columns
    texts = [*SAID[:-1], "ab" * 40]
    write_manifest(folder, rows | {"transcription": texts})
    with pytest.raises(ManifestError, match=r"row 7: 'abab.*' is too long for 0\.\d+ s of sound, as are 1 in all"):
        read_corpora([folder])
    speech = read_corpora([folder], drop=True)
    assert len(speech.train) + len(speech.held_out) == 5


def test_a_voice_is_copied_with_its_transcripts(tmp_path):
    folder = write_speakers(tmp_path / "speech")
    corpus = read_corpora([folder], seed=0, share=0.5).held_out
    own = corpus.columns["speaker"] == corpus.columns["speaker"][0]
    voice = read_manifest(copy_voice(corpus, folder, tmp_path / "voice", most=1))
    assert voice.columns["transcription"].tolist() == corpus.columns["transcription"][own][:1].tolist()
    source = folder / corpus.columns["file_name"][own][0]
    assert (tmp_path / "voice" / "01.wav").read_bytes() == source.read_bytes()


BAD = {
    "no transcripts": ({"transcription": None}, "row 1: no transcription column"),
    "an empty one": ({"transcription": ["ab", "", *SAID[2:]]}, "row 3: the text is empty"),
    "an unknown split": ({"split": ["train", "Dev", *["val"] * 4]}, "row 3: split 'Dev' must be train, or val"),
    "nobody held out": ({"split": ["train"] * 6}, "the column split has only rows of 'train'"),
    "nobody to train on": ({"split": ["test"] * 6}, "the column split has no row of 'train'"),
    "a speaker in both": (
        {"split": ["train", "val", "train", "train", "val", "val"]},
        "row 3: speaker 'anna' is held out here",
    ),
    "no speaker": ({"speaker": ["anna", "", *SPEAKERS[2:]]}, "row 3: no speaker; name one in each row"),
    "few speakers": ({"speaker": ["anna", "ben"] * 3}, "2 speakers are too few to train on some and hold out 2"),
    "unknown characters": (
        {"transcription": [*SAID[:-1], "aß"], "split": ["train"] * 4 + ["val"] * 2},
        "row 7: 'aß' has 'ß'.*vocabulary is that of the training transcripts",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_lists_of_no_use_are_refused_before_any_sound_is_read(name, tmp_path, monkeypatch):
    columns, message = BAD[name]
    monkeypatch.setattr("jaxmeta.recognition.corpora.load_corpus", None)
    with pytest.raises(ManifestError, match=f"(?s){message}"):
        read_corpora([write_speakers(tmp_path / "bad", **columns)])


def test_folders_are_named_once(tmp_path):
    for folders in ([], [tmp_path, tmp_path / "." / "x" / ".."]):
        with pytest.raises(ValueError, match="must name one or more folders, each once"):
            read_corpora(folders)


def trained(speech, folder, wanted=TINY):
    return train_recogniser(
        speech.train, speech.held_out, speech.vocabulary, wanted, folder, seed=0, config={"data": speech.fingerprints}
    )


@pytest.mark.slow
def test_a_run_gives_a_recogniser_and_resumes_exactly(tmp_path, monkeypatch):
    speech = read_corpora([write_speakers(tmp_path / "speech")], seed=1)
    whole = trained(speech, tmp_path / "whole")
    assert len([row for row in read_metrics(tmp_path / "whole") if "validation" in row]) == 4
    make = training.batch_sampler

    monkeypatch.setattr(training, "batch_sampler", interrupted(make, 2))
    with pytest.raises(Interrupted):
        trained(speech, tmp_path / "parts")
    monkeypatch.setattr(training, "batch_sampler", make)
    parts = trained(speech, tmp_path / "parts")
    jax.tree.map(np.testing.assert_array_equal, parts.params, whole.params)
    with pytest.raises(ValueError, match=r"another config: rate=0\.003 there, 0\.1 here"):
        trained(speech, tmp_path / "parts", TINY._replace(rate=0.1))
    read = load_recogniser(save_recogniser(tmp_path / "recogniser", whole))
    assert read.card == whole.card and read.card.options == {"width": 16, "depth": 1}


def test_training_goes_on_from_a_recogniser_of_the_same_network_and_speech_alone(recogniser, tmp_path):
    card = replace(recogniser.card, origin={"data": {"own": "speech"}})
    save_recogniser(tmp_path, recogniser._replace(card=card))
    speech = TranscribedSpeech(None, None, recogniser.vocabulary, {"a folder": "speech"}, "")
    params = weights_to_go_on_from(tmp_path, TINY, speech)
    jax.tree.map(np.testing.assert_array_equal, params, recogniser.params)
    with pytest.raises(ValueError, match=r"has the network dnn .*encoder='gru'.* needs another one"):
        weights_to_go_on_from(tmp_path, TINY._replace(encoder="gru"), speech)
    with pytest.raises(ValueError, match=r"writes .*, not \('x',\)"):
        weights_to_go_on_from(tmp_path, TINY, speech._replace(vocabulary=build_vocabulary("x")))
    with pytest.raises(ValueError, match=r"was trained on .*speech.*, not on .*other"):
        weights_to_go_on_from(tmp_path, TINY, speech._replace(fingerprints={"a folder": "other"}))


def test_each_stage_starts_where_the_one_before_ended_and_depends_on_it(tmp_path, monkeypatch):
    calls = []

    def train(model, corpus, held_out, vocabulary, numbers, directory, *, seed, config, params):
        calls.append((directory, numbers.updates, params, config["stages"]))
        return directory.name

    monkeypatch.setattr(training, "train_on_all_speakers", train)
    frames = np.zeros((1, 1), np.float32)
    first, second = (Corpus(frames, np.zeros(1, int), np.ones(1, int), {}, fingerprint=name) for name in "ab")
    stages = {"synthesised": (first, 2), "recorded": (second, 3)}
    assert train_in_stages(None, stages, None, None, TINY, tmp_path, seed=0) == "recorded"
    done = {"synthesised": [2, "a"]}
    assert calls[0] == (tmp_path / "synthesised", 2, None, done)
    assert calls[1] == (tmp_path / "recorded", 3, "synthesised", done | {"recorded": [3, "b"]})


def test_errors_of_each_split_come_with_intervals_over_speakers(tmp_path, recogniser, monkeypatch):
    splits = ["train", "train", "val", "val", "val", "test"]
    held_out = read_corpora([write_speakers(tmp_path / "speech", split=splits)]).held_out
    texts = ["bab", "a", "b", "ba b"]
    monkeypatch.setattr("jaxmeta.recognition.validation.transcribe", lambda *arguments: texts)
    val, test = held_out_errors(recogniser, held_out)
    edits = character_edits(SAID[2:5], texts[:3])
    expected = bootstrap_rate(edits, SPEAKERS[2:5])
    assert (val["split"], val["recordings"], val["speakers"]) == ("val", 3, 3)
    assert (val["cer"], val["cer_low"], val["cer_high"]) == expected and val["cer"] == error_rate(edits)
    assert (test["cer"], test["wer"]) == (0.0, 0.0) and "cer_low" not in test
    assert "| test | 1 | 1 | 0.0 % | 0.0 % |" in error_table([val, test])
