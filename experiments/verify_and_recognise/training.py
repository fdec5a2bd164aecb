"""The three networks of this experiment: for words, for speakers, and for both."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from experiments.verify_and_recognise.data import SpeakerBatches, Spoken
from experiments.verify_and_recognise.recipes import EMBEDDING, Kind, Recipe
from jaxmeta import MetaLearner, Model, protonet
from jaxmeta.data.augmentation.recipes import speaker_augmentation, word_augmentation
from jaxmeta.data.augmentation.transforms import augment_episode
from jaxmeta.data.sampling.words import most_ways, task_sampler
from jaxmeta.learners.joint import joint
from jaxmeta.losses import cross_entropy
from jaxmeta.models.speaker import SPEAKER, WORD, part, speaker, word_and_speaker
from jaxmeta.models.words import residual
from jaxmeta.speaker_losses import margin_softmax
from jaxmeta.training.fit import Augment, fit, supervised
from jaxmeta.types import Key, PyTree

MARGIN, SCALE = 0.2, 30.0


class System(NamedTuple):
    """A trained network; what it cannot tell is None."""

    name: Kind
    params: PyTree
    words: Model | None
    """To embeddings of words."""
    speakers: Model | None
    """To embeddings of speakers."""

    @property
    def weights(self) -> int:
        """Numbers that are used after training."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.params))


class Training:
    """The trainings of one run: words are learnt from episodes, as a prototypical network; speakers by margin softmax
    over all those of training; both by the joint learner, from the same batches. Each loads what was trained before.
    """

    def __init__(self, data: Spoken, recipe: Recipe, seed: int, workdir: Path):
        self.data, self.recipe, self.seed, self.workdir = data, recipe, seed, workdir
        self.ways = min(recipe.ways, most_ways(data.words))
        self.tasks = task_sampler(data.words, self.ways, [(*shots, 1) for shots in recipe.words], seed)
        self.clips = SpeakerBatches(data.speakers, recipe.clips, seed)
        self.augments = {
            WORD: augment_episode(word_augmentation(data.noise)),
            SPEAKER: augment_episode(speaker_augmentation(data.noise), on="query"),
        }

    def words(self) -> System:
        """The network for words."""
        model = residual(width=self.recipe.width)
        params = self._train(
            "words", self._of_words(model), self.tasks, self.augments[WORD], {"width": self.recipe.width} | self._words
        )
        return System("words", params, model, None)

    def speakers(self) -> System:
        """The network for speakers."""

        def network(outputs: int | None) -> Model:
            return speaker(outputs, width=self.recipe.width, embedding=EMBEDDING)

        learner = self._of_speakers(network(len(self.clips.names)))
        params = self._train(
            "speakers", learner, self.clips, self.augments[SPEAKER], {"width": self.recipe.width} | self._speakers
        )
        return System("speakers", _without_head(params), None, network(None))

    def fused(self) -> System:
        """The network for both."""

        def network(outputs: int | None) -> Model:
            return word_and_speaker(outputs, width=self.recipe.shared, embedding=EMBEDDING)

        whole = network(len(self.clips.names))
        learner = joint({WORD: self._of_words(part(whole, WORD)), SPEAKER: self._of_speakers(part(whole, SPEAKER))})
        params = self._train(
            "fused", learner, lambda index: {WORD: self.tasks(index), SPEAKER: self.clips(index)}, self._augment_both,
            {"width": self.recipe.shared} | self._words | self._speakers,
        )  # fmt: skip
        model = network(None)
        return System("fused", _without_head(params), part(model, WORD), part(model, SPEAKER))

    @property
    def _words(self) -> dict[str, Any]:
        return {"ways": self.ways, "words": self.recipe.words}

    @property
    def _speakers(self) -> dict[str, Any]:
        return {"clips": self.recipe.clips, "margin": MARGIN, "scale": SCALE, "embedding": EMBEDDING}

    def _of_words(self, model: Model) -> MetaLearner:
        return protonet(model, cross_entropy, self.ways)

    def _of_speakers(self, model: Model) -> MetaLearner:
        return supervised(model, margin_softmax(MARGIN, SCALE))

    def _augment_both(self, key: Key, episodes: PyTree) -> PyTree:
        return {
            name: augment(jax.random.fold_in(key, index), episodes[name])
            for index, (name, augment) in enumerate(sorted(self.augments.items()))
        }

    def _train(
        self, name: Kind, learner: MetaLearner, sampler: Callable[[int], Any], augment: Augment, decides: dict[str, Any]
    ) -> PyTree:
        recipe = self.recipe
        shared = {"network": name, "updates": recipe.updates, "rate": recipe.rate, "seed": self.seed}
        return fit(
            learner, sampler, recipe.updates, recipe.rate, self.workdir / name,
            augment=augment, features=self.data.noise.shape[-1], seed=self.seed,
            config=shared | {"data": self.data.fingerprints} | decides,
        ).params  # fmt: skip


def _without_head(params: PyTree) -> PyTree:
    """Weights that are used after training: not the vectors of training speakers."""
    return params | {SPEAKER: {name: leaf for name, leaf in params[SPEAKER].items() if name != "head"}}
