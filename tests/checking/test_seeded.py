"""Faults that were put in are found, and nothing else is."""

import os
from pathlib import Path

import pytest

from jaxmeta.files.folders import data_folders, has_data
from tests.checking.faults import FAULTS, VOICES
from tests.checking.seeded import seeded, synthesised

WEIGHTS = Path(os.environ.get("JAXMETA_MODELS", ".")) / "resemblyzer_ge2e.safetensors"


def check(counts, before):
    missed = {name: count for name, count in counts.items() if count.found < count.put}
    false = sum(count.false for count in counts.values())
    assert not missed and sum(count.put for count in counts.values()) >= 30
    assert false <= 0.01 * len(before.listing)


def test_every_kind_has_two_faults_at_least():
    kinds = [fault.kind for fault in FAULTS]
    assert len(kinds) >= 30 and all(kinds.count(kind) >= 2 for kind in kinds)


@pytest.mark.slow
def test_faults_in_synthesised_speech_are_found(tmp_path):
    pytest.importorskip("espeakng_loader")
    source = synthesised(tmp_path / "speech", 14, 8)
    counts, (before, _) = seeded(source, tmp_path, None, None, 14, 8, seed=0)
    check(counts, before)


@pytest.mark.slow
@pytest.mark.skipif(not has_data("en_nonnative_sentences"), reason="JAXMETA_DATA has no recordings")
def test_faults_in_recordings_are_found(tmp_path):
    source = data_folders("en_nonnative_sentences")[0]
    weights = WEIGHTS if WEIGHTS.is_file() else None
    counts, (before, _) = seeded(source, tmp_path, weights, None, 14, 12, seed=1)
    check(counts, before)
    assert weights is None or counts.keys() >= VOICES
