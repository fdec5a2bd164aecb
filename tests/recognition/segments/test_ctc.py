"""A CTC recogniser on recordings of any length: stretches have times, and none is lost."""

from dataclasses import replace

import numpy as np
import pytest

from jaxmeta.data.features import extract, waveform_frames, whisper_features
from jaxmeta.models.pretrained.voice_activity import CHUNK
from jaxmeta.recognition.segments.ctc import cut, transcribe_pieces, window
from jaxmeta.recognition.transcription import STRETCH, transcribe
from tests.recognition.test_transcription import FEATURES, recogniser

STRIDED = recogniser(4)
RATE = FEATURES.sample_rate


def sound(seconds, seed=0):
    return np.random.default_rng(seed).normal(size=int(seconds * RATE)).astype(np.float32)


def speech_in(*stretches):
    """A detector that finds speech in stretches of so many seconds, whatever the recording."""

    def detect(waveform):
        starts = np.arange(-(-len(waveform) // CHUNK)) * CHUNK / 16_000
        return np.any([(starts >= start) & (starts < end) for start, end in stretches], axis=0).astype(float)

    return detect


def segments_of(waveforms, *arguments, recogniser=STRIDED):
    """The segments of each recording."""
    recordings = [[]]
    for segment in transcribe_pieces(recogniser, (cut(recogniser, each, *arguments) for each in waveforms)):
        if segment is None:
            recordings.append([])
        else:
            recordings[-1].append(segment)
    assert recordings.pop() == []
    return recordings


def test_a_short_recording_is_one_segment_with_the_text_of_the_whole():
    waveforms = [sound(seconds, seed) for seed, seconds in enumerate((0.5, 2.0, 1.0))]
    texts = transcribe(STRIDED, [extract(each, FEATURES) for each in waveforms])
    expected = [[(0, seconds, text)] for seconds, text in zip((0.5, 2.0, 1.0), texts, strict=True)]
    assert segments_of(waveforms) == expected


def test_a_long_recording_is_cut_in_its_pauses_and_every_frame_is_recognised():
    waveform = sound(10)
    pauses = (2.8, 5.5, 8.1)
    for pause in pauses:
        waveform[int(pause * RATE) : int((pause + 0.3) * RATE)] = 0
    pieces = cut(STRIDED, waveform, None, 3.0)
    np.testing.assert_array_equal(np.concatenate(pieces.features), extract(waveform, FEATURES))
    (segments,) = segments_of([waveform], None, 3.0)
    assert segments[0].start == 0 and segments[-1].end == 10 and len(segments) == 4
    for pause, before, after in zip(pauses, segments[:-1], segments[1:], strict=True):
        assert before.end == after.start and pause <= before.end <= pause + 0.3


@pytest.mark.parametrize("features", [whisper_features(16), waveform_frames(320)])
def test_features_without_a_frame_for_the_rest_of_a_hop_are_all_recognised(features):
    public = STRIDED._replace(card=replace(STRIDED.card, features=features))
    waveform = sound(9.005)
    waveform[-160:] = 0
    pieces = cut(public, waveform, None, 3.0)
    assert len(pieces.features) == len(pieces.spans) > 2 and all(map(len, pieces.features))
    np.testing.assert_array_equal(np.concatenate(pieces.features), extract(waveform, features))


def test_of_what_is_detected_alone_there_are_segments_within_the_recording():
    detect = speech_in((1, 3), (8, 10))
    speech, nothing = segments_of([sound(10), sound(10)], detect, 3.0), segments_of([sound(10)], speech_in(), 3.0)
    for segments in speech:
        np.testing.assert_allclose([(start, end) for start, end, _ in segments], [(0.8, 3.2), (7.8, 10)], atol=0.05)
        assert segments[-1].end <= 10
    assert nothing == [[]]


def test_each_stretch_of_speech_is_normalised_by_itself():
    config = replace(FEATURES, normalize="utterance")
    normalising = STRIDED._replace(card=replace(STRIDED.card, features=config))
    waveform = sound(10)
    pieces = cut(normalising, waveform, speech_in((1, 3), (8, 10)), 3.0)
    for (start, end), features in zip(pieces.spans, pieces.features, strict=True):
        np.testing.assert_array_equal(features, extract(waveform[start:end], config))


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_times_do_not_depend_on_the_sample_rate(rate):
    config = replace(FEATURES, sample_rate=rate, n_fft=2048, win_length=400, fmax=3_800.0)
    other = STRIDED._replace(card=replace(STRIDED.card, features=config))
    waveform = np.random.default_rng(0).normal(size=10 * rate).astype(np.float32)
    (segments,) = segments_of([waveform], speech_in((1, 3), (6, 8)), 3.0, recogniser=other)
    np.testing.assert_allclose([(start, end) for start, end, _ in segments], [(0.8, 3.2), (5.8, 8.2)], atol=0.05)


def test_without_a_limit_a_stretch_is_what_the_network_sees_at_once():
    waveform = sound(2 * window(STRIDED))
    assert max(map(len, cut(STRIDED, waveform).features)) <= STRETCH
