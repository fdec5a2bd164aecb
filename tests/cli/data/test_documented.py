"""Commands of docs/data.md run as they stand, on such lists as other tools write."""

import re
import shlex
import shutil
from pathlib import Path
from typing import get_args

import pytest

from jaxmeta.cli.main import main
from jaxmeta.data.importers.detection import Format
from jaxmeta.data.manifest import read_manifest
from tests.data.importers import writers
from tests.data.importers.conftest import audio  # noqa: F401

PAGE = Path(__file__).parents[3] / "docs" / "data.md"
COMMANDS = re.findall(r"^\.venv/bin/jaxmeta (data (?:import|segment) .*)$", PAGE.read_text(), re.MULTILINE)
SAID = [writers.Said(text, "s1", "de") for text in ("eins", "zwei", "drei")]


@pytest.fixture
def sources(audio, tmp_path, monkeypatch):  # noqa: F811
    """The lists that the commands name, in the working directory."""
    monkeypatch.chdir(tmp_path)
    for path in audio:
        shutil.copyfile(path, tmp_path / path.name)
    here = [Path(path.name) for path in audio]
    writers.nemo(tmp_path, here, SAID).rename("train_manifest.json")
    writers.lhotse(tmp_path, here, SAID)
    for folder, write, wavs in (
        ("kaldi/data/train", writers.kaldi, "kaldi"),
        ("hugging_face", writers.audiofolder_csv, "hugging_face"),
        ("cv-corpus/cy", writers.common_voice, "cv-corpus/cy/clips"),
        ("LJSpeech-1.1", writers.ljspeech, "LJSpeech-1.1/wavs"),
    ):
        Path(folder).mkdir(parents=True)
        write(Path(folder), here, SAID)
        Path(wavs).mkdir(exist_ok=True)
        for path in audio:
            shutil.copyfile(path, Path(wavs, path.name))
    Path("cv-corpus/cy/other.tsv").rename("cv-corpus/cy/train.tsv")
    for folder, write in (("praat", writers.textgrid), ("dictated", writers.transcripts)):
        Path(folder).mkdir()
        write(Path(folder), audio, SAID)
    for write, name in ((writers.audacity, "labels"), (writers.elan, "interview")):
        listed = write(tmp_path, audio, SAID)
        listed.rename(f"{name}{listed.suffix}")
        Path("long.wav").rename(f"{name}.wav")


def test_every_format_has_a_command():
    formats = get_args(Format)
    rows = re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(), re.MULTILINE)
    assert set(formats) <= set(rows)
    assert len([each for each in COMMANDS if each.startswith("data import")]) == len(formats)


@pytest.mark.slow
def test_the_commands_import_all_rows(sources, capsys):
    for command in COMMANDS:
        main(shlex.split(command))
        said = capsys.readouterr().out
        imports = command.startswith("data import")
        assert not imports or '"rejected": 0' in said or "3 rows read = 3 used + 0 rejected" in said, command
        if "--dry-run" not in command:
            words = shlex.split(command)
            roots = re.findall(r"--root (\S+)|\"roots\": \[\"(.*?)\"", said)
            read = read_manifest(words[words.index("--out") + 1], [first or second for first, second in roots])
            assert not imports or read.columns["transcription"].tolist() == ["eins", "zwei", "drei"]
