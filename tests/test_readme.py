"""README: its examples run as they stand, and its commands are two."""

import re
import runpy
from pathlib import Path

import numpy as np

from jaxmeta.data.audio import write_audio
from jaxmeta.data.manifest import write_manifest

README = Path(__file__).parents[1] / "README.md"


def recordings(folder: Path) -> None:
    """Six words by four speakers, four times each: enough for 5-way episodes of 1 + 15 with disjoint speakers."""
    columns: dict[str, list[str]] = {"file_name": [], "label": [], "speaker": []}
    folder.mkdir()
    rng = np.random.default_rng(0)
    for word in range(6):
        for speaker in range(4):
            for take in range(8):
                name = f"{word}_{speaker}_{take}.wav"
                tone = np.sin(2 * np.pi * (200 + 150 * word) * np.arange(1600) / 16000)
                write_audio(folder / name, (0.3 * tone + 0.01 * rng.normal(size=1600)).astype(np.float32), 16000)
                for column, value in zip(columns, (name, f"word{word}", f"s{speaker}"), strict=True):
                    columns[column].append(value)
    write_manifest(folder, columns)


def test_the_examples_run_one_after_the_other(tmp_path, monkeypatch):
    recordings(tmp_path / "my_recordings")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    Path("examples.py").write_text("\n".join(blocks), encoding="utf-8")
    names = runpy.run_path("examples.py")
    assert names["logits"].shape == (75, 5) and np.isfinite(names["logits"]).all()
    assert int(names["train"].step) == 1 and int(names["metrics"]["masked"]) == 0


def test_set_up_is_two_commands():
    commands = [line for line in README.read_text(encoding="utf-8").splitlines() if "pip install" in line]
    assert len(commands) == 2
    assert "experiments.spoken_words --preset quick" in commands[0] and commands[1].endswith("-m pytest")
