"""A recogniser on a frozen encoder whose head is trained on all speakers, and of which the upper part then adapts."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxmeta.data.augmentation.transforms import augment_episode, spec_augment
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.utterances import batch_sampler
from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.evaluation.result_cache import params_digest
from jaxmeta.models.acoustic import Size
from jaxmeta.models.pretrained.head_parts import frames_to_logits, narrowing, on_frozen, stacked
from jaxmeta.recognition.adaptation import LOSS
from jaxmeta.recognition.pretrained.activations import with_activations
from jaxmeta.training.fit import fit, supervised
from jaxmeta.types import Model, PyTree


class UpperPart(NamedTuple):
    """What adapts, and what makes its inputs."""

    encode: Callable[[Corpus], Corpus]
    """Features -> what all the frozen parts together give."""
    model: Callable[[int], Model]
    """Classes -> the part that adapts, of Ragged frames [N, T, width]."""
    params: PyTree
    """Of the model, trained on all speakers."""
    width: int

    @property
    def digest(self) -> str:
        return params_digest(self.params)


def train_upper_part(
    encode: Callable[[Corpus], Corpus],
    corpus: Corpus,
    vocabulary: Vocabulary,
    size: Size,
    directory: Path,
    *,
    updates: int,
    batch: int,
    seed: int,
    config: Mapping[str, Any],
    narrow: bool = True,
    stored: bool = True,
) -> UpperPart:
    """Train a head of feed-forward layers for CTC on a frozen encoder, and freeze its lowest layer; or load it.

    Args:
      encode: features -> activations of the encoder.
      corpus: transcribed utterances, all of which CTC can align at half of the encoder's frame rate.
      vocabulary: of the transcripts.
      size: of the head.
      directory: of the checkpoints and the log.
      updates, batch: how many, and of how many utterances.
      seed: of the initial weights, the order of utterances and the masks on activations.
      config: what decides the result besides the numbers here: the encoder and the data.
      narrow: whether the head halves the frame rate, which is the layer that is frozen then; else none of it is.
      stored: whether what the frozen layer gives is what is stored; else it is computed anew wherever it is needed, and
        other networks may be trained on what the encoder gives.
    Raises: as `fit`.
    """
    activations = encode(corpus)
    width = activations.frames.shape[1]
    upper, lower = frames_to_logits(vocabulary.size, "dnn", size, 0.1), narrowing(size.width)
    masks = spec_augment(
        time_masks=2, time_width=15, frequency_masks=2, frequency_width=width // 8, time_fraction=0.1
    )  # fmt: skip
    decided = {"updates": updates, "batch": batch, "size": list(size), "seed": seed, "narrow": narrow} | dict(config)
    params = fit(
        supervised(stacked(lower, upper) if narrow else upper, LOSS),
        batch_sampler(activations, vocabulary, seed=seed, size=batch, buckets=2), updates, 3e-3, directory,
        augment=augment_episode(masks, on="query"), features=width, seed=seed, config=decided,
    ).params  # fmt: skip

    def narrowed(corpus: Corpus) -> Corpus:
        return with_activations(encode(corpus), lower, params["lower"], batch=32, dtype=np.float32)

    def model(classes: int) -> Model:
        above = frames_to_logits(classes, "dnn", size)
        return on_frozen(lower, params["lower"], above) if narrow and not stored else above

    if narrow and stored:
        return UpperPart(narrowed, model, params["upper"], size.width)
    return UpperPart(encode, model, params["upper"] if narrow else params, width)
