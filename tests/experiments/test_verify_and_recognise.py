"""The experiment on speakers and words: batches, trials, streams with strangers, and false alarms."""

import numpy as np
import pytest

from experiments.verify_and_recognise import gating, keywords
from experiments.verify_and_recognise.data import Spoken, recorded
from experiments.verify_and_recognise.report import STREAM, Table, across_languages
from experiments.verify_and_recognise.try_out import copy_recordings
from jaxmeta.data.audio import read_audio
from jaxmeta.data.corpus import Corpus, load_corpus
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.manifest import read_manifest, write_manifest
from jaxmeta.metrics import Interval
from jaxmeta.verification.assistant import Assistant, AssistantCard, Embeddings
from jaxmeta.verification.building import EmbeddedRecordings, enrolment_split
from jaxmeta.verification.calibration import Calibration
from jaxmeta.verification.gate import Gate
from jaxmeta.verification.voices import Voices
from tests.verification.conftest import write_voice
from tests.verification.test_trials import corpus, directions


def test_one_language_is_enrolled_and_each_is_tested():
    twice = corpus()
    longer = Corpus(
        twice.frames, np.tile(twice.start, 2), np.tile(twice.length, 2),
        {name: np.tile(column, 2) for name, column in twice.columns.items()},
    )  # fmt: skip
    empty = Spoken(*[None] * len(Spoken._fields))
    choice = Voices("x", directions(), {}, None)
    rows = across_languages([choice], empty._replace(test={"both": longer}), 0)
    assert [row["heard in"] for row in rows] == ["en to en", "en to zh", "zh to en", "zh to zh"]
    assert [row["trials"] for row in rows] == [60 * (48 - 5), 60 * 48, 60 * 48, 60 * (48 - 5)]
    one = twice.with_column("language", "en")
    assert across_languages([choice], empty._replace(test={"one": one}), 0) == []


@pytest.fixture
def made():
    """Three speakers, four words, and embeddings in which the first axes tell words and others voices."""
    rng, speakers, labels = np.random.default_rng(1), [], []
    words, voices = [], []
    for speaker in range(3):
        for word in range(6):
            for _ in range(9):
                speakers.append(f"s{speaker}")
                labels.append(f"w{word}")
                words.append(4 * np.eye(9)[word] + 0.6 * rng.normal(size=9))
                voices.append(np.eye(3)[speaker] + 0.1 * rng.normal(size=3))
    voices = np.array(voices) / np.linalg.norm(voices, axis=1, keepdims=True)
    embeddings = Embeddings(np.array(words, np.float32), voices.astype(np.float32))
    far = 4 * np.eye(9, dtype=np.float32)[6:]
    card = AssistantCard(
        8, 3, FeatureConfig(), 100, 3, 1, 1, 0, Calibration(40.0, -20.0), Calibration(1.0, 0.0), Calibration(1.0, 0.0)
    )
    one = Assistant(card, {}, np.eye(3, dtype=np.float32), far[:1], far[1:2])
    return one, EmbeddedRecordings(np.array(speakers), np.array(labels), embeddings)


def test_enrolled_recordings_are_not_used_again(made):
    _, found = made
    enrolled, rest = enrolment_split(found, "s1", np.array(["w0", "w3"]), 2, np.random.default_rng(0))
    assert enrolled.shape == (2, 2) and [len(rows) for rows in rest] == [7, 7]
    assert not set(enrolled.ravel()) & set(np.concatenate(rest)) and set(found.speakers[np.concatenate(rest)]) == {"s1"}
    for stream in list(gating.streams(found, 0))[:5]:
        own = [stream.enrolled, stream.own, stream.query]
        assert len(np.concatenate(own)) == len(set(np.concatenate(own))) == 45
        user = found.speakers[stream.query[0]]
        assert user not in found.speakers[stream.strangers] and len(stream.strangers) == 3


def test_the_gate_keeps_strangers_out(made, monkeypatch):
    monkeypatch.setattr(gating, "EPISODES", 12)
    one, found = made
    use = {row["who"]: row for row in gating.gated_use(one, found, Gate(), 0)}
    assert use["own"]["right"][0] > 95 and use["strangers'"]["rejected"][0] > 95
    assert sum(use["own"][key][0] for key in ("right", "wrong", "unsure", "rejected")) == pytest.approx(100)
    rows = {row["adapted to"]: row for row in gating.gated_adaptation(one, found, Gate(), 0)}
    assert rows["a tenth strangers, gated"]["word error %"] == rows["clean stream, gated"]["word error %"]
    assert rows["clean stream"]["change"] == (0, 0)
    text = Table("title", [{"corpus": "c"} | row for row in rows.values()], STREAM).show()
    assert text.startswith("title:") and "0.0 ± 0.0" in text


def test_words_are_told_from_others_and_from_background(made, monkeypatch):
    monkeypatch.setattr(keywords, "EPISODES", 6)
    monkeypatch.setattr(keywords, "USERS", 4)
    one, found = made
    noise = keywords.Background.__new__(keywords.Background)
    rng = np.random.default_rng(2)
    noise.places = [np.stack([100 * np.arange(50), 100 * np.arange(50) + 90], 1)]
    noise.embeddings, noise.hours = [(4 * np.eye(9)[7] + 0.6 * rng.normal(size=(50, 9))).astype(np.float32)], 0.5
    scores = keywords.open_set(one, found, noise, 2, 0)
    assert scores["words"][0] > 95 and scores["silence"][0] > 95
    thresholds, alarms, missed = keywords.false_alarms(one, found, noise, 2, 0)
    assert (np.diff(thresholds) > 0).all() and (np.diff(alarms) <= 0).all() and (np.diff(missed) >= 0).all()
    assert alarms[0] <= 50 / 0.5 and missed[0] < 0.05


def test_recordings_to_try_an_assistant_on(tmp_path):
    for voice in ("low", "other"):
        write_voice(tmp_path / "corpus" / voice, voice)
    names = [f"{v}/{w}_{t}.wav" for v in ("low", "other") for w in ("hum", "whistle") for t in range(3)]
    columns = {
        "file_name": names,
        "speaker": [n.split("/")[0] for n in names],
        "label": [n[n.index("/") + 1 : -6] for n in names],
    }
    write_manifest(tmp_path / "corpus", columns)
    some = load_corpus(tmp_path / "corpus", FeatureConfig(n_mels=24), progress=False)
    data = Spoken(*[None] * len(Spoken._fields))._replace(
        new_words={"c": some}, folders={"c": tmp_path / "corpus"}
    )  # fmt: skip
    copy_recordings(data, tmp_path)
    assert read_manifest(tmp_path / "voice").columns["label"].tolist() == ["hum", "hum", "whistle", "whistle"]
    assert sorted(path.stem for path in (tmp_path / "clips").iterdir()) == [
        "other_hum", "other_whistle", "own_hum", "own_whistle", "several",
    ]  # fmt: skip
    seconds = len(read_audio(tmp_path / "clips" / "several.flac")) / 16_000
    np.testing.assert_allclose(seconds, 3 * 0.6 + 4 * 0.5, atol=0.01)


def test_a_folder_without_the_corpora_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXMETA_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="lacks zh_en_words, ar_commands"):
        recorded(10, 0)


def test_intervals_are_shown_with_their_bounds():
    assert "5 (1 to 9.5)" in Table("t", [{"x": Interval(5.0, 1.0, 9.5)}], {"x": ""}).show()
