"""Beam search by flashlight-text (Kahn et al. 2022, arXiv 2201.12465) and KenLM."""

import importlib
import importlib.util
import itertools
import math
import os
from collections.abc import Sequence
from typing import Any

from jaxmeta.decoding.ngram import SPACE, UNKNOWN
from jaxmeta.decoding.search_task import Decode, SearchTask

_BLANK = 0


def installed() -> bool:
    """Whether flashlight-text is there to import."""
    try:
        return importlib.util.find_spec("flashlight.lib.text.decoder") is not None
    except ModuleNotFoundError:
        return False


def decoder(task: SearchTask) -> Decode:
    """Prepare a search.

    Raises:
      ValueError: KenLM cannot use the file.
      ImportError: flashlight-text is not installed.
    """
    library = _library("flashlight.lib.text.decoder")
    # flashlight takes logarithms to base 10 from KenLM, and does not convert them.
    weight, ctc = task.lm_weight * math.log(10), library.CriterionType.CTC
    limits = task.beam, task.classes, task.threshold, weight
    # Without a lexicon flashlight scores classes, of which the first is the blank, and never scored.
    names = task.entries if task.spellings is not None else (UNKNOWN, *task.entries)
    model = library.ZeroLM() if task.arpa is None else _load_model(task.arpa, names)
    if task.spellings is None:
        options = library.LexiconFreeDecoderOptions(*limits, 0.0, True, ctc)
        # The search begins as if after its silence: were that a unit, no text could begin with it.
        units = library.LexiconFreeDecoder(options, model, _BLANK, _BLANK, [])
        return lambda frames: [
            (tuple(token - 1 for token, _ in itertools.groupby(result.tokens) if token != _BLANK), result.score)
            for result in units.decode(frames.ctypes.data, *frames.shape)
        ]
    options = library.LexiconDecoderOptions(*limits, task.word_score, -math.inf, 0.0, True, ctc)
    trie = _trie(library, task, model)
    words = library.LexiconDecoder(options, trie, model, task.space, _BLANK, 0, [], False)
    return lambda frames: [
        (tuple(word for word in result.words if word >= 0), result.score)
        for result in words.decode(frames.ctypes.data, *frames.shape)
    ]


def _trie(library: Any, task: SearchTask, model: Any) -> Any:
    """The lexicon as a tree of classes, which promises at each branch the likeliest word that it leads to."""
    trie = library.Trie(task.classes, task.space)
    state = model.start(True)  # In no context.
    for index, spelling in enumerate(task.spellings or []):
        trie.insert([*spelling, task.space], index, model.score(state, index)[1])
    trie.smear(library.SmearingMode.MAX)
    return trie


def _load_model(arpa: str | os.PathLike[str], names: Sequence[str]) -> Any:
    path = os.fspath(arpa)
    tokens = [SPACE if name == " " else name for name in names]
    dictionary = _library("flashlight.lib.text.dictionary").Dictionary(tokens)
    try:
        return _library("flashlight.lib.text.decoder.kenlm").KenLM(path, dictionary)
    except RuntimeError as error:
        raise ValueError(f"arpa={path!r} cannot be used: {error}") from error


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            "engine='flashlight' needs flashlight-text (Python 3.12 or older): pip install 'jaxmeta[decode]', or take "
            "engine='numba'."
        ) from error
