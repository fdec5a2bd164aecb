"""Recognition in several conditions: the same utterances in each, and what is adapted to."""

import numpy as np
import pytest

from jaxmeta.data.augmentation.banks import coloured_noise
from jaxmeta.data.augmentation.conditions import Condition, noise_conditions
from jaxmeta.data.corpus import load_corpus
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.vocabulary import build_vocabulary
from jaxmeta.evaluation.choosing import ChosenMethod
from jaxmeta.evaluation.conditions import (
    ConditionProtocol,
    condition_protocols,
    condition_table,
    error_over_conditions,
)
from jaxmeta.evaluation.transcripts import Transcripts
from tests.recognition.conftest import write_voice

REFERENCES, SPEAKERS = ["abcd", "abcd", "abcdefgh", "ab"], ["x", "x", "y", "y"]


def test_speakers_say_the_same_in_every_condition(tmp_path):
    texts = [f"{index:05b}".replace("0", "a").replace("1", "b") for index in range(20)]  # each another recording
    folder = write_voice(tmp_path / "speech", texts, speaker=["x"] * 10 + ["y"] * 10)
    rng = np.random.default_rng(0)
    corpus = load_corpus(folder, FeatureConfig(n_mels=16, hop_length=160), progress=False)
    conditions = noise_conditions({"hum": coloured_noise(2, 0.5)}, rng.normal(size=(1, 9)), (10.0,), 0)
    clean, noisy, _ = condition_protocols(
        corpus, folder, build_vocabulary(texts), conditions, tmp_path, speakers=1, shots=5, query=4, seed=0
    )
    for kind in ("supervised", "test_time"):
        protocol, other = getattr(clean, kind), getattr(noisy, kind)
        assert protocol.cache.path != other.cache.path and protocol.speakers == other.speakers
        for first, second in zip(protocol.episodes.groups, other.episodes.groups, strict=True):
            files = [each.episodes.corpus.columns["file_name"] for each in (protocol, other)]
            np.testing.assert_array_equal(files[0][first.query], files[1][second.query])
            np.testing.assert_array_equal(files[0][first.support], files[1][second.support])
    assert len(clean.supervised.episodes.corpus) == 1 * (5 + 4)
    assert not np.array_equal(clean.supervised.episodes.corpus.frames, noisy.supervised.episodes.corpus.frames)


class Answers:
    """A protocol under which a method recognises what a test says for its rate and steps."""

    def __init__(self, answers: dict):
        self.answers = answers
        self.episodes = type("Episodes", (), {"supports": (0, 5), "groups": ("x", "y")})

    def transcribe(self, name, build, params, shots, rate, steps) -> Transcripts:
        return Transcripts(REFERENCES, self.answers[rate, steps], SPEAKERS)


def protocol_of(snr, supervised, test_time=None):
    return ConditionProtocol(Condition("seen", snr, None), Answers(supervised), Answers(test_time or {}))


def test_errors_are_summed_over_conditions():
    quiet = protocol_of(10.0, {(0.1, 1): REFERENCES})
    loud = protocol_of(0.0, {(0.1, 1): ["abcd", "", "abcd", "ab"]})
    assert error_over_conditions([quiet, loud], ChosenMethod("x", None, {}, 0.1, 1)) == pytest.approx(100 * 8 / 36)


def test_the_table_tells_what_needed_transcripts_and_what_is_not_adapted():
    adapted, alone = ["abcd", "abc", "abcdef", "ab"], ["abcd", "", "abcd", "ab"]
    setting = protocol_of(5.0, {(0.0, 0): alone, (0.1, 1): adapted}, {(0.1, 1): alone})
    methods = [
        ChosenMethod(name, None, {}, 0.1, 1, labels=name == "supervised") for name in ("supervised", "test time")
    ]
    rows = condition_table(ChosenMethod("unadapted", None, {}, 0.0, 0), methods, [setting])
    assert [(row["method"], row["transcribed"], row["condition"], row["speakers"]) for row in rows] == [
        ("unadapted", 0, "seen 5 dB", 2), ("supervised", 5, "seen 5 dB", 2), ("test time", 0, "seen 5 dB", 2),
    ]  # fmt: skip
    assert [row["change"] for row in rows] == pytest.approx([0, 100 * (3 - 8) / 18, 0])
    assert "rate" not in rows[0] and rows[1]["rate"] == 0.1
    assert "against" not in rows[1] and rows[2]["against"] == pytest.approx(100 * (8 - 3) / 18)
