"""The benchmark of recognition: what it decodes can be decoded, and what it trains on can be aligned; no times."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import recognition
from benchmarks.shared import decoders, problems
from jaxmeta.data.synthesis.sentences import sentences
from jaxmeta.decoding.beam import ctc_beam
from jaxmeta.models.acoustic import output_lengths
from jaxmeta.sequence_losses import ctc_feasible

ROOT = Path(__file__).parents[2]


def best_path(logs: np.ndarray) -> list[int]:
    return [int(label) for label, _ in itertools.groupby(logs.argmax(axis=1)) if label]


def test_artificial_outputs_are_log_probabilities_of_the_labels():
    labels = np.array([3, 3, 1, 4, 2, 2, 2])
    logs = decoders.outputs_for(labels, classes=5, seed=0)
    np.testing.assert_allclose(np.exp(logs).sum(axis=1), 1)
    assert 2 * len(labels) <= len(logs) <= 4 * len(labels)
    assert best_path(logs) == labels.tolist()


def test_artificial_outputs_are_not_quite_sure():
    logs = decoders.outputs_for(np.arange(1, 31), classes=31, seed=0)
    assert 1e-3 < np.mean(1 - np.exp(logs.max(axis=1))) < 0.1


@pytest.mark.slow
def test_searches_find_the_sentences_behind_the_outputs(monkeypatch):
    actual = []

    def spied(*arguments, **options):
        search = ctc_beam(*arguments, **options)
        return lambda logs, length: actual.append(" ".join(search(logs, length)[0].words)) or []

    monkeypatch.setattr(decoders, "ctc_beam", spied)
    runs = decoders.make_searches(count=60, beam=20, seed=0)
    texts = [sentence.text for sentence in sentences(60, 0)][: decoders.UTTERANCES]
    for run, frames in runs.values():
        actual.clear()
        run()
        assert actual == texts
        # Two to four outputs for a character, each of four frames.
        assert 8 * sum(map(len, texts)) <= frames <= 16 * sum(map(len, texts))


@pytest.mark.parametrize(("frames", "labels"), [(400, 30), (100, 10)])
def test_every_transcript_can_be_aligned(frames, labels):
    for batch in problems.transcription_episodes(2, frames=frames, labels=labels):
        for lengths, values, counts in zip(batch.inputs.lengths, *batch.targets, strict=True):
            assert ctc_feasible(output_lengths(lengths), batch.targets._replace(values=values, lengths=counts)).all()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs the memory that Linux tells of")
def test_the_peak_is_at_least_what_the_process_holds():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    assert recognition.peak_mebibytes() * 2**20 >= pages * 4096 * 0.99


def test_help_is_shown_without_starting_jax():
    script = "import sys; from benchmarks import recognition; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
