"""Recordings for a wake word: what is used, and what is refused by name."""

import numpy as np
import pytest

from jaxmeta.data.audio import AudioError, write_audio
from jaxmeta.data.manifest import write_manifest
from jaxmeta.words.wake.augmentation import trimmed
from jaxmeta.words.wake.recordings import audio_files, background, noise_and_rooms, read_word, speech_files
from tests.words.wake.sounds import RATE, word


def folder_of(path, waveforms):
    for number, waveform in enumerate(waveforms):
        write_audio(path / f"{number}.wav", waveform, RATE)
    return path


def padded(waveform, seconds=0.5):
    return np.pad(waveform, round(seconds * RATE))


def test_a_folder_of_audio_files_needs_no_manifest_and_words_lose_their_silence(tmp_path):
    read = read_word(folder_of(tmp_path, [padded(word(seed)) for seed in range(5)]))
    assert not read.remarks and len(read.waveforms) == 5
    # The ends of a word are quiet themselves; no more than 60 ms are left around it.
    for seed, waveform in enumerate(read.waveforms):
        assert 0.7 * len(word(seed)) < len(waveform) <= len(word(seed)) + 0.06 * RATE


def test_trimming_keeps_what_is_loud_and_its_surroundings():
    sound = np.zeros(RATE, np.float32)
    sound[4_000:8_000] = 0.5
    cut = trimmed(sound)
    assert (cut == 0.5).sum() == 4_000 and len(cut) < 4_000 + 0.12 * RATE


def test_copies_of_a_recording_count_once(tmp_path):
    read = read_word(folder_of(tmp_path, [padded(word(0)), padded(word(1)), padded(word(0))]))
    assert len(read.waveforms) == 2
    assert read.remarks == [
        f"{tmp_path / '2.wav'}: the same recording as {tmp_path / '0.wav'}, and counted once",
        "2 recordings of the word; five or more miss it less often",
    ]


def test_one_recording_is_used_and_remarked_upon(tmp_path):
    read = read_word(folder_of(tmp_path, [padded(word(0))]))
    assert len(read.waveforms) == 1 and read.remarks[0].startswith("1 recording of the word; five")


@pytest.mark.parametrize(
    ("waveform", "problem"),
    [(np.zeros(RATE, np.float32), "0.wav: is silent but for"), (word(0, seconds=2.5), "0.wav: holds 2.* s of sound")],
)
def test_silence_and_what_is_too_long_for_a_word_are_refused_by_name(tmp_path, waveform, problem):
    with pytest.raises(AudioError, match=problem):
        read_word(folder_of(tmp_path, [waveform]))


def test_no_recordings_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no recordings; put audio files there"):
        read_word(tmp_path)
    with pytest.raises(ValueError, match="no such folder"):
        read_word(tmp_path / "none")


def test_no_speaker_is_both_in_training_and_held_out(tmp_path):
    folder_of(tmp_path, [word(seed) for seed in range(8)])
    names = [f"{number}.wav" for number in range(8)]
    write_manifest(tmp_path, {"file_name": names, "speaker": ["a", "b", "c", "d"] * 2})
    parts = speech_files([tmp_path], seed=0)
    assert len(parts.training) == len(parts.held_out) == 2
    # Both recordings of a speaker, four rows apart, are together.
    assert all(
        sorted(int(file.stem) % 4 for file in files) in ([n, n] for n in range(4))
        for files in (*parts.training, *parts.held_out)
    )
    assert sorted(file for files in (*parts.training, *parts.held_out) for file in files) == sorted(
        audio_files(tmp_path)
    )


def test_one_recording_of_other_speech_cannot_be_parted(tmp_path):
    with pytest.raises(ValueError, match=r"--negative has 1 recording\(s\).*cut a long recording"):
        speech_files([folder_of(tmp_path, [word(0)])], seed=0)


def test_background_has_silence_and_noise_at_the_levels_of_a_microphone():
    parts = background(np.random.default_rng(0).normal(size=(20, 8_000)), seed=0).reshape(22, 8_000)
    assert not parts[0].any() and not parts[-1].any()
    levels = 10 * np.log10(np.mean(np.square(parts[1:-1], dtype=np.float64), axis=1))
    assert levels.min() > -81 and levels.max() < -14 and np.ptp(levels) > 40


def test_noise_and_rooms_are_those_of_folders_or_artificial(tmp_path):
    noise, rooms = noise_and_rooms([folder_of(tmp_path, [word(0), padded(word(1), 4.0)])], [], seed=0)
    assert noise.shape == (2, 5 * RATE) and noise.any(axis=1).all()
    assert rooms.shape[1] == RATE // 2 and rooms.any(axis=1).all()
    with pytest.raises(ValueError, match="nothing but silence"):
        noise_and_rooms([folder_of(tmp_path / "silence", [np.zeros(RATE, np.float32)])], [], seed=0)
