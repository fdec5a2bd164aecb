"""Pages about folders: what is in them, what is escaped, and what is said of folders that are not right."""

import json
import re

import numpy as np
import pytest

from jaxmeta.cli.main import main
from jaxmeta.data.audio import write_audio
from jaxmeta.data.manifests.clips import Clip
from jaxmeta.decoding.error_rates import character_edits
from jaxmeta.recognition.safe_adaptation import judge
from jaxmeta.reporting.folder import report
from jaxmeta.reporting.recognised import read_recognised, write_recognised
from jaxmeta.training.report import write_results
from jaxmeta.training.runlog import RunLog
from tests.cli.test_cli import fails

SAID, BEFORE, AFTER = ["bad", "cat", "<i>"], ["bet", "cat", "<i>"], ["bad", "cart", "<i>"]


@pytest.fixture
def folder(tmp_path):
    """As adaptation leaves one, with results and a log as training leaves them."""
    write_results(tmp_path / "run", [{"method": "a<b", "error %": 12.34567}], {"argv": ["jaxmeta", "--x", "<&>"]})
    with RunLog(tmp_path / "run" / "training", 3) as log:
        for step in (1, 2, 3):
            log.write(step, {"loss": 1 / step, "validation": float("nan")})
    for index in (0, 1):
        write_audio(tmp_path / f"{index}.wav", np.sin(np.arange(8000) / 5).astype(np.float32), 16_000)
    verdict = judge(character_edits(SAID, BEFORE), character_edits(SAID, AFTER))
    clips = [Clip(str(tmp_path / "0.wav")), Clip(str(tmp_path / "1.wav"), 0.1, 0.2), Clip(str(tmp_path / "gone.wav"))]
    write_recognised(tmp_path / "run", clips, SAID, verdict._replace(texts=(BEFORE, AFTER)), taken=False)
    (tmp_path / "run" / "card.json").write_text('{"rank": 4}')
    return tmp_path / "run"


def test_a_page_holds_results_curves_transcripts_and_recordings_and_escapes_them(folder):
    text = report(folder, roots=[folder.parent])
    assert "a&lt;b" in text and "12.35" in text and "jaxmeta --x &lt;&amp;&gt;" in text and "<i>" not in text
    assert "loss over 3 updates" in text and "validation of" not in text  # no number of it is finite
    assert text.count("<audio") == 2 and "gone.wav (not there any more" in text
    # Two of nine characters are wrong before, one afterwards.
    assert "22.2 % of characters wrong before, 11.1 % after" in text and "nothing is changed" in text
    assert '"rank": 4' in text.replace("&quot;", '"')
    assert "http" not in text.replace("http-equiv", "") and "<script" not in text


def test_a_long_training_shows_its_rare_validation_scores_and_its_last_update(tmp_path):
    with RunLog(tmp_path, 3_000) as log:
        for step in range(1, 3_001):
            log.write(step, {"loss": 1.0} | ({"validation": 2.0} if step % 1_000 == 0 else {}))
    text = report(tmp_path)
    assert "validation over 3000 updates" in text
    assert [len(points.split()) for points in re.findall(r'points="([^"]+)"', text)] == [501, 3]


@pytest.mark.parametrize("content", [{"rows": 5}, {"run": {"packages": 3, "argv": 4}}, {"rows": [], "run": []}])
def test_results_of_other_programs_stop_no_report(tmp_path, content):
    (tmp_path / "results.json").write_text(json.dumps(content))
    assert "<h2>Results</h2>" in report(tmp_path)


def test_recordings_beyond_the_size_are_named_only(folder):
    assert "<audio" not in report(folder, roots=[folder.parent], most_bytes=100)


def test_recordings_outside_of_the_folders_that_were_given_are_named_only(folder):
    text = report(folder, roots=[folder / "training"])
    assert "<audio" not in text and f"0.wav (to hear it, give --root {folder.parent})" in text
    (folder / "linked.wav").symlink_to(folder.parent / "0.wav")
    path = folder / "recognised.json"
    path.write_text(path.read_text().replace("/0.wav", "/run/linked.wav"))
    assert "<audio" not in report(folder)


def test_what_was_recognised_comes_back(folder):
    back = read_recognised(folder)
    assert (back.said, back.before, back.after) == (SAID, BEFORE, AFTER)
    assert back.clips[1][1:] == (0.1, 0.2) and back.figures["adapted"] is False
    assert read_recognised(folder.parent) is None


@pytest.mark.parametrize("content", ["", "[]", '{"rows": [{"file": "a"}], "figures": {}}', '{"rows": 3}',
                                     '{"rows": [], "figures": {}}'])  # fmt: skip
def test_a_damaged_list_of_transcripts_is_named(folder, content):
    (folder / "recognised.json").write_text(content)
    with pytest.raises(ValueError, match=r"recognised\.json: damaged .*delete it"):
        report(folder)


def test_the_command_writes_the_page_once(folder, tmp_path, capsys):
    main(["report", str(folder)])
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    assert "exists; name another file" in fails(["report", str(folder)], capsys)
    main(["report", str(folder), "--out", str(tmp_path / "page.html"), "--root", str(tmp_path)])
    assert (tmp_path / "page.html").read_text().count("<audio") == 2
    assert "written to" in capsys.readouterr().out
    (tmp_path / "empty").mkdir()
    assert "holds no card, results or training" in fails(["report", str(tmp_path / "empty")], capsys)
    assert "no such folder" in fails(["report", str(tmp_path / "none")], capsys)
    (folder / "card.json").write_text(json.dumps([1]))
    assert "card.json: holds no object" in fails(["report", str(folder), "--force"], capsys)
