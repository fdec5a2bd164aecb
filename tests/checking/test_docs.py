"""`docs/data-check.md`: its table is that of the code, and its example runs."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import soundfile

from jaxmeta.cli.main import main
from jaxmeta.data.checking.kinds import KINDS
from jaxmeta.data.manifest import write_manifest

PAGE = Path(__file__).parents[2] / "docs" / "data-check.md"


def findings():
    lines = ["| finding | severity | from where on | what to do | source |", "|---|---|---|---|---|"]
    lines += [
        f"| `{kind.name}` | {kind.severity} | {kind.threshold} | {kind.remedy} | {kind.source or 'ours'} |"
        for kind in KINDS.values()
    ]
    return "\n".join(lines)


def test_the_table_of_findings_is_that_of_the_code():
    shown = PAGE.read_text(encoding="utf-8").partition("<!-- findings -->\n")[2].partition("\n<!-- end")[0]
    assert shown == findings()


def test_the_example_runs_and_writes_both_reports(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "my_recordings"
    folder.mkdir()
    soundfile.write(folder / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(8_000), 16_000)
    write_manifest(folder, {"file_name": ["a.wav"], "label": ["on"]})
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```console\njaxmeta (.*?)\n```", PAGE.read_text(encoding="utf-8"))
    command, output = block.split(" > ")
    main(shlex.split(command))
    (row,) = capsys.readouterr().out.splitlines()
    assert output == "findings.json" and json.loads(row)["summary"]["rows"] == 1
    assert {path.name for path in tmp_path.iterdir()} == {"my_recordings", "findings.html"}
