"""Data of the spoken-words experiment: which recordings under JAXMETA_DATA it trains on and is tested by."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxmeta.data.word_corpora import Words, load_words, noise_features

CORPORA = ("zh_en_words", "ar_commands")
"""Trained on and tested by default, where JAXMETA_DATA has them."""
NOISES = ("noise_long", "noise_esc10")
"""Mixed into training clips, where JAXMETA_DATA has them."""
SPELLINGS = (
    *("zhongguo", "shuzi", "beijing", "zonggong", "fandian", "shanghai", "shibie", "yuyin", "yuyan", "fudan"),
    *("shanghang", "تعطيل", "حرك", "اثنان", "اثنين", "تصغير", "يسار", "توقف", "قف", "اربعة", "ثمانية", "ستة", "التالي"),
)
"""The test words of those corpora as a synthesiser might be given them: never spoken for training."""


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


def load_data(corpora: Sequence[Path], pseudo: int, seed: int) -> Words:
    """The words of these corpora, if any, and synthesised ones, some of them invented, that are no test words."""
    return load_words(corpora, invented=pseudo, exclude=SPELLINGS, seed=seed)


def load_noise(seed: int) -> np.ndarray:
    """Log-mels of two-second stretches of the noise under JAXMETA_DATA, or else of coloured noise."""
    home = os.environ.get("JAXMETA_DATA", "")
    return noise_features([Path(home, name) for name in NOISES if home and Path(home, name).is_dir()], seed=seed)


def _find(name: str, home: str | None) -> Path:
    for folder in (Path(name), Path(home or ".", name)):
        if folder.exists():
            return folder
    raise ValueError(f"corpora={name!r} is neither a folder nor under JAXMETA_DATA={home!r}; check the name.")
