"""Corpora of synthesised speech: words by many artificial speakers, as a manifest like any other.

    words = [Word("siebzehn", "de", "seventeen"), Word("seventeen", "en", "seventeen_en")]
    synthesise("corpus", plan(words, default_voices(), takes=2))

A recording depends on its own row only, so the corpus is the same for any number of processes.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr

from jaxmeta.data.audio import write_audio
from jaxmeta.data.manifest import write_manifest
from jaxmeta.data.synthesis.espeak import engine_version, speak, variants, voice_name
from jaxmeta.data.synthesis.lexicon import Word, contains_excluded

__all__ = ["CARD", "Utterance", "Voice", "Word", "default_voices", "plan", "speak", "synthesise"]

CARD = "synthesis.json"
_FORMAT = 1  # Raise it when the same utterances would give other files.
_CHUNK = 64  # Utterances handed to a process at a time: about 0.1 s of work.
# Machine-like voices in which words are hard to tell apart.
_UNNATURAL = re.compile(r"robo|demonic|tweaky|fast|unirobot|announcer|kaukovalta|anikaRobot", re.IGNORECASE)


class Voice(NamedTuple):
    """An artificial speaker."""

    name: str
    variant: str
    """One of `espeak.variants()`."""
    pitch: int = 50
    """0 to 100."""
    rate: int = 175
    """Words per minute, 80 to 450."""
    pitch_range: int = 50
    """0 to 100."""
    split: str = "train"
    language: str | None = None
    """An accent: speaks every word as this language would read it; None speaks each word in its own language."""


class Utterance(NamedTuple):
    """One recording to be made; everything that its samples and its row of metadata.csv depend on."""

    file_name: str
    text: str
    voice: str
    """espeak-ng's "language+variant"."""
    pitch: int
    rate: int
    pitch_range: int
    seed: int
    label: str
    language: str
    speaker: str
    split: str
    word_split: str


def default_voices(train: int = 24, val: int = 6, test: int = 10, *, seed: int = 0) -> tuple[Voice, ...]:
    """Return artificial speakers that differ in voice, pitch, rate and liveliness; no voice is in two splits.

    Args:
      train, val, test: number of speakers in each split, 0 or more.
      seed: 0 or more.
    """
    rng = np.random.default_rng(seed)
    names = rng.permutation([name for name in variants() if not _UNNATURAL.search(name)]).tolist()
    most, rest = round(0.6 * len(names)), round(0.75 * len(names))
    pools = {"train": names[:most], "val": names[most:rest], "test": names[rest:]}
    voices = []
    for (split, pool), count in zip(pools.items(), (train, val, test), strict=True):
        for index in range(count):
            variant = pool[index % len(pool)]
            pitch, rate, pitch_range = (int(rng.integers(low, high)) for low, high in ((30, 71), (135, 206), (30, 81)))
            name = f"{split}{index:03d}_{re.sub(r'[^A-Za-z0-9]', '', variant)}"
            voices.append(Voice(name, variant, pitch, rate, pitch_range, split))
    return tuple(voices)


def plan(
    words: Sequence[Word],
    voices: Sequence[Voice],
    *,
    takes: int = 1,
    voices_per_word: int | None = None,
    exclude: Collection[str] = (),
    seed: int = 0,
) -> tuple[Utterance, ...]:
    """Return the recordings of each word by the voices of the word's own split.

    Every recording varies pitch, rate and liveliness around its voice's own, so no two of them are the same.
    Args:
      words: at least one, no two with the same text, language and label.
      voices: speakers with different names; every split among the words needs some.
      takes: recordings of a word by each voice, at least 1.
      voices_per_word: choose this many voices at random for each word; None takes all.
      exclude: texts that must not be spoken; letters are compared, without case, accents, tones and spaces.
      seed: 0 or more.
    Raises:
      ValueError: unknown languages or variants, repeated words or names, a split without voices, an excluded text.
    """
    _check_words(words, exclude)
    _check_voices(voices)
    if takes < 1:
        raise ValueError(f"takes={takes} must be at least 1.")
    utterances = []
    for word in words:
        able = [voice for voice in voices if voice.split == word.split]
        wanted = len(able) if voices_per_word is None else voices_per_word
        if not 0 < wanted <= len(able):
            raise ValueError(
                f"word {word.text!r} of split {word.split!r} needs {max(wanted, 1)} voices of that split, "
                f"got {len(able)}; give more voices or a smaller voices_per_word."
            )
        chosen = np.sort(_generator(seed, *word).permutation(len(able))[:wanted])
        utterances += [_utterance(word, able[i], take, seed) for i in chosen for take in range(takes)]
    return tuple(utterances)


def synthesise(
    folder: str | os.PathLike[str],
    utterances: Sequence[Utterance],
    *,
    sample_rate: int = 16000,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the recordings and their metadata.csv as a folder, all or nothing, and return the folder.

    A folder that holds the very same corpus already is left as it is.
    Args:
      folder: to be made; its parents too.
      utterances: from `plan`; at least one.
      sample_rate: of the files, in Hz; espeak-ng itself speaks at 22050.
      workers: processes; None takes one for each CPU, but a single one for a small corpus.
      progress: called with (done, total) recordings from time to time.
    Raises:
      ValueError: the folder holds something else, or espeak-ng cannot say an utterance.
      ImportError: the extra "synth" is not installed.
    """
    folder = Path(folder)
    _check_utterances(utterances)
    card = _card(utterances, sample_rate)
    if _is_present(folder, card):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.partial-", dir=folder.parent))
    try:
        _write_recordings(partial, utterances, sample_rate, workers, progress or (lambda done, total: None))
        write_manifest(partial, _columns(utterances))
        (partial / CARD).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        partial.chmod(0o755)  # mkdtemp makes it private.
        _publish(partial, folder, card)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _generator(*key: object) -> np.random.Generator:
    """Return a generator keyed by content, so that adding a word changes no other word's recordings."""
    digest = hashlib.sha256(json.dumps(key).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint32))


def _utterance(word: Word, voice: Voice, take: int, seed: int) -> Utterance:
    # By content, so that the parts of a corpus can be planned one by one; labels may hold any character.
    digest = hashlib.sha256(json.dumps(word).encode()).hexdigest()[:8]
    folder = re.sub(r"[^A-Za-z0-9]+", "-", word.label)[:40] + "-" + digest
    rng = _generator(seed, *word, voice.name, take)
    pitch = min(max(voice.pitch + int(rng.integers(-8, 9)), 0), 100)
    rate = min(max(round(voice.rate * rng.uniform(0.85, 1.15)), 80), 450)
    pitch_range = min(max(voice.pitch_range + int(rng.integers(-15, 16)), 0), 100)
    language = voice.language or word.language
    return Utterance(
        f"audio/{folder}/{voice.name}_{take:02d}.flac", word.text, f"{language}+{voice.variant}", pitch, rate,
        pitch_range, int(rng.integers(2**31)), word.label, word.language, voice.name, voice.split, word.split,
    )  # fmt: skip


def _check_words(words: Sequence[Word], exclude: Collection[str]) -> None:
    if not words:
        raise ValueError("words is empty; give at least one Word.")
    seen = set()
    for word in words:
        voice_name(word.language)
        if word[:3] in seen:
            raise ValueError(f"words has {word.text!r} ({word.language}, label {word.label!r}) twice; give it once.")
        seen.add(word[:3])
        if contains_excluded(word.text, exclude):
            raise ValueError(f"words has {word.text!r} ({word.language}), which exclude forbids; leave it out.")


def _check_voices(voices: Sequence[Voice]) -> None:
    names = [voice.name for voice in voices]
    for voice in voices:
        voice_name(f"{voice.language or 'en'}+{voice.variant}")
        if not re.fullmatch(r"[A-Za-z0-9_-]+", voice.name) or names.count(voice.name) > 1:
            raise ValueError(f"voice name {voice.name!r} must be unique, of letters, digits, '_' and '-'.")


def _check_utterances(utterances: Sequence[Utterance]) -> None:
    if not utterances:
        raise ValueError("utterances is empty; give at least one, from plan(words, voices).")
    if repeated := [name for name, count in Counter(row.file_name for row in utterances).items() if count > 1]:
        raise ValueError(f"utterances has {repeated[0]!r} twice; plan each word, voice and take only once.")


def _card(utterances: Sequence[Utterance], sample_rate: int) -> dict[str, object]:
    engine = f"espeak-ng {engine_version()}"
    content = json.dumps([_FORMAT, engine, sample_rate, utterances])
    return {
        "format": _FORMAT,
        "engine": engine,
        "sample_rate": sample_rate,
        "recordings": len(utterances),
        "sha256": hashlib.sha256(content.encode()).hexdigest(),
    }


def _is_present(folder: Path, card: dict[str, object]) -> bool:
    if not folder.exists():
        return False
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        if json.loads((folder / CARD).read_text(encoding="utf-8")) == card:
            return True
    raise ValueError(f"folder={str(folder)!r} holds something else already; give another folder, or delete it.")


def _publish(partial: Path, folder: Path, card: dict[str, object]) -> None:
    try:
        partial.rename(folder)
    except OSError:
        # Another process may have made the same corpus meanwhile; anything else is an error.
        if not _is_present(folder, card):
            raise


def _columns(utterances: Sequence[Utterance]) -> dict[str, list[str]]:
    names = ("file_name", "label", "language", "speaker", "split", "word_split")
    columns = {name: [getattr(utterance, name) for utterance in utterances] for name in names}
    return columns | {"transcription": [utterance.text for utterance in utterances]}


def _write_recordings(
    root: Path,
    utterances: Sequence[Utterance],
    sample_rate: int,
    workers: int | None,
    progress: Callable[[int, int], None],
) -> None:
    chunks = [utterances[i : i + _CHUNK] for i in range(0, len(utterances), _CHUNK)]
    if workers is None:
        # A new process imports its libraries for about as long as a thousand utterances take.
        workers = min(os.cpu_count() or 1, 1 + len(utterances) // 2000)
    done = 0
    if workers <= 1:
        for chunk in chunks:
            done += _write_chunk(root, chunk, sample_rate)
            progress(done, len(utterances))
        return
    # Spawned, not forked: the parent may hold JAX's threads.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            for future in as_completed([pool.submit(_write_chunk, root, chunk, sample_rate) for chunk in chunks]):
                done += future.result()
                progress(done, len(utterances))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _write_chunk(root: Path, utterances: Sequence[Utterance], sample_rate: int) -> int:
    for row in utterances:
        waveform, rate = speak(
            row.text, row.voice, pitch=row.pitch, rate=row.rate, pitch_range=row.pitch_range, seed=row.seed
        )
        path = root / row.file_name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_audio(path, soxr.resample(waveform, rate, sample_rate), sample_rate)
    return len(utterances)
