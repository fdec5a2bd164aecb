"""Training of a public Whisper's decoder on all speakers at once: of its adapters, then of the encoder's too."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxmeta.data.augmentation.rows import Transform
from jaxmeta.data.augmentation.spectral import equalise, time_warp
from jaxmeta.data.augmentation.transforms import chain, frequency_warp, spec_augment
from jaxmeta.data.corpus import Corpus
from jaxmeta.data.sampling.padding import gather
from jaxmeta.data.sampling.transcribed import short_enough
from jaxmeta.decoding.error_rates import character_edits, error_rate
from jaxmeta.models.pretrained.blocks import widened
from jaxmeta.models.pretrained.whisper import after_prompt, teacher_forced, whisper_encoder
from jaxmeta.models.pretrained.whispers.taught import (
    TaughtWhisper,
    masked_tokens,
    taught_adapters,
    taught_whisper,
    with_silence,
)
from jaxmeta.recognition.corpora import TranscribedSpeech
from jaxmeta.recognition.pretrained.activations import activations_below
from jaxmeta.recognition.pretrained.adapter import AdapterCard, save_adapter, with_whisper_adapters
from jaxmeta.recognition.pretrained.decoder.batches import Tokens, case_of, learnable, token_batches
from jaxmeta.recognition.pretrained.presets import DecoderPreset, Stage
from jaxmeta.recognition.pretrained.training import activation_masks, for_logs
from jaxmeta.recognition.pretrained.transcription import write, write_features
from jaxmeta.recognition.pretrained.whisper import Habits, WhisperRecogniser
from jaxmeta.sequence_losses import smoothed_cross_entropy
from jaxmeta.training import TrainState
from jaxmeta.training.checkpoint import Validation
from jaxmeta.training.fit import fit, supervised
from jaxmeta.types import Batch, Episode, Key, PyTree

_ROWS, _EVALUATIONS = 20, 5
"""Utterances that are recognised at once in validation, and how often they are."""


class PublicWhisper(NamedTuple):
    """A public Whisper whose decoder is trained."""

    recogniser: WhisperRecogniser
    folder: Path
    sha256: str
    """Of its files, as `base_hash` computes it."""
    language: str = "en"


class TrainedDecoder(NamedTuple):
    """What training gives; `save_adapter` writes the card and the adapters."""

    card: AdapterCard
    adapters: PyTree
    recogniser: WhisperRecogniser
    """The Whisper with the adapters."""

    def texts(self, corpus: Corpus) -> list[str]:
        """What it writes for each recording of a corpus of its features."""
        spans = zip(corpus.start, corpus.length, strict=True)
        return write_features(
            self.recogniser, [corpus.frames[start : start + length] for start, length in spans], self.card.language
        )

    def save(self, folder: Path, origin: dict[str, Any]) -> None:
        """Write it with a card that says how it was made; raises as `save_adapter` does."""
        save_adapter(folder, replace(self.card, origin=origin), self.adapters)


def train_decoder(
    base: PublicWhisper,
    speech: TranscribedSpeech,
    training: DecoderPreset,
    directory: Path,
    *,
    seed: int,
    config: Mapping[str, Any],
) -> TrainedDecoder:
    """Train adapters of the decoder, and with layers above 0 then those of the encoder too, or load what was trained.

    Recordings above `training.longest` are left out, also of validation: the encoder does not take any length.
    The loss is the cross-entropy of the transcripts' tokens. The encoder below the lowest layer that learns runs once
    for each recording, and what it gives is cached on the disk. Where all of its layers learn, nothing is below.
    Args:
      base: stays as it is.
      speech: with the features that the encoder takes.
      training: how long, and what learns.
      directory: of the checkpoints and the logs, in a folder for each stage.
      seed: of the initial weights, the order of utterances and the augmentation.
      config: what decides the result besides `training` and the seed: fingerprints of the data.
    Raises:
      Interrupted: a signal came; the same call resumes.
      ValueError: as `learnable`, before the encoder runs; the directory holds a run of another config.
    """
    speech = speech._replace(
        train=learnable(speech.train, base.recogniser, training.longest),
        held_out=short_enough(speech.held_out, int(training.longest * base.recogniser.features.frame_rate)),
    )
    of = base.recogniser.config.encoder_layers
    layers = min(training.layers, of)
    case = case_of(speech.train.columns["transcription"].tolist())
    habits = Habits(training.silence, training.longest, case)
    recogniser = replace(base.recogniser, habits=habits)
    config = dict(config) | {"base": base.sha256, "language": base.language, "habits": habits._asdict()}
    whole = PublicWhisper(recogniser, base.folder, base.sha256, base.language)
    run = _Stage(whole, speech, training, seed, config)
    adapters = run.train(training.frozen, 0, None, directory / "frozen")
    if layers:
        drawn = taught_adapters(recogniser.params, training.rank, layers, of, jax.random.key(seed + 1))
        adapters = run.train(training.adapted, layers, drawn | adapters, directory / "adapters")
    card = AdapterCard(
        str(base.folder.absolute()), base.sha256, training.rank, base.language, True, "layers", layers, *habits
    )
    return TrainedDecoder(card, adapters, with_whisper_adapters(recogniser, adapters))


class _Stage(NamedTuple):
    """What both stages have in common."""

    base: PublicWhisper
    speech: TranscribedSpeech
    training: DecoderPreset
    seed: int
    config: dict[str, Any]

    def train(self, stage: Stage, layers: int, params: PyTree | None, directory: Path) -> PyTree:
        """Adapters after a stage in which the encoder's uppermost layers learn."""
        recogniser, training = self.base.recogniser, self.training
        corpus, held_out = (self._inputs(each, layers) for each in (self.speech.train, for_logs(self.speech.held_out)))
        # Wide already: the compiler would take long to widen what are constants to it.
        base = jax.tree.map(widened, recogniser.params)
        taught = taught_whisper(recogniser.config, base, training.rank, layers, recogniser.silence)
        tokens = Tokens(recogniser.tokenizer, recogniser.habits.case, recogniser.longest)
        on_features = layers == recogniser.config.encoder_layers
        rate = recogniser.features.frame_rate / (1 if on_features else 2)
        behind = 0 if on_features else training.silence
        sampler = token_batches(
            corpus, tokens, seed=self.seed, frames_per_batch=int(training.frames_per_batch * (1 + on_features)),
            max_frames=int((training.longest + behind) * rate),
        )  # fmt: skip
        prompt = recogniser.tokenizer.whisper_prompt(self.base.language)
        loss = after_prompt(smoothed_cross_entropy(training.smoothing), len(prompt))
        masks = feature_augmentation() if on_features else activation_masks(recogniser.config.d_model)
        return fit(
            supervised(taught.model, loss), sampler, stage.updates, stage.rate, directory,
            augment=_supervised(masked_batches(masks, prompt, recogniser.tokenizer.end, training.hidden)),
            features=corpus.frames.shape[1], seed=self.seed,
            config=self.config | self._decides(stage, layers) | {"corpus": corpus.fingerprint},
            params=params,
            validation=Validation(
                _score(recogniser, taught, held_out, self.base.language), max(1, stage.updates // _EVALUATIONS)
            ),
        ).params  # fmt: skip

    def _decides(self, stage: Stage, layers: int) -> dict[str, Any]:
        """What a stage depends on, besides the data, the base and what it starts from."""
        others = ("frozen", "adapted", "meta")
        common = {name: each for name, each in self.training._asdict().items() if name not in others}
        return common | {"stage": list(stage), "layers": layers, "seed": self.seed}

    def _inputs(self, corpus: Corpus, layers: int) -> Corpus:
        """The corpus with what lies below the uppermost layers in the place of its features."""
        recogniser = self.base.recogniser
        if layers == recogniser.config.encoder_layers:
            return corpus
        return encoded(corpus, recogniser, {"base": self.base.sha256}, layers)


def encoded(corpus: Corpus, recogniser: WhisperRecogniser, weights: dict[str, str], layers: int = 0) -> Corpus:
    """The corpus with what a Whisper's encoder gives below its uppermost layers, from the cache; 0: with its outputs.

    Args:
      corpus: with log-mels.
      recogniser: with the silence behind recordings that it is used to.
      weights: hashes that say which weights these are.
      layers: fewer than all.
    """
    last = recogniser.config.encoder_layers - layers if layers else None
    lower = with_silence(whisper_encoder(recogniser.config, last=last), recogniser.silence)
    key = weights | {"layers": layers, "silence": recogniser.silence}
    return activations_below(corpus, lower, recogniser.params["encoder"], key)


def feature_augmentation() -> Transform:
    """What Whisper's log-mels go through in training: other paces, voices and microphones, and masks."""
    return chain(
        time_warp(ends=0.0, bend=0.05),
        frequency_warp(0.9, 1.12, shift=2.0),
        equalise(0.06),
        spec_augment(time_masks=2, time_width=25, frequency_masks=2, frequency_width=12, time_fraction=0.08),
    )


def masked_batches(masks: Transform, prompt: list[int], end: int, hidden: float) -> Callable[[Key, Batch], Batch]:
    """(key, speech and labels) -> what the decoder is taught by, with masks on both."""

    def change(key: Key, batch: Batch) -> Batch:
        speech = masks(jax.random.fold_in(key, 0), batch.inputs)
        inputs, targets = teacher_forced(speech, batch.targets, prompt, end)
        inputs = masked_tokens(jax.random.fold_in(key, 1), inputs, len(prompt), end, hidden)
        return batch._replace(inputs=inputs, targets=targets)

    return change


def _supervised(change: Callable[[Key, Batch], Batch]) -> Callable[[Key, Episode], Episode]:
    """A change of batches as one of the episodes of `supervised`, whose support and query are one batch."""

    def augment(key: Key, episode: Episode) -> Episode:
        taught = change(key, episode.query)
        return Episode(taught, taught)

    return augment


def _score(
    recogniser: WhisperRecogniser, taught: TaughtWhisper, corpus: Corpus, language: str
) -> Callable[[TrainState], float]:
    """Minus the character error rate in percent over a corpus, by greedy search."""
    said = corpus.columns["transcription"].tolist()
    order = np.argsort(corpus.length, kind="stable")
    encode = jax.jit(taught.memory)

    def score(train: TrainState) -> float:
        adapted = with_whisper_adapters(recogniser, train.params)
        texts: dict[int, str] = {}
        for start in range(0, len(order), _ROWS):
            rows = order[start : start + _ROWS]
            # The last batch is filled up with rows that it has already.
            speech = gather(corpus, np.resize(rows, _ROWS), -(-int(corpus.length[rows].max()) // 200) * 200)
            values, lengths = jax.device_get(encode(train.params, speech))
            memory = [row[:length] for row, length in zip(values, lengths, strict=True)]
            texts |= dict(zip(rows.tolist(), write(adapted, memory, language), strict=False))
        return -error_rate(character_edits(said, [texts[row] for row in range(len(said))]))

    return score
