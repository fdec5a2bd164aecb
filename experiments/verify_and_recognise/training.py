"""The three networks of this experiment: for words, for speakers, and for both."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.spoken_words.augmentation import augmentation
from experiments.spoken_words.data import most_ways, task_sampler
from experiments.training import Augment, plain, train
from experiments.verify_and_recognise.data import SpeakerBatches, Spoken
from experiments.verify_and_recognise.recipes import EMBEDDING, Kind, Recipe
from jaxmeta import MetaLearner, Model, protonet
from jaxmeta.data.augment import augment_episode, chain, sometimes, spec_augment
from jaxmeta.data.rowwise import Transform
from jaxmeta.data.spectral import equalise, mix_noise, reverberate_spectrum, time_warp
from jaxmeta.learners.joint import joint
from jaxmeta.losses import cross_entropy
from jaxmeta.models.speaker import SPEAKER, WORD, part, speaker, word_and_speaker
from jaxmeta.models.words import residual
from jaxmeta.speaker_losses import margin_softmax
from jaxmeta.types import PyTree

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


def train_system(name: Kind, data: Spoken, recipe: Recipe, seed: int, workdir: Path) -> System:
    """Train a network, or load what was trained before.

    Words are learnt from episodes, as a prototypical network; speakers by margin softmax over all those of training;
    both by the joint learner, from the same batches.
    """
    ways = min(recipe.ways, most_ways(data.words))
    tasks = task_sampler(data.words, ways, [(*shots, 1) for shots in recipe.words], seed)
    clips = SpeakerBatches(data.speakers, recipe.clips, seed)
    count, margin = len(clips.names), margin_softmax(MARGIN, SCALE)
    own, shared = {"width": recipe.width}, {"width": recipe.shared}
    parts: Mapping[Kind, tuple[Callable[[int | None], Model], Callable[[Model], MetaLearner]]] = {
        "words": (lambda _: residual(**own), lambda model: protonet(model, cross_entropy, ways)),
        "speakers": (
            lambda outputs: speaker(outputs, embedding=EMBEDDING, **own), lambda model: plain(model, margin)
        ),
        "fused": (
            lambda outputs: word_and_speaker(outputs, embedding=EMBEDDING, **shared),
            lambda model: joint({
                WORD: protonet(part(model, WORD), cross_entropy, ways), SPEAKER: plain(part(model, SPEAKER), margin)
            }),
        ),
    }  # fmt: skip
    augments: Mapping[str, Augment] = {
        WORD: augment_episode(augmentation(data.noise)), SPEAKER: augment_episode(other_places(data.noise), on="query")
    }  # fmt: skip
    inputs: Mapping[Kind, tuple[Callable[[int], Any], Augment]] = {
        "words": (tasks, augments[WORD]),
        "speakers": (clips, augments[SPEAKER]),
        "fused": (lambda index: {WORD: tasks(index), SPEAKER: clips(index)}, _each(augments)),
    }
    network, learner = parts[name]
    sampler, augment = inputs[name]
    decides = {"network": name, "updates": recipe.updates, "rate": recipe.rate, "seed": seed, "data": data.fingerprints}
    decides |= shared if name == "fused" else own
    if name != "speakers":
        decides |= {"ways": ways, "words": recipe.words}
    if name != "words":
        decides |= {"clips": recipe.clips, "margin": MARGIN, "scale": SCALE, "embedding": EMBEDDING}
    params = train(
        learner(network(count)), sampler, recipe.updates, recipe.rate, workdir / name,
        augment=augment, features=data.noise.shape[-1], seed=seed, config=decides,
    ).params  # fmt: skip
    model = network(None)
    if name == "words":
        return System(name, params, model, None)
    params = params | {SPEAKER: {key: leaf for key, leaf in params[SPEAKER].items() if key != "head"}}
    if name == "speakers":
        return System(name, params, None, model)
    return System(name, params, part(model, WORD), part(model, SPEAKER))


def other_places(noise: np.ndarray | None) -> Transform:
    """What a clip goes through where speakers are learnt: other paces, microphones, rooms and backgrounds.

    Args:
      noise: log-mels of background noise [M, L, F]; None: no noise is added.
    """
    return chain(
        time_warp(ends=0.05, bend=0.05),
        equalise(0.3),
        sometimes(reverberate_spectrum(share=0.5, decay=4.0), 0.2),
        *(() if noise is None else (sometimes(mix_noise(noise, low=0.0, high=30.0), 0.5),)),
        spec_augment(time_masks=1, time_width=16, frequency_masks=1, frequency_width=8, time_fraction=0.14),
    )


def _each(augments: Mapping[str, Augment]) -> Augment:
    def augment(key, episodes):
        return {
            name: augments[name](jax.random.fold_in(key, index), episodes[name])
            for index, name in enumerate(sorted(episodes))
        }

    return augment
