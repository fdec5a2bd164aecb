"""Folders of transcribed recordings as a training corpus and another of speakers who are held out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxmeta.data.corpus import Corpus, concatenate, load_corpus
from jaxmeta.data.ctc_feasible import drop_infeasible, infeasible
from jaxmeta.data.features import FeatureConfig
from jaxmeta.data.manifest import Manifest, ManifestError, copy_recordings, read_manifest
from jaxmeta.data.manifests.clips import DURATION, START
from jaxmeta.data.synthesis.sentences import read_aloud
from jaxmeta.data.vocabulary import Vocabulary, build_vocabulary
from jaxmeta.models.acoustic import output_lengths

FEATURES = FeatureConfig(kind="logmel", n_mels=40, hop_length=160, normalize="none")
"""100 frames a second; networks standardise each utterance themselves, after augmentation."""
SPOKEN = ("file_name", "transcription")
"""Columns that every folder has."""
TRAIN, HELD_OUT = "train", ("val", "valid", "validation", "dev", "test")
"""Values of the column `split`."""


class TranscribedSpeech(NamedTuple):
    """What a recogniser is trained on, and what it is tested on. No speaker is in both."""

    train: Corpus
    held_out: Corpus
    """Its columns `split` and `speaker` say of which part and by whom."""
    vocabulary: Vocabulary
    fingerprints: dict[str, str]
    """Folder -> fingerprint."""
    how: str
    """How speakers were held out, for a person."""


def read_corpora(
    folders: Sequence[Path],
    *,
    seed: int = 0,
    share: float = 0.1,
    drop: bool = False,
    features: FeatureConfig = FEATURES,
    frames_out: Callable[[Any], Any] = output_lengths,
    roots: Sequence[Path] = (),
    load: Callable[[Manifest, FeatureConfig], Corpus] = load_corpus,
) -> TranscribedSpeech:
    """Read folders of recordings; all mistakes in their lists are found before any sound is looked at.

    A folder has a metadata.csv with the columns `file_name` and `transcription`. `speaker` says who speaks; without
    it each recording counts as somebody's own. `split` says which rows are held out: `val` and `test`, but not `train`.
    Of folders without it a share of all speakers is held out, drawn by the seed.
    Args:
      folders: of the manifests, 1 or more.
      seed: of the draw.
      share: of the speakers, between 0 and 1; two at least are held out.
      drop: leave out recordings that are too short for their transcripts, and log how many, instead of refusing them.
      features: that the network takes.
      frames_out: frames of the logits for frames of the features.
      roots: further folders in which files may lie.
      load: reads the recordings of a manifest.
    Raises:
      ManifestError: a manifest, a transcript, a speaker or a split is of no use; names file, row and remedy.
      AudioError: a recording cannot be read.
      ValueError: no folders, or one twice.
    """
    paths = [Path(folder).resolve() for folder in folders]
    if not paths or len(set(paths)) < len(paths):
        raise ValueError(f"manifests: {[str(folder) for folder in folders]} must name one or more folders, each once.")
    manifests = [read_manifest(folder, roots) for folder in paths]
    for manifest in manifests:
        _check_columns(manifest)
    speakers = [_speakers(manifest) for manifest in manifests]
    splits = _splits(manifests, speakers, seed, share)
    _check_apart(manifests, speakers, splits)
    vocabulary = _vocabulary(manifests, splits)
    corpora = []
    for manifest, speaker, split in zip(manifests, speakers, splits, strict=True):
        loaded = load(manifest, features)
        corpus = loaded.with_column("speaker", speaker).with_column("split", split)
        if not drop:
            _check_alignable(manifest, corpus, vocabulary, frames_out)
        corpora.append(drop_infeasible(corpus, vocabulary, frames_out))
    fingerprints = {str(folder): corpus.fingerprint for folder, corpus in zip(folders, corpora, strict=True)}
    whole = corpora[0] if len(corpora) == 1 else concatenate(corpora)
    held_out = whole.select(whole.columns["split"] != TRAIN)
    decided = [f"a draw with seed {seed}" for manifest in manifests if "split" not in manifest.columns]
    how = " and ".join(dict.fromkeys(decided + ["the column split"] * (len(decided) < len(manifests))))
    return TranscribedSpeech(whole.select(split=TRAIN), held_out, vocabulary, fingerprints, how)


def with_read_aloud(corpus: Corpus, vocabulary: Vocabulary, seed: int) -> Corpus:
    """The corpus, and its transcripts and as many rows of their words in random order, read by artificial voices.

    Args:
      corpus: of transcribed English.
      vocabulary: of its characters; without lower-case letters, what is read is written in capitals.
      seed: of the voices and the order.
    """
    aloud = load_corpus(read_aloud(corpus.columns["transcription"].tolist(), seed), FEATURES)
    if not any(unit.islower() for unit in vocabulary.units):
        aloud = aloud.with_column("transcription", np.char.upper(aloud.columns["transcription"]))
    return concatenate([corpus, drop_infeasible(aloud, vocabulary, output_lengths)])


def copy_voice(corpus: Corpus, folder: Path, out: Path, most: int = 20) -> Path:
    """Copy recordings of the first speaker of a corpus, with their transcripts, as a folder to adapt to; returns it.

    Args:
      corpus: with the columns `file_name`, `transcription` and `speaker`.
      folder: of the recordings.
      out: made if missing.
      most: recordings that are copied.
    """
    own = corpus.columns["speaker"] == corpus.columns["speaker"][0]
    names = [*SPOKEN, *(name for name in (START, DURATION) if START in corpus.columns and name in corpus.columns)]
    return copy_recordings(folder, out, {name: corpus.columns[name][own][:most] for name in names})


def _check_columns(manifest: Manifest) -> None:
    path = manifest.root / manifest.name
    if "transcription" not in manifest.columns:
        raise ManifestError(
            f"{path}, row 1: no transcription column; the columns are {', '.join(manifest.columns)}. Add one that says "
            "what is said in each recording."
        )
    if "split" in manifest.columns:
        for row, split in enumerate(manifest.columns["split"].tolist()):
            if split not in (TRAIN, *HELD_OUT):
                raise ManifestError(
                    f"{manifest.where(row)}: split {split!r} must be {TRAIN}, or {', '.join(HELD_OUT)} to be held out."
                )
    if "speaker" in manifest.columns and (empty := np.flatnonzero(manifest.columns["speaker"] == "")).size:
        raise ManifestError(f"{manifest.where(empty[0])}: no speaker; name one in each row, or leave out the column.")


def _speakers(manifest: Manifest) -> np.ndarray:
    """[R] names; those of speakers, or else of the recordings themselves."""
    if "speaker" in manifest.columns:
        return manifest.columns["speaker"]
    return np.array(manifest.paths())


def _splits(manifests: list[Manifest], speakers: list[np.ndarray], seed: int, share: float) -> list[np.ndarray]:
    """[R] values of `TRAIN` and `HELD_OUT` for each manifest."""
    undecided = [own for manifest, own in zip(manifests, speakers, strict=True) if "split" not in manifest.columns]
    chosen = _draw(np.unique(np.concatenate(undecided)), seed, share) if undecided else np.array([])
    splits = [
        manifest.columns.get("split", np.where(np.isin(own, chosen), "val", TRAIN))
        for manifest, own in zip(manifests, speakers, strict=True)
    ]
    trained = np.concatenate(splits) == TRAIN
    if trained.all() or not trained.any():
        rows = "only rows" if trained.all() else "no row"
        raise ManifestError(
            f"{manifests[0].root / manifests[0].name}: the column split has {rows} of {TRAIN!r}; name some rows "
            f"{TRAIN} and some val, or leave the column out, and speakers are drawn by --seed."
        )
    return splits


def _draw(names: np.ndarray, seed: int, share: float) -> np.ndarray:
    """The speakers who are held out."""
    count = max(2, round(share * len(names)))
    if count >= len(names):
        raise ManifestError(
            f"{len(names)} speakers are too few to train on some and hold out {count}: record more speakers, or leave "
            "out the column speaker to hold out recordings instead."
        )
    return np.random.default_rng(seed).permutation(names)[:count]


def _check_apart(manifests: list[Manifest], speakers: list[np.ndarray], splits: list[np.ndarray]) -> None:
    """Refuse speakers who are trained on and held out: errors on them say nothing of new ones."""
    trained = np.unique(np.concatenate([own[split == TRAIN] for own, split in zip(speakers, splits, strict=True)]))
    for manifest, own, split in zip(manifests, speakers, splits, strict=True):
        if (both := np.flatnonzero((split != TRAIN) & np.isin(own, trained))).size:
            raise ManifestError(
                f"{manifest.where(both[0])}: speaker {str(own[both[0]])!r} is held out here ({split[both[0]]}) and in "
                f"{TRAIN} elsewhere; keep each speaker in one of them, or leave out the column speaker."
            )


def _vocabulary(manifests: list[Manifest], splits: list[np.ndarray]) -> Vocabulary:
    """The characters of the training transcripts; checks that no transcript is empty or has others."""
    texts = [manifest.columns["transcription"] for manifest in manifests]
    try:
        vocabulary = build_vocabulary(
            str(text) for some, split in zip(texts, splits, strict=True) for text in some[split == TRAIN]
        )
        for manifest, some in zip(manifests, texts, strict=True):
            vocabulary.encode_rows(some, manifest.where)
    except ValueError as error:
        raise ManifestError(f"{error} The vocabulary is that of the training transcripts.") from None
    return vocabulary


def _check_alignable(
    manifest: Manifest, corpus: Corpus, vocabulary: Vocabulary, frames_out: Callable[[Any], Any]
) -> None:
    failures = infeasible(corpus, vocabulary, frames_out)
    if failures:
        row, rate = failures[0].row, (corpus.config or FEATURES).frame_rate
        text, seconds = str(corpus.columns["transcription"][row]), corpus.length[row] / rate
        raise ManifestError(
            f"{manifest.where(row)}: {text!r} is too long for {seconds:.2f} s of sound, as are {len(failures):,} in "
            "all; is it the transcript of another recording? Correct it, remove the row, or give --drop-infeasible."
        )
