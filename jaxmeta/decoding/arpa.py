"""ARPA files as arrays that beam search reads."""

import itertools
import math
import os
import re
from pathlib import Path
from typing import NoReturn

import numpy as np

from jaxmeta.decoding.ngram import END, SPACE, START, UNKNOWN
from jaxmeta.decoding.prefix_search import BackOff

_NO_UNKNOWN = -100.0  # What KenLM takes for log10 of an <unk> that is not listed.


def read_arpa(path: str | os.PathLike[str]) -> tuple[BackOff, dict[str, int]]:
    """Read a back-off model of any order from 2 on.

    Returns:
      the model, and its words with their numbers, among them <s>, </s> and <unk>; <space> is " ".
    Raises:
      ValueError: the file cannot be read, or is damaged: another number of grams than it says, a line that is no gram,
        a gram twice, one of words that are no unigrams, or one whose start is not listed.
    """
    name = os.fspath(path)
    try:
        lines = enumerate(Path(path).read_bytes().split(b"\n"), start=1)
    except OSError as error:
        raise ValueError(f"arpa={name!r} cannot be read ({error}); name a text file in ARPA format.") from error
    counts = _counts(name, lines)
    tables = [_table(name, lines, order, count) for order, count in enumerate(counts, start=1)]
    if next((line.strip() for _, line in lines if line.strip()), b"") != b"\\end\\":
        _refuse(name, r"it has no \end\ after its grams")
    words = {row[0]: number for number, row in enumerate(tables[0][0])}
    if len(words) < counts[0]:
        _refuse(name, "a unigram is listed twice")
    if not {START.encode(), END.encode()} <= set(words):
        _refuse(name, f"it lacks {START} or {END}")
    if UNKNOWN.encode() not in words:
        words[UNKNOWN.encode()] = len(words)
        tables[0] = [*tables[0][0], [UNKNOWN.encode()]], np.append(tables[0][1], [[_NO_UNKNOWN, 0.0]], axis=0)
    names = {word.decode(errors="surrogateescape"): number for word, number in words.items()}
    return _tree(name, words, tables), {" " if word == SPACE else word: number for word, number in names.items()}


Lines = enumerate[bytes]
Table = tuple[list[list[bytes]], np.ndarray]
"""Words of each gram, and its two values [grams, 2] in log10."""


def _counts(name: str, lines: Lines) -> list[int]:
    r"""How many grams of each order the head says; reads to the line \1-grams:."""
    counts: list[int] = []
    for number, line in lines:
        text = line.strip()
        said = re.fullmatch(rb"ngram (\d+) ?= ?(\d+)", text)
        if said and int(said[1]) == len(counts) + 1:
            counts.append(int(said[2]))
        elif text == b"\\1-grams:" and len(counts) > 1:
            return counts
        elif text and (text != b"\\data\\" or counts):
            _refuse(name, rf"line {number} is not \data\, ngram N=count for N = 1, 2 and on, or \1-grams:")
    _refuse(name, "it ends within its head")


def _table(name: str, lines: Lines, order: int, count: int) -> Table:
    if order > 1 and next((line.strip() for _, line in lines if line.strip()), b"") != b"\\%d-grams:" % order:
        _refuse(name, rf"it does not have the grams that it says, and then \{order}-grams:")
    words, values = [], np.zeros((count, 2))
    for row, (number, line) in enumerate(itertools.islice(lines, count)):
        fields = line.split()
        try:
            numbers = [float(field) for field in (*fields[:1], *fields[order + 1 :])]
        except ValueError:
            numbers = []
        if len(fields) - order not in (1, 2) or not numbers:
            _refuse(name, f"line {number} is no gram of {order} words, its log-probability before and a back-off after")
        values[row, : len(numbers)] = numbers
        words.append(fields[1 : order + 1])
    if len(words) < count or not np.isfinite(values).all() or (values[:, 0] > 0).any():
        _refuse(name, f"it ends within its grams of {order} words, or one has a log-probability above 0")
    return words, values


def _tree(name: str, words: dict[bytes, int], tables: list[Table]) -> BackOff:
    """Number the grams by the one that they continue and by their last word, so that they can be looked up."""
    size = len(words)
    # A gram's key holds these two; keys ascend over all orders, and the place of a key is the number of the gram - 1.
    keys, values, shorter = np.arange(size), [tables[0][1]], np.zeros(size + 1, np.int64)
    for order, (rows, table) in enumerate(tables[1:], start=2):
        try:
            numbers = np.array([[words[word] for word in row] for row in rows], np.int64).reshape(len(rows), order)
        except KeyError as error:
            _refuse(name, f"{error} is in a gram of {order} words, and no unigram")
        start = numbers[:, 0] + 1
        for column in numbers[:, 1:-1].T:
            start, listed = _look_up(keys, start * size + column)
            if not listed.all():
                _refuse(name, f"the start of a gram of {order} words is not listed, as {rows[int(np.argmin(listed))]}")
        own = start * size + numbers[:, -1]
        place = np.argsort(own)
        own, start, last = own[place], start[place], numbers[place, -1]
        if (np.diff(own) == 0).any():
            _refuse(name, f"a gram of {order} words is listed twice")
        # Shorten the start until it is listed with the last word after it.
        ends, listed = shorter[start], np.zeros(len(own), bool)
        while not listed.all():
            number, listed = _look_up(keys, ends * size + last)
            ends = np.where(listed, ends, shorter[ends])
        keys, shorter = np.concatenate([keys, own]), np.concatenate([shorter, number])
        values.append(table[place])
    logs = np.concatenate([np.zeros((1, 2)), *values]) * math.log(10)
    grams = np.arange(len(shorter))
    return BackOff(
        first=(np.searchsorted(keys, np.arange(len(grams) + 1) * size) + 1).astype(np.int32),
        word=np.append(-1, keys % size).astype(np.int32),
        log=logs[:, 0].astype(np.float32),
        backoff=logs[:, 1].astype(np.float32),
        shorter=shorter.astype(np.int32),
        state=np.where(grams < len(grams) - len(values[-1]), grams, shorter).astype(np.int32),
    )


def _look_up(keys: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the grams of these keys, and which are listed; the others get that of any gram."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return places + 1, keys[places] == wanted


def _refuse(name: str, reason: str) -> NoReturn:
    raise ValueError(f"arpa={name!r} cannot be used: {reason}; write the file anew.")
