"""What is measured of an assistant: streams with strangers, an open set, and false alarms."""

import numpy as np
import pytest

from jaxmeta.data.features import FeatureConfig
from jaxmeta.verification.assistant import Assistant, AssistantCard, Embeddings
from jaxmeta.verification.building import EmbeddedRecordings, enrolment_split
from jaxmeta.verification.calibration import Calibration
from jaxmeta.verification.gate import Gate
from jaxmeta.verification.protocols.gate import gated_adaptation, gated_use, streams
from jaxmeta.verification.protocols.keywords import Background, false_alarms, open_set_accuracy, shots_to_enrol


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
    assistant = Assistant(card, {}, np.eye(3, dtype=np.float32), far[:1], far[1:2])
    return assistant, EmbeddedRecordings(np.array(speakers), np.array(labels), embeddings)


def test_enrolled_recordings_are_not_used_again(made):
    _, actual = made
    enrolled, rest = enrolment_split(actual, "s1", np.array(["w0", "w3"]), 2, np.random.default_rng(0))
    assert enrolled.shape == (2, 2) and [len(rows) for rows in rest] == [7, 7]
    assert not set(enrolled.ravel()) & set(np.concatenate(rest)) and set(actual.speakers[np.concatenate(rest)]) == {
        "s1"
    }
    for stream in streams(actual, 5, 0):
        own = [stream.enrolled, stream.own, stream.query]
        assert len(np.concatenate(own)) == len(set(np.concatenate(own))) == 45
        user = actual.speakers[stream.query[0]]
        assert user not in actual.speakers[stream.strangers] and len(stream.strangers) == 3


def test_the_gate_keeps_strangers_out(made):
    assistant, actual = made
    use = {row["who"]: row for row in gated_use(assistant, actual, Gate(), 12, 0)}
    assert use["own"]["right"][0] > 95 and use["strangers'"]["rejected"][0] > 95
    assert sum(use["own"][key][0] for key in ("right", "wrong", "unsure", "rejected")) == pytest.approx(100)
    rows = {row["adapted to"]: row for row in gated_adaptation(assistant, actual, Gate(), 12, 0)}
    assert rows["a tenth strangers, gated"]["word error %"] == rows["clean stream, gated"]["word error %"]
    assert rows["clean stream"]["change"] == (0, 0)


def test_words_are_told_from_others_and_from_background(made):
    assistant, actual = made
    places = np.stack([100 * np.arange(50), 100 * np.arange(50) + 90], 1)
    sounds = 4 * np.eye(9)[7] + 0.6 * np.random.default_rng(2).normal(size=(50, 9))
    background = Background([places], [sounds.astype(np.float32)], 0.5)
    assert shots_to_enrol(actual) == [1, 5]
    scores = open_set_accuracy(assistant, actual, background, 2, 6, 0)
    assert scores["words"][0] > 95 and scores["silence"][0] > 95
    errors = false_alarms(assistant, actual, background, 2, 4, 0)
    assert all((np.diff(each) >= 0).all() for each in (errors.thresholds, -errors.alarms, errors.missed))
    assert errors.alarms[0] <= 50 / 0.5 and errors.missed[0] < 0.05
    few = np.flatnonzero(errors.alarms <= 20)[0]
    assert errors.at(20) == (errors.missed[few], errors.thresholds[few])
