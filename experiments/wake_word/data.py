"""Recordings of this experiment as embeddings: speech without wake words, and recordings of words; embedded once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxmeta.data.audio import read_audio
from jaxmeta.data.augmentation.artificial_sounds import artificial_rooms
from jaxmeta.data.augmentation.banks import coloured_noise, noise_bank
from jaxmeta.data.file_hashes import content_hashes
from jaxmeta.data.manifest import read_manifest
from jaxmeta.data.synthesis.sentences import accented_sentences
from jaxmeta.data.synthesis.speech import Word, default_voices, plan, synthesise
from jaxmeta.evaluation.result_cache import params_digest
from jaxmeta.files.durable import replacing
from jaxmeta.files.folders import cache_folder, data_folders
from jaxmeta.metrics import Interval, percentile_interval
from jaxmeta.models.pretrained.word_embedding import read_word_embedding, word_embedding
from jaxmeta.progress import progress_bar
from jaxmeta.types import PyTree, Ragged
from jaxmeta.words.wake.augmentation import Surroundings, embed_takes, takes, trimmed
from jaxmeta.words.wake.stream import RATE, EmbeddingStream

WORDS = {
    "zh_en_words": ("signal", "speaker", "shanghai", "zhongguo"),
    "ar_commands": ("zoom_out", "disable"),
}
"""Of the full preset; one sentence of 4,000 has one of them."""
SYNTHESISED = {"hey computer": "en-us", "guten Morgen": "de"}
"""Of the quick preset, and their languages."""
FIVE = 5

LEAD, TAIL = RATE // 4, round(0.7 * RATE)
"""Samples of faint noise before and after a recording that is searched for a word."""
EFFICIENT_WINDOW, EFFICIENT_HOP = 24_000, 12_000
"""Samples that EfficientWord-Net sees, and from one look to the next in its README."""


KINDS = {"one": "five recordings by one speaker", "five": "a recording by each of five speakers"}


class Speech(NamedTuple):
    """Other speech, and words to be enrolled."""

    params: PyTree
    """Of the word embedding."""
    speech: list[np.ndarray]
    """Embeddings [K, 96] of each speaker, in an order at random."""
    files: list[list[Path]]
    """The recordings of each."""
    noise: list[np.ndarray]
    """Embeddings of noise."""
    surroundings: Surroundings
    enrolments: list[Enrolment]
    digest: str
    """Of weights and recordings."""
    made: dict[str, np.ndarray]
    """Windows of takes of a word, which systems share."""

    def positives(self, enrolment: Enrolment, count: int, seed: int) -> np.ndarray:
        """Windows of embeddings of takes of a word."""
        if enrolment.name not in self.made:
            waveforms = takes(enrolment.words, count, self.surroundings, np.random.default_rng(seed))
            self.made[enrolment.name] = embed_takes(self.params, waveforms)
        return self.made[enrolment.name]

    def parts(self, number: int) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """Speakers for training (a quarter), for the threshold (half) and for counting (a quarter), in turns."""
        quarter = len(self.speech) // 4
        order = np.roll(np.arange(len(self.speech)), -quarter * number).tolist()
        bounds = order[:quarter], order[quarter : 3 * quarter], order[3 * quarter :]
        first, second, third = ([self.speech[place] for place in part] for part in bounds)
        return first, second, third


class Enrolment(NamedTuple):
    """Five recordings of a word, and others to find it in."""

    name: str
    kind: str
    corpus: str
    words: list[np.ndarray]
    """Waveforms without silence at the ends."""
    owners: list[str]
    """Who recorded them."""
    clips: list[tuple[str, np.ndarray]]
    """Speaker, and what a head sees at each step [K, 16, 96], of the other recordings."""
    paths: list[tuple[str, Path]]
    """Speaker, and file, of the same."""


def read(path: Path | None) -> PyTree:
    """Params of the word embedding from a file; None: random ones."""
    if path is not None:
        return read_word_embedding(path)
    inputs = Ragged(np.zeros((1, 76, 32), np.float32), np.array([76]))
    return jax.jit(word_embedding().init)(jax.random.key(0), inputs)[0]


def recorded(params: PyTree, seed: int) -> Speech:
    """Words of `zh_en_words` and `ar_commands`, `en_nonnative_sentences` and an eighth of `noise_esc10`."""
    sentences, sounds, *corpora = data_folders("en_nonnative_sentences", "noise_esc10", *WORDS)
    noise = noise_bank(sounds)[::8]
    words = dict(zip(corpora, WORDS.values(), strict=True))
    return _speech(params, sentences, noise, words, seed)


def synthesised(params: PyTree, seed: int) -> Speech:
    """Two words by artificial voices, some of the synthesised sentences, and artificial noise."""
    voices = default_voices(train=FIVE, val=0, test=3, seed=seed)
    utterances = []
    for split in ("train", "test"):
        words = [Word(text, language, text, split) for text, language in SYNTHESISED.items()]
        utterances += plan(words, voices, takes=FIVE + 2, seed=seed)
    words_folder = synthesise(cache_folder("synthesised") / f"wake_words_{seed}", utterances)
    noise, words = coloured_noise(8, seed=seed), {words_folder: tuple(SYNTHESISED)}
    return _speech(params, accented_sentences(seed), noise, words, seed, speakers=16)


def _speech(
    params: PyTree, sentences: Path, noise: np.ndarray, words: dict[Path, tuple[str, ...]], seed: int,
    speakers: int | None = None,
) -> Speech:  # fmt: skip
    owned = speech_of_speakers(sentences)
    order = np.random.default_rng(seed).permutation(len(owned))[:speakers]
    names = [sorted(owned)[place] for place in order]
    files = [owned[name] for name in names]
    with progress_bar("embedding speech", len(files), unit="speakers") as advance:
        speech = []
        for some in files:
            speech.append(google(params, some))
            advance(1)
    # A recording of every fourth speaker, of whom some count false alarms: as it only comes before the word in takes, a
    # head may learn to answer to these voices, and none to reject them.
    before = [read_audio(some[0], RATE) for some in files[::4]]
    around = Surroundings(noise, artificial_rooms(32, 0.5, seed=seed), before)
    enrolments = [each for folder, some in words.items() for each in _enrolments(params, folder, some, seed)]
    sounds = [EmbeddingStream(params).push(noise.ravel())]
    digest = _digest(params, names, noise, [sentences, *words])
    return Speech(params, speech, files, sounds, around, enrolments, digest, {})


def _digest(params: PyTree, names: Sequence[str], noise: np.ndarray, folders: Sequence[Path]) -> str:
    """Of all that results depend on besides settings: weights, the order of speakers, noise, and every recording."""
    hashes = [each for folder in folders for each in content_hashes(read_manifest(folder))]
    parts = [params_digest(params), *names, hashlib.sha256(np.ascontiguousarray(noise)).hexdigest(), *hashes]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]


def _enrolments(params: PyTree, folder: Path, words: Sequence[str], seed: int) -> list[Enrolment]:
    """Each word by one test speaker, and by five speakers of training; recordings of test speakers are searched."""
    manifest, rng = read_manifest(folder), np.random.default_rng(seed)
    columns = {name: manifest.columns[name] for name in ("label", "speaker", "split")}
    paths, made = [Path(each) for each in manifest.paths()], []
    for word in words:
        rows = {split: rng.permutation(np.flatnonzero((columns["label"] == word) & (columns["split"] == split)))
                for split in ("train", "test")}  # fmt: skip
        who = columns["speaker"][rows["test"]]
        owner = str(rng.choice(np.unique(who)))
        own = rows["test"][who == owner][:FIVE].tolist()
        teachers = rng.permutation(np.unique(columns["speaker"][rows["train"]]))[:FIVE]
        others = [int(rows["train"][columns["speaker"][rows["train"]] == each][0]) for each in teachers]
        for kind, used, owners in (("one", own, [owner]), ("five", others, teachers.tolist())):
            searched = [(str(columns["speaker"][row]), paths[row]) for row in rows["test"] if row not in used]
            clips = [(speaker, google_clip(params, path)) for speaker, path in searched]
            enrolled = [trimmed(read_audio(paths[row], RATE)) for row in used]
            name = f"{folder.name}, {word}, {kind}"
            made.append(Enrolment(name, KINDS[kind], folder.name, enrolled, owners, clips, searched))
    return made


def missed(counts: Sequence[dict[str, list[int]]], resamples: int = 1_000) -> Interval | None:
    """Percent of recordings that are missed; words are resampled, and speakers of each. None: there are none.

    Args:
      counts: of each word: speaker -> [missed, recordings].
    """
    tables = [np.array(list(each.values()), float) for each in counts if each]
    if not tables:
        return None
    rng = np.random.default_rng(0)

    def share(some: Sequence[np.ndarray]) -> float:
        return float(100 * np.mean([each[:, 0].sum() / each[:, 1].sum() for each in some]))

    drawn = np.zeros(resamples)
    for place in range(resamples):
        words = [tables[index] for index in rng.integers(len(tables), size=len(tables))]
        drawn[place] = share([some[rng.integers(len(some), size=len(some))] for some in words])
    return percentile_interval(share(tables), drawn)


def speech_of_speakers(folder: Path) -> dict[str, list[Path]]:
    """The recordings of each speaker of a manifest."""
    manifest = read_manifest(folder)
    speakers = manifest.columns["speaker"]
    paths = [Path(each) for each in manifest.paths()]
    return {str(who): [paths[row] for row in np.flatnonzero(speakers == who)] for who in np.unique(speakers)}


def google(params: PyTree, files: Sequence[Path]) -> np.ndarray:
    """Embeddings [K, 96] of recordings one after the other, one for every 80 ms."""
    return _cached(f"google_{params_digest(params)}", files, lambda: EmbeddingStream(params).push(_joined(files)))


def google_clip(params: PyTree, file: Path) -> np.ndarray:
    """What a head sees at each step of a recording, with faint noise before and after it [K, 16, 96]."""

    def make() -> np.ndarray:
        stream = EmbeddingStream(params)
        return stream.windows(padded(read_audio(file, RATE)))

    return _cached(f"google_clip_{params_digest(params)}", [file], make)


def efficientword(network: Callable[[np.ndarray], np.ndarray], files: Sequence[Path]) -> np.ndarray:
    """EfficientWord-Net's embeddings [K, 2048] of recordings one after the other, one for every 0.75 s."""
    return _cached("efficientword", files, lambda: _looks(network, _joined(files)))


def efficientword_clip(network: Callable[[np.ndarray], np.ndarray], file: Path) -> np.ndarray:
    """The same of a recording with faint noise before and after it, which begins anywhere between two looks."""

    def make() -> np.ndarray:
        waveform = read_audio(file, RATE)
        before = int(np.random.default_rng(len(waveform)).integers(EFFICIENT_HOP))
        ends = EFFICIENT_WINDOW - EFFICIENT_HOP + before, EFFICIENT_WINDOW
        return _looks(network, padded(waveform, *ends))

    return _cached("efficientword_clip", [file], make)


def efficientword_reference(network: Callable[[np.ndarray], np.ndarray], word: np.ndarray) -> np.ndarray:
    """Its embedding [2048] of a recording to be recognised again, in the middle of 1.5 s of faint noise."""
    word = word[:EFFICIENT_WINDOW]
    before = (EFFICIENT_WINDOW - len(word)) // 2
    return network(padded(word, before, EFFICIENT_WINDOW - len(word) - before)).ravel()


def padded(waveform: np.ndarray, before: int = LEAD, after: int = TAIL) -> np.ndarray:
    """A recording between stretches of faint noise."""
    noise = np.random.default_rng(1).normal(scale=1e-3, size=before + after).astype(np.float32)
    return np.concatenate([noise[:before], waveform, noise[before:]])


def _looks(network: Callable[[np.ndarray], np.ndarray], waveform: np.ndarray) -> np.ndarray:
    starts = range(0, len(waveform) - EFFICIENT_WINDOW + 1, EFFICIENT_HOP)
    return np.stack([network(waveform[start : start + EFFICIENT_WINDOW]).ravel() for start in starts])


def _joined(files: Sequence[Path]) -> np.ndarray:
    return np.concatenate([read_audio(file, RATE) for file in files])


def _cached(network: str, files: Sequence[Path], make: Callable[[], np.ndarray]) -> np.ndarray:
    """An array in the cache, made if it is not there; its name is that of the files' contents."""
    digest = hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()[:24]
    path = cache_folder(f"wake_word/{network}") / f"{digest}.npy"
    if not path.exists():
        array = make()
        with replacing(path, flush=False) as draft:
            np.save(draft, array)
    return np.load(path)
