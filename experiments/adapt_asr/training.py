"""Training of the experiment's recogniser: on wider speech, if there is any, and on that of its corpus."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import optax

from experiments.adapt_asr.data import SpeechData
from experiments.adapt_asr.recipes import PLAIN, WIDE, Recipe
from jaxmeta import Model
from jaxmeta.models.acoustic import Size, recogniser
from jaxmeta.recognition.training import train_on_all_speakers
from jaxmeta.types import PyTree


def train_stages(recipe: Recipe, data: SpeechData, seed: int, workdir: Path) -> PyTree:
    """Weights of a recogniser trained on all speakers at once: after wider speech, if there is any, and at the end."""
    weights = None
    for name, corpus in (("wide", data.wide), ("plain", data.train)):
        if corpus is not None:
            weights = train_stage(name, network(recipe, data), recipe, data, seed, workdir, params=weights)
    return weights


def train_stage(
    name: str,
    model: Model,
    recipe: Recipe,
    data: SpeechData,
    seed: int,
    workdir: Path,
    *,
    params: PyTree | None = None,
    update_transform: optax.GradientTransformation | None = None,
    config: Mapping[str, Any] = MappingProxyType({}),
) -> PyTree:
    """Train a recogniser on all utterances of all speakers, or load what was trained before.

    Args:
      name: of the folder in `workdir`; "wide" trains on the wider speech, everything else on that of the corpus.
      model: as `network` gives it, or a variant of it.
      recipe, data, seed: as for the experiment.
      params, update_transform: as in `training.fit.fit`.
      config: what decides the result, besides the recipe, the data and the seed.
    """
    plainly = (data.train, recipe.updates, PLAIN)
    corpus, updates, names = (data.wide, recipe.wide_updates, WIDE) if name == "wide" else plainly
    assert corpus is not None
    return train_on_all_speakers(
        model, corpus, data.val, data.vocabulary, workdir / name, updates=updates, rate=recipe.rate,
        frames_per_batch=recipe.frames, max_frames=recipe.longest, seed=seed,
        config=decides(recipe, data, seed, names) | dict(config), params=params, update_transform=update_transform,
    )  # fmt: skip


def network(recipe: Recipe, data: SpeechData, **options: Any) -> Model:
    """The network of a recipe; options are more arguments of `recogniser`."""
    size = Size(recipe.width, recipe.depth)
    return recogniser(data.vocabulary.size, recipe.encoder, size, dropout=recipe.dropout, **options)


def decides(recipe: Recipe, data: SpeechData, seed: int, names: tuple[str, ...]) -> dict:
    """What weights depend on."""
    return {name: getattr(recipe, name) for name in names} | {"seed": seed, "data": data.fingerprints}
