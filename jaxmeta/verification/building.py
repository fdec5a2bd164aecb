"""Makes an assistant of a trained network: adds what scores are compared with, and calibrates them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy.cluster.vq import kmeans2

from jaxmeta.data.corpus import Corpus
from jaxmeta.data.word_corpora import FEATURES
from jaxmeta.evaluation.embeddings import embed
from jaxmeta.metrics import Trials, detection_curve, equal_error_rate
from jaxmeta.verification.assistant import Assistant, AssistantCard, Embeddings, embed_recordings
from jaxmeta.verification.calibration import Calibration, calibrate
from jaxmeta.verification.open_set import word_odds
from jaxmeta.verification.spotting import stretches
from jaxmeta.verification.training import EMBEDDING, TrainedNetwork
from jaxmeta.verification.trials import enrolments, trials
from jaxmeta.verification.voices import SECOND, Voices, with_cohort

UNKNOWN, SILENCE = 64, 16
"""Other words and kinds of background that clips are compared with."""
CLIPS = 5
"""That enrol a voice, where scores are calibrated."""
_DRAWS, _WAYS, _SHOTS = 20, 5, 3  # Of words, where their scores are calibrated: users for each speaker.
_OTHERS = 40  # Recordings of other words there, and of noise.
_RECORDINGS = 6  # Of each of the other words that clips are compared with.


class EmbeddedRecordings(NamedTuple):
    """Recordings of words, who says them, and what a fused network makes of them."""

    speakers: np.ndarray
    labels: np.ndarray
    embeddings: Embeddings

    def at(self, rows: np.ndarray) -> Embeddings:
        """What is made of some of them."""
        return Embeddings(self.embeddings.words[rows], self.embeddings.voices[rows])


def make_assistant(
    fused: TrainedNetwork,
    voices: Voices,
    *,
    words: Corpus,
    val: Mapping[str, Corpus],
    val_words: Mapping[str, Corpus],
    noise: np.ndarray,
    width: int,
    seed: int,
    origin: Mapping[str, Any],
) -> Assistant:
    """The fused network, with scores that validation speakers made log-likelihood ratios.

    Args:
      fused: the network.
      voices: what it makes of voices, with the cohort.
      words: of training, with the columns `corpus` and `label`: prototypes of some become `unknown`.
      val: name -> recordings by validation speakers, of a word or a sentence each; voices are calibrated on them.
      val_words: the same of words alone, with the column `label`; words are calibrated on them.
      noise: features of background noise [M, L, F], from which `silence` is made.
      width: of the network's trunk.
      seed: of everything drawn.
      origin: where the weights come from.
    Raises:
      ValueError: too few recordings of words or of speakers to compare with, or to calibrate on.
    """
    assert voices.cohort is not None
    check_speakers(words, val, val_words)
    top, voice_line = _calibrated_voices(voices, val, seed)
    unknown, undone = _other_words(fused, words, seed), Calibration(1.0, 0.0)
    card = AssistantCard(
        width, EMBEDDING, FEATURES, SECOND, len(voices.cohort), len(unknown), SILENCE, top, voice_line, undone, undone,
        dict(origin),
    )  # fmt: skip
    assistant = Assistant(card, fused.params, voices.cohort, unknown, np.zeros((SILENCE, unknown.shape[1]), np.float32))
    half = len(noise) // 2
    clustered, held_back = (background(assistant, list(part)).words for part in (noise[:half], noise[half:]))
    assistant = assistant._replace(silence=kmeans2(clustered, SILENCE, minit="++", seed=seed)[0].astype(np.float32))
    validation = [embedded(fused, voices, corpus) for corpus in val_words.values()]
    of_words, of_background = _calibrated_words(assistant, validation, held_back, seed)
    return assistant._replace(card=replace(card, word_calibration=of_words, background_calibration=of_background))


def check_speakers(words: Corpus, val: Mapping[str, Corpus], val_words: Mapping[str, Corpus]) -> None:
    """Find out before training whether `make_assistant` can calibrate the network on these recordings.

    Raises:
      ValueError: there is no column `speaker`, a validation speaker is in training, or recordings are too few.
    """
    for name, corpus in val.items():
        if "speaker" not in corpus.columns or "speaker" not in words.columns:
            raise ValueError(f"corpus {name!r} has no column 'speaker'; its columns are {list(corpus.columns)}.")
        counts = Counter(corpus.columns["speaker"].tolist())
        trained = words.columns["speaker"][words.columns["corpus"] == name]
        if same := counts.keys() & set(trained.tolist()):
            raise ValueError(
                f"corpus {name!r}: speaker {min(same)!r} is held out and in training; say in 'split' who is where."
            )
        if len(counts) < 2 or max(counts.values()) <= CLIPS:
            raise ValueError(
                f"corpus {name!r}: voices are calibrated on two held-out speakers or more, one of whom has "
                f"{CLIPS + 1} recordings at least; there are {dict(counts)}."
            )
    said = [_often(each.columns["label"][each.columns["speaker"] == who], _SHOTS + 1)
            for each in val_words.values() for who in np.unique(each.columns["speaker"])]  # fmt: skip
    if max(map(len, said)) < 2:
        raise ValueError(f"no held-out speaker says two words {_SHOTS + 1} times each, on which words are calibrated.")
    if not len(_often(np.char.add(words.columns["corpus"], words.columns["label"]), _RECORDINGS)):
        raise ValueError(
            f"no training word has {_RECORDINGS} recordings, so that there is none to compare others with."
        )


def voices_of(network: TrainedNetwork, speakers: Corpus, seed: int) -> Voices:
    """What a network for speakers makes of voices, beside training speakers, of whom these are stretches."""
    assert network.speaker_model is not None
    return with_cohort(network.name, network.speaker_model, network.params, speakers, seed)


def embedded(fused: TrainedNetwork, voices: Voices, corpus: Corpus) -> EmbeddedRecordings:
    """What a fused network makes of all recordings of a corpus of words."""
    assert fused.word_model is not None
    words = embed(fused.word_model, fused.params, corpus)
    return EmbeddedRecordings(
        corpus.columns["speaker"], corpus.columns["label"], Embeddings(words, voices.embed(corpus))
    )


def background(assistant: Assistant, noises: Sequence[np.ndarray]) -> Embeddings:
    """Embeddings of all stretches of recordings without words, given their log-mels."""
    return embed_recordings(assistant, [clip for noise in noises for clip in stretches(noise, FEATURES.frame_rate)[1]])


def enrolment_split(recordings: EmbeddedRecordings, user: str, words: np.ndarray, shots: int, rng: np.random.Generator):
    """Recordings to enrol some words by one speaker [W, shots], and those that are left of each, in random order."""
    drawn = [
        rng.permutation(np.flatnonzero((recordings.speakers == user) & (recordings.labels == word))) for word in words
    ]  # fmt: skip
    return np.stack([rows[:shots] for rows in drawn]), [rows[shots:] for rows in drawn]


def _calibrated_voices(voices: Voices, val: Mapping[str, Corpus], seed: int) -> tuple[int, Calibration]:
    """How many of the cohort count (0: none, scores are cosines), and the line from scores to ratios."""
    directions = {name: voices.embed(corpus) for name, corpus in val.items()}
    sets = {name: enrolments(corpus.columns["speaker"], CLIPS, seed) for name, corpus in val.items()}

    def of_all_corpora(choice: Voices) -> list[Trials]:
        return [
            trials(choice, sets[name], directions[name], directions[name], corpus.columns["speaker"])
            for name, corpus in val.items()
        ]

    cosines, normed = of_all_corpora(voices._replace(cohort=None)), of_all_corpora(voices)

    def errors(each: list[Trials]) -> float:
        return float(np.mean([equal_error_rate(detection_curve(some.scores, some.targets)) for some in each]))

    chosen = cosines if errors(cosines) <= errors(normed) else normed
    line = calibrate(
        np.concatenate([some.scores for some in chosen]), np.concatenate([some.targets for some in chosen])
    )
    return (0 if chosen is cosines else voices.top), line


def _calibrated_words(
    assistant: Assistant, val: Sequence[EmbeddedRecordings], noise: np.ndarray, seed: int
) -> tuple[Calibration, Calibration]:
    """Lines to ratios, for validation speakers: of enrolled words against the same voice's other words and noise, and
    of noise against words.
    """
    rng, scores, targets, silent, noisy = np.random.default_rng(seed), [], [], [], []
    for recordings in val:
        for user in np.repeat(np.unique(recordings.speakers), _DRAWS):
            names = _often(recordings.labels[recordings.speakers == user], _SHOTS)
            if len(names) < 2:
                continue
            chosen = rng.choice(names, min(_WAYS, len(names) - 1), replace=False)
            enrolled, rest = enrolment_split(recordings, user, chosen, _SHOTS, rng)
            others = rng.choice(
                np.flatnonzero((recordings.speakers == user) & ~np.isin(recordings.labels, chosen)), _OTHERS
            )
            words = np.concatenate([recordings.embeddings.words[row] for row in (*rest, others)])
            clips = np.concatenate([words, noise[rng.choice(len(noise), _OTHERS)]])
            odds = word_odds(
                clips, recordings.embeddings.words[enrolled].mean(axis=1), assistant.unknown, assistant.silence
            )
            said = np.repeat(np.arange(len(chosen) + 1), [*map(len, rest), 2 * _OTHERS])
            right = odds.words.argmax(axis=1) == said
            keep = right | (said == len(chosen))  # An enrolled word taken for another one is neither.
            scores.append(odds.words.max(axis=1)[keep])
            targets.append(right[keep])
            silent.append(odds.silence)
            noisy.append(np.arange(len(clips)) >= len(words))
    pairs = ((scores, targets), (silent, noisy))
    first, second = (calibrate(np.concatenate(each), np.concatenate(kinds)) for each, kinds in pairs)
    return first, second


def _other_words(fused: TrainedNetwork, words: Corpus, seed: int) -> np.ndarray:
    """Prototypes [U, D] of training words, each from a few recordings."""
    assert fused.word_model is not None
    rng = np.random.default_rng(seed)
    keys = np.char.add(words.columns["corpus"], words.columns["label"])
    often = _often(keys, _RECORDINGS)
    chosen = rng.choice(often, min(UNKNOWN, len(often)), replace=False)
    rows = np.concatenate([rng.choice(np.flatnonzero(keys == name), _RECORDINGS, replace=False) for name in chosen])
    keep = np.zeros(len(words), bool)
    keep[rows] = True
    embeddings = embed(fused.word_model, fused.params, words.select(keep))
    return np.stack([embeddings[keys[keep] == name].mean(axis=0) for name in chosen]).astype(np.float32)


def _often(labels: np.ndarray, times: int) -> np.ndarray:
    """The labels that are there so many times or more."""
    names, counts = np.unique(labels, return_counts=True)
    return names[counts >= times]
