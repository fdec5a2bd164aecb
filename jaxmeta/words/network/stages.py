"""The two stages of a comparison on the network: the search on validation words, and the test."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.word_tasks import WordBatches
from jaxmeta.data.word_corpora import Words
from jaxmeta.losses import cross_entropy
from jaxmeta.models.heads import Network
from jaxmeta.training.fit import Augment, fit, supervised
from jaxmeta.types import PyTree
from jaxmeta.words.embedded.stages import without_validation_words
from jaxmeta.words.network.pooling import pooled
from jaxmeta.words.network.programs import CLIPS, Stage
from jaxmeta.words.training import BASELINE_RATE


def stage_of_search(words: Words, network: Network, folder: Path, *, seed: int, **training: Any) -> Stage:
    """Training words without any that validation has, and validation words and speakers; a classifier of one seed."""
    return _stage(without_validation_words(words), words.val, network, folder / "search", [seed], **training)


def stage_of_test(words: Words, network: Network, folder: Path, *, seeds: Sequence[int], **training: Any) -> Stage:
    """All training words, and the words and speakers of the test; a classifier of each seed."""
    return _stage(words.train, words.test, network, folder / "test", seeds, **training)


def _stage(train: Corpus, tested: dict[str, Corpus], network: Network, folder: Path, seeds: Sequence[int], **training):
    train = pooled(train)
    count = len(WordBatches(train, CLIPS, 0).names)
    starts = {seed: classifier(train, network, folder, seed, **training) for seed in seeds}
    return Stage(train, count, starts, {name: pooled(corpus) for name, corpus in tested.items()})


def classifier(
    train: Corpus, network: Network, folder: Path, seed: int, *, updates: int, augment: Augment, data: dict[str, str]
) -> PyTree:
    """Params of a classifier of all training words, or what the folder holds of it already.

    Args:
      train: pooled recordings, as `load_words` gives their columns.
      network: (number of classes) -> the model.
      folder: for a folder of the seed.
      seed: of everything random.
      updates: each of `CLIPS` recordings.
      augment: of its recordings.
      data: fingerprints of the corpora.
    """
    batches = WordBatches(train, CLIPS, seed)
    learner = supervised(network(len(batches.names)), cross_entropy)
    decides = {"updates": updates, "seed": seed, "words": len(batches.names), "data": dict(data)}
    return fit(
        learner, batches, updates, BASELINE_RATE, folder / f"classifier_{seed}", augment=augment,
        features=train.frames.shape[1], seed=seed, config=decides,
    ).params  # fmt: skip
