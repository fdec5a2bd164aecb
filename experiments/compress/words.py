"""The word model of the compression experiment: a prototypical network, which adapts to words by their prototypes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import optax

from jaxmeta import Model, protonet
from jaxmeta.compress.coupled import word_groups
from jaxmeta.data.augmentation.recipes import word_augmentation
from jaxmeta.data.augmentation.transforms import augment_episode
from jaxmeta.data.sampling.episodes import episode_sampler
from jaxmeta.data.sampling.padding import gather, round_up
from jaxmeta.data.sampling.words import most_ways, task_sampler
from jaxmeta.data.word_corpora import find_corpora, find_noise, load_words, noise_features
from jaxmeta.evaluation.embeddings import QUERIES, SHOTS, WAYS, accuracies, embed
from jaxmeta.losses import cross_entropy
from jaxmeta.metrics import mean_interval
from jaxmeta.models.words import residual
from jaxmeta.training.fit import fit
from jaxmeta.types import PyTree, Ragged

if TYPE_CHECKING:
    from experiments.compress.variants import Variant
    from jaxmeta.words.presets import WordsPreset

BATCH = 50
Embeddings = Mapping[str, np.ndarray]
"""Test corpus -> [R, D]."""


class Words:
    """A network that is trained in two stages, and tested on words and voices that it never heard."""

    name = "words"
    groups = staticmethod(word_groups)

    def __init__(self, recipe: WordsPreset, early: int, seed: int, workdir: Path, recorded: bool):
        """Args:
        recipe: of the second stage.
        early: updates of the first one.
        seed: of everything random.
        workdir: for a folder of each training.
        recorded: whether recordings under JAXMETA_DATA are used, or synthesised speech alone.
        """
        self.recipe, self.early, self.seed, self.workdir = recipe, early, seed, workdir
        self.data = load_words(find_corpora() if recorded else [], invented=recipe.pseudo, seed=seed)
        self.noise, self.fingerprints = noise_features(find_noise(), seed=seed), self.data.fingerprints
        self._embedded: dict[str, Embeddings] = {}

    def build(self, **network: Any) -> Model:
        """The network; arguments are more ones of `residual`."""
        return residual(width=self.recipe.width, **network)

    @cached_property
    def inputs(self) -> Ragged:
        """A test clip of the median length, as the network takes it."""
        corpus = next(iter(self.data.test.values()))
        length = int(np.median(corpus.length))
        row = int(np.argmin(np.abs(corpus.length - length)))
        return gather(corpus, np.array([row]), int(corpus.length[row]))

    def train(
        self, name: str, start: PyTree | None = None, update_transform: optax.GradientTransformation | None = None,
        network: Mapping[str, Any] | None = None, config: Mapping[str, Any] | None = None,
    ) -> PyTree:  # fmt: skip
        """Weights after one stage: the first one from random weights, the second one from those given.

        Args:
          name: of the folder.
          start: weights; None: random ones.
          update_transform: as in `training.fit.fit`.
          network: of `build`.
          config: what decides the result, besides.
        """
        recipe, (first, updates) = self.recipe, (0, self.early) if start is None else (self.early, self.recipe.updates)
        ways = min(recipe.ways or WAYS, most_ways(self.data.train))
        tasks = task_sampler(self.data.train, ways, recipe.batches, self.seed)
        decides = recipe._asdict() | {"early": self.early, "seed": self.seed, "data": self.fingerprints}
        return fit(
            protonet(self.build(**(network or {})), cross_entropy, ways), lambda index: tasks(first + index),
            updates, recipe.rate, self.workdir / name,
            augment=augment_episode(word_augmentation(self.noise)), features=self.noise.shape[-1], seed=self.seed,
            config=decides | dict(config or {}), params=start, update_transform=update_transform,
        ).params  # fmt: skip

    def recordings(self, count: int) -> Iterator[Ragged]:
        """Training clips in batches."""
        corpus, longest = self.data.train, int(round_up(self.data.train.length.max()))
        rows = np.random.default_rng(self.seed).permutation(len(corpus))[:count]
        for some in np.array_split(rows, -(-count // BATCH)):
            yield gather(corpus, some, longest)

    def measure(self, variant: Variant, dense: Variant) -> list[dict]:
        """Rows with accuracies in percent on every test corpus, with 95 % intervals over episodes.

        The network was compressed before it met the support set; `reversed` is that whose prototypes are those of the
        dense network, and which was compressed then.
        """
        before, after, rows = self._embed(dense), self._embed(variant), []
        for name, corpus in self.data.test.items():
            reference, found, turned = (
                100 * accuracies(corpus, support[name], query[name], self.seed + 1)
                for support, query in ((before, before), (after, after), (before, after))
            )
            (mean, half), (change, change_half) = mean_interval(found), mean_interval(found - reference)
            row = {"test": name, "before": 100 / WAYS, "after": mean, "after_half": half, "change": change}
            kept = 2 * WAYS * after[name].shape[1]  # prototypes in float16
            row |= {"change_half": change_half, "user_bytes": kept, "episodes": len(found)}
            if variant.compress is not None:
                row |= dict(zip(("reversed", "reversed_half"), mean_interval(turned), strict=True))
            rows.append(row)
        return rows

    def adaptation(self, variant: Variant) -> Callable[[], Any]:
        """Adapts to the words of one test episode."""
        corpus = next(iter(self.data.test.values()))
        sampler = episode_sampler(
            corpus, ways=WAYS, shots=SHOTS, queries=QUERIES, tasks=1, seed=self.seed, buckets=2
        )  # fmt: skip
        support = jax.tree.map(lambda leaf: leaf[0], sampler(0).support)
        learner, params = protonet(variant.model, cross_entropy, WAYS), variant.params
        run = jax.jit(lambda params, support: learner.adapt(params, {}, support, jax.random.key(0))[0])
        return lambda: run(params, support)

    def _embed(self, variant: Variant) -> Embeddings:
        if variant.name not in self._embedded:
            self._embedded[variant.name] = {
                name: embed(variant.model, variant.params, corpus) for name, corpus in self.data.test.items()
            }
        return self._embedded[variant.name]
