"""`jaxmeta data check`: from a folder to a table, JSON, a page, and an exit status."""

import base64
import io
import json
import re

import numpy as np
import pytest
import soundfile

from jaxmeta.checking.folder import check_folder
from jaxmeta.checking.listening import WORST, as_page, worst_cases
from jaxmeta.checking.summary import feasible_episodes
from jaxmeta.checking.table import as_json, as_text
from jaxmeta.cli.main import main
from jaxmeta.data.checking.kinds import KINDS
from jaxmeta.data.manifest import write_manifest
from jaxmeta.files.durable import plain

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def folder(tmp_path):
    """Twenty recordings of noise: one silent, one damaged, one clipped, and a transcript that is markup."""
    rng, names = np.random.default_rng(0), [f"{number:02d}.wav" for number in range(20)]
    for number, name in enumerate(names):
        noise = 0.1 * rng.standard_normal(8_000) * (number != 3)
        noise = np.clip(20 * noise, -1, 1) if number == 5 else noise
        soundfile.write(tmp_path / name, noise, 16_000, subtype="PCM_16")
    (tmp_path / names[7]).write_text("no audio")
    texts = ["on off"] * 19 + [HOSTILE]
    labels = ["a", "b"] * 10
    write_manifest(tmp_path, {"file_name": names, "transcription": texts, "label": labels, "speaker": ["s"] * 20})
    return tmp_path


def test_a_folder_is_reported_with_the_gravest_first(folder):
    report = check_folder(folder, progress=False)
    found = [(case.kind, case.row) for case in report.cases]
    assert found[:3] == [("undecodable", 7), ("silence", 3), ("ctc-infeasible", 19)] and ("clipping", 5) in found
    assert {row for kind, row in found if kind != "character-once"} == {3, 5, 7, 19}
    assert report.grave and report.rows(("error",)) == {3, 7, 19}
    summary = report.summary
    assert (summary.rows, summary.readable, summary.values["label"]) == (20, 19, 2)
    assert summary.hours == pytest.approx(19 * 0.5 / 3600)
    # Nine recordings of b are left, ten of a: one to adapt to leaves eight to be tested by.
    assert summary.episodes[0] == (2, 1, 8)


def test_the_table_names_the_worst_row_and_what_to_do(folder):
    text = as_text(check_folder(folder, progress=False))
    lines = text.splitlines()
    assert lines[0] == "recordings: 19 of 20 can be read, 0.00 h"
    place = next(number for number, line in enumerate(lines) if line.startswith("warning   clipping"))
    assert lines[place].endswith("row 7: 05.wav") and lines[place + 2].endswith(KINDS["clipping"].remedy)
    assert lines[-1] == "4 of 20 rows (20.0 %) have findings, 3 of them errors"


def test_the_json_has_every_case(folder):
    content = json.loads(json.dumps(plain(as_json(check_folder(folder, progress=False))), allow_nan=False))
    assert content["summary"]["flagged_rows"] == 4 and content["summary"]["sample_rates"] == {"16000": 19}
    for finding in content["findings"]:
        assert finding["severity"] == KINDS[finding["kind"]].severity and finding["rows"] == len(finding["cases"])
    silent = next(each for each in content["findings"] if each["kind"] == "silence")
    assert [(case["row"], case["file"]) for case in silent["cases"]] == [(5, "03.wav")]


def test_the_page_plays_the_worst_recordings_and_shows_markup_as_text(folder):
    content = as_page(check_folder(folder, progress=False), f"jaxmeta data check {HOSTILE}")
    assert "<script" not in content and "&lt;script&gt;" in content and "http:" not in content.replace("http-equiv", "")
    players = re.findall(r'src="data:audio/flac;base64,([^"]+)"', content)
    # The damaged one has no player.
    decoded = [soundfile.read(io.BytesIO(base64.b64decode(each))) for each in players]
    assert len(decoded) == 3 and all(rate == 16_000 and len(samples) == 8_000 for samples, rate in decoded)
    assert "cannot be decoded" in content
    small = as_page(check_folder(folder, progress=False), most_bytes=100)
    assert "data:audio" not in small and small.count("too large for this page") == 3


def test_every_kind_comes_to_be_heard_and_a_recording_once(folder):
    report = check_folder(folder, progress=False)
    many = [report.cases[0]._replace(kind="copy", row=row, excess=1.0 + row) for row in range(20)]
    chosen = worst_cases(report._replace(cases=[*many[::-1], *report.cases]))
    assert len(chosen) == WORST == len({case.row for case in chosen})
    kinds = [case.kind for case in chosen[:4]]
    assert kinds == ["undecodable", "silence", "ctc-infeasible", "clipping"]


def test_episodes_do_not_count_copies():
    labels = ["a"] * 20 + ["b"] * 20
    unique = [str(number).encode() for number in range(40)]
    assert feasible_episodes(labels, unique) == [(2, 1, 15), (2, 5, 15), (2, 10, 10)]
    assert feasible_episodes(labels, [b"1"] * 20 + unique[20:]) == []
    assert feasible_episodes([""] * 3, [b"1", None, b"2"]) == []


def test_the_command_ends_with_5_after_errors_and_with_0_without(folder, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["data", "check", str(folder), "--json", "--html", str(tmp_path / "a.html")])
    said = capsys.readouterr()
    assert stop.value.code == 5 and "silence" in said.out and said.out.count("\n") == 1 and "Traceback" not in said.err
    assert json.loads(said.out)["command"] == "data check"
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")
    write_manifest(folder, {"file_name": ["00.wav", "01.wav"]})
    main(["data", "check", str(folder)])
    assert "no findings" in capsys.readouterr().out


def test_options_that_do_not_fit_are_refused_before_anything_is_read(folder, tmp_path, capsys):
    write_manifest(folder, {"file_name": ["00.wav"]})
    for arguments, status, message in (
        (["--html", str(tmp_path / "none" / "a.html")], 74, "there is no folder"),
        (["--recogniser", str(tmp_path)], 2, "no column transcription"),
        (["--speaker-embedding", "x", "--assistant", "y"], 2, "give one of them"),
        (["--speaker-embedding", "x"], 2, "no column speaker"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["data", "check", str(folder), *arguments])
        said = capsys.readouterr()
        assert stop.value.code == status and message in said.err and not said.out


def test_a_rate_that_flac_cannot_hold_has_its_row_and_no_player(tmp_path):
    soundfile.write(tmp_path / "fast.wav", np.clip(np.random.default_rng(0).normal(size=99_999), -1, 1), 768_000)
    write_manifest(tmp_path, {"file_name": ["fast.wav"]})
    text = as_page(check_folder(tmp_path, progress=False))
    assert "cannot be played at 768,000 Hz" in text and "<audio" not in text
