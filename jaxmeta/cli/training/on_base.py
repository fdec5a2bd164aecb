"""What `jaxmeta train recogniser --base FOLDER` does with a public encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxmeta.recognition.presets import replaced
from jaxmeta.recognition.pretrained.presets import BASE_PRESETS, BasePreset, RecogniserLearner, with_updates

if TYPE_CHECKING:
    from jaxmeta.recognition.corpora import TranscribedSpeech
    from jaxmeta.recognition.pretrained.encoder import PublicEncoder
    from jaxmeta.recognition.recogniser import Recogniser


class TrainingOnBase(NamedTuple):
    """A public encoder, and how a recogniser is trained on it."""

    folder: Path
    encoder: PublicEncoder
    training: BasePreset
    learner: RecogniserLearner | None = None
    """Of the start for adaptation; None: that of training on all speakers."""

    @property
    def longest(self) -> float:
        """Seconds above which recordings are left out."""
        return self.training.max_frames / (self.encoder.features.frame_rate / self.encoder.subsampling)

    def read(
        self, folders: Sequence[Path], *, seed: int, drop: bool, roots: Sequence[Path] = (), load: Any = None
    ) -> TranscribedSpeech:
        """The speech of some folders, with the features that the encoder takes.

        Raises: as `read_corpora`; with a learner as `check_speakers`.
        """
        from jaxmeta.data.corpus import load_corpus
        from jaxmeta.recognition.corpora import read_corpora
        from jaxmeta.recognition.pretrained.training import frames_out

        speech = read_corpora(
            folders, seed=seed, drop=drop, features=self.encoder.features, frames_out=frames_out(self.encoder),
            roots=roots, load=load or load_corpus,
        )  # fmt: skip
        if self.learner is not None:
            from jaxmeta.recognition.pretrained.meta_training import check_speakers

            check_speakers(speech.train, self.training.meta, self.training.meta.longest * self.encoder.subsampling)
        return speech

    def train(self, speech: TranscribedSpeech, directory: Path, seed: int, config: Mapping[str, Any]) -> Recogniser:
        """Train, or go on where training was interrupted."""
        from jaxmeta.recognition.pretrained.training import train_on_base

        trained = train_on_base(self.encoder, self.folder, speech, self.training, directory, seed=seed, config=config)
        return trained if self.learner is None else self._meta_train(trained, speech, directory, seed, config)

    def _meta_train(
        self, recogniser: Recogniser, speech: TranscribedSpeech, directory: Path, seed: int, config: Mapping[str, Any]
    ) -> Recogniser:
        """The recogniser with a start for adaptation that is meta-learned on the speakers of training."""
        from jaxmeta.recognition.pretrained.meta_training import meta_train_recogniser
        from jaxmeta.recognition.pretrained.training import activations

        assert self.learner is not None
        below = activations(self.encoder, speech.train, recogniser.card.options["layers"])
        return meta_train_recogniser(
            recogniser, below, self.learner, self.training.meta, directory / self.learner, seed=seed, config=config
        )


def prepare(
    folder: Path,
    preset: str,
    *,
    updates: int | None,
    kind: str | None,
    rank: int | None,
    layers: int | None,
    learner: RecogniserLearner | None = None,
) -> TrainingOnBase:
    """Read the encoder of a folder, and replace numbers of a preset by those that are given."""
    from jaxmeta.recognition.pretrained.encoder import read_encoder

    training = with_updates(replaced(BASE_PRESETS[preset], kind=kind, rank=rank, layers=layers), updates)
    encoder = read_encoder(folder)
    check_layers(layers, encoder.layers, folder)
    return TrainingOnBase(folder, encoder, training, learner)


def check_layers(layers: int | None, of: int, folder: Path) -> None:
    """Raises ValueError where more layers of an encoder are to learn than it has."""
    if layers is not None and layers > of:
        raise ValueError(f"--layers {layers}: the encoder of {folder} has {of}.")
