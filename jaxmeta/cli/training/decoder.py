"""What `jaxmeta train recogniser --base FOLDER --head decoder` does with a public Whisper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from jaxmeta.recognition.presets import replaced
from jaxmeta.recognition.pretrained.presets import DECODER_PRESETS, DecoderPreset, RecogniserLearner, with_updates

if TYPE_CHECKING:
    from jaxmeta.recognition.corpora import TranscribedSpeech
    from jaxmeta.recognition.pretrained.decoder.training import PublicWhisper, TrainedDecoder


class DecoderTraining(NamedTuple):
    """A public Whisper, and how its decoder is trained."""

    base: PublicWhisper
    training: DecoderPreset
    learner: RecogniserLearner | None = None
    """Of the start for adaptation; None: that of training on all speakers."""

    @property
    def longest(self) -> float:
        """Seconds above which recordings are left out."""
        return self.training.longest

    def read(
        self, folders: Sequence[Path], *, seed: int, drop: bool, roots: Sequence[Path] = (), load: Any = None
    ) -> TranscribedSpeech:
        """The speech of some folders, with the features that the encoder takes.

        Raises: as `read_corpora` and `learnable`; with a learner as `check_speakers`.
        """
        from jaxmeta.data.corpus import load_corpus
        from jaxmeta.recognition.corpora import read_corpora
        from jaxmeta.recognition.pretrained.decoder.batches import learnable

        speech = read_corpora(
            folders, seed=seed, drop=drop, features=self.base.recogniser.features,
            frames_out=lambda frames: -(-frames // 2), roots=roots, load=load or load_corpus,
        )  # fmt: skip
        short = learnable(speech.train, self.base.recogniser, self.longest)
        if self.learner is not None:
            from jaxmeta.recognition.pretrained.meta_training import check_speakers

            meta, silence = self.training.meta, self.training.silence * self.base.recogniser.features.frame_rate
            check_speakers(short, meta, int(2 * meta.longest - silence))
        return speech

    def train(self, speech: TranscribedSpeech, directory: Path, seed: int, config: Mapping[str, Any]) -> TrainedDecoder:
        """Train, or go on where training was interrupted."""
        from jaxmeta.recognition.pretrained.decoder.training import train_decoder

        trained = train_decoder(self.base, speech, self.training, directory, seed=seed, config=config)
        if self.learner is None:
            return trained
        from jaxmeta.recognition.pretrained.decoder.meta_training import meta_train_decoder

        return meta_train_decoder(
            self.base, trained, speech.train, self.learner, self.training, directory / self.learner, seed=seed,
            config=config,
        )  # fmt: skip


def usual_head(folder: Path) -> Literal["ctc", "decoder"]:
    """What is trained on top of a public encoder: its own decoder, if it has one.

    Raises:
      ValueError: an unknown architecture. OSError: no such folder.
    """
    from jaxmeta.models.pretrained.folder import read_config
    from jaxmeta.models.pretrained.wav2vec2 import KINDS

    return "decoder" if read_config(folder, ("whisper", *KINDS))["model_type"] == "whisper" else "ctc"


def prepare_decoder(
    folder: Path,
    preset: str,
    language: str,
    *,
    updates: int | None,
    rank: int | None,
    layers: int | None,
    learner: RecogniserLearner | None = None,
) -> DecoderTraining:
    """Read the Whisper of a folder, and replace numbers of a preset by those that are given.

    Raises:
      ValueError: no Whisper; a language that it does not know; no adapters; more layers than the encoder has.
    """
    from jaxmeta.cli.training.on_base import check_layers
    from jaxmeta.recognition.pretrained.bases import base_hash
    from jaxmeta.recognition.pretrained.decoder.training import PublicWhisper
    from jaxmeta.recognition.pretrained.whisper import load_whisper

    if rank == 0:
        raise ValueError("--adapters 0: nothing of the decoder would learn; give --layers 0 to train it alone.")
    training = with_updates(replaced(DECODER_PRESETS[preset], rank=rank, layers=layers), updates)
    recogniser = load_whisper(folder)
    recogniser.tokenizer.whisper_prompt(language)
    check_layers(layers, recogniser.config.encoder_layers, folder)
    whole = recogniser.config.max_source_positions / 50
    training = training._replace(longest=min(training.longest, whole - training.silence))
    return DecoderTraining(PublicWhisper(recogniser, folder, base_hash(folder), language), training, learner)
