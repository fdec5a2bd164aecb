"""Sentences: a trained CTC recogniser whose trunk tells who speaks, too, and stays as it is."""

from pathlib import Path

import jax

from experiments.verify_and_recognise.data import SENTENCES, Spoken
from experiments.verify_and_recognise.recipes import SENTENCE
from jaxmeta import Model
from jaxmeta.data.augmentation.recipes import speaker_augmentation
from jaxmeta.data.augmentation.transforms import augment_episode
from jaxmeta.data.corpus import load_corpus
from jaxmeta.data.sampling.speakers import SpeakerBatches
from jaxmeta.data.windows import windows
from jaxmeta.models.acoustic import Size
from jaxmeta.models.speaker import SPEAKER, part, text_and_speaker
from jaxmeta.recognition.recogniser import Recogniser, load_recogniser
from jaxmeta.speaker_losses import margin_softmax
from jaxmeta.training.fit import fit, supervised
from jaxmeta.types import PyTree
from jaxmeta.verification.training import EMBEDDING, MARGIN, SCALE
from jaxmeta.verification.voices import with_cohort

CLIPS = 64


def shared_trunk(folder: Path, data: Spoken, updates: int, rate: float, seed: int, workdir: Path):
    """Train a head for speakers on a recogniser's frozen trunk, by the training speakers of the sentences.

    What the recogniser writes is what it wrote before, so that sharing costs recognition nothing.
    Args:
      folder: of the recogniser.
      data: its folders, conditions and noise are used.
      updates, rate: of training.
      seed: of everything random.
      workdir: for a folder of the training.
    Returns:
      The network, and the data with the test sentences alone, in the recogniser's features.
    """
    one = load_recogniser(folder)
    corpus = load_corpus(data.folders[SENTENCES], one.card.features).with_column("pool", SENTENCES)
    speakers = windows(corpus.select(split="train"), SENTENCE, SENTENCE)
    clips = SpeakerBatches(speakers, CLIPS, seed)
    weights = fit(
        supervised(_head(one, len(clips.names)), margin_softmax(MARGIN, SCALE)),
        clips, updates, rate, workdir / "sentences",
        augment=augment_episode(speaker_augmentation(None), on="query"), features=one.card.features.size, seed=seed,
        config={"updates": updates, "rate": rate, "seed": seed, "data": corpus.fingerprint, "origin": one.card.origin},
    ).params  # fmt: skip
    weights = {SPEAKER: {name: leaf for name, leaf in weights[SPEAKER].items() if name != "head"}}
    voices = with_cohort("head on the recogniser", _head(one, None), weights, speakers, seed, SENTENCE)
    return voices, data._replace(test={SENTENCES: corpus.select(split="test")})


def _head(one: Recogniser, outputs: int | None) -> Model:
    """The head as a model of its own weights alone; those of the recogniser are constants."""
    card, size = one.card, Size(one.card.options["width"], one.card.options["depth"])
    whole = text_and_speaker(one.vocabulary.size, card.builder, size, outputs=outputs, embedding=EMBEDDING)
    model = part(whole, SPEAKER)

    def init(key, inputs) -> tuple[PyTree, PyTree]:
        drawn, state = model.init(key, inputs)
        return {SPEAKER: drawn[SPEAKER]}, state

    def apply(params, state, inputs, key, train) -> tuple[jax.Array, PyTree]:
        return model.apply(one.params | params, state, inputs, key, train)

    return Model(init, apply)
