"""`jaxmeta transcribe CHECKPOINT FILE...`"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from tyro.conf import Positional

from jaxmeta.cli.ranges import Within
from jaxmeta.cli.transcripts import Part

if TYPE_CHECKING:
    from jaxmeta.cli.pretrained.whisper import Hints

T = TypeVar("T")
SUBTITLE = 10.0
"""Seconds of the longest stretch of subtitles: who reads them sees a whole stretch at once."""


def transcribe(
    checkpoint: Positional[Path],
    files: Positional[tuple[Path, ...]],
    format: Literal["text", "json", "srt", "vtt"] = "text",
    out: Path | None = None,
    longest: Annotated[float, Within(1, 30)] | None = None,
    json: bool = False,
    lm: Path | None = None,
    lm_weight: Annotated[float, Within(0, 100)] = 0.5,
    word_score: Annotated[float, Within(-100, 100)] = 0.0,
    beam: Annotated[int, Within(1, 10_000)] = 50,
    resample: bool = False,
    language: str | None = None,
    base: Path | None = None,
    voice_activity: Path | None = None,
    bits: Literal[8, 16] | None = None,
    words: Path | None = None,
    words_bonus: Annotated[float, Within(0, 100)] | None = None,
    prompt: str | None = None,
) -> None:
    """Write what is said in audio files, in the order given and as soon as it is known.

    A file that cannot be read is named on standard error, and the others are transcribed; the exit status is 3 then.
    Long recordings are recognised in stretches that end where it is quiet. Subtitles and JSON have their times.

    Args:
        checkpoint: Folder of a recogniser, as training or `jaxmeta adapt` writes it, or of a public Whisper
            (config.json, model.safetensors, tokenizer.json), or of adapters of one.
        files: Audio files: WAV, FLAC, Ogg Vorbis, Ogg Opus or MP3.
        format: "text": a line each of FILE, a tab and the text. "json": a line each with version, file, seconds, text
            and segments, which have start and end in seconds and text. "srt" and "vtt": subtitles of one recording.
        out: Folder for a file for each recording, such as talk.srt for talk.wav, instead of standard output; what
            exists in it is not replaced.
        longest: Seconds of the longest stretch; without it 10 for subtitles, else what the recogniser takes at once,
            which is 30 for Whisper.
        json: The same as --format json.
        lm: Search with this language model of words, an ARPA file; words that it lacks are not found.
        lm_weight: Weight of the language model's log-probability.
        word_score: Nats added for each word, against the model's liking for few words.
        beam: Hypotheses kept by the search.
        resample: Take recordings at other sample rates than the recogniser's too.
        language: Of the recordings, such as "de", for a Whisper of many languages; English or the adapter's without it.
        base: Folder of the public network that an adapter or a recogniser belongs to, if it is not where it was.
        voice_activity: Weights of silero-vad, silero_vad_16k.safetensors: what is no speech in recordings above the
            longest stretch is left out.
        bits: Of the weights of a Whisper in memory: 16, or 8 for integers; each layer is restored when it is used.
        words: File of words or phrases, one in each line, such as names, that a Whisper is to write more readily.
        words_bonus: Nats added to the logits of each token of such a word; 4 without it. More finds more of the words,
            and writes more of them that nobody said.
        prompt: Text that a public Whisper takes for what was said before each stretch: names, or words in the style
            that is wanted.
    """
    from jaxmeta.cli.endings import PartlyDoneError
    from jaxmeta.cli.pretrained.whisper import Hints, is_pretrained, refuse
    from jaxmeta.cli.transcripts import files_for, folder_for, write

    if not files:
        raise ValueError("no files to transcribe; name one or more after the checkpoint.")
    if json and format not in ("text", "json"):
        raise ValueError(f"--json is the same as --format json, and --format is {format}; give one of them.")
    format = "json" if json else format
    places = files_for(format, files, out)
    if longest is None and format in ("srt", "vtt"):
        longest = SUBTITLE
    parts: Iterator[Part]
    if is_pretrained(checkpoint):
        refuse({"--lm": lm}, checkpoint, "for Whisper has a language model of its own")
        hints = Hints(words, words_bonus, prompt)
        parts = _by_whisper(checkpoint, files, resample, base, language, voice_activity, longest, bits, hints)
    else:
        options = {"--language": language, "--bits": bits, "--words": words, "--words-bonus": words_bonus}
        refuse(options | {"--prompt": prompt}, checkpoint, "which is neither a Whisper nor an adapter of it")
        search = {"beam": beam, "lm_weight": lm_weight, "word_score": word_score}
        parts = _by_recogniser(checkpoint, files, resample, voice_activity, longest, lm, base, **search)
    with folder_for(out):
        done = write(parts, format, places)
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
    longest: float | None,
    bits: Literal[8, 16] | None,
    hints: Hints,
) -> Iterator[Part]:
    from jaxmeta.cli.pretrained.whisper import parts_of_files
    from jaxmeta.data.recordings import read_waveforms

    waveforms = _readable(files, lambda file: read_waveforms(16_000, [file], resample=resample)[0])
    return parts_of_files(checkpoint, waveforms, base, language, voice_activity, longest, bits, hints)


def _by_recogniser(
    checkpoint: Path,
    files: tuple[Path, ...],
    resample: bool,
    voice_activity: Path | None,
    longest: float | None,
    lm: Path | None,
    base: Path | None,
    **options: Any,
) -> Iterator[Part]:
    from jaxmeta.data.recordings import read_waveforms
    from jaxmeta.recognition.pretrained.on_base import load_any_recogniser
    from jaxmeta.recognition.searching import word_search
    from jaxmeta.recognition.segments.ctc import Pieces, cut, transcribe_pieces
    from jaxmeta.recognition.segments.stretches import load_detector

    recogniser = load_any_recogniser(checkpoint, base)
    search = None if lm is None else word_search(recogniser.vocabulary, lm, **options)
    detect = None if voice_activity is None else load_detector(voice_activity)
    rate = recogniser.card.features.sample_rate
    waiting: deque[tuple[Path, float]] = deque()

    def read(file: Path) -> tuple[float, Pieces]:
        waveform = read_waveforms(rate, [file], resample=resample)[0]
        return len(waveform) / rate, cut(recogniser, waveform, detect, longest)

    def pieces() -> Iterator[Pieces]:
        for file, (seconds, recording) in _readable(files, read):
            waiting.append((file, seconds))
            yield recording

    for segment in transcribe_pieces(recogniser, pieces(), search):
        yield Part(*waiting[0], segment)
        if segment is None:
            waiting.popleft()


def _readable(files: tuple[Path, ...], read: Callable[[Path], T]) -> Iterator[tuple[Path, T]]:
    """Each file that can be read with what it is read as; says which cannot."""
    for file in files:
        try:
            values = read(file)
        except (ValueError, MemoryError) as error:
            said = f"{error}" if str(file) in str(error) else f"{file}: {error}"
            print(f"jaxmeta: {said}", file=sys.stderr, flush=True)
            continue
        yield file, values
