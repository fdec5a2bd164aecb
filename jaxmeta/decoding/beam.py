"""Beam search over CTC outputs with a language model, by flashlight-text (Kahn et al. 2022, arXiv 2201.12465)."""

import functools
import importlib
import itertools
import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxmeta.decoding.ngram import SPACE, UNKNOWN, arpa_words

Spellings = list[tuple[str, tuple[int, ...]]]
"""Each word with its classes."""

_BLANK = 0
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
) -> Callable[[np.ndarray, int], list[Hypothesis]]:
    """Prepare a search for the likeliest texts; its CTC likelihoods sum over all alignments that the beam keeps.

    With a lexicon, texts are sequences of its words with spaces between, and the language model is one of words.
    Without, they are any sequences of units, and it is one of units, in which <space> stands for the unit " ".

    Args:
      units: text of each label; units[i] is class i + 1, and class 0 is the blank.
      lexicon: word -> its units, without spaces; needs " " among the units. {word: word} spells in characters.
      arpa: file of an n-gram model (see `train_ngram`), read by KenLM, which tells of it on stderr; None: no model.
      beam: hypotheses kept after each frame.
      threshold: hypotheses this many nats below the best one are dropped; math.inf keeps them.
      lm_weight: weight of the model's log-probability, 0 or more; the end of the sentence counts.
      word_score: nats added for each word, against a weighted model's liking for few words; needs a lexicon.
    Returns:
      (log_probs [T, C] in nats, length in [0, T]) -> the kept hypotheses, best first; none if no sequence of words
      survived the beam. Frames from length on are inert. Not for several threads at once.
    Raises:
      ValueError: arguments out of range, units or words repeated, unknown or missing from the model, or a damaged
        file; when called, outputs of another shape, or NaN.
      ImportError: the extra "decode" is not installed.
    """
    _check_arguments(units, lexicon, beam, threshold, lm_weight, word_score)
    library = _library("flashlight.lib.text.decoder")
    names = (UNKNOWN, *units) if lexicon is None else tuple(lexicon)
    model = library.ZeroLM() if arpa is None else _load_model(arpa, names)
    # flashlight takes logarithms to base 10 from KenLM, and does not convert them.
    limits, weight, ctc = (beam, len(units) + 1, threshold), lm_weight * math.log(10), library.CriterionType.CTC
    if lexicon is None:
        options = library.LexiconFreeDecoderOptions(*limits, weight, 0.0, True, ctc)
        # The search begins as if after its silence: were that a unit, no text could begin with it.
        decoder = library.LexiconFreeDecoder(options, model, _BLANK, _BLANK, [])
        return functools.partial(_search_units, decoder, tuple(units))
    spellings, space = _spellings(units, lexicon), units.index(" ") + 1
    options = library.LexiconDecoderOptions(*limits, weight, word_score, -math.inf, 0.0, True, ctc)
    trie = _trie(library, len(units) + 1, spellings, space, model)
    decoder = library.LexiconDecoder(options, trie, model, space, _BLANK, 0, [], False)
    return functools.partial(_search_words, decoder, spellings, space, len(units) + 1)


def _search_units(decoder: Any, units: tuple[str, ...], log_probs: np.ndarray, length: int) -> list[Hypothesis]:
    frames = _frames(log_probs, length, len(units) + 1)
    found = []
    for result in decoder.decode(frames.ctypes.data, *frames.shape):
        labels = tuple(label for label, _ in itertools.groupby(result.tokens) if label != _BLANK)
        text = "".join(units[label - 1] for label in labels)
        found.append(Hypothesis(tuple(text.split()), labels, result.score))
    return _possible(found)


def _search_words(
    decoder: Any, spellings: Spellings, space: int, classes: int, log_probs: np.ndarray, length: int
) -> list[Hypothesis]:
    frames = _frames(log_probs, length, classes)
    # The trie ends each word with a space; one more frame gives the last word its own.
    end = np.full((1, classes), _IMPOSSIBLE, np.float32)
    end[0, space] = 0
    frames = np.concatenate([frames, end])
    found = []
    for result in decoder.decode(frames.ctypes.data, *frames.shape):
        said = [spellings[index] for index in result.words if index >= 0]
        labels = tuple(itertools.chain.from_iterable((space, *spelling) for _, spelling in said))[1:]
        found.append(Hypothesis(tuple(word for word, _ in said), labels, result.score))
    return _possible(found)


def _possible(found: list[Hypothesis]) -> list[Hypothesis]:
    """Those of log-likelihood above that of an impossible one; flashlight orders equal scores by chance."""
    possible = [hypothesis for hypothesis in found if hypothesis.score > _IMPOSSIBLE / 2]
    return sorted(possible, key=lambda hypothesis: (-hypothesis.score, hypothesis.words, hypothesis.labels))


def _frames(log_probs: np.ndarray, length: int, classes: int) -> np.ndarray:
    """The frames [length, C] as flashlight reads them: float32, in one piece, finite."""
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


def _spellings(units: Sequence[str], lexicon: Mapping[str, Sequence[str]]) -> Spellings:
    classes = {unit: label for label, unit in enumerate(units, start=1) if unit != " "}
    alike = Counter(tuple(spelling) for spelling in lexicon.values())
    for word, spelling in lexicon.items():
        unknown = sorted(set(spelling) - set(classes))
        if unknown or not len(spelling):
            raise ValueError(f"lexicon: {word!r} is spelled {list(spelling)}; use units other than ' ', not {unknown}.")
        if alike[tuple(spelling)] > _SAME_SPELLING:
            raise ValueError(f"lexicon: more than {_SAME_SPELLING} words are spelled like {word!r}; leave some out.")
    return [(word, tuple(classes[unit] for unit in spelling)) for word, spelling in lexicon.items()]


def _trie(library: Any, classes: int, spellings: Spellings, space: int, model: Any) -> Any:
    """The lexicon as a tree of classes, which promises at each branch the likeliest word that it leads to."""
    trie = library.Trie(classes, space)
    state = model.start(True)  # In no context.
    for index, (_, spelling) in enumerate(spellings):
        trie.insert([*spelling, space], index, model.score(state, index)[1])
    trie.smear(library.SmearingMode.MAX)
    return trie


def _load_model(arpa: str | os.PathLike[str], names: Sequence[str]) -> Any:
    missing = sorted(set(names) - {UNKNOWN} - arpa_words(arpa))
    path = os.fspath(arpa)
    if missing:
        raise ValueError(
            f"arpa={path!r} lacks {len(missing)} units or words, such as {missing[:5]}; train it on text that has "
            "them, or leave them out of the lexicon."
        )
    tokens = [SPACE if name == " " else name for name in names]
    dictionary = _library("flashlight.lib.text.dictionary").Dictionary(tokens)
    try:
        return _library("flashlight.lib.text.decoder.kenlm").KenLM(path, dictionary)
    except RuntimeError as error:
        raise ValueError(f"arpa={path!r} cannot be used: {error}") from error


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


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError("beam search needs flashlight-text: pip install 'jaxmeta[decode]'.") from error
