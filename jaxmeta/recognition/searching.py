"""Search with a language model of words, over the outputs of a recogniser of characters."""

import os
from typing import Any

import numpy as np

from jaxmeta.data.vocabulary import Vocabulary
from jaxmeta.decoding.beam import ctc_beam
from jaxmeta.decoding.ngram import arpa_words
from jaxmeta.recognition.transcription import Search


def word_search(vocabulary: Vocabulary, arpa: str | os.PathLike[str], **options: Any) -> Search:
    """The likeliest sequence of the words of an ARPA file; words with other characters than the vocabulary's are out.

    Args:
      vocabulary: of characters, with " ".
      arpa: n-gram model of words, such as `train_ngram` and `write_arpa` make.
      options: of `ctc_beam`: beam, lm_weight, word_score.
    Raises:
      ValueError: the vocabulary is not of characters, or none of the words can be spelled with it; else as `ctc_beam`.
    """
    known = set(vocabulary.units)
    if " " not in known:
        raise ValueError(
            f"a search for words needs a recogniser of characters with a space; its units are {vocabulary.units}."
        )
    words = [word for word in arpa_words(arpa) if not word.startswith("<") and set(word) <= known]
    if not words:
        raise ValueError(
            f"{arpa}: none of its words is spelled with the recogniser's characters; is the case the same?"
        )
    search = ctc_beam(vocabulary.units, arpa=arpa, lexicon={word: word for word in words}, **options)

    def best(logs: np.ndarray, frames: int) -> str:
        hypotheses = search(logs, frames)
        return " ".join(hypotheses[0].words) if hypotheses else ""

    return best
