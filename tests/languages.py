"""A corpus of three languages for tests: every frame of row r holds r + 1."""

import numpy as np

from jaxmeta.data.corpus import Corpus

NAMES = ("aa", "bb", "cc")
EACH = {"train": 12, "val": 5, "test": 6}
LONGEST = 40


def corpus_of_languages() -> Corpus:
    """Rows of three languages and splits, by two speakers each, of 20 to `LONGEST` frames."""
    columns: dict[str, list[str]] = {
        name: [] for name in ("language", "split", "speaker", "transcription", "recording")
    }
    for language in NAMES:
        for split, count in EACH.items():
            for number in range(count):
                texts = f"{language[0]}{number}", f"{language}{split}{number}"
                values = (language, split, f"{split}{number % 2}", *texts)
                for column, value in zip(columns.values(), values, strict=True):
                    column.append(value)
    rows = len(columns["language"])
    length = np.random.default_rng(0).integers(20, LONGEST + 1, rows).astype(np.int32)
    frames = np.repeat(np.arange(1.0, rows + 1), length)[:, None] * np.ones((1, 2))
    start = np.cumsum(length, dtype=np.int64) - length
    return Corpus(frames.astype(np.float32), start, length, {name: np.array(v) for name, v in columns.items()}, "made")


def rows_in(batch) -> np.ndarray:
    """The row of the corpus that each utterance of a batch is."""
    return np.asarray(batch.inputs.values)[..., 0, 0].astype(int) - 1
