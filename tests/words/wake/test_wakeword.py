"""A wake word from training to its files: errors on purpose, streams in pieces, folders, ONNX and TFLite."""

import numpy as np
import pytest

from jaxmeta.bundle import BundleError
from jaxmeta.words.wake.alarms import detections
from jaxmeta.words.wake.exporting import export_head
from jaxmeta.words.wake.head import Layer, logits, scores
from jaxmeta.words.wake.stream import EmbeddingStream, windows_of
from jaxmeta.words.wake.training import train_wakeword
from jaxmeta.words.wake.wakeword import Detector, load_wakeword, save_wakeword
from tests.words.wake.sounds import RATE, embedding

pytestmark = pytest.mark.slow


def test_the_word_is_detected_where_it_ends_and_nowhere_else(tone, recording):
    detected = Detector(tone).push(recording)
    assert [round(each.seconds) for each in detected] in ([4, 9], [5, 9], [4, 10], [5, 10])
    assert all(-0.3 < each.seconds - end < 0.6 for each, end in zip(detected, (4.5, 9.0), strict=True))
    assert all(0.5 <= each.score <= 1 for each in detected)


def test_the_threshold_gives_the_alarms_that_its_card_tells(tone, held_out):
    assert tone.card.recordings == 5 and tone.card.alarms == 1
    assert tone.card.hours == pytest.approx(0.1, rel=0.05)
    assert sum(len(detections(logits(tone.layers, windows_of(each)), 0.0)) for each in held_out) == 1


@pytest.mark.parametrize("sizes", [[1280], [160], [5_000, 1, 12_345, 640]])
def test_pieces_of_any_length_give_what_the_whole_gives(tone, recording, sizes):
    whole, parts = Detector(tone), Detector(tone)
    expected, start, made = whole.scores(recording), 0, []
    while start < len(recording):
        size = sizes[len(made) % len(sizes)]
        made.append(parts.scores(recording[start : start + size]))
        start += size
    assert len(expected) == len(recording) // 1_280
    np.testing.assert_allclose(np.concatenate(made), expected, atol=1e-3)


def test_a_step_sees_the_last_two_seconds_alone(recording):
    changed = recording.copy()
    changed[: 4 * RATE] = 0.1
    first, second = (EmbeddingStream(embedding()).windows(each) for each in (recording, changed))
    # 4 s are 50 steps; 16 embeddings of 0.775 s each, 80 ms apart, end 25 steps after them.
    assert np.abs(first[50:74] - second[50:74]).max() > 1e-3
    np.testing.assert_allclose(first[76:], second[76:], atol=1e-4)


def test_a_folder_gives_back_the_wake_word_and_notices_damage(tone, recording, tmp_path):
    save_wakeword(tmp_path / "tone", tone)
    loaded = load_wakeword(tmp_path / "tone")
    assert loaded.card == tone.card
    np.testing.assert_array_equal(Detector(loaded).scores(recording), Detector(tone).scores(recording))
    path = tmp_path / "tone" / "weights.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"weights.npz: damaged"):
        load_wakeword(tmp_path / "tone")


def test_no_recordings_and_no_held_out_speech_are_refused(tone):
    with pytest.raises(ValueError, match="recordings is empty"):
        train_wakeword("tone", [], embedding(), None, None)


def layers(seed=0):
    rng = np.random.default_rng(seed)
    sizes = [(16 * 96, 8), (8, 4), (4, 1)]
    return [
        Layer((rng.normal(size=each) / 9).astype(np.float32), rng.normal(size=each[1]).astype(np.float32))
        for each in sizes
    ]


def test_a_head_is_dense_layers_with_relu_between_them():
    windows = np.random.default_rng(1).normal(size=(5, 16, 96)).astype(np.float32)
    first, second, third = layers()
    hidden = np.clip(
        np.clip(windows.reshape(5, -1) @ first.weight + first.bias, 0, None) @ second.weight + second.bias, 0, None
    )
    expected = (hidden @ third.weight + third.bias).ravel()
    np.testing.assert_allclose(logits(layers(), windows), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(scores(layers(), windows), 1 / (1 + np.exp(-expected)), rtol=1e-4)


@pytest.mark.parametrize(("to", "suffix", "package"), [
    ("openwakeword", ".onnx", "onnxruntime"), ("tflite", ".tflite", "ai_edge_litert"),
])  # fmt: skip
def test_a_file_gives_the_scores_of_the_head(tmp_path, to, suffix, package):
    pytest.importorskip(package, reason="needs the extra onnx or tflite")
    pytest.importorskip("onnx" if to == "openwakeword" else package)
    path = tmp_path / f"word{suffix}"
    checked = export_head(layers(), path, to, {"word": "x"})
    assert checked.difference < 1e-5 and checked.size == path.stat().st_size
    with pytest.raises(ValueError, match=f"let it end in {suffix}"):
        export_head(layers(), tmp_path / "word.bin", to, {})
