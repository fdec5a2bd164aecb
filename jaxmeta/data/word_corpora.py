"""Corpora of words: recorded ones with words and speakers held out, with synthesised words added."""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxmeta.data.augmentation.banks import coloured_noise, noise_bank
from jaxmeta.data.cache import cached_array, feature_key
from jaxmeta.data.corpus import Corpus, concatenate, load_corpus
from jaxmeta.data.features import FeatureConfig, extract
from jaxmeta.data.file_hashes import content_hashes
from jaxmeta.data.manifest import read_manifest
from jaxmeta.data.synthesis.builtin_corpus import embedded_corpus
from jaxmeta.data.synthesis.lexicon import letters
from jaxmeta.files.folders import cache_folder, data_folders, has_data
from jaxmeta.progress import progress_bar

FEATURES = FeatureConfig(kind="logmel", n_mels=64, hop_length=160, trim_db=30.0, normalize="none")
"""Levels are kept, for augmentation adds noise to them; the networks standardise each clip themselves."""
SYNTHESISED = "synthesised"
"""What the built-in corpus is called among the others."""
CORPORA = ("zh_en_words", "ar_commands")
"""Recordings that experiments train on and are tested by, where JAXMETA_DATA has them."""
NOISES = ("noise_long", "noise_esc10")
"""Noise that experiments mix into training clips, where JAXMETA_DATA has it."""
SPELLINGS = {
    "zh_en_words": ("zhongguo", "shuzi", "beijing", "zonggong", "fandian", "shanghai", "shibie", "yuyin", "yuyan",
                    "fudan", "shanghang"),
    "ar_commands": ("تعطيل", "حرك", "اثنان", "اثنين", "تصغير", "يسار", "توقف", "قف", "اربعة", "ثمانية", "ستة",
                    "التالي"),
}  # fmt: skip
"""Test words of corpora as a synthesiser might be given them, where that is not how the corpus writes them."""


class Words(NamedTuple):
    """What few-shot learners are trained on and tested by."""

    train: Corpus
    """With the columns `pool` (what an episode draws from) and `corpus`."""
    test: dict[str, Corpus]
    """Name -> recordings of words and speakers that are not in `train`."""
    val: dict[str, Corpus]
    """The same for validation, where a corpus has such speakers; words of training where it has no such words."""
    fingerprints: dict[str, str]
    folders: dict[str, Path]
    """Of the manifests."""


def load_log_mels(folder: Path, roots: Sequence[Path] = ()) -> Corpus:
    """A manifest with the log-mels `FEATURES`; its files may lie in further folders, see `load_corpus`."""
    return load_corpus(folder, FEATURES, roots=roots)


def load_words(
    folders: Sequence[Path], *, invented: int | None = None, seed: int = 0,
    load: Callable[[Path], Corpus] = load_log_mels,
) -> Words:  # fmt: skip
    """Training words by training speakers, with synthesised words added or alone, and test words by test speakers.

    Args:
      folders: manifests with the column `label` (the word) and perhaps `speaker`, `split` (of speakers) and
        `word_split` (of words); without the latter two, words and speakers are held out at random, as `with_splits`.
      invented: words that are invented for the built-in corpus (extra "synth"); None: no synthesised speech. Test words
        of the folders, and their `SPELLINGS`, are not synthesised.
      seed: of the synthesised speech, and of what is held out.
      load: what reads a manifest.
    Raises:
      ValueError: neither folders nor synthesised speech; two folders of one name; columns that do not fit.
      ManifestError, AudioError: as `load_corpus`.
      ImportError: the extra is missing.
    """
    if invented is None and not folders:
        raise ValueError("load_words needs folders, or a number of invented words to synthesise.")
    names = [folder.resolve().name for folder in folders] + [SYNTHESISED] * (invented is not None)
    if len(set(names)) < len(names):
        raise ValueError(f"folders are told apart by their last part, got {names}; rename one of them.")
    real = {name: with_splits(load(f), name, seed) for name, f in zip(names, folders, strict=False)}
    recorded = [rows(corpus, "train").with_column("corpus", name) for name, corpus in real.items()]
    parts = [corpus.with_column("pool", "recorded") for corpus in recorded]
    whole, places = dict(real), dict(zip(names, folders, strict=False))
    if invented is not None:
        heldout = sorted({*_test_words(real.values()), *(word for name in real for word in SPELLINGS.get(name, ()))})
        places[SYNTHESISED] = _synthesise(invented, heldout, seed)
        whole[SYNTHESISED] = load(places[SYNTHESISED]).with_column("corpus", SYNTHESISED)
        spoken = rows(whole[SYNTHESISED], "train")
        made_up = np.char.startswith(spoken.columns["label"], "pseudo_")
        parts.append(spoken.with_column("pool", np.where(made_up, "invented", SYNTHESISED)))
    tested = real or whole
    return Words(
        concatenate(parts),
        {name: rows(corpus, "test") for name, corpus in tested.items()},
        {name: _validation(each) for name, each in tested.items() if "val" in each.columns.get("split", ())},
        {name: corpus.fingerprint for name, corpus in whole.items()},
        places,
    )


def find_corpora(names: Sequence[str] = ()) -> list[Path]:
    """Folders of manifests: paths as they are, names under JAXMETA_DATA; with no names, `CORPORA` where all are there.

    Raises:
      ValueError: a named corpus is in neither place, or two have the same name.
    """
    if not names:
        return data_folders(*CORPORA) if has_data(*CORPORA) else []
    folders = [_find(name) for name in names]
    if len({folder.name for folder in folders}) < len(folders):
        raise ValueError(f"corpora={tuple(names)} name a folder twice; results are told apart by its last part.")
    return folders


def find_noise() -> list[Path]:
    """Folders of `NOISES` under JAXMETA_DATA, as far as they are there."""
    return [folder for name in NOISES if has_data(name) for folder in data_folders(name)]


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
            tested = ", ".join(heldout) if heldout else "of training, for there are too few"
            print(f"{name} has no column {split!r}: the test has {column} {tested}", file=sys.stderr)
            corpus = corpus.with_column(split, np.where(np.isin(corpus.columns[column], heldout), "test", "train"))
    return corpus


def rows(corpus: Corpus, split: str) -> Corpus:
    """The recordings of a split by both speaker and word; a column that the corpus lacks does not restrict it."""
    held: dict[str, Any] = {name: split for name in ("split", "word_split") if split in corpus.columns.get(name, ())}
    return corpus.select(**held) if held else corpus


def noise_features(folders: Sequence[Path] = (), *, features: FeatureConfig = FEATURES, seed: int = 0) -> np.ndarray:
    """Features of two-second stretches of noise [M, L, F]: recorded, or coloured noise where there are no folders.

    They stay in the cache folder, under the content of the recordings.
    Args:
      folders: manifests of noise.
      features: silence is not trimmed, whatever they say.
      seed: of coloured noise.
    Raises:
      ValueError: as `noise_bank`.
    """
    config = replace(features, trim_db=None)

    def compute() -> np.ndarray:
        stretches = [noise_bank(each, 2.0) for each in folders] or [coloured_noise(64, 2.0, seed=seed)]
        return np.stack([extract(stretch, config) for stretch in np.concatenate(stretches)])

    hashes = [digest for each in folders for digest in content_hashes(read_manifest(each))] or [f"coloured {seed}"]
    return cached_array(cache_folder("noise") / f"{feature_key(hashes, config)}.npz", compute)


def _find(name: str) -> Path:
    home = os.environ.get("JAXMETA_DATA")
    for folder in (Path(name), Path(home or ".", name)):
        if folder.exists():
            return folder.resolve()
    raise ValueError(f"corpora={name!r} is neither a folder nor under JAXMETA_DATA={home!r}; check the name.")


def _validation(corpus: Corpus) -> Corpus:
    words = corpus.columns.get("word_split", np.array([]))
    return rows(corpus, "val") if "val" in words or not len(words) else corpus.select(split="val", word_split="train")


def _test_words(corpora: Iterable[Corpus]) -> list[str]:
    heldout = (rows(corpus, "test") for corpus in corpora)
    return [word for corpus in heldout for name in ("label", "transcription") if name in corpus.columns
            for word in np.unique(corpus.columns[name]).tolist() if letters(word)]  # fmt: skip


def _synthesise(invented: int, exclude: Sequence[str], seed: int) -> Path:
    digest = hashlib.sha256(json.dumps([invented, list(exclude), seed]).encode()).hexdigest()[:12]
    folder = cache_folder(SYNTHESISED) / f"words-{digest}"
    # Its length is known only once it is planned, so the bar counts percent.
    with progress_bar("synthesising speech", 100, unit="percent") as advance:
        shown = [0]

        def progress(done: int, total: int) -> None:
            percent = 100 * done // total
            advance(percent - shown[0])
            shown[0] = percent

        return embedded_corpus(folder, pseudo=invented, exclude=exclude, seed=seed, progress=progress)
