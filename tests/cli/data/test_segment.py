"""`jaxmeta data segment`: pieces of long recordings."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from jaxmeta.cli.main import main
from jaxmeta.data.audio import read_audio
from jaxmeta.data.manifest import read_manifest
from jaxmeta.recognition.segments.cutting import segment_recordings
from jaxmeta.recognition.segments.stretches import RATE, utterances


@pytest.fixture
def long(tmp_path):
    """Noise of 3 s, silence of 1.5 s, noise of 2 s; once as WAV and once as Ogg."""
    rng = np.random.default_rng(0)
    parts = [0.1 * rng.normal(size=3 * RATE), np.zeros(3 * RATE // 2), 0.1 * rng.normal(size=2 * RATE)]
    folder = tmp_path / "long"
    (folder / "more").mkdir(parents=True)
    for name in ("a.wav", "more/b.ogg"):
        soundfile.write(folder / name, np.concatenate(parts).astype(np.float32), RATE)
    return folder


def speech(waveform):
    """A detector that knows where the noise is."""
    chunks = np.arange(-(-len(waveform) // 512)) * 512 / RATE
    return ((chunks < 3.0) | (chunks >= 4.5)).astype(float)


def test_utterances_are_parted_by_silence_and_no_longer_than_asked(long):
    waveform = read_audio(long / "a.wav")
    spans = utterances(waveform, speech)
    assert [(round(start / RATE, 1), round(end / RATE, 1)) for start, end in spans] == [(0.0, 3.2), (4.3, 6.5)]
    short = utterances(waveform, speech, seconds=2.0, search=1.0)
    assert len(short) == 4 and max(end - start for start, end in short) <= 2 * RATE
    assert utterances(waveform, None, seconds=30.0) == [(0, len(waveform))]


def test_pieces_are_rows_of_the_recordings(long, tmp_path):
    result = segment_recordings([long / "a.wav", long / "more" / "b.ogg"], speech, progress=False)
    assert [each.name for each in result.utterances] == ["a.wav"] * 2 + ["more/b.ogg"] * 2
    assert result.roots == [long.resolve()] and not result.rejections
    last = result.utterances[-1].clip
    assert last.start + last.duration == pytest.approx(6.5)


def test_without_a_detector_silent_pieces_are_rejected_and_the_others_written(long, tmp_path, capsys):
    main(["data", "segment", str(long / "a.wav"), "--out", str(tmp_path / "new"), "--seconds", "1", "--to-transcribe",
          "--json"])  # fmt: skip
    row = json.loads(capsys.readouterr().out)
    assert row["read"] == row["used"] + row["rejected"] and row["rejected"] >= 1 and row["roots"] == [str(long)]
    read = read_manifest(tmp_path / "new", [long])
    assert set(read.columns["transcription"].tolist()) == {""} and len(read.clips()) == row["used"]
    assert sum(clip.duration for clip in read.clips()) >= 5.0 and max(clip.duration for clip in read.clips()) <= 1.0
    assert "is silent from" in (tmp_path / "new" / "rejected.csv").read_text()


def test_copies_are_files(long, tmp_path, capsys):
    main(["data", "segment", str(long / "more" / "b.ogg"), "--out", str(tmp_path / "new"), "--seconds", "2", "--copy"])
    read = read_manifest(tmp_path / "new")
    assert sorted(os.listdir(tmp_path / "new")) == ["audio", "metadata.csv", "rejected.csv"]
    assert sum(len(read_audio(path)) for path in read.paths()) <= 6.5 * RATE and "--root" not in capsys.readouterr().out


def test_a_recording_that_cannot_be_read_is_named_and_the_others_cut(long, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["data", "segment", str(long / "gone.wav"), str(long / "a.wav"), "--out", str(tmp_path / "new")])
    said = capsys.readouterr()
    assert stop.value.code == 3 and "gone.wav: no such file" in said.err and "1 of 2 recordings" in said.err
    assert len(read_manifest(tmp_path / "new", [long]).clips()) == 1


@pytest.mark.parametrize("files", [[], ["a.wav", "more/../a.wav"], ["gone.wav"]])
def test_nothing_to_cut_is_refused(long, tmp_path, capsys, files):
    with pytest.raises(SystemExit) as stop:
        main(["data", "segment", *(str(long / name) for name in files), "--out", str(tmp_path / "new")])
    assert stop.value.code == 2 and not (tmp_path / "new").exists()


WEIGHTS = Path(os.environ.get("JAXMETA_MODELS", ".")) / "silero_vad_16k.safetensors"


@pytest.mark.slow
@pytest.mark.skipif(not WEIGHTS.is_file(), reason="JAXMETA_MODELS has no silero_vad_16k.safetensors")
def test_the_public_detector_finds_nobody_who_speaks_in_noise(long, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["data", "segment", str(long / "a.wav"), "--out", str(tmp_path / "new"), "--voice-activity", str(WEIGHTS)])
    assert "nobody speaks" in capsys.readouterr().err and not (tmp_path / "new").exists()
