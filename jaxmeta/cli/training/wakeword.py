"""`jaxmeta train wakeword --positive DIR --embedding FILE --out DIR`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from jaxmeta.cli.ranges import Count, Seed, Within

if TYPE_CHECKING:
    import numpy as np

    from jaxmeta.cli.planning.plan import Plan
    from jaxmeta.words.wake.training import Negatives
    from jaxmeta.words.wake.wakeword import WakeWord

VOICE = "voice"
"""Folder of a wake word with the voice that alone is listened to."""
BEFORE = 40
"""Speakers whose speech comes before the word in takes of it."""


def train_wakeword(
    *,
    positive: Path,
    embedding: Path,
    out: Path,
    negative: tuple[Path, ...] = (),
    noise: tuple[Path, ...] = (),
    rooms: tuple[Path, ...] = (),
    word: str | None = None,
    language: str = "en-us",
    voice: Path | None = None,
    false_alarms: Annotated[float, Within(0.001, 1_000)] = 0.5,
    takes: Count = 400,
    seed: Seed = 0,
    resample: bool = False,
    json: bool = False,
    dry_run: bool = False,
) -> None:
    """Train a detector of a wake word from a few recordings, for `jaxmeta listen` and `jaxmeta export`.

    The threshold is chosen on speech by speakers who are not in training, half of what --negative names. What false
    alarms it gives an hour is printed with a 95 % interval.

    Args:
        positive: Folder with recordings of the word alone, five or more: audio files, or those of a metadata.csv.
        embedding: The public word embedding, a safetensors file (docs/wake-word.md says where it comes from).
        out: Folder for the wake word; must not exist yet.
        negative: Folders of speech without the word, the more hours the better; a column speaker of a metadata.csv says
            who speaks. None: synthesised sentences (the extra "synth"), on which false alarms are rarer than in a room.
        noise: Folders of noise, which the word is mixed with, and which is no word; none: artificial noise.
        rooms: Folders of responses of rooms; none: artificial ones.
        word: The word as it is spelt; then it is told from synthesised words that sound like it (the extra "synth").
        language: Of the word, as espeak-ng calls it, such as "de".
        voice: Folder that `jaxmeta enroll` wrote; then `jaxmeta listen` hears this voice alone.
        false_alarms: An hour, for which the threshold is chosen.
        takes: Of the word, that the recordings are made into.
        seed: Of everything random.
        resample: Take recordings of the word at other sample rates than 16 kHz too.
        json: Write the result as a line of JSON.
        dry_run: Say what would be read, trained and written, and about how long it takes; write nothing.
    """
    from jaxmeta.cli.claimed import claimed
    from jaxmeta.models.pretrained.word_embedding import read_word_embedding
    from jaxmeta.progress import stages
    from jaxmeta.training.runtime import begin
    from jaxmeta.words.wake.augmentation import Surroundings
    from jaxmeta.words.wake.recordings import background, noise_and_rooms, read_word
    from jaxmeta.words.wake.training import HeadTraining, train_wakeword
    from jaxmeta.words.wake.wakeword import save_wakeword

    user, params = _user(voice), read_word_embedding(embedding)
    recordings = read_word(positive, resample=resample)
    if dry_run:
        _plan(positive, negative, noise, rooms, embedding, out, seed).show("train wakeword", as_json=json)
        return
    begin()
    with claimed(out), stages(4):
        for remark in recordings.remarks:
            print(remark, file=sys.stderr)
        noises, responses = noise_and_rooms(noise, rooms, seed)
        sounds = [background(noises, seed), *_confusables(word, language, seed)]
        negatives, before = _negatives(params, negative, sounds, seed)
        trained = train_wakeword(
            word or positive.absolute().name, recordings.waveforms, params, negatives,
            Surroundings(noises, responses, before), false_alarms=false_alarms, training=HeadTraining(takes=takes),
            seed=seed, origin=_origin(seed, negative, noise, rooms),
        )  # fmt: skip
        _save_user(out, user)
        save_wakeword(out, trained)
    _report(trained, out, false_alarms, json)


def _plan(
    positive: Path,
    negative: tuple[Path, ...],
    noise: tuple[Path, ...],
    rooms: tuple[Path, ...],
    embedding: Path,
    out: Path,
    seed: int,
) -> Plan:
    from jaxmeta.cli.claimed import claimed
    from jaxmeta.cli.planning.training import plan_wakeword
    from jaxmeta.words.wake.recordings import audio_files, speech_files
    from jaxmeta.words.wake.training import HeadTraining

    files = {
        flag: [file for folder in folders for file in audio_files(folder)]
        for flag, folders in (("--negative", negative), ("--noise", noise), ("--rooms", rooms))
    }
    if negative:
        speech_files(negative, seed)  # Refuses too few speakers.
    with claimed(out, dry_run=True):
        return plan_wakeword(positive, files, embedding, out, 2 * HeadTraining().updates)


def _report(trained: WakeWord, out: Path, false_alarms: float, as_json: bool) -> None:
    from jaxmeta.cli.output import show

    chosen, rate = trained.threshold, trained.threshold.rate
    text = (
        f"{trained.card.word}: {trained.card.recordings} recordings; {chosen.alarms} false alarms in "
        f"{chosen.hours:.2f} hours of held-out speech,\n"
        f"which is {rate.value:.2f} an hour (95 % interval {rate.low:.2f} to {rate.high:.2f})\nwritten to {out}"
    )
    row = {"out": str(out), "word": trained.card.word, "recordings": trained.card.recordings, "alarms": chosen.alarms}
    row |= {"hours": chosen.hours, "rate": rate.value, "rate_low": rate.low, "rate_high": rate.high}
    show("train wakeword", row, text, as_json=as_json)
    if int(false_alarms * chosen.hours) == 0:
        print(
            f"{chosen.hours:.2f} hours are too few to allow one false alarm at {false_alarms:g} an hour, so that none "
            f"is allowed and more words are missed; give {2 / false_alarms:.0f} hours or more by --negative.",
            file=sys.stderr,
        )


def _user(voice: Path | None) -> Any:
    if voice is None:
        return None
    from jaxmeta.verification.user import load_user

    return load_user(voice)


def _save_user(out: Path, user: Any) -> None:
    if user is not None:
        from jaxmeta.verification.user import save_user

        save_user(out / VOICE, *user)


def _confusables(word: str | None, language: str, seed: int) -> list[np.ndarray]:
    if word is None:
        return []
    import numpy as np

    from jaxmeta.words.wake.recordings import synthesised_confusables

    spoken = synthesised_confusables(word, language, seed=seed)
    pause = np.random.default_rng(seed).normal(scale=1e-3, size=8_000).astype(np.float32)
    return [np.concatenate([part for each in spoken for part in (pause, each)])]


def _negatives(
    params: Any, folders: tuple[Path, ...], sounds: list[np.ndarray], seed: int
) -> tuple[Negatives, list[np.ndarray]]:
    """Embeddings of all that is not the word, and some of the speech of training itself."""
    from jaxmeta.progress import progress_bar, stage
    from jaxmeta.words.wake.recordings import read_joined, speech_files
    from jaxmeta.words.wake.training import Negatives, embed_streams

    if not folders:
        from jaxmeta.data.synthesis.sentences import accented_sentences

        folders = (accented_sentences(seed),)
        print("no --negative: the threshold is chosen on synthesised speech", file=sys.stderr)
    files = speech_files(folders, seed)
    parts: list[list[np.ndarray]] = []
    with (
        stage("embedding other speech"),
        progress_bar(
            "embedding other speech", len(files.training) + len(files.held_out) + len(sounds), unit="streams"
        ) as advance,
    ):
        for some in (files.training, files.held_out):
            parts.append(embed_streams(params, map(read_joined, some), advance))
        parts[0] += embed_streams(params, sounds, advance)
    return Negatives(*parts), [read_joined(some) for some in files.training[:BEFORE]]


def _origin(seed: int, negative: tuple[Path, ...], noise: tuple[Path, ...], rooms: tuple[Path, ...]) -> dict[str, Any]:
    from jaxmeta.training.report import stamp

    named = {"negative": negative, "noise": noise, "rooms": rooms}
    return stamp(seed, sys.argv, {}) | {name: [str(each) for each in folders] for name, folders in named.items()}
