"""Commands of docs/journeys run as they stand, on small recordings and networks in the place of those of the pages."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from jaxmeta.cli.main import main
from jaxmeta.data.audio import read_audio, write_audio
from jaxmeta.models.acoustic import SIZES, Size
from jaxmeta.recognition import presets
from jaxmeta.recognition.recogniser import save_recogniser
from tests.recognition.conftest import TEXTS, recogniser, write_voice  # noqa: F401

JOURNEYS = Path(__file__).parents[3] / "docs" / "journeys"
RATE = 16_000
pytestmark = pytest.mark.slow


def commands(page):
    """Arguments of the commands of the first block of a page, which is all that a reader types."""
    block = re.search(r"```\n(.*?)```", (JOURNEYS / page).read_text(encoding="utf-8"), re.DOTALL)[1]
    lines = block.splitlines()
    assert 2 <= len(lines) <= 4 and "pip install" in lines[0]
    return [shlex.split(line.removeprefix(".venv/bin/jaxmeta ")) for line in lines[1:]]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_long_recording_and_its_labels_become_an_adapted_model_and_its_report(here, recogniser, capsys):  # noqa: F811
    save_recogniser(here / "tiny.en", recogniser)
    spoken = write_voice(here / "spoken")
    pieces = [read_audio(spoken / "audio" / f"{place}.wav") for place in range(len(TEXTS))]
    write_audio(here / "interview.flac", np.concatenate(pieces), RATE)
    ends = np.cumsum([len(piece) for piece in pieces]) / RATE
    spans = zip(np.append(0, ends), ends, TEXTS, strict=False)
    (here / "interview.txt").write_text("".join(f"{start:.6f}\t{end:.6f}\t{text}\n" for start, end, text in spans))
    for arguments in commands("long-recording.md"):
        main(arguments)
    assert "4 rows read = 4 used + 0 rejected" in capsys.readouterr().out
    assert (here / "mine" / "report.html").read_text(encoding="utf-8").count("<audio") == 4


def test_a_nemo_manifest_becomes_a_row_with_an_interval(here, monkeypatch, capsys):
    monkeypatch.setitem(SIZES["gru"], "tiny", Size(16, 1))
    monkeypatch.setattr("jaxmeta.training.runtime.prepare", lambda **options: None)
    monkeypatch.setitem(presets.PRESETS, "quick", presets.PRESETS["quick"]._replace(updates=2))
    texts = ["ab", "ba ab", "bab", "a ba", "ab a", "ba b"]
    write_voice(here / "clips", texts)
    rows = [
        {"audio_filepath": f"clips/audio/{place}.wav", "text": text, "speaker": f"s{place // 2}"}
        for place, text in enumerate(texts)
    ]
    (here / "train_manifest.json").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    for arguments in commands("nemo.md"):
        main(arguments)
    assert "6 rows read = 6 used + 0 rejected" in capsys.readouterr().out
    (row,) = json.loads((here / "run" / "results.json").read_text())["rows"]
    assert row["cer_low"] <= row["cer"] <= row["cer_high"]
