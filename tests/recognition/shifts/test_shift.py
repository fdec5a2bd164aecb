"""Shifts on a frozen encoder: what is trained on, what is drawn, and what is tested."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.recognition.corpora import FEATURES
from jaxmeta.recognition.presets import MetaTraining, ShiftTraining
from jaxmeta.recognition.shifts.shift import Encoder, Sentences, Words, language_shift, sentence_shift

META = MetaTraining(1, 1e-3, tasks=1, support=2, query=2, steps=1, inner_rate=0.1, longest=40)
SIZE = ShiftTraining(1, 1, 4, 8, 1, 40, (4, 12), (4, 6), (2, 2), 2, 5, META, META, ("maml",))


class Changed(Sentences):
    """Sentences that every channel makes a little louder, without a file."""

    def through(self, corpus, transform):
        return replace(corpus, frames=corpus.frames + 1, fingerprint=f"{corpus.fingerprint} {transform.name}")


def corpus_of(texts, split, speaker, **columns):
    rows, rng = len(texts), np.random.default_rng(0)
    names = {"transcription": texts, "split": split, "speaker": speaker, "recording": range(rows)} | columns
    columns = {name: np.array(list(map(str, values))) for name, values in names.items()}
    frames = rng.normal(size=(32 * rows, 5)).astype(np.float32)
    return Corpus(frames, 32 * np.arange(rows), np.full(rows, 32, np.int32), columns, "random")


class Named(str):
    name = "louder"


@pytest.fixture(scope="module")
def sentences():
    splits = {"train": 6, "val": 2, "test": 3}
    rng, rows = np.random.default_rng(1), []
    for split, speakers in splits.items():
        for speaker in range(speakers):
            drawn = rng.choice(["a", "b", "ab", "bb", "cc", "dd"], (25, 3), p=[0.3, 0.3, 0.2, 0.06, 0.07, 0.07])
            rows += [(" ".join(words), split, f"{split}{speaker}") for words in drawn]
    texts, split, speaker = zip(*rows, strict=True)
    channels = {"line": Named(), "hall": Named()}
    return Changed(
        Path("nowhere"), corpus_of(texts, split, speaker), ("cc", "dd"), ("bb",), channels, ("line",), channels
    )


ENCODER = Encoder(FEATURES, lambda corpus: corpus, lambda frames: (frames + 1) // 2, True, "identity")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["channel", "vocabulary", "speaker"])
def test_sentences_that_are_taught_or_tested_are_not_trained_on(name, sentences, tmp_path):
    allowed = sentences.allowed().columns
    assert set(allowed["split"]) == {"train"} and not any(
        {"bb", "cc", "dd"} & {*text.split()} for text in allowed["transcription"]
    )
    shift = sentence_shift(sentences, ENCODER, SIZE, 0, tmp_path, name)
    names = {"channel": ["line", "hall"], "vocabulary": ["taught words", "other utterances"], "speaker": ["speaker"]}
    assert [protocol.name for protocol in shift.tests] == names[name] and shift.upper.width == 8
    episode = shift.tasks(0)
    assert episode.support.inputs.values.shape[:2] == (1, 2) and episode.support.inputs.values.shape[-1] == 8
    for protocol in shift.tests:
        own, others = protocol.own.episode(0, 1), protocol.others.episode(0, 1)
        np.testing.assert_array_equal(own.query.targets.values, others.query.targets.values)
        assert not np.array_equal(own.support.inputs.values[0], others.support.inputs.values[0])
    if name == "channel":  # The control is the same utterance, without the channel.
        np.testing.assert_array_equal(own.support.targets.values[0], others.support.targets.values[0])


@pytest.mark.slow
def test_slots_of_new_words_start_anew(tmp_path):
    rng = np.random.default_rng(2)
    train = corpus_of(rng.choice(["red", "blue", "green"], 40), ["train"] * 40, rng.choice(["a", "b"], 40))
    split = ["train"] * 30 + ["test"] * 20
    texts = rng.choice(["w00", "w01"], 150)
    language, speaker = np.repeat(["x", "y", "z"], 50), rng.choice(["c", "d"], 150)
    others = corpus_of(texts, split * 3, speaker, language=language)
    found = Words(train, others, Vocabulary(("w00", "w01"), "word"), "x", "test", ("y", "z"))
    shift = language_shift(found, ENCODER, SIZE, 0, tmp_path)
    assert not np.any(shift.start["output"]["kernel"]) and shift.start["output"]["kernel"].shape[1] == 3
    assert [protocol.name for protocol in shift.tests] == ["y", "z"] and len(shift.tests[0].own.episodes.groups) == 2
    targets = shift.tasks(0).query.targets.values
    assert set(np.unique(targets)) <= {0, 1, 2}
