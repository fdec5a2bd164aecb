"""Long recordings as rows of a manifest, cut where nobody speaks."""

import os
from collections.abc import Sequence
from pathlib import Path

from jaxmeta.data.audio import AudioError, declared_seconds, read_audio
from jaxmeta.data.importers.rows import Rejection
from jaxmeta.data.manifests.clips import Clip
from jaxmeta.data.manifests.importing import Imported, Utterance
from jaxmeta.data.recordings import sounding_seconds
from jaxmeta.progress import progress_bar
from jaxmeta.recognition.segments.stretches import RATE, SpeechDetector, utterances

_LEAST_SOUND = 0.1
"""Seconds that are not silent, which commands want of every recording."""


def segment_recordings(
    files: Sequence[Path], detect: SpeechDetector | None = None, seconds: float = 30.0, *, progress: bool = True
) -> Imported:
    """Utterances of recordings as pieces of them; the columns say from which recording, and the how many-th of it.

    Args:
      files: of recordings, each once.
      detect: says where speech is; None: recordings are cut at the quietest places, and silent pieces rejected.
      seconds: longest piece, 1 or more.
      progress: show progress on standard error.
    Returns:
      The pieces, and with reasons the pieces that are silent (their number as the row) and recordings that cannot be
      read (row 0).
    Raises:
      ValueError: no files, or one twice.
    """
    paths = [os.path.realpath(file) for file in files]
    if not paths or len(set(paths)) < len(paths):
        raise ValueError(f"recordings: {[str(file) for file in files]} must be one or more files, each once.")
    root = os.path.commonpath([os.path.dirname(path) for path in paths])
    pieces: list[Utterance] = []
    rejections: list[Rejection] = []
    with progress_bar("cutting", len(paths), progress, unit="recordings") as advance:
        for file, path in zip(files, paths, strict=True):
            try:
                spans = _spans(path, detect, seconds)
            except AudioError as error:
                rejections.append(Rejection(file, 0, str(error).removeprefix(f"{path}: ").rstrip(".")))
                spans = []
            for number, (start, duration, sound) in enumerate(spans, 1):
                if sound < _LEAST_SOUND:
                    reason = f"is silent from {start:.3f} s on for {duration:.3f} s"
                    rejections.append(Rejection(file, number, reason))
                    continue
                columns = {"recording_name": file.stem, "piece": str(number)}
                pieces.append(
                    Utterance(os.path.relpath(path, root), Clip(path, start, duration), columns, (file, number))
                )
            advance(1)
    return Imported(pieces, rejections, [Path(root)])


def _spans(path: str, detect: SpeechDetector | None, seconds: float) -> list[tuple[float, float, float]]:
    """Start, duration and sounding seconds of each piece."""
    waveform = read_audio(path, RATE)
    spans = utterances(waveform, detect, seconds, search=min(5.0, seconds / 2))
    declared = declared_seconds(path)
    pieces = []
    for start, end in spans:
        # Resampling may round the end up.
        last = min(end / RATE, declared)
        pieces.append((start / RATE, last - start / RATE, sounding_seconds(waveform[start:end], RATE)))
    return [piece for piece in pieces if piece[1] > 0]
