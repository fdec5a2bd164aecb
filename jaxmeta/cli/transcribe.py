"""`jaxmeta transcribe CHECKPOINT FILE...`"""

from __future__ import annotations

import json as json_lines
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional

from jaxmeta.cli.ranges import Within

if TYPE_CHECKING:
    import numpy as np

    from jaxmeta.data.features import FeatureConfig


def transcribe(
    checkpoint: Positional[Path],
    files: Positional[tuple[Path, ...]],
    json: bool = False,
    lm: Path | None = None,
    lm_weight: Annotated[float, Within(0, 100)] = 0.5,
    word_score: Annotated[float, Within(-100, 100)] = 0.0,
    beam: Annotated[int, Within(1, 10_000)] = 50,
    resample: bool = False,
) -> None:
    """Write what is said in audio files, a line each, in the order given and as soon as it is known.

    A file that cannot be read is named on standard error, and the others are transcribed; the exit status is 3 then.
    Long recordings are recognised in stretches of 41 seconds that overlap by 5.

    Args:
        checkpoint: Folder of a recogniser, as training or `jaxmeta adapt` writes it.
        files: Audio files: WAV, FLAC, Ogg and whatever else libsndfile reads.
        json: Write JSON lines with the keys file, text and seconds, instead of FILE, a tab and the text.
        lm: Search with this language model of words, an ARPA file; words that it lacks are not found.
        lm_weight: Weight of the language model's log-probability.
        word_score: Nats added for each word, against the model's liking for few words.
        beam: Hypotheses kept by the search.
        resample: Take recordings at other sample rates than the recogniser's too.
    """
    from jaxmeta.cli.endings import PartlyDoneError
    from jaxmeta.recognition.recogniser import load_recogniser
    from jaxmeta.recognition.searching import word_search
    from jaxmeta.recognition.transcription import transcribe_each

    if not files:
        raise ValueError("no files to transcribe; name one or more after the checkpoint.")
    recogniser = load_recogniser(checkpoint)
    search = (
        None
        if lm is None
        else word_search(recogniser.vocabulary, lm, beam=beam, lm_weight=lm_weight, word_score=word_score)
    )
    readable: deque[tuple[Path, float]] = deque()
    features = _readable(recogniser.card.features, files, resample, readable)
    done = 0
    for text in transcribe_each(recogniser, features, search):
        done += 1
        file, seconds = readable.popleft()
        row = {"file": str(file), "text": text, "seconds": round(seconds, 2)}
        print(json_lines.dumps(row, ensure_ascii=False, allow_nan=False) if json else f"{file}\t{text}", flush=True)
    if failed := len(files) - done:
        message = f"{failed} of {len(files)} files could not be read; they are named above."
        raise PartlyDoneError(message) if done else ValueError(message)


def _readable(
    config: FeatureConfig, files: tuple[Path, ...], resample: bool, readable: deque[tuple[Path, float]]
) -> Iterator[np.ndarray]:
    """The features of each file that can be read, whose name and seconds go to `readable`; says which cannot."""
    from jaxmeta.data.audio import AudioError
    from jaxmeta.data.recordings import read_features

    for file in files:
        try:
            (frames,) = read_features(config, [file], resample=resample)
        except AudioError as error:
            print(f"jaxmeta: {error}", file=sys.stderr, flush=True)
            continue
        readable.append((file, len(frames) / config.frame_rate))
        yield frames
