"""Training of networks that tell words, speakers, or both."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from jaxmeta import MetaLearner, Model, protonet
from jaxmeta.data.augmentation.recipes import speaker_augmentation, word_augmentation
from jaxmeta.data.augmentation.transforms import augment_episode
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.speakers import SpeakerBatches
from jaxmeta.data.sampling.word_tasks import most_ways, task_sampler
from jaxmeta.data.windows import windows
from jaxmeta.learners.joint import joint
from jaxmeta.losses import cross_entropy
from jaxmeta.models.clip_encoders import residual
from jaxmeta.models.speaker import SPEAKER, WORD, part, speaker, word_and_speaker
from jaxmeta.speaker_losses import margin_softmax
from jaxmeta.training.fit import Augment, fit, supervised
from jaxmeta.types import Key, PyTree
from jaxmeta.verification.voices import SECOND, Voices, with_cohort

MARGIN, SCALE, EMBEDDING = 0.2, 30.0, 128
"""Of the margin softmax, and numbers in a voice's embedding."""
NetworkKind = Literal["words", "speakers", "fused"]
"""Networks: for words, for speakers, for both."""


class TrainedNetwork(NamedTuple):
    """A trained network; what it cannot tell is None."""

    name: NetworkKind
    params: PyTree
    word_model: Model | None
    """To embeddings of words."""
    speaker_model: Model | None
    """To embeddings of speakers."""

    @property
    def weights(self) -> int:
        """Numbers that are used after training."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.params))


class AssistantTraining:
    """The trainings of one folder, from the same batches; each loads what was trained before.

    Words are learnt from episodes, as a prototypical network; speakers by margin softmax over all those of training;
    both by the joint learner.
    """

    def __init__(
        self, words: Corpus, speakers: Corpus, folder: Path, *, noise: np.ndarray, fingerprints: Mapping[str, str],
        ways: int, shots: Sequence[tuple[int, int]], clips: int, updates: int, rate: float, seed: int,
    ):  # fmt: skip
        """Args:
        words: recordings of words, with the columns `pool`, `corpus` and `label`.
        speakers: stretches of recordings, with the columns `pool` and `speaker`, as `speaker_stretches` cuts them.
        folder: for a folder of each network.
        noise: features of background noise [M, L, F], for augmentation.
        fingerprints: of the corpora, which a run is resumed with only.
        ways: words of a training episode, or as many as there are.
        shots: (shots, queries) of the episodes of words, taken in turn.
        clips: of a batch in which the speakers of training are told apart.
        updates: of each training.
        rate: peak learning rate.
        seed: of everything random.
        Raises:
          ValueError: too few words or recordings.
        """
        self.folder, self.features, self.updates, self.rate, self.seed = folder, noise.shape[-1], updates, rate, seed
        self.shots, self.fingerprints = tuple(shots), dict(fingerprints)
        self.ways = min(ways, most_ways(words))
        self.tasks = task_sampler(words, self.ways, [(*each, 1) for each in shots], seed)
        self.clips = SpeakerBatches(speakers, clips, seed)
        self.augments: dict[str, Augment] = {
            WORD: augment_episode(word_augmentation(noise)),
            SPEAKER: augment_episode(speaker_augmentation(noise), on="query"),
        }

    def train_words(self, width: int) -> TrainedNetwork:
        """Train the network for words, with a trunk of this width."""
        model = residual(width=width)
        params = self._train(
            "words", self._of_words(model), self.tasks, self.augments[WORD], {"width": width} | self._words
        )
        return TrainedNetwork("words", params, model, None)

    def train_speakers(self, width: int) -> TrainedNetwork:
        """Train the network for speakers."""

        def network(outputs: int | None) -> Model:
            return speaker(outputs, width=width, embedding=EMBEDDING)

        learner = self._of_speakers(network(len(self.clips.names)))
        decides = {"width": width} | self._speakers
        params = self._train("speakers", learner, self.clips, self.augments[SPEAKER], decides)
        return TrainedNetwork("speakers", _without_head(params), None, network(None))

    def train_fused(self, width: int) -> TrainedNetwork:
        """Train the network for both."""

        def network(outputs: int | None) -> Model:
            return word_and_speaker(outputs, width=width, embedding=EMBEDDING)

        whole = network(len(self.clips.names))
        learner = joint({WORD: self._of_words(part(whole, WORD)), SPEAKER: self._of_speakers(part(whole, SPEAKER))})
        params = self._train(
            "fused", learner, lambda index: {WORD: self.tasks(index), SPEAKER: self.clips(index)}, self._augment_both,
            {"width": width} | self._words | self._speakers,
        )  # fmt: skip
        model = network(None)
        return TrainedNetwork("fused", _without_head(params), part(model, WORD), part(model, SPEAKER))

    @property
    def _words(self) -> dict[str, Any]:
        return {"ways": self.ways, "words": self.shots}

    @property
    def _speakers(self) -> dict[str, Any]:
        return {"clips": self.clips.size, "margin": MARGIN, "scale": SCALE, "embedding": EMBEDDING}

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
        self,
        name: NetworkKind,
        learner: MetaLearner,
        sampler: Callable[[int], Any],
        augment: Augment,
        decides: dict[str, Any],
    ) -> PyTree:
        shared = {"network": name, "updates": self.updates, "rate": self.rate, "seed": self.seed}
        return fit(
            learner, sampler, self.updates, self.rate, self.folder / name,
            augment=augment, features=self.features, seed=self.seed,
            config=shared | {"data": self.fingerprints} | decides,
        ).params  # fmt: skip


def speaker_stretches(corpus: Corpus) -> Corpus:
    """Recordings with the columns `pool` and `speaker`, cut into stretches of a second, half overlapping."""
    return windows(corpus, SECOND, SECOND // 2)


def train_speaker_head(
    network: Callable[[int | None], Model], trunk: PyTree, speakers: Corpus, folder: Path, *, name: str, stretch: int,
    clips: int, updates: int, rate: float, seed: int, config: Mapping[str, Any],
) -> Voices:  # fmt: skip
    """Train a head for speakers on the trunk of a network for something else, which stays as it is.

    Args:
      network: (number of speakers, or None) -> the model, one of whose outputs is "speaker", as `text_and_speaker`.
      trunk: weights of the network but those of the head.
      speakers: recordings in the features of the network, with the columns `pool` and `speaker`.
      folder: of the training.
      name: of the network in results.
      stretch: frames of the stretches that recordings are cut into.
      clips: stretches of a batch.
      updates, rate: of training.
      seed: of everything random.
      config: what else decides the result, which a run is resumed with only.
    Raises:
      ValueError: the folder holds another run.
    """

    def head(outputs: int | None) -> Model:
        """A model of the head's weights alone."""
        whole = part(network(outputs), SPEAKER)

        def init(key: Key, inputs: PyTree) -> tuple[PyTree, PyTree]:
            params, state = whole.init(key, inputs)
            return {SPEAKER: params[SPEAKER]}, state

        def apply(params: PyTree, state: PyTree, inputs: PyTree, key: Key, train: bool) -> tuple[PyTree, PyTree]:
            return whole.apply(trunk | params, state, inputs, key, train)

        return Model(init, apply)

    cut = windows(speakers, stretch, stretch)
    batches = SpeakerBatches(cut, clips, seed)
    params = fit(
        supervised(head(len(batches.names)), margin_softmax(MARGIN, SCALE)), batches, updates, rate, folder,
        augment=augment_episode(speaker_augmentation(None), on="query"), features=speakers.frames.shape[1], seed=seed,
        config={"updates": updates, "rate": rate, "seed": seed, "data": speakers.fingerprint} | dict(config),
    ).params  # fmt: skip
    return with_cohort(name, head(None), _without_head(params), cut, seed, stretch)


def _without_head(params: PyTree) -> PyTree:
    """Weights that are used after training: not the vectors of training speakers."""
    return params | {SPEAKER: {name: leaf for name, leaf in params[SPEAKER].items() if name != "head"}}
