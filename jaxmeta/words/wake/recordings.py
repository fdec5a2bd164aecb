"""Recordings for a wake word: of the word, of other speech, and of noise and rooms; folders are read and checked."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmeta.data.audio import AudioError, read_audio
from jaxmeta.data.augmentation.artificial_sounds import artificial_rooms
from jaxmeta.data.augmentation.banks import coloured_noise
from jaxmeta.data.manifest import ManifestError, read_manifest
from jaxmeta.data.recordings import first_copies, read_waveforms
from jaxmeta.words.wake.augmentation import trimmed
from jaxmeta.words.wake.stream import RATE

SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")
LEAST_SOUND, LONGEST = 0.15, 1.6
"""Seconds that a word must have, and may have: a head sees 2 s."""
HELD_OUT = 0.5
"""Of the other speech, for the threshold."""
_NOISE, _ROOMS = 60, 32
_NOISE_SECONDS, _ROOM_SECONDS = 5, 0.5


class WordRecordings(NamedTuple):
    """Recordings of a wake word."""

    waveforms: list[np.ndarray]
    """[S] each, at 16 kHz, without silence at the ends."""
    remarks: list[str]
    """What a person should know of them."""


class SpeechFiles(NamedTuple):
    """Recordings without the wake word; no speaker is in both parts."""

    training: list[list[Path]]
    """Files of each speaker."""
    held_out: list[list[Path]]


def audio_files(folder: Path) -> list[Path]:
    """The recordings of a folder: those of its metadata.csv, or else every audio file in it, by name.

    Raises:
      ValueError: there is no such folder, or there are no recordings in it. ManifestError as `read_manifest`.
    """
    if (folder / "metadata.csv").is_file():
        manifest = read_manifest(folder)
        if pieces := [row for row, clip in enumerate(manifest.clips()) if not clip.whole]:
            raise ManifestError(
                f"{manifest.where(pieces[0])}: is a piece of a file, and wake words want files of their own; make them "
                "by `jaxmeta data import --copy`."
            )
        return [Path(path) for path in manifest.paths()]
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; give one that holds recordings.")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"{folder}: no recordings; put audio files there ({', '.join(SUFFIXES)}), five or more.")
    return files


def read_word(folder: Path, *, resample: bool = False) -> WordRecordings:
    """The recordings of a word; one that is there twice counts once.

    Raises:
      ValueError: none. AudioError: one is silent, too long for one word, or cannot be read; names the file.
    """
    files = audio_files(folder)
    waveforms = read_waveforms(RATE, files, resample=resample, least_sound=LEAST_SOUND)
    remarks = []
    used = [row for row, first in enumerate(first_copies(waveforms)) if row == first]
    for row, first in enumerate(first_copies(waveforms)):
        if row != first:
            remarks.append(f"{files[row]}: the same recording as {files[first]}, and counted once")
    words = [trimmed(waveforms[row]) for row in used]
    for row, word in zip(used, words, strict=True):
        if len(word) > LONGEST * RATE:
            raise AudioError(
                f"{files[row]}: holds {len(word) / RATE:.1f} s of sound, and a wake word may have {LONGEST:g} s; "
                "cut it to the word alone, or record it again in a quieter place."
            )
    if len(words) < 5:
        remarks.append(f"{len(words)} recording{'s' * (len(words) > 1)} of the word; five or more miss it less often")
    return WordRecordings(words, remarks)


def speech_files(folders: Sequence[Path], seed: int) -> SpeechFiles:
    """Recordings of speech in folders, parted by speakers; without a column `speaker`, each recording is one's own.

    Raises:
      ValueError: fewer than two speakers, or recordings.
    """
    owned: dict[str, list[Path]] = {}
    for folder in folders:
        files = audio_files(folder)
        columns = read_manifest(folder).columns if (folder / "metadata.csv").is_file() else {}
        owners = columns["speaker"].tolist() if "speaker" in columns else [str(file) for file in files]
        for owner, file in zip(owners, files, strict=True):
            owned.setdefault(f"{folder}/{owner}", []).append(file)
    if len(owned) < 2:
        raise ValueError(
            f"--negative has {len(owned)} recording(s) or speaker(s), and two are needed: one part is for training, "
            "the other for the threshold; cut a long recording into several files."
        )
    order = np.random.default_rng(seed).permutation(sorted(owned)).tolist()
    part = min(max(1, round(HELD_OUT * len(order))), len(order) - 1)
    return SpeechFiles([owned[name] for name in order[part:]], [owned[name] for name in order[:part]])


def read_joined(files: Sequence[Path]) -> np.ndarray:
    """Recordings one after the other, at 16 kHz."""
    return np.concatenate([read_audio(file, RATE) for file in files])


def noise_and_rooms(noise: Sequence[Path], rooms: Sequence[Path], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Stretches of 5 s of noise [M, L] and responses of rooms [M, L] from folders, or artificial ones."""
    size, taps = _NOISE_SECONDS * RATE, round(_ROOM_SECONDS * RATE)
    stretches = [part for folder in noise for part in _cut(folder, size)]
    responses = [_sized(read_audio(file, RATE), taps) for folder in rooms for file in audio_files(folder)]
    return (
        np.stack(stretches) if stretches else coloured_noise(_NOISE, _NOISE_SECONDS, RATE, seed=seed),
        np.stack(responses) if responses else artificial_rooms(_ROOMS, _ROOM_SECONDS, RATE, seed=seed),
    )


def background(noise: np.ndarray, seed: int) -> np.ndarray:
    """Stretches of noise [M, L] one after the other, each at a level from -80 to -15 dB of full scale, and silence."""
    rng = np.random.default_rng(seed)
    levels = 10 ** (rng.uniform(-80, -15, (len(noise), 1)) / 20)
    strength = np.sqrt(np.mean(np.square(noise), axis=1, keepdims=True))
    parts = [np.zeros(noise.shape[1]), *(noise / strength * levels), np.zeros(noise.shape[1])]
    return np.concatenate(parts).clip(-1, 1).astype(np.float32)


def synthesised_confusables(text: str, language: str, *, count: int = 16, seed: int = 0) -> list[np.ndarray]:
    """What sounds like the word and is not it, each by three artificial voices, at 16 kHz.

    Raises:
      ValueError, ImportError: as `confusables`.
    """
    import soxr

    from jaxmeta.data.synthesis.confusables import confusables
    from jaxmeta.data.synthesis.speech import Word, default_voices, plan, speak

    words = [Word(each, language, each) for each in confusables(text, language, count, seed=seed)]
    spoken = []
    for row in plan(words, default_voices(train=12, val=0, test=0, seed=seed), voices_per_word=3, seed=seed):
        waveform, rate = speak(
            row.text, row.voice, pitch=row.pitch, rate=row.rate, pitch_range=row.pitch_range, seed=row.seed
        )
        spoken.append(soxr.resample(waveform, rate, RATE).astype(np.float32))
    return spoken


def _cut(folder: Path, size: int) -> list[np.ndarray]:
    parts = []
    for file in audio_files(folder):
        waveform = read_audio(file, RATE)
        waveform = np.resize(waveform, max(size, len(waveform)))
        parts += [part for part in waveform[: len(waveform) // size * size].reshape(-1, size) if part.any()]
    if not parts:
        raise ValueError(f"{folder}: holds nothing but silence; it cannot serve as noise.")
    return parts


def _sized(response: np.ndarray, taps: int) -> np.ndarray:
    return np.pad(response[:taps], (0, max(0, taps - len(response))))
