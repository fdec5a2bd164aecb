"""The corpus that needs no data: real words of ten languages and pseudo-words, by artificial speakers."""

import os
from collections.abc import Callable, Collection
from pathlib import Path

from jaxmeta.data.synthesis.lexicon import default_words
from jaxmeta.data.synthesis.pseudowords import pseudo_words
from jaxmeta.data.synthesis.speech import Utterance, default_voices, plan, synthesise

# The Mandarin words of the list that are for validation and test, as a pseudo-word in pinyin would spell them.
_HELD_OUT_PINYIN = ("youbian", "yewan", "baise", "zuobian", "tingzhi", "huangse", "yinyue", "chufang")


def embedded_corpus(
    folder: str | os.PathLike[str],
    *,
    pseudo: int = 300,
    exclude: Collection[str] = (),
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the built-in training corpus as a folder with metadata.csv, or reuse it, and return the folder.

    About 10,500 recordings in half a minute of processor time, shared by the workers. The columns split (speakers)
    and word_split (words) agree in every row, and no word, meaning or voice is in two splits; pseudo-words are all
    for training.
    Args:
      folder: to be made.
      pseudo: number of pseudo-words, 0 or more.
      exclude: texts or English meanings that must not be spoken, such as the test words of another corpus.
      seed: 0 or more.
      workers, progress: as in `synthesise`.
    Raises:
      ValueError, ImportError: as in `synthesise`.
    """
    real = default_words(exclude=exclude)
    held_out = (*_HELD_OUT_PINYIN, *(word.text for word in real if word.split != "train"))
    voices = default_voices(train=24, val=6, test=10, seed=seed)
    utterances: list[Utterance] = []
    for split, takes, voices_per_word in (("train", 1, 24), ("val", 4, 6), ("test", 3, 10)):
        words = [word for word in real if word.split == split]
        utterances += plan(words, voices, takes=takes, voices_per_word=voices_per_word, exclude=exclude, seed=seed)
    if pseudo:
        invented = pseudo_words(pseudo, exclude=(*exclude, *held_out), seed=seed)
        utterances += plan(invented, voices, voices_per_word=10, exclude=(*exclude, *held_out), seed=seed)
    return synthesise(folder, utterances, workers=workers, progress=progress)
