"""A Whisper of a folder transcribes: with a small random one, and with public weights where they are."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

from jaxmeta.data.audio import read_audio
from jaxmeta.recognition.pretrained.whisper import load_whisper
from tests.recognition.pretrained.conftest import write_small_whisper

pytestmark = pytest.mark.slow
pytest.importorskip("tokenizers", reason='needs the extra "pretrained"')
PUBLIC = Path(os.environ.get("JAXMETA_MODELS", ".")) / "tiny.en"
SENTENCES = Path(os.environ.get("JAXMETA_DATA", ".")) / "en_nonnative_sentences"


@pytest.fixture
def folder(tmp_path):
    return write_small_whisper(tmp_path)


def test_a_folder_transcribes_waveforms_of_different_length(folder):
    recogniser = load_whisper(folder, np.float16)
    noise = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
    together = recogniser.transcribe([noise, noise[:9_000]], length=5, seconds=0)
    assert together == [recogniser.transcribe([each], length=5, seconds=0)[0] for each in (noise, noise[:9_000])]
    assert all(set(text.split()) <= {"<unk>", "hello", "world"} for text in together)


def test_tokens_that_the_folder_suppresses_are_not_written(folder):
    speech = [np.random.default_rng(0).normal(size=8_000).astype(np.float32)]
    every = [token for token in range(31) if token not in (1, 2)]
    (folder / "generation_config.json").write_text(json.dumps({"suppress_tokens": every, "begin_suppress_tokens": [2]}))
    assert load_whisper(folder).transcribe(speech, length=3, seconds=0)[0].split()[0] == "hello"


@pytest.mark.skipif(
    not (PUBLIC / "config.json").is_file() or not SENTENCES.is_dir(),
    reason="JAXMETA_MODELS has no folder tiny.en, or JAXMETA_DATA no en_nonnative_sentences",
)
def test_public_weights_write_what_transformers_does():
    with (SENTENCES / "metadata.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    waveforms = [read_audio(SENTENCES / row["file_name"]) for row in rows[:300:100]]
    assert load_whisper(PUBLIC).transcribe(waveforms, length=60) == [
        "And here, next one.",
        "This password will go ahead, pick up. Use our app again.",
        "but they were just the thoughts.",
    ]
