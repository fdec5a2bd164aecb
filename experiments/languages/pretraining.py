"""What languages are adapted from: weights trained plainly on some languages, and meta-trained on them from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.languages.data import Languages, rows_of
from experiments.languages.recipes import Recipe
from experiments.languages.systems import System
from experiments.languages.training import language_tasks, plain_batches
from jaxmeta import first_order, mixed_mode
from jaxmeta.data.augmentation.rows import Transform
from jaxmeta.data.augmentation.transforms import augment_episode
from jaxmeta.estimators import Estimator
from jaxmeta.training.fit import fit
from jaxmeta.types import PyTree

ESTIMATORS: Mapping[str, Callable[[], Estimator]] = {"maml": mixed_mode, "fomaml": first_order}


PLAIN = ("updates", "rate", "size", "longest")
"""What of a recipe decides the plainly trained weights."""


class Start(NamedTuple):
    """What every training begins from."""

    languages: Languages
    system: System
    recipe: Recipe
    augment: Transform
    """Of an utterance."""
    workdir: Path
    seed: int
    config: Mapping[str, Any]
    """What the weights depend on, besides the recipe and the seed."""


def pretrain(start: Start) -> PyTree:
    """Weights trained on the languages of pretraining at once."""
    recipe, languages = start.recipe, start.languages
    rows = np.concatenate(_rows(start, recipe.longest))
    sampler = plain_batches(languages, rows, recipe.size, recipe.longest, start.seed)
    learner = start.system.learner(0.0, 0, first_order())
    return fit(
        learner, sampler, recipe.updates, recipe.rate, start.workdir / "pretraining", **_shared(start),
        augment=augment_episode(start.augment, on="query"),
    ).params  # fmt: skip


def meta_train(start: Start, method: str, params: PyTree) -> PyTree:
    """Weights meta-trained with the languages of pretraining as tasks, from weights trained plainly.

    Args:
      start: as in `pretrain`.
      method: one of `ESTIMATORS`.
      params: the weights.
    """
    meta = start.recipe.meta
    rows = _rows(start, meta.longest)
    sampler = language_tasks(start.languages, rows, meta.tasks, meta.support, meta.query, meta.longest, start.seed)
    learner = start.system.learner(meta.inner_rate, meta.steps, ESTIMATORS[method]())
    return fit(
        learner, sampler, meta.updates, meta.rate, start.workdir / method,
        **_shared(start, **meta.decides(), method=method), augment=augment_episode(start.augment), params=params,
    ).params  # fmt: skip


def _rows(start: Start, longest: int) -> tuple[np.ndarray, ...]:
    return tuple(rows_of(start.languages, "train", language, longest) for language in start.languages.pretraining)


def _shared(start: Start, **more: Any) -> dict[str, Any]:
    decides = {name: getattr(start.recipe, name) for name in PLAIN} | more
    config = dict(start.config) | decides | {"seed": start.seed, "data": start.languages.fingerprints}
    return {"features": start.languages.corpus.frames.shape[1], "seed": start.seed, "config": config}
