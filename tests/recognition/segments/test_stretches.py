"""Long recordings are cut where it is quiet, and nothing is lost."""

import os
from pathlib import Path

import numpy as np
import pytest

from jaxmeta.models.pretrained.voice_activity import CHUNK
from jaxmeta.recognition.pretrained.transcription import comparable
from jaxmeta.recognition.segments.stretches import RATE, load_detector, stretches


def noise(seconds):
    return np.random.default_rng(0).normal(size=int(seconds * RATE)).astype(np.float32)


def test_a_short_recording_stays_whole():
    waveform = noise(30)
    (piece,) = stretches(waveform)
    np.testing.assert_array_equal(piece, waveform)


@pytest.mark.parametrize("pause", [25.5, 27.0, 29.3])
def test_a_cut_lies_in_the_only_pause(pause):
    waveform = noise(40)
    waveform[int(pause * RATE) : int((pause + 0.3) * RATE)] = 0
    first, second = stretches(waveform)
    assert pause <= len(first) / RATE <= pause + 0.3
    np.testing.assert_array_equal(np.concatenate([first, second]), waveform)


@pytest.mark.parametrize("seconds", [30.01, 61.7, 300.0])
def test_no_stretch_is_too_long_and_no_sample_is_lost(seconds):
    waveform = noise(seconds)
    pieces = stretches(waveform)
    assert max(map(len, pieces)) <= 30 * RATE and min(map(len, pieces)) > 0
    np.testing.assert_array_equal(np.concatenate(pieces), waveform)


def test_with_a_detector_silence_is_left_out_and_neighbours_are_joined():
    waveform = noise(90)
    speech = np.zeros(-(-len(waveform) // CHUNK))
    for start, end in ((2, 10), (11, 20), (60, 70)):  # Seconds; the second begins soon after the first.
        speech[start * RATE // CHUNK : end * RATE // CHUNK] = 1
    first, second = stretches(waveform, lambda values: speech)
    assert len(first) / RATE == pytest.approx(18.4, abs=0.1) and len(second) / RATE == pytest.approx(10.4, abs=0.1)
    assert stretches(waveform, lambda values: 0 * speech) == []


def test_speech_without_a_pause_is_cut_too():
    pieces = stretches(noise(70), lambda values: np.ones(-(-len(values) // CHUNK)))
    assert max(map(len, pieces)) <= 30 * RATE and sum(map(len, pieces)) == 70 * RATE


def test_texts_are_compared_without_case_and_punctuation():
    assert comparable("It\u2019s ÉTÉ, OK?") == comparable("it's été ok") == "it's été ok"
    assert comparable("...") == ""


WEIGHTS = Path(os.environ.get("JAXMETA_MODELS", ".")) / "silero_vad_16k.safetensors"


@pytest.mark.slow
@pytest.mark.skipif(not WEIGHTS.is_file(), reason="JAXMETA_MODELS has no silero_vad_16k.safetensors")
def test_the_public_detector_gives_a_probability_for_each_chunk_and_finds_none_in_silence():
    silence = np.zeros(70 * RATE + 5, np.float32)
    actual = load_detector(WEIGHTS)(silence)
    assert actual.shape == (-(-len(silence) // CHUNK),) and actual.max() < 0.5
