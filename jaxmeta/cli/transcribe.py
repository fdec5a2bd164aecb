"""`jaxmeta transcribe CHECKPOINT FILE...`"""

from __future__ import annotations

import json as json_lines
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional

from jaxmeta.cli.ranges import Within

if TYPE_CHECKING:
    import numpy as np


def transcribe(
    checkpoint: Positional[Path],
    files: Positional[tuple[Path, ...]],
    json: bool = False,
    lm: Path | None = None,
    lm_weight: Annotated[float, Within(0, 100)] = 0.5,
    word_score: Annotated[float, Within(-100, 100)] = 0.0,
    beam: Annotated[int, Within(1, 10_000)] = 50,
    resample: bool = False,
    language: str | None = None,
    base: Path | None = None,
    voice_activity: Path | None = None,
) -> None:
    """Write what is said in audio files, a line each, in the order given and as soon as it is known.

    A file that cannot be read is named on standard error, and the others are transcribed; the exit status is 3 then.
    Long recordings are recognised in stretches: of 41 seconds that overlap by 5, or by Whisper of at most 30 seconds
    that end where it is quiet.

    Args:
        checkpoint: Folder of a recogniser, as training or `jaxmeta adapt` writes it, or of a public Whisper
            (config.json, model.safetensors, tokenizer.json), or of adapters of one.
        files: Audio files: WAV, FLAC, Ogg Vorbis, Ogg Opus or MP3.
        json: Write JSON lines with the keys file, text and seconds, instead of FILE, a tab and the text.
        lm: Search with this language model of words, an ARPA file; words that it lacks are not found.
        lm_weight: Weight of the language model's log-probability.
        word_score: Nats added for each word, against the model's liking for few words.
        beam: Hypotheses kept by the search.
        resample: Take recordings at other sample rates than the recogniser's too.
        language: Of the recordings, such as "de", for a Whisper of many languages; English or the adapter's without it.
        base: Folder of the public network that an adapter or a recogniser belongs to, if it is not where it was.
        voice_activity: Weights of silero-vad, silero_vad_16k.safetensors: Whisper then leaves out what is no speech in
            recordings above 30 seconds.
    """
    from jaxmeta.cli.endings import PartlyDoneError
    from jaxmeta.cli.pretrained.whisper import is_pretrained, refuse

    if not files:
        raise ValueError("no files to transcribe; name one or more after the checkpoint.")
    if is_pretrained(checkpoint):
        refuse({"--lm": lm}, checkpoint, "for Whisper has a language model of its own")
        texts = _by_whisper(checkpoint, files, resample, base, language, voice_activity)
    else:
        options = {"--language": language, "--voice-activity": voice_activity}
        refuse(options, checkpoint, "which is neither a Whisper nor an adapter of it")
        texts = _by_recogniser(
            checkpoint, files, resample, lm, base, beam=beam, lm_weight=lm_weight, word_score=word_score
        )
    done = 0
    for file, seconds, text in texts:
        done += 1
        row = {"file": str(file), "text": text, "seconds": round(seconds, 2)}
        print(json_lines.dumps(row, ensure_ascii=False, allow_nan=False) if json else f"{file}\t{text}", flush=True)
    if failed := len(files) - done:
        message = f"{failed} of {len(files)} files could not be read; they are named above."
        raise PartlyDoneError(message) if done else ValueError(message)


def _by_whisper(
    checkpoint: Path,
    files: tuple[Path, ...],
    resample: bool,
    base: Path | None,
    language: str | None,
    voice_activity: Path | None,
) -> Iterator[tuple[Path, float, str]]:
    from jaxmeta.cli.pretrained.whisper import texts_of_files
    from jaxmeta.data.recordings import read_waveforms

    waveforms = _readable(files, lambda file: read_waveforms(16_000, [file], resample=resample)[0])
    return texts_of_files(checkpoint, waveforms, base, language, voice_activity)


def _by_recogniser(
    checkpoint: Path, files: tuple[Path, ...], resample: bool, lm: Path | None, base: Path | None, **options: Any
) -> Iterator[tuple[Path, float, str]]:
    from jaxmeta.data.recordings import read_features
    from jaxmeta.recognition.pretrained.on_base import load_any_recogniser
    from jaxmeta.recognition.searching import word_search
    from jaxmeta.recognition.transcription import transcribe_each

    recogniser = load_any_recogniser(checkpoint, base)
    config = recogniser.card.features
    search = None if lm is None else word_search(recogniser.vocabulary, lm, **options)
    waiting: deque[tuple[Path, float]] = deque()

    def features() -> Iterator[np.ndarray]:
        for file, frames in _readable(files, lambda file: read_features(config, [file], resample=resample)[0]):
            waiting.append((file, len(frames) / config.frame_rate))
            yield frames

    for text in transcribe_each(recogniser, features(), search):
        yield *waiting.popleft(), text


def _readable(files: tuple[Path, ...], read: Callable[[Path], np.ndarray]) -> Iterator[tuple[Path, np.ndarray]]:
    """Each file that can be read with what it is read as; says which cannot."""
    from jaxmeta.data.audio import AudioError

    for file in files:
        try:
            values = read(file)
        except AudioError as error:
            print(f"jaxmeta: {error}", file=sys.stderr, flush=True)
            continue
        yield file, values
