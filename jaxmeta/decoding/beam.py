"""Beam search over CTC outputs with a language model.

By flashlight-text (Kahn et al. 2022, arXiv 2201.12465) where it is installed, else by a search of our own.
"""

import functools
import itertools
import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from jaxmeta.decoding import flashlight_beam
from jaxmeta.decoding.ngram import SPACE, UNKNOWN, arpa_words
from jaxmeta.decoding.search_task import Decode, SearchTask

Engine = Literal["flashlight", "numba"]
"""flashlight-text, or a search of our own that needs no more than the package does; their hypotheses are the same."""

_IMPOSSIBLE = -1e9  # Stands for log 0: two infinities add up to NaN, which has no place in an order.
_SAME_SPELLING = 6  # Words of one spelling that flashlight keeps; it drops the others.


class Hypothesis(NamedTuple):
    """A text that the outputs may stand for."""

    words: tuple[str, ...]
    labels: tuple[int, ...]
    """Classes in [1, C): with a lexicon the words' spellings and one space between."""
    score: float
    """In nats: log-likelihood of CTC + lm_weight * that of the language model + word_score * words."""


def ctc_beam(
    units: Sequence[str],
    *,
    lexicon: Mapping[str, Sequence[str]] | None = None,
    arpa: str | os.PathLike[str] | None = None,
    beam: int = 50,
    threshold: float = 50.0,
    lm_weight: float = 0.5,
    word_score: float = 0.0,
    engine: Engine | None = None,
) -> Callable[[np.ndarray, int], list[Hypothesis]]:
    """Prepare a search for the likeliest texts; its CTC likelihoods sum over all alignments that the beam keeps.

    With a lexicon, texts are sequences of its words with spaces between, and the language model is one of words.
    Without, they are any sequences of units, and it is one of units, in which <space> stands for the unit " ".

    Args:
      units: text of each label; units[i] is class i + 1, and class 0 is the blank.
      lexicon: word -> its units, without spaces; needs " " among the units. {word: word} spells in characters.
      arpa: file of an n-gram model (see `train_ngram`); KenLM, which reads it for flashlight, tells of it on stderr.
        None: no model.
      beam: hypotheses kept after each frame.
      threshold: hypotheses this many nats below the best one are dropped; math.inf keeps them.
      lm_weight: weight of the model's log-probability, 0 or more; the end of the sentence counts.
      word_score: nats added for each word, against a weighted model's liking for few words; needs a lexicon.
      engine: what searches; None: flashlight-text where it is installed, else numba.
    Returns:
      (log_probs [T, C] in nats, length in [0, T]) -> the kept hypotheses, best first; none if no sequence of words
      survived the beam. Frames from length on are inert. Not for several threads at once.
    Raises:
      ValueError: arguments out of range, units or words repeated, unknown or missing from the model, or a damaged
        file; when called, outputs of another shape, or NaN.
      ImportError: engine="flashlight", and the extra "decode" is not installed.
    """
    _check_arguments(units, lexicon, beam, threshold, lm_weight, word_score)
    if lexicon is None:
        entries, spellings, space = tuple(units), None, 0
    else:
        entries, spellings, space = tuple(lexicon), _spellings(units, lexicon), units.index(" ") + 1
    if arpa is not None:
        _check_words(arpa, entries)
    task = SearchTask(
        entries, spellings, len(units) + 1, space, arpa, beam, threshold, lm_weight=lm_weight, word_score=word_score
    )
    return functools.partial(_search, _engine(engine)(task), task)


def _engine(name: Engine | None) -> Callable[[SearchTask], Decode]:
    if name not in (None, "flashlight", "numba"):
        raise ValueError(f"engine={name!r} is not known; give 'flashlight', 'numba' or None.")
    if name == "flashlight" or (name is None and flashlight_beam.installed()):
        return flashlight_beam.decoder
    from jaxmeta.decoding import numba_beam  # numba takes its time to import.

    return numba_beam.decoder


def _search(decode: Decode, task: SearchTask, log_probs: np.ndarray, length: int) -> list[Hypothesis]:
    frames = _frames(log_probs, length, task.classes)
    if task.spellings is not None:
        # Each word ends with a space; one more frame gives the last word its own.
        end = np.full((1, task.classes), _IMPOSSIBLE, np.float32)
        end[0, task.space] = 0
        frames = np.concatenate([frames, end])
    return _possible([_hypothesis(task, text, score) for text, score in decode(frames)])


def _hypothesis(task: SearchTask, text: tuple[int, ...], score: float) -> Hypothesis:
    said = tuple(task.entries[index] for index in text)
    if task.spellings is None:
        return Hypothesis(tuple("".join(said).split()), tuple(index + 1 for index in text), score)
    labels = tuple(itertools.chain.from_iterable((task.space, *task.spellings[index]) for index in text))[1:]
    return Hypothesis(said, labels, score)


def _possible(hypotheses: list[Hypothesis]) -> list[Hypothesis]:
    """Those of log-likelihood above that of an impossible one; flashlight orders equal scores by chance."""
    possible = [hypothesis for hypothesis in hypotheses if hypothesis.score > _IMPOSSIBLE / 2]
    return sorted(possible, key=lambda hypothesis: (-hypothesis.score, hypothesis.words, hypothesis.labels))


def _frames(log_probs: np.ndarray, length: int, classes: int) -> np.ndarray:
    """The frames [length, C] as the engines read them: float32, in one piece, finite."""
    values = np.asarray(log_probs)
    if values.ndim != 2 or values.shape[1] != classes or not 0 <= length <= len(values):
        raise ValueError(
            f"log_probs need shape [T, C={classes}] (the blank and each unit) and a length in [0, T], got "
            f"{values.shape} and {length}."
        )
    values = np.ascontiguousarray(values[:length], np.float32)
    if not (values <= 1e-3).all():
        raise ValueError("log_probs hold NaN or values above 0; give log-probabilities, such as log_softmax(logits).")
    return np.maximum(values, np.float32(_IMPOSSIBLE))


def _spellings(units: Sequence[str], lexicon: Mapping[str, Sequence[str]]) -> list[tuple[int, ...]]:
    classes = {unit: label for label, unit in enumerate(units, start=1) if unit != " "}
    alike = Counter(tuple(spelling) for spelling in lexicon.values())
    for word, spelling in lexicon.items():
        unknown = sorted(set(spelling) - set(classes))
        if unknown or not len(spelling):
            raise ValueError(f"lexicon: {word!r} is spelled {list(spelling)}; use units other than ' ', not {unknown}.")
        if alike[tuple(spelling)] > _SAME_SPELLING:
            raise ValueError(f"lexicon: more than {_SAME_SPELLING} words are spelled like {word!r}; leave some out.")
    return [tuple(classes[unit] for unit in spelling) for spelling in lexicon.values()]


def _check_words(arpa: str | os.PathLike[str], entries: Sequence[str]) -> None:
    missing = sorted(set(entries) - {UNKNOWN} - arpa_words(arpa))
    if missing:
        raise ValueError(
            f"arpa={os.fspath(arpa)!r} lacks {len(missing)} units or words, such as {missing[:5]}; train it on text "
            "that has them, or leave them out of the lexicon."
        )


def _check_arguments(
    units: Sequence[str],
    lexicon: Mapping[str, Sequence[str]] | None,
    beam: int,
    threshold: float,
    lm_weight: float,
    word_score: float,
) -> None:
    repeated = [name for name, times in Counter([UNKNOWN, SPACE, *units]).items() if times > 1]
    if not units or "" in units or repeated:
        raise ValueError(
            f"units must be distinct texts, one for each class above 0; got {list(units)}: {repeated} again."
        )
    if lexicon is None and word_score:
        raise ValueError(f"word_score={word_score} needs a lexicon: without, the search knows of no words.")
    if lexicon is not None and (" " not in units or not lexicon):
        raise ValueError("a lexicon needs a word at least, and the unit ' ' to part words.")
    if beam < 1 or not threshold > 0 or not 0 <= lm_weight < math.inf or not math.isfinite(word_score):
        raise ValueError(
            f"beam={beam}, threshold={threshold}, lm_weight={lm_weight}, word_score={word_score}: give a beam of 1 or "
            "more, a threshold above 0, a weight of 0 or more, and a finite score."
        )
