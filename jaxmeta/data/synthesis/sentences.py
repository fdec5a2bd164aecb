"""Synthesised English sentences: short ones with accents, and transcripts read aloud."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxmeta.data.synthesis.lexicon import Word
from jaxmeta.data.synthesis.speech import Utterance, default_voices, plan, synthesise
from jaxmeta.files.folders import cache_folder
from jaxmeta.progress import progress_callback

TRAINING_ACCENTS = (None, None, "de", "fr", "it", "es", "tr", "sv")
TEST_ACCENTS = ("ru", "id", "pl", "pt")
VARIETIES = (None, None, "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-029")
"""Of English; None is American."""


def sentences(count: int, seed: int) -> list[Word]:
    """Different sentences of the form "open the red window now" or rows of digits, each in one split."""
    rng = np.random.default_rng(seed)
    numbers = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    colours = ["red", "blue", "green", "black", "white", "yellow", "brown", "grey"]
    things = ["window", "door", "house", "kitchen", "garden", "book", "table", "car", "lamp", "chair"]
    verbs = ("open", "close", "show me", "bring", "paint", "clean", "look at", "take")
    ends = ("now", "today", "again", "in the morning", "this evening", "please", "")
    texts: dict[str, None] = {}
    while len(texts) < count:
        if rng.random() < 0.3:
            text = " ".join(rng.choice(numbers, rng.integers(3, 6)))
        else:
            some = rng.choice(["the", "my", *numbers[1:6]])
            thing = f"{rng.choice(things)}{'s' * (some in numbers)}"
            text = f"{rng.choice(verbs)} {some} {rng.choice(colours)} {thing} {rng.choice(ends)}".strip()
        texts[text] = None
    splits = ["test" if n < count // 8 else "val" if n < count // 6 else "train" for n in range(count)]
    return [Word(text, "en-us", text, split) for text, split in zip(texts, splits, strict=True)]


def accented_sentences(seed: int) -> Path:
    """The folder of a manifest of `sentences`; the accents, voices and sentences of testing are not in training."""
    voices = []
    for number, voice in enumerate(default_voices(train=48, val=8, test=16, seed=seed)):
        accents = TRAINING_ACCENTS if voice.split == "train" else TEST_ACCENTS
        voices.append(voice._replace(language=accents[number % len(accents)]))
    words = sentences(1200, seed)
    utterances: list[Utterance] = []
    for split, each in (("train", 3), ("val", 4), ("test", 3)):
        utterances += plan([w for w in words if w.split == split], voices, voices_per_word=each, seed=seed)
    return _synthesise("sentences", utterances)


def read_aloud(transcripts: Sequence[str], seed: int) -> Path:
    """The folder of a manifest of transcripts, and as many rows of their words at random, in varieties of English.

    All are in lower case, for capitals would be spelt out.
    """
    rng = np.random.default_rng(seed)
    texts = dict.fromkeys(text.lower() for text in transcripts)
    words = sorted({word for text in texts for word in text.split()})
    texts |= dict.fromkeys(" ".join(rng.choice(words, rng.integers(3, 9))) for _ in range(len(texts)))
    voices = [
        voice._replace(language=VARIETIES[number % len(VARIETIES)])
        for number, voice in enumerate(default_voices(train=60, val=0, test=0, seed=seed))
    ]
    read = [Word(text, "en-us", text) for text in texts]
    return _synthesise("aloud", plan(read, voices, voices_per_word=1, seed=seed))


def _synthesise(name: str, utterances: Sequence[Utterance]) -> Path:
    digest = hashlib.sha256(json.dumps(utterances).encode()).hexdigest()[:12]
    folder = cache_folder("synthesised") / f"{name}_{digest}"
    with progress_callback("synthesising speech", len(utterances)) as progress:
        return synthesise(folder, utterances, progress=progress)
