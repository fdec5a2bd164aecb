"""A few-shot word model to be compressed: a prototypical network, which adapts to words by their prototypes."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

from jaxmeta import Model, protonet
from jaxmeta.compress.coupled import word_groups
from jaxmeta.compress.variants import Variant
from jaxmeta.data.augmentation.recipes import word_augmentation
from jaxmeta.data.augmentation.transforms import augment_episode
from jaxmeta.data.sampling.episodes import episode_sampler
from jaxmeta.data.sampling.padding import gather, round_up
from jaxmeta.data.sampling.word_tasks import most_ways, task_sampler
from jaxmeta.data.word_corpora import Words
from jaxmeta.evaluation.embeddings import QUERIES, SHOTS, WAYS, accuracies, embed
from jaxmeta.losses import cross_entropy
from jaxmeta.metrics import mean_interval
from jaxmeta.models.clip_encoders import residual
from jaxmeta.training.fit import fit
from jaxmeta.types import PyTree, Ragged
from jaxmeta.words.presets import WordsPreset

BATCH = 50


class WordNetwork:
    """A prototypical network, as a `compress.variants.TwoStageNetwork`; tested on words and speakers never heard."""

    groups = staticmethod(word_groups)

    def __init__(self, data: Words, noise: np.ndarray, preset: WordsPreset, early: int, directory: Path, seed: int):
        """Args:
        data: training and test words.
        noise: features of background noise [M, L, F], for augmentation.
        preset: of the second stage.
        early: updates of the first stage.
        directory: for a folder of each training.
        seed: of everything random.
        """
        self.data, self.noise, self.preset, self.early = data, noise, preset, early
        self.directory, self.seed = directory, seed
        self._embeddings: dict[str, Mapping[str, np.ndarray]] = {}

    def build(self, **options: Any) -> Model:
        """The network; options are more arguments of `residual`."""
        return residual(width=self.preset.width, **options)

    @cached_property
    def inputs(self) -> Ragged:
        """A test clip of the median length, as the network takes it."""
        corpus = next(iter(self.data.test.values()))
        row = int(np.argmin(np.abs(corpus.length - int(np.median(corpus.length)))))
        return gather(corpus, np.array([row]), int(corpus.length[row]))

    def train(
        self, name: str, start: PyTree | None = None, update_transform: optax.GradientTransformation | None = None,
        options: Mapping[str, Any] | None = None, config: Mapping[str, Any] | None = None,
    ) -> PyTree:  # fmt: skip
        """Weights after one stage, as `TwoStageNetwork.train`."""
        preset, (first, updates) = self.preset, (0, self.early) if start is None else (self.early, self.preset.updates)
        ways = min(preset.ways or WAYS, most_ways(self.data.train))
        tasks = task_sampler(self.data.train, ways, preset.batches, self.seed)
        decides = preset._asdict() | {"early": self.early, "seed": self.seed, "data": self.data.fingerprints}
        return fit(
            protonet(self.build(**(options or {})), cross_entropy, ways), lambda index: tasks(first + index),
            updates, preset.rate, self.directory / name,
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

        `after`: the compressed network adapts. `reversed`: the dense network adapts, and is compressed then.
        """
        before, after, rows = self._embed(dense), self._embed(variant), []
        for name, corpus in self.data.test.items():
            reference, adapted, turned = (
                100 * accuracies(corpus, support[name], query[name], self.seed + 1)
                for support, query in ((before, before), (after, after), (before, after))
            )
            row = {"test": name, "before": 100 / WAYS} | _interval("after", adapted)
            row |= _interval("change", adapted - reference)
            # Prototypes are stored in float16.
            row |= {"user_bytes": 2 * WAYS * after[name].shape[1], "episodes": len(adapted)}
            rows.append(row | (_interval("reversed", turned) if variant.compress is not None else {}))
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

    def _embed(self, variant: Variant) -> Mapping[str, np.ndarray]:
        """Test corpus -> embeddings [R, D]."""
        if variant.name not in self._embeddings:
            self._embeddings[variant.name] = {
                name: embed(variant.model, variant.params, corpus) for name, corpus in self.data.test.items()
            }
        return self._embeddings[variant.name]


def _interval(name: str, values: np.ndarray) -> dict[str, float]:
    return dict(zip((name, f"{name}_half"), mean_interval(values), strict=True))
