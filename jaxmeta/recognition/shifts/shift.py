"""New languages, channels, words and speakers on a frozen encoder: what is learnt before, and what is tested."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jax import numpy as jnp

from jaxmeta.data.augmentation.transforms import augment_episode
from jaxmeta.data.augmentation.waveform import in_condition
from jaxmeta.data.corpus import Corpus, concatenate
from jaxmeta.data.ctc_feasible import drop_infeasible
from jaxmeta.data.extraction import WaveformTransform
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.sampling.subsets import containing, rare_words, some_speakers
from jaxmeta.data.sampling.utterances import utterance_sampler
from jaxmeta.data.sampling.word_sets import word_set_tasks
from jaxmeta.data.vocabulary import Vocabulary, build_vocabulary
from jaxmeta.evaluation.shifts.gains import ShiftProtocol
from jaxmeta.evaluation.shifts.protocols import channels, languages, speakers, taught_words
from jaxmeta.models.acoustic import Size
from jaxmeta.recognition.methods import AdaptationMethod
from jaxmeta.recognition.presets import MetaTraining, ShiftTraining
from jaxmeta.recognition.pretrained.meta_training import adapter_methods
from jaxmeta.recognition.pretrained.training import activation_masks
from jaxmeta.recognition.shifts.frozen_head import UpperPart, train_upper_part
from jaxmeta.recognition.shifts.word_prototypes import PROTOTYPES, prototype_method
from jaxmeta.training.fit import Augment
from jaxmeta.types import Episode, Model, PyTree

Transforms = Mapping[str, WaveformTransform]
SHOTS, LANGUAGE_SHOTS, TAUGHT = (1, 5, 10), (1, 5, 10, 20), (1, 5)
"""Utterances to adapt to: of a channel or a speaker, of a language, and of a word."""


class Encoder(NamedTuple):
    """A frozen encoder."""

    features: FeatureConfig
    encode: Callable[[Corpus], Corpus]
    """Recordings -> what it gives for them."""
    frames_out: Callable
    """Frames of logits for frames of the features."""
    public: bool
    """Else it is one of our own, and speech is synthesised."""
    sha256: str
    """Of its files, or of its weights."""


class Shift(NamedTuple):
    """What a shift takes away, and what is there to learn to adapt to it."""

    upper: UpperPart
    start: PyTree
    """Of what adapts."""
    model: Model
    tasks: Callable[[int], Episode]
    """Of meta-training."""
    val: list[ShiftProtocol]
    tests: list[ShiftProtocol]
    shots: tuple[int, ...]
    """Sizes of support sets."""
    meta: MetaTraining
    """How it is meta-trained."""
    fingerprints: dict[str, str]
    methods: Mapping[str, AdaptationMethod]
    """Ways to adapt that there are here."""
    augment: Augment | None = None
    """What a task goes through in meta-training."""


class Sentences(NamedTuple):
    """Transcribed sentences, and what can be done to them."""

    folder: Path
    corpus: Corpus
    """Columns `transcription`, `speaker` and `split`."""
    words: tuple[str, ...]
    """No utterance with one of these is trained on; they are taught in the test."""
    val_words: tuple[str, ...]
    """The same, to choose rates on."""
    seen: Transforms
    """Channels of meta-training, and in part of validation."""
    tuned: tuple[str, ...]
    """Those of them that rates are chosen in."""
    unseen: Transforms
    """Channels of the test, none of which is among those."""

    def allowed(self) -> Corpus:
        """Training utterances with none of the words, in whole or as a part of another one."""
        held_out = containing(self.corpus, (*self.words, *self.val_words))
        return self.corpus.select((self.corpus.columns["split"] == "train") & ~held_out)

    def through(self, corpus: Corpus, transform: WaveformTransform) -> Corpus:
        return in_condition(corpus, self.folder, transform)


class Words(NamedTuple):
    """Utterances of one to three recorded words, in languages."""

    train: Corpus
    """Of the languages of training."""
    others: Corpus
    """Each language in slots: its words are "w00", "w01" ... in alphabetical order."""
    vocabulary: Vocabulary
    """Of slots."""
    validation: str
    """A language to choose rates on."""
    val_split: str
    """Whose speakers it is recognised by."""
    tests: tuple[str, ...]
    """Languages of the test."""


def language_shift(words: Words, encoder: Encoder, size: ShiftTraining, seed: int, folder: Path) -> Shift:
    """Words of new languages, in slots that start anew: what is learnt of words is how to learn them.

    Args:
      words: of all languages.
      encoder: that stays frozen.
      size: how much is drawn, and how long is trained.
      seed: of training and of the tasks.
      folder: of checkpoints and of what is recognised.
    """
    vocabulary = build_vocabulary(words.train.columns["transcription"], level="word")
    train = drop_infeasible(words.train, vocabulary, encoder.frames_out)
    upper = _upper(
        encoder, train, vocabulary, Size(96, 1), size.word_updates, size.batch, seed, folder / "language", stored=False
    )
    ways = words.vocabulary.size - 1
    tasks = word_set_tasks(
        upper.encode(train), vocabulary, ways=ways, tasks=size.word_meta.tasks, support=size.word_meta.support,
        query=size.word_meta.query, seed=seed,
    )  # fmt: skip
    val, tests = (
        languages(
            words.others, words.vocabulary, names, split, upper.encode, folder / "language" / kind,
            shots=LANGUAGE_SHOTS, draws=size.draws, query=size.queries, longest=400, seed=0,
        )
        for names, split, kind in (((words.validation,), words.val_split, "val"), (words.tests, "test", "test"))
    )  # fmt: skip
    last = {"kernel": jnp.zeros((upper.params["output"]["kernel"].shape[0], ways + 1)), "bias": jnp.zeros(ways + 1)}
    start = upper.params | {"output": last}
    return Shift(
        upper,
        start,
        upper.model(ways + 1),
        tasks,
        val,
        tests,
        LANGUAGE_SHOTS,
        size.word_meta,
        {"words": train.fingerprint},
        {**adapter_methods(upper.model(ways + 1), upper.width), PROTOTYPES: prototype_method(upper.width, ways)},
        augment_episode(activation_masks(upper.width)),
    )


def sentence_shift(
    sentences: Sentences, encoder: Encoder, size: ShiftTraining, seed: int, folder: Path, name: str
) -> Shift:
    """New channels, new words or new speakers: `name` is "channel", "vocabulary" or "speaker"; else as above."""
    vocabulary = build_vocabulary(sentences.corpus.columns["transcription"])
    allowed, split = sentences.allowed(), sentences.corpus.columns["split"]
    train = some_speakers(allowed, *size.training, 0)
    layers = Size(size.width, size.depth)
    upper = _upper(encoder, train, vocabulary, layers, size.updates, size.batch, seed, folder / "sentences")

    def encode(corpus: Corpus) -> Corpus:
        return drop_infeasible(upper.encode(corpus), vocabulary, lambda frames: frames)

    speech = _Speech(
        sentences, encode, encoder.frames_out, vocabulary, allowed, train,
        *(
            some_speakers(sentences.corpus.select(split == part), count, 20, 0)
            for part, count in zip(("val", "test"), size.speakers, strict=True)
        ),
    )  # fmt: skip
    make = {"channel": _channels, "vocabulary": _vocabulary, "speaker": _speakers}[name]
    tasks, (val, tests), shots = make(speech, size, seed, folder / name)
    data = {"sentences": sentences.corpus.fingerprint}
    model = upper.model(vocabulary.size)
    methods = adapter_methods(model, upper.width)
    return Shift(upper, upper.params, model, tasks, val, tests, shots, size.meta, data, methods)


class _Speech(NamedTuple):
    """Sentences, parted."""

    sentences: Sentences
    encode: Callable[[Corpus], Corpus]
    frames_out: Callable
    vocabulary: Vocabulary
    allowed: Corpus
    train: Corpus
    val: Corpus
    test: Corpus


def _channels(speech: _Speech, size: ShiftTraining, seed: int, folder: Path):
    sentences = speech.sentences
    drawn = some_speakers(speech.allowed, *size.tasks, 1)
    names = np.unique(drawn.columns["speaker"])
    # Each speaker in one channel.
    parts = [
        speech.encode(
            sentences.through(drawn.select(np.isin(drawn.columns["speaker"], names[n :: len(sentences.seen)])), each)
        )
        for n, each in enumerate(sentences.seen.values())
    ]
    tasks = _tasks(concatenate(parts), speech.vocabulary, size, seed, "speaker")
    some = {name: each for name, each in sentences.seen.items() if name in sentences.tuned}
    protocols = tuple(
        channels(
            corpus, speech.vocabulary, {name: partial(_through, sentences, each) for name, each in transforms.items()},
            speech.encode, folder / kind, shots=SHOTS, query=10, seed=0,
        )
        for kind, corpus, transforms in (("val", speech.val, some), ("test", speech.test, sentences.unseen))
    )  # fmt: skip
    return tasks, protocols, SHOTS


def _vocabulary(speech: _Speech, size: ShiftTraining, seed: int, folder: Path):
    sentences, vocabulary = speech.sentences, speech.vocabulary
    rare = rare_words(speech.train)
    known = speech.train.with_column("word", rare).select(rare != "")
    tasks = _tasks(speech.encode(known), vocabulary, size, seed, "word")
    teaching = sentences.corpus.select(split="train")
    teaching = teaching.select(containing(teaching, (*sentences.words, *sentences.val_words)))
    teaching, others = (
        drop_infeasible(each, vocabulary, speech.frames_out)
        for each in (teaching, concatenate([speech.val, speech.test]))
    )
    half = np.random.default_rng(0).random(len(teaching)) < 0.5
    tested = concatenate([teaching.select(~half), others])
    val, tests = (
        taught_words(
            teaching.select(half), tested, vocabulary, words, speech.encode, folder / kind, shots=TAUGHT, query=20,
            seed=0,
        )
        for kind, words in (("val", sentences.val_words), ("test", sentences.words))
    )  # fmt: skip
    return tasks, (val[:1], tests), TAUGHT


def _speakers(speech: _Speech, size: ShiftTraining, seed: int, folder: Path):
    tasks = _tasks(speech.encode(speech.train), speech.vocabulary, size, seed, "speaker")
    protocols = tuple(
        [speakers(corpus, speech.vocabulary, speech.encode, folder / kind, shots=SHOTS, query=10, seed=0)]
        for kind, corpus in (("val", speech.val), ("test", speech.test))
    )
    return tasks, protocols, SHOTS


def _tasks(corpus: Corpus, vocabulary: Vocabulary, size: ShiftTraining, seed: int, within: str):
    return utterance_sampler(
        corpus, vocabulary, support=size.meta.support, query=size.meta.query, tasks=size.meta.tasks, seed=seed,
        within=within, max_frames=size.meta.longest, buckets=1,
    )  # fmt: skip


def _through(sentences: Sentences, transform: WaveformTransform, corpus: Corpus) -> Corpus:
    return sentences.through(corpus, transform)


def _upper(
    encoder: Encoder, corpus: Corpus, vocabulary: Vocabulary, layers: Size, updates: int, batch: int, seed: int,
    folder: Path, stored: bool = True,
) -> UpperPart:  # fmt: skip
    return train_upper_part(
        encoder.encode, corpus, vocabulary, layers, folder / "head", updates=updates, batch=batch, seed=seed,
        config={"encoder": encoder.sha256, "data": corpus.fingerprint}, narrow=encoder.public, stored=stored,
    )  # fmt: skip
