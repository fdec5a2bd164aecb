"""`jaxmeta transcribe CHECKPOINT FILE...`"""

import json as json_lines
from pathlib import Path

from tyro.conf import Positional


def transcribe(
    checkpoint: Positional[Path],
    files: Positional[tuple[Path, ...]],
    json: bool = False,
    lm: Path | None = None,
    lm_weight: float = 0.5,
    word_score: float = 0.0,
    beam: int = 50,
    resample: bool = False,
) -> None:
    """Write what is said in audio files, a line each, in the order given.

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
    from jaxmeta.data.recordings import read_features
    from jaxmeta.recognition.recogniser import load_recogniser
    from jaxmeta.recognition.searching import word_search
    from jaxmeta.recognition.transcription import transcribe

    if not files:
        raise ValueError("no files to transcribe; name one or more after the checkpoint.")
    recogniser = load_recogniser(checkpoint)
    search = (
        None
        if lm is None
        else word_search(recogniser.vocabulary, lm, beam=beam, lm_weight=lm_weight, word_score=word_score)
    )
    features = read_features(recogniser.card.features, files, resample=resample)
    for file, frames, text in zip(files, features, transcribe(recogniser, features, search), strict=True):
        row = {"file": str(file), "text": text, "seconds": round(len(frames) / recogniser.card.features.frame_rate, 2)}
        print(json_lines.dumps(row, ensure_ascii=False) if json else f"{file}\t{text}")
