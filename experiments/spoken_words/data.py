"""Data of the spoken-words experiment: what may be trained on, what is tested, and how tasks are drawn from it."""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmeta.data.augmentation.banks import coloured_noise, noise_bank
from jaxmeta.data.corpus import Corpus, concatenate, load_corpus
from jaxmeta.data.features import FeatureConfig, extract
from jaxmeta.data.file_hashes import cache_home
from jaxmeta.data.sampling.episodes import episode_sampler
from jaxmeta.data.synthesis.builtin_corpus import embedded_corpus
from jaxmeta.data.synthesis.lexicon import letters
from jaxmeta.progress import progress_bar
from jaxmeta.types import Batch, Episode, Ragged

CORPORA = ("zh_en_words", "ar_commands")
"""Trained on and tested by default, where JAXMETA_DATA has them."""
FEATURES = FeatureConfig(kind="logmel", n_mels=64, hop_length=160, trim_db=30.0, normalize="none")
"""Levels are kept, for augmentation adds noise to them; the networks standardise each clip themselves."""
NOISES = ("noise_long", "noise_esc10")
"""Mixed into training clips, where JAXMETA_DATA has them."""
SPELLINGS = (
    *("zhongguo", "shuzi", "beijing", "zonggong", "fandian", "shanghai", "shibie", "yuyin", "yuyan", "fudan"),
    *("shanghang", "تعطيل", "حرك", "اثنان", "اثنين", "تصغير", "يسار", "توقف", "قف", "اربعة", "ثمانية", "ستة", "التالي"),
)
"""The test words of those corpora as a synthesiser might be given them: never spoken for training."""


class Data(NamedTuple):
    """What an experiment runs on."""

    train: Corpus
    """With the columns `pool` (what an episode draws from) and `corpus`."""
    test: dict[str, Corpus]
    """Name -> recordings of words and speakers that are not in `train`."""
    val: dict[str, Corpus]
    """The same for validation, where a corpus has such speakers; words of training where it has no such words."""
    noise: np.ndarray
    """Log-mels of background noise [M, L, F], for augmentation."""
    fingerprints: dict[str, str]
    folders: dict[str, Path]
    """Of the manifests."""


def find_corpora(names: Sequence[str]) -> list[Path]:
    """Folders of manifests: paths as they are, names under JAXMETA_DATA; with no names, the default ones if present.

    Raises:
      ValueError: a named corpus is in neither place, or two have the same name.
    """
    home = os.environ.get("JAXMETA_DATA")
    if not names:
        return [Path(home, name) for name in CORPORA] if home and all(Path(home, n).is_dir() for n in CORPORA) else []
    folders = [_find(name, home).resolve() for name in names]
    if len({folder.name for folder in folders}) < len(folders):
        raise ValueError(f"corpora={tuple(names)} name a folder twice; results are told apart by its last part.")
    return folders


def load_data(corpora: Sequence[Path], pseudo: int, seed: int) -> Data:
    """Training words by training speakers, with synthesised words added, and test words by test speakers.

    Args:
      corpora: manifests with the columns `split` (speakers) and `word_split` (words); none: synthesised speech alone.
      pseudo: number of invented words to synthesise for training.
      seed: of the synthesised speech.
    """
    real = {folder.name: with_splits(load_corpus(folder, FEATURES), folder.name, seed) for folder in corpora}
    heldout = sorted({*SPELLINGS, *_test_words(real.values())})
    folder = _synthesise(pseudo, heldout if real else (), seed)
    folders = {folder.name: folder for folder in corpora} | {"synthesised": folder}
    invented = load_corpus(folder, FEATURES)
    invented = invented.with_column("corpus", "synthesised")
    parts = []
    for name, corpus in real.items():
        parts.append(rows(corpus, "train").with_column("corpus", name).with_column("pool", "recorded"))
    spoken = rows(invented, "train")
    made_up = np.char.startswith(spoken.columns["label"], "pseudo_")
    parts.append(spoken.with_column("pool", np.where(made_up, "invented", "synthesised")))
    test = {name: rows(corpus, "test") for name, corpus in real.items()} or {"synthesised": rows(invented, "test")}
    fingerprints = {name: corpus.fingerprint for name, corpus in real.items()} | {"synthesised": invented.fingerprint}
    val = {name: _validation(corpus) for name, corpus in (real or {"synthesised": invented}).items()
           if "val" in corpus.columns.get("split", ())}  # fmt: skip
    return Data(concatenate(parts), test, val, load_noise(seed), fingerprints, folders)


def with_splits(corpus: Corpus, name: str, seed: int) -> Corpus:
    """The corpus with a third of its speakers and half of its words held out for testing, where it does not say which.

    Raises:
      ValueError: the corpus has no labels, or a split column without "train" or "test".
    """
    if "label" not in corpus.columns:
        raise ValueError(f"corpus {name!r} has no column 'label' (the word); its columns are {list(corpus.columns)}.")
    rng = np.random.default_rng(seed)
    for split, column, share in (("split", "speaker", 3), ("word_split", "label", 2)):
        if split in corpus.columns:
            if missing := {"train", "test"} - set(corpus.columns[split]):
                raise ValueError(
                    f"corpus {name!r}: no row has {split}={missing.pop()!r}; mark some, or drop the column."
                )
        elif column in corpus.columns:
            values = rng.permutation(np.unique(corpus.columns[column]))
            heldout = sorted(values[: len(values) // share].tolist())
            print(f"{name} has no column {split!r}: the test has {column} {', '.join(heldout)}", file=sys.stderr)
            corpus = corpus.with_column(split, np.where(np.isin(corpus.columns[column], heldout), "test", "train"))
    return corpus


def load_noise(seed: int) -> np.ndarray:
    """Log-mels of two-second stretches of the noise under JAXMETA_DATA, or else of coloured noise."""
    home = os.environ.get("JAXMETA_DATA", "")
    folders = [Path(home, name) for name in NOISES if home and Path(home, name).is_dir()]
    stretches = np.concatenate([noise_bank(f, 2.0) for f in folders] or [coloured_noise(64, 2.0, seed=seed)])
    return np.stack([extract(stretch, replace(FEATURES, trim_db=None)) for stretch in stretches])


def rows(corpus: Corpus, split: str) -> Corpus:
    """The recordings of a split by both speaker and word; a column that the corpus lacks does not restrict it."""
    held = {name: split for name in ("split", "word_split") if split in corpus.columns.get(name, ())}
    return corpus.select(**held) if held else corpus


def _validation(corpus: Corpus) -> Corpus:
    words = corpus.columns.get("word_split", np.array([]))
    return rows(corpus, "val") if "val" in words or not len(words) else corpus.select(split="val", word_split="train")


def most_ways(corpus: Corpus) -> int:
    """Words in the smallest pool: the most classes that a training episode can have."""
    pools = corpus.columns["pool"]
    return min(len(np.unique(corpus.columns["label"][pools == pool])) for pool in np.unique(pools))


def task_sampler(
    corpus: Corpus, ways: int, batches: Sequence[tuple[int, int, int]], seed: int
) -> Callable[[int], Episode]:
    """Training tasks, a half of them from recorded speech where there is some.

    Args:
      corpus: with the columns `pool`, `corpus` and `label`.
      ways: classes of an episode.
      batches: (shots, queries, tasks) of the batches, taken in turn.
      seed: of the draw.
    """
    pools = np.unique(corpus.columns["pool"]).tolist()
    weights = {pool: len(pools) - 1.0 if pool == "recorded" else 1.0 for pool in pools} if len(pools) > 1 else None
    samplers = [
        episode_sampler(
            corpus, ways=ways, shots=shots, queries=queries, tasks=tasks, seed=seed,
            label=("corpus", "label"), within="pool", weights=weights, buckets=1,
        )
        for shots, queries, tasks in batches
    ]  # fmt: skip
    return lambda index: samplers[index % len(samplers)](index // len(samplers))


class WordBatches:
    """Batches for a classifier over all training words: episodes of one task whose query is what matters."""

    def __init__(self, corpus: Corpus, size: int, seed: int):
        self.corpus, self.size, self.seed = corpus, size, seed
        names = np.char.add(np.char.add(corpus.columns["corpus"], "/"), corpus.columns["label"])
        self.names, self.classes = np.unique(names, return_inverse=True)
        pool, of_pool = np.unique(corpus.columns["pool"], return_inverse=True)
        share = np.where(pool == "recorded", max(len(pool) - 1, 1), 1.0)
        # Every pool counts as it does in `tasks`, and every word of a pool alike.
        pairs = of_pool * len(self.names) + self.classes
        _, inverse, counts = np.unique(pairs, return_inverse=True, return_counts=True)
        words = np.bincount(of_pool[np.unique(pairs, return_index=True)[1]])
        weight = share[of_pool] / words[of_pool] / counts[inverse]
        self.probability = weight / weight.sum()
        self.frames = 8 * -(-int(corpus.length.max()) // 8)

    def __call__(self, index: int) -> Episode:
        """The batch `index` [1, size], as support and query alike."""
        rng = np.random.default_rng([self.seed, index])
        chosen = rng.choice(len(self.corpus), self.size, p=self.probability)
        values = np.zeros((self.size, self.frames, self.corpus.frames.shape[1]), np.float32)
        for clip, start, length in zip(values, self.corpus.start[chosen], self.corpus.length[chosen], strict=True):
            clip[:length] = self.corpus.frames[start : start + length]
        inputs = Ragged(values[None], self.corpus.length[chosen][None])
        batch = Batch(inputs, self.classes[chosen].astype(np.int32)[None], np.ones((1, self.size), np.float32))
        return Episode(batch, batch)


def _find(name: str, home: str | None) -> Path:
    for folder in (Path(name), Path(home or ".", name)):
        if folder.exists():
            return folder
    raise ValueError(f"corpora={name!r} is neither a folder nor under JAXMETA_DATA={home!r}; check the name.")


def _test_words(corpora) -> list[str]:
    heldout = (rows(corpus, "test") for corpus in corpora)
    return [word for corpus in heldout for name in ("label", "transcription") if name in corpus.columns
            for word in np.unique(corpus.columns[name]).tolist() if letters(word)]  # fmt: skip


def _synthesise(pseudo: int, exclude: Sequence[str], seed: int) -> Path:
    digest = hashlib.sha256(json.dumps([pseudo, list(exclude), seed]).encode()).hexdigest()[:12]
    folder = cache_home() / "synthesised" / f"words-{digest}"
    # Its length is known only once it is planned, so the bar counts percent.
    with progress_bar("synthesising speech", 100, unit="percent") as advance:
        shown = [0]

        def progress(done: int, total: int) -> None:
            percent = 100 * done // total
            advance(percent - shown[0])
            shown[0] = percent

        return embedded_corpus(folder, pseudo=pseudo, exclude=exclude, seed=seed, progress=progress)
