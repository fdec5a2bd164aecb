"""The spoken-words experiment on a tiny corpus of tones: what is trained on, what is reported, what is refused."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.spoken_words import __main__ as spoken_words
from experiments.spoken_words.__main__ import Config, main
from jaxmeta.data import word_corpora
from tests.words.conftest import tones_folder  # noqa: F401

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_whole_course_and_another_manifest(monkeypatch, tmp_path, tones_folder):  # noqa: F811
    """Trains two updates on tones alone, writes every promised field, resumes as a no-op, and evaluates elsewhere."""
    words, noise = word_corpora.load_words([tones_folder]), word_corpora.noise_features()[:2]
    monkeypatch.setattr(word_corpora, "load_words", lambda folders, invented, seed: words)
    monkeypatch.setattr(word_corpora, "noise_features", lambda folders, seed: noise)
    monkeypatch.delenv("JAXMETA_DATA", raising=False)
    monkeypatch.setattr(spoken_words, "STEPS_CURVE", (1,))  # every other number of steps is one more compilation
    config = Config(updates=2, ways=3, shots=(1,), queries=3, episodes=4, steps=1, curve=True, workdir=tmp_path / "run")
    main(config)
    written = json.loads((tmp_path / "run" / "protonet" / "results.json").read_text())
    promised = {"corpus", "method", "ways", "shots", "steps", "accuracy", "ci95", "episodes", "transductive"}
    assert all(promised <= set(row) for row in written["rows"])
    assert {row["method"] for row in written["rows"]} == {"protonet", "fine-tuned classifier", "cosine of log-mels"}
    trained = {row["method"] for row in written["rows"] if row["training_minutes"] > 0}
    assert trained == {"protonet", "fine-tuned classifier"}
    assert {"seed", "argv", "commit", "device", "packages", "data"} <= set(written["run"])
    assert list(written["run"]["seconds"]) == [
        "preparing the speech", "training the classifier", "training protonet", "testing", "writing the results",
    ]  # fmt: skip
    for picture in ("steps_tones.png", "accuracy_tones.png"):
        assert (tmp_path / "run" / "protonet" / picture).stat().st_size > 1000
    elsewhere = main(Config(evaluate=tones_folder, workdir=config.workdir, shots=(1,), ways=3, queries=3, episodes=4))
    assert elsewhere["rows"][0]["accuracy"] == written["rows"][0]["accuracy"]
    with pytest.raises(ValueError, match="another config"):
        main(dataclasses.replace(config, seed=1))


def test_evaluating_without_a_run_says_so(tmp_path):
    with pytest.raises(ValueError, match="holds no run"):
        main(Config(evaluate=tmp_path, workdir=tmp_path / "none"))


def test_a_typo_in_a_flag_says_what_was_meant():
    command = [sys.executable, "-m", "experiments.spoken_words", "--shot", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0 and "--shots" in done.stdout + done.stderr
