"""Adapters in all layers that learn in a channel: what is learnt, what is compared, and what is refused."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxmeta.models.pretrained.whispers.taught import taught_adapters
from jaxmeta.recognition.pretrained.adapter import AdapterCard, ReadAdapters
from jaxmeta.recognition.pretrained.whisper import load_whisper
from jaxmeta.recognition.shifts import taught_channels
from jaxmeta.recognition.shifts.taught_channels import Settings, Taught, Utterances, channel_rows
from tests.recognition.pretrained.conftest import write_small_whisper
from tests.recognition.shifts.test_shift import Changed, Named, corpus_of

TEXTS = ["HELLO WORLD", "WORLD HELLO"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = write_small_whisper(tmp_path_factory.mktemp("whisper"), decoder_layers=1)
    card = AdapterCard(str(folder), "0", 2, "en", True, "layers", 2, silence=0.1, longest=4.0, case="upper")
    whisper = replace(load_whisper(folder), habits=card.habits)
    adapters = taught_adapters(whisper.params, 2, 2, 2, jax.random.key(1))
    return ReadAdapters(whisper, adapters, card, folder)


@pytest.fixture(scope="module")
def corpus():
    """Ten validation speakers and four of the test."""
    speakers = [f"v{number}" for number in range(10)] * 4 + [f"t{number}" for number in range(4)] * 2
    made = corpus_of(TEXTS * 24, ["val"] * 40 + ["test"] * 8, speakers)
    return replace(made, frames=np.random.default_rng(0).normal(size=(32 * 48, 16)).astype(np.float32))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(taught_channels, "LONGEST", 40)


@pytest.mark.slow
def test_all_adapters_learn_what_is_said_by_the_rows_that_teach_alone(trained, corpus):
    taught = Taught(trained)
    once = corpus.with_column("transcription", np.array([TEXTS[0]] * 5 + [TEXTS[1]] * 43))
    adapters = taught.learnt(Utterances(once, np.arange(5)), Settings("encoder and decoder", 0.03, 60))
    moved = {path for path in adapters if np.any(adapters[path]["up"])}
    assert moved == set(trained.adapters) and any(path.startswith("encoder/layers_0") for path in moved)
    written = taught.recognised(adapters, once.select(np.arange(48) < 5))
    assert set(written.hypotheses) == {"hello world"} == set(written.references)


@pytest.mark.slow
def test_rows_of_a_channel_and_its_gate(trained, corpus, monkeypatch):
    monkeypatch.setattr(taught_channels, "RATES", (0.0,))
    monkeypatch.setattr(taught_channels, "STEPS", (1,))
    places = {"line": Named()}
    sentences = Changed(Path("nowhere"), corpus, (), (), places, ("line",), places)
    ((rows, gate),) = channel_rows(trained, sentences, queries=2, seed=0)
    assert [(row["method"], row["utterances"]) for row in rows] == [
        ("none", 0), ("fine-tune adapters", 5), ("fine-tune adapters", 10)
    ]  # fmt: skip
    # Steps of nothing change nothing.
    for row in rows[1:]:
        assert row["error"] == rows[0]["error"] > 0 and row["change"] == row["avoided"] == 0
        assert (row["harmed"], row["groups"], row["steps"]) == (0, 4, 1)
    assert rows[1]["own"] == 0 and "own" not in rows[2]
    assert (gate["adopted"], gate["draws"], gate["harmed"], gate["gated"]) == (0, 2, 0, rows[0]["error"])


def test_adapters_of_the_uppermost_layers_alone_are_refused(trained):
    with pytest.raises(ValueError, match="layers=1 of the encoder have adapters; train with --layers 2"):
        Taught(trained._replace(card=replace(trained.card, layers=1)))


def test_too_few_validation_speakers_are_refused(trained, corpus):
    few = corpus.select(corpus.columns["speaker"] != "v3")
    with pytest.raises(ValueError, match="taught by 10 validation speakers"):
        next(channel_rows(trained, Changed(Path("nowhere"), few, (), (), {}, (), {}), queries=2, seed=0))
